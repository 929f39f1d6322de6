//! What a decoder makes of bytes, and what a strict endpoint would answer.

use yamabiko_protocol::{
    limits::{CONTROL_PAYLOAD_BYTES_MAX, WebSocketLimits},
    websocket::{Decoder, Event, Violation, encode},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transcript {
    pub(crate) events: Vec<Event<'static>>,
    pub(crate) violation: Option<Violation>,
    /// Pongs, and the answer to a close frame.
    pub(crate) answers: Vec<u8>,
}

/// Decodes `bytes` as they arrive in pieces that end at `cuts` (and at the end), and checks what must
/// hold on every way: all input is taken, and never more than the limits is held.
pub(crate) fn transcript(
    bytes: &[u8],
    cuts: impl IntoIterator<Item = usize>,
    message_bytes_max: usize,
) -> Transcript {
    let mut decoder = Decoder::new(WebSocketLimits { message_bytes_max });
    let mut all = Transcript { events: Vec::new(), violation: None, answers: Vec::new() };
    let mut start = 0;
    for end in cuts.into_iter().chain([bytes.len()]) {
        let end = end.clamp(start, bytes.len());
        // A buffer of its own per piece: what a decoder wants to remember it has to keep itself.
        let mut piece = bytes[start..end].to_vec();
        start = end;
        let mut input = &mut piece[..];
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(event)) => {
                    answer(&event, &mut all.answers);
                    all.events.push(event.into_owned());
                }
                Ok(None) => break,
                Err(violation) => {
                    assert_eq!(all.violation.replace(violation), None, "one connection fails once");
                    assert!(decoder.is_ended());
                }
            }
        }
        assert!(input.is_empty());
        let held_max = message_bytes_max + 2 * CONTROL_PAYLOAD_BYTES_MAX + 64;
        assert!(decoder.held_bytes() <= held_max);
        assert!(!decoder.is_ended() || decoder.held_bytes() == 0);
    }
    all
}

fn answer(event: &Event<'_>, out: &mut Vec<u8>) {
    match event {
        Event::Ping(payload) => encode::put_pong(out, payload),
        Event::Close(close) => {
            encode::put_close(out, close.as_ref().map(|(code, reason)| (*code, &**reason)));
        }
        Event::Text(_) | Event::Binary(_) | Event::Pong(_) => {}
    }
}
