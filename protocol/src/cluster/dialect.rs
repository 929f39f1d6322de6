//! The dialects of MessagePack that readers of Socket.IO's messages have, and values from one to another.

use rmp::encode;

use crate::msgpack::Date;
use crate::msgpack::serialize::{write_date, write_undefined};
use crate::msgpack::token::{DEPTH_CAP, Fault, Token, Tokens};

use super::malformed::Unwritable;
use super::text::msgpack_lite_date;
use super::value::binary;

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

/// Appends one MessagePack value in another dialect. What means the same in all of them is copied.
pub(super) fn translate(
    out: &mut Vec<u8>,
    dialect: Dialect,
    bytes: &[u8],
) -> Result<(), Unwritable> {
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

/// Binary data in the form that all dialects have.
pub(super) fn write_bin(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).expect("less than 4 GiB");
    encode::write_bin_len(out, len).expect(ROOM);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Value;

    fn packed(value: Value<'_>, dialect: Dialect) -> Vec<u8> {
        let mut out = b"x".to_vec();
        value.write_msgpack(&mut out, dialect).unwrap();
        out.split_off(1)
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
}
