//! What an application does with its sockets: the public face of the shard.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use yamabiko_protocol::engine::Revision;

use crate::application::{NamespaceId, SocketKey, SocketState};
use crate::packet::{EmitArgs, EmitError, Gone};
use crate::session::SessionKey;
use crate::shard::{Shard, State, Timer};
use crate::socket::{AckCallback, AckError, Admission};

/// How an event is sent to one socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmitOptions {
    /// Drop it if the transport is not writable right now.
    pub volatile: bool,
    /// Whether it may be compressed; see [`Target::compress`](crate::Target::compress).
    pub compress: bool,
}

impl Default for EmitOptions {
    fn default() -> Self {
        Self { volatile: false, compress: true }
    }
}

/// What is known of a client since its handshake.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// The peer's address.
    pub address: SocketAddr,
    /// The head of the handshake's HTTP request, as it came; `protocol::http` parses it again.
    pub head: Bytes,
    /// When the session began, in milliseconds since 1970.
    pub issued_ms: u64,
    /// The raw JSON of the CONNECT payload (a query string for clients of revision 3).
    pub auth: Option<String>,
    /// The Engine.IO revision, 3 or 4.
    pub revision: u8,
}

/// How one event is encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    /// Of the acknowledgement that is awaited.
    pub(crate) id: Option<u64>,
    pub(crate) is_recoverable: bool,
    pub(crate) compress: bool,
}

impl Shard {
    /// The socket's id as its client knows it.
    pub fn socket_id(&self, socket: SocketKey) -> Result<String, Gone> {
        self.with(|state| state.id_of(socket))
    }

    /// What the application keeps of a socket that is connected.
    pub fn socket_state(&self, socket: SocketKey) -> Option<SocketState> {
        self.with(|state| state.sockets.get(socket)?.state.clone())
    }

    /// What is known of the socket's client since its handshake.
    pub fn handshake(&self, socket: SocketKey) -> Result<Handshake, Gone> {
        self.with(|state| {
            let entry = state.sockets.get(socket).ok_or(Gone)?;
            let session = state.sessions.get(entry.session).ok_or(Gone)?;
            Ok(Handshake {
                address: session.address,
                head: session.head.clone(),
                issued_ms: session.issued_ms,
                auth: entry.auth.as_deref().map(String::from),
                revision: session.engine.revision().number(),
            })
        })
    }

    /// The transport in use: `polling` or `websocket`.
    pub fn transport(&self, socket: SocketKey) -> Result<&'static str, Gone> {
        self.with(|state| {
            let entry = state.sockets.get(socket).ok_or(Gone)?;
            let session = state.sessions.get(entry.session).ok_or(Gone)?;
            session.engine.transport().map(|transport| transport.name()).ok_or(Gone)
        })
    }

    /// Whether the socket is connected: accepted and not left.
    pub fn is_connected(&self, socket: SocketKey) -> bool {
        self.with(|state| state.session_of(socket).is_ok())
    }

    /// Sends an event to one socket.
    pub fn emit<T: EmitArgs + ?Sized>(
        &self,
        socket: SocketKey,
        name: &str,
        args: &T,
        options: EmitOptions,
    ) -> Result<(), EmitError> {
        self.with(|state| {
            let session = state.session_of(socket)?;
            if options.volatile && !state.is_writable(session) {
                state.metrics.volatile_dropped.add(1);
                return Ok(());
            }
            let EmitOptions { volatile, compress } = options;
            let how = How { id: None, is_recoverable: !volatile, compress };
            state.emit(socket, session, how, name, args)
        })?;
        self.nudge();
        Ok(())
    }

    /// Sends an event and calls `on_ack` once: with the client's answer, or when `timeout` has passed,
    /// or when the socket disconnects. One that is volatile and dropped is never answered.
    pub fn emit_with_ack<T: EmitArgs + ?Sized>(
        &self,
        socket: SocketKey,
        name: &str,
        args: &T,
        options: EmitOptions,
        timeout: Option<Duration>,
        on_ack: AckCallback,
    ) -> Result<(), EmitError> {
        self.with(|state| {
            let session = state.session_of(socket)?;
            let entry = &mut state.sockets[socket];
            let waiting = entry.acks.len();
            if waiting >= state.settings.limits.pending_acks_max {
                return Err(EmitError::TooManyAcks);
            }
            let namespace = entry.namespace;
            let id = state.next_ack(namespace);
            if options.volatile && !state.is_writable(session) {
                yamabiko_protocol::socket::encode::check_name(name)?;
                state.metrics.volatile_dropped.add(1);
            } else {
                let compress = options.compress;
                let how = How { id: Some(id), is_recoverable: false, compress };
                state.emit(socket, session, how, name, args)?;
            }
            state.sockets[socket].acks.insert(id, on_ack);
            if let Some(timeout) = timeout {
                let at = state.now_ms.saturating_add(timeout.as_millis() as u64);
                state.wheel.file(Timer::Ack(socket, id, at), at);
            }
            Ok(())
        })?;
        self.nudge();
        Ok(())
    }

    /// An acknowledgement's time came up in the wheel.
    pub(crate) fn ack_timer(&self, socket: SocketKey, id: u64, at_ms: u64) {
        let expired = self.with(|state| {
            if state.now_ms < at_ms {
                state.wheel.file(Timer::Ack(socket, id, at_ms), at_ms);
                return None;
            }
            state.take_ack(socket, Some(id))
        });
        if let Some(callback) = expired {
            self.guarded(Some(socket), || callback(Err(AckError::TimedOut)));
        }
    }

    /// Answers an event that asked for an acknowledgement with `id`.
    pub fn acknowledge<T: EmitArgs + ?Sized>(
        &self,
        socket: SocketKey,
        id: u64,
        args: &T,
    ) -> Result<(), EmitError> {
        self.with(|state| {
            let session = state.session_of(socket)?;
            let namespace = state.namespace_name(socket);
            state.send_ack(session, &namespace, id, args)?;
            state.metrics.events_out.add(1);
            Ok::<_, EmitError>(())
        })?;
        self.nudge();
        Ok(())
    }
}

impl State {
    /// A socket's id as its client knows it.
    pub(crate) fn id_of(&self, socket: SocketKey) -> Result<String, Gone> {
        let entry = self.sockets.get(socket).ok_or(Gone)?;
        let name = &self.namespaces[entry.namespace].name;
        let revision = self.sessions.get(entry.session).map(|it| it.engine.revision());
        Ok(match revision {
            Some(Revision::V3) if &**name != "/" => format!("{name}#{}", entry.id),
            _ => entry.id.to_string(),
        })
    }

    /// The session of a connected socket.
    pub(crate) fn session_of(&self, socket: SocketKey) -> Result<SessionKey, Gone> {
        match self.sockets.get(socket) {
            Some(entry) if matches!(entry.admission, Admission::Accepted) => Ok(entry.session),
            _ => Err(Gone),
        }
    }

    /// The id of the next acknowledgement that the namespace asks for.
    pub(crate) fn next_ack(&mut self, namespace: NamespaceId) -> u64 {
        let namespace = &mut self.namespaces[namespace];
        let id = namespace.next_ack;
        namespace.next_ack += 1;
        id
    }

    pub(crate) fn namespace_name(&self, socket: SocketKey) -> std::rc::Rc<str> {
        let namespace = self.sockets[socket].namespace;
        self.namespaces[namespace].name.clone()
    }

    fn emit<T: EmitArgs + ?Sized>(
        &mut self,
        socket: SocketKey,
        session: SessionKey,
        how: How,
        name: &str,
        args: &T,
    ) -> Result<(), EmitError> {
        self.compress = how.compress;
        let is_watched = self.watches_outgoing && self.sockets[socket].watched;
        let sent = if is_watched || self.recovery.is_some() {
            self.emit_and_keep(socket, session, how, name, args)
        } else {
            let namespace = self.namespace_name(socket);
            let sent = self.send_event(session, &namespace, how.id, name, args);
            sent.map(|()| self.metrics.events_out.add(1)).map_err(EmitError::from)
        };
        self.compress = true;
        sent
    }
}

/// Disconnecting.
impl Shard {
    /// What was attached to the socket when it was accepted.
    pub fn state(&self, socket: SocketKey) -> Result<Option<SocketState>, Gone> {
        self.with(|state| state.sockets.get(socket).map(|entry| entry.state.clone()).ok_or(Gone))
    }
}
