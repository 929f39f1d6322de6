//! The way of HTTP bytes: requests to sessions, to the application, or to the shard that owns them.

use std::net::SocketAddr;

use yamabiko_protocol::engine::payload::BodyForm;
use yamabiko_protocol::http::{BodyDecoder, Head, Method};

use crate::connection::{Answer, Connection, ConnectionKey, IncomingBody, Phase, Role};
use crate::relay::HOPS_MAX;
use crate::session::SessionKey;
use crate::shard::{Shard, State};

/// What a request's head led to.
pub(crate) enum Routed {
    /// Its body, if any, comes next; or it is answered, or waits for its answer.
    Here,
    /// The application has it, with so many bytes of its body.
    Exchange(usize),
    /// Its session lives elsewhere.
    Elsewhere(Elsewhere),
}

/// Where a session lives that is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    /// On another shard of this node.
    Shard(u8),
    /// On another node, which takes connections here.
    Node(SocketAddr),
}

/// What to do with the bytes after a piece that was parsed.
enum Next {
    Parse,
    Wait,
    Leave(Elsewhere),
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
                Role::Http(_) | Role::Relay(_) | Role::Greeting(_) => {}
            }
            match next {
                Next::Leave(Elsewhere::Shard(to)) => state.hand_off(key, to),
                Next::Leave(Elsewhere::Node(address)) => state.begin_relay(key, address),
                Next::Parse | Next::Wait => {}
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
                Some(deciding @ Phase::Deciding(_)) => {
                    self.with(|state| state.set_phase(key, deciding));
                    (0, Next::Wait)
                }
                Some(Phase::Exchange(exchange)) => {
                    let rest = &bytes[at..];
                    let taken = self.with(|state| state.take_body(key, exchange, rest));
                    (taken.0, if taken.1 { Next::Parse } else { Next::Wait })
                }
                None => (0, Next::Wait),
            };
            at += consumed;
            match next {
                Next::Parse => {}
                Next::Wait | Next::Leave(_) => return (at, next),
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
                match self.route(key, &head, &bytes[len..]) {
                    Routed::Here => (len, Next::Parse),
                    Routed::Exchange(taken) => (len + taken, Next::Parse),
                    Routed::Elsewhere(elsewhere) => (0, Next::Leave(elsewhere)),
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
            self.body_complete(key, &body, whole);
            return (whole.len(), Next::Parse);
        }
        match body.decoder.decode(bytes, &mut body.bytes) {
            Ok((consumed, true)) => {
                self.body_complete(key, &body, &body.bytes);
                (consumed, Next::Parse)
            }
            Ok((consumed, false)) => {
                self.with(|state| state.set_phase(key, Phase::Body(body)));
                (consumed, Next::Wait)
            }
            Err(error) => {
                tracing::debug!(%error, "an HTTP body was refused");
                self.0.metrics.http_errors.add(1);
                self.with(|state| state.refuse_body(key, body.session, error.status()));
                (bytes.len(), Next::Wait)
            }
        }
    }

    /// Decides where a request goes. `rest` is what came behind its head.
    fn route(&self, key: ConnectionKey, head: &Head<'_>, rest: &[u8]) -> Routed {
        let is_engine = self.with(|state| state.path.matches(head.target()));
        if !is_engine {
            return Routed::Exchange(self.application_request(key, head, rest));
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
        self.guarded(None, || reply = self.application().file(head));
        let Some(reply) = reply else { return false };
        self.with(|state| {
            state.add_cors(key, head);
            state.refuse_unread_body(key, head);
            state.reply(key, &reply);
        });
        true
    }

    fn body_complete(&self, key: ConnectionKey, body: &IncomingBody, bytes: &[u8]) {
        self.with(|state| state.set_phase(key, Phase::Answering));
        self.packets(key, body.session, body.form, bytes);
    }
}

impl State {
    /// Notes how the request must be answered.
    fn begin_answer(&mut self, key: ConnectionKey, head: &Head<'_>) {
        let hops = self.connections.get(key).map_or(0, Connection::hops);
        let answer = Answer {
            keep_alive: head.keep_alive() && !self.draining && hops < HOPS_MAX,
            http_1_0: head.is_http_1_0(),
            head_only: head.method() == Method::Head,
            no_xss_header: head.header("user-agent").is_some_and(is_old_explorer),
            expects_continue: head.expects_continue(),
            encoding: None,
            is_compressing: false,
            extra: None,
        };
        if let Some(http) = self.http(key) {
            http.answer = answer;
            http.session = None;
            http.parser = Default::default();
            http.head_began = false;
        }
        self.set_deadline(key, None);
    }

    /// A polling POST's body comes next.
    pub(crate) fn expect_body(
        &mut self,
        key: ConnectionKey,
        decoder: BodyDecoder,
        session: SessionKey,
        form: BodyForm,
    ) {
        let body = IncomingBody { decoder, bytes: Vec::new(), session, form };
        self.ask_for_body(key);
        self.set_phase(key, Phase::Body(Box::new(body)));
        let patience = self.settings.limits.body_timeout.as_millis() as u64;
        self.set_deadline(key, Some(self.now_ms + patience));
    }

    /// A body broke a limit or the grammar of chunks.
    fn refuse_body(&mut self, key: ConnectionKey, session: SessionKey, status: u16) {
        self.set_phase(key, Phase::Answering);
        self.set_keep_alive(key, false);
        if status == 413 {
            self.engine(session, |it, _, fx| it.body_too_large(key, fx));
        } else {
            self.engine(session, |it, _, fx| it.connection_lost(key, fx));
            self.refuse_request(key, status);
        }
    }
}

/// Old Internet Explorers rewrote answers they took for attacks, unless told not to.
fn is_old_explorer(user_agent: &str) -> bool {
    user_agent.contains(";MSIE") || user_agent.contains("Trident/")
}
