//! Values as JSON text.

use bytes::Bytes;

use crate::msgpack::Date;
use crate::msgpack::date::Iso;
use crate::msgpack::token::{DEPTH_CAP, Token, Tokens, text};
use crate::socket::{number, placeholder};

use super::malformed::Unwritable;
use super::value::{Value, binary, printed};

/// What becomes of binary data, which JSON cannot hold.
pub(crate) enum Bins<'o> {
    /// It becomes attachments, at most so many with those that are there already.
    Attached(&'o mut Vec<Bytes>, usize),
    /// It is spelled out as `JSON.stringify` does with a `Buffer`: where Node's packages write JSON
    /// without asking for binary data.
    Spelled,
}

impl Value<'_> {
    /// Appends the value as JSON, and its binary data to `attachments`, which then are those of one
    /// packet: placeholders go on counting from what is there.
    ///
    /// Dates become text, as `JSON.stringify` has them; what JSON does not know is `null`.
    ///
    /// # Errors
    /// [`Unwritable`]; both buffers are then as they were.
    pub fn write_json(
        &self,
        out: &mut Vec<u8>,
        attachments: &mut Vec<Bytes>,
        attachments_max: usize,
    ) -> Result<(), Unwritable> {
        let (start, earlier) = (out.len(), attachments.len());
        self.write_text(out, Bins::Attached(attachments, attachments_max)).inspect_err(|_| {
            out.truncate(start);
            attachments.truncate(earlier);
        })
    }

    /// Appends the value as JSON alone, binary data as `{"type":"Buffer","data":[…]}`.
    ///
    /// # Errors
    /// [`Unwritable`]; the buffer is then as it was.
    pub fn write_plain_json(&self, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        let start = out.len();
        self.write_text(out, Bins::Spelled).inspect_err(|_| out.truncate(start))
    }

    fn write_text(&self, out: &mut Vec<u8>, bins: Bins<'_>) -> Result<(), Unwritable> {
        let mut writer = TextWriter { out, bins };
        match *self {
            Self::Json { text, attachments: [] } => {
                writer.out.extend_from_slice(text.as_bytes());
                Ok(())
            }
            Self::Json { text, attachments } => writer.copy(text, attachments),
            Self::Msgpack(bytes) => writer.value(&mut Tokens::new(bytes), DEPTH_CAP),
        }
    }
}

struct TextWriter<'o, 'b> {
    out: &'o mut Vec<u8>,
    bins: Bins<'b>,
}

impl TextWriter<'_, '_> {
    /// JSON that has attachments of its own.
    fn copy(&mut self, text: &str, attachments: &[Bytes]) -> Result<(), Unwritable> {
        let found = placeholder::find(text, attachments.len())
            .map_err(|placeholder::Illegal| Unwritable::Unchecked)?;
        let mut copied = 0;
        for placeholder in found {
            let bytes = attachments.get(placeholder.num).ok_or(Unwritable::Unchecked)?;
            let before = text.get(copied..placeholder.at).ok_or(Unwritable::Unchecked)?;
            self.out.extend_from_slice(before.as_bytes());
            self.binary(|| bytes.clone(), bytes)?;
            copied = placeholder.end;
        }
        self.out.extend_from_slice(text.get(copied..).unwrap_or_default().as_bytes());
        Ok(())
    }

    fn value(&mut self, tokens: &mut Tokens<'_>, depth_left: usize) -> Result<(), Unwritable> {
        match tokens.next()? {
            Token::Nil | Token::Undefined => self.out.extend_from_slice(b"null"),
            Token::Bool(true) => self.out.extend_from_slice(b"true"),
            Token::Bool(false) => self.out.extend_from_slice(b"false"),
            Token::Unsigned(number) => self.whole(number),
            Token::Signed(number) => self.whole(number),
            Token::Float(number) => self.float(number),
            Token::Str(bytes) => self.string(text(bytes)?),
            Token::Date(ms) => self.string(Iso::new(Date(ms)).as_str()),
            Token::Array(len) => self.list(tokens, len, depth_left)?,
            Token::Map(len) => self.map(tokens, len, depth_left)?,
            token @ (Token::Bin(_) | Token::Ext(..)) => self.odd(token)?,
        }
        Ok(())
    }

    fn list(
        &mut self,
        tokens: &mut Tokens<'_>,
        len: u32,
        depth_left: usize,
    ) -> Result<(), Unwritable> {
        let depth_left = depth_left.checked_sub(1).ok_or(Unwritable::Unchecked)?;
        self.out.push(b'[');
        for index in 0..len {
            if index > 0 {
                self.out.push(b',');
            }
            self.value(tokens, depth_left)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn map(
        &mut self,
        tokens: &mut Tokens<'_>,
        len: u32,
        depth_left: usize,
    ) -> Result<(), Unwritable> {
        let depth_left = depth_left.checked_sub(1).ok_or(Unwritable::Unchecked)?;
        self.out.push(b'{');
        let first = self.out.len();
        for _ in 0..len {
            let key = tokens.next()?;
            // `JSON.stringify` leaves out what is undefined.
            let mut ahead = *tokens;
            if ahead.next()? == Token::Undefined {
                *tokens = ahead;
                continue;
            }
            if self.out.len() > first {
                self.out.push(b',');
            }
            self.key(key)?;
            self.out.push(b':');
            self.value(tokens, depth_left)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// A key, which is text to JavaScript whatever it was to the encoder.
    fn key(&mut self, key: Token<'_>) -> Result<(), Unwritable> {
        match key {
            Token::Str(bytes) => self.string(text(bytes)?),
            Token::Unsigned(number) => self.string(&number.to_string()),
            Token::Signed(number) => self.string(&number.to_string()),
            Token::Float(number) => self.string(&printed(number)),
            Token::Nil => self.string("null"),
            Token::Undefined => self.string("undefined"),
            Token::Bool(value) => self.string(if value { "true" } else { "false" }),
            _ => return Err(Unwritable::Key),
        }
        Ok(())
    }

    /// Binary data, or an extension: what some dialect means by it, or else its type and its bytes.
    fn odd(&mut self, token: Token<'_>) -> Result<(), Unwritable> {
        if let Some(bytes) = binary(token) {
            return self.binary(|| Bytes::copy_from_slice(bytes), bytes);
        }
        let Token::Ext(kind, bytes) = token else { return Err(Unwritable::Unchecked) };
        if let Some(date) = msgpack_lite_date(kind, bytes) {
            self.string(Iso::new(date).as_str());
            return Ok(());
        }
        self.out.push(b'[');
        self.whole(kind);
        self.out.push(b',');
        self.binary(|| Bytes::copy_from_slice(bytes), bytes)?;
        self.out.push(b']');
        Ok(())
    }

    fn binary(&mut self, owned: impl FnOnce() -> Bytes, bytes: &[u8]) -> Result<(), Unwritable> {
        match &mut self.bins {
            Bins::Attached(attachments, max) => {
                if attachments.len() >= *max {
                    return Err(Unwritable::Attachments);
                }
                self.out.extend_from_slice(b"{\"_placeholder\":true,\"num\":");
                let num = attachments.len() as u64;
                attachments.push(owned());
                self.whole(num);
                self.out.push(b'}');
            }
            Bins::Spelled => {
                self.out.extend_from_slice(b"{\"type\":\"Buffer\",\"data\":[");
                for (index, &byte) in bytes.iter().enumerate() {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    self.whole(byte);
                }
                self.out.extend_from_slice(b"]}");
            }
        }
        Ok(())
    }

    fn string(&mut self, text: &str) {
        write_string(self.out, text);
    }

    fn whole(&mut self, number: impl itoa::Integer) {
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    fn float(&mut self, number: f64) {
        if number.is_finite() {
            number::write_f64(self.out, number).expect("a Vec takes all that is written");
        } else {
            self.out.extend_from_slice(b"null");
        }
    }
}

/// Text between quotes.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    // Nearly all names and ids need no escape.
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        let written = serde_json::to_writer(&mut *out, text);
        written.expect("a Vec takes all that is written, and any str is JSON");
    }
}

/// How `msgpack-lite` writes a date: its type 13, around a number of milliseconds.
pub(crate) fn msgpack_lite_date(kind: i8, bytes: &[u8]) -> Option<Date> {
    let mut tokens = Tokens::new(bytes);
    let ms = match tokens.next().ok()? {
        Token::Unsigned(ms) => i64::try_from(ms).ok()?,
        Token::Signed(ms) => ms,
        Token::Float(ms) if ms.is_finite() => ms as i64,
        _ => return None,
    };
    let date = Date(ms);
    (kind == 0x0d && tokens.rest().is_empty() && date.is_valid()).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(value: Value<'_>) -> String {
        let mut out = Vec::new();
        value.write_plain_json(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_dialect_becomes_the_same_text() {
        for (bytes, text) in [
            (&b"\xc0"[..], "null"),
            (b"\x92\xd4\0\0\xc3", "[null,true]"),
            (b"\x82\xa1a\xd4\0\0\xa1b\x01", r#"{"b":1}"#),
            (b"\x81\xa1a\xd4\0\0", "{}"),
            (
                b"\x84\x05\x01\xff\x02\xc2\x03\xcb\x3f\xf8\0\0\0\0\0\0\x04",
                r#"{"5":1,"-1":2,"false":3,"1.5":4}"#,
            ),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615"),
            (b"\xcb\x44\x4b\x1a\xe4\xd6\xe2\xef\x50", "1e+21"),
            (b"\xcb\x7f\xf0\0\0\0\0\0\0", "null"),
            (b"\xd6\xff\0\0\0\x02", "\"1970-01-01T00:00:02.000Z\""),
            (b"\xd7\0\0\0\0\0\0\0\0\x05", "\"1970-01-01T00:00:00.005Z\""),
            (b"\xd4\x0d\0", "\"1970-01-01T00:00:00.000Z\""),
            (b"\xc7\x09\x0d\xcb\x40\x8f\x40\0\0\0\0\0", "\"1970-01-01T00:00:01.000Z\""),
            (b"\xd5\x12\x01\x02", r#"{"type":"Buffer","data":[1,2]}"#),
            (b"\xc4\0", r#"{"type":"Buffer","data":[]}"#),
            (b"\xd4\x07\x2a", r#"[7,{"type":"Buffer","data":[42]}]"#),
            (b"\xa3\"\\\n", r#""\"\\\n""#),
            (b"\xa3\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\""),
        ] {
            assert_eq!(plain(Value::Msgpack(bytes)), text, "{bytes:02x?}");
        }
    }

    #[test]
    fn attachments_are_counted_through() {
        let mut out = b"x".to_vec();
        let mut attachments = vec![Bytes::from_static(b"first")];
        let value = Value::Msgpack(b"\x92\xc4\x01a\x81\xa1k\xc4\x01b");
        value.write_json(&mut out, &mut attachments, 3).unwrap();
        assert_eq!(out, br#"x[{"_placeholder":true,"num":1},{"k":{"_placeholder":true,"num":2}}]"#);
        assert_eq!(attachments, [&b"first"[..], b"a", b"b"]);
        let error = value.write_json(&mut out, &mut attachments, 4);
        assert_eq!(error, Err(Unwritable::Attachments));
        assert_eq!((out.len(), attachments.len()), (68, 3));
    }

    #[test]
    fn json_with_attachments_is_renumbered_or_spelled_out() {
        let own = [Bytes::from_static(b"\x01"), Bytes::from_static(b"\x02")];
        let text = r#"["e",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#;
        let value = Value::Json { text, attachments: &own };
        let (mut out, mut attachments) = (Vec::new(), vec![Bytes::new()]);
        value.write_json(&mut out, &mut attachments, 9).unwrap();
        assert_eq!(out, br#"["e",{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]"#);
        assert_eq!(attachments, [&b""[..], b"\x02", b"\x01"]);
        assert_eq!(
            plain(value),
            r#"["e",{"type":"Buffer","data":[2]},{"type":"Buffer","data":[1]}]"#
        );
        let illegal = Value::Json { text: r#"[{"_placeholder":true,"num":7}]"#, attachments: &own };
        let error = illegal.write_json(&mut out, &mut attachments, 9);
        assert_eq!(error, Err(Unwritable::Unchecked));
        assert_eq!(attachments.len(), 3);
    }

    #[test]
    fn what_is_no_value_is_not_written() {
        let deep = vec![0x91; 1000];
        let mut out = b"as it was".to_vec();
        for (bytes, why) in [
            (&b""[..], Unwritable::Unchecked),
            (b"\x92\x01", Unwritable::Unchecked),
            (b"\xa1\xff", Unwritable::Unchecked),
            (&deep, Unwritable::Unchecked),
            (b"\x81\x90\x01", Unwritable::Key),
            (b"\x81\xc4\x01a\x01", Unwritable::Key),
        ] {
            assert_eq!(Value::Msgpack(bytes).write_plain_json(&mut out), Err(why), "{bytes:02x?}");
        }
        assert_eq!(out, b"as it was");
    }
}
