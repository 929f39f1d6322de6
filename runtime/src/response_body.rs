//! The answer to a request of the application, on its way out.
//!
//! Whole or in pieces, it goes into the connection's outbox as fast as the client takes it:
//! [`WAITING_BYTES_MAX`] may wait there, and whoever has more waits too. A piece is framed by what was said
//! in the head: so many bytes, chunks (RFC 9112 section 7.1), or all until the connection closes. An answer
//! that breaks off never looks complete.

use std::fmt;
use std::io::Write as _;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use yamabiko_protocol::http::reason;

use crate::application::HttpReply;
use crate::connection::{Connection, ConnectionKey, Http, Phase, Role};
use crate::exchange::{Client, ExchangeKey};
use crate::shard::{Errand, Shard, State};

/// Bytes that may wait for the client before the next piece is.
pub(crate) const WAITING_BYTES_MAX: usize = 64 * 1024;
/// What is given to the kernel at once at most, so that it tells how far the client is.
const SLICE_BYTES_MAX: usize = 64 * 1024;
/// What the client must acknowledge of an answer in each half of `response_timeout`.
const STRIDE_BYTES: u64 = 4 * 1024;

/// Fields that the runtime writes itself.
const OURS: [header::HeaderName; 5] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::HeaderName::from_static("keep-alive"),
];

/// An answer's body, sent piece by piece.
///
/// Dropped before [`Self::finish`] it breaks off, so that the client sees that something is missing.
#[must_use = "it breaks off when it is dropped"]
pub struct ResponseBody {
    shard: Shard,
    key: ExchangeKey,
    is_over: bool,
}

/// Why a piece could not be sent. The answer is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// The connection is gone.
    Gone,
    /// It is more or less than was announced: our mistake.
    WrongLength,
}

/// The state of an answer.
#[derive(Default)]
pub(crate) struct Output {
    stage: Stage,
    pub(crate) writer: Option<Waker>,
    /// By when the client must have taken something of what waits for it.
    pub(crate) deadline_ms: Option<u64>,
    /// What the peer had acknowledged at the last deadline that passed.
    acknowledged: Option<u64>,
}

#[derive(Default, PartialEq)]
enum Stage {
    /// Nothing is said yet.
    #[default]
    Waiting,
    /// Known as a whole; this is still to be given to the outbox.
    Whole(Bytes),
    Streaming(Framing),
    /// All of it is in the outbox or beyond.
    Done,
}

/// How the client knows where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// After so many more bytes.
    Length(u64),
    Chunked,
    UntilClose,
    /// There is no body, whatever is written: HEAD, 204, 304.
    Nothing,
}

impl ResponseBody {
    pub(crate) fn new(shard: Shard, key: ExchangeKey) -> Self {
        Self { shard, key, is_over: false }
    }

    /// The client.
    pub fn client(&self) -> Client {
        Client::new(self.shard.clone(), self.key)
    }

    /// Whether nothing of what is written is sent, as there is no body in the answer to HEAD, in 204 and 304.
    pub fn is_bodiless(&self) -> bool {
        let nothing = Stage::Streaming(Framing::Nothing);
        self.shard.with(|state| {
            state.exchange(self.key).is_some_and(|exchange| exchange.output.stage == nothing)
        })
    }

    /// Waits until the client has taken enough of what was written before.
    ///
    /// # Errors
    /// [`WriteError::Gone`].
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        self.shard.with(|state| state.poll_response(self.key, context))
    }

    /// Writes a piece, whether the client is ready for it or not.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn write(&mut self, piece: &Bytes) -> Result<(), WriteError> {
        self.shard.with(|state| state.write_response(self.key, piece))?;
        self.shard.nudge();
        Ok(())
    }

    /// Writes any number of bytes as the client takes them.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn send(&mut self, mut bytes: Bytes) -> Result<(), WriteError> {
        while !bytes.is_empty() {
            std::future::poll_fn(|context| self.poll_ready(context)).await?;
            self.write(&bytes.split_to(bytes.len().min(SLICE_BYTES_MAX)))?;
        }
        Ok(())
    }

    /// Says that it is complete.
    ///
    /// # Errors
    /// [`WriteError`]; less than was announced breaks off.
    pub fn finish(mut self) -> Result<(), WriteError> {
        self.is_over = true;
        let finished = self.shard.with(|state| state.finish_response(self.key));
        self.shard.nudge();
        finished
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if !self.is_over
            && let Ok(mut state) = self.shard.0.state.try_borrow_mut()
        {
            state.break_off_response(self.key);
            drop(state);
            self.shard.nudge();
        }
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "the client went away",
            Self::WrongLength => "the body is not as long as was announced",
        })
    }
}

impl std::error::Error for WriteError {}

impl Output {
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Something has been taken, or nothing waits any more.
    fn renew(&mut self, deadline_ms: Option<u64>) {
        self.deadline_ms = deadline_ms;
        self.acknowledged = None;
    }
}

impl State {
    /// Answers an exchange with all there is to say, unless it has an answer.
    pub(crate) fn answer_exchange(&mut self, key: ExchangeKey, reply: HttpReply) {
        let length = reply.body.len() as u64;
        let Some(exchange) = self.exchange(key) else { return };
        // Whoever says everything at once reads no more of the request.
        if !exchange.input.may_be_discarded() {
            self.set_keep_alive(key.connection, false);
        }
        let Some(framing) = self.write_response_head(key, &reply, Some(length)) else { return };
        if let Some(exchange) = self.exchange(key) {
            exchange.output.stage = match framing {
                Framing::Nothing => Stage::Done,
                _ => Stage::Whole(reply.body),
            };
        }
        self.settle_exchange(key.connection);
    }

    /// Begins an answer in pieces, unless the exchange has one.
    pub(crate) fn begin_response(
        &mut self,
        key: ExchangeKey,
        reply: &HttpReply,
        length: Option<u64>,
    ) {
        let Some(framing) = self.write_response_head(key, reply, length) else { return };
        if let Some(exchange) = self.exchange(key) {
            exchange.output.stage = Stage::Streaming(framing);
        }
        self.settle_exchange(key.connection);
    }

    fn write_response_head(
        &mut self,
        key: ExchangeKey,
        reply: &HttpReply,
        length: Option<u64>,
    ) -> Option<Framing> {
        let is_draining = self.draining;
        let exchange = self.exchange(key)?;
        if !matches!(exchange.output.stage, Stage::Waiting) {
            return None;
        }
        let is_last = exchange.input.has_failed() || exchange.peer_ended;
        let answer = &mut self.http(key.connection)?.answer;
        let status = match reply.status.as_u16() {
            200..=599 => reply.status,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let may_have_body = !matches!(status.as_u16(), 204 | 304);
        let length = match length {
            // Whoever answers HEAD by itself has no body to count, but may know how long it would be.
            Some(0) if answer.head_only => announced_length(&reply.headers),
            length => length,
        };
        // Whoever was not asked for its body may send it or not, so what comes next cannot be known.
        let was_not_asked = std::mem::take(&mut answer.expects_continue);
        let framing = match length {
            _ if !may_have_body => Framing::Nothing,
            _ if answer.head_only => Framing::Nothing,
            Some(length) => Framing::Length(length),
            None if answer.http_1_0 => Framing::UntilClose,
            None => Framing::Chunked,
        };
        answer.keep_alive &= !(is_last
            || was_not_asked
            || is_draining
            || framing == Framing::UntilClose
            || wants_close(&reply.headers));
        let (keep_alive, http_1_0) = (answer.keep_alive, answer.http_1_0);
        let connection = self.connections.get_mut(key.connection)?;
        connection.outbox.write(&mut self.pool, |out| {
            let _ = write!(out, "HTTP/1.1 {} {}\r\n", status.as_u16(), reason(status.as_u16()));
            put_fields(&reply.headers, out);
            match length.filter(|_| may_have_body) {
                Some(length) => {
                    let _ = write!(out, "content-length: {length}\r\n");
                }
                None if framing == Framing::Chunked => {
                    out.extend_from_slice(b"transfer-encoding: chunked\r\n");
                }
                None => {}
            }
            out.extend_from_slice(match (keep_alive, http_1_0) {
                (false, _) => b"connection: close\r\n\r\n",
                (true, true) => b"connection: keep-alive\r\n\r\n",
                (true, false) => b"\r\n",
            });
        });
        self.mark_dirty(key.connection);
        Some(framing)
    }

    fn poll_response(
        &mut self,
        key: ExchangeKey,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), WriteError>> {
        let waiting = self.connections.get(key.connection).map_or(0, |it| it.outbox.bytes());
        match self.exchange(key) {
            Some(exchange) if waiting >= WAITING_BYTES_MAX => {
                exchange.output.writer = Some(context.waker().clone());
                Poll::Pending
            }
            Some(exchange) if matches!(exchange.output.stage, Stage::Streaming(_)) => {
                Poll::Ready(Ok(()))
            }
            _ => Poll::Ready(Err(WriteError::Gone)),
        }
    }

    fn write_response(&mut self, key: ExchangeKey, piece: &Bytes) -> Result<(), WriteError> {
        let exchange = self.exchange(key).ok_or(WriteError::Gone)?;
        let Stage::Streaming(framing) = &mut exchange.output.stage else {
            return Err(WriteError::Gone);
        };
        if let Framing::Length(left) = framing {
            *left = left.checked_sub(piece.len() as u64).ok_or(WriteError::WrongLength)?;
        }
        let framing = *framing;
        // An empty chunk would be the last.
        if piece.is_empty() || framing == Framing::Nothing {
            return Ok(());
        }
        let connection = self.connections.get_mut(key.connection).ok_or(WriteError::Gone)?;
        let (outbox, pool) = (&mut connection.outbox, &mut self.pool);
        if framing == Framing::Chunked {
            outbox.write(pool, |out| {
                let _ = write!(out, "{:x}\r\n", piece.len());
            });
        }
        outbox.push(pool, piece);
        if framing == Framing::Chunked {
            outbox.write(pool, |out| out.extend_from_slice(b"\r\n"));
        }
        self.mark_dirty(key.connection);
        self.settle_exchange(key.connection);
        Ok(())
    }

    fn finish_response(&mut self, key: ExchangeKey) -> Result<(), WriteError> {
        let exchange = self.exchange(key).ok_or(WriteError::Gone)?;
        let Stage::Streaming(framing) = exchange.output.stage else {
            return Err(WriteError::Gone);
        };
        if let Framing::Length(1..) = framing {
            self.break_off_response(key);
            return Err(WriteError::WrongLength);
        }
        exchange.output.stage = Stage::Done;
        if framing == Framing::Chunked
            && let Some(connection) = self.connections.get_mut(key.connection)
        {
            connection.outbox.write(&mut self.pool, |out| out.extend_from_slice(b"0\r\n\r\n"));
            self.mark_dirty(key.connection);
        }
        self.settle_exchange(key.connection);
        Ok(())
    }

    /// Ends the connection in the middle of an answer. The client knows by the framing that it is not
    /// whole, or else by an error.
    fn break_off_response(&mut self, key: ExchangeKey) {
        let Some(exchange) = self.exchange(key) else { return };
        match exchange.output.stage {
            Stage::Streaming(Framing::UntilClose) => self.reset(key.connection),
            Stage::Streaming(_) => self.finish(key.connection),
            Stage::Waiting | Stage::Whole(_) | Stage::Done => {}
        }
    }

    /// Gives the outbox more of a whole answer, as much as may wait there.
    pub(crate) fn feed_outbox(&mut self, key: ConnectionKey) {
        let Some(Connection { role, outbox, .. }) = self.connections.get_mut(key) else { return };
        let Role::Http(Http { phase: Phase::Exchange(exchange), .. }) = role else { return };
        let Stage::Whole(rest) = &mut exchange.output.stage else { return };
        while !rest.is_empty() && outbox.bytes() < WAITING_BYTES_MAX {
            outbox.push(&mut self.pool, &rest.split_to(rest.len().min(SLICE_BYTES_MAX)));
        }
        if rest.is_empty() {
            exchange.output.stage = Stage::Done;
        }
        self.mark_dirty(key);
    }

    /// Sets or clears the time by which the client must have taken something.
    pub(crate) fn time_response(&mut self, key: ConnectionKey) {
        let deadline_ms = self.now_ms + self.response_step_ms();
        let Some(Connection { role, outbox, .. }) = self.connections.get_mut(key) else { return };
        let Role::Http(Http { phase: Phase::Exchange(exchange), .. }) = role else { return };
        match (outbox.is_empty(), exchange.output.deadline_ms) {
            (true, _) => exchange.output.renew(None),
            (false, None) => exchange.output.renew(Some(deadline_ms)),
            (false, Some(_)) => {}
        }
    }

    /// The kernel has taken some of an answer.
    pub(crate) fn response_moved(&mut self, key: ConnectionKey) {
        let Some(Connection { role, outbox, .. }) = self.connections.get_mut(key) else { return };
        let Role::Http(Http { phase: Phase::Exchange(exchange), .. }) = role else { return };
        exchange.output.renew(None);
        if outbox.bytes() < WAITING_BYTES_MAX {
            self.errands.extend(exchange.output.writer.take().map(Errand::Wake));
        }
        self.settle_exchange(key);
    }

    /// The kernel has not taken all of a slice for a while: what the client acknowledges meanwhile tells
    /// whether it still reads, if slowly.
    pub(crate) fn answer_was_not_taken(&mut self, key: ConnectionKey) {
        let acknowledged = self.acknowledged_bytes(key);
        let deadline_ms = self.now_ms + self.response_step_ms();
        let Some(exchange) = self.http(key).and_then(Http::exchange) else { return };
        let output = &mut exchange.output;
        if output.acknowledged.is_some_and(|before| acknowledged < before + STRIDE_BYTES) {
            tracing::debug!("a client did not take its answer (limit response_timeout)");
            self.metrics.response_timeouts.add(1);
            return self.close(key);
        }
        output.acknowledged = Some(acknowledged);
        output.deadline_ms = Some(deadline_ms);
        self.settle_exchange(key);
    }

    /// It takes two looks to see that nothing moves.
    fn response_step_ms(&self) -> u64 {
        self.settings.limits.response_timeout.as_millis() as u64 / 2
    }
}

/// Writes header fields, without those that the runtime writes itself.
pub(crate) fn put_fields(headers: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in headers.iter().filter(|(name, _)| !OURS.contains(name)) {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn wants_close(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| {
            (name.parse::<header::HeaderName>().unwrap(), value.parse().unwrap())
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn fields_that_frame_the_answer_are_ours() {
        let mut out = Vec::new();
        let fields = [
            ("Content-Length", "7"),
            ("etag", "\"1\""),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "close"),
            ("keep-alive", "timeout=5"),
            ("upgrade", "h2c"),
        ];
        put_fields(&headers(&fields), &mut out);
        assert_eq!(out, b"etag: \"1\"\r\n");
    }

    #[test]
    fn what_the_application_says_of_the_connection_is_heard() {
        assert!(wants_close(&headers(&[("connection", "Close")])));
        assert!(wants_close(&headers(&[("connection", "x-hop , close")])));
        assert!(!wants_close(&headers(&[("connection", "keep-alive"), ("x", "close")])));
        assert_eq!(announced_length(&headers(&[("content-length", "12")])), Some(12));
        assert_eq!(announced_length(&headers(&[("content-length", "-1")])), None);
    }
}
