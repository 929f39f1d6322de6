//! What the targets of cluster messages share.

use bytes::Bytes;
use yamabiko_protocol::cluster::{Dialect, Names, Packet, Sockets, Target, Unwritable, Value};
use yamabiko_protocol::limits::ClusterLimits;
use yamabiko_protocol::socket;

/// Small, so that short inputs meet them.
pub const TIGHT: ClusterLimits =
    ClusterLimits { message_bytes_max: 200, depth_max: 5, attachments_max: 2 };

/// More attachments than a value of so few bytes has.
const MANY: usize = 100_000;

/// Calls `encode`, and returns what it wrote, if it did; if not, it must have written nothing.
pub fn written(encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Unwritable>) -> Option<Vec<u8>> {
    let mut out = b"before".to_vec();
    match encode(&mut out) {
        Ok(()) => Some(out.split_off(6)),
        // Keys may be what JSON has none of; all else was checked.
        Err(Unwritable::Key) => {
            assert_eq!(out, b"before");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A value that was read can be written in every form, and those say the same.
pub fn check_value(value: &Value<'_>) {
    let _ = (value.text(), value.index(), value.truth(), value.is_null(), value.has_binary());
    if let Some(event) = value.event(Some(7)) {
        let args = event.args.parse_tuple::<Vec<serde_json::Value>>();
        assert!(args.is_err() || args.is_ok_and(|args| args.len() == event.args.len()));
    }
    let count = value.elements().into_iter().flatten().count();
    assert!(count == 0 || value.members().is_none());

    let (mut text, mut attachments) = (Vec::new(), Vec::<Bytes>::new());
    let result = value.write_json(&mut text, &mut attachments, MANY);
    let spelled = written(|out| value.write_plain_json(out));
    assert_eq!(result.is_ok(), spelled.is_some());
    let packed = written(|out| value.write_msgpack(out, Dialect::Notepack));
    let Some(spelled) = spelled else { return assert!(text.is_empty() && attachments.is_empty()) };
    serde_json::from_slice::<serde::de::IgnoredAny>(&spelled).expect("JSON to others, too");
    let packed = packed.expect("MessagePack holds all that JSON does");
    let mut rest = &packed[..];
    rmpv::decode::read_value(&mut rest).expect("MessagePack to others, too");
    assert!(rest.is_empty());

    // Each form says what the other does. An object that looks like a placeholder is one in JSON.
    let text = std::str::from_utf8(&text).expect("JSON is UTF-8");
    if !text.contains("_placeholder") {
        let again = written(|out| Value::json(text).write_msgpack(out, Dialect::Notepack));
        let again = again.expect("JSON can be packed");
        let plain = written(|out| Value::Msgpack(&again).write_plain_json(out));
        let once_more = written(|out| {
            let plain = plain.as_deref().expect("JSON can be written");
            Value::json(std::str::from_utf8(plain).expect("UTF-8")).write_plain_json(out)
        });
        assert_eq!(plain, once_more);
    }
    let tight = value.write_json(&mut Vec::new(), &mut Vec::new(), 1);
    assert_eq!(tight.is_ok(), attachments.len() <= 1);
}

/// Names that were read are read as often as one likes.
pub fn check_names(names: &Names<'_>) {
    assert_eq!(names.iter().count(), names.len());
    assert_eq!(names.only().is_some(), names.len() == 1);
}

/// So is a target.
pub fn check_target(target: &Target<'_>) {
    check_names(&target.rooms);
    check_names(&target.except);
    assert!(!target.includes(&target.except) || target.except.is_empty());
}

/// A packet is an event with a name.
pub fn check_packet(packet: &Packet<'_>) {
    let event = packet.event().expect("a packet is an event");
    check_value(&packet.data);
    let (mut args, mut attachments) = (Vec::new(), Vec::new());
    let json = packet.write_args_json(&mut args, &mut attachments, MANY);
    if json.is_ok() {
        let array = format!("[{}]", String::from_utf8(args).expect("JSON is UTF-8"));
        let array = socket::Args::of_array(&array, &attachments).expect("an array");
        assert_eq!(array.len(), event.args.len());
    }
    let packed = packet.write_args_msgpack(&mut Vec::new(), Dialect::Client);
    assert_eq!(packed, Ok(event.args.len()));
}

/// Sockets that were read are read as often as one likes.
pub fn check_sockets(sockets: &Sockets<'_>) {
    assert_eq!(sockets.iter().count(), sockets.len());
    for socket in sockets.iter() {
        check_names(&socket.rooms);
        socket.handshake.iter().chain(&socket.data).for_each(check_value);
    }
}
