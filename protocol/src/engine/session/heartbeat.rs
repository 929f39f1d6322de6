//! The one timer of a session.
//!
//! An open session waits for one thing at a time: in revision 4 to send a ping, then for its pong; in
//! revision 3 for the client's ping. A closing one waits for a last poll. A candidate's time limit is
//! kept with the candidate.

use super::effect::{CloseReason, Effect, Hangup};
use super::machine::{Session, State};
use crate::engine::outgoing::Outgoing;
use crate::engine::revision::Revision;
use crate::engine::settings::Settings;

/// What a session waits for, and until when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timer {
    at: u64,
    wait: Wait,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// Revision 4: the next ping is due.
    Ping,
    /// Revision 4: a pong. Any other packet extends the wait, once: a client that is busy sending is
    /// alive, though its pong waits in line.
    Pong { is_extended: bool },
    /// Revision 3: a ping of the client.
    ClientPing,
    /// The poll that carries the close packet.
    LastPoll,
}

/// How late a caller's timer may be without the client getting more time for it.
const LATENESS_MS_MAX: u64 = 50;

impl Timer {
    /// A heartbeat that starts now: at the handshake, at each pong (revision 4) or each ping of the
    /// client (revision 3).
    pub(super) fn heartbeat(revision: Revision, settings: &Settings, now: u64) -> Self {
        let interval = now.saturating_add(settings.ping_interval_ms);
        match revision {
            Revision::V4 => Self { at: interval, wait: Wait::Ping },
            Revision::V3 => {
                let at = interval.saturating_add(settings.ping_timeout_ms);
                Self { at, wait: Wait::ClientPing }
            }
        }
    }

    pub(super) fn last_poll(now: u64, close_timeout_ms: u64) -> Self {
        Self { at: now.saturating_add(close_timeout_ms), wait: Wait::LastPoll }
    }

    /// Whether the next step is the client's.
    pub(super) fn is_due_from_client(self) -> bool {
        matches!(self.wait, Wait::Pong { .. } | Wait::ClientPing)
    }

    /// A packet that is no pong has arrived.
    #[inline]
    pub(super) fn extend(&mut self, settings: &Settings, now: u64) {
        if self.wait == (Wait::Pong { is_extended: false }) {
            self.at = now.saturating_add(settings.ping_timeout_ms);
            self.wait = Wait::Pong { is_extended: true };
        }
    }
}

impl<C: Copy + Eq> Session<C> {
    /// When [`timeout`](Self::timeout) is to be called; `None` once the session is closed.
    pub fn deadline(&self) -> Option<u64> {
        let upgrade = self.upgrade.as_ref().map_or(u64::MAX, |upgrade| upgrade.deadline);
        (self.state != State::Closed).then(|| self.timer.at.min(upgrade))
    }

    /// Time has passed. Does what is due, and nothing if nothing is. A ping to a polling client
    /// leaves at once if a poll is pending; its time runs either way, from when the ping was due: a
    /// caller whose timer is coarse does not add its own lateness to what the client is given.
    pub fn timeout(&mut self, now: u64, fx: &mut Vec<Effect<C>>) {
        if self.upgrade.as_ref().is_some_and(|upgrade| upgrade.deadline <= now) {
            self.drop_candidate(Hangup::WebSocket, fx);
        }
        if self.state == State::Closed || now < self.timer.at {
            return;
        }
        match self.timer.wait {
            Wait::Ping => {
                // But a caller that was stopped for long must not blame the client for it.
                let due = if now - self.timer.at < LATENESS_MS_MAX { self.timer.at } else { now };
                let at = due.saturating_add(self.settings.ping_timeout_ms);
                self.timer = Timer { at, wait: Wait::Pong { is_extended: false } };
                if self.queue(Outgoing::Ping, true, fx) {
                    self.flush(fx);
                }
            }
            Wait::Pong { .. } | Wait::ClientPing => {
                self.finish(CloseReason::PingTimeout, Outgoing::Close, fx);
            }
            Wait::LastPoll => self.finish(CloseReason::ForcedClose, Outgoing::Close, fx),
        }
    }
}
