//! Channels of Redis, and which of them the node wants to hear.

use std::collections::HashMap;
use std::sync::Arc;

/// How a channel is named to Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// One name: `SUBSCRIBE`.
    Plain,
    /// All names that match: `PSUBSCRIBE`.
    Pattern,
    /// One name on the node of a Redis Cluster that has it: `SSUBSCRIBE`, Redis 7.
    Sharded,
}

/// A channel, or several.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Channel {
    pub(crate) kind: Kind,
    pub(crate) name: Arc<str>,
}

/// Channels that are wanted, and by how many. Several namespaces, shards or rooms may want the same.
#[derive(Debug, Default)]
pub(crate) struct Wanted(HashMap<Channel, usize>);

impl Kind {
    /// The commands that begin and end it.
    pub(super) fn commands(self) -> (&'static str, &'static str) {
        match self {
            Kind::Plain => ("SUBSCRIBE", "UNSUBSCRIBE"),
            Kind::Pattern => ("PSUBSCRIBE", "PUNSUBSCRIBE"),
            Kind::Sharded => ("SSUBSCRIBE", "SUNSUBSCRIBE"),
        }
    }
}

impl Kind {
    /// What is asked of PUBSUB to know how many hear it.
    pub(super) fn count(self) -> &'static str {
        match self {
            Kind::Sharded => "SHARDNUMSUB",
            Kind::Plain | Kind::Pattern => "NUMSUB",
        }
    }
}

impl Wanted {
    /// One more wants it. Returns whether it is the first.
    pub(super) fn want(&mut self, channel: &Channel) -> bool {
        match self.0.get_mut(channel) {
            Some(count) => {
                *count += 1;
                false
            }
            None => self.0.insert(channel.clone(), 1).is_none(),
        }
    }

    /// One less wants it. Returns whether it was the last; somebody who never wanted it changes nothing.
    pub(super) fn forgo(&mut self, channel: &Channel) -> bool {
        match self.0.get_mut(channel) {
            Some(count) if *count > 1 => {
                *count -= 1;
                false
            }
            Some(_) => self.0.remove(channel).is_some(),
            None => false,
        }
    }

    pub(super) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.0.keys().filter(move |channel| channel.kind == kind).map(|channel| &*channel.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_wanted_as_long_as_anybody_wants_it() {
        let channel = |kind, name: &str| Channel { kind, name: name.into() };
        let (plain, sharded) = (channel(Kind::Plain, "a"), channel(Kind::Sharded, "a"));
        let mut wanted = Wanted::default();
        assert!(wanted.want(&plain) && !wanted.want(&plain));
        assert!(wanted.want(&sharded), "another kind is another channel");
        assert_eq!(wanted.of_kind(Kind::Plain).collect::<Vec<_>>(), ["a"]);
        assert!(!wanted.forgo(&plain) && wanted.forgo(&plain) && !wanted.forgo(&plain));
        assert_eq!(wanted.of_kind(Kind::Plain).count(), 0);
        assert_eq!(wanted.of_kind(Kind::Sharded).count(), 1);
    }
}
