//! The bridge to Redis: what the node tells other nodes, and what they tell it.
//!
//! It has a thread of its own, so that shards never wait for Redis. What a shard publishes is handed over
//! and forgotten; what comes is handed to a [`Listener`]. When Redis is away the node goes on by itself:
//! what is to be published waits, up to a bound, and is counted when it does not fit.
//!
//! | file | what it owns |
//! |---|---|
//! | `link` | the shards' end: handing over, bounds, counters |
//! | `courier` | the thread: connecting, again and again, sending in batches, hearing |
//! | `channel` | names of channels, and which of them are wanted |

mod channel;
mod courier;
mod link;
#[cfg(test)]
mod tests;

pub(crate) use channel::Kind;
pub(crate) use link::{Link, Listener, RedisSettings, Said};
