//! The sharded adapter (`createShardedAdapter` of `@socket.io/redis-adapter`): everything by SPUBLISH, so
//! that in a cluster of Redis each channel lives on one of its nodes.
//!
//! [`Envelope`](super::Envelope)s go to the namespace's channel, or to that of the only room that a
//! broadcast is for; answers to that of the node that asked. The streams adapter names its channels the
//! same way, without any for rooms: [`Mode::Static`].

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::message::Message;

/// Which rooms have channels of their own: the option `subscriptionMode`. All nodes must have the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// None.
    Static,
    /// All but the sockets' own.
    #[default]
    Dynamic,
    /// All.
    DynamicPrivate,
}

/// There is no mode of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownMode(pub String);

impl fmt::Display for UnknownMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no mode; there are static, dynamic and dynamic-private", self.0)
    }
}

impl std::error::Error for UnknownMode {}

impl Mode {
    /// Its name in options.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Dynamic => "dynamic",
            Self::DynamicPrivate => "dynamic-private",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = UnknownMode;

    fn from_str(name: &str) -> Result<Self, UnknownMode> {
        match name {
            "static" => Ok(Self::Static),
            "dynamic" => Ok(Self::Dynamic),
            "dynamic-private" => Ok(Self::DynamicPrivate),
            _ => Err(UnknownMode(name.to_owned())),
        }
    }
}

/// The channels of one namespace on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channels {
    main: String,
    own: String,
    mode: Mode,
}

/// What a channel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'c> {
    /// Messages for all nodes.
    Main,
    /// Answers to this node.
    Own,
    /// Broadcasts for this room alone.
    Room(&'c str),
}

impl Channels {
    /// The channels of `namespace`. `prefix` is the option `channelPrefix` of Node's adapter, and `uid` the
    /// node's name in that namespace.
    pub fn new(prefix: &str, namespace: &str, uid: &str, mode: Mode) -> Self {
        let main = format!("{prefix}#{namespace}#");
        Self { own: format!("{main}{uid}#"), main, mode }
    }

    /// Where messages for all nodes are published, and heard. Its subscribers are the nodes.
    pub fn main(&self) -> &str {
        &self.main
    }

    /// Where answers to this node are heard.
    pub fn own(&self) -> &str {
        &self.own
    }

    /// Where answers to `uid` are published.
    pub fn response_to(&self, uid: &str) -> String {
        format!("{}{uid}#", self.main)
    }

    /// Where `message`, which is no answer, is published.
    ///
    /// Whether a room is a socket's own Node tells by its length here, and by its sockets where it
    /// subscribes: so ids of another length than theirs cannot be reached in [`Mode::Dynamic`].
    pub fn publish(&self, message: &Message<'_>) -> Cow<'_, str> {
        let Message::Broadcast { target, request: None, .. } = message else {
            return Cow::Borrowed(&self.main);
        };
        match target.rooms.only() {
            Some(room) if self.is_published_apart(&room) => Cow::Owned(self.response_to(&room)),
            _ => Cow::Borrowed(&self.main),
        }
    }

    /// The channel that is to be heard as long as there is a member of `room` on this node, if it has one;
    /// `is_own` tells that it is the own room of a socket of this node.
    pub fn room(&self, room: &str, is_own: bool) -> Option<String> {
        let has_one = match self.mode {
            Mode::Static => false,
            Mode::Dynamic => !is_own,
            Mode::DynamicPrivate => true,
        };
        has_one.then(|| self.response_to(room))
    }

    /// What a message on `channel` is; `None` if it is of another namespace.
    pub fn identify<'c>(&self, channel: &'c [u8]) -> Option<Origin<'c>> {
        let channel = std::str::from_utf8(channel).ok()?;
        if channel == self.own {
            return Some(Origin::Own);
        }
        let room = channel.strip_prefix(&*self.main)?;
        if room.is_empty() {
            return Some(Origin::Main);
        }
        room.strip_suffix('#').map(Origin::Room)
    }

    fn is_published_apart(&self, room: &str) -> bool {
        /// In UTF-16 units, as JavaScript counts.
        const SOCKET_ID_LEN: usize = 20;
        match self.mode {
            Mode::Static => false,
            Mode::Dynamic => room.encode_utf16().count() != SOCKET_ID_LEN,
            Mode::DynamicPrivate => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Packet, Target, Value};

    fn broadcast<'a>(rooms: &'a [&'a str], request: Option<&'a str>) -> Message<'a> {
        Message::Broadcast {
            packet: Packet { namespace: None, id: None, data: Value::json("[\"a\"]") },
            target: Target::rooms(rooms),
            request: request.map(Cow::Borrowed),
        }
    }

    #[test]
    fn names_are_read_as_they_are_printed() {
        for mode in [Mode::Static, Mode::Dynamic, Mode::DynamicPrivate] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert!("private".parse::<Mode>().unwrap_err().to_string().starts_with("'private'"));
    }

    #[test]
    fn a_room_has_a_channel_by_mode() {
        let id = "12345678901234567890";
        for (mode, room, own) in [
            (Mode::Static, false, false),
            (Mode::Dynamic, true, false),
            (Mode::DynamicPrivate, true, true),
        ] {
            let channels = Channels::new("socket.io", "/chat", "a5c5e26bd2477060", mode);
            let publish =
                |rooms: &[&str], request| channels.publish(&broadcast(rooms, request)).into_owned();
            let main = "socket.io#/chat#";
            let apart = |room: &str, apart| {
                if apart { format!("{main}{room}#") } else { main.to_owned() }
            };
            assert_eq!(publish(&["é"], None), apart("é", room));
            assert_eq!(publish(&[id], None), apart(id, own));
            assert_eq!(publish(&["é"], Some("request")), main);
            assert_eq!(publish(&["a", "b"], None), main);
            assert_eq!(publish(&[], None), main);
            assert_eq!(channels.publish(&Message::Heartbeat), main);
            assert_eq!(channels.room("a", false), room.then(|| apart("a", true)));
            assert_eq!(channels.room("a", true), own.then(|| apart("a", true)));
            assert_eq!(channels.own(), "socket.io#/chat#a5c5e26bd2477060#");
            assert_eq!(channels.main(), main);
        }
    }

    #[test]
    fn a_channel_tells_what_is_on_it() {
        let channels = Channels::new("socket.io", "/", "u", Mode::Dynamic);
        for (channel, origin) in [
            ("socket.io#/#", Some(Origin::Main)),
            ("socket.io#/#u#", Some(Origin::Own)),
            ("socket.io#/#v#", Some(Origin::Room("v"))),
            ("socket.io#/##", Some(Origin::Room(""))),
            ("socket.io#/#v", None),
            ("socket.io#/v#", None),
        ] {
            assert_eq!(channels.identify(channel.as_bytes()), origin, "{channel}");
        }
        assert_eq!(channels.identify(b"socket.io#/#\xff#"), None);
    }
}
