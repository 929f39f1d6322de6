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

/// Whoever maps names as CGI does sees a length where others see none.
#[test]
fn names_that_resemble_a_length_or_coding_are_refused() {
    let mut requests = Vec::new();
    for name in
        ["Content_Length", "Content--Length", "ContentLength", "content.length", "_Content-Length"]
    {
        requests.push(format!("{POST}{name}: 5\r\n\r\nhello"));
        requests.push(format!("{POST}Content-Length: 5\r\n{name}: 0\r\n\r\nhello"));
        requests.push(format!("GET / HTTP/1.1\r\nHost: localhost\r\n{name}: 40\r\n\r\n"));
    }
    for name in ["Transfer_Encoding", "Transfer--Encoding", "TransferEncoding", "transfer.encoding"]
    {
        requests.push(format!("{POST}{name}: chunked\r\n\r\n0\r\n\r\n"));
        requests.push(format!("{POST}Content-Length: 5\r\n{name}: chunked\r\n\r\n0\r\n\r\n"));
    }
    assert_all_refused(&requests);
}

/// The body of a GET means nothing; a neighbour that does not see it takes it for a request. The server
/// answers, and never a second time.
#[test]
fn a_get_with_a_body_is_the_last_request_of_its_connection() {
    let server = Server::start(2);
    let hidden = follower();
    let length = format!("Content-Length: {}\r\n", hidden.len());
    let chunks = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
    let mut session = Poller::open(server.address());
    session.emit("[\"message\",\"to be polled\"]");
    let poll = session.poll();
    let poll = poll.split(' ').nth(1).unwrap();
    for (target, status) in [
        (HANDSHAKE, 200),
        ("/nothing-here", 404),
        ("/socket.io/?EIO=4&transport=nothing", 400),
        (poll, 200),
    ] {
        let requests = [
            get(target, &length) + &hidden,
            get(target, "Transfer-Encoding: chunked\r\n") + &chunks,
            get(target, &(length.clone() + "Connection: keep-alive\r\n")) + &hidden,
        ];
        // One poll has one answer.
        for request in requests.iter().take(if target == poll { 1 } else { 3 }) {
            let mut wire = Wire::open(server.address());
            let response = wire.ask(request.clone() + &hidden);
            assert_eq!(response.status, status, "{request:?}: {response:?}");
            assert_eq!(response.header("connection"), Some("close"), "{request:?}: {response:?}");
            assert_eq!(wire.response(), None, "{request:?}: the body was taken for a request");
        }
    }
    server.stop();
}

/// Its bytes would be taken for frames by one and for a request by another.
#[test]
fn an_upgrade_with_a_body_is_no_upgrade() {
    let server = Server::start(2);
    let target = "/socket.io/?EIO=4&transport=websocket";
    let hidden = follower();
    for framing in
        [format!("Content-Length: {}\r\n", hidden.len()), "Transfer-Encoding: chunked\r\n".into()]
    {
        let mut wire = Wire::open(server.address());
        let response = wire.ask(get(target, &format!("{UPGRADE}{framing}")) + &hidden);
        assert_eq!(response.status, 400, "{response:?}");
        assert_eq!(response.header("connection"), Some("close"), "{response:?}");
        assert_eq!(wire.response(), None, "something was answered behind it");
    }
    let mut wire = Wire::open(server.address());
    assert_eq!(wire.ask(get(target, UPGRADE)).status, 101);
    server.stop();
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
        format!("\r\n\r\n\r\nGET /?Cookie: HTTP/1.1\r\n{host}\r\n"),
        format!("CONNECT / HTTP/1.1\r\n{host}\r\n"),
        format!("GET http://user@localhost/ HTTP/1.1\r\n{host}\r\n"),
        "GET / HTTP/1.1\r\nHost: user@localhost\r\n\r\n".to_owned(),
        format!("{} / HTTP/1.1\r\n{host}\r\n", "M".repeat(10_000)),
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
        "0\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "5;\r\nhello\r\n0\r\n\r\n".to_owned(),
        "5;a=\"\r\nhello\r\n0\r\n\r\n".to_owned(),
        format!("{}0\r\n\r\n", format!("1;{}\r\nx\r\n", "y".repeat(200)).repeat(100)),
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
