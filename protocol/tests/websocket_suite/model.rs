//! tungstenite's own decoder as an independent model: same frames, same messages, same verdict.

use std::io::{self, Read, Write};

use proptest::{collection::vec, prelude::*};
use tungstenite::{
    Error, Message,
    protocol::{Role, WebSocket, WebSocketConfig},
};
use yamabiko_protocol::websocket::{CloseCode, Event};

use crate::{client::*, transcript::transcript};

/// What a client sends, then the end of the stream; and what it is answered.
struct Line<'a> {
    sent: &'a [u8],
    answers: Vec<u8>,
}

impl Read for Line<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.sent.read(buffer)
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.answers.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// tungstenite's messages, whether it refused what came then, and its answers.
fn model(bytes: &[u8], message_bytes_max: usize) -> (Vec<Event<'static>>, bool, Vec<u8>) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max));
    let line = Line { sent: bytes, answers: Vec::new() };
    let mut theirs = WebSocket::from_raw_socket(line, Role::Server, Some(config));
    let mut events = Vec::new();
    let refused = loop {
        match theirs.read() {
            Ok(message) => events.push(event(message)),
            Err(Error::ConnectionClosed) => break false,
            Err(Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => break false,
            Err(_) => break true,
        }
    };
    (events, refused, std::mem::take(&mut theirs.get_mut().answers))
}

fn event(message: Message) -> Event<'static> {
    match message {
        Message::Text(text) => Event::Text(text.as_str().to_owned().into()),
        Message::Binary(bytes) => Event::Binary(bytes.to_vec().into()),
        Message::Ping(bytes) => Event::Ping(bytes.to_vec().into()),
        Message::Pong(bytes) => Event::Pong(bytes.to_vec().into()),
        Message::Close(close) => {
            Event::Close(close.map(|close| (close.code, close.reason.as_str().to_owned().into())))
        }
        Message::Frame(frame) => panic!("raw frames are only for writing: {frame}"),
    }
}

fn any_mask() -> impl Strategy<Value = [u8; 4]> {
    any::<[u8; 4]>()
}

/// A ping or pong.
fn control() -> impl Strategy<Value = Frame> {
    (prop_oneof![Just(PING), Just(PONG)], vec(any::<u8>(), 0..=125), any_mask())
        .prop_map(|(opcode, payload, mask)| Frame { mask: Some(mask), ..whole(opcode, payload) })
}

fn close() -> impl Strategy<Value = Frame> {
    let code = prop_oneof![1000..=1003u16, 1007..=1013u16, 3000..=4999u16];
    let coded = (code, "\\PC{0,30}")
        .prop_map(|(code, reason)| [&code.to_be_bytes(), reason.as_bytes()].concat());
    let wrong = prop_oneof![
        vec(any::<u8>(), 1),
        Just(b"\x03\xe8\xff".to_vec()),
        Just(b"\x03\xe8\xe2\x82".to_vec()),
    ];
    prop_oneof![1 => Just(Vec::new()), 4 => coded, 1 => wrong]
        .prop_map(|payload| whole(CLOSE, payload))
}

/// A payload and its opcode; text mostly is.
fn content() -> impl Strategy<Value = (u8, Vec<u8>)> {
    prop_oneof![
        4 => "\\PC{0,60}".prop_map(|text| (TEXT, text.into_bytes())),
        1 => "[a-zß€]{100,700}".prop_map(|text| (TEXT, text.into_bytes())),
        2 => vec(any::<u8>(), 0..300).prop_map(|bytes| (BINARY, bytes)),
        1 => ("\\PC{0,20}", vec(any::<u8>(), 1..4), "\\PC{0,20}").prop_map(|(a, b, c)| {
            (TEXT, [a.as_bytes(), &b, c.as_bytes()].concat())
        }),
    ]
}

/// A message in one or more frames, with control frames in between.
fn message() -> impl Strategy<Value = Vec<Frame>> {
    let cut = (0..1000usize, any_mask(), proptest::option::of(control()));
    (content(), any_mask(), vec(cut, 0..5)).prop_map(|((opcode, payload), mask, mut cuts)| {
        cuts.sort_by_key(|(cut, ..)| *cut);
        let (mut frames, mut start, mut next_opcode, mut next_mask) = (vec![], 0, opcode, mask);
        for (cut, mask, between) in cuts {
            let end = cut.clamp(start, payload.len());
            let fragment = part(next_opcode, &payload[start..end]);
            frames.push(Frame { mask: Some(next_mask), ..fragment });
            frames.extend(between);
            (start, next_opcode, next_mask) = (end, CONTINUATION, mask);
        }
        frames.push(Frame { mask: Some(next_mask), ..whole(next_opcode, &payload[start..]) });
        frames
    })
}

/// Any frame at all.
fn wild() -> impl Strategy<Value = Frame> {
    (
        any::<bool>(),
        prop_oneof![6 => Just(0), 1 => 1..8u8],
        prop_oneof![4 => prop_oneof![0..3u8, 9..11u8], 1 => 3..8u8, 1 => 11..16u8],
        proptest::option::weighted(0.9, any_mask()),
        vec(any::<u8>(), 0..140),
    )
        .prop_map(|(is_final, reserved, opcode, mask, payload)| Frame {
            is_final,
            reserved,
            opcode,
            mask,
            payload,
        })
}

/// Messages, perhaps with one frame out of place, perhaps closed.
fn conversation() -> impl Strategy<Value = Vec<Frame>> {
    let odd = proptest::option::of((any::<proptest::sample::Index>(), wild()));
    let last = proptest::option::of(close());
    (vec(message(), 0..6), odd, last, vec(message(), 0..2)).prop_map(
        |(messages, odd, last, after)| {
            let mut frames = messages.concat();
            if let Some((at, frame)) = odd {
                frames.insert(at.index(frames.len() + 1), frame);
            }
            if let Some(close) = last {
                frames.push(close);
                frames.extend(after.concat());
            }
            frames
        },
    )
}

fn cuts(len: usize) -> impl Strategy<Value = Vec<usize>> {
    vec(0..=len, 0..12).prop_map(|mut cuts| {
        cuts.sort_unstable();
        cuts
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_conversation_in_any_pieces_is_what_tungstenite_reads(
        (bytes, cuts) in conversation().prop_map(|frames| bytes_of(&frames))
            .prop_flat_map(|bytes| { let cuts = cuts(bytes.len()); (Just(bytes), cuts) }),
        message_bytes_max in prop_oneof![Just(200usize), Just(100_000)],
    ) {
        let ours = transcript(&bytes, cuts, message_bytes_max);
        let (events, refused, answers) = model(&bytes, message_bytes_max);
        prop_assert_eq!(&ours.events, &events);
        prop_assert_eq!(ours.violation.is_some(), refused, "{:?}", ours.violation);
        prop_assert_eq!(&ours.answers, &answers);

        let bytewise = transcript(&bytes, 0..bytes.len(), message_bytes_max);
        prop_assert_eq!(bytewise, ours);
    }

    #[test]
    fn arbitrary_bytes_mean_the_same_in_any_pieces(
        (bytes, cuts) in vec(any::<u8>(), 0..300)
            .prop_flat_map(|bytes| { let cuts = cuts(bytes.len()); (Just(bytes), cuts) }),
    ) {
        let whole = transcript(&bytes, [], 64);
        prop_assert_eq!(&transcript(&bytes, cuts, 64), &whole);
        prop_assert_eq!(&transcript(&bytes, 0..bytes.len(), 64), &whole);
    }

    /// Arbitrary bytes break a rule at once; behind well-formed heads they get further.
    #[test]
    fn damaged_conversations_mean_the_same_in_any_pieces(
        frames in conversation(),
        damage in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3),
        cut_short in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = bytes_of(&frames);
        bytes.truncate(cut_short.index(bytes.len() + 1));
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        let whole = transcript(&bytes, [], 300);
        prop_assert_eq!(transcript(&bytes, 0..bytes.len(), 300), whole);
    }
}

#[test]
fn every_length_class_is_what_tungstenite_reads() {
    for len in [0, 1, 7, 8, 9, 125, 126, 127, 0xfffe, 0xffff, 0x1_0000, 0x1_0001, 200_000] {
        // tungstenite counts control frames too.
        let len_max = len.max(125);
        let text = "€".repeat(len / 3) + &"x".repeat(len % 3);
        let frames = [
            whole(TEXT, &text),
            whole(BINARY, vec![0xfe; len]),
            part(TEXT, &text.as_bytes()[..len / 2]),
            whole(PING, b"between"),
            whole(CONTINUATION, &text.as_bytes()[len / 2..]),
            whole(CLOSE, b"\x03\xe8done"),
        ];
        let bytes = bytes_of(&frames);
        let ours = transcript(&bytes, [], len_max);
        assert_eq!((ours.events.clone(), false, ours.answers.clone()), model(&bytes, len_max));
        assert_eq!(
            ours.events.last(),
            Some(&Event::Close(Some((CloseCode::Normal, "done".into()))))
        );
        for step in [1000, 1461, 4096, 65_536] {
            assert_eq!(transcript(&bytes, (0..bytes.len()).step_by(step), len_max), ours);
        }
    }
}

#[test]
fn splitting_at_every_single_byte_changes_nothing() {
    let frames = [
        whole(TEXT, "grüße"),
        part(BINARY, [1; 130]),
        whole(PING, b"?"),
        part(CONTINUATION, []),
        whole(CONTINUATION, [2; 5]),
        part(TEXT, b"\xf0\x9f"),
        whole(PONG, []),
        whole(CONTINUATION, b"\x98\x80"),
        whole(CLOSE, b"\x0f\xa0bye"),
    ];
    let bytes = bytes_of(&frames);
    let whole = transcript(&bytes, [], 1000);
    assert_eq!(whole.events.len(), 6);
    for cut in 0..=bytes.len() {
        for second in cut..=bytes.len() {
            assert_eq!(transcript(&bytes, [cut, second], 1000), whole, "cut at {cut} and {second}");
        }
    }
}
