//! What nodes tell each other of their sockets.

use std::borrow::Cow;

use super::container::Elements;
use super::malformed::{Malformed, Unwritable};
use super::names::Names;
use super::value::Value;
use super::writer::Writer;

/// A socket of some node.
#[derive(Debug, Clone)]
pub struct RemoteSocket<'a> {
    /// Its id. Where only ids were asked there is nothing else.
    pub id: Cow<'a, str>,
    /// What is known of its client since the handshake, as an object.
    pub handshake: Option<Value<'a>>,
    /// The rooms it is in.
    pub rooms: Names<'a>,
    /// What the application keeps with it.
    pub data: Option<Value<'a>>,
}

impl<'a> RemoteSocket<'a> {
    fn read(value: Value<'a>) -> Result<Self, Malformed> {
        if let Some(id) = value.text() {
            return Ok(Self { id, handshake: None, rooms: Names::default(), data: None });
        }
        let members = value.members().ok_or(Malformed::Member("sockets"))?;
        let (mut id, mut handshake, mut rooms, mut data) = (None, None, None, None);
        for (key, value) in members {
            match &*key {
                "id" => id = Some(value),
                "handshake" => handshake = Some(value),
                "rooms" => rooms = Some(value),
                "data" => data = Some(value),
                _ => {}
            }
        }
        let id = id.and_then(|id| id.text()).ok_or(Malformed::Member("sockets.id"))?;
        Ok(Self { id, handshake, rooms: Names::read(rooms, "sockets.rooms")?, data })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unwritable> {
        let Self { id, handshake, rooms, data } = self;
        if handshake.is_none() && rooms.is_empty() && data.is_none() {
            writer.str(id);
            return Ok(());
        }
        writer.map(2 + u32::from(handshake.is_some()) + u32::from(data.is_some()));
        writer.key("id");
        writer.str(id);
        if let Some(handshake) = handshake {
            writer.key("handshake");
            writer.value(handshake)?;
        }
        writer.key("rooms");
        rooms.write(writer);
        if let Some(data) = data {
            writer.key("data");
            writer.value(data)?;
        }
        writer.end_map();
        Ok(())
    }
}

/// A list of sockets, borrowed from a message or from whoever makes one.
#[derive(Debug, Clone, Copy)]
pub struct Sockets<'a>(Source<'a>);

#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    Listed(&'a [RemoteSocket<'a>]),
    /// All of them sockets.
    Read(Elements<'a>),
}

impl<'a> Sockets<'a> {
    /// Reads a list of sockets, or of ids.
    pub(crate) fn read(value: Value<'a>, member: &'static str) -> Result<Self, Malformed> {
        let elements = value.elements().ok_or(Malformed::Member(member))?;
        for element in elements {
            RemoteSocket::read(element)?;
        }
        Ok(Self(Source::Read(elements)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The sockets in their order.
    pub fn iter(&self) -> impl Iterator<Item = RemoteSocket<'a>> + use<'a> {
        let (listed, read) = match self.0 {
            Source::Listed(sockets) => (sockets, None),
            Source::Read(elements) => (&[][..], Some(elements)),
        };
        let read = read.into_iter().flatten().filter_map(|value| RemoteSocket::read(value).ok());
        listed.iter().cloned().chain(read)
    }

    /// Whether there is binary data in what is told of one.
    pub(crate) fn has_binary(&self) -> bool {
        self.iter().any(|socket| {
            let parts = [socket.handshake, socket.data];
            parts.into_iter().flatten().any(|part| part.has_binary())
        })
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), Unwritable> {
        writer.list(self.len());
        for socket in self.iter() {
            socket.write(writer)?;
        }
        writer.end_list();
        Ok(())
    }
}

impl<'a> From<&'a [RemoteSocket<'a>]> for Sockets<'a> {
    fn from(sockets: &'a [RemoteSocket<'a>]) -> Self {
        Self(Source::Listed(sockets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::writer::Form;

    #[test]
    fn ids_and_sockets_are_read_and_written() {
        for text in [
            "[]",
            r#"["a","b"]"#,
            r#"[{"id":"a","rooms":["r"]},"b",{"id":"c","rooms":[],"data":null}]"#,
            r#"[{"id":"a","handshake":{"t":1},"rooms":["a","r"],"data":{}},{"id":"b","handshake":{},"rooms":[]}]"#,
        ] {
            let sockets = Sockets::read(Value::json(text), "sockets").unwrap();
            assert_eq!(sockets.is_empty(), text == "[]");
            let again: Vec<_> = sockets.iter().collect();
            for sockets in [sockets, Sockets::from(&again[..])] {
                let mut out = Vec::new();
                sockets.write(&mut Writer::new(&mut out, Form::Json)).unwrap();
                assert_eq!(out, text.as_bytes());
            }
        }
    }

    #[test]
    fn what_is_no_socket_is_refused() {
        for (text, member) in [
            ("{}", "sockets"),
            ("[1]", "sockets"),
            ("[{}]", "sockets.id"),
            (r#"[{"id":1}]"#, "sockets.id"),
            (r#"["a",{"id":"a","rooms":7}]"#, "sockets.rooms"),
        ] {
            let error = Sockets::read(Value::json(text), "sockets").err();
            assert_eq!(error, Some(Malformed::Member(member)), "{text}");
        }
    }
}
