//! An event for the sockets of all nodes: `[uid, packet, opts]` in MessagePack.

use std::borrow::Cow;

use crate::cluster::EMITTER;
use crate::cluster::dialect::Dialect;
use crate::cluster::malformed::{Malformed, Unwritable};
use crate::cluster::packet::Packet;
use crate::cluster::target::Target;
use crate::cluster::value::Value;
use crate::cluster::writer::{Form, Writer};
use crate::limits::ClusterLimits;

/// An event on its way to all nodes, from one of them or from an emitter.
#[derive(Debug, Clone)]
pub struct Broadcast<'a> {
    /// Who sends it: a node's name in the namespace, or [`EMITTER`]. A node's own come back to it.
    pub sender: Cow<'a, str>,
    /// The event. Its namespace is that of the channel, or else it is for nobody.
    pub packet: Packet<'a>,
    /// Whom it is for.
    pub target: Target<'a>,
}

impl<'a> Broadcast<'a> {
    /// Reads what any adapter or emitter writes, of today or of old; but see
    /// [`modernise`](crate::cluster::modernise) for the oldest, which this refuses.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(message: &'a [u8], limits: &ClusterLimits) -> Result<Self, Malformed> {
        if message.len() > limits.message_bytes_max {
            return Err(Malformed::TooLong);
        }
        let message = Value::read_msgpack(message, limits)?;
        let mut elements = message.elements().ok_or(Malformed::Syntax)?;
        let sender = elements.next().and_then(|uid| uid.text()).ok_or(Malformed::Member("uid"))?;
        let packet = Packet::read(elements.next())?;
        let target = Target::read(elements.next())?;
        Ok(Self { sender, packet, target })
    }

    /// Appends it as MessagePack, as adapters write it, or as emitters do if it is one's.
    ///
    /// # Errors
    /// [`Unwritable`]; the buffer is then as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        Writer::write(out, Form::Msgpack(Dialect::Notepack), |writer| {
            writer.list(3);
            writer.str(&self.sender);
            self.packet.write(writer)?;
            if self.sender == EMITTER {
                self.target.write_as_emitter(writer);
            } else {
                self.target.write(writer);
            }
            Ok(())
        })
    }

    /// The namespace that it says it is for.
    pub fn namespace(&self) -> &str {
        self.packet.namespace.as_deref().unwrap_or("/")
    }

    /// What members of `room`, on whose channel it came, must not be in to get it from there.
    ///
    /// Writers for Socket.IO 1 and 2 publish one message for several rooms on the channel of each: who
    /// hears several of them would have it several times. So each socket takes it from the channel of
    /// the first of its rooms only: from this one are excluded the members of all rooms that are listed
    /// before `room`, and all that are not in `room`. Today's writers use a room's channel only for what
    /// is for that room alone, and for theirs this is nothing.
    pub fn earlier_rooms(&self, room: &str) -> impl Iterator<Item = Cow<'a, str>> {
        let is_listed =
            self.target.rooms.len() > 1 && self.target.rooms.iter().any(|listed| listed == room);
        let rooms = if is_listed { self.target.rooms } else { Default::default() };
        rooms.iter().take_while(move |listed| listed != room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ClusterLimits =
        ClusterLimits { message_bytes_max: 100, depth_max: 8, attachments_max: 2 };

    #[test]
    fn what_old_writers_leave_out_is_empty() {
        let message = b"\x93\xa7emitter\x82\xa4type\x05\xa4data\x91\xa1a\x80";
        let broadcast = Broadcast::decode(message, &LIMITS).unwrap();
        assert_eq!((&*broadcast.sender, broadcast.namespace()), (EMITTER, "/"));
        assert_eq!(broadcast.target, Target::all());
        assert_eq!(broadcast.packet.event().unwrap().name, "a");
    }

    #[test]
    fn what_is_no_broadcast_says_why() {
        for (message, why) in [
            (&b"{}"[..], Malformed::Syntax),
            (b"\x80", Malformed::Syntax),
            (b"\x90", Malformed::Member("uid")),
            (b"\x93\x01\x80\x80", Malformed::Member("uid")),
            (b"\x91\xa0", Malformed::Member("packet")),
            (b"\x93\xa0\x80\x80", Malformed::Member("packet.type")),
            (b"\x92\xa0\x82\xa4type\x02\xa4data\x91\xa1a", Malformed::Member("opts")),
            (b"\x93\xa0\x82\xa4type\x02\xa4data\x91\xa1a\x80\xc0", Malformed::Syntax),
            (
                b"\x93\xa0\x82\xa4type\x02\xa4data\x91\xa1a\x81\xa5rooms\x91\xc0",
                Malformed::Member("rooms"),
            ),
            (&[0xc0; 101], Malformed::TooLong),
        ] {
            assert_eq!(Broadcast::decode(message, &LIMITS).err(), Some(why), "{message:02x?}");
        }
    }

    #[test]
    fn a_message_on_many_channels_is_taken_from_one() {
        let packet = Packet { namespace: None, id: None, data: Value::json("[\"a\"]") };
        let target = Target::rooms(&["a", "b", "c"]);
        let broadcast = Broadcast { sender: EMITTER.into(), packet, target };
        let earlier = |room: &str| broadcast.earlier_rooms(room).collect::<Vec<_>>();
        assert_eq!(earlier("a"), [""; 0]);
        assert_eq!(earlier("c"), ["a", "b"]);
        assert_eq!(earlier("d"), [""; 0]);
        let single = Broadcast { target: Target::rooms(&["a"]), ..broadcast.clone() };
        assert_eq!(single.earlier_rooms("a").count(), 0);
    }

    #[test]
    fn a_buffer_of_fifteen_bytes_is_of_the_oldest_dialect() {
        let mut message = b"\x93\xa7emitter\x83\xa4type\x05\xa4data\x92\xa1a\xd8\0\x0f".to_vec();
        message.extend_from_slice(&[7; 15]);
        message.extend_from_slice(b"\xa3nsp\xa1/\x81\xa5rooms\x90");
        assert_eq!(Broadcast::decode(&message, &LIMITS).err(), Some(Malformed::Syntax));
        crate::cluster::modernise(&mut message).unwrap();
        let broadcast = Broadcast::decode(&message, &LIMITS).unwrap();
        let bytes: bytes::Bytes = broadcast.packet.event().unwrap().args.parse_arg(0).unwrap();
        assert_eq!(&*bytes, [7; 15]);
    }
}
