//! Answers to polls that are compressed: Socket.IO's `httpCompression`.

#![allow(clippy::unwrap_used)]

mod harness;

use std::io::Read;
use std::sync::OnceLock;
use std::time::Duration;

use harness::*;
use yamabiko::{App, Config, HttpCompression, Namespace, Socket};

const THRESHOLD: usize = 1024;

fn start(compression: Option<HttpCompression>) -> Inside {
    let mut config = Config::default();
    config.settings.shards = Some(2);
    config.settings.http_compression = compression;
    config.settings.allow_eio3 = true;
    Inside::serve(config, |_| App::new().namespace("/", talkative()))
}

/// One with the default settings for all tests.
fn server() -> &'static Inside {
    static SERVER: OnceLock<Inside> = OnceLock::new();
    SERVER.get_or_init(|| start(Some(HttpCompression::default())))
}

fn talkative() -> Namespace {
    Namespace::new()
        .on_connect(async |socket: Socket| socket.emit("auth", &()))
        .on("message-with-ack", |_: Socket, text: String| text)
        .on("say", |socket: Socket, bytes: usize, may: bool| {
            socket.compress(may).emit("said", &text(bytes))
        })
        .on("say-both", |socket: Socket, bytes: usize| {
            socket.compress(false).emit("said", &text(bytes))?;
            socket.emit("said", &"small")
        })
        .on("say-all", |socket: Socket, bytes: usize, may: bool| {
            socket.everyone().compress(may).emit("said", &text(bytes))
        })
        .on("ask", async |socket: Socket, bytes: usize, may: bool| {
            let patience = Duration::from_secs(5);
            let question = text(bytes);
            let asked = socket.compress(may).timeout(patience);
            let _ = asked.emit_with_ack::<String>("said", &question).await;
        })
        .on("ask-all", async |socket: Socket, bytes: usize, may: bool| {
            let everyone = socket.everyone().compress(may).timeout(Duration::from_secs(5));
            let _ = everyone.emit_with_ack::<String>("said", &text(bytes)).await;
        })
        .on("echo", |_: Socket, text: String| text)
}

/// Text that is not all the same.
fn text(bytes: usize) -> String {
    let mut text: String = (0..bytes / 6 + 1).map(|number| format!("{number:05} ")).collect();
    text.truncate(bytes);
    text
}

fn target(poller: &Poller) -> String {
    format!("{HANDSHAKE}&sid={}", poller.sid)
}

/// A poll by one that accepts this: its `Content-Encoding`, its bytes as they came and as they are.
fn poll(poller: &mut Poller, accept: &str) -> (Option<String>, usize, String) {
    let accept = format!("Accept-Encoding: {accept}\r\n");
    poller.polls.send(get(&target(poller), &accept));
    let head = poller.polls.head().expect("an answer");
    assert_eq!(head.status, 200, "{head:?}");
    let length = head.header("content-length").expect("a length").parse().unwrap();
    let bytes = poller.polls.read_exact(length).expect("a whole body");
    let encoding = head.header("content-encoding").map(String::from);
    let mut plain = String::new();
    match encoding.as_deref() {
        Some("gzip") => flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut plain),
        Some("deflate") => flate2::read::ZlibDecoder::new(&bytes[..]).read_to_string(&mut plain),
        None => (&bytes[..]).read_to_string(&mut plain),
        Some(other) => panic!("{other}"),
    }
    .unwrap();
    (encoding, length, plain)
}

/// What comes of an event, for one that accepts gzip.
fn heard(poller: &mut Poller, event: &str) -> (Option<String>, String) {
    poller.emit(event);
    let (encoding, _, body) = poll(poller, "gzip");
    (encoding, body)
}

fn said(bytes: usize) -> String {
    format!("42[\"said\",\"{}\"]", text(bytes))
}

/// What surrounds an event's text in its answer.
fn frame_bytes() -> usize {
    said(0).len()
}

#[test]
fn the_coding_is_the_one_that_the_client_likes_best() {
    let mut poller = Poller::open(server().address());
    for (accept, expected) in [
        ("gzip, deflate, br", Some("gzip")),
        ("deflate, gzip", Some("deflate")),
        ("gzip;q=0.5, deflate;q=0.8", Some("deflate")),
        ("*", Some("gzip")),
        ("gzip;q=0", None),
        ("br, identity", None),
        ("", None),
    ] {
        poller.emit("[\"say\",5000,true]");
        let (encoding, length, body) = poll(&mut poller, accept);
        assert_eq!((encoding.as_deref(), &*body), (expected, &*said(5000)), "{accept}");
        assert_eq!(length < 5000, expected.is_some(), "{accept}: {length}");
    }
    // Who says nothing of it gets it as it is.
    poller.emit("[\"say\",5000,true]");
    let request = poller.poll();
    let plain = poller.polls.ask(request);
    assert_eq!((plain.header("content-encoding"), &*plain.body), (None, &*said(5000)));
}

#[test]
fn short_answers_are_sent_as_they_are() {
    let mut poller = Poller::open(server().address());
    for (bytes, expected) in [
        (10, None),
        (THRESHOLD - frame_bytes() - 1, None),
        (THRESHOLD - frame_bytes(), Some("gzip")),
    ] {
        let (encoding, body) = heard(&mut poller, &format!("[\"say\",{bytes},true]"));
        assert_eq!((encoding.as_deref(), body), (expected, said(bytes)), "{bytes}");
    }
}

#[test]
fn the_flag_of_a_message_keeps_its_answer_as_it_is() {
    let mut poller = Poller::open(server().address());
    for event in ["say", "say-all"] {
        for (may, expected) in [(false, None), (true, Some("gzip")), (false, None)] {
            let (encoding, body) = heard(&mut poller, &format!("[\"{event}\",3000,{may}]"));
            assert_eq!((encoding.as_deref(), body), (expected, said(3000)), "{event} {may}");
        }
    }
    // What follows one that may not be compressed may be, and one is enough for all that go together.
    let (encoding, body) = heard(&mut poller, "[\"say-both\",3000]");
    assert_eq!(encoding.as_deref(), Some("gzip"));
    assert_eq!(body, format!("{}\x1e42[\"said\",\"small\"]", said(3000)));
    let echo = text(3000);
    let (encoding, body) = heard(&mut poller, &format!("0[\"echo\",\"{echo}\"]"));
    assert_eq!((encoding.as_deref(), body), (Some("gzip"), format!("430[\"{echo}\"]")));
}

#[test]
fn the_flag_goes_along_with_questions() {
    for event in ["ask", "ask-all"] {
        for (may, expected) in [(false, None), (true, Some("gzip"))] {
            // A client of its own: others are asked, too.
            let alone = start(Some(HttpCompression::default()));
            let mut poller = Poller::open(alone.address());
            let (encoding, body) = heard(&mut poller, &format!("[\"{event}\",3000,{may}]"));
            assert_eq!(encoding.as_deref(), expected, "{event} {may}");
            assert!(body.starts_with("42") && body.ends_with(&said(3000)[2..]), "{body:.20}");
        }
    }
}

#[test]
fn the_flag_goes_along_to_other_cores() {
    let alone = start(Some(HttpCompression::default()));
    let mut speaker = Guest::on(alone.address(), 0);
    speaker.join("/");
    let mut listeners: Vec<_> = (0..12).map(|_| Poller::open(alone.address())).collect();
    for (may, expected) in [(false, None), (true, Some("gzip"))] {
        speaker.emit("/", &format!("[\"say-all\",4000,{may}]"));
        for listener in &mut listeners {
            let (encoding, _, body) = poll(listener, "gzip");
            assert_eq!((encoding.as_deref(), body), (expected, said(4000)));
        }
    }
}

#[test]
fn long_answers_are_whole_and_hold_nobody_up() {
    let mut poller = Poller::open(server().address());
    let mut other = Client::open(server().address());
    for accept in ["gzip", "deflate", "gzip"] {
        for bytes in [60_000, 65_536, 70_000, 900_000] {
            poller.emit(&format!("[\"say\",{bytes},true]"));
            let (encoding, length, body) = poll(&mut poller, accept);
            assert_eq!(encoding.as_deref(), Some(accept));
            assert!(body == said(bytes), "{accept} {bytes}: {}", body.len());
            assert!(length < bytes / 2, "{length} of {bytes}");
            other.assert_alive();
        }
    }
    // Several at a time.
    let mut pollers: Vec<_> = (0..8).map(|_| Poller::open(server().address())).collect();
    for poller in &mut pollers {
        poller.emit("[\"say\",400000,true]");
        poller.polls.send(get(&target(poller), "Accept-Encoding: gzip\r\n"));
    }
    for poller in &mut pollers {
        let head = poller.polls.head().unwrap();
        assert_eq!(head.header("content-encoding"), Some("gzip"));
        let bytes =
            poller.polls.read_exact(head.header("content-length").unwrap().parse().unwrap());
        let mut plain = String::new();
        flate2::read::GzDecoder::new(&bytes.unwrap()[..]).read_to_string(&mut plain).unwrap();
        assert!(plain == said(400_000));
        assert_eq!(poller.ask("[\"message-with-ack\",\"on\"]"), "[\"on\"]");
    }
}

#[test]
fn a_client_that_goes_while_its_answer_is_compressed_leaves_nothing_behind() {
    let alone = start(Some(HttpCompression::default()));
    for _ in 0..20 {
        let mut poller = Poller::open(alone.address());
        poller.emit("[\"say\",900000,true]");
        poller.polls.send(get(&target(&poller), "Accept-Encoding: gzip\r\n"));
        poller.emit("[\"message-with-ack\",1]");
        poller.send("1");
    }
    assert!(soon(|| {
        let gauges = [
            alone.count(|it| it.connections.value()),
            alone.count(|it| it.sessions.value()),
            alone.count(|it| it.tasks.value()),
        ];
        gauges == [0; 3]
    }));
    let mut poller = Poller::open(alone.address());
    assert_eq!(heard(&mut poller, "[\"say\",2000,true]").1, said(2000));
}

#[test]
fn other_answers_are_sent_as_they_are() {
    let accept = "Accept-Encoding: gzip\r\n";
    let mut poller = Poller::open(server().address());
    let request = poller.post("40").replace("Host:", &format!("{accept}Host:"));
    let post = poller.posts.ask(request);
    assert_eq!((post.header("content-encoding"), &*post.body), (None, "ok"));
    let long = format!("{HANDSHAKE}&sid={}", "x".repeat(3000));
    let refused = Wire::open(server().address()).ask(get(&long, accept));
    assert_eq!((refused.status, refused.header("content-encoding")), (400, None));
}

#[test]
fn revision_3_and_jsonp_are_compressed_too() {
    for (target, is_jsonp) in [
        ("/socket.io/?EIO=3&transport=polling", false),
        ("/socket.io/?EIO=4&transport=polling&j=0", true),
    ] {
        let mut wire = Wire::open(server().address());
        let answer = wire.ask(get(target, ""));
        let at = answer.body.find("sid").unwrap();
        let sid: String =
            answer.body[at + 3..].chars().skip_while(|it| "\\\":".contains(*it)).take(20).collect();
        let target = format!("{target}&sid={sid}");
        let event = "42[\"say\",5000,true]";
        let packets = match is_jsonp {
            true => vec!["d=40".to_owned(), format!("d={event}")],
            false => vec![format!("{}:{event}", event.len())],
        };
        for body in packets {
            let (form, len) = ("Content-Type: application/x-www-form-urlencoded", body.len());
            let form = if is_jsonp { form } else { "Content-Type: text/plain" };
            wire.send(format!(
                "POST {target} HTTP/1.1\r\nHost: a\r\n{form}\r\nContent-Length: {len}\r\n\r\n{body}"
            ));
            assert_eq!(wire.response().unwrap().body, "ok");
        }
        let mut plain = String::new();
        while !plain.contains(&text(5000)) {
            wire.send(get(&target, "Accept-Encoding: deflate\r\n"));
            let head = wire.head().unwrap();
            assert_eq!(head.status, 200, "{head:?}");
            let length = head.header("content-length").unwrap().parse().unwrap();
            let bytes = wire.read_exact(length).unwrap();
            plain.clear();
            match head.header("content-encoding") {
                Some("deflate") => {
                    flate2::read::ZlibDecoder::new(&bytes[..]).read_to_string(&mut plain).unwrap();
                }
                _ => assert!(length < THRESHOLD, "{head:?}"),
            }
        }
    }
}

#[test]
fn it_can_be_turned_off_and_told_from_where_on() {
    let off = start(None);
    let mut poller = Poller::open(off.address());
    assert_eq!(heard(&mut poller, "[\"say\",5000,true]"), (None, said(5000)));
    let always = start(Some(HttpCompression { threshold: 0 }));
    let mut poller = Poller::open(always.address());
    assert_eq!(heard(&mut poller, "[\"say\",1,true]"), (Some("gzip".into()), said(1)));
    let later = start(Some(HttpCompression { threshold: 10_000 }));
    let mut poller = Poller::open(later.address());
    assert_eq!(heard(&mut poller, "[\"say\",9000,true]").0, None);
    assert_eq!(heard(&mut poller, "[\"say\",10000,true]").0.as_deref(), Some("gzip"));
}

#[test]
fn what_is_being_compressed_when_the_server_stops_still_comes() {
    let server = Server::start(1);
    let mut pollers: Vec<_> = (0..6).map(|_| Poller::open(server.address())).collect();
    for poller in &mut pollers {
        poller.polls.send(get(&target(poller), "Accept-Encoding: gzip\r\n"));
        poller.emit(&format!("[\"message\",\"{}\"]", text(900_000)));
    }
    server.terminate();
    for poller in &mut pollers {
        let head = poller.polls.head().expect("an answer");
        assert_eq!((head.status, head.header("content-encoding")), (200, Some("gzip")));
        let bytes = poller.polls.read_to_end();
        let mut plain = String::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut plain).unwrap();
        assert!(plain == format!("42[\"message-back\",\"{}\"]", text(900_000)));
    }
    server.wait_for_exit();
}
