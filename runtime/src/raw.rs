//! Arguments that are passed on without being read: an echo, a relay, what shards tell each other.
//!
//! They keep the form in which they came, which on one server is that of its parser. Written in the other
//! form, as a program with two servers might ask for, they are read and printed again.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use smallvec::SmallVec;
use yamabiko_protocol::parser::{Args, ArgsError, EncodeError, Parser};
use yamabiko_protocol::socket::encode;
use yamabiko_protocol::{cluster, msgpack, socket};

use crate::packet::{EmitArgs, Encoded};
use crate::recovery::Serial;

/// All arguments of an event or acknowledgement as they came, to be passed on without being read: in the
/// form of the server's parser.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawArgs(Raw);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Raw {
    Json {
        /// Separated by commas.
        json: Box<str>,
        /// One is by far the most frequent number.
        attachments: SmallVec<[Bytes; 1]>,
    },
    Msgpack {
        /// One value behind the other.
        bytes: Box<[u8]>,
        count: usize,
    },
}

impl Default for Raw {
    fn default() -> Self {
        Self::Json { json: Box::default(), attachments: SmallVec::new() }
    }
}

impl RawArgs {
    pub(crate) fn json(json: Vec<u8>, attachments: Vec<Bytes>) -> Self {
        let json = String::from_utf8(json).expect("the encoder writes JSON text").into();
        Self(Raw::Json { json, attachments: attachments.into() })
    }

    pub(crate) fn msgpack(bytes: &[u8], count: usize) -> Self {
        Self(Raw::Msgpack { bytes: bytes.into(), count })
    }

    /// The arguments as JSON text, separated by commas: see [`Args::json`].
    pub fn to_json(&self) -> String {
        match &self.0 {
            Raw::Json { json, .. } => json.to_string(),
            Raw::Msgpack { .. } => self.with_args(|args| args.json().into_owned()),
        }
    }

    /// The attachments, in the order in which placeholders number them. MessagePack has none.
    pub fn attachments(&self) -> &[Bytes] {
        match &self.0 {
            Raw::Json { attachments, .. } => attachments,
            Raw::Msgpack { .. } => &[],
        }
    }

    /// Reads the argument at `index`, `null` if there are not that many.
    ///
    /// # Errors
    /// The argument does not fit.
    pub fn parse_arg<T: DeserializeOwned>(&self, index: usize) -> Result<T, ArgsError> {
        self.with_args(|args| args.parse_arg(index))
    }

    /// Reads all arguments as a tuple: see [`Args::parse_tuple`].
    ///
    /// # Errors
    /// The first argument that does not fit.
    pub fn parse_tuple<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        self.with_args(|args| args.parse_tuple())
    }

    /// Lends them as a handler gets them.
    pub(crate) fn with_args<R>(&self, call: impl FnOnce(&Args<'_>) -> R) -> R {
        match &self.0 {
            Raw::Json { json, attachments } => {
                let array = format!("[{json}]");
                let args = socket::Args::of_array(&array, attachments);
                call(&Args::Json(args.expect("these are brackets")))
            }
            Raw::Msgpack { bytes, count } => {
                call(&Args::Msgpack(msgpack::Args::new(bytes, *count)))
            }
        }
    }

    /// Lends an event with these arguments as a list, its name first. `None` if the name is reserved.
    pub(crate) fn with_list<R>(
        &self,
        event: &str,
        call: impl FnOnce(cluster::Value<'_>) -> R,
    ) -> Option<R> {
        let mut out = Vec::new();
        let encoded = match &self.0 {
            Raw::Json { json, attachments } => {
                encode::event_raw(&mut out, "/", None, event, json, attachments.len()).ok()?;
                Encoded::json(&out, attachments.to_vec())
            }
            Raw::Msgpack { bytes, count } => {
                msgpack::encode::event_raw(&mut out, "/", None, event, bytes, *count).ok()?;
                Encoded::Msgpack(out.into())
            }
        };
        encoded.with_data(call)
    }

    /// The same arguments as MessagePack, and how many they are, with an event's offset as the last.
    pub(crate) fn with_serial(&self, serial: Serial) -> Result<(Vec<u8>, usize), EncodeError> {
        let mut bytes = Vec::new();
        let count = self.with_args(|args| args.write_msgpack(&mut bytes))?;
        msgpack::encode::value(&mut bytes, &serial.to_string())?;
        Ok((bytes, count + 1))
    }

    /// The same arguments as text and attachments; only a server with both kinds of them needs this.
    #[cold]
    fn as_json(&self) -> Result<Self, EncodeError> {
        let (mut json, mut attachments) = (Vec::new(), Vec::new());
        self.with_args(|args| args.write_json(&mut json, &mut attachments))?;
        Ok(Self::json(json, attachments))
    }
}

impl From<&Args<'_>> for RawArgs {
    fn from(args: &Args<'_>) -> Self {
        Self(match args {
            Args::Json(args) => {
                Raw::Json { json: args.as_str().into(), attachments: args.attachments().into() }
            }
            Args::Msgpack(args) => {
                Raw::Msgpack { bytes: args.as_bytes().into(), count: args.len() }
            }
        })
    }
}

impl EmitArgs for RawArgs {
    fn write_event(
        &self,
        out: &mut Vec<u8>,
        attachments: &mut Vec<Bytes>,
        namespace: &str,
        id: Option<u64>,
        name: &str,
    ) -> Result<(), EncodeError> {
        let Raw::Json { json, attachments: ours } = &self.0 else {
            return self.as_json()?.write_event(out, attachments, namespace, id, name);
        };
        encode::event_raw(out, namespace, id, name, json, ours.len())?;
        attachments.extend_from_slice(ours);
        Ok(())
    }

    fn write_ack(
        &self,
        out: &mut Vec<u8>,
        attachments: &mut Vec<Bytes>,
        namespace: &str,
        id: u64,
    ) -> Result<(), EncodeError> {
        let Raw::Json { json, attachments: ours } = &self.0 else {
            return self.as_json()?.write_ack(out, attachments, namespace, id);
        };
        encode::ack_raw(out, namespace, id, json, ours.len());
        attachments.extend_from_slice(ours);
        Ok(())
    }

    fn write_msgpack_event(
        &self,
        out: &mut Vec<u8>,
        namespace: &str,
        id: Option<u64>,
        name: &str,
    ) -> Result<(), EncodeError> {
        if let Raw::Msgpack { bytes, count } = &self.0 {
            return msgpack::encode::event_raw(out, namespace, id, name, bytes, *count);
        }
        let mut bytes = Vec::new();
        let count = self.with_args(|args| args.write_msgpack(&mut bytes))?;
        msgpack::encode::event_raw(out, namespace, id, name, &bytes, count)
    }

    fn write_msgpack_ack(
        &self,
        out: &mut Vec<u8>,
        namespace: &str,
        id: u64,
    ) -> Result<(), EncodeError> {
        if let Raw::Msgpack { bytes, count } = &self.0 {
            msgpack::encode::ack_raw(out, namespace, id, bytes, *count);
            return Ok(());
        }
        let mut bytes = Vec::new();
        let count = self.with_args(|args| args.write_msgpack(&mut bytes))?;
        msgpack::encode::ack_raw(out, namespace, id, &bytes, count);
        Ok(())
    }

    fn to_raw(&self, _: Parser) -> Result<RawArgs, EncodeError> {
        Ok(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Arguments of both forms, made of the same values.
    fn both() -> [RawArgs; 2] {
        let args = (1, "two", Bytes::from_static(b"three"));
        [Parser::Default, Parser::Msgpack].map(|parser| args.to_raw(parser).unwrap())
    }

    #[test]
    fn both_forms_are_written_as_either() {
        let (mut texts, mut packed) = (Vec::new(), Vec::new());
        for raw in both() {
            let (mut out, mut attachments) = (Vec::new(), Vec::new());
            raw.write_event(&mut out, &mut attachments, "/", None, "a").unwrap();
            raw.write_ack(&mut out, &mut attachments, "/", 7).unwrap();
            texts.push((String::from_utf8(out).unwrap(), attachments));
            let mut out = Vec::new();
            raw.write_msgpack_event(&mut out, "/", None, "a").unwrap();
            raw.write_msgpack_ack(&mut out, "/", 7).unwrap();
            packed.push(out);
        }
        assert_eq!(texts[0], texts[1]);
        assert_eq!(packed[0], packed[1]);
        let hole = r#"{"_placeholder":true,"num":0}"#;
        assert_eq!(texts[0].0, format!(r#"51-["a",1,"two",{hole}]61-7[1,"two",{hole}]"#));
        assert_eq!(texts[0].1.len(), 2);
        let mut direct = Vec::new();
        let args = (1, "two", Bytes::from_static(b"three"));
        msgpack::encode::event(&mut direct, "/", None, "a", &args).unwrap();
        msgpack::encode::ack(&mut direct, "/", 7, &args).unwrap();
        assert_eq!(packed[0], direct);
    }

    #[test]
    fn both_forms_are_read_and_kept() {
        for raw in both() {
            let (one, two, three): (u8, String, Bytes) = raw.parse_tuple().unwrap();
            assert_eq!((one, &*two, &*three), (1, "two", &b"three"[..]));
            assert_eq!(raw.parse_arg::<Option<u8>>(3), Ok(None));
            assert!(raw.to_json().starts_with(r#"1,"two","#), "{}", raw.to_json());
            assert_eq!(raw.with_args(|args| RawArgs::from(args)), raw);
            // It is what it is, whoever asks.
            assert_eq!(raw.to_raw(Parser::Default).unwrap(), raw);
            assert_eq!(raw.to_raw(Parser::Msgpack).unwrap(), raw);
        }
        assert_eq!(RawArgs::default().parse_tuple::<()>(), Ok(()));
    }

    #[test]
    fn what_the_other_form_cannot_hold_is_an_error() {
        let odd = RawArgs::msgpack(b"\x81\xc0\x01", 1);
        let (mut out, mut attachments) = (Vec::new(), Vec::new());
        assert!(odd.write_event(&mut out, &mut attachments, "/", None, "a").is_err());
        assert!(odd.write_ack(&mut out, &mut attachments, "/", 1).is_err());
        assert!(out.is_empty() && attachments.is_empty());
        assert!(odd.write_msgpack_event(&mut out, "/", None, "a").is_ok());
    }
}
