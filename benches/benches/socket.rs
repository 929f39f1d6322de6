//! Socket.IO packets, plain and binary, in and out.
//!
//! References: socketioxide's parser, and `serde_json` on the JSON alone: into a `Value`, or written
//! from the same types without any packet around it.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};
use socketioxide_core::packet::{Packet as TheirPacket, PacketData};
use socketioxide_core::parser::{Parse, ParseConfig, ParserState};
use socketioxide_core::{Str, Value};
use socketioxide_parser_common::CommonParser;
use yamabiko_benches::wire;
use yamabiko_protocol::limits::PacketLimits;
use yamabiko_protocol::socket::{Binary, Decoder, decode, encode};

/// The argument of [`wire::OBJECT_EVENT`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Line {
    room: String,
    from: String,
    text: String,
    n: u32,
}

fn line() -> Line {
    Line {
        room: "lobby".into(),
        from: "ada".into(),
        text: "hello there, how are you?".into(),
        n: 42,
    }
}

fn json_of(text: &str) -> &str {
    text.trim_start_matches(|character: char| character != '[')
}

/// From text to a packet whose JSON is checked but not yet read.
fn packet_decoded(c: &mut Criterion) {
    let limits = PacketLimits::default();
    let config = ParseConfig::default();
    for (name, text) in [("64 B", &wire::EVENT[1..]), ("object", wire::OBJECT_EVENT)] {
        let mut group = c.benchmark_group(format!("socket.io packet decoded, {name}"));
        group.bench_function("ours", |b| b.iter(|| decode(black_box(text), &limits).is_ok()));
        let theirs = Str::from(text);
        let state = ParserState::default();
        group.bench_function("socketioxide, JSON unchecked", |b| {
            b.iter(|| CommonParser.decode_str(&config, &state, black_box(&theirs).clone()).is_ok());
        });
        group.bench_function("serde_json::Value", |b| {
            let json = json_of(text);
            b.iter(|| serde_json::from_str::<serde_json::Value>(black_box(json)).is_ok());
        });
        group.finish();
    }
}

/// From text to an event's name and its arguments as types.
fn event_decoded(c: &mut Criterion) {
    let limits = PacketLimits::default();
    let config = ParseConfig::default();
    let mut group = c.benchmark_group("socket.io event decoded into a struct");
    group.bench_function("ours", |b| {
        b.iter(|| {
            let packet = decode(black_box(wire::OBJECT_EVENT), &limits).ok()?;
            let event = packet.event(&[])?;
            assert_eq!(event.name, "said");
            event.args.parse_tuple::<(Line,)>().ok()
        });
    });
    let text = Str::from(wire::OBJECT_EVENT);
    let state = ParserState::default();
    group.bench_function("socketioxide", |b| {
        b.iter(|| {
            let packet = CommonParser.decode_str(&config, &state, black_box(&text).clone()).ok()?;
            their_event::<Line>(packet, "said")
        });
    });
    group.bench_function("serde_json alone", |b| {
        let json = json_of(wire::OBJECT_EVENT);
        b.iter(|| serde_json::from_str::<(&str, Line)>(black_box(json)).ok());
    });
    group.finish();
}

fn their_event<T: for<'de> Deserialize<'de>>(packet: TheirPacket, name: &str) -> Option<T> {
    let (PacketData::Event(mut value, _) | PacketData::BinaryEvent(mut value, _)) = packet.inner
    else {
        return None;
    };
    assert_eq!(CommonParser.read_event(&value).ok(), Some(name));
    CommonParser.decode_value(&mut value, true).ok()
}

/// One attachment of 1 KiB and a name. Both sides copy the attachment out of the receive buffer.
fn binary_decoded(c: &mut Criterion) {
    let limits = PacketLimits::default();
    let config = ParseConfig::default();
    let attachment = Bytes::from(wire::ascii(1024));
    let mut group = c.benchmark_group("socket.io binary event decoded, 1 KiB");
    let mut decoder = Decoder::new();
    group.bench_function("ours", |b| {
        b.iter(|| {
            decoder.text(black_box(wire::BINARY_EVENT), &limits).ok()?;
            let complete = decoder.binary(Bytes::copy_from_slice(&attachment), &limits).ok()??;
            let (photo, name) = complete.event()?.args.parse_tuple::<(Binary, String)>().ok()?;
            Some(photo.len() + name.len())
        });
    });
    let text = Str::from(wire::BINARY_EVENT);
    let state = ParserState::default();
    group.bench_function("socketioxide", |b| {
        b.iter(|| {
            // It answers the text with "needs more".
            let _ = CommonParser.decode_str(&config, &state, black_box(&text).clone());
            let packet = CommonParser.decode_bin(&config, &state, attachment.clone()).ok()?;
            let (photo, name) = their_event::<(Bytes, String)>(packet, "upload")?;
            Some(photo.len() + name.len())
        });
    });
    group.bench_function("memcpy of the attachment", |b| {
        b.iter(|| Bytes::copy_from_slice(black_box(&attachment)));
    });
    group.finish();
}

fn event_encoded(c: &mut Criterion) {
    let line = line();
    let mut group = c.benchmark_group("socket.io event encoded from a struct");
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    group.bench_function("ours", |b| {
        b.iter(|| {
            out.clear();
            encode::event(&mut out, &mut attachments, "/", None, "said", black_box(&line))
        });
    });
    group.bench_function("socketioxide", |b| {
        b.iter(|| {
            let value = CommonParser.encode_value(black_box(&line), Some("said")).ok()?;
            Some(CommonParser.encode(TheirPacket::event("/", value)))
        });
    });
    group.bench_function("serde_json alone", |b| {
        b.iter(|| {
            out.clear();
            serde_json::to_writer(&mut out, &("said", black_box(&line)))
        });
    });
    group.finish();
}

fn ack_encoded(c: &mut Criterion) {
    let mut group = c.benchmark_group("socket.io ack encoded, one string");
    let text = "sixty-four bytes with the head and all of them";
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    group.bench_function("ours", |b| {
        b.iter(|| {
            out.clear();
            encode::ack(&mut out, &mut attachments, "/", black_box(17), black_box(text))
        });
    });
    group.bench_function("ours, from JSON", |b| {
        let json = format!("\"{text}\"");
        b.iter(|| {
            out.clear();
            encode::ack_raw(&mut out, "/", black_box(17), black_box(&json), 0);
        });
    });
    group.bench_function("socketioxide", |b| {
        b.iter(|| {
            let value = CommonParser.encode_value(black_box(text), None).ok()?;
            Some(CommonParser.encode(TheirPacket::ack("/", value, black_box(17))))
        });
    });
    group.bench_function("serde_json alone", |b| {
        b.iter(|| {
            out.clear();
            serde_json::to_writer(&mut out, black_box(&[text]))
        });
    });
    group.finish();
}

fn binary_encoded(c: &mut Criterion) {
    let photo = Bytes::from(wire::ascii(1024));
    let mut group = c.benchmark_group("socket.io binary event encoded, 1 KiB");
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    group.bench_function("ours", |b| {
        b.iter(|| {
            out.clear();
            attachments.clear();
            let args = (Binary::from(black_box(&photo).clone()), "photo.jpg");
            encode::event(&mut out, &mut attachments, "/", None, "upload", &args)
        });
    });
    group.bench_function("socketioxide", |b| {
        b.iter(|| {
            let args = (black_box(&photo).clone(), "photo.jpg");
            let value = CommonParser.encode_value(&args, Some("upload")).ok()?;
            Some(CommonParser.encode(TheirPacket::event("/", value)))
        });
    });
    group.finish();
}

/// That both sides of each comparison say the same.
fn agree() {
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    encode::event(&mut out, &mut attachments, "/", None, "said", &line()).expect("plain types");
    let value = CommonParser.encode_value(&line(), Some("said")).expect("plain types");
    let Value::Str(theirs, _) = CommonParser.encode(TheirPacket::event("/", value)) else {
        panic!("text is text");
    };
    assert_eq!(out, theirs.as_bytes());
}

fn packets_in(c: &mut Criterion) {
    packet_decoded(c);
    event_decoded(c);
    binary_decoded(c);
}

fn packets_out(c: &mut Criterion) {
    agree();
    event_encoded(c);
    ack_encoded(c);
    binary_encoded(c);
}

criterion_group! {
    name = stages;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = packets_in, packets_out
}
criterion_main!(stages);
