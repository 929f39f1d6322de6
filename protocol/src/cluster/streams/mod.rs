//! The streams adapter (`@socket.io/redis-streams-adapter` 0.3) and its emitter: what sockets have to
//! hear goes through a stream by XADD, so that a client that was away for a while can be told of it.
//!
//! * Broadcasts without acknowledgement, joins, leaves and disconnects are [entries](entry) of the stream.
//!   All nodes read all of it; an entry's id is the [`Offset`] that clients remember.
//! * All other messages, and all answers, are published as MessagePack
//!   ([`Envelope::encode_packed`](super::Envelope::encode_packed)) on the channels that
//!   [`sharded::Channels`](super::sharded::Channels) names in [`Mode::Static`](super::sharded::Mode): by
//!   PUBLISH, or by SPUBLISH where the option `useShardedPubSub` is on. Emitters have no channels, and put
//!   their [`ServerSideEmit`](super::Message::ServerSideEmit) into the stream as well.
//! * A socket that may come back leaves its [`Session`] in Redis.
//!
//! With the same prefix, these channels are those of the classic adapter: a Node node of that ends at the
//! first message on them. Version 0.2 writes everything into the stream, heartbeats and answers included;
//! its entries are read, too.

pub mod entry;
mod offset;
mod session;
mod stream;
mod text;

pub use offset::{InvalidOffset, Offset};
pub use session::{SESSION_PREFIX, Session};
pub use stream::{MAX_LEN, STREAM, Streams};
