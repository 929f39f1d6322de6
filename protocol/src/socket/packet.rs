//! One Socket.IO packet as text: `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`
//! (Socket.IO protocol revision 5, section "Packet encoding"; revision 4 has the same shape).
//!
//! [`decode`] borrows everything from the text, allocates nothing, looks at each byte a fixed number of
//! times, and refuses whatever a well-behaved peer never sends, so that what comes out needs no second
//! look. It does not know which namespaces exist, which were joined, or which side is speaking: a
//! CONNECT_ERROR from a client is a packet like any other here, and the session's to refuse.

use super::escape;
use super::json::{self, Outline};
use super::placeholder;
use crate::limits::PacketLimits;

/// The event names that only a server's own library may raise; from a peer they end the connection.
pub const RESERVED_EVENTS: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// Digits of an ack id that are read: enough for 2⁵³ − 1, the last integer that JavaScript counts to.
const ID_DIGITS_MAX: usize = 16;

/// Digits of an attachment count that are read before the limit is asked.
const ATTACHMENT_DIGITS_MAX: usize = 9;

/// What a packet is for; the number is its digit on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PacketType {
    /// Joins a namespace, or answers that it was joined.
    Connect = 0,
    /// Leaves a namespace.
    Disconnect = 1,
    /// An event without attachments.
    Event = 2,
    /// An acknowledgement without attachments.
    Ack = 3,
    /// Refuses a CONNECT; `ERROR` in revision 4. Only servers send it.
    ConnectError = 4,
    /// An event whose attachments follow as binary messages.
    BinaryEvent = 5,
    /// An acknowledgement whose attachments follow as binary messages.
    BinaryAck = 6,
}

impl PacketType {
    fn from_digit(digit: u8) -> Option<Self> {
        Some(match digit {
            b'0' => Self::Connect,
            b'1' => Self::Disconnect,
            b'2' => Self::Event,
            b'3' => Self::Ack,
            b'4' => Self::ConnectError,
            b'5' => Self::BinaryEvent,
            b'6' => Self::BinaryAck,
            _ => return None,
        })
    }

    /// Whether binary messages follow.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }
}

/// A decoded packet, borrowed from its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is for.
    pub kind: PacketType,
    /// The namespace as written, `/` where none is. In a CONNECT of revision 4 it may carry a query
    /// string: see [`split_query`].
    pub namespace: &'a str,
    /// The ack id, at most 2⁵³ − 1. Zero is an id like any other.
    pub id: Option<u64>,
    /// The payload: one JSON value of the right shape for `kind`, without white space around it.
    pub data: Option<&'a str>,
    /// Binary messages that follow: at least 1 in a binary packet, 0 in any other.
    pub attachments: usize,
    /// Of `data`, if that is an array.
    pub(crate) outline: Outline,
}

/// Why a packet is refused. The caller's answer to each is to close the connection; the variants are
/// for counters and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// Peer's fault: no such packet type.
    UnknownType,
    /// Peer's fault: the attachment count is missing, zero or not a number.
    Attachments,
    /// Limit `attachments_max`: more attachments than allowed.
    TooManyAttachments,
    /// Limit `namespace_bytes_max`: the namespace's name is longer.
    NamespaceTooLong,
    /// Peer's fault: the ack id is beyond 2⁵³ − 1.
    Id,
    /// Peer's fault: the payload is not JSON.
    Json,
    /// Limit `json_depth_max`: the payload nests deeper.
    TooDeep,
    /// Peer's fault: the payload's shape does not fit the packet's type.
    Payload,
    /// Peer's fault: an event with one of [`RESERVED_EVENTS`].
    ReservedEvent,
    /// Peer's fault: a placeholder whose `num` names no attachment, or one that another names too.
    Placeholder,
    /// Peer's fault: a text message where an attachment was due.
    TextInsteadOfAttachment,
    /// Peer's fault: a binary message where no attachment was due.
    UnexpectedAttachment,
    /// Limit `attachment_bytes_max`: the attachments of one packet together are larger.
    AttachmentBytes,
}

impl DecodeError {
    /// The field of [`PacketLimits`] that was exceeded, if it was one.
    pub fn limit(self) -> Option<&'static str> {
        Some(match self {
            Self::TooManyAttachments => "attachments_max",
            Self::NamespaceTooLong => "namespace_bytes_max",
            Self::TooDeep => "json_depth_max",
            Self::AttachmentBytes => "attachment_bytes_max",
            _ => return None,
        })
    }
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::UnknownType => "unknown packet type",
            Self::Attachments => "illegal attachment count",
            Self::TooManyAttachments => "too many attachments",
            Self::NamespaceTooLong => "namespace too long",
            Self::Id => "illegal ack id",
            Self::Json => "payload is not JSON",
            Self::TooDeep => "payload nests too deep",
            Self::Payload => "payload does not fit the packet type",
            Self::ReservedEvent => "reserved event name",
            Self::Placeholder => "illegal placeholder",
            Self::TextInsteadOfAttachment => "text message while attachments are due",
            Self::UnexpectedAttachment => "binary message while no attachment is due",
            Self::AttachmentBytes => "attachments too large",
        })
    }
}

impl std::error::Error for DecodeError {}

/// Reads the text of one Engine.IO message (without its leading `4`) as a packet.
///
/// A binary packet's placeholders are checked here too, before any attachment is waited for.
///
/// # Errors
/// Any deviation from the format, and any limit; see [`DecodeError`].
pub fn decode<'a>(text: &'a str, limits: &PacketLimits) -> Result<Packet<'a>, DecodeError> {
    let digit = *text.as_bytes().first().ok_or(DecodeError::UnknownType)?;
    let kind = PacketType::from_digit(digit).ok_or(DecodeError::UnknownType)?;
    let rest = &text[1..];
    let (attachments, rest) =
        if kind.is_binary() { read_attachments(rest, limits)? } else { (0, rest) };
    let (namespace, rest) = read_namespace(kind, rest, limits)?;
    let (id, rest) = read_id(rest)?;
    let (data, outline) = match json::trim(rest) {
        "" if rest.is_empty() => (None, Outline::default()),
        data => (Some(data), check_data(data, limits)?),
    };
    check_shape(kind, data, outline)?;
    if kind.is_binary() {
        placeholder::check(data.unwrap_or_default(), attachments)
            .map_err(|placeholder::Illegal| DecodeError::Placeholder)?;
    }
    Ok(Packet { kind, namespace, id, data, attachments, outline })
}

/// Splits a revision 4 namespace, `/chat?token=abc`, into pathname and query string (without `?`, still
/// percent-encoded). Revision 5 has no such thing: there the whole is the name.
pub fn split_query(namespace: &str) -> (&str, Option<&str>) {
    let url = namespace.split_once('#').map_or(namespace, |(url, _fragment)| url);
    match url.split_once('?') {
        Some((pathname, query)) => (pathname, Some(query)),
        None => (url, None),
    }
}

fn read_attachments<'a>(
    rest: &'a str,
    limits: &PacketLimits,
) -> Result<(usize, &'a str), DecodeError> {
    let (count, after) =
        read_digits(rest, ATTACHMENT_DIGITS_MAX).ok_or(DecodeError::TooManyAttachments)?;
    match (count, after.strip_prefix('-')) {
        (None | Some(0), _) | (_, None) => Err(DecodeError::Attachments),
        (Some(count), Some(after)) => match usize::try_from(count) {
            Ok(count) if count <= limits.attachments_max => Ok((count, after)),
            _ => Err(DecodeError::TooManyAttachments),
        },
    }
}

fn read_namespace<'a>(
    kind: PacketType,
    rest: &'a str,
    limits: &PacketLimits,
) -> Result<(&'a str, &'a str), DecodeError> {
    if !rest.starts_with('/') {
        return Ok(("/", rest));
    }
    let (namespace, after) = match memchr::memchr(b',', rest.as_bytes()) {
        Some(comma) => (&rest[..comma], &rest[comma + 1..]),
        None => (rest, ""),
    };
    // A revision 4 client puts its query string here, tokens and all: the name ends before it.
    let name = if kind == PacketType::Connect { split_query(namespace).0 } else { namespace };
    if name.len() > limits.namespace_bytes_max {
        return Err(DecodeError::NamespaceTooLong);
    }
    Ok((namespace, after))
}

fn read_id(rest: &str) -> Result<(Option<u64>, &str), DecodeError> {
    const ID_MAX: u64 = (1 << 53) - 1;
    let (id, after) = read_digits(rest, ID_DIGITS_MAX).ok_or(DecodeError::Id)?;
    if id.is_some_and(|id| id > ID_MAX) { Err(DecodeError::Id) } else { Ok((id, after)) }
}

/// Reads the decimal number that `text` starts with, if it does; `None` if it has more digits than
/// `digits_max`. No more digits than that are ever looked at (CVE-2020-36049).
fn read_digits(text: &str, digits_max: usize) -> Option<(Option<u64>, &str)> {
    let mut value = 0;
    for (at, byte) in text.bytes().enumerate() {
        if !byte.is_ascii_digit() {
            return Some(((at > 0).then_some(value), &text[at..]));
        }
        if at == digits_max {
            return None;
        }
        value = value * 10 + u64::from(byte - b'0');
    }
    Some(((!text.is_empty()).then_some(value), ""))
}

fn check_data(data: &str, limits: &PacketLimits) -> Result<Outline, DecodeError> {
    json::check(data, limits.json_depth_max).map_err(|fault| match fault {
        json::Fault::Syntax => DecodeError::Json,
        json::Fault::Depth => DecodeError::TooDeep,
    })
}

fn check_shape(kind: PacketType, data: Option<&str>, outline: Outline) -> Result<(), DecodeError> {
    let first = data.and_then(|data| data.bytes().next());
    let fits = match kind {
        PacketType::Connect => matches!(first, None | Some(b'{')),
        PacketType::Disconnect => first.is_none(),
        PacketType::Event | PacketType::BinaryEvent => {
            let array = data.filter(|_| first == Some(b'[')).ok_or(DecodeError::Payload)?;
            return check_name(json::first_element(array, outline));
        }
        // The reference takes an ACK without payload as one without arguments.
        PacketType::Ack => matches!(first, None | Some(b'[')),
        PacketType::BinaryAck => first == Some(b'['),
        // Revision 4 sends any `data` of the error, or its message as a string.
        PacketType::ConnectError => first.is_some(),
    };
    if fits { Ok(()) } else { Err(DecodeError::Payload) }
}

/// Checks that an event's name is a number, or a string that is not reserved.
fn check_name(name: &str) -> Result<(), DecodeError> {
    match name.as_bytes() {
        [b'-' | b'0'..=b'9', ..] => Ok(()),
        [b'"', .., b'"'] if is_reserved(&name[1..name.len() - 1]) => {
            Err(DecodeError::ReservedEvent)
        }
        [b'"', ..] => Ok(()),
        _ => Err(DecodeError::Payload),
    }
}

/// Whether the JSON string with `inner` between its quotes is a reserved name, escaped or not.
fn is_reserved(inner: &str) -> bool {
    // Their first letters tell nearly every other name apart.
    matches!(inner.as_bytes().first(), Some(b'c' | b'd' | b'n' | b'r' | b'\\'))
        && RESERVED_EVENTS.iter().any(|name| escape::says(inner, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Result<Packet<'_>, DecodeError> {
        super::decode(text, &PacketLimits::default())
    }

    fn packet<'a>(kind: PacketType, namespace: &'a str, data: Option<&'a str>) -> Packet<'a> {
        let outline = data.and_then(|data| json::check(data, 8).ok()).unwrap_or_default();
        Packet { kind, namespace, id: None, data, attachments: 0, outline }
    }

    #[test]
    fn each_part_is_optional() {
        assert_eq!(decode("0"), Ok(packet(PacketType::Connect, "/", None)));
        assert_eq!(decode("0/a"), Ok(packet(PacketType::Connect, "/a", None)));
        assert_eq!(decode("0/,{}"), Ok(packet(PacketType::Connect, "/", Some("{}"))));
        assert_eq!(
            decode("2/a,0[1]"),
            Ok(Packet { id: Some(0), ..packet(PacketType::Event, "/a", Some("[1]")) })
        );
        assert_eq!(
            decode("51-/a,7[\"x\",{\"_placeholder\":true,\"num\":0}]"),
            Ok(Packet {
                kind: PacketType::BinaryEvent,
                namespace: "/a",
                id: Some(7),
                data: Some("[\"x\",{\"_placeholder\":true,\"num\":0}]"),
                attachments: 1,
                outline: Outline { first_end: 4, second: 5 },
            })
        );
        assert_eq!(decode("3 [] "), Ok(packet(PacketType::Ack, "/", Some("[]"))));
        assert_eq!(decode("3"), Ok(packet(PacketType::Ack, "/", None)));
        assert_eq!(decode("4\"x\""), Ok(packet(PacketType::ConnectError, "/", Some("\"x\""))));
    }

    #[test]
    fn ids_are_javascript_integers() {
        assert_eq!(decode("29007199254740991[1]").unwrap().id, Some((1 << 53) - 1));
        assert_eq!(decode("29007199254740992[1]"), Err(DecodeError::Id));
        assert_eq!(decode("200000000000000001[1]"), Err(DecodeError::Id));
    }

    #[test]
    fn the_query_of_revision_4_is_not_the_name() {
        assert_eq!(split_query("/c?token=abc"), ("/c", Some("token=abc")));
        assert_eq!(split_query("/c"), ("/c", None));
        assert_eq!(split_query("/c?"), ("/c", Some("")));
        assert_eq!(split_query("/c?a=?#b?c"), ("/c", Some("a=?")));
        let long = format!("0/c?token={},", "x".repeat(4000));
        assert_eq!(decode(&long).unwrap().namespace.len(), 4009);
        let long = format!("0/{},", "x".repeat(512));
        assert_eq!(decode(&long), Err(DecodeError::NamespaceTooLong));
        let long = format!("0/{},", "x".repeat(511));
        assert_eq!(decode(&long).unwrap().namespace.len(), 512);
    }

    #[test]
    fn limits_are_named_after_their_fields() {
        let deep = format!("2[1,{}{}]", "[".repeat(128), "]".repeat(128));
        for (text, limit) in [("511-[1]", "attachments_max"), (deep.as_str(), "json_depth_max")] {
            assert_eq!(decode(text).unwrap_err().limit(), Some(limit));
        }
        assert_eq!(decode("2").unwrap_err().limit(), None);
    }

    #[test]
    fn a_reserved_name_hides_behind_no_escape() {
        for name in RESERVED_EVENTS {
            let escaped: String = name.bytes().map(|b| format!("\\u{b:04x}")).collect();
            for text in [format!("2[\"{name}\"]"), format!("2[ \"{escaped}\",1]")] {
                assert_eq!(decode(&text), Err(DecodeError::ReservedEvent), "{text}");
            }
            assert!(decode(&format!("2[\"{name}2\"]")).is_ok());
        }
    }
}
