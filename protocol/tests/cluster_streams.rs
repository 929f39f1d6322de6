//! What Node's streams adapter and its emitter wrote, recorded by `tests/cluster/record.mjs`: read as
//! their own readers read it, and written again byte for byte.

mod cluster_records;

use cluster_records::{Record, json_of, namespace_of, records};
use yamabiko_protocol::cluster::sharded::{Channels, Mode, Origin};
use yamabiko_protocol::cluster::streams::{SESSION_PREFIX, STREAM, Session, Streams, entry};
use yamabiko_protocol::cluster::{EMITTER, Envelope, Message, PREFIX, Packet, Value};
use yamabiko_protocol::limits::ClusterLimits;

fn limits() -> ClusterLimits {
    ClusterLimits::default()
}

fn fields(record: &Record) -> Vec<(&[u8], &[u8])> {
    record.fields.chunks(2).map(|pair| (pair[0].as_bytes(), pair[1].as_bytes())).collect()
}

/// The fields as an entry is added with them.
fn encoded(envelope: &Envelope<'_>, only_plaintext: bool) -> Vec<String> {
    let mut out = b"before".to_vec();
    let entry::Fields { uid, nsp, kind, data } =
        entry::encode(envelope, only_plaintext, &mut out).expect("a message that was read");
    let data = std::str::from_utf8(data).expect("a message that was read");
    ["uid", uid, "nsp", nsp, "type", &kind.to_string(), "data", data].map(String::from).to_vec()
}

#[test]
fn every_entry_is_read_and_written_again() {
    let (mut count, mut packed) = (0, 0);
    for file in ["streams", "streams-emitter"] {
        for record in records(file).iter().filter(|record| record.command == "XADD") {
            let mut scratch = Vec::new();
            let envelope = entry::decode(fields(record), &mut scratch, &limits())
                .unwrap_or_else(|error| panic!("{error}: {record:?}"));
            let only_plaintext = record.writer == "only plaintext";
            assert_eq!(encoded(&envelope, only_plaintext), record.fields);
            assert_eq!(envelope.message.has_binary(), !record.fields[7].starts_with('{'));
            packed += usize::from(envelope.message.has_binary());
            let is_emitter = envelope.sender == EMITTER;
            assert_eq!(file == "streams-emitter", is_emitter);
            let is_stray = matches!(envelope.message, Message::ServerSideEmit { .. });
            assert_eq!(entry::is_entry(&envelope.message), !is_stray, "{record:?}");
            assert!(is_emitter || !is_stray);
            let count_of_streams = if record.writer == "three streams" { 3 } else { 1 };
            let streams = Streams::new(STREAM, count_of_streams);
            assert_eq!(streams.of(&envelope.namespace), record.channel);
            assert_eq!(
                streams.is_read_by_node(&envelope.namespace),
                !record.channel.contains("--")
            );
            check_data(record, &envelope, only_plaintext);
            count += 1;
        }
    }
    assert!(count > 60 && packed > 8, "{count} {packed}");
}

/// From the form of the default parser's clients, too.
fn check_data(record: &Record, envelope: &Envelope<'_>, only_plaintext: bool) {
    let Message::Broadcast { packet, target, request } = &envelope.message else { return };
    assert_eq!(packet.namespace.is_some(), envelope.sender == EMITTER);
    assert!(packet.event().is_some());
    let (mut text, mut attachments) = (Vec::new(), Vec::new());
    packet.data.write_json(&mut text, &mut attachments, 16).expect("a value");
    let text = String::from_utf8(text).expect("JSON is UTF-8");
    let data = Value::Json { text: &text, attachments: &attachments };
    let message = Message::Broadcast {
        packet: Packet { data, ..packet.clone() },
        target: *target,
        request: request.clone(),
    };
    let again = Envelope { message, ..envelope.clone() };
    assert_eq!(encoded(&again, only_plaintext), record.fields);
}

#[test]
fn every_published_message_is_read_and_written_again() {
    let mut count = 0;
    for record in records("streams") {
        if !record.command.ends_with("PUBLISH") {
            continue;
        }
        assert_eq!(record.command == "SPUBLISH", record.writer == "sharded");
        let bytes = record.bytes();
        let envelope = Envelope::decode(&bytes, &limits()).unwrap();
        let mut out = b"before".to_vec();
        envelope.encode_packed(&mut out).unwrap();
        assert_eq!(&out[6..], bytes, "{record:?}");
        assert_eq!(json_of(&Value::Msgpack(&bytes)), record.reads.clone().unwrap());
        assert!(!entry::is_entry(&envelope.message));
        let uid = match envelope.message.is_response() {
            true => record.channel.rsplit('#').nth(1).unwrap(),
            false => "nobody",
        };
        let channels = Channels::new(PREFIX, namespace_of(&record.channel), uid, Mode::Static);
        let origin = if envelope.message.is_response() { Origin::Own } else { Origin::Main };
        assert_eq!(channels.identify(record.channel.as_bytes()), Some(origin), "{record:?}");
        count += 1;
    }
    assert!(count > 20, "{count}");
}

#[test]
fn a_session_is_read_and_written_again() {
    let mut count = 0;
    for record in records("streams").iter().filter(|record| record.command == "SET") {
        let kept = record.bytes();
        let mut scratch = Vec::new();
        let session = Session::decode(&kept, &mut scratch, &limits()).unwrap();
        assert_eq!(Session::key(SESSION_PREFIX, &session.pid), record.channel);
        assert_eq!((session.sid.len(), session.pid.len()), (20, 20));
        assert_eq!(session.rooms.iter().collect::<Vec<_>>(), [&*session.sid, "everybody"]);
        let data = session.data.unwrap();
        assert_eq!(
            json_of(&data),
            r#"{"name":"é0","bytes":{"type":"Buffer","data":[1,2]},"when":"2023-11-14T22:13:20.123Z"}"#
        );
        let mut out = b"before".to_vec();
        session.encode(&mut out).unwrap();
        assert_eq!(&out[6..], kept);
        count += 1;
    }
    assert_eq!(count, 1);
}

/// What 0.2 put into the stream, and other writers might.
#[test]
fn entries_of_older_versions_are_read() {
    for (kind, expected) in [(1, "InitialHeartbeat"), (2, "Heartbeat"), (13, "Close")] {
        let kind = kind.to_string();
        let fields: [(&[u8], &[u8]); 3] =
            [(b"uid", b"0123456789abcdef"), (b"nsp", b"/"), (b"type", kind.as_bytes())];
        let mut scratch = Vec::new();
        let envelope = entry::decode(fields, &mut scratch, &limits()).unwrap();
        assert_eq!(format!("{:?}", envelope.message), expected);
    }
}
