//! Socket.IO packets in whichever form a server's clients write them: the default parser's
//! ([`socket`](crate::socket)) or MessagePack ([`msgpack`](crate::msgpack)).
//!
//! Both forms have modules of their own, which know nothing of each other's. This one is for those who
//! take either, handlers above all: an [`Event`] lends [`Args`] that become the same types from both. It
//! chooses, and passes on; it reads no bytes itself.
//!
//! | file | what it owns |
//! |---|---|
//! | `choice` | which parser it is, by its name, and the packets that a server writes by itself |
//! | `packet` | one packet of either form |
//! | `event` | an event's name and arguments, an acknowledgement's id |
//! | `args` | arguments of either form as types, and in the other form |
//! | `value` | any value, on its way from one form to the other |

mod args;
mod choice;
mod event;
mod packet;
mod value;

pub use args::{Args, KeptArgs};
pub use choice::{Parser, UnknownParser};
pub use event::{Ack, Event, KeptEvent};
pub use packet::Packet;

pub use crate::socket::{ArgsError, EncodeError, PacketType};
