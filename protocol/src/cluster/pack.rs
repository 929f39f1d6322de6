//! Values as MessagePack, in the dialect of whoever shall read it.

use std::borrow::Cow;

use bytes::Bytes;
use rmp::encode;

use crate::msgpack::serialize::{write_f64, write_str};
use crate::msgpack::token::DEPTH_CAP;
use crate::socket::placeholder::{self, Placeholder};
use crate::socket::{escape, json};

use super::dialect::{Dialect, translate, write_bin};
use super::malformed::Unwritable;
use super::value::Value;

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
            Self::Msgpack(bytes) => translate(out, dialect, bytes),
            Self::Json { text, attachments } => write_json(out, dialect, text, attachments),
        };
        result.inspect_err(|_| out.truncate(start))
    }
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

    fn string(&mut self) -> Result<Cow<'a, str>, Unwritable> {
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
