//! Frames of a client in any pieces: the same events, the same violation, and no more held than came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yamabiko_fuzz_targets::cuts;
use yamabiko_protocol::limits::{CONTROL_PAYLOAD_BYTES_MAX, WebSocketLimits};
use yamabiko_protocol::websocket::{Decoder, Event, Violation, encode};

/// Small, so that a few frames meet it.
const LIMITS: WebSocketLimits = WebSocketLimits { message_bytes_max: 300 };
/// What a control frame adds to what is held, with what a growing buffer takes ahead and a little for
/// the smallest buffer.
const CONTROL_BYTES_MAX: usize = 2 * CONTROL_PAYLOAD_BYTES_MAX + 64;

fuzz_target!(|input: &[u8]| {
    let whole = decode(&[input]);
    for pieces in cuts(input) {
        assert_eq!(decode(&pieces), whole);
    }
});

/// What a decoder makes of pieces: events up to the end of the connection, and how it failed.
fn decode(pieces: &[&[u8]]) -> (Vec<Event<'static>>, Option<Violation>) {
    let mut decoder = Decoder::new(LIMITS);
    let (mut events, mut failed) = (Vec::new(), None);
    let mut came = 0;
    for piece in pieces {
        let mut buffer = piece.to_vec();
        let mut input = &mut buffer[..];
        came += piece.len();
        loop {
            let (was_ended, left) = (decoder.is_ended(), input.len());
            match decoder.decode(&mut input) {
                Ok(Some(event)) => {
                    assert!(!was_ended, "{event:?} after the end");
                    assert!(input.len() < left, "{event:?} of nothing");
                    assert_eq!(matches!(event, Event::Close(_)), decoder.is_ended());
                    sound(&event);
                    events.push(event.into_owned());
                }
                Ok(None) => break,
                Err(violation) => {
                    assert!(!was_ended && decoder.is_ended());
                    let code: u16 = violation.close_code().into();
                    assert!([1002, 1007, 1009].contains(&code), "{code}");
                    failed = Some(violation);
                }
            }
        }
        assert!(input.is_empty(), "bytes are left over");
        let held = decoder.held_bytes();
        assert!(held <= LIMITS.message_bytes_max + CONTROL_BYTES_MAX, "{held} held");
        assert!(held <= 2 * came + CONTROL_BYTES_MAX, "{held} held of {came}");
        assert!(!decoder.is_ended() || held == 0, "{held} held after the end");
    }
    (events, failed)
}

/// An event is within the limits, and can be answered.
fn sound(event: &Event<'_>) {
    let mut answer = Vec::new();
    match event {
        Event::Text(text) => {
            assert!(text.len() <= LIMITS.message_bytes_max);
            encode::put_text(&mut answer, text);
        }
        Event::Binary(bytes) => {
            assert!(bytes.len() <= LIMITS.message_bytes_max);
            encode::put_binary(&mut answer, bytes);
        }
        Event::Ping(payload) => encode::put_pong(&mut answer, payload),
        Event::Pong(payload) => assert!(payload.len() <= CONTROL_PAYLOAD_BYTES_MAX),
        Event::Close(close) => {
            encode::put_close(&mut answer, close.as_ref().map(|it| (it.0, &*it.1)));
        }
    }
}
