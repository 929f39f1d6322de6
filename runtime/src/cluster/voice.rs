//! What the node says to other nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use yamabiko_protocol::cluster::classic::{Broadcast, Channels};
use yamabiko_protocol::cluster::{Flags, Packet, Target as Opts};

use super::ear::EarMetrics;
use crate::bridge::{Kind, Link};
use crate::broadcast::Target;
use crate::packet::Encoded;

/// How a node stands with its cluster: counters since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClusterState {
    /// Whether Redis is there.
    pub is_up: bool,
    /// Connections made to it after the first.
    pub reconnects: u64,
    /// Bytes that wait to be published.
    pub waiting_bytes: u64,
    /// Messages given to Redis.
    pub published: u64,
    /// Messages dropped: too many waited for Redis, or for a shard.
    pub dropped: u64,
    /// Messages that were on their way when the connection broke, so that nobody knows.
    pub unsure: u64,
    /// Messages heard, the node's own among them.
    pub heard: u64,
    /// Of those, events of other nodes that had receivers here.
    pub taken: u64,
    /// Of those, events of which nobody here is a receiver; most are not even read.
    pub unwanted: u64,
    /// Of those, messages that make no sense.
    pub malformed: u64,
}

/// The node's voice in the cluster. All shards speak through it.
pub(crate) struct Voice {
    link: Link,
    ear: Arc<EarMetrics>,
    key: Box<str>,
    /// The node's name, by which it knows its own words when they come back.
    uid: Box<str>,
}

impl Voice {
    pub(crate) fn new(link: Link, ear: Arc<EarMetrics>, key: &str, uid: &str) -> Self {
        Self { link, ear, key: key.into(), uid: uid.into() }
    }

    /// How the node stands with the cluster.
    pub(crate) fn state(&self) -> ClusterState {
        let (link, ear) = (self.link.metrics(), &self.ear);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ClusterState {
            is_up: link.is_up.load(Ordering::Relaxed),
            reconnects: count(&link.reconnects),
            waiting_bytes: link.waiting_bytes.load(Ordering::Relaxed) as u64,
            published: count(&link.published),
            dropped: count(&link.dropped) + count(&ear.dropped),
            unsure: count(&link.unsure),
            heard: count(&link.heard),
            taken: count(&ear.taken),
            unwanted: count(&ear.unwanted),
            malformed: count(&ear.malformed),
        }
    }

    /// A shard has a namespace from now on: the node hears what others say of it.
    pub(crate) fn begin(&self, namespace: &str) {
        let channels = self.channels(namespace);
        self.link.want(Kind::Pattern, channels.broadcast_pattern().into());
    }

    /// A shard has it no more.
    pub(crate) fn end(&self, namespace: &str) {
        let channels = self.channels(namespace);
        self.link.forgo(Kind::Pattern, channels.broadcast_pattern().into());
    }

    /// Says an event to all other nodes.
    pub(crate) fn broadcast(&self, namespace: &str, target: &Target, event: &Encoded) {
        let opts = Opts {
            rooms: (&*target.rooms).into(),
            except: (&*target.except).into(),
            flags: Flags {
                volatile: target.volatile,
                compress: (!target.compress).then_some(false),
                ..Flags::default()
            },
        };
        let mut message = Vec::new();
        let written = event.with_data(|data| {
            let packet = Packet { namespace: Some(namespace.into()), id: None, data };
            let broadcast = Broadcast { sender: (&*self.uid).into(), packet, target: opts };
            broadcast.encode(&mut message)
        });
        match written {
            Some(Ok(())) => {
                let channels = self.channels(namespace);
                let channel: Arc<str> = (&*channels.broadcast(&opts.rooms)).into();
                self.link.publish(channel, false, Bytes::from(message));
            }
            // Data that only looks like a placeholder for an attachment, or is nested beyond all measure.
            _ => tracing::debug!("an event cannot be told to other nodes"),
        }
    }

    fn channels(&self, namespace: &str) -> Channels {
        Channels::new(&self.key, namespace, &self.uid)
    }
}
