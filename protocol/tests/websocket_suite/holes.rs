//! Holes that other servers had: each a test by its name.

use std::{borrow::Cow, time::Instant};

use yamabiko_protocol::{
    limits::WebSocketLimits,
    websocket::{Accept, Decoder, Event, HandshakeError, Violation, accept},
};

use crate::{client::*, transcript::transcript};

/// CVE-2022-21676, engine.io: a frame with reserved bits right after the upgrade ended the process.
#[test]
fn cve_2022_21676_reserved_bits_in_the_first_frame() {
    for reserved in 1..8 {
        for opcode in 0..16 {
            let bad = Frame { reserved, ..whole(opcode, "0") };
            for mask in [bad.mask, None] {
                let bytes = Frame { mask, ..bad.clone() }.bytes();
                for cuts in [vec![], (0..bytes.len()).collect()] {
                    let seen = transcript(&bytes, cuts, 1000);
                    assert_eq!(seen.events, []);
                    assert_eq!(seen.violation, Some(Violation::ReservedBits));
                }
            }
        }
    }
}

/// CVE-2016-10518 and CVE-2026-45736, ws: frames carried memory that nobody had written. A pong
/// carries the ping's bytes, and a close frame its reason, and nothing else.
#[test]
fn cve_2016_10518_and_cve_2026_45736_answers_carry_exactly_what_was_sent() {
    for len in 0..=125 {
        let payload: Vec<u8> = (0..len as u8).map(|n| n.wrapping_mul(37)).collect();
        let bytes = whole(PING, &payload).bytes();
        for step in [bytes.len(), 7, 1] {
            let seen = transcript(&bytes, (0..bytes.len()).step_by(step), 1000);
            assert_eq!(seen.answers, [&[0x8a, len as u8][..], &payload].concat());
        }
    }
    let reason = "why ß";
    let bytes = whole(CLOSE, [b"\x0f\xa1", reason.as_bytes()].concat()).bytes();
    for step in [bytes.len(), 1] {
        let seen = transcript(&bytes, (0..bytes.len()).step_by(step), 1000);
        let expected = [&[0x88, 8, 0x0f, 0xa1][..], reason.as_bytes()].concat();
        assert_eq!(seen.answers, expected);
    }
}

/// CVE-2021-32640, ws: a regular expression went over `Sec-WebSocket-Protocol` in quadratic time, 32
/// KB of spaces taking seconds. Two hundred of them must take less time here than a few did there.
#[test]
fn cve_2021_32640_spaces_in_sec_websocket_protocol() {
    fn offering(protocols: &str) -> Result<Accept<'_>, HandshakeError> {
        accept(|name| match name {
            "upgrade" => Some("websocket"),
            "connection" => Some("upgrade"),
            "sec-websocket-version" => Some("13"),
            "sec-websocket-key" => Some("dGhlIHNhbXBsZSBub25jZQ=="),
            "sec-websocket-protocol" => Some(protocols),
            _ => None,
        })
    }
    let spaces = " ".repeat(32 * 1024);
    let wrong = [format!("b{spaces}x"), spaces.clone(), ",".repeat(32 * 1024)];
    let right = format!("a,{spaces}b");
    let started = Instant::now();
    for _ in 0..50 {
        for protocols in &wrong {
            assert_eq!(offering(protocols), Err(HandshakeError::Protocol));
        }
        assert!(offering(&right).is_ok_and(|accept| accept.protocols().eq(["a", "b"])));
    }
    assert!(started.elapsed().as_secs() < 5);
}

/// CVE-2016-10542, ws: an announced length was believed. Beyond the limit it is refused in the head;
/// below it memory comes with the bytes.
#[test]
fn cve_2016_10542_announced_lengths_allocate_nothing() {
    for (head, len) in [(0x81, 1_000_001u64), (0x82, 1 << 32), (0x02, (1 << 63) - 1)] {
        let mut bytes = [&[head, 0xff], &len.to_be_bytes()[..], &[1, 2, 3, 4]].concat();
        let mut decoder = Decoder::new(WebSocketLimits::default());
        let verdict = decoder.decode(&mut &mut bytes[..]);
        assert_eq!(verdict, Err(Violation::MessageTooBig));
        assert_eq!(u16::from(Violation::MessageTooBig.close_code()), 1009);
        assert_eq!(decoder.held_bytes(), 0);
    }

    let mut bytes = [&[0x82, 0xff], &1_000_000u64.to_be_bytes()[..], &[1, 2, 3, 4]].concat();
    let mut decoder = Decoder::new(WebSocketLimits::default());
    assert_eq!(decoder.decode(&mut &mut bytes[..]), Ok(None));
    assert_eq!(decoder.held_bytes(), 0);
    for arrived in 1..=1000 {
        assert_eq!(decoder.decode(&mut &mut [0][..]), Ok(None));
        assert!(decoder.held_bytes() <= 64.max(2 * arrived));
    }
}

/// CVE-2026-48779, ws (and its kin in Bandit, hackney and daphne): tiny fragments were kept one by
/// one. A million of one byte, byte by byte, never hold more than the message may have.
#[test]
fn cve_2026_48779_a_million_fragments_of_one_byte() {
    let limits = WebSocketLimits::default();
    let len_max = limits.message_bytes_max;
    for (opcode, byte) in [(TEXT, b'a'), (BINARY, 0xff)] {
        let mut decoder = Decoder::new(limits);
        let (mut growths, mut held) = (0, 0);
        let mut feed = |decoder: &mut Decoder, frame: &Frame| {
            for mut byte in frame.bytes() {
                let mut input = std::slice::from_mut(&mut byte);
                match decoder.decode(&mut input) {
                    Ok(None) => {}
                    other => return other.map(|event| event.map(Event::into_owned)),
                }
                assert!(decoder.held_bytes() <= len_max);
                growths += usize::from(decoder.held_bytes() != held);
                held = decoder.held_bytes();
            }
            Ok(None)
        };
        assert_eq!(feed(&mut decoder, &part(opcode, [byte])), Ok(None));
        let fragment = part(CONTINUATION, [byte]);
        for _ in 1..len_max {
            assert_eq!(feed(&mut decoder, &fragment), Ok(None));
        }
        // Empty ones fit for ever and cost nothing.
        for _ in 0..10_000 {
            assert_eq!(feed(&mut decoder, &part(CONTINUATION, [])), Ok(None));
        }
        assert_eq!(feed(&mut decoder, &fragment), Err(Violation::MessageTooBig));
        assert_eq!(decoder.held_bytes(), 0);
        assert_eq!(growths, 15, "the buffer doubles: copying is linear");
    }
}

/// CVE-2023-43669, tungstenite: what had come was looked at again with every further byte. One frame
/// of a million bytes, byte by byte, is a million steps.
#[test]
fn cve_2023_43669_one_frame_byte_by_byte() {
    let content = "ü".repeat(500_000);
    let mut bytes = whole(TEXT, &content).bytes();
    let mut decoder = Decoder::new(WebSocketLimits::default());
    let (last, most) = bytes.split_last_mut().unwrap();
    for byte in most {
        assert_eq!(decoder.decode(&mut std::slice::from_mut(byte)), Ok(None));
    }
    assert!(decoder.held_bytes() <= 1_000_000);
    let event = decoder.decode(&mut std::slice::from_mut(last)).unwrap();
    assert_eq!(event, Some(Event::Text(content.into())));
    assert_eq!(decoder.held_bytes(), 0);
}

/// Idle is free: between messages, and between the frames of none, there is no heap.
#[test]
fn an_idle_decoder_holds_no_heap() {
    let frames = [
        whole(TEXT, "x".repeat(900_000)),
        part(BINARY, vec![1; 400_000]),
        whole(CONTINUATION, vec![2; 400_000]),
        whole(PING, [3; 125]),
    ];
    let mut decoder = Decoder::new(WebSocketLimits::default());
    assert_eq!(decoder.held_bytes(), 0);
    for frame in frames {
        let mut bytes = frame.bytes();
        for piece in bytes.chunks_mut(4096) {
            let mut input = piece;
            while decoder.decode(&mut input).unwrap().is_some() {}
        }
        assert_eq!(decoder.held_bytes() == 0, frame.is_final, "{}", frame.opcode);
    }
    // A head that is cut off is held in place.
    let head = &mut whole(TEXT, vec![0; 70_000]).bytes()[..13];
    assert_eq!(decoder.decode(&mut &mut head[..]), Ok(None));
    assert_eq!(decoder.held_bytes(), 0);
}

/// The plain path copies nothing: messages that arrive whole are borrowed from the input, many of
/// them from one input.
#[test]
fn whole_messages_are_borrowed() {
    let frames = [
        whole(TEXT, "42[\"event\"]"),
        whole(BINARY, [9; 300]),
        whole(PING, "p"),
        whole(PONG, "q"),
        whole(CLOSE, b"\x03\xe8r"),
    ];
    let mut bytes = bytes_of(&frames);
    let mut decoder = Decoder::new(WebSocketLimits::default());
    let mut input = &mut bytes[..];
    let mut events = Vec::new();
    while let Some(event) = decoder.decode(&mut input).unwrap() {
        events.push(event);
    }
    assert_eq!(events.len(), 5);
    for event in &events {
        assert!(match event {
            Event::Text(text) => matches!(text, Cow::Borrowed(_)),
            Event::Binary(bytes) | Event::Ping(bytes) | Event::Pong(bytes) =>
                matches!(bytes, Cow::Borrowed(_)),
            Event::Close(close) => matches!(close, Some((_, Cow::Borrowed("r")))),
        });
    }
}

/// What an ended decoder is given has no effect, and costs no memory.
#[test]
fn nothing_follows_the_end() {
    for last in [whole(CLOSE, ""), whole(3, "")] {
        let mut decoder = Decoder::new(WebSocketLimits::default());
        let mut bytes = bytes_of(&[part(TEXT, [b'a'; 100]), last]);
        let _ = decoder.decode(&mut &mut bytes[..]);
        assert!(decoder.is_ended());
        for _ in 0..3 {
            let mut bytes = bytes_of(&[whole(TEXT, "more"), part(BINARY, [0; 1000])]);
            let mut input = &mut bytes[..];
            assert_eq!(decoder.decode(&mut input), Ok(None));
            assert!(input.is_empty());
            assert_eq!(decoder.held_bytes(), 0);
        }
    }
}
