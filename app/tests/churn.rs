//! Tens of thousands of clients that come and go in every way: what they leave behind is nothing.

#![allow(clippy::unwrap_used)]

mod harness;

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use harness::*;
use yamabiko::Config;

/// Clients of one wave, in each of the threads.
const WAVE: usize = 750;
const THREADS: usize = 2;
/// Clients of one thread that are there at the same time.
const CROWD: usize = 50;
/// Waves until everything that is kept for good has been allocated, and all of them.
/// Times that memory may have grown with a busier machine.
const ROUNDS_MAX: usize = 3;
const WAVES: usize = 12;

/// Polling sessions that were left without a word are gone soon, and what is remembered of deadlines.
const IMPATIENT: [(&str, &str); 5] = [
    ("PING_INTERVAL", "1500"),
    ("PING_TIMEOUT", "1500"),
    ("CONNECT_TIMEOUT", "3000"),
    ("HEADER_TIMEOUT", "3000"),
    ("KEEP_ALIVE_TIMEOUT", "3000"),
];

/// A client that is there.
enum Guest {
    Wire(Wire),
    WebSocket(Client),
    Polling(Poller),
}

/// The next client: each kind has its way to come, and to be busy when it goes.
fn come(address: SocketAddr, i: usize) -> Guest {
    match i % 10 {
        0 => Guest::Wire(Wire::open(address)),
        1 => {
            let mut wire = Wire::open(address);
            wire.send("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: loc");
            Guest::Wire(wire)
        }
        2 => {
            let mut wire = Wire::open(address);
            assert_eq!(wire.ask(get("/nothing-here", "")).status, 404);
            Guest::Wire(wire)
        }
        3 => {
            let mut wire = Wire::open(address);
            wire.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nhello");
            Guest::Wire(wire)
        }
        4..=7 => {
            let mut client = Client::open(address);
            client.join(&format!("room-{}", i % 7));
            client.join(&format!("alone-{i}"));
            client.emit_for_ack("[\"slow\",20,\"x\"]");
            client.emit("[\"ask\",\"never answered\"]");
            client.emit(&format!("[\"say\",\"room-{}\",\"hello\"]", i % 7));
            if i.is_multiple_of(4) {
                // Half a message.
                client.socket.wire.send(&frame(0x81, b"42[\"message\",1]")[..12]);
            }
            Guest::WebSocket(client)
        }
        _ => {
            let mut poller = Poller::open(address);
            poller.join(&format!("room-{}", i % 7));
            poller.emit("[\"slow\",20,\"x\"]");
            if i % 20 == 9 {
                let poll = poller.poll();
                poller.polls.send(poll);
            }
            Guest::Polling(poller)
        }
    }
}

/// Some close, some say goodbye first, some break off.
fn go(guest: Guest, i: usize) {
    match (guest, i / 10 % 3) {
        (Guest::Wire(wire), 0) => wire.reset(),
        (Guest::WebSocket(client), 0) => client.socket.wire.reset(),
        (Guest::Polling(poller), 0) => {
            poller.polls.reset();
            poller.posts.reset();
        }
        (Guest::WebSocket(mut client), 1) => client.send("41"),
        (Guest::WebSocket(mut client), _) => client.socket.send(CLOSE, &[]),
        (Guest::Polling(mut poller), way) => {
            let farewell = poller.post(if way == 1 { "1" } else { "41" });
            poller.posts.ask(farewell);
        }
        (Guest::Wire(_), _) => {}
    }
}

fn wave(address: SocketAddr, size: usize) {
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for first in (0..size).step_by(CROWD) {
                    let crowd: Vec<Guest> =
                        (first..first + CROWD).map(|i| come(address, i)).collect();
                    for (i, guest) in crowd.into_iter().enumerate() {
                        go(guest, first + i);
                    }
                }
            });
        }
    });
}

#[test]
fn memory_and_descriptors_return_after_tens_of_thousands_of_clients() {
    let server = Server::with(2, &IMPATIENT);
    let descriptors = server.descriptors();
    server.warm_up();
    let mut history = Vec::new();
    let mut waves = || {
        for _ in 0..WAVES {
            wave(server.address(), WAVE);
            history.push(server.rss_bytes());
        }
        server.wait_for_descriptors(descriptors);
        // Sessions that nobody ended are over now, and the handlers of all of them.
        thread::sleep(Duration::from_millis(5_500));
        server.rss_bytes()
    };
    let mut before = waves();
    // How many clients are there at a time depends on how busy the machine is, so a peak may be higher than
    // the last. A leak grows each time.
    let has_settled = (0..ROUNDS_MAX).any(|_| {
        let after = waves();
        let allowed = before + before / 20 + 2 * 1024 * 1024;
        before = after;
        after <= allowed
    });
    println!("memory after each wave: {history:?}");
    assert_eq!(server.descriptors(), descriptors);
    assert!(has_settled, "memory grows: {history:?}");
    Client::open(server.address()).assert_alive();
    server.stop();
}

/// Memory is for what a client is, not for how much it has said.
#[test]
fn a_talkative_client_costs_no_memory_per_message() {
    let server = Server::start(1);
    server.warm_up();
    let mut client = Client::open(server.address());
    let messages: Vec<u8> = (0..1_000).flat_map(|_| frame(0x80 | TEXT, b"42[\"x\"]")).collect();
    let mut talk = |thousands: usize| {
        for _ in 0..thousands {
            client.socket.wire.send(&messages);
        }
        client.assert_alive();
        server.rss_bytes()
    };
    let warm = talk(20);
    let end = talk(400);
    assert!(
        end <= warm + 3 * 1024 * 1024,
        "{warm} bytes after 20,000 messages, {end} after 420,000"
    );
    server.stop();
}

#[test]
fn nothing_is_counted_when_everybody_has_left() {
    let mut config = Config::default();
    config.settings.shards = Some(2);
    config.settings.ping_interval = Duration::from_millis(1_500);
    config.settings.ping_timeout = Duration::from_millis(1_500);
    let server = Inside::start(config);
    wave(server.address(), 500);
    let gauges = || {
        [
            ("connections", server.count(|shard| shard.connections.value())),
            ("sessions", server.count(|shard| shard.sessions.value())),
            ("sockets", server.count(|shard| shard.sockets.value())),
            ("rooms", server.count(|shard| shard.rooms.value())),
            ("tasks", server.count(|shard| shard.tasks.value())),
        ]
    };
    let is_empty = soon(|| gauges().iter().all(|(_, value)| *value == 0));
    assert!(is_empty, "{:?}", gauges());
    assert!(server.count(|shard| shard.sessions_opened.value()) >= 600);
}
