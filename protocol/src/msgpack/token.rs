//! MessagePack as a sequence of items (MessagePack specification, "Formats"): what comes next, where a
//! value ends.
//!
//! Nothing here recurses, allocates or trusts a length: an item that claims more than the input still
//! has is malformed, whatever it is.

use rmp::Marker;

/// The deepest nesting that is let in, whatever a limit says: the same as for JSON, so that what one
/// parser lets in the other does, too.
pub(crate) const DEPTH_CAP: usize = 127;

/// Why a sequence of items is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not MessagePack, or not all of it.
    Malformed,
    /// Arrays and maps nest deeper than allowed.
    Depth,
}

/// One item: a scalar, or the head of a container whose values follow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Token<'a> {
    /// `null`; also a date that JavaScript calls invalid, which it prints as such.
    Nil,
    /// JavaScript's `undefined`, as `notepack` 2 writes it.
    Undefined,
    /// A boolean.
    Bool(bool),
    /// A whole number that is not negative, in whichever form.
    Unsigned(u64),
    /// A negative whole number.
    Signed(i64),
    /// A number in single or double precision.
    Float(f64),
    /// A string; [`text`] says whether it is UTF-8.
    Str(&'a [u8]),
    /// Binary data: a `Buffer`, or an `ArrayBuffer` as `notepack` 2 writes it.
    Bin(&'a [u8]),
    /// A date, in milliseconds since 1970, within JavaScript's range.
    Date(i64),
    /// Any other extension, with its type.
    Ext(i8, &'a [u8]),
    /// An array of that many values.
    Array(u32),
    /// A map of that many keys, each followed by its value.
    Map(u32),
}

impl Token<'_> {
    /// The whole number at or above zero that this is to JavaScript, up to the last that it counts to.
    pub(crate) fn index(self) -> Option<u64> {
        const INDEX_MAX: u64 = (1 << 53) - 1;
        match self {
            Self::Unsigned(number) => Some(number),
            Self::Float(number) if number.trunc() == number && number >= 0.0 => Some(number as u64),
            _ => None,
        }
        .filter(|&number| number <= INDEX_MAX)
    }

    /// Values that follow this head and belong to it.
    pub(crate) fn values(self) -> usize {
        match self {
            Self::Array(len) => len as usize,
            Self::Map(len) => len as usize * 2,
            _ => 0,
        }
    }
}

/// The text of a string.
#[inline]
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Fault> {
    // Below a vector's length there is nothing to win.
    if bytes.len() < 64 {
        return std::str::from_utf8(bytes).map_err(|_| Fault::Malformed);
    }
    simdutf8::basic::from_utf8(bytes).map_err(|_| Fault::Malformed)
}

/// What is left of an input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    /// What was not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads one item. A container's values are left for the next calls.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Token<'a>, Fault> {
        let [marker] = self.array()?;
        // What nearly all items of small packets are.
        match marker {
            0x00..=0x7f => Ok(Token::Unsigned(marker.into())),
            0xa0..=0xbf => Ok(Token::Str(self.take(usize::from(marker & 0x1f))?)),
            0x80..=0x8f => self.container(Token::Map(u32::from(marker & 0x0f))),
            0x90..=0x9f => self.container(Token::Array(u32::from(marker & 0x0f))),
            _ => self.next_wide(marker),
        }
    }

    #[inline(never)]
    fn next_wide(&mut self, marker: u8) -> Result<Token<'a>, Fault> {
        Ok(match Marker::from_u8(marker) {
            Marker::FixPos(number) => Token::Unsigned(number.into()),
            Marker::FixNeg(number) => Token::Signed(number.into()),
            Marker::FixStr(len) => Token::Str(self.take(len.into())?),
            Marker::FixArray(len) => self.container(Token::Array(len.into()))?,
            Marker::FixMap(len) => self.container(Token::Map(len.into()))?,
            Marker::Null => Token::Nil,
            Marker::False => Token::Bool(false),
            Marker::True => Token::Bool(true),
            Marker::U8 => Token::Unsigned(u8::from_be_bytes(self.array()?).into()),
            Marker::U16 => Token::Unsigned(u16::from_be_bytes(self.array()?).into()),
            Marker::U32 => Token::Unsigned(u32::from_be_bytes(self.array()?).into()),
            Marker::U64 => Token::Unsigned(u64::from_be_bytes(self.array()?)),
            Marker::I8 => whole(i8::from_be_bytes(self.array()?).into()),
            Marker::I16 => whole(i16::from_be_bytes(self.array()?).into()),
            Marker::I32 => whole(i32::from_be_bytes(self.array()?).into()),
            Marker::I64 => whole(i64::from_be_bytes(self.array()?)),
            Marker::F32 => Token::Float(f32::from_be_bytes(self.array()?).into()),
            Marker::F64 => Token::Float(f64::from_be_bytes(self.array()?)),
            Marker::Str8 => Token::Str(self.sized::<1>()?),
            Marker::Str16 => Token::Str(self.sized::<2>()?),
            Marker::Str32 => Token::Str(self.sized::<4>()?),
            Marker::Bin8 => Token::Bin(self.sized::<1>()?),
            Marker::Bin16 => Token::Bin(self.sized::<2>()?),
            Marker::Bin32 => Token::Bin(self.sized::<4>()?),
            Marker::Array16 => {
                let len = self.len::<2>()?;
                self.container(Token::Array(len))?
            }
            Marker::Array32 => {
                let len = self.len::<4>()?;
                self.container(Token::Array(len))?
            }
            Marker::Map16 => {
                let len = self.len::<2>()?;
                self.container(Token::Map(len))?
            }
            Marker::Map32 => {
                let len = self.len::<4>()?;
                self.container(Token::Map(len))?
            }
            Marker::FixExt1 => self.fixed_extension(1)?,
            Marker::FixExt2 => self.fixed_extension(2)?,
            Marker::FixExt4 => self.fixed_extension(4)?,
            Marker::FixExt8 => self.fixed_extension(8)?,
            Marker::FixExt16 => self.fixed_extension(16)?,
            Marker::Ext8 => self.extension::<1>()?,
            Marker::Ext16 => self.extension::<2>()?,
            Marker::Ext32 => self.extension::<4>()?,
            Marker::Reserved => return Err(Fault::Malformed),
        })
    }

    /// Goes past the next value, checking nothing but that it ends inside the input. Returns its bytes.
    pub(crate) fn skip(&mut self) -> Result<&'a [u8], Fault> {
        let from = self.rest;
        let mut left = 1_usize;
        while left > 0 {
            left = (left - 1).saturating_add(self.next()?.values());
        }
        Ok(&from[..from.len() - self.rest.len()])
    }

    /// Checks the value whose head was just read, and goes past what belongs to it: strings must be
    /// UTF-8, and containers may nest `depth_max` deep (and never more than [`DEPTH_CAP`]).
    #[inline]
    pub(crate) fn check(&mut self, head: Token<'a>, depth_max: usize) -> Result<(), Fault> {
        match head {
            Token::Str(bytes) => text(bytes).map(drop),
            Token::Array(_) | Token::Map(_) => self.check_nested(head, depth_max.min(DEPTH_CAP)),
            _ => Ok(()),
        }
    }

    fn check_nested(&mut self, head: Token<'a>, depth_max: usize) -> Result<(), Fault> {
        /// Few values nest deeper, and what is to be remembered for each level has to be cleared.
        const SHALLOW: usize = 8;
        let start = *self;
        match self.check_within::<SHALLOW>(head, depth_max.min(SHALLOW)) {
            Err(Fault::Depth) if depth_max > SHALLOW => {
                *self = start;
                self.check_within::<DEPTH_CAP>(head, depth_max)
            }
            checked => checked,
        }
    }

    /// `depth_max` is `LEVELS` at most.
    fn check_within<const LEVELS: usize>(
        &mut self,
        head: Token<'a>,
        depth_max: usize,
    ) -> Result<(), Fault> {
        if depth_max == 0 {
            return Err(Fault::Depth);
        }
        // How many values are still to come in each container around the innermost one.
        let mut outer = [0; LEVELS];
        let (mut depth, mut left) = (1, head.values());
        loop {
            while left == 0 {
                depth -= 1;
                if depth == 0 {
                    return Ok(());
                }
                left = outer[depth];
            }
            left -= 1;
            match self.next()? {
                Token::Str(bytes) => {
                    text(bytes)?;
                }
                container @ (Token::Array(_) | Token::Map(_)) => {
                    if depth == depth_max {
                        return Err(Fault::Depth);
                    }
                    outer[depth] = left;
                    depth += 1;
                    left = container.values();
                }
                _ => {}
            }
        }
    }

    /// A container's head, if the input is long enough for its values: each takes a byte at least.
    fn container(&self, head: Token<'a>) -> Result<Token<'a>, Fault> {
        if head.values() <= self.rest.len() { Ok(head) } else { Err(Fault::Malformed) }
    }

    fn fixed_extension(&mut self, len: usize) -> Result<Token<'a>, Fault> {
        let kind = i8::from_be_bytes(self.array()?);
        let bytes = self.take(len)?;
        Ok(match (kind, len) {
            (0, 1) => Token::Undefined,
            (0, 8) => bytes.try_into().map_or(Token::Nil, |ms| date(i64::from_be_bytes(ms))),
            (TIMESTAMP, _) => timestamp(bytes),
            _ => Token::Ext(kind, bytes),
        })
    }

    fn extension<const N: usize>(&mut self) -> Result<Token<'a>, Fault> {
        let len = self.len::<N>()?;
        let kind = i8::from_be_bytes(self.array()?);
        let bytes = self.take(len as usize)?;
        Ok(match kind {
            // How `notepack` 2 writes an `ArrayBuffer`, and a browser never.
            0 => Token::Bin(bytes),
            TIMESTAMP => timestamp(bytes),
            _ => Token::Ext(kind, bytes),
        })
    }

    /// Bytes after their length.
    fn sized<const N: usize>(&mut self) -> Result<&'a [u8], Fault> {
        let len = self.len::<N>()?;
        self.take(len as usize)
    }

    /// A length of `N` bytes, 4 at most.
    fn len<const N: usize>(&mut self) -> Result<u32, Fault> {
        let bytes = self.array::<N>()?;
        Ok(bytes.iter().fold(0, |len, &byte| len << 8 | u32::from(byte)))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Fault::Malformed)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Fault::Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }
}

/// The type of the specification's own timestamps, which newer encoders write for dates.
const TIMESTAMP: i8 = -1;

fn whole(number: i64) -> Token<'static> {
    match u64::try_from(number) {
        Ok(number) => Token::Unsigned(number),
        Err(_) => Token::Signed(number),
    }
}

fn date(ms: i64) -> Token<'static> {
    if super::Date(ms).is_valid() { Token::Date(ms) } else { Token::Nil }
}

/// MessagePack specification, "Timestamp extension type": seconds, or with nanoseconds above or before
/// them.
fn timestamp(bytes: &[u8]) -> Token<'_> {
    let (seconds, nanoseconds) = if let Ok(seconds) = bytes.try_into() {
        (i64::from(u32::from_be_bytes(seconds)), 0)
    } else if let Ok(both) = bytes.try_into() {
        let both = u64::from_be_bytes(both);
        ((both & ((1 << 34) - 1)) as i64, (both >> 34) as u32)
    } else if let Some((nanoseconds, rest)) = bytes.split_first_chunk()
        && let Ok(seconds) = rest.try_into()
    {
        (i64::from_be_bytes(seconds), u32::from_be_bytes(*nanoseconds))
    } else {
        return Token::Ext(TIMESTAMP, bytes);
    };
    date(seconds.saturating_mul(1000).saturating_add((nanoseconds / 1_000_000).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(input: &[u8]) -> Result<Token<'_>, Fault> {
        let mut tokens = Tokens::new(input);
        let token = tokens.next()?;
        assert!(tokens.rest().is_empty(), "{input:02x?}");
        Ok(token)
    }

    /// The length of the value that `input` starts with, if it passes.
    fn check(input: &[u8], depth_max: usize) -> Result<usize, Fault> {
        let mut tokens = Tokens::new(input);
        let head = tokens.next()?;
        tokens.check(head, depth_max)?;
        Ok(input.len() - tokens.rest().len())
    }

    #[test]
    fn whole_numbers_have_one_form_here() {
        for (input, token) in [
            (&b"\x05"[..], Token::Unsigned(5)),
            (b"\xcc\x05", Token::Unsigned(5)),
            (b"\xd0\x05", Token::Unsigned(5)),
            (b"\xd3\0\0\0\0\0\0\0\x05", Token::Unsigned(5)),
            (b"\xff", Token::Signed(-1)),
            (b"\xd2\xff\xff\xff\xff", Token::Signed(-1)),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", Token::Unsigned(u64::MAX)),
        ] {
            assert_eq!(one(input), Ok(token), "{input:02x?}");
        }
    }

    #[test]
    fn extensions_of_both_notepacks() {
        for (input, token) in [
            (&b"\xd4\0\0"[..], Token::Undefined),
            (b"\xc7\x01\0\x07", Token::Bin(b"\x07")),
            (b"\xc8\0\x02\0ab", Token::Bin(b"ab")),
            (b"\xc7\x08\0abcdefgh", Token::Bin(b"abcdefgh")),
            (b"\xd7\0\xff\xff\xff\xff\xff\xff\xff\xff", Token::Date(-1)),
            (b"\xd7\0\x7f\xff\xff\xff\xff\xff\xff\xff", Token::Nil),
            (b"\xd6\xff\0\0\0\x02", Token::Date(2_000)),
            // 5 million nanoseconds above 1 second.
            (b"\xd7\xff\x01\x31\x2d\0\0\0\0\x01", Token::Date(1_005)),
            (b"\xc7\x0c\xff\0\x1e\x84\x80\xff\xff\xff\xff\xff\xff\xff\xff", Token::Date(-998)),
            (b"\xc7\x0c\xff\0\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Token::Nil),
            (b"\xd5\xffab", Token::Ext(-1, b"ab")),
            (b"\xd5\0ab", Token::Ext(0, b"ab")),
            (b"\xd4\x07\x2a", Token::Ext(7, b"\x2a")),
        ] {
            assert_eq!(one(input), Ok(token), "{input:02x?}");
        }
    }

    #[test]
    fn no_length_is_believed() {
        for input in [
            &b""[..],
            b"\xc1",
            b"\xa1",
            b"\xd9",
            b"\xd9\x02a",
            b"\xdb\xff\xff\xff\xffa",
            b"\xc6\xff\xff\xff\xffa",
            b"\xc9\xff\xff\xff\xff\0a",
            b"\x91",
            b"\x81\x01",
            b"\xdd\xff\xff\xff\xff\x01",
            b"\xdf\xff\xff\xff\xff\x01\x01",
            b"\xd7\0\0\0\0\0\0\0\0",
            b"\xcb\0\0\0",
        ] {
            assert_eq!(one(input), Err(Fault::Malformed), "{input:02x?}");
            assert_eq!(Tokens::new(input).skip(), Err(Fault::Malformed), "{input:02x?}");
            assert_eq!(check(input, 9), Err(Fault::Malformed), "{input:02x?}");
        }
    }

    #[test]
    fn depth_counts_containers() {
        let nested = |depth: usize| [vec![0x91; depth - 1], vec![0x90, 0xc3]].concat();
        for depth in [1, 2, 4] {
            let input = nested(depth);
            assert_eq!(check(&input, 4), Ok(depth));
        }
        assert_eq!(check(&nested(5), 4), Err(Fault::Depth));
        assert!(check(&nested(DEPTH_CAP), usize::MAX).is_ok());
        assert_eq!(check(b"\x90", 0), Err(Fault::Depth));
        assert_eq!(check(b"\x05", 0), Ok(1));
        assert_eq!(check(&nested(DEPTH_CAP + 1), usize::MAX), Err(Fault::Depth));
        assert_eq!(Tokens::new(&nested(100_000)).skip().map(<[u8]>::len), Ok(100_000));
        // Siblings do not nest.
        let wide = b"\x93\x91\x91\x01\x81\x01\x91\x02\x90";
        assert_eq!(check(wide, 3), Ok(wide.len()));
        assert_eq!(check(wide, 2), Err(Fault::Depth));
    }

    #[test]
    fn strings_are_utf8_wherever_they_stand() {
        for input in [&b"\xa1\xff"[..], b"\x91\xa2\xed\xa0", b"\x81\xa1\x80\x01"] {
            assert_eq!(check(input, 4), Err(Fault::Malformed), "{input:02x?}");
            assert_eq!(Tokens::new(input).skip(), Ok(input));
        }
    }

    #[test]
    fn what_counts_as_an_index() {
        for (token, index) in [
            (Token::Unsigned(0), Some(0)),
            (Token::Unsigned((1 << 53) - 1), Some((1 << 53) - 1)),
            (Token::Unsigned(1 << 53), None),
            (Token::Float(2.0), Some(2)),
            (Token::Float(-0.0), Some(0)),
            (Token::Float(0.5), None),
            (Token::Float(-1.0), None),
            (Token::Float(f64::NAN), None),
            (Token::Float(f64::INFINITY), None),
            (Token::Signed(-1), None),
            (Token::Str(b"1"), None),
            (Token::Nil, None),
        ] {
            assert_eq!(token.index(), index, "{token:?}");
        }
    }
}
