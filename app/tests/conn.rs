//! What a socket tells of itself and of its connection, and how both are ended: `socket.rooms`,
//! `socket.conn`, `socket.disconnect(true)`, `connectTimeout`.

#![allow(clippy::unwrap_used)] // a handler that panics fails its test

mod harness;

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use harness::{Client, Guest, HANDSHAKE, Inside, Poller, WebSocket, Wire, get, soon};
use yamabiko::{App, Config, Namespace, Reject, Socket};

const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// One server for all tests, which ends with them.
fn server() -> &'static Inside {
    static SERVER: OnceLock<Inside> = OnceLock::new();
    SERVER.get_or_init(|| {
        let mut config = Config::default();
        config.settings.shards = Some(3);
        config.settings.allow_eio3 = true;
        config.settings.connect_timeout = CONNECT_TIMEOUT;
        Inside::serve(config, |_core| {
            App::new().namespace("/", tells()).namespace("/other", tells()).namespace(
                "/closed",
                Namespace::new().guard(async |_| Err::<(), Reject>("nobody".into())),
            )
        })
    })
}

fn tells() -> Namespace {
    Namespace::new()
        .on_connect(async |socket: Socket| socket.emit("auth", &()))
        .on("message-with-ack", |_: Socket, text: String| text)
        .on("rooms", |socket: Socket| socket.rooms())
        .on("join", |socket: Socket, room: String| socket.join(&room))
        .on("leave", |socket: Socket, room: String| socket.leave(&room))
        .on("transport", |socket: Socket| socket.transport())
        .on("conn", |socket: Socket| -> Result<(String, u8, SocketAddr, String), Reject> {
            let shake = socket.handshake()?;
            let header = shake.header("x-one").unwrap_or_default();
            Ok((socket.transport()?.into(), shake.revision(), shake.address(), header))
        })
        .on("headers", |socket: Socket| socket.handshake().map(|shake| shake.headers()))
        .on("bye", |socket: Socket, close: bool| {
            let left = socket.disconnect(close);
            assert!(left.is_ok() && !socket.connected());
            assert!(socket.disconnect(close).is_err(), "it has left already");
            assert!(socket.rooms().is_err() && socket.transport().is_err());
        })
}

#[test]
fn rooms_are_those_it_is_in_with_its_own_first() {
    let mut client = Client::open(server().address());
    let id = client.id.clone();
    assert_eq!(client.ask("[\"rooms\"]"), format!("[[\"{id}\"]]"));
    for room in ["a", "b", "a"] {
        client.join(room);
    }
    assert_eq!(client.ask("[\"rooms\"]"), format!("[[\"{id}\",\"a\",\"b\"]]"));
    client.ask("[\"leave\",\"a\"]");
    client.ask("[\"leave\",\"not there\"]");
    assert_eq!(client.ask("[\"rooms\"]"), format!("[[\"{id}\",\"b\"]]"));
}

#[test]
fn the_connection_is_known_by_transport_revision_address_and_headers() {
    let mut wire = Wire::open(server().address());
    let address = wire.local_address();
    let target = "/socket.io/?EIO=4&transport=websocket";
    let headers = "X-One: 1\r\nx-Two: 2, 3\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    assert_eq!(wire.ask(get(target, headers)).status, 101);
    let mut client = Client::connect(WebSocket { wire });
    assert_eq!(client.ask("[\"conn\"]"), format!("[\"websocket\",4,\"{address}\",\"1\"]"));
    let (headers,): (Vec<(String, String)>,) =
        serde_json::from_str(&client.ask("[\"headers\"]")).unwrap();
    let names: Vec<&str> = headers.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names[..3], ["Host", "X-One", "x-Two"], "in order, as they were written");
    assert_eq!(headers[2].1, "2, 3");
}

#[test]
fn the_transport_changes_with_the_upgrade_and_the_address_stays() {
    let mut poller = Poller::open(server().address());
    let address = poller.polls.local_address();
    assert_eq!(poller.ask("[\"conn\"]"), format!("[\"polling\",4,\"{address}\",\"\"]"));
    let target = format!("/socket.io/?EIO=4&transport=websocket&sid={}", poller.sid);
    let mut socket = WebSocket::on(Wire::open(server().address()), &target);
    socket.send_text("2probe");
    assert_eq!(socket.receive().unwrap().text(), "3probe");
    socket.send_text("5");
    socket.send_text("420[\"conn\"]");
    let answer = format!("430[\"websocket\",4,\"{address}\",\"\"]");
    assert_eq!(socket.receive().unwrap().text(), answer);
}

#[test]
fn revision_3_is_known() {
    let mut socket =
        WebSocket::on(Wire::open(server().address()), "/socket.io/?EIO=3&transport=websocket");
    socket.send_text("420[\"conn\"]");
    let packet = loop {
        let frame = socket.receive().unwrap();
        if frame.text().starts_with("430") {
            break frame.text().to_owned();
        }
    };
    assert!(packet.starts_with("430[\"websocket\",3,"), "{packet}");
}

#[test]
fn disconnecting_leaves_one_namespace_and_closing_leaves_all() {
    for shard in 0..3 {
        let mut guest = Guest::on(server().address(), shard);
        for (namespace, event) in [("/", "42[\"auth\"]"), ("/other", "42/other,[\"auth\"]")] {
            guest.join(namespace);
            assert_eq!(guest.packet(), event);
        }
        guest.emit("/", "[\"bye\",false]");
        assert_eq!(guest.packet(), "41");
        // The other namespace and the connection live, and it may come again.
        assert_eq!(guest.ask("/other", "[\"transport\"]"), "[\"websocket\"]");
        guest.join("/");
        assert_eq!(guest.packet(), "42[\"auth\"]");
        guest.emit("/other", "[\"bye\",true]");
        let mut last = [guest.packet(), guest.packet()];
        last.sort();
        assert_eq!(last, ["41", "41/other,"]);
        guest.socket.closed();
    }
}

#[test]
fn disconnecting_ends_a_client_that_polls() {
    let mut poller = Poller::open(server().address());
    poller.emit("[\"bye\",true]");
    assert_eq!(poller.packet(), "41");
    let last = poller.polls.ask(poller.poll());
    assert_eq!((last.status, &*last.body), (200, "6\x1e1"), "as in Node");
    assert_eq!(poller.polls.ask(poller.poll()).status, 400);
}

#[test]
fn who_joins_no_namespace_in_time_is_closed() {
    let started = Instant::now();
    let mut silent = WebSocket::open(server().address());
    assert!(silent.receive().unwrap().text().starts_with("0{"));
    let mut refused = WebSocket::open(server().address());
    assert!(refused.receive().unwrap().text().starts_with("0{"));
    refused.send_text("40/closed,");
    assert_eq!(refused.receive().unwrap().text(), "44/closed,{\"message\":\"nobody\"}");
    let mut polling = Wire::open(server().address());
    let target = format!("{HANDSHAKE}&sid={}", polling.ask(get(HANDSHAKE, "")).sid());
    let mut admitted = Client::open(server().address());
    // Who was admitted once may be in no namespace for as long as it likes.
    let mut left = Client::open(server().address());
    left.send("41");
    silent.closed();
    refused.closed();
    let time = started.elapsed();
    assert!(time >= CONNECT_TIMEOUT && time < CONNECT_TIMEOUT * 10, "{time:?}");
    assert!(soon(|| polling.ask(get(&target, "")).status == 400));
    thread::sleep(CONNECT_TIMEOUT);
    admitted.assert_alive();
    left.send("40");
    assert!(left.packet().unwrap().starts_with("40{"));
}
