//! A client that can say right and wrong things, made without the code under test.

use tungstenite::protocol::frame::{FrameHeader, coding::OpCode};

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// One frame, as wrong as wanted.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) is_final: bool,
    /// The three reserved bits, as a number from 0 to 7.
    pub(crate) reserved: u8,
    pub(crate) opcode: u8,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) payload: Vec<u8>,
}

/// A final frame.
pub(crate) fn whole(opcode: u8, payload: impl AsRef<[u8]>) -> Frame {
    let payload = payload.as_ref().to_vec();
    Frame { is_final: true, reserved: 0, opcode, mask: Some([0x5a, 0xc3, 0x01, 0xfe]), payload }
}

/// A frame that another one has to follow.
pub(crate) fn part(opcode: u8, payload: impl AsRef<[u8]>) -> Frame {
    Frame { is_final: false, ..whole(opcode, payload) }
}

impl Frame {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let header = FrameHeader {
            is_final: self.is_final,
            rsv1: self.reserved & 4 != 0,
            rsv2: self.reserved & 2 != 0,
            rsv3: self.reserved & 1 != 0,
            opcode: OpCode::from(self.opcode),
            mask: self.mask,
        };
        let mut bytes = Vec::new();
        header.format(self.payload.len() as u64, &mut bytes).expect("a Vec takes all");
        let key = self.mask.unwrap_or_default();
        bytes.extend(self.payload.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]));
        bytes
    }
}

pub(crate) fn bytes_of(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::bytes).collect()
}
