//! WebSocket, the server's side (RFC 6455), without I/O.
//!
//! Owned here: the upgrade handshake ([`accept`]), reading what clients send ([`Decoder`]: frames,
//! fragments, unmasking, UTF-8, limits) and writing what servers send ([`encode`]). Opcodes and close
//! codes are tungstenite's types; its connection object is not used, because it keeps buffers of its
//! own for every connection.
//!
//! Not owned: sockets, queues, time-outs, and what to answer. A [`Violation`] names the close code a
//! strict endpoint would send; Engine.IO, for instance, closes without a code in most cases.
//!
//! No extension is negotiated, so all reserved bits are refused.

mod assembly;
mod close;
mod decoder;
pub mod encode;
mod event;
mod handshake;
mod head;
mod mask;
mod utf8;
mod violation;

pub use close::CLOSE_REASON_BYTES_MAX;
pub use decoder::Decoder;
pub use event::Event;
pub use handshake::{Accept, HandshakeError, accept};
pub use mask::Mask;
pub use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
pub use violation::Violation;
