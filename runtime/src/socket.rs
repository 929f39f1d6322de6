//! The Socket.IO side of a session: joining namespaces, events, acknowledgements, leaving.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use yamabiko_protocol::engine::{Data, Revision, SessionId};
use yamabiko_protocol::http::Query;
use yamabiko_protocol::socket::{
    Args, Complete, DecodeError, Packet, PacketType, encode, split_query,
};

use crate::application::{DisconnectReason, NamespaceId, SocketKey, SocketState};
use crate::room::Membership;
use crate::session::SessionKey;
use crate::shard::{Errand, Shard, State, namespace_named};

/// One client in one namespace.
pub(crate) struct SocketEntry {
    pub(crate) id: SessionId,
    pub(crate) namespace: NamespaceId,
    pub(crate) session: SessionKey,
    pub(crate) admission: Admission,
    pub(crate) memberships: Vec<Membership>,
    pub(crate) acks: HashMap<u64, AckCallback>,
    pub(crate) state: Option<SocketState>,
    /// The raw JSON of the CONNECT payload.
    pub(crate) auth: Option<Box<str>>,
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
enum Violation {
    Decode(#[expect(dead_code, reason = "read by Debug, for the log")] DecodeError),
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
        let handled = match data {
            Data::Text(text) => self.text(session, text),
            Data::Binary(bytes) => self.attachment(session, bytes),
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
            Some(entry) => entry.decoder.text(text, limits),
            None => Ok(None),
        });
        let Some(packet) = packet.map_err(Violation::Decode)? else {
            return self.with(|state| state.begin_binary(session));
        };
        match self.packet(session, &packet, &[])? {
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
        match self.packet(session, &complete.packet(), complete.attachments())? {
            Outcome::Done => Ok(()),
            Outcome::Early(socket) => {
                self.with(|state| state.keep_early(socket, EarlyEvent::Binary(complete)))
            }
        }
    }

    fn packet(
        &self,
        session: SessionKey,
        packet: &Packet<'_>,
        attachments: &[Bytes],
    ) -> Result<Outcome, Violation> {
        if packet.kind == PacketType::Connect {
            self.join_namespace(session, packet)?;
            return Ok(Outcome::Done);
        }
        let joined = self.with(|state| {
            let socket = state.socket_in(session, packet.namespace)?;
            let entry = &state.sockets[socket];
            let accepted = matches!(entry.admission, Admission::Accepted);
            Some((socket, entry.namespace, accepted, entry.state.clone()))
        });
        let Some((socket, namespace, accepted, app_state)) = joined else {
            return Err(Violation::NotJoined);
        };
        match packet.kind {
            PacketType::Event | PacketType::BinaryEvent if !accepted => {
                return Ok(Outcome::Early(socket));
            }
            PacketType::Event | PacketType::BinaryEvent => {
                let event = packet.event(attachments).ok_or(Violation::WrongDirection)?;
                self.0.metrics.events_in.add(1);
                self.guarded(Some(socket), || {
                    self.application().event(socket, namespace, app_state.as_ref(), &event)
                });
            }
            PacketType::Ack | PacketType::BinaryAck => {
                let callback = self.with(|state| state.take_ack(socket, packet.id));
                let ack = packet.ack(attachments).ok_or(Violation::WrongDirection)?;
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

    /// CONNECT: the application decides, unless there is no such namespace.
    fn join_namespace(&self, session: SessionKey, packet: &Packet<'_>) -> Result<(), Violation> {
        let asked = self.with(|state| {
            let Some(entry) = state.sessions.get(session) else { return Ok(None) };
            let revision = entry.engine.revision();
            // Revision 4 of Socket.IO had its authentication in the namespace's query string.
            let (name, auth) = match revision {
                Revision::V3 => {
                    let (name, query) = split_query(packet.namespace);
                    (name, query.map(query_as_json))
                }
                Revision::V4 => (packet.namespace, packet.data.map(Box::<str>::from)),
            };
            let Some(namespace) = namespace_named(&state.namespaces, name) else {
                let refusal = Refusal { message: "Invalid namespace", data: None };
                state.send_refusal(session, name, &refusal, true);
                return Ok(None);
            };
            if state.socket_in(session, name).is_some() {
                return Err(Violation::JoinedAlready);
            }
            if state.sessions[session].sockets.len()
                >= state.settings.limits.namespaces_per_client_max
            {
                return Err(Violation::TooManyNamespaces);
            }
            Ok(Some((state.add_socket(session, namespace, auth.clone()), namespace, auth)))
        })?;
        if let Some((socket, namespace, auth)) = asked {
            self.ask_application(socket, namespace, auth.as_deref());
        }
        Ok(())
    }

    /// Revision 3 clients are in `/` without asking.
    pub(crate) fn join_main_namespace(&self, session: SessionKey) {
        let asked = self.with(|state| {
            let namespace = namespace_named(&state.namespaces, "/")?;
            Some((state.add_socket(session, namespace, None), namespace))
        });
        if let Some((socket, namespace)) = asked {
            self.ask_application(socket, namespace, None);
        }
    }

    fn ask_application(&self, socket: SocketKey, namespace: NamespaceId, auth: Option<&str>) {
        self.guarded(Some(socket), || self.application().connect(socket, namespace, auth));
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
                    self.packet(session, &complete.packet(), complete.attachments()).map(|_| ())
                }
            };
        }
    }

    /// Takes the socket out of its namespace and tells the application.
    pub(crate) fn leave_namespace(&self, socket: SocketKey, reason: DisconnectReason) {
        let known = self.with(|state| {
            let entry = state.sockets.get_mut(socket)?;
            let accepted = match entry.admission {
                Admission::Pending(_) => false,
                Admission::Accepted => true,
                Admission::Leaving => return None,
            };
            // From here on no event, no emit and no second leave finds the socket.
            if accepted {
                entry.admission = Admission::Leaving;
            }
            let (session, namespace, app_state) =
                (entry.session, entry.namespace, entry.state.clone());
            if let Some(session) = state.sessions.get_mut(session) {
                session.sockets.retain(|(_, other)| *other != socket);
            }
            Some((namespace, accepted, app_state))
        });
        let Some((namespace, accepted, app_state)) = known else { return };
        if accepted {
            self.guarded(None, || {
                self.application().disconnect(socket, namespace, app_state.as_ref(), reason)
            });
        }
        let acks = self.with(|state| state.remove_socket(socket)).unwrap_or_default();
        for callback in acks {
            self.guarded(None, || callback(Err(AckError::Disconnected)));
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

/// A query string as the JSON object that clients of later revisions send instead.
fn query_as_json(query: &str) -> Box<str> {
    let pairs: BTreeMap<_, _> = Query::new(query).pairs().collect();
    let mut json = Vec::new();
    encode::json(&mut json, &pairs).expect("strings are always JSON");
    String::from_utf8(json).expect("JSON is text").into()
}

/// Why a client may not join a namespace.
pub(crate) struct Refusal<'a> {
    pub(crate) message: &'a str,
    /// Raw JSON.
    pub(crate) data: Option<&'a str>,
}

impl State {
    /// The socket with which a session has joined, or asked to join, the namespace of that name.
    fn socket_in(&self, session: SessionKey, name: &str) -> Option<SocketKey> {
        let sockets = &self.sessions.get(session)?.sockets;
        let is_named =
            |namespace: NamespaceId| &*self.namespaces[usize::from(namespace.0)].name == name;
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

    fn add_socket(
        &mut self,
        session: SessionKey,
        namespace: NamespaceId,
        auth: Option<Box<str>>,
    ) -> SocketKey {
        // Revision 3 knows its socket by the id of its session.
        let id = match self.sessions[session].engine.revision() {
            Revision::V3 => self.sessions[session].id,
            Revision::V4 => self.identities.next(),
        };
        let socket = self.sockets.insert(SocketEntry {
            id,
            namespace,
            session,
            admission: Admission::Pending(Vec::new()),
            memberships: Vec::new(),
            acks: HashMap::new(),
            state: None,
            auth,
            stamp: 0,
        });
        self.sessions[session].sockets.push((namespace, socket));
        socket
    }

    /// Makes the socket a member of its namespace; returns what it has been sent early.
    pub(crate) fn admit(&mut self, socket: SocketKey) -> Vec<EarlyEvent> {
        let entry = &mut self.sockets[socket];
        let (id, namespace, session) = (entry.id, entry.namespace, entry.session);
        let early = match std::mem::replace(&mut entry.admission, Admission::Accepted) {
            Admission::Pending(early) => early,
            Admission::Accepted | Admission::Leaving => Vec::new(),
        };
        let membership = self.rooms.join(namespace, None, socket);
        self.sockets[socket].memberships.push(membership);
        self.socket_ids.insert((namespace, id), socket);
        self.metrics.sockets.add(1);
        if let Some(session) = self.sessions.get_mut(session) {
            session.connect_deadline_ms = None;
        }
        let revision = self.sessions.get(session).map(|session| session.engine.revision());
        let name = self.namespaces[usize::from(namespace.0)].name.clone();
        let _ = self.send_written(session, |out, _| {
            match revision {
                Some(Revision::V3) => encode::connect_v4(out, &name),
                _ => encode::connect(out, &name, id.as_str(), None),
            }
            Ok::<(), ()>(())
        });
        early
    }

    /// Answers CONNECT_ERROR. `unknown` tells a missing namespace from a refusal by the application,
    /// which revision 4 of Socket.IO writes differently.
    pub(crate) fn send_refusal(
        &mut self,
        session: SessionKey,
        namespace: &str,
        refusal: &Refusal<'_>,
        unknown: bool,
    ) {
        let Some(entry) = self.sessions.get(session) else { return };
        let revision = entry.engine.revision();
        let _ = self.send_written(session, |out, _| {
            match revision {
                Revision::V3 if !unknown => {
                    encode::connect_error_v4(out, namespace, refusal.message, refusal.data)
                }
                _ => encode::connect_error(out, namespace, refusal.message, refusal.data),
            }
            Ok::<(), ()>(())
        });
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

    /// Forgets a socket; returns the acknowledgements it was waiting for.
    pub(crate) fn remove_socket(&mut self, socket: SocketKey) -> Option<Vec<AckCallback>> {
        let entry = self.sockets.get_mut(socket)?;
        let memberships = std::mem::take(&mut entry.memberships);
        for membership in memberships {
            self.leave_room(membership);
        }
        let entry = self.sockets.remove(socket)?;
        if let Some(session) = self.sessions.get_mut(entry.session) {
            session.sockets.retain(|(_, other)| *other != socket);
        }
        if !matches!(entry.admission, Admission::Pending(_)) {
            self.socket_ids.remove(&(entry.namespace, entry.id));
            self.metrics.sockets.sub(1);
        }
        Some(entry.acks.into_values().collect())
    }

    /// Takes a member out of a room and tells the one who got its place.
    pub(crate) fn leave_room(&mut self, membership: Membership) {
        if let Some((moved, place)) = self.rooms.leave(membership)
            && let Some(entry) = self.sockets.get_mut(moved)
            && let Some(own) = entry.memberships.iter_mut().find(|own| own.is_in(place))
        {
            own.moved(place);
        }
        self.count_rooms();
    }

    /// Leaves an errand that replays events once the state is free.
    pub(crate) fn replay_later(&mut self, socket: SocketKey, early: Vec<EarlyEvent>) {
        if !early.is_empty() {
            self.errands.push(Errand::Replay(socket, early));
        }
    }
}
