//! Sending to the clients of a cluster from a program that is no server.

use std::time::Duration;

use yamabiko_runtime::{EmitArgs, EmitterError, Operation, Redis};

use crate::app::with_slash;
use crate::whom::Whom;

/// Sends to the clients of a cluster from a program that is no server, from any thread: what
/// `@socket.io/redis-emitter` is for Node. Clones share one connection. The cluster's nodes may be ours or
/// Node's.
///
/// With the sharded adapter it reaches nodes, too, for which Node has no emitter.
///
/// ```no_run
/// use std::time::Duration;
/// use yamabiko::{Emitter, Redis};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emitter = Emitter::new(&Redis::at("redis://10.0.0.5"))?;
/// emitter.of("/shop").to("customer 7").emit("price", &("apple", 120))?;
/// emitter.of("/").sockets_leave(["night shift"])?;
/// // A program that ends now waits until it is said.
/// emitter.flush(Duration::from_secs(2))?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Emitter(yamabiko_runtime::Emitter);

/// Some sockets of a namespace, as an [`Emitter`] means them.
#[derive(Debug, Clone)]
#[must_use = "nothing is sent before `emit` or another verb"]
pub struct Addressed<'e> {
    emitter: &'e Emitter,
    namespace: String,
    whom: Whom,
}

impl Emitter {
    /// One for the cluster that meets there. Redis need not be there yet: what is sent meanwhile waits, up to
    /// 64 MiB.
    ///
    /// # Errors
    /// [`EmitterError::Address`].
    pub fn new(redis: &Redis) -> Result<Self, EmitterError> {
        yamabiko_runtime::Emitter::new(redis).map(Self)
    }

    /// Everybody in a namespace.
    pub fn of(&self, namespace: &str) -> Addressed<'_> {
        let namespace = with_slash(namespace);
        Addressed { emitter: self, namespace, whom: Whom::default() }
    }

    /// Waits until Redis has all that was sent by now.
    ///
    /// # Errors
    /// [`EmitterError::Unsent`]: Redis is away, or took not everything.
    pub fn flush(&self, patience: Duration) -> Result<(), EmitterError> {
        self.0.flush(patience)
    }
}

/// Who is meant.
impl Addressed<'_> {
    /// Members of this room, too. Without any room it is everybody. A socket's id is a room of its own.
    pub fn to(mut self, room: &str) -> Self {
        self.whom.to([room]);
        self
    }

    /// Members of these rooms, too. An empty list of rooms means nobody.
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

    /// Whether it may be compressed: yes, unless told.
    pub fn compress(mut self, may: bool) -> Self {
        self.whom.target.compress = may;
        self
    }
}

/// What is done to them.
impl Addressed<'_> {
    /// Sends them an event. A tuple is several arguments.
    ///
    /// # Errors
    /// [`EmitterError::Encode`], [`EmitterError::Full`].
    pub fn emit(&self, event: &str, args: &dyn EmitArgs) -> Result<(), EmitterError> {
        if self.whom.is_nobody() {
            return Ok(());
        }
        self.emitter.0.emit(&self.namespace, &self.whom.target, event, args)
    }

    /// Has them join rooms.
    ///
    /// # Errors
    /// [`EmitterError::Full`].
    pub fn sockets_join<R: Into<String>>(
        &self,
        rooms: impl IntoIterator<Item = R>,
    ) -> Result<(), EmitterError> {
        self.operate(Operation::Join(rooms.into_iter().map(Into::into).collect()))
    }

    /// Has them leave rooms.
    ///
    /// # Errors
    /// [`EmitterError::Full`].
    pub fn sockets_leave<R: Into<String>>(
        &self,
        rooms: impl IntoIterator<Item = R>,
    ) -> Result<(), EmitterError> {
        self.operate(Operation::Leave(rooms.into_iter().map(Into::into).collect()))
    }

    /// Takes them out of the namespace; with `close` closes their connections, too.
    ///
    /// # Errors
    /// [`EmitterError::Full`].
    pub fn disconnect_sockets(&self, close: bool) -> Result<(), EmitterError> {
        self.operate(Operation::Disconnect { close })
    }

    /// Sends an event to the namespace's applications on all servers, whomever else this means.
    ///
    /// # Errors
    /// [`EmitterError::Encode`], [`EmitterError::Full`].
    pub fn server_side_emit(&self, event: &str, args: &dyn EmitArgs) -> Result<(), EmitterError> {
        self.emitter.0.server_side_emit(&self.namespace, event, args)
    }

    fn operate(&self, operation: Operation) -> Result<(), EmitterError> {
        if self.whom.is_nobody() {
            return Ok(());
        }
        self.emitter.0.operate(&self.namespace, &self.whom.target, &operation)
    }
}
