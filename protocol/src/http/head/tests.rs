use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Option<(Head<'_>, usize)>, HttpError> {
    HeadParser::default().parse(text.as_bytes(), &HttpLimits::default())
}

fn refusal(text: &str) -> HttpError {
    match parse(text) {
        Err(error) => error,
        Ok(other) => panic!("{text:?} gave {other:?}"),
    }
}

#[test]
fn a_request_of_a_client_is_read() {
    let text = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: a:3000\r\nOrigin:  http://b \r\n\
                Connection: keep-alive\r\n\r\nrest";
    let (head, len) = parse(text).unwrap().unwrap();
    assert_eq!(&text[len..], "rest");
    assert_eq!(head.method(), Method::Get);
    assert_eq!(head.path(), "/socket.io/");
    assert_eq!(head.query().get("transport").as_deref(), Some("polling"));
    assert_eq!(head.header("ORIGIN"), Some("http://b"));
    assert_eq!(head.body(), BodyLength::None);
    assert!(head.keep_alive() && !head.is_websocket_upgrade());
    let again = Head::reparse(head.raw()).unwrap();
    assert_eq!(again.headers().count(), 3);
}

#[test]
fn framing_is_read_from_the_headers() {
    let with = |line: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n");
    let body = |line: &str| parse(&with(line)).unwrap().unwrap().0.body();
    assert_eq!(body("Content-Length: 12"), BodyLength::Length(12));
    assert_eq!(body("content-length: 0"), BodyLength::None);
    assert_eq!(body("Transfer-Encoding: CHUNKED"), BodyLength::Chunked);
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n";
    assert!(parse(upgrade).unwrap().unwrap().0.is_websocket_upgrade());
    let old = "GET / HTTP/1.0\r\n\r\n";
    assert!(!parse(old).unwrap().unwrap().0.keep_alive());
    let kept = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    assert!(parse(kept).unwrap().unwrap().0.keep_alive());
    let expects = with("Content-Length: 5\r\nExpect: 100-Continue");
    assert!(parse(&expects).unwrap().unwrap().0.expects_continue());
    let absolute = "GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(parse(absolute).unwrap().unwrap().0.target(), "/b?c");
}

#[test]
fn limits_have_their_own_statuses() {
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(8 * 1024));
    assert_eq!(refusal(&long).status(), 414);
    assert_eq!(refusal(&"G".repeat(9 * 1024)).status(), 414);
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "a".repeat(17 * 1024));
    assert_eq!(refusal(&large).status(), 431);
    assert_eq!(refusal(&large[..17 * 1024]).status(), 431);
}

/// CVE-2024-37890 of ws: more headers than expected ended the process.
#[test]
fn cve_2024_37890_two_thousand_headers_are_431() {
    let limits = HttpLimits { head_bytes_max: 1 << 20, ..HttpLimits::default() };
    for count in [101, 300, 2_000] {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(count));
        let error = HeadParser::default().parse(text.as_bytes(), &limits).unwrap_err();
        assert_eq!(error.status(), 431, "{count}");
    }
}

/// CVE-2023-43669 of tungstenite: an endless head was searched from its start with every byte.
#[test]
fn cve_2023_43669_an_endless_head_costs_each_byte_once() {
    let limits = HttpLimits::default();
    let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{}", "A: bbbbbbbbbbbbbbbb\r\n".repeat(2_000));
    let mut parser = HeadParser::default();
    for len in 1..text.len() {
        let searched = parser.searched;
        match parser.parse(&text.as_bytes()[..len], &limits) {
            // The search goes on from where it was: one byte further with each byte.
            Ok(None) => assert!(parser.searched == len && searched == len - 1),
            Err(error) => {
                assert_eq!(error, HttpError::HeadTooLarge);
                assert_eq!(len, limits.head_bytes_max + 1);
                return;
            }
            Ok(Some(_)) => panic!("it has no end"),
        }
    }
    panic!("it was never refused");
}

/// The same field twice, and the first is not text: nobody is given the second for it.
#[test]
fn the_first_field_of_a_name_is_the_one() {
    let bytes =
        b"GET / HTTP/1.1\r\nHost: a\r\nOrigin: \xff\r\norigin: http://b\r\nOriginal: c\r\n\r\n";
    let parsed = HeadParser::default().parse(bytes, &HttpLimits::default());
    let (head, _) = parsed.unwrap().unwrap();
    assert_eq!(head.header("Origin"), None);
    assert_eq!(head.header("ORIGINAL"), Some("c"));
    assert_eq!(head.header("rigin"), None);
    assert_eq!(head.headers().count(), 3);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = HeadParser::default().parse(&bytes, &HttpLimits::default());
    }

    #[test]
    fn mutated_requests_never_panic(at in 0usize..90, byte: u8) {
        let mut bytes = b"POST /socket.io/?EIO=4 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\nX: y\r\n\r\nabc".to_vec();
        let index = at % bytes.len();
        bytes[index] = byte;
        if let Ok(Some((head, len))) = HeadParser::default().parse(&bytes, &HttpLimits::default()) {
            prop_assert!(len <= bytes.len());
            prop_assert!(head.headers().count() <= 10);
            let _ = head.query().get("EIO");
        }
    }
}
