//! The three HTTP requests that the floor understands (WebSocket upgrade, GET and POST of polling),
//! and their responses.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use memchr::memmem;
use sha1::{Digest, Sha1};

use crate::sid::Sid;

const HEADERS_MAX: usize = 48;
/// RFC 6455, section 1.3.
const WEBSOCKET_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What the front of the bytes received is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<'a> {
    /// A request, and how many bytes it took.
    Request(Request<'a>, usize),
    /// More bytes are needed.
    Partial,
    /// Not HTTP.
    Broken,
}

/// A request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// A new WebSocket connection, with its `Sec-WebSocket-Key`.
    Upgrade(&'a [u8]),
    /// A new polling session.
    Open,
    /// A GET or a POST of a session that exists, or not.
    Get(Sid),
    Post(Sid, &'a [u8]),
    /// Anything else.
    Unknown,
}

/// Takes one request, its body included, from the front.
pub(crate) fn take(bytes: &[u8]) -> Taken<'_> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let start = match head.parse(bytes) {
        Ok(httparse::Status::Complete(start)) => start,
        Ok(httparse::Status::Partial) => return Taken::Partial,
        Err(_) => return Taken::Broken,
    };
    let header = |name: &str| {
        let found = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| header.value)
    };
    let length = match header("content-length").map(str::from_utf8) {
        None => 0,
        Some(Ok(digits)) => match digits.parse::<usize>() {
            Ok(length) => length,
            Err(_) => return Taken::Broken,
        },
        Some(Err(_)) => return Taken::Broken,
    };
    let Some(used) = start.checked_add(length) else { return Taken::Broken };
    let Some(body) = bytes.get(start..used) else { return Taken::Partial };
    let path = head.path.unwrap_or_default();
    let Some(query) = path.strip_prefix("/socket.io/?") else {
        return Taken::Request(Request::Unknown, used);
    };
    let request = match (head.method, sid(query)) {
        (Some("GET"), None) if query.contains("transport=websocket") => {
            header("sec-websocket-key").map_or(Request::Unknown, Request::Upgrade)
        }
        (Some("GET"), None) if query.contains("transport=polling") => Request::Open,
        (Some("GET"), Some(sid)) if !query.contains("transport=websocket") => Request::Get(sid),
        (Some("POST"), Some(sid)) => Request::Post(sid, body),
        _ => Request::Unknown,
    };
    Taken::Request(request, used)
}

fn sid(query: &str) -> Option<Sid> {
    let at = memmem::find(query.as_bytes(), b"sid=")? + 4;
    query.as_bytes().get(at..at + 20)?.try_into().ok()
}

/// Appends the response that makes a connection a WebSocket.
pub(crate) fn put_upgraded(out: &mut Vec<u8>, key: &[u8]) {
    let digest = Sha1::new().chain_update(key).chain_update(WEBSOCKET_GUID).finalize();
    let mut accept = [0; 28];
    BASE64_STANDARD.encode_slice(digest, &mut accept).expect("20 bytes are 28 characters");
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Accept: ",
    );
    out.extend_from_slice(&accept);
    out.extend_from_slice(b"\r\n\r\n");
}

/// Appends the response of a GET that brings packets.
pub(crate) fn put_packets(out: &mut Vec<u8>, packets: &[u8]) {
    out.extend_from_slice(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\n\
          cache-control: no-store\r\nContent-Length: ",
    );
    put_number(out, packets.len());
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(packets);
}

/// Appends the response of a POST whose packets were taken.
pub(crate) fn put_ok(out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\ncache-control: no-store\r\n\
          Content-Length: 2\r\n\r\nok",
    );
}

/// Appends the response of a request for a session that does not exist.
pub(crate) fn put_unknown_session(out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 41\r\n\r\n\
          {\"code\":1,\"message\":\"Session ID unknown\"}",
    );
}

/// Appends the response of a request that nobody understands.
pub(crate) fn put_unknown_request(out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 34\r\n\r\n\
          {\"code\":3,\"message\":\"Bad request\"}",
    );
}

fn put_number(out: &mut Vec<u8>, number: usize) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut left = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SID: &Sid = b"abcdefghijklmnopAAAA";

    #[test]
    fn requests_are_told_apart() {
        let is = |bytes: &str, expected: Request<'_>| {
            assert_eq!(take(bytes.as_bytes()), Taken::Request(expected, bytes.len()), "{bytes}");
        };
        is(
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nsec-websocket-KEY: k\r\n\r\n",
            Request::Upgrade(b"k"),
        );
        is("GET /socket.io/?EIO=4&transport=polling&t=x HTTP/1.1\r\n\r\n", Request::Open);
        is(
            "GET /socket.io/?EIO=4&transport=polling&sid=abcdefghijklmnopAAAA HTTP/1.1\r\n\r\n",
            Request::Get(*SID),
        );
        is(
            "POST /socket.io/?transport=polling&sid=abcdefghijklmnopAAAA HTTP/1.1\r\n\
             Content-Length: 3\r\n\r\n4\x1e0",
            Request::Post(*SID, b"4\x1e0"),
        );
        is("GET / HTTP/1.1\r\n\r\n", Request::Unknown);
        is("GET /socket.io/?transport=websocket HTTP/1.1\r\n\r\n", Request::Unknown);
    }

    #[test]
    fn a_body_is_awaited_and_nonsense_refused() {
        let post = b"POST /socket.io/?sid=x HTTP/1.1\r\nContent-Length: 3\r\n\r\n40";
        assert_eq!(take(post), Taken::Partial);
        assert_eq!(take(b"GET / HT"), Taken::Partial);
        assert_eq!(take(b"\x16\x03\x01"), Taken::Broken);
        assert_eq!(take(b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), Taken::Broken);
    }

    #[test]
    fn the_accept_is_the_one_of_the_rfc() {
        let mut out = Vec::new();
        put_upgraded(&mut out, b"dGhlIHNhbXBsZSBub25jZQ==");
        assert!(out.ends_with(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
    }

    #[test]
    fn every_length_is_the_bodys() {
        for put in [put_unknown_session, put_unknown_request, put_ok] {
            let mut out = Vec::new();
            put(&mut out);
            let text = String::from_utf8(out).expect("all responses are text");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            assert!(head.contains(&format!("Content-Length: {}", body.len())), "{text}");
        }
        let mut out = Vec::new();
        put_packets(&mut out, &[b'x'; 1_230]);
        assert!(memmem::find(&out, b"Content-Length: 1230\r\n\r\nx").is_some());
    }
}
