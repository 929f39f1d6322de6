//! Talking to a cluster without being a node of it: what Node's emitters do.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use yamabiko_protocol::cluster::{EMITTER, Message, Packet};
use yamabiko_protocol::parser::{EncodeError, Parser};

use super::mouth::{Mouth, opts};
use super::wire::Wire;
use crate::bridge::{Link, Listener, RedisSettings};
use crate::broadcast::Target;
use crate::operation::Operation;
use crate::packet::EmitArgs;
use crate::settings::Redis;

/// A program that is no server, but has something to say to the clients of a cluster. It listens to nothing,
/// and is counted by nobody.
///
/// What it says is handed to a thread of its own, in order, and waits there while Redis is away.
#[derive(Clone)]
pub struct Emitter(Mouth);

/// Why something was not said.
#[derive(Debug)]
pub enum EmitterError {
    /// The address of Redis makes no sense.
    Address(String),
    /// The arguments cannot be put into JSON, or the event's name is reserved.
    Encode(EncodeError),
    /// More than 64 MiB wait for Redis already.
    Full,
    /// Redis was not reached in time, or did not take everything. What waits is still sent if it can be.
    Unsent,
}

impl fmt::Display for EmitterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(why) => f.write_str(why),
            Self::Encode(error) => error.fmt(f),
            Self::Full => f.write_str("too much waits for Redis already"),
            Self::Unsent => f.write_str("Redis cannot be reached, or did not take it"),
        }
    }
}

impl std::error::Error for EmitterError {}

impl From<EncodeError> for EmitterError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

/// Hears nothing, as it subscribes to nothing.
struct Deaf;

impl Listener for Deaf {
    fn message(&mut self, _: &str, _: Bytes) {}
}

impl Emitter {
    /// One for the cluster that meets there. Redis need not be there yet.
    ///
    /// # Errors
    /// [`EmitterError::Address`].
    pub fn new(redis: &Redis) -> Result<Self, EmitterError> {
        let link = Link::open(RedisSettings::of(&redis.url), Deaf)
            .map_err(|error| EmitterError::Address(error.to_string()))?;
        let (prefix, uid) = (redis.key.as_str().into(), EMITTER.into());
        Ok(Self(Mouth { link, wire: Wire { adapter: redis.adapter, prefix, uid } }))
    }

    /// Sends an event to sockets of a namespace.
    ///
    /// # Errors
    /// [`EmitterError::Encode`], [`EmitterError::Full`].
    pub fn emit(
        &self,
        namespace: &str,
        target: &Target,
        event: &str,
        args: &dyn EmitArgs,
    ) -> Result<(), EmitterError> {
        yamabiko_protocol::socket::encode::check_name(event)?;
        let said = args.to_raw(Parser::Default)?.with_list(event, |data| {
            let packet = Packet { namespace: None, id: None, data };
            let message = Message::Broadcast { packet, target: opts(target), request: None };
            self.0.say(namespace, message)
        });
        taken(said.unwrap_or(false))
    }

    /// Has something done to sockets of a namespace.
    ///
    /// # Errors
    /// [`EmitterError::Full`].
    pub fn operate(
        &self,
        namespace: &str,
        target: &Target,
        operation: &Operation,
    ) -> Result<(), EmitterError> {
        taken(self.0.operate(namespace, target, operation))
    }

    /// Sends an event to the servers' applications.
    ///
    /// # Errors
    /// [`EmitterError::Encode`], [`EmitterError::Full`].
    pub fn server_side_emit(
        &self,
        namespace: &str,
        event: &str,
        args: &dyn EmitArgs,
    ) -> Result<(), EmitterError> {
        let said = args.to_raw(Parser::Default)?.with_list(event, |data| {
            self.0.say(namespace, Message::ServerSideEmit { data, request: None })
        });
        taken(said.unwrap_or(false))
    }

    /// Waits until Redis has all that was said by now.
    ///
    /// # Errors
    /// [`EmitterError::Unsent`].
    pub fn flush(&self, patience: Duration) -> Result<(), EmitterError> {
        let metrics = self.0.link.metrics();
        let before = metrics.unsure.load(Ordering::Relaxed);
        let (sender, told) = mpsc::channel();
        let (kind, channel) = self.0.wire.counted("/");
        // Redis answers in order.
        self.0.link.count(
            kind,
            channel.into(),
            Box::new(move |count| {
                let _ = sender.send(count);
            }),
        );
        match told.recv_timeout(patience) {
            Ok(Some(_)) if metrics.unsure.load(Ordering::Relaxed) == before => Ok(()),
            _ => Err(EmitterError::Unsent),
        }
    }
}

impl fmt::Debug for Emitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emitter").field("wire", &self.0.wire).finish_non_exhaustive()
    }
}

fn taken(was_taken: bool) -> Result<(), EmitterError> {
    if was_taken { Ok(()) } else { Err(EmitterError::Full) }
}
