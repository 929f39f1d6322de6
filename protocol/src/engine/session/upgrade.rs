//! The WebSocket that wants to take over from polling.
//!
//! Until it has sent `5` it is a candidate: whatever goes wrong with it leaves the session alone. Once
//! it has probed, polls are released at once, because the client stops polling before it switches
//! (the reference releases them every 100 ms).

use super::effect::{CloseReason, Effect, Hangup};
use super::heartbeat::Timer;
use super::inbound::Received;
use super::machine::{Carrier, Session, State, packet_effect};
use crate::engine::outgoing::Outgoing;
use crate::engine::packet::{BinaryForm, Packet, PacketType};

/// A candidate.
#[derive(Debug)]
pub(super) struct Upgrade<C> {
    pub(super) candidate: C,
    /// When it is given up.
    pub(super) deadline: u64,
    /// How binary will travel over it.
    form: BinaryForm,
    /// Whether it has sent `2probe`.
    pub(super) is_probed: bool,
}

impl<C: Copy + Eq> Session<C> {
    /// A WebSocket names this session. Returns whether it may try to take over; if not (another one
    /// is trying or has done so, or the session never polled) the caller completes the WebSocket
    /// handshake and closes it at once. The session is not hurt.
    pub fn upgrade_begin(&mut self, candidate: C, b64: bool, now: u64) -> bool {
        if !matches!(self.carrier, Carrier::Polling(_)) || self.upgrade.is_some() {
            return false;
        }
        self.upgrade = Some(Box::new(Upgrade {
            candidate,
            deadline: now.saturating_add(self.settings.upgrade_timeout_ms),
            form: BinaryForm::new(self.revision, b64),
            is_probed: false,
        }));
        true
    }

    /// Whether a candidate is trying.
    pub fn is_upgrading(&self) -> bool {
        self.upgrade.is_some()
    }

    pub(super) fn is_candidate(&self, connection: C) -> bool {
        self.upgrade.as_ref().is_some_and(|upgrade| upgrade.candidate == connection)
    }

    pub(super) fn receive_from_candidate(
        &mut self,
        packet: &Packet<'_>,
        now: u64,
        fx: &mut Vec<Effect<C>>,
    ) -> Received {
        match packet.kind {
            PacketType::Ping if packet.is_probe() => {
                self.probe(fx);
                Received::Nothing
            }
            // Some clients do not wait for the answer to their probe.
            PacketType::Upgrade => self.switch(now, fx),
            _ => {
                self.drop_candidate(Hangup::WebSocket, fx);
                Received::Nothing
            }
        }
    }

    /// Closes the candidate; polling goes on.
    pub(super) fn drop_candidate(&mut self, how: Hangup, fx: &mut Vec<Effect<C>>) {
        if let Some(upgrade) = self.upgrade.take() {
            fx.push(Effect::Hangup { connection: upgrade.candidate, how });
        }
    }

    fn probe(&mut self, fx: &mut Vec<Effect<C>>) {
        if let Some(upgrade) = &mut self.upgrade {
            upgrade.is_probed = true;
            fx.push(Effect::Packet { to: upgrade.candidate, text: "3probe".into() });
        }
        if let Carrier::Polling(polling) = &mut self.carrier {
            polling.release(fx);
        }
    }

    /// The candidate takes over. What was buffered goes out on it first.
    fn switch(&mut self, now: u64, fx: &mut Vec<Effect<C>>) -> Received {
        let Some(upgrade) = self.upgrade.take() else { return Received::Nothing };
        let to = upgrade.candidate;
        self.form = upgrade.form;
        // A body still on its way is cut off, as its packets could no longer be put in order.
        if let Some(post) = self.post.take_if(|post| !post.is_read) {
            fx.push(Effect::Hangup { connection: post.from, how: Hangup::Destroy });
        }
        if let Carrier::Polling(mut polling) =
            std::mem::replace(&mut self.carrier, Carrier::WebSocket(to))
        {
            let buffer = polling.take_buffer();
            polling.release(fx);
            fx.extend(buffer.into_iter().map(|packet| packet_effect(to, packet, self.form)));
        }
        if self.state == State::Closing {
            self.finish(CloseReason::ForcedClose, Outgoing::Close, fx);
            return Received::Closed;
        }
        // A pong that was due over polling may be lost with it. The reference then never pings again.
        if self.timer.is_due_from_client() {
            self.timer = Timer::heartbeat(self.revision, &self.settings, now);
        }
        Received::Upgraded
    }
}
