//! A server and its clients without sockets: sessions, a virtual clock, and a record of everything
//! that reached each connection.
//!
//! The record checks on every step what must hold always: no request is answered twice, none is left
//! without answer or hangup when its session ends, a session ends once and says nothing afterwards.

#![allow(dead_code, unreachable_pub)] // each test file uses its part

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use yamabiko_protocol::engine::*;
use yamabiko_protocol::message::{Message, TextMessage};

/// A connection, as the tests see it.
pub type Conn = u32;

/// What a WebSocket client has received in one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
}

/// What a client has sent to the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    Text(String),
    Binary(Vec<u8>),
}

/// One session and its clients.
#[derive(Debug)]
pub struct World {
    pub session: Session<Conn>,
    pub now: u64,
    /// Whether the application sends every message back.
    pub echo: bool,
    pub messages: Vec<Sent>,
    pub closed: Vec<CloseReason>,
    answers: HashMap<Conn, Response>,
    frames: BTreeMap<Conn, Vec<Frame>>,
    hangups: HashMap<Conn, Hangup>,
    open_requests: BTreeSet<Conn>,
    lost: BTreeSet<Conn>,
    next: Conn,
}

pub fn settings() -> Settings {
    Settings {
        ping_interval_ms: 300,
        ping_timeout_ms: 200,
        allow_eio3: true,
        ..Settings::default()
    }
}

pub fn opening(revision: Revision, transport: Transport) -> Opening {
    Opening { revision, transport, b64: false, jsonp: None }
}

pub fn sid(number: u32) -> SessionId {
    let mut random = [0; 12];
    random[..4].copy_from_slice(&number.to_be_bytes());
    SessionId::new(random, Owner::default())
}

pub fn text(data: &str) -> Message {
    Message::Text(TextMessage::new(data))
}

pub fn binary(data: &[u8]) -> Message {
    Message::Binary(data.to_vec().into())
}

pub fn frames(texts: &[&str]) -> Vec<Frame> {
    texts.iter().map(|text| Frame::Text((*text).to_owned())).collect()
}

impl World {
    /// A session whose first request is on connection 0 and has had its turn.
    pub fn open(opening: Opening, settings: Settings) -> Self {
        Self::open_at(opening, settings, 0, 0)
    }

    pub fn open_at(opening: Opening, settings: Settings, number: u32, now: u64) -> Self {
        let mut fx = Vec::new();
        let settings = Arc::new(settings);
        let session = Session::open(sid(number), 0, opening, settings, now, &mut fx);
        let mut world = Self {
            session,
            now,
            echo: false,
            messages: Vec::new(),
            closed: Vec::new(),
            answers: HashMap::new(),
            frames: BTreeMap::new(),
            hangups: HashMap::new(),
            open_requests: BTreeSet::new(),
            lost: BTreeSet::new(),
            next: 1,
        };
        if opening.transport == Transport::Polling {
            world.open_requests.insert(0);
        }
        world.apply(fx);
        world
    }

    /// A polling session past its handshake.
    pub fn polling(revision: Revision) -> Self {
        let mut world = Self::open(opening(revision, Transport::Polling), settings());
        world.turn();
        world
    }

    /// A WebSocket session past its handshake.
    pub fn websocket(revision: Revision) -> Self {
        let mut world = Self::open(opening(revision, Transport::WebSocket), settings());
        world.turn();
        world.take_frames(0);
        world
    }

    /// Any call on the session.
    pub fn call<R>(
        &mut self,
        call: impl FnOnce(&mut Session<Conn>, u64, &mut Vec<Effect<Conn>>) -> R,
    ) -> R {
        let mut fx = Vec::new();
        let result = call(&mut self.session, self.now, &mut fx);
        self.apply(fx);
        result
    }

    /// The end of a turn.
    pub fn turn(&mut self) {
        self.call(|session, _, fx| session.flush(fx));
    }

    pub fn connection(&mut self) -> Conn {
        self.next += 1;
        self.next - 1
    }

    /// How many connections there have been.
    pub fn connections(&self) -> Conn {
        self.next
    }

    // Requests.

    pub fn get(&mut self) -> Conn {
        let conn = self.connection();
        self.open_requests.insert(conn);
        self.call(|session, now, fx| session.get(conn, now, fx));
        self.turn();
        conn
    }

    pub fn post_begin(&mut self, content_type: Option<&str>) -> (Conn, Option<BodyForm>) {
        let conn = self.connection();
        self.open_requests.insert(conn);
        let form = self.call(|session, _, fx| session.post_begin(conn, content_type, fx));
        (conn, form)
    }

    pub fn post(&mut self, body: &str) -> Conn {
        self.post_bytes(body.as_bytes(), Some("text/plain;charset=UTF-8"))
    }

    pub fn post_bytes(&mut self, body: &[u8], content_type: Option<&str>) -> Conn {
        let (conn, form) = self.post_begin(content_type);
        if let Some(form) = form {
            self.post_body(conn, form, body);
        }
        conn
    }

    /// Reads a body the way a server does.
    pub fn post_body(&mut self, conn: Conn, form: BodyForm, body: &[u8]) {
        let body = Body::read(form, body);
        for item in body.packets(self.session.revision()) {
            match item {
                Ok(packet) => {
                    if self.receive(conn, &packet) == Received::Closed {
                        break;
                    }
                }
                Err(_) => self.call(|session, _, fx| session.bad_packet(conn, fx)),
            }
        }
        self.call(|session, _, fx| session.post_end(conn, fx));
        self.turn();
    }

    pub fn receive(&mut self, conn: Conn, packet: &Packet<'_>) -> Received {
        let received = self.call(|session, now, fx| session.receive(conn, packet, now, fx));
        if received == Received::Message {
            let (sent, reply) = match &packet.data {
                Data::Text(data) => (Sent::Text((*data).to_owned()), text(data)),
                Data::Binary(data) => (Sent::Binary(data.to_vec()), binary(data)),
            };
            self.messages.push(sent);
            if self.echo {
                self.send(reply);
            }
        }
        received
    }

    pub fn send(&mut self, message: Message) -> bool {
        self.call(|session, _, fx| session.send(message, fx))
    }

    /// The status and body of an answer, and the content type where it says something.
    #[track_caller]
    pub fn answer(&self, conn: Conn) -> (u16, String) {
        let response = self.answers.get(&conn).expect("the request is answered");
        (response.status, String::from_utf8(response.body.to_vec()).expect("text"))
    }

    #[track_caller]
    pub fn response(&self, conn: Conn) -> &Response {
        self.answers.get(&conn).expect("the request is answered")
    }

    pub fn is_answered(&self, conn: Conn) -> bool {
        self.answers.contains_key(&conn)
    }

    // WebSockets.

    /// A WebSocket that wants to take over; `None` if it is refused.
    pub fn upgrade(&mut self) -> Option<Conn> {
        let conn = self.connection();
        self.call(|session, now, _| session.upgrade_begin(conn, false, now)).then_some(conn)
    }

    /// A WebSocket that has taken over.
    pub fn upgraded(revision: Revision) -> (Self, Conn) {
        let mut world = Self::polling(revision);
        let conn = world.upgrade().expect("accepted");
        world.frame(conn, "2probe");
        assert_eq!(world.frame(conn, "5"), Received::Upgraded);
        assert_eq!(world.take_frames(conn), frames(&["3probe"]));
        (world, conn)
    }

    /// A text frame from a client, and the rest of the turn.
    pub fn frame(&mut self, conn: Conn, text: &str) -> Received {
        let received = match Packet::from_text(self.session.revision(), text) {
            Ok(packet) => self.receive(conn, &packet),
            Err(_) => {
                self.call(|session, _, fx| session.bad_packet(conn, fx));
                Received::Nothing
            }
        };
        self.turn();
        received
    }

    pub fn binary_frame(&mut self, conn: Conn, bytes: &[u8]) -> Received {
        let packet = Packet::from_binary(self.session.revision(), bytes).expect("a packet");
        let received = self.receive(conn, &packet);
        self.turn();
        received
    }

    pub fn take_frames(&mut self, conn: Conn) -> Vec<Frame> {
        self.frames.remove(&conn).unwrap_or_default()
    }

    pub fn hangup(&self, conn: Conn) -> Option<Hangup> {
        self.hangups.get(&conn).copied()
    }

    pub fn lose(&mut self, conn: Conn) {
        self.open_requests.remove(&conn);
        self.lost.insert(conn);
        self.call(|session, _, fx| session.connection_lost(conn, fx));
    }

    pub fn close(&mut self, how: Close) {
        self.call(|session, now, fx| session.close(how, now, fx));
        self.turn();
    }

    // Time.

    /// Lets time pass, waking the session at each of its deadlines.
    pub fn advance(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(deadline) = self.session.deadline().filter(|&at| at <= end) {
            self.now = self.now.max(deadline);
            self.call(|session, now, fx| session.timeout(now, fx));
            let next = self.session.deadline();
            assert!(next.is_none_or(|at| at > self.now), "what was due is done");
        }
        self.now = end;
    }

    #[track_caller]
    pub fn assert_open(&self) {
        assert_eq!(self.closed, []);
        assert!(self.session.is_open());
    }

    #[track_caller]
    pub fn assert_closed(&self, reason: CloseReason) {
        assert_eq!(self.closed, [reason]);
        assert!(self.session.is_closed());
        assert_eq!(self.session.facts(), None);
        assert_eq!(self.session.deadline(), None);
        assert_eq!(self.session.route(), Route::Closed);
    }

    fn apply(&mut self, fx: Vec<Effect<Conn>>) {
        for effect in fx {
            let is_after_the_end = !self.closed.is_empty();
            match effect {
                Effect::Message { to, message, form } => {
                    assert!(!is_after_the_end, "{message:?}");
                    let frame = message.frame(form);
                    self.frames.entry(to).or_default().push(parse_frame(&frame));
                }
                Effect::Packet { to, text } => {
                    assert!(!is_after_the_end, "{text}");
                    self.frames.entry(to).or_default().push(Frame::Text(text.into_owned()));
                }
                // A handle that is gone: dropped.
                Effect::Respond { to, .. } if self.lost.contains(&to) => {}
                Effect::Respond { to, response } => {
                    assert!(self.open_requests.remove(&to), "no request on {to}: {response:?}");
                    self.answers.insert(to, response);
                }
                Effect::Hangup { connection, how } => {
                    assert!(!self.lost.contains(&connection), "a lost connection is remembered");
                    assert!(!is_after_the_end, "{how:?}");
                    let cuts_a_request = self.open_requests.remove(&connection);
                    assert_eq!(cuts_a_request, how == Hangup::Destroy);
                    assert_eq!(self.hangups.insert(connection, how), None, "hung up twice");
                }
                Effect::Closed { reason } => {
                    assert!(self.session.is_closed());
                    self.closed.push(reason);
                    assert_eq!(self.closed.len(), 1, "closed twice");
                    assert_eq!(self.open_requests, BTreeSet::new(), "requests are left");
                }
            }
        }
    }
}

/// Reads an unmasked frame, RFC 6455 section 5.2.
fn parse_frame(frame: &[u8]) -> Frame {
    let header = match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    let payload = frame[header..].to_vec();
    match frame[0] {
        0x81 => Frame::Text(String::from_utf8(payload).expect("UTF-8")),
        0x82 => Frame::Binary(payload),
        first => panic!("no such frame: {first:#x}"),
    }
}

/// A server: request verification in front of sessions, all of them echoing.
#[derive(Debug, Default)]
pub struct Server {
    pub worlds: HashMap<SessionId, World>,
    pub now: u64,
    opened: u32,
}

/// How a server takes a request.
#[derive(Debug)]
pub enum Reply {
    /// Handed to this session, on this connection.
    Session(SessionId, Conn),
    /// Refused with this status before any session saw it.
    Refused(u16),
    /// A WebSocket, completed and closed.
    ClosedAtOnce,
}

impl Server {
    /// A plain request.
    pub fn request(&mut self, method: &str, query: &str, body: &str) -> Reply {
        self.take(method, query, false, body)
    }

    /// A WebSocket.
    pub fn websocket(&mut self, query: &str) -> Reply {
        self.take("GET", query, true, "")
    }

    fn take(&mut self, method: &str, query: &str, is_upgrade: bool, body: &str) -> Reply {
        let get = |name: &str| {
            let mut values = query.split('&').filter_map(|pair| {
                let (key, value) = pair.split_once('=')?;
                (key == name).then_some(value)
            });
            values.next().filter(|_| values.next().is_none())
        };
        let request = Request {
            method,
            transport: get("transport"),
            eio: get("EIO"),
            sid: get("sid"),
            b64: get("b64"),
            j: get("j"),
            is_upgrade,
            origin: None,
        };
        let known = |sid: &str| self.worlds.get(&SessionId::parse(sid)?)?.session.facts();
        let settings = settings();
        let handshake = match verify(&request, settings.transports, known) {
            Ok(Verdict::NewSession(handshake)) => handshake,
            Ok(Verdict::AcceptThenClose) => return Reply::ClosedAtOnce,
            Ok(Verdict::Existing(existing)) => {
                let sid = SessionId::parse(request.sid.expect("checked")).expect("an id");
                return self.join(sid, existing, body);
            }
            Err(rejection) => return Reply::Refused(rejection.response().status),
        };
        match handshake.admit(settings.allow_eio3) {
            Ok(opening) => {
                self.opened += 1;
                let mut world = World::open_at(opening, settings, self.opened, self.now);
                world.echo = true;
                world.turn();
                let sid = world.session.sid();
                self.worlds.insert(sid, world);
                Reply::Session(sid, 0)
            }
            Err(rejection) => Reply::Refused(rejection.response().status),
        }
    }

    fn join(&mut self, sid: SessionId, existing: Existing, body: &str) -> Reply {
        let world = self.worlds.get_mut(&sid).expect("checked");
        match existing {
            Existing::Poll => Reply::Session(sid, world.get()),
            Existing::Post => Reply::Session(sid, world.post(body)),
            Existing::Other => Reply::Refused(Response::method_unsupported().status),
            Existing::Upgrade { .. } => match world.upgrade() {
                Some(conn) => Reply::Session(sid, conn),
                None => Reply::ClosedAtOnce,
            },
        }
    }

    /// A new polling session of that revision.
    pub fn open_polling(&mut self, eio: u8) -> SessionId {
        match self.request("GET", &format!("EIO={eio}&transport=polling"), "") {
            Reply::Session(sid, _) => sid,
            other => panic!("refused: {other:?}"),
        }
    }

    /// Status and body of a request that is answered within its turn.
    #[track_caller]
    pub fn fetch(&mut self, method: &str, query: &str, body: &str) -> (u16, String) {
        match self.request(method, query, body) {
            Reply::Session(sid, conn) => self.worlds[&sid].answer(conn),
            Reply::Refused(status) => (status, String::new()),
            Reply::ClosedAtOnce => panic!("no WebSocket"),
        }
    }

    pub fn advance(&mut self, ms: u64) {
        self.now += ms;
        for world in self.worlds.values_mut() {
            world.advance(ms);
        }
    }
}
