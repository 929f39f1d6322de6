//! The node-wide registry of namespaces: their names, and the ids by which all shards mean them.
//!
//! It is locked when a shard meets a name, and when it begins or ends to have sockets there, never for a
//! message: shards keep what they have met in their [`Catalog`](crate::catalog::Catalog).
//!
//! Namespaces that the application has declared stay. Others come with the first client that asks for them.
//! They go when no shard has a socket there any more, unless one was admitted and they are to stay; so who
//! is refused leaves nothing behind.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::application::NamespaceId;
use crate::interest::ShardSet;

/// Namespaces of one node at most, declared or not: ids have sixteen bits for them.
pub(crate) const NAMESPACES_MAX: usize = 1 << 16;

/// What the shards know of one namespace together.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) id: NamespaceId,
    pub(crate) name: Arc<str>,
    is_gone: AtomicBool,
    /// Rooms that have members on any shard.
    rooms: AtomicUsize,
}

/// There are as many namespaces as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// All namespaces of a node.
pub(crate) struct Registry {
    entries: Mutex<Entries>,
    dynamic_max: usize,
}

#[derive(Default)]
struct Entries {
    by_name: HashMap<Arc<str>, u16>,
    slots: Vec<Slot>,
    free: Vec<u16>,
    dynamic: usize,
}

/// A place for one namespace after another, told apart by their generation.
#[derive(Default)]
struct Slot {
    generation: u32,
    entry: Option<Entry>,
}

struct Entry {
    card: Arc<Card>,
    /// The shards that have sockets there.
    users: ShardSet,
    /// It stays without users.
    stays: bool,
    /// It was not declared, so it counts against the limit.
    is_dynamic: bool,
}

impl Registry {
    /// A registry for at most so many namespaces that were not declared.
    pub(crate) fn new(dynamic_max: usize) -> Self {
        Self { entries: Mutex::default(), dynamic_max }
    }

    /// Registers a namespace that stays for good.
    pub(crate) fn declare(&self, name: &str) -> Result<Arc<Card>, Full> {
        let mut entries = self.lock();
        let slot = match entries.by_name.get(name).copied() {
            Some(slot) => slot,
            None => entries.add(name)?,
        };
        let was_dynamic = {
            let entry = entries.entry_mut(slot);
            entry.stays = true;
            std::mem::take(&mut entry.is_dynamic)
        };
        entries.dynamic -= usize::from(was_dynamic);
        Ok(Arc::clone(&entries.entry_mut(slot).card))
    }

    /// Registers that `shard` has sockets there from now on. The namespace comes into being if need be.
    pub(crate) fn enter(&self, name: &str, shard: u8) -> Result<Arc<Card>, Full> {
        let mut entries = self.lock();
        let slot = match entries.by_name.get(name).copied() {
            Some(slot) => slot,
            None if entries.dynamic >= self.dynamic_max => return Err(Full),
            None => {
                let slot = entries.add(name)?;
                entries.entry_mut(slot).is_dynamic = true;
                entries.dynamic += 1;
                slot
            }
        };
        let entry = entries.entry_mut(slot);
        entry.users = entry.users.union(ShardSet::only(shard));
        Ok(Arc::clone(&entry.card))
    }

    /// Lets a namespace stay when its last socket leaves.
    pub(crate) fn keep(&self, id: NamespaceId) {
        if let Some(entry) = self.lock().get(id) {
            entry.stays = true;
        }
    }

    /// Registers that `shard` has no sockets there any more.
    pub(crate) fn leave(&self, id: NamespaceId, shard: u8) {
        self.lock().leave(id, shard);
    }

    /// Registers that `shard` has no sockets anywhere.
    pub(crate) fn forget(&self, shard: u8) {
        let mut entries = self.lock();
        let cards = entries.slots.iter().filter_map(|slot| slot.entry.as_ref());
        let ids: Vec<_> = cards.map(|entry| entry.card.id).collect();
        for id in ids {
            entries.leave(id, shard);
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Card>> {
        let mut entries = self.lock();
        let slot = *entries.by_name.get(name)?;
        Some(Arc::clone(&entries.entry_mut(slot).card))
    }

    /// The names of all namespaces there are, in no order.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.lock().by_name.keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Whatever panicked under the lock was out of memory at most, which does not unwind.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn add(&mut self, name: &str) -> Result<u16, Full> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() >= NAMESPACES_MAX => return Err(Full),
            None => {
                self.slots.push(Slot::default());
                (self.slots.len() - 1) as u16
            }
        };
        let Slot { generation, entry } = &mut self.slots[usize::from(slot)];
        let name: Arc<str> = name.into();
        let card = Arc::new(Card {
            id: NamespaceId { slot, generation: *generation },
            name: Arc::clone(&name),
            is_gone: AtomicBool::new(false),
            rooms: AtomicUsize::new(0),
        });
        *entry = Some(Entry { card, users: ShardSet::default(), stays: false, is_dynamic: false });
        self.by_name.insert(name, slot);
        Ok(slot)
    }

    /// The entry of a slot that is in use.
    fn entry_mut(&mut self, slot: u16) -> &mut Entry {
        self.slots[usize::from(slot)].entry.as_mut().expect("a name leads to a slot in use")
    }

    fn get(&mut self, id: NamespaceId) -> Option<&mut Entry> {
        let entry = self.slots.get_mut(id.slot())?.entry.as_mut()?;
        (entry.card.id == id).then_some(entry)
    }

    fn leave(&mut self, id: NamespaceId, shard: u8) {
        let Some(entry) = self.get(id) else { return };
        entry.users = entry.users.without(shard);
        if entry.stays || !entry.users.is_empty() {
            return;
        }
        entry.card.is_gone.store(true, Ordering::Release);
        let (name, is_dynamic) = (Arc::clone(&entry.card.name), entry.is_dynamic);
        self.dynamic -= usize::from(is_dynamic);
        self.by_name.remove(&name);
        let slot = &mut self.slots[id.slot()];
        slot.entry = None;
        // A slot is given up before one of its ids could come again.
        if let Some(generation) = slot.generation.checked_add(1) {
            slot.generation = generation;
            self.free.push(id.slot);
        }
    }
}

impl Card {
    /// Whether the namespace is no more. Another of that name has another id.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    /// Rooms that have members on any shard.
    pub(crate) fn rooms(&self) -> usize {
        self.rooms.load(Ordering::Relaxed)
    }

    pub(crate) fn count_room(&self) {
        self.rooms.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn discount_room(&self) {
        self.rooms.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_id_as_long_as_a_shard_has_sockets_there() {
        let registry = Registry::new(2);
        let main = registry.declare("/").unwrap();
        let first = registry.enter("/a", 0).unwrap();
        assert_eq!(registry.enter("/a", 1).unwrap().id, first.id);
        assert_ne!(first.id, main.id);
        registry.leave(first.id, 0);
        assert_eq!(registry.find("/a").unwrap().id, first.id);
        registry.leave(first.id, 1);
        assert!(registry.find("/a").is_none() && first.is_gone());
        let again = registry.enter("/a", 1).unwrap();
        assert_ne!(again.id, first.id);
        assert_eq!(again.id.slot(), first.id.slot());
        // Who has not heard of it changes nothing.
        registry.leave(first.id, 1);
        registry.keep(first.id);
        assert!(!again.is_gone());
    }

    #[test]
    fn there_are_so_many_that_were_not_declared_and_no_more() {
        let registry = Registry::new(2);
        registry.declare("/").unwrap();
        let a = registry.enter("/a", 0).unwrap();
        registry.enter("/b", 0).unwrap();
        assert_eq!(registry.enter("/c", 0).unwrap_err(), Full);
        assert!(registry.enter("/", 0).is_ok() && registry.enter("/b", 1).is_ok());
        registry.leave(a.id, 0);
        assert!(registry.enter("/c", 0).is_ok());
        // One that is declared later counts no more.
        registry.declare("/c").unwrap();
        assert!(registry.enter("/d", 0).is_ok());
        let mut names: Vec<_> = registry.names().iter().map(|name| name.to_string()).collect();
        names.sort();
        assert_eq!(names, ["/", "/b", "/c", "/d"]);
    }

    #[test]
    fn what_is_kept_or_declared_stays_and_a_dead_shard_holds_nothing() {
        let registry = Registry::new(9);
        let [kept, held, dropped] =
            ["/kept", "/held", "/dropped"].map(|name| registry.enter(name, 3).unwrap());
        registry.enter("/held", 4).unwrap();
        registry.keep(kept.id);
        registry.declare("/").unwrap();
        registry.forget(3);
        assert!(!kept.is_gone() && !held.is_gone() && dropped.is_gone());
        assert!(registry.find("/").is_some());
        registry.forget(4);
        assert!(held.is_gone());
        assert_eq!(registry.lock().dynamic, 1);
    }

    #[test]
    fn there_are_never_more_than_ids() {
        let registry = Registry::new(usize::MAX);
        for n in 0..NAMESPACES_MAX {
            registry.enter(&n.to_string(), 0).unwrap();
        }
        assert_eq!(registry.enter("/", 0).unwrap_err(), Full);
        assert_eq!(registry.declare("/").unwrap_err(), Full);
        assert!(registry.enter("0", 1).is_ok());
    }
}
