//! A request for the application and its answer, from the end of its head to the last byte of both.
//!
//! It owns what both directions share: who it belongs to, who watches it, its deadline, and what becomes
//! of the connection afterwards. Its bytes in are the business of `request_body`, its bytes out that of
//! `response_body`. It refuses to know what a request is for.
//!
//! The connection keeps it in one box for as long as it lasts; handles name it by a key that no later
//! request of the same connection shares. One at a time: what a client sends ahead waits in the inbox.

use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};

use yamabiko_protocol::http::{BodyLength, Head};

use crate::application::HttpReply;
use crate::connection::{Connection, ConnectionKey, Http, Phase};
use crate::request_body::{Input, RequestBody};
use crate::response_body::{Output, ResponseBody};
use crate::shard::{Errand, Shard, State};

/// Names one exchange of its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExchangeKey {
    pub(crate) connection: ConnectionKey,
    id: u64,
}

/// The state of one exchange.
pub(crate) struct Exchanging {
    id: u64,
    pub(crate) input: Input,
    pub(crate) output: Output,
    /// The client has closed its side. It may still read.
    pub(crate) peer_ended: bool,
    /// Who wants to know of its end, each under a number of its own.
    watchers: Vec<(u64, Waker)>,
}

/// A request that the application has to answer, once.
///
/// Dropped without an answer it answers 500; that is what becomes of a handler that panics.
#[must_use = "it answers 500 when it is dropped"]
pub struct Exchange {
    pub(crate) shard: Shard,
    pub(crate) key: ExchangeKey,
    address: SocketAddr,
    is_answered: bool,
}

/// The one who sent a request: tells when it does not wait for the answer any more.
pub struct Client {
    shard: Shard,
    key: ExchangeKey,
    /// The number of this handle among the exchange's watchers.
    watch: u64,
}

/// Why nobody waits for the rest of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// The connection is broken or closed, or the answer is complete.
    Over,
    /// The client has closed its side; it may still read what was promised to it.
    PeerEnded,
    /// The server shuts down and waits for what has an end.
    ShuttingDown,
}

impl Exchange {
    /// The request's body.
    pub fn body(&self) -> RequestBody {
        RequestBody::new(self.shard.clone(), self.key)
    }

    /// The client.
    pub fn client(&self) -> Client {
        Client::new(self.shard.clone(), self.key)
    }

    /// The client's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers with all there is to say.
    pub fn answer(mut self, reply: HttpReply) {
        self.is_answered = true;
        self.shard.with(|state| state.answer_exchange(self.key, reply));
        self.shard.nudge();
    }

    /// Begins an answer whose body follows: `length` bytes, or as many as there will be. The head is
    /// sent at once.
    pub fn begin(mut self, reply: HttpReply, length: Option<u64>) -> ResponseBody {
        self.is_answered = true;
        self.shard.with(|state| state.begin_response(self.key, &reply, length));
        self.shard.nudge();
        ResponseBody::new(self.shard.clone(), self.key)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.is_answered {
            // A shard that is being given up may be in the middle of anything.
            let Ok(mut state) = self.shard.0.state.try_borrow_mut() else { return };
            let status = http::StatusCode::INTERNAL_SERVER_ERROR;
            state.answer_exchange(self.key, HttpReply { status, ..HttpReply::default() });
            drop(state);
            self.shard.nudge();
        }
    }
}

impl Client {
    pub(crate) fn new(shard: Shard, key: ExchangeKey) -> Self {
        let watch = shard.with(|state| state.stamp_exchange());
        Self { shard, key, watch }
    }

    /// Whether it has closed the connection or its side of it, or has all of its answer.
    pub fn is_gone(&self) -> bool {
        !matches!(self.departure(), None | Some(Departure::ShuttingDown))
    }

    /// Waits until [`Self::is_gone`]. A client whose body nobody reads, and who is held back therefore,
    /// is seen to go only when something is written to it.
    pub async fn gone(&self) {
        std::future::poll_fn(|context| match self.poll_departure(context) {
            Poll::Ready(Departure::Over | Departure::PeerEnded) => Poll::Ready(()),
            Poll::Ready(Departure::ShuttingDown) | Poll::Pending => Poll::Pending,
        })
        .await;
    }

    /// Whether, and why, nobody waits for the rest of the answer.
    pub fn departure(&self) -> Option<Departure> {
        self.shard.with(|state| state.departure(self.key))
    }

    /// The same, but whoever polls is woken when it changes.
    pub fn poll_departure(&self, context: &mut Context<'_>) -> Poll<Departure> {
        self.shard.with(|state| {
            if let Some(exchange) = state.exchange(self.key) {
                match exchange.watchers.iter_mut().find(|(watch, _)| *watch == self.watch) {
                    Some((_, waker)) => waker.clone_from(context.waker()),
                    None => exchange.watchers.push((self.watch, context.waker().clone())),
                }
            }
            state.departure(self.key).map_or(Poll::Pending, Poll::Ready)
        })
    }
}

impl Clone for Client {
    fn clone(&self) -> Self {
        Self::new(self.shard.clone(), self.key)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Ok(mut state) = self.shard.0.state.try_borrow_mut()
            && let Some(exchange) = state.exchange(self.key)
        {
            exchange.watchers.retain(|(watch, _)| *watch != self.watch);
        }
    }
}

impl Exchanging {
    /// Hands over everybody who waits for something of it.
    fn take_wakers(&mut self, errands: &mut Vec<Errand>) {
        let watchers = self.watchers.drain(..).map(|(_, waker)| waker);
        let wakers = watchers.chain(self.input.reader.take()).chain(self.output.writer.take());
        errands.extend(wakers.map(Errand::Wake));
    }
}

impl Http {
    pub(crate) fn exchange(&mut self) -> Option<&mut Exchanging> {
        match &mut self.phase {
            Phase::Exchange(exchange) => Some(exchange),
            _ => None,
        }
    }
}

impl Shard {
    /// A request for the application: it is asked at once, with what is already here of the body. Returns
    /// how much of `rest` that was.
    pub(crate) fn application_request(
        &self,
        connection: ConnectionKey,
        head: &Head<'_>,
        rest: &[u8],
    ) -> usize {
        let begun = self.with(|state| state.begin_exchange(connection, head.body(), rest));
        let Some((key, taken)) = begun else { return 0 };
        let address = self.with(|state| state.client_address(connection, head));
        let exchange = Exchange { shard: self.clone(), key, address, is_answered: false };
        self.guarded(None, || self.application().request(head, exchange));
        taken
    }
}

impl State {
    /// A number that nothing else of this shard's exchanges has.
    pub(crate) fn stamp_exchange(&mut self) -> u64 {
        self.exchange_stamp += 1;
        self.exchange_stamp
    }

    pub(crate) fn exchange(&mut self, key: ExchangeKey) -> Option<&mut Exchanging> {
        self.http(key.connection)?.exchange().filter(|exchange| exchange.id == key.id)
    }

    fn begin_exchange(
        &mut self,
        connection: ConnectionKey,
        length: BodyLength,
        rest: &[u8],
    ) -> Option<(ExchangeKey, usize)> {
        let id = self.stamp_exchange();
        let limits = self.settings.limits.http;
        let patience_ms = self.settings.limits.body_timeout.as_millis() as u64;
        let input = match Input::new(length, limits, patience_ms) {
            Ok(input) => input,
            Err(error) => {
                self.refuse_request(connection, error.status());
                return None;
            }
        };
        let output = Output::default();
        let watchers = Vec::new();
        let mut exchange = Exchanging { id, input, output, peer_ended: false, watchers };
        let taken = self.feed_body(connection, &mut exchange, rest);
        self.http(connection)?.phase = Phase::Exchange(Box::new(exchange));
        Some((ExchangeKey { connection, id }, taken))
    }

    fn departure(&mut self, key: ExchangeKey) -> Option<Departure> {
        let is_draining = self.draining;
        match self.exchange(key) {
            None => Some(Departure::Over),
            Some(exchange) if exchange.output.is_done() => Some(Departure::Over),
            Some(exchange) if exchange.peer_ended => Some(Departure::PeerEnded),
            Some(_) => is_draining.then_some(Departure::ShuttingDown),
        }
    }

    /// Does what has become possible: lets more of either body come or go, ends the exchange if both are
    /// complete, and sets the time by which the client must have done its part.
    pub(crate) fn settle_exchange(&mut self, connection: ConnectionKey) {
        self.feed_outbox(connection);
        self.time_response(connection);
        let Some(entry) = self.connections.get_mut(connection) else { return };
        let outbox_bytes = entry.outbox.bytes();
        let Some(http) = entry.http() else { return };
        let keep_alive = http.answer.keep_alive;
        let Some(exchange) = http.exchange() else { return };
        if exchange.output.is_done() && outbox_bytes <= crate::response_body::WAITING_BYTES_MAX {
            if exchange.input.is_over() || !keep_alive || !exchange.input.may_be_discarded() {
                return self.end_exchange(connection);
            }
            exchange.input.discard();
        }
        let now_ms = self.now_ms;
        let deadlines = [exchange.input.deadline_ms(now_ms), exchange.output.deadline_ms];
        self.set_deadline(connection, deadlines.into_iter().flatten().min());
        self.receive_again(connection);
    }

    /// Both directions are complete, or the connection is no use for more.
    fn end_exchange(&mut self, connection: ConnectionKey) {
        let keep_alive_ms = self.settings.limits.keep_alive_timeout.as_millis() as u64;
        let deadline = self.now_ms + keep_alive_ms;
        let Some(http) = self.http(connection) else { return };
        let Phase::Exchange(mut exchange) = std::mem::take(&mut http.phase) else { return };
        let keep_alive = std::mem::take(&mut http.answer).keep_alive;
        let may_stay = keep_alive && exchange.input.is_complete() && !exchange.peer_ended;
        exchange.take_wakers(&mut self.errands);
        if !may_stay || self.draining {
            return self.finish(connection);
        }
        self.set_deadline(connection, Some(deadline));
        // The inbox is empty while it is being parsed; then the parser goes on by itself.
        match self.connections.get(connection).is_some_and(|it| !it.inbox.is_empty()) {
            true => self.errands.push(Errand::Parse(connection)),
            false => self.receive_again(connection),
        }
    }

    /// The connection ends, whatever of the request that the application has was still to come.
    pub(crate) fn abandon_request(&mut self, connection: ConnectionKey) {
        let Some(http) = self.connections.get_mut(connection).and_then(Connection::http) else {
            return;
        };
        match &mut http.phase {
            Phase::Exchange(exchange) => exchange.take_wakers(&mut self.errands),
            Phase::Deciding(deciding) => deciding.take_waker(&mut self.errands),
            Phase::Head | Phase::Body(_) | Phase::Answering => return,
        }
        http.phase = Phase::Head;
    }

    /// The client has closed its side in the middle of an exchange: it gets what it was promised, and
    /// nothing after that. True if there is one.
    pub(crate) fn exchange_lost_peer(&mut self, connection: ConnectionKey) -> bool {
        let Some(exchange) = self.http(connection).and_then(Http::exchange) else { return false };
        exchange.peer_ended = true;
        exchange.input.lost_peer();
        self.disturb_exchange(connection);
        true
    }

    /// The server shuts down: an exchange goes on to its end, for as long as the server waits. True if
    /// there is one.
    pub(crate) fn drain_exchange(&mut self, connection: ConnectionKey) -> bool {
        let is_one = self.http(connection).and_then(Http::exchange).is_some();
        if is_one {
            self.disturb_exchange(connection);
        }
        is_one
    }

    /// Its connection will serve no other request, and everybody who waits for something looks again.
    fn disturb_exchange(&mut self, connection: ConnectionKey) {
        self.set_keep_alive(connection, false);
        if let Some(entry) = self.connections.get_mut(connection)
            && let Some(exchange) = entry.http().and_then(Http::exchange)
        {
            exchange.take_wakers(&mut self.errands);
        }
        self.settle_exchange(connection);
    }

    /// The deadline of an exchange has passed. True if there was one.
    pub(crate) fn exchange_ran_out_of_time(&mut self, connection: ConnectionKey) -> bool {
        let now_ms = self.now_ms;
        let Some(exchange) = self.http(connection).and_then(Http::exchange) else { return false };
        if exchange.output.deadline_ms.is_some_and(|deadline| deadline <= now_ms) {
            self.answer_was_not_taken(connection);
        } else if exchange.input.ran_out_of_time(now_ms) {
            let is_answered = exchange.output.is_done();
            self.metrics.request_timeouts.add(1);
            match is_answered {
                true => self.close(connection),
                false => self.disturb_exchange(connection),
            }
        } else {
            self.settle_exchange(connection);
        }
        true
    }
}
