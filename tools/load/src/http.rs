//! HTTP/1.1 responses (RFC 9112) as Socket.IO servers send them: by Content-Length or in chunks.

use httparse::{EMPTY_HEADER, Status};

/// A body longer than this is refused.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Headers that a response may have.
const HEADERS_MAX: usize = 32;

/// What the front of a stream of responses is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    /// A whole response, of `total` bytes.
    Response {
        /// The status code.
        status: u16,
        /// The body, put together.
        body: &'a [u8],
        /// Bytes from status line to the body's end.
        total: usize,
        /// The server keeps the connection open.
        keep_alive: bool,
    },
    /// Not all here: at least `needed` bytes are.
    Incomplete {
        /// A lower bound.
        needed: usize,
    },
    /// The server's fault.
    Malformed(&'static str),
}

/// Where a response's body ends.
enum Framing {
    Length(usize),
    Chunked,
}

/// The first response of `bytes`; a chunked body is put together in `scratch`.
pub(crate) fn parse<'a>(bytes: &'a [u8], scratch: &'a mut Vec<u8>) -> Parsed<'a> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes) {
        Ok(Status::Complete(head)) => head,
        Ok(Status::Partial) => return Parsed::Incomplete { needed: bytes.len() + 1 },
        Err(_) => return Parsed::Malformed("not an HTTP response"),
    };
    let status = response.code.unwrap_or(0);
    let mut framing = None;
    let mut keep_alive = true;
    for header in response.headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            framing = content_length(header.value).map(Framing::Length);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            framing = header.value.eq_ignore_ascii_case(b"chunked").then_some(Framing::Chunked);
        } else if header.name.eq_ignore_ascii_case("connection") {
            keep_alive = !header.value.eq_ignore_ascii_case(b"close");
        }
    }
    match framing {
        Some(Framing::Length(length)) => match bytes.get(head..head + length) {
            Some(body) => Parsed::Response { status, body, total: head + length, keep_alive },
            None => Parsed::Incomplete { needed: head + length },
        },
        Some(Framing::Chunked) => match unchunk(&bytes[head..], scratch) {
            Chunks::Whole(length) => {
                Parsed::Response { status, body: scratch, total: head + length, keep_alive }
            }
            Chunks::Incomplete(needed) => Parsed::Incomplete { needed: head + needed },
            Chunks::Malformed => Parsed::Malformed("a malformed chunk"),
        },
        None => Parsed::Malformed("neither a valid Content-Length nor chunks"),
    }
}

fn content_length(value: &[u8]) -> Option<usize> {
    let length = crate::digits::exact(value)?;
    usize::try_from(length).ok().filter(|length| *length <= BODY_BYTES_MAX)
}

enum Chunks {
    /// So many bytes, with the last chunk and its line end.
    Whole(usize),
    /// At least so many bytes are needed.
    Incomplete(usize),
    Malformed,
}

/// Puts the chunks' data together (RFC 9112, section 7.1). Trailers are refused.
fn unchunk(bytes: &[u8], data: &mut Vec<u8>) -> Chunks {
    data.clear();
    let mut at = 0;
    loop {
        let (start, size) = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(Status::Complete((line, size))) => (at + line, size),
            Ok(Status::Partial) => return Chunks::Incomplete(bytes.len() + 1),
            Err(_) => return Chunks::Malformed,
        };
        let size = match usize::try_from(size) {
            Ok(size) if size <= BODY_BYTES_MAX - data.len() => size,
            _ => return Chunks::Malformed,
        };
        let end = start + size + 2;
        match bytes.get(start..end) {
            None => return Chunks::Incomplete(end),
            Some([chunk @ .., b'\r', b'\n']) => data.extend_from_slice(chunk),
            Some(_) => return Chunks::Malformed,
        }
        at = end;
        if size == 0 {
            return Chunks::Whole(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\ncontent-length: 5\r\n\r\nhello";
    const CHUNKS: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n\
        3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n";

    #[test]
    fn a_response_split_anywhere_is_incomplete_and_then_whole() {
        for response in [LENGTH, CHUNKS] {
            for split in 0..response.len() {
                match parse(&response[..split], &mut Vec::new()) {
                    Parsed::Incomplete { needed } => {
                        assert!(needed > split && needed <= response.len(), "{split}: {needed}");
                    }
                    other => panic!("at {split}: {other:?}"),
                }
            }
            let followed = [response, b"HTTP/1.1 200 OK\r\n"].concat();
            let whole = Parsed::Response {
                status: 200,
                body: b"hello",
                total: response.len(),
                keep_alive: true,
            };
            assert_eq!(parse(&followed, &mut Vec::new()), whole);
        }
    }

    #[test]
    fn a_close_and_a_status_are_told() {
        let response =
            b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let expected =
            Parsed::Response { status: 400, body: b"", total: response.len(), keep_alive: false };
        assert_eq!(parse(response, &mut Vec::new()), expected);
    }

    #[test]
    fn what_has_no_clear_end_is_malformed() {
        for response in [
            &b"HTTP/1.1 200 OK\r\n\r\nhello"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
            b"SMTP ready\r\n\r\n",
        ] {
            let mut scratch = Vec::new();
            let parsed = parse(response, &mut scratch);
            assert!(matches!(parsed, Parsed::Malformed(_)), "{parsed:?}");
        }
    }
}
