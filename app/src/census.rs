//! How many there are.

use yamabiko_runtime::{ClusterState, Count, NodeInfo};

use crate::server::Core;

/// How many there are: on this core, and on the node. The node's numbers are read from counters that each
/// core keeps as it goes, so asking is cheap anywhere; they may be a moment old.
///
/// ```
/// # use yamabiko::{Namespace, Socket};
/// Namespace::new()
///     .on("clients?", |socket: Socket| socket.core().clients().node)
///     .on("lobby?", |socket: Socket| socket.core().members(socket.namespace(), "lobby").node);
/// ```
impl Core {
    /// How the node stands with its cluster; `None` without `redis`.
    pub fn cluster(&self) -> Option<ClusterState> {
        self.shard.cluster()
    }

    /// The nodes of the cluster, this one first, as they were last heard of; nodes on Node are not among them,
    /// as they do not announce themselves. Without `redis` there are none.
    pub fn nodes(&self) -> Vec<NodeInfo> {
        self.shard.nodes()
    }

    /// Says whether new clients should go to other nodes from now on, for who asks at `assign-path`. Clients
    /// that come are served, and those that are here stay.
    pub fn drain(&self, is_draining: bool) {
        self.shard.drain_node(is_draining);
    }

    /// Clients, each counted once whatever namespaces it has joined: Socket.IO's `io.engine.clientsCount`.
    pub fn clients(&self) -> Count {
        self.shard.clients()
    }

    /// Sockets connected to a namespace: Socket.IO's `io.of("/").sockets.size`.
    pub fn sockets(&self, namespace: &str) -> Count {
        self.id_of(namespace).map(|id| self.shard.sockets(id)).unwrap_or_default()
    }

    /// Sockets in a room: Socket.IO's `adapter.rooms.get(room).size`. A socket's own id is no such room.
    pub fn members(&self, namespace: &str, room: &str) -> Count {
        self.id_of(namespace).map(|id| self.shard.members(id, room)).unwrap_or_default()
    }

    /// Rooms that have members, sockets' own ids not counted: Socket.IO's `adapter.rooms.size`. A room with
    /// members on three cores is one room of the node.
    pub fn rooms(&self, namespace: &str) -> Count {
        self.id_of(namespace).map(|id| self.shard.rooms_of(id)).unwrap_or_default()
    }

    /// The names of all namespaces of the node, in order: those that are declared, and the dynamic ones
    /// there are now. To send to all children of a pattern, send to each:
    ///
    /// ```
    /// # fn ring(core: &yamabiko::Core) -> Result<(), yamabiko::EmitError> {
    /// for name in core.namespaces().iter().filter(|name| name.starts_with("/tenant-")) {
    ///     if let Some(tenant) = core.of(name) {
    ///         tenant.emit("bell", &())?;
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn namespaces(&self) -> Vec<String> {
        self.shard.namespaces()
    }
}
