//! A request's head: in any pieces the same, whatever is accepted is sound in every accessor, and what
//! is kept of it reads as the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yamabiko_fuzz_targets::cuts;
use yamabiko_protocol::http::{
    BodyLength, Encoding, Head, HeadParser, Method, accepted_encoding, is_field, is_not_modified,
};
use yamabiko_protocol::limits::HttpLimits;
use yamabiko_protocol::websocket;

/// Small, so that inputs of a few hundred bytes meet them.
const TIGHT: HttpLimits = HttpLimits {
    head_bytes_max: 256,
    headers_max: 8,
    target_bytes_max: 64,
    body_bytes_max: 1024,
    chunk_line_bytes_max: 32,
    trailer_bytes_max: 64,
};

fuzz_target!(|input: &[u8]| {
    for limits in [TIGHT, HttpLimits::default()] {
        let whole = HeadParser::default().parse(input, &limits);
        for pieces in cuts(input) {
            let in_pieces = parse_pieces(input, &pieces, &limits);
            match (&whole, in_pieces) {
                (Ok(Some((head, len))), Some((head_in_pieces, len_in_pieces))) => {
                    assert_eq!(head.raw(), head_in_pieces.raw());
                    assert_eq!(*len, len_in_pieces);
                }
                (Ok(Some((head, _))), None) => panic!("refused in pieces: {head:?}"),
                (Err(_) | Ok(None), None) => {}
                (Err(_) | Ok(None), Some((head, _))) => panic!("accepted in pieces: {head:?}"),
            }
        }
        if let Ok(Some((head, len))) = whole {
            assert!(len <= input.len() && head.raw().len() <= limits.head_bytes_max);
            assert!(head.target().len() <= limits.target_bytes_max);
            assert!(head.headers().count() <= limits.headers_max);
            sound(&head);
            let again = Head::reparse(head.raw()).expect("what was a head is one again");
            same(&head, &again);
        }
    }
});

/// Gives a parser a buffer that grows piece by piece; `None` if it is refused or never whole.
fn parse_pieces<'b>(
    input: &'b [u8],
    pieces: &[&[u8]],
    limits: &HttpLimits,
) -> Option<(Head<'b>, usize)> {
    let mut parser = HeadParser::default();
    let mut len = 0;
    for piece in pieces {
        len += piece.len();
        match parser.parse(&input[..len], limits) {
            Ok(None) => {}
            Ok(found) => return found,
            Err(error) => {
                assert!((400..=505).contains(&error.status()));
                return None;
            }
        }
    }
    None
}

fn sound(head: &Head<'_>) {
    assert!(head.raw().ends_with(b"\r\n\r\n"));
    assert!(!head.raw().contains(&0), "a NUL");
    assert!(head.target().starts_with('/') || head.target() == "*");
    assert!(head.target().starts_with(head.path()));
    for (name, value) in head.headers() {
        // Bytes beyond ASCII are let through; what ends a line or a string is not.
        assert!(is_field(name, value), "{name:?}: {value:?}");
        // The first of a name is the one; it alone may be other than text, and then there is none.
        let first = head.headers().find(|other| other.0.eq_ignore_ascii_case(name));
        let found = head.header(&name.to_ascii_uppercase());
        assert!(found.is_none() || found == first.map(|it| it.1), "{name:?}: {found:?}");
    }
    framing(head);
    let query = head.query();
    let pairs: Vec<_> = query.pairs().collect();
    let [eio, sid] = query.unique(["EIO", "sid"]);
    for (name, unique) in [("EIO", eio), ("sid", sid)] {
        let mut values = pairs.iter().filter(|(other, _)| other == name).map(|(_, value)| value);
        let (first, second) = (values.next(), values.next());
        assert_eq!(query.get(name).as_ref(), first);
        assert_eq!(unique.as_ref(), first.filter(|_| second.is_none()));
    }
    let offered = [Encoding::Brotli, Encoding::Gzip, Encoding::Deflate];
    accepted_encoding(head.header("accept-encoding"), &offered);
    is_not_modified(head.header("if-none-match"), "\"4.8.3\"");
}

/// The rules that keep two readers of a request from parting ways (RFC 9112 section 6.3).
fn framing(head: &Head<'_>) {
    let count = |name: &str| head.headers().filter(|it| it.0.eq_ignore_ascii_case(name)).count();
    let (lengths, codings) = (count("content-length"), count("transfer-encoding"));
    match head.body() {
        BodyLength::Chunked => {
            assert_eq!((lengths, codings), (0, 1));
            assert!(!head.is_http_1_0());
            let coding = head.header("transfer-encoding").unwrap_or_default();
            assert!(coding.eq_ignore_ascii_case("chunked"));
        }
        BodyLength::Length(length) => {
            assert_eq!((lengths, codings), (1, 0));
            let written = head.header("content-length").and_then(|it| it.parse().ok());
            assert_eq!(written, Some(length));
        }
        BodyLength::None => assert!(lengths <= 1 && codings == 0),
    }
    if !head.is_http_1_0() {
        assert_eq!(count("host"), 1);
    }
    if matches!(head.method(), Method::Get | Method::Head) && head.body() != BodyLength::None {
        assert!(!head.keep_alive());
    }
    if head.is_websocket_upgrade() {
        assert_eq!(head.method(), Method::Get);
        assert_eq!(head.body(), BodyLength::None);
        handshake(head);
    }
}

/// The answer to an upgrade has one end, whatever of the request is in it.
fn handshake(head: &Head<'_>) {
    let Ok(mut accept) = websocket::accept(|name| head.header(name)) else { return };
    assert_eq!(accept.key().len(), 28);
    if let Some(protocol) = accept.protocols().last() {
        assert!(accept.choose(protocol), "{protocol:?} was offered");
    }
    let cookie = head.header("cookie").unwrap_or("a\r\n\r\nb");
    let mut answer = Vec::new();
    accept.write_response(&mut answer, &[("X-Cookie", cookie)]);
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    assert_eq!(end, Some(answer.len() - 4));
}

fn same(head: &Head<'_>, again: &Head<'_>) {
    assert_eq!(head.raw(), again.raw());
    assert_eq!(head.method(), again.method());
    assert_eq!(head.target(), again.target());
    assert_eq!(head.body(), again.body());
    assert_eq!(head.keep_alive(), again.keep_alive());
    assert_eq!(head.expects_continue(), again.expects_continue());
    assert_eq!(head.is_websocket_upgrade(), again.is_websocket_upgrade());
    assert!(head.headers().eq(again.headers()));
}
