//! The arguments of an event or an acknowledgement: raw MessagePack until somebody asks for a type.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, SeqAccess, Visitor};

use crate::socket::ArgsError;

use super::reader::{ReadError, Reader, reading};
use super::token::Tokens;

/// The arguments of one event (without its name) or acknowledgement, borrowed from its packet.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    bytes: &'a [u8],
    len: usize,
}

/// Arguments that outlive their packet.
#[derive(Debug, Clone)]
pub struct KeptArgs {
    bytes: Box<[u8]>,
    len: usize,
}

impl From<&Args<'_>> for KeptArgs {
    fn from(args: &Args<'_>) -> Self {
        Self { bytes: args.bytes.into(), len: args.len }
    }
}

impl KeptArgs {
    /// The arguments as they were.
    pub fn lend(&self) -> Args<'_> {
        Args::new(&self.bytes, self.len)
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

impl fmt::Debug for Args<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.raw()).finish()
    }
}

impl<'a> Args<'a> {
    /// `len` values, one behind the other, as [`args`](super::encode::args) writes them. Bytes that are none
    /// give arguments that cannot be read.
    pub fn new(bytes: &'a [u8], len: usize) -> Self {
        Self { bytes, len }
    }

    /// The MessagePack of the arguments as they came, one behind the other; empty if there are none.
    /// With [`len`](Self::len) it is what [`event_raw`](super::encode::event_raw) takes.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The MessagePack of each argument.
    pub fn raw(&self) -> RawArgs<'a> {
        RawArgs { tokens: Tokens::new(self.bytes), left: self.len }
    }

    /// The number of arguments.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no argument.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads the arguments in order as a tuple of up to 8 (or as `()`, or a `Vec` of all).
    ///
    /// Arguments that are missing at the end are read as `null`, so that an `Option` takes them; more
    /// than the tuple has are ignored. `undefined` is `null`.
    ///
    /// Binary data arrives wherever a type asks serde for bytes: `&[u8]` (by `serde_bytes`) without
    /// copying, [`Binary`](crate::socket::Binary), `bytes::Bytes` and `Vec<u8>` as copies. A type that
    /// takes whatever comes, as `serde_json::Value` does, gets it as a string of standard padded base64
    /// if it takes no bytes. Dates: see [`Date`](super::Date). An extension of another type is an array
    /// of its type and its bytes, as the reference shows it.
    ///
    /// # Errors
    /// The first argument that does not fit.
    pub fn parse_tuple<T: Deserialize<'a>>(&self) -> Result<T, ArgsError> {
        let index = Cell::new(0);
        reading(|untyped| {
            index.set(0);
            let mut reader = Reader::new(self.bytes, untyped);
            T::deserialize(Spread { reader: &mut reader, left: self.len, index: &index })
        })
        .map_err(|error| ArgsError { index: index.get(), reason: error.into_reason() })
    }

    /// Reads the argument at `index`, `null` if there are not that many. Otherwise as
    /// [`parse_tuple`](Self::parse_tuple).
    ///
    /// # Errors
    /// The argument does not fit.
    pub fn parse_arg<T: Deserialize<'a>>(&self, index: usize) -> Result<T, ArgsError> {
        let value = self.raw().nth(index).unwrap_or(NIL);
        super::from_slice(value)
            .map_err(|error: ReadError| ArgsError { index, reason: error.into_reason() })
    }
}

/// What an argument that is missing is read as.
const NIL: &[u8] = b"\xc0";

/// The MessagePack of each argument: see [`Args::raw`].
#[derive(Debug, Clone)]
pub struct RawArgs<'a> {
    tokens: Tokens<'a>,
    left: usize,
}

impl<'a> Iterator for RawArgs<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        self.tokens.skip().ok()
    }
}

/// A deserializer for all arguments as one tuple.
struct Spread<'r, 'a> {
    reader: &'r mut Reader<'a>,
    left: usize,
    index: &'r Cell<usize>,
}

impl<'r, 'a> Spread<'r, 'a> {
    /// As serde's sequence: of `wanted` elements if that is known.
    fn elements(self, wanted: Option<usize>) -> Elements<'r, 'a> {
        Elements { spread: self, wanted, started: 0 }
    }
}

impl<'a> Deserializer<'a> for Spread<'_, 'a> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_seq(self.elements(None))
    }

    fn deserialize_unit<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    fn deserialize_tuple<V: Visitor<'a>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_seq(self.elements(Some(len)))
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_tuple(len, visitor)
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit_struct newtype_struct seq map struct enum identifier ignored_any
    }
}

/// The arguments as serde's sequence: where a tuple's length is known, `null` after the last.
struct Elements<'r, 'a> {
    spread: Spread<'r, 'a>,
    wanted: Option<usize>,
    started: usize,
}

impl<'a> SeqAccess<'a> for Elements<'_, 'a> {
    type Error = ReadError;

    fn next_element_seed<S: DeserializeSeed<'a>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ReadError> {
        self.spread.index.set(self.started);
        if self.started == self.wanted.unwrap_or(self.spread.left) {
            return Ok(None);
        }
        self.started += 1;
        let value = if self.started <= self.spread.left {
            seed.deserialize(&mut *self.spread.reader)
        } else {
            seed.deserialize(&mut Reader::new(NIL, self.spread.reader.untyped()))
        };
        value.map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.wanted.unwrap_or(self.spread.left) - self.started)
    }
}
