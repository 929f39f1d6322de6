//! Engine.IO: packets, polling payloads of both revisions, and a packet's way through a session.
//!
//! References: engineioxide's payloads (which come as streams, so their machinery is in the figure), and
//! the body split at its separators and no more.
#![allow(missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engineioxide_core::{Packet as TheirPacket, PacketBuf, ProtocolVersion, Str, payload};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use http_body_util::Full;
use yamabiko_benches::wire;
use yamabiko_protocol::engine::outgoing::Outgoing;
use yamabiko_protocol::engine::{
    Body, BodyForm, Data, Opening, Owner, Packet, PayloadForm, Received, Revision, Session,
    SessionId, Settings, Transport,
};
use yamabiko_protocol::message::{Message, TextMessage};

/// Packets of one body: what a client gathers while its last request is under way.
const PACKETS: usize = 16;

/// The limit on bodies, beyond anything here.
const BODY_BYTES_MAX: u64 = 1_000_000;

fn body_v4() -> String {
    [wire::EVENT; PACKETS].join("\u{1e}")
}

fn body_v3() -> String {
    format!("{}:{}", wire::EVENT.len(), wire::EVENT).repeat(PACKETS)
}

fn packet_decoded(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine.io packet");
    group.bench_function("ours", |b| {
        b.iter(|| Packet::from_text(Revision::V4, black_box(wire::EVENT)).is_ok());
    });
    let text = Str::from(wire::EVENT);
    group.bench_function("engineioxide", |b| {
        b.iter(|| TheirPacket::parse(ProtocolVersion::V4, black_box(&text).clone()).is_ok());
    });
    group.finish();
}

fn payload_decoded(c: &mut Criterion) {
    let v4 = (Revision::V4, ProtocolVersion::V4, body_v4());
    let v3 = (Revision::V3, ProtocolVersion::V3, body_v3());
    for (revision, protocol, body) in [v4, v3] {
        let mut group =
            c.benchmark_group(format!("payload decoded, {PACKETS} packets, {revision:?}"));
        group.throughput(Throughput::Elements(PACKETS as u64));
        group.bench_function("ours", |b| {
            b.iter(|| {
                let body = Body::read(BodyForm::Text, black_box(body.as_bytes()));
                let packets = body.packets(revision).map_while(Result::ok);
                let bytes: usize = packets.map(|packet| text_len(&packet)).sum();
                assert_eq!(bytes, PACKETS * 63);
            });
        });
        let bytes = Bytes::from(body.clone());
        group.bench_function("engineioxide", |b| {
            b.iter(|| {
                let body = Full::new(black_box(&bytes).clone());
                let packets = payload::decoder(body, None, protocol, BODY_BYTES_MAX);
                let sum = packets.fold(0, async |sum, packet| match packet {
                    Ok(TheirPacket::Message(text)) => sum + text.len(),
                    _ => sum,
                });
                assert_eq!(sum.now_or_never(), Some(PACKETS * 63));
            });
        });
        if revision == Revision::V4 {
            group.bench_function("checked and split", |b| {
                b.iter(|| {
                    let text = std::str::from_utf8(black_box(body.as_bytes()));
                    let bytes: usize =
                        text.map_or(0, |text| text.split('\u{1e}').map(|it| it.len() - 1).sum());
                    assert_eq!(bytes, PACKETS * 63);
                });
            });
        }
        group.finish();
    }
}

fn text_len(packet: &Packet<'_>) -> usize {
    match &packet.data {
        Data::Text(text) => text.len(),
        Data::Binary(bytes) => bytes.len(),
    }
}

fn payload_encoded(c: &mut Criterion) {
    let text = &wire::EVENT[1..];
    let ours = vec![Outgoing::Message(Message::Text(TextMessage::new(text))); PACKETS];
    let theirs: Vec<PacketBuf> = (0..PACKETS)
        .map(|_| [TheirPacket::Message(Str::from(text))].into_iter().collect())
        .collect();
    for (form, protocol) in
        [(PayloadForm::V4, ProtocolVersion::V4), (PayloadForm::V3Base64, ProtocolVersion::V3)]
    {
        let mut group = c.benchmark_group(format!("payload encoded, {PACKETS} packets, {form:?}"));
        group.throughput(Throughput::Elements(PACKETS as u64));
        let mut out = Vec::new();
        group.bench_function("ours", |b| {
            b.iter(|| {
                out.clear();
                form.encode(black_box(&ours), &mut out);
                out.len()
            });
        });
        group.bench_function("engineioxide", |b| {
            b.iter_batched(
                || theirs.clone(),
                |packets| {
                    let stream = stream::iter(packets);
                    let encoded = payload::encoder(stream, protocol, false, BODY_BYTES_MAX);
                    encoded.now_or_never().map(|payload| payload.data)
                },
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

/// A payload with one binary message of 1 KiB among texts: base64 in revision 4, raw in revision 3.
fn binary_payload_encoded(c: &mut Criterion) {
    let mut group = c.benchmark_group("payload encoded, 1 text and 1 KiB of binary");
    let text = &wire::EVENT[1..];
    let attachment = Bytes::from(wire::ascii(1024));
    let ours = [
        Outgoing::Message(Message::Text(TextMessage::new(text))),
        Outgoing::Message(Message::Binary(attachment.clone())),
    ];
    for (form, protocol, binary) in [
        (PayloadForm::V4, ProtocolVersion::V4, TheirPacket::Binary(attachment.clone())),
        (PayloadForm::V3, ProtocolVersion::V3, TheirPacket::BinaryV3(attachment)),
    ] {
        let mut out = Vec::new();
        group.bench_function(format!("ours, {form:?}"), |b| {
            b.iter(|| {
                out.clear();
                form.encode(black_box(&ours), &mut out);
                out.len()
            });
        });
        let packets = [TheirPacket::Message(Str::from(text)), binary];
        let theirs: Vec<PacketBuf> =
            packets.into_iter().map(|packet| [packet].into_iter().collect()).collect();
        group.bench_function(format!("engineioxide, {form:?}"), |b| {
            b.iter_batched(
                || theirs.clone(),
                |packets| {
                    let stream = stream::iter(packets);
                    let encoded = payload::encoder(stream, protocol, true, BODY_BYTES_MAX);
                    encoded.now_or_never().map(|payload| payload.data)
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn session(c: &mut Criterion) {
    const CONNECTION: u64 = 1;
    let mut effects = Vec::new();
    let open = |transport, effects: &mut Vec<_>| {
        let sid = SessionId::new([7; 12], Owner { node: 0, shard: 0 });
        let opening = Opening { revision: Revision::V4, transport, b64: false, jsonp: None };
        Session::open(sid, CONNECTION, opening, Arc::new(Settings::default()), 0, effects)
    };
    let mut group = c.benchmark_group("engine.io session");
    let mut websocket = open(Transport::WebSocket, &mut effects);
    effects.clear();
    group.bench_function("a message in", |b| {
        let mut now = 0;
        b.iter(|| {
            now += 1;
            let packet = Packet::from_text(Revision::V4, black_box(wire::EVENT));
            let packet = packet.expect("a good packet");
            let received = websocket.receive(CONNECTION, &packet, now, &mut effects);
            assert_eq!(received, Received::Message);
        });
    });
    let message = Message::Text(TextMessage::new(&wire::EVENT[1..]));
    let mut polling = open(Transport::Polling, &mut effects);
    polling.flush(&mut effects);
    group.bench_function("a poll, a message out, its answer", |b| {
        b.iter(|| {
            effects.clear();
            polling.get(CONNECTION, 0, &mut effects);
            polling.send(black_box(&message).clone(), &mut effects);
            polling.flush(&mut effects);
            assert_eq!(effects.len(), 1);
        });
    });
    group.finish();
}

criterion_group! {
    name = stages;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = packet_decoded, payload_decoded, payload_encoded, binary_payload_encoded, session
}
criterion_main!(stages);
