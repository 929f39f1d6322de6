//! A WebSocket client that sends any frame it is told to.

use std::net::SocketAddr;

use super::wire::{UPGRADE, Wire, get};

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

/// What a client's frames are masked with.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The first byte: FIN, reserved bits, opcode.
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

/// A client's side of a WebSocket.
pub(crate) struct WebSocket {
    pub(crate) wire: Wire,
}

/// A masked frame, whatever its first byte says.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        len @ 0..126 => out.push(0x80 | len as u8),
        len @ 126..65_536 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

impl Frame {
    pub(crate) fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap()
    }

    /// The status of a close frame.
    pub(crate) fn status(&self) -> Option<u16> {
        let bytes = self.payload.first_chunk::<2>()?;
        (self.opcode() == CLOSE).then(|| u16::from_be_bytes(*bytes))
    }
}

impl WebSocket {
    /// A new session.
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::on(Wire::open(address), "/socket.io/?EIO=4&transport=websocket")
    }

    /// Upgrades a connection.
    pub(crate) fn on(mut wire: Wire, target: &str) -> Self {
        let response = wire.ask(get(target, UPGRADE));
        assert_eq!(response.status, 101, "{response:?}");
        Self { wire }
    }

    pub(crate) fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.wire.send(frame(0x80 | opcode, payload));
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.send(TEXT, text.as_bytes());
    }

    /// The next frame; `None` at the end of the stream.
    pub(crate) fn receive(&mut self) -> Option<Frame> {
        let head = self.wire.read_exact(2)?;
        assert!(head[1] & 0x80 == 0, "a server masks nothing");
        let len = match head[1] {
            126 => u64::from(u16::from_be_bytes(*self.wire.read_exact(2)?.first_chunk()?)),
            127 => u64::from_be_bytes(*self.wire.read_exact(8)?.first_chunk()?),
            len => len.into(),
        };
        Some(Frame { first: head[0], payload: self.wire.read_exact(len as usize)? })
    }

    /// Reads to the end; the close frame, if the server sent one.
    pub(crate) fn closed(&mut self) -> Option<Frame> {
        let mut close = None;
        while let Some(frame) = self.receive() {
            assert!(close.is_none(), "{frame:?} after a close frame");
            close = (frame.opcode() == CLOSE).then_some(frame);
        }
        close
    }
}
