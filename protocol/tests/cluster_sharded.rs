//! What Node's sharded adapter published, recorded by `tests/cluster/record.mjs`: read as its own reader
//! reads it, and written again byte for byte.

mod cluster_records;

use cluster_records::{Record, json_of, namespace_of, records};
use yamabiko_protocol::cluster::sharded::{Channels, Mode, Origin};
use yamabiko_protocol::cluster::{Envelope, Message, PREFIX, Packet, Value};
use yamabiko_protocol::limits::ClusterLimits;

fn encoded(envelope: &Envelope<'_>) -> Vec<u8> {
    let mut out = b"before".to_vec();
    envelope.encode(&mut out).expect("a message that was read");
    out.split_off(6)
}

fn each(mut look: impl FnMut(&Record, &[u8], &Envelope<'_>)) {
    let limits = ClusterLimits::default();
    for record in records("sharded") {
        assert_eq!(record.command, "SPUBLISH");
        let bytes = record.bytes();
        let envelope =
            Envelope::decode(&bytes, &limits).unwrap_or_else(|error| panic!("{error}: {record:?}"));
        look(&record, &bytes, &envelope);
    }
}

#[test]
fn every_message_is_read_and_written_again() {
    let mut packed = 0;
    each(|record, bytes, envelope| {
        assert_eq!(envelope.namespace, namespace_of(&record.channel));
        assert_eq!(
            String::from_utf8_lossy(&encoded(envelope)),
            String::from_utf8_lossy(bytes),
            "{record:?}"
        );
        assert_eq!(encoded(envelope), bytes);
        assert_eq!(bytes[0] != b'{', envelope.message.has_binary());
        if let Some(reads) = &record.reads {
            assert_eq!(&json_of(&Value::Msgpack(bytes)), reads);
            packed += 1;
        }
        // Whatever form it is in, both forms of it say the same.
        let mut out = Vec::new();
        envelope.encode_packed(&mut out).unwrap();
        let again = Envelope::decode(&out, &ClusterLimits::default()).unwrap();
        assert_eq!(format!("{:?}", again.sender), format!("{:?}", envelope.sender));
        if envelope.message.has_binary() {
            assert_eq!(encoded(&again), bytes, "{record:?}");
        } else {
            let text = String::from_utf8(encoded(&again)).unwrap();
            // Only an answer without an argument differs: the packed form has a member for it.
            let text = text.replace(r#","packet":null},"uid""#, r#"},"uid""#);
            let expected = String::from_utf8(bytes.to_vec()).unwrap();
            assert_eq!(text, expected.replace(r#","packet":null},"uid""#, r#"},"uid""#));
        }
    });
    assert!(packed > 8, "{packed}");
}

#[test]
fn every_message_is_what_the_app_did() {
    each(|record, _, Envelope { message, .. }| {
        let expected = match (&*record.what, message) {
            ("join", Message::Join { target, rooms }) => {
                target.rooms.only().as_deref() == Some("everybody") && rooms.len() == 2
            }
            ("leave", Message::Leave { target, rooms }) => {
                target.rooms.is_empty() && rooms.only().as_deref() == Some("b")
            }
            ("disconnect", Message::Disconnect { close, .. }) => !close,
            ("disconnect and close", Message::Disconnect { close, .. }) => *close,
            ("fetch" | "fetch nobody" | "fetch bytes", Message::Fetch { .. }) => true,
            (what, Message::FetchResponse { sockets, .. }) => {
                sockets.is_empty() == (what == "fetch nobody") && what.starts_with("fetch")
            }
            (what, Message::ServerSideEmit { data, request }) => {
                data.event(None).is_some()
                    && request.is_some() == what.starts_with("server side emit answered")
            }
            (what, Message::ServerSideEmitResponse { answer, .. }) => {
                answer.is_none() == what.ends_with("nothing")
            }
            (what, Message::ClientCount { count, .. }) => {
                *count == 1 && what.starts_with("acknowledged")
            }
            (what, Message::Ack { answer, .. }) => {
                answer.is_none() == (what == "acknowledged by one")
            }
            (what, Message::Broadcast { packet, request, .. }) => {
                packet.event().is_some()
                    && packet.namespace.is_none()
                    && request.is_some() == what.starts_with("acknowledged")
            }
            _ => false,
        };
        assert!(expected, "{record:?}");
    });
}

#[test]
fn every_message_is_on_the_channel_where_it_belongs() {
    let mut rooms = 0;
    each(|record, _, envelope| {
        let mode: Mode = record.writer.parse().unwrap();
        let namespace = namespace_of(&record.channel);
        if envelope.message.is_response() {
            let uid = record.channel.rsplit('#').nth(1).unwrap();
            let asker = Channels::new(PREFIX, namespace, uid, mode);
            assert_eq!(asker.identify(record.channel.as_bytes()), Some(Origin::Own));
            return;
        }
        let channels = Channels::new(PREFIX, namespace, &envelope.sender, mode);
        assert_eq!(channels.publish(&envelope.message), record.channel, "{record:?}");
        match channels.identify(record.channel.as_bytes()).unwrap() {
            Origin::Main => {}
            Origin::Room(room) => {
                rooms += 1;
                let is_own = room.len() == 20;
                assert_eq!(channels.room(room, is_own).as_deref(), Some(&*record.channel));
            }
            Origin::Own => panic!("{record:?}"),
        }
    });
    assert!(rooms >= 4, "{rooms}");
}

#[test]
fn binary_data_of_the_default_parser_makes_a_message_packed() {
    each(|record, bytes, envelope| {
        let Message::Broadcast { packet, target, request } = &envelope.message else { return };
        let (mut text, mut attachments) = (Vec::new(), Vec::new());
        packet.data.write_json(&mut text, &mut attachments, 16).unwrap();
        let text = String::from_utf8(text).unwrap();
        let data = Value::Json { text: &text, attachments: &attachments };
        let message = Message::Broadcast {
            packet: Packet { data, ..packet.clone() },
            target: *target,
            request: request.clone(),
        };
        let again = Envelope { message, ..envelope.clone() };
        assert_eq!(encoded(&again), bytes, "{record:?}");
    });
}
