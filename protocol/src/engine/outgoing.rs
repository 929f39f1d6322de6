//! One packet on its way to a client, as it waits for a poll.

use crate::message::Message;

/// An outgoing packet. Only messages carry application data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// The handshake: the whole packet, `0{…}`.
    Open(Box<str>),
    /// `1`
    Close,
    /// `2`
    Ping,
    /// `3`
    Pong,
    /// `4…`
    Message(Message),
    /// `6`
    Noop,
}

/// A packet as it is before a payload form wraps it.
pub(super) enum Content<'a> {
    /// A whole text packet, type digit included. Valid UTF-8.
    Text(&'a [u8]),
    /// The data of a binary message.
    Binary(&'a [u8]),
}

impl Outgoing {
    /// Bytes this packet takes while it waits, its place in the queue included, so that a bound on
    /// bytes also bounds the number of tiny packets.
    pub fn weight(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Open(packet) => packet.len(),
                Self::Message(message) => message.weight(),
                Self::Close | Self::Ping | Self::Pong | Self::Noop => 0,
            }
    }

    pub(super) fn content(&self) -> Content<'_> {
        match self {
            Self::Open(packet) => Content::Text(packet.as_bytes()),
            Self::Close => Content::Text(b"1"),
            Self::Ping => Content::Text(b"2"),
            Self::Pong => Content::Text(b"3"),
            Self::Message(Message::Text(text)) => Content::Text(text.packet_bytes()),
            Self::Message(Message::Binary(data)) => Content::Binary(data),
            Self::Noop => Content::Text(b"6"),
        }
    }

    pub(super) fn is_binary(&self) -> bool {
        matches!(self, Self::Message(Message::Binary(_)))
    }
}
