//! Values as JSON in JavaScript's dialect, with binary data set aside as attachments.
//!
//! `serde_json` does the printing; its formatter is where numbers and bytes become JavaScript's.

use std::io::{self, Write};

use bytes::Bytes;
use serde::ser::{self, Impossible, Serialize, SerializeSeq, SerializeTuple, Serializer};
use serde_json::ser::Formatter;

use super::binary;
use super::number;

/// Prints as JavaScript does, and moves bytes into `attachments`.
pub(super) struct JavaScript<'a> {
    /// `None`: there is no place for binary data.
    attachments: Option<&'a mut Vec<Bytes>>,
    /// Attachments that were there before this packet's.
    earlier: usize,
}

impl<'a> JavaScript<'a> {
    pub(super) fn new(attachments: Option<&'a mut Vec<Bytes>>) -> Self {
        let earlier = attachments.as_ref().map_or(0, |attachments| attachments.len());
        Self { attachments, earlier }
    }
}

impl Formatter for JavaScript<'_> {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        number::write_f64(writer, value)
    }

    fn write_f32<W: ?Sized + Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        number::write_f32(writer, value)
    }

    fn write_byte_array<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        value: &[u8],
    ) -> io::Result<()> {
        let attachments = self
            .attachments
            .as_mut()
            .ok_or_else(|| io::Error::other("binary data where none can be sent"))?;
        let num = attachments.len() - self.earlier;
        attachments.push(binary::passed(value));
        write!(writer, "{{\"_placeholder\":true,\"num\":{num}}}")
    }
}

/// Writes `args` into an open array: a tuple as its elements, `()` as none, anything else as one.
pub(super) fn spread<S, T>(array: &mut S, args: &T) -> Result<(), serde_json::Error>
where
    S: SerializeSeq<Ok = (), Error = serde_json::Error>,
    T: Serialize + ?Sized,
{
    match args.serialize(Spread(array)) {
        Ok(()) => Ok(()),
        Err(SpreadError::NotATuple) => array.serialize_element(args),
        Err(SpreadError::Json(error)) => Err(error),
    }
}

/// A serializer that only takes tuples, and refuses all else before anything is written.
struct Spread<'s, S>(&'s mut S);

#[derive(Debug)]
enum SpreadError {
    NotATuple,
    Json(serde_json::Error),
}

impl std::fmt::Display for SpreadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotATuple => f.write_str("not a tuple"),
            Self::Json(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SpreadError {}

impl ser::Error for SpreadError {
    fn custom<M: std::fmt::Display>(message: M) -> Self {
        Self::Json(ser::Error::custom(message))
    }
}

impl<S> SerializeTuple for Spread<'_, S>
where
    S: SerializeSeq<Ok = (), Error = serde_json::Error>,
{
    type Ok = ();
    type Error = SpreadError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), SpreadError> {
        self.0.serialize_element(value).map_err(SpreadError::Json)
    }

    fn end(self) -> Result<(), SpreadError> {
        Ok(())
    }
}

macro_rules! not_a_tuple {
    ($($method:ident($($arg:ident: $type:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $($arg: $type),*) -> Result<$ok, SpreadError> {
            $(let _ = $arg;)*
            Err(SpreadError::NotATuple)
        }
    )*};
}

impl<S> Serializer for Spread<'_, S>
where
    S: SerializeSeq<Ok = (), Error = serde_json::Error>,
{
    type Ok = ();
    type Error = SpreadError;
    type SerializeTuple = Self;
    type SerializeSeq = Impossible<(), SpreadError>;
    type SerializeTupleStruct = Impossible<(), SpreadError>;
    type SerializeTupleVariant = Impossible<(), SpreadError>;
    type SerializeMap = Impossible<(), SpreadError>;
    type SerializeStruct = Impossible<(), SpreadError>;
    type SerializeStructVariant = Impossible<(), SpreadError>;

    fn serialize_tuple(self, _: usize) -> Result<Self, SpreadError> {
        Ok(self)
    }

    fn serialize_unit(self) -> Result<(), SpreadError> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), SpreadError> {
        Err(SpreadError::NotATuple)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<(), SpreadError> {
        Err(SpreadError::NotATuple)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), SpreadError> {
        Err(SpreadError::NotATuple)
    }

    not_a_tuple! {
        serialize_bool(v: bool) -> ();
        serialize_i8(v: i8) -> ();
        serialize_i16(v: i16) -> ();
        serialize_i32(v: i32) -> ();
        serialize_i64(v: i64) -> ();
        serialize_i128(v: i128) -> ();
        serialize_u8(v: u8) -> ();
        serialize_u16(v: u16) -> ();
        serialize_u32(v: u32) -> ();
        serialize_u64(v: u64) -> ();
        serialize_u128(v: u128) -> ();
        serialize_f32(v: f32) -> ();
        serialize_f64(v: f64) -> ();
        serialize_char(v: char) -> ();
        serialize_str(v: &str) -> ();
        serialize_bytes(v: &[u8]) -> ();
        serialize_none() -> ();
        serialize_unit_struct(name: &'static str) -> ();
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> ();
        serialize_seq(len: Option<usize>) -> Self::SerializeSeq;
        serialize_tuple_struct(name: &'static str, len: usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> Self::SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> Self::SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> Self::SerializeStruct;
        serialize_struct_variant(
            name: &'static str, index: u32, variant: &'static str, len: usize
        ) -> Self::SerializeStructVariant;
    }
}
