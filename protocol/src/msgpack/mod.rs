//! Socket.IO packets, revision 5, in the format of `socket.io-msgpack-parser`: one MessagePack map in one
//! binary message, with binary data inside it instead of attachments.
//!
//! [`decode`] turns a client's message into a [`Packet`], whose MessagePack was checked and stays bytes;
//! an [`Event`] or [`Ack`] lends [`Args`], which become types when a handler asks. [`encode`] goes the
//! other way. Names and rules are those of [`socket`](crate::socket), the default parser, so that a
//! handler need not know which of them its peer speaks: the same types are read from both and written to
//! both, and what differs on the wire (binary data, dates) has a type that knows both forms.
//!
//! The dialect is that of `notepack` 2: whole numbers as integers of the smallest size, all others as
//! doubles, `undefined` and dates as extensions of type 0. What other encoders write is read, too.
//!
//! There is no text form: a text message from such a peer is its fault, and the caller's to refuse.
//!
//! | file | what it owns |
//! |---|---|
//! | `packet` | one packet, and what is refused in it |
//! | `event` | an event's name, an acknowledgement's id |
//! | `args` | arguments as raw MessagePack and as types |
//! | `token` | one item of MessagePack after the other, and where a value ends |
//! | `reader` | types from MessagePack |
//! | `key` | types from the keys of maps |
//! | `encode` | packets into bytes |
//! | `serialize` | values into MessagePack |
//! | `spread` | a tuple into arguments |
//! | `date` | the type for points in time |

mod args;
pub(crate) mod date;
pub mod encode;
mod event;
mod key;
mod packet;
mod reader;
pub(crate) mod serialize;
mod spread;
pub(crate) mod token;

pub use args::{Args, KeptArgs, RawArgs};
pub use date::Date;
pub use event::{Ack, Event, KeptEvent};
pub use packet::{DecodeError, Packet, decode};
pub use reader::{ReadError, from_slice};

pub use crate::socket::{ArgsError, EncodeError, PacketType};
