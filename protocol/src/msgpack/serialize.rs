//! Values as `notepack` 2 writes them: whole numbers in the smallest form there is, whether they were
//! integers or floats; all other numbers in double precision; text as keys.

use std::fmt;

use rmp::encode;
use serde::ser::{self, Serialize, Serializer};

use super::date;
use super::key::KeyWriter;

/// Why a value cannot be written.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) Box<str>);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

impl ser::Error for Refusal {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self(message.to_string().into_boxed_str())
    }
}

/// The format's lengths have 32 bits; no message that could be sent is as long.
const TOO_LONG: &str = "less than 4 GiB";
/// Why writing to a `Vec` needs no error.
const ROOM: &str = "a Vec takes all that is written";

pub(crate) fn write_str(out: &mut Vec<u8>, text: &str) {
    let len = u32::try_from(text.len()).expect(TOO_LONG);
    encode::write_str_len(out, len).expect(ROOM);
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn write_uint(out: &mut Vec<u8>, number: u64) {
    encode::write_uint(out, number).expect(ROOM);
}

/// JavaScript's `undefined`: an extension of one byte, of type 0.
pub(crate) fn write_undefined(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\xd4\0\0");
}

/// An extension of eight bytes, of type 0.
pub(crate) fn write_date(out: &mut Vec<u8>, ms: i64) {
    out.extend_from_slice(b"\xd7\0");
    out.extend_from_slice(&ms.to_be_bytes());
}

pub(crate) fn write_f64(out: &mut Vec<u8>, number: f64) {
    const TWO_63: f64 = 9_223_372_036_854_775_808.0;
    if number.trunc() != number || !(-TWO_63..2.0 * TWO_63).contains(&number) {
        // Beyond 64 bits `notepack` writes integers, too, but others than it was given.
        encode::write_f64(out, number).expect(ROOM);
    } else if number >= 0.0 {
        write_uint(out, number as u64);
    } else {
        encode::write_sint(out, number as i64).expect(ROOM);
    }
}

/// A container's head, whose length is known for sure only when the container is complete.
#[derive(Clone, Copy)]
pub(super) struct Head {
    at: usize,
    len: usize,
    claimed: u32,
    write: fn(&mut Vec<u8>, u32),
}

impl Head {
    /// Starts an array that probably has so many elements.
    pub(super) fn array(out: &mut Vec<u8>, claimed: usize) -> Self {
        Self::new(out, claimed, |out, len| {
            encode::write_array_len(out, len).expect(ROOM);
        })
    }

    /// Starts a map that probably has so many entries.
    fn map(out: &mut Vec<u8>, claimed: usize) -> Self {
        Self::new(out, claimed, |out, len| {
            encode::write_map_len(out, len).expect(ROOM);
        })
    }

    fn new(out: &mut Vec<u8>, claimed: usize, write: fn(&mut Vec<u8>, u32)) -> Self {
        let (at, claimed) = (out.len(), u32::try_from(claimed).unwrap_or(0));
        write(out, claimed);
        Self { at, len: out.len() - at, claimed, write }
    }

    /// Ends the container, which has so many.
    pub(super) fn end(self, out: &mut Vec<u8>, counted: usize) {
        let counted = u32::try_from(counted).expect(TOO_LONG);
        if counted != self.claimed {
            self.correct(out, counted);
        }
    }

    /// Writes the true head behind the container, and moves it to where the other one is.
    #[cold]
    fn correct(self, out: &mut Vec<u8>, counted: u32) {
        let end = out.len();
        (self.write)(out, counted);
        let len = out.len() - end;
        out[self.at..].rotate_right(len);
        out.drain(self.at + len..self.at + len + self.len);
    }
}

/// A serializer for one value.
pub(super) struct Value<'o> {
    out: &'o mut Vec<u8>,
    /// The value is what is inside of a [`Date`](super::Date).
    date: bool,
}

impl<'o> Value<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, date: false }
    }

    fn array(self, len: Option<usize>) -> Container<'o> {
        let head = Head::array(self.out, len.unwrap_or(0));
        Container { out: self.out, head, counted: 0 }
    }

    fn map(self, len: Option<usize>) -> Container<'o> {
        let head = Head::map(self.out, len.unwrap_or(0));
        Container { out: self.out, head, counted: 0 }
    }

    /// An enum's variant with something in it: a map of one entry.
    fn variant(self, name: &str) -> Self {
        Head::map(self.out, 1);
        write_str(self.out, name);
        self
    }
}

macro_rules! numbers {
    ($($method:ident($type:ty) $write:ident($as:ty);)*) => {$(
        fn $method(self, number: $type) -> Result<(), Refusal> {
            encode::$write(self.out, <$as>::from(number)).expect(ROOM);
            Ok(())
        }
    )*};
}

impl<'o> Serializer for Value<'o> {
    type Ok = ();
    type Error = Refusal;
    type SerializeSeq = Container<'o>;
    type SerializeTuple = Container<'o>;
    type SerializeTupleStruct = Container<'o>;
    type SerializeTupleVariant = Container<'o>;
    type SerializeMap = Container<'o>;
    type SerializeStruct = Container<'o>;
    type SerializeStructVariant = Container<'o>;

    /// As to JSON, so that a type has one form to both kinds of peers; but a date says its number.
    fn is_human_readable(&self) -> bool {
        !self.date
    }

    numbers! {
        serialize_i8(i8) write_sint(i64);
        serialize_i16(i16) write_sint(i64);
        serialize_i32(i32) write_sint(i64);
        serialize_u8(u8) write_uint(u64);
        serialize_u16(u16) write_uint(u64);
        serialize_u32(u32) write_uint(u64);
        serialize_u64(u64) write_uint(u64);
    }

    fn serialize_i64(self, number: i64) -> Result<(), Refusal> {
        if self.date {
            write_date(self.out, number);
        } else {
            encode::write_sint(self.out, number).expect(ROOM);
        }
        Ok(())
    }

    fn serialize_i128(self, number: i128) -> Result<(), Refusal> {
        match (u64::try_from(number), i64::try_from(number)) {
            (Ok(number), _) => self.serialize_u64(number),
            (_, Ok(number)) => self.serialize_i64(number),
            // What JavaScript would make of its digits.
            _ => self.serialize_f64(number as f64),
        }
    }

    fn serialize_u128(self, number: u128) -> Result<(), Refusal> {
        match u64::try_from(number) {
            Ok(number) => self.serialize_u64(number),
            Err(_) => self.serialize_f64(number as f64),
        }
    }

    fn serialize_f32(self, number: f32) -> Result<(), Refusal> {
        self.serialize_f64(number.into())
    }

    fn serialize_f64(self, number: f64) -> Result<(), Refusal> {
        write_f64(self.out, number);
        Ok(())
    }

    fn serialize_bool(self, value: bool) -> Result<(), Refusal> {
        encode::write_bool(self.out, value).expect(ROOM);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Refusal> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, text: &str) -> Result<(), Refusal> {
        write_str(self.out, text);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Refusal> {
        let len = u32::try_from(bytes.len()).expect(TOO_LONG);
        encode::write_bin_len(self.out, len).expect(ROOM);
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Refusal> {
        encode::write_nil(self.out).expect(ROOM);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refusal> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Refusal> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Refusal> {
        self.serialize_none()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Refusal> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Refusal> {
        value.serialize(Value { out: self.out, date: name == date::NAME })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Refusal> {
        value.serialize(self.variant(variant))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Container<'o>, Refusal> {
        Ok(self.array(len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Container<'o>, Refusal> {
        Ok(self.array(Some(len)))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Container<'o>, Refusal> {
        Ok(self.array(Some(len)))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Container<'o>, Refusal> {
        Ok(self.variant(variant).array(Some(len)))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Container<'o>, Refusal> {
        Ok(self.map(len))
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Container<'o>, Refusal> {
        Ok(self.map(Some(len)))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Container<'o>, Refusal> {
        Ok(self.variant(variant).map(Some(len)))
    }
}

/// An array or a map that is being written.
pub(super) struct Container<'o> {
    out: &'o mut Vec<u8>,
    head: Head,
    counted: usize,
}

impl Container<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        self.counted += 1;
        value.serialize(Value::new(self.out))
    }

    fn field<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Refusal> {
        write_str(self.out, key);
        self.element(value)
    }

    fn complete(self) -> Result<(), Refusal> {
        self.head.end(self.out, self.counted);
        Ok(())
    }
}

macro_rules! containers {
    ($($trait:ident: $method:ident($($key:ident)?) by $by:ident;)*) => {$(
        impl ser::$trait for Container<'_> {
            type Ok = ();
            type Error = Refusal;

            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($key: &'static str,)?
                value: &T,
            ) -> Result<(), Refusal> {
                self.$by($($key,)? value)
            }

            fn end(self) -> Result<(), Refusal> {
                self.complete()
            }
        }
    )*};
}

containers! {
    SerializeSeq: serialize_element() by element;
    SerializeTuple: serialize_element() by element;
    SerializeTupleStruct: serialize_field() by element;
    SerializeTupleVariant: serialize_field() by element;
    SerializeStruct: serialize_field(key) by field;
    SerializeStructVariant: serialize_field(key) by field;
}

impl ser::SerializeMap for Container<'_> {
    type Ok = ();
    type Error = Refusal;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refusal> {
        key.serialize(KeyWriter { out: self.out })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refusal> {
        self.element(value)
    }

    fn end(self) -> Result<(), Refusal> {
        self.complete()
    }
}
