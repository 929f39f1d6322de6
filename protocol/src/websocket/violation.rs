//! What a peer may not do in frames. All of it is the peer's fault, and ends its connection.

use std::fmt;

/// A broken rule, or a limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// A client's frame must be masked (RFC 6455 section 5.1).
    NotMasked,
    /// An extension bit is set, and no extension was negotiated (section 5.2).
    ReservedBits,
    /// The opcode is none (section 5.2).
    ReservedOpcode,
    /// The length is not in its shortest form, or has its highest bit set (section 5.2).
    BadLength,
    /// A control frame is fragmented or longer than 125 bytes (section 5.5).
    BadControl,
    /// A continuation of nothing (section 5.4).
    UnexpectedContinuation,
    /// A new message inside another (section 5.4).
    UnfinishedMessage,
    /// A close frame's payload is one byte, or its code is not one to be sent (section 7.4).
    BadClose,
    /// Text, or a close frame's reason, is not UTF-8 (section 8.1).
    NotUtf8,
    /// Limit `message_bytes_max`.
    TooBig,
}

impl Violation {
    /// The status for a close frame (section 7.4.1).
    pub fn close_code(self) -> u16 {
        match self {
            Self::NotUtf8 => 1007,
            Self::TooBig => 1009,
            _ => 1002,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotMasked => "frame is not masked",
            Self::ReservedBits => "reserved bits are set",
            Self::ReservedOpcode => "reserved opcode",
            Self::BadLength => "illegal length",
            Self::BadControl => "fragmented or oversized control frame",
            Self::UnexpectedContinuation => "continuation of nothing",
            Self::UnfinishedMessage => "new message inside another",
            Self::BadClose => "illegal close frame",
            Self::NotUtf8 => "text is not UTF-8",
            Self::TooBig => "message too big (limit message_bytes_max)",
        })
    }
}

impl std::error::Error for Violation {}
