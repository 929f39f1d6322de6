//! What a node answers to a request.

use std::borrow::Cow;

use crate::cluster::dialect::Dialect;
use crate::cluster::malformed::{Malformed, Unwritable};
use crate::cluster::names::Names;
use crate::cluster::remote::Sockets;
use crate::cluster::value::Value;
use crate::cluster::writer::{Form, Writer};
use crate::limits::ClusterLimits;

use super::request::Generation;

/// Types that responses have, where they have one: that of the request, or of what follows from it.
const SERVER_SIDE_EMIT: u64 = 6;
const CLIENT_COUNT: u64 = 8;
const ACK: u64 = 9;

/// A node's answer.
///
/// Those to a [`ServerSideEmit`](super::Action::ServerSideEmit) always go to the channel of everybody.
#[derive(Debug, Clone)]
pub struct Response<'a> {
    /// The id of the request.
    pub id: Cow<'a, str>,
    /// That of the request.
    pub generation: Generation,
    /// What is answered.
    pub answer: Answer<'a>,
}

/// What is answered. Which request it answers only who asked can tell.
#[derive(Debug, Clone)]
pub enum Answer<'a> {
    /// Sockets, or (for [`Sockets`](super::Action::Sockets)) only their ids.
    Sockets(Sockets<'a>),
    /// Rooms.
    Rooms(Names<'a>),
    /// It was done.
    Done,
    /// What an application says to an event; nothing if it has no argument.
    ServerSideEmit(Option<Value<'a>>),
    /// How many sockets of the node were sent a broadcast, and shall acknowledge it.
    ClientCount(u64),
    /// What one socket acknowledges; nothing if it has no argument.
    Ack(Option<Value<'a>>),
    /// What an application says to a custom request. Of the old generation only.
    Custom(Value<'a>),
}

impl<'a> Response<'a> {
    /// Reads what any adapter writes.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(message: &'a [u8], limits: &ClusterLimits) -> Result<Self, Malformed> {
        let message = Value::read(message, limits)?;
        let (mut id, mut old_id, mut kind) = (None, None, None);
        let (mut sockets, mut rooms, mut data, mut packet, mut count) =
            (None, None, None, None, None);
        for (key, value) in message.members().ok_or(Malformed::Syntax)? {
            match &*key {
                "requestId" => id = Some(value).filter(|value| !value.is_null()),
                "requestid" => old_id = Some(value),
                "type" => kind = Some(value).filter(|value| !value.is_null()),
                "sockets" | "clients" => sockets = Some(value),
                "rooms" => rooms = Some(value),
                "data" => data = Some(value),
                "packet" => packet = Some(value),
                "clientCount" => count = value.index(),
                _ => {}
            }
        }
        let (generation, id) = match (id, old_id) {
            (None, Some(id)) => (Generation::Old, Some(id)),
            (id, _) => (Generation::Current, id),
        };
        let id = id.and_then(|id| id.text()).ok_or(Malformed::Member("requestId"))?;
        let kind = match kind {
            Some(kind) => Some(kind.index().ok_or(Malformed::Member("type"))?),
            None => None,
        };
        let answer = match kind {
            Some(SERVER_SIDE_EMIT) => Answer::ServerSideEmit(data),
            Some(CLIENT_COUNT) => {
                Answer::ClientCount(count.ok_or(Malformed::Member("clientCount"))?)
            }
            Some(ACK) => Answer::Ack(packet),
            Some(kind) => return Err(Malformed::UnknownType(kind)),
            None => match (sockets, rooms, data) {
                (Some(sockets), ..) => Answer::Sockets(Sockets::read(sockets, "sockets")?),
                (_, Some(rooms), _) => Answer::Rooms(Names::read(Some(rooms), "rooms")?),
                (_, _, Some(data)) if generation == Generation::Old => Answer::Custom(data),
                _ => Answer::Done,
            },
        };
        Ok(Self { id, generation, answer })
    }

    /// Appends it as Node's adapter writes it: JSON, or MessagePack if it is an acknowledgement.
    ///
    /// # Errors
    /// [`Unwritable`]; the buffer is then as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        let form = match self.answer {
            Answer::Ack(_) => Form::Msgpack(Dialect::Notepack),
            _ => Form::Json,
        };
        Writer::write(out, form, |writer| {
            match self.answer {
                Answer::Ack(None) => writer.map(2),
                _ => writer.map(3),
            }
            self.write(writer)?;
            writer.end_map();
            Ok(())
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unwritable> {
        let kind = match self.answer {
            Answer::ServerSideEmit(_) => Some(SERVER_SIDE_EMIT),
            Answer::ClientCount(_) => Some(CLIENT_COUNT),
            Answer::Ack(_) => Some(ACK),
            _ => None,
        };
        if let Some(kind) = kind {
            writer.key("type");
            writer.uint(kind);
        }
        writer.key(self.generation.id_key());
        writer.str(&self.id);
        match &self.answer {
            Answer::Done | Answer::ServerSideEmit(None) | Answer::Ack(None) => {}
            Answer::Sockets(sockets) => {
                writer.key(match self.generation {
                    Generation::Current => "sockets",
                    Generation::Old => "clients",
                });
                sockets.write(writer)?;
            }
            Answer::Rooms(rooms) => {
                writer.key("rooms");
                rooms.write(writer);
            }
            Answer::ServerSideEmit(Some(data)) | Answer::Custom(data) => {
                writer.key("data");
                writer.value(data)?;
            }
            Answer::ClientCount(count) => {
                writer.key("clientCount");
                writer.uint(*count);
            }
            Answer::Ack(Some(packet)) => {
                writer.key("packet");
                writer.value(packet)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(message: &[u8]) -> Result<Response<'_>, Malformed> {
        static LIMITS: ClusterLimits =
            ClusterLimits { message_bytes_max: 1000, depth_max: 8, attachments_max: 2 };
        Response::decode(message, &LIMITS)
    }

    #[test]
    fn an_old_node_is_answered_in_its_own_words() {
        for text in [
            r#"{"requestid":"a"}"#,
            r#"{"requestid":"a","clients":["x"]}"#,
            r#"{"requestid":"a","rooms":["x"]}"#,
            r#"{"requestid":"a","data":{"any":[1]}}"#,
        ] {
            let response = decode(text.as_bytes()).unwrap();
            assert_eq!(response.generation, Generation::Old);
            let mut out = Vec::new();
            response.encode(&mut out).unwrap();
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn what_is_no_response_says_why() {
        for (message, why) in [
            (&b"[]"[..], Malformed::Syntax),
            (b"{}", Malformed::Member("requestId")),
            (br#"{"requestId":1}"#, Malformed::Member("requestId")),
            (br#"{"requestId":"a","type":[]}"#, Malformed::Member("type")),
            (br#"{"requestId":"a","type":7}"#, Malformed::UnknownType(7)),
            (br#"{"requestId":"a","type":8}"#, Malformed::Member("clientCount")),
            (br#"{"requestId":"a","sockets":[{}]}"#, Malformed::Member("sockets.id")),
            (br#"{"requestId":"a","rooms":{}}"#, Malformed::Member("rooms")),
        ] {
            assert_eq!(decode(message).err(), Some(why), "{}", message.escape_ascii());
        }
    }
}
