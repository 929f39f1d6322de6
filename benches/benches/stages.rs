//! What each stage of a message costs, beside a floor or a crate that does the same.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use yamabiko_protocol::http::HeadParser;
use yamabiko_protocol::limits::{HttpLimits, PacketLimits, WebSocketLimits};
use yamabiko_protocol::socket::{decode, encode};
use yamabiko_protocol::websocket::Decoder;

fn http(c: &mut Criterion) {
    let head = b"GET /socket.io/?EIO=4&transport=polling&sid=abcdefghijklmnopqrst HTTP/1.1\r\n\
        Host: localhost:3000\r\nConnection: keep-alive\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n\
        User-Agent: bench\r\nOrigin: http://localhost:3000\r\n\r\n";
    c.bench_function("http head", |b| {
        b.iter(|| {
            let parsed = HeadParser::default().parse(black_box(head), &HttpLimits::default());
            parsed.map(|found| found.map(|(_, len)| len))
        });
    });
}

fn websocket(c: &mut Criterion) {
    let text = br#"42["message",{"room":"lobby","text":"hello there"}]"#;
    let mut frame = vec![0x81, 0x80 | text.len() as u8, 1, 2, 3, 4];
    frame.extend(text.iter().enumerate().map(|(i, byte)| byte ^ [1, 2, 3, 4][i % 4]));
    let mut decoder = Decoder::new(WebSocketLimits::default());
    let mut buffer = frame.clone();
    c.bench_function("websocket text frame", |b| {
        b.iter(|| {
            buffer.copy_from_slice(&frame);
            let mut input = black_box(&mut buffer[..]);
            decoder.decode(&mut input).is_ok_and(|event| event.is_some())
        });
    });
    c.bench_function("the same bytes copied (floor)", |b| {
        b.iter(|| buffer.copy_from_slice(black_box(&frame)));
    });
}

fn packets(c: &mut Criterion) {
    let text = r#"2["message",{"room":"lobby","text":"hello there","n":42}]"#;
    let limits = PacketLimits::default();
    c.bench_function("socket.io packet decoded", |b| {
        b.iter(|| decode(black_box(text), &limits).is_ok());
    });
    c.bench_function("the same as a serde_json value", |b| {
        b.iter(|| serde_json::from_str::<serde_json::Value>(black_box(&text[1..])).is_ok());
    });
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    c.bench_function("socket.io event encoded", |b| {
        b.iter(|| {
            out.clear();
            encode::event(
                &mut out,
                &mut attachments,
                "/",
                None,
                "message",
                black_box(&("hello", 42)),
            )
        });
    });
}

criterion_group!(benches, http, websocket, packets);
criterion_main!(benches);
