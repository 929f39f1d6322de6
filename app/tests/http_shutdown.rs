//! The end of a server whose application is in the middle of answers.

#![allow(clippy::unwrap_used)]

mod harness;

use std::time::{Duration, Instant};

use harness::*;

#[test]
fn answers_under_way_are_finished_and_endless_ones_ended() {
    let server = Server::of("site", 2, &[]);
    let mut late: Vec<Wire> = (0..4).map(|_| Wire::open(server.address())).collect();
    for wire in &mut late {
        wire.send(get("/tools/wait/700", "") + &get("/tools/wait/0", ""));
    }
    let mut events = Wire::open(server.address());
    events.send(get("/tools/clock", ""));
    assert_eq!(events.head().unwrap().status, 200);
    assert_eq!(events.chunk().unwrap(), b"data: 0\nid: 0\n\n");
    let mut upload = Wire::open(server.address());
    upload.send("PUT /tools/count HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx");
    std::thread::sleep(Duration::from_millis(100));

    let begun = Instant::now();
    server.terminate();
    while let Some(chunk) = events.chunk() {
        if chunk.is_empty() {
            break;
        }
    }
    assert_eq!(events.read_to_end(), b"", "it ended whole");
    assert!(begun.elapsed() < Duration::from_millis(600), "endless answers end at once");
    upload.send("x".repeat(999));
    let response = upload.response().unwrap();
    assert_eq!((&*response.body, response.header("connection")), ("1000", Some("close")));
    for wire in &mut late {
        let response = wire.response().unwrap();
        assert_eq!(response.body, "waited 700 ms");
        assert_eq!(response.header("connection"), Some("close"));
        assert_eq!(wire.response(), None, "the next request is for another server");
    }
    server.wait_for_exit();
}

/// The end waits for no handler for ever.
#[test]
fn a_handler_that_does_not_end_does_not_keep_the_server() {
    let server = Server::of("site", 1, &[]);
    let mut wire = Wire::open(server.address());
    wire.send(get("/tools/wait/600000", ""));
    std::thread::sleep(Duration::from_millis(100));
    server.stop();
}

#[test]
fn the_site_is_what_its_page_says() {
    let server = Server::of("site", 2, &[]);
    let mut wire = Wire::open(server.address());
    assert!(wire.ask(get("/", "")).body.contains("<h1>Site</h1>"));
    assert_eq!(wire.ask(get("/admin/chat/recent", "")).status, 401);
    let key = "Authorization: Bearer open sesame\r\n";
    assert_eq!(wire.ask(get("/admin/chat/recent", key)).body, "[]");
    let line = r#"{"from":"ann","text":"hi"}"#;
    let said = format!(
        "POST /chat/say HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{line}",
        line.len()
    );
    assert_eq!(wire.ask(&said).status, 201);
    assert_eq!(wire.ask(get("/chat/recent", "")).body, format!("[{line}]"));
    let bad = wire.ask(said.replace("application/json", "text/plain"));
    assert_eq!(bad.status, 415);
    assert!(bad.body.starts_with("{\"error\":"), "{bad:?}");
    let nothing = wire.ask(get("/none?x", ""));
    assert_eq!((nothing.status, &*nothing.body), (404, "there is nothing at /none?x\n"));
    server.stop();
}
