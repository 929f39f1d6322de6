//! A Socket.IO packet inside a message: an object, unlike those that clients get.

use std::borrow::Cow;

use bytes::Bytes;

use crate::msgpack::token::{Token, Tokens};
use crate::parser::{self, Event};
use crate::socket::PacketType;

use super::dialect::Dialect;
use super::malformed::{Malformed, Unwritable};
use super::value::Value;
use super::writer::Writer;

/// The type of an event on the wire.
const EVENT: u64 = 2;
/// The same with attachments, for writers of Socket.IO 1 and 2. Their binary data is inside of the data,
/// too, and so there is no difference. (Node hands such a packet on as it is, which no client can read.)
const BINARY_EVENT: u64 = 5;

/// An event that is broadcast.
#[derive(Debug, Clone)]
pub struct Packet<'a> {
    /// The namespace, if it is written down; where it is not, the message's own or else `/`.
    pub namespace: Option<Cow<'a, str>>,
    /// The id of the acknowledgement that is awaited, where the sender has chosen one.
    pub id: Option<u64>,
    /// The event: a list, its name first. Read it with [`event`](Self::event).
    pub data: Value<'a>,
}

impl<'a> Packet<'a> {
    /// An event's name and arguments; `None` if the data is no list that starts with a name, as of a
    /// packet that was made by hand.
    pub fn event(&self) -> Option<Event<'a>> {
        self.data.event(self.id)
    }

    /// The event of a packet as clients write and get it, without copying; `None` if it is none. Its
    /// namespace is not written down.
    pub fn of(packet: &parser::Packet<'a>) -> Option<Self> {
        let data = match *packet {
            parser::Packet::Json(packet, attachments) => {
                Value::Json { text: packet.data?, attachments }
            }
            parser::Packet::Msgpack(packet) => Value::Msgpack(packet.data?),
        };
        let is_event = matches!(packet.kind(), PacketType::Event | PacketType::BinaryEvent);
        is_event.then_some(Self { namespace: None, id: packet.id(), data })
    }

    /// Appends the arguments as JSON, separated by commas, as
    /// [`socket::encode::event_raw`](crate::socket::encode::event_raw) takes them; and their binary data
    /// to `attachments`.
    ///
    /// # Errors
    /// [`Unwritable`]; both buffers are then as they were.
    pub fn write_args_json(
        &self,
        out: &mut Vec<u8>,
        attachments: &mut Vec<Bytes>,
        attachments_max: usize,
    ) -> Result<(), Unwritable> {
        let (start, earlier) = (out.len(), attachments.len());
        for arg in self.args() {
            if out.len() > start {
                out.push(b',');
            }
            arg.write_json(out, attachments, attachments_max).inspect_err(|_| {
                out.truncate(start);
                attachments.truncate(earlier);
            })?;
        }
        Ok(())
    }

    /// Appends the arguments as MessagePack, one behind the other, and returns how many they are, as
    /// [`msgpack::encode::event_raw`](crate::msgpack::encode::event_raw) takes them.
    ///
    /// # Errors
    /// [`Unwritable`]; the buffer is then as it was.
    pub fn write_args_msgpack(
        &self,
        out: &mut Vec<u8>,
        dialect: Dialect,
    ) -> Result<usize, Unwritable> {
        let start = out.len();
        let mut count = 0;
        for arg in self.args() {
            arg.write_msgpack(out, dialect).inspect_err(|_| out.truncate(start))?;
            count += 1;
        }
        Ok(count)
    }

    fn args(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        self.data.elements().into_iter().flatten().skip(1)
    }

    pub(crate) fn read(value: Option<Value<'a>>) -> Result<Self, Malformed> {
        let value = value.ok_or(Malformed::Member("packet"))?;
        let members = value.members().ok_or(Malformed::Member("packet"))?;
        let (mut kind, mut data, mut namespace, mut id) = (None, None, None, None);
        for (key, value) in members {
            match &*key {
                "type" => kind = Some(value),
                "data" => data = Some(value),
                "nsp" => namespace = Some(value).filter(|value| !value.is_null()),
                "id" => id = Some(value).filter(|value| !value.is_null()),
                _ => {}
            }
        }
        // Nothing but events is ever broadcast.
        let kind = kind.and_then(|kind| kind.index());
        if !matches!(kind, Some(EVENT | BINARY_EVENT)) {
            return Err(Malformed::Member("packet.type"));
        }
        let namespace = match namespace {
            Some(name) => Some(name.text().ok_or(Malformed::Member("packet.nsp"))?),
            None => None,
        };
        let id = match id {
            Some(id) => Some(id.index().ok_or(Malformed::Member("packet.id"))?),
            None => None,
        };
        let data = data.ok_or(Malformed::Member("packet.data"))?;
        let first = data.elements().and_then(|mut elements| elements.next());
        if !first.is_some_and(|first| first.is_name()) {
            return Err(Malformed::Member("packet.data"));
        }
        if kind == Some(BINARY_EVENT) && may_be_legacy(&data) {
            return Err(Malformed::Syntax);
        }
        Ok(Self { namespace, id, data })
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unwritable> {
        let Self { namespace, id, data } = self;
        writer.map(2 + u32::from(id.is_some()) + u32::from(namespace.is_some()));
        writer.key("type");
        writer.uint(EVENT);
        writer.key("data");
        writer.value(data)?;
        if let Some(id) = *id {
            writer.key("id");
            writer.uint(id);
        }
        if let Some(namespace) = namespace {
            writer.key("nsp");
            writer.str(namespace);
        }
        writer.end_map();
        Ok(())
    }
}

/// Whether there is an extension of 16 bytes and type 0, which no encoder ever wrote: it is a `Buffer` of
/// 15 bytes in the dialect of `msgpack-js`, the only one that is MessagePack of today, too.
fn may_be_legacy(data: &Value<'_>) -> bool {
    let Value::Msgpack(bytes) = data else { return false };
    let mut tokens = Tokens::new(bytes);
    std::iter::from_fn(|| tokens.next().ok())
        .any(|token| matches!(token, Token::Ext(0, bytes) if bytes.len() == 16))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PacketLimits;
    use crate::{msgpack, socket};

    #[test]
    fn an_event_is_an_event_with_or_without_attachments() {
        for kind in [2, 5] {
            let text = format!(r#"{{"type":{kind},"data":["a",1],"nsp":"/x","id":0}}"#);
            let packet = Packet::read(Some(Value::json(&text))).unwrap();
            assert_eq!((packet.namespace.as_deref(), packet.id), (Some("/x"), Some(0)));
            let event = packet.event().unwrap();
            assert_eq!((&*event.name, event.args.len(), event.id), ("a", 1, Some(0)));
        }
        let bare =
            Packet::read(Some(Value::Msgpack(b"\x83\xa4type\x02\xa4data\x91\x07\xa3nsp\xc0")));
        let bare = bare.unwrap();
        assert_eq!((bare.namespace.as_deref(), bare.id), (None, None));
        assert_eq!(bare.event().unwrap().name, "7");
    }

    #[test]
    fn what_is_no_event_is_named() {
        for (text, member) in [
            ("null", "packet"),
            ("[]", "packet"),
            ("{}", "packet.type"),
            (r#"{"type":"2","data":["a"]}"#, "packet.type"),
            (r#"{"type":1}"#, "packet.type"),
            (r#"{"type":2}"#, "packet.data"),
            (r#"{"type":2,"data":[]}"#, "packet.data"),
            (r#"{"type":2,"data":[null]}"#, "packet.data"),
            (r#"{"type":2,"data":"a"}"#, "packet.data"),
            (r#"{"type":2,"data":["a"],"nsp":1}"#, "packet.nsp"),
            (r#"{"type":2,"data":["a"],"id":-1}"#, "packet.id"),
        ] {
            let error = Packet::read(Some(Value::json(text))).err();
            assert_eq!(error, Some(Malformed::Member(member)), "{text}");
        }
    }

    #[test]
    fn a_clients_event_is_broadcast_and_becomes_one_again() {
        let limits = PacketLimits::default();
        let attachments = [Bytes::from_static(b"ab"), Bytes::new()];
        let text =
            r#"52-/a,7["é",1,{"_placeholder":true,"num":1},[{"_placeholder":true,"num":0}]]"#;
        let json = socket::decode(text, &limits).unwrap();
        let json = Packet::of(&parser::Packet::Json(&json, &attachments)).unwrap();
        let mut bytes = Vec::new();
        let args = (1, Bytes::new(), [Bytes::from_static(b"ab")]);
        msgpack::encode::event(&mut bytes, "/a", Some(7), "é", &args).unwrap();
        let packed = msgpack::decode(&bytes, &limits).unwrap();
        let packed = Packet::of(&parser::Packet::Msgpack(&packed)).unwrap();
        for packet in [json, packed] {
            assert_eq!((packet.id, &packet.namespace), (Some(7), &None));
            let event = packet.event().unwrap();
            let (mut args, mut found) = (Vec::new(), Vec::new());
            packet.write_args_json(&mut args, &mut found, 2).unwrap();
            let args = String::from_utf8(args).unwrap();
            let mut out = Vec::new();
            socket::encode::event_raw(&mut out, "/a", Some(7), &event.name, &args, 2).unwrap();
            let renumbered =
                text.replace("\"num\":1", "\"num\":x").replace("\"num\":0", "\"num\":1");
            assert_eq!(String::from_utf8(out).unwrap(), renumbered.replace('x', "0"));
            assert_eq!(found, [&b""[..], b"ab"]);
            let error = packet.write_args_json(&mut Vec::new(), &mut found, 2);
            assert_eq!((error, found.len()), (Err(Unwritable::Attachments), 2));
            let mut args = Vec::new();
            let count = packet.write_args_msgpack(&mut args, Dialect::Client).unwrap();
            let mut out = Vec::new();
            msgpack::encode::event_raw(&mut out, "/a", Some(7), &event.name, &args, count).unwrap();
            assert_eq!(out, bytes);
        }
        let ack = socket::decode("31[]", &limits).unwrap();
        assert!(Packet::of(&parser::Packet::Json(&ack, &[])).is_none());
    }
}
