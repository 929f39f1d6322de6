//! Packets as MessagePack, appended to the caller's buffer, as the reference server's are: its members
//! in its order.
//!
//! Namespaces are the server's own and are written as they are.

use serde::Serialize;

use crate::socket::encode::check_name;
use crate::socket::{EncodeError, PacketType};

use super::serialize::{Head, Refusal, Value, write_str, write_uint, write_undefined};
use super::spread::spread;

impl From<Refusal> for EncodeError {
    fn from(Refusal(reason): Refusal) -> Self {
        Self::Value(reason)
    }
}

/// Tells a client that it joined `namespace` as `sid`; with `pid`, that it may recover this session
/// under that private id (which is `undefined` otherwise).
pub fn connect(out: &mut Vec<u8>, namespace: &str, sid: &str, pid: Option<&str>) {
    out.extend_from_slice(b"\x83\xa4type");
    out.push(PacketType::Connect as u8);
    out.extend_from_slice(b"\xa4data\x82\xa3sid");
    write_str(out, sid);
    out.extend_from_slice(b"\xa3pid");
    match pid {
        Some(pid) => write_str(out, pid),
        None => write_undefined(out),
    }
    write_namespace(out, namespace);
}

/// Tells a client of Engine.IO 3 that it joined `namespace`. It has no payload there.
pub fn connect_v4(out: &mut Vec<u8>, namespace: &str) {
    out.extend_from_slice(b"\x82\xa4type");
    out.push(PacketType::Connect as u8);
    write_namespace(out, namespace);
}

/// Refuses a client's CONNECT; `data` is MessagePack, of a [`value`] or a raw one. Without it the
/// reference writes either no such member or an `undefined` one, depending on who refuses; this writes
/// none.
pub fn connect_error(out: &mut Vec<u8>, namespace: &str, message: &str, data: Option<&[u8]>) {
    out.extend_from_slice(b"\x83\xa4type");
    out.push(PacketType::ConnectError as u8);
    out.extend_from_slice(b"\xa4data");
    out.push(if data.is_some() { 0x82 } else { 0x81 });
    out.extend_from_slice(b"\xa7message");
    write_str(out, message);
    if let Some(data) = data {
        out.extend_from_slice(b"\xa4data");
        out.extend_from_slice(data);
    }
    write_namespace(out, namespace);
}

/// Refuses the CONNECT of a client of Engine.IO 3: `data` as it is, or else the message as a string.
pub fn connect_error_v4(out: &mut Vec<u8>, namespace: &str, message: &str, data: Option<&[u8]>) {
    out.extend_from_slice(b"\x83\xa4type");
    out.push(PacketType::ConnectError as u8);
    out.extend_from_slice(b"\xa4data");
    match data {
        Some(data) => out.extend_from_slice(data),
        None => write_str(out, message),
    }
    write_namespace(out, namespace);
}

/// Tells a client that it is no longer in `namespace`. It will not reconnect by itself.
pub fn disconnect(out: &mut Vec<u8>, namespace: &str) {
    out.extend_from_slice(b"\x82\xa4type");
    out.push(PacketType::Disconnect as u8);
    write_namespace(out, namespace);
}

/// An event, with `id` where an acknowledgement is awaited.
///
/// A tuple is spread into arguments (and so is an array, `[T; N]`, which is a tuple to serde), `()` is
/// none, everything else is one. Whatever is bytes to serde ([`Binary`](crate::socket::Binary),
/// `bytes::Bytes`, `serde_bytes`) is binary data to the peer, and a [`Date`](super::Date) a date.
///
/// # Errors
/// [`EncodeError`]; `out` is then as it was.
pub fn event<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    namespace: &str,
    id: Option<u64>,
    name: &str,
    args: &T,
) -> Result<(), EncodeError> {
    write_event(out, namespace, id, name, |out| spread(out, args))
}

/// The acknowledgement of the event with `id`; `args` as for [`event`].
///
/// # Errors
/// [`EncodeError::Value`]; `out` is then as it was.
pub fn ack<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    namespace: &str,
    id: u64,
    args: &T,
) -> Result<(), EncodeError> {
    write_ack(out, namespace, id, |out| spread(out, args))
}

/// An event whose arguments are MessagePack already: `count` values one behind the other, as
/// [`args`] writes and [`Args::as_bytes`] lends them. A broadcast serialises its arguments once, and
/// splices them into a packet for each namespace and ack id.
///
/// # Errors
/// [`EncodeError::ReservedEvent`].
///
/// [`Args::as_bytes`]: super::Args::as_bytes
pub fn event_raw(
    out: &mut Vec<u8>,
    namespace: &str,
    id: Option<u64>,
    name: &str,
    args: &[u8],
    count: usize,
) -> Result<(), EncodeError> {
    write_event(out, namespace, id, name, |out| {
        out.extend_from_slice(args);
        Ok(count)
    })
}

/// An acknowledgement whose arguments are MessagePack already; as [`event_raw`].
pub fn ack_raw(out: &mut Vec<u8>, namespace: &str, id: u64, args: &[u8], count: usize) {
    write_ack(out, namespace, id, |out| {
        out.extend_from_slice(args);
        Ok(count)
    })
    .expect("bytes need no serializer");
}

/// Arguments for [`event_raw`] and [`ack_raw`], spread as by [`event`]; returns how many they are.
///
/// # Errors
/// [`EncodeError::Value`]; `out` is then as it was.
pub fn args<T: Serialize + ?Sized>(out: &mut Vec<u8>, args: &T) -> Result<usize, EncodeError> {
    or_as_it_was(out, |out| spread(out, args))
}

/// One value, for where a packet takes raw MessagePack.
///
/// # Errors
/// [`EncodeError::Value`]; `out` is then as it was.
pub fn value<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), EncodeError> {
    or_as_it_was(out, |out| value.serialize(Value::new(out)))
}

/// `{type, data, id, nsp}`, without an `id` where there is none.
fn write_event(
    out: &mut Vec<u8>,
    namespace: &str,
    id: Option<u64>,
    name: &str,
    args: impl FnOnce(&mut Vec<u8>) -> Result<usize, Refusal>,
) -> Result<(), EncodeError> {
    check_name(name)?;
    or_as_it_was(out, |out| {
        out.push(if id.is_some() { 0x84 } else { 0x83 });
        out.extend_from_slice(b"\xa4type");
        out.push(PacketType::Event as u8);
        out.extend_from_slice(b"\xa4data");
        // The name and one argument are what most events have.
        let data = Head::array(out, 2);
        write_str(out, name);
        let count = args(out)?;
        data.end(out, count + 1);
        if let Some(id) = id {
            out.extend_from_slice(b"\xa2id");
            write_uint(out, id);
        }
        write_namespace(out, namespace);
        Ok(())
    })
}

/// `{id, type, data, nsp}`.
fn write_ack(
    out: &mut Vec<u8>,
    namespace: &str,
    id: u64,
    args: impl FnOnce(&mut Vec<u8>) -> Result<usize, Refusal>,
) -> Result<(), EncodeError> {
    or_as_it_was(out, |out| {
        out.extend_from_slice(b"\x84\xa2id");
        write_uint(out, id);
        out.extend_from_slice(b"\xa4type");
        out.push(PacketType::Ack as u8);
        out.extend_from_slice(b"\xa4data");
        let data = Head::array(out, 1);
        let count = args(out)?;
        data.end(out, count);
        write_namespace(out, namespace);
        Ok(())
    })
}

fn write_namespace(out: &mut Vec<u8>, namespace: &str) {
    debug_assert!(namespace.starts_with('/') && !namespace.contains(','), "{namespace:?}");
    out.extend_from_slice(b"\xa3nsp");
    write_str(out, namespace);
}

/// Runs `write`, and takes back what it appended if it fails.
fn or_as_it_was<T>(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<T, Refusal>,
) -> Result<T, EncodeError> {
    let start = out.len();
    write(out).map_err(|refusal| {
        out.truncate(start);
        refusal.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::RESERVED_EVENTS;

    #[test]
    fn a_refused_packet_leaves_the_buffer_as_it_was() {
        let mut out = b"before".to_vec();
        let odd = std::collections::BTreeMap::from([((1, 2), 3)]);
        for name in RESERVED_EVENTS {
            let result = event(&mut out, "/", None, name, &1);
            assert!(matches!(result, Err(EncodeError::ReservedEvent)), "{name}");
            assert!(event_raw(&mut out, "/", None, name, b"", 0).is_err());
        }
        assert!(matches!(event(&mut out, "/", None, "a", &(1, &odd)), Err(EncodeError::Value(_))));
        assert!(matches!(ack(&mut out, "/", 1, &odd), Err(EncodeError::Value(_))));
        assert!(args(&mut out, &(1, &odd)).is_err());
        assert!(value(&mut out, &odd).is_err());
        assert_eq!(out, b"before");
    }

    #[test]
    fn heads_grow_with_their_arrays() {
        for count in [0, 1, 2, 14, 15, 16, 0xfffe, 0xffff, 0x1_0000] {
            let numbers = vec![7; count];
            let mut spliced = b"x".to_vec();
            event_raw(&mut spliced, "/", None, "a", &numbers, count).unwrap();
            let mut expected = b"x\x83\xa4type\x02\xa4data".to_vec();
            rmp::encode::write_array_len(&mut expected, count as u32 + 1).unwrap();
            expected.extend_from_slice(b"\xa1a");
            expected.extend_from_slice(&numbers);
            expected.extend_from_slice(b"\xa3nsp\xa1/");
            assert_eq!(spliced, expected, "{count}");
        }
    }

    #[test]
    fn lengths_that_serde_does_not_know() {
        struct Unknown(usize);
        impl Serialize for Unknown {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                // A filter's length has no lower bound.
                serializer.collect_seq((0..self.0).filter(|_| true).map(|_| 7))
            }
        }
        for count in [0, 1, 15, 16, 0x1_0000] {
            let (mut unknown, mut known) = (Vec::new(), Vec::new());
            value(&mut unknown, &[Unknown(count), Unknown(1)]).unwrap();
            value(&mut known, &[vec![7; count], vec![7]]).unwrap();
            assert_eq!(unknown, known, "{count}");
        }
    }
}
