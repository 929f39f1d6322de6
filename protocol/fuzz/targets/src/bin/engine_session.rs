//! A session under any sequence of what its caller may do, checked by a caller that keeps its books.
//!
//! The input is a script. It begins with how the session opens (`3` for revision 3, `w` for a WebSocket,
//! `b` for base64, `j` for JSONP, in any order) up to a `:`; then come steps: a letter and a digit that
//! names a connection, or else says how much. What is none is skipped.
//!
//! | step | |
//! |---|---|
//! | `g` `p` `o` | a poll; a POST of text; one of `application/octet-stream` |
//! | `e` `z` | the POST is read; its body is too large |
//! | `0` … `6` | a packet of that type arrives |
//! | `n` | a probe arrives |
//! | `x` | what arrives is no packet |
//! | `u` `U` | a WebSocket wants to take over, with base64 |
//! | `l` `v` | the connection is lost; its frames break the rules |
//! | `s` `B` | the server sends text or binary, the digit squared times 40 bytes |
//! | `f` `c` `C` | flush; close; close at once |
//! | `t` `d` | time goes on by the digit in seconds; to the deadline |
#![no_main]

use std::collections::HashMap;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use yamabiko_fuzz_targets as _;
use yamabiko_protocol::engine::jsonp::JsonpIndex;
use yamabiko_protocol::engine::payload::BINARY_CONTENT_TYPE;
use yamabiko_protocol::engine::{
    Close, Data, Effect, Hangup, Opening, Owner, Packet, PacketType, Received, Revision, Route,
    Session, SessionId, Settings, Transport,
};
use yamabiko_protocol::message::{Message, TextMessage};

/// Steps taken of one script.
const STEPS_MAX: usize = 500;

fuzz_target!(|input: &[u8]| {
    let colon = input.iter().position(|&byte| byte == b':').unwrap_or(input.len());
    let (opening, steps) = (&input[..colon], input.get(colon + 1..).unwrap_or_default());
    let mut caller = Caller::open(opening);
    let mut steps = steps.iter().copied().filter(u8::is_ascii_alphanumeric);
    for _ in 0..STEPS_MAX {
        let Some(letter) = steps.next() else { break };
        let Some(digit) = steps.next() else { break };
        caller.step(letter, digit % 8);
    }
    caller.end();
});

/// A connection: one of eight that are in use at a time, and how many were there before.
type Handle = (u8, u32);

/// What a connection is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Idle,
    /// A request waits for its answer.
    Request,
    WebSocket,
    /// It ended. A request that was open may still be answered, once.
    Gone {
        was_request: bool,
    },
}

struct Caller {
    session: Session<Handle>,
    uses: HashMap<Handle, Use>,
    /// Connections before the present one, by number.
    earlier: [u32; 8],
    now: u64,
    fx: Vec<Effect<Handle>>,
    is_closed: bool,
}

impl Caller {
    fn open(opening: &[u8]) -> Self {
        let has = |byte| opening.contains(&byte);
        let revision = if has(b'3') { Revision::V3 } else { Revision::V4 };
        let (transport, first) = match has(b'w') {
            true => (Transport::WebSocket, Use::WebSocket),
            false => (Transport::Polling, Use::Request),
        };
        let jsonp = (has(b'j') && !has(b'w')).then(|| JsonpIndex::from_query("7"));
        let opening = Opening { revision, transport, b64: has(b'b'), jsonp };
        let settings = Settings { buffer_bytes_max: 4000, ..Settings::default() };
        let sid = SessionId::new([7; 12], Owner::default());
        let mut fx = Vec::new();
        let session = Session::open(sid, (0, 0), opening, Arc::new(settings), 0, &mut fx);
        let uses = HashMap::from([((0, 0), first)]);
        let mut caller = Self { session, uses, earlier: [0; 8], now: 0, fx, is_closed: false };
        caller.carry_out();
        caller
    }

    fn step(&mut self, letter: u8, digit: u8) {
        let from = (digit, self.earlier[usize::from(digit)]);
        match letter {
            b'g' | b'p' | b'o' => self.request(letter, from),
            b'e' => self.session.post_end(from, &mut self.fx),
            b'z' => self.session.body_too_large(from, &mut self.fx),
            b'0'..=b'6' | b'n' => self.packet(letter, from),
            b'x' => self.session.bad_packet(from, &mut self.fx),
            b'u' | b'U' => self.upgrade(from, letter == b'U'),
            b'l' => {
                self.gone(from);
                self.session.connection_lost(from, &mut self.fx);
            }
            b'v' => self.session.websocket_failed(from, 1009, &mut self.fx),
            b's' | b'B' => self.send(letter == b'B', 40 * usize::from(digit).pow(2)),
            b'f' => self.session.flush(&mut self.fx),
            b'c' => self.session.close(Close::Graceful, self.now, &mut self.fx),
            b'C' => self.session.close(Close::Forced, self.now, &mut self.fx),
            b't' => self.time(self.now + 1000 * u64::from(digit)),
            b'd' => self.time(self.session.deadline().unwrap_or(self.now).max(self.now)),
            _ => {}
        }
        self.carry_out();
    }

    fn use_of(&self, connection: Handle) -> Use {
        self.uses.get(&connection).copied().unwrap_or(Use::Idle)
    }

    /// A connection has one request open at a time, and a WebSocket has none.
    fn request(&mut self, letter: u8, from: Handle) {
        if self.use_of(from) != Use::Idle {
            return;
        }
        self.uses.insert(from, Use::Request);
        match letter {
            b'g' => self.session.get(from, self.now, &mut self.fx),
            b'o' => {
                self.session.post_begin(from, Some(BINARY_CONTENT_TYPE), &mut self.fx);
            }
            _ => {
                self.session.post_begin(from, Some("text/plain"), &mut self.fx);
            }
        }
    }

    fn packet(&mut self, letter: u8, from: Handle) {
        let (kind, data) = match letter {
            b'n' => (Some(PacketType::Ping), "probe"),
            digit => (PacketType::from_number(digit - b'0'), "data"),
        };
        let Some(kind) = kind else { return };
        let was_open = self.session.is_open();
        let packet = Packet { kind, data: Data::Text(data) };
        match self.session.receive(from, &packet, self.now, &mut self.fx) {
            Received::Message => assert!(was_open && kind == PacketType::Message),
            Received::Upgraded => {
                let route = self.session.route();
                assert!(matches!(route, Route::WebSocket { to, .. } if to == from));
            }
            Received::Closed => assert!(self.session.is_closed()),
            Received::Nothing => {}
        }
    }

    fn upgrade(&mut self, candidate: Handle, b64: bool) {
        if self.use_of(candidate) != Use::Idle {
            return;
        }
        let may_try = self.session.upgrade_begin(candidate, b64, self.now);
        if may_try {
            assert!(self.session.is_upgrading());
            self.uses.insert(candidate, Use::WebSocket);
        }
    }

    fn send(&mut self, is_binary: bool, len: usize) {
        let message = match is_binary {
            true => Message::Binary(vec![b'"'; len].into()),
            false => Message::Text(TextMessage::new(&"\"".repeat(len))),
        };
        let was_open = self.session.is_open();
        let is_taken = self.session.send(message, &mut self.fx);
        assert!(was_open || !is_taken);
        assert!(is_taken || self.session.is_closed() || !was_open);
    }

    fn time(&mut self, now: u64) {
        self.now = now;
        self.session.timeout(now, &mut self.fx);
        if let Some(deadline) = self.session.deadline() {
            assert!(deadline > now, "what is due was done");
        }
    }

    /// Ends a connection; its number goes to the next one.
    fn gone(&mut self, connection: Handle) {
        let was_request = self.use_of(connection) == Use::Request;
        self.uses.insert(connection, Use::Gone { was_request });
        let (number, generation) = connection;
        self.earlier[usize::from(number)] = generation + 1;
    }

    fn carry_out(&mut self) {
        for effect in std::mem::take(&mut self.fx) {
            match effect {
                Effect::Message { to, .. } | Effect::Packet { to, .. } => {
                    assert!(!self.is_closed, "a message after the end");
                    let to = self.use_of(to);
                    assert!(matches!(to, Use::WebSocket | Use::Gone { .. }), "a frame to {to:?}");
                }
                Effect::Respond { to, response } => {
                    assert!([200, 400, 413].contains(&response.status));
                    let after = match self.use_of(to) {
                        Use::Request => Use::Idle,
                        Use::Gone { was_request: true } => Use::Gone { was_request: false },
                        other => panic!("an answer without a request: {other:?}"),
                    };
                    self.uses.insert(to, after);
                }
                Effect::Hangup { connection, how } => match (self.use_of(connection), how) {
                    (Use::WebSocket, Hangup::WebSocket | Hangup::WebSocketStatus(_))
                    | (Use::Request, Hangup::Destroy) => self.gone(connection),
                    (Use::Gone { .. }, _) => {}
                    (other, how) => panic!("{how:?} of {other:?}"),
                },
                Effect::Closed { .. } => {
                    assert!(!self.is_closed, "closed twice");
                    self.is_closed = true;
                }
            }
        }
        self.agree();
    }

    /// What the session says of itself fits what it has done.
    fn agree(&self) {
        let session = &self.session;
        assert_eq!(session.is_closed(), self.is_closed);
        assert_eq!(session.deadline().is_none(), self.is_closed);
        assert_eq!(session.facts().is_none(), self.is_closed);
        assert_eq!(session.route() == Route::Closed, !session.is_open());
        if self.is_closed {
            assert!(!session.is_writable() && !session.is_upgrading());
            let mut left =
                self.uses.iter().filter(|it| !matches!(it.1, Use::Idle | Use::Gone { .. }));
            assert_eq!(left.next(), None, "left hanging");
        }
        if let Route::WebSocket { to, .. } = session.route() {
            assert_eq!(self.use_of(to), Use::WebSocket);
        }
    }

    /// Whatever has happened, the session can be ended, and then stays so.
    fn end(mut self) {
        self.session.close(Close::Forced, self.now, &mut self.fx);
        self.carry_out();
        assert!(self.is_closed);
        for number in 0..8 {
            for letter in *b"gpsfcCdue4x" {
                self.step(letter, number);
            }
        }
    }
}
