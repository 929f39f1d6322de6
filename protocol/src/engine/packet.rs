//! One Engine.IO packet, as a WebSocket frame carries it.
//!
//! Decoding borrows from the input; only base64 makes a copy. Text that the reference accepts is
//! accepted, including what its base64 decoder forgives.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::revision::Revision;

/// The types of packets, by their digit on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PacketType {
    /// The handshake, from the server.
    Open = 0,
    /// The session is over.
    Close = 1,
    /// Heartbeat or probe.
    Ping = 2,
    /// Answer to a ping.
    Pong = 3,
    /// Data of the application.
    Message = 4,
    /// The client has switched to the new transport.
    Upgrade = 5,
    /// Nothing: ends a poll.
    Noop = 6,
}

/// What a packet carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data<'a> {
    /// Text; empty where the packet has no data.
    Text(&'a str),
    /// Binary: borrowed from a binary frame, owned if it came as base64.
    Binary(Cow<'a, [u8]>),
}

/// One incoming packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its type.
    pub kind: PacketType,
    /// Its data.
    pub data: Data<'a>,
}

/// Why bytes are no packet; the peer's fault. It ends the session with "parse error".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketError {
    /// There is not even a type.
    Empty,
    /// The type is none of 0 to 6 (for base64 in revision 3: the character after `b`).
    UnknownType(u8),
}

/// How binary messages travel to a client: by revision, and whether it asked for base64 (`b64=1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryForm {
    /// Revision 4: a binary frame of the data.
    Plain,
    /// Revision 3: a binary frame of a type byte and the data.
    Typed,
    /// Revision 4, base64: a text frame `b…`.
    Base64,
    /// Revision 3, base64: a text frame `b4…`.
    TypedBase64,
}

impl PacketType {
    /// The type of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Open,
            1 => Self::Close,
            2 => Self::Ping,
            3 => Self::Pong,
            4 => Self::Message,
            5 => Self::Upgrade,
            6 => Self::Noop,
            _ => return None,
        })
    }

    fn from_digit(digit: u8) -> Result<Self, PacketError> {
        Self::from_number(digit.wrapping_sub(b'0')).ok_or(PacketError::UnknownType(digit))
    }
}

impl<'a> Packet<'a> {
    /// Decodes a WebSocket text message, or one text packet of a polling payload.
    ///
    /// # Errors
    /// [`PacketError`] if it is empty or has no known type.
    #[inline]
    pub fn from_text(revision: Revision, text: &'a str) -> Result<Self, PacketError> {
        match text.as_bytes().first() {
            None => Err(PacketError::Empty),
            Some(b'b') => Self::from_base64(revision, &text[1..]),
            Some(&digit) => {
                Ok(Self { kind: PacketType::from_digit(digit)?, data: Data::Text(&text[1..]) })
            }
        }
    }

    /// Decodes a WebSocket binary message, or one binary packet of a polling payload of revision 3.
    /// Revision 4 has no type byte: every binary frame is a message, also an empty one.
    ///
    /// # Errors
    /// [`PacketError`] in revision 3 if it is empty or has no known type.
    #[inline]
    pub fn from_binary(revision: Revision, bytes: &'a [u8]) -> Result<Self, PacketError> {
        let (kind, data) = match revision {
            Revision::V4 => (PacketType::Message, bytes),
            Revision::V3 => {
                let (&number, data) = bytes.split_first().ok_or(PacketError::Empty)?;
                let kind = PacketType::from_number(number);
                (kind.ok_or(PacketError::UnknownType(number))?, data)
            }
        };
        Ok(Self { kind, data: Data::Binary(Cow::Borrowed(data)) })
    }

    /// Decodes what follows the `b`.
    fn from_base64(revision: Revision, text: &'a str) -> Result<Self, PacketError> {
        let (kind, base64) = match revision {
            Revision::V4 => (PacketType::Message, text.as_bytes()),
            Revision::V3 => {
                let (&digit, rest) = text.as_bytes().split_first().ok_or(PacketError::Empty)?;
                (PacketType::from_digit(digit)?, rest)
            }
        };
        Ok(Self { kind, data: Data::Binary(Cow::Owned(decode_base64(base64))) })
    }

    /// Whether this is the probe that opens an upgrade, `2probe`.
    pub fn is_probe(&self) -> bool {
        self.kind == PacketType::Ping && self.data == Data::Text("probe")
    }
}

impl BinaryForm {
    /// The form for a client of that revision that asked for base64 or did not.
    pub fn new(revision: Revision, base64: bool) -> Self {
        match (revision, base64) {
            (Revision::V4, false) => Self::Plain,
            (Revision::V3, false) => Self::Typed,
            (Revision::V4, true) => Self::Base64,
            (Revision::V3, true) => Self::TypedBase64,
        }
    }

    /// Whether the form is text.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Base64 | Self::TypedBase64)
    }

    /// What stands before the data, or before its base64.
    pub fn prefix(self) -> &'static [u8] {
        match self {
            Self::Plain => b"",
            Self::Typed => b"\x04",
            Self::Base64 => b"b",
            Self::TypedBase64 => b"b4",
        }
    }

    /// Length of a message of `data_len` bytes in this form.
    pub fn encoded_len(self, data_len: usize) -> usize {
        let body = if self.is_text() { data_len.div_ceil(3) * 4 } else { data_len };
        self.prefix().len() + body
    }

    /// Appends a message in this form.
    pub fn encode(self, data: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(self.prefix());
        if !self.is_text() {
            out.extend_from_slice(data);
            return;
        }
        let start = out.len();
        out.resize(start + data.len().div_ceil(3) * 4, 0);
        let written = BASE64.encode_slice(data, &mut out[start..]);
        debug_assert_eq!(written, Ok(out.len() - start));
    }
}

/// Standard alphabet, padded on output, indifferent to padding on input.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn decode_base64(text: &[u8]) -> Vec<u8> {
    BASE64.decode(text).unwrap_or_else(|_| decode_sloppy_base64(text))
}

/// What the reference's decoder makes of base64 that is not clean: both alphabets count, other
/// characters are skipped, the first `=` ends it, and a last lone character is dropped.
fn decode_sloppy_base64(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for &byte in text.iter().take_while(|&&byte| byte != b'=') {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => continue,
        };
        bits = (bits << 6 | u32::from(value)) & 0xfff;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOTH: [Revision; 2] = [Revision::V3, Revision::V4];

    fn binary(bytes: &[u8]) -> Packet<'_> {
        Packet { kind: PacketType::Message, data: Data::Binary(bytes.into()) }
    }

    #[test]
    fn text_packets_have_a_digit_and_data() {
        for revision in BOTH {
            for (number, digit) in (b'0'..=b'6').enumerate() {
                let text = format!("{}data", digit as char);
                let packet = Packet::from_text(revision, &text).expect("a packet");
                assert_eq!(packet.kind as usize, number);
                assert_eq!(packet.data, Data::Text("data"));
            }
            assert_eq!(Packet::from_text(revision, ""), Err(PacketError::Empty));
            for text in ["7", "a", " 4", "-1", "\u{4}", "é4", "B4AQID"] {
                let first = text.as_bytes()[0];
                assert_eq!(
                    Packet::from_text(revision, text),
                    Err(PacketError::UnknownType(first)),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn binary_has_a_type_byte_in_revision_3_only() {
        assert_eq!(Packet::from_binary(Revision::V4, &[4, 1, 2]), Ok(binary(&[4, 1, 2])));
        assert_eq!(Packet::from_binary(Revision::V4, &[]), Ok(binary(&[])));
        assert_eq!(Packet::from_binary(Revision::V3, &[4, 1, 2]), Ok(binary(&[1, 2])));
        assert_eq!(Packet::from_binary(Revision::V3, &[]), Err(PacketError::Empty));
        assert_eq!(Packet::from_binary(Revision::V3, &[7]), Err(PacketError::UnknownType(7)));
    }

    #[test]
    fn base64_has_a_type_digit_in_revision_3_only() {
        assert_eq!(Packet::from_text(Revision::V4, "bAQID"), Ok(binary(&[1, 2, 3])));
        assert_eq!(Packet::from_text(Revision::V3, "b4AQID"), Ok(binary(&[1, 2, 3])));
        assert_eq!(Packet::from_text(Revision::V3, "b"), Err(PacketError::Empty));
        assert_eq!(Packet::from_text(Revision::V3, "bAQID"), Err(PacketError::UnknownType(b'A')));
    }

    #[test]
    fn base64_is_as_forgiving_as_the_reference() {
        for (text, bytes) in [
            ("", &[][..]),
            ("A", &[]),
            ("AQI", &[1, 2]),
            ("AQIDBA", &[1, 2, 3, 4]),
            ("AQIDBA=", &[1, 2, 3, 4]),
            ("AQIDBA==", &[1, 2, 3, 4]),
            ("AQIDBB==", &[1, 2, 3, 4]),
            ("AQ==ID", &[1]),
            ("AQ=ID", &[1]),
            ("AQIDBA=BA=", &[1, 2, 3, 4]),
            ("AQ ID", &[1, 2, 3]),
            ("AQ\nID\n", &[1, 2, 3]),
            ("AQéID", &[1, 2, 3]),
            ("AQID-_", &[1, 2, 3, 0xfb]),
            ("====", &[]),
        ] {
            let text = format!("b{text}");
            assert_eq!(Packet::from_text(Revision::V4, &text), Ok(binary(bytes)), "{text}");
        }
    }

    #[test]
    fn only_a_ping_with_that_text_is_a_probe() {
        for (text, expected) in
            [("2probe", true), ("2", false), ("3probe", false), ("2probes", false)]
        {
            let packet = Packet::from_text(Revision::V4, text).expect("a packet");
            assert_eq!(packet.is_probe(), expected, "{text}");
        }
        assert!(!Packet::from_text(Revision::V3, "b2cHJvYmU=").expect("a packet").is_probe());
    }

    proptest! {
        #[test]
        fn binary_round_trips_in_every_form(data: Vec<u8>, v3: bool, base64: bool) {
            let revision = if v3 { Revision::V3 } else { Revision::V4 };
            let form = BinaryForm::new(revision, base64);
            let mut out = Vec::new();
            form.encode(&data, &mut out);
            prop_assert_eq!(out.len(), form.encoded_len(data.len()));
            let packet = if form.is_text() {
                Packet::from_text(revision, std::str::from_utf8(&out).expect("base64"))
            } else {
                Packet::from_binary(revision, &out)
            };
            prop_assert_eq!(packet, Ok(binary(&data)));
        }

        #[test]
        fn sloppy_and_clean_decoding_agree_on_clean_input(data: Vec<u8>) {
            let clean = BASE64.encode(&data);
            prop_assert_eq!(decode_sloppy_base64(clean.as_bytes()), data);
        }

        #[test]
        fn decoding_is_total(text: String, bytes: Vec<u8>) {
            for revision in BOTH {
                let _ = Packet::from_text(revision, &text);
                let _ = Packet::from_text(revision, &format!("b{text}"));
                let _ = Packet::from_binary(revision, &bytes);
            }
        }
    }
}
