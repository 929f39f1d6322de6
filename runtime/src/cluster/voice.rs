//! What the node says to other nodes.

use std::sync::Arc;

use bytes::Bytes;
use yamabiko_protocol::cluster::classic::{Broadcast, Channels};
use yamabiko_protocol::cluster::{Flags, Packet, Target as Opts};

use crate::bridge::{Kind, Link, LinkMetrics};
use crate::broadcast::Target;
use crate::packet::Encoded;

/// The node's voice in the cluster. All shards speak through it.
pub(crate) struct Voice {
    link: Link,
    key: Box<str>,
    /// The node's name, by which it knows its own words when they come back.
    uid: Box<str>,
}

impl Voice {
    pub(crate) fn new(link: Link, key: &str, uid: &str) -> Self {
        Self { link, key: key.into(), uid: uid.into() }
    }

    pub(crate) fn metrics(&self) -> &LinkMetrics {
        self.link.metrics()
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
