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
//!
//! What is deliberately absent: sockets, timers, HTTP headers and cookies, WebSocket framing,
//! compression, and the table of sessions.

pub mod id;
pub mod jsonp;
pub mod outgoing;
pub mod packet;
pub mod payload;
pub mod payload_v3;
pub mod revision;
pub mod transport;

pub use id::{Owner, SessionId};
pub use packet::{BinaryForm, Data, Packet, PacketError, PacketType};
pub use payload::{Body, BodyForm, Payload, PayloadError, PayloadForm};
pub use revision::Revision;
pub use transport::{Transport, Transports};
