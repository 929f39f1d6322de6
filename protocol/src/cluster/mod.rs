//! What nodes tell each other over Redis, byte for byte as Node's packages write it, so that both kinds
//! of nodes serve one cluster, and emitters of either kind reach both.
//!
//! Three ways of talking, one of which a cluster chooses:
//!
//! | module | Node's package | over |
//! |---|---|---|
//! | [`classic`] | `@socket.io/redis-adapter`, `createAdapter`; and emitters, old adapters | PUBLISH |
//! | [`sharded`] | `@socket.io/redis-adapter`, `createShardedAdapter` | SPUBLISH |
//! | [`streams`] | `@socket.io/redis-streams-adapter`, and its emitter | XADD, and PUBLISH or SPUBLISH |
//!
//! This is the meaning of bytes only: which channel a message goes to, what is in it, what came in. Who
//! connects to Redis, counts answers, waits and gives up is the runtime's to decide.
//!
//! Decoders borrow from the message, look at all of it once, and are total: whoever may write to a Redis
//! may write anything. They take what any version of Node's packages ever wrote; encoders write what the
//! current ones write, and nothing else, since a Node node ends at a broadcast that it cannot read. An
//! event's arguments stay as they came, [`Value`]s, which are written in whichever form their next reader
//! wants: JSON with attachments for most clients, MessagePack for others.
//!
//! | file | what it owns |
//! |---|---|
//! | `value` | a raw value of either form, and what can be asked of it |
//! | `container` | the elements of lists and the members of maps |
//! | `text`, `pack` | values as JSON and as MessagePack |
//! | `dialect` | what the encoders of MessagePack disagree about |
//! | `writer` | a message's members in either form |
//! | `names`, `target`, `packet`, `remote` | what messages of all three ways are made of |
//! | `message`, `envelope` | what nodes tell each other with the newer two |
//! | `legacy` | MessagePack as it was before it had binary data |
//! | `malformed` | why a message is refused |

pub mod classic;
mod container;
mod dialect;
mod envelope;
mod legacy;
mod malformed;
mod message;
mod names;
mod pack;
mod packet;
mod remote;
pub mod sharded;
pub mod streams;
mod target;
mod text;
mod value;
mod writer;

pub use container::{Elements, Members};
pub use dialect::Dialect;
pub use envelope::Envelope;
pub use legacy::modernise;
pub use malformed::{Malformed, Unwritable};
pub use message::Message;
pub use names::{Names, NamesIter};
pub use packet::Packet;
pub use remote::{RemoteSocket, Sockets};
pub use target::{Flags, Target};
pub use value::Value;

/// How Node's packages name what nodes share: the default of their options `key` and `channelPrefix`.
pub const PREFIX: &str = "socket.io";

/// The sender of messages that come from no node: emitters write it instead of a node's own name.
pub const EMITTER: &str = "emitter";
