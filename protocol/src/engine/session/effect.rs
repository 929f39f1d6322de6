//! What a session asks of its caller.

use std::borrow::Cow;
use std::fmt;

use crate::engine::packet::BinaryForm;
use crate::engine::response::Response;
use crate::message::Message;

/// Something for the caller to do. Effects are carried out in order; one that names a connection that
/// is gone is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect<C> {
    /// Send a message on a WebSocket.
    Message {
        /// The WebSocket.
        to: C,
        /// The message.
        message: Message,
        /// How it is framed if it is binary.
        form: BinaryForm,
    },
    /// Send a text frame that is no message on a WebSocket: handshake, ping, pong.
    Packet {
        /// The WebSocket.
        to: C,
        /// The payload of the frame.
        text: Cow<'static, str>,
    },
    /// Answer the request that is open on a connection. Each request gets at most one answer, and one
    /// that gets none has its connection named in [`Effect::Hangup`].
    Respond {
        /// The connection.
        to: C,
        /// The answer.
        response: Response,
    },
    /// End a connection.
    Hangup {
        /// The connection.
        connection: C,
        /// In which way.
        how: Hangup,
    },
    /// The session is over: forget its id. Comes once, and nothing that matters follows it.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// How to end a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// WebSocket: a close frame without status (the client sees 1005), as the reference always sends.
    WebSocket,
    /// WebSocket: a close frame with a status, for what the WebSocket layer itself refused.
    WebSocketStatus(u16),
    /// TCP: at once, without an answer to the request that is being received.
    Destroy,
}

/// Why a session ended. The names are the reference's, except the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client broke the rules of the transport, or a request of its was cut short.
    TransportError,
    /// The client left.
    TransportClose,
    /// The server closed it.
    ForcedClose,
    /// The client did not answer in time.
    PingTimeout,
    /// The client sent what is no packet.
    ParseError,
    /// The client did not fetch what was waiting for it
    /// ([`buffer_bytes_max`](crate::engine::Settings::buffer_bytes_max)).
    BufferOverflow,
}

impl CloseReason {
    /// The reason as applications see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TransportError => "transport error",
            Self::TransportClose => "transport close",
            Self::ForcedClose => "forced close",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::BufferOverflow => "buffer overflow",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
