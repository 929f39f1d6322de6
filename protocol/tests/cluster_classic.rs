//! What Node's packages published, recorded by `tests/cluster/record.mjs`: read as their own readers read
//! it, and written again byte for byte.

mod cluster_records;

use bytes::Bytes;
use cluster_records::{Record, json_of, namespace_of, records};
use yamabiko_protocol::cluster::classic::{
    Action, Answer, Broadcast, Channels, Generation, Origin, Request, Response,
};
use yamabiko_protocol::cluster::{
    Dialect, EMITTER, Flags, Malformed, PREFIX, Packet, Target, Unwritable, Value, modernise,
};
use yamabiko_protocol::limits::ClusterLimits;

/// Those whose bytes are ours, too; the others are only read.
const CURRENT: [&str; 3] = [
    "@socket.io/redis-adapter",
    "@socket.io/redis-adapter, own response channel",
    "@socket.io/redis-emitter",
];

fn limits() -> ClusterLimits {
    ClusterLimits::default()
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Unwritable>) -> Vec<u8> {
    let mut out = b"before".to_vec();
    encode(&mut out).expect("a message that was read");
    out.split_off(6)
}

/// The records of one file that are broadcasts, with the bytes that decoders take.
fn broadcasts(file: &str) -> impl Iterator<Item = (Record, Vec<u8>)> {
    records(file).into_iter().filter_map(|record| {
        let mut bytes = record.bytes();
        let channels = Channels::new(PREFIX, namespace_of(&record.channel), "nobody");
        let origin = channels.identify(record.channel.as_bytes());
        if !matches!(origin, Some(Origin::Broadcast { .. })) {
            return None;
        }
        if Broadcast::decode(&bytes, &limits()).is_err() {
            modernise(&mut bytes).unwrap_or_else(|_| panic!("{record:?}"));
        }
        Some((record, bytes))
    })
}

#[test]
fn every_broadcast_reads_as_its_own_readers_read_it() {
    let mut count = 0;
    for file in ["classic", "emitters"] {
        for (record, bytes) in broadcasts(file) {
            let broadcast = Broadcast::decode(&bytes, &limits())
                .unwrap_or_else(|error| panic!("{error}: {record:?}"));
            let whole = Value::Msgpack(&bytes);
            // In place of one byte there is room for `null`, not for a member that is left out.
            let mut reads = record.reads.clone().unwrap();
            if record.writer.ends_with("@1") {
                reads = reads.replace(r#"member",{"b":1}"#, r#"member",{"a":null,"b":1}"#);
                reads = reads.replace(",{}]", r#",{"rooms":null,"flags":null}]"#);
            }
            assert_eq!(json_of(&whole), reads, "{record:?}");
            assert_eq!(broadcast.namespace(), namespace_of(&record.channel), "{record:?}");
            let event = broadcast.packet.event().unwrap();
            let read: serde_json::Value =
                serde_json::from_str(record.reads.as_deref().unwrap()).unwrap();
            assert_eq!(event.args.len(), read[1]["data"].as_array().unwrap().len() - 1);
            count += 1;
        }
    }
    assert!(count > 180, "{count}");
}

#[test]
fn current_broadcasts_are_written_byte_for_byte() {
    let mut count = 0;
    for file in ["classic", "emitters"] {
        for (record, bytes) in broadcasts(file) {
            // Rooms are text here, also those that were numbers.
            if !CURRENT.contains(&&*record.writer) || record.what == "a room that is a number" {
                continue;
            }
            let broadcast = Broadcast::decode(&bytes, &limits()).unwrap();
            assert_eq!(encoded(|out| broadcast.encode(out)), bytes, "{record:?}");
            let channels = Channels::new(PREFIX, broadcast.namespace(), "nobody");
            assert_eq!(channels.broadcast(&broadcast.target.rooms), record.channel);
            // From the form in which the default parser's clients send it.
            let mut text = Vec::new();
            let mut attachments: Vec<Bytes> = Vec::new();
            broadcast.packet.data.write_json(&mut text, &mut attachments, 16).unwrap();
            let text = String::from_utf8(text).unwrap();
            let data = Value::Json { text: &text, attachments: &attachments };
            let has_dates = record.what.ends_with("dates");
            let is_odd = has_dates || record.what.ends_with("not finite");
            // An object that looks like a placeholder is one where there are attachments.
            let packet = Packet { data, ..broadcast.packet.clone() };
            let again = Broadcast { packet, ..broadcast.clone() };
            assert_eq!(encoded(|out| again.encode(out)) == bytes, !is_odd, "{record:?}");
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn values_survive_the_dialect_of_clients() {
    for (record, bytes) in broadcasts("classic") {
        let data = Broadcast::decode(&bytes, &limits()).unwrap().packet.data;
        let client = encoded(|out| data.write_msgpack(out, Dialect::Client));
        let back = encoded(|out| Value::Msgpack(&client).write_msgpack(out, Dialect::Notepack));
        assert_eq!(back, encoded(|out| data.write_msgpack(out, Dialect::Notepack)), "{record:?}");
        assert_eq!(json_of(&Value::Msgpack(&client)), json_of(&data));
    }
}

#[test]
fn the_oldest_dialect_is_found_out() {
    let mut modernised = 0;
    for record in records("emitters") {
        if !record.writer.ends_with("@1") {
            continue;
        }
        let mut bytes = record.bytes();
        let is_different = [
            "undefined",
            "undefined member",
            "bin",
            "nested",
            "empty",
            "fifteen",
            "long",
            "nothing said of rooms",
        ]
        .contains(&&*record.what)
            || record.what.contains("binary");
        let decoded = Broadcast::decode(&bytes, &limits()).err();
        assert_eq!(decoded.is_some(), is_different, "{record:?}");
        let result = modernise(&mut bytes);
        assert_eq!(result.is_ok(), is_different || decoded.is_some(), "{record:?}");
        modernised += usize::from(result.is_ok());
    }
    assert!(modernised > 10, "{modernised}");
}

#[test]
fn what_old_emitters_publish_often_is_taken_once() {
    let mut heard = Vec::new();
    for (record, bytes) in broadcasts("emitters") {
        if record.writer != "socket.io-emitter@2" || record.what != "two rooms" {
            continue;
        }
        let broadcast = Broadcast::decode(&bytes, &limits()).unwrap();
        let channels = Channels::new(PREFIX, "/", "nobody");
        let Some(Origin::Broadcast { room: Some(room) }) =
            channels.identify(record.channel.as_bytes())
        else {
            panic!("{record:?}");
        };
        heard.push((room.to_owned(), broadcast.earlier_rooms(room).collect::<Vec<_>>().concat()));
    }
    assert_eq!(heard, [("a".into(), "".into()), ("b".into(), "a".into())]);
}

#[test]
fn every_request_and_response_is_read_and_written_again() {
    let (mut requests, mut responses) = (0, 0);
    for file in ["classic", "emitters"] {
        for record in records(file) {
            let bytes = record.bytes();
            let namespace = namespace_of(&record.channel);
            // The channel of a node's own, with its name.
            let uid = record.channel.rsplit('#').nth(1).unwrap();
            let channels = Channels::new(PREFIX, namespace, uid);
            match channels.identify(record.channel.as_bytes()).unwrap() {
                Origin::Broadcast { .. } => {}
                Origin::Request => {
                    let request = Request::decode(&bytes, &limits())
                        .unwrap_or_else(|error| panic!("{error}: {record:?}"));
                    assert_eq!(encoded(|out| request.encode(out)), bytes, "{record:?}");
                    expect_request(&record, &request);
                    requests += 1;
                }
                Origin::Response => {
                    let response = Response::decode(&bytes, &limits())
                        .unwrap_or_else(|error| panic!("{error}: {record:?}"));
                    let again = encoded(|out| response.encode(out));
                    let again = String::from_utf8_lossy(&again);
                    assert_eq!(again, String::from_utf8_lossy(&bytes), "{record:?}");
                    expect_response(&record, &response);
                    responses += 1;
                }
            }
        }
    }
    assert!(requests > 35 && responses > 25, "{requests} {responses}");
}

fn expect_request(record: &Record, request: &Request<'_>) {
    let is_old = record.writer == "socket.io-redis@5";
    assert_eq!(request.generation == Generation::Old, is_old, "{record:?}");
    let expected = match &*record.what {
        "join" | "addSockets" => matches!(request.action, Action::Join { .. }),
        "leave" | "delSockets" => matches!(request.action, Action::Leave { .. }),
        "disconnect" | "disconnect all" | "disconnect and close" | "disconnectSockets" => {
            matches!(request.action, Action::Disconnect { .. })
        }
        "fetch" | "fetch nobody" | "fetchSockets" => matches!(request.action, Action::Fetch { .. }),
        "sockets" | "clients" => matches!(request.action, Action::Sockets { .. }),
        "all rooms" | "allRooms" => matches!(request.action, Action::AllRooms),
        "clientRooms" => matches!(request.action, Action::ClientRooms { .. }),
        "remoteJoin" => matches!(request.action, Action::JoinOne { .. }),
        "remoteLeave" => matches!(request.action, Action::LeaveOne { .. }),
        "remoteDisconnect" => matches!(request.action, Action::DisconnectOne { close: true, .. }),
        "customRequest" => matches!(request.action, Action::Custom { data: Some(_) }),
        what if what.starts_with("server side emit") => match &request.action {
            Action::ServerSideEmit { data } => data.event(None).is_some(),
            _ => false,
        },
        what if what.starts_with("acknowledged") => match &request.action {
            Action::Broadcast { packet, target } => {
                packet.event().is_some() && target.flags.timeout_ms == Some(1000)
            }
            _ => false,
        },
        _ => false,
    };
    assert!(expected, "{record:?} {request:?}");
    let has_sender = !is_old && record.writer != "socket.io-redis@6";
    match record.writer == "@socket.io/redis-emitter" {
        true if record.what == "server side emit" => {
            assert_eq!(request.sender.as_deref(), Some(EMITTER));
        }
        true => assert_eq!(request.sender, None),
        false => assert_eq!(request.sender.is_some(), has_sender, "{record:?}"),
    }
}

fn expect_response(record: &Record, response: &Response<'_>) {
    let expected = match (&*record.what, &response.answer) {
        ("fetch" | "fetchSockets", Answer::Sockets(sockets)) => {
            sockets.iter().all(|socket| socket.handshake.is_some()) && sockets.len() == 1
        }
        ("fetch nobody", Answer::Sockets(sockets)) => sockets.is_empty(),
        ("sockets" | "clients", Answer::Sockets(sockets)) => {
            sockets.iter().all(|socket| socket.handshake.is_none())
        }
        ("all rooms" | "allRooms" | "clientRooms", Answer::Rooms(_)) => true,
        ("remoteJoin" | "remoteLeave" | "remoteDisconnect", Answer::Done) => true,
        ("customRequest", Answer::Custom(_)) => true,
        ("server side emit answered with nothing", Answer::ServerSideEmit(None)) => true,
        (what, Answer::ServerSideEmit(Some(_))) => what.starts_with("server side emit answered"),
        (what, Answer::ClientCount(1)) => what.starts_with("acknowledged"),
        ("acknowledged by one", Answer::Ack(None)) => true,
        (what, Answer::Ack(Some(value))) => what.starts_with("acknowledged") && value.has_binary(),
        _ => false,
    };
    assert!(expected, "{record:?} {response:?}");
}

/// As the Ruby gem `socket.io-emitter` 1.0.0 writes it, with `msgpack` 1.4.2.
#[test]
fn what_the_ruby_emitter_writes() {
    let message = b"\x93\xa7emitter\x83\xa4type\x02\xa4data\x91\xa2hi\xa3nsp\xa4/nsp\x82\xa5rooms\x92\xa1a\xa1b\xa5flags\x80";
    let broadcast = Broadcast::decode(message, &limits()).unwrap();
    assert_eq!((broadcast.namespace(), &*broadcast.sender), ("/nsp", EMITTER));
    assert_eq!(broadcast.target, Target::rooms(&["a", "b"]));
    assert_eq!(broadcast.earlier_rooms("b").collect::<Vec<_>>(), ["a"]);
    // Binary data by its encoding, nil, all flags.
    let message = b"\x93\xa7emitter\x83\xa4type\x05\xa4data\x93\xa3bin\xc4\x02\xff\x01\xc0\xa3nsp\xa1/\x82\xa5rooms\x90\xa5flags\x83\xa4json\xc3\xa8volatile\xc3\xa9broadcast\xc3";
    let broadcast = Broadcast::decode(message, &limits()).unwrap();
    let flags = Flags { volatile: true, ..Flags::default() };
    assert_eq!(broadcast.target, Target { flags, ..Target::all() });
    let (mut text, mut attachments) = (Vec::new(), Vec::new());
    broadcast.packet.data.write_json(&mut text, &mut attachments, 1).unwrap();
    assert_eq!(text, br#"["bin",{"_placeholder":true,"num":0},null]"#);
    assert_eq!(attachments, [&b"\xff\x01"[..]]);
}

#[test]
fn broadcasts_of_other_adapters_are_refused() {
    // The streams adapter uses the same channels for messages of its own.
    let message = b"\x84\xa4type\x09\xa4data\x81\xa6packet\x91\xa1a\xa3uid\xa1u\xa3nsp\xa1/";
    assert_eq!(Broadcast::decode(message, &limits()).err(), Some(Malformed::Syntax));
    // So does the sharded one, with JSON.
    let message = br#"{"type":3,"data":{},"uid":"u","nsp":"/"}"#;
    assert_eq!(Broadcast::decode(message, &limits()).err(), Some(Malformed::Syntax));
}
