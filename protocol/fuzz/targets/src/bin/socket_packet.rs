//! The text of one Socket.IO packet, and what handlers make of its arguments.
#![no_main]

use std::collections::HashMap;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;
use yamabiko_fuzz_targets as _;
use yamabiko_protocol::limits::PacketLimits;
use yamabiko_protocol::socket::{
    Args, Binary, Packet, PacketType, RESERVED_EVENTS, decode, encode, split_query,
};

/// Small, so that short inputs meet them.
const TIGHT: PacketLimits = PacketLimits {
    attachments_max: 2,
    attachment_bytes_max: 64,
    namespace_bytes_max: 8,
    json_depth_max: 4,
};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    is_json_to_both(text);
    let limits = PacketLimits::default();
    let packet = decode(text, &limits);
    if let Ok(packet) = decode(text, &TIGHT) {
        assert!(packet.attachments <= TIGHT.attachments_max);
        let name = match packet.kind {
            PacketType::Connect => split_query(packet.namespace).0,
            _ => packet.namespace,
        };
        assert!(name.len() <= TIGHT.namespace_bytes_max);
    }
    if let Ok(packet) = packet {
        sound(&packet);
    }
});

/// JSON is what serde_json takes for JSON, in a packet whose payload may be any.
fn is_json_to_both(text: &str) {
    let packet = format!("4 {text}");
    let ours = decode(&packet, &PacketLimits::default()).is_ok();
    let theirs = serde_json::from_str::<IgnoredAny>(text).is_ok();
    assert_eq!(ours, theirs, "{text:?}");
}

fn sound(packet: &Packet<'_>) {
    assert!(packet.namespace.starts_with('/'));
    assert!(packet.id.is_none_or(|id| id < 1 << 53));
    assert_eq!(packet.kind.is_binary(), packet.attachments > 0);
    let attachments: Vec<Bytes> =
        (0..packet.attachments).map(|num| Bytes::from(vec![num as u8; num])).collect();
    let is_event = matches!(packet.kind, PacketType::Event | PacketType::BinaryEvent);
    let is_ack = matches!(packet.kind, PacketType::Ack | PacketType::BinaryAck);
    let (event, ack) = (packet.event(&attachments), packet.ack(&attachments));
    assert_eq!((event.is_some(), ack.is_some()), (is_event, is_ack));
    if let Some(event) = &event {
        assert!(!RESERVED_EVENTS.contains(&&*event.name), "{:?}", event.name);
        typed(&event.args);
        comes_back(packet, &event.name, &event.args);
    }
    if let Some(ack) = &ack {
        typed(&ack.args);
    }
}

/// A handler's type that looks at what there is.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "only that it can be read matters")]
enum Either {
    Number(f64),
    Text(String),
    Many(Vec<Either>),
    Named { x: Option<Box<Either>> },
}

/// A handler's enum.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(dead_code, reason = "only that it can be read matters")]
enum Command {
    Stop,
    Say(String),
    Move(i32, i32),
    Join { room: String },
}

fn typed(args: &Args<'_>) {
    let count = args.raw().count();
    assert_eq!(args.len(), count);
    assert_eq!(args.is_empty(), count == 0);
    for raw in args.raw() {
        assert!(serde_json::from_str::<IgnoredAny>(raw).is_ok(), "{raw:?}");
    }
    let joined: Vec<&str> = args.raw().collect();
    let whole: Result<Vec<IgnoredAny>, _> = serde_json::from_str(&format!("[{}]", args.as_str()));
    assert_eq!(whole.map(|it| it.len()).ok(), Some(joined.len()));
    args.parse_tuple::<()>().expect("arguments may be ignored");
    let values: Vec<Value> = args.parse_tuple().expect("any arguments are values");
    assert_eq!(values.len(), count);
    // Beyond the last argument there is nothing.
    for index in 0..=count {
        let value: Value = args.parse_arg(index).expect("any argument is a value");
        assert!(alike(&value, values.get(index).unwrap_or(&Value::Null)), "{value}");
    }
    if let Ok(raws) = args.parse_tuple::<Vec<Box<RawValue>>>() {
        assert!(raws.iter().map(|it| it.get()).eq(args.raw()));
    }
    let short = |reason: &str| assert!(reason.len() <= 256);
    let _ = args.parse_tuple::<(String,)>().map_err(|it| short(&it.reason));
    let _ = args.parse_tuple::<(u8, i64, f64)>().map_err(|it| short(&it.reason));
    let _ = args.parse_tuple::<(i128, u128)>().map_err(|it| short(&it.reason));
    let _ = args.parse_tuple::<(Option<String>, Option<bool>, Value)>();
    let _ = args.parse_tuple::<(Binary, Bytes, Vec<u8>)>();
    let _ = args.parse_tuple::<(HashMap<String, Value>,)>();
    let _ = args.parse_tuple::<(HashMap<i32, char>, [u8; 4])>();
    let _ = args.parse_tuple::<Vec<Either>>();
    let _ = args.parse_tuple::<Vec<Command>>();
    let _ = args.parse_tuple::<(&str, Option<Command>)>();
}

/// Whether two readings of one text are the same. Next to a lone surrogate a number is read by Rust's
/// own parser, which rounds as JavaScript does, and else by serde_json's, which may be a bit off.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_in = |(name, one)| other.get(name).is_some_and(|other| alike(one, other));
            one.len() == other.len() && one.iter().all(is_in)
        }
        (Value::Number(one), Value::Number(other)) => match (one.as_f64(), other.as_f64()) {
            (Some(one), Some(other)) => one == other || (one - other).abs() <= one.abs() * 1e-14,
            _ => false,
        },
        _ => one == other,
    }
}

/// What was read may be sent, raw or as values, and reads as the same.
fn comes_back(packet: &Packet<'_>, name: &str, args: &Args<'_>) {
    let (mut text, count) = (Vec::new(), packet.attachments);
    encode::event_raw(&mut text, packet.namespace, packet.id, name, args.as_str(), count)
        .expect("a name that was not reserved before");
    let text = String::from_utf8(text).expect("packets are text");
    let again = decode(&text, &PacketLimits::default()).expect("what came in may go out");
    assert_eq!((again.namespace, again.id), (packet.namespace, packet.id));
    let event = again.event(args.attachments()).expect("an event");
    assert_eq!(event.name, name);
    assert!(event.args.raw().eq(args.raw()));

    let Ok(values) = args.parse_tuple::<Vec<Value>>() else { return };
    let (mut text, mut attachments) = (Vec::new(), Vec::new());
    encode::event(&mut text, &mut attachments, packet.namespace, packet.id, name, &(&values,))
        .expect("values are JSON");
    assert!(attachments.is_empty());
    let text = String::from_utf8(text).expect("packets are text");
    // One more level than came in, which may be one too many.
    let Ok(again) = decode(&text, &PacketLimits::default()) else { return };
    let event = again.event(&[]).expect("an event");
    let (read,): (Vec<Value>,) = event.args.parse_tuple().expect("a list of values");
    assert_eq!(read.len(), values.len());
}
