//! The known holes of the field, tried on a running server. Where the decision is a decoder's, it has
//! a test beside the decoder too. A name that ends with `_` is the start of several.
//!
//! | hole | tests |
//! |---|---|
//! | CVE-2017-16031 guessable ids | `runtime/src/identity.rs`: `a_million_ids_are_unique_and_name_their_owner` |
//! | CVE-2020-28481 CORS by default | `app/tests/holes.rs`: `cve_2020_28481_`, `protocol/src/http/cors.rs`: `origins_are_any_named_or_nobody` |
//! | CVE-2020-36048 huge polling POST | `app/tests/holes.rs`: `cve_2020_36048_`, `protocol/src/http/body.rs`: `cve_2020_36048_` |
//! | CVE-2020-36049 long digits and names | `app/tests/holes.rs`: `cve_2020_36049_`, `protocol/tests/socket_hostile.rs`: `cve_2020_36049_` |
//! | CVE-2022-21676 reserved bits | `app/tests/holes.rs`: `cve_2022_21676_`, `protocol/tests/websocket_suite/holes.rs`: `cve_2022_21676_` |
//! | CVE-2022-41940 reset while refused | `app/tests/holes.rs`: `cve_2022_41940_` |
//! | CVE-2023-31125 odd transports | `app/tests/holes.rs`: `cve_2023_31125_`, `protocol/src/engine/verify.rs`: `cve_2023_31125_` |
//! | CVE-2022-2421 placeholders | `app/tests/holes.rs`: `cve_2022_2421_`, `protocol/tests/socket_hostile.rs`: `cve_2022_2421_` |
//! | CVE-2023-32695 event names | `app/tests/holes.rs`: `cve_2023_32695_`, `protocol/tests/socket_hostile.rs`: `cve_2023_32695_` |
//! | CVE-2024-38355 'error' unheard | `app/tests/holes.rs`: `cve_2024_38355_`, `protocol/tests/socket_hostile.rs`: `cve_2024_38355_` |
//! | CVE-2026-33151 attachments without bound | `app/tests/holes.rs`: `cve_2026_33151_`, `protocol/tests/socket_hostile.rs`: `cve_2026_33151_` |
//! | CVE-2024-47764 cookie injection | `protocol/src/http/cookie.rs`: `cve_2024_47764_` |
//! | CVE-2016-10518, CVE-2026-45736 memory in frames | `app/tests/holes.rs`: `cve_2016_10518_`, `protocol/tests/websocket_suite/holes.rs`: `cve_2016_10518_and_cve_2026_45736_` |
//! | CVE-2016-10542 no cap on payloads | `app/tests/holes.rs`: `cve_2016_10542_`, `protocol/tests/websocket_suite/holes.rs`: `cve_2016_10542_` |
//! | CVE-2021-32640 Sec-WebSocket-Protocol | `app/tests/holes.rs`: `cve_2021_32640_`, `protocol/tests/websocket_suite/holes.rs`: `cve_2021_32640_` |
//! | CVE-2024-37890 too many headers | `app/tests/holes.rs`: `cve_2024_37890_`, `protocol/src/http/head/tests.rs`: `cve_2024_37890_` |
//! | CVE-2026-48779, -42786, -47073, -44545 tiny pieces | `app/tests/holes.rs`: `cve_2026_48779_`, `protocol/tests/websocket_suite/holes.rs`: `cve_2026_48779_` |
//! | CVE-2023-43669 endless head | `app/tests/holes.rs`: `cve_2023_43669_`, `app/tests/slow.rs`: `a_head_has_its_time`, `protocol/src/http/head/tests.rs`: `cve_2023_43669_` |
//! | sockets kept after an unclean close | `app/tests/churn.rs`: `memory_and_descriptors_return_` |
//! | tasks that never end | `app/tests/churn.rs`: `nothing_is_counted_when_everybody_has_left` |

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use harness::*;

/// Socket.IO's default `maxHttpBufferSize`, and ours.
const MESSAGE_BYTES_MAX: usize = 1_000_000;
const MIB: usize = 1024 * 1024;
/// What the receive buffers of two shards take once each has been used.
const RECEIVE_BUFFERS: usize = 8 * MIB;

/// Every test that the table above names is there.
#[test]
fn the_table_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let table = include_str!("holes.rs").lines().filter(|line| line.starts_with("//! | "));
    let mut named = 0;
    for line in table.skip(1) {
        let mut quoted = line.split('`').skip(1).step_by(2);
        while let (Some(file), Some(test)) = (quoted.next(), quoted.next()) {
            let source = fs::read_to_string(root.join(file)).expect(file);
            let suffix = if test.ends_with('_') { "" } else { "(" };
            assert!(source.contains(&format!("fn {test}{suffix}")), "{file}: {test}");
            named += 1;
        }
    }
    assert_eq!(named, 36);
}

/// A server on which another client has just been served, and its memory then.
fn warm(shards: usize) -> (Server, Client, usize) {
    let server = Server::start(shards);
    let mut other = Client::open(server.address());
    for _ in 0..100 {
        other.assert_alive();
    }
    let rss = server.rss_bytes();
    (server, other, rss)
}

/// The other client is served still, memory has stayed flat, and the process ends well.
fn assert_unharmed((server, mut other, before): (Server, Client, usize), grown_max: usize) {
    other.assert_alive();
    Client::open(server.address()).assert_alive();
    let after = server.rss_bytes();
    assert!(
        after <= before + grown_max + RECEIVE_BUFFERS,
        "memory grew from {before} to {after} bytes"
    );
    server.stop();
}

#[test]
fn cve_2020_28481_no_cross_origin_header_unless_configured() {
    let server = Server::start(2);
    let origin = "Origin: https://evil.example\r\n";
    let asked = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x\r\n";
    let websocket = "/socket.io/?EIO=4&transport=websocket";
    for (request, status) in [
        (get(HANDSHAKE, origin), 200),
        (get(HANDSHAKE, &format!("{origin}{asked}")).replace("GET ", "OPTIONS "), 400),
        (get("/socket.io/?EIO=4&transport=none", origin), 400),
        (get("/nothing-here", origin), 404),
        (get("/nothing-here", &format!("{origin}{asked}")).replace("GET ", "OPTIONS "), 404),
        (get(websocket, &format!("{origin}{UPGRADE}")), 101),
        (get(websocket, origin), 400),
    ] {
        let response = Wire::open(server.address()).ask(&request);
        assert_eq!(response.status, status, "{request}: {response:?}");
        let head = response.head.to_ascii_lowercase();
        assert!(!head.contains("access-control-"), "{request}: {response:?}");
    }
    server.stop();
}

#[test]
fn cve_2020_36048_a_length_over_the_cap_is_refused_before_the_body() {
    let warm = warm(2);
    let mut session = Poller::open(warm.0.address());
    for length in ["1000001", "4294967296", "10000000000", "9223372036854775807"] {
        for _ in 0..50 {
            // No byte of the body is ever sent.
            let request = session.post("").replace("Length: 0", &format!("Length: {length}"));
            let mut wire = Wire::open(warm.0.address());
            let response = wire.ask(request);
            assert_eq!(response.status, 413, "{response:?}");
            assert_eq!(wire.response(), None);
        }
    }
    assert_eq!(session.ask("[\"message-with-ack\",1]"), "[1]", "the session stays open");
    assert_unharmed(warm, 2 * MIB);
}

#[test]
fn cve_2020_36048_chunks_over_the_cap_are_refused() {
    let warm = warm(2);
    let mut session = Poller::open(warm.0.address());
    let head = session.post("").replace("Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n");
    // One chunk that only says how long it is.
    for size in ["f4241", "ffffffff", "7fffffffffffffff"] {
        let mut wire = Wire::open(warm.0.address());
        assert_eq!(wire.ask(format!("{head}{size}\r\n")).status, 413, "{size}");
        assert_eq!(wire.response(), None);
    }
    // Chunks without end.
    let chunk = format!("2710\r\n{}\r\n", "x".repeat(10_000));
    for _ in 0..20 {
        let mut wire = Wire::open(warm.0.address());
        wire.send(&head);
        for _ in 0..150 {
            wire.send(&chunk);
        }
        assert_eq!(wire.response().unwrap().status, 413);
        assert_eq!(wire.response(), None);
    }
    assert_eq!(session.ask("[\"message-with-ack\",1]"), "[1]", "the session stays open");
    assert_unharmed(warm, 6 * MIB);
}

#[test]
fn cve_2022_21676_reserved_bits_in_the_first_frame_close_one_client() {
    let warm = warm(2);
    for first in [0xc1, 0xa1, 0x91, 0xf1, 0xc2, 0xc9, 0x83, 0x8b, 0x8f] {
        // Of a session, and of one that polls and tries to upgrade.
        let mut direct = WebSocket::open(warm.0.address());
        let mut session = Poller::open(warm.0.address());
        let target = format!("/socket.io/?EIO=4&transport=websocket&sid={}", session.sid);
        let mut candidate = WebSocket::on(Wire::open(warm.0.address()), &target);
        for socket in [&mut direct, &mut candidate] {
            socket.wire.send(frame(first, b"2probe"));
            let close = socket.closed().expect("a close frame");
            assert_eq!(close.status(), Some(1002), "{first:x}");
        }
        assert_eq!(session.ask("[\"message-with-ack\",1]"), "[1]", "it goes on polling");
    }
    assert_unharmed(warm, 2 * MIB);
}

#[test]
fn cve_2022_41940_ten_thousand_upgrades_reset_while_refused() {
    let warm = warm(2);
    let address = warm.0.address();
    let websocket = "/socket.io/?EIO=4&transport=websocket";
    let unknown = format!("{websocket}&sid=AAAAAAAAAAAAAAAAAAAA");
    let requests = [
        get("/socket.io/?EIO=4&transport=constructor", UPGRADE),
        get("/socket.io/?EIO=4&transport=polling", UPGRADE),
        get("/socket.io/?EIO=3&transport=websocket", UPGRADE),
        get(&unknown, UPGRADE),
        get(websocket, &UPGRADE.replace("13", "12")),
        get(websocket, &UPGRADE.replace("dGhl", "")),
        get("/elsewhere", UPGRADE),
        get(websocket, &format!("{UPGRADE}Content-Length: x\r\n")),
    ];
    let descriptors = warm.0.descriptors();
    let count = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let i @ 0..10_000 = count.fetch_add(1, Ordering::Relaxed) {
                    let mut wire = Wire::open(address);
                    wire.send(&requests[i % requests.len()]);
                    // Some resets come before the refusal, some after.
                    if i % 3 == 0 {
                        wire.read_exact(1);
                    }
                    wire.reset();
                }
            });
        }
    });
    warm.0.wait_for_descriptors(descriptors);
    assert_unharmed(warm, 4 * MIB);
}

#[test]
fn cve_2023_31125_odd_transports_are_refused() {
    let warm = warm(2);
    let odd = [
        "constructor",
        "__proto__",
        "toString",
        "hasOwnProperty",
        "webtransport",
        "",
        "websocket%00",
        "WebSocket",
        "polling,websocket",
        "%5F%5Fproto%5F%5F",
        "polling%20",
    ];
    let mut targets: Vec<String> =
        odd.iter().map(|it| format!("/socket.io/?EIO=4&transport={it}")).collect();
    targets.push("/socket.io/?EIO=4".into());
    targets.push("/socket.io/?EIO=4&transport".into());
    targets.push("/socket.io/?EIO=4&transport=polling&transport=websocket".into());
    targets.push("/socket.io/?EIO=4&transport[]=websocket".into());
    for target in &targets {
        let response = Wire::open(warm.0.address()).ask(get(target, ""));
        assert_eq!(response.status, 400, "{target}: {response:?}");
        assert_eq!(response.body, "{\"code\":0,\"message\":\"Transport unknown\"}", "{target}");
        let mut wire = Wire::open(warm.0.address());
        let response = wire.ask(get(target, UPGRADE));
        assert_eq!(response.status, 400, "{target}: {response:?}");
        assert_eq!(wire.response(), None, "{target}");
    }
    // The reference accepts this one and closes it at once.
    let wire = Wire::open(warm.0.address());
    assert!(WebSocket::on(wire, HANDSHAKE).closed().is_some());
    assert_unharmed(warm, 2 * MIB);
}

/// Sends packets as a client that has joined `/`, and as one that has not: both must be closed, a
/// polling session as well.
fn assert_each_closes_its_client(server: &Server, packets: &[String]) {
    for packet in packets {
        let shown: String = packet.chars().take(80).collect();
        eprintln!("{shown}");
        let mut joined = Client::open(server.address());
        joined.send(packet);
        assert!(joined.socket.closed().is_some(), "{shown}");
        let mut fresh = WebSocket::open(server.address());
        fresh.send_text(packet);
        assert!(fresh.closed().is_some(), "{shown} before CONNECT");
        let mut session = Poller::open(server.address());
        session.send(packet);
        let response = session.polls.ask(session.poll());
        assert_eq!(response.status, 400, "{shown}: {response:?}");
    }
}

fn texts(packets: &[&str]) -> Vec<String> {
    packets.iter().map(|packet| String::from(*packet)).collect()
}

#[test]
fn cve_2020_36049_a_megabyte_of_digits_or_name() {
    let warm = warm(2);
    let digits = "1".repeat(MESSAGE_BYTES_MAX - 100);
    let name = "x".repeat(MESSAGE_BYTES_MAX - 100);
    let packets = [
        format!("45{digits}-[\"a\"]"),
        format!("45{digits}"),
        format!("42{digits}[\"a\"]"),
        format!("42{digits}"),
        format!("43{digits}[]"),
        format!("42/{name},[\"a\"]"),
        format!("42/{name}"),
        format!("42[{digits}"),
        format!("42[\"{name}"),
        format!("42[\"a\",{}", "[".repeat(900_000)),
        format!("42[\"a\",{}]", "{\"a\":".repeat(100_000)),
    ];
    assert_each_closes_its_client(&warm.0, &packets);
    assert_unharmed(warm, 12 * MIB);
}

#[test]
fn cve_2022_2421_placeholders_that_index_nothing() {
    let warm = warm(2);
    let numbers = ["-1", "1.5", "\"splice\"", "1000000000", "1e9", "1", "null", "{}", "\"0\""];
    let mut packets: Vec<String> = numbers
        .iter()
        .map(|num| format!("451-[\"message\",{{\"_placeholder\":true,\"num\":{num}}}]"))
        .collect();
    let twice = "{\"_placeholder\":true,\"num\":0}";
    packets.push(format!("452-[\"message\",{twice},{twice}]"));
    packets.push("451-[\"message\",{\"_placeholder\":true}]".into());
    for packet in &packets {
        let mut client = Client::open(warm.0.address());
        client.send(packet);
        client.socket.send(BINARY, b"an attachment");
        assert!(client.socket.closed().is_some(), "{packet}");
    }
    assert_unharmed(warm, 2 * MIB);
}

#[test]
fn cve_2023_32695_names_and_packets_that_are_none() {
    let warm = warm(2);
    let packets = texts(&[
        "42[{\"toString\":\"foo\"}]",
        "42[{\"toString\":\"foo\"},\"bar\"]",
        "42[true,\"foo\"]",
        "42[null,\"bar\"]",
        "42[[\"message\"]]",
        "42[\"connect\"]",
        "42[\"connect_error\"]",
        "42[\"disconnect\",\"123\"]",
        "42[\"disconnecting\"]",
        "42[\"newListener\"]",
        "42[\"removeListener\"]",
        "42[\"conn\\u0065ct\"]",
        "42[]",
        "42{}",
        "42\"message\"",
        "42",
        "4",
        "40[]",
        "40null",
        "40\"auth\"",
        "41{}",
        "44{\"message\":\"refused\"}",
        "451",
        "45a-",
        "451.23-",
        "45-[\"message\"]",
        "450-[\"message\"]",
        "47",
        "42[\"message\"",
        "42[\"message\"]]",
        "42[\"message\",]",
        "42[\"message\",NaN]",
        "42/not-joined,[\"message\"]",
        "2",
        "7",
        "hello",
        "\u{1f600}",
    ]);
    assert_each_closes_its_client(&warm.0, &packets);
    assert_unharmed(warm, 2 * MIB);
}

#[test]
fn cve_2024_38355_an_error_event_nobody_hears_is_ignored() {
    let warm = warm(2);
    let mut client = Client::open(warm.0.address());
    for event in ["[\"error\"]", "[\"error\",{\"message\":\"x\"}]", "[\"__proto__\"]", "[5,1]"] {
        client.emit(event);
        client.assert_alive();
    }
    assert_unharmed(warm, 2 * MIB);
}

#[test]
fn cve_2026_33151_more_attachments_than_allowed_are_refused_at_once() {
    let warm = warm(2);
    let packets = texts(&[
        "4511-[\"message\"]",
        "45100-[\"message\"]",
        "45999999999-[\"message\"]",
        "4518446744073709551617-[\"message\"]",
        "4611-1[]",
    ]);
    assert_each_closes_its_client(&warm.0, &packets);
    assert_unharmed(warm, 2 * MIB);
}

/// Before its namespace is joined, a binary packet is refused with its text: no attachment is kept.
#[test]
fn cve_2026_33151_no_attachment_is_kept_before_connect() {
    let warm = warm(1);
    let attachment = frame(0x80 | BINARY, &vec![0; MESSAGE_BYTES_MAX - 1]);
    for header in ["4510-[\"message\"]", "4510-/nowhere,[\"message\"]", "451-[\"message\"]"] {
        let mut socket = WebSocket::open(warm.0.address());
        socket.send_text(header);
        for _ in 0..9 {
            if !socket.wire.try_send(&attachment) {
                break;
            }
        }
        assert!(socket.closed().is_none_or(|close| close.status() != Some(1009)));
    }
    assert_unharmed(warm, 4 * MIB);
}

/// After it their time is bounded, too: `app/tests/slow.rs`, `attachments_have_their_time`.
#[test]
fn cve_2026_33151_attachments_are_bounded_in_bytes() {
    let warm = warm(1);
    let attachment = frame(0x80 | BINARY, &vec![0; MESSAGE_BYTES_MAX - 1]);
    let mut clients: Vec<Client> = (0..4)
        .map(|_| {
            let mut client = Client::open(warm.0.address());
            client.socket.send_text("4510-[\"message\"]");
            for _ in 0..9 {
                client.socket.wire.send(&attachment);
            }
            client
        })
        .collect();
    let before = warm.2;
    let during = warm.0.rss_bytes();
    assert!(during <= before + 4 * 12 * MIB, "memory grew from {before} to {during} bytes");
    for client in &mut clients {
        client.socket.send_text("2[\"message\"]");
        assert!(client.socket.closed().is_some(), "text where an attachment is due");
    }
    // The allocator keeps some of what was freed.
    assert_unharmed(warm, 32 * MIB);
}

#[test]
fn cve_2016_10518_a_pings_payload_comes_back_exactly() {
    let warm = warm(1);
    let mut random = Random::new(1);
    let mut client = Client::open(warm.0.address());
    for len in (0..=125).chain([0, 1, 125, 0]) {
        let payload: Vec<u8> = (0..len).map(|_| random.byte()).collect();
        client.socket.send(PING, &payload);
        let pong = client.socket.receive().unwrap();
        assert_eq!(pong, Frame { first: 0x80 | PONG, payload });
    }
    client.assert_alive();
    // One that says it has more than it may, or than it sends, is told nothing.
    client.socket.wire.send(frame(0x80 | PING, &[7; 126]));
    assert_eq!(client.socket.closed().expect("a close frame").status(), Some(1002));
    let mut client = Client::open(warm.0.address());
    client.socket.wire.send(&frame(0x80 | PING, &[7; 125])[..20]);
    client.socket.wire.end();
    assert_eq!(client.socket.closed(), None);
    assert_unharmed(warm, 2 * MIB);
}

#[test]
fn cve_2016_10542_an_announced_length_over_the_cap_is_1009() {
    let warm = warm(1);
    for (first, len, status) in [
        (0x82, 1_000_001_u64, 1009),
        (0x81, 1 << 32, 1009),
        (0x82, 1 << 40, 1009),
        (0x01, (1 << 63) - 1, 1009),
        (0x82, 1 << 63, 1002),
        (0x82, u64::MAX, 1002),
    ] {
        for _ in 0..20 {
            let mut client = Client::open(warm.0.address());
            let mut head = vec![first, 0xff];
            head.extend_from_slice(&len.to_be_bytes());
            head.extend_from_slice(b"mask");
            client.socket.wire.send(head);
            let close = client.socket.closed().expect("a close frame before any payload");
            assert_eq!(close.status(), Some(status), "{len}");
        }
    }
    assert_unharmed(warm, 2 * MIB);
}

#[test]
fn cve_2021_32640_a_long_subprotocol_header_costs_nothing() {
    let warm = warm(1);
    let target = "/socket.io/?EIO=4&transport=websocket";
    for count in [15 * 1024, 32 * 1024, 256 * 1024] {
        for (spaces, status) in [
            (" ".repeat(count), 101),
            ("a, ".repeat(count / 3), 101),
            ("a".to_owned() + &" ".repeat(count), 400),
        ] {
            let request = get(target, &format!("{UPGRADE}Sec-WebSocket-Protocol: {spaces}b\r\n"));
            let response = Wire::open(warm.0.address()).ask(request);
            let expected = if count < 16 * 1024 { status } else { 431 };
            assert_eq!(response.status, expected, "{count}: {response:?}");
            // As in Node the first that is offered is taken, and nothing else.
            let taken = response.header("sec-websocket-protocol");
            assert!(matches!(taken, None | Some("a" | "b")), "{taken:?}");
        }
    }
    assert_unharmed(warm, 2 * MIB);
}

#[test]
fn cve_2024_37890_two_thousand_headers_are_431() {
    let warm = warm(1);
    for upgrade in ["", UPGRADE] {
        for count in [101, 300, 2_000, 20_000] {
            let mut wire = Wire::open(warm.0.address());
            let response =
                wire.ask(get(HANDSHAKE, &format!("{upgrade}{}", "a:b\r\n".repeat(count))));
            assert_eq!(response.status, 431, "{count}: {response:?}");
            assert_eq!(wire.response(), None);
        }
    }
    let response = Wire::open(warm.0.address()).ask(get(HANDSHAKE, &"a:b\r\n".repeat(90)));
    assert_eq!(response.status, 200);
    assert_unharmed(warm, 2 * MIB);
}

#[test]
fn cve_2026_48779_a_million_fragments_of_one_byte_hold_no_more_than_a_message() {
    let warm = warm(1);
    let mut client = Client::open(warm.0.address());
    client.socket.wire.send(frame(TEXT, b"4"));
    let fragments: Vec<u8> = (0..10_000).flat_map(|_| frame(CONTINUATION, b"2")).collect();
    for sent in 1..=101 {
        client.socket.wire.try_send(&fragments);
        let rss = warm.0.rss_bytes();
        assert!(rss <= warm.2 + 6 * MIB, "{} bytes after {sent}0,000 fragments", rss - warm.2);
    }
    assert_eq!(client.socket.closed().expect("a close frame").status(), Some(1009));
    // Fragments with nothing in them count for nothing, and never end a message.
    let mut client = Client::open(warm.0.address());
    client.socket.wire.send(frame(TEXT, b"42[\"message"));
    let fragments: Vec<u8> = (0..10_000).flat_map(|_| frame(CONTINUATION, b"")).collect();
    for _ in 0..20 {
        client.socket.wire.send(&fragments);
    }
    client.socket.wire.send(frame(0x80 | CONTINUATION, b"\",1]"));
    assert_eq!(client.packet().unwrap(), "42[\"message-back\",1]");
    assert_unharmed(warm, 6 * MIB);
}

#[test]
fn cve_2026_48779_segments_of_one_byte_hold_no_more_than_a_message() {
    let warm = warm(1);
    let mut client = Client::open(warm.0.address());
    let text = "x".repeat(150_000);
    let message = frame(0x80 | TEXT, format!("42[\"message\",\"{text}\"]").as_bytes());
    for (sent, byte) in message.chunks(1).enumerate() {
        client.socket.wire.send(byte);
        if sent % 20_000 == 0 {
            let rss = warm.0.rss_bytes();
            assert!(rss <= warm.2 + 4 * MIB, "{} bytes more after {sent}", rss - warm.2);
        }
    }
    assert_eq!(client.packet().unwrap(), format!("42[\"message-back\",\"{text}\"]"));
    // The same for a polling body.
    let mut session = Poller::open(warm.0.address());
    let request = session.post(&format!("42[\"message\",\"{}\"]", &text[..50_000]));
    for byte in request.as_bytes().chunks(1) {
        session.posts.send(byte);
    }
    assert_eq!(session.posts.response().unwrap().body, "ok");
    assert_eq!(session.packet(), format!("42[\"message-back\",\"{}\"]", &text[..50_000]));
    assert_unharmed(warm, 6 * MIB);
}

#[test]
fn cve_2023_43669_an_endless_head_is_refused_at_the_cap() {
    let warm = warm(1);
    for (start, status) in [
        ("GET /socket.io/?", 414),
        ("", 414),
        ("GET /socket.io/ HTTP/1.1\r\nHost: x\r\nX: ", 431),
        ("GET /socket.io/ HTTP/1.1\r\nHost: x\r\n", 431),
    ] {
        let mut wire = Wire::open(warm.0.address());
        wire.send(start);
        let mut sent = start.len();
        while sent < 17 * 1024 && wire.try_send("x") {
            sent += 1;
        }
        assert_eq!(wire.response().expect("an answer").status, status, "{start:?}");
        assert_eq!(wire.response(), None);
    }
    // Many of them at once, each just below the cap.
    let wires: Vec<Wire> = (0..100)
        .map(|_| {
            let mut wire = Wire::open(warm.0.address());
            wire.send(get("/", &format!("X: {}", "x".repeat(15_000))).trim_end());
            wire
        })
        .collect();
    thread::sleep(Duration::from_millis(50));
    drop(wires);
    assert_unharmed(warm, 8 * MIB);
}
