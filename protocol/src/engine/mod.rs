//! Engine.IO, the layer below Socket.IO: packets, polling payloads, request verification and the
//! session state machine, for revisions 3 and 4 of the protocol
//! (<https://socket.io/docs/v4/engine-io-protocol/>).
//!
//! | module | what it owns |
//! |---|---|
//! | [`revision`] | which revision a request speaks |
//! | [`transport`] | the names of the transports and which are enabled |
//! | [`id`] | session ids that name their owner |
//! | [`packet`] | one packet, as a WebSocket frame carries it |
//! | [`outgoing`] | one packet on its way to the client, as it waits for a poll |
//! | [`payload`], [`payload_v3`], [`jsonp`] | polling bodies |
//! | [`open`] | the handshake packet |
//! | [`response`], [`error`] | answers to HTTP requests, error codes and their two forms |
//! | [`path`] | which request targets are the server's |
//! | [`mod@verify`], [`rejection`] | whether a request may start or join a session, and if not, why |
//! | [`settings`] | the options of a server that its sessions share |
//! | [`session`] | the state machine of one session |
//!
//! What is deliberately absent: sockets, timers, HTTP headers and cookies, WebSocket framing,
//! compression, and the table of sessions.

pub mod error;
pub mod id;
pub mod jsonp;
pub mod open;
pub mod outgoing;
pub mod packet;
pub mod path;
pub mod payload;
pub mod payload_v3;
pub mod rejection;
pub mod response;
pub mod revision;
pub mod session;
pub mod settings;
pub mod transport;
pub mod verify;

pub use error::ErrorCode;
pub use id::{Owner, SessionId};
pub use packet::{BinaryForm, Data, Packet, PacketError, PacketType};
pub use path::PathPrefix;
pub use payload::{Body, BodyForm, Payload, PayloadError, PayloadForm};
pub use rejection::{Context, Rejection};
pub use response::Response;
pub use revision::Revision;
pub use session::{Close, CloseReason, Effect, Hangup, Received, Route, Session};
pub use settings::Settings;
pub use transport::{Transport, Transports};
pub use verify::{Existing, Handshake, Opening, Request, SessionFacts, Verdict, verify};
