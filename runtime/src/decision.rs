//! A request that would begin a session, while the application makes up its mind: Socket.IO's `allowRequest`.
//!
//! There is no session yet, and nothing is kept of the request but its head, with the connection. When the
//! connection ends, or the time is over, the request is gone and whoever works on the decision is woken to
//! let go of it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use yamabiko_protocol::engine::{self, Handshake};
use yamabiko_protocol::http::Head;

use crate::connection::{ConnectionKey, Phase, Role};
use crate::shard::{Errand, Shard, State};

/// What the application has to say to one request, once.
///
/// Dropped without an answer it refuses; that is what becomes of a hook that panics.
#[must_use = "it refuses when it is dropped"]
pub struct Decision {
    shard: Shard,
    connection: ConnectionKey,
    id: u64,
    is_made: bool,
}

/// A request that waits.
pub(crate) struct Deciding {
    id: u64,
    head: Bytes,
    handshake: Handshake,
    /// Who works on the decision.
    waker: Option<Waker>,
}

/// A decision that was made.
pub(crate) struct Decided {
    connection: ConnectionKey,
    id: u64,
    verdict: Result<(), Option<String>>,
}

impl Decision {
    /// The client may begin a session.
    pub fn allow(self) {
        self.make(Ok(()));
    }

    /// The client is refused with 403, and told this, or "Forbidden".
    pub fn refuse(self, message: Option<String>) {
        self.make(Err(message));
    }

    /// Waits for a verdict and gives it. Stops waiting, and drops `verdict`, as soon as it makes no difference
    /// any more: the client has gone, or the time is over.
    pub async fn by(self, verdict: impl Future<Output = Result<(), Option<String>>>) {
        let mut verdict = pin!(verdict);
        let made = poll_fn(|context| match verdict.as_mut().poll(context) {
            Poll::Ready(made) => Poll::Ready(Some(made)),
            Poll::Pending => self.poll_over(context).map(|()| None),
        })
        .await;
        if let Some(made) = made {
            self.make(made);
        }
    }

    fn poll_over(&self, context: &Context<'_>) -> Poll<()> {
        self.shard.with(|state| match state.deciding(self.connection, self.id) {
            Some(deciding) => {
                deciding.waker = Some(context.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(()),
        })
    }

    fn make(mut self, verdict: Result<(), Option<String>>) {
        self.is_made = true;
        self.shard.with(|state| state.decide(self.connection, self.id, verdict));
        self.shard.nudge();
    }
}

impl Drop for Decision {
    fn drop(&mut self) {
        // A shard that is being given up may be in the middle of anything.
        if !self.is_made
            && let Ok(mut state) = self.shard.0.state.try_borrow_mut()
        {
            state.decide(self.connection, self.id, Err(None));
            drop(state);
            self.shard.nudge();
        }
    }
}

impl Deciding {
    pub(crate) fn take_waker(&mut self, errands: &mut Vec<Errand>) {
        errands.extend(self.waker.take().map(Errand::Wake));
    }
}

impl Shard {
    /// Asks the application whether a session may begin. The request has the time that a client has to join
    /// a namespace.
    pub(crate) fn ask_for_leave(&self, key: ConnectionKey, head: &Head<'_>, handshake: Handshake) {
        let (address, id) = self.with(|state| {
            let id = state.stamp_exchange();
            let raw = Bytes::copy_from_slice(head.raw());
            let deciding = Deciding { id, head: raw, handshake, waker: None };
            state.set_phase(key, Phase::Deciding(Box::new(deciding)));
            let patience_ms = state.settings.connect_timeout.as_millis() as u64;
            state.set_deadline(key, Some(state.now_ms + patience_ms));
            (state.client_address(key, head), id)
        });
        let decision = Decision { shard: self.clone(), connection: key, id, is_made: false };
        self.guarded(None, || self.application().allow_request(head, address, decision));
    }

    /// Does as was decided, if the request still waits.
    pub(crate) fn decided(&self, decided: Decided) {
        let Decided { connection: key, id, verdict } = decided;
        let Some(deciding) = self.with(|state| state.take_deciding(key, id)) else { return };
        let Some(head) = Head::reparse(&deciding.head) else {
            return self.with(|state| state.close(key));
        };
        let allow_eio3 = self.0.settings.allow_eio3;
        let opening = match &verdict {
            Ok(()) => deciding.handshake.admit(allow_eio3),
            Err(message) => Err(engine::Context::Forbidden(message.as_deref()).into()),
        };
        match opening {
            Ok(opening) => self.open(key, &head, opening),
            Err(rejection) => self.reject(key, &head, &rejection),
        }
        self.read_on(key);
    }

    /// Takes what came meanwhile, if it is a WebSocket now. Requests that wait are parsed when this one is
    /// answered.
    fn read_on(&self, key: ConnectionKey) {
        let mut frames = self.with(|state| match state.connections.get_mut(key) {
            Some(connection) if matches!(connection.role, Role::WebSocket(_)) => {
                std::mem::take(&mut connection.inbox)
            }
            _ => Vec::new(),
        });
        self.websocket_bytes(key, &mut frames);
        self.with(|state| state.receive_again(key));
    }
}

impl State {
    fn deciding(&mut self, key: ConnectionKey, id: u64) -> Option<&mut Deciding> {
        match &mut self.http(key)?.phase {
            Phase::Deciding(deciding) if deciding.id == id => Some(deciding),
            _ => None,
        }
    }

    /// What follows may call the application, and so has to wait until nothing is borrowed.
    fn decide(&mut self, connection: ConnectionKey, id: u64, verdict: Result<(), Option<String>>) {
        if self.deciding(connection, id).is_some() {
            self.errands.push(Errand::Decided(Decided { connection, id, verdict }));
        }
    }

    fn take_deciding(&mut self, key: ConnectionKey, id: u64) -> Option<Box<Deciding>> {
        self.deciding(key, id)?;
        let Phase::Deciding(mut deciding) = self.take_phase(key)? else { return None };
        self.set_phase(key, Phase::Answering);
        self.set_deadline(key, None);
        deciding.take_waker(&mut self.errands);
        Some(deciding)
    }

    /// The application has taken too long: the client is refused. True if it was asked.
    pub(crate) fn decision_ran_out_of_time(&mut self, key: ConnectionKey) -> bool {
        let Some(http) = self.http(key) else { return false };
        let Phase::Deciding(deciding) = &http.phase else { return false };
        let id = deciding.id;
        tracing::warn!("the application did not decide about a request in time");
        self.metrics.request_timeouts.add(1);
        self.set_deadline(key, None);
        self.decide(key, id, Err(None));
        true
    }
}
