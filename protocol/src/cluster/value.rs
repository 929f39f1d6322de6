//! A value of either form that messages are written in: checked once, raw from then on.
//!
//! What is inside a message (an event's data, an acknowledgement, a socket's handshake) is nobody's
//! business here: it stays the bytes that came. Only a message's own members are looked at, and those
//! read the same from both forms, so that each message has one decoder. As in JavaScript, of a key that
//! is there twice the last counts.

use std::borrow::Cow;

use bytes::Bytes;

use crate::limits::ClusterLimits;
use crate::msgpack::token::{Token, Tokens, text};
use crate::parser::Event;
use crate::socket::{PacketType, escape, json, number};
use crate::{msgpack, socket};

use super::malformed::Malformed;

/// One value, borrowed.
///
/// What a decoder lends was checked. A value that is made by hand should be one, too: if not, it reads as
/// nothing, and cannot be written.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// JSON text.
    Json {
        /// One JSON value, without white space around it.
        text: &'a str,
        /// The binary data that placeholders in `text` stand for, as in the default parser's packets;
        /// none in anything that came over Redis.
        attachments: &'a [Bytes],
    },
    /// One MessagePack value, with binary data in it.
    Msgpack(&'a [u8]),
}

impl<'a> Value<'a> {
    /// JSON text without attachments.
    pub fn json(text: &'a str) -> Self {
        Self::Json { text, attachments: &[] }
    }

    /// Reads a message as Node's adapters do: JSON if it starts with a brace, else MessagePack; and there
    /// is nothing behind it.
    ///
    /// # Errors
    /// [`Malformed::Syntax`], [`Malformed::Depth`], [`Malformed::TooLong`].
    pub fn read(message: &'a [u8], limits: &ClusterLimits) -> Result<Self, Malformed> {
        if message.len() > limits.message_bytes_max {
            return Err(Malformed::TooLong);
        }
        match message {
            [b'{', ..] => Self::read_json(message, limits),
            _ => Self::read_msgpack(message, limits),
        }
    }

    pub(crate) fn read_json(message: &'a [u8], limits: &ClusterLimits) -> Result<Self, Malformed> {
        let text = simdutf8::basic::from_utf8(message).map_err(|_| Malformed::Syntax)?;
        json::check(text, limits.depth_max)?;
        Ok(Self::json(json::trim(text)))
    }

    pub(crate) fn read_msgpack(
        message: &'a [u8],
        limits: &ClusterLimits,
    ) -> Result<Self, Malformed> {
        let mut tokens = Tokens::new(message);
        let head = tokens.next()?;
        tokens.check(head, limits.depth_max)?;
        if tokens.rest().is_empty() { Ok(Self::Msgpack(message)) } else { Err(Malformed::Syntax) }
    }

    /// Whether there is binary data in it, so that JSON cannot hold it. Every value of JSON with
    /// attachments is said to have some.
    pub fn has_binary(&self) -> bool {
        match self {
            Self::Json { attachments, .. } => !attachments.is_empty(),
            Self::Msgpack(bytes) => {
                let mut tokens = Tokens::new(bytes);
                std::iter::from_fn(|| tokens.next().ok()).any(|token| binary(token).is_some())
            }
        }
    }

    /// The value as the data of an event, a list with the name first, with the id of the acknowledgement
    /// that is awaited; `None` if it is no such list.
    pub fn event(&self, id: Option<u64>) -> Option<Event<'a>> {
        let (kind, namespace) = (PacketType::Event, "/");
        match *self {
            Self::Json { text, attachments } => {
                let outline = json::check(text, json::DEPTH_CAP).ok()?;
                let data = Some(text);
                let count = attachments.len();
                let packet =
                    socket::Packet { kind, namespace, id, data, attachments: count, outline };
                let named = matches!(
                    json::first_element(text, outline).bytes().next(),
                    Some(b'"' | b'-' | b'0'..=b'9')
                );
                packet.event(attachments).filter(|_| named).map(Event::from)
            }
            Self::Msgpack(bytes) => {
                let data = Some(bytes);
                msgpack::Packet { kind, namespace, id, data }.event().map(Event::from)
            }
        }
    }

    /// Text; owned only if JSON wrote it with escapes.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        match *self {
            Self::Json { text, .. } => {
                let inner = text.strip_prefix('"')?.strip_suffix('"')?;
                Some(escape::unescape(inner))
            }
            Self::Msgpack(bytes) => match Tokens::new(bytes).next().ok()? {
                Token::Str(bytes) => text(bytes).ok().map(Cow::Borrowed),
                _ => None,
            },
        }
    }

    /// A whole number from 0 to 2⁵³ − 1.
    pub fn index(&self) -> Option<u64> {
        match *self {
            Self::Json { text, .. } => match text.bytes().next()? {
                b'-' | b'0'..=b'9' => Token::Float(text.parse().ok()?).index(),
                _ => None,
            },
            Self::Msgpack(bytes) => Tokens::new(bytes).next().ok()?.index(),
        }
    }

    /// Whether JavaScript takes it for true.
    pub fn truth(&self) -> bool {
        match *self {
            Self::Json { text, .. } => match text {
                "false" | "null" | "\"\"" => false,
                number if number.starts_with(['-', '0']) => number.parse() != Ok(0.0),
                _ => true,
            },
            Self::Msgpack(bytes) => match Tokens::new(bytes).next() {
                Ok(Token::Nil | Token::Undefined | Token::Bool(false) | Token::Unsigned(0)) => {
                    false
                }
                Ok(Token::Float(number)) => number != 0.0 && !number.is_nan(),
                Ok(Token::Str(text)) => !text.is_empty(),
                Ok(_) => true,
                Err(_) => false,
            },
        }
    }

    /// Whether it is `null` or `undefined`.
    pub fn is_null(&self) -> bool {
        match *self {
            Self::Json { text, .. } => text == "null",
            Self::Msgpack(bytes) => {
                matches!(Tokens::new(bytes).next(), Ok(Token::Nil | Token::Undefined))
            }
        }
    }

    /// Text, or a number as JavaScript would print it: how rooms are named.
    pub(crate) fn name(&self) -> Option<Cow<'a, str>> {
        let number = match *self {
            Self::Json { text, .. } if text.starts_with('"') => return self.text(),
            Self::Json { text, .. } => match text.bytes().next()? {
                b'-' | b'0'..=b'9' => text.parse().ok()?,
                _ => return None,
            },
            Self::Msgpack(bytes) => match Tokens::new(bytes).next().ok()? {
                Token::Unsigned(number) => number as f64,
                Token::Signed(number) => number as f64,
                Token::Float(number) => number,
                _ => return self.text(),
            },
        };
        Some(Cow::Owned(printed(number)))
    }

    /// Whether it is text or a number.
    pub(crate) fn is_name(&self) -> bool {
        match *self {
            Self::Json { text, .. } => {
                matches!(text.bytes().next(), Some(b'"' | b'-' | b'0'..=b'9'))
            }
            Self::Msgpack(bytes) => matches!(
                Tokens::new(bytes).next(),
                Ok(Token::Str(_) | Token::Unsigned(_) | Token::Signed(_) | Token::Float(_))
            ),
        }
    }
}

/// The binary data that an item is, in whichever dialect it was written.
pub(crate) fn binary(token: Token<'_>) -> Option<&[u8]> {
    match token {
        Token::Bin(bytes) => Some(bytes),
        // `msgpack-lite` has a type for each kind of view that JavaScript has: its `ext-packer.js`.
        Token::Ext(0x11..=0x1d, bytes) => Some(bytes),
        _ => None,
    }
}

/// A number as the name of a JavaScript property.
pub(crate) fn printed(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number < 0.0 { "-Infinity" } else { "Infinity" }.to_owned();
    }
    let mut printed = Vec::new();
    number::write_f64(&mut printed, number).expect("a Vec takes all that is written");
    String::from_utf8(printed).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ClusterLimits =
        ClusterLimits { message_bytes_max: 64, depth_max: 4, attachments_max: 2 };

    fn both(json: &'static str, msgpack: &'static [u8]) -> [Value<'static>; 2] {
        [Value::json(json), Value::Msgpack(msgpack)]
    }

    #[test]
    fn a_message_is_one_value_of_either_form() {
        for good in [&b"{}"[..], b"{\"a\":[1]} ", b"\x80", b"\x93\x01\x02\x03", b"\xc0"] {
            assert!(Value::read(good, &LIMITS).is_ok(), "{good:02x?}");
        }
        for (bad, why) in [
            (&b""[..], Malformed::Syntax),
            (b"{", Malformed::Syntax),
            (b"{}{}", Malformed::Syntax),
            (b"{\"\xff\":1}", Malformed::Syntax),
            (b"\x80\x80", Malformed::Syntax),
            (b"\x92\x01", Malformed::Syntax),
            (b"[1]", Malformed::Syntax),
            (b"{\"a\":[[[[1]]]]}", Malformed::Depth),
            (b"\x91\x91\x91\x91\x90", Malformed::Depth),
            (&[0xc4; 65], Malformed::TooLong),
        ] {
            assert_eq!(Value::read(bad, &LIMITS).err(), Some(why), "{bad:02x?}");
        }
    }

    #[test]
    fn both_forms_read_alike() {
        for value in both(
            r#"{ "a" : "\u0062" , "c" : [ 1 , true ], "a":null }"#,
            b"\x84\x07\x01\xa1a\xa1b\xa1c\x92\x01\xc3\xa1a\xc0",
        ) {
            let members: Vec<_> = value.members().unwrap().collect();
            let keys: Vec<_> = members.iter().map(|(key, _)| &**key).collect();
            assert_eq!(keys, ["a", "c", "a"]);
            assert_eq!(members[0].1.text().as_deref(), Some("b"));
            let list: Vec<_> = members[1].1.elements().unwrap().collect();
            assert_eq!((list.len(), list[0].index(), list[1].truth()), (2, Some(1), true));
            assert!(members[2].1.is_null() && value.elements().is_none());
            assert!(members[1].1.members().is_none());
        }
    }

    #[test]
    fn scalars_are_what_they_are_to_javascript() {
        for (json, msgpack, truth, name) in [
            ("0", &b"\x00"[..], false, Some("0")),
            ("-0.0", b"\xcb\x80\0\0\0\0\0\0\0", false, Some("0")),
            ("0.5", b"\xcb\x3f\xe0\0\0\0\0\0\0", true, Some("0.5")),
            ("-1", b"\xff", true, Some("-1")),
            ("\"\"", b"\xa0", false, Some("")),
            ("\"0\"", b"\xa10", true, Some("0")),
            ("null", b"\xc0", false, None),
            ("false", b"\xc2", false, None),
            ("[]", b"\x90", true, None),
        ] {
            for value in both(json, msgpack) {
                assert_eq!(value.truth(), truth, "{value:?}");
                assert_eq!(value.name().as_deref(), name, "{value:?}");
                assert_eq!(value.is_name(), name.is_some());
            }
        }
        for value in both("9007199254740992", b"\xcf\0\x20\0\0\0\0\0\0") {
            assert_eq!(value.index(), None);
        }
    }

    #[test]
    fn an_event_has_a_name() {
        for value in both(r#"["a",1]"#, b"\x92\xa1a\x01") {
            let event = value.event(Some(7)).unwrap();
            assert_eq!((&*event.name, event.id, event.args.len()), ("a", Some(7), 1));
            assert_eq!(event.args.parse_tuple(), Ok((1,)));
        }
        for value in both("[]", b"\x90").into_iter().chain(both("{}", b"\x80")) {
            assert!(value.event(None).is_none());
        }
        for value in both("[null]", b"\x91\xc0") {
            assert!(value.event(None).is_none());
        }
    }

    #[test]
    fn what_was_never_checked_reads_as_something_or_nothing() {
        let deep = vec![0x91; 1000];
        let pieces =
            ["", "[", "{", "\"", "{\"", "{\"a", "{\"a\"", "{\"a\":", "[1", "{]", "é", "[,"];
        let bytes: [&[u8]; 6] = [b"", b"\x91", b"\x81", b"\x81\xa1a", b"\xc1", &deep];
        let texts = pieces.iter().map(|text| Value::json(text));
        for value in texts.chain(bytes.map(Value::Msgpack)) {
            let _ = (value.text(), value.index(), value.truth(), value.name(), value.is_null());
            let _ = (value.has_binary(), value.event(None));
            assert!(value.elements().into_iter().flatten().count() < 2);
            assert!(value.members().into_iter().flatten().count() < 2);
        }
    }
}
