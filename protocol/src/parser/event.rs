//! What a packet of either form says to a handler: an event, or the answer to one.

use std::borrow::Cow;

use crate::{msgpack, socket};

use super::args::Args;

/// An event, borrowed from its packet.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// Its name. A number, which a peer may use as a name, is given as JavaScript prints it: that is the
    /// property name under which it would find a listener.
    pub name: Cow<'a, str>,
    /// Its arguments.
    pub args: Args<'a>,
    /// The id under which the peer waits for an acknowledgement, if it does.
    pub id: Option<u64>,
}

/// An event that outlives its packet: for those who cannot handle it at once.
#[derive(Debug, Clone)]
pub struct KeptEvent(Kept);

#[derive(Debug, Clone)]
enum Kept {
    Json(socket::KeptEvent),
    Msgpack(msgpack::KeptEvent),
}

/// An acknowledgement, borrowed from its packet.
#[derive(Debug, Clone)]
pub struct Ack<'a> {
    /// The id of the event that is acknowledged. A peer that sends none acknowledges nothing; like an
    /// unknown id that is no error.
    pub id: Option<u64>,
    /// What the peer answers.
    pub args: Args<'a>,
}

impl<'a> From<socket::Event<'a>> for Event<'a> {
    fn from(event: socket::Event<'a>) -> Self {
        Self { name: event.name, args: Args::Json(event.args), id: event.id }
    }
}

impl<'a> From<msgpack::Event<'a>> for Event<'a> {
    fn from(event: msgpack::Event<'a>) -> Self {
        Self { name: event.name, args: Args::Msgpack(event.args), id: event.id }
    }
}

impl<'a> From<socket::Ack<'a>> for Ack<'a> {
    fn from(ack: socket::Ack<'a>) -> Self {
        Self { id: ack.id, args: Args::Json(ack.args) }
    }
}

impl<'a> From<msgpack::Ack<'a>> for Ack<'a> {
    fn from(ack: msgpack::Ack<'a>) -> Self {
        Self { id: ack.id, args: Args::Msgpack(ack.args) }
    }
}

impl From<&Event<'_>> for KeptEvent {
    fn from(event: &Event<'_>) -> Self {
        let (name, id) = (Cow::Borrowed(&*event.name), event.id);
        Self(match event.args {
            Args::Json(args) => Kept::Json((&socket::Event { name, args, id }).into()),
            Args::Msgpack(args) => Kept::Msgpack((&msgpack::Event { name, args, id }).into()),
        })
    }
}

impl KeptEvent {
    /// The event as it was.
    pub fn lend(&self) -> Event<'_> {
        match &self.0 {
            Kept::Json(event) => event.lend().into(),
            Kept::Msgpack(event) => event.lend().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PacketLimits;
    use crate::parser::Packet;

    fn kept(packet: Packet<'_>) -> KeptEvent {
        KeptEvent::from(&packet.event().unwrap())
    }

    #[test]
    fn what_is_kept_is_what_came() {
        let limits = PacketLimits::default();
        let text = String::from(r#"27["é",1,"two"]"#);
        let json = kept(Packet::Json(&socket::decode(&text, &limits).unwrap(), &[]));
        let mut bytes = Vec::new();
        msgpack::encode::event(&mut bytes, "/", Some(7), "é", &(1, "two")).unwrap();
        let msgpack = kept(Packet::Msgpack(&msgpack::decode(&bytes, &limits).unwrap()));
        drop((text, bytes));
        for kept in [json, msgpack] {
            let event = kept.lend();
            assert_eq!((&*event.name, event.id, event.args.len()), ("é", Some(7), 2));
            assert_eq!(event.args.parse_tuple(), Ok((1, "two")));
        }
    }
}
