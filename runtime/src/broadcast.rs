//! One event to many sockets: encoded once, handed to every member on every shard.

use std::sync::Arc;

use yamabiko_protocol::engine::SessionId;

use crate::application::{NamespaceId, SocketKey};
use crate::interest::ShardSet;
use crate::mesh::Parcel;
use crate::nodes::Whose;
use crate::packet::{EmitArgs, EmitError, Encoded};
use crate::recovery::{Content, Serial};
use crate::room::RoomKey;
use crate::shard::{Shard, State};

/// Whom a broadcast is for. Each socket gets it at most once, however many of the rooms it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Members of any of these rooms; none means the whole namespace. A socket's id is a room of its own.
    pub rooms: Vec<String>,
    /// But not members of any of these rooms.
    pub except: Vec<String>,
    /// Drop it for clients whose transport is not writable right now.
    pub volatile: bool,
    /// Whether it may be compressed: an answer to a poll is not, if nothing in it may be
    /// ([`HttpCompression`](crate::HttpCompression)).
    pub compress: bool,
    /// Sockets of this node only: whatever links nodes leaves it alone. All shards of the node are meant.
    pub local: bool,
}

impl Default for Target {
    /// Everybody.
    fn default() -> Self {
        let (rooms, except) = Default::default();
        Self { rooms, except, volatile: false, compress: true, local: false }
    }
}

/// An encoded broadcast on its way through the node.
#[derive(Debug)]
pub(crate) struct Broadcast {
    pub(crate) namespace: NamespaceId,
    pub(crate) target: Target,
    pub(crate) encoded: Encoded,
    /// If it can be recovered.
    pub(crate) serial: Option<Serial>,
}

impl Shard {
    /// Sends an event to all sockets of `target`, on this shard at once and on the others within their
    /// next turn. Nothing is encoded when nobody is there.
    ///
    /// # Errors
    /// [`EmitError::Encode`] if the arguments cannot be put into JSON, or the name is reserved.
    pub fn broadcast<T: EmitArgs + ?Sized>(
        &self,
        namespace: NamespaceId,
        target: &Target,
        name: &str,
        args: &T,
    ) -> Result<(), EmitError> {
        self.with(|state| -> Result<(), EmitError> {
            let shards = state.interested(namespace, target);
            if let Some(voice) = state.voice.clone().filter(|_| !target.local)
                && state.namespaces.get(namespace).is_some()
            {
                let encoded = state.encode_event(namespace, None, None, name, args)?;
                voice.broadcast(&state.namespaces[namespace].name, target, &encoded);
            }
            if shards.is_empty() {
                return Ok(());
            }
            let serial = state.next_serial(!target.volatile);
            let encoded = state.encode_event(namespace, None, serial, name, args)?;
            let target = target.clone();
            let broadcast = Arc::new(Broadcast { namespace, target, encoded, serial });
            for to in shards.without(self.0.id).iter() {
                state.mesh.post(to, Parcel::Broadcast(Arc::clone(&broadcast)), &self.0.metrics);
            }
            if shards.contains(self.0.id) {
                state.deliver(&broadcast);
            }
            Ok(())
        })?;
        self.nudge();
        Ok(())
    }
}

impl State {
    /// The shards that may have members of the target.
    pub(crate) fn interested(&self, namespace: NamespaceId, target: &Target) -> ShardSet {
        // One that is no more, and whose slot another has: nobody is there.
        if self.namespaces.get(namespace).is_none() {
            return ShardSet::default();
        }
        if target.rooms.is_empty() {
            return self.rooms.interested(namespace, None);
        }
        target.rooms.iter().fold(ShardSet::default(), |shards, room| {
            let known = self.rooms.interested(namespace, Some(room)).union(self.owner_of(room));
            match self.joinings.is_empty() {
                true => shards.union(known),
                false => shards.union(known).union(self.about_to_join(namespace, room)),
            }
        })
    }

    /// The shard that owns the socket of which `room` is the id, if it can be one.
    fn owner_of(&self, room: &str) -> ShardSet {
        match own_id(room).map(|id| id.owner()) {
            Some(owner)
                if usize::from(owner.shard) < self.shards
                    && self.roll.whose(owner.node) == Whose::Ours =>
            {
                ShardSet::only(owner.shard)
            }
            _ => ShardSet::default(),
        }
    }

    /// Hands a broadcast to this shard's members.
    pub(crate) fn deliver(&mut self, broadcast: &Arc<Broadcast>) {
        self.compress = broadcast.target.compress;
        self.hand_out(broadcast);
        self.compress = true;
    }

    fn hand_out(&mut self, broadcast: &Arc<Broadcast>) {
        let Broadcast { namespace, target, encoded, serial } = &**broadcast;
        let volatile = target.volatile;
        let Some(serial) = *serial else {
            return self.meet_target(*namespace, target, &mut |state, socket| {
                state.send(socket, encoded, volatile);
            });
        };
        self.meet_target(*namespace, target, &mut |state, socket| {
            if !state.has_had(socket, serial) && state.send(socket, encoded, volatile) {
                state.sent_last(socket, serial);
            }
        });
        self.log(serial, Content::Broadcast(Arc::clone(broadcast)));
    }

    /// This shard's sockets of the target that are connected.
    pub(crate) fn members(&mut self, namespace: NamespaceId, target: &Target) -> Vec<SocketKey> {
        let mut members = Vec::new();
        self.meet_target(namespace, target, &mut |state, socket| {
            if state.session_of(socket).is_ok() {
                members.push(socket);
            }
        });
        members
    }

    /// Calls `f` once for each of this shard's sockets of the target.
    fn meet_target(
        &mut self,
        namespace: NamespaceId,
        target: &Target,
        f: &mut impl FnMut(&mut State, SocketKey),
    ) {
        self.broadcast_stamp += 1;
        for room in &target.except {
            self.for_members(namespace, Some(room), &mut |_, _| ());
        }
        if target.rooms.is_empty() {
            self.for_members(namespace, None, f);
        }
        for room in &target.rooms {
            self.for_members(namespace, Some(room), f);
        }
    }

    /// Calls `f` for each member of a room that was not met since the last stamp.
    fn for_members(
        &mut self,
        namespace: NamespaceId,
        room: Option<&str>,
        f: &mut impl FnMut(&mut State, SocketKey),
    ) {
        if let Some(id) = room.and_then(own_id)
            && let Some(socket) = self.socket_ids.get(&(namespace, id)).copied()
        {
            self.meet(socket, f);
        }
        if let Some(room) = self.rooms.key(namespace, room) {
            self.meet_members(room, f);
        }
    }

    fn meet_members(&mut self, room: RoomKey, f: &mut impl FnMut(&mut State, SocketKey)) {
        // Sending never changes a membership: what must end because of it is left as an errand.
        for index in 0..self.rooms.size(room) {
            let socket = self.rooms.member(room, index);
            self.meet(socket, f);
        }
    }

    fn meet(&mut self, socket: SocketKey, f: &mut impl FnMut(&mut State, SocketKey)) {
        if let Some(entry) = self.sockets.get_mut(socket)
            && std::mem::replace(&mut entry.stamp, self.broadcast_stamp) != self.broadcast_stamp
        {
            f(self, socket);
        }
    }
}

/// The id in a room's name that is a socket's own: the id itself, or `/namespace#id` for clients of
/// revision 3. It may as well be an ordinary room of that shape, so both are looked up.
pub(crate) fn own_id(room: &str) -> Option<SessionId> {
    SessionId::parse(room.rsplit_once('#').map_or(room, |(_, id)| id))
}
