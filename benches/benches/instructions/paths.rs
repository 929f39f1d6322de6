//! The hot paths that are counted.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use yamabiko_benches::wire;
use yamabiko_protocol::engine::outgoing::Outgoing;
use yamabiko_protocol::engine::{
    Body, BodyForm, Data, Opening, Owner, Packet, PayloadForm, Received, Revision, Session,
    SessionId, Settings, Transport,
};
use yamabiko_protocol::http::HeadParser;
use yamabiko_protocol::limits::{HttpLimits, PacketLimits, WebSocketLimits};
use yamabiko_protocol::message::{Message, TextMessage};
use yamabiko_protocol::socket::{self, encode};
use yamabiko_protocol::websocket::{self, Event, OpCode};

/// A path that is counted.
pub(crate) struct Path {
    /// Its name in `instructions.toml`.
    pub(crate) name: &'static str,
    /// Makes what it needs; what is returned is one run of it.
    pub(crate) prepare: fn() -> Box<dyn FnMut()>,
}

/// All paths.
pub(crate) const PATHS: &[Path] = &[
    Path { name: "http_head", prepare: http_head },
    Path { name: "websocket_text_64_bytes", prepare: websocket_text },
    Path { name: "session_message_in", prepare: session_message_in },
    Path { name: "socket_event_decoded", prepare: socket_event_decoded },
    Path { name: "socket_event_encoded", prepare: socket_event_encoded },
    Path { name: "socket_ack_encoded", prepare: socket_ack_encoded },
    Path { name: "socket_binary_event_decoded", prepare: socket_binary_event_decoded },
    Path { name: "echo", prepare: echo },
    Path { name: "broadcast_encoded", prepare: broadcast_encoded },
    Path { name: "payload_16_decoded", prepare: payload_decoded },
    Path { name: "payload_16_encoded", prepare: payload_encoded },
];

const TEXT: &str = "sixty-four bytes with the head and all of them";

fn http_head() -> Box<dyn FnMut()> {
    let limits = HttpLimits::default();
    Box::new(move || {
        let parsed = HeadParser::default().parse(black_box(wire::POLL_HEAD), &limits);
        assert!(black_box(parsed).is_ok_and(|head| head.is_some()));
    })
}

/// Frames of one receive, which are unmasked where they lie.
struct Frames {
    bytes: Vec<u8>,
    at: usize,
    frame_len: usize,
}

impl Frames {
    /// More than a path is ever run for.
    const COUNT: usize = 256;

    fn new(payload: &str) -> Self {
        let frame = wire::client_frame(wire::TEXT, payload.as_bytes());
        Self { bytes: frame.repeat(Self::COUNT), at: 0, frame_len: frame.len() }
    }

    fn next(&mut self) -> &mut [u8] {
        let start = self.at;
        self.at += self.frame_len;
        &mut self.bytes[start..self.at]
    }
}

fn websocket_text() -> Box<dyn FnMut()> {
    let mut decoder = websocket::Decoder::new(WebSocketLimits::default());
    let mut frames = Frames::new(wire::EVENT);
    Box::new(move || {
        let event = decoder.decode(&mut frames.next());
        assert!(matches!(black_box(event), Ok(Some(Event::Text(_)))));
    })
}

const CONNECTION: u64 = 1;

fn session() -> Session<u64> {
    let sid = SessionId::new([7; 12], Owner { node: 0, shard: 0 });
    let transport = Transport::WebSocket;
    let opening = Opening { revision: Revision::V4, transport, b64: false, jsonp: None };
    Session::open(sid, CONNECTION, opening, Arc::new(Settings::default()), 0, &mut Vec::new())
}

fn session_message_in() -> Box<dyn FnMut()> {
    let (mut session, mut effects, mut now) = (session(), Vec::new(), 0);
    Box::new(move || {
        now += 1;
        let packet = Packet::from_text(Revision::V4, black_box(wire::EVENT));
        let packet = packet.expect("a good packet");
        let received = session.receive(CONNECTION, &packet, now, &mut effects);
        assert_eq!(black_box(received), Received::Message);
    })
}

fn socket_event_decoded() -> Box<dyn FnMut()> {
    let limits = PacketLimits::default();
    Box::new(move || {
        let packet = socket::decode(black_box(&wire::EVENT[1..]), &limits).expect("a good packet");
        let event = packet.event(&[]).expect("an event");
        let (text,) = event.args.parse_tuple::<(String,)>().expect("one string");
        black_box((event.name, text));
    })
}

fn socket_event_encoded() -> Box<dyn FnMut()> {
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    Box::new(move || {
        out.clear();
        let args = black_box(TEXT);
        encode::event(&mut out, &mut attachments, "/", None, "message", args).expect("a string");
        black_box(&out);
    })
}

fn socket_ack_encoded() -> Box<dyn FnMut()> {
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    Box::new(move || {
        out.clear();
        encode::ack(&mut out, &mut attachments, "/", black_box(17), black_box(TEXT))
            .expect("a string");
        black_box(&out);
    })
}

fn socket_binary_event_decoded() -> Box<dyn FnMut()> {
    let limits = PacketLimits::default();
    let attachment = Bytes::from(wire::ascii(1024));
    let mut decoder = socket::Decoder::new();
    Box::new(move || {
        let text = decoder.text(black_box(wire::BINARY_EVENT), &limits);
        assert!(text.is_ok_and(|packet| packet.is_none()));
        let complete = decoder.binary(Bytes::copy_from_slice(&attachment), &limits);
        let complete = complete.expect("a good attachment").expect("the only one");
        let args = complete.event().expect("an event").args;
        let (photo, name) =
            args.parse_tuple::<(socket::Binary, String)>().expect("an attachment and a string");
        black_box((photo, name));
    })
}

/// A message of a client through the whole protocol: from a frame's bytes to the frame of its
/// acknowledgement, which carries the argument back.
fn echo() -> Box<dyn FnMut()> {
    let limits = PacketLimits::default();
    let mut frames = Frames::new(wire::EVENT);
    let mut decoder = websocket::Decoder::new(WebSocketLimits::default());
    let (mut session, mut effects, mut now) = (session(), Vec::new(), 0);
    let mut packets = socket::Decoder::new();
    let (mut ack, mut attachments, mut out) = (Vec::new(), Vec::new(), Vec::new());
    Box::new(move || {
        now += 1;
        out.clear();
        ack.clear();
        let mut input = black_box(frames.next());
        let Ok(Some(Event::Text(text))) = decoder.decode(&mut input) else { panic!("a text") };
        let packet = Packet::from_text(Revision::V4, &text).expect("a good packet");
        let received = session.receive(CONNECTION, &packet, now, &mut effects);
        let (Received::Message, Data::Text(text)) = (received, packet.data) else {
            panic!("a message")
        };
        let packet = packets.text(text, &limits).expect("a good packet").expect("not a binary one");
        let event = packet.event(&[]).expect("an event");
        let id = event.id.expect("an acknowledgement is asked for");
        let (argument,) = event.args.parse_tuple::<(String,)>().expect("one string");
        encode::ack(&mut ack, &mut attachments, "/", id, &argument).expect("a string");
        let opcode = OpCode::Data(websocket::Data::Text);
        websocket::encode::put_header(&mut out, opcode, 1 + ack.len());
        out.push(b'4');
        out.extend_from_slice(&ack);
        black_box(&out);
    })
}

fn broadcast_encoded() -> Box<dyn FnMut()> {
    let (mut out, mut attachments) = (Vec::new(), Vec::new());
    Box::new(move || {
        out.clear();
        let args = black_box(TEXT);
        encode::event(&mut out, &mut attachments, "/", None, "message", args).expect("a string");
        let text = std::str::from_utf8(&out).expect("the encoder writes UTF-8");
        black_box(TextMessage::new(text));
    })
}

/// Packets of one polling body.
const PACKETS: usize = 16;

fn payload_decoded() -> Box<dyn FnMut()> {
    let body = [wire::EVENT; PACKETS].join("\u{1e}");
    Box::new(move || {
        let body = Body::read(BodyForm::Text, black_box(body.as_bytes()));
        let packets = body.packets(Revision::V4).filter_map(Result::ok).map(black_box).count();
        assert_eq!(packets, PACKETS);
    })
}

fn payload_encoded() -> Box<dyn FnMut()> {
    let message = Message::Text(TextMessage::new(&wire::EVENT[1..]));
    let waiting = vec![Outgoing::Message(message); PACKETS];
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        PayloadForm::V4.encode(black_box(&waiting), &mut out);
        black_box(&out);
    })
}
