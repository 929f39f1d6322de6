//! One packet of either form, as whoever serves it sees it.

use bytes::Bytes;

use crate::{msgpack, socket};

use super::event::{Ack, Event};
use super::{ArgsError, PacketType};

/// A decoded packet, with its attachments where it has some.
#[derive(Debug, Clone, Copy)]
pub enum Packet<'a> {
    /// The default parser's, and all its attachments.
    Json(&'a socket::Packet<'a>, &'a [Bytes]),
    /// A MessagePack one.
    Msgpack(&'a msgpack::Packet<'a>),
}

impl<'a> Packet<'a> {
    /// What it is for.
    pub fn kind(&self) -> PacketType {
        match self {
            Self::Json(packet, _) => packet.kind,
            Self::Msgpack(packet) => packet.kind,
        }
    }

    /// The namespace as written.
    pub fn namespace(&self) -> &'a str {
        match self {
            Self::Json(packet, _) => packet.namespace,
            Self::Msgpack(packet) => packet.namespace,
        }
    }

    /// The ack id.
    pub fn id(&self) -> Option<u64> {
        match self {
            Self::Json(packet, _) => packet.id,
            Self::Msgpack(packet) => packet.id,
        }
    }

    /// The event that this packet holds, or `None` if it is of another type.
    pub fn event(&self) -> Option<Event<'a>> {
        match *self {
            Self::Json(packet, attachments) => packet.event(attachments).map(Event::from),
            Self::Msgpack(packet) => packet.event().map(Event::from),
        }
    }

    /// The acknowledgement that this packet holds, or `None` if it is of another type.
    pub fn ack(&self) -> Option<Ack<'a>> {
        match *self {
            Self::Json(packet, attachments) => packet.ack(attachments).map(Ack::from),
            Self::Msgpack(packet) => packet.ack().map(Ack::from),
        }
    }

    /// A CONNECT's payload as JSON, if it has one. Binary data in it, which JSON cannot hold, is a string of
    /// standard padded base64.
    ///
    /// # Errors
    /// Peer's fault: a MessagePack payload with a map whose keys are no text.
    pub fn auth(&self) -> Result<Option<Box<str>>, ArgsError> {
        let data = match self {
            Self::Json(packet, _) => return Ok(packet.data.map(Box::from)),
            Self::Msgpack(packet) => packet.data,
        };
        let Some(data) = data else { return Ok(None) };
        let refused = |reason| ArgsError { index: 0, reason };
        let value: serde_json::Value =
            msgpack::from_slice(data).map_err(|error| refused(error.into_reason()))?;
        let mut json = Vec::new();
        socket::encode::json(&mut json, &value)
            .map_err(|error| refused(error.to_string().into_boxed_str()))?;
        let json = String::from_utf8(json).expect("the encoder writes JSON text");
        Ok(Some(json.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PacketLimits;

    fn auth(payload: &[u8]) -> Result<Option<Box<str>>, ArgsError> {
        let message = [b"\x83\xa4type\0\xa3nsp\xa1/\xa4data", payload].concat();
        let packet = msgpack::decode(&message, &PacketLimits::default()).unwrap();
        Packet::Msgpack(&packet).auth()
    }

    #[test]
    fn a_connects_payload_is_json_from_both() {
        let limits = PacketLimits::default();
        let packet = socket::decode(r#"0{"token": "é"}"#, &limits).unwrap();
        let json = Packet::Json(&packet, &[]).auth().unwrap();
        assert_eq!(json.as_deref(), Some(r#"{"token": "é"}"#));
        let json = auth(b"\x82\xa1b\xc4\x02\x01\x02\xa1n\x92\xcb\x3f\xf8\0\0\0\0\0\0\xd4\0\0");
        assert_eq!(json.unwrap().as_deref(), Some(r#"{"b":"AQI=","n":[1.5,null]}"#));
        assert_eq!(auth(b"\xc0").unwrap(), None);
        assert!(auth(b"\x81\xc0\x01").is_err());
    }
}
