//! What a node asks all others, or tells them to do.

use std::borrow::Cow;

use crate::cluster::dialect::Dialect;
use crate::cluster::malformed::{Malformed, Unwritable};
use crate::cluster::names::Names;
use crate::cluster::packet::Packet;
use crate::cluster::target::Target;
use crate::cluster::value::Value;
use crate::cluster::writer::{Form, Writer};
use crate::limits::ClusterLimits;

/// Which versions of the adapter speak so. Types are the same here for both; their numbers are not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Generation {
    /// `socket.io-redis` 6 and `@socket.io/redis-adapter`: ids are in `requestId`.
    #[default]
    Current,
    /// `socket.io-redis` up to 5, for Socket.IO 1 and 2: ids are in `requestid`.
    Old,
}

/// A request of a node, or an order of an emitter.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Who asks: a node's name in the namespace. The older ones and emitters' orders have none.
    pub sender: Option<Cow<'a, str>>,
    /// What a response will refer to. A request without it wants none.
    pub id: Option<Cow<'a, str>>,
    /// Who is to understand it, or wrote it: the response has to be of the same.
    pub generation: Generation,
    /// What is asked.
    pub action: Action<'a>,
}

/// What is asked, or told.
#[derive(Debug, Clone)]
pub enum Action<'a> {
    /// The ids of the sockets in any of these rooms; of all if there are none.
    Sockets {
        /// The rooms.
        rooms: Names<'a>,
    },
    /// The names of all rooms.
    AllRooms,
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
    /// One socket is to join a room; its node responds when it has. Of versions up to 7.
    JoinOne {
        /// The socket's id.
        sid: Cow<'a, str>,
        /// The room.
        room: Cow<'a, str>,
    },
    /// One socket is to leave a room; its node responds when it has. Of versions up to 7.
    LeaveOne {
        /// The socket's id.
        sid: Cow<'a, str>,
        /// The room.
        room: Cow<'a, str>,
    },
    /// One socket is to be disconnected; its node responds when it is. Of versions up to 7.
    DisconnectOne {
        /// The socket's id.
        sid: Cow<'a, str>,
        /// Close its connection, too.
        close: bool,
    },
    /// All about the sockets of a target.
    Fetch {
        /// Which sockets.
        target: Target<'a>,
    },
    /// An event for the applications of the other nodes, which they answer if there is an id.
    ServerSideEmit {
        /// The event: a list, its name first. Read it with [`Value::event`].
        data: Value<'a>,
    },
    /// An event for sockets that acknowledge it: how many they are, and what each says.
    Broadcast {
        /// The event.
        packet: Packet<'a>,
        /// Which sockets.
        target: Target<'a>,
    },
    /// The rooms of one socket, which its node tells. Of the old generation only.
    ClientRooms {
        /// The socket's id.
        sid: Cow<'a, str>,
    },
    /// Whatever the applications have agreed upon. Of the old generation only.
    Custom {
        /// What it is.
        data: Option<Value<'a>>,
    },
}

/// The members of a request, as they come.
#[derive(Default)]
struct Members<'a> {
    uid: Option<Value<'a>>,
    request_id: Option<Value<'a>>,
    old_request_id: Option<Value<'a>>,
    kind: Option<Value<'a>>,
    opts: Option<Value<'a>>,
    rooms: Option<Value<'a>>,
    room: Option<Value<'a>>,
    sid: Option<Value<'a>>,
    close: Option<Value<'a>>,
    data: Option<Value<'a>>,
    packet: Option<Value<'a>>,
}

impl<'a> Members<'a> {
    fn read(message: &'a [u8], limits: &ClusterLimits) -> Result<Self, Malformed> {
        let message = Value::read(message, limits)?;
        let mut members = Self::default();
        for (key, value) in message.members().ok_or(Malformed::Syntax)? {
            let member = match &*key {
                "uid" => &mut members.uid,
                "requestId" => &mut members.request_id,
                "requestid" => &mut members.old_request_id,
                "type" => &mut members.kind,
                "opts" => &mut members.opts,
                "rooms" => &mut members.rooms,
                "room" => &mut members.room,
                "sid" => &mut members.sid,
                "close" => &mut members.close,
                "data" => &mut members.data,
                "packet" => &mut members.packet,
                _ => continue,
            };
            *member = Some(value).filter(|value| !value.is_null());
        }
        Ok(members)
    }

    fn target(&self) -> Result<Target<'a>, Malformed> {
        Target::read(self.opts)
    }

    fn rooms(&self) -> Result<Names<'a>, Malformed> {
        Names::read(self.rooms, "rooms")
    }

    fn sid(&self) -> Result<Cow<'a, str>, Malformed> {
        self.sid.and_then(|sid| sid.text()).ok_or(Malformed::Member("sid"))
    }

    fn room(&self) -> Result<Cow<'a, str>, Malformed> {
        self.room.and_then(|room| room.name()).ok_or(Malformed::Member("room"))
    }

    fn close(&self) -> bool {
        self.close.is_some_and(|close| close.truth())
    }

    fn current(&self, kind: u64) -> Result<Action<'a>, Malformed> {
        let to_many = self.opts.is_some();
        Ok(match kind {
            0 => Action::Sockets { rooms: self.rooms()? },
            1 => Action::AllRooms,
            2 if to_many => Action::Join { target: self.target()?, rooms: self.rooms()? },
            3 if to_many => Action::Leave { target: self.target()?, rooms: self.rooms()? },
            4 if to_many => Action::Disconnect { target: self.target()?, close: self.close() },
            2 => Action::JoinOne { sid: self.sid()?, room: self.room()? },
            3 => Action::LeaveOne { sid: self.sid()?, room: self.room()? },
            4 => Action::DisconnectOne { sid: self.sid()?, close: self.close() },
            5 => Action::Fetch { target: self.target()? },
            6 => {
                let data = self.data.filter(|data| data.elements().is_some());
                Action::ServerSideEmit { data: data.ok_or(Malformed::Member("data"))? }
            }
            7 => Action::Broadcast { packet: Packet::read(self.packet)?, target: self.target()? },
            _ => return Err(Malformed::UnknownType(kind)),
        })
    }

    fn old(&self, kind: u64) -> Result<Action<'a>, Malformed> {
        Ok(match kind {
            0 => Action::Sockets { rooms: self.rooms()? },
            1 => Action::ClientRooms { sid: self.sid()? },
            2 => Action::AllRooms,
            3 => Action::JoinOne { sid: self.sid()?, room: self.room()? },
            4 => Action::LeaveOne { sid: self.sid()?, room: self.room()? },
            5 => Action::Custom { data: self.data },
            6 => Action::DisconnectOne { sid: self.sid()?, close: self.close() },
            _ => return Err(Malformed::UnknownType(kind)),
        })
    }
}

impl<'a> Request<'a> {
    /// Reads what any adapter or emitter writes.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(message: &'a [u8], limits: &ClusterLimits) -> Result<Self, Malformed> {
        let members = Members::read(message, limits)?;
        let kind = members.kind.and_then(|kind| kind.index()).ok_or(Malformed::Member("type"))?;
        let is_old = members.old_request_id.is_some() && members.request_id.is_none();
        let (generation, id, action) = match is_old {
            true => (Generation::Old, members.old_request_id, members.old(kind)?),
            false => (Generation::Current, members.request_id, members.current(kind)?),
        };
        let text = |value: Option<Value<'a>>, member| match value {
            Some(value) => value.text().map(Some).ok_or(Malformed::Member(member)),
            None => Ok(None),
        };
        let sender = text(members.uid, "uid")?;
        Ok(Self { sender, id: text(id, "requestId")?, generation, action })
    }

    /// Appends it as Node's adapter writes it: JSON, or MessagePack if it is a broadcast. One without a
    /// sender is as emitters write it.
    ///
    /// # Errors
    /// [`Unwritable`], also if its generation does not know the action; the buffer is then as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        let form = match self.action {
            Action::Broadcast { .. } => Form::Msgpack(Dialect::Notepack),
            _ => Form::Json,
        };
        let kind = self.kind().ok_or(Unwritable::Unchecked)?;
        Writer::write(out, form, |writer| {
            let head = 1 + u32::from(self.sender.is_some()) + u32::from(self.id.is_some());
            // How many members follow is of no interest to JSON, and there are two in the only request
            // that is none.
            writer.map(head + 2);
            if let Some(sender) = &self.sender {
                writer.key("uid");
                writer.str(sender);
            }
            if let Some(id) = &self.id {
                writer.key(self.generation.id_key());
                writer.str(id);
            }
            writer.key("type");
            writer.uint(kind);
            self.action.write(writer)?;
            writer.end_map();
            Ok(())
        })
    }

    fn kind(&self) -> Option<u64> {
        Some(match (self.generation, &self.action) {
            (Generation::Current, action) => match action {
                Action::Sockets { .. } => 0,
                Action::AllRooms => 1,
                Action::Join { .. } | Action::JoinOne { .. } => 2,
                Action::Leave { .. } | Action::LeaveOne { .. } => 3,
                Action::Disconnect { .. } | Action::DisconnectOne { .. } => 4,
                Action::Fetch { .. } => 5,
                Action::ServerSideEmit { .. } => 6,
                Action::Broadcast { .. } => 7,
                Action::ClientRooms { .. } | Action::Custom { .. } => return None,
            },
            (Generation::Old, action) => match action {
                Action::Sockets { .. } => 0,
                Action::ClientRooms { .. } => 1,
                Action::AllRooms => 2,
                Action::JoinOne { .. } => 3,
                Action::LeaveOne { .. } => 4,
                Action::Custom { .. } => 5,
                Action::DisconnectOne { .. } => 6,
                _ => return None,
            },
        })
    }
}

impl Generation {
    pub(super) fn id_key(self) -> &'static str {
        match self {
            Self::Current => "requestId",
            Self::Old => "requestid",
        }
    }
}

impl Action<'_> {
    /// The members that are its own.
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unwritable> {
        match self {
            Self::AllRooms | Self::Custom { data: None } => {}
            Self::Sockets { rooms } => write_rooms(writer, rooms),
            Self::Join { target, rooms } | Self::Leave { target, rooms } => {
                writer.key("opts");
                target.write_without_flags(writer);
                write_rooms(writer, rooms);
            }
            Self::Disconnect { target, close } => {
                writer.key("opts");
                target.write_without_flags(writer);
                writer.key("close");
                writer.bool(*close);
            }
            Self::JoinOne { sid, room } | Self::LeaveOne { sid, room } => {
                write_sid(writer, sid);
                writer.key("room");
                writer.str(room);
            }
            Self::DisconnectOne { sid, close } => {
                write_sid(writer, sid);
                writer.key("close");
                writer.bool(*close);
            }
            Self::Fetch { target } => {
                writer.key("opts");
                target.write_without_flags(writer);
            }
            Self::ServerSideEmit { data } | Self::Custom { data: Some(data) } => {
                writer.key("data");
                writer.value(data)?;
            }
            Self::Broadcast { packet, target } => {
                writer.key("packet");
                packet.write(writer)?;
                writer.key("opts");
                target.write(writer);
            }
            Self::ClientRooms { sid } => write_sid(writer, sid),
        }
        Ok(())
    }
}

fn write_rooms(writer: &mut Writer<'_>, rooms: &Names<'_>) {
    writer.key("rooms");
    rooms.write(writer);
}

fn write_sid(writer: &mut Writer<'_>, sid: &str) {
    writer.key("sid");
    writer.str(sid);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(message: &[u8]) -> Result<Request<'_>, Malformed> {
        static LIMITS: ClusterLimits =
            ClusterLimits { message_bytes_max: 1000, depth_max: 8, attachments_max: 2 };
        Request::decode(message, &LIMITS)
    }

    #[test]
    fn the_key_of_the_id_tells_which_numbers_count() {
        let old = decode(br#"{"requestid":"a","type":4,"sid":"s","room":"r"}"#).unwrap();
        assert!(matches!(old.action, Action::LeaveOne { .. }), "{old:?}");
        assert_eq!((old.generation, old.id.as_deref()), (Generation::Old, Some("a")));
        let current = decode(br#"{"requestId":"a","type":4,"sid":"s","room":"r"}"#).unwrap();
        assert!(matches!(current.action, Action::DisconnectOne { close: false, .. }));
        let both = decode(br#"{"requestId":"a","requestid":"b","type":1}"#).unwrap();
        assert_eq!((both.generation, both.id.as_deref()), (Generation::Current, Some("a")));
    }

    #[test]
    fn what_one_generation_lacks_cannot_be_asked() {
        let mut out = Vec::new();
        for (generation, action) in [
            (Generation::Current, Action::Custom { data: None }),
            (Generation::Current, Action::ClientRooms { sid: "s".into() }),
            (Generation::Old, Action::Fetch { target: Target::all() }),
        ] {
            let request = Request { sender: None, id: None, generation, action };
            assert_eq!(request.encode(&mut out), Err(Unwritable::Unchecked));
        }
        assert_eq!(out, b"");
    }

    #[test]
    fn what_is_no_request_says_why() {
        for (message, why) in [
            (&b"[]"[..], Malformed::Syntax),
            (b"{}", Malformed::Member("type")),
            (br#"{"type":"1"}"#, Malformed::Member("type")),
            (br#"{"type":10}"#, Malformed::UnknownType(10)),
            (br#"{"requestid":"a","type":7}"#, Malformed::UnknownType(7)),
            (br#"{"type":1,"requestId":7}"#, Malformed::Member("requestId")),
            (br#"{"type":1,"uid":7}"#, Malformed::Member("uid")),
            (br#"{"type":2}"#, Malformed::Member("sid")),
            (br#"{"type":2,"sid":"a"}"#, Malformed::Member("room")),
            (br#"{"type":2,"opts":1}"#, Malformed::Member("opts")),
            (br#"{"type":2,"opts":{},"rooms":{}}"#, Malformed::Member("rooms")),
            (br#"{"type":5}"#, Malformed::Member("opts")),
            (br#"{"type":6}"#, Malformed::Member("data")),
            (br#"{"type":6,"data":{}}"#, Malformed::Member("data")),
            (br#"{"type":7}"#, Malformed::Member("packet")),
        ] {
            assert_eq!(decode(message).err(), Some(why), "{}", message.escape_ascii());
        }
    }
}
