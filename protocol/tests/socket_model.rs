//! Random packets against a slow model: what the model prints we read back as it was, what we print the
//! model reads back, and nothing that anybody prints makes us panic.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::{Value, json};
use yamabiko_protocol::limits::PacketLimits;
use yamabiko_protocol::socket::{Args, Binary, Decoder, PacketType, decode, encode};

const LIMITS: PacketLimits = PacketLimits {
    attachments_max: 1_000,
    attachment_bytes_max: 1 << 20,
    namespace_bytes_max: 512,
    json_depth_max: 128,
};

/// An argument as JavaScript has it.
#[derive(Debug, Clone, PartialEq)]
enum Data {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Binary(Vec<u8>),
    List(Vec<Data>),
    Object(BTreeMap<String, Data>),
}

impl Data {
    /// The model's way to take binary data out: a tree of values with placeholders.
    fn deconstruct(&self, attachments: &mut Vec<Vec<u8>>) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => json!(value),
            Self::Number(value) if value.trunc() == *value && value.abs() < 1e15 => {
                json!(*value as i64)
            }
            Self::Number(value) => json!(value),
            Self::Text(value) => json!(value),
            Self::Binary(bytes) => {
                attachments.push(bytes.clone());
                json!({"_placeholder": true, "num": attachments.len() - 1})
            }
            Self::List(items) => items.iter().map(|item| item.deconstruct(attachments)).collect(),
            Self::Object(members) => Value::Object(
                members.iter().map(|(k, v)| (k.clone(), v.deconstruct(attachments))).collect(),
            ),
        }
    }

    /// The model's way to put it back.
    fn reconstruct(value: &Value, attachments: &[Bytes]) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(value) => Self::Number(value.as_f64().expect("a double")),
            Value::String(value) => Self::Text(value.clone()),
            Value::Array(items) => {
                Self::List(items.iter().map(|item| Self::reconstruct(item, attachments)).collect())
            }
            Value::Object(members) if members.get("_placeholder") == Some(&Value::Bool(true)) => {
                let num = members["num"].as_u64().expect("an index") as usize;
                Self::Binary(attachments[num].to_vec())
            }
            Value::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(k, v)| (k.clone(), Self::reconstruct(v, attachments)))
                    .collect(),
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
            // Both kinds of bytes, to try both.
            Self::Binary(bytes) if bytes.len() % 2 == 0 => serializer.serialize_bytes(bytes),
            Self::Binary(bytes) => Binary::from(bytes.clone()).serialize(serializer),
            Self::List(items) => items.serialize(serializer),
            Self::Object(members) => members.serialize(serializer),
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
                let mut members = BTreeMap::new();
                while let Some((key, value)) = map.next_entry()? {
                    members.insert(key, value);
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
        (-1e18..1e18_f64).prop_map(Data::Number),
        any::<i32>().prop_map(|value| Data::Number(f64::from(value))),
        any::<String>().prop_map(Data::Text),
        any::<Vec<u8>>().prop_map(Data::Binary),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Data::List),
            prop::collection::btree_map(any::<String>(), inner, 0..5).prop_map(Data::Object),
        ]
    })
}

#[derive(Debug, Clone)]
struct Message {
    namespace: String,
    id: Option<u64>,
    name: String,
    args: Vec<Data>,
    pretty: bool,
}

fn message() -> impl Strategy<Value = Message> {
    (
        "/[a-z?#é]{0,8}",
        prop::option::of(0..1_u64 << 53),
        any::<String>(),
        prop::collection::vec(data(), 0..4),
        any::<bool>(),
    )
        .prop_filter("reserved", |(_, _, name, _, _)| {
            !yamabiko_protocol::socket::RESERVED_EVENTS.contains(&name.as_str())
        })
        .prop_map(|(namespace, id, name, args, pretty)| Message {
            namespace,
            id,
            name,
            args,
            pretty,
        })
}

/// The model's encoder.
fn print(message: &Message) -> (String, Vec<Vec<u8>>) {
    let mut attachments = Vec::new();
    let mut array = vec![json!(message.name)];
    array.extend(message.args.iter().map(|arg| arg.deconstruct(&mut attachments)));
    let json = if message.pretty {
        serde_json::to_string_pretty(&array).expect("a value is JSON")
    } else {
        Value::Array(array).to_string()
    };
    let kind = match attachments.len() {
        0 => "2".to_owned(),
        count => format!("5{count}-"),
    };
    let namespace = match message.namespace.as_str() {
        "/" => String::new(),
        other => format!("{other},"),
    };
    let id = message.id.map(|id| id.to_string()).unwrap_or_default();
    (format!("{kind}{namespace}{id}{json}"), attachments)
}

/// Feeds a whole message to a new decoder, and gives `check` its parts.
fn read(
    text: &str,
    attachments: Vec<Bytes>,
    check: impl FnOnce(&str, Option<u64>, &str, Args<'_>),
) {
    let mut decoder = Decoder::new();
    if let Some(packet) = decoder.text(text, &LIMITS).expect("valid") {
        assert!(attachments.is_empty());
        let event = packet.event(&[]).expect("an event");
        return check(packet.namespace, event.id, &event.name, event.args);
    }
    let mut complete = None;
    for attachment in attachments {
        assert!(complete.is_none());
        complete = decoder.binary(attachment, &LIMITS).expect("valid");
    }
    let complete = complete.expect("all attachments came");
    let event = complete.event().expect("an event");
    check(complete.packet().namespace, event.id, &event.name, event.args);
}

fn same(left: &Data, right: &Data) -> bool {
    match (left, right) {
        // The model's own float parser may be off by the last bit.
        (Data::Number(left), Data::Number(right)) => (left - right).abs() <= left.abs() * 1e-15,
        (Data::List(left), Data::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| same(l, r))
        }
        (Data::Object(left), Data::Object(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(l, r)| l.0 == r.0 && same(l.1, r.1))
        }
        (left, right) => left == right,
    }
}

proptest! {
    #[test]
    fn what_the_model_prints_is_read_as_it_was(message in message()) {
        let (text, attachments) = print(&message);
        let attachments = attachments.into_iter().map(Bytes::from).collect();
        read(&text, attachments, |namespace, id, name, args| {
            assert_eq!((namespace, id, name), (&*message.namespace, message.id, &*message.name));
            assert_eq!(args.len(), message.args.len());
            let parsed: Vec<Data> = args.parse_tuple().unwrap();
            assert!(parsed.iter().zip(&message.args).all(|(l, r)| same(l, r)), "{parsed:?}");
            for (index, arg) in message.args.iter().enumerate() {
                let parsed: Data = args.parse_arg(index).unwrap();
                assert!(same(&parsed, arg), "{parsed:?}");
            }
            // A borrowed round trip: what is passed on stays what it was.
            let mut again = Vec::new();
            let count = args.attachments().len();
            encode::event_raw(&mut again, namespace, id, name, args.as_str(), count).unwrap();
            if !message.pretty {
                assert_eq!(String::from_utf8(again).unwrap(), text);
            }
        });
    }

    #[test]
    fn what_we_print_the_model_reads(message in message()) {
        let (mut out, mut attachments) = (Vec::new(), Vec::new());
        let Message { namespace, id, name, args, .. } = &message;
        encode::event(&mut out, &mut attachments, namespace, *id, name, &(args,)).unwrap();
        let text = String::from_utf8(out).unwrap();

        // Head and body apart, by the model's rules.
        let mut printed = text.as_str();
        let count = attachments.len();
        let head = if count == 0 { "2".to_owned() } else { format!("5{count}-") };
        printed = printed.strip_prefix(&*head).unwrap();
        if namespace != "/" {
            printed = printed.strip_prefix(&*format!("{namespace},")).unwrap();
        }
        if let Some(id) = id {
            printed = printed.strip_prefix(&*id.to_string()).unwrap();
        }
        let array: Vec<Value> = serde_json::from_str(printed).unwrap();
        prop_assert_eq!(&array[0], &json!(name));
        let read = Data::reconstruct(&array[1], &attachments);
        let sent = Data::List(args.clone());
        prop_assert!(same(&read, &sent), "{:?}", read);

        // And so do we.
        self::read(&text, attachments, |_, _, _, args| {
            assert!(same(&args.parse_arg(0).unwrap(), &sent));
        });
    }

    #[test]
    fn acks_are_read_as_they_were_sent(id in 0..1_u64 << 53, args in prop::collection::vec(data(), 0..4)) {
        let (mut out, mut attachments) = (Vec::new(), Vec::new());
        encode::ack(&mut out, &mut attachments, "/", id, &args).unwrap();
        let text = String::from_utf8(out).unwrap();
        let packet = decode(&text, &LIMITS).unwrap();
        prop_assert_eq!(packet.kind == PacketType::BinaryAck, !attachments.is_empty());
        let ack = packet.ack(&attachments).unwrap();
        prop_assert_eq!(ack.id, Some(id));
        let read: Vec<Data> = ack.args.parse_arg(0).unwrap();
        prop_assert!(read.iter().zip(&args).all(|(l, r)| same(l, r)));
    }

    #[test]
    fn any_text_is_an_answer(text in any::<String>(), kind in 0..8_u8) {
        let limits = PacketLimits::default();
        let _ = decode(&text, &limits);
        if let Ok(packet) = decode(&format!("{kind}{text}"), &limits) {
            use_all(packet.event(&[]).map(|event| event.args));
            use_all(packet.ack(&[]).map(|ack| ack.args));
        }
    }

    #[test]
    fn nearly_valid_text_is_an_answer(
        text in r#"[0-6](1-|2-)?(/a,)?[0-9]?(\[|"a"|"\\ud83d\\ude00"|,|\{"_placeholder":true,"num":[012]\}|\{"a":|\]|\}|[0-9.e\-]|null|"\\udead"| ){0,14}\]?"#,
        attachments in prop::collection::vec(any::<Vec<u8>>(), 0..3),
    ) {
        let limits = PacketLimits::default();
        let mut decoder = Decoder::new();
        if let Ok(Some(packet)) = decoder.text(&text, &limits) {
            use_all(packet.event(&[]).map(|event| event.args));
            use_all(packet.ack(&[]).map(|ack| ack.args));
        }
        for attachment in attachments {
            if let Ok(Some(complete)) = decoder.binary(attachment.into(), &limits) {
                use_all(complete.event().map(|event| event.args));
                use_all(complete.ack().map(|ack| ack.args));
            }
        }
    }
}

/// Asks for everything that checked arguments promise: none of it may fail.
fn use_all(args: Option<Args<'_>>) {
    let Some(args) = args else { return };
    let len = args.len();
    assert_eq!(args.is_empty(), len == 0);
    args.parse_tuple::<(Value, Value)>().expect("a value takes whatever is valid");
    for (index, raw) in args.raw().enumerate() {
        assert!(!raw.is_empty());
        args.parse_arg::<Data>(index).expect("and so does this");
    }
    assert_eq!(args.parse_tuple::<Vec<Data>>().expect("and so do all together").len(), len);
    let _ = args.parse_tuple::<(Binary, String, u8, Vec<u8>, Option<char>)>();
}
