//! Both engines over real sockets, on one thread and on two, and the ring with each of its levers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

const EPOLL: &str = "--engine epoll";
const URING: &str = "--engine uring";
const REGISTERED: &str = "--engine uring --registered-files";
const LEVERS: [&str; 4] = [
    REGISTERED,
    "--engine uring --zero-copy-above 0",
    "--engine uring --incremental-buffers",
    "--engine uring --spin 100",
];

/// A running floor, which ends with the test.
struct Floor {
    process: Child,
    port: u16,
    cores: usize,
}

impl Floor {
    fn start(flags: &str, cores: usize) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        let process = Command::new(env!("CARGO_BIN_EXE_floor"))
            .args(flags.split(' '))
            .env("PORT", port.to_string())
            .env("CORES", cores.to_string())
            .spawn()
            .expect("the binary is built");
        let floor = Self { process, port, cores };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "{flags} does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        floor
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.set_nodelay(true).expect("what is sent in pieces does not wait");
        stream
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn on_all(test: impl Fn(&Floor)) {
    for engine in [EPOLL, URING] {
        for cores in [1, 2] {
            test(&Floor::start(engine, cores));
        }
    }
    for flags in LEVERS {
        test(&Floor::start(flags, 1));
    }
}

/// Reads until the bytes end so.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut part = [0; 4_096];
    while !bytes.ends_with(end) {
        let read = stream.read(&mut part).expect("an answer in time");
        assert_ne!(read, 0, "closed after {}", bytes.escape_ascii());
        bytes.extend_from_slice(&part[..read]);
    }
    bytes
}

fn websocket(floor: &Floor) -> TcpStream {
    let mut stream = floor.connect();
    let upgrade = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).expect("sent");
    let opened = read_until(&mut stream, br#""maxPayload":1000000}"#);
    assert!(opened.windows(28).any(|bytes| bytes == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    stream
}

/// A frame of 126 to 65,535 bytes, masked by zeros where it is a client's.
fn frame(opcode: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("short enough").to_be_bytes();
    let mut bytes = vec![0x80 | opcode, if masked { 0x80 } else { 0 } | 126];
    bytes.extend(length);
    bytes.extend(if masked { &[0; 4][..] } else { &[] });
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn more_than_the_sockets_hold_comes_back_in_order_and_a_close_closes() {
    on_all(|floor| {
        let mut stream = websocket(floor);
        let mut asking = stream.try_clone().expect("a second handle");
        let text = "x".repeat(20_000);
        let count = 1_000;
        let mut expected = Vec::new();
        for number in 0..count {
            let answer = format!("43{number}[\"{text}\"]");
            expected.extend(frame(1, false, answer.as_bytes()));
        }
        expected.extend([0x88, 0]);
        let asker = thread::spawn(move || {
            for number in 0..count {
                let event = format!("42{number}[\"echo\",\"{text}\"]");
                asking.write_all(&frame(1, true, event.as_bytes())).expect("sent");
            }
            asking.write_all(&[0x88, 0x80, 0, 0, 0, 0]).expect("sent");
        });
        // Reading late fills the sockets of both directions.
        thread::sleep(Duration::from_millis(200));
        let mut answers = Vec::new();
        stream.read_to_end(&mut answers).expect("answers, then the end");
        asker.join().expect("all was sent");
        assert!(answers == expected, "{} of {} bytes", answers.len(), expected.len());
    });
}

#[test]
fn polling_works_over_any_two_connections() {
    on_all(|floor| {
        let path = "/socket.io/?EIO=4&transport=polling";
        for _ in 0..8 {
            let (mut get, mut post) = (floor.connect(), floor.connect());
            write!(get, "GET {path} HTTP/1.1\r\n\r\n").expect("sent");
            let opened = read_until(&mut get, br#""maxPayload":1000000}"#);
            let opened = String::from_utf8(opened).expect("text");
            let sid = opened.split("\"sid\":\"").nth(1).expect("a session");
            let sid = sid.split('"').next().expect("an id");
            for number in 0..20 {
                write!(get, "GET {path}&sid={sid} HTTP/1.1\r\n\r\n").expect("sent");
                let body = format!("42{number}[\"echo\",\"x\"]");
                let length = body.len();
                write!(
                    post,
                    "POST {path}&sid={sid} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}"
                )
                .expect("sent");
                read_until(&mut get, format!("\r\n\r\n43{number}[\"x\"]").as_bytes());
                read_until(&mut post, b"\r\n\r\nok");
            }
        }
    });
}

#[test]
fn connections_come_and_go_without_a_trace() {
    on_all(|floor| {
        let sockets = || {
            let directory = format!("/proc/{}/fd", floor.process.id());
            let links = std::fs::read_dir(directory).expect("it runs").flatten();
            let targets = links.filter_map(|link| std::fs::read_link(link.path()).ok());
            targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
        };
        // A listener and both ends of a bell for each thread.
        let own = 3 * floor.cores;
        for round in 0..20 {
            let mut streams: Vec<_> = (0..20).map(|_| websocket(floor)).collect();
            for stream in &mut streams {
                stream.write_all(&frame(1, true, &[b'4'; 200])).expect("sent");
                if round % 2 == 0 {
                    stream.write_all(&[0x88, 0x80, 0, 0, 0, 0]).expect("sent");
                }
            }
        }
        let ended = Instant::now();
        while sockets() != own {
            assert!(ended.elapsed() < Duration::from_secs(10), "{} sockets, not {own}", sockets());
            thread::sleep(Duration::from_millis(10));
        }
    });
}
