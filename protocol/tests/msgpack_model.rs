//! Random packets against another implementation: what it prints we read back as it was, what we print
//! is what it prints, and nothing that anybody prints makes us panic.

use proptest::prelude::*;
use rmpv::Value;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use yamabiko_protocol::limits::PacketLimits;
use yamabiko_protocol::msgpack::{Args, Date, Packet, PacketType, decode, encode, from_slice};
use yamabiko_protocol::socket::{Binary, RESERVED_EVENTS};

/// An argument as JavaScript has it; members in their order.
#[derive(Debug, Clone, PartialEq)]
enum Data {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Binary(Vec<u8>),
    List(Vec<Data>),
    Object(Vec<(String, Data)>),
}

impl Data {
    /// As the model writes it: JavaScript does not tell 1 from 1.0.
    fn model(&self) -> Value {
        const TWO_53: f64 = (1_u64 << 53) as f64;
        match self {
            Self::Null => Value::Nil,
            Self::Bool(value) => (*value).into(),
            Self::Number(value) if value.fract() == 0.0 && value.abs() < TWO_53 => {
                (*value as i64).into()
            }
            Self::Number(value) => (*value).into(),
            Self::Text(value) => value.as_str().into(),
            Self::Binary(bytes) => Value::Binary(bytes.clone()),
            Self::List(items) => Value::Array(items.iter().map(Self::model).collect()),
            Self::Object(members) => Value::Map(
                members.iter().map(|(key, value)| (key.as_str().into(), value.model())).collect(),
            ),
        }
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Binary(bytes) => Binary::from(bytes.clone()).serialize(serializer),
            Self::List(items) => serializer.collect_seq(items.iter().filter(|_| true)),
            Self::Object(members) => {
                let mut map = serializer.serialize_map(None)?;
                for (key, value) in members {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DataVisitor;

        impl<'de> Visitor<'de> for DataVisitor {
            type Value = Data;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("anything")
            }

            fn visit_unit<E>(self) -> Result<Data, E> {
                Ok(Data::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Data, E> {
                Ok(Data::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Data, E> {
                Ok(Data::Number(value as f64))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Data, E> {
                Ok(Data::Number(value as f64))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Data, E> {
                Ok(Data::Number(value))
            }

            fn visit_str<E>(self, value: &str) -> Result<Data, E> {
                Ok(Data::Text(value.to_owned()))
            }

            fn visit_bytes<E>(self, value: &[u8]) -> Result<Data, E> {
                Ok(Data::Binary(value.to_vec()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Data, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Data::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Data::Object(members))
            }
        }

        deserializer.deserialize_any(DataVisitor)
    }
}

fn data() -> impl Strategy<Value = Data> {
    let leaf = prop_oneof![
        Just(Data::Null),
        any::<bool>().prop_map(Data::Bool),
        (-1e15..1e15_f64).prop_map(Data::Number),
        any::<f64>()
            .prop_filter("an integer to us, a float to the model", |it| it.abs() < 1e15
                || *it > 1e20)
            .prop_map(Data::Number),
        any::<i32>().prop_map(|value| Data::Number(f64::from(value))),
        (-300..300).prop_map(|value| Data::Number(f64::from(value))),
        any::<String>().prop_map(Data::Text),
        "x{0,300}".prop_map(Data::Text),
        any::<Vec<u8>>().prop_map(Data::Binary),
        prop::collection::vec(any::<u8>(), 250..260).prop_map(Data::Binary),
    ];
    leaf.prop_recursive(4, 64, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Data::List),
            prop::collection::vec((any::<String>(), inner), 0..20).prop_map(Data::Object),
        ]
    })
}

#[derive(Debug, Clone)]
struct Message {
    namespace: String,
    id: Option<u64>,
    name: String,
    args: Vec<Data>,
}

fn message() -> impl Strategy<Value = Message> {
    (
        "/[a-z?#é]{0,40}",
        prop::option::of(prop_oneof![0..300_u64, 0..1_u64 << 53]),
        any::<String>(),
        prop::collection::vec(data(), 0..20),
    )
        .prop_filter("reserved", |(_, _, name, _)| !RESERVED_EVENTS.contains(&name.as_str()))
        .prop_map(|(namespace, id, name, args)| Message { namespace, id, name, args })
}

/// The model's packet, in the server's order.
fn model(message: &Message) -> Value {
    let mut data = vec![Value::from(message.name.as_str())];
    data.extend(message.args.iter().map(Data::model));
    let mut members = vec![("type".into(), 2.into()), ("data".into(), Value::Array(data))];
    members.extend(message.id.map(|id| ("id".into(), id.into())));
    members.push(("nsp".into(), message.namespace.as_str().into()));
    Value::Map(members)
}

fn narrow(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, value).expect("a Vec takes all that is written");
    out
}

/// Writes with wider heads than are needed; `choices` say how wide.
fn write_wide(out: &mut Vec<u8>, value: &Value, choices: &mut impl Iterator<Item = u8>) {
    let choice = choices.next().unwrap_or(0);
    let mut head = |markers: &[u8], len: usize| {
        // Marker for 1, 2 and 4 bytes of length; of those that are wide enough, one is chosen.
        let narrowest = match len {
            0..=0xff => 0,
            0x100..=0xffff => 1,
            _ => 2,
        };
        let width = narrowest.max(usize::from(choice) % 3).max(3 - markers.len());
        out.push(markers[width + markers.len() - 3]);
        out.extend_from_slice(&(len as u32).to_be_bytes()[4 - (1 << width)..]);
    };
    match value {
        Value::String(text) => {
            let bytes = text.as_bytes();
            head(&[0xd9, 0xda, 0xdb], bytes.len());
            out.extend_from_slice(bytes);
        }
        Value::Binary(bytes) => {
            // Also as the `ArrayBuffer` of Node's encoder.
            if choice & 0x80 == 0 {
                head(&[0xc4, 0xc5, 0xc6], bytes.len());
            } else {
                head(&[0xc7, 0xc8, 0xc9], bytes.len());
                out.push(0);
            }
            out.extend_from_slice(bytes);
        }
        Value::Array(items) => {
            head(&[0xdc, 0xdd], items.len());
            items.iter().for_each(|item| write_wide(out, item, choices));
        }
        Value::Map(members) => {
            head(&[0xde, 0xdf], members.len());
            for (key, value) in members {
                write_wide(out, key, choices);
                write_wide(out, value, choices);
            }
        }
        Value::Integer(number) => match (number.as_i64(), choice % 3) {
            (Some(number), 0) => {
                out.push(0xd3);
                out.extend_from_slice(&number.to_be_bytes());
            }
            (Some(number @ 0..), 1) => {
                out.push(0xcf);
                out.extend_from_slice(&number.to_be_bytes());
            }
            // No integer of the model is beyond a double.
            _ => {
                out.push(0xcb);
                out.extend_from_slice(&number.as_f64().expect("a number").to_be_bytes());
            }
        },
        Value::Nil if choice.is_multiple_of(2) => out.extend_from_slice(b"\xd4\0\0"),
        other => out.extend_from_slice(&narrow(other)),
    }
}

fn check(packet: &Packet<'_>, message: &Message) {
    let event = packet.event().expect("an event");
    assert_eq!(packet.namespace, message.namespace);
    assert_eq!((event.id, &*event.name), (message.id, &*message.name));
    assert_eq!(event.args.len(), message.args.len());
    assert_eq!(event.args.parse_tuple::<Vec<Data>>().as_ref(), Ok(&message.args));
    for (index, arg) in message.args.iter().enumerate() {
        assert_eq!(event.args.parse_arg::<Data>(index).as_ref(), Ok(arg));
    }
    assert_eq!(event.args.raw().count(), message.args.len());
    assert_eq!(event.args.raw().collect::<Vec<_>>().concat(), event.args.as_bytes());
}

proptest! {
    #[test]
    fn what_we_print_is_what_the_model_prints(message in message()) {
        let Message { namespace, id, name, args } = &message;
        let expected = narrow(&model(&message));

        let mut raw = b"before".to_vec();
        let mut count = 0;
        for arg in args {
            count += encode::args(&mut raw, &(arg,)).unwrap();
        }
        let mut spliced = b"x".to_vec();
        encode::event_raw(&mut spliced, namespace, *id, name, &raw[6..], count).unwrap();
        prop_assert_eq!(&spliced[1..], &expected);

        if let [first, second] = args.as_slice() {
            let mut typed = Vec::new();
            encode::event(&mut typed, namespace, *id, name, &(first, second)).unwrap();
            prop_assert_eq!(&typed, &expected);
        }
        check(&decode(&expected, &PacketLimits::default()).unwrap(), &message);
    }

    #[test]
    fn what_the_model_prints_is_read_as_it_was(
        message in message(),
        choices in any::<[u8; 16]>(),
        turn in 0..4_usize,
    ) {
        let Value::Map(mut members) = model(&message) else { unreachable!() };
        let len = members.len();
        members.rotate_left(turn % len);
        members.insert(turn % len, ("options".into(), Value::Map(vec![(1.into(), Value::Nil)])));
        let mut out = Vec::new();
        write_wide(&mut out, &Value::Map(members), &mut choices.into_iter().cycle());
        check(&decode(&out, &PacketLimits::default()).unwrap(), &message);
    }

    #[test]
    fn acks_are_read_as_they_were_sent(id in 0..1_u64 << 53, arg in data()) {
        let mut out = Vec::new();
        encode::ack(&mut out, "/", id, &(&arg, 1)).unwrap();
        let model = Value::Map(vec![
            ("id".into(), id.into()),
            ("type".into(), 3.into()),
            ("data".into(), Value::Array(vec![arg.model(), 1.into()])),
            ("nsp".into(), "/".into()),
        ]);
        prop_assert_eq!(&out, &narrow(&model));
        let packet = decode(&out, &PacketLimits::default()).unwrap();
        let ack = packet.ack().unwrap();
        prop_assert_eq!(ack.id, Some(id));
        prop_assert_eq!(ack.args.parse_tuple::<(Data, u8)>(), Ok((arg, 1)));
    }

    #[test]
    fn dates_come_back_from_both_formats(ms in -8_640_000_000_000_000..=8_640_000_000_000_000_i64) {
        let mut out = Vec::new();
        encode::value(&mut out, &Date(ms)).unwrap();
        prop_assert_eq!(rmpv::decode::read_value(&mut &out[..]).unwrap(),
            Value::Ext(0, ms.to_be_bytes().to_vec()));
        prop_assert_eq!(from_slice::<Date>(&out), Ok(Date(ms)));
        let text: String = from_slice(&out).unwrap();
        let json = serde_json::to_string(&Date(ms)).unwrap();
        prop_assert_eq!(&json, &format!("\"{text}\""));
        prop_assert_eq!(serde_json::from_str::<Date>(&json).unwrap(), Date(ms));
    }

    #[test]
    fn any_bytes_are_an_answer(bytes in any::<Vec<u8>>(), kind in 0..6_u8) {
        let limits = PacketLimits::default();
        let _ = decode(&bytes, &limits);
        let message = [b"\x83\xa4type", &[kind][..], b"\xa3nsp\xa1/\xa4data", &bytes].concat();
        match decode(&message, &limits) {
            Ok(packet) => use_all(&packet),
            Err(_) => prop_assert!(bytes != b"\x91\xa1a"),
        }
        let _ = from_slice::<Data>(&bytes);
    }

    #[test]
    fn a_changed_byte_is_an_answer(
        message in message(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = narrow(&model(&message));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(packet) = decode(&bytes, &PacketLimits::default()) {
            // Whatever we take for MessagePack the model does, too, and all of it.
            let mut rest = &bytes[..];
            prop_assert!(rmpv::decode::read_value(&mut rest).is_ok() && rest.is_empty());
            use_all(&packet);
        }
    }
}

/// Asks for everything that a checked packet promises: none of it may fail.
fn use_all(packet: &Packet<'_>) {
    assert!(packet.namespace.starts_with('/'));
    assert!(packet.id.is_none_or(|id| id < 1 << 53));
    let (event, ack) = (packet.event(), packet.ack());
    assert_eq!(event.is_some(), packet.kind == PacketType::Event);
    assert_eq!(ack.is_some(), packet.kind == PacketType::Ack);
    let args: Option<Args<'_>> = event.map(|event| event.args).or(ack.map(|ack| ack.args));
    let Some(args) = args else { return };
    let count = args.len();
    assert_eq!(args.is_empty(), count == 0);
    assert_eq!(args.raw().count(), count);
    args.parse_tuple::<()>().expect("arguments may be ignored");
    for raw in args.raw() {
        let mut rest = raw;
        rmpv::decode::read_value(&mut rest).expect("an argument is a value");
        assert!(rest.is_empty());
    }
    let _ = args.parse_tuple::<Vec<serde_json::Value>>();
    let _ = args.parse_tuple::<(Binary, String, u8, Vec<u8>, Option<char>, Date)>();
}
