//! One event to many: what it costs once for each form it takes on the wire, and what each further
//! member costs.
//!
//! Reference: the event encoded anew for each member.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use yamabiko_benches::wire;
use yamabiko_protocol::engine::outgoing::Outgoing;
use yamabiko_protocol::engine::{BinaryForm, PayloadForm};
use yamabiko_protocol::message::{Message, TextMessage};
use yamabiko_protocol::socket::encode;
use yamabiko_protocol::websocket::encode as frame;

const TEXT: &str = "sixty-four bytes with the head and all of them";

fn text(c: &mut Criterion) {
    let mut group = c.benchmark_group("broadcast of a text event");
    let (mut packet, mut attachments) = (Vec::new(), Vec::new());
    let encoded = |packet: &mut Vec<u8>, attachments: &mut Vec<Bytes>| {
        packet.clear();
        encode::event(packet, attachments, "/", None, "message", black_box(TEXT))
            .expect("a plain string");
        TextMessage::new(std::str::from_utf8(packet).expect("the encoder writes UTF-8"))
    };
    group.bench_function("once: encoded and framed", |b| {
        b.iter(|| encoded(&mut packet, &mut attachments));
    });
    let message = Message::Text(encoded(&mut packet, &mut attachments));
    group.bench_function("each WebSocket member: shared", |b| {
        b.iter(|| black_box(&message).frame(BinaryForm::Plain));
    });
    let mut out = Vec::new();
    group.bench_function("each WebSocket member: copied", |b| {
        b.iter(|| {
            out.clear();
            black_box(&message).write_frame(BinaryForm::Plain, &mut out);
        });
    });
    for form in [PayloadForm::V4, PayloadForm::V3] {
        let waiting = [Outgoing::Message(message.clone())];
        group.bench_function(format!("each polling member: payload {form:?}"), |b| {
            b.iter(|| {
                out.clear();
                form.encode(black_box(&waiting), &mut out)
            });
        });
    }
    group.bench_function("each member: encoded anew", |b| {
        b.iter(|| {
            packet.clear();
            packet.push(b'4');
            encode::event(&mut packet, &mut attachments, "/", None, "message", black_box(TEXT))
                .expect("a plain string");
            out.clear();
            frame::put_text(&mut out, std::str::from_utf8(&packet).expect("UTF-8"));
        });
    });
    group.finish();
}

/// An attachment's frame is made once for each form that members ask for.
fn attachment(c: &mut Criterion) {
    let mut group = c.benchmark_group("broadcast of a 1 KiB attachment");
    let message = Message::Binary(Bytes::from(wire::ascii(1024)));
    for form in [BinaryForm::Plain, BinaryForm::Typed, BinaryForm::Base64, BinaryForm::TypedBase64]
    {
        group.bench_function(format!("once: {form:?}"), |b| {
            b.iter(|| black_box(&message).frame(form));
        });
    }
    let bytes = wire::ascii(1024).into_bytes();
    group.bench_function("memcpy", |b| b.iter(|| black_box(&bytes).clone()));
    group.finish();
}

criterion_group! {
    name = stages;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = text, attachment
}
criterion_main!(stages);
