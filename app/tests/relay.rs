//! A cluster of nodes that know each other: whichever a request comes to, it reaches the session it is for,
//! and whoever is no node passes nothing on.

#![allow(clippy::unwrap_used)] // a handler that panics fails its test

mod harness;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use harness::*;
use socket2::{Domain, Socket as RawSocket, Type};
use yamabiko::http::RequestExt;
use yamabiko::{App, Cluster, Config, Namespace, RawArgs, Socket};
use yamabiko_protocol::engine::{Owner, SessionId};
use yamabiko_protocol::proxy::{self, Header, Sender};

const SECRET: &str = "what only these nodes know";
const UNKNOWN: &str = "{\"code\":1,\"message\":\"Session ID unknown\"}";
const MIB: usize = 1024 * 1024;

/// Addresses that are free, for nodes that have to know each other before they start.
fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let bound: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    bound.iter().map(|listener| listener.local_addr().unwrap()).collect()
}

/// Processes that know each other, with slots from 1.
fn processes(count: usize, shards: usize, more: &[(&str, &str)]) -> Vec<Server> {
    let addresses = free_addresses(count);
    let nodes: Vec<String> =
        addresses.iter().zip(1..).map(|(address, slot)| format!("{slot}={address}")).collect();
    let nodes = nodes.join(",");
    let start = |(address, slot): (&SocketAddr, usize)| {
        let (address, slot) = (address.to_string(), slot.to_string());
        let mut variables = vec![
            ("YAMABIKO_CLUSTER_LISTENER", &*address),
            ("YAMABIKO_CLUSTER_SLOT", &slot),
            ("YAMABIKO_CLUSTER_NODES", &nodes),
            ("YAMABIKO_CLUSTER_SECRET", SECRET),
        ];
        variables.extend(more);
        Server::with(shards, &variables)
    };
    addresses.iter().zip(1..).map(start).collect()
}

/// A node of this process.
struct Node {
    inside: Inside,
    cluster: SocketAddr,
}

fn config(slot: u16, listen: SocketAddr, nodes: &[(u16, SocketAddr)]) -> Config {
    let mut config = Config::default();
    config.settings.shards = Some(2);
    config.settings.cluster = Cluster {
        listen: Some(listen),
        secret: Some(SECRET.into()),
        peers: Vec::new(),
        slot,
        nodes: nodes.to_vec(),
        ..Cluster::default()
    };
    config
}

fn node(config: Config) -> Node {
    let cluster = config.settings.cluster.listen.unwrap();
    let inside = Inside::serve(config, |_core| {
        let echoes = Namespace::new()
            .on_connect(async |socket: Socket| socket.emit("auth", &()))
            .on("message-with-ack", |_: Socket, args: RawArgs| args)
            .on("address", |socket: Socket| {
                socket.handshake().map(|it| it.address().to_string()).unwrap_or_default()
            });
        App::new()
            .namespace("/", echoes)
            .get("/address", async |request: yamabiko::http::Request| request.peer().to_string())
    });
    Node { inside, cluster }
}

/// Nodes of this process that know each other, with slots from 1.
fn nodes(count: usize) -> Vec<Node> {
    let nodes: Vec<_> = (1..).zip(free_addresses(count)).collect();
    nodes.iter().map(|(slot, address)| node(config(*slot, *address, &nodes))).collect()
}

impl Node {
    fn address(&self) -> SocketAddr {
        self.inside.address()
    }

    /// The sum of one counter over its shards.
    fn count(&self, name: &str) -> u64 {
        self.inside.count(|metrics| {
            let found = metrics.snapshot().into_iter().find(|(other, _)| *other == name);
            found.expect("a counter of this name").1
        })
    }
}

/// A node that is played by the test: what it is sent, and what it says.
struct Impostor {
    listener: TcpListener,
    /// A node that passes connections of its sessions on to it.
    node: Node,
}

const IMPOSTOR: u16 = 7;

impl Impostor {
    fn new(adjust: impl Fn(&mut Config)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = free_addresses(1)[0];
        let mut config = config(1, own, &[(IMPOSTOR, listener.local_addr().unwrap())]);
        adjust(&mut config);
        Self { listener, node: node(config) }
    }

    /// A request for a session of its own.
    fn request(&self) -> String {
        get(&target(&id(IMPOSTOR)), "")
    }

    /// The connection that the node makes to it.
    fn accept(&self) -> TcpStream {
        self.listener.set_nonblocking(true).unwrap();
        let mut accepted = None;
        assert!(soon(|| {
            accepted = accepted.take().or_else(|| self.listener.accept().ok());
            accepted.is_some()
        }));
        let (stream, _) = accepted.unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// A header that the node has signed.
    fn header(&self) -> Vec<u8> {
        let mut wire = Wire::open(self.node.address());
        wire.send(self.request());
        read_header(&mut self.accept()).0
    }
}

/// A header, and what has come behind it.
fn read_header(stream: &mut TcpStream) -> (Vec<u8>, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 1024];
        let len = stream.read(&mut piece).unwrap();
        assert!(len > 0, "it ended within the header");
        bytes.extend_from_slice(&piece[..len]);
        if let Some((_, len)) = Header::read(&bytes).unwrap() {
            let rest = bytes.split_off(len);
            return (bytes, rest);
        }
    }
}

/// An id that a node with this slot could have made.
fn id(slot: u16) -> String {
    SessionId::new([7; 12], Owner { node: slot, shard: 0 }).to_string()
}

fn target(sid: &str) -> String {
    format!("{HANDSHAKE}&sid={sid}")
}

/// A client of `owner` whose requests come to another node from now on.
fn stray(owner: SocketAddr, through: SocketAddr) -> Poller {
    let mut poller = Poller::open(owner);
    poller.polls = Wire::open(through);
    poller.posts = Wire::open(through);
    poller
}

/// A session of `owner` by polling, whose upgrade to WebSocket comes to another node.
fn upgraded(owner: SocketAddr, through: Wire) -> WebSocket {
    let sid = Wire::open(owner).ask(get(HANDSHAKE, "")).sid().to_owned();
    let mut socket =
        WebSocket::on(through, &format!("/socket.io/?EIO=4&transport=websocket&sid={sid}"));
    socket.send_text("2probe");
    assert_eq!(socket.receive().expect("an answer").text(), "3probe");
    socket.send_text("5");
    socket.send_text("40");
    socket
}

/// The next packet that is no ping.
fn packet(socket: &mut WebSocket) -> Option<String> {
    loop {
        match socket.receive()? {
            frame if frame.payload == b"2" => socket.send_text("3"),
            frame if frame.opcode() == TEXT => return Some(frame.text().into()),
            _ => {}
        }
    }
}

/// A connection whose kernel takes little that is not read.
fn narrow(address: SocketAddr) -> Wire {
    let socket = RawSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(32 * 1024).unwrap();
    socket.connect(&address.into()).unwrap();
    Wire::from(socket.into())
}

#[test]
fn a_poller_reaches_its_session_through_any_node() {
    let nodes = processes(3, 2, &[]);
    for through in &nodes[1..] {
        let mut poller = stray(nodes[0].address(), through.address());
        for number in 0..20 {
            let answer = poller.ask(&format!("[\"message-with-ack\",{number}]"));
            assert_eq!(answer, format!("[{number}]"));
        }
    }
    nodes.into_iter().for_each(Server::stop);
}

#[test]
fn an_upgrade_reaches_its_session_through_any_node() {
    let nodes = processes(2, 2, &[]);
    for _ in 0..4 {
        let mut socket = upgraded(nodes[0].address(), Wire::open(nodes[1].address()));
        assert!(packet(&mut socket).unwrap().starts_with("40{"));
        assert!(packet(&mut socket).unwrap().starts_with("42[\"auth\""));
        let long = "x".repeat(900_000);
        for text in ["short", &long, "short"] {
            socket.send_text(&format!("421[\"message-with-ack\",\"{text}\"]"));
            assert_eq!(packet(&mut socket).unwrap(), format!("431[\"{text}\"]"));
        }
        socket.send(CLOSE, &1000_u16.to_be_bytes());
        let mut direct = WebSocket::open(nodes[0].address());
        assert!(packet(&mut direct).unwrap().starts_with("0{"));
        direct.send(CLOSE, &1000_u16.to_be_bytes());
        assert_eq!(socket.closed().expect("a close frame"), direct.closed().unwrap());
    }
    nodes.into_iter().for_each(Server::stop);
}

/// A balancer that keeps its connections sends requests of all its clients over each of them.
#[test]
fn one_connection_serves_sessions_of_two_nodes_in_turn() {
    let nodes = nodes(2);
    let [first, second] = [&nodes[0], &nodes[1]];
    let [here, there] = [first, second].map(|node| Poller::open(node.address()));
    let message = "42[\"message-with-ack\",1]";
    for _ in 0..3 {
        let mut wire = Wire::open(first.address());
        for poller in [&here, &here, &there, &there] {
            let response = wire.ask(poller.post(message));
            assert_eq!((response.status, response.header("connection")), (200, None));
        }
        // Back again: it has come twice as far as it needs to, and ends.
        let response = wire.ask(here.post(message));
        assert_eq!((response.status, response.header("connection")), (200, Some("close")));
        assert_eq!(wire.response(), None);
    }
    assert_eq!([first.count("relays_out"), first.count("relays_in")], [3, 3]);
    assert_eq!([second.count("relays_out"), second.count("relays_in")], [3, 3]);
    assert!(soon(|| nodes.iter().all(|node| node.count("relays") == 0)), "all are over");
    assert!(first.count("relay_bytes_out") > 0 && first.count("relay_bytes_in") > 0);
    assert_eq!(first.count("relays_failed") + second.count("relays_failed"), 0);
}

/// All of them at once, before the first is answered.
#[test]
fn requests_that_are_sent_ahead_are_answered_in_order() {
    let nodes = nodes(2);
    let [here, there] = [0, 1].map(|at: usize| Poller::open(nodes[at].address()));
    let mut wire = Wire::open(nodes[0].address());
    let unknown = get(&target(&id(2)), "");
    let all = [
        here.post("42[\"message-with-ack\",1]"),
        get("/nothing-here", ""),
        there.post("42[\"message-with-ack\",2]"),
        unknown,
        get("/address", ""),
        here.post("42[\"message-with-ack\",3]"),
    ];
    let address = wire.local_address().to_string();
    wire.send(all.concat());
    for (status, body) in
        [(200, "ok"), (404, ""), (200, "ok"), (400, UNKNOWN), (200, &*address), (200, "ok")]
    {
        let response = wire.response().expect("an answer");
        assert_eq!(response.status, status, "{response:?}");
        assert!(status == 404 || response.body == body, "{response:?}");
    }
    assert_eq!(wire.response(), None);
}

#[test]
fn the_clients_address_is_kept() {
    let nodes = nodes(2);
    let there = Poller::open(nodes[1].address());
    let mut wire = Wire::open(nodes[0].address());
    let address = wire.local_address().to_string();
    assert_eq!(wire.ask(there.post("3")).status, 200);
    assert_eq!(wire.ask(get("/address", "")).body, address);
    // A session that begins there, after a detour.
    let socket = WebSocket::on(wire, "/socket.io/?EIO=4&transport=websocket");
    let mut client = Client::connect(socket);
    assert_eq!(client.ask("[\"address\"]"), format!("[\"{address}\"]"));
}

#[test]
fn a_session_its_owner_does_not_know_is_unknown() {
    let nodes = nodes(2);
    for sid in [id(2), id(1), id(3)] {
        let mut wire = Wire::open(nodes[0].address());
        for _ in 0..2 {
            let response = wire.ask(get(&target(&sid), ""));
            assert_eq!((response.status, &*response.body), (400, UNKNOWN), "{sid}");
        }
        let upgrade = format!("/socket.io/?EIO=4&transport=websocket&sid={sid}");
        assert_eq!(wire.ask(get(&upgrade, UPGRADE)).status, 400);
    }
    assert_eq!(nodes[0].count("relays_failed"), 0);
}

/// Two nodes that each take the other for the owner.
#[test]
fn a_request_does_not_go_round_in_circles() {
    let addresses = free_addresses(2);
    let nodes: Vec<_> = [(1, 0, 1), (2, 1, 0)]
        .map(|(slot, own, other)| node(config(slot, addresses[own], &[(9, addresses[other])])))
        .into();
    let response = Wire::open(nodes[0].address()).ask(get(&target(&id(9)), ""));
    assert_eq!((response.status, &*response.body), (400, UNKNOWN));
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!([nodes[0].count("relays_in"), nodes[1].count("relays_in")], [1, 1]);
    assert_eq!(nodes[0].count("relays_failed"), 1);
}

#[test]
fn what_is_sent_on_is_what_has_come() {
    let impostor = Impostor::new(|_| ());
    let mut wire = Wire::open(impostor.node.address());
    let request = impostor.request() + "GET /anything HTTP/1.1 and more";
    let (first, second) = request.split_at(request.len() - 10);
    wire.send(first);
    let mut stream = impostor.accept();
    let (header, mut rest) = read_header(&mut stream);
    let (header, _) = Header::read(&header).unwrap().unwrap();
    let destination = impostor.node.address();
    let source = wire.local_address();
    assert_eq!(header.sender(), Sender::Client { source, destination });
    assert_eq!(header.tlv(proxy::HOPS).map(|tlv| tlv.value), Some(&[1][..]));
    wire.send(second);
    wire.end();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(String::from_utf8(rest).unwrap(), request);
    // It has said all it has to, and is still listened to.
    stream.write_all(b"whatever is said").unwrap();
    drop(stream);
    assert_eq!(wire.read_to_end(), b"whatever is said");
    assert!(soon(|| impostor.node.count("relays") + impostor.node.count("connections") == 0));
}

#[test]
fn whoever_breaks_off_ends_both_sides() {
    let impostor = Impostor::new(|_| ());
    let wire = |impostor: &Impostor| {
        let mut wire = Wire::open(impostor.node.address());
        wire.send(impostor.request());
        let stream = impostor.accept();
        (wire, stream)
    };
    let (client, mut stream) = wire(&impostor);
    client.reset();
    let is_over = |result: io::Result<usize>| match result {
        Ok(len) => len == 0,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    };
    assert!(soon(|| is_over(stream.read(&mut [0; 1024]))));
    let (mut client, stream) = wire(&impostor);
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    assert_eq!(client.read_to_end(), b"");
    assert!(soon(|| impostor.node.count("relays") + impostor.node.count("connections") == 0));
}

#[test]
fn a_relay_on_which_nothing_moves_ends() {
    let impostor = Impostor::new(|config| {
        config.settings.ping_interval = Duration::from_millis(100);
        config.settings.ping_timeout = Duration::from_millis(100);
    });
    let mut wire = Wire::open(impostor.node.address());
    wire.send(impostor.request());
    let mut stream = impostor.accept();
    read_header(&mut stream);
    let began = Instant::now();
    for _ in 0..8 {
        // Either side's bytes count.
        thread::sleep(Duration::from_millis(100));
        stream.write_all(b"x").unwrap();
    }
    assert_eq!(wire.read_to_end(), b"xxxxxxxx");
    assert!(began.elapsed() > Duration::from_millis(1_100), "{:?}", began.elapsed());
    assert!(soon(|| impostor.node.count("relays") + impostor.node.count("connections") == 0));
}

#[test]
fn an_owner_that_cannot_be_reached_is_as_good_as_none() {
    // Nobody listens there.
    let impostor =
        Impostor::new(|config| config.settings.cluster.nodes[0].1 = free_addresses(1)[0]);
    let mut wire = Wire::open(impostor.node.address());
    let sid = id(IMPOSTOR);
    for failed in 1..=3 {
        let response = wire.ask(get(&target(&sid), ""));
        assert_eq!((response.status, &*response.body), (400, UNKNOWN));
        assert_eq!(impostor.node.count("relays_failed"), failed);
    }
    let upgrade = format!("/socket.io/?EIO=4&transport=websocket&sid={sid}");
    assert_eq!(Wire::open(impostor.node.address()).ask(get(&upgrade, UPGRADE)).status, 400);
    // The connection is as good as new.
    let sid = wire.ask(get(HANDSHAKE, "")).sid().to_owned();
    let post =
        format!("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n40", target(&sid));
    assert_eq!(wire.ask(post).status, 200);
    assert_eq!(impostor.node.count("relays"), 0);
}

#[test]
fn a_connection_to_a_node_has_its_time() {
    let full = RawSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let impostor = Impostor::new(|config| {
        config.settings.cluster.nodes[0].1 = address;
        config.settings.limits.relay_connect_timeout = Duration::from_millis(300);
    });
    // The kernel keeps one for who does not accept, and answers no other.
    let _queued: Vec<_> = (0..2)
        .map(|_| {
            let socket = RawSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address.into());
            socket
        })
        .collect();
    thread::sleep(Duration::from_millis(100));
    let mut wire = Wire::open(impostor.node.address());
    let began = Instant::now();
    wire.send(impostor.request());
    // What comes meanwhile is kept, also more than is read ahead.
    let after = get("/nothing-here", &format!("X: {}\r\n", "x".repeat(8_000)));
    for _ in 0..20 {
        wire.send(&after);
    }
    assert_eq!(wire.response().unwrap().body, UNKNOWN);
    assert!(began.elapsed() >= Duration::from_millis(290), "{:?}", began.elapsed());
    for _ in 0..20 {
        assert_eq!(wire.response().unwrap().status, 404);
    }
    // One that goes away meanwhile leaves nothing behind.
    let mut wire = Wire::open(impostor.node.address());
    wire.send(impostor.request());
    wire.reset();
    assert!(soon(|| impostor.node.count("relays") == 0 && impostor.node.count("connections") == 1));
}

#[test]
fn a_slow_reader_is_waited_for_in_little_memory() {
    let nodes = processes(2, 1, &[]);
    for node in &nodes {
        node.warm_up();
    }
    let before = nodes[1].rss_bytes();
    let mut socket = upgraded(nodes[0].address(), narrow(nodes[1].address()));
    assert!(packet(&mut socket).unwrap().starts_with("40{"));
    assert!(packet(&mut socket).unwrap().starts_with("42[\"auth\""));
    socket.send_text("421[\"join\",\"hall\"]");
    assert!(packet(&mut socket).unwrap().starts_with("431["));
    let mut speaker = Client::open(nodes[0].address());
    let text = "x".repeat(100_000);
    for number in 0..120 {
        speaker.emit(&format!("[\"say\",\"hall\",\"{number} {text}\"]"));
        speaker.assert_alive();
    }
    thread::sleep(Duration::from_millis(300));
    let after = nodes[1].rss_bytes();
    assert!(after <= before + 6 * MIB, "memory grew from {before} to {after} bytes");
    for number in 0..120 {
        let said = packet(&mut socket).expect("it is waited for");
        assert!(said.starts_with(&format!("42[\"said\",\"{number} xxx")), "{}", &said[..40]);
        assert_eq!(said.len(), 100_000 + 14 + number.to_string().len());
    }
    nodes.into_iter().for_each(Server::stop);
}

/// The other direction: an owner that does not read.
#[test]
fn a_slow_owner_holds_its_clients_back() {
    let impostor = Impostor::new(|_| ());
    let mut wire = Wire::open(impostor.node.address());
    wire.send(impostor.request());
    let mut stream = impostor.accept();
    let bytes: Vec<u8> = (0..64 * MIB).map(|at| (at / 7) as u8).collect();
    let sent = wire.send_until_stuck(&bytes, Duration::from_millis(500));
    assert!(sent < bytes.len(), "nobody has read it");
    assert!(impostor.node.count("relays_held") > 0);
    let (_, rest) = read_header(&mut stream);
    let request = impostor.request().len();
    let reader = thread::spawn(move || {
        let mut all = rest;
        stream.read_to_end(&mut all).unwrap();
        all
    });
    wire.send(&bytes[sent..]);
    wire.end();
    let all = reader.join().unwrap();
    assert!(all[request..] == bytes, "it comes as it was sent");
}

#[test]
fn when_the_owner_dies_its_clients_begin_anew_at_the_relay() {
    let mut nodes = processes(2, 2, &[]);
    let (owner, relay) = (nodes[0].address(), nodes[1].address());
    let mut socket = upgraded(owner, Wire::open(relay));
    assert!(packet(&mut socket).unwrap().starts_with("40{"));
    let mut poller = stray(owner, relay);
    poller.polls.send(poller.poll());
    let sid = poller.sid.clone();
    assert!(poller.polls.is_silent_for(Duration::from_millis(100)));
    // It is killed.
    drop(nodes.remove(0));
    while packet(&mut socket).is_some() {}
    assert_eq!(poller.polls.response(), None);
    let response = Wire::open(relay).ask(get(&target(&sid), ""));
    assert_eq!((response.status, &*response.body), (400, UNKNOWN));
    Client::open(relay).assert_alive();
    nodes.remove(0).stop();
}

#[test]
fn when_the_relay_dies_a_session_goes_on_without_it() {
    let mut nodes = processes(2, 2, &[]);
    let owner = nodes[0].address();
    let mut socket = upgraded(owner, Wire::open(nodes[1].address()));
    assert!(packet(&mut socket).unwrap().starts_with("40{"));
    let mut poller = stray(owner, nodes[1].address());
    assert_eq!(poller.ask("[\"message-with-ack\",1]"), "[1]");
    drop(nodes.remove(1));
    while packet(&mut socket).is_some() {}
    (poller.polls, poller.posts) = (Wire::open(owner), Wire::open(owner));
    assert_eq!(poller.ask("[\"message-with-ack\",2]"), "[2]");
    nodes.remove(0).stop();
}

#[test]
fn a_relay_that_stops_lets_go_of_its_clients() {
    let mut nodes = processes(2, 2, &[]);
    let owner = nodes[0].address();
    let mut socket = upgraded(owner, Wire::open(nodes[1].address()));
    assert!(packet(&mut socket).unwrap().starts_with("40{"));
    let mut poller = stray(owner, nodes[1].address());
    assert_eq!(poller.ask("[\"message-with-ack\",1]"), "[1]");
    let began = Instant::now();
    let relay = nodes.remove(1);
    relay.terminate();
    while packet(&mut socket).is_some() {}
    assert_eq!(poller.polls.response(), None);
    drop((socket, std::mem::replace(&mut poller.posts, Wire::open(owner))));
    poller.polls = Wire::open(owner);
    relay.wait_for_exit();
    assert!(began.elapsed() < Duration::from_secs(5), "it waits for no deadline");
    assert_eq!(poller.ask("[\"message-with-ack\",2]"), "[2]");
    nodes.remove(0).stop();
}

/// However they end, and at whatever moment.
#[test]
fn relays_that_come_and_go_leave_nothing_behind() {
    let nodes = processes(2, 2, &[]);
    let (owner, relay) = (nodes[0].address(), nodes[1].address());
    let mut upgraded = upgraded(owner, Wire::open(relay));
    assert!(packet(&mut upgraded).unwrap().starts_with("40{"));
    assert!(packet(&mut upgraded).unwrap().starts_with("42[\"auth\""));
    let before = [nodes[0].descriptors(), nodes[1].descriptors()];
    let mut random = Random::new(3);
    for number in 0..600 {
        let sid = Wire::open(owner).ask(get(HANDSHAKE, "")).sid().to_owned();
        let mut wire = Wire::open(relay);
        let post = format!("POST {} HTTP/1.1\r\nHost: localhost\r\n", target(&sid));
        wire.send(post + "Content-Length: 2\r\n\r\n40");
        thread::sleep(Duration::from_micros(random.next() % 500));
        match random.next() % 4 {
            0 => wire.reset(),
            1 => drop(wire),
            2 => {
                wire.end();
                assert_eq!(wire.response().expect("an answer").body, "ok", "{number}");
                assert_eq!(wire.response(), None);
            }
            _ => {
                assert_eq!(wire.response().expect("an answer").body, "ok", "{number}");
                wire.reset();
            }
        }
    }
    for (node, before) in nodes.iter().zip(before) {
        node.wait_for_descriptors(before);
    }
    upgraded.send_text("421[\"message-with-ack\",1]");
    assert_eq!(packet(&mut upgraded).unwrap(), "431[1]");
    drop(upgraded);
    nodes.into_iter().for_each(Server::stop);
}

#[test]
fn a_header_in_pieces_of_one_byte_is_read() {
    let impostor = Impostor::new(|_| ());
    let header = impostor.header();
    let mut wire = Wire::open(impostor.node.cluster);
    for byte in header.iter().copied().chain(get(HANDSHAKE, "").bytes()) {
        wire.send([byte]);
        thread::sleep(Duration::from_micros(200));
    }
    assert_eq!(wire.response().unwrap().status, 200);
    // And in one with what follows.
    let mut wire = Wire::open(impostor.node.cluster);
    wire.send([&header[..], get(HANDSHAKE, "").as_bytes()].concat());
    assert_eq!(wire.response().unwrap().status, 200);
    assert_eq!(impostor.node.count("relays_in"), 2);
}

#[test]
fn strangers_pass_nothing_on() {
    let impostor = Impostor::new(|_| ());
    let header = impostor.header();
    let request = get(HANDSHAKE, "");
    let (source, destination) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    let mut unsigned = Vec::new();
    proxy::write(
        &mut unsigned,
        (source, 1).into(),
        (destination, 2).into(),
        &[(proxy::HOPS, &[1])],
    );
    let mut other_secret = Vec::new();
    let tlvs = [(proxy::HOPS, &[1][..]), (proxy::PROOF, &[0; 32])];
    proxy::write(&mut other_secret, (source, 1).into(), (destination, 2).into(), &tlvs);
    let forged = |at: usize| {
        let mut forged = header.clone();
        forged[at] ^= 1;
        forged
    };
    let local = [&proxy::SIGNATURE[..], &[0x20, 0, 0, 0]].concat();
    let strangers = [
        request.clone().into_bytes(),
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(),
        Random::new(1).next().to_be_bytes().to_vec(),
        unsigned,
        other_secret,
        local,
        // Another client, another port, more hops, another proof.
        forged(17),
        forged(25),
        forged(31),
        forged(header.len() - 1),
        [&proxy::SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat(),
    ];
    for stranger in &strangers {
        let mut wire = Wire::open(impostor.node.cluster);
        wire.send(stranger);
        wire.send(&request);
        assert_eq!(wire.read_to_end(), b"", "{}", stranger.escape_ascii());
    }
    assert_eq!(impostor.node.count("strangers"), strangers.len() as u64);
    assert_eq!((impostor.node.count("relays_in"), impostor.node.count("sessions")), (0, 0));
}

#[test]
fn a_header_has_its_time() {
    let impostor = Impostor::new(|config| {
        config.settings.limits.header_timeout = Duration::from_millis(400);
    });
    let header = impostor.header();
    for begun in [&header[..0], &header[..20]] {
        let mut wire = Wire::open(impostor.node.cluster);
        wire.send(begun);
        let began = Instant::now();
        assert_eq!(wire.read_to_end(), b"");
        assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    }
    assert_eq!(impostor.node.count("strangers"), 2);
}

#[test]
fn nodes_may_be_known_by_their_address() {
    let [first, second] = [0, 1].map(|_| free_addresses(1)[0]);
    let known = |slot, own, peers: &str| {
        let mut config = config(slot, own, &[(1, first), (2, second)]);
        config.settings.cluster.secret = None;
        config.settings.cluster.peers = vec![peers.parse().unwrap()];
        node(config)
    };
    let (first, second) = (known(1, first, "127.0.0.0/8"), known(2, second, "10.0.0.0/8"));
    // The first knows the second, but not the other way round.
    let poller = Poller::open(first.address());
    assert_eq!(Wire::open(second.address()).ask(poller.post("3")).status, 200);
    let poller = Poller::open(second.address());
    let mut wire = Wire::open(first.address());
    wire.send(poller.post("3"));
    assert_eq!(wire.response(), None);
    assert_eq!((first.count("strangers"), second.count("strangers")), (0, 1));
}

#[test]
fn a_proxy_in_front_says_whose_a_connection_is() {
    let own = free_addresses(1)[0];
    let mut config = config(1, own, &[]);
    config.settings.proxy_protocol = true;
    config.settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let node = node(config);
    let mut header = Vec::new();
    let destination = node.address();
    proxy::write(&mut header, ([192, 0, 2, 1], 4660).into(), destination, &[]);
    let mut wire = Wire::open(node.address());
    wire.send([&header[..], get("/address", "").as_bytes()].concat());
    assert_eq!(wire.response().unwrap().body, "192.0.2.1:4660");
    assert_eq!(wire.ask(get("/address", "")).body, "192.0.2.1:4660");
    // A health check of the proxy's own.
    let mut wire = Wire::open(node.address());
    wire.send([&proxy::SIGNATURE[..], &[0x20, 0, 0, 0]].concat());
    let address = wire.local_address().to_string();
    assert_eq!(wire.ask(get("/address", "")).body, address);
    // The proxy without a header is none that is meant.
    let mut wire = Wire::open(node.address());
    wire.send(get("/address", ""));
    assert_eq!(wire.read_to_end(), b"");
    assert_eq!(node.count("strangers"), 1);
    // Whoever is no proxy is a client, and cannot pass for one.
    let client = || {
        let socket = RawSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
        socket.connect(&node.address().into()).unwrap();
        Wire::from(socket.into())
    };
    let mut wire = client();
    let address = wire.local_address().to_string();
    assert_eq!(wire.ask(get("/address", "")).body, address);
    let mut wire = client();
    wire.send(&header);
    assert_eq!(wire.response().unwrap().status, 400);
}

#[test]
fn a_proxy_in_front_names_its_clients() {
    let own = free_addresses(2);
    let behind_proxies = |slot: u16| {
        let nodes = [(1, own[0]), (2, own[1])];
        let mut config = config(slot, own[usize::from(slot) - 1], &nodes);
        config.settings.forwarded_for = true;
        config.settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        node(config)
    };
    let nodes = [1, 2].map(behind_proxies);
    let named = "X-Forwarded-For: 198.51.100.1, 192.0.2.1\r\n";
    let mut wire = Wire::open(nodes[0].address());
    assert_eq!(wire.ask(get("/address", named)).body, "192.0.2.1:0");
    let own = wire.local_address().to_string();
    assert_eq!(wire.ask(get("/address", "")).body, own);
    // Also where the connection was passed on.
    let there = Poller::open(nodes[1].address());
    assert_eq!(wire.ask(there.post("3")).status, 200);
    assert_eq!(wire.ask(get("/address", named)).body, "192.0.2.1:0");
    let socket = format!("{UPGRADE}{named}");
    let response = wire.ask(get("/socket.io/?EIO=4&transport=websocket", &socket));
    assert_eq!(response.status, 101);
    let mut client = Client::connect(WebSocket { wire });
    assert_eq!(client.ask("[\"address\"]"), "[\"192.0.2.1:0\"]");
    // Whoever is no proxy is believed nothing.
    let socket = RawSocket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
    socket.connect(&nodes[0].address().into()).unwrap();
    let mut wire = Wire::from(socket.into());
    let own = wire.local_address().to_string();
    assert_eq!(wire.ask(get("/address", named)).body, own);
}
