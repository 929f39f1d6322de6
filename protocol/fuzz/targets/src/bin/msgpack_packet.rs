//! One Socket.IO packet in MessagePack, and what handlers make of its arguments.
#![no_main]

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde_json::Value;
use yamabiko_fuzz_targets as _;
use yamabiko_protocol::limits::PacketLimits;
use yamabiko_protocol::msgpack::{Args, Date, Packet, PacketType, decode, encode, from_slice};
use yamabiko_protocol::socket::{Binary, RESERVED_EVENTS};

/// Small, so that short inputs meet them.
const TIGHT: PacketLimits = PacketLimits {
    attachments_max: 0,
    attachment_bytes_max: 0,
    namespace_bytes_max: 8,
    json_depth_max: 4,
};

fuzz_target!(|input: &[u8]| {
    // Bytes that nobody checked are read as something or refused.
    let _ = from_slice::<Value>(input);
    let _ = from_slice::<BTreeMap<String, Either>>(input);

    let packet = decode(input, &PacketLimits::default());
    if let Ok(tight) = decode(input, &TIGHT) {
        assert_eq!(packet, Ok(tight));
        assert!(tight.namespace.len() <= TIGHT.namespace_bytes_max);
        assert!(tight.data.is_none_or(|data| depth(&whole(data)) <= TIGHT.json_depth_max));
    }
    if let Ok(packet) = packet {
        // All of it is one value to others, too.
        whole(input);
        sound(&packet);
    }
});

/// A value as another decoder reads it; there must be nothing behind it.
fn whole(mut bytes: &[u8]) -> rmpv::Value {
    let value = rmpv::decode::read_value(&mut bytes).expect("MessagePack to both");
    assert!(bytes.is_empty());
    value
}

fn depth(value: &rmpv::Value) -> usize {
    match value {
        rmpv::Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        rmpv::Value::Map(members) => {
            let members = members.iter().flat_map(|(key, value)| [depth(key), depth(value)]);
            1 + members.max().unwrap_or(0)
        }
        _ => 0,
    }
}

/// Whether all maps in it have keys that JavaScript's encoders could have written.
fn is_keyed_by_text(value: &rmpv::Value) -> bool {
    match value {
        rmpv::Value::Array(items) => items.iter().all(is_keyed_by_text),
        rmpv::Value::Map(members) => {
            members.iter().all(|(key, value)| key.is_str() && is_keyed_by_text(value))
        }
        _ => true,
    }
}

fn sound(packet: &Packet<'_>) {
    assert!(packet.namespace.starts_with('/'));
    assert!(packet.id.is_none_or(|id| id < 1 << 53));
    let (event, ack) = (packet.event(), packet.ack());
    assert_eq!(event.is_some(), packet.kind == PacketType::Event);
    assert_eq!(ack.is_some(), packet.kind == PacketType::Ack);
    assert!(packet.kind != PacketType::Disconnect || packet.data.is_none());
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
    Data(Binary),
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
    Join { room: String, at: Option<Date> },
}

fn typed(args: &Args<'_>) {
    let count = args.len();
    assert_eq!(args.is_empty(), count == 0);
    assert_eq!(args.raw().count(), count);
    assert_eq!(args.raw().collect::<Vec<_>>().concat(), args.as_bytes());
    args.parse_tuple::<()>().expect("arguments may be ignored");
    let models: Vec<rmpv::Value> = args.raw().map(whole).collect();
    for (index, model) in models.iter().enumerate() {
        let value = args.parse_arg::<Value>(index);
        assert!(value.is_ok() || !is_keyed_by_text(model), "{model}");
        if let Ok(value) = value {
            assert!(alike(&value, model), "{value} {model}");
        }
    }
    assert_eq!(args.parse_arg::<Value>(count), Ok(Value::Null));
    if models.iter().all(is_keyed_by_text) {
        let values: Vec<Value> = args.parse_tuple().expect("any arguments are values");
        assert_eq!(values.len(), count);
    }
    let short = |reason: &str| assert!(reason.len() <= 256);
    let _ = args.parse_tuple::<(String,)>().map_err(|it| short(&it.reason));
    let _ = args.parse_tuple::<(u8, i64, f64)>().map_err(|it| short(&it.reason));
    let _ = args.parse_tuple::<(i128, u128, char)>().map_err(|it| short(&it.reason));
    let _ = args.parse_tuple::<(Option<String>, Option<bool>, Value)>();
    let _ = args.parse_tuple::<(Binary, Bytes, Vec<u8>)>();
    let _ = args.parse_tuple::<(Date, Option<Date>, &[u8])>();
    let _ = args.parse_tuple::<(HashMap<String, Value>,)>();
    let _ = args.parse_tuple::<(HashMap<i32, char>, [u8; 4])>();
    let _ = args.parse_tuple::<Vec<Either>>();
    let _ = args.parse_tuple::<Vec<Command>>();
    let _ = args.parse_tuple::<(&str, Option<Command>)>();
}

/// Whether what JSON can hold was read as the other decoder reads it.
fn alike(value: &Value, model: &rmpv::Value) -> bool {
    match (value, model) {
        (Value::Bool(value), rmpv::Value::Boolean(model)) => value == model,
        (Value::Number(value), _) => value.as_f64() == model.as_f64(),
        (Value::String(value), rmpv::Value::String(model)) => {
            Some(value.as_str()) == model.as_str()
        }
        // Dates, and binary data.
        (Value::String(_), rmpv::Value::Ext(..) | rmpv::Value::Binary(_)) => true,
        (Value::Array(values), rmpv::Value::Array(models)) => {
            values.len() == models.len()
                && values.iter().zip(models).all(|(value, model)| alike(value, model))
        }
        (Value::Array(values), rmpv::Value::Ext(kind, _)) => values[0] == Value::from(*kind),
        // Of a key that is there twice the last counts.
        (Value::Object(values), rmpv::Value::Map(models)) => values.len() <= models.len(),
        (Value::Null, rmpv::Value::Nil | rmpv::Value::Ext(..)) => true,
        (Value::Null, model) => model.as_f64().is_some_and(|model| !model.is_finite()),
        _ => false,
    }
}

/// What was read may be sent, raw or as values, and reads as the same.
fn comes_back(packet: &Packet<'_>, name: &str, args: &Args<'_>) {
    let limits = PacketLimits::default();
    let mut bytes = Vec::new();
    encode::event_raw(&mut bytes, packet.namespace, packet.id, name, args.as_bytes(), args.len())
        .expect("a name that was not reserved before");
    let again = decode(&bytes, &limits).expect("what came in may go out");
    assert_eq!((again.namespace, again.id), (packet.namespace, packet.id));
    let event = again.event().expect("an event");
    assert_eq!(event.name, name);
    assert!(event.args.raw().eq(args.raw()));

    let Ok(values) = args.parse_tuple::<Vec<Value>>() else { return };
    let mut bytes = Vec::new();
    encode::event(&mut bytes, packet.namespace, packet.id, name, &(&values,))
        .expect("values can be sent");
    // One more level than came in, which may be one too many.
    let Ok(again) = decode(&bytes, &limits) else { return };
    let event = again.event().expect("an event");
    let (read,): (Vec<Value>,) = event.args.parse_tuple().expect("a list of values");
    let (mut first, mut second) = (Vec::new(), Vec::new());
    encode::value(&mut first, &values).expect("values can be sent");
    encode::value(&mut second, &read).expect("values can be sent");
    assert_eq!(first, second);
}
