//! One Socket.IO packet as a MessagePack map with the keys `type`, `nsp`, `data` and `id`, in any order.
//!
//! [`decode`] borrows everything from the message, allocates nothing, reads it once, and refuses whatever
//! a well-behaved peer never sends, so that what comes out needs no second look. Like the default
//! parser's it knows no namespaces and no roles. It refuses what the default parser does, also where the
//! reference's checks are fewer (it lets a client raise `disconnect`); only `null` stands for a member
//! that is left out, as encoders of other languages write it.

use crate::limits::PacketLimits;
use crate::socket::{PacketType, RESERVED_EVENTS};

use super::token::{Fault, Token, Tokens, text};

/// A decoded packet, borrowed from its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is for; never one of the binary kinds, which this format has no need of.
    pub kind: PacketType,
    /// The namespace as written.
    pub namespace: &'a str,
    /// The ack id, at most 2⁵³ − 1. Zero is an id like any other.
    pub id: Option<u64>,
    /// The payload: one MessagePack value of the right shape for `kind`. A CONNECT's is read with
    /// [`from_slice`](super::from_slice).
    pub data: Option<&'a [u8]>,
}

/// Why a packet is refused. The caller's answer to each is to close the connection; the variants are
/// for counters and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// Peer's fault: the message is not exactly one MessagePack value, or has a string that is not
    /// UTF-8.
    Msgpack,
    /// Peer's fault: the message is no map.
    NotAMap,
    /// Limit `json_depth_max`: the payload nests deeper.
    TooDeep,
    /// Peer's fault: no such packet type, or none at all.
    UnknownType,
    /// Peer's fault: there is no namespace, or its name does not start with a slash, or has a comma in
    /// it, which the default parser's peers could not write.
    Namespace,
    /// Limit `namespace_bytes_max`: the namespace's name is longer.
    NamespaceTooLong,
    /// Peer's fault: the ack id is no whole number from 0 to 2⁵³ − 1.
    Id,
    /// Peer's fault: the payload's shape does not fit the packet's type.
    Payload,
    /// Peer's fault: an event with one of [`RESERVED_EVENTS`].
    ReservedEvent,
}

impl DecodeError {
    /// The field of [`PacketLimits`] that was exceeded, if it was one.
    pub fn limit(self) -> Option<&'static str> {
        Some(match self {
            Self::NamespaceTooLong => "namespace_bytes_max",
            Self::TooDeep => "json_depth_max",
            _ => return None,
        })
    }
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Msgpack => "message is not MessagePack",
            Self::NotAMap => "message is not a map",
            Self::TooDeep => "payload nests too deep",
            Self::UnknownType => "unknown packet type",
            Self::Namespace => "illegal namespace",
            Self::NamespaceTooLong => "namespace too long",
            Self::Id => "illegal ack id",
            Self::Payload => "payload does not fit the packet type",
            Self::ReservedEvent => "reserved event name",
        })
    }
}

impl std::error::Error for DecodeError {}

impl From<Fault> for DecodeError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Malformed => Self::Msgpack,
            Fault::Depth => Self::TooDeep,
        }
    }
}

/// Reads one binary Engine.IO message as a packet. Members that it does not know are ignored (the
/// JavaScript client adds `options`); of those that are there twice the last counts.
///
/// # Errors
/// Any deviation from the format, and any limit; see [`DecodeError`].
pub fn decode<'a>(message: &'a [u8], limits: &PacketLimits) -> Result<Packet<'a>, DecodeError> {
    let members = Members::read(message, limits)?;
    let kind = kind(members.kind)?;
    let namespace = namespace(members.namespace, limits)?;
    let id = match members.id {
        id if is_absent(id) => None,
        id => Some(id.index().ok_or(DecodeError::Id)?),
    };
    check_shape(kind, &members)?;
    Ok(Packet { kind, namespace, id, data: members.data() })
}

/// The members of a packet that are known: the head of each, and all of the payload.
struct Members<'a> {
    kind: Token<'a>,
    namespace: Token<'a>,
    id: Token<'a>,
    data: Token<'a>,
    data_bytes: &'a [u8],
}

impl<'a> Members<'a> {
    fn read(message: &'a [u8], limits: &PacketLimits) -> Result<Self, DecodeError> {
        let mut tokens = Tokens::new(message);
        let Token::Map(count) = tokens.next()? else { return Err(DecodeError::NotAMap) };
        let absent = Token::Undefined;
        let mut members =
            Self { kind: absent, namespace: absent, id: absent, data: absent, data_bytes: &[] };
        for _ in 0..count {
            let key = tokens.next()?;
            tokens.check(key, limits.json_depth_max)?;
            let from = tokens.rest();
            let value = tokens.next()?;
            tokens.check(value, limits.json_depth_max)?;
            match key {
                Token::Str(b"type") => members.kind = value,
                Token::Str(b"nsp") => members.namespace = value,
                Token::Str(b"id") => members.id = value,
                Token::Str(b"data") => {
                    members.data = value;
                    members.data_bytes = &from[..from.len() - tokens.rest().len()];
                }
                _ => {}
            }
        }
        if tokens.rest().is_empty() { Ok(members) } else { Err(DecodeError::Msgpack) }
    }

    fn data(&self) -> Option<&'a [u8]> {
        (!is_absent(self.data)).then_some(self.data_bytes)
    }
}

fn is_absent(token: Token<'_>) -> bool {
    matches!(token, Token::Undefined | Token::Nil)
}

fn kind(token: Token<'_>) -> Result<PacketType, DecodeError> {
    Ok(match token.index() {
        Some(0) => PacketType::Connect,
        Some(1) => PacketType::Disconnect,
        Some(2) => PacketType::Event,
        Some(3) => PacketType::Ack,
        Some(4) => PacketType::ConnectError,
        _ => return Err(DecodeError::UnknownType),
    })
}

fn namespace<'a>(token: Token<'a>, limits: &PacketLimits) -> Result<&'a str, DecodeError> {
    let Token::Str(name) = token else { return Err(DecodeError::Namespace) };
    if name.len() > limits.namespace_bytes_max {
        return Err(DecodeError::NamespaceTooLong);
    }
    if !name.starts_with(b"/") || memchr::memchr(b',', name).is_some() {
        return Err(DecodeError::Namespace);
    }
    Ok(text(name)?)
}

fn check_shape(kind: PacketType, members: &Members<'_>) -> Result<(), DecodeError> {
    let head = members.data;
    let fits = match kind {
        PacketType::Connect => is_absent(head) || matches!(head, Token::Map(_)),
        PacketType::Disconnect => is_absent(head),
        PacketType::Ack => is_absent(head) || matches!(head, Token::Array(_)),
        PacketType::ConnectError => matches!(head, Token::Map(_) | Token::Str(_)),
        _ => return check_event(members.data_bytes),
    };
    if fits { Ok(()) } else { Err(DecodeError::Payload) }
}

/// Checks that an array starts with a number, or a string that is not reserved.
fn check_event(data: &[u8]) -> Result<(), DecodeError> {
    let mut tokens = Tokens::new(data);
    if !matches!(tokens.next(), Ok(Token::Array(1..))) {
        return Err(DecodeError::Payload);
    }
    match tokens.next()? {
        Token::Unsigned(_) | Token::Signed(_) | Token::Float(_) => Ok(()),
        Token::Str(name) if is_reserved(name) => Err(DecodeError::ReservedEvent),
        Token::Str(_) => Ok(()),
        _ => Err(DecodeError::Payload),
    }
}

fn is_reserved(name: &[u8]) -> bool {
    // Their first letters tell nearly every other name apart.
    matches!(name.first(), Some(b'c' | b'd' | b'n' | b'r'))
        && RESERVED_EVENTS.iter().any(|reserved| reserved.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(message: &[u8]) -> Result<Packet<'_>, DecodeError> {
        super::decode(message, &PacketLimits::default())
    }

    /// A packet of members that are MessagePack already.
    fn packet(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        rmp::encode::write_map_len(&mut out, members.len() as u32).unwrap();
        for (key, value) in members {
            rmp::encode::write_str(&mut out, key).unwrap();
            out.extend_from_slice(value);
        }
        out
    }

    const ROOT: (&str, &[u8]) = ("nsp", b"\xa1/");

    #[test]
    fn members_come_in_any_order_and_some_are_not_ours() {
        let data: &[u8] = b"\x92\xa1a\x01";
        let expected =
            Packet { kind: PacketType::Event, namespace: "/", id: Some(0), data: Some(data) };
        for members in [
            [("type", &b"\x02"[..]), ROOT, ("data", data), ("id", b"\0")],
            [("id", &b"\xcb\0\0\0\0\0\0\0\0"[..]), ("data", data), ROOT, ("type", b"\xcc\x02")],
        ] {
            assert_eq!(decode(&packet(&members)), Ok(expected));
            let mut more = members.to_vec();
            more.insert(2, ("options", b"\x81\xa8compress\xc3"));
            more.push(("type2", b"\x07"));
            assert_eq!(decode(&packet(&more)), Ok(expected));
        }
        let mut keyed_by_all_sorts = packet(&[("type", b"\x01"), ROOT]);
        keyed_by_all_sorts[0] = 0x84;
        keyed_by_all_sorts.extend_from_slice(b"\x07\x01\x91\xa4type\x02");
        assert_eq!(decode(&keyed_by_all_sorts).unwrap().kind, PacketType::Disconnect);
    }

    #[test]
    fn the_last_of_two_counts() {
        let message = packet(&[("type", b"\x09"), ROOT, ("type", b"\x01"), ("nsp", b"\xa2/b")]);
        assert_eq!(decode(&message).unwrap().namespace, "/b");
    }

    #[test]
    fn null_and_undefined_are_left_out() {
        for nothing in [&b"\xc0"[..], b"\xd4\0\0"] {
            for kind in [b"\0", b"\x01", b"\x03"] {
                let message = packet(&[("type", kind), ("data", nothing), ROOT, ("id", nothing)]);
                let decoded = decode(&message).unwrap();
                assert_eq!((decoded.id, decoded.data), (None, None));
            }
            for kind in [b"\x02", b"\x04"] {
                let message = packet(&[("type", kind), ("data", nothing), ROOT]);
                assert_eq!(decode(&message), Err(DecodeError::Payload));
            }
        }
    }

    #[test]
    fn what_each_type_may_carry() {
        let payloads: [(&str, &[u8]); 7] = [
            ("map", b"\x81\xa1t\x01"),
            ("event", b"\x91\xa1a"),
            ("number event", b"\x92\xff\x01"),
            ("empty", b"\x90"),
            ("true", b"\xc3"),
            ("text", b"\xa1x"),
            ("bin", b"\xc4\x01x"),
        ];
        for (kind, fitting) in [
            (0, &["map"][..]),
            (1, &[]),
            (2, &["event", "number event"]),
            (3, &["event", "number event", "empty"]),
            (4, &["map", "text"]),
        ] {
            for (name, data) in payloads {
                let message = packet(&[("type", &[kind]), ("data", data), ROOT]);
                let expected =
                    if fitting.contains(&name) { Ok(()) } else { Err(DecodeError::Payload) };
                assert_eq!(decode(&message).map(|_| ()), expected, "{kind} {name}");
            }
        }
        for name in [&b"\xc0"[..], b"\xc3", b"\x90", b"\x80", b"\xc4\x01a", b"\xd4\0\0"] {
            let message = packet(&[("type", b"\x02"), ROOT, ("data", &[b"\x91", name].concat())]);
            assert_eq!(decode(&message), Err(DecodeError::Payload), "{name:02x?}");
        }
    }

    #[test]
    fn reserved_names_are_for_the_library() {
        let event = |name: &str| {
            let mut data = vec![0x91];
            rmp::encode::write_str(&mut data, name).unwrap();
            let message = packet(&[("type", b"\x02"), ROOT, ("data", &data)]);
            decode(&message).map(|packet| packet.kind)
        };
        for name in RESERVED_EVENTS {
            assert_eq!(event(name), Err(DecodeError::ReservedEvent), "{name}");
            assert!(event(&format!("{name}2")).is_ok());
        }
    }

    #[test]
    fn what_is_refused() {
        let data: (&str, &[u8]) = ("data", b"\x91\xa1a");
        let event: (&str, &[u8]) = ("type", b"\x02");
        let long = rmp_str(&format!("/{}", "x".repeat(512)));
        for (members, error) in [
            (vec![ROOT, data], DecodeError::UnknownType),
            (vec![("type", &b"\x05"[..]), ROOT, data], DecodeError::UnknownType),
            (vec![("type", b"\xff"), ROOT, data], DecodeError::UnknownType),
            (vec![("type", b"\xa12"), ROOT, data], DecodeError::UnknownType),
            (vec![("type", b"\xca\x3f\0\0\0"), ROOT, data], DecodeError::UnknownType),
            (vec![event, data], DecodeError::Namespace),
            (vec![event, data, ("nsp", b"\xc0")], DecodeError::Namespace),
            (vec![event, data, ("nsp", b"\xa0")], DecodeError::Namespace),
            (vec![event, data, ("nsp", b"\xa1a")], DecodeError::Namespace),
            (vec![event, data, ("nsp", b"\xa3/,a")], DecodeError::Namespace),
            (vec![event, data, ("nsp", b"\xc4\x01/")], DecodeError::Namespace),
            (vec![event, data, ("nsp", &long)], DecodeError::NamespaceTooLong),
            (vec![event, data, ROOT, ("id", b"\xff")], DecodeError::Id),
            (vec![event, data, ROOT, ("id", b"\xa11")], DecodeError::Id),
            (vec![event, data, ROOT, ("id", b"\x90")], DecodeError::Id),
            (vec![event, data, ROOT, ("id", b"\xcf\0\x20\0\0\0\0\0\0")], DecodeError::Id),
            (vec![event, data, ("nsp", b"\xa2/\xff")], DecodeError::Msgpack),
        ] {
            assert_eq!(decode(&packet(&members)), Err(error), "{members:02x?}");
        }
        let last = packet(&[event, data, ROOT, ("id", b"\xcf\0\x1f\xff\xff\xff\xff\xff\xff")]);
        assert_eq!(decode(&last).unwrap().id, Some((1 << 53) - 1));
        for message in [&b""[..], b"\x81", b"\xc1", b"\x80\x80"] {
            assert_eq!(decode(message), Err(DecodeError::Msgpack), "{message:02x?}");
        }
        for message in [&b"\x90"[..], b"\xc0", b"\xa1x", b"\x01"] {
            assert_eq!(decode(message), Err(DecodeError::NotAMap), "{message:02x?}");
        }
    }

    fn rmp_str(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        rmp::encode::write_str(&mut out, text).unwrap();
        out
    }

    #[test]
    fn limits_are_named_after_their_fields() {
        let nested =
            |depth: usize| [vec![0x92, 0xa1, b'a'], vec![0x91; depth - 2], vec![0x90]].concat();
        let event = |data: &[u8]| packet(&[("type", b"\x02"), ROOT, ("data", data)]);
        assert!(decode(&event(&nested(127))).is_ok());
        let error = decode(&event(&nested(128))).unwrap_err();
        assert_eq!(error.limit(), Some("json_depth_max"));
        // Nor does depth hide where nothing is read.
        let aside = packet(&[("type", b"\x01"), ROOT, ("x", &nested(100_000))]);
        assert_eq!(decode(&aside), Err(DecodeError::TooDeep));
        assert_eq!(DecodeError::NamespaceTooLong.limit(), Some("namespace_bytes_max"));
        assert_eq!(DecodeError::Payload.limit(), None);
    }
}
