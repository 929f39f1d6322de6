//! What is wrong with a message that came over Redis, or with a value that shall go out over it.

use std::fmt;

use crate::msgpack::token;
use crate::socket::json;

/// Why a message is refused. The caller's answer is always to drop it and count it: whoever may write to
/// this Redis may write anything, and nobody waits for an answer to what cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Neither exactly one JSON value nor exactly one MessagePack value, or with a string that is not
    /// UTF-8.
    Syntax,
    /// Limit `depth_max`: lists and maps nest deeper.
    Depth,
    /// Limit `message_bytes_max`: the message is longer.
    TooLong,
    /// The member of that name is missing, or is of a kind that it cannot be.
    Member(&'static str),
    /// No version of any package knows a message of that type.
    UnknownType(u64),
}

impl Malformed {
    /// The field of [`ClusterLimits`](crate::limits::ClusterLimits) that was exceeded, if it was one.
    pub fn limit(self) -> Option<&'static str> {
        match self {
            Self::Depth => Some("depth_max"),
            Self::TooLong => Some("message_bytes_max"),
            _ => None,
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => f.write_str("neither JSON nor MessagePack"),
            Self::Depth => f.write_str("nested too deep"),
            Self::TooLong => f.write_str("too long"),
            Self::Member(name) => write!(f, "no usable '{name}'"),
            Self::UnknownType(number) => write!(f, "unknown message type {number}"),
        }
    }
}

impl std::error::Error for Malformed {}

impl From<json::Fault> for Malformed {
    fn from(fault: json::Fault) -> Self {
        match fault {
            json::Fault::Syntax => Self::Syntax,
            json::Fault::Depth => Self::Depth,
        }
    }
}

impl From<token::Fault> for Malformed {
    fn from(fault: token::Fault) -> Self {
        match fault {
            token::Fault::Malformed => Self::Syntax,
            token::Fault::Depth => Self::Depth,
        }
    }
}

/// Why a value cannot be written in the form that is asked for. Nothing was written then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwritable {
    /// A map has a key that is no text to JavaScript: a list, a map or binary data.
    Key,
    /// Limit `attachments_max`: there is more binary data in it.
    Attachments,
    /// Our own side's fault: the value was never checked, and is none.
    Unchecked,
}

impl Unwritable {
    /// The field of [`ClusterLimits`](crate::limits::ClusterLimits) that was exceeded, if it was one.
    pub fn limit(self) -> Option<&'static str> {
        (self == Self::Attachments).then_some("attachments_max")
    }
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "a map's key is no text",
            Self::Attachments => "too much binary data in one value",
            Self::Unchecked => "a value that was not checked",
        })
    }
}

impl std::error::Error for Unwritable {}

impl From<token::Fault> for Unwritable {
    fn from(_: token::Fault) -> Self {
        Self::Unchecked
    }
}
