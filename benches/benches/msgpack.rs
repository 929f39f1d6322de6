//! Socket.IO packets in MessagePack, with and without binary data, in and out.
//!
//! References: `rmp-serde` with the whole packet as one type, which knows beforehand what will come and
//! checks nothing else; and a copy of the message, below which nothing can be.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};
use yamabiko_benches::wire;
use yamabiko_protocol::limits::PacketLimits;
use yamabiko_protocol::msgpack::{decode, encode};
use yamabiko_protocol::socket::Binary;

/// The argument of an event, as in [`wire::OBJECT_EVENT`].
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

/// A whole packet to `rmp-serde`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Whole<'a, T> {
    #[serde(rename = "type")]
    kind: u8,
    data: T,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    id: Option<u64>,
    #[serde(rename = "nsp")]
    namespace: &'a str,
}

/// The event that is read and written: an object, and an acknowledgement asked for.
fn small() -> Vec<u8> {
    let mut out = Vec::new();
    encode::event(&mut out, "/", Some(17), "said", &line()).expect("plain types");
    out
}

/// Another, with 1 KiB of binary data and a name.
fn binary() -> Vec<u8> {
    let mut out = Vec::new();
    let args = (Binary(wire::ascii(1024).into()), "photo.jpg");
    encode::event(&mut out, "/", Some(17), "upload", &args).expect("plain types");
    out
}

/// An acknowledgement of it, with one word.
fn ack() -> Vec<u8> {
    let mut out = Vec::new();
    encode::ack(&mut out, "/", 17, "ok").expect("plain types");
    out
}

/// From bytes to a packet whose MessagePack is checked but not yet read.
fn packet_decoded(c: &mut Criterion) {
    let limits = PacketLimits::default();
    for (name, message) in [("object", small()), ("1 KiB", binary()), ("ack", ack())] {
        let mut group = c.benchmark_group(format!("msgpack packet decoded, {name}"));
        group.bench_function("ours", |b| b.iter(|| decode(black_box(&message), &limits).is_ok()));
        group.bench_function("rmp-serde, nothing kept", |b| {
            b.iter(|| {
                type Packet<'a> = Whole<'a, serde::de::IgnoredAny>;
                let packet: Result<Packet<'_>, _> = rmp_serde::from_slice(black_box(&message));
                packet.is_ok()
            });
        });
        group.bench_function("memcpy", |b| copied(b, &message));
        group.finish();
    }
}

/// From bytes to an event's name and its arguments as types.
fn event_decoded(c: &mut Criterion) {
    let limits = PacketLimits::default();
    let message = small();
    let mut group = c.benchmark_group("msgpack event decoded into a struct");
    group.bench_function("ours", |b| {
        b.iter(|| {
            let packet = decode(black_box(&message), &limits).ok()?;
            let event = packet.event()?;
            assert_eq!(event.name, "said");
            event.args.parse_tuple::<(Line,)>().ok()
        });
    });
    group.bench_function("rmp-serde, whole", |b| {
        b.iter(|| rmp_serde::from_slice::<Whole<'_, (&str, Line)>>(black_box(&message)).ok());
    });
    group.bench_function("memcpy", |b| copied(b, &message));
    group.finish();
}

/// With the binary data copied out of the receive buffer, and without.
fn binary_decoded(c: &mut Criterion) {
    let limits = PacketLimits::default();
    let message = binary();
    let mut group = c.benchmark_group("msgpack binary event decoded, 1 KiB");
    group.bench_function("ours", |b| {
        b.iter(|| {
            let packet = decode(black_box(&message), &limits).ok()?;
            packet.event()?.args.parse_tuple::<(Binary, String)>().ok()
        });
    });
    group.bench_function("ours, borrowed", |b| {
        b.iter(|| {
            let packet = decode(black_box(&message), &limits).ok()?;
            let (photo, name) = packet.event()?.args.parse_tuple::<(&[u8], &str)>().ok()?;
            Some(black_box(photo).len() + black_box(name).len())
        });
    });
    group.bench_function("rmp-serde, whole", |b| {
        b.iter(|| {
            type Packet<'a> = Whole<'a, (&'a str, Bytes, String)>;
            rmp_serde::from_slice::<Packet<'_>>(black_box(&message)).ok()
        });
    });
    group.bench_function("memcpy", |b| copied(b, &message));
    group.finish();
}

fn ack_decoded(c: &mut Criterion) {
    let limits = PacketLimits::default();
    let message = ack();
    let mut group = c.benchmark_group("msgpack acknowledgement decoded");
    group.bench_function("ours", |b| {
        b.iter(|| {
            let packet = decode(black_box(&message), &limits).ok()?;
            let ack = packet.ack()?;
            let (answer,) = ack.args.parse_tuple::<(&str,)>().ok()?;
            Some((ack.id?, answer.len()))
        });
    });
    group.bench_function("rmp-serde, whole", |b| {
        b.iter(|| rmp_serde::from_slice::<Whole<'_, (&str,)>>(black_box(&message)).ok());
    });
    group.bench_function("memcpy", |b| copied(b, &message));
    group.finish();
}

fn event_encoded(c: &mut Criterion) {
    let (line, message) = (line(), small());
    let mut args = Vec::new();
    let count = encode::args(&mut args, &line).expect("plain types");
    let mut group = c.benchmark_group("msgpack event encoded from a struct");
    let mut out = Vec::new();
    group.bench_function("ours", |b| {
        b.iter(|| {
            out.clear();
            encode::event(&mut out, "/", Some(17), "said", black_box(&line))
        });
    });
    group.bench_function("ours, spliced", |b| {
        b.iter(|| {
            out.clear();
            encode::event_raw(&mut out, "/", Some(17), "said", black_box(&args), count)
        });
    });
    group.bench_function("rmp-serde, whole", |b| {
        b.iter(|| {
            out.clear();
            let data = ("said", black_box(&line));
            let packet = Whole { kind: 2, data, id: Some(17), namespace: "/" };
            rmp_serde::encode::write_named(&mut out, &packet)
        });
    });
    group.bench_function("memcpy", |b| copied(b, &message));
    group.finish();
}

fn binary_encoded(c: &mut Criterion) {
    let (photo, message) = (Bytes::from(wire::ascii(1024)), binary());
    let mut group = c.benchmark_group("msgpack binary event encoded, 1 KiB");
    let mut out = Vec::new();
    group.bench_function("ours", |b| {
        b.iter(|| {
            out.clear();
            let args = (black_box(&photo), "photo.jpg");
            encode::event(&mut out, "/", Some(17), "upload", &args)
        });
    });
    group.bench_function("rmp-serde, whole", |b| {
        b.iter(|| {
            out.clear();
            let data = ("upload", black_box(&photo), "photo.jpg");
            let packet = Whole { kind: 2, data, id: Some(17), namespace: "/" };
            rmp_serde::encode::write_named(&mut out, &packet)
        });
    });
    group.bench_function("memcpy", |b| copied(b, &message));
    group.finish();
}

fn ack_encoded(c: &mut Criterion) {
    let message = ack();
    let mut group = c.benchmark_group("msgpack acknowledgement encoded");
    let mut out = Vec::new();
    group.bench_function("ours", |b| {
        b.iter(|| {
            out.clear();
            encode::ack(&mut out, "/", 17, black_box("ok"))
        });
    });
    group.bench_function("rmp-serde, whole", |b| {
        b.iter(|| {
            out.clear();
            let packet = Whole { kind: 3, data: (black_box("ok"),), id: Some(17), namespace: "/" };
            rmp_serde::encode::write_named(&mut out, &packet)
        });
    });
    group.bench_function("memcpy", |b| copied(b, &message));
    group.finish();
}

/// Copies a message into a buffer that is there already.
fn copied(b: &mut criterion::Bencher<'_>, message: &[u8]) {
    let mut copy = Vec::new();
    b.iter(|| {
        copy.clear();
        copy.extend_from_slice(black_box(message));
        black_box(copy.as_ptr())
    });
}

/// That both sides of each comparison say the same.
fn agree() {
    let packet = Whole { kind: 2, data: ("said", line()), id: Some(17), namespace: "/" };
    let theirs = rmp_serde::to_vec_named(&packet).expect("plain types");
    assert_eq!(small(), theirs);
    assert_eq!(rmp_serde::from_slice::<Whole<'_, (&str, Line)>>(&theirs).ok(), Some(packet));
    let photo = Bytes::from(wire::ascii(1024));
    let data = ("upload", &photo, "photo.jpg");
    let packet = Whole { kind: 2, data, id: Some(17), namespace: "/" };
    assert_eq!(binary(), rmp_serde::to_vec_named(&packet).expect("plain types"));
    // The members of ours come in another order here.
    let packet = Whole { kind: 3, data: ("ok",), id: Some(17), namespace: "/" };
    assert_eq!(rmp_serde::from_slice::<Whole<'_, (&str,)>>(&ack()).ok().as_ref(), Some(&packet));
    assert_eq!(ack().len(), rmp_serde::to_vec_named(&packet).expect("plain types").len());
}

fn packets_in(c: &mut Criterion) {
    agree();
    packet_decoded(c);
    event_decoded(c);
    binary_decoded(c);
    ack_decoded(c);
}

fn packets_out(c: &mut Criterion) {
    event_encoded(c);
    binary_encoded(c);
    ack_encoded(c);
}

criterion_group! {
    name = stages;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = packets_in, packets_out
}
criterion_main!(stages);
