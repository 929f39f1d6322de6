//! The Socket.IO side of a session: joining namespaces, events, acknowledgements, leaving.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use rustc_hash::FxHashMap;
use yamabiko_protocol::engine::{Data, SessionId};
use yamabiko_protocol::msgpack;
use yamabiko_protocol::parser::{Args, Packet, PacketType, Parser};
use yamabiko_protocol::socket::{Complete, DecodeError};

use crate::application::{DisconnectReason, NamespaceId, SocketKey, SocketState};
use crate::recovery::Course;
use crate::room::Membership;
use crate::session::SessionKey;
use crate::shard::{Shard, State};

/// One client in one namespace.
pub(crate) struct SocketEntry {
    pub(crate) id: SessionId,
    pub(crate) namespace: NamespaceId,
    pub(crate) session: SessionKey,
    pub(crate) admission: Admission,
    /// The application is told of what is sent to it.
    pub(crate) watched: bool,
    pub(crate) memberships: Vec<Membership>,
    pub(crate) acks: FxHashMap<u64, AckCallback>,
    pub(crate) state: Option<SocketState>,
    /// The raw JSON of the CONNECT payload.
    pub(crate) auth: Option<Box<str>>,
    /// What it may have missed when it comes back, if it can.
    pub(crate) course: Option<Box<Course>>,
    /// The last broadcast this socket has met.
    pub(crate) stamp: u64,
}

/// How far a socket has come.
pub(crate) enum Admission {
    /// The application has not answered yet; events that came early wait.
    Pending(Vec<EarlyEvent>),
    Accepted,
    /// It was accepted and has left; the application is being told.
    Leaving,
}

/// An event that arrived before its socket was accepted.
pub(crate) enum EarlyEvent {
    Text(Box<str>),
    Binary(Complete),
    Msgpack(Box<[u8]>),
}

/// What became of a packet.
enum Outcome {
    Done,
    /// Its socket is not accepted yet: the event is to be kept.
    Early(SocketKey),
}

/// Called once with the client's acknowledgement, or with why there will be none.
pub type AckCallback = Box<dyn FnOnce(Result<&Args<'_>, AckError>)>;

/// Why an acknowledgement did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckError {
    /// The time allowed has passed. Node: "operation has timed out".
    TimedOut,
    /// The socket was disconnected first. Node: "socket has been disconnected".
    Disconnected,
}

/// Why a client's packet ends its connection.
#[derive(Debug)]
pub(crate) enum Violation {
    Decode(#[expect(dead_code, reason = "read by Debug, for the log")] DecodeError),
    Msgpack(#[expect(dead_code, reason = "read by Debug, for the log")] msgpack::DecodeError),
    /// A text message, where all packets are binary.
    Text,
    /// A CONNECT payload with a map whose keys are no text.
    Auth,
    /// A packet for a namespace that the client has not joined.
    NotJoined,
    /// A second CONNECT for a namespace.
    JoinedAlready,
    /// A packet only servers send.
    WrongDirection,
    /// Limit `namespaces_per_client_max`.
    TooManyNamespaces,
    /// Limit `early_events_max`.
    TooManyEarlyEvents,
}

impl Shard {
    /// A message of the client, text or binary.
    pub(crate) fn message(&self, session: SessionKey, data: &Data<'_>) {
        if let Some(engine) = self.engine_application() {
            return self.guarded(None, || engine.message(session, data));
        }
        let handled = match (self.0.settings.parser, data) {
            (Parser::Default, Data::Text(text)) => self.text(session, text),
            (Parser::Default, Data::Binary(bytes)) => self.attachment(session, bytes),
            (Parser::Msgpack, Data::Binary(bytes)) => self.packed(session, bytes),
            (Parser::Msgpack, Data::Text(_)) => Err(Violation::Text),
        };
        if let Err(violation) = handled {
            tracing::debug!(?violation, "a Socket.IO packet broke the protocol");
            self.0.metrics.socket_errors.add(1);
            self.with(|state| state.close_session(session, DisconnectReason::ForcedClose));
        }
    }

    fn text(&self, session: SessionKey, text: &str) -> Result<(), Violation> {
        let limits = &self.0.settings.limits.packet;
        let packet = self.with(|state| match state.sessions.get_mut(session) {
            Some(entry) => entry.decoder.text_with(text, limits, &mut state.spares),
            None => Ok(None),
        });
        let Some(packet) = packet.map_err(Violation::Decode)? else {
            return self.with(|state| state.begin_binary(session));
        };
        match self.packet(session, Packet::Json(&packet, &[]))? {
            Outcome::Done => Ok(()),
            Outcome::Early(socket) => {
                self.with(|state| state.keep_early(socket, EarlyEvent::Text(text.into())))
            }
        }
    }

    fn attachment(&self, session: SessionKey, bytes: &[u8]) -> Result<(), Violation> {
        let limits = &self.0.settings.limits.packet;
        let complete = self.with(|state| match state.sessions.get_mut(session) {
            Some(entry) => {
                let complete = entry.decoder.binary(Bytes::copy_from_slice(bytes), limits);
                if !matches!(complete, Ok(None)) {
                    entry.attachments_deadline_ms = None;
                }
                complete
            }
            None => Ok(None),
        });
        let Some(complete) = complete.map_err(Violation::Decode)? else { return Ok(()) };
        match self.packet(session, Packet::Json(&complete.packet(), complete.attachments()))? {
            Outcome::Done => {
                self.with(|state| state.spares.give_back(complete));
                Ok(())
            }
            Outcome::Early(socket) => {
                self.with(|state| state.keep_early(socket, EarlyEvent::Binary(complete)))
            }
        }
    }

    fn packed(&self, session: SessionKey, bytes: &[u8]) -> Result<(), Violation> {
        let limits = &self.0.settings.limits.packet;
        let packet = msgpack::decode(bytes, limits).map_err(Violation::Msgpack)?;
        match self.packet(session, Packet::Msgpack(&packet))? {
            Outcome::Done => Ok(()),
            Outcome::Early(socket) => {
                self.with(|state| state.keep_early(socket, EarlyEvent::Msgpack(bytes.into())))
            }
        }
    }

    fn packet(&self, session: SessionKey, packet: Packet<'_>) -> Result<Outcome, Violation> {
        let kind = packet.kind();
        if kind == PacketType::Connect {
            self.join_namespace(session, &packet)?;
            return Ok(Outcome::Done);
        }
        let joined = self.with(|state| {
            let socket = state.socket_in(session, packet.namespace())?;
            let entry = &state.sockets[socket];
            let accepted = matches!(entry.admission, Admission::Accepted);
            Some((socket, entry.namespace, accepted, entry.state.clone()))
        });
        let Some((socket, namespace, accepted, app_state)) = joined else {
            return Err(Violation::NotJoined);
        };
        match kind {
            PacketType::Event | PacketType::BinaryEvent if !accepted => {
                return Ok(Outcome::Early(socket));
            }
            PacketType::Event | PacketType::BinaryEvent => {
                let event = packet.event().ok_or(Violation::WrongDirection)?;
                self.0.metrics.events_in.add(1);
                self.guarded(Some(socket), || {
                    self.application().event(socket, namespace, app_state.as_ref(), &event)
                });
            }
            PacketType::Ack | PacketType::BinaryAck => {
                let callback = self.with(|state| state.take_ack(socket, packet.id()));
                let ack = packet.ack().ok_or(Violation::WrongDirection)?;
                if let Some(callback) = callback {
                    self.guarded(Some(socket), || callback(Ok(&ack.args)));
                }
            }
            PacketType::Disconnect => {
                self.leave_namespace(socket, DisconnectReason::ClientNamespaceDisconnect);
            }
            PacketType::Connect | PacketType::ConnectError => {
                return Err(Violation::WrongDirection);
            }
        }
        Ok(Outcome::Done)
    }

    /// Ends the connection of a client that has sent more events than may wait for the application: for
    /// applications that keep them, as the shard does with those that come before `accept`.
    pub fn end_flood(&self, socket: SocketKey) {
        tracing::debug!("too many events of a socket wait (limit early_events_max)");
        self.0.metrics.socket_errors.add(1);
        self.with(|state| {
            if let Ok(session) = state.session_of(socket) {
                state.close_session(session, DisconnectReason::ForcedClose);
            }
        });
        self.nudge();
    }

    /// Replays what arrived while the application was deciding.
    pub(crate) fn replay_early_events(&self, socket: SocketKey, events: Vec<EarlyEvent>) {
        for event in events {
            let Some(session) = self.with(|state| Some(state.sockets.get(socket)?.session)) else {
                return;
            };
            // They were checked when they came; what they are about is asked again, as they might be
            // for a socket that has left meanwhile.
            let _ = match &event {
                EarlyEvent::Text(text) => self.text(session, text),
                EarlyEvent::Binary(complete) => {
                    let packet = complete.packet();
                    self.packet(session, Packet::Json(&packet, complete.attachments())).map(|_| ())
                }
                EarlyEvent::Msgpack(bytes) => self.packed(session, bytes),
            };
        }
    }

    /// Calls into the application; a panic there ends at most the socket it was about.
    pub(crate) fn guarded(&self, socket: Option<SocketKey>, call: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(call)).is_err() {
            self.handler_panicked(socket);
        }
    }

    pub(crate) fn handler_panicked(&self, socket: Option<SocketKey>) {
        self.0.metrics.handler_panics.add(1);
        tracing::error!(?socket, "a handler panicked");
        if let Some(socket) = socket {
            // At most one of the two applies: it was accepted, or it was not.
            self.refuse(socket, "Internal server error", None);
            let _ = self.disconnect(socket, false);
        }
    }
}

impl State {
    /// The socket with which a session has joined, or asked to join, the namespace of that name.
    pub(crate) fn socket_in(&self, session: SessionKey, name: &str) -> Option<SocketKey> {
        let sockets = &self.sessions.get(session)?.sockets;
        let is_named = |namespace: NamespaceId| &*self.namespaces[namespace].name == name;
        sockets.iter().find(|(namespace, _)| is_named(*namespace)).map(|(_, socket)| *socket)
    }

    /// The text of a binary packet is here. Nothing is held for a namespace that was not joined.
    fn begin_binary(&mut self, session: SessionKey) -> Result<(), Violation> {
        let Some(entry) = self.sessions.get(session) else { return Ok(()) };
        let namespace = entry.decoder.under_way().map_or("/", |packet| packet.namespace);
        if self.socket_in(session, namespace).is_none() {
            return Err(Violation::NotJoined);
        }
        self.expect_attachments(session);
        Ok(())
    }

    fn keep_early(&mut self, socket: SocketKey, event: EarlyEvent) -> Result<(), Violation> {
        let max = self.settings.limits.early_events_max;
        if let Some(SocketEntry { admission: Admission::Pending(early), .. }) =
            self.sockets.get_mut(socket)
        {
            if early.len() >= max {
                return Err(Violation::TooManyEarlyEvents);
            }
            early.push(event);
        }
        Ok(())
    }

    pub(crate) fn take_ack(&mut self, socket: SocketKey, id: Option<u64>) -> Option<AckCallback> {
        let acks = &mut self.sockets.get_mut(socket)?.acks;
        let callback = acks.remove(&id?);
        if acks.is_empty() {
            acks.shrink_to_fit();
        }
        callback
    }
}
