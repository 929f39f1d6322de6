//! Who is called what: the slots of the cluster's nodes, which are part of every id that they make.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

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

/// A node of the cluster, as it was last heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its name.
    pub uid: String,
    /// The number that its ids carry.
    pub slot: u16,
    /// Where it takes connections that other nodes pass on.
    pub address: Option<SocketAddr>,
    /// Where clients reach it: `public-url`.
    pub url: Option<String>,
    /// Its version.
    pub version: String,
    /// Clients that it has.
    pub clients: u64,
    /// How many of them it should have, beside others.
    pub weight: u32,
    /// New clients should go elsewhere.
    pub is_draining: bool,
    /// It is this one.
    pub is_self: bool,
    /// How long it has not been heard, in milliseconds, when the list was made.
    pub silent_ms: u64,
}

/// The nodes by slot. One for all shards of a node; it is written to when the cluster changes, and read
/// for requests that are not for their shard.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    /// The slot that ids made from now on carry. A node without a cluster has slot 0.
    own: AtomicU16,
    is_draining: AtomicBool,
    others: RwLock<Others>,
}

#[derive(Debug, Default)]
struct Others {
    /// Slots that this node had before: ids that carry them are still its own.
    former: Vec<u16>,
    /// Peers that do not change.
    fixed: HashMap<u16, SocketAddr>,
    peers: HashMap<u16, SocketAddr>,
    nodes: Vec<NodeInfo>,
}

impl Roll {
    /// A roll of these nodes, among whom this one has slot `own`.
    pub(crate) fn of(own: u16, nodes: &[(u16, SocketAddr)]) -> Self {
        let others = nodes.iter().copied().filter(|(slot, _)| *slot != own);
        let others = Others { fixed: others.collect(), ..Others::default() };
        Self { own: AtomicU16::new(own), others: RwLock::new(others), ..Self::default() }
    }

    /// The slot for new ids.
    pub(crate) fn own(&self) -> u16 {
        self.own.load(Ordering::Relaxed)
    }

    /// Whose an id of this slot is.
    pub(crate) fn whose(&self, slot: u16) -> Whose {
        if slot == self.own() {
            return Whose::Ours;
        }
        let others = self.read();
        match others.peers.get(&slot).or_else(|| others.fixed.get(&slot)) {
            Some(address) => Whose::Peer(*address),
            None if others.former.contains(&slot) => Whose::Ours,
            None => Whose::Nobody,
        }
    }

    /// Whether new clients should go elsewhere.
    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Says whether they should.
    pub(crate) fn drain(&self, is_draining: bool) {
        self.is_draining.store(is_draining, Ordering::Relaxed);
    }

    /// This node, and all others that were heard of. Without a cluster nobody.
    pub(crate) fn nodes(&self) -> Vec<NodeInfo> {
        self.read().nodes.clone()
    }

    /// Takes another slot for ids from now on.
    pub(super) fn move_to(&self, slot: u16) {
        let mut others = self.write();
        others.former.push(self.own.swap(slot, Ordering::Relaxed));
    }

    /// These are the nodes now.
    pub(super) fn call(&self, nodes: Vec<NodeInfo>) {
        let mut others = self.write();
        others.peers = nodes
            .iter()
            .filter(|it| !it.is_self)
            .filter_map(|it| Some((it.slot, it.address?)))
            .collect();
        others.nodes = nodes;
    }

    fn read(&self) -> RwLockReadGuard<'_, Others> {
        self.others.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Others> {
        // Each change is one assignment or push.
        self.others.write().unwrap_or_else(PoisonError::into_inner)
    }
}
