//! What bytes mean.
//!
//! Bytes and events go in, bytes and events come out: HTTP/1.1 requests, WebSocket frames, Engine.IO
//! packets and sessions (revisions 3 and 4), Socket.IO packets (revisions 4 and 5). The crate does no
//! I/O, has no clock (time enters as an argument, in milliseconds), knows no `async`, no thread and no
//! core; so everything in it can be fuzzed, property-tested and simulated.
//!
//! It may depend on parsers and encoders only (`httparse`, tungstenite's frame types, `serde_json`,
//! `rmp`, `base64`); never on a runtime, a socket or a logger.
//!
//! | module | what it owns |
//! |---|---|
//! | [`limits`] | every bound on what a peer may make us hold, in one place |
//! | [`http`] | request heads, bodies, query strings, responses, CORS, cookies |
//! | [`websocket`] | the upgrade handshake, frames, fragments, close codes |
//! | [`message`] | one outgoing message, encoded once for every transport |
//! | [`engine`] | Engine.IO packets, payloads, request verification, the session state machine |
//! | [`socket`] | Socket.IO packets, attachments, arguments, acknowledgement ids |
//! | [`msgpack`] | the same packets in MessagePack |
//! | [`parser`] | either of the two: which one a server uses, and what handlers get |
//! | [`proxy`] | the header in which a proxy, or another node, says whose connection it passes on |
//! | [`cluster`] | what nodes tell each other over Redis, in the formats of Node's packages |
#![forbid(unsafe_code)]

pub mod cluster;
pub mod engine;
pub mod http;
pub mod limits;
pub mod message;
pub mod msgpack;
pub mod parser;
pub mod proxy;
pub mod socket;
pub mod websocket;
