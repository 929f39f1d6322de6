//! Clients that are slow to read or slow to write: they harm nobody, and they are cut by policy.

#![allow(clippy::unwrap_used)]

mod harness;

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use harness::*;
use socket2::{Domain, Socket, Type};
use yamabiko::Config;

const MIB: usize = 1024 * 1024;

/// A connection whose kernel takes next to nothing that is not read.
fn narrow(address: SocketAddr) -> Wire {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    Wire::from(socket.into())
}

/// Reads what is said in its room until the last word; the numbers must be all there, in order.
fn listen_to_the_end(mut member: Client) -> Client {
    let mut expected = 0;
    loop {
        let packet = member.packet().expect("a member that reads is never cut");
        let Some(said) = packet_of(&packet) else { continue };
        let said = said.strip_prefix("[\"said\",\"").expect("an event of the room");
        if said.starts_with("end") {
            assert!(expected > 0);
            return member;
        }
        let number: usize = said[..said.find(' ').unwrap()].parse().unwrap();
        assert_eq!(number, expected, "said in order, each once");
        expected += 1;
    }
}

#[test]
fn a_slow_reader_in_a_room_of_200_harms_nobody_and_is_cut() {
    let limits = [("MAX_HTTP_BUFFER_SIZE", "100000"), ("OUTBOX_BYTES_MAX", "1000000")];
    let server = Server::with(2, &limits);
    let mut speaker = Client::open(server.address());
    let mut slow = Client::on(narrow(server.address()));
    slow.join("hall");
    let members: Vec<Client> = (0..199)
        .map(|_| {
            let mut member = Client::open(server.address());
            member.join("hall");
            member
        })
        .collect();
    let before = server.rss_bytes();
    let everybody = server.descriptors();
    let members = thread::scope(|scope| {
        let members: Vec<_> =
            members.into_iter().map(|member| scope.spawn(|| listen_to_the_end(member))).collect();
        let text = "x".repeat(40_000);
        let mut is_cut = false;
        for number in 0..400 {
            // The acknowledgement paces the speaker; nobody else is waited for.
            speaker.emit(&format!("[\"say\",\"hall\",\"{number} {text}\"]"));
            speaker.assert_alive();
            is_cut |= server.descriptors() < everybody;
            if is_cut && number > 20 {
                break;
            }
        }
        speaker.emit("[\"say\",\"hall\",\"end\"]");
        speaker.assert_alive();
        assert!(is_cut || soon(|| server.descriptors() < everybody), "the slow reader is cut");
        members.into_iter().map(|member| member.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(server.descriptors(), everybody - 1, "nobody else is cut");
    let after = server.rss_bytes();
    assert!(after <= before + 24 * MIB, "memory grew from {before} to {after} bytes");
    // What it finds when it reads at last is not the whole talk.
    while let Some(frame) = slow.socket.receive() {
        assert!(!frame.payload.starts_with(b"42[\"said\",\"end"), "it was not cut");
    }
    drop(members);
    server.stop();
}

/// The same for a client that polls, but never again.
#[test]
fn a_poller_that_does_not_poll_is_cut() {
    let limits = [("MAX_HTTP_BUFFER_SIZE", "100000"), ("OUTBOX_BYTES_MAX", "200000")];
    let server = Server::with(1, &limits);
    let mut speaker = Client::open(server.address());
    let mut slow = Poller::open(server.address());
    slow.join("hall");
    let text = "x".repeat(40_000);
    for _ in 0..10 {
        speaker.emit(&format!("[\"say\",\"hall\",\"{text}\"]"));
        speaker.assert_alive();
    }
    let response = slow.polls.ask(slow.poll());
    assert_eq!(response.status, 400, "its session is gone: {:?}", response.head);
    server.stop();
}

#[test]
fn a_thousand_half_open_heads_disturb_nobody() {
    let server = Server::start(2);
    let mut good = Client::open(server.address());
    good.assert_alive();
    let descriptors = server.descriptors();
    let before = server.rss_bytes();
    let mut tricklers: Vec<Wire> = (0..1_000)
        .map(|i| {
            let mut wire = Wire::open(server.address());
            wire.send(get(HANDSHAKE, &format!("X: {i}")).trim_end());
            wire
        })
        .collect();
    for round in 0..10 {
        for wire in &mut tricklers {
            wire.send("x");
        }
        for i in 0..50 {
            let answer = good.ask(&format!("[\"message-with-ack\",{round},{i}]"));
            assert_eq!(answer, format!("[{round},{i}]"));
        }
        Client::open(server.address()).assert_alive();
    }
    let after = server.rss_bytes();
    assert!(after <= before + 16 * MIB, "memory grew from {before} to {after} bytes");
    // Patience pays for those that come to an end.
    for wire in tricklers.iter_mut().take(10) {
        assert_eq!(wire.ask("\r\n\r\n").status, 200);
    }
    drop(tricklers);
    server.wait_for_descriptors(descriptors);
    good.assert_alive();
    server.stop();
}

fn impatient() -> Inside {
    let mut config = Config::default();
    config.settings.shards = Some(1);
    config.settings.limits.header_timeout = Duration::from_millis(400);
    config.settings.limits.body_timeout = Duration::from_millis(400);
    config.settings.limits.keep_alive_timeout = Duration::from_millis(400);
    Inside::start(config)
}

/// However regularly its bytes come, a head that is not whole in time is refused.
#[test]
fn a_head_has_its_time() {
    let server = impatient();
    for before in ["", &get("/nothing-here", "")] {
        let mut wire = Wire::open(server.address());
        wire.send(before);
        if !before.is_empty() {
            assert_eq!(wire.response().unwrap().status, 404);
        }
        wire.send("GET /socket.io/ HTTP/1.1\r\nHost: x\r\nX: ");
        let mut pieces = 0;
        while pieces < 200 && wire.is_silent_for(Duration::from_millis(50)) && wire.try_send("x") {
            pieces += 1;
        }
        assert!(pieces < 200, "it may trickle on for ever");
    }
    let mut wire = Wire::open(server.address());
    wire.send("GET /socket.io/ HTTP/1.1\r\nHost: x\r\nX: ");
    assert_eq!(wire.response().expect("an answer").status, 408);
    assert_eq!(wire.response(), None);
    assert_eq!(server.count(|metrics| metrics.request_timeouts.value()), 3);
}

#[test]
fn a_body_has_its_time_and_a_session_dies_with_it() {
    let server = impatient();
    let mut wire = Wire::open(server.address());
    wire.send("POST /elsewhere HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello");
    assert_eq!(wire.response().expect("an answer").status, 408);
    assert_eq!(wire.response(), None);

    let sid = Wire::open(server.address()).ask(get(HANDSHAKE, "")).sid().to_owned();
    let target = format!("{HANDSHAKE}&sid={sid}");
    let mut wire = Wire::open(server.address());
    wire.send(format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n4"));
    wire.read_to_end();
    let response = Wire::open(server.address()).ask(get(&target, ""));
    assert_eq!(response.body, "{\"code\":1,\"message\":\"Session ID unknown\"}");
}

/// However lively the client is otherwise: pings do not pass for attachments.
#[test]
fn attachments_have_their_time() {
    let server = impatient();
    let mut client = Client::open(server.address());
    client.socket.send_text("452-[\"message\"]");
    client.socket.send(BINARY, b"one of two");
    let mut pings = 0;
    while pings < 100 && client.socket.wire.is_silent_for(Duration::from_millis(50)) {
        client.socket.send_text("3");
        pings += 1;
    }
    assert!(pings < 100, "it may wait for ever");
    // With a close frame, unless our last pong met a closed connection.
    assert_eq!(client.packet(), None);
    assert_eq!(server.count(|metrics| metrics.request_timeouts.value()), 1);

    // Those that come in time leave no deadline behind.
    let mut client = Client::open(server.address());
    client.socket.send_text("451-[\"message\",{\"_placeholder\":true,\"num\":0}]");
    client.socket.send(BINARY, b"x");
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(client.ask("[\"slow\",0]"), "[0]");
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let server = impatient();
    let mut silent = Wire::open(server.address());
    let mut idle = Wire::open(server.address());
    assert_eq!(idle.ask(get("/nothing-here", "")).status, 404);
    assert_eq!(silent.read_to_end(), b"");
    assert_eq!(idle.read_to_end(), b"");
}
