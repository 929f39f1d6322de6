//! One outgoing Engine.IO message, encoded once and shared by every transport and revision.
//!
//! A text message is held as a complete WebSocket frame, `[frame header]['4'][data]`: WebSocket
//! connections send the whole, polling payloads take the part after the header, and cloning it for
//! the next member of a room is one reference count. A binary message is held as its raw bytes: its
//! frame header differs by revision and is made when it is sent.

use bytes::{BufMut, Bytes, BytesMut};

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
        let header_len = put_text_header(&mut frame, 1 + data.len());
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
        let packet = &self.frame[usize::from(self.header_len)..];
        std::str::from_utf8(packet).expect("made from a str in `new`")
    }
}

/// Writes the header of an unmasked text frame with `len` bytes of payload; returns the header's length.
fn put_text_header(out: &mut impl BufMut, len: usize) -> u8 {
    out.put_u8(0x81);
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
}
