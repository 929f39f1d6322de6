//! A client's messages in order: binary packets with their attachments, and the limits on them.
//!
//! Each line of the input is a message: binary if it begins with `b`, which is not part of it, else
//! text.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use yamabiko_fuzz_targets as _;
use yamabiko_protocol::limits::PacketLimits;
use yamabiko_protocol::socket::{
    Args, Binary, Complete, DecodeError, Decoder, PacketType, decode, encode,
};

/// Small, so that a few lines meet them.
const LIMITS: PacketLimits = PacketLimits {
    attachments_max: 3,
    attachment_bytes_max: 64,
    namespace_bytes_max: 16,
    json_depth_max: 8,
};

fuzz_target!(|input: &[u8]| {
    let mut decoder = Decoder::new();
    let mut due = 0;
    for line in input.split(|&byte| byte == b'\n') {
        let result = match line.strip_prefix(b"b") {
            Some(attachment) => binary(&mut decoder, attachment, due),
            None => text(&mut decoder, line, due),
        };
        due = result.unwrap_or(0);
        assert_eq!(decoder.attachments_due(), due);
        assert!(due <= LIMITS.attachments_max);
    }
});

/// Gives the decoder a text message; returns how many attachments must follow.
fn text(decoder: &mut Decoder, line: &[u8], due: usize) -> Result<usize, DecodeError> {
    let Ok(text) = std::str::from_utf8(line) else { return Ok(due) };
    let result = decoder.text(text, &LIMITS);
    if due > 0 {
        assert_eq!(result, Err(DecodeError::TextInsteadOfAttachment));
    }
    match result? {
        Some(packet) => {
            assert!(!packet.kind.is_binary() && packet.attachments == 0);
            Ok(0)
        }
        None => Ok(decode(text, &LIMITS)?.attachments),
    }
}

/// The same for a binary message.
fn binary(decoder: &mut Decoder, attachment: &[u8], due: usize) -> Result<usize, DecodeError> {
    let result = decoder.binary(Bytes::copy_from_slice(attachment), &LIMITS);
    if due == 0 {
        assert_eq!(result.as_ref().err(), Some(&DecodeError::UnexpectedAttachment));
    }
    match result? {
        Some(complete) => {
            assert_eq!(due, 1, "complete too soon");
            sound(&complete);
            Ok(0)
        }
        None => {
            assert!(due > 1, "not complete in time");
            Ok(due - 1)
        }
    }
}

fn sound(complete: &Complete) {
    let packet = complete.packet();
    assert_eq!(packet.attachments, complete.attachments().len());
    let bytes: usize = complete.attachments().iter().map(Bytes::len).sum();
    assert!(bytes <= LIMITS.attachment_bytes_max);
    assert!(packet.namespace.starts_with('/'));
    match packet.kind {
        PacketType::BinaryEvent => {
            assert!(complete.ack().is_none());
            let event = complete.event().expect("a binary event is an event");
            typed(&event.args);
            passed_on(packet.namespace, event.id, &event.name, &event.args);
        }
        PacketType::BinaryAck => {
            assert!(complete.event().is_none());
            typed(&complete.ack().expect("a binary acknowledgement is one").args);
        }
        other => panic!("{other:?} with attachments"),
    }
}

fn typed(args: &Args<'_>) {
    let count = args.len();
    assert_eq!(args.is_empty(), count == 0);
    let values: Vec<Value> = args.parse_tuple().expect("any arguments are values");
    assert_eq!(values.len(), count);
    for (index, value) in values.iter().enumerate() {
        let alone: Value = args.parse_arg(index).expect("any argument is a value");
        assert_eq!(alone, *value);
    }
    let _ = args.parse_tuple::<(Binary, Vec<u8>, Bytes)>();
    let _ = args.parse_tuple::<(Option<String>, Option<Binary>)>();
    // An attachment that is an argument of its own is lent as it came.
    if let Ok((binary,)) = args.parse_tuple::<(Binary,)>()
        && args.raw().next().is_some_and(|raw| raw.starts_with('{'))
    {
        assert!(args.attachments().contains(&binary.0));
    }
}

/// Arguments that are sent on as they came are the same packet to the next reader.
fn passed_on(namespace: &str, id: Option<u64>, name: &str, args: &Args<'_>) {
    let mut text = Vec::new();
    let count = args.attachments().len();
    if encode::event_raw(&mut text, namespace, id, name, args.as_str(), count).is_err() {
        return;
    }
    let text = String::from_utf8(text).expect("packets are text");
    let again = decode(&text, &LIMITS).expect("what came in may go out");
    assert_eq!((again.namespace, again.id, again.attachments), (namespace, id, count));
    let event = again.event(args.attachments()).expect("an event");
    assert_eq!(event.name, name);
    assert!(event.args.raw().eq(args.raw()));
}
