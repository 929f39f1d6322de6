//! Sockets join rooms and leave them.

use std::rc::Rc;

use crate::application::{NamespaceId, RoomChange, SocketKey};
use crate::packet::Gone;
use crate::room::{Membership, RoomKey, Rooms};
use crate::shard::{Shard, State};
use crate::socket::{Admission, SocketEntry};

impl Shard {
    /// Adds the socket to a room. When this returns, every broadcast of the node reaches it there.
    /// Joining twice is joining once; past `rooms_per_socket_max` it is an error.
    pub fn join(&self, socket: SocketKey, room: &str) -> Result<(), JoinError> {
        let is_news = self.with(|state| {
            let entry = state.sockets.get(socket).ok_or(JoinError::Gone)?;
            // One that is not accepted yet may join, as in Node, but is sent nothing until it is.
            if matches!(entry.admission, Admission::Leaving) {
                return Err(JoinError::Gone);
            }
            if !Rooms::is_joinable(room) {
                return Err(JoinError::Name);
            }
            if state.rooms.key(entry.namespace, Some(room)).is_some_and(|key| entry.is_in(key)) {
                return Ok(false);
            }
            if entry.memberships.len() > state.settings.limits.rooms_per_socket_max {
                return Err(JoinError::TooManyRooms);
            }
            state.join_room(socket, room);
            Ok(!state.room_news.is_empty())
        })?;
        if is_news {
            self.tell_room_news();
        }
        Ok(())
    }

    /// Takes the socket out of a room.
    pub fn leave(&self, socket: SocketKey, room: &str) -> Result<(), Gone> {
        let is_news = self.with(|state| {
            let entry = state.sockets.get_mut(socket).ok_or(Gone)?;
            let room = state.rooms.key(entry.namespace, Some(room));
            let place = entry.memberships.iter().position(|own| Some(own.room) == room);
            if let Some(place) = place {
                let membership = entry.memberships.swap_remove(place);
                state.leave_room(socket, membership);
            }
            Ok(!state.room_news.is_empty())
        })?;
        if is_news {
            self.tell_room_news();
        }
        Ok(())
    }

    /// The rooms the socket is in, its own id first. One that has left is in none.
    pub fn rooms(&self, socket: SocketKey) -> Result<Vec<String>, Gone> {
        let own = self.socket_id(socket)?;
        self.with(|state| {
            let entry = state.sockets.get(socket).ok_or(Gone)?;
            if matches!(entry.admission, Admission::Leaving) && entry.memberships.is_empty() {
                return Ok(Vec::new());
            }
            let names = entry.memberships.iter().filter_map(|own| state.rooms.name(own.room));
            Ok(std::iter::once(own).chain(names.map(String::from)).collect())
        })
    }
}

/// Hearing of rooms.
impl Shard {
    /// Has the application told of the namespace's rooms on this shard from now on.
    pub fn watch_rooms(&self, namespace: NamespaceId) {
        self.with(|state| {
            if state.namespaces.get(namespace).is_some() {
                state.namespaces[namespace].watches_rooms = true;
            }
        });
    }

    /// Tells the application what has become of rooms. What it does to them then is told by itself.
    pub(crate) fn tell_room_news(&self) {
        for RoomNews { namespace, room, what } in
            self.with(|state| std::mem::take(&mut state.room_news))
        {
            let change = match &what {
                News::Created => RoomChange::Created,
                News::Joined(id) => RoomChange::Joined(id),
                News::Left(id) => RoomChange::Left(id),
                News::Deleted => RoomChange::Deleted,
            };
            self.guarded(None, || self.application().room(namespace, &room, change));
        }
    }
}

/// Something that the application has yet to be told of a room.
pub(crate) struct RoomNews {
    namespace: NamespaceId,
    room: Rc<str>,
    what: News,
}

/// A [`RoomChange`] that waits.
enum News {
    Created,
    Joined(String),
    Left(String),
    Deleted,
}

impl State {
    pub(crate) fn join_room(&mut self, socket: SocketKey, room: &str) {
        let namespace = self.sockets[socket].namespace;
        let is_watched = self.namespaces[namespace].watches_rooms;
        let is_new = is_watched && self.rooms.key(namespace, Some(room)).is_none();
        let membership = self.rooms.join(namespace, Some(room), socket);
        self.sockets[socket].memberships.push(membership);
        self.count_rooms();
        if is_watched {
            let room: Rc<str> = room.into();
            let id = self.id_of(socket).unwrap_or_default();
            if is_new {
                self.room_news.push(RoomNews {
                    namespace,
                    room: room.clone(),
                    what: News::Created,
                });
            }
            self.room_news.push(RoomNews { namespace, room, what: News::Joined(id) });
        }
    }

    /// Takes a member out of a room and tells the one who got its place.
    fn leave_room(&mut self, socket: SocketKey, membership: Membership) {
        let namespace = self.sockets[socket].namespace;
        let name = match self.namespaces[namespace].watches_rooms {
            true => self.rooms.name(membership.room).map(Rc::from),
            false => None,
        };
        if let Some((moved, place)) = self.rooms.leave(membership)
            && let Some(entry) = self.sockets.get_mut(moved)
            && let Some(own) = entry.memberships.iter_mut().find(|own| own.is_in(place))
        {
            own.moved(place);
        }
        self.count_rooms();
        if let Some(room) = name {
            let room: Rc<str> = room;
            let id = self.id_of(socket).unwrap_or_default();
            let is_over = self.rooms.size(membership.room) == 0;
            self.room_news.push(RoomNews { namespace, room: room.clone(), what: News::Left(id) });
            if is_over {
                self.room_news.push(RoomNews { namespace, room, what: News::Deleted });
            }
        }
    }

    /// Takes a socket out of all its rooms, its namespace and its own id among them.
    pub(crate) fn leave_rooms(&mut self, socket: SocketKey) {
        let Some(entry) = self.sockets.get_mut(socket) else { return };
        let own = (entry.namespace, entry.id);
        // The namespace was joined first, and the rooms in order.
        let mut memberships = std::mem::take(&mut entry.memberships);
        for membership in memberships.drain(..) {
            self.leave_room(socket, membership);
        }
        if self.socket_ids.get(&own) == Some(&socket) {
            self.socket_ids.remove(&own);
            self.metrics.sockets.sub(1);
        }
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
