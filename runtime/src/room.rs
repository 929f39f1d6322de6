//! Membership: which sockets of this shard are in which room of which namespace.
//!
//! A room exists while it has members. A namespace's sockets are a room too (the one without a name),
//! so a broadcast to everyone takes the same way. A socket's own id is a room by Socket.IO's rules but
//! needs no entry here: the id itself names its owner.

use std::collections::HashMap;
use std::sync::Arc;

use slotmap::SlotMap;

use crate::application::{NamespaceId, SocketKey};
use crate::cluster::Voice;
use crate::interest::{Directory, Interest, ShardSet};
use crate::registry::Card;

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

/// The rooms of one namespace.
struct Names {
    namespace: NamespaceId,
    card: Arc<Card>,
    rooms: HashMap<Arc<str>, RoomKey>,
}

/// All rooms of one shard.
pub(crate) struct Rooms {
    shard: u8,
    directory: Arc<Directory>,
    /// By slot. A namespace that was met no more has none.
    by_name: Vec<Option<Names>>,
    rooms: SlotMap<RoomKey, Room>,
    /// How many of them are namespaces themselves.
    everyones: usize,
    /// Rooms that are heard of for those who may come back.
    held: HashMap<(NamespaceId, Box<str>), Held>,
    /// Through which the node hears what others say to rooms.
    voice: Option<Arc<Voice>>,
}

/// A room that is held, and by how many.
struct Held {
    card: Arc<Card>,
    holders: usize,
}

/// The name under which a namespace's sockets are kept. No client or app can join a room of this name,
/// as their joins go through [`Rooms::is_joinable`].
pub(crate) const EVERYONE: &str = "\0everyone";

impl Rooms {
    pub(crate) fn new(shard: u8, directory: Arc<Directory>, voice: Option<Arc<Voice>>) -> Self {
        let (by_name, rooms, held) = (Vec::new(), SlotMap::with_key(), HashMap::new());
        Self { shard, directory, by_name, rooms, everyones: 0, held, voice }
    }

    /// Makes ready for rooms of a namespace, in the place of whatever had its slot before.
    pub(crate) fn begin(&mut self, card: &Arc<Card>) {
        let slot = card.id.slot();
        if self.names(card.id).is_some() {
            return;
        }
        if self.by_name.len() <= slot {
            self.by_name.resize_with(slot + 1, || None);
        }
        let names = Names { namespace: card.id, card: Arc::clone(card), rooms: HashMap::new() };
        let old = self.by_name[slot].replace(names);
        debug_assert!(old.is_none_or(|old| old.rooms.is_empty()), "it went with its last socket");
    }

    /// Whether `name` can be a room's name.
    pub(crate) fn is_joinable(name: &str) -> bool {
        name != EVERYONE
    }

    /// Rooms that have members, those of the namespaces themselves not counted.
    pub(crate) fn len(&self) -> usize {
        self.rooms.len() - self.everyones
    }

    /// The same for one namespace.
    pub(crate) fn len_of(&self, namespace: NamespaceId) -> usize {
        let Some(Names { rooms, .. }) = self.names(namespace) else { return 0 };
        rooms.len() - usize::from(rooms.contains_key(EVERYONE))
    }

    /// The room with members here that has this name, or the namespace itself for `None`.
    pub(crate) fn key(&self, namespace: NamespaceId, name: Option<&str>) -> Option<RoomKey> {
        self.names(namespace)?.rooms.get(name.unwrap_or(EVERYONE)).copied()
    }

    fn names(&self, namespace: NamespaceId) -> Option<&Names> {
        let names = self.by_name.get(namespace.slot())?.as_ref();
        names.filter(|names| names.namespace == namespace)
    }

    /// Members on this shard.
    pub(crate) fn size(&self, room: RoomKey) -> usize {
        self.rooms.get(room).map_or(0, |room| room.members.len())
    }

    /// Members on all shards of the node, of the namespace for `None`.
    pub(crate) fn node_size(&self, namespace: NamespaceId, name: Option<&str>) -> usize {
        match self.key(namespace, name) {
            Some(key) => self.rooms[key].interest.members(),
            None => self.directory.members(namespace, name.unwrap_or(EVERYONE)),
        }
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
        let key = match self.key(namespace, name) {
            Some(key) => key,
            None => self.open(namespace, name.unwrap_or(EVERYONE)),
        };
        let room = &mut self.rooms[key];
        room.members.push(socket);
        room.interest.count(1);
        Membership { room: key, index: room.members.len() as u32 - 1 }
    }

    fn open(&mut self, namespace: NamespaceId, name: &str) -> RoomKey {
        let (interest, is_first) = self.directory.enter(namespace, name, self.shard);
        let name: Arc<str> = name.into();
        let room = Room { namespace, name: Arc::clone(&name), members: Vec::new(), interest };
        let key = self.rooms.insert(room);
        let names = self.by_name[namespace.slot()].as_mut().expect("its first socket began it");
        match &*name {
            EVERYONE => self.everyones += 1,
            _ if is_first => names.card.count_room(),
            _ => {}
        }
        names.rooms.insert(Arc::clone(&name), key);
        let card = Arc::clone(&names.card);
        self.hear(&card, &name);
        key
    }

    /// Other nodes may say something to the room.
    fn hear(&self, card: &Card, room: &str) {
        if let Some(voice) = self.voice.as_ref().filter(|_| room != EVERYONE) {
            voice.begin_room(&card.name, room);
        }
    }

    /// This shard does not care any more.
    fn unhear(&self, card: &Card, room: &str) {
        if let Some(voice) = self.voice.as_ref().filter(|_| room != EVERYONE) {
            voice.end_room(&card.name, room);
        }
    }

    /// Removes a member. The last member takes its place: if there is one, its key is returned, and
    /// its own [`Membership`] must be told with [`Membership::moved`].
    pub(crate) fn leave(&mut self, membership: Membership) -> Option<(SocketKey, Membership)> {
        let room = self.rooms.get_mut(membership.room)?;
        room.members.swap_remove(membership.index as usize);
        room.interest.discount(1);
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
        let Some(room) = self.rooms.remove(key) else { return };
        let was_last = self.directory.exit(room.namespace, &room.name, self.shard);
        let names = self.by_name[room.namespace.slot()].as_mut().expect("it has had a room");
        match &*room.name {
            EVERYONE => self.everyones -= 1,
            _ if was_last => names.card.discount_room(),
            _ => {}
        }
        names.rooms.remove(&room.name);
        if names.rooms.is_empty() {
            names.rooms.shrink_to_fit();
        }
        let card = Arc::clone(&names.card);
        self.unhear(&card, &room.name);
    }

    /// Has this shard hear of a room (`None`: the namespace), whether it has members there or not, until
    /// that is [released](Self::release) as often as it was held.
    pub(crate) fn hold(&mut self, namespace: NamespaceId, name: Option<&str>) {
        let name = name.unwrap_or(EVERYONE);
        if let Some(held) = self.held.get_mut(&(namespace, Box::from(name))) {
            held.holders += 1;
            return;
        }
        let Some(card) = self.names(namespace).map(|names| Arc::clone(&names.card)) else { return };
        self.directory.hold(namespace, name, self.shard);
        self.hear(&card, name);
        self.held.insert((namespace, name.into()), Held { card, holders: 1 });
    }

    /// Takes back one [hold](Self::hold).
    pub(crate) fn release(&mut self, namespace: NamespaceId, name: Option<&str>) {
        let key = (namespace, Box::from(name.unwrap_or(EVERYONE)));
        let Some(held) = self.held.get_mut(&key) else { return };
        held.holders -= 1;
        if held.holders == 0
            && let Some(held) = self.held.remove(&key)
        {
            self.directory.release(namespace, &key.1, self.shard);
            self.unhear(&held.card, &key.1);
        }
    }

    /// Closes every room: the shard ends.
    pub(crate) fn close_all(&mut self) {
        for ((namespace, name), held) in std::mem::take(&mut self.held) {
            self.directory.release(namespace, &name, self.shard);
            self.unhear(&held.card, &name);
        }
        let keys: Vec<RoomKey> = self.rooms.keys().collect();
        for key in keys {
            let room = &mut self.rooms[key];
            room.interest.discount(room.members.len());
            self.close(key);
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
    use crate::registry::Registry;
    use slotmap::KeyData;

    const MAIN: NamespaceId = NamespaceId { slot: 0, generation: 0 };

    fn socket(n: u64) -> SocketKey {
        KeyData::from_ffi(n | 1 << 32).into()
    }

    fn members(rooms: &Rooms, name: Option<&str>) -> Vec<SocketKey> {
        let room = rooms.key(MAIN, name).unwrap_or_default();
        (0..rooms.size(room)).map(|index| rooms.member(room, index)).collect()
    }

    /// A shard's rooms in the main namespace.
    fn begun(shard: u8, directory: &Arc<Directory>, card: &Arc<Card>) -> Rooms {
        let mut rooms = Rooms::new(shard, Arc::clone(directory), None);
        rooms.begin(card);
        rooms
    }

    fn rooms() -> (Rooms, Arc<Directory>) {
        let directory = Arc::new(Directory::new());
        let card = Registry::new(0).declare("/").unwrap();
        (begun(5, &directory, &card), directory)
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

    #[test]
    fn members_and_rooms_are_counted_here_and_on_the_node() {
        let directory = Arc::new(Directory::new());
        let card = Registry::new(0).declare("/").unwrap();
        let [mut one, mut other] = [0, 1].map(|shard| begun(shard, &directory, &card));
        for n in 1..=3 {
            one.join(MAIN, None, socket(n));
            one.join(MAIN, Some("a"), socket(n));
        }
        other.join(MAIN, None, socket(1));
        let in_a = other.join(MAIN, Some("a"), socket(1));
        other.join(MAIN, Some("b"), socket(1));
        assert_eq!((one.node_size(MAIN, None), one.node_size(MAIN, Some("a"))), (4, 4));
        assert_eq!((one.node_size(MAIN, Some("b")), one.node_size(MAIN, Some("c"))), (1, 0));
        assert_eq!((one.len_of(MAIN), other.len_of(MAIN), card.rooms()), (1, 2, 2));
        other.leave(in_a);
        assert_eq!((one.node_size(MAIN, Some("a")), other.node_size(MAIN, Some("a"))), (3, 3));
        // A shard that dies takes its own along.
        one.close_all();
        assert_eq!((one.len(), one.len_of(MAIN), card.rooms()), (0, 0, 1));
        assert_eq!((other.node_size(MAIN, None), other.node_size(MAIN, Some("a"))), (1, 0));
        other.close_all();
        assert_eq!((card.rooms(), other.node_size(MAIN, None)), (0, 0));
        assert!(directory.look_up(MAIN, "b").is_empty());
    }

    #[test]
    fn the_rooms_of_a_namespace_that_is_no_more_are_nobodys() {
        let directory = Arc::new(Directory::new());
        let registry = Registry::new(1);
        let mut rooms = Rooms::new(0, directory, None);
        let old = registry.enter("/a", 0).unwrap();
        rooms.begin(&old);
        let place = rooms.join(old.id, Some("room"), socket(1));
        rooms.leave(place);
        registry.leave(old.id, 0);
        let new = registry.enter("/b", 0).unwrap();
        assert_eq!(new.id.slot(), old.id.slot());
        rooms.begin(&new);
        rooms.join(new.id, Some("room"), socket(2));
        assert!(rooms.key(new.id, Some("room")).is_some());
        assert_eq!(rooms.key(old.id, Some("room")), None);
        assert!(rooms.interested(old.id, Some("room")).is_empty());
        assert_eq!((rooms.len_of(old.id), rooms.node_size(old.id, Some("room"))), (0, 0));
    }
}
