//! What a client's bytes can break, and the close code a strict endpoint answers with.

use std::{error, fmt};

use super::CloseCode;

/// Why the connection has failed (RFC 6455 section 7.1.7). Every one is the client's fault; only
/// [`MessageTooBig`](Self::MessageTooBig) depends on a limit of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// A client's frame was not masked (section 5.1).
    Unmasked,
    /// A reserved bit was set though no extension was negotiated (section 5.2).
    ReservedBits,
    /// An opcode without meaning: 3 to 7 or 11 to 15 (section 5.2).
    ReservedOpcode(u8),
    /// A ping, pong or close frame without the final bit (section 5.5).
    FragmentedControl,
    /// A ping, pong or close frame with more than 125 bytes of payload (section 5.5).
    ControlTooBig,
    /// A length written in more bytes than it needs (section 5.2).
    LengthNotMinimal,
    /// A 64-bit length whose top bit is set (section 5.2).
    LengthOverflow,
    /// A continuation frame outside of a message (section 5.4).
    UnexpectedContinuation,
    /// A new message before the last one was finished (section 5.4).
    UnfinishedMessage,
    /// A message longer than `WebSocketLimits::message_bytes_max`, found in the frame's header.
    MessageTooBig,
    /// A text message that is not UTF-8 (section 8.1).
    InvalidText,
    /// A close frame with one byte of payload: half a code (section 5.5.1).
    CloseTruncated,
    /// A close code that must not be on the wire (section 7.4).
    CloseCode(u16),
    /// A close reason that is not UTF-8 (section 5.5.1).
    InvalidCloseReason,
}

impl Violation {
    /// The code of the close frame that tells the client, where the caller wants to tell it.
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::MessageTooBig => CloseCode::Size,
            Self::InvalidText | Self::InvalidCloseReason => CloseCode::Invalid,
            Self::Unmasked
            | Self::ReservedBits
            | Self::ReservedOpcode(_)
            | Self::FragmentedControl
            | Self::ControlTooBig
            | Self::LengthNotMinimal
            | Self::LengthOverflow
            | Self::UnexpectedContinuation
            | Self::UnfinishedMessage
            | Self::CloseTruncated
            | Self::CloseCode(_) => CloseCode::Protocol,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmasked => f.write_str("frame is not masked"),
            Self::ReservedBits => f.write_str("reserved bit is set"),
            Self::ReservedOpcode(opcode) => write!(f, "opcode {opcode} has no meaning"),
            Self::FragmentedControl => f.write_str("control frame is fragmented"),
            Self::ControlTooBig => f.write_str("control frame has more than 125 bytes"),
            Self::LengthNotMinimal => f.write_str("length is not in its shortest form"),
            Self::LengthOverflow => f.write_str("length has its top bit set"),
            Self::UnexpectedContinuation => f.write_str("continuation frame without a message"),
            Self::UnfinishedMessage => f.write_str("new message inside of a message"),
            Self::MessageTooBig => f.write_str("message exceeds message_bytes_max"),
            Self::InvalidText => f.write_str("text message is not UTF-8"),
            Self::CloseTruncated => f.write_str("close frame has half a code"),
            Self::CloseCode(code) => write!(f, "close code {code} may not be sent"),
            Self::InvalidCloseReason => f.write_str("close reason is not UTF-8"),
        }
    }
}

impl error::Error for Violation {}
