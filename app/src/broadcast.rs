//! One event to many sockets: who is meant, step by step.

use yamabiko_runtime::{EmitArgs, EmitError, NamespaceId, Shard, Target};

/// Many sockets of one namespace, on all cores. Each step narrows or widens whom it means; a clone is a
/// starting point to be used again. A socket that is in several of the rooms gets the event once.
///
/// What one socket's handlers send to a room arrives in that order at each member.
#[derive(Clone)]
#[must_use = "a broadcast does nothing until `emit`"]
pub struct Broadcast {
    shard: Shard,
    namespace: NamespaceId,
    target: Target,
    /// Rooms were asked for, even if it was an empty list of them.
    is_in_rooms: bool,
}

impl Broadcast {
    /// The whole namespace.
    pub(crate) fn everyone(shard: Shard, namespace: NamespaceId) -> Self {
        Self { shard, namespace, target: Target::default(), is_in_rooms: false }
    }

    /// Members of this room, too. Without any room it is everybody. A socket's id is a room of its own.
    pub fn to(mut self, room: &str) -> Self {
        self.is_in_rooms = true;
        self.target.rooms.push(room.into());
        self
    }

    /// Members of these rooms, too. An empty list of rooms means nobody; in Node it means everybody, which
    /// has sent private messages to the world.
    pub fn to_rooms<R: Into<String>>(mut self, rooms: impl IntoIterator<Item = R>) -> Self {
        self.is_in_rooms = true;
        self.target.rooms.extend(rooms.into_iter().map(Into::into));
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

    /// Sends the event. A tuple is several arguments. It is encoded once, and not at all if nobody is there.
    ///
    /// # Errors
    /// The arguments cannot be JSON, or the event's name is reserved.
    pub fn emit<T: EmitArgs + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        if self.is_in_rooms && self.target.rooms.is_empty() {
            return Ok(());
        }
        self.shard.broadcast(self.namespace, &self.target, event, args)
    }
}
