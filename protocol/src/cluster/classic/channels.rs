//! The names of the classic adapter's channels.

use std::borrow::Cow;

use crate::cluster::names::Names;

/// The channels of one namespace on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channels {
    broadcast: String,
    request: String,
    response: String,
    own_response: String,
}

/// What a channel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'c> {
    /// A [`Broadcast`](super::Broadcast).
    Broadcast {
        /// The only room that it is for. Whoever has no member of that room may drop the message unread.
        room: Option<&'c str>,
    },
    /// A [`Request`](super::Request).
    Request,
    /// A [`Response`](super::Response).
    Response,
}

impl Channels {
    /// The channels of `namespace`. `prefix` is the option `key` of Node's adapter, and `uid` the node's
    /// name in that namespace.
    pub fn new(prefix: &str, namespace: &str, uid: &str) -> Self {
        let response = format!("{prefix}-response#{namespace}#");
        Self {
            broadcast: format!("{prefix}#{namespace}#"),
            request: format!("{prefix}-request#{namespace}#"),
            own_response: format!("{response}{uid}#"),
            response,
        }
    }

    /// Where broadcasts to these rooms are published. With exactly one it has a channel of its own.
    pub fn broadcast(&self, rooms: &Names<'_>) -> Cow<'_, str> {
        match rooms.only() {
            Some(room) => Cow::Owned(format!("{}{room}#", self.broadcast)),
            None => Cow::Borrowed(&self.broadcast),
        }
    }

    /// What is given to PSUBSCRIBE for all broadcasts of the namespace. Unlike Node's, it means nothing
    /// but that, whatever the namespace is called (Redis: PSUBSCRIBE, glob-style patterns).
    pub fn broadcast_pattern(&self) -> String {
        let mut pattern = String::with_capacity(self.broadcast.len() + 1);
        for character in self.broadcast.chars() {
            if matches!(character, '*' | '?' | '[' | ']' | '^' | '\\') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern.push('*');
        pattern
    }

    /// Where requests are published, and heard.
    pub fn request(&self) -> &str {
        &self.request
    }

    /// Where responses to everybody are published, and heard.
    pub fn response(&self) -> &str {
        &self.response
    }

    /// Where responses to this node alone are heard.
    pub fn own_response(&self) -> &str {
        &self.own_response
    }

    /// Where responses to `uid` alone are published: for nodes with `publishOnSpecificResponseChannel`.
    pub fn response_to(&self, uid: &str) -> String {
        format!("{}{uid}#", self.response)
    }

    /// What a message on `channel` is; `None` if it is of another namespace.
    pub fn identify<'c>(&self, channel: &'c [u8]) -> Option<Origin<'c>> {
        let channel = std::str::from_utf8(channel).ok()?;
        if let Some(room) = channel.strip_prefix(&*self.broadcast) {
            let room = room.strip_suffix('#').or(room.is_empty().then_some(room))?;
            return Some(Origin::Broadcast { room: (!room.is_empty()).then_some(room) });
        }
        if channel == self.response || channel == self.own_response {
            return Some(Origin::Response);
        }
        (channel == self.request).then_some(Origin::Request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_named_as_in_node() {
        let channels = Channels::new("socket.io", "/chat", "8lY4vp");
        assert_eq!(channels.broadcast(&Names::default()), "socket.io#/chat#");
        assert_eq!(channels.broadcast(&(&["a", "b"]).into()), "socket.io#/chat#");
        assert_eq!(channels.broadcast(&(&["a"]).into()), "socket.io#/chat#a#");
        assert_eq!(channels.broadcast_pattern(), "socket.io#/chat#*");
        assert_eq!(channels.request(), "socket.io-request#/chat#");
        assert_eq!(channels.response(), "socket.io-response#/chat#");
        assert_eq!(channels.own_response(), "socket.io-response#/chat#8lY4vp#");
        assert_eq!(channels.response_to("emitter"), "socket.io-response#/chat#emitter#");
        assert_eq!(Channels::new("app", "/", "x").request(), "app-request#/#");
    }

    #[test]
    fn a_channel_tells_what_is_on_it() {
        let channels = Channels::new("socket.io", "/chat", "8lY4vp");
        for (channel, origin) in [
            ("socket.io#/chat#", Some(Origin::Broadcast { room: None })),
            ("socket.io#/chat#a#b#", Some(Origin::Broadcast { room: Some("a#b") })),
            ("socket.io#/chat##", Some(Origin::Broadcast { room: None })),
            ("socket.io#/chat#a", None),
            ("socket.io#/chats#", None),
            ("socket.io#/#", None),
            ("socket.io-request#/chat#", Some(Origin::Request)),
            ("socket.io-response#/chat#", Some(Origin::Response)),
            ("socket.io-response#/chat#8lY4vp#", Some(Origin::Response)),
            ("socket.io-response#/chat#other#", None),
            ("", None),
        ] {
            assert_eq!(channels.identify(channel.as_bytes()), origin, "{channel}");
        }
        assert_eq!(channels.identify(b"socket.io#/chat#\xff#"), None);
    }

    #[test]
    fn a_pattern_means_one_namespace() {
        let channels = Channels::new("socket.io", r"/*[a]\?", "x");
        assert_eq!(channels.broadcast_pattern(), r"socket.io#/\*\[a\]\\\?#*");
    }
}
