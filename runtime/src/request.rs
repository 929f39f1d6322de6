//! The way of HTTP bytes: requests to sessions, to the application, or to the shard that owns them.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use bytes::Bytes;
use yamabiko_protocol::engine::payload::{Body, BodyForm};
use yamabiko_protocol::engine::verify::{Existing, Verdict, verify};
use yamabiko_protocol::engine::{self, ErrorCode, PacketType, Received, Rejection, SessionId};
use yamabiko_protocol::http::{BodyDecoder, BodyLength, Head, Method, reason};
use yamabiko_protocol::websocket;

use crate::application::HttpRequest;
use crate::connection::{Answer, ConnectionKey, IncomingBody, Phase, Purpose, Role, WebSocket};
use crate::session::{CLOSE, SessionKey};
use crate::shard::{Shard, State};
use crate::wheel::STEP_MS;

/// What a request's head led to.
enum Routed {
    /// Its body, if any, comes next; or it is answered, or waits for its answer.
    Here,
    /// Its session lives on another shard.
    Elsewhere(u8),
}

/// What to do with the bytes after a piece that was parsed.
enum Next {
    Parse,
    Wait,
    HandOff(u8),
}

impl Shard {
    /// Bytes of an HTTP connection, or of one that has just become a WebSocket.
    pub(crate) fn http_bytes(&self, key: ConnectionKey, bytes: &mut [u8]) {
        let mut inbox = self.with(|state| match state.connections.get_mut(key) {
            Some(connection) => std::mem::take(&mut connection.inbox),
            None => Vec::new(),
        });
        if inbox.is_empty() {
            let (consumed, next) = self.parse(key, bytes);
            return self.keep_rest(key, Vec::new(), &mut bytes[consumed..], next);
        }
        inbox.extend_from_slice(bytes);
        let (consumed, next) = self.parse(key, &inbox);
        inbox.drain(..consumed);
        self.keep_rest(key, inbox, &mut [], next);
    }

    /// Goes on with what waits in the inbox, after an answer has been given.
    pub(crate) fn parse_on(&self, key: ConnectionKey) {
        if self.with(|state| state.connections.get(key).is_some_and(|it| it.is_open())) {
            self.http_bytes(key, &mut []);
            self.with(|state| state.receive_again(key));
        }
    }

    /// Keeps what was not consumed: `inbox`, or else the borrowed `rest`.
    fn keep_rest(&self, key: ConnectionKey, mut inbox: Vec<u8>, rest: &mut [u8], next: Next) {
        let is_websocket = self.with(|state| {
            let Some(connection) = state.connections.get_mut(key) else { return false };
            match connection.role {
                Role::WebSocket(_) => return true,
                Role::Http(_) if connection.stage.keeps_input() => {
                    inbox.extend_from_slice(rest);
                    connection.inbox = std::mem::take(&mut inbox);
                    state.hold_back(key);
                }
                Role::Http(_) => {}
            }
            if let Next::HandOff(to) = next {
                state.hand_off(key, to);
            }
            false
        });
        if is_websocket {
            // Frames that came with the upgrade request.
            self.websocket_bytes(key, &mut inbox);
            self.websocket_bytes(key, rest);
        }
    }

    /// Parses as far as possible; returns how many bytes are done with.
    fn parse(&self, key: ConnectionKey, bytes: &[u8]) -> (usize, Next) {
        let mut at = 0;
        loop {
            let phase = self.with(|state| state.take_phase(key));
            let (consumed, next) = match phase {
                Some(Phase::Head) => self.parse_head(key, &bytes[at..]),
                Some(Phase::Body(body)) => self.parse_body(key, body, &bytes[at..]),
                Some(Phase::Answering) => {
                    self.with(|state| state.set_phase(key, Phase::Answering));
                    (0, Next::Wait)
                }
                None => (0, Next::Wait),
            };
            at += consumed;
            match next {
                Next::Parse => {}
                Next::Wait | Next::HandOff(_) => return (at, next),
            }
        }
    }

    fn parse_head(&self, key: ConnectionKey, bytes: &[u8]) -> (usize, Next) {
        if bytes.is_empty() {
            return (0, Next::Wait);
        }
        let limits = &self.0.settings.limits.http;
        let Some(mut parser) = self.with(|state| Some(state.http(key)?.parser)) else {
            return (0, Next::Wait);
        };
        match parser.parse(bytes, limits) {
            Ok(None) => {
                self.with(|state| state.head_is_incomplete(key, parser));
                (0, Next::Wait)
            }
            Ok(Some((head, len))) => {
                self.0.metrics.requests.add(1);
                self.with(|state| state.begin_answer(key, &head));
                match self.route(key, &head) {
                    Routed::Here => (len, Next::Parse),
                    Routed::Elsewhere(shard) => (0, Next::HandOff(shard)),
                }
            }
            Err(error) => {
                tracing::debug!(%error, "an HTTP request was refused");
                self.0.metrics.http_errors.add(1);
                self.with(|state| state.refuse_request(key, error.status()));
                (bytes.len(), Next::Wait)
            }
        }
    }

    fn parse_body(
        &self,
        key: ConnectionKey,
        mut body: Box<IncomingBody>,
        bytes: &[u8],
    ) -> (usize, Next) {
        if body.bytes.is_empty()
            && let Some(whole) = body.decoder.whole(bytes)
        {
            self.body_complete(key, body.purpose, whole);
            return (whole.len(), Next::Parse);
        }
        match body.decoder.decode(bytes, &mut body.bytes) {
            Ok((consumed, true)) => {
                self.body_complete(key, body.purpose, &body.bytes);
                (consumed, Next::Parse)
            }
            Ok((consumed, false)) => {
                self.with(|state| state.set_phase(key, Phase::Body(body)));
                (consumed, Next::Wait)
            }
            Err(error) => {
                tracing::debug!(%error, "an HTTP body was refused");
                self.0.metrics.http_errors.add(1);
                self.with(|state| state.refuse_body(key, &body.purpose, error.status()));
                (bytes.len(), Next::Wait)
            }
        }
    }

    /// Decides where a request goes.
    fn route(&self, key: ConnectionKey, head: &Head<'_>) -> Routed {
        let is_engine = self.with(|state| state.path.matches(head.target()));
        if !is_engine {
            self.application_request(key, head);
            return Routed::Here;
        }
        let prefix = self.with(|state| state.path.as_str().len());
        // Files lie beneath the path; requests of clients end with it.
        if head.path().len() > prefix && self.serve_file(key, head) {
            return Routed::Here;
        }
        self.engine_request(key, head)
    }

    fn serve_file(&self, key: ConnectionKey, head: &Head<'_>) -> bool {
        let mut reply = None;
        self.guarded(None, || {
            reply = self.application().request(&HttpRequest { head, body: &[] });
        });
        let Some(reply) = reply else { return false };
        self.with(|state| {
            state.add_cors(key, head);
            state.refuse_unread_body(key, head);
            state.reply(key, Some(reply));
        });
        true
    }

    fn application_request(&self, key: ConnectionKey, head: &Head<'_>) {
        let length = head.body();
        if matches!(length, BodyLength::None | BodyLength::Length(0)) {
            return self.ask_application_for(key, head, &[]);
        }
        let limits = &self.0.settings.limits.http;
        self.with(|state| match BodyDecoder::new(length, limits) {
            Ok(decoder) => {
                let head = Bytes::copy_from_slice(head.raw());
                state.expect_body(key, decoder, Purpose::Application { head });
            }
            Err(error) => {
                state.metrics.http_errors.add(1);
                state.refuse_request(key, error.status());
            }
        });
    }

    fn ask_application_for(&self, key: ConnectionKey, head: &Head<'_>, body: &[u8]) {
        let mut reply = None;
        let mut panicked = true;
        self.guarded(None, || {
            reply = self.application().request(&HttpRequest { head, body });
            panicked = false;
        });
        self.with(|state| match panicked {
            true => state.respond_status(key, 500),
            false => state.reply(key, reply),
        });
    }

    /// A request under the Engine.IO path.
    fn engine_request(&self, key: ConnectionKey, head: &Head<'_>) -> Routed {
        let [transport, eio, sid, b64, j] =
            head.query().unique(["transport", "EIO", "sid", "b64", "j"]);
        // A repeated `sid` names no session; it must not begin one either.
        let sid = sid.or_else(|| head.query().get("sid").map(|_| "repeated".into()));
        if let Some(shard) = sid.as_deref().and_then(|sid| self.owner_elsewhere(sid)) {
            return Routed::Elsewhere(shard);
        }
        if self.with(|state| state.answer_preflight(key, head)) {
            return Routed::Here;
        }
        let request = engine::Request {
            method: head.method().as_str(),
            transport: transport.as_deref(),
            eio: eio.as_deref(),
            sid: sid.as_deref(),
            b64: b64.as_deref(),
            j: j.as_deref(),
            is_upgrade: head.is_websocket_upgrade(),
            origin: head.header("origin").map(str::as_bytes),
        };
        let (session, verdict) = self.with(|state| {
            state.add_cors(key, head);
            let session = state.session_named(sid.as_deref());
            // What was due before this request came is done before it, however coarse our timer.
            if let Some(session) = session {
                state.engine(session, |it, now, fx| it.timeout(now + STEP_MS, fx));
            }
            let facts = session.and_then(|it| state.sessions.get(it)?.engine.facts());
            (session, verify(&request, state.engine_settings.transports, |_| facts))
        });
        let verdict = verdict.and_then(|verdict| match verdict {
            Verdict::NewSession(handshake) => {
                let opening = handshake.admit(self.0.settings.allow_eio3)?;
                self.open(key, head, opening);
                Ok(())
            }
            Verdict::AcceptThenClose => {
                self.upgrade(key, head, None);
                Ok(())
            }
            Verdict::Existing(existing) => {
                let session = session.expect("facts came from it");
                self.existing(key, head, session, existing);
                Ok(())
            }
        });
        if let Err(rejection) = verdict {
            let is_overtaken = rejection.code == ErrorCode::UnknownSid
                && self.with(|state| state.answer_overtaken(key, head, sid.as_deref()));
            if !is_overtaken {
                self.reject(key, head, &rejection);
            }
        }
        Routed::Here
    }

    /// The shard of this node that owns the session, if it is another one.
    fn owner_elsewhere(&self, sid: &str) -> Option<u8> {
        let owner = SessionId::parse(sid)?.owner();
        let is_ours = owner.node == 0 && usize::from(owner.shard) < self.0.shards;
        (is_ours && owner.shard != self.0.id).then_some(owner.shard)
    }

    fn reject(&self, key: ConnectionKey, head: &Head<'_>, rejection: &Rejection<'_>) {
        tracing::debug!(code = rejection.code.number(), context = ?rejection.context, "refused");
        self.0.metrics.requests_refused.add(1);
        self.with(|state| {
            if head.is_websocket_upgrade() {
                if let Some(connection) = state.connections.get_mut(key) {
                    connection
                        .outbox
                        .write(&mut state.pool, |out| rejection.write_upgrade_refusal(out));
                }
                return state.finish(key);
            }
            state.refuse_unread_body(key, head);
            state.respond(key, &rejection.response());
        });
    }

    /// A new session.
    fn open(&self, key: ConnectionKey, head: &Head<'_>, opening: engine::Opening) {
        if opening.transport == engine::Transport::WebSocket {
            return self.upgrade(key, head, Some(Purpose101::Open(opening)));
        }
        let session = self.with(|state| {
            let address = state.peer_address(key);
            state.set_phase(key, Phase::Answering);
            let head = Bytes::copy_from_slice(head.raw());
            let session = state.open_session(key, opening, head, address);
            state.add_cookie(key, session);
            state.set_request_session(key, session);
            session
        });
        self.session_opened(session);
    }

    /// A request to a session of this shard.
    fn existing(
        &self,
        key: ConnectionKey,
        head: &Head<'_>,
        session: SessionKey,
        existing: Existing,
    ) {
        match existing {
            Existing::Poll => self.with(|state| {
                state.refuse_unread_body(key, head);
                state.set_phase(key, Phase::Answering);
                state.set_request_session(key, session);
                state.engine(session, |it, now, fx| it.get(key, now, fx));
            }),
            Existing::Post => self.with(|state| state.begin_post(key, head, session)),
            Existing::Upgrade { b64 } => {
                self.upgrade(key, head, Some(Purpose101::Join { session, b64 }));
            }
            Existing::Other => self.with(|state| {
                state.refuse_unread_body(key, head);
                state.respond(key, &engine::Response::method_unsupported());
            }),
        }
    }

    /// A WebSocket handshake: for a session to open, one to join, or none (accept, then close).
    fn upgrade(&self, key: ConnectionKey, head: &Head<'_>, purpose: Option<Purpose101>) {
        let opened = self.with(|state| {
            let mut accept = match websocket::accept(|name| head.header(name)) {
                Ok(accept) => accept,
                Err(error) => {
                    tracing::debug!(?error, "a WebSocket handshake was refused");
                    state.metrics.websocket_errors.add(1);
                    if let Some(connection) = state.connections.get_mut(key) {
                        connection
                            .outbox
                            .write(&mut state.pool, |out| refuse_handshake(error, out));
                    }
                    state.finish(key);
                    return None;
                }
            };
            // Node's WebSocket server takes the first that is offered.
            if let Some(first) = accept.protocols().next() {
                accept.choose(first);
            }
            let extra = state.take_extra(key);
            let extra = String::from_utf8_lossy(&extra);
            let extra: Vec<_> =
                extra.split_terminator("\r\n").filter_map(|line| line.split_once(": ")).collect();
            if let Some(connection) = state.connections.get_mut(key) {
                connection.outbox.write(&mut state.pool, |out| accept.write_response(out, &extra));
            }
            state.mark_dirty(key);
            match purpose {
                Some(Purpose101::Open(opening)) => {
                    let address = state.peer_address(key);
                    let head = Bytes::copy_from_slice(head.raw());
                    let session = state.open_session(key, opening, head, address);
                    state.become_websocket(key, session);
                    Some(session)
                }
                Some(Purpose101::Join { session, b64 }) => {
                    let accepted =
                        state.engine(session, |it, now, _| it.upgrade_begin(key, b64, now));
                    if accepted == Some(true) {
                        state.become_websocket(key, session);
                    } else {
                        state.write_frame(key, CLOSE, &[]);
                        state.finish(key);
                    }
                    None
                }
                None => {
                    state.write_frame(key, CLOSE, &[]);
                    state.finish(key);
                    None
                }
            }
        });
        if let Some(session) = opened {
            self.session_opened(session);
        }
    }

    fn body_complete(&self, key: ConnectionKey, purpose: Purpose, body: &[u8]) {
        self.with(|state| state.set_phase(key, Phase::Answering));
        match purpose {
            Purpose::Poll { session, form } => self.packets(key, session, form, body),
            Purpose::Application { head } => {
                if let Some(head) = Head::reparse(&head) {
                    self.ask_application_for(key, &head, body);
                }
            }
        }
    }

    /// The packets of a polling POST.
    fn packets(&self, key: ConnectionKey, session: SessionKey, form: BodyForm, body: &[u8]) {
        let Some(revision) =
            self.with(|state| Some(state.sessions.get(session)?.engine.revision()))
        else {
            return self.with(|state| state.respond(key, &engine::Response::ok()));
        };
        let body = Body::read(form, body);
        for packet in body.packets(revision) {
            let Ok(packet) = packet else {
                self.0.metrics.engine_errors.add(1);
                self.with(|state| state.engine(session, |it, _, fx| it.bad_packet(key, fx)));
                break;
            };
            let received = self.with(|state| {
                let has_poll = state.is_writable(session);
                let received =
                    state.engine(session, |it, now, fx| it.receive(key, &packet, now, fx));
                if packet.kind == PacketType::Close && !has_poll {
                    state.expect_overtaken(session);
                }
                received
            });
            match received {
                Some(Received::Message) => self.message(session, &packet.data),
                Some(Received::Nothing | Received::Upgraded) => {}
                Some(Received::Closed) | None => break,
            }
        }
        self.with(|state| {
            state.engine(session, |it, _, fx| it.post_end(key, fx));
            state.mark_chatty(session);
        });
    }
}

/// What a WebSocket handshake is for.
enum Purpose101 {
    Open(engine::Opening),
    Join { session: SessionKey, b64: bool },
}

impl State {
    fn session_named(&self, sid: Option<&str>) -> Option<SessionKey> {
        self.session_ids.get(&SessionId::parse(sid?)?).copied()
    }

    /// A session was closed by its client. One shard alone reads requests in the order they came.
    fn expect_overtaken(&mut self, session: SessionKey) {
        if self.shards > 1
            && let Some(entry) = self.sessions.get(session)
        {
            self.overtaken.expect(entry.id, self.now_ms);
        }
    }

    /// Answers the poll that its client's farewell has overtaken, if this is it.
    fn answer_overtaken(&mut self, key: ConnectionKey, head: &Head<'_>, sid: Option<&str>) -> bool {
        let is_it = head.method() == Method::Get
            && sid
                .and_then(SessionId::parse)
                .is_some_and(|sid| self.overtaken.take(&sid, self.now_ms));
        if is_it {
            let content_type = Some(engine::payload::TEXT_CONTENT_TYPE);
            let body = match head.query().get("EIO").as_deref() {
                Some("4") => "6",
                _ => "1:6",
            };
            let body = body.as_bytes().into();
            self.respond(key, &engine::Response { status: 200, content_type, body });
        }
        is_it
    }

    fn peer_address(&self, key: ConnectionKey) -> SocketAddr {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let Some(connection) = self.connections.get(key) else { return unknown };
        let address = socket2::SockRef::from(&connection.fd.as_fd()).peer_addr();
        let address = address.ok().and_then(|address| address.as_socket()).unwrap_or(unknown);
        SocketAddr::new(address.ip().to_canonical(), address.port())
    }

    /// Notes how the request must be answered.
    fn begin_answer(&mut self, key: ConnectionKey, head: &Head<'_>) {
        let answer = Answer {
            keep_alive: head.keep_alive() && !self.draining,
            http_1_0: head.is_http_1_0(),
            head_only: head.method() == Method::Head,
            no_xss_header: head.header("user-agent").is_some_and(is_old_explorer),
            extra: None,
        };
        let expects_continue = head.expects_continue();
        if let Some(http) = self.http(key) {
            http.answer = answer;
            http.session = None;
            http.parser = Default::default();
            http.head_began = false;
        }
        self.set_deadline(key, None);
        if expects_continue && let Some(connection) = self.connections.get_mut(key) {
            connection.outbox.write(&mut self.pool, |out| {
                out.extend_from_slice(yamabiko_protocol::http::CONTINUE);
            });
            self.mark_dirty(key);
        }
    }

    fn expect_body(&mut self, key: ConnectionKey, decoder: BodyDecoder, purpose: Purpose) {
        let body = IncomingBody { decoder, bytes: Vec::new(), purpose };
        self.set_phase(key, Phase::Body(Box::new(body)));
        let patience = self.settings.limits.body_timeout.as_millis() as u64;
        self.set_deadline(key, Some(self.now_ms + patience));
    }

    /// A polling POST: the overlap rules apply as soon as its head is here.
    fn begin_post(&mut self, key: ConnectionKey, head: &Head<'_>, session: SessionKey) {
        self.set_phase(key, Phase::Answering);
        self.set_request_session(key, session);
        // Until the session takes the body, an answer leaves it unread and so ends the connection.
        let keep_alive = self.refuse_unread_body(key, head);
        let content_type = head.header("content-type");
        let form = self.engine(session, |it, _, fx| it.post_begin(key, content_type, fx)).flatten();
        let Some(form) = form else { return };
        match BodyDecoder::new(head.body(), &self.settings.limits.http) {
            Ok(decoder) => {
                self.set_keep_alive(key, keep_alive);
                self.expect_body(key, decoder, Purpose::Poll { session, form });
            }
            Err(error) => {
                tracing::debug!(%error, "a polling body was refused");
                self.metrics.http_errors.add(1);
                self.engine(session, |it, _, fx| it.body_too_large(key, fx));
            }
        }
    }

    /// A body broke a limit or the grammar of chunks.
    fn refuse_body(&mut self, key: ConnectionKey, purpose: &Purpose, status: u16) {
        self.set_phase(key, Phase::Answering);
        self.set_keep_alive(key, false);
        match (purpose, status) {
            (Purpose::Poll { session, .. }, 413) => {
                self.engine(*session, |it, _, fx| it.body_too_large(key, fx));
            }
            (Purpose::Poll { session, .. }, _) => {
                self.engine(*session, |it, _, fx| it.connection_lost(key, fx));
                self.refuse_request(key, status);
            }
            (Purpose::Application { .. }, _) => self.refuse_request(key, status),
        }
    }

    fn become_websocket(&mut self, key: ConnectionKey, session: SessionKey) {
        let decoder = websocket::Decoder::new(self.websocket_limits);
        if let Some(connection) = self.connections.get_mut(key) {
            connection.role = Role::WebSocket(WebSocket { decoder, session });
            connection.deadline_ms = None;
        }
    }
}

/// The answer to a WebSocket handshake that is none; the connection closes after it.
fn refuse_handshake(error: websocket::HandshakeError, out: &mut Vec<u8>) {
    let status = error.status();
    let header = error.header().map(|(name, value)| format!("{name}: {value}\r\n"));
    let answer = format!(
        "HTTP/1.1 {status} {}\r\n{}Connection: close\r\nContent-Length: 0\r\n\r\n",
        reason(status),
        header.unwrap_or_default(),
    );
    out.extend_from_slice(answer.as_bytes());
}

/// Old Internet Explorers rewrote answers they took for attacks, unless told not to.
fn is_old_explorer(user_agent: &str) -> bool {
    user_agent.contains(";MSIE") || user_agent.contains("Trident/")
}
