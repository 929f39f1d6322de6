//! Frames of a client in any pieces: the same events, the same violation, and no more held than came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yamabiko_fuzz_targets::cuts;
use yamabiko_protocol::limits::WebSocketLimits;
use yamabiko_protocol::websocket::{Decoder, Event, Violation};

/// Small, so that a few frames meet it.
const LIMITS: WebSocketLimits = WebSocketLimits { message_bytes_max: 300 };
/// What control frames may add to what is held, with what a growing buffer takes ahead.
const CONTROL_BYTES_MAX: usize = 256;

fuzz_target!(|input: &[u8]| {
    let whole = decode(&[input]);
    for pieces in cuts(input) {
        assert_eq!(decode(&pieces), whole);
    }
});

/// An event that owns its payload.
#[derive(Debug, PartialEq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Violation(Violation),
}

fn decode(pieces: &[&[u8]]) -> Vec<Seen> {
    let mut decoder = Decoder::new(LIMITS);
    let mut seen = Vec::new();
    let mut came = 0;
    for piece in pieces {
        let mut buffer = piece.to_vec();
        let mut at = 0;
        came += piece.len();
        while at < buffer.len() {
            let (taken, event) = decoder.decode(&mut buffer[at..]);
            let event = event.map(|event| event.map(owned));
            at += taken;
            assert!(at <= buffer.len());
            assert!(taken > 0, "no progress");
            let held = decoder.held_bytes();
            assert!(held <= LIMITS.message_bytes_max + CONTROL_BYTES_MAX, "{held} held");
            assert!(held <= 2 * came + CONTROL_BYTES_MAX, "{held} held of {came}");
            match event {
                Ok(event) => seen.extend(event),
                Err(violation) => {
                    assert!([1002, 1007, 1009].contains(&violation.close_code()));
                    seen.push(Seen::Violation(violation));
                    return seen;
                }
            }
        }
        decoder.forget_delivered();
    }
    seen
}

fn owned(event: Event<'_>) -> Seen {
    match event {
        Event::Text(text) => {
            assert!(text.len() <= LIMITS.message_bytes_max);
            Seen::Text(text.to_owned())
        }
        Event::Binary(bytes) => {
            assert!(bytes.len() <= LIMITS.message_bytes_max);
            Seen::Binary(bytes.to_vec())
        }
        Event::Ping(bytes) => {
            assert!(bytes.len() <= 125);
            Seen::Ping(bytes.to_vec())
        }
        Event::Pong(bytes) => {
            assert!(bytes.len() <= 125);
            Seen::Pong(bytes.to_vec())
        }
        Event::Close(close) => {
            Seen::Close(close.map(|(code, reason)| (code.into(), reason.to_owned())))
        }
    }
}
