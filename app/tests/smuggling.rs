//! Requests that two readers could understand differently: the server refuses them, closes, and never
//! takes what follows on the connection for a request.

#![allow(clippy::unwrap_used)]

mod harness;

use harness::*;

/// The start of a request that a body may follow.
const POST: &str = "POST /anywhere HTTP/1.1\r\nHost: localhost\r\n";

/// A valid request that must not be answered when it follows an ambiguous one.
fn follower() -> String {
    get(HANDSHAKE, "")
}

/// Sends an ambiguous request with a valid one behind it: one refusal, then the end.
fn assert_refused(server: &Server, request: &[u8]) {
    let shown = String::from_utf8_lossy(&request[..request.len().min(300)]).into_owned();
    let mut wire = Wire::open(server.address());
    wire.send([request, follower().as_bytes()].concat());
    wire.end();
    let response = wire.response().unwrap_or_else(|| panic!("no answer to {shown:?}"));
    let status = response.status;
    assert!(
        (400..500).contains(&status) || [501, 505].contains(&status),
        "{shown:?}: {response:?}"
    );
    assert_eq!(response.header("connection"), Some("close"), "{shown:?}: {response:?}");
    assert_eq!(wire.response(), None, "{shown:?}: something was answered behind a refusal");
}

fn assert_all_refused<T: AsRef<[u8]>>(requests: &[T]) {
    let server = Server::start(2);
    for request in requests {
        assert_refused(&server, request.as_ref());
    }
    Client::open(server.address()).assert_alive();
    server.stop();
}

#[test]
fn a_length_and_a_coding_together_are_refused() {
    assert_all_refused(&[
        format!("{POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("{POST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
        format!("{POST}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("{POST}content-length: 6\r\ntRANSFER-eNCODING: chunked\r\n\r\n0\r\n\r\nG"),
    ]);
}

#[test]
fn any_coding_but_chunked_is_refused() {
    let codings = [
        "identity",
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "xchunked",
        "chunkedx",
        "\"chunked\"",
        "chunked;q=1",
        "chunked,",
        ",chunked",
        "\u{b}chunked",
        "chunk",
        "chunked, identity",
        "identity, chunked",
        "",
    ];
    let mut requests: Vec<String> = codings
        .iter()
        .map(|coding| format!("{POST}Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n"))
        .collect();
    let chunked = "Transfer-Encoding: chunked\r\n";
    requests.push(format!("{POST}{chunked}{chunked}\r\n0\r\n\r\n"));
    requests.push(format!("{POST}{chunked}Transfer-Encoding: identity\r\n\r\n0\r\n\r\n"));
    requests.push(format!("{POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"));
    requests.push(format!("{POST} Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
    requests.push(format!("{POST}X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
    requests.push(format!("{POST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"));
    requests.push(POST.replace("1.1", "1.0") + chunked + "\r\n0\r\n\r\n");
    assert_all_refused(&requests);
}

#[test]
fn a_length_that_is_not_one_plain_number_is_refused() {
    let lengths = [
        "+5",
        "-5",
        "-0",
        "5 5",
        "5_0",
        "0x5",
        "5.0",
        "5,5",
        "5, 5",
        "5;5",
        "",
        "five",
        "\"5\"",
        "99999999999999999999999",
        "18446744073709551616",
        "9223372036854775808",
        "1e1",
        "5\u{b}",
        "5, 6",
        "\u{ff15}",
    ];
    let mut requests: Vec<String> = lengths
        .iter()
        .map(|length| format!("{POST}Content-Length: {length}\r\n\r\nhello"))
        .collect();
    requests.push(format!("{POST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"));
    requests.push(format!("{POST}Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello"));
    requests.push(format!("{POST}Content-Length : 5\r\n\r\nhello"));
    requests.push(format!("{POST}Content-Length\t: 5\r\n\r\nhello"));
    requests.push(format!("{POST}X: y\r\n\tContent-Length: 5\r\n\r\nhello"));
    assert_all_refused(&requests);
}

#[test]
fn lines_that_end_or_begin_oddly_are_refused() {
    let host = "Host: localhost\r\n";
    let mut requests: Vec<Vec<u8>> = [
        "GET / HTTP/1.1\nHost: localhost\n\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: localhost\n\r\n".to_owned(),
        "GET / HTTP/1.1\rHost: localhost\r\r".to_owned() + "\r\n\r\n",
        format!("GET / HTTP/1.1\r\n{host}X: a\rY: b\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}X: a\nContent-Length: 40\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}X: a\r\n b\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}X: a\0b\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}X\0: ab\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}: nameless\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}no colon\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{host}X Y: b\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n X: y\r\n{host}\r\n"),
        format!("GET /a b HTTP/1.1\r\n{host}\r\n"),
        format!("GET / HTTP/1.1 \r\n{host}\r\n"),
        format!("GET  / HTTP/1.1\r\n{host}\r\n"),
        format!("GET / HTTP/2.0\r\n{host}\r\n"),
        format!("GET / HTTP/1.12\r\n{host}\r\n"),
        format!("GET / http/1.1\r\n{host}\r\n"),
        format!("GET /\r\n{host}\r\n"),
        format!("G\0T / HTTP/1.1\r\n{host}\r\n"),
        format!("{{}} / HTTP/1.1\r\n{host}\r\n"),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\n{host}{host}\r\n"),
        format!("GET / HTTP/1.1\r\n{host}Host: other\r\n\r\n"),
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect();
    requests.push(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello over TLS\r\n\r\n".to_vec());
    requests.push(b"GET /\xff\xfe HTTP/1.1\r\nHost: \xff\r\n\r\n".to_vec());
    assert_all_refused(&requests);
}

#[test]
fn chunks_that_do_not_follow_the_grammar_are_refused() {
    let bodies = [
        "5\r\nhelloX\r\n0\r\n\r\n".to_owned(),
        "5\r\nhello0\r\n\r\n".to_owned(),
        "5\nhello\r\n0\r\n\r\n".to_owned(),
        "5\r\nhello\n0\r\n\r\n".to_owned(),
        "0x5\r\nhello\r\n0\r\n\r\n".to_owned(),
        "+5\r\nhello\r\n0\r\n\r\n".to_owned(),
        "-1\r\nhello\r\n0\r\n\r\n".to_owned(),
        " 5\r\nhello\r\n0\r\n\r\n".to_owned(),
        "5_0\r\nhello\r\n0\r\n\r\n".to_owned(),
        "\r\nhello\r\n0\r\n\r\n".to_owned(),
        "g\r\nhello\r\n0\r\n\r\n".to_owned(),
        "5;a\nb\r\nhello\r\n0\r\n\r\n".to_owned(),
        "5;a\0b\r\nhello\r\n0\r\n\r\n".to_owned(),
        "ffffffffffffffff\r\nhello\r\n0\r\n\r\n".to_owned(),
        "10000000000000005\r\nhello\r\n0\r\n\r\n".to_owned(),
        format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(2_000)),
        format!("{}5\r\nhello\r\n0\r\n\r\n", "0".repeat(2_000)),
        format!("0\r\n{}\r\n", "X: y\r\n".repeat(2_000)),
        "0\r\nContent-Length: 5\nX: y\r\n\r\n".to_owned(),
    ];
    assert_all_refused(
        &bodies.map(|body| format!("{POST}Transfer-Encoding: chunked\r\n\r\n{body}")),
    );
}

#[test]
fn valid_requests_behind_each_other_are_answered_in_order() {
    let server = Server::with(4, &[("CORS", "*")]);
    let mut requests = String::new();
    let mut expected = Vec::new();
    for i in 0..200 {
        let (request, status) = match i % 5 {
            0 => (get(HANDSHAKE, ""), 200),
            1 => (get("/nothing-here", ""), 404),
            2 => (get(&format!("{HANDSHAKE}&sid=unknown"), ""), 400),
            3 => (POST.to_owned() + "Content-Length: 5\r\n\r\nhello", 404),
            _ => (POST.to_owned() + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 404),
        };
        requests += &request;
        expected.push(status);
    }
    // At once, and in pieces that end anywhere.
    for piece in [requests.len(), 1_000, 7] {
        let mut wire = Wire::open(server.address());
        for piece in requests.as_bytes().chunks(piece) {
            wire.send(piece);
        }
        for (i, status) in expected.iter().enumerate() {
            let response = wire.response().unwrap();
            assert_eq!(response.status, *status, "answer {i} to pieces of {piece}: {response:?}");
            assert_eq!(response.body.contains("\"sid\""), i % 5 == 0, "{response:?}");
        }
    }
    server.stop();
}

/// Each request of one connection belongs to a session of another shard, so that the connection moves
/// with its unread rest each time.
#[test]
fn a_pipeline_across_shards_is_answered_in_order() {
    let server = Server::start(4);
    let mut sessions: Vec<Poller> = (0..12).map(|_| Poller::open(server.address())).collect();
    for round in 0..10 {
        let mut requests = String::new();
        for (i, session) in sessions.iter().enumerate() {
            let echo = format!("42[\"message\",\"round {round} session {i}\"]");
            requests += &session.post(&echo);
            requests += &session.poll();
        }
        let mut wire = Wire::open(server.address());
        wire.send(&requests);
        for i in 0..sessions.len() {
            assert_eq!(wire.response().unwrap().body, "ok", "round {round} session {i}");
            let echo = wire.response().unwrap().body;
            assert_eq!(echo, format!("42[\"message-back\",\"round {round} session {i}\"]"));
        }
    }
    for session in &mut sessions {
        assert_eq!(session.ask("[\"message-with-ack\",1]"), "[1]");
    }
    server.stop();
}
