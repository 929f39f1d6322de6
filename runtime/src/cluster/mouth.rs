//! Saying things to all nodes of a cluster: what nodes and emitters have in common.

use bytes::Bytes;
use yamabiko_protocol::cluster::{Flags, Message, Names, Target as Opts, Unwritable};

use super::wire::{Letter, Wire};
use crate::bridge::Link;
use crate::broadcast::Target;
use crate::operation::Operation;

/// A way to say something in one of the adapters' ways.
#[derive(Clone)]
pub(crate) struct Mouth {
    pub(crate) link: Link,
    pub(crate) wire: Wire,
}

impl Mouth {
    /// Something to be done to sockets. Returns whether it was taken, as all here do.
    pub(crate) fn operate(&self, namespace: &str, target: &Target, operation: &Operation) -> bool {
        let target = opts(target);
        self.say(
            namespace,
            match operation {
                Operation::Join(rooms) => Message::Join { target, rooms: Names::from(&rooms[..]) },
                Operation::Leave(rooms) => {
                    Message::Leave { target, rooms: Names::from(&rooms[..]) }
                }
                Operation::Disconnect { close } => Message::Disconnect { target, close: *close },
            },
        )
    }

    /// Anything that is for all nodes.
    pub(crate) fn say(&self, namespace: &str, message: Message<'_>) -> bool {
        self.post(self.wire.to_all(namespace, message))
    }

    pub(crate) fn post(&self, letter: Result<Letter, Unwritable>) -> bool {
        match letter {
            Ok(Letter { channel, bytes }) => {
                self.link.publish(channel.into(), self.wire.is_sharded(), Bytes::from(bytes))
            }
            // Data that only looks like a placeholder for an attachment, or is nested beyond all measure.
            Err(error) => {
                tracing::debug!(?error, "something cannot be told to other nodes");
                false
            }
        }
    }
}

/// A target as other nodes know it.
pub(super) fn opts(target: &Target) -> Opts<'_> {
    Opts {
        rooms: (&*target.rooms).into(),
        except: (&*target.except).into(),
        flags: Flags {
            volatile: target.volatile,
            compress: (!target.compress).then_some(false),
            ..Flags::default()
        },
    }
}
