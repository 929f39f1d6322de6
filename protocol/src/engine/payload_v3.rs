//! Polling bodies of revision 3: every packet has its length in front.
//!
//! *Text form*: `<length>:<packet>`, the length in UTF-16 code units, type digit included. *Binary
//! form*: a byte 0 (string) or 1 (binary), the length as one byte of value 0–9 per decimal digit, a
//! byte 255, then the packet, the length in bytes.
//!
//! Lengths are read up to a fixed number of digits and compared with what is left before anything is
//! done with them, so a long run of digits costs nothing (compare CVE-2020-36049).

use std::io::Write as _;

use super::outgoing::{Content, Outgoing};
use super::packet::{BinaryForm, Packet};
use super::payload::PayloadError;
use super::revision::Revision;

/// Digits of a length, leading zeros included. No body has a length of more.
const LENGTH_DIGITS_MAX: usize = 16;

/// Ends the length in the binary form.
const LENGTH_END: u8 = 0xff;

/// The packets of a body in text form.
#[derive(Debug, Clone)]
pub(super) struct TextPackets<'a> {
    rest: &'a str,
}

/// The packets of a body in binary form.
#[derive(Debug, Clone)]
pub(super) struct BinaryPackets<'a> {
    rest: &'a [u8],
}

type Item<'a> = Result<Packet<'a>, PayloadError>;

impl<'a> TextPackets<'a> {
    pub(super) fn new(rest: &'a str) -> Self {
        Self { rest }
    }

    fn read(&mut self) -> Result<Option<Packet<'a>>, PayloadError> {
        let (units, digits) = read_length(self.rest.as_bytes(), b':', b'0')?;
        let tail = &self.rest[digits + 1..];
        let end = utf16_offset(tail, units).ok_or(PayloadError::Truncated)?;
        self.rest = &tail[end..];
        if end == 0 {
            return Ok(None);
        }
        Packet::from_text(Revision::V3, &tail[..end]).map(Some).map_err(PayloadError::Packet)
    }
}

impl<'a> Iterator for TextPackets<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        while !self.rest.is_empty() {
            // `0:` is an empty batch, and nothing within a batch.
            if let Some(item) = self.read().transpose() {
                return Some(item);
            }
        }
        None
    }
}

impl<'a> BinaryPackets<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    fn read(&mut self, form: u8) -> Item<'a> {
        let (len, digits) = read_length(&self.rest[1..], LENGTH_END, 0)?;
        let tail = &self.rest[1 + digits + 1..];
        let (packet, rest) = tail.split_at_checked(len).ok_or(PayloadError::Truncated)?;
        self.rest = rest;
        match form {
            0 => {
                let text = simdutf8::basic::from_utf8(packet).map_err(|_| PayloadError::NotUtf8)?;
                Packet::from_text(Revision::V3, text)
            }
            1 => Packet::from_binary(Revision::V3, packet),
            _ => return Err(PayloadError::BadForm(form)),
        }
        .map_err(PayloadError::Packet)
    }
}

impl<'a> Iterator for BinaryPackets<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let form = *self.rest.first()?;
        Some(self.read(form))
    }
}

/// Reads decimal digits (`zero` is the byte that means 0) up to `end`; returns the number and how
/// many digits it had.
fn read_length(bytes: &[u8], end: u8, zero: u8) -> Result<(usize, usize), PayloadError> {
    let mut length = 0_usize;
    for (index, &byte) in bytes.iter().take(LENGTH_DIGITS_MAX + 1).enumerate() {
        if byte == end {
            return if index == 0 { Err(PayloadError::BadLength) } else { Ok((length, index)) };
        }
        let digit = byte.wrapping_sub(zero);
        if digit > 9 {
            break;
        }
        length = length.saturating_mul(10).saturating_add(usize::from(digit));
    }
    Err(PayloadError::BadLength)
}

/// The byte offset after `units` UTF-16 code units of `text`; `None` if there are fewer or the offset
/// would split a character.
fn utf16_offset(text: &str, units: usize) -> Option<usize> {
    // A code unit is at least one byte, so the shortest candidate is as many bytes as units.
    let shortest = text.as_bytes().get(..units)?;
    if shortest.is_ascii() {
        return Some(units);
    }
    let mut left = units;
    for (offset, character) in text.char_indices() {
        if left == 0 {
            return Some(offset);
        }
        left = left.checked_sub(character.len_utf16())?;
    }
    (left == 0).then_some(text.len())
}

/// Number of UTF-16 code units of UTF-8 text: one per character, two per character of four bytes.
fn utf16_len(text: &[u8]) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    let characters = text.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
    characters + text.iter().filter(|&&byte| byte >= 0xf0).count()
}

/// Appends a batch in text form; `0:` if it is empty.
pub(super) fn encode_text(packets: &[Outgoing], out: &mut Vec<u8>) {
    if packets.is_empty() {
        out.extend_from_slice(b"0:");
    }
    for packet in packets {
        match packet.content() {
            Content::Text(text) => {
                put_number(utf16_len(text), out);
                out.push(b':');
                out.extend_from_slice(text);
            }
            Content::Binary(data) => {
                put_number(BinaryForm::TypedBase64.encoded_len(data.len()), out);
                out.push(b':');
                BinaryForm::TypedBase64.encode(data, out);
            }
        }
    }
}

/// Appends a batch in binary form.
pub(super) fn encode_binary(packets: &[Outgoing], out: &mut Vec<u8>) {
    for packet in packets {
        match packet.content() {
            Content::Text(text) => {
                out.push(0);
                put_binary_length(text.len(), out);
                out.extend_from_slice(text);
            }
            Content::Binary(data) => {
                out.push(1);
                put_binary_length(BinaryForm::Typed.encoded_len(data.len()), out);
                BinaryForm::Typed.encode(data, out);
            }
        }
    }
}

fn put_number(number: usize, out: &mut Vec<u8>) {
    write!(out, "{number}").expect("writing to a Vec cannot fail");
}

fn put_binary_length(number: usize, out: &mut Vec<u8>) {
    let start = out.len();
    put_number(number, out);
    for digit in &mut out[start..] {
        *digit -= b'0';
    }
    out.push(LENGTH_END);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::packet::{Data, PacketError, PacketType};
    use crate::engine::payload::{Body, BodyForm, PayloadForm};
    use crate::message::{Message, TextMessage};

    fn text(data: &str) -> Outgoing {
        Outgoing::Message(Message::Text(TextMessage::new(data)))
    }

    fn binary(data: &[u8]) -> Outgoing {
        Outgoing::Message(Message::Binary(data.to_vec().into()))
    }

    fn encode(form: PayloadForm, packets: &[Outgoing]) -> Vec<u8> {
        let mut out = Vec::new();
        form.encode(packets, &mut out);
        out
    }

    fn decode(form: BodyForm, body: &[u8]) -> Vec<Result<Outgoing, PayloadError>> {
        let body = Body::read(form, body);
        let own = |packet: Packet<'_>| match (packet.kind, packet.data) {
            (PacketType::Message, Data::Text(data)) => text(data),
            (PacketType::Message, Data::Binary(data)) => binary(&data),
            (PacketType::Noop, Data::Text("")) => Outgoing::Noop,
            (PacketType::Pong, Data::Text("")) => Outgoing::Pong,
            other => panic!("not in these tests: {other:?}"),
        };
        body.packets(Revision::V3).map(|item| item.map(own)).collect()
    }

    #[test]
    fn text_lengths_are_utf_16_code_units() {
        let batch = [text("€😀"), text("héllo €😀"), binary(&[1, 2, 3])];
        let body = encode(PayloadForm::V3Base64, &batch);
        assert_eq!(String::from_utf8_lossy(&body), "4:4€😀10:4héllo €😀6:b4AQID");
        assert_eq!(decode(BodyForm::Text, &body), batch.map(Ok));
    }

    #[test]
    fn binary_lengths_are_bytes_and_their_digits_are_bytes() {
        let batch = [text("héllo €😀"), binary(&[1, 2, 3])];
        let body = encode(PayloadForm::V3, &batch);
        let mut expected = vec![0, 1, 5, 0xff];
        expected.extend_from_slice("4héllo €😀".as_bytes());
        expected.extend_from_slice(&[1, 4, 0xff, 4, 1, 2, 3]);
        assert_eq!(body, expected);
        assert_eq!(decode(BodyForm::Binary, &body), batch.map(Ok));
    }

    #[test]
    fn an_empty_batch_is_a_zero_length() {
        assert_eq!(encode(PayloadForm::V3, &[]), b"0:");
        assert_eq!(decode(BodyForm::Text, b"0:"), []);
        assert_eq!(decode(BodyForm::Text, b"0:1:60:"), [Ok(Outgoing::Noop)]);
    }

    #[test]
    fn a_batch_without_binary_is_text_even_where_binary_is_welcome() {
        let mut out = Vec::new();
        let content_type = PayloadForm::V3.encode(&[Outgoing::Pong], &mut out);
        assert_eq!((content_type, &out[..]), ("text/plain; charset=UTF-8", &b"1:3"[..]));
        out.clear();
        let content_type = PayloadForm::V3.encode(&[binary(&[])], &mut out);
        assert_eq!(
            (content_type, &out[..]),
            ("application/octet-stream", &b"\x01\x01\xff\x04"[..])
        );
    }

    #[test]
    fn malformed_text_bodies_are_errors() {
        use PayloadError::*;
        for (body, error) in [
            ("", Empty),
            (":", BadLength),
            ("1", BadLength),
            ("abc", BadLength),
            ("-1:4", BadLength),
            ("+1:4", BadLength),
            (" 1:4", BadLength),
            ("1e0:4", BadLength),
            ("0x1:4", BadLength),
            ("2:4", Truncated),
            ("99999999999999:4", Truncated),
            ("2:4😀", Truncated),
            ("1:😀", Truncated),
            ("1:7", Packet(PacketError::UnknownType(b'7'))),
            ("1:b", Packet(PacketError::Empty)),
        ] {
            assert_eq!(decode(BodyForm::Text, body.as_bytes()), [Err(error)], "{body}");
        }
        assert_eq!(
            decode(BodyForm::Text, b"1:6x"),
            [Ok(Outgoing::Noop), Err(PayloadError::BadLength)]
        );
    }

    #[test]
    fn malformed_binary_bodies_are_errors() {
        use PayloadError::*;
        for (body, error) in [
            (&b""[..], Empty),
            (b"\x00", BadLength),
            (b"\x00\xff", BadLength),
            (b"\x00\x01", BadLength),
            (b"\x001\xff6", BadLength),
            (b"\x00\x0a\xff6", BadLength),
            (b"\x00\x02\xff6", Truncated),
            (b"\x02\x01\xff6", BadForm(2)),
            (b"\x00\x02\xff4\xff", NotUtf8),
            (b"\x00\x00\xff", Packet(PacketError::Empty)),
            (b"\x01\x00\xff", Packet(PacketError::Empty)),
            (b"\x01\x01\xff\x07", Packet(PacketError::UnknownType(7))),
        ] {
            assert_eq!(decode(BodyForm::Binary, body), [Err(error)], "{body:?}");
        }
    }

    /// Modelled on CVE-2020-36049: work that grew with the square of a run of digits.
    #[test]
    fn cve_2020_36049_a_run_of_digits_as_a_length_is_capped() {
        for digit in *b"019" {
            let run = vec![digit; 1_000_000];
            assert_eq!(decode(BodyForm::Text, &run), [Err(PayloadError::BadLength)]);
            assert_eq!(read_length(&run, b':', b'0'), Err(PayloadError::BadLength));
            let mut run = vec![digit - b'0'; 1_000_000];
            run[0] = 0;
            assert_eq!(decode(BodyForm::Binary, &run), [Err(PayloadError::BadLength)]);
        }
        let longest = format!("{:0>LENGTH_DIGITS_MAX$}:6", 1);
        assert_eq!(decode(BodyForm::Text, longest.as_bytes()), [Ok(Outgoing::Noop)]);
        assert_eq!(
            decode(BodyForm::Text, format!("0{longest}").as_bytes()),
            [Err(PayloadError::BadLength)]
        );
    }

    #[test]
    fn a_body_of_many_packets_is_read_in_one_pass() {
        // Quadratic work on a megabyte would take minutes.
        let body = "2:4é".repeat(200_000);
        assert_eq!(decode(BodyForm::Text, body.as_bytes()).len(), 200_000);
        let body = "0:".repeat(500_000);
        assert_eq!(decode(BodyForm::Text, body.as_bytes()), []);
    }

    proptest! {
        #[test]
        fn lengths_agree_with_an_independent_count(text: String) {
            prop_assert_eq!(utf16_len(text.as_bytes()), text.encode_utf16().count());
            let whole = text.encode_utf16().count();
            prop_assert_eq!(utf16_offset(&text, whole), Some(text.len()));
            prop_assert_eq!(utf16_offset(&text, whole + 1), None);
        }

        #[test]
        fn offsets_agree_with_an_independent_model(text: String, units in 0_usize..64) {
            let utf16: Vec<u16> = text.encode_utf16().collect();
            let model = utf16.get(..units).and_then(|head| String::from_utf16(head).ok());
            prop_assert_eq!(utf16_offset(&text, units), model.map(|head| head.len()));
        }
    }
}
