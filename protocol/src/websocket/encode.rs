//! Writes what a server sends: unmasked, unfragmented frames without extensions (RFC 6455 section 5).
//!
//! Two forms: whole frames appended to a caller's buffer, and a frame's [`Header`] by itself, for a
//! few bytes of header in front of payload bytes that are shared between connections.

use std::ops::Deref;

use super::{CLOSE_REASON_BYTES_MAX, CloseCode, Control, Data, OpCode, close};
use crate::limits::CONTROL_PAYLOAD_BYTES_MAX;

/// The longest header of an unmasked frame, in bytes.
pub const HEADER_BYTES_MAX: usize = 10;

/// The header of a final, unmasked frame: 2, 4 or 10 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; HEADER_BYTES_MAX],
    len: u8,
}

impl Deref for Header {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The header of a frame with `payload_len` bytes of payload, which the caller sends behind it.
pub fn header(opcode: OpCode, payload_len: usize) -> Header {
    let mut bytes = [0; HEADER_BYTES_MAX];
    bytes[0] = 0x80 | u8::from(opcode);
    let len = match payload_len {
        0..=125 => {
            bytes[1] = payload_len as u8;
            2
        }
        126..=0xffff => {
            bytes[1] = 126;
            bytes[2..4].copy_from_slice(&(payload_len as u16).to_be_bytes());
            4
        }
        _ => {
            bytes[1] = 127;
            bytes[2..].copy_from_slice(&(payload_len as u64).to_be_bytes());
            10
        }
    };
    Header { bytes, len }
}

/// Appends the header of a frame with `payload_len` bytes of payload.
pub fn put_header(out: &mut Vec<u8>, opcode: OpCode, payload_len: usize) {
    out.extend_from_slice(&header(opcode, payload_len));
}

/// Appends a text message.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_frame(out, OpCode::Data(Data::Text), text.as_bytes());
}

/// Appends a binary message.
pub fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    put_frame(out, OpCode::Data(Data::Binary), bytes);
}

/// Appends a ping.
///
/// # Panics
/// If `payload` is longer than the 125 bytes a control frame may have.
pub fn put_ping(out: &mut Vec<u8>, payload: &[u8]) {
    put_control(out, Control::Ping, payload);
}

/// Appends a pong; the answer to a ping carries the ping's payload.
///
/// # Panics
/// If `payload` is longer than the 125 bytes a control frame may have; that of an
/// [`Event::Ping`](super::Event::Ping) never is.
pub fn put_pong(out: &mut Vec<u8>, payload: &[u8]) {
    put_control(out, Control::Pong, payload);
}

/// Appends a close frame, bare or with code and reason. What does not fit of a reason, beyond
/// [`CLOSE_REASON_BYTES_MAX`], is left out by whole characters.
///
/// # Panics
/// If the code is one that must not be on the wire, such as 1005 ([`CloseCode::Status`]).
pub fn put_close(out: &mut Vec<u8>, close: Option<(CloseCode, &str)>) {
    let Some((code, reason)) = close else {
        return put_control(out, Control::Close, &[]);
    };
    let code = u16::from(code);
    assert!(close::may_be_sent(code), "close code {code} may not be sent");
    let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX)];
    put_header(out, OpCode::Control(Control::Close), 2 + reason.len());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

fn put_control(out: &mut Vec<u8>, control: Control, payload: &[u8]) {
    let len = payload.len();
    assert!(len <= CONTROL_PAYLOAD_BYTES_MAX, "control frame of {len} bytes");
    put_frame(out, OpCode::Control(control), payload);
}

fn put_frame(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    let header = header(opcode, payload.len());
    out.reserve(header.len() + payload.len());
    out.extend_from_slice(&header);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tungstenite::protocol::{
        CloseFrame,
        frame::{Frame, FrameHeader},
    };

    const OPCODES: [OpCode; 6] = [
        OpCode::Data(Data::Continue),
        OpCode::Data(Data::Text),
        OpCode::Data(Data::Binary),
        OpCode::Control(Control::Close),
        OpCode::Control(Control::Ping),
        OpCode::Control(Control::Pong),
    ];

    #[test]
    fn headers_are_tungstenites_byte_for_byte_in_every_length_class() {
        let lens = (0..=300)
            .chain([0xfffe, 0xffff, 0x1_0000, 0x1_0001, 1_000_000, u32::MAX as usize])
            .chain([u32::MAX as usize + 1, i64::MAX as usize]);
        for len in lens {
            for opcode in OPCODES {
                let mut theirs = Vec::new();
                let their = FrameHeader { opcode, ..FrameHeader::default() };
                their.format(len as u64, &mut theirs).unwrap();
                assert_eq!(header(opcode, len)[..], theirs, "{opcode} {len}");
                let mut out = b"before".to_vec();
                put_header(&mut out, opcode, len);
                assert_eq!(out, [&b"before"[..], &theirs].concat());
            }
        }
    }

    #[test]
    fn frames_are_tungstenites_byte_for_byte() {
        fn check(frame: Frame, put: impl Fn(&mut Vec<u8>)) {
            let (mut ours, mut theirs) = (b"before".to_vec(), b"before".to_vec());
            put(&mut ours);
            frame.format(&mut theirs).unwrap();
            assert_eq!(ours, theirs);
        }
        for len in [0, 1, 125, 126, 127, 0xffff, 0x1_0000, 70_000] {
            let text = "x".repeat(len);
            let bytes = vec![0xfe; len];
            check(Frame::message(text.clone(), OpCode::Data(Data::Text), true), |out| {
                put_text(out, &text);
            });
            check(Frame::message(bytes.clone(), OpCode::Data(Data::Binary), true), |out| {
                put_binary(out, &bytes);
            });
            if len <= 125 {
                check(Frame::ping(bytes.clone()), |out| put_ping(out, &bytes));
                check(Frame::pong(bytes.clone()), |out| put_pong(out, &bytes));
            }
        }
        check(Frame::close(None), |out| put_close(out, None));
        for (code, reason) in [(CloseCode::Normal, ""), (CloseCode::Library(4000), "fed up ü")] {
            let close = CloseFrame { code, reason: reason.into() };
            check(Frame::close(Some(close)), |out| put_close(out, Some((code, reason))));
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let mut out = Vec::new();
        put_close(&mut out, Some((CloseCode::Error, &"€".repeat(42))));
        assert_eq!(out[..4], [0x88, 125, 0x03, 0xf3]);
        assert_eq!(out[4..], *"€".repeat(41).as_bytes(), "123 bytes");
        out.clear();
        put_close(&mut out, Some((CloseCode::Error, &format!("a{}", "€".repeat(42)))));
        assert_eq!(out[..2], [0x88, 2 + 121]);
        assert_eq!(out[4..], *format!("a{}", "€".repeat(40)).as_bytes());
    }

    #[test]
    #[should_panic(expected = "control frame of 126 bytes")]
    fn a_ping_beyond_125_bytes_is_our_own_mistake() {
        put_ping(&mut Vec::new(), &[0; 126]);
    }

    #[test]
    #[should_panic(expected = "close code 1005 may not be sent")]
    fn a_close_code_that_only_stands_for_none_is_our_own_mistake() {
        put_close(&mut Vec::new(), Some((CloseCode::Status, "")));
    }
}
