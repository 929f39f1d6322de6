//! Many sockets at once: who is meant, step by step, and what is done to them.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use serde::de::DeserializeOwned;
use yamabiko_runtime::{EmitArgs, EmitError, Gathered, NamespaceId, Operation, Shard};

use crate::remote::Fetched;
use crate::responses::{AcksFailure, complete};
use crate::whom::Whom;

/// Many sockets of one namespace, on all cores: Socket.IO's `BroadcastOperator`. Each step narrows or widens
/// whom it means; a clone is a starting point to be used again. A socket that is in several of the rooms gets
/// the event once.
///
/// What one socket's handlers send to a room arrives in that order at each member.
///
/// ```
/// # use yamabiko::{Namespace, Socket};
/// Namespace::new().on("say", |socket: Socket, text: String| {
///     socket.to("lobby").except("muted").volatile().emit("said", &text)
/// });
/// ```
#[derive(Clone)]
#[must_use = "nothing is done before `emit` or another verb"]
pub struct Broadcast {
    shard: Shard,
    namespace: NamespaceId,
    whom: Whom,
}

/// Who is meant.
impl Broadcast {
    /// The whole namespace.
    pub(crate) fn everyone(shard: Shard, namespace: NamespaceId) -> Self {
        Self { shard, namespace, whom: Whom::default() }
    }

    /// Those of `whom`, and no others.
    pub(crate) fn of(mut self, whom: Whom) -> Self {
        self.whom = whom;
        self
    }

    /// Members of this room, too: Socket.IO's `to` and `in`. Without any room it is everybody. A socket's id
    /// is a room of its own.
    pub fn to(mut self, room: &str) -> Self {
        self.whom.to([room]);
        self
    }

    /// Members of these rooms, too. An empty list of rooms means nobody; in Node it means everybody, which
    /// has sent private messages to the world.
    pub fn to_rooms<R: Into<String>>(mut self, rooms: impl IntoIterator<Item = R>) -> Self {
        self.whom.to(rooms);
        self
    }

    /// But not members of this room.
    pub fn except(mut self, room: &str) -> Self {
        self.whom.except([room]);
        self
    }

    /// But not members of any of these rooms.
    pub fn except_rooms<R: Into<String>>(mut self, rooms: impl IntoIterator<Item = R>) -> Self {
        self.whom.except(rooms);
        self
    }

    /// It may be lost for clients that are not ready for it right now.
    pub fn volatile(mut self) -> Self {
        self.whom.target.volatile = true;
        self
    }

    /// Whether it may be compressed: yes, unless told. An answer to a poll with nothing in it that may be is
    /// sent as it is (`http-compression`). WebSockets are not compressed.
    pub fn compress(mut self, may: bool) -> Self {
        self.whom.target.compress = may;
        self
    }

    /// Sockets of this node only, on all its cores; also for what is asked of sockets or done to them. On a
    /// node without a cluster that is everybody anyway.
    pub fn local(mut self) -> Self {
        self.whom.target.local = true;
        self
    }

    /// How long to wait for what [`Self::emit_with_ack`] and [`Self::fetch_sockets`] ask for: 5 seconds
    /// unless told.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.whom.timeout = time;
        self
    }
}

/// What is done to them.
impl Broadcast {
    /// Sends the event. A tuple is several arguments. It is encoded once, and not at all if nobody is there.
    ///
    /// # Errors
    /// The arguments cannot be JSON, or the event's name is reserved.
    pub fn emit<T: EmitArgs + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        if self.whom.is_nobody() {
            return Ok(());
        }
        self.shard.broadcast(self.namespace, &self.whom.target, event, args)
    }

    /// Sends an event and waits for the first argument of each client's acknowledgement, in the order in
    /// which they come.
    ///
    /// # Errors
    /// [`AcksFailure`]: it could not be sent, or not everybody has answered; then with what was answered,
    /// and the ids of those who have not. A client that disconnects meanwhile is missing too, and is not
    /// waited for.
    pub fn emit_with_ack<R: DeserializeOwned + 'static>(
        &self,
        event: &str,
        args: &dyn EmitArgs,
    ) -> impl Future<Output = Result<Vec<R>, AcksFailure<R>>> + use<R> {
        let gathered = self.gather_acks(event, args);
        async move { complete(gathered.map_err(AcksFailure::Emit)?.await) }
    }

    pub(crate) fn gather_acks(
        &self,
        event: &str,
        args: &dyn EmitArgs,
    ) -> Result<impl Future<Output = Gathered> + use<>, EmitError> {
        let (done, gathered) = gathering();
        if self.whom.is_nobody() {
            done(Gathered::default());
        } else {
            let Whom { target, timeout, .. } = self.whom.clone();
            self.shard.emit_for_acks(self.namespace, target, event, args, timeout, done)?;
        }
        Ok(gathered)
    }

    /// Asks every core and every node which of these sockets it has.
    pub fn fetch_sockets(&self) -> impl Future<Output = Fetched> + use<> {
        let (done, gathered) = gathering();
        if self.whom.is_nobody() {
            done(Gathered::default());
        } else {
            let Whom { target, timeout, .. } = self.whom.clone();
            self.shard.fetch_sockets(self.namespace, target, timeout, done);
        }
        let (shard, namespace) = (self.shard.clone(), self.namespace);
        async move { Fetched::new(&shard, namespace, gathered.await) }
    }

    /// Has them join rooms: those of this core at once, others before they get anything that is sent from
    /// here later; those of other nodes when these hear of it.
    pub fn sockets_join<R: Into<String>>(&self, rooms: impl IntoIterator<Item = R>) {
        self.operate(Operation::Join(rooms.into_iter().map(Into::into).collect()));
    }

    /// Has them leave rooms.
    pub fn sockets_leave<R: Into<String>>(&self, rooms: impl IntoIterator<Item = R>) {
        self.operate(Operation::Leave(rooms.into_iter().map(Into::into).collect()));
    }

    /// Takes them out of the namespace; with `close` out of all of theirs, and closes their connections.
    pub fn disconnect_sockets(&self, close: bool) {
        self.operate(Operation::Disconnect { close });
    }

    fn operate(&self, operation: Operation) {
        if !self.whom.is_nobody() {
            self.shard.operate(self.namespace, &self.whom.target, operation);
        }
    }
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast").field("whom", &self.whom).finish_non_exhaustive()
    }
}

/// Two ends: one to be told what was gathered, one to wait for it.
pub(crate) fn gathering() -> (Box<dyn FnOnce(Gathered)>, impl Future<Output = Gathered> + use<>) {
    let (sender, receiver) = flume::bounded(1);
    let done = Box::new(move |gathered| {
        // Whoever asked may have stopped waiting.
        let _ = sender.send(gathered);
    });
    (done, async move { receiver.recv_async().await.unwrap_or_default() })
}
