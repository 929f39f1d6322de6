//! Sockets join rooms and leave them.

use crate::application::SocketKey;
use crate::packet::Gone;
use crate::room::{Membership, RoomKey, Rooms};
use crate::shard::{Shard, State};
use crate::socket::{Admission, SocketEntry};

impl Shard {
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
}

impl State {
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

    pub(crate) fn count_rooms(&self) {
        let rooms = &self.metrics.rooms;
        rooms.sub(rooms.value());
        rooms.add(self.rooms.len() as u64);
    }
}

impl SocketEntry {
    fn is_in(&self, room: RoomKey) -> bool {
        self.memberships.iter().any(|own| own.room == room)
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
