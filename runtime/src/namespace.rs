//! Sockets join namespaces and leave them.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use yamabiko_protocol::engine::{Revision, SessionId};
use yamabiko_protocol::http::Query;
use yamabiko_protocol::parser::Packet;
use yamabiko_protocol::socket::{encode, split_query};

use crate::application::{DisconnectReason, NamespaceId, SocketKey, SocketState};
use crate::packet::Gone;
use crate::recovery::Return;
use crate::registry::Full;
use crate::session::SessionKey;
use crate::shard::{Errand, Shard, State};
use crate::socket::{AckCallback, AckError, Admission, EarlyEvent, SocketEntry, Violation};

/// Why a client may not join a namespace.
pub(crate) struct Refusal<'a> {
    pub(crate) message: &'a str,
    /// Raw JSON.
    pub(crate) data: Option<&'a str>,
}

/// A client's wish to join a namespace.
struct Wish<'a> {
    name: &'a str,
    auth: Option<Box<str>>,
    /// This shard has met the namespace.
    is_known: bool,
}

/// What clients are told of a namespace that there is not.
const INVALID: Refusal<'static> = Refusal { message: "Invalid namespace", data: None };
/// What they are told when there are as many as there may be.
const TOO_MANY: Refusal<'static> = Refusal { message: "Too many namespaces", data: None };

impl Shard {
    /// CONNECT: the application decides, unless there is no such namespace.
    pub(crate) fn join_namespace(
        &self,
        session: SessionKey,
        packet: &Packet<'_>,
    ) -> Result<(), Violation> {
        let wish = self.with(|state| state.wish(session, packet))?;
        let Some(Wish { name, auth, is_known }) = wish else { return Ok(()) };
        if !is_known && !self.may_have_namespace(name) {
            self.with(|state| state.send_refusal(session, name, &INVALID, true));
            return Ok(());
        }
        let back = auth.as_deref().and_then(|auth| self.returns(auth));
        let asked = self.with(|state| {
            // Whoever was asked may have ended the session.
            let Some(entry) = state.sessions.get(session) else { return Ok(None) };
            if entry.sockets.len() >= state.settings.limits.namespaces_per_client_max {
                return Err(Violation::TooManyNamespaces);
            }
            match state.add_socket(session, name, auth.clone()) {
                Ok(asked) => Ok(Some(asked)),
                Err(Full) => {
                    state.metrics.namespaces_refused.add(1);
                    state.send_refusal(session, name, &TOO_MANY, true);
                    Ok(None)
                }
            }
        })?;
        match (asked, back) {
            (Some((socket, namespace)), Some(back)) => self.restore(socket, namespace, back),
            (Some((socket, namespace)), None) => {
                self.ask_application(socket, namespace, auth.as_deref());
            }
            (None, _) => {}
        }
        Ok(())
    }

    /// What a client says that comes back, if it may.
    fn returns(&self, auth: &str) -> Option<Return> {
        self.0.settings.connection_state_recovery.as_ref()?;
        Return::read(auth)
    }

    /// Revision 3 clients are in `/` without asking.
    pub(crate) fn join_main_namespace(&self, session: SessionKey) {
        let asked = self.with(|state| {
            state.namespaces.known("/")?;
            state.add_socket(session, "/", None).ok()
        });
        if let Some((socket, namespace)) = asked {
            self.ask_application(socket, namespace, None);
        }
    }

    fn may_have_namespace(&self, name: &str) -> bool {
        let mut may = false;
        self.guarded(None, || may = self.application().may_have_namespace(name));
        may
    }

    pub(crate) fn ask_application(
        &self,
        socket: SocketKey,
        namespace: NamespaceId,
        auth: Option<&str>,
    ) {
        self.guarded(Some(socket), || self.application().connect(socket, namespace, auth));
    }

    /// Admits a socket that asked to connect. Keeps `state` for it, which comes back with each event.
    ///
    /// # Errors
    /// [`Gone`] if its client has left meanwhile, or the question was answered before.
    pub fn accept(&self, socket: SocketKey, state: Option<SocketState>) -> Result<(), Gone> {
        self.with(|shard| {
            let entry = shard.sockets.get_mut(socket).ok_or(Gone)?;
            if !matches!(entry.admission, Admission::Pending(_)) {
                return Err(Gone);
            }
            entry.state = state;
            let early = shard.admit(socket);
            shard.replay_later(socket, early);
            Ok(())
        })?;
        self.nudge();
        Ok(())
    }

    /// Refuses a socket that asked to connect; `data` is raw JSON for the error's `data`.
    pub fn refuse(&self, socket: SocketKey, message: &str, data: Option<&str>) {
        self.turn_away(socket, &Refusal { message, data }, false);
    }

    /// The same with the words for a namespace that there is not.
    pub fn refuse_namespace(&self, socket: SocketKey) {
        self.turn_away(socket, &INVALID, true);
    }

    fn turn_away(&self, socket: SocketKey, refusal: &Refusal<'_>, unknown: bool) {
        let was_pending = self.with(|state| {
            let Some(entry) = state.sockets.get(socket) else { return false };
            if !matches!(entry.admission, Admission::Pending(_)) {
                return false;
            }
            let session = entry.session;
            let name = state.namespace_name(socket);
            state.leave_rooms(socket);
            state.remove_socket(socket);
            state.send_refusal(session, &name, refusal, unknown);
            true
        });
        if was_pending {
            self.tell_room_news();
            self.nudge();
        }
    }

    /// Takes the socket out of its namespace with a DISCONNECT packet. `close` does the same for all
    /// namespaces of its client and then closes the connection.
    pub fn disconnect(&self, socket: SocketKey, close: bool) -> Result<(), Gone> {
        let sockets = self.with(|state| {
            let session = state.sockets.get(socket).ok_or(Gone)?.session;
            let sockets: Vec<SocketKey> = match (close, state.sessions.get(session)) {
                (true, Some(entry)) => entry.sockets.iter().map(|(_, socket)| *socket).collect(),
                _ => vec![socket],
            };
            for socket in &sockets {
                let namespace = state.namespace_name(*socket);
                state.send_own(session, |parser, out| parser.disconnect(out, &namespace));
            }
            if close {
                state.close_session_gracefully(session);
            }
            Ok(sockets)
        })?;
        for socket in sockets {
            self.leave_namespace(
                socket,
                crate::application::DisconnectReason::ServerNamespaceDisconnect,
            );
        }
        self.nudge();
        Ok(())
    }

    /// Takes the socket out of its namespace and tells the application: first that it leaves, while its
    /// rooms are known, then of the rooms, then that it has left. The order is Node's.
    pub(crate) fn leave_namespace(&self, socket: SocketKey, reason: DisconnectReason) {
        let Some(leaving) = self.with(|state| state.begin_leaving(socket)) else { return };
        let Leaving { namespace, accepted, app_state } = leaving;
        let app_state = app_state.as_ref();
        if accepted {
            self.guarded(None, || {
                self.application().disconnecting(socket, namespace, app_state, reason);
            });
        }
        if self.0.settings.connection_state_recovery.is_some() {
            let mut data = None;
            self.guarded(None, || data = self.application().data(app_state));
            self.with(|state| state.end_course(socket, reason, data));
        }
        self.with(|state| state.leave_rooms(socket));
        self.tell_room_news();
        if accepted {
            self.guarded(None, || {
                self.application().disconnect(socket, namespace, app_state, reason);
            });
        }
        let acks = self.with(|state| state.remove_socket(socket)).unwrap_or_default();
        for callback in acks {
            self.guarded(None, || callback(Err(AckError::Disconnected)));
        }
    }
}

/// A socket on its way out.
struct Leaving {
    namespace: NamespaceId,
    accepted: bool,
    app_state: Option<SocketState>,
}

impl State {
    /// Adds a namespace that is always there.
    pub(crate) fn declare_namespace(&mut self, name: &str) -> Result<(), String> {
        let id = self.namespaces.declare(name);
        let id = id.map_err(|Full| format!("{name}: there are too many namespaces"))?;
        self.rooms.begin(&self.namespaces[id].card);
        Ok(())
    }

    /// What a CONNECT packet asks for, if the session is still there.
    fn wish<'a>(
        &self,
        session: SessionKey,
        packet: &Packet<'a>,
    ) -> Result<Option<Wish<'a>>, Violation> {
        let Some(entry) = self.sessions.get(session) else { return Ok(None) };
        // Revision 4 of Socket.IO had its authentication in the namespace's query string.
        let (name, auth) = match entry.engine.revision() {
            Revision::V3 => {
                let (name, query) = split_query(packet.namespace());
                (name, query.map(query_as_json))
            }
            Revision::V4 => (packet.namespace(), packet.auth().map_err(|_| Violation::Auth)?),
        };
        if self.socket_in(session, name).is_some() {
            return Err(Violation::JoinedAlready);
        }
        let is_known = self.namespaces.known(name).is_some();
        Ok(Some(Wish { name, auth, is_known }))
    }

    /// Hears what other nodes say of a namespace, from now on.
    pub(crate) fn hear(&self, name: &str) {
        if let Some(voice) = &self.voice {
            voice.begin(name);
        }
    }

    fn add_socket(
        &mut self,
        session: SessionKey,
        name: &str,
        auth: Option<Box<str>>,
    ) -> Result<(SocketKey, NamespaceId), Full> {
        let (namespace, is_first) = self.namespaces.enter(name)?;
        if is_first {
            self.hear(name);
            self.rooms.begin(&self.namespaces[namespace].card);
            self.metrics.namespaces.add(1);
        }
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
            watched: false,
            memberships: Vec::new(),
            acks: FxHashMap::default(),
            state: None,
            auth,
            course: None,
            stamp: 0,
        });
        self.sessions[session].sockets.push((namespace, socket));
        self.hear_own_room(socket, true);
        Ok((socket, namespace))
    }

    /// Gives a socket that is not accepted yet another id.
    pub(crate) fn rename_socket(&mut self, socket: SocketKey, id: SessionId) {
        self.hear_own_room(socket, false);
        self.sockets[socket].id = id;
        self.hear_own_room(socket, true);
    }

    /// Hears what other nodes say to one socket, if that has a channel of its own; or does so no more.
    fn hear_own_room(&self, socket: SocketKey, is_there: bool) {
        let Some(voice) = self.voice.as_ref().filter(|voice| voice.hears_own_rooms()) else {
            return;
        };
        let Ok(id) = self.id_of(socket) else { return };
        let namespace = self.namespace_name(socket);
        match is_there {
            true => voice.begin_room(&namespace, &id),
            false => voice.end_room(&namespace, &id),
        }
    }

    /// From here on no event, no emit and no second leave finds the socket.
    fn begin_leaving(&mut self, socket: SocketKey) -> Option<Leaving> {
        let entry = self.sockets.get_mut(socket)?;
        let accepted = match entry.admission {
            Admission::Pending(_) => false,
            Admission::Accepted => true,
            Admission::Leaving => return None,
        };
        entry.admission = Admission::Leaving;
        let (namespace, app_state) = (entry.namespace, entry.state.clone());
        if let Some(session) = self.sessions.get_mut(entry.session) {
            session.sockets.retain(|(_, other)| *other != socket);
        }
        Some(Leaving { namespace, accepted, app_state })
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
        self.namespaces.admit(namespace);
        self.socket_ids.insert((namespace, id), socket);
        self.metrics.sockets.add(1);
        if let Some(session) = self.sessions.get_mut(session) {
            session.connect_deadline_ms = None;
        }
        let revision = self.sessions.get(session).map(|session| session.engine.revision());
        let revision = revision.unwrap_or(Revision::V4);
        let pid = self.begin_course(socket);
        let pid = pid.as_ref().map(SessionId::as_str);
        let name = self.namespaces[namespace].name.clone();
        self.send_own(session, |parser, out| {
            parser.connect(out, revision, &name, id.as_str(), pid);
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
        let revision = match entry.engine.revision() {
            Revision::V3 if !unknown => Revision::V3,
            _ => Revision::V4,
        };
        self.send_own(session, |parser, out| {
            parser.connect_error(out, revision, namespace, refusal.message, refusal.data);
        });
    }

    /// Forgets a socket that has left its rooms; returns the acknowledgements it was waiting for.
    pub(crate) fn remove_socket(&mut self, socket: SocketKey) -> Option<Vec<AckCallback>> {
        // Who was refused does not come back.
        self.end_course(socket, DisconnectReason::ServerNamespaceDisconnect, None);
        self.hear_own_room(socket, false);
        let entry = self.sockets.remove(socket)?;
        if let Some(session) = self.sessions.get_mut(entry.session) {
            session.sockets.retain(|(_, other)| *other != socket);
        }
        let name = self.namespaces[entry.namespace].name.clone();
        if self.namespaces.leave(entry.namespace) {
            self.metrics.namespaces.sub(1);
            if let Some(voice) = &self.voice {
                voice.end(&name);
            }
        }
        Some(entry.acks.into_values().collect())
    }

    /// Leaves an errand that replays events once the state is free.
    pub(crate) fn replay_later(&mut self, socket: SocketKey, early: Vec<EarlyEvent>) {
        if !early.is_empty() {
            self.errands.push(Errand::Replay(socket, early));
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
