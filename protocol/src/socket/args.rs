//! The arguments of an event or an acknowledgement: raw JSON until somebody asks for a type.
//!
//! Without attachments a type is read straight from the packet's text by `serde_json`. Its grammar is a
//! little narrower than JavaScript's (lone surrogates, numbers beyond a double): what it cannot read
//! for that reason, and everything with attachments, is read by [`Reader`].

use std::cell::Cell;
use std::fmt;

use bytes::Bytes;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::json::{self, Outline};
use super::placeholder;
use super::reader::{Reader, Untyped};

/// The arguments of one event (without its name) or acknowledgement, borrowed from its packet.
#[derive(Debug, Clone, Copy)]
pub struct Args<'a> {
    /// The whole array, an event's name included: `["name",1,2]`.
    array: &'a str,
    /// Where the first argument starts, or the closing bracket if there is none.
    first: usize,
    /// 1 if the array starts with an event's name.
    skip: usize,
    attachments: &'a [Bytes],
}

/// Arguments that outlive their packet.
#[derive(Debug, Clone)]
pub(super) struct KeptArgs {
    array: Box<str>,
    first: usize,
    skip: usize,
    attachments: Box<[Bytes]>,
}

/// An argument that does not fit the type that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgsError {
    /// Which argument, counted from 0.
    pub index: usize,
    /// Why, in words for a log: at most 256 bytes, of which some may be the peer's.
    pub reason: Box<str>,
}

impl fmt::Display for ArgsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "argument {}: {}", self.index, self.reason)
    }
}

impl std::error::Error for ArgsError {}

impl<'a> Args<'a> {
    /// The arguments in an event's payload, a checked JSON array of that outline; `None` if it is none.
    pub(super) fn of_event(
        array: &'a str,
        outline: Outline,
        attachments: &'a [Bytes],
    ) -> Option<Self> {
        Self::new(array, outline.second, 1, attachments)
    }

    /// The same for an acknowledgement, all of whose elements are arguments.
    pub(super) fn of_ack(array: &'a str, attachments: &'a [Bytes]) -> Option<Self> {
        Self::new(array, json::skip_space(array.as_bytes(), 1), 0, attachments)
    }

    /// The arguments in an array of JSON that this side has made or checked; `None` if it is no array.
    pub fn of_array(array: &'a str, attachments: &'a [Bytes]) -> Option<Self> {
        Self::of_ack(array, attachments)
    }

    fn new(array: &'a str, first: usize, skip: usize, attachments: &'a [Bytes]) -> Option<Self> {
        let is_array = matches!(array.as_bytes(), [b'[', .., b']']);
        (is_array && array.is_char_boundary(first)).then_some(Self {
            array,
            first,
            skip,
            attachments,
        })
    }

    /// The JSON text of the arguments as they came, separated by commas; empty if there are none.
    pub fn as_str(&self) -> &'a str {
        let json = self.array.get(self.first..self.array.len() - 1).unwrap_or_default();
        json.trim_end_matches([' ', '\t', '\n', '\r'])
    }

    /// The JSON text of each argument. Where an attachment belongs, the text has its placeholder.
    pub fn raw(&self) -> RawArgs<'a> {
        RawArgs { array: self.array, at: self.first }
    }

    /// The number of arguments.
    pub fn len(&self) -> usize {
        self.raw().count()
    }

    /// Whether there is no argument.
    pub fn is_empty(&self) -> bool {
        self.raw().next().is_none()
    }

    /// The attachments, in the order in which placeholders number them.
    pub fn attachments(&self) -> &'a [Bytes] {
        self.attachments
    }

    /// Reads the arguments in order as a tuple of up to 8 (or as `()`, or a `Vec` of all).
    ///
    /// Arguments that are missing at the end are read as `null`, so that an `Option` takes them; more
    /// than the tuple has are ignored.
    ///
    /// Attachments arrive wherever a type asks serde for bytes: [`Binary`](super::Binary) without
    /// copying, `bytes::Bytes`, `serde_bytes` and `Vec<u8>` as copies. A type that takes whatever comes,
    /// as `serde_json::Value` does, gets an attachment as a string of standard padded base64: it could
    /// not hold bytes, and an array of numbers would take thirty times their memory. Only `RawValue`
    /// sees placeholders.
    ///
    /// # Errors
    /// The first argument that does not fit.
    pub fn parse_tuple<T: Deserialize<'a>>(&self) -> Result<T, ArgsError> {
        let index = Cell::new(0);
        let read = Elements { skip: self.skip, index: &index };
        let result = if self.attachments.is_empty() {
            let direct = read.all(&mut serde_json::Deserializer::from_str(self.array));
            match direct {
                Err(error) if error.is_syntax() => {
                    index.set(0);
                    read.all(&mut Reader::new(self.array, &[], &[], Untyped::Bytes))
                }
                other => other,
            }
        } else {
            with_attachments(self.array, self.attachments, |reader| {
                index.set(0);
                read.all(reader)
            })
        };
        result.map_err(|error| ArgsError::new(index.get(), &error))
    }

    /// Reads the argument at `index`, `null` if there are not that many. Otherwise as
    /// [`parse_tuple`](Self::parse_tuple).
    ///
    /// # Errors
    /// The argument does not fit.
    pub fn parse_arg<T: Deserialize<'a>>(&self, index: usize) -> Result<T, ArgsError> {
        let text = self.raw().nth(index).unwrap_or("null");
        let result = if self.attachments.is_empty() {
            match serde_json::from_str(text) {
                Err(error) if error.is_syntax() => {
                    T::deserialize(&mut Reader::new(text, &[], &[], Untyped::Bytes))
                }
                other => other,
            }
        } else {
            with_attachments(text, self.attachments, |reader| T::deserialize(reader))
        };
        result.map_err(|error| ArgsError::new(index, &error))
    }
}

impl From<&Args<'_>> for KeptArgs {
    fn from(args: &Args<'_>) -> Self {
        let Args { array, first, skip, attachments } = *args;
        Self { array: array.into(), first, skip, attachments: attachments.into() }
    }
}

impl KeptArgs {
    pub(super) fn lend(&self) -> Args<'_> {
        let Self { array, first, skip, attachments } = self;
        Args { array, first: *first, skip: *skip, attachments }
    }
}

impl ArgsError {
    fn new(index: usize, error: &serde_json::Error) -> Self {
        // A string that does not fit is quoted whole, however long it is.
        const REASON_BYTES_MAX: usize = 256;
        let mut reason = error.to_string();
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        Self { index, reason: reason.into_boxed_str() }
    }
}

/// Reads `text` with its attachments. Types of serde's that first take whatever comes and look at it
/// later (untagged enums, flattened structs) want bytes then; `serde_json::Value` refuses them. Nothing
/// tells which is which, so bytes are tried first.
fn with_attachments<'a, T>(
    text: &'a str,
    attachments: &'a [Bytes],
    mut read: impl FnMut(&mut Reader<'a, '_>) -> Result<T, serde_json::Error>,
) -> Result<T, serde_json::Error> {
    let placeholders = placeholder::find(text, attachments.len())
        .map_err(|placeholder::Illegal| de::Error::custom("illegal placeholder"))?;
    read(&mut Reader::new(text, attachments, &placeholders, Untyped::Bytes)).or_else(|error| {
        let mut again = Reader::new(text, attachments, &placeholders, Untyped::Base64);
        read(&mut again).map_err(|_| error)
    })
}

/// Past the value that ends at `end`: where the next one starts, or the closing bracket.
fn next_element(bytes: &[u8], end: usize) -> usize {
    let at = json::skip_space(bytes, end);
    if bytes.get(at) == Some(&b',') { json::skip_space(bytes, at + 1) } else { at }
}

/// The JSON text of each argument: see [`Args::raw`].
#[derive(Debug, Clone)]
pub struct RawArgs<'a> {
    array: &'a str,
    at: usize,
}

impl<'a> Iterator for RawArgs<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.array.as_bytes();
        if matches!(bytes.get(self.at), None | Some(b']')) {
            return None;
        }
        let end = json::skip_value(bytes, self.at);
        let value = self.array.get(self.at..end);
        self.at = next_element(bytes, end);
        value
    }
}

/// Reads the elements of an array as one value, counting in `index` which one is being read.
#[derive(Clone, Copy)]
struct Elements<'i> {
    skip: usize,
    index: &'i Cell<usize>,
}

impl Elements<'_> {
    fn all<'de, D, T>(self, array: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: Deserialize<'de>,
    {
        array.deserialize_seq(ArrayVisitor { elements: self, read: std::marker::PhantomData })
    }
}

struct ArrayVisitor<'i, T> {
    elements: Elements<'i>,
    read: std::marker::PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ArrayVisitor<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        let Elements { skip, index } = self.elements;
        for _ in 0..skip {
            seq.next_element::<IgnoredAny>()?;
        }
        let value = T::deserialize(Spread { seq: &mut seq, index })?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(value)
    }
}

/// A deserializer for all arguments as one tuple.
struct Spread<'s, A> {
    seq: &'s mut A,
    index: &'s Cell<usize>,
}

impl<'de, A: SeqAccess<'de>> Deserializer<'de> for Spread<'_, A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_seq(Counted { spread: self, left: None, started: 0 })
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_unit()
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_seq(Counted { spread: self, left: Some(len), started: 0 })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.deserialize_tuple(len, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit_struct newtype_struct seq map struct enum identifier ignored_any
    }
}

/// The arguments as serde's sequence: where a tuple's length is known, `null` after the last.
struct Counted<'s, A> {
    spread: Spread<'s, A>,
    left: Option<usize>,
    started: usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Counted<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.spread.index.set(self.started);
        self.started += 1;
        let Some(left) = &mut self.left else {
            return self.spread.seq.next_element_seed(seed);
        };
        if *left == 0 {
            return Ok(None);
        }
        *left -= 1;
        let mut seed = Some(seed);
        match self.spread.seq.next_element_seed(Lent(&mut seed))? {
            Some(value) => Ok(Some(value)),
            None => match seed {
                Some(seed) => seed
                    .deserialize(&mut serde_json::Deserializer::from_str("null"))
                    .map(Some)
                    .map_err(de::Error::custom),
                None => Ok(None),
            },
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.left.or_else(|| self.spread.seq.size_hint())
    }
}

/// A seed that its owner gets back if the sequence was over.
struct Lent<'s, S>(&'s mut Option<S>);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Lent<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        match self.0.take() {
            Some(seed) => seed.deserialize(deserializer),
            None => Err(de::Error::custom("a sequence read one element twice")),
        }
    }
}
