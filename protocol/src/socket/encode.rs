//! Packets as text, appended to the caller's buffer.
//!
//! Namespaces are the server's own and are written as they are. JSON is what `JSON.stringify` would
//! print: no white space, nothing escaped that need not be, whole numbers without fraction, `null` for
//! NaN and infinity. Where a revision 4 client needs another form, a function of its own says so; the
//! others serve both revisions.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer as _};

use super::packet::{PacketType, RESERVED_EVENTS};
use super::serialize::{JavaScript, spread};

/// Why a packet cannot be encoded: our own side's fault, always. Nothing was appended.
#[derive(Debug)]
pub enum EncodeError {
    /// The event's name is one of [`RESERVED_EVENTS`], which only the library itself may raise.
    ReservedEvent,
    /// The arguments are nothing that JSON can hold (a map whose keys are no strings), or their
    /// `Serialize` failed.
    Json(serde_json::Error),
    /// The same for MessagePack (a map whose keys are no text), with the reason.
    Value(Box<str>),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedEvent => f.write_str("reserved event name"),
            Self::Json(error) => write!(f, "arguments that are not JSON: {error}"),
            Self::Value(reason) => write!(f, "arguments that cannot be sent: {reason}"),
        }
    }
}

impl std::error::Error for EncodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::ReservedEvent | Self::Value(_) => None,
            Self::Json(error) => Some(error),
        }
    }
}

/// Tells a revision 5 client that it joined `namespace` as `sid`; with `pid`, that it may recover this
/// session under that private id.
pub fn connect(out: &mut Vec<u8>, namespace: &str, sid: &str, pid: Option<&str>) {
    write_head(out, PacketType::Connect, namespace, None);
    out.extend_from_slice(b"{\"sid\":");
    write_string(out, sid);
    if let Some(pid) = pid {
        out.extend_from_slice(b",\"pid\":");
        write_string(out, pid);
    }
    out.push(b'}');
}

/// Tells a revision 4 client that it joined `namespace`. A payload would break it.
pub fn connect_v4(out: &mut Vec<u8>, namespace: &str) {
    write_head(out, PacketType::Connect, namespace, None);
}

/// Refuses a revision 5 client's CONNECT; `data` is JSON, of a [`json`] or a raw value. For an unknown
/// namespace revision 4 has this form, too.
pub fn connect_error(out: &mut Vec<u8>, namespace: &str, message: &str, data: Option<&str>) {
    write_head(out, PacketType::ConnectError, namespace, None);
    out.extend_from_slice(b"{\"message\":");
    write_string(out, message);
    if let Some(data) = data {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data.as_bytes());
    }
    out.push(b'}');
}

/// Refuses a revision 4 client's CONNECT: `data` as it is, or else the message as a string.
pub fn connect_error_v4(out: &mut Vec<u8>, namespace: &str, message: &str, data: Option<&str>) {
    write_head(out, PacketType::ConnectError, namespace, None);
    match data {
        Some(data) => out.extend_from_slice(data.as_bytes()),
        None => write_string(out, message),
    }
}

/// Tells a client that it is no longer in `namespace`. It will not reconnect by itself.
pub fn disconnect(out: &mut Vec<u8>, namespace: &str) {
    write_head(out, PacketType::Disconnect, namespace, None);
}

/// An event, with `id` where an acknowledgement is awaited.
///
/// A tuple is spread into arguments (and so is an array, `[T; N]`, which is a tuple to serde), `()` is
/// none, everything else is one. Whatever is bytes to serde ([`Binary`](super::Binary),
/// `bytes::Bytes`, `serde_bytes`) is appended to `attachments`, in the order in which it stands in the
/// text; if there is any, the packet is a binary one and its attachments must follow it directly.
///
/// # Errors
/// [`EncodeError`]; both buffers are then as they were.
pub fn event<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    attachments: &mut Vec<Bytes>,
    namespace: &str,
    id: Option<u64>,
    name: &str,
    args: &T,
) -> Result<(), EncodeError> {
    check_name(name)?;
    write_packet(out, attachments, PacketType::Event, namespace, id, |array| {
        array.serialize_element(name)?;
        spread(array, args)
    })
}

/// The acknowledgement of the event with `id`; `args` as for [`event`].
///
/// # Errors
/// [`EncodeError::Json`]; both buffers are then as they were.
pub fn ack<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    attachments: &mut Vec<Bytes>,
    namespace: &str,
    id: u64,
    args: &T,
) -> Result<(), EncodeError> {
    write_packet(out, attachments, PacketType::Ack, namespace, Some(id), |array| {
        spread(array, args)
    })
}

/// An event whose arguments are JSON already, separated by commas, as [`Args::as_str`] has them.
/// `attachments` is the number of binary messages that follow, for which the JSON has placeholders.
///
/// # Errors
/// [`EncodeError::ReservedEvent`].
///
/// [`Args::as_str`]: super::Args::as_str
pub fn event_raw(
    out: &mut Vec<u8>,
    namespace: &str,
    id: Option<u64>,
    name: &str,
    args_json: &str,
    attachments: usize,
) -> Result<(), EncodeError> {
    check_name(name)?;
    let start = out.len();
    write_head(out, PacketType::Event, namespace, id);
    out.push(b'[');
    write_string(out, name);
    if !args_json.is_empty() {
        out.push(b',');
        out.extend_from_slice(args_json.as_bytes());
    }
    out.push(b']');
    make_binary(out, start, attachments);
    Ok(())
}

/// An acknowledgement whose arguments are JSON already; as [`event_raw`].
pub fn ack_raw(out: &mut Vec<u8>, namespace: &str, id: u64, args_json: &str, attachments: usize) {
    let start = out.len();
    write_head(out, PacketType::Ack, namespace, Some(id));
    out.push(b'[');
    out.extend_from_slice(args_json.as_bytes());
    out.push(b']');
    make_binary(out, start, attachments);
}

/// The arguments of an event or acknowledgement alone, separated by commas, as [`Args::as_str`] has them;
/// `args` as for [`event`].
///
/// # Errors
/// [`EncodeError::Json`]; both buffers are then as they were.
///
/// [`Args::as_str`]: super::Args::as_str
pub fn args<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    attachments: &mut Vec<Bytes>,
    args: &T,
) -> Result<(), EncodeError> {
    let (start, earlier) = (out.len(), attachments.len());
    match write_array(out, attachments, |array| spread(array, args)) {
        Ok(()) => {
            // Without the brackets.
            out.pop();
            out.remove(start);
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            attachments.truncate(earlier);
            Err(EncodeError::Json(error))
        }
    }
}

/// One value as JSON in JavaScript's dialect, for where a packet takes raw JSON.
///
/// # Errors
/// [`EncodeError::Json`], also for binary data, which has no place here; `out` is then as it was.
pub fn json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), EncodeError> {
    let start = out.len();
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, JavaScript::new(None));
    value.serialize(&mut serializer).map_err(|error| {
        out.truncate(start);
        EncodeError::Json(error)
    })
}

/// Whether an event may have this name.
///
/// # Errors
/// [`EncodeError::ReservedEvent`].
pub fn check_name(name: &str) -> Result<(), EncodeError> {
    if RESERVED_EVENTS.contains(&name) { Err(EncodeError::ReservedEvent) } else { Ok(()) }
}

type Array<'s, 'o> = serde_json::ser::Compound<'s, &'o mut Vec<u8>, JavaScript<'o>>;

/// Writes a packet as text; only then is it known whether it is a binary one.
fn write_packet(
    out: &mut Vec<u8>,
    attachments: &mut Vec<Bytes>,
    kind: PacketType,
    namespace: &str,
    id: Option<u64>,
    elements: impl FnOnce(&mut Array<'_, '_>) -> Result<(), serde_json::Error>,
) -> Result<(), EncodeError> {
    let (start, earlier) = (out.len(), attachments.len());
    write_head(out, kind, namespace, id);
    match write_array(out, attachments, elements) {
        Ok(()) => {
            make_binary(out, start, attachments.len() - earlier);
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            attachments.truncate(earlier);
            Err(EncodeError::Json(error))
        }
    }
}

fn write_array<'o>(
    out: &'o mut Vec<u8>,
    attachments: &'o mut Vec<Bytes>,
    elements: impl FnOnce(&mut Array<'_, 'o>) -> Result<(), serde_json::Error>,
) -> Result<(), serde_json::Error> {
    let mut serializer =
        serde_json::Serializer::with_formatter(out, JavaScript::new(Some(attachments)));
    let mut array = serializer.serialize_seq(None)?;
    elements(&mut array)?;
    array.end()
}

/// Everything before the JSON of a packet without attachments.
fn write_head(out: &mut Vec<u8>, kind: PacketType, namespace: &str, id: Option<u64>) {
    debug_assert!(namespace.starts_with('/') && !namespace.contains(','), "{namespace:?}");
    out.push(b'0' + kind as u8);
    if namespace != "/" {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
    if let Some(id) = id {
        write_number(out, id);
    }
}

/// Turns the event or acknowledgement at `start` into its binary kind if attachments follow it. This
/// moves the packet's bytes, so that those without attachments pay nothing.
fn make_binary(out: &mut Vec<u8>, start: usize, attachments: usize) {
    if attachments == 0 {
        return;
    }
    out[start] += PacketType::BinaryEvent as u8 - PacketType::Event as u8;
    let end = out.len();
    write_number(out, attachments as u64);
    out.push(b'-');
    let added = out.len() - end;
    out[start + 1..].rotate_right(added);
}

fn write_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a Vec takes all that is written, and any str is JSON");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_leaves_both_buffers_as_they_were() {
        let mut out = b"before".to_vec();
        let mut attachments = vec![Bytes::from_static(b"a")];
        let bad = (Bytes::from_static(b"b"), std::collections::BTreeMap::from([((1, 2), 3)]));
        let result = event(&mut out, &mut attachments, "/", None, "x", &bad);
        assert!(matches!(result, Err(EncodeError::Json(_))));
        let result = ack(&mut out, &mut attachments, "/", 1, &bad);
        assert!(matches!(result, Err(EncodeError::Json(_))));
        assert!(matches!(json(&mut out, &bad), Err(EncodeError::Json(_))));
        assert!(matches!(json(&mut out, &Bytes::new()), Err(EncodeError::Json(_))));
        for name in RESERVED_EVENTS {
            let result = event(&mut out, &mut attachments, "/", None, name, &());
            assert!(matches!(result, Err(EncodeError::ReservedEvent)));
            let result = event_raw(&mut out, "/", None, name, "", 0);
            assert!(matches!(result, Err(EncodeError::ReservedEvent)));
        }
        assert_eq!(out, b"before");
        assert_eq!(attachments.len(), 1);
    }

    #[test]
    fn packets_are_appended_and_number_their_own_attachments() {
        let mut out = b"x".to_vec();
        let mut attachments = vec![Bytes::from_static(b"a")];
        ack(&mut out, &mut attachments, "/n", 7, &Bytes::from_static(b"b")).unwrap();
        assert_eq!(out, b"x61-/n,7[{\"_placeholder\":true,\"num\":0}]");
        assert_eq!(attachments, [&b"a"[..], b"b"]);
    }
}
