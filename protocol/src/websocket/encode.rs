//! Frame headers for what a server sends: final, unmasked, without extension bits.

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// A text message.
pub const TEXT: OpCode = OpCode::Data(Data::Text);
/// A binary message.
pub const BINARY: OpCode = OpCode::Data(Data::Binary);
/// A ping.
pub const PING: OpCode = OpCode::Control(Control::Ping);
/// A pong.
pub const PONG: OpCode = OpCode::Control(Control::Pong);
/// A close frame; its payload is empty, or a status of two bytes and a reason.
pub const CLOSE: OpCode = OpCode::Control(Control::Close);

/// Appends the header of a frame with `len` bytes of payload, which the caller appends.
pub fn put_header(out: &mut Vec<u8>, opcode: OpCode, len: usize) {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    header.format(len as u64, out).expect("a Vec takes every write");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_the_shortest_length() {
        for (opcode, first) in
            [(TEXT, 0x81), (BINARY, 0x82), (CLOSE, 0x88), (PING, 0x89), (PONG, 0x8a)]
        {
            let mut out = Vec::new();
            put_header(&mut out, opcode, 5);
            assert_eq!(out, [first, 5]);
        }
        for (len, header) in [
            (125, &[0x82, 125][..]),
            (126, &[0x82, 126, 0, 126]),
            (65_535, &[0x82, 126, 255, 255]),
            (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            put_header(&mut out, BINARY, len);
            assert_eq!(out, header);
        }
    }
}
