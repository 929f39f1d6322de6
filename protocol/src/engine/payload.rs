//! Polling bodies: several packets in one HTTP body.
//!
//! Revision 4 joins packets by U+001E and writes binary as `b` and base64
//! (<https://socket.io/docs/v4/engine-io-protocol/#http-long-polling-1>); the forms of revision 3
//! are in [`payload_v3`]. Decoding is an iterator that borrows from the body,
//! yields packets up to the first bad one, then its error, then nothing: the packets before a bad one
//! count, as in the reference. It is linear in the body whatever the body says.

use std::borrow::Cow;

use super::jsonp;
use super::outgoing::{Content, Outgoing};
use super::packet::{BinaryForm, Packet, PacketError};
use super::payload_v3::{self, BinaryPackets, TextPackets};
use super::revision::Revision;

/// Separates packets in revision 4.
const SEPARATOR: u8 = 0x1e;

/// How a POST body is to be read; the session decides it when the request begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyForm {
    /// UTF-8 text, whatever content type it claims.
    Text,
    /// The binary form of revision 3.
    Binary,
    /// A form post of a JSONP client, `d=…`.
    Jsonp,
}

/// A body, unwrapped and checked as far as its form demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// The binary form of revision 3.
    Binary(&'a [u8]),
    /// A form post without a (single) `d`: the reference answers it and reads nothing.
    Nothing,
    /// Not UTF-8.
    NotUtf8,
}

/// Why a body ends early; the peer's fault. It ends the session with "parse error".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadError {
    /// The body is empty.
    Empty,
    /// The body, or one packet of it, is not UTF-8.
    NotUtf8,
    /// Revision 3: a length is missing, not a number or too long.
    BadLength,
    /// Revision 3: a length reaches beyond the body, or splits a character.
    Truncated,
    /// Revision 3, binary form: a packet is neither string nor binary.
    BadForm(u8),
    /// A packet is none.
    Packet(PacketError),
}

/// The packets of a body.
#[derive(Debug, Clone)]
pub struct Payload<'a>(Rest<'a>);

#[derive(Debug, Clone)]
enum Rest<'a> {
    V4(&'a str),
    V3Text(TextPackets<'a>),
    V3Binary(BinaryPackets<'a>),
    Bad(PayloadError),
    Done,
}

/// How payloads travel to a client; decided by the first request of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadForm {
    /// Revision 4.
    V4,
    /// Revision 3, binary form whenever the batch has a binary message.
    V3,
    /// Revision 3, always the text form: the client asked for base64, or is a JSONP client.
    V3Base64,
}

impl<'a> Body<'a> {
    /// Prepares a body for reading.
    pub fn read(form: BodyForm, bytes: &'a [u8]) -> Self {
        match form {
            BodyForm::Binary => Self::Binary(bytes),
            BodyForm::Jsonp => match jsonp::unwrap(bytes) {
                Some(text) => Self::Text(Cow::Owned(text)),
                None => Self::Nothing,
            },
            BodyForm::Text => match simdutf8::basic::from_utf8(bytes) {
                Ok(text) => Self::Text(Cow::Borrowed(text)),
                Err(_) => Self::NotUtf8,
            },
        }
    }

    /// The packets of this body. The binary form exists in revision 3 only.
    pub fn packets(&self, revision: Revision) -> Payload<'_> {
        Payload(match (self, revision) {
            (Self::Nothing, _) => Rest::Done,
            (Self::NotUtf8, _) => Rest::Bad(PayloadError::NotUtf8),
            (Self::Text(text), _) if text.is_empty() => Rest::Bad(PayloadError::Empty),
            (Self::Text(text), Revision::V4) => Rest::V4(text),
            (Self::Text(text), Revision::V3) => Rest::V3Text(TextPackets::new(text)),
            (Self::Binary([]), _) => Rest::Bad(PayloadError::Empty),
            (Self::Binary(bytes), Revision::V3) => Rest::V3Binary(BinaryPackets::new(bytes)),
            (Self::Binary(bytes), Revision::V4) => Rest::Bad(PayloadError::BadForm(bytes[0])),
        })
    }
}

impl<'a> Iterator for Payload<'a> {
    type Item = Result<Packet<'a>, PayloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = match &mut self.0 {
            Rest::V4(text) => {
                let packet = match memchr::memchr(SEPARATOR, text.as_bytes()) {
                    Some(end) => {
                        let packet = &text[..end];
                        *text = &text[end + 1..];
                        packet
                    }
                    None => {
                        let packet = *text;
                        self.0 = Rest::Done;
                        packet
                    }
                };
                Some(Packet::from_text(Revision::V4, packet).map_err(PayloadError::Packet))
            }
            Rest::V3Text(packets) => packets.next(),
            Rest::V3Binary(packets) => packets.next(),
            Rest::Bad(error) => Some(Err(*error)),
            Rest::Done => None,
        };
        if matches!(item, Some(Err(_)) | None) {
            self.0 = Rest::Done;
        }
        item
    }
}

impl PayloadForm {
    /// The form for a client of that revision that asked for base64 (or JSONP) or did not.
    pub fn new(revision: Revision, base64: bool) -> Self {
        match (revision, base64) {
            (Revision::V4, _) => Self::V4,
            (Revision::V3, false) => Self::V3,
            (Revision::V3, true) => Self::V3Base64,
        }
    }

    /// Appends `packets` as one payload and returns its content type.
    pub fn encode(self, packets: &[Outgoing], out: &mut Vec<u8>) -> &'static str {
        match self {
            Self::V4 => encode_v4(packets, out),
            Self::V3 if packets.iter().any(Outgoing::is_binary) => {
                payload_v3::encode_binary(packets, out);
                return BINARY_CONTENT_TYPE;
            }
            Self::V3 | Self::V3Base64 => payload_v3::encode_text(packets, out),
        }
        TEXT_CONTENT_TYPE
    }
}

/// Content type of payloads in text form.
pub const TEXT_CONTENT_TYPE: &str = "text/plain; charset=UTF-8";

/// Content type of payloads in the binary form of revision 3, both ways.
pub const BINARY_CONTENT_TYPE: &str = "application/octet-stream";

fn encode_v4(packets: &[Outgoing], out: &mut Vec<u8>) {
    let separators = packets.len();
    out.reserve(separators + packets.iter().map(encoded_len).sum::<usize>());
    for (index, packet) in packets.iter().enumerate() {
        if index > 0 {
            out.push(SEPARATOR);
        }
        match packet.content() {
            Content::Text(text) => out.extend_from_slice(text),
            Content::Binary(data) => BinaryForm::Base64.encode(data, out),
        }
    }
}

fn encoded_len(packet: &Outgoing) -> usize {
    match packet.content() {
        Content::Text(text) => text.len(),
        Content::Binary(data) => BinaryForm::Base64.encoded_len(data.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::packet::{Data, PacketType};
    use crate::message::{Message, TextMessage};

    fn decode(body: &[u8]) -> Vec<Result<(PacketType, Vec<u8>), PayloadError>> {
        let body = Body::read(BodyForm::Text, body);
        let own = |packet: Packet<'_>| match packet.data {
            Data::Text(text) => (packet.kind, text.as_bytes().to_vec()),
            Data::Binary(bytes) => (packet.kind, bytes.into_owned()),
        };
        body.packets(Revision::V4).map(|item| item.map(own)).collect()
    }

    #[test]
    fn packets_are_split_at_the_separator() {
        assert_eq!(
            decode(b"4hello\x1ebAQIDBA==\x1e3"),
            [
                Ok((PacketType::Message, b"hello".to_vec())),
                Ok((PacketType::Message, vec![1, 2, 3, 4])),
                Ok((PacketType::Pong, vec![])),
            ]
        );
    }

    #[test]
    fn packets_before_a_bad_one_count_and_none_after() {
        assert_eq!(
            decode(b"4a\x1eabc\x1e4b"),
            [
                Ok((PacketType::Message, b"a".to_vec())),
                Err(PayloadError::Packet(PacketError::UnknownType(b'a'))),
            ]
        );
    }

    #[test]
    fn empty_bodies_and_empty_packets_are_errors() {
        assert_eq!(decode(b""), [Err(PayloadError::Empty)]);
        assert_eq!(decode(b"\x1e"), [Err(PayloadError::Packet(PacketError::Empty))]);
        let trailing = decode(b"4a\x1e");
        assert_eq!(trailing[1], Err(PayloadError::Packet(PacketError::Empty)));
        assert_eq!(decode(b"4\xff"), [Err(PayloadError::NotUtf8)]);
    }

    #[test]
    fn the_binary_form_does_not_exist_in_revision_4() {
        let body = Body::read(BodyForm::Binary, b"\x00\x01\xff6");
        assert_eq!(body.packets(Revision::V4).collect::<Vec<_>>(), [Err(PayloadError::BadForm(0))]);
    }

    #[test]
    fn a_form_post_without_data_holds_no_packets() {
        let body = Body::read(BodyForm::Jsonp, b"x=1");
        assert_eq!(body.packets(Revision::V4).count(), 0);
        let body = Body::read(BodyForm::Jsonp, b"d=");
        assert_eq!(body.packets(Revision::V4).next(), Some(Err(PayloadError::Empty)));
    }

    #[test]
    fn payloads_of_revision_4_are_text() {
        let packets = [
            Outgoing::Message(Message::Text(TextMessage::new("hello"))),
            Outgoing::Message(Message::Binary(vec![1, 2, 3, 4].into())),
            Outgoing::Noop,
            Outgoing::Close,
        ];
        let mut out = Vec::new();
        assert_eq!(PayloadForm::V4.encode(&packets, &mut out), "text/plain; charset=UTF-8");
        assert_eq!(out, b"4hello\x1ebAQIDBA==\x1e6\x1e1");
    }
}
