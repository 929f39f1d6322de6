//! What the official Engine.IO test suites demand of a server, on a virtual clock: the 24 tests for
//! revision 4 and the 23 for revision 3 (<https://github.com/socketio/engine.io-protocol>, branches
//! `main` and `v3`), in our own words. Both revisions share a body where they ask the same.

mod engine_harness;

use engine_harness::*;
use yamabiko_protocol::engine::*;

/// A batch as a payload of that revision.
fn payload(eio: u8, packets: &[&str]) -> String {
    match eio {
        3 => packets.iter().map(|packet| format!("{}:{packet}", packet.len())).collect(),
        _ => packets.join("\u{1e}"),
    }
}

fn polling(eio: u8, sid: SessionId) -> String {
    format!("EIO={eio}&transport=polling&sid={sid}")
}

fn open_websocket(server: &mut Server, eio: u8) -> SessionId {
    match server.websocket(&format!("EIO={eio}&transport=websocket")) {
        Reply::Session(sid, 0) => sid,
        other => panic!("refused: {other:?}"),
    }
}

fn world(server: &mut Server, sid: SessionId) -> &mut World {
    server.worlds.get_mut(&sid).expect("a session")
}

/// The five keys of a handshake packet.
fn check_handshake(packet: &str, upgrades: &[&str]) {
    let json: serde_json::Value =
        serde_json::from_str(packet.strip_prefix('0').expect("an open packet")).expect("JSON");
    assert_eq!(json.as_object().expect("an object").len(), 5);
    assert!(json["sid"].is_string());
    assert_eq!(json["upgrades"], serde_json::json!(upgrades));
    assert_eq!(json["pingInterval"], 300);
    assert_eq!(json["pingTimeout"], 200);
    assert_eq!(json["maxPayload"], 1_000_000);
}

fn echo_over_polling(eio: u8, packets: &[&str]) {
    let mut server = Server::default();
    let sid = server.open_polling(eio);
    let body = payload(eio, packets);
    assert_eq!(server.fetch("POST", &polling(eio, sid), &body), (200, "ok".into()));
    assert_eq!(server.fetch("GET", &polling(eio, sid), ""), (200, body));
}

/// Upgrades a session; the probe is not waited for.
fn upgrade(server: &mut Server, eio: u8, sid: SessionId) -> Conn {
    let query = format!("EIO={eio}&transport=websocket&sid={sid}");
    let Reply::Session(_, conn) = server.websocket(&query) else { panic!("refused") };
    let world = world(server, sid);
    assert_eq!(world.frame(conn, "2probe"), Received::Nothing);
    assert_eq!(world.frame(conn, "5"), Received::Upgraded);
    assert_eq!(world.take_frames(conn), frames(&["3probe"]));
    conn
}

fn opens_over_polling(eio: u8) {
    let mut server = Server::default();
    let (status, body) = server.fetch("GET", &format!("EIO={eio}&transport=polling"), "");
    assert_eq!(status, 200);
    let packet = if eio == 3 { body.split_once(':').expect("a length").1 } else { &body };
    assert_eq!(body, payload(eio, &[packet]));
    check_handshake(packet, &["websocket"]);
}

fn refuses_transports_over_polling(eio: u8) {
    let mut server = Server::default();
    for query in [format!("EIO={eio}"), format!("EIO={eio}&transport=abc")] {
        assert_eq!(server.fetch("GET", &query, "").0, 400);
    }
}

fn refuses_methods(eio: u8) {
    let mut server = Server::default();
    for method in ["POST", "PUT"] {
        assert_eq!(server.fetch(method, &format!("EIO={eio}&transport=polling"), "").0, 400);
    }
}

fn opens_over_websocket(eio: u8) {
    let mut server = Server::default();
    let sid = open_websocket(&mut server, eio);
    let frames = world(&mut server, sid).take_frames(0);
    let [Frame::Text(packet)] = &frames[..] else { panic!("{frames:?}") };
    check_handshake(packet, &[]);
}

fn refuses_transports_over_websocket(eio: u8) {
    let mut server = Server::default();
    for query in [format!("EIO={eio}"), format!("EIO={eio}&transport=abc")] {
        assert!(matches!(server.websocket(&query), Reply::Refused(400)));
    }
}

fn closes_upon_invalid_packets_over_polling(eio: u8) {
    let mut server = Server::default();
    let sid = server.open_polling(eio);
    // The suites expect 400 or an abnormal end and accept the reference's 200.
    server.fetch("POST", &polling(eio, sid), "abc");
    assert_eq!(server.fetch("GET", &polling(eio, sid), "").0, 400);
}

fn closes_upon_duplicate_polls(eio: u8) {
    let mut server = Server::default();
    let sid = server.open_polling(eio);
    let Reply::Session(_, first) = server.request("GET", &polling(eio, sid), "") else { panic!() };
    let Reply::Session(_, second) = server.request("GET", &polling(eio, sid), "") else { panic!() };
    assert_eq!(server.worlds[&sid].answer(first), (200, payload(eio, &["1"])));
    assert_eq!(server.worlds[&sid].answer(second).0, 400);
    assert_eq!(server.fetch("GET", &polling(eio, sid), "").0, 400);
}

fn echoes_text_over_websocket(eio: u8) {
    let mut server = Server::default();
    let sid = open_websocket(&mut server, eio);
    let world = world(&mut server, sid);
    world.take_frames(0);
    world.frame(0, "4hello");
    assert_eq!(world.take_frames(0), frames(&["4hello"]));
}

fn echoes_binary_over_websocket(eio: u8) {
    let frame = if eio == 3 { vec![4, 1, 2, 3, 4] } else { vec![1, 2, 3, 4] };
    let mut server = Server::default();
    let sid = open_websocket(&mut server, eio);
    let world = world(&mut server, sid);
    world.take_frames(0);
    world.binary_frame(0, &frame);
    assert_eq!(world.take_frames(0), [Frame::Binary(frame)]);
}

fn closes_upon_invalid_packets_over_websocket(eio: u8) {
    let mut server = Server::default();
    let sid = open_websocket(&mut server, eio);
    world(&mut server, sid).frame(0, "abc");
    assert_eq!(server.worlds[&sid].hangup(0), Some(Hangup::WebSocket));
}

fn times_out_over_websocket(eio: u8) {
    let mut server = Server::default();
    let sid = open_websocket(&mut server, eio);
    server.advance(500);
    assert_eq!(server.worlds[&sid].hangup(0), Some(Hangup::WebSocket));
}

fn closes_over_polling(eio: u8) {
    let mut server = Server::default();
    let sid = server.open_polling(eio);
    let Reply::Session(_, get) = server.request("GET", &polling(eio, sid), "") else { panic!() };
    server.fetch("POST", &polling(eio, sid), &payload(eio, &["1"]));
    assert_eq!(server.worlds[&sid].answer(get), (200, payload(eio, &["6"])));
    assert_eq!(server.fetch("GET", &polling(eio, sid), "").0, 400);
}

fn closes_over_websocket(eio: u8) {
    let mut server = Server::default();
    let sid = open_websocket(&mut server, eio);
    world(&mut server, sid).frame(0, "1");
    assert_eq!(server.worlds[&sid].hangup(0), Some(Hangup::WebSocket));
}

fn upgrades(eio: u8) {
    let mut server = Server::default();
    let sid = server.open_polling(eio);
    let query = format!("EIO={eio}&transport=websocket&sid={sid}");
    let Reply::Session(_, conn) = server.websocket(&query) else { panic!("refused") };
    world(&mut server, sid).frame(conn, "2probe");
    assert_eq!(world(&mut server, sid).take_frames(conn), frames(&["3probe"]));
    let poll = server.fetch("GET", &polling(eio, sid), "");
    assert_eq!(poll, (200, payload(eio, &["6"])));
    let world = world(&mut server, sid);
    world.frame(conn, "5");
    world.frame(conn, "4hello");
    assert_eq!(world.take_frames(conn), frames(&["4hello"]));
}

fn ignores_polls_after_the_upgrade(eio: u8) {
    let mut server = Server::default();
    let sid = server.open_polling(eio);
    let conn = upgrade(&mut server, eio, sid);
    assert_eq!(server.fetch("GET", &polling(eio, sid), "").0, 400);
    let world = world(&mut server, sid);
    world.frame(conn, "4hello");
    assert_eq!(world.take_frames(conn), frames(&["4hello"]));
}

fn ignores_websockets_after_the_upgrade(eio: u8) {
    let mut server = Server::default();
    let sid = server.open_polling(eio);
    let conn = upgrade(&mut server, eio, sid);
    let query = format!("EIO={eio}&transport=websocket&sid={sid}");
    assert!(matches!(server.websocket(&query), Reply::ClosedAtOnce));
    let world = world(&mut server, sid);
    world.frame(conn, "4hello");
    assert_eq!(world.take_frames(conn), frames(&["4hello"]));
}

/// What both suites ask, each as a test in the module of each revision.
macro_rules! in_both_revisions {
    ($($name:ident)*) => {
        mod v3 { $(#[test] fn $name() { super::$name(3); })* }
        mod v4 { $(#[test] fn $name() { super::$name(4); })* }
    };
}

in_both_revisions! {
    opens_over_polling
    refuses_transports_over_polling
    refuses_methods
    opens_over_websocket
    refuses_transports_over_websocket
    closes_upon_invalid_packets_over_polling
    closes_upon_duplicate_polls
    echoes_text_over_websocket
    echoes_binary_over_websocket
    closes_upon_invalid_packets_over_websocket
    times_out_over_websocket
    closes_over_polling
    closes_over_websocket
    upgrades
    ignores_polls_after_the_upgrade
    ignores_websockets_after_the_upgrade
}

#[test]
fn v4_refuses_other_revisions() {
    // The suite's server does not allow revision 3.
    for query in ["transport=polling", "EIO=abc&transport=polling", "EIO=3&transport=polling"] {
        let eio = query.strip_prefix("EIO=").and_then(|rest| rest.split('&').next());
        for (transport, is_upgrade) in [("polling", false), ("websocket", true)] {
            let request = Request {
                method: "GET",
                transport: Some(transport),
                eio,
                is_upgrade,
                ..Request::default()
            };
            let verdict = verify(&request, Transports::default(), |_| None);
            let Ok(Verdict::NewSession(handshake)) = verdict else { panic!("{verdict:?}") };
            let rejection = handshake.admit(false).expect_err("not allowed");
            assert_eq!(rejection.response().status, 400);
        }
    }
}

#[test]
fn v4_echoes_one_text_packet_over_polling() {
    echo_over_polling(4, &["4hello"]);
}

#[test]
fn v4_echoes_several_text_packets_over_polling() {
    echo_over_polling(4, &["4test1", "4test2", "4test3"]);
}

#[test]
fn v4_echoes_text_and_binary_over_polling() {
    echo_over_polling(4, &["4hello", "bAQIDBA=="]);
}

#[test]
fn v4_heartbeat_over_polling() {
    let mut server = Server::default();
    let sid = server.open_polling(4);
    for _ in 0..3 {
        let Reply::Session(_, get) = server.request("GET", &polling(4, sid), "") else { panic!() };
        server.advance(300);
        assert_eq!(server.worlds[&sid].answer(get), (200, "2".into()));
        assert_eq!(server.fetch("POST", &polling(4, sid), "3"), (200, "ok".into()));
    }
}

#[test]
fn v4_ping_timeout_over_polling() {
    let mut server = Server::default();
    let sid = server.open_polling(4);
    server.advance(500);
    assert_eq!(server.fetch("GET", &polling(4, sid), "").0, 400);
}

#[test]
fn v4_heartbeat_over_websocket() {
    let mut server = Server::default();
    let sid = open_websocket(&mut server, 4);
    world(&mut server, sid).take_frames(0);
    for _ in 0..3 {
        server.advance(300);
        let world = world(&mut server, sid);
        assert_eq!(world.take_frames(0), frames(&["2"]));
        world.frame(0, "3");
    }
}

#[test]
fn v3_echoes_one_text_packet_over_polling() {
    echo_over_polling(3, &["4hello"]);
}

#[test]
fn v3_echoes_several_text_packets_over_polling() {
    echo_over_polling(3, &["4test1", "4test2", "4test3"]);
}

#[test]
fn v3_echoes_base64_over_polling() {
    let mut server = Server::default();
    let opened = server.request("GET", "EIO=3&transport=polling&b64=1", "");
    let Reply::Session(sid, _) = opened else { panic!("{opened:?}") };
    let body = "6:4hello10:b4AQIDBA==";
    assert_eq!(server.fetch("POST", &polling(3, sid), body), (200, "ok".into()));
    assert_eq!(server.fetch("GET", &polling(3, sid), ""), (200, body.into()));
}

#[test]
fn v3_echoes_binary_over_polling() {
    let mut server = Server::default();
    let sid = server.open_polling(3);
    let body = "6:4hello10:b4AQIDBA==";
    assert_eq!(server.fetch("POST", &polling(3, sid), body), (200, "ok".into()));
    let Reply::Session(_, get) = server.request("GET", &polling(3, sid), "") else { panic!() };
    let response = server.worlds[&sid].response(get);
    assert_eq!(response.content_type, Some("application/octet-stream"));
    assert_eq!(&response.body[..], b"\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04");
}

#[test]
fn v3_heartbeat_over_polling() {
    let mut server = Server::default();
    let sid = server.open_polling(3);
    for _ in 0..3 {
        assert_eq!(server.fetch("POST", &polling(3, sid), "1:2"), (200, "ok".into()));
        assert_eq!(server.fetch("GET", &polling(3, sid), ""), (200, "1:3".into()));
    }
}

#[test]
fn v3_ping_timeout_over_polling() {
    let mut server = Server::default();
    let sid = server.open_polling(3);
    server.advance(500);
    assert_eq!(server.fetch("POST", &polling(3, sid), "1:2").0, 400);
}

#[test]
fn v3_heartbeat_over_websocket() {
    let mut server = Server::default();
    let sid = open_websocket(&mut server, 3);
    let world = world(&mut server, sid);
    world.take_frames(0);
    for _ in 0..3 {
        world.frame(0, "2");
        assert_eq!(world.take_frames(0), frames(&["3"]));
    }
}
