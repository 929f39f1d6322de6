//! What nodes tell each other with the newer adapters, all of which share it: sharded, streams, and
//! Node's own for other databases (`socket.io-adapter`, `ClusterAdapter`).

use std::borrow::Cow;

use super::EMITTER;
use super::dialect::Dialect;
use super::malformed::{Malformed, Unwritable};
use super::names::Names;
use super::packet::Packet;
use super::remote::Sockets;
use super::target::Target;
use super::value::Value;
use super::writer::{Form, Writer};

/// What nodes tell each other.
#[derive(Debug, Clone)]
pub enum Message<'a> {
    /// A node is there, and wants to know who else is. Of streams up to 0.2, and of other databases.
    InitialHeartbeat,
    /// A node is still there. Of streams up to 0.2, and of other databases.
    Heartbeat,
    /// An event for sockets.
    Broadcast {
        /// The event.
        packet: Packet<'a>,
        /// Which sockets.
        target: Target<'a>,
        /// If they are to acknowledge it.
        request: Option<Cow<'a, str>>,
    },
    /// Sockets are to join rooms.
    Join {
        /// Which sockets.
        target: Target<'a>,
        /// The rooms.
        rooms: Names<'a>,
    },
    /// Sockets are to leave rooms.
    Leave {
        /// Which sockets.
        target: Target<'a>,
        /// The rooms.
        rooms: Names<'a>,
    },
    /// Sockets are to be disconnected.
    Disconnect {
        /// Which sockets.
        target: Target<'a>,
        /// Close their connections, too.
        close: bool,
    },
    /// All about the sockets of a target is to be told.
    Fetch {
        /// Which sockets.
        target: Target<'a>,
        /// What the response will refer to.
        request: Cow<'a, str>,
    },
    /// All about a node's sockets of a target.
    FetchResponse {
        /// What was asked.
        request: Cow<'a, str>,
        /// The sockets.
        sockets: Sockets<'a>,
    },
    /// An event for the applications of the other nodes.
    ServerSideEmit {
        /// The event: a list, its name first. Read it with [`Value::event`].
        data: Value<'a>,
        /// If they are to answer.
        request: Option<Cow<'a, str>>,
    },
    /// What an application says to such an event; nothing if it has no argument.
    ServerSideEmitResponse {
        /// What was asked.
        request: Cow<'a, str>,
        /// What it says.
        answer: Option<Value<'a>>,
    },
    /// How many sockets of a node were sent a broadcast, and shall acknowledge it.
    ClientCount {
        /// What was asked.
        request: Cow<'a, str>,
        /// How many.
        count: u64,
    },
    /// What one socket acknowledges; nothing if it has no argument.
    Ack {
        /// What was asked.
        request: Cow<'a, str>,
        /// What it says.
        answer: Option<Value<'a>>,
    },
    /// A node is about to leave. Of streams up to 0.2, and of other databases.
    Close,
}

/// The members of `data`, as they come.
#[derive(Default)]
struct Members<'a> {
    packet: Option<Value<'a>>,
    opts: Option<Value<'a>>,
    request: Option<Value<'a>>,
    rooms: Option<Value<'a>>,
    close: Option<Value<'a>>,
    sockets: Option<Value<'a>>,
    count: Option<Value<'a>>,
}

impl<'a> Members<'a> {
    fn read(data: Option<Value<'a>>) -> Result<Self, Malformed> {
        let data = data.and_then(|data| data.members()).ok_or(Malformed::Member("data"))?;
        let mut members = Self::default();
        for (key, value) in data {
            let member = match &*key {
                "packet" => &mut members.packet,
                "opts" => &mut members.opts,
                "requestId" => &mut members.request,
                "rooms" => &mut members.rooms,
                "close" => &mut members.close,
                "sockets" => &mut members.sockets,
                "clientCount" => &mut members.count,
                _ => continue,
            };
            *member = Some(value);
        }
        Ok(members)
    }

    fn target(&self) -> Result<Target<'a>, Malformed> {
        Target::read(self.opts)
    }

    fn rooms(&self) -> Result<Names<'a>, Malformed> {
        Names::read(self.rooms, "rooms")
    }

    fn awaited(&self) -> Result<Option<Cow<'a, str>>, Malformed> {
        match self.request.filter(|request| !request.is_null()) {
            Some(request) => request.text().map(Some).ok_or(Malformed::Member("requestId")),
            None => Ok(None),
        }
    }

    fn request(&self) -> Result<Cow<'a, str>, Malformed> {
        self.awaited()?.ok_or(Malformed::Member("requestId"))
    }

    fn event(&self) -> Result<Value<'a>, Malformed> {
        let list = self.packet.filter(|packet| packet.elements().is_some());
        list.ok_or(Malformed::Member("packet"))
    }

    fn sockets(&self) -> Result<Sockets<'a>, Malformed> {
        Sockets::read(self.sockets.ok_or(Malformed::Member("sockets"))?, "sockets")
    }

    fn count(&self) -> Result<u64, Malformed> {
        self.count.and_then(|count| count.index()).ok_or(Malformed::Member("clientCount"))
    }
}

impl<'a> Message<'a> {
    /// Whether it answers a message, and so is for one node, which its channel tells.
    pub fn is_response(&self) -> bool {
        matches!(
            self,
            Self::FetchResponse { .. }
                | Self::ServerSideEmitResponse { .. }
                | Self::ClientCount { .. }
                | Self::Ack { .. }
        )
    }

    /// Whether there is binary data in it, so that JSON cannot hold it.
    pub fn has_binary(&self) -> bool {
        match self {
            Self::Broadcast { packet, .. } => packet.data.has_binary(),
            Self::FetchResponse { sockets, .. } => sockets.has_binary(),
            Self::ServerSideEmit { data, .. } => data.has_binary(),
            Self::ServerSideEmitResponse { answer, .. } | Self::Ack { answer, .. } => {
                answer.is_some_and(|answer| answer.has_binary())
            }
            _ => false,
        }
    }

    /// Its type on the wire.
    pub(super) fn kind(&self) -> u64 {
        match self {
            Self::InitialHeartbeat => 1,
            Self::Heartbeat => 2,
            Self::Broadcast { .. } => 3,
            Self::Join { .. } => 4,
            Self::Leave { .. } => 5,
            Self::Disconnect { .. } => 6,
            Self::Fetch { .. } => 7,
            Self::FetchResponse { .. } => 8,
            Self::ServerSideEmit { .. } => 9,
            Self::ServerSideEmitResponse { .. } => 10,
            Self::ClientCount { .. } => 11,
            Self::Ack { .. } => 12,
            Self::Close => 13,
        }
    }

    pub(super) fn has_data(&self) -> bool {
        !matches!(self, Self::InitialHeartbeat | Self::Heartbeat | Self::Close)
    }

    pub(super) fn read(kind: u64, data: Option<Value<'a>>) -> Result<Self, Malformed> {
        match kind {
            1 => return Ok(Self::InitialHeartbeat),
            2 => return Ok(Self::Heartbeat),
            13 => return Ok(Self::Close),
            0 | 14.. => return Err(Malformed::UnknownType(kind)),
            _ => {}
        }
        let data = Members::read(data)?;
        Ok(match kind {
            3 => Self::Broadcast {
                packet: Packet::read(data.packet)?,
                target: data.target()?,
                request: data.awaited()?,
            },
            4 => Self::Join { target: data.target()?, rooms: data.rooms()? },
            5 => Self::Leave { target: data.target()?, rooms: data.rooms()? },
            6 => {
                let close = data.close.is_some_and(|close| close.truth());
                Self::Disconnect { target: data.target()?, close }
            }
            7 => Self::Fetch { target: data.target()?, request: data.request()? },
            8 => Self::FetchResponse { request: data.request()?, sockets: data.sockets()? },
            9 => Self::ServerSideEmit { data: data.event()?, request: data.awaited()? },
            10 => Self::ServerSideEmitResponse { request: data.request()?, answer: data.packet },
            11 => Self::ClientCount { request: data.request()?, count: data.count()? },
            _ => Self::Ack { request: data.request()?, answer: data.packet },
        })
    }

    /// Writes `data`, its members in the order in which Node's adapter has them, or the emitter if `sender`
    /// is one.
    pub(super) fn write_data(
        &self,
        writer: &mut Writer<'_>,
        sender: &str,
    ) -> Result<(), Unwritable> {
        match self {
            Self::InitialHeartbeat | Self::Heartbeat | Self::Close => writer.map(0),
            Self::Broadcast { packet, target, request } => {
                writer.map(2 + u32::from(request.is_some()));
                writer.key("packet");
                packet.write(writer)?;
                write_request(writer, request.as_deref());
                if sender == EMITTER {
                    writer.key("opts");
                    target.write_as_emitter(writer);
                } else {
                    write_target(writer, target);
                }
            }
            Self::Join { target, rooms } | Self::Leave { target, rooms } => {
                writer.map(2);
                write_target(writer, target);
                writer.key("rooms");
                rooms.write(writer);
            }
            Self::Disconnect { target, close } => {
                writer.map(2);
                write_target(writer, target);
                writer.key("close");
                writer.bool(*close);
            }
            Self::Fetch { target, request } => {
                writer.map(2);
                write_target(writer, target);
                write_request(writer, Some(request));
            }
            Self::FetchResponse { request, sockets } => {
                writer.map(2);
                write_request(writer, Some(request));
                writer.key("sockets");
                sockets.write(writer)?;
            }
            Self::ServerSideEmit { data, request } => {
                writer.map(1 + u32::from(request.is_some()));
                write_request(writer, request.as_deref());
                writer.key("packet");
                writer.value(data)?;
            }
            Self::ClientCount { request, count } => {
                writer.map(2);
                write_request(writer, Some(request));
                writer.key("clientCount");
                writer.uint(*count);
            }
            Self::ServerSideEmitResponse { request, answer } | Self::Ack { request, answer } => {
                // Only one of the encoders writes a member that is undefined.
                let keeps = writer.form() == Form::Msgpack(Dialect::Standard);
                writer.map(1 + u32::from(keeps || answer.is_some()));
                write_request(writer, Some(request));
                match answer {
                    Some(answer) => {
                        writer.key("packet");
                        writer.value(answer)?;
                    }
                    None if keeps => {
                        writer.key("packet");
                        writer.nil();
                    }
                    None => {}
                }
            }
        }
        writer.end_map();
        Ok(())
    }
}

fn write_request(writer: &mut Writer<'_>, request: Option<&str>) {
    if let Some(request) = request {
        writer.key("requestId");
        writer.str(request);
    }
}

fn write_target(writer: &mut Writer<'_>, target: &Target<'_>) {
    writer.key("opts");
    target.write(writer);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Envelope;
    use crate::limits::ClusterLimits;

    fn decode(message: &[u8]) -> Result<Envelope<'_>, Malformed> {
        static LIMITS: ClusterLimits =
            ClusterLimits { message_bytes_max: 1000, depth_max: 8, attachments_max: 2 };
        Envelope::decode(message, &LIMITS)
    }

    #[test]
    fn what_is_no_message_says_why() {
        for (kind, data, why) in [
            (0, "{}", Malformed::UnknownType(0)),
            (14, "{}", Malformed::UnknownType(14)),
            (3, "null", Malformed::Member("data")),
            (3, "{}", Malformed::Member("packet")),
            (3, r#"{"packet":{"type":2,"data":["a"]}}"#, Malformed::Member("opts")),
            (
                3,
                r#"{"packet":{"type":2,"data":["a"]},"opts":{},"requestId":1}"#,
                Malformed::Member("requestId"),
            ),
            (4, "{}", Malformed::Member("opts")),
            (5, r#"{"opts":{},"rooms":"a"}"#, Malformed::Member("rooms")),
            (6, "[]", Malformed::Member("data")),
            (7, r#"{"opts":{}}"#, Malformed::Member("requestId")),
            (8, r#"{"requestId":"a"}"#, Malformed::Member("sockets")),
            (9, r#"{"packet":{}}"#, Malformed::Member("packet")),
            (10, "{}", Malformed::Member("requestId")),
            (11, r#"{"requestId":"a","clientCount":"1"}"#, Malformed::Member("clientCount")),
            (12, "{}", Malformed::Member("requestId")),
        ] {
            let text = format!(r#"{{"type":{kind},"data":{data},"uid":"u","nsp":"/"}}"#);
            assert_eq!(decode(text.as_bytes()).err(), Some(why), "{text}");
        }
    }
}
