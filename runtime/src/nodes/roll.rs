//! Who is called what: the slots of the cluster's nodes, which are part of every id that they make.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// To whom an id belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// To this node.
    Ours,
    /// To another node, which takes connections of the cluster here.
    Peer(SocketAddr),
    /// To a node that is not there, or was never there.
    Nobody,
}

/// The nodes by slot. One for all shards of a node; it is written to when the cluster changes, and read
/// for requests that are not for their shard.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    /// The slot that ids made from now on carry. A node without a cluster has slot 0.
    own: AtomicU16,
    others: RwLock<Others>,
}

#[derive(Debug, Default)]
struct Others {
    /// Slots that this node had before: ids that carry them are still its own.
    former: Vec<u16>,
    peers: HashMap<u16, SocketAddr>,
}

impl Roll {
    /// The slot for new ids.
    pub(crate) fn own(&self) -> u16 {
        self.own.load(Ordering::Relaxed)
    }

    /// Whose an id of this slot is.
    pub(crate) fn whose(&self, slot: u16) -> Whose {
        if slot == self.own() {
            return Whose::Ours;
        }
        let others = self.others.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        match others.peers.get(&slot) {
            Some(address) => Whose::Peer(*address),
            None if others.former.contains(&slot) => Whose::Ours,
            None => Whose::Nobody,
        }
    }

    /// A roll that does not change: this node has slot `own`, and these are the nodes.
    pub(crate) fn of(own: u16, nodes: &[(u16, SocketAddr)]) -> Self {
        let others = nodes.iter().copied().filter(|(slot, _)| *slot != own);
        let others = Others { former: Vec::new(), peers: others.collect() };
        Self { own: AtomicU16::new(own), others: RwLock::new(others) }
    }
}
