//! What other nodes say. It is read once, on the bridge's thread, and handed to the shards that care.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use yamabiko_protocol::cluster::classic::{Broadcast as Message, Channels, Origin};
use yamabiko_protocol::cluster::{Malformed, modernise};
use yamabiko_protocol::limits::ClusterLimits;
use yamabiko_protocol::parser::{EncodeError, Event, Parser};

use crate::application::NamespaceId;
use crate::bridge::Listener;
use crate::broadcast::{Broadcast, Target};
use crate::interest::{Directory, ShardSet};
use crate::mesh::Parcel;
use crate::outside::Outside;
use crate::packet::Encoded;
use crate::registry::Registry;
use crate::room::EVERYONE;

/// The node's ear in the cluster.
pub(crate) struct Ear {
    pub(crate) key: Box<str>,
    pub(crate) uid: Box<str>,
    pub(crate) parser: Parser,
    pub(crate) limits: ClusterLimits,
    pub(crate) registry: Arc<Registry>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) shards: Outside,
    pub(crate) known: HashMap<Box<str>, Channels>,
    pub(crate) metrics: Arc<EarMetrics>,
}

/// What the ear counts.
#[derive(Debug, Default)]
pub(crate) struct EarMetrics {
    /// Events of other nodes that were handed to shards.
    pub(crate) taken: AtomicU64,
    /// Messages that nobody here cares for.
    pub(crate) unwanted: AtomicU64,
    /// Messages that make no sense.
    pub(crate) malformed: AtomicU64,
    /// Events that a shard was too busy for.
    pub(crate) dropped: AtomicU64,
}

impl Listener for Ear {
    fn message(&mut self, channel: &str, payload: Bytes) {
        let Some(name) = self.namespace_of(channel) else { return };
        let Some(card) = self.registry.find(&name) else { return };
        let Some(Origin::Broadcast { room }) = self.known[&*name].identify(channel.as_bytes())
        else {
            return;
        };
        // Most is dropped here, unread.
        if self.interested(card.id, room).is_empty() {
            self.metrics.unwanted.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if let Err(why) = self.broadcast(card.id, &name, room, payload) {
            // Once for each would let anybody fill the log.
            if self.metrics.malformed.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!(channel, why, "a message of the cluster makes no sense");
            }
        }
    }
}

impl Ear {
    fn broadcast(
        &self,
        namespace: NamespaceId,
        name: &str,
        room: Option<&str>,
        payload: Bytes,
    ) -> Result<(), &'static str> {
        let mut modern = Vec::new();
        let message = match Message::decode(&payload, &self.limits) {
            // Perhaps in the MessagePack of old, which had no binary data.
            Err(Malformed::Syntax) => {
                modern.extend_from_slice(&payload);
                modernise(&mut modern).map_err(|_| "it cannot be read")?;
                Message::decode(&modern, &self.limits)
            }
            other => other,
        };
        let message = message.map_err(|_| "it cannot be read")?;
        if message.sender == *self.uid {
            return Ok(());
        }
        if message.namespace() != name {
            return Err("it is on the channel of another namespace");
        }
        let target = target_of(&message, room);
        let shards = self.meant(namespace, &target);
        if shards.is_empty() {
            self.metrics.unwanted.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let event = message.packet.event().ok_or("it holds no event")?;
        let encoded = encode(self.parser, name, &event).map_err(|_| "its event cannot be sent")?;
        let broadcast = Arc::new(Broadcast { namespace, target, encoded, serial: None });
        self.metrics.taken.fetch_add(1, Ordering::Relaxed);
        for shard in shards.iter() {
            let parcel = Parcel::Broadcast(Arc::clone(&broadcast));
            if self.shards.post(shard, parcel).is_err() {
                self.metrics.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// The namespace on whose channel something came, if there is such a namespace here.
    fn namespace_of(&mut self, channel: &str) -> Option<Box<str>> {
        let rest = channel.strip_prefix(&*self.key)?.strip_prefix('#')?;
        // A name may have a `#` in it; then the longest that is known counts.
        let mut ends: Vec<usize> = rest.match_indices('#').map(|(at, _)| at).collect();
        ends.reverse();
        let name = ends
            .into_iter()
            .map(|end| &rest[..end])
            .find(|name| name.starts_with('/') && self.registry.find(name).is_some())?;
        if !self.known.contains_key(name) {
            let channels = Channels::new(&self.key, name, &self.uid);
            self.known.insert(name.into(), channels);
        }
        Some(name.into())
    }

    fn interested(&self, namespace: NamespaceId, room: Option<&str>) -> ShardSet {
        match room.and_then(crate::broadcast::own_id) {
            // An id leads to its shard, but sockets that came back have moved.
            Some(id) if usize::from(id.owner().shard) < self.shards.shards() => self
                .directory
                .look_up(namespace, room.unwrap_or(EVERYONE))
                .union(ShardSet::only(id.owner().shard)),
            _ => self.directory.look_up(namespace, room.unwrap_or(EVERYONE)),
        }
    }

    fn meant(&self, namespace: NamespaceId, target: &Target) -> ShardSet {
        if target.rooms.is_empty() {
            return self.interested(namespace, None);
        }
        let each = target.rooms.iter().map(|room| self.interested(namespace, Some(room)));
        each.fold(ShardSet::default(), ShardSet::union)
    }
}

/// Whom a message is for, that came on the channel of `room`.
fn target_of(message: &Message<'_>, room: Option<&str>) -> Target {
    let opts = &message.target;
    let mut target = Target {
        rooms: opts.rooms.iter().map(|name| name.into_owned()).collect(),
        except: opts.except.iter().map(|name| name.into_owned()).collect(),
        volatile: opts.flags.volatile,
        compress: opts.flags.compress.unwrap_or(true),
        local: true,
    };
    if let Some(room) = room
        && target.rooms.len() > 1
        && target.rooms.iter().any(|listed| listed == room)
    {
        target.except.extend(message.earlier_rooms(room).map(|name| name.into_owned()));
        target.rooms = vec![room.into()];
    }
    target
}

/// The event as this node's clients get it.
fn encode(parser: Parser, namespace: &str, event: &Event<'_>) -> Result<Encoded, EncodeError> {
    use yamabiko_protocol::{msgpack, socket};
    let mut out = Vec::new();
    match parser {
        Parser::Default => {
            let (mut json, mut attachments) = (Vec::new(), Vec::new());
            event.args.write_json(&mut json, &mut attachments)?;
            let json = String::from_utf8(json).expect("the encoder writes JSON text");
            let count = attachments.len();
            socket::encode::event_raw(&mut out, namespace, None, &event.name, &json, count)?;
            Ok(Encoded::json(&out, attachments))
        }
        Parser::Msgpack => {
            let mut args = Vec::new();
            let count = event.args.write_msgpack(&mut args)?;
            msgpack::encode::event_raw(&mut out, namespace, None, &event.name, &args, count)?;
            Ok(Encoded::Msgpack(out.into()))
        }
    }
}
