//! What may come out of a Redis that others write to, too: nothing panics, nothing costs more than its
//! length, and whatever is read can be written.

mod cluster_records;

use std::time::{Duration, Instant};

use cluster_records::records;
use yamabiko_protocol::cluster::classic::{Broadcast, Request, Response};
use yamabiko_protocol::cluster::streams::{Session, entry};
use yamabiko_protocol::cluster::{Dialect, Envelope, Malformed, Unwritable, Value, modernise};
use yamabiko_protocol::limits::ClusterLimits;

fn limits() -> ClusterLimits {
    ClusterLimits::default()
}

/// Gives a message to every decoder; returns how many took it.
fn all(message: &[u8]) -> usize {
    let limits = limits();
    let mut out = Vec::new();
    let mut taken = 0;
    let mut note = |written: Option<Result<(), Unwritable>>| {
        // Only keys may be what JSON has none of.
        assert!(matches!(written, None | Some(Ok(()) | Err(Unwritable::Key))), "{written:?}");
        taken += usize::from(written.is_some());
    };
    let broadcast = Broadcast::decode(message, &limits).ok();
    note(broadcast.map(|broadcast| {
        let rooms: Vec<_> = broadcast.target.rooms.iter().collect();
        for room in &rooms {
            assert!(broadcast.earlier_rooms(room).count() < rooms.len());
        }
        assert!(broadcast.packet.event().is_some());
        broadcast.encode(&mut out)
    }));
    note(Request::decode(message, &limits).ok().map(|request| request.encode(&mut out)));
    note(Response::decode(message, &limits).ok().map(|response| response.encode(&mut out)));
    let envelope = Envelope::decode(message, &limits).ok();
    note(envelope.map(|envelope| {
        envelope.encode_packed(&mut out)?;
        envelope.encode(&mut out)
    }));
    let mut scratch = Vec::new();
    for kind in [&b"3"[..], b"8", b"12"] {
        let fields: [(&[u8], &[u8]); 4] =
            [(b"uid", b"u"), (b"nsp", b"/"), (b"type", kind), (b"data", message)];
        let entry = entry::decode(fields, &mut scratch, &limits).ok();
        note(entry.map(|envelope| entry::encode(&envelope, false, &mut out).map(drop)));
    }
    let session = Session::decode(message, &mut scratch, &limits).ok();
    note(session.map(|session| session.encode(&mut out)));
    taken
}

/// One message of each kind, as they were recorded.
fn samples() -> Vec<Vec<u8>> {
    let mut samples: Vec<Vec<u8>> = ["classic", "emitters", "sharded", "streams"]
        .into_iter()
        .flat_map(records)
        .filter(|record| !record.what.contains("text") && !record.what.contains("long"))
        .map(|record| match record.fields.get(7) {
            Some(data) => data.clone().into_bytes(),
            None => record.bytes(),
        })
        .filter(|message| message.len() < 400)
        .collect();
    samples.sort_unstable_by_key(Vec::len);
    samples.into_iter().step_by(5).collect()
}

#[test]
fn no_part_of_a_message_is_a_message() {
    for message in samples() {
        // Base64 may do without its padding.
        let padding = message.iter().rev().take_while(|&&byte| byte == b'=').count();
        for len in 0..message.len() - padding {
            assert_eq!(all(&message[..len]), 0, "{}", message[..len].escape_ascii());
        }
        for more in [&b"\0"[..], b"}", b"\xc0"] {
            assert_eq!(all(&[&message, more].concat()), 0);
        }
    }
}

#[test]
fn a_message_with_any_byte_changed_is_one_or_none() {
    for message in samples() {
        let mut changed = message.clone();
        for at in 0..message.len() {
            for byte in [0x00, 0x7f, 0x80, 0xc1, 0xdf, 0xff, b'{', b'"', b'\\', message[at] ^ 1] {
                changed[at] = byte;
                all(&changed);
                let mut legacy = changed.clone();
                if modernise(&mut legacy).is_ok() {
                    all(&legacy);
                } else {
                    assert_eq!(legacy, changed);
                }
            }
            changed[at] = message[at];
        }
    }
}

#[test]
fn every_first_byte_is_an_answer() {
    for first in 0..=u8::MAX {
        for fill in [0x00, 0x01, 0x7f, 0x80, 0x91, 0xc1, 0xff] {
            for len in 0..24 {
                let bytes = [vec![first], vec![fill; len]].concat();
                assert_eq!(all(&bytes), 0);
                let _ = modernise(&mut bytes.clone());
                let (mut out, mut attachments) = (Vec::new(), Vec::new());
                for value in [Value::Msgpack(&bytes), Value::json(&String::from_utf8_lossy(&bytes))]
                {
                    let _ = value.write_json(&mut out, &mut attachments, 3);
                    for dialect in [Dialect::Client, Dialect::Notepack, Dialect::Standard] {
                        let _ = value.write_msgpack(&mut out, dialect);
                    }
                    let _ = (value.event(None), value.text(), value.index(), value.truth());
                }
                assert!(attachments.len() <= 3);
            }
        }
    }
}

#[test]
fn limits_have_names() {
    let tight = ClusterLimits { message_bytes_max: 40, depth_max: 4, attachments_max: 1 };
    let long = [b'a'; 41];
    for error in [
        Broadcast::decode(&long, &tight).err(),
        Request::decode(&long, &tight).err(),
        Response::decode(&long, &tight).err(),
        Envelope::decode(&long, &tight).err(),
        Session::decode(&long, &mut Vec::new(), &tight).err(),
        entry::decode([(&b"data"[..], &long[..])], &mut Vec::new(), &tight).err(),
    ] {
        assert_eq!(error, Some(Malformed::TooLong));
    }
    let deep = b"\x93\xa0\x82\xa4type\x02\xa4data\x92\xa1a\x91\x91\x90\x80";
    assert_eq!(Broadcast::decode(deep, &tight).err(), Some(Malformed::Depth));
    assert!(Broadcast::decode(deep, &limits()).is_ok());
    let bytes = Value::Msgpack(b"\x92\xc4\0\xc4\0");
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    let error = bytes.write_json(&mut out, &mut attachments, tight.attachments_max).unwrap_err();
    assert_eq!(error.limit(), Some("attachments_max"));
    assert_eq!(Malformed::Depth.limit(), Some("depth_max"));
    assert_eq!(Malformed::TooLong.limit(), Some("message_bytes_max"));
    assert_eq!((Malformed::Syntax.limit(), Unwritable::Key.limit()), (None, None));
    assert_eq!(Malformed::UnknownType(42).to_string(), "unknown message type 42");
    assert_eq!(Malformed::Member("opts").to_string(), "no usable 'opts'");
}

#[test]
fn a_megabyte_of_anything_is_read_and_written_in_linear_time() {
    const MEGABYTE: usize = 1_000_000;
    let broadcast = |args: &[u8]| {
        [b"\x93\xa1u\x82\xa4type\x02\xa4data\x92\xa1a", args, b"\x81\xa5rooms\x90"].concat()
    };
    let wide = |len: usize, item: &[u8]| {
        [&b"\xdd"[..], &(len as u32).to_be_bytes(), &item.repeat(len)].concat()
    };
    let start = Instant::now();
    for message in [
        broadcast(&[0x91; MEGABYTE]),
        broadcast(&[0x81; MEGABYTE]),
        broadcast(&wide(MEGABYTE, b"\x90")),
        broadcast(&wide(MEGABYTE, b"\xa0")),
        broadcast(&wide(MEGABYTE / 2, b"\xc4\0")),
        broadcast(&wide(MEGABYTE / 3, b"\xd4\0\0")),
        [b"\x93\xa1u\x82\xa4type\x02\xa4data\x91\xa1a\x81\xa5rooms", &wide(MEGABYTE, b"\xa0")[..]]
            .concat(),
        [br#"{"type":3,"uid":"u","nsp":"/","data":"#, "[".repeat(MEGABYTE).as_bytes()].concat(),
        [b"{", r#""type":3,"#.repeat(MEGABYTE / 9).as_bytes(), b"\"a\":1}"].concat(),
    ] {
        if let Ok(broadcast) = Broadcast::decode(&message, &limits()) {
            let (mut out, mut attachments) = (Vec::new(), Vec::new());
            broadcast.encode(&mut out).unwrap();
            let _ = broadcast.packet.data.write_json(&mut out, &mut attachments, 1024);
            assert!(attachments.len() <= 1024);
        }
        let _ = (Request::decode(&message, &limits()), Response::decode(&message, &limits()));
        let _ = Envelope::decode(&message, &limits());
        let _ = modernise(&mut message.clone());
    }
    // Lists of more than fifteen, as deep as they may be, from JSON: each head grows when it ends.
    let inner = "0,".repeat(MEGABYTE / 254);
    let text = format!("{}{inner}0{}", format!("[{inner}").repeat(127), "]".repeat(127));
    let mut out = Vec::new();
    Value::json(&text).write_msgpack(&mut out, Dialect::Notepack).unwrap();
    assert!(rmpv::decode::read_value(&mut &out[..]).is_ok());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}
