//! Types out of MessagePack.
//!
//! What a type would be given from JSON it is given here, too: `undefined` is `null`, a date is a string
//! (or a number, where one is asked for), the keys of maps are text. It trusts that the bytes were
//! checked: others give an error or some value, never a panic.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::value::{BorrowedStrDeserializer, SeqDeserializer};
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer,
    MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};

use super::date::{self, Date, Iso};
use super::key::Key;
use super::token::{DEPTH_CAP, Fault, Token, Tokens, text};

/// A value that does not fit the type that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    reason: Box<str>,
}

impl ReadError {
    /// Why, in words for a log: at most 256 bytes, of which some may be the peer's.
    pub fn into_reason(self) -> Box<str> {
        self.reason
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<M: fmt::Display>(message: M) -> Self {
        let mut reason = Reason(String::new());
        // It ends early where the reason is long enough.
        let _ = write!(reason, "{message}");
        Self { reason: reason.0.into_boxed_str() }
    }
}

impl From<Fault> for ReadError {
    fn from(_: Fault) -> Self {
        ReadError::custom("MessagePack that was not checked")
    }
}

/// The start of a reason: serde quotes a string that does not fit whole, however long it is.
struct Reason(String);

impl fmt::Write for Reason {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        const REASON_BYTES_MAX: usize = 256;
        let room = REASON_BYTES_MAX - self.0.len();
        self.0.push_str(&more[..more.floor_char_boundary(room)]);
        if more.len() > room { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Reads one value, as an argument is read by [`Args::parse_tuple`](super::Args::parse_tuple). This is
/// for a CONNECT's payload.
///
/// # Errors
/// The value does not fit; or it was not checked, and is none.
pub fn from_slice<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, ReadError> {
    reading(|untyped| T::deserialize(&mut Reader::new(value, untyped)))
}

/// Runs `read`, perhaps twice. Types of serde's that first take whatever comes and look at it later
/// (untagged enums, flattened structs) want bytes then; `serde_json::Value` refuses them. Nothing tells
/// which is which, so bytes are tried first.
pub(super) fn reading<T>(
    mut read: impl FnMut(Untyped) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    read(Untyped::Bytes).or_else(|error| read(Untyped::Base64).map_err(|_| error))
}

/// How binary data is shown to a type that takes whatever comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Untyped {
    /// As bytes.
    Bytes,
    /// As a string of standard padded base64.
    Base64,
}

/// A deserializer over values one behind the other.
pub(super) struct Reader<'a> {
    tokens: Tokens<'a>,
    depth: usize,
    untyped: Untyped,
}

impl<'a> Reader<'a> {
    pub(super) fn new(values: &'a [u8], untyped: Untyped) -> Self {
        Self { tokens: Tokens::new(values), depth: 0, untyped }
    }

    pub(super) fn untyped(&self) -> Untyped {
        self.untyped
    }

    /// The head of the next value, which is not gone past.
    fn peek(&self) -> Result<Token<'a>, ReadError> {
        Ok(self.tokens.clone().next()?)
    }

    fn visit<V: Visitor<'a>>(
        &mut self,
        token: Token<'a>,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match token {
            Token::Nil | Token::Undefined => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Unsigned(number) => visitor.visit_u64(number),
            Token::Signed(number) => visitor.visit_i64(number),
            Token::Float(number) => visitor.visit_f64(number),
            Token::Str(bytes) => visitor.visit_borrowed_str(text(bytes)?),
            Token::Bin(bytes) => match self.untyped {
                Untyped::Bytes => visitor.visit_borrowed_bytes(bytes),
                Untyped::Base64 => visitor.visit_string(BASE64_STANDARD.encode(bytes)),
            },
            Token::Date(ms) => visitor.visit_str(Iso::new(Date(ms)).as_str()),
            Token::Ext(kind, bytes) => {
                let untyped = self.untyped;
                visitor.visit_seq(Extension { kind: Some(kind), bytes: Some(bytes), untyped })
            }
            Token::Array(len) => self.nested(len, |items| visitor.visit_seq(items)),
            Token::Map(len) => self.nested(len, |items| visitor.visit_map(items)),
        }
    }

    /// Runs `visit` one container deeper; it must take all of it.
    fn nested<T>(
        &mut self,
        len: u32,
        visit: impl FnOnce(&mut Items<'_, 'a>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        if self.depth == DEPTH_CAP {
            return Err(Fault::Depth.into());
        }
        self.depth += 1;
        let mut items = Items { reader: &mut *self, left: len as usize };
        let value = visit(&mut items)?;
        if items.left > 0 {
            return Err(ReadError::custom("more elements than expected"));
        }
        self.depth -= 1;
        Ok(value)
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
            match self.tokens.next()? {
                Token::Date(ms) => visitor.visit_i64(ms),
                token => self.visit(token, visitor),
            }
        }
    )*};
}

impl<'a> Deserializer<'a> for &mut Reader<'a> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let token = self.tokens.next()?;
        self.visit(token, visitor)
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.tokens.next()? {
            // A string that is asked for would take bytes that happen to be UTF-8.
            Token::Bin(bytes) => Err(ReadError::invalid_type(Unexpected::Bytes(bytes), &visitor)),
            token => self.visit(token, visitor),
        }
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.tokens.next()? {
            Token::Bin(bytes) => visitor.visit_borrowed_bytes(bytes),
            token => self.visit(token, visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_byte_buf(visitor)
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.tokens.next()? {
            Token::Bin(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
            token => self.visit(token, visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'a>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if matches!(self.peek()?, Token::Nil | Token::Undefined) {
            self.tokens.next()?;
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if name == date::NAME
            && let Token::Date(ms) = self.peek()?
        {
            self.tokens.next()?;
            return visitor.visit_i64(ms);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match self.tokens.next()? {
            Token::Str(bytes) => visitor.visit_enum(BorrowedStrDeserializer::new(text(bytes)?)),
            Token::Map(len) => self.nested(len, |items| visitor.visit_enum(items)),
            Token::Bin(bytes) => Err(ReadError::invalid_type(Unexpected::Bytes(bytes), &visitor)),
            token => self.visit(token, visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.tokens.skip()?;
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool char unit unit_struct map struct identifier
    }
}

/// What is left in a container, of whichever kind it is: values, or keys with their values.
struct Items<'r, 'a> {
    reader: &'r mut Reader<'a>,
    left: usize,
}

impl<'a> Items<'_, 'a> {
    fn take_key(&mut self) -> Result<Option<Key<'a>>, ReadError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        Key::new(self.reader.tokens.next()?).map(Some)
    }
}

impl<'a> SeqAccess<'a> for &mut Items<'_, 'a> {
    type Error = ReadError;

    fn next_element_seed<S: DeserializeSeed<'a>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ReadError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'a> MapAccess<'a> for &mut Items<'_, 'a> {
    type Error = ReadError;

    fn next_key_seed<S: DeserializeSeed<'a>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ReadError> {
        self.take_key()?.map(|key| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, ReadError> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'a> EnumAccess<'a> for &mut Items<'_, 'a> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'a>>(self, seed: S) -> Result<(S::Value, Self), ReadError> {
        let key = self.take_key()?.ok_or_else(|| ReadError::custom("an empty map for an enum"))?;
        Ok((seed.deserialize(key)?, self))
    }
}

impl<'a> VariantAccess<'a> for &mut Items<'_, 'a> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        Deserialize::deserialize(&mut *self.reader)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'a>>(self, seed: S) -> Result<S::Value, ReadError> {
        seed.deserialize(&mut *self.reader)
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.reader.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.reader.deserialize_any(visitor)
    }
}

/// An extension as an array of its type and its bytes.
struct Extension<'a> {
    kind: Option<i8>,
    bytes: Option<&'a [u8]>,
    untyped: Untyped,
}

impl<'a> SeqAccess<'a> for Extension<'a> {
    type Error = ReadError;

    fn next_element_seed<S: DeserializeSeed<'a>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ReadError> {
        if let Some(kind) = self.kind.take() {
            return seed.deserialize(kind.into_deserializer()).map(Some);
        }
        let Some(bytes) = self.bytes.take() else { return Ok(None) };
        match self.untyped {
            Untyped::Bytes => {
                seed.deserialize(de::value::BorrowedBytesDeserializer::new(bytes)).map(Some)
            }
            Untyped::Base64 => {
                seed.deserialize(BASE64_STANDARD.encode(bytes).into_deserializer()).map(Some)
            }
        }
    }
}
