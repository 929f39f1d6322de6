//! What is done to many sockets at once, on every shard that has some of them.

use std::sync::Arc;

use crate::application::NamespaceId;
use crate::broadcast::Target;
use crate::interest::ShardSet;
use crate::mesh::Parcel;
use crate::shard::{Shard, State};

/// A shard that has not carried out an order after this time has died.
const PATIENCE_MS: u64 = 60_000;

/// Something that is done to each socket of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// It joins these rooms. One that would be in too many stays out of the rest.
    Join(Vec<String>),
    /// It leaves these rooms.
    Leave(Vec<String>),
    /// It leaves its namespace, or with `close` all of them and its connection.
    Disconnect {
        /// Close the connection.
        close: bool,
    },
}

slotmap::new_key_type! {
    /// Names one order to join that is under way.
    pub(crate) struct JoiningKey;
}

/// An operation on its way through the node.
#[derive(Debug)]
pub(crate) struct Order {
    namespace: NamespaceId,
    target: Target,
    operation: Operation,
    /// Who wants to know when it was carried out.
    joining: Option<(u8, JoiningKey)>,
}

/// Rooms whose members are about to be known to the node: what this shard sends to them meanwhile follows
/// the order to the shards that have not carried it out.
#[derive(Debug)]
pub(crate) struct Joining {
    namespace: NamespaceId,
    rooms: Vec<String>,
    awaited: ShardSet,
    since_ms: u64,
}

impl Order {
    /// One that nobody waits for.
    pub(crate) fn new(namespace: NamespaceId, target: Target, operation: Operation) -> Self {
        Self { namespace, target, operation, joining: None }
    }
}

impl Shard {
    /// Does something to all sockets of `target`: to those of this shard at once, to others within their
    /// shard's next turn, before anything that this shard sends them later; to those of other nodes when these
    /// hear of it, in the order of what they hear from this shard.
    pub fn operate(&self, namespace: NamespaceId, target: &Target, operation: Operation) {
        let shards = self.with(|state| {
            if let Some(voice) = state.voice.as_ref().filter(|_| !target.local)
                && let Some(space) = state.namespaces.get(namespace)
            {
                voice.operate(&space.name, target, &operation);
            }
            state.interested(namespace, target)
        });
        if shards.is_empty() {
            return;
        }
        let others = shards.without(self.0.id);
        let joining = match &operation {
            Operation::Join(rooms) if !others.is_empty() => {
                let rooms = rooms.clone();
                let key = self.with(|state| {
                    let since_ms = state.now_ms;
                    state.joinings.insert(Joining { namespace, rooms, awaited: others, since_ms })
                });
                Some((self.0.id, key))
            }
            _ => None,
        };
        let order = Arc::new(Order { namespace, target: target.clone(), operation, joining });
        self.with(|state| {
            for to in others.iter() {
                state.mesh.post(to, Parcel::Order(Arc::clone(&order)), &self.0.metrics);
            }
        });
        if shards.contains(self.0.id) {
            self.carry_out(&order);
        }
        self.nudge();
    }

    pub(crate) fn carry_out(&self, order: &Order) {
        let Order { namespace, target, operation, joining } = order;
        for socket in self.with(|state| state.members(*namespace, target)) {
            match operation {
                Operation::Join(rooms) => {
                    for room in rooms {
                        if let Err(error) = self.join(socket, room) {
                            tracing::debug!(%error, room, "a socket did not join a room");
                        }
                    }
                }
                Operation::Leave(rooms) => {
                    for room in rooms {
                        let _ = self.leave(socket, room);
                    }
                }
                Operation::Disconnect { close } => {
                    let _ = self.disconnect(socket, *close);
                }
            }
        }
        if let Some((orderer, key)) = *joining
            && orderer != self.0.id
        {
            let joined = Parcel::Joined { by: self.0.id, key };
            self.with(|state| state.mesh.post(orderer, joined, &self.0.metrics));
            self.nudge();
        }
    }
}

impl State {
    /// A shard has carried out an order to join: its interest is known to all now.
    pub(crate) fn joined(&mut self, by: u8, key: JoiningKey) {
        if let Some(joining) = self.joinings.get_mut(key) {
            joining.awaited = joining.awaited.without(by);
            if joining.awaited.is_empty() {
                self.joinings.remove(key);
            }
        }
    }

    /// Forgets orders that a dead shard will never carry out.
    pub(crate) fn forget_old_joinings(&mut self) {
        if !self.joinings.is_empty() {
            let now_ms = self.now_ms;
            self.joinings.retain(|_, joining| now_ms < joining.since_ms + PATIENCE_MS);
        }
    }

    /// The shards that will have members in the room as soon as they carry out what this one has ordered.
    pub(crate) fn about_to_join(&self, namespace: NamespaceId, room: &str) -> ShardSet {
        self.joinings.values().fold(ShardSet::default(), |shards, joining| {
            match joining.namespace == namespace && joining.rooms.iter().any(|it| it == room) {
                true => shards.union(joining.awaited),
                false => shards,
            }
        })
    }
}
