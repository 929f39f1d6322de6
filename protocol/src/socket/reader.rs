//! Types out of JSON text that holds placeholders for attachments, or things that only JavaScript can
//! read: lone surrogates (U+FFFD here), numbers beyond a double (infinity).
//!
//! The slower sibling of `serde_json`'s deserializer, for the messages that one cannot read. It trusts
//! that the text was checked: other text gives an error or some value, never a panic.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::de::value::{CowStrDeserializer, SeqDeserializer};
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde_json::Error;

use super::binary;
use super::escape;
use super::json;
use super::placeholder::Placeholder;

/// How an attachment is shown to a type that takes whatever comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Untyped {
    /// As bytes.
    Bytes,
    /// As a string of standard padded base64.
    Base64,
}

/// A deserializer over one JSON text and its attachments.
pub(super) struct Reader<'a, 'p> {
    text: &'a str,
    at: usize,
    depth: usize,
    attachments: &'a [Bytes],
    placeholders: &'p [Placeholder],
    untyped: Untyped,
}

impl<'a, 'p> Reader<'a, 'p> {
    /// `placeholders` are those of exactly this text, in order of place.
    pub(super) fn new(
        text: &'a str,
        attachments: &'a [Bytes],
        placeholders: &'p [Placeholder],
        untyped: Untyped,
    ) -> Self {
        Self { text, at: 0, depth: 0, attachments, placeholders, untyped }
    }

    fn peek(&mut self) -> Option<u8> {
        self.at = json::skip_space(self.text.as_bytes(), self.at);
        self.text.as_bytes().get(self.at).copied()
    }

    /// Whether `byte` is next; if so, goes past it.
    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.accept(byte) { Ok(()) } else { Err(unreadable()) }
    }

    /// Goes past the next value; returns its text.
    fn take(&mut self) -> Result<&'a str, Error> {
        self.peek();
        let start = self.at;
        self.at = json::skip_value(self.text.as_bytes(), start);
        self.text.get(start..self.at).filter(|text| !text.is_empty()).ok_or_else(unreadable)
    }

    /// Goes past a string that is next; returns what it says.
    fn take_string(&mut self) -> Result<Cow<'a, str>, Error> {
        let text = self.take()?;
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        inner.map(escape::unescape).ok_or_else(unreadable)
    }

    /// Goes past a placeholder if one is next; returns its attachment.
    fn take_attachment(&mut self) -> Option<&'a Bytes> {
        if self.placeholders.is_empty() || self.peek() != Some(b'{') {
            return None;
        }
        let found = self.placeholders.binary_search_by_key(&self.at, |placeholder| placeholder.at);
        let placeholder = self.placeholders.get(found.ok()?)?;
        let attachment = self.attachments.get(placeholder.num)?;
        self.at = placeholder.end;
        Some(attachment)
    }

    /// Refuses a placeholder for a type that could only take it for something else.
    fn refuse_attachment<'de, V: Visitor<'de>>(&mut self, visitor: &V) -> Result<(), Error> {
        match self.take_attachment() {
            Some(attachment) => Err(Error::invalid_type(Unexpected::Bytes(attachment), visitor)),
            None => Ok(()),
        }
    }

    fn visit_number<V: Visitor<'a>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        let text = self.take()?;
        if let Ok(number) = text.parse() {
            visitor.visit_u64(number)
        } else if let Ok(number) = text.parse() {
            visitor.visit_i64(number)
        } else {
            visitor.visit_f64(text.parse().map_err(|_| unreadable())?)
        }
    }

    /// Runs `visit` one container deeper, past its opening bracket, and expects `close` to follow it.
    fn nested<T>(
        &mut self,
        close: u8,
        visit: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.depth == json::DEPTH_CAP {
            return Err(unreadable());
        }
        self.depth += 1;
        self.at += 1;
        let value = visit(self)?;
        self.depth -= 1;
        if self.accept(close) {
            Ok(value)
        } else {
            Err(Error::custom("more elements than expected"))
        }
    }
}

fn unreadable() -> Error {
    Error::custom("JSON that was not checked")
}

impl<'a> Deserializer<'a> for &mut Reader<'a, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        if let Some(attachment) = self.take_attachment() {
            return match self.untyped {
                Untyped::Bytes => {
                    binary::pass(attachment, |_| visitor.visit_borrowed_bytes(attachment))
                }
                Untyped::Base64 => visitor.visit_string(BASE64_STANDARD.encode(attachment)),
            };
        }
        match self.peek() {
            Some(b'"') => match self.take_string()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            Some(b'[') => self.nested(b']', |reader| visitor.visit_seq(Items(reader))),
            Some(b'{') => self.nested(b'}', |reader| visitor.visit_map(Items(reader))),
            Some(b'-' | b'0'..=b'9') => self.visit_number(visitor),
            _ => match self.take()? {
                "null" => visitor.visit_unit(),
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                _ => Err(unreadable()),
            },
        }
    }

    fn deserialize_byte_buf<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.take_attachment() {
            Some(attachment) => {
                binary::pass(attachment, |_| visitor.visit_borrowed_bytes(attachment))
            }
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_byte_buf(visitor)
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.take_attachment() {
            Some(attachment) => visitor.visit_seq(SeqDeserializer::new(attachment.iter().copied())),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.refuse_attachment(&visitor)?;
        self.deserialize_any(visitor)
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.peek() == Some(b'n') {
            self.take()?;
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        // How `serde_json` tells itself that a type of its own (`RawValue`) wants the text.
        if name.starts_with("$serde_json::private::") {
            let text = self.take()?;
            return serde_json::Deserializer::from_str(text)
                .deserialize_newtype_struct(name, visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.refuse_attachment(&visitor)?;
        match self.peek() {
            Some(b'"') => visitor.visit_enum(CowStrDeserializer::new(self.take_string()?)),
            Some(b'{') => self.nested(b'}', |reader| visitor.visit_enum(Items(reader))),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.take()?;
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char unit unit_struct map struct identifier
    }

    fn deserialize_i128<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.take()?.parse() {
            Ok(number) => visitor.visit_i128(number),
            Err(_) => Err(Error::custom("not a whole number in range")),
        }
    }

    fn deserialize_u128<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.take()?.parse() {
            Ok(number) => visitor.visit_u128(number),
            Err(_) => Err(Error::custom("not a whole number in range")),
        }
    }
}

/// What is left in the innermost container, of whichever kind it is.
struct Items<'r, 'a, 'p>(&'r mut Reader<'a, 'p>);

impl<'a> SeqAccess<'a> for Items<'_, 'a, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'a>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        self.0.accept(b',');
        match self.0.peek() {
            None | Some(b']') => Ok(None),
            Some(_) => seed.deserialize(&mut *self.0).map(Some),
        }
    }
}

impl<'a> MapAccess<'a> for Items<'_, 'a, '_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'a>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        self.0.accept(b',');
        match self.0.peek() {
            None | Some(b'}') => Ok(None),
            Some(_) => seed.deserialize(Key(self.0.take_string()?)).map(Some),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, Error> {
        self.0.expect(b':')?;
        seed.deserialize(&mut *self.0)
    }
}

impl<'a> EnumAccess<'a> for Items<'_, 'a, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'a>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let variant = seed.deserialize(Key(self.0.take_string()?))?;
        self.0.expect(b':')?;
        Ok((variant, self))
    }
}

impl<'a> VariantAccess<'a> for Items<'_, 'a, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        de::Deserialize::deserialize(self.0)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'a>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.0.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_any(visitor)
    }
}

/// An object's key: text, but read as a number or a word by a map that has those as keys.
struct Key<'a>(Cow<'a, str>);

macro_rules! keys_as {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0.parse() {
                Ok(value) => visitor.$visit(value),
                Err(_) => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'a> Deserializer<'a> for Key<'a> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    keys_as! {
        deserialize_bool visit_bool
        deserialize_i8 visit_i8 deserialize_i16 visit_i16 deserialize_i32 visit_i32
        deserialize_i64 visit_i64 deserialize_i128 visit_i128
        deserialize_u8 visit_u8 deserialize_u16 visit_u16 deserialize_u32 visit_u32
        deserialize_u64 visit_u64 deserialize_u128 visit_u128
        deserialize_f32 visit_f32 deserialize_f64 visit_f64
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let text: CowStrDeserializer<'a, Error> = self.0.into_deserializer();
        text.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'a>>
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}
