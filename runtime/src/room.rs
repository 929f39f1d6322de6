//! Membership: which sockets of this shard are in which room of which namespace.
//!
//! A room exists while it has members. A namespace's sockets are a room too (the one without a name),
//! so a broadcast to everyone takes the same way. A socket's own id is a room by Socket.IO's rules but
//! needs no entry here: the id itself names its owner.

use std::collections::HashMap;
use std::sync::Arc;

use slotmap::SlotMap;

use crate::application::{NamespaceId, SocketKey};
use crate::interest::{Directory, Interest, ShardSet};

slotmap::new_key_type! {
    /// Names one room of this shard.
    pub(crate) struct RoomKey;
}

/// A socket's place in one room: kept by the socket, so that leaving needs no search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) room: RoomKey,
    index: u32,
}

/// One room's members on this shard.
struct Room {
    namespace: NamespaceId,
    name: Arc<str>,
    members: Vec<SocketKey>,
    interest: Arc<Interest>,
}

/// All rooms of one shard.
pub(crate) struct Rooms {
    shard: u8,
    directory: Arc<Directory>,
    by_name: Vec<HashMap<Arc<str>, RoomKey>>,
    rooms: SlotMap<RoomKey, Room>,
}

/// The name under which a namespace's sockets are kept. No client or app can join a room of this name,
/// as their joins go through [`Rooms::is_joinable`].
const EVERYONE: &str = "\0everyone";

impl Rooms {
    pub(crate) fn new(shard: u8, namespaces: usize, directory: Arc<Directory>) -> Self {
        Self {
            shard,
            directory,
            by_name: (0..namespaces).map(|_| HashMap::new()).collect(),
            rooms: SlotMap::with_key(),
        }
    }

    /// Whether `name` can be a room's name.
    pub(crate) fn is_joinable(name: &str) -> bool {
        name != EVERYONE
    }

    /// Rooms that have members, those of the namespaces themselves not counted.
    pub(crate) fn len(&self) -> usize {
        let everyone = self.by_name.iter().filter(|names| names.contains_key(EVERYONE)).count();
        self.rooms.len() - everyone
    }

    /// The room with members here that has this name, or the namespace itself for `None`.
    pub(crate) fn key(&self, namespace: NamespaceId, name: Option<&str>) -> Option<RoomKey> {
        self.by_name[usize::from(namespace.0)].get(name.unwrap_or(EVERYONE)).copied()
    }

    /// Members on this shard.
    pub(crate) fn size(&self, room: RoomKey) -> usize {
        self.rooms.get(room).map_or(0, |room| room.members.len())
    }

    /// The member at `index`, which must be below [`Self::size`].
    pub(crate) fn member(&self, room: RoomKey, index: usize) -> SocketKey {
        self.rooms[room].members[index]
    }

    /// All shards of the node with members in the room, or in the namespace for `None`.
    pub(crate) fn interested(&self, namespace: NamespaceId, name: Option<&str>) -> ShardSet {
        match self.key(namespace, name) {
            Some(key) => self.rooms[key].interest.shards(),
            None => self.directory.look_up(namespace, name.unwrap_or(EVERYONE)),
        }
    }

    pub(crate) fn name(&self, room: RoomKey) -> Option<&str> {
        self.rooms.get(room).map(|room| &*room.name).filter(|name| *name != EVERYONE)
    }

    /// Adds a socket that is not yet in the room (`None`: the namespace).
    pub(crate) fn join(
        &mut self,
        namespace: NamespaceId,
        name: Option<&str>,
        socket: SocketKey,
    ) -> Membership {
        let room = match self.key(namespace, name) {
            Some(room) => room,
            None => self.open(namespace, name.unwrap_or(EVERYONE)),
        };
        let members = &mut self.rooms[room].members;
        members.push(socket);
        Membership { room, index: members.len() as u32 - 1 }
    }

    fn open(&mut self, namespace: NamespaceId, name: &str) -> RoomKey {
        let interest = self.directory.enter(namespace, name, self.shard);
        let name: Arc<str> = name.into();
        let room = Room { namespace, name: Arc::clone(&name), members: Vec::new(), interest };
        let key = self.rooms.insert(room);
        self.by_name[usize::from(namespace.0)].insert(name, key);
        key
    }

    /// Removes a member. The last member takes its place: if there is one, its key is returned, and
    /// its own [`Membership`] must be told with [`Membership::moved`].
    pub(crate) fn leave(&mut self, membership: Membership) -> Option<(SocketKey, Membership)> {
        let room = self.rooms.get_mut(membership.room)?;
        room.members.swap_remove(membership.index as usize);
        if room.members.is_empty() {
            self.close(membership.room);
            return None;
        }
        if room.members.capacity() > 64 && room.members.len() < room.members.capacity() / 4 {
            room.members.shrink_to(room.members.len() * 2);
        }
        room.members.get(membership.index as usize).map(|moved| (*moved, membership))
    }

    fn close(&mut self, key: RoomKey) {
        if let Some(room) = self.rooms.remove(key) {
            let names = &mut self.by_name[usize::from(room.namespace.0)];
            names.remove(&room.name);
            if names.is_empty() {
                names.shrink_to_fit();
            }
            self.directory.exit(room.namespace, &room.name, self.shard);
        }
    }
}

impl Membership {
    /// Whether both are places in the same room.
    pub(crate) fn is_in(&self, place: Membership) -> bool {
        self.room == place.room
    }

    /// Takes the place in the same room that another member's leaving gave to this one.
    pub(crate) fn moved(&mut self, place: Membership) {
        debug_assert_eq!(self.room, place.room);
        self.index = place.index;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotmap::KeyData;

    const MAIN: NamespaceId = NamespaceId(0);

    fn socket(n: u64) -> SocketKey {
        KeyData::from_ffi(n | 1 << 32).into()
    }

    fn members(rooms: &Rooms, name: Option<&str>) -> Vec<SocketKey> {
        let room = rooms.key(MAIN, name).unwrap_or_default();
        (0..rooms.size(room)).map(|index| rooms.member(room, index)).collect()
    }

    fn rooms() -> (Rooms, Arc<Directory>) {
        let directory = Arc::new(Directory::new());
        (Rooms::new(5, 1, Arc::clone(&directory)), directory)
    }

    #[test]
    fn leaving_in_any_order_keeps_the_others() {
        let (mut rooms, directory) = rooms();
        let mut places: Vec<_> =
            (1..=5).map(|n| (socket(n), rooms.join(MAIN, Some("a"), socket(n)))).collect();
        for leaver in [3, 5, 1, 2, 4] {
            let index = places.iter().position(|(key, _)| *key == socket(leaver)).unwrap();
            let (_, membership) = places.remove(index);
            if let Some((moved, place)) = rooms.leave(membership) {
                let other = places.iter_mut().find(|(key, _)| *key == moved).unwrap();
                other.1.moved(place);
            }
            let mut left = members(&rooms, Some("a"));
            let mut expected: Vec<_> = places.iter().map(|(key, _)| *key).collect();
            left.sort();
            expected.sort();
            assert_eq!(left, expected);
        }
        assert_eq!(rooms.len(), 0);
        assert!(directory.look_up(MAIN, "a").is_empty());
    }

    #[test]
    fn interest_is_registered_before_join_returns_and_cleared_with_the_last_member() {
        let (mut rooms, directory) = rooms();
        let first = rooms.join(MAIN, Some("a"), socket(1));
        assert_eq!(directory.look_up(MAIN, "a"), ShardSet::only(5));
        assert_eq!(rooms.interested(MAIN, Some("a")), ShardSet::only(5));
        assert_eq!(rooms.leave(first), None);
        assert!(rooms.interested(MAIN, Some("a")).is_empty());
    }

    #[test]
    fn the_namespace_is_a_room_without_a_name() {
        let (mut rooms, _) = rooms();
        let place = rooms.join(MAIN, None, socket(1));
        assert_eq!(members(&rooms, None), [socket(1)]);
        assert_eq!(rooms.name(place.room), None);
        assert_eq!(rooms.len(), 0);
        assert!(!Rooms::is_joinable(EVERYONE));
    }
}
