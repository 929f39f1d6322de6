//! Bodies by length and in chunks (RFC 9112 sections 6 and 7).
//!
//! Nothing is kept beyond what has arrived, and never more than the limit.

use super::error::HttpError;
use super::field::{is_token_byte, is_value_byte};
use super::framing::BodyLength;
use crate::limits::HttpLimits;

/// The extensions of all chunks together, in bytes behind their first semicolons. Nobody reads them;
/// without a bound they are bytes without end for a body of a few (CVE-2024-22019 of Node, whose bound
/// is the same).
const EXTENSIONS_BYTES_MAX: usize = 16 * 1024;

/// The state of one body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyDecoder {
    state: State,
    bytes_max: usize,
    line_bytes_max: usize,
    extensions_bytes_left: usize,
    trailer_bytes_max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Length(u64),
    /// Inside a chunk's size: value, digits, bytes of the line so far.
    Size {
        value: u64,
        digits: u8,
        line: usize,
    },
    /// Behind the size, in what chunk extensions there are.
    Extension {
        value: u64,
        line: usize,
        part: Part,
    },
    SizeLineFeed {
        value: u64,
    },
    Data(u64),
    DataReturn,
    DataLineFeed,
    /// At the start of a trailer line: bytes of all trailers so far.
    TrailerStart(usize),
    TrailerName(usize),
    TrailerValue(usize),
    TrailerLineFeed(usize),
    LastLineFeed,
    Done,
}

/// Where in a chunk extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Behind the semicolon.
    Start,
    /// In a name, or in a value without quotes.
    Plain,
    Quoted,
    /// Behind a backslash within quotes.
    Escaped,
}

impl BodyDecoder {
    /// A decoder for a body of that length.
    ///
    /// # Errors
    /// [`HttpError::BodyTooLarge`] if the length alone is over the limit: nothing need be read.
    pub fn new(length: BodyLength, limits: &HttpLimits) -> Result<Self, HttpError> {
        let state = match length {
            BodyLength::Length(length) if length > limits.body_bytes_max as u64 => {
                return Err(HttpError::BodyTooLarge);
            }
            BodyLength::None | BodyLength::Length(0) => State::Done,
            BodyLength::Length(length) => State::Length(length),
            BodyLength::Chunked => State::Size { value: 0, digits: 0, line: 0 },
        };
        Ok(Self {
            state,
            bytes_max: limits.body_bytes_max,
            line_bytes_max: limits.chunk_line_bytes_max,
            extensions_bytes_left: EXTENSIONS_BYTES_MAX,
            trailer_bytes_max: limits.trailer_bytes_max,
        })
    }

    /// The whole body, if it is known by length and lies in `input`: then it need not be copied, and the
    /// decoder not be asked again.
    pub fn whole<'b>(&self, input: &'b [u8]) -> Option<&'b [u8]> {
        match self.state {
            State::Done => Some(&input[..0]),
            State::Length(length) => input.get(..usize::try_from(length).ok()?),
            _ => None,
        }
    }

    /// Appends to `out` what is body in `input`. Returns how many bytes were taken, and whether the body
    /// is complete; what follows is the next request's.
    ///
    /// # Errors
    /// [`HttpError::BadChunk`], [`HttpError::BodyTooLarge`], [`HttpError::HeadTooLarge`] for trailers.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(usize, bool), HttpError> {
        let mut at = 0;
        while self.state != State::Done && at < input.len() {
            at += self.step(&input[at..], out)?;
        }
        Ok((at, self.state == State::Done))
    }

    /// Takes at least one byte of `input`, which is not empty.
    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, HttpError> {
        let byte = input[0];
        let mut taken = 1;
        self.state = match self.state {
            State::Length(left) => {
                taken = take(input, left, out);
                match left - taken as u64 {
                    0 => State::Done,
                    left => State::Length(left),
                }
            }
            State::Size { value, digits, line } => self.size(byte, value, digits, line)?,
            State::Extension { value, part: Part::Plain, .. } if byte == b'\r' => {
                State::SizeLineFeed { value }
            }
            State::Extension { value, line, part } => self.extension(byte, value, line, part)?,
            State::SizeLineFeed { value } => match (byte, value) {
                (b'\n', 0) => State::TrailerStart(0),
                (b'\n', _) if out.len() as u64 + value > self.bytes_max as u64 => {
                    return Err(HttpError::BodyTooLarge);
                }
                (b'\n', _) => State::Data(value),
                _ => return Err(HttpError::BadChunk),
            },
            State::Data(left) => {
                taken = take(input, left, out);
                match left - taken as u64 {
                    0 => State::DataReturn,
                    left => State::Data(left),
                }
            }
            State::DataReturn => expect(byte, b'\r', State::DataLineFeed)?,
            State::DataLineFeed => {
                expect(byte, b'\n', State::Size { value: 0, digits: 0, line: 0 })?
            }
            State::TrailerStart(_) if byte == b'\r' => State::LastLineFeed,
            State::TrailerStart(len) | State::TrailerName(len) if is_token_byte(byte) => {
                State::TrailerName(self.trailer(len)?)
            }
            State::TrailerName(len) => expect(byte, b':', State::TrailerValue(self.trailer(len)?))?,
            State::TrailerValue(len) if byte == b'\r' => State::TrailerLineFeed(len + 1),
            State::TrailerValue(len) if is_value_byte(byte) => {
                State::TrailerValue(self.trailer(len)?)
            }
            State::TrailerStart(_) | State::TrailerValue(_) => return Err(HttpError::BadChunk),
            State::TrailerLineFeed(len) => expect(byte, b'\n', State::TrailerStart(len + 1))?,
            State::LastLineFeed => expect(byte, b'\n', State::Done)?,
            State::Done => State::Done,
        };
        Ok(taken)
    }

    fn size(&self, byte: u8, value: u64, digits: u8, line: usize) -> Result<State, HttpError> {
        match (char::from(byte).to_digit(16), byte) {
            // Fifteen digits cannot overflow; no honest size has leading zeroes by the dozen.
            (Some(digit), _) if digits < 15 => {
                let value = value * 16 + u64::from(digit);
                match value > self.bytes_max as u64 {
                    true => Err(HttpError::BodyTooLarge),
                    false => Ok(State::Size { value, digits: digits + 1, line: line + 1 }),
                }
            }
            (None, b'\r') if digits > 0 => Ok(State::SizeLineFeed { value }),
            (None, b';') if digits > 0 => {
                Ok(State::Extension { value, line: line + 1, part: Part::Start })
            }
            _ => Err(HttpError::BadChunk),
        }
    }

    /// Extensions are held to their grammar because it says where they end: a reader who minds quotes
    /// must not find another end than one who does not.
    fn extension(
        &mut self,
        byte: u8,
        value: u64,
        line: usize,
        part: Part,
    ) -> Result<State, HttpError> {
        let part = match (part, byte) {
            (Part::Start, b' ' | b'\t') | (Part::Plain, b';') => Part::Start,
            (Part::Plain, b' ' | b'\t' | b'=') | (Part::Quoted, b'"') => Part::Plain,
            (Part::Plain, b'"') => Part::Quoted,
            (Part::Start | Part::Plain, byte) if is_token_byte(byte) => Part::Plain,
            (Part::Quoted, b'\\') => Part::Escaped,
            (Part::Quoted | Part::Escaped, byte) if is_value_byte(byte) => Part::Quoted,
            _ => return Err(HttpError::BadChunk),
        };
        if line >= self.line_bytes_max || self.extensions_bytes_left == 0 {
            return Err(HttpError::BadChunk);
        }
        self.extensions_bytes_left -= 1;
        Ok(State::Extension { value, line: line + 1, part })
    }

    /// The bytes of all trailers with one more.
    fn trailer(&self, len: usize) -> Result<usize, HttpError> {
        if len < self.trailer_bytes_max { Ok(len + 1) } else { Err(HttpError::HeadTooLarge) }
    }
}

/// Copies at most `left` bytes; returns how many there were.
fn take(input: &[u8], left: u64, out: &mut Vec<u8>) -> usize {
    let len = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
    out.extend_from_slice(&input[..len]);
    len
}

fn expect(byte: u8, expected: u8, then: State) -> Result<State, HttpError> {
    if byte == expected { Ok(then) } else { Err(HttpError::BadChunk) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits() -> HttpLimits {
        HttpLimits { body_bytes_max: 100, ..HttpLimits::default() }
    }

    /// The body and what is left, fed in pieces of `step`.
    fn chunked(input: &str, step: usize) -> Result<(String, String), HttpError> {
        let mut decoder = BodyDecoder::new(BodyLength::Chunked, &limits()).unwrap();
        let mut out = Vec::new();
        let mut at = 0;
        for piece in input.as_bytes().chunks(step) {
            let (taken, done) = decoder.decode(piece, &mut out)?;
            at += taken;
            if done {
                return Ok((String::from_utf8(out).unwrap(), input[at..].into()));
            }
            assert_eq!(taken, piece.len());
        }
        Ok(("unfinished".into(), String::new()))
    }

    #[test]
    fn chunks_are_put_together() {
        for input in [
            "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nnext",
            "005;a=b;c=\"d e\"\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\nnext",
            "B\r\nhello world\r\n00\r\n\r\nnext",
        ] {
            for step in 1..=input.len() {
                let expected = Ok(("hello world".into(), "next".into()));
                assert_eq!(chunked(input, step), expected, "{input:?} in {step}");
            }
        }
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for input in [
            "\r\n",
            ";\r\n",
            "g\r\n",
            "5\nhello",
            "5\r\nhello0",
            "5\r\nhello\n",
            " 5\r\n",
            "5 \r\n",
            "-1\r\n",
            "+1\r\n",
            "0x5\r\n",
            "1_0\r\n",
            "5;\0\r\n",
            "0\r\n folded\r\n",
            "0\r\na\nb\r\n\r\n",
            "0000000000000000000000001\r\n",
        ] {
            for step in 1..=input.len() {
                assert_eq!(chunked(input, step), Err(HttpError::BadChunk), "{input:?}");
            }
        }
        let long = format!("5;{}\r\n", "a".repeat(300));
        assert_eq!(chunked(&long, 7), Err(HttpError::BadChunk));
        let trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(2000));
        assert_eq!(chunked(&trailers, 7), Err(HttpError::HeadTooLarge));
    }

    /// CVE-2020-36048: a huge polling POST was kept whole in memory.
    #[test]
    fn cve_2020_36048_a_length_over_the_limit_is_refused_before_reading() {
        let over = BodyDecoder::new(BodyLength::Length(101), &limits());
        assert_eq!(over.unwrap_err().status(), 413);
        assert!(BodyDecoder::new(BodyLength::Length(100), &limits()).is_ok());
    }

    /// The same without a length: no chunk makes more be kept than the limit.
    #[test]
    fn cve_2020_36048_chunks_over_the_limit_are_refused_before_they_come() {
        assert_eq!(chunked("65\r\n", 1), Err(HttpError::BodyTooLarge));
        assert_eq!(chunked("fffffffffffffff\r\n", 1), Err(HttpError::BodyTooLarge));
        let second = format!("64\r\n{}\r\n1\r\n", "a".repeat(100));
        assert_eq!(chunked(&second, 3), Err(HttpError::BodyTooLarge));
    }

    #[test]
    fn a_body_of_known_length_can_be_lent() {
        let decoder = BodyDecoder::new(BodyLength::Length(3), &limits()).unwrap();
        assert_eq!(decoder.whole(b"abcd"), Some(&b"abc"[..]));
        assert_eq!(decoder.whole(b"ab"), None);
        let mut decoder = decoder;
        let mut out = Vec::new();
        assert_eq!(decoder.decode(b"ab", &mut out), Ok((2, false)));
        assert_eq!(decoder.decode(b"cd", &mut out), Ok((1, true)));
        assert_eq!(out, b"abc");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_keep_no_more_than_the_limit(
            bytes in proptest::collection::vec(prop_oneof![Just(b'0'), Just(b'1'), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..400),
            step in 1usize..50,
        ) {
            let mut decoder = BodyDecoder::new(BodyLength::Chunked, &limits()).unwrap();
            let mut out = Vec::new();
            for piece in bytes.chunks(step) {
                if !matches!(decoder.decode(piece, &mut out), Ok((_, false))) {
                    break;
                }
            }
            prop_assert!(out.len() <= 100);
        }
    }
}
