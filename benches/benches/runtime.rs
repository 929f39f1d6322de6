//! Rooms, broadcasts and sends on a shard that runs.
//!
//! The runtime has no other door than its API, so here is a node of one shard with clients on loopback.
//! A client asks for so many rounds of some work; the handler does them, measures their time alone, and
//! acknowledges with it. What leaves the shard because of it is read between two requests and not
//! measured.
//!
//! References for rooms: hash maps of hash sets, as Socket.IO's adapter in memory keeps them.
#![allow(missing_docs)]

use std::collections::{HashMap, HashSet};
use std::hint::black_box;
use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tungstenite::{Message, WebSocket};
use yamabiko_protocol::message::TextMessage;
use yamabiko_protocol::parser::Event;
use yamabiko_runtime::{
    Application, DisconnectReason, EmitOptions, NamespaceId, Settings, Shard, SocketKey,
    SocketState, Target, serve,
};

/// The room in which all members but the measured client are.
const HALL: &str = "hall";
/// Its size.
const MEMBERS: usize = 100;
/// Bytes of text in what is sent.
const TEXT: &str = "sixty-four bytes with the head and all of them";
/// Rounds in one request where every round sends something: it must fit into the kernel's buffers.
const SENDING_ROUNDS_MAX: u64 = 256;
/// Rounds in one request otherwise.
const ROUNDS_MAX: u64 = 10_000;

/// The application: its events are the kinds of work.
struct Bench {
    shard: Shard,
}

impl Application for Bench {
    fn namespaces(&self) -> Vec<String> {
        vec!["/".into()]
    }

    fn connect(&self, socket: SocketKey, _: NamespaceId, _: Option<&str>) {
        self.shard.accept(socket, None).expect("the client has just come");
    }

    fn event(
        &self,
        socket: SocketKey,
        namespace: NamespaceId,
        _: Option<&SocketState>,
        event: &Event<'_>,
    ) {
        let (rounds,) = event.args.parse_tuple::<(u64,)>().expect("the number of rounds");
        let start = Instant::now();
        for _ in 0..rounds {
            self.work(&event.name, socket, namespace);
        }
        let nanoseconds = start.elapsed().as_nanos() as u64;
        let id = event.id.expect("the client waits for the time");
        self.shard.acknowledge(socket, id, &nanoseconds).expect("the client is there");
    }

    fn disconnect(
        &self,
        _: SocketKey,
        _: NamespaceId,
        _: Option<&SocketState>,
        _: DisconnectReason,
    ) {
    }
}

impl Bench {
    fn work(&self, kind: &str, socket: SocketKey, namespace: NamespaceId) {
        let shard = &self.shard;
        let to = |room: &str| Target { rooms: vec![room.into()], ..Target::default() };
        match kind {
            "enter the hall" => shard.join(socket, HALL).expect("a good room"),
            "join and leave a room of one" => {
                shard.join(socket, black_box("alone")).expect("a good room");
                shard.leave(socket, black_box("alone")).expect("the client is there");
            }
            "join and leave a room of 100" => {
                shard.join(socket, black_box(HALL)).expect("a good room");
                shard.leave(socket, black_box(HALL)).expect("the client is there");
            }
            "broadcast to nobody" => {
                shard.broadcast(namespace, &to("empty"), "message", TEXT).expect("a plain string");
            }
            "broadcast to a room of 100" => {
                shard.broadcast(namespace, &to(HALL), "message", TEXT).expect("a plain string");
            }
            "emit to one" => {
                let options = EmitOptions::default();
                shard.emit(socket, "message", TEXT, options).expect("a plain string");
            }
            _ => panic!("no such work: {kind}"),
        }
    }
}

/// A Socket.IO client in the main namespace.
struct Client(WebSocket<TcpStream>);

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the node listens");
        stream.set_nodelay(true).expect("it is a socket");
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let (websocket, _) = tungstenite::client(url, stream).expect("the node speaks WebSocket");
        let mut client = Self(websocket);
        assert!(client.text().starts_with("0{"));
        client.send("40");
        assert!(client.text().starts_with("40{"));
        client
    }

    fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).expect("the node reads");
    }

    fn text(&mut self) -> String {
        match self.0.read() {
            Ok(Message::Text(text)) => text.as_str().to_owned(),
            other => panic!("the node sent {other:?}"),
        }
    }

    /// Has the work done; returns the time it took the handler. What else comes is dropped.
    fn ask(&mut self, kind: &str, rounds: u64) -> Duration {
        self.send(&format!("420[\"{kind}\",{rounds}]"));
        loop {
            let text = self.text();
            if let Some(ack) = text.strip_prefix("430[") {
                let nanoseconds = ack.trim_end_matches(']').parse();
                return Duration::from_nanos(nanoseconds.expect("the node says a time"));
            }
        }
    }

    /// Reads bytes that are known to come.
    fn skip(&mut self, bytes: usize, scratch: &mut Vec<u8>) {
        scratch.resize(bytes, 0);
        self.0.get_mut().read_exact(scratch).expect("the node sends to every member");
    }
}

fn start_node() -> Result<SocketAddr, String> {
    let settings = Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        shards: Some(1),
        pin: false,
        // A ping in between would be taken for a message.
        ping_interval: Duration::from_secs(24 * 3600),
        ..Settings::default()
    };
    let (report, reported) = mpsc::channel();
    // It ends with the process.
    thread::spawn(move || {
        let ready = report.clone();
        let factory = |shard| Rc::new(Bench { shard }) as Rc<dyn Application>;
        let ended = serve(settings, factory, move |node| {
            let _ = ready.send(Ok(node.address));
        });
        let _ = report.send(Err(format!("the node ended: {ended:?}")));
    });
    reported.recv().unwrap_or_else(|_| Err("the node's thread ended".into()))
}

fn shard(c: &mut Criterion) {
    let address = start_node().expect("this machine can run a node");
    let mut client = Client::connect(address);
    let mut members: Vec<Client> = (0..MEMBERS).map(|_| Client::connect(address)).collect();
    for member in &mut members {
        member.ask("enter the hall", 1);
    }
    let mut group = c.benchmark_group("shard");
    for kind in
        ["join and leave a room of one", "join and leave a room of 100", "broadcast to nobody"]
    {
        group.bench_function(kind, |b| {
            b.iter_custom(|rounds| in_requests(rounds, ROUNDS_MAX, |n| client.ask(kind, n)));
        });
    }
    group.bench_function("emit to one", |b| {
        b.iter_custom(|rounds| {
            in_requests(rounds, SENDING_ROUNDS_MAX, |n| client.ask("emit to one", n))
        });
    });
    let packet = format!("2[\"message\",\"{TEXT}\"]");
    let frame_len = TextMessage::new(&packet).frame().len();
    let mut scratch = Vec::new();
    group.throughput(Throughput::Elements(MEMBERS as u64));
    group.bench_function("broadcast to a room of 100", |b| {
        b.iter_custom(|rounds| {
            in_requests(rounds, SENDING_ROUNDS_MAX, |n| {
                let time = client.ask("broadcast to a room of 100", n);
                for member in &mut members {
                    member.skip(n as usize * frame_len, &mut scratch);
                }
                time
            })
        });
    });
    group.finish();
}

/// Does `rounds` in requests of at most `max`; returns the sum of their times.
fn in_requests(rounds: u64, max: u64, mut ask: impl FnMut(u64) -> Duration) -> Duration {
    let (mut left, mut time) = (rounds, Duration::ZERO);
    while left > 0 {
        let now = left.min(max);
        time += ask(now);
        left -= now;
    }
    time
}

/// Rooms as two maps: sockets by room, rooms by socket.
#[derive(Default)]
struct Maps {
    sockets: HashMap<String, HashSet<u64>>,
    rooms: HashMap<u64, HashSet<String>>,
}

impl Maps {
    fn join(&mut self, socket: u64, room: &str) {
        self.sockets.entry(room.into()).or_default().insert(socket);
        self.rooms.entry(socket).or_default().insert(room.into());
    }

    fn leave(&mut self, socket: u64, room: &str) {
        if let Some(sockets) = self.sockets.get_mut(room) {
            sockets.remove(&socket);
            if sockets.is_empty() {
                self.sockets.remove(room);
            }
        }
        if let Some(rooms) = self.rooms.get_mut(&socket) {
            rooms.remove(room);
        }
    }
}

fn rooms_as_maps(c: &mut Criterion) {
    let mut group = c.benchmark_group("rooms as hash maps");
    let mut maps = Maps::default();
    for member in 1..=MEMBERS as u64 {
        maps.join(member, HALL);
    }
    for (name, room) in
        [("join and leave a room of one", "alone"), ("join and leave a room of 100", HALL)]
    {
        group.bench_function(name, |b| {
            b.iter(|| {
                maps.join(0, black_box(room));
                maps.leave(0, black_box(room));
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = stages;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = shard, rooms_as_maps
}
criterion_main!(stages);
