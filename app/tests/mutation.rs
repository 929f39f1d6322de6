//! A hundred thousand requests and frames that are nearly right, at a server on which healthy clients go
//! on chatting: every acknowledgement comes, in order, and the process keeps its size.
//!
//! The inputs follow from the seed; what fails can be had again.

#![allow(clippy::unwrap_used)]

mod harness;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use harness::*;

const SEED: u64 = 0x5eed_0001;
/// Inputs of each kind that the server has read.
const HEADS: usize = 15_000;
const BODIES: usize = 15_000;
const FRAMES: usize = 15_000;
const PACKETS: usize = 56_000;
const HEALTHY: usize = 8;
/// How long a session lives that nobody cares for.
const PATIENCE: Duration = Duration::from_millis(8_500);
const MIB: usize = 1024 * 1024;

/// Pieces that parsers trip over.
const SPICES: [&[u8]; 28] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\x1e",
    b"\xff",
    b"\xc3\x28",
    b" ",
    b"\t",
    b":",
    b",",
    b"-",
    b"[",
    b"]",
    b"{",
    b"}",
    b"\"",
    b"\\",
    b"\\u0000",
    b"null",
    b"1e999",
    b"-1",
    b"18446744073709551616",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"/socket.io/",
    b"_placeholder",
    b"\xf0\x9f\x98\x80",
];

/// Engine.IO packets that a client may send, most with a Socket.IO packet inside.
const VALID_PACKETS: [&str; 22] = [
    "40",
    "40{\"token\":\"abc\"}",
    "40/custom,{\"token\":\"abc\"}",
    "40/denied,",
    "40/late,",
    "41/custom,",
    "42[\"message\",1,\"two\",{\"three\":[4,null,true]}]",
    "42[\"message\",\"\\ud83d\\ude00 \u{1f600} \\n\"]",
    "4217[\"message-with-ack\",1.5e3,\"x\"]",
    "42/custom,18[\"message-with-ack\",{}]",
    "4219[\"join\",\"a-room\"]",
    "4220[\"leave\",\"a-room\"]",
    "4221[\"rooms\"]",
    "42[\"say\",\"a-room\",{\"text\":\"hello\"}]",
    "4222[\"whoami\"]",
    "4223[\"slow\",1,\"x\"]",
    "42[\"ask\",\"who?\"]",
    "430[\"me\"]",
    "43/custom,1[]",
    "451-[\"message\",{\"_placeholder\":true,\"num\":0}]",
    "452-24[\"message-with-ack\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]",
    "3",
];

/// What a hostile client knows of a server.
struct Mutator {
    random: Random,
    address: SocketAddr,
    /// A session's id that exists, for requests that name one.
    sid: String,
}

impl Mutator {
    /// Changes one to four places.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.random.below(4) {
            let at = self.random.below(bytes.len() + 1);
            let to = (at + self.random.below(9)).min(bytes.len());
            match self.random.below(8) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.random.below(8),
                1 if at < bytes.len() => bytes[at] = self.random.byte(),
                2 => drop(bytes.drain(at..to)),
                3 => bytes.insert(at, self.random.byte()),
                4 => bytes.truncate(at),
                5 => {
                    let again = bytes[at..to].repeat(1 + self.random.below(3));
                    bytes.splice(at..at, again);
                }
                6 => {
                    let other = self.random.below(bytes.len() + 1);
                    let moved: Vec<u8> = bytes.drain(at.min(other)..at.max(other)).collect();
                    let to = self.random.below(bytes.len() + 1);
                    bytes.splice(to..to, moved);
                }
                _ => {
                    let spice = *self.random.pick(&SPICES);
                    bytes.splice(at..at, spice.iter().copied());
                }
            }
        }
    }

    fn packet(&mut self) -> Vec<u8> {
        let mut packet = self.random.pick(&VALID_PACKETS).as_bytes().to_vec();
        self.mutate(&mut packet);
        packet
    }

    /// A valid request of a kind.
    fn request(&mut self) -> Vec<u8> {
        let sid = &self.sid;
        let websocket = "/socket.io/?EIO=4&transport=websocket";
        let chunked =
            "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nX: y\r\n\r\n";
        match self.random.below(9) {
            0 => get(HANDSHAKE, "Accept: */*\r\nUser-Agent: node-XMLHttpRequest\r\n"),
            1 => get(&format!("{HANDSHAKE}&sid={sid}&t=abc"), "Origin: http://a.example\r\n"),
            2 => get(websocket, UPGRADE),
            3 => get(&format!("{websocket}&sid={sid}"), UPGRADE),
            4 => format!(
                "POST {HANDSHAKE}&sid={sid} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n42[1]"
            ),
            5 => format!("POST {HANDSHAKE}&sid={sid} HTTP/1.1\r\nHost: x\r\n{chunked}"),
            6 => format!("POST /elsewhere HTTP/1.1\r\nHost: x\r\n{chunked}"),
            7 => get(
                "/socket.io/socket.io.js",
                "If-None-Match: \"4.8.3\"\r\nAccept-Encoding: gzip\r\n",
            ),
            _ => get(HANDSHAKE, "").replace("GET ", "OPTIONS "),
        }
        .into_bytes()
    }

    /// Requests with mutated heads, one connection for each.
    fn head(&mut self) -> usize {
        let mut request = self.request();
        self.mutate(&mut request);
        self.send_and_read_to_the_end(&request);
        1
    }

    fn send_and_read_to_the_end(&self, bytes: &[u8]) {
        let mut wire = Wire::open(self.address);
        wire.send(bytes);
        wire.end();
        wire.read_to_end();
    }

    /// Mutated bodies on one connection, until an answer closes it.
    fn bodies(&mut self) -> usize {
        let mut wire = Wire::open(self.address);
        let mut count = 0;
        let mut sid = wire.ask(get(HANDSHAKE, "")).sid().to_owned();
        while count < 20 {
            let mut body = Vec::new();
            for _ in 0..=self.random.below(3) {
                body.extend_from_slice(self.random.pick(&VALID_PACKETS).as_bytes());
                body.push(0x1e);
            }
            body.pop();
            self.mutate(&mut body);
            let head = format!(
                "POST {HANDSHAKE}&sid={sid} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let response = wire.ask([head.as_bytes(), &body].concat());
            match response.status {
                // The one before has closed the session.
                400 => match wire.response_or_none(get(HANDSHAKE, "")) {
                    Some(response) => response.sid().clone_into(&mut sid),
                    None => return count,
                },
                _ => count += 1,
            }
        }
        count
    }

    /// Mutated frames behind a valid upgrade, in the same write.
    fn frames(&mut self) -> usize {
        let mut bytes = get("/socket.io/?EIO=4&transport=websocket", UPGRADE).into_bytes();
        bytes.extend(frame(0x80 | TEXT, b"40"));
        let mut frames = Vec::new();
        for _ in 0..=self.random.below(3) {
            let opcode = *self.random.pick(&[CONTINUATION, TEXT, TEXT, BINARY, CLOSE, PING, PONG]);
            let fin = *self.random.pick(&[0x80, 0x80, 0]);
            let payload = self.random.pick(&VALID_PACKETS).as_bytes();
            frames.extend(frame(fin | opcode, payload));
        }
        self.mutate(&mut frames);
        bytes.extend(frames);
        self.send_and_read_to_the_end(&bytes);
        1
    }

    /// Mutated packets in good frames, on one WebSocket until one of them closes it.
    fn packets(&mut self) -> usize {
        let mut socket = WebSocket::open(self.address);
        socket.send_text("40");
        let mut count = 0;
        while count < 64 {
            let packet = self.packet();
            let opcode = if std::str::from_utf8(&packet).is_ok() { TEXT } else { BINARY };
            socket.send(opcode, &packet);
            if self.random.below(6) == 0 {
                socket.send(BINARY, &packet);
            }
            count += 1;
            if count % 4 == 0 || self.random.below(3) == 0 {
                // The pong says that all before it was read.
                socket.send(PING, b"are you there?");
                loop {
                    match socket.receive() {
                        Some(frame) if frame.opcode() == PONG => break,
                        Some(_) => {}
                        None => return count,
                    }
                }
            }
        }
        count
    }
}

/// One healthy client: it counts, and everything it hears of itself must be in order.
fn chat(address: SocketAddr, client: usize, is_over: &AtomicBool) -> usize {
    let mut number = 0;
    if client % 4 == 3 {
        let mut poller = Poller::open(address);
        while !is_over.load(Ordering::Relaxed) {
            number += 1;
            let answer = poller.ask(&format!("[\"message-with-ack\",{client},{number}]"));
            assert_eq!(answer, format!("[{client},{number}]"));
            thread::sleep(Duration::from_millis(5));
        }
        return number;
    }
    let mut socket = Client::open(address);
    while !is_over.load(Ordering::Relaxed) {
        number += 1;
        socket.emit(&format!("[\"message\",{client},{number}]"));
        let id = socket.emit_for_ack(&format!("[\"message-with-ack\",{client},{number}]"));
        let echo = socket.packet().expect("a healthy client is never cut");
        assert_eq!(echo, format!("42[\"message-back\",{client},{number}]"));
        let ack = socket.packet().expect("a healthy client is never cut");
        assert_eq!(ack_of(&ack), Some((id, &*format!("[{client},{number}]"))));
        thread::sleep(Duration::from_millis(5));
    }
    number
}

/// Keeps two threads busy until the server has read `count` inputs.
fn attack(
    server: &Server,
    seed: u64,
    count: usize,
    round: impl Fn(&mut Mutator) -> usize + Sync,
) -> usize {
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..2 {
            let (done, round) = (&done, &round);
            scope.spawn(move || {
                let address = server.address();
                let mut known = Poller::open(address);
                let random = Random::new(seed + thread);
                let mut mutator = Mutator { random, address, sid: known.sid.clone() };
                let mut rounds = 0;
                while done.fetch_add(round(&mut mutator), Ordering::Relaxed) < count {
                    rounds += 1;
                    // Its session dies of what is sent to it, or of its silence.
                    if rounds % 500 == 0 {
                        known = Poller::open(address);
                        mutator.sid.clone_from(&known.sid);
                    }
                }
            });
        }
    });
    done.into_inner()
}

#[test]
fn a_hundred_thousand_mutations_disturb_nobody() {
    eprintln!("seed {SEED:#x}");
    // Sessions that mutated handshakes open are soon given up, but not those of healthy clients on a machine
    // that is busy.
    let patience = [
        ("PING_INTERVAL", "1000"),
        ("PING_TIMEOUT", "6000"),
        ("CONNECT_TIMEOUT", "2000"),
        ("HEADER_TIMEOUT", "3000"),
        ("BODY_TIMEOUT", "3000"),
        ("KEEP_ALIVE_TIMEOUT", "7000"),
    ];
    let server = Server::with(2, &patience);
    let descriptors = server.descriptors();
    server.warm_up();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let healthy: Vec<_> = (0..HEALTHY)
            .map(|client| {
                let (address, is_over) = (server.address(), &is_over);
                scope.spawn(move || chat(address, client, is_over))
            })
            .collect();
        let attacked = thread::Builder::new().spawn_scoped(scope, || {
            attack(&server, SEED, HEADS / 5, Mutator::head);
            attack(&server, SEED + 10, BODIES / 5, Mutator::bodies);
            attack(&server, SEED + 20, FRAMES / 5, Mutator::frames);
            attack(&server, SEED + 30, PACKETS / 5, Mutator::packets);
            thread::sleep(PATIENCE);
            let warm = server.rss_bytes();
            let mut done = 0;
            done += attack(&server, SEED + 40, HEADS, Mutator::head);
            done += attack(&server, SEED + 50, BODIES, Mutator::bodies);
            done += attack(&server, SEED + 60, FRAMES, Mutator::frames);
            done += attack(&server, SEED + 70, PACKETS, Mutator::packets);
            thread::sleep(PATIENCE);
            (done, warm)
        });
        let attacked = attacked.unwrap().join();
        is_over.store(true, Ordering::Relaxed);
        let (done, warm) = attacked.unwrap();
        assert!(done >= 100_000, "{done}");
        for client in healthy {
            assert!(client.join().expect("a healthy client") > 100);
        }
        let end = server.rss_bytes();
        assert!(end <= warm + 8 * MIB, "memory grew from {warm} to {end} bytes");
    });
    server.wait_for_descriptors(descriptors);
    Client::open(server.address()).assert_alive();
    server.stop();
}
