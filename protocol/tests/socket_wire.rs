//! Socket.IO packets as they are seen on the wire, both ways, and what handlers make of them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use yamabiko_protocol::limits::PacketLimits;
use yamabiko_protocol::socket::{Binary, Complete, Decoder, Packet, PacketType, decode, encode};

fn plain(text: &str) -> Packet<'_> {
    decode(text, &PacketLimits::default()).expect(text)
}

fn complete(text: &str, attachments: &[&'static [u8]]) -> Complete {
    let limits = PacketLimits::default();
    let mut decoder = Decoder::new();
    assert_eq!(decoder.text(text, &limits), Ok(None), "{text}");
    let (last, first) = attachments.split_last().expect("a binary packet has attachments");
    for attachment in first {
        assert!(matches!(decoder.binary(Bytes::from_static(attachment), &limits), Ok(None)));
    }
    decoder.binary(Bytes::from_static(last), &limits).expect("valid").expect("complete")
}

fn encoded(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).expect("packets are UTF-8")
}

fn event<T: Serialize + ?Sized>(name: &str, args: &T) -> (String, Vec<Bytes>) {
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    encode::event(&mut out, &mut attachments, "/", None, name, args).expect("encodable");
    (String::from_utf8(out).expect("packets are UTF-8"), attachments)
}

#[test]
fn connects() {
    assert_eq!(plain("0").data, None);
    assert_eq!(plain("0{\"token\":\"1\"}").data, Some("{\"token\":\"1\"}"));
    let admin = plain("0/admin,{\"t\":1}");
    assert_eq!((admin.namespace, admin.data), ("/admin", Some("{\"t\":1}")));
    assert_eq!(plain("0/admin").namespace, "/admin");
    assert_eq!(plain("0/c?token=abc,").namespace, "/c?token=abc");

    let sid = "x2dW7M6qkyNEmJh4AAAB";
    assert_eq!(
        encoded(|out| encode::connect(out, "/", sid, None)),
        "0{\"sid\":\"x2dW7M6qkyNEmJh4AAAB\"}"
    );
    assert_eq!(
        encoded(|out| encode::connect(out, "/admin", sid, Some("p"))),
        "0/admin,{\"sid\":\"x2dW7M6qkyNEmJh4AAAB\",\"pid\":\"p\"}"
    );
    assert_eq!(encoded(|out| encode::connect_v4(out, "/")), "0");
    assert_eq!(encoded(|out| encode::connect_v4(out, "/c")), "0/c,");
}

#[test]
fn refuses_connects() {
    let error = |namespace, message, data| {
        encoded(|out| encode::connect_error(out, namespace, message, data))
    };
    assert_eq!(
        error("/no", "nope", Some("{\"a\":1}")),
        "4/no,{\"message\":\"nope\",\"data\":{\"a\":1}}"
    );
    assert_eq!(
        error("/random", "Invalid namespace", None),
        "4/random,{\"message\":\"Invalid namespace\"}"
    );
    assert_eq!(error("/", "a\"b", None), "4{\"message\":\"a\\\"b\"}");
    let error = |data| encoded(|out| encode::connect_error_v4(out, "/no2", "plain", data));
    assert_eq!(error(None), "4/no2,\"plain\"");
    assert_eq!(error(Some("{\"code\":1}")), "4/no2,{\"code\":1}");
}

#[test]
fn disconnects() {
    assert_eq!(plain("1").kind, PacketType::Disconnect);
    assert_eq!(plain("1/admin,").namespace, "/admin");
    assert_eq!(encoded(|out| encode::disconnect(out, "/")), "1");
    assert_eq!(encoded(|out| encode::disconnect(out, "/admin")), "1/admin,");
}

#[test]
fn events() {
    let packet = plain("2[\"hey\",1]");
    let hey = packet.event(&[]).unwrap();
    assert_eq!((hey.name, hey.id, hey.args.as_str()), (Cow::Borrowed("hey"), None, "1"));
    let packet = plain("2/admin,12[\"x\"]");
    assert_eq!((packet.namespace, packet.id), ("/admin", Some(12)));
    assert!(packet.event(&[]).unwrap().args.is_empty());
    assert_eq!(plain("20[\"x\"]").id, Some(0));

    assert_eq!(event("hey", &(1,)).0, "2[\"hey\",1]");
    let mut out = Vec::new();
    encode::event(&mut out, &mut Vec::new(), "/admin", Some(12), "x", &()).unwrap();
    assert_eq!(out, b"2/admin,12[\"x\"]");
    let (text, attachments) = event("auth", &json!({}));
    assert_eq!((text.as_str(), attachments.len()), ("2[\"auth\",{}]", 0));
}

#[test]
fn acks() {
    let packet = plain("312[\"ok\"]");
    let ack = packet.ack(&[]).unwrap();
    assert_eq!((ack.id, ack.args.as_str()), (Some(12), "\"ok\""));
    let packet = plain("3/admin,12[]");
    assert!(packet.ack(&[]).unwrap().args.is_empty());

    let mut out = Vec::new();
    encode::ack(&mut out, &mut Vec::new(), "/", 12, "ok").unwrap();
    encode::ack(&mut out, &mut Vec::new(), "/admin", 12, &()).unwrap();
    assert_eq!(out, b"312[\"ok\"]3/admin,12[]");
}

#[test]
fn binary_events_and_acks() {
    let text =
        "52-[\"baz\",{\"_placeholder\":true,\"num\":0},{\"x\":{\"_placeholder\":true,\"num\":1}}]";
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wrapped {
        x: Bytes,
    }
    let args = (Binary(Bytes::from_static(b"a")), Wrapped { x: Bytes::from_static(b"b") });
    assert_eq!(
        event("baz", &args),
        (text.to_owned(), vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")])
    );
    let packet = complete(text, &[b"a", b"b"]);
    assert_eq!(packet.event().unwrap().args.parse_tuple::<(Binary, Wrapped)>(), Ok(args));

    let text = "61-12[\"a\",{\"_placeholder\":true,\"num\":0}]";
    let mut out = Vec::new();
    let mut attachments = Vec::new();
    let args = ("a", serde_bytes::Bytes::new(b"b"));
    encode::ack(&mut out, &mut attachments, "/", 12, &args).unwrap();
    assert_eq!((out.as_slice(), attachments.len()), (text.as_bytes(), 1));
    let packet = complete(text, &[b"b"]);
    let ack = packet.ack().unwrap();
    assert_eq!(ack.id, Some(12));
    let parsed: (&str, serde_bytes::ByteBuf) = ack.args.parse_tuple().unwrap();
    assert_eq!(parsed, ("a", serde_bytes::ByteBuf::from(b"b")));
}

/// What the conformance suite's server answers: arguments go back as they came.
#[test]
fn what_is_passed_on_keeps_its_bytes() {
    let packet = plain("2456[\"message-with-ack\",1,\"2\",{\"3\":[false]}]");
    let event = packet.event(&[]).unwrap();
    assert_eq!(event.args.raw().collect::<Vec<_>>(), ["1", "\"2\"", "{\"3\":[false]}"]);
    let mut out = Vec::new();
    encode::ack_raw(&mut out, "/", event.id.unwrap(), event.args.as_str(), 0);
    assert_eq!(out, b"3456[1,\"2\",{\"3\":[false]}]");
    out.clear();
    encode::event_raw(&mut out, "/", None, "message-back", event.args.as_str(), 0).unwrap();
    assert_eq!(out, b"2[\"message-back\",1,\"2\",{\"3\":[false]}]");
    out.clear();
    encode::event_raw(&mut out, "/n", Some(3), "x", "", 0).unwrap();
    assert_eq!(out, b"2/n,3[\"x\"]");

    let placeholders = "{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}";
    let packet = complete(&format!("52-789[\"message-with-ack\",{placeholders}]"), &[b"1", b"2"]);
    let args = packet.event().unwrap().args;
    out.clear();
    encode::ack_raw(&mut out, "/", 789, args.as_str(), args.attachments().len());
    assert_eq!(String::from_utf8(out).unwrap(), format!("62-789[{placeholders}]"));
}

#[test]
fn a_tuple_takes_what_is_there_and_null_for_the_rest() {
    let packet = plain("2[ \"x\" , 1 , \"two\" , [3] ]");
    let args = packet.event(&[]).unwrap().args;
    assert_eq!(args.len(), 3);
    assert_eq!(args.as_str(), "1 , \"two\" , [3]");
    assert_eq!(args.parse_tuple::<()>(), Ok(()));
    assert_eq!(args.parse_tuple::<(u8,)>(), Ok((1,)));
    assert_eq!(args.parse_tuple::<(u8, &str)>(), Ok((1, "two")));
    type Five = (f64, String, Vec<u8>, Option<u8>, ());
    assert_eq!(args.parse_tuple::<Five>(), Ok((1.0, "two".to_owned(), vec![3], None, ())));
    type Eight = (u8, Value, Value, Value, Option<()>, Value, Option<String>, Box<RawValue>);
    let eight: Eight = args.parse_tuple().unwrap();
    assert_eq!((eight.2, eight.7.get()), (json!([3]), "null"));
    assert_eq!(args.parse_tuple::<Vec<Value>>(), Ok(vec![json!(1), json!("two"), json!([3])]));

    let error = args.parse_tuple::<(u8, u8)>().unwrap_err();
    assert_eq!(error.index, 1);
    assert!(error.reason.contains("expected u8"), "{error}");
    assert_eq!(args.parse_tuple::<(u8, String, Vec<u8>, u8)>().unwrap_err().index, 3);

    assert_eq!(args.parse_arg::<String>(1).as_deref(), Ok("two"));
    assert_eq!(args.parse_arg::<Option<String>>(3), Ok(None));
    assert_eq!(args.parse_arg::<String>(7).unwrap_err().index, 7);
    assert_eq!(args.parse_arg::<u8>(1).unwrap_err().index, 1);
    assert_eq!(
        plain("2[\"x\"]").event(&[]).unwrap().args.parse_tuple::<(Option<u8>,)>(),
        Ok((None,))
    );
}

/// JavaScript's `JSON.stringify("\ud800")` is `"\ud800"`, in quotes, with the escape.
#[test]
fn a_lone_surrogate_does_not_cost_the_message() {
    #[derive(Debug, PartialEq, Deserialize)]
    enum Kind {
        Unit,
        One(String),
        Two(u8, u8),
        Named { a: u8 },
    }
    let packet = plain(
        r#"2["x","a\ud800b","\ud83d\ude00",{"k\udc00":-1.5},{"7":true},["Unit",{"One":"\ud800"},{"Two":[1,2]},{"Named":{"a":3}}],1e999]"#,
    );
    let args = packet.event(&[]).unwrap().args;
    type Parsed =
        (String, String, BTreeMap<String, f64>, BTreeMap<u32, Option<bool>>, Vec<Kind>, f64);
    let parsed: Parsed = args.parse_tuple().unwrap();
    assert_eq!(
        parsed,
        (
            "a\u{fffd}b".to_owned(),
            "😀".to_owned(),
            BTreeMap::from([("k\u{fffd}".to_owned(), -1.5)]),
            BTreeMap::from([(7, Some(true))]),
            vec![
                Kind::Unit,
                Kind::One("\u{fffd}".to_owned()),
                Kind::Two(1, 2),
                Kind::Named { a: 3 }
            ],
            f64::INFINITY,
        )
    );
    assert_eq!(args.parse_arg::<String>(0).as_deref(), Ok("a\u{fffd}b"));
    assert_eq!(args.parse_arg::<Value>(2), Ok(json!({"k\u{fffd}": -1.5})));
    assert_eq!(args.parse_arg::<Box<RawValue>>(0).unwrap().get(), r#""a\ud800b""#);
    let error = args.parse_tuple::<(String, String, u8)>().unwrap_err();
    assert_eq!(error.index, 2);
}

#[test]
fn attachments_reach_every_type_that_takes_bytes() {
    const TEXT: &str =
        r#"52-["x",{"list":[{"num":1,"_placeholder":true}],"id":7},{"_placeholder":true,"num":0}]"#;
    let packet = complete(TEXT, &[b"zero", b"\xff"]);
    let args = packet.event().unwrap().args;

    #[derive(Debug, PartialEq, Deserialize)]
    struct List<T> {
        list: Vec<T>,
        id: u8,
    }
    let zero = Bytes::from_static(b"zero");
    let one = Bytes::from_static(b"\xff");
    type Pair<A, B> = (List<A>, B);
    assert_eq!(
        args.parse_tuple::<Pair<Binary, Binary>>(),
        Ok((List { list: vec![Binary(one.clone())], id: 7 }, Binary(zero.clone())))
    );
    assert_eq!(
        args.parse_tuple::<Pair<Option<Bytes>, Vec<u8>>>(),
        Ok((List { list: vec![Some(one)], id: 7 }, zero.to_vec()))
    );
    assert_eq!(
        args.parse_tuple::<Pair<[u8; 1], &serde_bytes::Bytes>>(),
        Ok((List { list: vec![[0xff]], id: 7 }, serde_bytes::Bytes::new(b"zero")))
    );
    // Shared, not copied.
    let binary: Binary = args.parse_arg(1).unwrap();
    assert_eq!(binary.0.as_ptr(), packet.attachments()[0].as_ptr());
}

#[test]
fn attachments_reach_types_that_look_later() {
    const TEXT: &str = r#"51-["x",{"kind":"file","body":{"_placeholder":true,"num":0}}]"#;
    let packet = complete(TEXT, &[b"\xff\x00"]);
    let args = packet.event().unwrap().args;
    let bytes = Bytes::from_static(b"\xff\x00");

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "kind", rename_all = "lowercase")]
    enum Tagged {
        File { body: Bytes },
    }
    assert_eq!(args.parse_arg::<Tagged>(0), Ok(Tagged::File { body: bytes.clone() }));
    #[derive(Debug, PartialEq, Deserialize)]
    struct Flat {
        kind: String,
        #[serde(flatten)]
        rest: BTreeMap<String, Binary>,
    }
    let rest = BTreeMap::from([("body".to_owned(), Binary(bytes))]);
    assert_eq!(args.parse_arg::<Flat>(0), Ok(Flat { kind: "file".to_owned(), rest }));

    // A value never shows the placeholder, only raw text does.
    let shown = json!({"kind": "file", "body": "/wA="});
    assert_eq!(args.parse_arg::<Value>(0), Ok(shown.clone()));
    assert_eq!(args.parse_tuple::<(Value, Value)>(), Ok((shown, Value::Null)));
    let raw: Box<RawValue> = args.parse_arg(0).unwrap();
    assert_eq!(raw.get(), args.as_str());
}

#[test]
fn an_attachment_is_nothing_but_bytes() {
    let packet = complete(r#"51-["x",1,{"_placeholder":true,"num":0}]"#, &[b"text"]);
    let args = packet.event().unwrap().args;
    #[derive(Debug, Deserialize)]
    struct Placeholder {
        #[serde(rename = "num")]
        _num: usize,
    }
    for error in [
        args.parse_tuple::<(u8, String)>().unwrap_err(),
        args.parse_tuple::<(u8, Placeholder)>().unwrap_err(),
        args.parse_tuple::<(u8, BTreeMap<String, Value>)>().unwrap_err(),
        args.parse_tuple::<(u8, u8)>().unwrap_err(),
        args.parse_tuple::<(u8, char)>().unwrap_err(),
    ] {
        assert_eq!(error.index, 1);
        assert!(error.reason.starts_with("invalid type: byte array"), "{error}");
    }
    // In a packet without attachments it is an object like any other, as in the reference.
    let packet = plain(r#"2["x",{"_placeholder":true,"num":0}]"#);
    let args = packet.event(&[]).unwrap().args;
    assert!(args.parse_arg::<Placeholder>(0).is_ok());
    assert!(args.parse_arg::<Binary>(0).is_err());
}

#[test]
fn arguments_spread_only_when_they_are_a_tuple() {
    #[derive(Serialize)]
    struct Point {
        x: f64,
        y: f32,
    }
    #[derive(Serialize)]
    struct Pair(u8, u8);
    #[derive(Serialize)]
    struct New<'a>(&'a str);
    #[derive(Serialize)]
    enum Kind {
        Unit,
        Two(u8, u8),
        Named { a: u8 },
    }
    let raw = RawValue::from_string("{\"as\": \"is\"}".to_owned()).unwrap();
    for (text, expected) in [
        (event("e", &()).0, "2[\"e\"]"),
        (event("e", &(1, "a", [true])).0, "2[\"e\",1,\"a\",[true]]"),
        (event("e", &[1, 2]).0, "2[\"e\",1,2]"),
        (event("e", &((), (1, 2))).0, "2[\"e\",null,[1,2]]"),
        (event("e", "text").0, "2[\"e\",\"text\"]"),
        (event("e", &vec![1, 2]).0, "2[\"e\",[1,2]]"),
        (event("e", &[1, 2][..]).0, "2[\"e\",[1,2]]"),
        (event("e", &Point { x: 1.0, y: 0.1 }).0, "2[\"e\",{\"x\":1,\"y\":0.1}]"),
        (event("e", &Pair(1, 2)).0, "2[\"e\",[1,2]]"),
        (event("e", &New("n")).0, "2[\"e\",\"n\"]"),
        (event("e", &None::<u8>).0, "2[\"e\",null]"),
        (event("e", &Some((1, 2))).0, "2[\"e\",[1,2]]"),
        (
            event("e", &(Kind::Unit, Kind::Two(1, 2), Kind::Named { a: 3 })).0,
            "2[\"e\",\"Unit\",{\"Two\":[1,2]},{\"Named\":{\"a\":3}}]",
        ),
        (event("e", &Kind::Two(1, 2)).0, "2[\"e\",{\"Two\":[1,2]}]"),
        (event("e", &Kind::Named { a: 3 }).0, "2[\"e\",{\"Named\":{\"a\":3}}]"),
        (event("e", &f64::NAN).0, "2[\"e\",null]"),
        (
            event("e", &(f64::INFINITY, -0.0, 1e21, u64::MAX)).0,
            "2[\"e\",null,0,1e+21,18446744073709551615]",
        ),
        (event("e", &*raw).0, "2[\"e\",{\"as\": \"is\"}]"),
        (event("e", &(&raw, 1)).0, "2[\"e\",{\"as\": \"is\"},1]"),
        (event("é\"\n", &'\u{2028}').0, "2[\"é\\\"\\n\",\"\u{2028}\"]"),
        (event("e", &Box::new((1, 2))).0, "2[\"e\",1,2]"),
        (event("e", &i128::MIN).0, "2[\"e\",-170141183460469231731687303715884105728]"),
    ] {
        assert_eq!(text, expected);
    }
}

#[test]
fn attachments_are_numbered_depth_first() {
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    let tree = (
        vec![(bytes("0"), BTreeMap::from([("a", bytes("1")), ("b", bytes("2"))]))],
        Binary(bytes("3")),
    );
    let (text, attachments) = event("e", &tree);
    let num = |n: usize| format!("{{\"_placeholder\":true,\"num\":{n}}}");
    let (zero, one, two, three) = (num(0), num(1), num(2), num(3));
    assert_eq!(text, format!("54-[\"e\",[[{zero},{{\"a\":{one},\"b\":{two}}}]],{three}]"));
    assert_eq!(attachments, ["0", "1", "2", "3"].map(bytes));
    // The last one was shared, the others had to be copied.
    assert_eq!(attachments[3].as_ptr(), tree.1.0.as_ptr());

    let (text, attachments) = event("e", &Bytes::new());
    assert_eq!((text, attachments.len()), (format!("51-[\"e\",{zero}]"), 1));
    let many = vec![Binary::default(); 11];
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    encode::event(&mut out, &mut attachments, "/n", Some(5), "e", &many).unwrap();
    assert!(out.starts_with(b"511-/n,5[\"e\",[{"));
    assert_eq!(attachments.len(), 11);
}
