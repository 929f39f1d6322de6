//! Request heads, and the head that answers an upgrade.
//!
//! References: `httparse` alone, which checks neither framing nor limits; tungstenite's handshake from
//! the same bytes.
#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use yamabiko_benches::wire;
use yamabiko_protocol::http::{Head, HeadParser};
use yamabiko_protocol::limits::HttpLimits;
use yamabiko_protocol::websocket::accept;

fn request_head(c: &mut Criterion) {
    let limits = HttpLimits::default();
    for (name, bytes) in [("poll", wire::POLL_HEAD), ("upgrade", wire::UPGRADE_HEAD)] {
        let mut group = c.benchmark_group(format!("http head, {name}"));
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("ours", |b| {
            b.iter(|| {
                let parsed = HeadParser::default().parse(black_box(bytes), &limits);
                parsed.is_ok_and(|found| found.is_some())
            });
        });
        group.bench_function("ours, in two pieces", |b| {
            b.iter(|| {
                let mut parser = HeadParser::default();
                let bytes = black_box(bytes);
                let first = parser.parse(&bytes[..bytes.len() / 2], &limits);
                first.is_ok_and(|found| found.is_none())
                    && parser.parse(bytes, &limits).is_ok_and(|found| found.is_some())
            });
        });
        group.bench_function("httparse", |b| {
            b.iter(|| httparse_reads(black_box(bytes)));
        });
        group.finish();
    }
}

fn httparse_reads(bytes: &[u8]) -> bool {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(bytes).is_ok_and(|status| status.is_complete())
}

fn what_is_asked_of_a_head(c: &mut Criterion) {
    let head = read(wire::POLL_HEAD);
    let mut group = c.benchmark_group("http head, asked");
    group.bench_function("a header that is there", |b| {
        b.iter(|| black_box(&head).header("origin"));
    });
    group.bench_function("a header that is not there", |b| {
        b.iter(|| black_box(&head).header("cookie"));
    });
    group.bench_function("EIO, transport and sid of the query", |b| {
        b.iter(|| {
            let found = black_box(&head).query().unique(["EIO", "transport", "sid"]);
            found.map(|value| value.is_some())
        });
    });
    group.finish();
}

fn upgrade_answered(c: &mut Criterion) {
    let mut group = c.benchmark_group("websocket handshake");
    let mut out = Vec::new();
    group.bench_function("ours", |b| {
        b.iter(|| {
            out.clear();
            let head = read(black_box(wire::UPGRADE_HEAD));
            let accepted = accept(|name| head.header(name)).expect("a good handshake");
            accepted.write_response(&mut out, &[]);
            out.len()
        });
    });
    group.bench_function("tungstenite", |b| {
        b.iter(|| {
            out.clear();
            tungstenite_answers(black_box(wire::UPGRADE_HEAD), &mut out);
            out.len()
        });
    });
    group.finish();
}

fn tungstenite_answers(bytes: &[u8], out: &mut Vec<u8>) {
    use tungstenite::handshake::machine::TryParse as _;
    use tungstenite::handshake::server::{Request, create_response, write_response};
    let (_, request) = Request::try_parse(bytes).expect("a good head").expect("a whole head");
    let response = create_response(&request).expect("a good handshake");
    write_response(out, &response).expect("memory takes everything");
}

fn read(bytes: &[u8]) -> Head<'_> {
    let parsed = HeadParser::default().parse(bytes, &HttpLimits::default());
    parsed.expect("a good head").expect("a whole head").0
}

criterion_group! {
    name = stages;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = request_head, what_is_asked_of_a_head, upgrade_answered
}
criterion_main!(stages);
