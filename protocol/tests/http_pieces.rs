//! However bytes are cut on the way, a connection comes to the same verdict.

mod http_connection;

use http_connection::*;
use proptest::prelude::*;
use yamabiko_protocol::http::HttpError;
use yamabiko_protocol::limits::HttpLimits;

/// Small, so that short inputs meet them; either of the first two may be met first.
fn limits() -> impl Strategy<Value = HttpLimits> {
    (1usize..200, 1usize..80).prop_map(|(head_bytes_max, target_bytes_max)| HttpLimits {
        head_bytes_max,
        target_bytes_max,
        headers_max: 6,
        body_bytes_max: 64,
        chunk_line_bytes_max: 16,
        trailer_bytes_max: 24,
    })
}

/// Bytes of which requests are made, so that many pass the first checks.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let texts = [
        "GET ",
        "POST ",
        "OPTIONS ",
        "/",
        "*",
        "/a?b=c",
        "http://h/",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        " HTTP/2.0\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "Host: h\r\n",
        "Content-Length: 3\r\n\r\n",
        "Content-Length: 1000\r\n",
        "Transfer-Encoding: chunked\r\n\r\n",
        "Connection: upgrade\r\n",
        "Upgrade: websocket\r\n",
        "Expect: 100-continue\r\n",
        "A: b\r\n",
        "\r\n",
        "\r",
        "\n",
        " ",
        ":",
        "\0",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "0\r\n",
        "3;x\r\n",
        "1;a=\"b;\"\r\nx\r\n",
        ";",
        "\"",
        "abc",
        "40\r\n",
    ];
    let text = prop::sample::select(texts.to_vec()).prop_map(|text| text.as_bytes().to_vec());
    let long = (prop::sample::select(b"M/ ".to_vec()), 40usize..150)
        .prop_map(|(byte, len)| vec![byte; len]);
    let noise = prop::collection::vec(any::<u8>(), 0..20);
    let piece = prop_oneof![16 => text, 1 => long, 1 => noise];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_cut_gives_the_verdict_of_the_whole(
        bytes in wire(),
        limits in limits(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let whole = outcome([&bytes[..]], &limits);
        prop_assert_eq!(&outcome(bytes.chunks(1), &limits), &whole);
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        ends.extend([0, bytes.len()]);
        ends.sort_unstable();
        let pieces = ends.windows(2).map(|ends| &bytes[ends[0]..ends[1]]);
        prop_assert_eq!(&outcome(pieces, &limits), &whole);
    }
}

/// It was refused in pieces and read as a whole.
#[test]
fn a_long_method_near_the_targets_limit_is_too_long_in_any_pieces() {
    let limits = HttpLimits::default();
    let request = |method: usize| {
        let (method, target) = ("M".repeat(method), "a".repeat(limits.target_bytes_max - 1));
        format!("{method} /{target} HTTP/1.1\r\nHost: a\r\n\r\n")
    };
    for (method, is_read) in [(3, true), (53, true), (54, false), (64, false), (5_000, false)] {
        let text = request(method);
        for step in [1, 7, 4_000, 8_256, 8_257, text.len()] {
            let (requests, end) = outcome(text.as_bytes().chunks(step), &limits);
            let seen = requests.len();
            assert_eq!(seen, usize::from(is_read), "a method of {method} in pieces of {step}");
            let refused = End::Refused(HttpError::TargetTooLong);
            assert_eq!(end, if is_read { End::Open } else { refused });
        }
    }
}
