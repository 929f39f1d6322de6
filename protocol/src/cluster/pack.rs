//! Values as MessagePack, in the dialect of whoever shall read it.

use bytes::Bytes;

use rmp::encode;

use crate::msgpack::Date;
use crate::msgpack::serialize::{write_date, write_f64, write_str, write_undefined};
use crate::msgpack::token::{DEPTH_CAP, Fault, Token, Tokens};
use crate::socket::placeholder::{self, Placeholder};
use crate::socket::{escape, json};

use super::malformed::Unwritable;
use super::text::msgpack_lite_date;
use super::value::{Value, binary};

/// What the encoders of Socket.IO's packages disagree about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `notepack.io` 2, which clients with the msgpack parser read: `undefined` and dates are extensions
    /// of type 0.
    Client,
    /// `notepack.io` 3, which the Redis adapters write: dates are the specification's timestamps, and
    /// `undefined` is nil.
    Notepack,
    /// `@msgpack/msgpack` 2, which the streams adapter writes: as before, and integers that are beyond
    /// 2⁵³ are doubles.
    Standard,
}

/// Why writing to a `Vec` needs no error.
const ROOM: &str = "a Vec takes all that is written";

impl Value<'_> {
    /// Appends the value as MessagePack. What is in that form already and means the same in every
    /// dialect is copied.
    ///
    /// # Errors
    /// [`Unwritable`]; the buffer is then as it was.
    pub fn write_msgpack(&self, out: &mut Vec<u8>, dialect: Dialect) -> Result<(), Unwritable> {
        let start = out.len();
        let result = match *self {
            Self::Msgpack(bytes) => write_msgpack(out, dialect, bytes),
            Self::Json { text, attachments } => write_json(out, dialect, text, attachments),
        };
        result.inspect_err(|_| out.truncate(start))
    }
}

fn write_msgpack(out: &mut Vec<u8>, dialect: Dialect, bytes: &[u8]) -> Result<(), Unwritable> {
    let mut tokens = Tokens::new(bytes);
    if !has_dialect(bytes)? {
        out.extend_from_slice(bytes);
        return Ok(());
    }
    Translator { out, dialect }.value(&mut tokens, DEPTH_CAP)
}

/// Whether there is something in a value that not all dialects write alike. Nothing may be behind it.
fn has_dialect(bytes: &[u8]) -> Result<bool, Fault> {
    let mut tokens = Tokens::new(bytes);
    let mut left = 1_usize;
    while left > 0 {
        let before = tokens.rest();
        let token = tokens.next()?;
        left = (left - 1).saturating_add(token.values());
        match token {
            Token::Undefined | Token::Date(_) | Token::Ext(..) => return Ok(true),
            // Binary data has one form, but an `ArrayBuffer` another.
            Token::Bin(_) if !matches!(before, [0xc4..=0xc6, ..]) => return Ok(true),
            _ => {}
        }
    }
    if tokens.rest().is_empty() { Ok(false) } else { Err(Fault::Malformed) }
}

/// Copies MessagePack from whichever dialect to another.
struct Translator<'o> {
    out: &'o mut Vec<u8>,
    dialect: Dialect,
}

impl Translator<'_> {
    fn value(&mut self, tokens: &mut Tokens<'_>, depth_left: usize) -> Result<(), Unwritable> {
        let before = tokens.rest();
        match tokens.next()? {
            Token::Undefined => self.undefined(),
            Token::Date(ms) => self.date(Date(ms)),
            Token::Array(len) => {
                let depth_left = depth_left.checked_sub(1).ok_or(Unwritable::Unchecked)?;
                encode::write_array_len(self.out, len).expect(ROOM);
                for _ in 0..len {
                    self.value(tokens, depth_left)?;
                }
            }
            Token::Map(len) => self.map(tokens, len, depth_left)?,
            Token::Ext(kind, bytes) if msgpack_lite_date(kind, bytes).is_some() => {
                if let Some(date) = msgpack_lite_date(kind, bytes) {
                    self.date(date);
                }
            }
            token => match binary(token) {
                Some(bytes) => write_bin(self.out, bytes),
                None => {
                    let len = before.len() - tokens.rest().len();
                    self.out.extend_from_slice(&before[..len]);
                }
            },
        }
        Ok(())
    }

    /// A map without its members that are undefined, where that is how the dialect has them.
    fn map(
        &mut self,
        tokens: &mut Tokens<'_>,
        len: u32,
        depth_left: usize,
    ) -> Result<(), Unwritable> {
        let depth_left = depth_left.checked_sub(1).ok_or(Unwritable::Unchecked)?;
        let drops = self.dialect == Dialect::Notepack;
        let mut written = len;
        if drops {
            let mut ahead = *tokens;
            for _ in 0..len {
                ahead.skip()?;
                let value = ahead;
                ahead.skip()?;
                written -= u32::from(is_undefined(value)?);
            }
        }
        encode::write_map_len(self.out, written).expect(ROOM);
        for _ in 0..len {
            let key = tokens.skip()?;
            if drops && is_undefined(*tokens)? {
                tokens.skip()?;
                continue;
            }
            self.out.extend_from_slice(key);
            self.value(tokens, depth_left)?;
        }
        Ok(())
    }

    fn undefined(&mut self) {
        match self.dialect {
            Dialect::Client => write_undefined(self.out),
            Dialect::Notepack | Dialect::Standard => encode::write_nil(self.out).expect(ROOM),
        }
    }

    fn date(&mut self, Date(ms): Date) {
        if self.dialect == Dialect::Client {
            return write_date(self.out, ms);
        }
        let (seconds, rest_ms) = (ms.div_euclid(1000), ms.rem_euclid(1000) as u32);
        let nanoseconds = rest_ms * 1_000_000;
        // MessagePack specification, "Timestamp extension type": the shortest of three forms.
        match (u32::try_from(seconds), u64::try_from(seconds)) {
            (Ok(seconds), _) if nanoseconds == 0 => {
                self.out.extend_from_slice(b"\xd6\xff");
                self.out.extend_from_slice(&seconds.to_be_bytes());
            }
            (_, Ok(seconds)) if seconds < 1 << 34 => {
                self.out.extend_from_slice(b"\xd7\xff");
                let both = u64::from(nanoseconds) << 34 | seconds;
                self.out.extend_from_slice(&both.to_be_bytes());
            }
            _ => {
                self.out.extend_from_slice(b"\xc7\x0c\xff");
                self.out.extend_from_slice(&nanoseconds.to_be_bytes());
                self.out.extend_from_slice(&seconds.to_be_bytes());
            }
        }
    }
}

fn is_undefined(mut tokens: Tokens<'_>) -> Result<bool, Fault> {
    Ok(tokens.next()? == Token::Undefined)
}

fn write_bin(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).expect("less than 4 GiB");
    encode::write_bin_len(out, len).expect(ROOM);
    out.extend_from_slice(bytes);
}

fn write_json(
    out: &mut Vec<u8>,
    dialect: Dialect,
    text: &str,
    attachments: &[Bytes],
) -> Result<(), Unwritable> {
    let placeholders = match attachments {
        [] => Vec::new(),
        _ => placeholder::find(text, attachments.len())
            .map_err(|placeholder::Illegal| Unwritable::Unchecked)?,
    };
    let mut packer = Packer { out, dialect, text, at: 0, attachments, placeholders: &placeholders };
    packer.value(DEPTH_CAP)?;
    if packer.at == text.len() { Ok(()) } else { Err(Unwritable::Unchecked) }
}

/// Turns JSON into MessagePack, in one way through the text.
struct Packer<'o, 'a> {
    out: &'o mut Vec<u8>,
    dialect: Dialect,
    text: &'a str,
    at: usize,
    attachments: &'a [Bytes],
    /// Those that are still ahead, in order of place.
    placeholders: &'a [Placeholder],
}

impl<'a> Packer<'_, 'a> {
    fn value(&mut self, depth_left: usize) -> Result<(), Unwritable> {
        match self.peek() {
            Some(b'"') => {
                let text = self.string()?;
                write_str(self.out, &text);
                Ok(())
            }
            Some(b'[') => self.list(depth_left),
            Some(b'{') => self.map(depth_left),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", 0xc3),
            Some(b'f') => self.word("false", 0xc2),
            Some(b'n') => self.word("null", 0xc0),
            _ => Err(Unwritable::Unchecked),
        }
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        self.at = json::skip_space(self.text.as_bytes(), self.at);
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, end: usize) -> Result<&'a str, Unwritable> {
        let taken = self.text.get(self.at..end).ok_or(Unwritable::Unchecked)?;
        self.at = end;
        Ok(taken)
    }

    fn string(&mut self) -> Result<std::borrow::Cow<'a, str>, Unwritable> {
        let quoted = self.take(json::skip_string(self.text.as_bytes(), self.at))?;
        let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        inner.map(escape::unescape).ok_or(Unwritable::Unchecked)
    }

    fn word(&mut self, word: &str, marker: u8) -> Result<(), Unwritable> {
        if self.take(self.at + word.len())? != word {
            return Err(Unwritable::Unchecked);
        }
        self.out.push(marker);
        Ok(())
    }

    fn number(&mut self) -> Result<(), Unwritable> {
        let number = self.take(json::skip_value(self.text.as_bytes(), self.at))?;
        if self.dialect != Dialect::Standard {
            if let Ok(number) = number.parse::<u64>() {
                encode::write_uint(self.out, number).expect(ROOM);
                return Ok(());
            }
            if let Ok(number) = number.parse::<i64>() {
                encode::write_sint(self.out, number).expect(ROOM);
                return Ok(());
            }
        }
        const SAFE_MAX: f64 = 9_007_199_254_740_991.0;
        let number: f64 = number.parse().map_err(|_| Unwritable::Unchecked)?;
        if self.dialect == Dialect::Standard && number.abs() > SAFE_MAX {
            encode::write_f64(self.out, number).expect(ROOM);
        } else {
            write_f64(self.out, number);
        }
        Ok(())
    }

    fn list(&mut self, depth_left: usize) -> Result<(), Unwritable> {
        let depth_left = depth_left.checked_sub(1).ok_or(Unwritable::Unchecked)?;
        let head = self.open(0x90);
        let mut count = 0;
        while self.is_more(b']', count)? {
            self.value(depth_left)?;
            count += 1;
        }
        self.close(head, 0xdc, count)
    }

    fn map(&mut self, depth_left: usize) -> Result<(), Unwritable> {
        if let Some((first, rest)) = self.placeholders.split_first()
            && first.at == self.at
        {
            self.placeholders = rest;
            self.at = first.end;
            let bytes = self.attachments.get(first.num).ok_or(Unwritable::Unchecked)?;
            write_bin(self.out, bytes);
            return Ok(());
        }
        let depth_left = depth_left.checked_sub(1).ok_or(Unwritable::Unchecked)?;
        let head = self.open(0x80);
        let mut count = 0;
        while self.is_more(b'}', count)? {
            let key = self.string()?;
            write_str(self.out, &key);
            if self.peek() != Some(b':') {
                return Err(Unwritable::Unchecked);
            }
            self.at += 1;
            self.value(depth_left)?;
            count += 1;
        }
        self.close(head, 0xde, count)
    }

    /// Goes past what separates the values of a container; false at its end, and past it.
    fn is_more(&mut self, end: u8, count: usize) -> Result<bool, Unwritable> {
        let byte = self.peek().ok_or(Unwritable::Unchecked)?;
        if byte == end {
            self.at += 1;
            return Ok(false);
        }
        if count > 0 {
            if byte != b',' {
                return Err(Unwritable::Unchecked);
            }
            self.at += 1;
            self.peek();
        }
        Ok(true)
    }

    /// Starts a container, of which nobody knows the size yet: most have less than 16 entries, and then
    /// the head is one byte.
    fn open(&mut self, marker: u8) -> usize {
        self.at += 1;
        self.out.push(marker);
        self.out.len() - 1
    }

    /// Completes the head at `head`; `wide` is the marker of the form with a length of 16 bits, after
    /// which the one with 32 comes.
    fn close(&mut self, head: usize, wide: u8, count: usize) -> Result<(), Unwritable> {
        match count {
            0..=15 => self.out[head] |= count as u8,
            16..=0xffff => {
                let [high, low] = (count as u16).to_be_bytes();
                self.out.splice(head..=head, [wide, high, low]);
            }
            _ => {
                let [a, b, c, d] = u32::try_from(count).expect("less than 4 GiB").to_be_bytes();
                self.out.splice(head..=head, [wide + 1, a, b, c, d]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(value: Value<'_>, dialect: Dialect) -> Vec<u8> {
        let mut out = b"x".to_vec();
        value.write_msgpack(&mut out, dialect).unwrap();
        out.split_off(1)
    }

    #[test]
    fn json_becomes_what_notepack_writes() {
        for (text, bytes) in [
            ("null", &b"\xc0"[..]),
            ("-0", b"\0"),
            ("1.0", b"\x01"),
            ("1e2", b"\x64"),
            ("1.5", b"\xcb\x3f\xf8\0\0\0\0\0\0"),
            ("-33", b"\xd0\xdf"),
            ("18446744073709551615", b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
            ("1e999", b"\xcb\x7f\xf0\0\0\0\0\0\0"),
            (r#""\u00e9\ud83d\ude00""#, "\u{a6}é😀".as_bytes().split_at(1).1),
            (
                r#" { "a" : [ true , false ] , "\n" : { } } "#.trim(),
                b"\x82\xa1a\x92\xc3\xc2\xa1\n\x80",
            ),
        ] {
            let value = Value::json(text);
            if text.starts_with('"') {
                assert_eq!(packed(value, Dialect::Notepack)[1..], bytes[1..], "{text}");
            } else {
                assert_eq!(packed(value, Dialect::Notepack), bytes, "{text}");
            }
        }
        let unsafe_integer = Value::json("9007199254740993");
        assert_eq!(packed(unsafe_integer, Dialect::Notepack), b"\xcf\0\x20\0\0\0\0\0\x01");
        assert_eq!(packed(unsafe_integer, Dialect::Standard), b"\xcb\x43\x40\0\0\0\0\0\0");
    }

    #[test]
    fn heads_grow_with_their_containers() {
        for count in [0, 1, 15, 16, 0xffff, 0x1_0000] {
            let numbers = vec!["7"; count].join(",");
            let mut expected = Vec::new();
            encode::write_array_len(&mut expected, count as u32 + 1).unwrap();
            encode::write_array_len(&mut expected, count as u32).unwrap();
            expected.extend(vec![7; 2 * count]);
            let inner = if count == 0 { String::new() } else { format!(",{numbers}") };
            let text = format!("[[{numbers}]{inner}]");
            assert_eq!(packed(Value::json(&text), Dialect::Notepack), expected, "{count}");
        }
        let members: Vec<_> = (0..16).map(|index| format!("\"{index:x}\":0")).collect();
        let text = format!("{{{}}}", members.join(","));
        let out = packed(Value::json(&text), Dialect::Notepack);
        assert_eq!((&out[..5], out.len()), (&b"\xde\0\x10\xa10"[..], 3 + 16 * 3));
    }

    #[test]
    fn attachments_go_where_their_placeholders_are() {
        let attachments = [Bytes::from_static(b"ab"), Bytes::new()];
        let text = r#"["e",{"_placeholder":true,"num":1},{"k":{"num":0,"_placeholder":true}}]"#;
        let value = Value::Json { text, attachments: &attachments };
        assert_eq!(packed(value, Dialect::Notepack), b"\x93\xa1e\xc4\0\x81\xa1k\xc4\x02ab");
    }

    #[test]
    fn dialects_differ_in_what_json_lacks() {
        let undefined = Value::Msgpack(b"\x92\xd4\0\0\x82\xa1a\xd4\0\0\xa1b\x01");
        for (dialect, bytes) in [
            (Dialect::Client, &b"\x92\xd4\0\0\x82\xa1a\xd4\0\0\xa1b\x01"[..]),
            (Dialect::Notepack, b"\x92\xc0\x81\xa1b\x01"),
            (Dialect::Standard, b"\x92\xc0\x82\xa1a\xc0\xa1b\x01"),
        ] {
            assert_eq!(packed(undefined, dialect), bytes);
        }
        for (one, other) in [
            (&b"\xd6\xff\0\0\0\x02"[..], &b"\xd7\0\0\0\0\0\0\0\x07\xd0"[..]),
            (b"\xd7\xff\x01\x31\x2d\0\0\0\0\x01", b"\xd7\0\0\0\0\0\0\0\x03\xed"),
            (
                b"\xc7\x0c\xff\0\x1e\x84\x80\xff\xff\xff\xff\xff\xff\xff\xff",
                b"\xd7\0\xff\xff\xff\xff\xff\xff\xfc\x1a",
            ),
        ] {
            assert_eq!(packed(Value::Msgpack(one), Dialect::Client), other);
            assert_eq!(packed(Value::Msgpack(other), Dialect::Notepack), one);
            assert_eq!(packed(Value::Msgpack(other), Dialect::Standard), one);
        }
        // Binary data of the older dialects, and a date.
        let odd = Value::Msgpack(b"\x94\xc7\x01\0a\xd4\x12b\xd4\x0d\0\xd4\x07c");
        assert_eq!(
            packed(odd, Dialect::Notepack),
            b"\x94\xc4\x01a\xc4\x01b\xd6\xff\0\0\0\0\xd4\x07c"
        );
    }

    #[test]
    fn what_is_no_value_is_not_written() {
        let deep_bytes = [vec![0x91; 1000], b"\xd4\0\0".to_vec()].concat();
        let deep_text = "[".repeat(1000);
        let texts = [
            "",
            "[",
            "{",
            "[1",
            "[1 2]",
            "{1:2}",
            "{\"a\"}",
            "{\"a\" 1}",
            "nul",
            "-",
            "1 1",
            "\"",
            "1.",
            "[1,]",
            &deep_text,
        ];
        let all_bytes: [&[u8]; 6] =
            [b"", b"\x91", b"\x01\x01", b"\x92\xd4\0\0", b"\x81\xd4\0\0", &deep_bytes];
        let mut out = b"as it was".to_vec();
        for value in texts.iter().map(|text| Value::json(text)).chain(all_bytes.map(Value::Msgpack))
        {
            for dialect in [Dialect::Client, Dialect::Notepack, Dialect::Standard] {
                let written = value.write_msgpack(&mut out, dialect);
                // What reads as a number in Rust but not in JSON was never checked.
                if written.is_ok() {
                    assert_eq!(value.text(), None);
                    out.truncate(9);
                }
            }
        }
        assert_eq!(out, b"as it was");
    }
}
