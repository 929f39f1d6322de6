//! A handler's value as arguments: a tuple as its elements, `()` as none, anything else as one.

use std::fmt;

use serde::ser::{self, Impossible, Serialize, SerializeTuple, Serializer};

use super::serialize::{Refusal, Value};

/// Writes `args` as values one behind the other; returns how many they are.
pub(super) fn spread<T: Serialize + ?Sized>(out: &mut Vec<u8>, args: &T) -> Result<usize, Refusal> {
    match args.serialize(Spread { out: &mut *out, written: 0 }) {
        Ok(count) => Ok(count),
        Err(SpreadError::NotATuple) => args.serialize(Value::new(out)).map(|()| 1),
        Err(SpreadError::Refused(refusal)) => Err(refusal),
    }
}

/// A serializer that only takes tuples, and refuses all else before anything is written.
struct Spread<'o> {
    out: &'o mut Vec<u8>,
    written: usize,
}

#[derive(Debug)]
enum SpreadError {
    NotATuple,
    Refused(Refusal),
}

impl fmt::Display for SpreadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotATuple => f.write_str("not a tuple"),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl std::error::Error for SpreadError {}

impl ser::Error for SpreadError {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self::Refused(ser::Error::custom(message))
    }
}

impl SerializeTuple for Spread<'_> {
    type Ok = usize;
    type Error = SpreadError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SpreadError> {
        self.written += 1;
        value.serialize(Value::new(self.out)).map_err(SpreadError::Refused)
    }

    fn end(self) -> Result<usize, SpreadError> {
        Ok(self.written)
    }
}

macro_rules! not_a_tuple {
    ($($method:ident($($type:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $(_: $type),*) -> Result<$ok, SpreadError> {
            Err(SpreadError::NotATuple)
        }
    )*};
}

impl Serializer for Spread<'_> {
    type Ok = usize;
    type Error = SpreadError;
    type SerializeTuple = Self;
    type SerializeSeq = Impossible<usize, SpreadError>;
    type SerializeTupleStruct = Impossible<usize, SpreadError>;
    type SerializeTupleVariant = Impossible<usize, SpreadError>;
    type SerializeMap = Impossible<usize, SpreadError>;
    type SerializeStruct = Impossible<usize, SpreadError>;
    type SerializeStructVariant = Impossible<usize, SpreadError>;

    fn serialize_tuple(self, _: usize) -> Result<Self, SpreadError> {
        Ok(self)
    }

    fn serialize_unit(self) -> Result<usize, SpreadError> {
        Ok(0)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<usize, SpreadError> {
        Err(SpreadError::NotATuple)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<usize, SpreadError> {
        Err(SpreadError::NotATuple)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<usize, SpreadError> {
        Err(SpreadError::NotATuple)
    }

    not_a_tuple! {
        serialize_bool(bool) -> usize;
        serialize_i8(i8) -> usize;
        serialize_i16(i16) -> usize;
        serialize_i32(i32) -> usize;
        serialize_i64(i64) -> usize;
        serialize_i128(i128) -> usize;
        serialize_u8(u8) -> usize;
        serialize_u16(u16) -> usize;
        serialize_u32(u32) -> usize;
        serialize_u64(u64) -> usize;
        serialize_u128(u128) -> usize;
        serialize_f32(f32) -> usize;
        serialize_f64(f64) -> usize;
        serialize_char(char) -> usize;
        serialize_str(&str) -> usize;
        serialize_bytes(&[u8]) -> usize;
        serialize_none() -> usize;
        serialize_unit_struct(&'static str) -> usize;
        serialize_unit_variant(&'static str, u32, &'static str) -> usize;
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize)
            -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize)
            -> Self::SerializeStructVariant;
    }
}
