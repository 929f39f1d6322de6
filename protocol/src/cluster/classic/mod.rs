//! The classic adapter (`createAdapter` of `@socket.io/redis-adapter`, `socket.io-redis` before it) and
//! its emitters: everything by PUBLISH.
//!
//! * [`Broadcast`]s go to the namespace's channel, or to that of the only room that they are for, which
//!   all nodes hear by one pattern. Emitters write them, too ([`EMITTER`](super::EMITTER)).
//! * [`Request`]s go to the namespace's request channel. What is to be done (join, leave, disconnect) a
//!   node does when it hears it from Redis, its own included; what is asked it does not ask itself.
//! * [`Response`]s go to the response channel, or to that of the node that asked.
//!
//! Node counts the subscribers of the request channel to know how many answers it has to wait for: each
//! node subscribes to it exactly once per namespace, and nothing else does.
//!
//! `socket.io-redis` up to version 5 has other numbers for its requests and another key for their ids. A
//! message tells by the key which it is: [`Generation`].

mod broadcast;
mod channels;
mod request;
mod response;

pub use broadcast::Broadcast;
pub use channels::{Channels, Origin};
pub use request::{Action, Generation, Request};
pub use response::{Answer, Response};
