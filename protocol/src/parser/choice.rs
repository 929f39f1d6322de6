//! Which parser a server uses, and the packets that it writes by itself.

use std::fmt;
use std::str::FromStr;

use crate::engine::Revision;
use crate::{msgpack, socket};

use super::value::Value;

/// Socket.IO's `parser`: the form of all packets between a server and its clients. Both sides must use
/// the same one; nothing on the wire tells which it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Parser {
    /// The default parser: JSON text, binary data as attachments.
    #[default]
    Default,
    /// `socket.io-msgpack-parser`: each packet is one binary message.
    Msgpack,
}

/// There is no parser of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownParser(pub String);

impl fmt::Display for UnknownParser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no parser; there are default and msgpack", self.0)
    }
}

impl std::error::Error for UnknownParser {}

impl Parser {
    /// Its name in options.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Msgpack => "msgpack",
        }
    }
}

impl fmt::Display for Parser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Parser {
    type Err = UnknownParser;

    fn from_str(name: &str) -> Result<Self, UnknownParser> {
        match name {
            "default" => Ok(Self::Default),
            "msgpack" => Ok(Self::Msgpack),
            _ => Err(UnknownParser(name.to_owned())),
        }
    }
}

/// Packets of the server's own, appended to `out`; none of them has attachments.
impl Parser {
    /// Tells a client of that revision that it joined `namespace` as `sid`; with `pid`, that it may recover
    /// this session under that private id.
    pub fn connect(
        self,
        out: &mut Vec<u8>,
        revision: Revision,
        namespace: &str,
        sid: &str,
        pid: Option<&str>,
    ) {
        match (self, revision) {
            (Self::Default, Revision::V4) => socket::encode::connect(out, namespace, sid, pid),
            (Self::Default, Revision::V3) => socket::encode::connect_v4(out, namespace),
            (Self::Msgpack, Revision::V4) => msgpack::encode::connect(out, namespace, sid, pid),
            (Self::Msgpack, Revision::V3) => msgpack::encode::connect_v4(out, namespace),
        }
    }

    /// Refuses a client's CONNECT; `data` is raw JSON. Clients of Engine.IO 3 get `data` alone, or the
    /// message.
    pub fn connect_error(
        self,
        out: &mut Vec<u8>,
        revision: Revision,
        namespace: &str,
        message: &str,
        data: Option<&str>,
    ) {
        if self == Self::Default {
            return match revision {
                Revision::V4 => socket::encode::connect_error(out, namespace, message, data),
                Revision::V3 => socket::encode::connect_error_v4(out, namespace, message, data),
            };
        }
        let data = data.and_then(msgpack_of);
        match revision {
            Revision::V4 => {
                msgpack::encode::connect_error(out, namespace, message, data.as_deref());
            }
            Revision::V3 => {
                msgpack::encode::connect_error_v4(out, namespace, message, data.as_deref());
            }
        }
    }

    /// Tells a client that it is no longer in `namespace`.
    pub fn disconnect(self, out: &mut Vec<u8>, namespace: &str) {
        match self {
            Self::Default => socket::encode::disconnect(out, namespace),
            Self::Msgpack => msgpack::encode::disconnect(out, namespace),
        }
    }
}

/// JSON as MessagePack; `None` if it is no JSON.
fn msgpack_of(json: &str) -> Option<Vec<u8>> {
    let value: Value<'_> = serde_json::from_str(json).ok()?;
    let mut out = Vec::new();
    msgpack::encode::value(&mut out, &value).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn names_are_read_as_they_are_printed() {
        for parser in [Parser::Default, Parser::Msgpack] {
            assert_eq!(parser.to_string().parse(), Ok(parser));
        }
        let error = "json".parse::<Parser>().unwrap_err();
        assert_eq!(error.to_string(), "'json' is no parser; there are default and msgpack");
    }

    #[test]
    fn a_refusal_says_the_same_in_both_forms() {
        let refusal = |parser: Parser, revision, data| {
            written(|out| parser.connect_error(out, revision, "/no", "nope", data))
        };
        let data = Some(r#"{"code":7}"#);
        assert_eq!(
            refusal(Parser::Default, Revision::V4, data),
            br#"4/no,{"message":"nope","data":{"code":7}}"#
        );
        assert_eq!(
            refusal(Parser::Msgpack, Revision::V4, data),
            b"\x83\xa4type\x04\xa4data\x82\xa7message\xa4nope\xa4data\x81\xa4code\x07\xa3nsp\xa3/no"
        );
        assert_eq!(refusal(Parser::Default, Revision::V3, data), br#"4/no,{"code":7}"#);
        assert_eq!(
            refusal(Parser::Msgpack, Revision::V3, data),
            b"\x83\xa4type\x04\xa4data\x81\xa4code\x07\xa3nsp\xa3/no"
        );
        assert_eq!(
            refusal(Parser::Msgpack, Revision::V3, None),
            b"\x83\xa4type\x04\xa4data\xa4nope\xa3nsp\xa3/no"
        );
        // What is no JSON cannot be said in the other form.
        assert_eq!(
            refusal(Parser::Msgpack, Revision::V4, Some("{")),
            refusal(Parser::Msgpack, Revision::V4, None)
        );
    }

    #[test]
    fn connecting_and_leaving() {
        let connect = |parser: Parser, revision| {
            written(|out| parser.connect(out, revision, "/", "sid", None))
        };
        assert_eq!(connect(Parser::Default, Revision::V4), br#"0{"sid":"sid"}"#);
        assert_eq!(connect(Parser::Default, Revision::V3), b"0");
        assert_eq!(
            connect(Parser::Msgpack, Revision::V4),
            b"\x83\xa4type\0\xa4data\x82\xa3sid\xa3sid\xa3pid\xd4\0\0\xa3nsp\xa1/"
        );
        assert_eq!(connect(Parser::Msgpack, Revision::V3), b"\x82\xa4type\0\xa3nsp\xa1/");
        let leave = |parser: Parser| written(|out| parser.disconnect(out, "/a"));
        assert_eq!(leave(Parser::Default), b"1/a,");
        assert_eq!(leave(Parser::Msgpack), b"\x82\xa4type\x01\xa3nsp\xa2/a");
    }
}
