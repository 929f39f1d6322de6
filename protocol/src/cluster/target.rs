//! Whom something is for: the `opts` of Socket.IO's adapters.

use super::malformed::Malformed;
use super::names::Names;
use super::value::Value;
use super::writer::Writer;

/// Whom a broadcast or an operation is for. Each socket is meant once, however many of the rooms it is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Target<'a> {
    /// Members of any of these rooms; none means the whole namespace. A socket's id is a room of its own.
    pub rooms: Names<'a>,
    /// But not members of any of these rooms.
    pub except: Names<'a>,
    /// How it is to be sent.
    pub flags: Flags,
}

/// How an event is to be sent. Others (`broadcast`, `json`, of older versions) mean nothing any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags {
    /// Drop it for clients whose transport is not writable right now.
    pub volatile: bool,
    /// Whether it may be compressed, where somebody said so.
    pub compress: Option<bool>,
    /// How long the clients' acknowledgements are awaited, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// The sender waits for one acknowledgement only: it is for one socket.
    pub expects_single_response: bool,
}

impl<'a> Target<'a> {
    /// All sockets of the namespace.
    pub fn all() -> Self {
        Self::default()
    }

    /// The members of any of these rooms.
    pub fn rooms(rooms: impl Into<Names<'a>>) -> Self {
        Self { rooms: rooms.into(), ..Self::default() }
    }

    /// Whether it includes a socket that is in these rooms.
    pub fn includes(&self, socket_rooms: &Names<'_>) -> bool {
        let is_in = |names: &Names<'_>| {
            names.iter().any(|name| socket_rooms.iter().any(|room| room == name))
        };
        (self.rooms.is_empty() || is_in(&self.rooms)) && !is_in(&self.except)
    }

    /// Reads `opts`; older writers leave out what is empty.
    pub(crate) fn read(opts: Option<Value<'a>>) -> Result<Self, Malformed> {
        let members = opts.and_then(|opts| opts.members()).ok_or(Malformed::Member("opts"))?;
        let (mut rooms, mut except, mut flags) = (None, None, None);
        for (key, value) in members {
            match &*key {
                "rooms" => rooms = Some(value),
                "except" => except = Some(value),
                "flags" => flags = Some(value),
                _ => {}
            }
        }
        Ok(Self {
            rooms: Names::read(rooms, "rooms")?,
            except: Names::read(except, "except")?,
            flags: flags.map_or_else(Flags::default, Flags::read),
        })
    }

    /// As adapters have it: rooms, exceptions, flags.
    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        writer.map(3);
        self.write_names(writer);
        self.flags.write(writer);
        writer.end_map();
    }

    /// As emitters have it, which end with the exceptions.
    pub(crate) fn write_as_emitter(&self, writer: &mut Writer<'_>) {
        writer.map(3);
        writer.key("rooms");
        self.rooms.write(writer);
        self.flags.write(writer);
        writer.key("except");
        self.except.write(writer);
        writer.end_map();
    }

    /// As the classic adapter has it where nothing is sent to clients.
    pub(crate) fn write_without_flags(&self, writer: &mut Writer<'_>) {
        writer.map(2);
        self.write_names(writer);
        writer.end_map();
    }

    fn write_names(&self, writer: &mut Writer<'_>) {
        writer.key("rooms");
        self.rooms.write(writer);
        writer.key("except");
        self.except.write(writer);
    }
}

impl Flags {
    /// Reads what it knows, and ignores the rest, as Node does.
    fn read(value: Value<'_>) -> Self {
        let mut flags = Self::default();
        for (key, value) in value.members().into_iter().flatten() {
            match &*key {
                "volatile" => flags.volatile = value.truth(),
                "compress" if !value.is_null() => flags.compress = Some(value.truth()),
                "timeout" => flags.timeout_ms = value.index(),
                "expectSingleResponse" => flags.expects_single_response = value.truth(),
                _ => {}
            }
        }
        flags
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let Self { volatile, compress, timeout_ms, expects_single_response } = *self;
        writer.key("flags");
        writer.map(
            u32::from(volatile)
                + u32::from(compress.is_some())
                + u32::from(timeout_ms.is_some())
                + u32::from(expects_single_response),
        );
        if expects_single_response {
            writer.key("expectSingleResponse");
            writer.bool(true);
        }
        if volatile {
            writer.key("volatile");
            writer.bool(true);
        }
        if let Some(compress) = compress {
            writer.key("compress");
            writer.bool(compress);
        }
        if let Some(timeout_ms) = timeout_ms {
            writer.key("timeout");
            writer.uint(timeout_ms);
        }
        writer.end_map();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::writer::Form;

    #[test]
    fn flags_that_nobody_knows_are_ignored() {
        let opts = r#"{"flags":{"json":true,"volatile":true,"compress":false,"timeout":1.5}}"#;
        let target = Target::read(Some(Value::json(opts))).unwrap();
        let flags = Flags { volatile: true, compress: Some(false), ..Flags::default() };
        assert_eq!(target, Target { flags, ..Target::all() });
        for odd in ["{}", r#"{"flags":null}"#, r#"{"flags":[1]}"#, r#"{"rooms":null}"#] {
            assert_eq!(Target::read(Some(Value::json(odd))), Ok(Target::all()), "{odd}");
        }
    }

    #[test]
    fn all_that_is_written_is_read() {
        let flags = Flags {
            volatile: true,
            compress: Some(false),
            timeout_ms: Some(0),
            expects_single_response: true,
        };
        let target = Target { rooms: (&["a", "b"]).into(), except: (&["c"]).into(), flags };
        for write in [Target::write, Target::write_as_emitter] {
            let mut out = Vec::new();
            write(&target, &mut Writer::new(&mut out, Form::Json));
            let text = std::str::from_utf8(&out).unwrap();
            assert_eq!(Target::read(Some(Value::json(text))), Ok(target), "{text}");
        }
    }

    #[test]
    fn a_target_includes_members_of_its_rooms_only() {
        let includes = |rooms: &[&str], except: &[&str], of: &[&str]| {
            let target = Target { except: except.into(), ..Target::rooms(rooms) };
            target.includes(&of.into())
        };
        assert!(includes(&[], &[], &[]) && includes(&[], &["b"], &["a"]));
        assert!(includes(&["a", "c"], &["b"], &["c"]) && !includes(&["a"], &[], &["b"]));
        assert!(!includes(&["a"], &["b"], &["a", "b"]) && !includes(&[], &["b"], &["b"]));
    }

    #[test]
    fn no_target_is_no_broadcast_to_all() {
        for bad in [None, Some(Value::json("null")), Some(Value::json("[]"))] {
            assert_eq!(Target::read(bad), Err(Malformed::Member("opts")));
        }
    }
}
