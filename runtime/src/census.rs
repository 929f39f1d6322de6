//! How many there are: clients, namespaces, sockets, rooms, on this shard and on the node.
//!
//! What the node has is read from counters that shards keep as they go. Nobody is asked and nothing that a
//! message needs is locked; a number may be a moment old.

use crate::application::NamespaceId;
use crate::cluster::ClusterState;
use crate::metrics::{Counter, ShardMetrics};
use crate::nodes::NodeInfo;
use crate::shard::Shard;

/// How many there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// On the shard that was asked.
    pub shard: usize,
    /// On all shards of the node.
    pub node: usize,
}

impl Shard {
    /// Clients, whatever namespaces they have joined: Socket.IO's `engine.clientsCount`.
    pub fn clients(&self) -> Count {
        self.count(|metrics| &metrics.sessions)
    }

    /// How the node stands with its cluster, if it is in one.
    pub fn cluster(&self) -> Option<ClusterState> {
        self.with(|state| state.voice.as_ref().map(|voice| voice.state()))
    }

    /// The nodes of the cluster, this one first. Without a cluster there are none.
    pub fn nodes(&self) -> Vec<NodeInfo> {
        self.with(|state| state.roll.nodes())
    }

    /// Any number, another one each time.
    pub fn dice(&self) -> u64 {
        self.with(|state| {
            let id = state.identities.next();
            let add = |dice: u64, byte| dice.wrapping_mul(64).wrapping_add(u64::from(byte));
            id.as_str().bytes().fold(0, add)
        })
    }

    /// Says whether new clients should go to other nodes.
    pub fn drain_node(&self, is_draining: bool) {
        self.with(|state| state.roll.drain(is_draining));
    }

    /// Sockets connected to any namespace.
    pub fn all_sockets(&self) -> Count {
        self.count(|metrics| &metrics.sockets)
    }

    /// Sockets connected to a namespace: Socket.IO's `sockets.size`.
    pub fn sockets(&self, namespace: NamespaceId) -> Count {
        self.members_or_everyone(namespace, None)
    }

    /// Sockets in a room.
    pub fn members(&self, namespace: NamespaceId, room: &str) -> Count {
        self.members_or_everyone(namespace, Some(room))
    }

    /// Rooms of a namespace that have members. A room with members on several shards is one of the node's.
    pub fn rooms_of(&self, namespace: NamespaceId) -> Count {
        self.with(|state| Count {
            shard: state.rooms.len_of(namespace),
            node: state.namespaces.get(namespace).map_or(0, |namespace| namespace.card.rooms()),
        })
    }

    /// The namespace of that name, if it was declared or has sockets on the node; none before the
    /// application is there.
    pub fn namespace(&self, name: &str) -> Option<NamespaceId> {
        if !self.has_application() {
            return None;
        }
        self.with(|state| state.namespaces.find(name))
    }

    /// The namespace's name, if this shard has met it.
    pub fn namespace_name(&self, namespace: NamespaceId) -> Option<String> {
        self.with(|state| Some(String::from(&*state.namespaces.get(namespace)?.name)))
    }

    /// The names of all namespaces of the node, in order.
    pub fn namespaces(&self) -> Vec<String> {
        let names = self.with(|state| state.namespaces.names());
        let mut names: Vec<_> = names.iter().map(|name| name.to_string()).collect();
        names.sort();
        names
    }

    fn members_or_everyone(&self, namespace: NamespaceId, room: Option<&str>) -> Count {
        self.with(|state| {
            let here = state.rooms.key(namespace, room);
            Count {
                shard: here.map_or(0, |room| state.rooms.size(room)),
                node: state.rooms.node_size(namespace, room),
            }
        })
    }

    fn count(&self, gauge: impl Fn(&ShardMetrics) -> &Counter) -> Count {
        let node = self.0.node_metrics.iter().map(|metrics| gauge(metrics).value() as usize).sum();
        Count { shard: gauge(&self.0.metrics).value() as usize, node }
    }
}
