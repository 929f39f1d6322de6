//! What a request is refused for, and what only looks as if it should be. Each row comes whole, byte by
//! byte, and cut in two at every place, and ends the same; a request behind a refused one is never seen.

#![allow(clippy::unwrap_used)]

mod http_connection;

use http_connection::*;
use yamabiko_protocol::http::HttpError::{self, *};
use yamabiko_protocol::limits::HttpLimits;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n";
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked";

fn verdict(bytes: &[u8]) -> Outcome {
    let limits = HttpLimits::default();
    let whole = outcome([bytes], &limits);
    let shown = bytes.escape_ascii();
    assert_eq!(outcome(bytes.chunks(1), &limits), whole, "byte by byte: {shown}");
    for at in 1..bytes.len() {
        let pieces = [&bytes[..at], &bytes[at..]];
        assert_eq!(outcome(pieces, &limits), whole, "cut at {at}: {shown}");
    }
    whole
}

fn assert_refused(request: impl AsRef<[u8]>, error: HttpError) {
    let request = request.as_ref();
    let (requests, end) = verdict(&[request, HIDDEN.as_bytes()].concat());
    assert_eq!(end, End::Refused(error), "{}", request.escape_ascii());
    assert_eq!(requests, [], "{}", request.escape_ascii());
}

/// Rows of a table, with ` | ` between them.
fn rows(text: &str) -> impl Iterator<Item = &str> {
    text.split(" | ")
}

/// A POST with these header lines.
fn post(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n")
}

#[test]
fn request_lines() {
    for (error, lines) in [
        // Not three words with one space between them, or other bytes than text.
        (BadHead, "GET / | GET | GET  / HTTP/1.1 | GET / HTTP/1.1  |  GET / HTTP/1.1"),
        (BadHead, "GET\t/ HTTP/1.1 | GET /\tHTTP/1.1 | GET /\0 HTTP/1.1 | GET /\u{7f} HTTP/1.1"),
        (
            BadHead,
            "G\0T / HTTP/1.1 | G(T / HTTP/1.1 | \u{16}\u{3}\u{1} | \r\n\r\n\r\nGET / HTTP/1.1",
        ),
        // What this server has not: authorities, users, fragments, tunnels.
        (BadTarget, "GET a HTTP/1.1 | GET * HTTP/1.1 | GET /#a HTTP/1.1 | GET http:///b HTTP/1.1"),
        (
            BadTarget,
            "GET http://a HTTP/1.1 | GET http://u:p@a/ HTTP/1.1 | GET http://a,b/ HTTP/1.1",
        ),
        (BadTarget, "GET ftp://a/ HTTP/1.1 | CONNECT a:80 HTTP/1.1 | CONNECT / HTTP/1.1"),
        (UnknownVersion, "GET / HTTP/1.2 | GET / HTTP/2.0 | GET / http/1.1 | GET / b HTTP/1.1"),
    ] {
        for line in rows(lines) {
            assert_refused(format!("{line}\r\nHost: a\r\n\r\n"), error);
        }
    }
}

#[test]
fn header_lines_and_line_ends() {
    for line in rows(
        "A : b | A\t: b |  A: b | \tA: b | A: b\r\n c | A: b\r\n\tc | A:\r\n b | no colon | : b | \
         A B: c | A\0: b | A: b\0 | A: b\u{1} | A: b\u{7f} | A: b\rc | A: b\r | A: \rb | A\r: b | \
         A: b\nB: c | A: b\n\r\nB: c | \u{e4}: b | (A): b | \rA: b",
    ) {
        assert_refused(post(line), BadHead);
        assert_refused(format!("GET / HTTP/1.1\r\n{line}\r\nHost: a\r\n\r\n"), BadHead);
    }
    for head in rows(
        "GET / HTTP/1.1\nHost: a\r\n\r\n | GET / HTTP/1.1\r\nHost: a\n\r\n | \
         GET / HTTP/1.1\r\nHost: a\r\n\n | GET / HTTP/1.1\rHost: a\r\n\r\n | \
         \nGET / HTTP/1.1\r\nHost: a\r\n\r\n | \rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ) {
        assert_refused(head, BadHead);
    }
}

#[test]
fn hosts() {
    assert_refused("GET / HTTP/1.1\r\nA: b\r\n\r\n", BadHost);
    assert_refused(b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", BadHost);
    assert_refused("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", BadHost);
    for host in
        rows("a\r\nHost: a | a\r\nhost: b | a b | a,b | a/b | a@b | a:b | :80 | [::1 | \u{e4}")
    {
        assert_refused(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"), BadHost);
    }
}

#[test]
fn lengths_and_codings() {
    for length in rows(
        " | +5 | -5 | 5 5 | 5,5 | 5, 6 | 1_0 | 0x5 | 5.0 | 5; | \"5\" | five | \u{ff15} | \
         99999999999999999999 | 18446744073709551616 | 5\r\nContent-Length: 5 | 5\r\ncontent-length: 6",
    ) {
        assert_refused(post(&format!("Content-Length: {length}")), BadLength);
    }
    // Names that a neighbour takes for the one they resemble, with and without a real one.
    for name in rows(
        "Content_Length | content--length | ContentLength | -Content-Length | Content-Length_ | \
         Content.Length | Transfer_Encoding | Transfer--Encoding | TransferEncoding | 'transfer.encoding'",
    ) {
        assert_refused(post(&format!("{name}: 5")), BadLength);
        assert_refused(post(&format!("{name}: chunked\r\nContent-Length: 5")), BadLength);
        assert_refused(post(&format!("{CHUNKED}\r\n{name}: 5")), BadLength);
        assert_refused(format!("{GET}{name}: 5\r\n\r\n"), BadLength);
    }
    for other in ["Content-Length: 5", "Content-Length: 0", CHUNKED] {
        assert_refused(post(&format!("{CHUNKED}\r\n{other}")), BadLength);
        assert_refused(post(&format!("{other}\r\nA: b\r\nTRANSFER-ENCODING: Chunked")), BadLength);
    }
    assert_refused(format!("POST / HTTP/1.0\r\n{CHUNKED}\r\n\r\n"), BadLength);
    for coding in rows(
        " | identity | gzip, chunked | chunked, gzip | chunked, chunked | chunked, | ,chunked | chunk | \
         xchunked | chunkedx | chunked;a=b | \"chunked\" | chunked\u{a0} | identity, chunked",
    ) {
        assert_refused(post(&format!("Transfer-Encoding: {coding}")), UnknownCoding);
    }
    for expectation in rows(" | 100 | 200-ok | 100-continue, x | 100-continue\r\nExpect: x") {
        assert_refused(post(&format!("Expect: {expectation}")), UnknownExpectation);
    }
    assert_refused(post("Content-Length: 1000001"), BodyTooLarge);
}

#[test]
fn chunks() {
    let body = |chunks: &str| post(CHUNKED) + chunks;
    for chunks in [
        // The size and its end.
        "\r\n | g\r\n | -1\r\n | +1\r\n |  1\r\n | 1 \r\n | \t1 | 0x1\r\n | 1_0\r\n",
        "1\n | 1\ra | 1\r\r\n | 0000000000000001\r\n",
        // Extensions and their ends.
        "1;\r\n | 1; \r\n | 1;=b\r\n | 1;a[=b\r\n | 1;a;;b\r\n",
        "1;a=\"b\r\n | 1;a=\"\\\r\n | 1;a\n | 1;a\rb | 1;a\0",
        // The data's end.
        "1\r\na\n | 1\r\nab | 1\r\na\r0 | 1\r\na0\r\n",
        // Trailers and their ends.
        "0\r\n\n | 0\r\n\rx | 0\r\n A: b\r\n | 0\r\nA\r\n | 0\r\nA : b | 0\r\n: b",
        "0\r\nA: b\n | 0\r\nA: \0 | 0\r\nA: b\rc | 0\r\nGET / HTTP/1.1\r\n\r\n",
    ] {
        for chunks in rows(chunks) {
            assert_refused(body(chunks), BadChunk);
        }
    }
    assert_refused(body("f4241\r\n"), BodyTooLarge);
}

/// CVE-2024-22019 of Node: a few bytes of body cost bytes without end.
#[test]
fn cve_2024_22019_extensions_are_bounded_over_all_chunks() {
    let line = format!("1;{}\r\na\r\n", "x".repeat(200));
    let limits = HttpLimits::default();
    for (count, is_read) in [(81, true), (82, false)] {
        let request = post(CHUNKED) + &line.repeat(count) + "0\r\n\r\n";
        for step in [1, 1_000, request.len()] {
            let (requests, end) = outcome(request.as_bytes().chunks(step), &limits);
            assert_eq!(end, if is_read { End::Open } else { End::Refused(BadChunk) });
            assert_eq!(requests.len(), usize::from(is_read), "{count} in pieces of {step}");
        }
    }
}

#[test]
fn what_is_read() {
    let chunked = post("Transfer-Encoding: Chunked");
    for (line, body, text) in [
        ("GET /", "", &(GET.to_owned() + "\r\n")),
        ("GET /", "", &("\r\n\r\n".to_owned() + GET + "\r\n")),
        ("GET /", "", &(GET.to_owned() + "content-length: 0\r\nX-Content-Length: 5\r\nA:\r\n\r\n")),
        ("POST /", "abc", &(post("Content-Length: \t003 ") + "abc")),
        ("POST /", "abc", &(chunked.clone() + "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n")),
        ("POST /", "a", &(chunked + "01;a;b=\"c;\\\"d\"; e = f\r\na\r\n0\r\nA: b\r\nC:\r\n\r\n")),
        ("OPTIONS *", "", &"OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n".into()),
        ("PUT /b?c", "", &"PUT http://a/b?c HTTP/1.1\r\nHost: [::1]:80\r\n\r\n".into()),
        (
            "get /\u{e4}|{}\"",
            "",
            &"get /\u{e4}|{}\" HTTP/1.1\r\nHost: a\r\nB: \u{e4}\r\n\r\n".into(),
        ),
    ] {
        let (requests, end) = verdict([text, HIDDEN].concat().as_bytes());
        let lines: Vec<_> = requests.iter().map(|it| it.line.as_str()).collect();
        assert_eq!((lines, end), (vec![line, "GET /hidden"], End::Open), "{text:?}");
        assert_eq!(requests[0].body, body.as_bytes(), "{text:?}");
    }
}

/// Such a body is read, and whatever a neighbour took it for, nothing is read behind it.
#[test]
fn bodies_without_a_meaning_end_the_connection() {
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    for method in ["GET", "HEAD", "TRACE"] {
        for body in ["Content-Length: 1\r\n\r\na", &format!("{CHUNKED}\r\n\r\n1\r\na\r\n0\r\n\r\n")]
        {
            for lines in ["", "Connection: keep-alive\r\n", upgrade] {
                let text = format!("{method} / HTTP/1.1\r\nHost: a\r\n{lines}{body}{HIDDEN}");
                let (requests, end) = verdict(text.as_bytes());
                assert_eq!((requests.len(), end), (1, End::Closed), "{text:?}");
                assert_eq!(requests[0].body, b"a", "{text:?}");
            }
        }
    }
    let upgraded = verdict(format!("{GET}{upgrade}\r\n{HIDDEN}").as_bytes());
    assert_eq!((upgraded.0.len(), upgraded.1), (1, End::Upgraded));
}
