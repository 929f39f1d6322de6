//! One outgoing Engine.IO message, encoded once and shared by every transport and revision.
//!
//! A text message is held as a complete WebSocket frame, `[frame header]['4'][data]`: WebSocket
//! connections send the whole, polling payloads take the part after the header, and cloning it for
//! the next member of a room is one reference count. A binary message is held as its raw bytes: its
//! frame header differs by revision and is made when it is sent.

use bytes::{BufMut, Bytes, BytesMut};

use crate::engine::packet::BinaryForm;

/// One outgoing Engine.IO message packet. Clones share their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text message, framed.
    Text(TextMessage),
    /// A binary message: the raw bytes, without Engine.IO type and without frame header.
    Binary(Bytes),
}

/// A text message as an unmasked, unfragmented WebSocket text frame (RFC 6455 section 5.2) around the
/// Engine.IO packet `4<data>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextMessage {
    frame: Bytes,
    header_len: u8,
}

impl TextMessage {
    /// Frames `data` (without the leading `4`).
    pub fn new(data: &str) -> Self {
        let mut frame = BytesMut::with_capacity(11 + data.len());
        let header_len = put_header(&mut frame, TEXT, 1 + data.len());
        frame.put_u8(b'4');
        frame.put_slice(data.as_bytes());
        Self { frame: frame.freeze(), header_len }
    }

    /// The whole WebSocket frame.
    pub fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// The Engine.IO packet, `4<data>`, as a polling payload holds it.
    pub fn packet(&self) -> &str {
        std::str::from_utf8(self.packet_bytes()).expect("made from a str in `new`")
    }

    /// The same as bytes, which costs no check. Always UTF-8.
    pub fn packet_bytes(&self) -> &[u8] {
        &self.frame[usize::from(self.header_len)..]
    }
}

/// First byte of a whole text message in one frame: final, no extension, opcode 1.
const TEXT: u8 = 0x81;

/// The same for a binary message: opcode 2.
const BINARY: u8 = 0x82;

/// Longest header of an unmasked frame.
const HEADER_BYTES_MAX: usize = 10;

/// Writes the header of an unmasked frame with `len` bytes of payload; returns the header's length.
fn put_header(out: &mut impl BufMut, first: u8, len: usize) -> u8 {
    out.put_u8(first);
    match len {
        0..=125 => {
            out.put_u8(len as u8);
            2
        }
        126..=0xffff => {
            out.put_u8(126);
            out.put_u16(len as u16);
            4
        }
        _ => {
            out.put_u8(127);
            out.put_u64(len as u64);
            10
        }
    }
}

impl Message {
    /// Bytes this message takes in a queue, for the outbox limit.
    pub fn weight(&self) -> usize {
        match self {
            Message::Text(text) => text.frame.len(),
            Message::Binary(bytes) => bytes.len(),
        }
    }

    /// The whole WebSocket frame for a client that takes binary in `form`. Text is shared; a binary
    /// message is copied once, so a sender to many keeps the frame of each form it meets.
    pub fn frame(&self, form: BinaryForm) -> Bytes {
        match self {
            Message::Text(text) => text.frame.clone(),
            Message::Binary(data) => {
                let len = HEADER_BYTES_MAX + form.encoded_len(data.len());
                let mut out = Vec::with_capacity(len);
                put_binary(data, form, &mut out);
                out.into()
            }
        }
    }

    /// Appends the whole WebSocket frame for a client that takes binary in `form`.
    pub fn write_frame(&self, form: BinaryForm, out: &mut Vec<u8>) {
        match self {
            Message::Text(text) => out.extend_from_slice(&text.frame),
            Message::Binary(data) => put_binary(data, form, out),
        }
    }
}

fn put_binary(data: &[u8], form: BinaryForm, out: &mut Vec<u8>) {
    let first = if form.is_text() { TEXT } else { BINARY };
    put_header(out, first, form.encoded_len(data.len()));
    form.encode(data, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_message_is_a_frame_and_a_packet() {
        for len in [0, 1, 124, 125, 65_534, 65_535, 70_000] {
            let data = "a".repeat(len);
            let message = TextMessage::new(&data);
            assert_eq!(message.packet(), format!("4{data}"));
            assert_eq!(message.frame()[0], 0x81);
            let header = message.frame().len() - message.packet().len();
            assert_eq!(
                header,
                if len < 125 {
                    2
                } else if len < 65_535 {
                    4
                } else {
                    10
                }
            );
        }
    }

    #[test]
    fn a_binary_message_is_a_frame_by_form() {
        let message = Message::Binary(Bytes::from_static(&[1, 2, 3]));
        for (form, frame) in [
            (BinaryForm::Plain, &b"\x82\x03\x01\x02\x03"[..]),
            (BinaryForm::Typed, b"\x82\x04\x04\x01\x02\x03"),
            (BinaryForm::Base64, b"\x81\x05bAQID"),
            (BinaryForm::TypedBase64, b"\x81\x06b4AQID"),
        ] {
            assert_eq!(message.frame(form), frame);
            let mut out = vec![0xaa];
            message.write_frame(form, &mut out);
            assert_eq!(&out[1..], frame);
        }
        let text = Message::Text(TextMessage::new("a"));
        assert_eq!(text.frame(BinaryForm::Typed), &b"\x81\x024a"[..]);
    }
}
