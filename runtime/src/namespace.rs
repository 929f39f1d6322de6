//! Sockets join namespaces and leave them.

use std::collections::{BTreeMap, HashMap};

use yamabiko_protocol::engine::Revision;
use yamabiko_protocol::http::Query;
use yamabiko_protocol::socket::{Packet, encode, split_query};

use crate::application::{DisconnectReason, NamespaceId, SocketKey, SocketState};
use crate::packet::Gone;
use crate::session::SessionKey;
use crate::shard::{Errand, Shard, State, namespace_named};
use crate::socket::{AckCallback, AckError, Admission, EarlyEvent, SocketEntry, Violation};

/// Why a client may not join a namespace.
pub(crate) struct Refusal<'a> {
    pub(crate) message: &'a str,
    /// Raw JSON.
    pub(crate) data: Option<&'a str>,
}

impl Shard {
    /// CONNECT: the application decides, unless there is no such namespace.
    pub(crate) fn join_namespace(
        &self,
        session: SessionKey,
        packet: &Packet<'_>,
    ) -> Result<(), Violation> {
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
        self.with(|state| {
            let Some(entry) = state.sockets.get(socket) else { return };
            if !matches!(entry.admission, Admission::Pending(_)) {
                return;
            }
            let (session, namespace) = (entry.session, entry.namespace);
            let name = state.namespaces[usize::from(namespace.0)].name.clone();
            state.remove_socket(socket);
            state.send_refusal(session, &name, &Refusal { message, data }, false);
        });
        self.nudge();
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
                let _ = state.send_written(session, |out, _| {
                    encode::disconnect(out, &namespace);
                    Ok::<(), ()>(())
                });
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
}

impl State {
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
