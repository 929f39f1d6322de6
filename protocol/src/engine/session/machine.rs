//! The session itself: how it opens, how it sends, and what others may ask of it.

use std::sync::Arc;

use super::effect::{CloseReason, Effect};
use super::heartbeat::Timer;
use super::polling::{Polling, Post};
use super::upgrade::Upgrade;
use crate::engine::id::SessionId;
use crate::engine::open;
use crate::engine::outgoing::Outgoing;
use crate::engine::packet::BinaryForm;
use crate::engine::revision::Revision;
use crate::engine::settings::Settings;
use crate::engine::transport::Transport;
use crate::engine::verify::{Opening, SessionFacts};
use crate::message::Message;

/// One Engine.IO session. `C` is the caller's handle of a connection.
///
/// An idle session on a WebSocket owns no heap of its own.
#[derive(Debug)]
pub struct Session<C> {
    pub(super) settings: Arc<Settings>,
    pub(super) carrier: Carrier<C>,
    /// The WebSocket that wants to take over. Only beside [`Carrier::Polling`].
    pub(super) upgrade: Option<Box<Upgrade<C>>>,
    /// The POST that is being received or read. May outlive polling by the rest of its body.
    pub(super) post: Option<Post<C>>,
    pub(super) timer: Timer,
    pub(super) sid: SessionId,
    pub(super) revision: Revision,
    /// How binary travels over the WebSocket.
    pub(super) form: BinaryForm,
    pub(super) state: State,
}

/// What carries the session.
#[derive(Debug)]
pub(super) enum Carrier<C> {
    WebSocket(C),
    Polling(Box<Polling<C>>),
    /// The session is closed, or about to be within this call.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// Closed by the server, waiting for a poll to say so. Only beside [`Carrier::Polling`].
    Closing,
    Closed,
}

/// The way a message takes right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<C> {
    /// Straight to this WebSocket: the caller may write frames there without asking the session,
    /// until a call on the session closes it.
    WebSocket {
        /// The WebSocket.
        to: C,
        /// How binary is framed.
        form: BinaryForm,
    },
    /// Through [`Session::send`].
    Polling,
    /// Nowhere: the session is closing or closed.
    Closed,
}

// Idle sessions are what a server has most of.
const _: () = assert!(size_of::<Session<u64>>() <= 128);

impl<C: Copy + Eq> Session<C> {
    /// Starts a session on the connection of its first request: a GET that waits for its answer, or
    /// a WebSocket.
    ///
    /// The handshake leaves at once, except to a polling client of revision 4: there it waits for
    /// [`flush`](Self::flush), so that messages sent within the same turn join it.
    pub fn open(
        sid: SessionId,
        connection: C,
        opening: Opening,
        settings: Arc<Settings>,
        now: u64,
        fx: &mut Vec<Effect<C>>,
    ) -> Self {
        let Opening { revision, transport, b64, jsonp } = opening;
        let packet = open::packet(sid, transport, &settings);
        let carrier = match transport {
            Transport::WebSocket => {
                fx.push(Effect::Packet { to: connection, text: packet.into() });
                Carrier::WebSocket(connection)
            }
            Transport::Polling => {
                let mut polling = Polling::new(connection, revision, b64, jsonp);
                polling.push(Outgoing::Open(packet.into()), true);
                if revision == Revision::V3 {
                    polling.answer(fx);
                }
                Carrier::Polling(Box::new(polling))
            }
        };
        Self {
            timer: Timer::heartbeat(revision, &settings, now),
            settings,
            carrier,
            upgrade: None,
            post: None,
            sid,
            revision,
            form: BinaryForm::new(revision, b64),
            state: State::Open,
        }
    }

    /// Sends a message. Returns whether it was taken; a session that is closing takes none.
    ///
    /// To a polling client it waits for [`flush`](Self::flush), or the next poll. If too much is
    /// waiting already the session is closed with [`CloseReason::BufferOverflow`].
    pub fn send(&mut self, message: Message, fx: &mut Vec<Effect<C>>) -> bool {
        self.send_with(message, true, fx)
    }

    /// As [`Self::send`]; `compress` tells whether an answer to a poll may be compressed for this
    /// message's sake ([`Response::compress`](crate::engine::Response::compress)).
    pub fn send_with(&mut self, message: Message, compress: bool, fx: &mut Vec<Effect<C>>) -> bool {
        self.state == State::Open && self.queue(Outgoing::Message(message), compress, fx)
    }

    /// Answers the pending poll, if there is one and anything to say. To be called at the end of
    /// every turn in which packets were received or sent.
    pub fn flush(&mut self, fx: &mut Vec<Effect<C>>) {
        if let Carrier::Polling(polling) = &mut self.carrier
            && !polling.is_empty()
        {
            polling.answer(fx);
        }
    }

    /// Whether a message sent now would leave now: what decides about volatile messages. On a
    /// WebSocket the caller's outbox has to agree.
    pub fn is_writable(&self) -> bool {
        match &self.carrier {
            Carrier::WebSocket(_) => true,
            Carrier::Polling(polling) => self.state == State::Open && polling.is_pending(),
            Carrier::Gone => false,
        }
    }

    /// The way a message takes right now.
    #[inline]
    pub fn route(&self) -> Route<C> {
        match (self.state, &self.carrier) {
            (State::Open, &Carrier::WebSocket(to)) => Route::WebSocket { to, form: self.form },
            (State::Open, Carrier::Polling(_)) => Route::Polling,
            _ => Route::Closed,
        }
    }

    /// What the checks of a request need to know, see [`verify`](crate::engine::verify()); `None`
    /// once the session is closed.
    pub fn facts(&self) -> Option<SessionFacts> {
        let transport = self.transport()?;
        Some(SessionFacts { revision: self.revision, transport })
    }

    /// The transport at this moment; `None` once the session is closed.
    pub fn transport(&self) -> Option<Transport> {
        match self.carrier {
            Carrier::WebSocket(_) => Some(Transport::WebSocket),
            Carrier::Polling(_) => Some(Transport::Polling),
            Carrier::Gone => None,
        }
    }

    /// The session's id.
    pub fn sid(&self) -> SessionId {
        self.sid
    }

    /// The session's revision.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Whether the session is open: neither closing nor closed.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether this connection is the session's WebSocket.
    pub(super) fn is_websocket(&self, connection: C) -> bool {
        matches!(self.carrier, Carrier::WebSocket(websocket) if websocket == connection)
    }

    /// Sends a packet, or buffers it. Returns false if the buffer had no room and the session is
    /// closed.
    pub(super) fn queue(
        &mut self,
        packet: Outgoing,
        compress: bool,
        fx: &mut Vec<Effect<C>>,
    ) -> bool {
        let bytes_max = self.settings.buffer_bytes_max;
        match &mut self.carrier {
            &mut Carrier::WebSocket(to) => fx.push(packet_effect(to, packet, self.form)),
            Carrier::Polling(polling) => {
                if !polling.has_room(&packet, bytes_max) && !polling.is_empty() {
                    polling.answer(fx);
                }
                if !polling.has_room(&packet, bytes_max) {
                    self.finish(CloseReason::BufferOverflow, Outgoing::Close, fx);
                    return false;
                }
                polling.push(packet, compress);
            }
            Carrier::Gone => return false,
        }
        true
    }
}

/// A packet as the effect that sends it over a WebSocket.
pub(super) fn packet_effect<C>(to: C, packet: Outgoing, form: BinaryForm) -> Effect<C> {
    let text = match packet {
        Outgoing::Message(message) => return Effect::Message { to, message, form },
        Outgoing::Open(text) => String::from(text).into(),
        Outgoing::Close => "1".into(),
        Outgoing::Ping => "2".into(),
        Outgoing::Pong => "3".into(),
        Outgoing::Noop => "6".into(),
    };
    Effect::Packet { to, text }
}
