//! Socket.IO packets, revision 5 (over Engine.IO 4) and revision 4 (over Engine.IO 3), in the default
//! parser's format.
//!
//! A [`Decoder`] turns a client's messages into [`Packet`]s, whose JSON was checked and stays text; an
//! [`Event`] or [`Ack`] lends [`Args`], which become types when a handler asks. [`encode`] goes the
//! other way.
//!
//! | file | what it owns |
//! |---|---|
//! | `packet` | the text of one packet, and what is refused in it |
//! | `decoder` | a binary packet and its attachments, until all have come |
//! | `event` | an event's name, an acknowledgement's id |
//! | `args` | arguments as raw JSON and as types |
//! | `reader` | types from JSON with attachments in it, or with what only JavaScript reads |
//! | `encode` | packets into bytes |
//! | `serialize` | values into JavaScript's JSON and attachments |
//! | `binary` | the type for binary data in arguments |
//! | `placeholder` | where attachments belong |
//! | `json`, `escape`, `number` | JSON as text, strings as JavaScript reads them, numbers as it prints them |
//! | `ack` | acknowledgement ids |

mod ack;
mod args;
mod binary;
mod decoder;
pub mod encode;
pub(crate) mod escape;
mod event;
pub(crate) mod json;
pub(crate) mod number;
mod packet;
pub(crate) mod placeholder;
mod reader;
mod serialize;

pub use ack::AckIds;
pub use args::{Args, ArgsError, KeptArgs, RawArgs};
pub use binary::Binary;
pub use decoder::{Complete, Decoder, Spares};
pub use encode::EncodeError;
pub use event::{Ack, Event, KeptEvent};
pub use packet::{DecodeError, Packet, PacketType, RESERVED_EVENTS, decode, split_query};
