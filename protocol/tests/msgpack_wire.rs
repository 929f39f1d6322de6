//! MessagePack packets as they are seen on the wire, both ways, and what handlers make of them.
//!
//! The bytes were captured from `socket.io` 4.8.3 and `socket.io-client` 4.8.3 in Node with
//! `socket.io-msgpack-parser` 3.0.2 (`notepack.io` 2.2.0), by printing what their encoders returned;
//! single values are what `notepack.io`'s `encode` returns for the JavaScript beside them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use yamabiko_protocol::limits::PacketLimits;
use yamabiko_protocol::msgpack::{Args, Date, DecodeError, Packet, PacketType};
use yamabiko_protocol::msgpack::{decode, encode, from_slice};
use yamabiko_protocol::socket::Binary;

/// The bytes of a line of hexadecimal digits.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn plain(message: &[u8]) -> Packet<'_> {
    decode(message, &PacketLimits::default()).expect("a packet of the reference")
}

fn encoded(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

fn value_of<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    encoded(|out| encode::value(out, value).expect("encodable"))
}

/// The arguments of an acknowledgement that consists of `values`.
fn with_args<R>(values: &[&[u8]], read: impl FnOnce(Args<'_>) -> R) -> R {
    let message = encoded(|out| encode::ack_raw(out, "/", 1, &values.concat(), values.len()));
    read(plain(&message).ack().expect("an acknowledgement").args)
}

#[test]
fn a_client_connects() {
    // {type: 0, nsp: "/", data: {t: 1}}, in the order of an older client and of today's.
    for hex in [
        "83a47479706500a36e7370a12fa46461746181a17401",
        "83a47479706500a46461746181a17401a36e7370a12f",
    ] {
        let message = bytes(hex);
        let packet = plain(&message);
        assert_eq!((packet.kind, packet.namespace, packet.id), (PacketType::Connect, "/", None));
        let auth: BTreeMap<&str, u8> = from_slice(packet.data.unwrap()).unwrap();
        assert_eq!(auth, BTreeMap::from([("t", 1)]));
    }
    // {type: 0, data: undefined, nsp: "/admin"}
    let message = bytes("83a47479706500a464617461d40000a36e7370a62f61646d696e");
    let packet = plain(&message);
    assert_eq!((packet.namespace, packet.data), ("/admin", None));
}

#[test]
fn a_client_emits() {
    // {type: 2, data: ["a"], options: {compress: true}, nsp: "/"}
    let message =
        bytes("84a47479706502a46461746191a161a76f7074696f6e7381a8636f6d7072657373c3a36e7370a12f");
    let event = plain(&message).event().unwrap();
    assert_eq!((&*event.name, event.id, event.args.is_empty()), ("a", None, true));
    assert!(matches!(event.name, Cow::Borrowed(_)));

    // ["echo", 1, -1, 3.25, "x", Buffer.alloc(3, 7), new Uint8Array([1, 2]).buffer, new Date(0), null,
    // undefined, {k: [1]}] with an acknowledgement asked for.
    let message = bytes(
        "85a47479706502a4646174619ba46563686f01ffcb400a000000000000a178c403070707c702000102d700000000
         0000000000c0d4000081a16b9101a76f7074696f6e7381a8636f6d7072657373c3a2696400a36e7370a12f",
    );
    let event = plain(&message).event().unwrap();
    assert_eq!((&*event.name, event.id, event.args.len()), ("echo", Some(0), 10));
    type Head = (u8, i64, f64, String, Binary, Bytes, Date, Option<u8>);
    let head: Head = event.args.parse_tuple().unwrap();
    let binary = Binary::from(vec![7, 7, 7]);
    let buffer = Bytes::from_static(&[1, 2]);
    assert_eq!(head, (1, -1, 3.25, "x".to_owned(), binary, buffer, Date(0), None));
    assert_eq!(event.args.parse_arg::<Option<String>>(8), Ok(None));
    assert_eq!(
        event.args.parse_arg::<BTreeMap<String, Vec<u8>>>(9),
        Ok(BTreeMap::from([("k".to_owned(), vec![1])]))
    );
    let values: Vec<Value> = event.args.parse_tuple().unwrap();
    let date = "1970-01-01T00:00:00.000Z";
    assert_eq!(
        json!(values),
        json!([1, -1, 3.25, "x", "BwcH", "AQI=", date, null, null, {"k": [1]}])
    );
}

#[test]
fn a_client_acknowledges_and_leaves() {
    // {type: 3, id: 0, data: ["yes", Buffer.from([9])], nsp: "/"}
    let message = bytes("84a47479706503a2696400a46461746192a3796573c40109a36e7370a12f");
    let ack = plain(&message).ack().unwrap();
    assert_eq!(ack.id, Some(0));
    assert_eq!(ack.args.parse_tuple(), Ok(("yes", Binary::from(vec![9]))));

    let message = bytes("84a47479706503a2696401a46461746190a36e7370a12f");
    let ack = plain(&message).ack().unwrap();
    assert_eq!((ack.id, ack.args.len()), (Some(1), 0));

    let message = bytes("82a47479706501a36e7370a62f61646d696e");
    let packet = plain(&message);
    assert_eq!((packet.kind, packet.namespace), (PacketType::Disconnect, "/admin"));
}

#[test]
fn the_server_answers_a_connect() {
    let joined = encoded(|out| encode::connect(out, "/", "U-kOEPlFFLn29WchAAAA", None));
    assert_eq!(
        joined,
        bytes(
            "83a47479706500a46461746182a3736964b4552d6b4f45506c46464c6e323957636841414141a3706964d400
             00a36e7370a12f"
        )
    );
    let recoverable = encoded(|out| encode::connect(out, "/admin", "s", Some("p")));
    let data = plain(&recoverable).data.unwrap();
    assert_eq!(from_slice::<Value>(data).unwrap(), json!({"sid": "s", "pid": "p"}));

    let data = value_of(&json!({"code": 7}));
    let refused = encoded(|out| encode::connect_error(out, "/no", "nope", Some(&data)));
    assert_eq!(
        refused,
        bytes(
            "83a47479706504a46461746182a76d657373616765a46e6f7065a46461746181a4636f646507a36e7370a32f
             6e6f"
        )
    );
    // The reference's {type: 4, nsp: "/zzz", data: {message: "Invalid namespace"}}, but for the order.
    let unknown = encoded(|out| encode::connect_error(out, "/zzz", "Invalid namespace", None));
    let theirs = bytes(
        "83a47479706504a36e7370a42f7a7a7aa46461746181a76d657373616765b1496e76616c6964206e616d657370
         616365",
    );
    assert_eq!(plain(&unknown), plain(&theirs));
    // An `undefined` among the error's members, as a middleware's error has it, reads as none.
    let theirs = bytes(
        "83a47479706504a46461746182a76d657373616765a5706c61696ea464617461d40000a36e7370a42f6e6f32",
    );
    let error: Value = from_slice(plain(&theirs).data.unwrap()).unwrap();
    assert_eq!(error, json!({"message": "plain", "data": null}));

    let left = encoded(|out| encode::disconnect(out, "/"));
    assert_eq!(left, bytes("82a47479706501a36e7370a12f"));
}

#[test]
fn the_server_emits() {
    // {type: 2, data: ["hi", 1, Buffer.from([1, 2]), undefined, new Date(1795449600005)], nsp: "/"}; an
    // `undefined` is nothing that a Rust server has, so it is spliced in.
    let theirs =
        bytes("83a47479706502a46461746195a2686901c4020102d40000d700000001a20922b805a36e7370a12f");
    let mut args = Vec::new();
    let before = encode::args(&mut args, &(1, Binary::from(vec![1, 2]))).unwrap();
    args.extend_from_slice(b"\xd4\0\0");
    let after = encode::args(&mut args, &Date(1_795_449_600_005)).unwrap();
    let ours = encoded(|out| {
        encode::event_raw(out, "/", None, "hi", &args, before + 1 + after).unwrap();
    });
    assert_eq!(ours, theirs);

    let ours = encoded(|out| encode::event(out, "/", Some(0), "ask", "q").unwrap());
    assert_eq!(ours, bytes("84a47479706502a46461746192a361736ba171a2696400a36e7370a12f"));

    // ["all", {a: 1.5, b: [null, true, false], c: "é€😀"}]
    #[derive(Serialize)]
    struct Mixed<'a> {
        a: f32,
        b: (Option<u8>, bool, bool),
        c: &'a str,
    }
    let mixed = Mixed { a: 1.5, b: (None, true, false), c: "é€😀" };
    let ours = encoded(|out| encode::event(out, "/", None, "all", &mixed).unwrap());
    assert_eq!(
        ours,
        bytes(
            "83a47479706502a46461746192a3616c6c83a161cb3ff8000000000000a16293c0c3c2a163a9c3a9e282acf0
             9f9880a36e7370a12f"
        )
    );
}

#[test]
fn the_server_acknowledges() {
    // The answer of "echo" above: all its arguments.
    let theirs = bytes(
        "84a2696400a47479706503a4646174619a01ffcb400a000000000000a178c403070707c702000102d7000000000
         000000000c0d4000081a16b9101a36e7370a12f",
    );
    let ack = plain(&theirs).ack().unwrap();
    let ours = encoded(|out| encode::ack_raw(out, "/", 0, ack.args.as_bytes(), ack.args.len()));
    assert_eq!(ours, theirs);

    let typed = encoded(|out| encode::ack(out, "/", 1, &()).unwrap());
    assert_eq!(typed, bytes("84a2696401a47479706503a46461746190a36e7370a12f"));
}

#[test]
fn numbers_have_notepacks_widths() {
    for (number, hex) in [
        (0.0, "00"),
        (-0.0, "00"),
        (127.0, "7f"),
        (128.0, "cc80"),
        (255.0, "ccff"),
        (256.0, "cd0100"),
        (65_535.0, "cdffff"),
        (65_536.0, "ce00010000"),
        (4_294_967_295.0, "ceffffffff"),
        (4_294_967_296.0, "cf0000000100000000"),
        (9_007_199_254_740_991.0, "cf001fffffffffffff"),
        (9_007_199_254_740_992.0, "cf0020000000000000"),
        (1.844_674_407_370_955e19, "cffffffffffffff800"),
        (-1.0, "ff"),
        (-32.0, "e0"),
        (-33.0, "d0df"),
        (-128.0, "d080"),
        (-129.0, "d1ff7f"),
        (-32_768.0, "d18000"),
        (-32_769.0, "d2ffff7fff"),
        (-2_147_483_648.0, "d280000000"),
        (-2_147_483_649.0, "d3ffffffff7fffffff"),
        (-9_007_199_254_740_991.0, "d3ffe0000000000001"),
        (-9_223_372_036_854_775_808.0, "d38000000000000000"),
        (0.5, "cb3fe0000000000000"),
        (-0.1, "cbbfb999999999999a"),
        (5e-324, "cb0000000000000001"),
        (f64::INFINITY, "cb7ff0000000000000"),
        (f64::NEG_INFINITY, "cbfff0000000000000"),
        (f64::NAN, "cb7ff8000000000000"),
    ] {
        assert_eq!(value_of(&number), bytes(hex), "{number}");
        if number.trunc() == number && number.abs() < 1e19 {
            assert_eq!(value_of(&(number as i128)), bytes(hex), "{number}");
        }
        let read: f64 = from_slice(&bytes(hex)).unwrap();
        assert!(read == number || read.is_nan() && number.is_nan(), "{number}");
    }
    // Beyond 64 bits, where it writes something else.
    for number in [1.8446744073709552e19, 1e300, -9.223372036854778e18] {
        let out = value_of(&number);
        assert_eq!((out.len(), out[0]), (9, 0xcb));
        assert_eq!(from_slice::<f64>(&out), Ok(number));
    }
    assert_eq!(value_of(&u64::MAX), bytes("cfffffffffffffffff"));
    assert_eq!(value_of(&i64::MIN), bytes("d38000000000000000"));
    assert_eq!(value_of(&u128::MAX), value_of(&(u128::MAX as f64)));
    assert_eq!(value_of(&i128::MIN), value_of(&(i128::MIN as f64)));
    assert_eq!(value_of(&1.5_f32), value_of(&1.5));
}

#[test]
fn lengths_have_notepacks_widths() {
    for (len, str_head, bin_head) in [
        (0, "a0", "c400"),
        (31, "bf", "c41f"),
        (32, "d920", "c420"),
        (255, "d9ff", "c4ff"),
        (256, "da0100", "c50100"),
        (65_535, "daffff", "c5ffff"),
        (65_536, "db00010000", "c600010000"),
    ] {
        let text = "x".repeat(len);
        assert_eq!(value_of(&text), [bytes(str_head), text.clone().into_bytes()].concat());
        let binary = Bytes::from(text);
        assert_eq!(value_of(&binary), [bytes(bin_head), binary.to_vec()].concat());
        assert_eq!(from_slice::<Bytes>(&value_of(&binary)), Ok(binary));
    }
    for (len, array_head, map_head) in [
        (0, "90", "80"),
        (15, "9f", "8f"),
        (16, "dc0010", "de0010"),
        (65_536, "dd00010000", "df00010000"),
    ] {
        let array = vec![1; len];
        assert_eq!(value_of(&array), [bytes(array_head), array.clone()].concat());
        let map: BTreeMap<u32, u8> = (0..len as u32).map(|key| (key, 1)).collect();
        let out = value_of(&map);
        assert!(out.starts_with(&bytes(map_head)), "{len}");
        assert_eq!(from_slice::<BTreeMap<u32, u8>>(&out), Ok(map));
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Command {
    Stop,
    Say(String),
    Move(i32, i32),
    Join { room: String, key: Option<Binary> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Photo {
    name: String,
    taken: Option<Date>,
    pixels: Binary,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    tags: Vec<String>,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

#[test]
fn types_come_back() {
    let photo = Photo {
        name: "hill".to_owned(),
        taken: Some(Date(-5)),
        pixels: Binary::from(vec![0, 255]),
        tags: Vec::new(),
        more: BTreeMap::from([("stars".to_owned(), json!(4.5))]),
    };
    let commands = vec![
        Command::Stop,
        Command::Say("hi".to_owned()),
        Command::Move(-1, 70_000),
        Command::Join { room: "lobby".to_owned(), key: None },
        Command::Join { room: "den".to_owned(), key: Some(Binary::from(vec![1])) },
    ];
    let args = (photo, commands, 'é', (), Some(3_i128), [1_u8, 2]);
    let message = encoded(|out| encode::event(out, "/a", Some(7), "all", &args).unwrap());
    let event = plain(&message).event().unwrap();
    assert_eq!((&*event.name, event.id, event.args.len()), ("all", Some(7), 6));
    assert_eq!(event.args.parse_tuple(), Ok(args));
}

#[test]
fn a_type_has_the_same_shape_as_in_json() {
    let photo = Photo {
        name: String::new(),
        taken: None,
        pixels: Binary::default(),
        tags: vec!["a".to_owned()],
        more: BTreeMap::new(),
    };
    for command in [Command::Stop, Command::Move(1, 2), Command::Say(String::new())] {
        let read: Value = from_slice(&value_of(&command)).unwrap();
        assert_eq!(read, serde_json::to_value(&command).unwrap());
    }
    let read: Value = from_slice(&value_of(&photo)).unwrap();
    assert_eq!(read, json!({"name": "", "taken": null, "pixels": "", "tags": ["a"]}));
    let address: std::net::IpAddr = "::1".parse().unwrap();
    assert_eq!(value_of(&address), value_of("::1"));
    assert_eq!(from_slice(&value_of(&address)), Ok(address));
}

#[test]
fn keys_are_text() {
    let numbered = BTreeMap::from([(-5_i8, true), (7, false)]);
    let out = value_of(&numbered);
    assert_eq!(out, b"\x82\xa2-5\xc3\xa17\xc2");
    assert_eq!(from_slice::<BTreeMap<i8, bool>>(&out), Ok(numbered));
    assert_eq!(value_of(&BTreeMap::from([(true, 1)])), b"\x81\xa4true\x01");
    assert_eq!(value_of(&BTreeMap::from([('é', 1)])), b"\x81\xa2\xc3\xa9\x01");
    // Other encoders write such keys as numbers.
    assert_eq!(from_slice::<Value>(b"\x82\x05\x01\xff\x02"), Ok(json!({"5": 1, "-1": 2})));
    assert_eq!(from_slice::<BTreeMap<u8, u8>>(b"\x81\x05\x01"), Ok(BTreeMap::from([(5, 1)])));
    for odd in [&b"\x81\xc0\x01"[..], b"\x81\xc4\x01a\x01", b"\x81\x90\x01"] {
        assert!(from_slice::<Value>(odd).is_err(), "{odd:02x?}");
    }
}

#[test]
fn dates_are_what_is_asked_for() {
    let noon = value_of(&Date(1_795_449_600_005));
    assert_eq!(noon, b"\xd7\0\0\0\x01\xa2\x09\x22\xb8\x05");
    let text = "2026-11-23T16:00:00.005Z";
    assert_eq!(from_slice::<Date>(&noon), Ok(Date(1_795_449_600_005)));
    assert_eq!(from_slice::<Option<Date>>(&noon), Ok(Some(Date(1_795_449_600_005))));
    assert_eq!(from_slice::<String>(&noon), Ok(text.to_owned()));
    assert_eq!(from_slice::<i64>(&noon), Ok(1_795_449_600_005));
    assert_eq!(from_slice::<f64>(&noon), Ok(1_795_449_600_005.0));
    assert_eq!(from_slice::<Value>(&noon), Ok(json!(text)));
    // A peer that sends what a JSON peer would.
    assert_eq!(from_slice::<Date>(&value_of(text)), Ok(Date(1_795_449_600_005)));
    assert_eq!(from_slice::<Date>(&value_of(&5)), Ok(Date(5)));
    // What newer encoders write: 1 second, and 2 million nanoseconds above it.
    assert_eq!(from_slice::<Date>(b"\xd6\xff\0\0\0\x01"), Ok(Date(1_000)));
    assert_eq!(from_slice::<Date>(b"\xd7\xff\0\x7a\x12\0\0\0\0\x01"), Ok(Date(1_002)));
    assert_eq!(from_slice::<Option<Date>>(b"\xd7\0\x7f\xff\xff\xff\xff\xff\xff\xff"), Ok(None));
    assert!(from_slice::<Date>(&value_of(&true)).is_err());
    assert!(from_slice::<Date>(b"\xd4\0\0").is_err());
}

#[test]
fn binary_data_is_what_is_asked_for() {
    let photo = b"\xc4\x03abc";
    assert_eq!(from_slice::<Binary>(photo), Ok(Binary::from(b"abc".to_vec())));
    assert_eq!(from_slice::<Bytes>(photo), Ok(Bytes::from_static(b"abc")));
    assert_eq!(from_slice::<Vec<u8>>(photo), Ok(b"abc".to_vec()));
    assert_eq!(from_slice::<[u8; 3]>(photo), Ok(*b"abc"));
    assert_eq!(from_slice::<Value>(photo), Ok(json!("YWJj")));
    let borrowed: &serde_bytes::Bytes = from_slice(photo).unwrap();
    assert_eq!(borrowed.as_ptr(), photo[2..].as_ptr());
    // Text is asked for, and this is none, although it could be.
    assert!(from_slice::<String>(photo).is_err());
    assert!(from_slice::<Command>(b"\xc4\x04stop").is_err());
    // An `ArrayBuffer` as Node's `notepack` has it.
    assert_eq!(from_slice::<Vec<u8>>(b"\xc7\x01\0\x09"), Ok(vec![9]));
    // Text and arrays of numbers, as with JSON.
    assert_eq!(from_slice::<Binary>(b"\xa2hi"), Ok(Binary::from(b"hi".to_vec())));
    assert_eq!(from_slice::<Binary>(b"\x92\x01\x02"), Ok(Binary::from(vec![1, 2])));
}

#[test]
fn types_that_look_first() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(f64),
        Text(String),
        Data(Binary),
        Many(Vec<Either>),
    }
    // Serde itself takes bytes for text if they could be some; these could not.
    let message = b"\x94\x05\xa1x\xc4\x01\xff\x91\xcb\x3f\xe0\0\0\0\0\0\0";
    let expected = vec![
        Either::Number(5.0),
        Either::Text("x".to_owned()),
        Either::Data(Binary::from(vec![0xff])),
        Either::Many(vec![Either::Number(0.5)]),
    ];
    assert_eq!(from_slice::<Vec<Either>>(message), Ok(expected));
}

#[test]
fn an_extension_of_no_meaning_is_its_type_and_its_bytes() {
    let extension = b"\xd5\x2aab";
    assert_eq!(from_slice::<(i8, Binary)>(extension), Ok((42, Binary::from(b"ab".to_vec()))));
    assert_eq!(from_slice::<Value>(extension), Ok(json!([42, "YWI="])));
    assert!(from_slice::<String>(extension).is_err());
}

#[test]
fn arguments_may_be_fewer_or_more() {
    with_args(&[b"\x01", b"\xa1x"], |args| {
        assert_eq!((args.len(), args.is_empty()), (2, false));
        assert_eq!(args.as_bytes(), b"\x01\xa1x");
        assert!(args.raw().eq([&b"\x01"[..], b"\xa1x"]));
        assert_eq!(args.parse_tuple(), Ok((1,)));
        assert_eq!(args.parse_tuple(), Ok(()));
        assert_eq!(args.parse_tuple(), Ok((1, "x", None::<u8>, None::<String>)));
        assert_eq!(args.parse_tuple(), Ok(vec![json!(1), json!("x")]));
        assert_eq!(args.parse_arg(1), Ok("x"));
        assert_eq!(args.parse_arg(2), Ok(None::<u8>));
        let error = args.parse_tuple::<(u8, u8)>().unwrap_err();
        assert_eq!(error.index, 1);
        assert_eq!(args.parse_tuple::<(u8, &str, u8)>().unwrap_err().index, 2);
        assert_eq!(args.parse_arg::<u8>(1).unwrap_err().index, 1);
        assert!(args.parse_tuple::<String>().is_err());
    });
    with_args(&[], |args| {
        assert!(args.is_empty());
        assert_eq!(args.parse_tuple(), Ok((None::<u8>,)));
    });
}

#[test]
fn a_reason_is_short_however_long_the_argument() {
    let long = value_of(&"é".repeat(100_000));
    let error = with_args(&[&long], |args| args.parse_tuple::<(u8,)>().unwrap_err());
    assert!((200..=256).contains(&error.reason.len()), "{}", error.reason.len());
}

#[test]
fn a_tuple_takes_exactly_what_is_there() {
    assert_eq!(from_slice::<(u8, u8)>(b"\x92\x01\x02"), Ok((1, 2)));
    assert!(from_slice::<(u8, u8)>(b"\x91\x01").is_err());
    assert!(from_slice::<(u8, u8)>(b"\x93\x01\x02\x03").is_err());
    for not_one_entry in [&b"\x80"[..], b"\x82\xa3say\xa0\xa3say\xa0"] {
        assert!(from_slice::<Command>(not_one_entry).is_err());
    }
}

#[test]
fn the_reference_is_not_followed_where_it_lets_too_much_in() {
    let limits = PacketLimits::default();
    // {type: 2, data: ["disconnect"], nsp: "/"}
    let message = bytes("83a47479706502a46461746191aa646973636f6e6e656374a36e7370a12f");
    assert_eq!(decode(&message, &limits), Err(DecodeError::ReservedEvent));
    // {type: 2, data: [], nsp: "/"} and [{}]
    for data in ["90", "9180"] {
        let message = bytes(&format!("83a47479706502a464617461{data}a36e7370a12f"));
        assert_eq!(decode(&message, &limits), Err(DecodeError::Payload));
    }
    // {type: 3, id: -1, data: [], nsp: "/"}
    let message = bytes("84a47479706503a26964ffa46461746190a36e7370a12f");
    assert_eq!(decode(&message, &limits), Err(DecodeError::Id));
}
