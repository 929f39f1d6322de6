//! Packets that arrive, on either transport.

use super::effect::{CloseReason, Effect, Hangup};
use super::heartbeat::Timer;
use super::machine::{Session, State};
use crate::engine::outgoing::Outgoing;
use crate::engine::packet::{Packet, PacketType};
use crate::engine::revision::Revision;

/// What came of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It is a message: its data is the application's, now.
    Message,
    /// The session dealt with it.
    Nothing,
    /// The session is on the WebSocket now; its [`route`](Session::route) has changed.
    Upgraded,
    /// The session is closed: read no further from this connection or body.
    Closed,
}

/// Where a packet comes from.
enum Source {
    Session,
    Candidate,
    /// A connection that is none of the session's, or not any more.
    Stranger,
}

impl<C: Copy + Eq> Session<C> {
    /// A packet has arrived: on the session's WebSocket, on one that wants to take over, or in the
    /// body of the POST that [`post_begin`](Self::post_begin) admitted.
    #[inline]
    #[must_use]
    pub fn receive(
        &mut self,
        from: C,
        packet: &Packet<'_>,
        now: u64,
        fx: &mut Vec<Effect<C>>,
    ) -> Received {
        match self.source(from) {
            Source::Session => self.receive_from_session(packet, now, fx),
            Source::Candidate => self.receive_from_candidate(packet, now, fx),
            Source::Stranger if self.state == State::Closed => Received::Closed,
            Source::Stranger => Received::Nothing,
        }
    }

    /// What has arrived is no packet, or the body of a POST is no payload. Ends the session; a
    /// candidate only ends itself. The POST is still answered with `ok`.
    pub fn bad_packet(&mut self, from: C, fx: &mut Vec<Effect<C>>) {
        match self.source(from) {
            Source::Session if self.state == State::Open => {
                self.finish(CloseReason::ParseError, Outgoing::Close, fx);
            }
            Source::Candidate => self.drop_candidate(Hangup::WebSocket, fx),
            Source::Session | Source::Stranger => {}
        }
    }

    fn receive_from_session(
        &mut self,
        packet: &Packet<'_>,
        now: u64,
        fx: &mut Vec<Effect<C>>,
    ) -> Received {
        // Over a WebSocket the reference ignores it and waits for the heartbeat to fail.
        if packet.kind == PacketType::Close {
            self.finish(CloseReason::TransportClose, Outgoing::Noop, fx);
            return Received::Closed;
        }
        match self.state {
            State::Open => {}
            State::Closing => return Received::Nothing,
            State::Closed => return Received::Closed,
        }
        if packet.kind != PacketType::Pong {
            self.timer.extend(&self.settings, now);
        }
        match (packet.kind, self.revision) {
            (PacketType::Message, _) => Received::Message,
            (PacketType::Ping, Revision::V3) => {
                self.timer = Timer::heartbeat(self.revision, &self.settings, now);
                if self.queue(Outgoing::Pong, true, fx) {
                    Received::Nothing
                } else {
                    Received::Closed
                }
            }
            (PacketType::Pong, Revision::V4) => {
                self.timer = Timer::heartbeat(self.revision, &self.settings, now);
                Received::Nothing
            }
            // Heartbeats in the wrong direction.
            (PacketType::Ping | PacketType::Pong, _) => {
                self.finish(CloseReason::TransportError, Outgoing::Close, fx);
                Received::Closed
            }
            _ => Received::Nothing,
        }
    }

    fn source(&mut self, from: C) -> Source {
        if self.is_websocket(from) {
            return Source::Session;
        }
        if let Some(post) = self.post.as_mut().filter(|post| post.from == from) {
            post.is_read = true;
            return Source::Session;
        }
        if self.is_candidate(from) { Source::Candidate } else { Source::Stranger }
    }
}
