//! RFC 6455 rule by rule, in the order of Autobahn's sections 1 to 7. Every case runs in one piece, in
//! odd pieces and byte by byte.

use yamabiko_protocol::websocket::{CloseCode, Event, Violation};

use crate::{client::*, transcript::transcript};

const MESSAGE_BYTES_MAX: usize = 1_000_000;

/// All of `frames` are in order and mean `events`.
fn means(case: &str, frames: &[Frame], events: &[Event<'_>]) {
    check(case, frames, events, None);
}

/// `frames` mean `events` up to a violation.
fn breaks(case: &str, frames: &[Frame], events: &[Event<'_>], violation: Violation) {
    check(case, frames, events, Some(violation));
}

fn check(case: &str, frames: &[Frame], events: &[Event<'_>], violation: Option<Violation>) {
    let bytes = bytes_of(frames);
    for step in [bytes.len().max(1), 997, 2, 1] {
        let cuts = (0..bytes.len()).step_by(step);
        let seen = transcript(&bytes, cuts, MESSAGE_BYTES_MAX);
        assert!(seen.events == events, "{case}, pieces of {step}: {:?}", seen.events);
        assert_eq!(seen.violation, violation, "{case}, pieces of {step}");
    }
}

fn text(text: &str) -> Event<'_> {
    Event::Text(text.into())
}

fn binary(bytes: &[u8]) -> Event<'_> {
    Event::Binary(bytes.into())
}

fn ping(bytes: &[u8]) -> Event<'_> {
    Event::Ping(bytes.into())
}

fn pong(bytes: &[u8]) -> Event<'_> {
    Event::Pong(bytes.into())
}

fn closed(code: u16, reason: &str) -> Event<'_> {
    Event::Close(Some((CloseCode::from(code), reason.into())))
}

fn close_frame(code: u16, reason: impl AsRef<[u8]>) -> Frame {
    whole(CLOSE, [&code.to_be_bytes(), reason.as_ref()].concat())
}

#[test]
fn section_1_messages_of_every_length_class() {
    for len in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 70_000] {
        let stars = "*".repeat(len);
        means("1.1 text", &[whole(TEXT, &stars)], &[text(&stars)]);
        let bytes = vec![0xfe; len];
        means("1.2 binary", &[whole(BINARY, &bytes)], &[binary(&bytes)]);
    }
}

#[test]
fn section_2_pings_and_pongs() {
    let (most, beyond) = ([0xfe; 125], [0xfe; 126]);
    means("2.1 empty ping", &[whole(PING, [])], &[ping(b"")]);
    means("2.2 ping with text", &[whole(PING, "Hello!")], &[ping(b"Hello!")]);
    means("2.3 ping with bytes", &[whole(PING, [0, 0xff, 0xfe])], &[ping(&[0, 0xff, 0xfe])]);
    means("2.4 ping of 125 bytes", &[whole(PING, most)], &[ping(&most)]);
    breaks("2.5 ping of 126 bytes", &[whole(PING, beyond)], &[], Violation::ControlTooBig);
    breaks("2.5 pong of 126 bytes", &[whole(PONG, beyond)], &[], Violation::ControlTooBig);
    breaks("2.5 pong of 70 KB", &[whole(PONG, [0; 70_000])], &[], Violation::ControlTooBig);
    means("2.7 unasked pong", &[whole(PONG, []), whole(PONG, "?")], &[pong(b""), pong(b"?")]);
    means("2.9 pong, ping", &[whole(PONG, "a"), whole(PING, "b")], &[pong(b"a"), ping(b"b")]);
    let payloads: Vec<_> = (0..10u8).map(|n| [b'p', n]).collect();
    let frames: Vec<_> = payloads.iter().map(|payload| whole(PING, payload)).collect();
    let events: Vec<_> = payloads.iter().map(|payload| ping(payload)).collect();
    means("2.10 ten pings", &frames, &events);
}

#[test]
fn section_3_reserved_bits() {
    for reserved in 1..8 {
        for opcode in [TEXT, BINARY, CLOSE, PING, PONG] {
            let bad = Frame { reserved, ..whole(opcode, "") };
            let frames = [whole(TEXT, "first"), bad.clone(), whole(PING, "")];
            breaks("3 after a message", &frames, &[text("first")], Violation::ReservedBits);
            let frames = [part(TEXT, "begun"), bad];
            breaks("3 inside of a message", &frames, &[], Violation::ReservedBits);
        }
        let frames = [part(TEXT, "a"), Frame { reserved, ..whole(CONTINUATION, "b") }];
        breaks("3 continuation", &frames, &[], Violation::ReservedBits);
    }
}

#[test]
fn section_4_reserved_opcodes() {
    for opcode in (3..=7).chain(11..=15) {
        for payload in ["", "payload"] {
            let violation = Violation::ReservedOpcode(opcode);
            breaks("4 first", &[whole(opcode, payload)], &[], violation);
            breaks("4 not final", &[part(opcode, payload)], &[], violation);
            let frames = [whole(TEXT, "first"), whole(opcode, payload), whole(PING, "")];
            breaks("4 after a message", &frames, &[text("first")], violation);
        }
    }
}

#[test]
fn section_5_fragments() {
    for control in [PING, PONG, CLOSE] {
        let frames = [part(control, "a"), whole(CONTINUATION, "b")];
        breaks("5.1 fragmented control", &frames, &[], Violation::FragmentedControl);
    }
    means("5.3 in two", &[part(TEXT, "ab"), whole(CONTINUATION, "c")], &[text("abc")]);
    means("5.3 in two", &[part(BINARY, [1]), whole(CONTINUATION, [2])], &[binary(&[1, 2])]);
    means(
        "5.6 ping between",
        &[part(TEXT, "ab"), whole(PING, "!"), whole(CONTINUATION, "c")],
        &[ping(b"!"), text("abc")],
    );
    for lone in [whole(CONTINUATION, "x"), part(CONTINUATION, "x"), whole(CONTINUATION, "")] {
        let violation = Violation::UnexpectedContinuation;
        breaks("5.9 nothing to continue", &[lone.clone(), whole(TEXT, "y")], &[], violation);
        let frames = [part(TEXT, "a"), whole(CONTINUATION, "b"), lone];
        breaks("5.15 nothing more to continue", &frames, &[text("ab")], violation);
    }
    for opcode in [TEXT, BINARY] {
        for next in [whole(opcode, "b"), part(opcode, "b"), whole(opcode, "")] {
            let frames = [part(TEXT, "a"), next];
            breaks("5.18 message in a message", &frames, &[], Violation::UnfinishedMessage);
        }
    }
    means(
        "5.19 five fragments and two pings",
        &[
            part(TEXT, "1"),
            part(CONTINUATION, "2"),
            whole(PING, "a"),
            part(CONTINUATION, "3"),
            part(CONTINUATION, ""),
            whole(PING, "b"),
            whole(CONTINUATION, "5"),
            whole(BINARY, "next"),
        ],
        &[ping(b"a"), ping(b"b"), text("1235"), binary(b"next")],
    );
    means(
        "6.1 only empty fragments",
        &[part(TEXT, ""), part(CONTINUATION, ""), whole(CONTINUATION, "")],
        &[text("")],
    );
    means("an unfinished message is no event", &[part(TEXT, "a"), part(CONTINUATION, "b")], &[]);
}

/// Sections 6.2 and 6.5 to 6.23: byte sequences that are text, and some that are not.
#[test]
fn section_6_text_is_utf8() {
    let right = [
        "Hello-µ@ßöäüàá-UTF-8!!",
        "κόσμε",
        "\u{0}\u{80}\u{800}\u{10000}",
        "\u{7f}\u{7ff}\u{ffff}\u{10ffff}",
        "\u{d7ff}\u{e000}\u{fffd}",
        "\u{fffe}\u{ffff}\u{1fffe}\u{1ffff}\u{10fffe}",
    ];
    for content in right {
        means("6 whole", &[whole(TEXT, content)], &[text(content)]);
        for cut in 0..=content.len() {
            let (left, rest) = content.as_bytes().split_at(cut);
            let frames = [part(TEXT, left), whole(PING, "!"), whole(CONTINUATION, rest)];
            means("6.2 cut in a character", &frames, &[ping(b"!"), text(content)]);
        }
    }
    let wrong: [&[u8]; 22] = [
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64",
        b"\x80",
        b"\xbf\x80",
        b"\xc0\x20",
        b"\xe0\x20",
        b"\xf0\x20",
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xc0",
        b"\xe0\x80",
        b"\xf0\x80\x80",
        b"\xdf",
        b"\xef\xbf",
        b"\xf7\xbf\xbf",
        b"\xfe",
        b"\xff",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf4\x90\x80\x80",
    ];
    for content in wrong {
        breaks("6 whole", &[whole(TEXT, content)], &[], Violation::InvalidText);
        means("6 as bytes", &[whole(BINARY, content)], &[binary(content)]);
        let long = [&b"a"[..], content, &[b'b'; 100]].concat();
        breaks("6 inside of text", &[whole(TEXT, long)], &[], Violation::InvalidText);
        for cut in 0..=content.len() {
            let frames = [part(TEXT, &content[..cut]), whole(CONTINUATION, &content[cut..])];
            breaks("6 cut", &frames, &[], Violation::InvalidText);
        }
    }
}

/// The number of bytes after which the decoder fails, when they come one by one.
fn failing_byte(bytes: &[u8]) -> usize {
    let fails =
        |len: &usize| transcript(&bytes[..*len], 0..*len, MESSAGE_BYTES_MAX).violation.is_some();
    let len = (0..=bytes.len()).find(fails).expect("these bytes break a rule");
    assert!(
        transcript(&bytes[..len], [], MESSAGE_BYTES_MAX).violation.is_some(),
        "also in one piece"
    );
    len
}

/// Section 6.4: text fails at its first wrong byte, whatever was to follow.
#[test]
fn section_6_4_text_fails_at_the_first_wrong_byte() {
    let right = "κόσμε".as_bytes();
    for wrong in [&b"\xf4\x90"[..], b"\xed\xa0", b"\xe0\x80", b"\xc0", b"\xff", b"\xf0\x9f\x98\x20"]
    {
        let broken = [right, wrong].concat();

        let begun = part(TEXT, [&broken[..], &[b'x'; 50]].concat());
        assert_eq!(failing_byte(&bytes_of(&[begun])), 6 + broken.len(), "mid-frame, {wrong:x?}");

        let mut announced = whole(TEXT, [&broken[..], &[b'x'; 70_000]].concat()).bytes();
        announced.truncate(14 + broken.len());
        assert_eq!(failing_byte(&announced), 14 + broken.len(), "of a large frame, {wrong:x?}");

        let (most, last) = broken.split_at(broken.len() - 1);
        let frames = [part(TEXT, most), whole(PING, ""), part(CONTINUATION, last)];
        let all = bytes_of(&frames);
        assert_eq!(failing_byte(&all), all.len(), "over fragments, {wrong:x?}");
    }
}

/// Rules that show in a frame's head fail there, not when the payload has arrived.
#[test]
fn heads_fail_as_soon_as_the_rule_shows() {
    let unmasked = Frame { mask: None, ..whole(TEXT, "unmasked") };
    for (frame, len) in [
        (Frame { reserved: 4, ..whole(TEXT, [0; 70_000]) }, 2),
        (whole(3, [0; 70_000]), 2),
        (part(PING, ""), 2),
        (whole(PING, [0; 126]), 2),
        (unmasked, 2),
        (whole(CONTINUATION, [0; 70_000]), 14),
    ] {
        assert_eq!(failing_byte(&frame.bytes()[..14.min(frame.bytes().len())]), len, "{frame:?}");
    }
}

#[test]
fn client_frames_are_masked() {
    for opcode in [TEXT, BINARY, PING, PONG, CLOSE] {
        for payload in ["", "payload"] {
            let unmasked = Frame { mask: None, ..whole(opcode, payload) };
            let frames = [whole(TEXT, "first"), unmasked];
            breaks("unmasked", &frames, &[text("first")], Violation::Unmasked);
        }
    }
    let zero = Frame { mask: Some([0; 4]), ..whole(TEXT, "a mask of zeros is a mask") };
    means("mask of zeros", &[zero], &[text("a mask of zeros is a mask")]);
}

#[test]
fn lengths_are_in_their_shortest_form_and_positive() {
    let fails = |head: &[u8], violation| {
        for cuts in [vec![], (0..head.len()).collect()] {
            let seen = transcript(head, cuts, MESSAGE_BYTES_MAX);
            assert_eq!((seen.events.len(), seen.violation), (0, Some(violation)), "{head:x?}");
        }
    };
    for len in [0u16, 1, 125] {
        let len = len.to_be_bytes();
        fails(&[&[0x81, 0xfe], &len[..], &[0; 4]].concat(), Violation::LengthNotMinimal);
    }
    for len in [0u64, 125, 126, 0xffff] {
        let len = len.to_be_bytes();
        fails(&[&[0x82, 0xff], &len[..], &[0; 4]].concat(), Violation::LengthNotMinimal);
    }
    for len in [1 << 63, u64::MAX, (1 << 63) + 5] {
        let len = len.to_be_bytes();
        fails(&[&[0x82, 0xff], &len[..], &[0; 4]].concat(), Violation::LengthOverflow);
    }
}

#[test]
fn section_7_closing() {
    let bare = Event::Close(None);
    means("7.1.1", &[whole(TEXT, "a"), close_frame(1000, "")], &[text("a"), closed(1000, "")]);
    for after in [whole(CLOSE, ""), whole(PING, "late"), whole(TEXT, "late"), whole(3, "wrong")] {
        means("7.1.2 to 7.1.4", &[close_frame(1000, ""), after], &[closed(1000, "")]);
    }
    let frames = [part(TEXT, "a"), close_frame(1000, ""), whole(CONTINUATION, "b")];
    means("7.1.5 close inside of a message", &frames, &[closed(1000, "")]);
    let large = "BAsd7&jh23".repeat(26_000);
    let frames = [whole(TEXT, &large), close_frame(1000, ""), whole(PING, "")];
    means("7.1.6 after a large message", &frames, &[text(&large), closed(1000, "")]);

    means("7.3.1 bare", &[whole(CLOSE, "")], &[bare]);
    breaks("7.3.2 half a code", &[whole(CLOSE, [3])], &[], Violation::CloseTruncated);
    means("7.3.3 code", &[close_frame(1000, "")], &[closed(1000, "")]);
    means("7.3.4 reason", &[close_frame(1000, "Hello ß")], &[closed(1000, "Hello ß")]);
    let most = "*".repeat(123);
    means("7.3.5 123 bytes", &[close_frame(1000, &most)], &[closed(1000, &most)]);
    breaks("7.3.6 124 bytes", &[close_frame(1000, [b'*'; 124])], &[], Violation::ControlTooBig);
    for reason in [&b"\xce\xba\xed\xa0\x80"[..], b"\xff", b"cut \xe2\x82"] {
        breaks("7.5.1", &[close_frame(1000, reason)], &[], Violation::InvalidCloseReason);
    }
    let right = [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
        4999,
    ];
    for code in right {
        means("7.7 codes", &[close_frame(code, "r")], &[closed(code, "r")]);
    }
    let wrong =
        [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 10_000, 65_534, 65_535];
    for code in wrong {
        breaks("7.9, 7.13", &[close_frame(code, "")], &[], Violation::CloseCode(code));
        breaks("7.9, 7.13", &[close_frame(code, "r")], &[], Violation::CloseCode(code));
    }
}

#[test]
fn messages_have_a_limit() {
    let fails = |frames: &[Frame], len_max, events: usize| {
        let bytes = bytes_of(frames);
        for step in [bytes.len(), 3, 1] {
            let seen = transcript(&bytes, (0..bytes.len()).step_by(step), len_max);
            assert_eq!(
                (seen.events.len(), seen.violation),
                (events, Some(Violation::MessageTooBig))
            );
        }
    };
    let fits = |frames: &[Frame], len_max, events: usize| {
        let bytes = bytes_of(frames);
        for step in [bytes.len(), 3, 1] {
            let seen = transcript(&bytes, (0..bytes.len()).step_by(step), len_max);
            assert_eq!((seen.events.len(), seen.violation), (events, None));
        }
    };
    for opcode in [TEXT, BINARY] {
        let at_limit = [whole(opcode, [b'a'; 200]), whole(opcode, [b'a'; 200])];
        fits(&at_limit, 200, 2);
        fails(&at_limit, 199, 0);
        let fragments =
            [part(opcode, [b'a'; 100]), whole(PING, "x"), whole(CONTINUATION, [b'b'; 100])];
        fits(&fragments, 200, 2);
        fails(&fragments, 199, 1);
        fits(&[whole(opcode, ""), part(opcode, ""), whole(CONTINUATION, "")], 0, 2);
        fails(&[whole(opcode, "a")], 0, 0);
    }
    fails(&[part(TEXT, b"\xe2\x82"), whole(CONTINUATION, b"\xac")], 2, 0);
    fits(&[whole(PING, [1; 125]), whole(CLOSE, b"\x03\xe8")], 0, 2);
}

#[test]
fn every_violation_has_its_close_code_and_says_something() {
    let codes = [
        (Violation::Unmasked, 1002),
        (Violation::ReservedBits, 1002),
        (Violation::ReservedOpcode(3), 1002),
        (Violation::FragmentedControl, 1002),
        (Violation::ControlTooBig, 1002),
        (Violation::LengthNotMinimal, 1002),
        (Violation::LengthOverflow, 1002),
        (Violation::UnexpectedContinuation, 1002),
        (Violation::UnfinishedMessage, 1002),
        (Violation::MessageTooBig, 1009),
        (Violation::InvalidText, 1007),
        (Violation::CloseTruncated, 1002),
        (Violation::CloseCode(999), 1002),
        (Violation::InvalidCloseReason, 1007),
    ];
    let mut sayings = std::collections::HashSet::new();
    for (violation, code) in codes {
        assert_eq!(u16::from(violation.close_code()), code, "{violation}");
        assert!(sayings.insert(violation.to_string()));
    }
}
