//! One client in one namespace, and whom it can speak to.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use yamabiko_protocol::http::Head;
use yamabiko_runtime::{
    AckError, EmitArgs, EmitError, EmitOptions, Gone, JoinError, NamespaceId, Shard, SocketKey,
    Target,
};

/// A client that is connected to a namespace, as a handler sees it. Clones are the same socket; one that
/// has disconnected refuses with [`Gone`], and keeping it keeps nothing of the connection alive.
///
/// **Per socket**: what [`Socket::set`] keeps. It lives on the socket's shard and needs no lock.
#[derive(Clone)]
pub struct Socket {
    shard: Shard,
    key: SocketKey,
    inner: Rc<Inner>,
}

/// What stays the same, or belongs to the application, as long as the socket lives.
pub(crate) struct Inner {
    id: String,
    namespace: NamespaceId,
    data: RefCell<HashMap<TypeId, Rc<dyn Any>>>,
}

impl Socket {
    pub(crate) fn new(shard: Shard, key: SocketKey, namespace: NamespaceId) -> Result<Self, Gone> {
        let id = shard.socket_id(key)?;
        let inner = Rc::new(Inner { id, namespace, data: RefCell::default() });
        Ok(Self { shard, key, inner })
    }

    pub(crate) fn with_inner(shard: Shard, key: SocketKey, inner: Rc<Inner>) -> Self {
        Self { shard, key, inner }
    }

    pub(crate) fn inner(&self) -> Rc<Inner> {
        Rc::clone(&self.inner)
    }

    pub(crate) fn key(&self) -> SocketKey {
        self.key
    }

    /// The socket's id, which is also the name of its own room.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// The number of the shard that owns the socket.
    pub fn shard(&self) -> u8 {
        self.shard.id()
    }

    /// Whether the socket is connected.
    pub fn connected(&self) -> bool {
        self.shard.is_connected(self.key)
    }

    /// The transport in use, `polling` or `websocket`.
    pub fn transport(&self) -> Result<&'static str, Gone> {
        self.shard.transport(self.key)
    }

    /// What is known of the client since its handshake.
    pub fn handshake(&self) -> Result<Handshake, Gone> {
        self.shard.handshake(self.key).map(Handshake)
    }

    /// Sends an event to this client. A tuple is several arguments.
    pub fn emit<T: EmitArgs + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        self.shard.emit(self.key, event, args, EmitOptions::default())
    }

    /// The same, but the event may be lost if the client is not ready for it right now.
    pub fn emit_volatile<T: EmitArgs + ?Sized>(
        &self,
        event: &str,
        args: &T,
    ) -> Result<(), EmitError> {
        self.shard.emit(self.key, event, args, EmitOptions { volatile: true })
    }

    /// Sends an event and waits for the client's answer, read as `R` (its first argument; a tuple for
    /// several is `R = (A, B)` with [`Socket::emit_with_acks`]). Without `timeout` it waits until the
    /// client answers or disconnects.
    pub fn emit_with_ack<R: DeserializeOwned + 'static>(
        &self,
        event: &str,
        args: &dyn EmitArgs,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<R, AckFailure>> + use<R> {
        self.ask(event, args, timeout, |args| args.parse_arg::<R>(0))
    }

    /// As [`Socket::emit_with_ack`], with all the answer's arguments as a tuple, or as
    /// [`RawArgs`](crate::RawArgs) by way of [`Socket::emit_with_raw_ack`].
    pub fn emit_with_acks<R: DeserializeOwned + 'static>(
        &self,
        event: &str,
        args: &dyn EmitArgs,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<R, AckFailure>> + use<R> {
        self.ask(event, args, timeout, |args| args.parse_tuple::<R>())
    }

    /// As [`Socket::emit_with_ack`], with the answer as it came.
    pub fn emit_with_raw_ack(
        &self,
        event: &str,
        args: &dyn EmitArgs,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<crate::RawArgs, AckFailure>> + use<> {
        self.ask(event, args, timeout, |args| Ok(crate::RawArgs::from(args)))
    }

    fn ask<R: 'static>(
        &self,
        event: &str,
        args: &dyn EmitArgs,
        timeout: Option<Duration>,
        read: fn(&crate::Args<'_>) -> Result<R, crate::ArgsError>,
    ) -> impl Future<Output = Result<R, AckFailure>> + use<R> {
        let (sender, receiver) = flume::bounded(1);
        let on_ack = move |answer: Result<&crate::Args<'_>, AckError>| {
            let _ = sender.send(match answer {
                Ok(args) => read(args).map_err(AckFailure::Type),
                Err(AckError::TimedOut) => Err(AckFailure::TimedOut),
                Err(AckError::Disconnected) => Err(AckFailure::Disconnected),
            });
        };
        let sent = self.shard.emit_with_ack(self.key, event, args, timeout, Box::new(on_ack));
        async move {
            sent.map_err(AckFailure::Emit)?;
            receiver.recv_async().await.unwrap_or(Err(AckFailure::Disconnected))
        }
    }

    /// Joins a room. When it returns, every broadcast to the room reaches this socket, from any core.
    pub fn join(&self, room: &str) -> Result<(), JoinError> {
        self.shard.join(self.key, room)
    }

    /// Leaves a room.
    pub fn leave(&self, room: &str) -> Result<(), Gone> {
        self.shard.leave(self.key, room)
    }

    /// The rooms this socket is in, its own first.
    pub fn rooms(&self) -> Result<Vec<String>, Gone> {
        self.shard.rooms(self.key)
    }

    /// Everybody in a room but this socket.
    pub fn to(&self, room: &str) -> Broadcast {
        self.broadcast().to(room)
    }

    /// Everybody in the namespace but this socket.
    pub fn broadcast(&self) -> Broadcast {
        self.everyone().except(&self.inner.id)
    }

    /// Everybody in the namespace, this socket among them.
    pub fn everyone(&self) -> Broadcast {
        Broadcast {
            shard: self.shard.clone(),
            namespace: self.inner.namespace,
            target: Target::default(),
        }
    }

    /// Takes the socket out of its namespace; the client will not reconnect by itself. `close` does so for
    /// all its namespaces and closes the connection.
    pub fn disconnect(&self, close: bool) -> Result<(), Gone> {
        self.shard.disconnect(self.key, close)
    }

    /// Keeps a value with this socket, one of each type; returns the one it replaces.
    pub fn set<T: 'static>(&self, value: T) -> Option<Rc<T>> {
        let old = self.inner.data.borrow_mut().insert(TypeId::of::<T>(), Rc::new(value));
        old.and_then(|old| old.downcast().ok())
    }

    /// The value of that type that was kept with this socket.
    pub fn get<T: 'static>(&self) -> Option<Rc<T>> {
        self.inner.data.borrow().get(&TypeId::of::<T>()).cloned().and_then(|it| it.downcast().ok())
    }

    /// Runs a future on this shard beside the handlers, for as long as it takes; a panic in it ends this
    /// socket and nothing else.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.shard.run(Some(self.key), future);
    }

    /// Waits.
    pub async fn sleep(&self, time: Duration) {
        self.shard.sleep(time).await;
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("id", &self.id()).field("shard", &self.shard()).finish()
    }
}

/// Many sockets of one namespace, on all cores. Each step returns a new one; a socket that is in several
/// of the rooms gets the event once.
#[derive(Clone)]
#[must_use = "a broadcast does nothing until `emit`"]
pub struct Broadcast {
    shard: Shard,
    namespace: NamespaceId,
    target: Target,
}

impl Broadcast {
    /// Members of this room, too. Without any room it is everybody.
    pub fn to(mut self, room: &str) -> Self {
        self.target.rooms.push(room.into());
        self
    }

    /// But not members of this room.
    pub fn except(mut self, room: &str) -> Self {
        self.target.except.push(room.into());
        self
    }

    /// It may be lost for clients that are not ready for it right now.
    pub fn volatile(mut self) -> Self {
        self.target.volatile = true;
        self
    }

    /// Sends the event. It is encoded once, and not at all if nobody is there.
    pub fn emit<T: EmitArgs + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        self.shard.broadcast(self.namespace, &self.target, event, args)
    }
}

/// What is known of a client since its handshake.
#[derive(Debug, Clone)]
pub struct Handshake(yamabiko_runtime::Handshake);

impl Handshake {
    /// The peer's address.
    pub fn address(&self) -> std::net::SocketAddr {
        self.0.address
    }

    /// When the session began, in milliseconds since 1970.
    pub fn issued(&self) -> u64 {
        self.0.issued_ms
    }

    /// The Engine.IO revision, 3 or 4.
    pub fn revision(&self) -> u8 {
        self.0.revision
    }

    /// What the client sent as `auth`, or `None` if it sent nothing that is a `T`.
    pub fn auth<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.0.auth.as_deref()?).ok()
    }

    /// A header of the handshake's request.
    pub fn header(&self, name: &str) -> Option<String> {
        Head::reparse(&self.0.head)?.header(name).map(String::from)
    }

    /// A parameter of the handshake's query string.
    pub fn query(&self, name: &str) -> Option<String> {
        Head::reparse(&self.0.head)?.query().get(name).map(Into::into)
    }
}

/// Why a client's answer did not come, or was not understood.
#[derive(Debug)]
pub enum AckFailure {
    /// The event could not be sent.
    Emit(EmitError),
    /// The time allowed has passed.
    TimedOut,
    /// The client disconnected first.
    Disconnected,
    /// The answer is not of the type that was asked for.
    Type(crate::ArgsError),
}

impl fmt::Display for AckFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AckFailure::Emit(error) => error.fmt(f),
            AckFailure::TimedOut => f.write_str("operation has timed out"),
            AckFailure::Disconnected => f.write_str("socket has been disconnected"),
            AckFailure::Type(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AckFailure {}
