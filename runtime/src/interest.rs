//! The node-wide directory of interest: which shards have members in a room.
//!
//! It is locked only when a shard's first member joins a room or its last one leaves; a broadcast from a
//! shard that has members itself reads one atomic word. A shard's bit is set before `join` returns, so a
//! broadcast that follows a join sees it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::application::NamespaceId;
use crate::room::EVERYONE;

/// Shards of one node at most: the owner part of an id has eight bits for them.
pub const SHARDS_MAX: usize = 256;
const WORDS: usize = SHARDS_MAX / 64;
const STRIPES: usize = 64;

/// The shards interested in one room, and how many members they have together.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    words: [AtomicU64; WORDS],
    members: AtomicUsize,
}

/// A set of shards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ShardSet([u64; WORDS]);

type Key = (NamespaceId, Box<str>);
type Stripe = Mutex<HashMap<Key, Entry>>;

/// What the directory knows of one room. A shard is interested if it is in either set.
#[derive(Debug, Default)]
struct Entry {
    interest: Arc<Interest>,
    /// Shards that have members there.
    inhabited: ShardSet,
    /// Shards that want to hear of it for those who may come back.
    held: ShardSet,
}

/// All rooms of a node that have members.
pub(crate) struct Directory {
    hasher: RandomState,
    stripes: Box<[Stripe]>,
}

impl Directory {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            stripes: (0..STRIPES).map(|_| Stripe::default()).collect(),
        }
    }

    /// Registers that `shard` has members in the room from now on. Returns also whether it is the first.
    pub(crate) fn enter(
        &self,
        namespace: NamespaceId,
        room: &str,
        shard: u8,
    ) -> (Arc<Interest>, bool) {
        let key = (namespace, Box::from(room));
        let mut stripe = self.stripe(&key);
        let entry = stripe.entry(key).or_default();
        let is_first = entry.inhabited.is_empty();
        entry.inhabited = entry.inhabited.union(ShardSet::only(shard));
        entry.interest.set(shard);
        (Arc::clone(&entry.interest), is_first)
    }

    /// Registers that `shard` has no members in the room any more. Returns whether it was the last.
    pub(crate) fn exit(&self, namespace: NamespaceId, room: &str, shard: u8) -> bool {
        let key = (namespace, Box::from(room));
        let mut stripe = self.stripe(&key);
        let Some(entry) = stripe.get_mut(&key) else { return false };
        entry.inhabited = entry.inhabited.without(shard);
        let was_last = entry.inhabited.is_empty();
        if entry.settle(shard) {
            stripe.remove(&key);
        }
        was_last
    }

    /// Registers that `shard` wants to hear of the room, with or without members.
    pub(crate) fn hold(&self, namespace: NamespaceId, room: &str, shard: u8) {
        let key = (namespace, Box::from(room));
        let mut stripe = self.stripe(&key);
        let entry = stripe.entry(key).or_default();
        entry.held = entry.held.union(ShardSet::only(shard));
        entry.interest.set(shard);
    }

    /// Registers that `shard` wants to hear of the room no longer than it has members.
    pub(crate) fn release(&self, namespace: NamespaceId, room: &str, shard: u8) {
        let key = (namespace, Box::from(room));
        let mut stripe = self.stripe(&key);
        let Some(entry) = stripe.get_mut(&key) else { return };
        entry.held = entry.held.without(shard);
        if entry.settle(shard) {
            stripe.remove(&key);
        }
    }

    /// How many members a room has that the asking shard does not know itself.
    pub(crate) fn members(&self, namespace: NamespaceId, room: &str) -> usize {
        let key = (namespace, Box::from(room));
        self.stripe(&key).get(&key).map_or(0, |entry| entry.interest.members())
    }

    /// The names of a namespace's rooms that have members on any shard.
    pub(crate) fn rooms(&self, namespace: NamespaceId) -> Vec<String> {
        let mut names = Vec::new();
        for stripe in &self.stripes {
            let stripe = stripe.lock().unwrap_or_else(PoisonError::into_inner);
            let inhabited = stripe.iter().filter(|(_, entry)| !entry.inhabited.is_empty());
            let ours = inhabited.filter(|((of, name), _)| *of == namespace && &**name != EVERYONE);
            names.extend(ours.map(|((_, name), _)| name.to_string()));
        }
        names
    }

    /// Who is interested in a room that the asking shard does not know itself.
    pub(crate) fn look_up(&self, namespace: NamespaceId, room: &str) -> ShardSet {
        let key = (namespace, Box::from(room));
        self.stripe(&key).get(&key).map(|entry| entry.interest.shards()).unwrap_or_default()
    }

    fn stripe(&self, key: &Key) -> std::sync::MutexGuard<'_, HashMap<Key, Entry>> {
        let index = self.hasher.hash_one(key) as usize % STRIPES;
        // A panic cannot leave a stripe half-changed: each change is one insert, remove or bit.
        self.stripes[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Ends the shard's interest if neither set has it; returns whether nobody is interested any more.
    fn settle(&self, shard: u8) -> bool {
        let interested = self.inhabited.union(self.held);
        if !interested.contains(shard) {
            self.interest.clear(shard);
        }
        interested.is_empty()
    }
}

impl Interest {
    fn set(&self, shard: u8) {
        self.words[usize::from(shard) / 64].fetch_or(1 << (shard % 64), Ordering::SeqCst);
    }

    fn clear(&self, shard: u8) {
        self.words[usize::from(shard) / 64].fetch_and(!(1 << (shard % 64)), Ordering::SeqCst);
    }

    /// Counts members in. The sum is nobody's own, so that asking for it needs no other shard.
    pub(crate) fn count(&self, members: usize) {
        self.members.fetch_add(members, Ordering::Relaxed);
    }

    /// Counts members out.
    pub(crate) fn discount(&self, members: usize) {
        self.members.fetch_sub(members, Ordering::Relaxed);
    }

    /// Members on all shards.
    pub(crate) fn members(&self) -> usize {
        self.members.load(Ordering::Relaxed)
    }

    pub(crate) fn shards(&self) -> ShardSet {
        ShardSet(std::array::from_fn(|word| self.words[word].load(Ordering::SeqCst)))
    }
}

impl ShardSet {
    pub(crate) fn only(shard: u8) -> Self {
        let mut set = Self::default();
        set.0[usize::from(shard) / 64] = 1 << (shard % 64);
        set
    }

    pub(crate) fn contains(&self, shard: u8) -> bool {
        self.0[usize::from(shard) / 64] >> (shard % 64) & 1 == 1
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    pub(crate) fn without(self, shard: u8) -> Self {
        let other = Self::only(shard);
        Self(std::array::from_fn(|word| self.0[word] & !other.0[word]))
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u8> {
        (0..WORDS).flat_map(move |word| {
            let mut bits = self.0[word];
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros())?;
                bits &= bits - 1;
                Some((word as u32 * 64 + bit) as u8)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: NamespaceId = NamespaceId { slot: 1, generation: 0 };
    const OTHER: NamespaceId = NamespaceId { slot: 2, generation: 0 };
    const AGAIN: NamespaceId = NamespaceId { slot: 1, generation: 1 };

    #[test]
    fn a_room_is_known_while_any_shard_has_members() {
        let directory = Directory::new();
        assert!(directory.enter(CHAT, "lobby", 0).1);
        let (interest, is_first) = directory.enter(CHAT, "lobby", 200);
        assert!(!is_first);
        assert_eq!(interest.shards().iter().collect::<Vec<_>>(), [0, 200]);
        assert!(directory.look_up(OTHER, "lobby").is_empty());
        assert!(directory.look_up(AGAIN, "lobby").is_empty());
        assert!(!directory.exit(CHAT, "lobby", 0));
        assert_eq!(directory.look_up(CHAT, "lobby"), ShardSet::only(200));
        assert!(directory.exit(CHAT, "lobby", 200));
        assert!(directory.look_up(CHAT, "lobby").is_empty());
        assert!(directory.stripes.iter().all(|stripe| stripe.lock().unwrap().is_empty()));
    }

    #[test]
    fn a_room_that_is_held_is_heard_of_without_members() {
        let directory = Directory::new();
        directory.enter(CHAT, "lobby", 3);
        directory.hold(CHAT, "lobby", 3);
        assert!(directory.exit(CHAT, "lobby", 3), "nobody is there");
        assert_eq!(directory.look_up(CHAT, "lobby"), ShardSet::only(3));
        assert!(directory.enter(CHAT, "lobby", 4).1, "the first who is there");
        directory.release(CHAT, "lobby", 3);
        assert_eq!(directory.look_up(CHAT, "lobby"), ShardSet::only(4));
        directory.hold(CHAT, "lobby", 4);
        directory.release(CHAT, "lobby", 4);
        assert_eq!(directory.look_up(CHAT, "lobby"), ShardSet::only(4));
        directory.exit(CHAT, "lobby", 4);
        assert!(directory.stripes.iter().all(|stripe| stripe.lock().unwrap().is_empty()));
    }

    #[test]
    fn members_are_counted_over_all_shards() {
        let directory = Directory::new();
        let [(one, _), (other, _)] = [0, 1].map(|shard| directory.enter(CHAT, "lobby", shard));
        one.count(1);
        other.count(1);
        other.count(1);
        assert_eq!((one.members(), directory.members(CHAT, "lobby")), (3, 3));
        one.discount(1);
        directory.exit(CHAT, "lobby", 0);
        assert_eq!(directory.members(CHAT, "lobby"), 2);
        assert_eq!(directory.members(OTHER, "lobby"), 0);
    }

    #[test]
    fn sets_of_shards_are_sets() {
        let set = ShardSet::only(3).union(ShardSet::only(64)).union(ShardSet::only(255));
        assert_eq!(set.iter().collect::<Vec<_>>(), [3, 64, 255]);
        assert_eq!(set.without(64).iter().collect::<Vec<_>>(), [3, 255]);
    }
}
