//! What an application does with its sockets: the public face of the shard.

use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use yamabiko_protocol::engine::Revision;
use yamabiko_protocol::socket::encode;

use crate::application::{SocketKey, SocketState};
use crate::packet::{EmitArgs, EmitError, Gone};
use crate::room::Rooms;
use crate::session::SessionKey;
use crate::shard::{Shard, State, Timer};
use crate::socket::{AckCallback, AckError, Admission, Refusal};

/// How an event is sent to one socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EmitOptions {
    /// Drop it if the transport is not writable right now.
    pub volatile: bool,
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

impl Shard {
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

    /// The socket's id as its client knows it.
    pub fn socket_id(&self, socket: SocketKey) -> Result<String, Gone> {
        self.with(|state| {
            let entry = state.sockets.get(socket).ok_or(Gone)?;
            let name = &state.namespaces[usize::from(entry.namespace.0)].name;
            let revision = state.sessions.get(entry.session).map(|it| it.engine.revision());
            Ok(match revision {
                Some(Revision::V3) if &**name != "/" => format!("{name}#{}", entry.id),
                _ => entry.id.to_string(),
            })
        })
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
            state.emit(socket, session, None, name, args)
        })?;
        self.nudge();
        Ok(())
    }

    /// Sends an event and calls `on_ack` once: with the client's answer, or when `timeout` has passed,
    /// or when the socket disconnects.
    pub fn emit_with_ack<T: EmitArgs + ?Sized>(
        &self,
        socket: SocketKey,
        name: &str,
        args: &T,
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
            let namespace = &mut state.namespaces[usize::from(entry.namespace.0)];
            let id = namespace.next_ack;
            namespace.next_ack += 1;
            state.emit(socket, session, Some(id), name, args)?;
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
            state.send_written(session, |out, attachments| {
                args.write_ack(out, attachments, &namespace, id)
            })?;
            state.metrics.events_out.add(1);
            Ok::<_, EmitError>(())
        })?;
        self.nudge();
        Ok(())
    }

    /// Adds the socket to a room. When this returns, every broadcast of the node reaches it there.
    /// Joining twice is joining once; past `rooms_per_socket_max` it is an error.
    pub fn join(&self, socket: SocketKey, room: &str) -> Result<(), JoinError> {
        self.with(|state| {
            let entry = state.sockets.get(socket).ok_or(JoinError::Gone)?;
            // One that is not accepted yet may join, as in Node, but is sent nothing until it is.
            if matches!(entry.admission, Admission::Leaving) {
                return Err(JoinError::Gone);
            }
            if !Rooms::is_joinable(room) {
                return Err(JoinError::Name);
            }
            if state.rooms.key(entry.namespace, Some(room)).is_some_and(|key| entry.is_in(key)) {
                return Ok(());
            }
            if entry.memberships.len() > state.settings.limits.rooms_per_socket_max {
                return Err(JoinError::TooManyRooms);
            }
            let membership = state.rooms.join(entry.namespace, Some(room), socket);
            state.sockets[socket].memberships.push(membership);
            state.count_rooms();
            Ok(())
        })
    }

    /// Takes the socket out of a room.
    pub fn leave(&self, socket: SocketKey, room: &str) -> Result<(), Gone> {
        self.with(|state| {
            let entry = state.sockets.get_mut(socket).ok_or(Gone)?;
            let room = state.rooms.key(entry.namespace, Some(room));
            let place = entry.memberships.iter().position(|own| Some(own.room) == room);
            if let Some(place) = place {
                let membership = entry.memberships.swap_remove(place);
                state.leave_room(membership);
            }
            Ok(())
        })
    }

    /// The rooms the socket is in, its own id first.
    pub fn rooms(&self, socket: SocketKey) -> Result<Vec<String>, Gone> {
        let own = self.socket_id(socket)?;
        self.with(|state| {
            let entry = state.sockets.get(socket).ok_or(Gone)?;
            let names = entry.memberships.iter().filter_map(|own| state.rooms.name(own.room));
            Ok(std::iter::once(own).chain(names.map(String::from)).collect())
        })
    }

    /// Runs a future of the application: polled at once, and only if it has to wait does it become a
    /// task. A panic in it ends `socket`, if given, and nothing else.
    pub fn run(&self, socket: Option<SocketKey>, future: impl Future<Output = ()> + 'static) {
        let mut future = Box::pin(Caught(future));
        // Whatever this first look registers a waker with is looked at again by the task.
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(Panicked)) => self.handler_panicked(socket),
            Poll::Pending => {
                let shard = self.clone();
                self.0.metrics.tasks.add(1);
                glommio::spawn_local(async move {
                    if future.await.is_err() {
                        shard.handler_panicked(socket);
                    }
                    shard.0.metrics.tasks.sub(1);
                    shard.nudge();
                })
                .detach();
            }
        }
    }

    /// Waits for `time` on this shard.
    pub async fn sleep(&self, time: Duration) {
        glommio::timer::sleep(time).await;
    }
}

/// Why a socket could not join a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinError {
    /// The socket is no longer connected.
    Gone,
    /// Limit `rooms_per_socket_max`.
    TooManyRooms,
    /// The name is kept for the server's own use.
    Name,
}

impl std::fmt::Display for JoinError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            JoinError::Gone => "the socket is no longer connected",
            JoinError::TooManyRooms => {
                "the socket is in too many rooms (limit rooms_per_socket_max)"
            }
            JoinError::Name => "the room's name is reserved",
        })
    }
}

impl std::error::Error for JoinError {}

/// A future whose panics are caught.
struct Caught<F>(F);

struct Panicked;

impl<F: Future<Output = ()>> Future for Caught<F> {
    type Output = Result<(), Panicked>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the inner future is pinned with the outer one and never moved out of it.
        #[allow(unsafe_code)]
        let future = unsafe { self.map_unchecked_mut(|caught| &mut caught.0) };
        match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
            Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    }
}

impl State {
    /// The session of a connected socket.
    pub(crate) fn session_of(&self, socket: SocketKey) -> Result<SessionKey, Gone> {
        match self.sockets.get(socket) {
            Some(entry) if matches!(entry.admission, Admission::Accepted) => Ok(entry.session),
            _ => Err(Gone),
        }
    }

    pub(crate) fn namespace_name(&self, socket: SocketKey) -> std::rc::Rc<str> {
        let namespace = self.sockets[socket].namespace;
        self.namespaces[usize::from(namespace.0)].name.clone()
    }

    fn emit<T: EmitArgs + ?Sized>(
        &mut self,
        socket: SocketKey,
        session: SessionKey,
        id: Option<u64>,
        name: &str,
        args: &T,
    ) -> Result<(), EmitError> {
        let namespace = self.namespace_name(socket);
        self.send_written(session, |out, attachments| {
            args.write_event(out, attachments, &namespace, id, name)
        })?;
        self.metrics.events_out.add(1);
        Ok(())
    }

    pub(crate) fn count_rooms(&self) {
        let rooms = &self.metrics.rooms;
        rooms.sub(rooms.value());
        rooms.add(self.rooms.len() as u64);
    }
}

impl crate::socket::SocketEntry {
    fn is_in(&self, room: crate::room::RoomKey) -> bool {
        self.memberships.iter().any(|own| own.room == room)
    }
}

/// Disconnecting.
impl Shard {
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

    /// What was attached to the socket when it was accepted.
    pub fn state(&self, socket: SocketKey) -> Result<Option<SocketState>, Gone> {
        self.with(|state| state.sockets.get(socket).map(|entry| entry.state.clone()).ok_or(Gone))
    }
}
