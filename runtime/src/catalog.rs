//! The namespaces that a shard has met: what it keeps of each, by id and by name.
//!
//! What is kept of one that is gone from the node stays until its slot is taken again, so memory is
//! bounded by the registry's limit.

use std::collections::HashMap;
use std::ops::{Index, IndexMut};
use std::rc::Rc;
use std::sync::Arc;

use crate::application::NamespaceId;
use crate::registry::{Card, Full, Registry};

/// A namespace on its shard.
pub(crate) struct Namespace {
    id: NamespaceId,
    pub(crate) card: Arc<Card>,
    pub(crate) name: Rc<str>,
    /// The counter its acknowledgement ids come from, which sockets and broadcasts share as in the
    /// reference.
    pub(crate) next_ack: u64,
    /// The application wants to hear of its rooms.
    pub(crate) watches_rooms: bool,
    /// Sockets of this shard, those not yet admitted among them.
    sockets: usize,
    /// The registry keeps it without any.
    stays: bool,
}

/// All namespaces that one shard has met.
pub(crate) struct Catalog {
    registry: Arc<Registry>,
    shard: u8,
    /// Dynamic namespaces go with their last socket.
    cleanup: bool,
    by_slot: Vec<Option<Namespace>>,
    by_name: HashMap<Rc<str>, u16>,
}

impl Catalog {
    pub(crate) fn new(registry: Arc<Registry>, shard: u8, cleanup: bool) -> Self {
        Self { registry, shard, cleanup, by_slot: Vec::new(), by_name: HashMap::new() }
    }

    /// Adds a namespace that stays for good.
    pub(crate) fn declare(&mut self, name: &str) -> Result<NamespaceId, Full> {
        let card = self.registry.declare(name)?;
        let id = self.meet(card);
        self[id].stays = true;
        Ok(id)
    }

    /// Counts a socket into a namespace, which comes into being if need be. Returns its id, and whether the
    /// socket is its first here.
    pub(crate) fn enter(&mut self, name: &str) -> Result<(NamespaceId, bool), Full> {
        let known = self.slot(name).filter(|known| known.sockets > 0 || known.stays);
        let id = match known.map(|known| known.id) {
            Some(id) => id,
            None => {
                let card = self.registry.enter(name, self.shard)?;
                self.meet(card)
            }
        };
        self[id].sockets += 1;
        Ok((id, self[id].sockets == 1))
    }

    /// A socket was admitted: its namespace stays, if such namespaces do.
    pub(crate) fn admit(&mut self, id: NamespaceId) {
        if !self.cleanup && !self[id].stays {
            self[id].stays = true;
            self.registry.keep(id);
        }
    }

    /// Counts a socket out of its namespace. Returns whether it was the last here.
    pub(crate) fn leave(&mut self, id: NamespaceId) -> bool {
        let namespace = &mut self[id];
        namespace.sockets -= 1;
        let was_last = namespace.sockets == 0;
        if was_last && !namespace.stays {
            self.registry.leave(id, self.shard);
        }
        was_last
    }

    /// A namespace that this shard has met and that is still there.
    pub(crate) fn known(&self, name: &str) -> Option<NamespaceId> {
        Some(self.slot(name)?.id)
    }

    /// A namespace that is somewhere on the node.
    pub(crate) fn find(&mut self, name: &str) -> Option<NamespaceId> {
        match self.known(name) {
            Some(id) => Some(id),
            None => {
                let card = self.registry.find(name)?;
                Some(self.meet(card))
            }
        }
    }

    /// What is kept of a namespace, if this shard has met it.
    pub(crate) fn get(&self, id: NamespaceId) -> Option<&Namespace> {
        self.by_slot.get(id.slot())?.as_ref().filter(|namespace| namespace.id == id)
    }

    /// The names of all namespaces of the node.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.registry.names()
    }

    /// This shard ends: it has no sockets any more.
    pub(crate) fn close(&mut self) {
        self.registry.forget(self.shard);
    }

    fn slot(&self, name: &str) -> Option<&Namespace> {
        let slot = *self.by_name.get(name)?;
        self.by_slot[usize::from(slot)].as_ref().filter(|known| !known.card.is_gone())
    }

    /// Keeps what is known of a namespace, in the place of whatever had its slot before.
    fn meet(&mut self, card: Arc<Card>) -> NamespaceId {
        let id = card.id;
        if self.get(id).is_some() {
            return id;
        }
        if self.by_slot.len() <= id.slot() {
            self.by_slot.resize_with(id.slot() + 1, || None);
        }
        let name: Rc<str> = (&*card.name).into();
        let new = Namespace {
            id,
            card,
            name: Rc::clone(&name),
            next_ack: 0,
            watches_rooms: false,
            sockets: 0,
            stays: false,
        };
        if let Some(old) = self.by_slot[id.slot()].replace(new) {
            // The name may lead to another slot by now.
            let leads_here = self.by_name.get(&old.name) == Some(&id.slot);
            if leads_here {
                self.by_name.remove(&old.name);
            }
        }
        self.by_name.insert(name, id.slot);
        id
    }
}

/// A namespace that this shard has met: one of its sockets is there, or it was declared.
impl Index<NamespaceId> for Catalog {
    type Output = Namespace;

    fn index(&self, id: NamespaceId) -> &Namespace {
        let namespace = self.by_slot[id.slot()].as_ref();
        let namespace = namespace.expect("its sockets keep a namespace alive");
        debug_assert_eq!(namespace.id, id, "another has its slot");
        namespace
    }
}

impl IndexMut<NamespaceId> for Catalog {
    fn index_mut(&mut self, id: NamespaceId) -> &mut Namespace {
        self.by_slot[id.slot()].as_mut().expect("its sockets keep a namespace alive")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(cleanup: bool) -> (Catalog, Catalog, Arc<Registry>) {
        let registry = Arc::new(Registry::new(2));
        let catalog = |shard| {
            let mut catalog = Catalog::new(Arc::clone(&registry), shard, cleanup);
            catalog.declare("/").unwrap();
            catalog
        };
        (catalog(0), catalog(1), registry)
    }

    #[test]
    fn shards_mean_the_same_by_an_id() {
        let (mut one, mut other, _) = pair(true);
        assert_eq!(one.known("/"), other.known("/"));
        let (a, is_first) = one.enter("/a").unwrap();
        assert!(is_first);
        assert_eq!(other.known("/a"), None);
        assert_eq!(other.find("/a"), Some(a));
        assert_eq!(other.enter("/a"), Ok((a, true)));
        assert_eq!(other.enter("/a"), Ok((a, false)));
        assert_eq!(&*other[a].name, "/a");
    }

    #[test]
    fn with_cleanup_the_last_socket_of_the_node_takes_it_along() {
        let (mut one, mut other, registry) = pair(true);
        let (a, _) = one.enter("/a").unwrap();
        one.admit(a);
        other.enter("/a").unwrap();
        assert!(one.leave(a));
        assert_eq!(one.known("/a"), Some(a), "another shard has it");
        assert!(other.leave(a));
        assert_eq!((one.known("/a"), one.find("/a")), (None, None));
        // What comes into its slot is another.
        let (b, _) = other.enter("/b").unwrap();
        assert_eq!(b.slot(), a.slot());
        assert_eq!(one.find("/b"), Some(b));
        assert!(one.get(a).is_none() && one.get(b).is_some());
        assert_eq!(registry.names().len(), 2);
    }

    #[test]
    fn without_cleanup_it_stays_once_somebody_was_admitted() {
        let (mut one, _, registry) = pair(false);
        for name in ["/a", "/b", "/c"] {
            let (refused, _) = one.enter(name).unwrap();
            one.leave(refused);
            assert_eq!(one.find(name), None);
        }
        let (a, _) = one.enter("/a").unwrap();
        one.admit(a);
        one.leave(a);
        assert_eq!(one.known("/a"), Some(a));
        assert_eq!(one.enter("/a"), Ok((a, true)));
        one.enter("/b").unwrap();
        assert_eq!(one.enter("/c"), Err(Full));
        assert_eq!(registry.names().len(), 3);
    }

    #[test]
    fn a_name_that_came_back_elsewhere_is_found_there() {
        let (mut one, mut other, _) = pair(true);
        let (a, _) = one.enter("/a").unwrap();
        let (b, _) = one.enter("/b").unwrap();
        one.leave(a);
        one.leave(b);
        // The slots are taken again the other way round.
        let (b_again, _) = other.enter("/x").map(|_| other.enter("/b").unwrap()).unwrap();
        assert_eq!(b_again.slot(), a.slot());
        assert_eq!(one.find("/b"), Some(b_again));
        let (x, _) = one.enter("/x").unwrap();
        assert_eq!(x.slot(), b.slot());
        assert_eq!(one.known("/b"), Some(b_again), "the old one's end is not the new one's");
    }

    #[test]
    fn a_shard_that_ends_holds_nothing() {
        let (mut one, mut other, registry) = pair(true);
        one.enter("/a").unwrap();
        let (b, _) = one.enter("/b").unwrap();
        other.enter("/b").unwrap();
        one.close();
        assert!(registry.find("/a").is_none());
        assert_eq!(other.known("/b"), Some(b));
    }
}
