//! Random messages against other implementations of JSON and MessagePack: what they print of a message,
//! described here once more, we read whatever else is in it, and print as they do.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use yamabiko_protocol::cluster::classic::{Broadcast, Request, Response};
use yamabiko_protocol::cluster::streams::{Session, entry};
use yamabiko_protocol::cluster::{Dialect, EMITTER, Envelope, Unwritable, Value};
use yamabiko_protocol::limits::ClusterLimits;

/// A value, and a message around values.
#[derive(Debug, Clone, PartialEq)]
enum Tree {
    Null,
    Bool(bool),
    /// Multiples of 1/8, which all printers print alike.
    Number(i32),
    Text(String),
    Binary(Vec<u8>),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
    /// An object whose members have a meaning here.
    Members(Vec<(&'static str, Tree)>),
}

impl Tree {
    fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// As a message that starts with a brace, or within one.
    fn json(&self) -> String {
        let joined = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(",");
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(eighths) => (f64::from(*eighths) / 8.0).to_string(),
            Self::Text(text) => quoted(text),
            Self::Binary(bytes) => {
                let bytes = joined(&mut bytes.iter().map(u8::to_string));
                format!(r#"{{"type":"Buffer","data":[{bytes}]}}"#)
            }
            Self::List(items) => format!("[{}]", joined(&mut items.iter().map(Self::json))),
            Self::Object(members) => {
                let member = |(key, value): &(String, Self)| quoted(key) + ":" + &value.json();
                format!("{{{}}}", joined(&mut members.iter().map(member)))
            }
            Self::Members(members) => {
                let member = |(key, value): &(&str, Self)| quoted(key) + ":" + &value.json();
                format!("{{{}}}", joined(&mut members.iter().map(member)))
            }
        }
    }

    fn model(&self) -> rmpv::Value {
        match self {
            Self::Null => rmpv::Value::Nil,
            Self::Bool(value) => (*value).into(),
            Self::Number(eighths) if eighths % 8 == 0 => (eighths / 8).into(),
            Self::Number(eighths) => (f64::from(*eighths) / 8.0).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Binary(bytes) => rmpv::Value::Binary(bytes.clone()),
            Self::List(items) => rmpv::Value::Array(items.iter().map(Self::model).collect()),
            Self::Object(members) => rmpv::Value::Map(
                members.iter().map(|(key, value)| (key.as_str().into(), value.model())).collect(),
            ),
            Self::Members(members) => rmpv::Value::Map(
                members.iter().map(|(key, value)| ((*key).into(), value.model())).collect(),
            ),
        }
    }

    fn msgpack(&self) -> Vec<u8> {
        let mut out = Vec::new();
        rmpv::encode::write_value(&mut out, &self.model()).expect("a Vec takes it");
        out
    }

    fn has_binary(&self) -> bool {
        match self {
            Self::Binary(_) => true,
            Self::List(items) => items.iter().any(Self::has_binary),
            Self::Object(members) => members.iter().any(|(_, value)| value.has_binary()),
            Self::Members(members) => members.iter().any(|(_, value)| value.has_binary()),
            _ => false,
        }
    }

    /// The same message to its reader: members in another order, and more of them.
    fn disturbed(&self) -> Self {
        match self {
            Self::Members(members) => {
                let rest = members.iter().rev().map(|(key, value)| (*key, value.disturbed()));
                let more = ("more", Self::List(vec![Self::Null, Self::text("more")]));
                Self::Members(std::iter::once(more).chain(rest).collect())
            }
            Self::List(items) => Self::List(items.iter().map(Self::disturbed).collect()),
            other => other.clone(),
        }
    }
}

fn value() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        any::<i32>().prop_map(Tree::Number),
        (-200..200_i32).prop_map(Tree::Number),
        any::<String>().prop_map(Tree::Text),
        vec(any::<u8>(), 0..40).prop_map(Tree::Binary),
    ];
    leaf.prop_recursive(4, 40, 20, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Tree::List),
            proptest::collection::btree_map(".{0,6}", inner, 0..20)
                .prop_map(|members| Tree::Object(members.into_iter().collect())),
        ]
    })
}

fn event() -> impl Strategy<Value = Tree> {
    (".{0,8}", vec(value(), 0..4)).prop_map(|(name, args)| {
        Tree::List(std::iter::once(Tree::Text(name)).chain(args).collect())
    })
}

fn packet(has_namespace: bool) -> impl Strategy<Value = Tree> {
    (event(), option::of(0..1_000_000_i32), ".{0,5}").prop_map(move |(data, id, namespace)| {
        let mut members = vec![("type", Tree::Number(16)), ("data", data)];
        members.extend(id.map(|id| ("id", Tree::Number(id * 8))));
        if has_namespace {
            members.push(("nsp", Tree::text(format!("/{namespace}"))));
        }
        Tree::Members(members)
    })
}

fn names() -> impl Strategy<Value = Tree> {
    vec(".{0,6}", 0..4).prop_map(|names| Tree::List(names.into_iter().map(Tree::Text).collect()))
}

fn flags() -> impl Strategy<Value = Tree> {
    (any::<[bool; 2]>(), option::of(any::<bool>()), option::of(0..100_000_i32)).prop_map(
        |([single, volatile], compress, timeout)| {
            let mut members = Vec::new();
            members.extend(single.then_some(("expectSingleResponse", Tree::Bool(true))));
            members.extend(volatile.then_some(("volatile", Tree::Bool(true))));
            members.extend(compress.map(|compress| ("compress", Tree::Bool(compress))));
            members.extend(timeout.map(|timeout| ("timeout", Tree::Number(timeout * 8))));
            Tree::Members(members)
        },
    )
}

/// Options in the order of adapters, or of emitters, or without flags.
#[derive(Debug, Clone, Copy)]
enum Order {
    Adapter,
    Emitter,
    NoFlags,
}

fn opts(order: Order) -> impl Strategy<Value = Tree> {
    (names(), names(), flags()).prop_map(move |(rooms, except, flags)| {
        let (rooms, except, flags) = (("rooms", rooms), ("except", except), ("flags", flags));
        Tree::Members(match order {
            Order::Adapter => vec![rooms, except, flags],
            Order::Emitter => vec![rooms, flags, except],
            Order::NoFlags => vec![rooms, except],
        })
    })
}

fn broadcast() -> impl Strategy<Value = Tree> {
    let node = ("[a-zA-Z0-9_-]{6}".prop_map(Tree::Text), packet(true), opts(Order::Adapter));
    let emitter = (Just(Tree::text(EMITTER)), packet(true), opts(Order::Emitter));
    prop_oneof![node, emitter].prop_map(|(uid, packet, opts)| Tree::List(vec![uid, packet, opts]))
}

fn id() -> impl Strategy<Value = Tree> {
    "[a-zA-Z0-9_-]{6}|.{1,4}".prop_map(Tree::Text)
}

/// Members of requests of the current generation, with their types.
fn request() -> impl Strategy<Value = Tree> {
    let sid = || ("sid", id());
    let body = prop_oneof![
        names().prop_map(|rooms| (0, vec![("rooms", rooms)])),
        Just((1, vec![])),
        (2..4, opts(Order::NoFlags), names())
            .prop_map(|(kind, opts, rooms)| (kind, vec![("opts", opts), ("rooms", rooms)])),
        (opts(Order::NoFlags), any::<bool>())
            .prop_map(|(opts, close)| (4, vec![("opts", opts), ("close", Tree::Bool(close))])),
        (2..4, sid().1, id())
            .prop_map(|(kind, sid, room)| (kind, vec![("sid", sid), ("room", room)])),
        (sid().1, any::<bool>())
            .prop_map(|(sid, close)| (4, vec![("sid", sid), ("close", Tree::Bool(close))])),
        opts(Order::NoFlags).prop_map(|opts| (5, vec![("opts", opts)])),
        event().prop_map(|data| (6, vec![("data", data)])),
        (packet(true), opts(Order::Adapter))
            .prop_map(|(packet, opts)| (7, vec![("packet", packet), ("opts", opts)])),
    ];
    (option::of(id()), option::of(id()), body).prop_map(|(uid, id, (kind, body))| {
        let mut members = Vec::new();
        members.extend(uid.map(|uid| ("uid", uid)));
        members.extend(id.map(|id| ("requestId", id)));
        members.push(("type", Tree::Number(8 * kind)));
        members.extend(body);
        Tree::Members(members)
    })
}

fn socket() -> impl Strategy<Value = Tree> {
    (id(), value(), names(), option::of(value())).prop_map(|(id, handshake, rooms, data)| {
        let mut members = vec![("id", id), ("handshake", handshake), ("rooms", rooms)];
        members.extend(data.map(|data| ("data", data)));
        Tree::Members(members)
    })
}

fn response() -> impl Strategy<Value = Tree> {
    let sockets = vec(socket(), 0..3).prop_map(Tree::List);
    let body = prop_oneof![
        Just((None, vec![])),
        prop_oneof![sockets, names()].prop_map(|sockets| (None, vec![("sockets", sockets)])),
        names().prop_map(|rooms| (None, vec![("rooms", rooms)])),
        option::of(value())
            .prop_map(|data| (Some(6), data.map(|data| ("data", data)).into_iter().collect())),
        (0..100_000_i32)
            .prop_map(|count| (Some(8), vec![("clientCount", Tree::Number(8 * count))])),
        option::of(value())
            .prop_map(|it| (Some(9), it.map(|it| ("packet", it)).into_iter().collect())),
    ];
    (id(), body).prop_map(|(id, (kind, body)): (Tree, (Option<i32>, Vec<_>))| {
        let mut members = Vec::new();
        members.extend(kind.map(|kind| ("type", Tree::Number(8 * kind))));
        members.push(("requestId", id));
        members.extend(body);
        Tree::Members(members)
    })
}

/// Types and data of the newer adapters' messages.
fn message() -> impl Strategy<Value = (i32, Option<Tree>)> {
    let answer = (10..13_i32, id(), value()).prop_map(|(kind, id, answer)| match kind {
        11 => (kind, vec![("requestId", id), ("clientCount", Tree::Number(64))]),
        _ => (kind, vec![("requestId", id), ("packet", answer)]),
    });
    let data = prop_oneof![
        (packet(false), option::of(id()), opts(Order::Adapter)).prop_map(|(packet, id, opts)| {
            let mut members = vec![("packet", packet)];
            members.extend(id.map(|id| ("requestId", id)));
            members.push(("opts", opts));
            (3, members)
        }),
        (4..6_i32, opts(Order::Adapter), names())
            .prop_map(|(kind, opts, rooms)| (kind, vec![("opts", opts), ("rooms", rooms)])),
        (opts(Order::Adapter), any::<bool>())
            .prop_map(|(opts, close)| (6, vec![("opts", opts), ("close", Tree::Bool(close))])),
        (opts(Order::Adapter), id())
            .prop_map(|(opts, id)| (7, vec![("opts", opts), ("requestId", id)])),
        (id(), vec(socket(), 0..3)).prop_map(|(id, sockets)| (
            8,
            vec![("requestId", id), ("sockets", Tree::List(sockets))]
        )),
        (option::of(id()), event()).prop_map(|(id, event)| {
            let id = id.map(|id| ("requestId", id));
            (9, id.into_iter().chain([("packet", event)]).collect())
        }),
        answer,
    ]
    .prop_map(|(kind, members)| (kind, Some(Tree::Members(members))));
    prop_oneof![8 => data, 1 => prop_oneof![Just(1), Just(2), Just(13)].prop_map(|kind| (kind, None))]
}

fn envelope(kind: i32, data: Option<Tree>, uid: &Tree, namespace: &Tree) -> Tree {
    let mut members = vec![("type", Tree::Number(8 * kind))];
    members.extend(data.map(|data| ("data", data)));
    members.push(("uid", uid.clone()));
    members.push(("nsp", namespace.clone()));
    Tree::Members(members)
}

fn limits() -> ClusterLimits {
    ClusterLimits::default()
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Unwritable>) -> Vec<u8> {
    let mut out = b"before".to_vec();
    encode(&mut out).expect("what was read can be written");
    out.split_off(6)
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_value_has_many_forms_that_say_the_same(tree in value()) {
        let (packed, plain) = (tree.msgpack(), tree.json());
        let value = Value::Msgpack(&packed);
        let spelled = encoded(|out| value.write_plain_json(out));
        prop_assert_eq!(shown(&spelled), shown(plain.as_bytes()));
        prop_assert_eq!(value.has_binary(), tree.has_binary());
        let mut attachments: Vec<Bytes> = Vec::new();
        let mut text = Vec::new();
        value.write_json(&mut text, &mut attachments, 10_000).unwrap();
        let text = String::from_utf8(text).unwrap();
        let value = Value::Json { text: &text, attachments: &attachments };
        prop_assert_eq!(value.has_binary(), tree.has_binary());
        for dialect in [Dialect::Client, Dialect::Notepack, Dialect::Standard] {
            prop_assert_eq!(shown(&encoded(|out| value.write_msgpack(out, dialect))), shown(&packed));
        }
        prop_assert_eq!(shown(&encoded(|out| value.write_plain_json(out))), shown(plain.as_bytes()));
        // As text that somebody else printed with white space.
        if !tree.has_binary() {
            let other: serde_json::Value = serde_json::from_str(&text).unwrap();
            let pretty = serde_json::to_string_pretty(&other).unwrap();
            let read = encoded(|out| Value::json(&pretty).write_msgpack(out, Dialect::Notepack));
            let again: rmpv::Value = rmpv::decode::read_value(&mut &read[..]).unwrap();
            prop_assert_eq!(again.to_string().len(), tree.model().to_string().len());
        }
    }

    #[test]
    fn broadcasts(tree in broadcast()) {
        let (bytes, disturbed) = (tree.msgpack(), tree.disturbed().msgpack());
        for message in [&bytes, &disturbed] {
            let broadcast = Broadcast::decode(message, &limits()).unwrap();
            prop_assert_eq!(shown(&encoded(|out| broadcast.encode(out))), shown(&bytes));
            let Tree::List(parts) = &tree else { unreachable!() };
            let Tree::Members(packet) = &parts[1] else { unreachable!() };
            let event = broadcast.packet.event().unwrap();
            let Tree::List(data) = &packet[1].1 else { unreachable!() };
            prop_assert_eq!(Tree::text(event.name), data[0].clone());
            prop_assert_eq!(event.args.len() + 1, data.len());
            prop_assert_eq!(Some(&Tree::text(broadcast.namespace())), packet.last().map(|it| &it.1));
        }
    }

    #[test]
    fn requests(tree in request()) {
        let is_broadcast = tree.json().contains("\"type\":7,\"packet\"");
        let bytes = if is_broadcast { tree.msgpack() } else { tree.json().into_bytes() };
        let other = tree.disturbed();
        for message in [bytes.clone(), other.msgpack(), other.json().into_bytes()] {
            // JSON with bytes in it spells them out.
            if is_broadcast && message[0] == b'{' && tree.has_binary() {
                continue;
            }
            let request = Request::decode(&message, &limits()).unwrap();
            prop_assert_eq!(shown(&encoded(|out| request.encode(out))), shown(&bytes));
        }
    }

    #[test]
    fn responses(tree in response()) {
        let Tree::Members(members) = &tree else { unreachable!() };
        let is_ack = members[0] == ("type", Tree::Number(72));
        let bytes = if is_ack { tree.msgpack() } else { tree.json().into_bytes() };
        let other = tree.disturbed();
        for message in [bytes.clone(), other.msgpack(), other.json().into_bytes()] {
            if is_ack && message[0] == b'{' && tree.has_binary() {
                continue;
            }
            let response = Response::decode(&message, &limits()).unwrap();
            prop_assert_eq!(shown(&encoded(|out| response.encode(out))), shown(&bytes));
        }
    }

    #[test]
    fn messages((kind, data) in message(), uid in id(), namespace in id()) {
        let tree = envelope(kind, data.clone(), &uid, &namespace);
        let bytes = if tree.has_binary() { tree.msgpack() } else { tree.json().into_bytes() };
        let other = tree.disturbed();
        for message in [bytes.clone(), other.msgpack(), other.json().into_bytes()] {
            if message[0] == b'{' && tree.has_binary() {
                continue;
            }
            let envelope = Envelope::decode(&message, &limits()).unwrap();
            prop_assert_eq!(shown(&encoded(|out| envelope.encode(out))), shown(&bytes));
            prop_assert_eq!(
                shown(&encoded(|out| envelope.encode_packed(out))),
                shown(&tree.msgpack())
            );
        }
        // As an entry of a stream.
        let envelope = Envelope::decode(&bytes, &limits()).unwrap();
        let expected = match &data {
            Some(data) if data.has_binary() => {
                base64::Engine::encode(&base64::prelude::BASE64_STANDARD, data.msgpack())
            }
            Some(data) => data.json(),
            None => String::new(),
        };
        let mut out = Vec::new();
        let fields = entry::encode(&envelope, false, &mut out).unwrap();
        prop_assert_eq!(shown(fields.data), shown(expected.as_bytes()));
        let number = fields.kind.to_string();
        let pairs: [(&[u8], &[u8]); 4] = [
            (b"uid", fields.uid.as_bytes()),
            (b"nsp", fields.nsp.as_bytes()),
            (b"type", number.as_bytes()),
            (b"data", fields.data),
        ];
        let mut scratch = Vec::new();
        let again = entry::decode(pairs, &mut scratch, &limits()).unwrap();
        prop_assert_eq!(shown(&encoded(|out| again.encode(out))), shown(&bytes));
    }

    #[test]
    fn sessions(sid in id(), pid in id(), rooms in names(), data in value()) {
        let tree = Tree::Members(vec![("sid", sid), ("pid", pid), ("rooms", rooms), ("data", data)]);
        let kept = |tree: &Tree| {
            base64::Engine::encode(&base64::prelude::BASE64_STANDARD, tree.msgpack()).into_bytes()
        };
        for written in [&tree, &tree.disturbed()] {
            let mut scratch = Vec::new();
            let written = kept(written);
            let session = Session::decode(&written, &mut scratch, &limits()).unwrap();
            prop_assert_eq!(encoded(|out| session.encode(out)), kept(&tree));
        }
    }
}
