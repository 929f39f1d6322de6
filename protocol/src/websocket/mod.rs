//! WebSocket, the server's side (RFC 6455), on tungstenite's frame types.
//!
//! The connection's context of that crate is not used: it keeps a read buffer for every connection, and
//! ours are the kernel's until bytes have come. No extension is negotiated.
//!
//! | file | what it owns |
//! |---|---|
//! | `handshake` | the upgrade request and its answer |
//! | `decoder` | frames and fragments into messages |
//! | `violation` | what a peer may not do, and the close code for it |
//! | `mask` | unmasking by wide words |
//! | `encode` | frame headers for what is sent |

mod decoder;
mod encode;
mod handshake;
mod mask;
mod violation;

pub use decoder::{Decoder, Event};
pub use encode::{BINARY, CLOSE, PING, PONG, TEXT, put_header};
pub use handshake::{Accept, HandshakeError, accept};
pub use tungstenite::protocol::frame::coding::{CloseCode, OpCode};
pub use violation::Violation;
