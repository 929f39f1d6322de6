//! Arguments of either form: as types, and in the other form.

use std::borrow::Cow;

use bytes::Bytes;
use serde::de::Deserialize;
use serde::ser::{Serialize, SerializeTuple, Serializer};

use crate::{msgpack, socket};

use super::value::Value;
use super::{ArgsError, EncodeError};

/// The arguments of one event (without its name) or acknowledgement, borrowed from its packet.
#[derive(Debug, Clone, Copy)]
pub enum Args<'a> {
    /// As the default parser writes them.
    Json(socket::Args<'a>),
    /// As MessagePack.
    Msgpack(msgpack::Args<'a>),
}

/// Arguments that outlive their packet.
#[derive(Debug, Clone)]
pub struct KeptArgs(Kept);

#[derive(Debug, Clone)]
enum Kept {
    Json(socket::KeptArgs),
    Msgpack(msgpack::KeptArgs),
}

impl From<&Args<'_>> for KeptArgs {
    fn from(args: &Args<'_>) -> Self {
        Self(match args {
            Args::Json(args) => Kept::Json(args.into()),
            Args::Msgpack(args) => Kept::Msgpack(args.into()),
        })
    }
}

impl KeptArgs {
    /// The arguments as they were.
    pub fn lend(&self) -> Args<'_> {
        match &self.0 {
            Kept::Json(args) => Args::Json(args.lend()),
            Kept::Msgpack(args) => Args::Msgpack(args.lend()),
        }
    }

    /// How many bytes they take: text and attachments, or MessagePack.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Kept::Json(args) => args.bytes(),
            Kept::Msgpack(args) => args.bytes(),
        }
    }
}

impl<'a> Args<'a> {
    /// The number of arguments.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(args) => args.len(),
            Self::Msgpack(args) => args.len(),
        }
    }

    /// Whether there is no argument.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Json(args) => args.is_empty(),
            Self::Msgpack(args) => args.is_empty(),
        }
    }

    /// The arguments as JSON, separated by commas, for people and logs. Where the default parser's have
    /// binary data it has a placeholder; what came as MessagePack is written anew, with binary data as
    /// base64, and what JSON cannot hold as `null`.
    pub fn json(&self) -> Cow<'a, str> {
        match self {
            Self::Json(args) => Cow::Borrowed(args.as_str()),
            Self::Msgpack(args) => Cow::Owned(json_of(args)),
        }
    }

    /// The attachments of the default parser's binary packets, in the order in which placeholders number
    /// them. MessagePack has none.
    pub fn attachments(&self) -> &'a [Bytes] {
        match self {
            Self::Json(args) => args.attachments(),
            Self::Msgpack(_) => &[],
        }
    }

    /// Reads the arguments in order as a tuple of up to 8 (or as `()`, or a `Vec` of all).
    ///
    /// Arguments that are missing at the end are read as `null`, so that an `Option` takes them; more
    /// than the tuple has are ignored.
    ///
    /// Binary data arrives wherever a type asks serde for bytes: [`Binary`](socket::Binary) as cheaply as
    /// it can be had, `bytes::Bytes`, `serde_bytes` and `Vec<u8>` as copies. A type that takes whatever
    /// comes, as `serde_json::Value` does, gets it as a string of standard padded base64. For points in time
    /// see [`Date`](msgpack::Date).
    ///
    /// # Errors
    /// The first argument that does not fit.
    pub fn parse_tuple<T: Deserialize<'a>>(&self) -> Result<T, ArgsError> {
        match self {
            Self::Json(args) => args.parse_tuple(),
            Self::Msgpack(args) => args.parse_tuple(),
        }
    }

    /// Reads the argument at `index`, `null` if there are not that many. Otherwise as
    /// [`parse_tuple`](Self::parse_tuple).
    ///
    /// # Errors
    /// The argument does not fit.
    pub fn parse_arg<T: Deserialize<'a>>(&self, index: usize) -> Result<T, ArgsError> {
        match self {
            Self::Json(args) => args.parse_arg(index),
            Self::Msgpack(args) => args.parse_arg(index),
        }
    }

    /// Appends the arguments as JSON, as [`socket::encode::args`] does; those that are JSON already are
    /// appended as they are, so that `attachments` should be empty.
    ///
    /// # Errors
    /// Arguments that JSON cannot hold: a map with keys that are no text.
    pub fn write_json(
        &self,
        out: &mut Vec<u8>,
        attachments: &mut Vec<Bytes>,
    ) -> Result<(), EncodeError> {
        match self {
            Self::Json(args) => {
                out.extend_from_slice(args.as_str().as_bytes());
                attachments.extend_from_slice(args.attachments());
                Ok(())
            }
            Self::Msgpack(args) => {
                let values = args.parse_tuple().map_err(unreadable)?;
                socket::encode::args(out, attachments, &Spread(values))
            }
        }
    }

    /// Appends the arguments as MessagePack, as [`msgpack::encode::args`] does; returns how many they are.
    ///
    /// # Errors
    /// Arguments of the default parser that are no more than their text: placeholders of no attachment.
    pub fn write_msgpack(&self, out: &mut Vec<u8>) -> Result<usize, EncodeError> {
        match self {
            Self::Json(args) => {
                let values = args.parse_tuple().map_err(unreadable)?;
                msgpack::encode::args(out, &Spread(values))
            }
            Self::Msgpack(args) => {
                out.extend_from_slice(args.as_bytes());
                Ok(args.len())
            }
        }
    }
}

fn unreadable(error: ArgsError) -> EncodeError {
    EncodeError::Value(error.to_string().into_boxed_str())
}

/// Values as one argument each.
struct Spread<'a>(Vec<Value<'a>>);

impl Serialize for Spread<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for value in &self.0 {
            tuple.serialize_element(value)?;
        }
        tuple.end()
    }
}

fn json_of(args: &msgpack::Args<'_>) -> String {
    let mut json = Vec::new();
    for (index, raw) in args.raw().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        let value = msgpack::from_slice::<serde_json::Value>(raw).unwrap_or_default();
        socket::encode::json(&mut json, &value).expect("such a value is JSON");
    }
    String::from_utf8(json).expect("the encoder writes JSON text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msgpack::Date;

    fn json<'a>(array: &'a str, attachments: &'a [Bytes]) -> Args<'a> {
        Args::Json(socket::Args::of_array(array, attachments).unwrap())
    }

    fn as_msgpack(args: &Args<'_>) -> (Vec<u8>, usize) {
        let mut bytes = Vec::new();
        let count = args.write_msgpack(&mut bytes).unwrap();
        (bytes, count)
    }

    fn as_json(args: &Args<'_>) -> (String, Vec<Bytes>) {
        let (mut text, mut attachments) = (Vec::new(), Vec::new());
        args.write_json(&mut text, &mut attachments).unwrap();
        (String::from_utf8(text).unwrap(), attachments)
    }

    #[test]
    fn each_form_can_be_written_as_the_other_and_back() {
        let bytes = [Bytes::from_static(b"one"), Bytes::from_static(b"")];
        let (one, two) = (r#"{"_placeholder":true,"num":0}"#, r#"{"_placeholder":true,"num":1}"#);
        for inside in [
            String::new(),
            "null,true,0,-1,1.5,1e+300,\"é\\n\"".to_owned(),
            r#"18446744073709551615,-9223372036854775808"#.to_owned(),
            r#"{"b":[],"a":{"":[[1]]}},[{}]"#.to_owned(),
            format!(r#"{one},"between",{{"deep":[{two}]}}"#),
        ] {
            let array = format!("[{inside}]");
            let attachments = if inside.contains("_placeholder") { &bytes[..] } else { &[] };
            let args = json(&array, attachments);
            let (packed, count) = as_msgpack(&args);
            assert_eq!(count, args.len(), "{inside}");
            let packed = Args::Msgpack(msgpack::Args::new(&packed, count));
            assert_eq!(as_json(&packed), (inside.clone(), attachments.to_vec()));
            // In its own form it passes as it is.
            assert_eq!(as_json(&args), (inside, attachments.to_vec()));
            assert_eq!(as_msgpack(&packed), as_msgpack(&args));
        }
    }

    #[test]
    fn the_same_types_are_read_from_both() {
        let args = (7, Date(0), serde_bytes::Bytes::new(b"ab"));
        let mut packed = Vec::new();
        let count = msgpack::encode::args(&mut packed, &args).unwrap();
        let packed = Args::Msgpack(msgpack::Args::new(&packed, count));
        let (mut text, mut attachments) = (Vec::new(), Vec::new());
        socket::encode::args(&mut text, &mut attachments, &args).unwrap();
        let array = format!("[{}]", String::from_utf8(text).unwrap());
        let plain = json(&array, &attachments);
        for args in [packed, plain] {
            let (n, date, bytes): (u8, Date, Bytes) = args.parse_tuple().unwrap();
            assert_eq!((n, date, &*bytes), (7, Date(0), &b"ab"[..]));
            assert_eq!(args.parse_arg::<String>(1).unwrap(), "1970-01-01T00:00:00.000Z");
            assert_eq!(args.parse_arg::<Option<u8>>(3), Ok(None));
            assert_eq!((args.len(), args.is_empty()), (3, false));
            assert!(args.parse_arg::<bool>(1).is_err());
        }
        assert_eq!(packed.json(), r#"7,"1970-01-01T00:00:00.000Z","YWI=""#);
        assert!(plain.json().starts_with("7,") && plain.attachments().len() == 1);
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let odd = Args::Msgpack(msgpack::Args::new(b"\x81\xc0\x01", 1));
        let (mut text, mut attachments) = (b"x".to_vec(), Vec::new());
        assert!(odd.write_json(&mut text, &mut attachments).is_err());
        assert_eq!((&*text, &*odd.json()), (&b"x"[..], "null"));
        let attachments = [Bytes::new()];
        let missing = json(r#"[{"_placeholder":true,"num":1}]"#, &attachments);
        let mut packed = Vec::new();
        assert!(missing.write_msgpack(&mut packed).is_err() && packed.is_empty());
    }
}
