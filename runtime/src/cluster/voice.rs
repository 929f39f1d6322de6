//! What the node says to other nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use yamabiko_protocol::cluster::sharded::Mode;
use yamabiko_protocol::cluster::{Message, Packet};

use super::asked::{Asked, Sought, Waiting};
use super::ear::EarMetrics;
use super::mouth::{Mouth, opts};
use super::wire::{OldAnswer, Return};
use crate::bridge::Kind;
use crate::broadcast::Target;
use crate::gathering::{Asker, Elsewhere, News, Tidings};
use crate::mesh::Parcel;
use crate::operation::Operation;
use crate::outside::Outside;
use crate::packet::Encoded;
use crate::settings::Adapter;

/// How long a node that starts waits for Redis, and then for the others: nobody else shall have its slot.
const ARRIVAL: Duration = Duration::from_secs(1);
const INTRODUCTIONS: Duration = Duration::from_millis(150);
/// How long one that ends waits until it has said so.
const FAREWELL: Duration = Duration::from_millis(500);

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
    /// Of those, messages of other nodes that a shard was given.
    pub taken: u64,
    /// Of those, events of which nobody here is a receiver; most are not even read.
    pub unwanted: u64,
    /// Of those, messages that make no sense.
    pub malformed: u64,
}

/// The node's voice in the cluster. All shards speak through it.
pub(crate) struct Voice {
    mouth: Mouth,
    ear: Arc<EarMetrics>,
    asked: Arc<Asked>,
    shards: Outside,
}

impl Voice {
    pub(crate) fn new(
        mouth: Mouth,
        ear: Arc<EarMetrics>,
        asked: Arc<Asked>,
        shards: Outside,
    ) -> Self {
        Self { mouth, ear, asked, shards }
    }

    /// How the node stands with the cluster.
    pub(crate) fn state(&self) -> ClusterState {
        let (link, ear) = (self.mouth.link.metrics(), &self.ear);
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

    /// Tells others that this node ends.
    pub(crate) fn leave(&self) {
        self.mouth.link.leave(FAREWELL);
    }

    /// Waits until others know of this node and it of them, if that does not take long.
    pub(crate) fn arrive(&self) {
        let until = Instant::now() + ARRIVAL;
        while !self.mouth.link.metrics().is_up.load(Ordering::Relaxed) && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        if self.mouth.link.metrics().is_up.load(Ordering::Relaxed) {
            thread::sleep(INTRODUCTIONS);
        }
    }

    pub(crate) fn asked(&self) -> &Asked {
        &self.asked
    }
}

/// What is heard of others.
impl Voice {
    /// A shard has a namespace from now on: the node hears what others say of it.
    pub(crate) fn begin(&self, namespace: &str) {
        for (kind, channel) in self.mouth.wire.channels(namespace) {
            self.mouth.link.want(kind, channel.into());
        }
    }

    /// A shard has it no more.
    pub(crate) fn end(&self, namespace: &str) {
        for (kind, channel) in self.mouth.wire.channels(namespace) {
            self.mouth.link.forgo(kind, channel.into());
        }
    }

    /// Whether sockets' own rooms have channels.
    pub(crate) fn hears_own_rooms(&self) -> bool {
        self.mouth.wire.adapter == Adapter::Sharded(Mode::DynamicPrivate)
    }

    /// A shard wants to hear of a room from now on.
    pub(crate) fn begin_room(&self, namespace: &str, room: &str) {
        if let Some(channel) = self.mouth.wire.room_channel(namespace, room) {
            self.mouth.link.want(Kind::Sharded, channel.into());
        }
    }

    /// It does so no more.
    pub(crate) fn end_room(&self, namespace: &str, room: &str) {
        if let Some(channel) = self.mouth.wire.room_channel(namespace, room) {
            self.mouth.link.forgo(Kind::Sharded, channel.into());
        }
    }
}

/// What others are told.
impl Voice {
    /// An event for their sockets.
    pub(crate) fn broadcast(&self, namespace: &str, target: &Target, event: &Encoded) {
        let written = event.with_data(|data| {
            let packet = Packet { namespace: None, id: None, data };
            let message = Message::Broadcast { packet, target: opts(target), request: None };
            self.say(namespace, message);
        });
        if written.is_none() {
            tracing::debug!("an event cannot be told to other nodes");
        }
    }

    /// Something to be done to their sockets.
    pub(crate) fn operate(&self, namespace: &str, target: &Target, operation: &Operation) {
        self.mouth.operate(namespace, target, operation);
    }

    /// Anything that is for all of them.
    pub(crate) fn say(&self, namespace: &str, message: Message<'_>) -> bool {
        self.mouth.say(namespace, message)
    }

    /// Asks them something. `None` if nobody can be asked.
    pub(crate) fn ask<'m>(
        &self,
        namespace: &str,
        asker: Asker,
        sought: Sought,
        message: impl FnOnce(String) -> Message<'m>,
    ) -> Option<Elsewhere> {
        if !self.mouth.link.metrics().is_up.load(Ordering::Relaxed) {
            return None;
        }
        let request = self.asked.note(Waiting { asker, sought })?;
        let (kind, channel) = self.mouth.wire.counted(namespace);
        let shards = self.shards.clone();
        self.mouth.link.count(
            kind,
            channel.into(),
            Box::new(move |nodes| {
                // This node is one of those that were counted.
                let tidings = Tidings::Nodes(nodes.map(|nodes| nodes.saturating_sub(1)));
                let news = News { key: asker.key, tidings };
                let _ = shards.post(asker.shard, Parcel::News(news));
            }),
        );
        if !self.say(namespace, message(request.to_string())) {
            self.asked.forget(&request);
            return None;
        }
        Some(Elsewhere::new(request))
    }

    /// Answers one of them.
    pub(crate) fn answer(&self, namespace: &str, to: &Return, message: Message<'_>) {
        self.mouth.post(self.mouth.wire.answer(namespace, to, message));
    }

    /// Answers an old one.
    pub(crate) fn answer_old(&self, namespace: &str, to: &Return, answer: OldAnswer<'_>) {
        self.mouth.post(self.mouth.wire.answer_old(namespace, to, answer));
    }
}
