//! A message of the newer adapters as it goes over channels: in JSON or in MessagePack.

use std::borrow::Cow;

use crate::limits::ClusterLimits;

use super::dialect::Dialect;
use super::malformed::{Malformed, Unwritable};
use super::message::Message;
use super::value::Value;
use super::writer::{Form, Writer};

/// A message with its sender's address: `{type, data, uid, nsp}`.
#[derive(Debug, Clone)]
pub struct Envelope<'a> {
    /// Who sends it: a node's name in the namespace, or [`EMITTER`](super::EMITTER). A node's own come
    /// back to it.
    pub sender: Cow<'a, str>,
    /// The namespace that it is about.
    pub namespace: Cow<'a, str>,
    /// What it says.
    pub message: Message<'a>,
}

impl<'a> Envelope<'a> {
    /// Reads JSON, if it starts with a brace, or MessagePack: what goes over channels.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(message: &'a [u8], limits: &ClusterLimits) -> Result<Self, Malformed> {
        let message = Value::read(message, limits)?;
        let (mut kind, mut data, mut uid, mut namespace) = (None, None, None, None);
        for (key, value) in message.members().ok_or(Malformed::Syntax)? {
            match &*key {
                "type" => kind = value.index(),
                "data" => data = Some(value).filter(|value| !value.is_null()),
                "uid" => uid = value.text(),
                "nsp" => namespace = value.text(),
                _ => {}
            }
        }
        let kind = kind.ok_or(Malformed::Member("type"))?;
        Ok(Self {
            sender: uid.ok_or(Malformed::Member("uid"))?,
            namespace: namespace.ok_or(Malformed::Member("nsp"))?,
            message: Message::read(kind, data)?,
        })
    }

    /// Appends it as the sharded adapter writes it: as JSON, unless there is binary data in it.
    ///
    /// # Errors
    /// [`Unwritable`]; the buffer is then as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        match self.message.has_binary() {
            true => self.write(out, Form::Msgpack(Dialect::Notepack)),
            false => self.write(out, Form::Json),
        }
    }

    /// Appends it as the streams adapter publishes it: always as MessagePack.
    ///
    /// # Errors
    /// [`Unwritable`]; the buffer is then as it was.
    pub fn encode_packed(&self, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        self.write(out, Form::Msgpack(Dialect::Standard))
    }

    fn write(&self, out: &mut Vec<u8>, form: Form) -> Result<(), Unwritable> {
        Writer::write(out, form, |writer| {
            let has_data = self.message.has_data();
            writer.map(3 + u32::from(has_data));
            writer.key("type");
            writer.uint(self.message.kind());
            if has_data {
                writer.key("data");
                self.message.write_data(writer, &self.sender)?;
            }
            writer.key("uid");
            writer.str(&self.sender);
            writer.key("nsp");
            writer.str(&self.namespace);
            writer.end_map();
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(message: &[u8]) -> Result<Envelope<'_>, Malformed> {
        static LIMITS: ClusterLimits =
            ClusterLimits { message_bytes_max: 1000, depth_max: 8, attachments_max: 2 };
        Envelope::decode(message, &LIMITS)
    }

    #[test]
    fn messages_without_data_are_written_without() {
        for (message, kind) in
            [(Message::InitialHeartbeat, 1), (Message::Heartbeat, 2), (Message::Close, 13)]
        {
            let envelope = Envelope { sender: "u".into(), namespace: "/".into(), message };
            let mut out = Vec::new();
            envelope.encode(&mut out).unwrap();
            assert_eq!(out, format!(r#"{{"type":{kind},"uid":"u","nsp":"/"}}"#).as_bytes());
            let again = decode(&out).unwrap();
            assert_eq!((again.message.kind(), again.message.has_data()), (kind, false));
            out.clear();
            envelope.encode_packed(&mut out).unwrap();
            assert_eq!(decode(&out).unwrap().message.kind(), kind);
        }
    }

    #[test]
    fn an_address_is_needed() {
        for (text, member) in [
            (r#"{"uid":"u","nsp":"/"}"#, "type"),
            (r#"{"type":2,"nsp":"/"}"#, "uid"),
            (r#"{"type":2,"uid":"u"}"#, "nsp"),
        ] {
            assert_eq!(decode(text.as_bytes()).err(), Some(Malformed::Member(member)));
        }
    }
}
