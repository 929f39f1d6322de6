//! Every way to end a session.

use super::effect::{CloseReason, Effect, Hangup};
use super::heartbeat::Timer;
use super::machine::{Carrier, Session, State};
use crate::engine::outgoing::Outgoing;
use crate::engine::response::Response;

/// How the server closes a session. Either way the reason is [`CloseReason::ForcedClose`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// What was sent before arrives: a polling client gets the buffer with its next poll and the
    /// close packet with the one after, if it comes in time.
    Graceful,
    /// At once. A pending poll is answered; what nobody waits for is dropped.
    Forced,
}

impl<C: Copy + Eq> Session<C> {
    /// The server closes the session.
    pub fn close(&mut self, how: Close, now: u64, fx: &mut Vec<Effect<C>>) {
        match (how, self.state, &mut self.carrier) {
            (_, State::Closed, _) | (Close::Graceful, State::Closing, _) => {}
            (Close::Graceful, State::Open, Carrier::Polling(polling))
                if !(polling.is_pending() && polling.is_empty()) =>
            {
                polling.answer(fx);
                self.state = State::Closing;
                self.timer = Timer::last_poll(now, self.settings.close_timeout_ms);
            }
            _ => self.finish(CloseReason::ForcedClose, Outgoing::Close, fx),
        }
    }

    /// A connection has ended: a WebSocket (closed by the client, or gone) or one on which a request
    /// was open. Connections that are none of the session's do not matter.
    pub fn connection_lost(&mut self, connection: C, fx: &mut Vec<Effect<C>>) {
        if self.upgrade.take_if(|upgrade| upgrade.candidate == connection).is_some() {
            return;
        }
        let reason = if self.is_websocket(connection) {
            self.carrier = Carrier::Gone;
            CloseReason::TransportClose
        } else if let Carrier::Polling(polling) = &mut self.carrier
            && polling.forget(connection)
        {
            CloseReason::TransportError
        } else if self.post.take_if(|post| post.from == connection && !post.is_read).is_some() {
            CloseReason::TransportError
        } else {
            // Idle, or a body that is complete: it counts, though nobody hears the answer.
            return;
        };
        self.finish(reason, Outgoing::Close, fx);
    }

    /// The WebSocket layer refuses what a WebSocket has sent: a message beyond the limit (`status`
    /// 1009), a malformed frame (1002), text that is not UTF-8 (1007). A candidate only ends itself.
    pub fn websocket_failed(&mut self, connection: C, status: u16, fx: &mut Vec<Effect<C>>) {
        let how = Hangup::WebSocketStatus(status);
        if self.is_candidate(connection) {
            return self.drop_candidate(how, fx);
        }
        if self.is_websocket(connection) {
            self.carrier = Carrier::Gone;
            fx.push(Effect::Hangup { connection, how });
            self.finish(CloseReason::TransportError, Outgoing::Close, fx);
        }
    }

    /// Ends the session and everything that hangs on it. A pending poll is answered with the buffer
    /// and `last`: the close packet, or a noop where the client already knows.
    pub(super) fn finish(&mut self, reason: CloseReason, last: Outgoing, fx: &mut Vec<Effect<C>>) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closed;
        self.drop_candidate(Hangup::WebSocket, fx);
        if let Some(post) = self.post.take() {
            fx.push(if post.is_read {
                Effect::Respond { to: post.from, response: Response::ok() }
            } else {
                Effect::Hangup { connection: post.from, how: Hangup::Destroy }
            });
        }
        match std::mem::replace(&mut self.carrier, Carrier::Gone) {
            Carrier::WebSocket(connection) => {
                fx.push(Effect::Hangup { connection, how: Hangup::WebSocket });
            }
            Carrier::Polling(mut polling) => {
                if last != Outgoing::Noop || polling.is_empty() {
                    polling.push(last, false);
                }
                polling.answer(fx);
            }
            Carrier::Gone => {}
        }
        fx.push(Effect::Closed { reason });
    }
}
