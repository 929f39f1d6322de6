//! One client in one namespace, as handlers see it.

use std::any::{Any, TypeId};
use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use yamabiko_runtime::{
    EmitArgs, EmitError, EmitOptions, Gone, JoinError, RawArgs, Shard, SocketKey,
};

use crate::ArgsError;
use crate::answer::Reject;
use crate::broadcast::Broadcast;
use crate::data::EMPTY;
use crate::handshake::Handshake;
use crate::rare::Rare;
use crate::sending::Sending;
use crate::server::Core;
use crate::space::Space;

/// A client that is connected to a namespace, as a handler sees it. Clones are the same socket; one that
/// has disconnected refuses with [`Gone`], and keeping it keeps nothing of the connection alive.
///
/// **Per socket**: what [`Socket::set`] keeps. It lives on the socket's shard and needs no lock.
/// [`Socket::set_data`] keeps what other shards may read.
#[derive(Clone)]
pub struct Socket {
    pub(crate) shard: Shard,
    pub(crate) key: SocketKey,
    pub(crate) inner: Rc<Inner>,
}

/// What stays the same, or belongs to the application, as long as the socket lives.
pub(crate) struct Inner {
    id: Box<str>,
    pub(crate) space: Rc<Space>,
    /// One value of each type. There are few, so looking at each is quicker than hashing.
    kept: RefCell<Vec<(TypeId, Rc<dyn Any>)>>,
    is_recovered: Cell<bool>,
    rare: OnceCell<Box<Rare>>,
}

impl Inner {
    pub(crate) fn rare(&self) -> Option<&Rare> {
        self.rare.get().map(|rare| &**rare)
    }

    pub(crate) fn rare_or_new(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }
}

impl Socket {
    /// The socket's id, which is also the name of its own room.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// The name of the namespace it is in.
    pub fn namespace(&self) -> &str {
        &self.inner.space.name
    }

    /// The core that owns the socket, for what is not about it alone: other namespaces, counts.
    pub fn core(&self) -> Core {
        Core::new(self.shard.clone())
    }

    /// The number of the shard that owns the socket.
    pub fn shard(&self) -> u8 {
        self.shard.id()
    }

    /// Whether the socket is connected.
    pub fn connected(&self) -> bool {
        self.shard.is_connected(self.key)
    }

    /// Whether the client has come back in time and has its socket again: id, rooms, [data](Self::data) and
    /// the events that it missed. What [`Self::set`] kept is gone, as the socket may be on another core.
    /// Without `connection-state-recovery` this is never so.
    pub fn recovered(&self) -> bool {
        self.inner.is_recovered.get()
    }

    /// The transport in use, `polling` or `websocket`: Socket.IO's `socket.conn.transport.name`.
    ///
    /// # Errors
    /// The socket has disconnected.
    pub fn transport(&self) -> Result<&'static str, Gone> {
        self.shard.transport(self.key)
    }

    /// Whether its connection began with polling and is a WebSocket now: Socket.IO's `socket.conn.upgraded`.
    ///
    /// # Errors
    /// The socket has disconnected.
    pub fn upgraded(&self) -> Result<bool, Gone> {
        let began = self.handshake()?.query("transport");
        Ok(self.transport()? == "websocket" && began.as_deref() != Some("websocket"))
    }

    /// What is known of the client since its handshake, such as its address, its revision of the protocol and
    /// the headers that it sent: Socket.IO's `socket.handshake` and what else is of use of `socket.conn`.
    ///
    /// # Errors
    /// The socket has disconnected.
    pub fn handshake(&self) -> Result<Handshake, Gone> {
        self.shard.handshake(self.key).map(Handshake::new)
    }

    /// Takes the socket out of its namespace; the client will not reconnect by itself. `close` does so for
    /// all its namespaces and closes the connection.
    ///
    /// # Errors
    /// The socket has disconnected before.
    pub fn disconnect(&self, close: bool) -> Result<(), Gone> {
        self.shard.disconnect(self.key, close)
    }

    /// Waits.
    pub async fn sleep(&self, time: Duration) {
        self.shard.sleep(time).await;
    }
}

/// Sending to this client.
impl Socket {
    /// Sends an event to this client. A tuple is several arguments, and so is an array of fixed length; all
    /// else is one.
    ///
    /// # Errors
    /// The socket has disconnected, the arguments cannot be JSON, or the event's name is reserved.
    pub fn emit<T: EmitArgs + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        self.shard.emit(self.key, event, args, EmitOptions::default())
    }

    /// The same, but the event may be lost if the client is not ready for it right now.
    ///
    /// # Errors
    /// As [`Self::emit`].
    pub fn emit_volatile<T: EmitArgs + ?Sized>(
        &self,
        event: &str,
        args: &T,
    ) -> Result<(), EmitError> {
        self.volatile().emit(event, args)
    }

    /// Sends an event and waits for the client's answer, read as `R`: its first argument. For all of them
    /// there is [`Socket::emit_with_acks`]. Without `timeout` it waits until the client answers or
    /// disconnects. The event is sent by the call itself, not only when its result is awaited.
    ///
    /// ```no_run
    /// # use yamabiko::{AckFailure, Socket};
    /// # async fn ask(socket: Socket) -> Result<(), AckFailure> {
    /// let patience = Some(std::time::Duration::from_secs(5));
    /// let colour: String = socket.emit_with_ack("colour?", &(), patience).await?;
    /// # Ok(()) }
    /// ```
    pub fn emit_with_ack<R: DeserializeOwned + 'static>(
        &self,
        event: &str,
        args: &dyn EmitArgs,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<R, AckFailure>> + use<R> {
        Sending::of(self).for_at_most(timeout).emit_with_ack(event, args)
    }

    /// As [`Socket::emit_with_ack`], with all the answer's arguments as a tuple.
    pub fn emit_with_acks<R: DeserializeOwned + 'static>(
        &self,
        event: &str,
        args: &dyn EmitArgs,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<R, AckFailure>> + use<R> {
        Sending::of(self).for_at_most(timeout).emit_with_acks(event, args)
    }

    /// As [`Socket::emit_with_ack`], with the answer as it came.
    pub fn emit_with_raw_ack(
        &self,
        event: &str,
        args: &dyn EmitArgs,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<RawArgs, AckFailure>> + use<> {
        Sending::of(self).for_at_most(timeout).emit_with_raw_ack(event, args)
    }
}

/// Rooms, and sending to others.
impl Socket {
    /// Joins a room. When it returns, every broadcast to the room reaches this socket, from any core.
    ///
    /// # Errors
    /// The socket has disconnected, or is in `rooms-per-socket-max` rooms.
    pub fn join(&self, room: &str) -> Result<(), JoinError> {
        self.shard.join(self.key, room)
    }

    /// Leaves a room; one that it is not in makes no difference.
    ///
    /// # Errors
    /// The socket has disconnected.
    pub fn leave(&self, room: &str) -> Result<(), Gone> {
        self.shard.leave(self.key, room)
    }

    /// The rooms this socket is in, its own first. One that has disconnected is in none.
    ///
    /// # Errors
    /// The socket has disconnected.
    pub fn rooms(&self) -> Result<Vec<String>, Gone> {
        self.shard.rooms(self.key)
    }

    /// Everybody in a room but this socket.
    pub fn to(&self, room: &str) -> Broadcast {
        self.broadcast().to(room)
    }

    /// Everybody in any of these rooms but this socket. An empty list means nobody.
    pub fn to_rooms<R: Into<String>>(&self, rooms: impl IntoIterator<Item = R>) -> Broadcast {
        self.broadcast().to_rooms(rooms)
    }

    /// Everybody in the namespace but members of this room and this socket.
    pub fn except(&self, room: &str) -> Broadcast {
        self.broadcast().except(room)
    }

    /// Everybody in the namespace but members of these rooms and this socket.
    pub fn except_rooms<R: Into<String>>(&self, rooms: impl IntoIterator<Item = R>) -> Broadcast {
        self.broadcast().except_rooms(rooms)
    }

    /// Everybody in the namespace but this socket.
    pub fn broadcast(&self) -> Broadcast {
        self.everyone().except(&self.inner.id)
    }

    /// Everybody in the namespace, this socket among them: Socket.IO's `io`.
    pub fn everyone(&self) -> Broadcast {
        Broadcast::everyone(self.shard.clone(), self.inner.space.id)
    }
}

/// The application's own values of this socket, of any type. They are **of this core**: no other can read
/// them. Data for others is [`Socket::set_data`]'s.
impl Socket {
    /// Keeps a value with this socket, one of each type; returns the one it replaces. It lives as long as
    /// the socket is connected or somebody holds a [`Socket`], so one that holds this very socket would
    /// never go: keep the id instead.
    pub fn set<T: 'static>(&self, value: T) -> Option<Rc<T>> {
        let value: Rc<dyn Any> = Rc::new(value);
        let mut kept = self.inner.kept.borrow_mut();
        let old = match kept.iter_mut().find(|(of, _)| *of == TypeId::of::<T>()) {
            Some((_, old)) => std::mem::replace(old, value),
            None => {
                kept.push((TypeId::of::<T>(), value));
                return None;
            }
        };
        drop(kept);
        old.downcast().ok()
    }

    /// The value of that type that was kept with this socket.
    pub fn get<T: 'static>(&self) -> Option<Rc<T>> {
        let kept = self.inner.kept.borrow();
        let (_, value) = kept.iter().find(|(of, _)| *of == TypeId::of::<T>())?;
        Rc::clone(value).downcast().ok()
    }

    /// Forgets the value of that type and returns it.
    pub fn remove<T: 'static>(&self) -> Option<Rc<T>> {
        let mut kept = self.inner.kept.borrow_mut();
        let place = kept.iter().position(|(of, _)| *of == TypeId::of::<T>())?;
        let (_, value) = kept.swap_remove(place);
        drop(kept);
        value.downcast().ok()
    }
}

/// What only this crate does with a socket.
impl Socket {
    pub(crate) fn new(shard: Shard, key: SocketKey, space: Rc<Space>) -> Result<Self, Gone> {
        let id = shard.socket_id(key)?.into();
        let (kept, rare, is_recovered) = Default::default();
        Ok(Self { shard, key, inner: Rc::new(Inner { id, space, kept, is_recovered, rare }) })
    }

    /// Takes back what was kept of the socket, if its client has come back. Returns whether it passes the
    /// guards without being asked.
    pub(crate) fn recover(&self) -> bool {
        let Some(settings) = &self.shard.settings().connection_state_recovery else { return false };
        let Ok(Some(recovered)) = self.shard.recovered(self.key) else { return false };
        self.inner.is_recovered.set(true);
        if let Some(data) = recovered.data.filter(|data| &**data != EMPTY) {
            self.inner.rare_or_new().data.replace(Some(data));
        }
        settings.skip_middlewares
    }

    pub(crate) fn with_inner(shard: Shard, key: SocketKey, inner: Rc<Inner>) -> Self {
        Self { shard, key, inner }
    }

    /// Admits it to its namespace, with what the application keeps of it.
    pub(crate) fn accept(&self) -> Result<(), Gone> {
        let inner: Rc<Inner> = Rc::clone(&self.inner);
        self.shard.accept(self.key, Some(inner))
    }

    /// Runs a future on this shard beside the handlers, for as long as it takes; a panic in it ends this
    /// socket and nothing else. It is polled at once, and is a task only if it has to wait.
    pub(crate) fn run(&self, future: impl Future<Output = ()> + 'static) {
        self.shard.run(Some(self.key), future);
    }

    /// Lets go of what its listeners captured and its actors hold, which may be the socket itself.
    pub(crate) fn close(&self) {
        if let Some(rare) = self.inner.rare() {
            rare.close();
        }
    }

    pub(crate) fn refuse(&self, reject: &Reject) {
        self.shard.refuse(self.key, reject.message(), reject.data());
    }

    pub(crate) fn acknowledge<T: EmitArgs>(&self, id: u64, args: &T) -> Result<(), EmitError> {
        self.shard.acknowledge(self.key, id, args)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("id", &self.id()).field("shard", &self.shard()).finish()
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
    /// The client's fault: the answer is not of the type that was asked for.
    Type(ArgsError),
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
