//! WebSocket frames in and out, and what they are made of: unmasking and UTF-8.
//!
//! References: tungstenite's whole WebSocket over a stream in memory; a naive loop for the mask;
//! `std` for UTF-8. The floor is a copy of the same bytes. Each frame in is copied from where "the
//! kernel" left it, on both sides, because it is unmasked where it lies.
#![allow(missing_docs)]

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, Utf8Bytes, WebSocket};
use yamabiko_benches::wire;
use yamabiko_protocol::limits::WebSocketLimits;
use yamabiko_protocol::websocket::{Decoder, Event, Mask, encode};

const SIZES: [usize; 3] = [64, 1024, 64 * 1024];

/// Bytes that one receive brings: as many frames as fit, at least one.
const RECEIVE_BYTES: usize = 16 * 1024;

/// A stream in memory: reads give the same bytes for ever, writes are copied and forgotten.
struct Memory {
    input: Vec<u8>,
    at: usize,
    output: Vec<u8>,
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut rest = &self.input[self.at..];
        let len = rest.read(buffer)?;
        self.at = (self.at + len) % self.input.len();
        Ok(len)
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.clear();
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tungstenite_over(input: Vec<u8>) -> WebSocket<Memory> {
    let memory = Memory { input, at: 0, output: Vec::new() };
    let config = WebSocketConfig::default().read_buffer_size(RECEIVE_BYTES);
    WebSocket::from_raw_socket(memory, Role::Server, Some(config))
}

fn frames_in(c: &mut Criterion) {
    for len in SIZES {
        let frames = (RECEIVE_BYTES / (len + 8)).max(1);
        let received = wire::client_frame(wire::TEXT, wire::ascii(len).as_bytes()).repeat(frames);
        let mut group = c.benchmark_group(format!("frames in, {frames} x {len} B of text"));
        group.throughput(Throughput::Elements(frames as u64));
        let mut decoder = Decoder::new(WebSocketLimits::default());
        let mut buffer = received.clone();
        group.bench_function("ours", |b| {
            b.iter(|| {
                buffer.copy_from_slice(black_box(&received));
                let mut input = &mut buffer[..];
                let mut bytes = 0;
                while let Ok(Some(Event::Text(text))) = decoder.decode(&mut input) {
                    bytes += text.len();
                }
                assert_eq!(bytes, frames * len);
            });
        });
        let mut theirs = tungstenite_over(received.clone());
        group.bench_function("tungstenite", |b| {
            b.iter(|| {
                let mut bytes = 0;
                for _ in 0..frames {
                    bytes += theirs.read().map_or(0, |message| message.len());
                }
                assert_eq!(bytes, frames * len);
            });
        });
        group.bench_function("memcpy", |b| {
            b.iter(|| buffer.copy_from_slice(black_box(&received)));
        });
        group.finish();
    }
}

/// A message of which each receive brings a half, so that it has to be put together.
fn message_in_pieces(c: &mut Criterion) {
    let received = wire::client_frame(wire::TEXT, wire::mixed(1024).as_bytes());
    let mut decoder = Decoder::new(WebSocketLimits::default());
    let mut buffer = received.clone();
    let mut group = c.benchmark_group("frame in, 1024 B of mixed text");
    for (name, first) in [("whole", received.len()), ("in two receives", 500)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                buffer.copy_from_slice(black_box(&received));
                let (mut first, mut second) = buffer.split_at_mut(first);
                let mut events = 0;
                events += usize::from(decoder.decode(&mut first).is_ok_and(|it| it.is_some()));
                events += usize::from(decoder.decode(&mut second).is_ok_and(|it| it.is_some()));
                assert_eq!(events, 1);
            });
        });
    }
    group.finish();
}

fn frames_out(c: &mut Criterion) {
    for len in SIZES {
        let frames = (RECEIVE_BYTES / (len + 8)).max(1);
        let text = wire::ascii(len);
        let mut group = c.benchmark_group(format!("frames out, {frames} x {len} B of text"));
        group.throughput(Throughput::Elements(frames as u64));
        let mut out = Vec::new();
        group.bench_function("ours", |b| {
            b.iter(|| {
                out.clear();
                for _ in 0..frames {
                    encode::put_text(&mut out, black_box(&text));
                }
                out.len()
            });
        });
        let mut theirs = tungstenite_over(vec![0]);
        let message = Message::Text(Utf8Bytes::from(text.as_str()));
        group.bench_function("tungstenite", |b| {
            b.iter(|| {
                for _ in 0..frames {
                    theirs.write(black_box(&message).clone()).expect("memory takes everything");
                }
                theirs.flush()
            });
        });
        group.bench_function("memcpy", |b| {
            b.iter(|| {
                out.clear();
                for _ in 0..frames {
                    out.extend_from_slice(black_box(text.as_bytes()));
                }
                out.len()
            });
        });
        group.finish();
    }
}

fn unmasking(c: &mut Criterion) {
    let mut group = c.benchmark_group("unmasking");
    for len in SIZES {
        let plain = wire::ascii(len).into_bytes();
        let mut buffer = plain.clone();
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::new("ours", len), |b| {
            b.iter(|| Mask::new(black_box(wire::MASK)).apply(black_box(&mut buffer)));
        });
        group.bench_function(BenchmarkId::new("byte by byte", len), |b| {
            b.iter(|| mask_bytewise(black_box(wire::MASK), black_box(&mut buffer)));
        });
        group.bench_function(BenchmarkId::new("memcpy", len), |b| {
            b.iter(|| black_box(&mut buffer).copy_from_slice(black_box(&plain)));
        });
    }
    group.finish();
}

fn mask_bytewise(key: [u8; 4], payload: &mut [u8]) {
    for (at, byte) in payload.iter_mut().enumerate() {
        *byte ^= key[at % 4];
    }
}

fn utf8(c: &mut Criterion) {
    for (name, text) in [("ascii", wire::ascii as fn(usize) -> String), ("mixed", wire::mixed)] {
        let mut group = c.benchmark_group(format!("utf-8, {name}"));
        for len in SIZES {
            let text = text(len).into_bytes();
            group.throughput(Throughput::Bytes(len as u64));
            group.bench_function(BenchmarkId::new("simdutf8, as we use it", len), |b| {
                b.iter(|| simdutf8::basic::from_utf8(black_box(&text)).is_ok());
            });
            group.bench_function(BenchmarkId::new("std", len), |b| {
                b.iter(|| std::str::from_utf8(black_box(&text)).is_ok());
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = stages;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = frames_in, message_in_pieces, frames_out, unmasking, utf8
}
criterion_main!(stages);
