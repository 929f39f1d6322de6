//! Answers to HTTP requests: how they are written, and what a connection does afterwards.

use std::io::Write as _;

use yamabiko_protocol::engine::Response;
use yamabiko_protocol::http::{
    BodyLength, Encoding, Head, HeadParser, Method, preferred_encoding, reason,
};

use crate::application::HttpReply;
use crate::compressor::OFFERED;
use crate::connection::{ConnectionKey, Http, Phase};
use crate::response_body::put_fields;
use crate::session::SessionKey;
use crate::shard::{Errand, State};

impl State {
    pub(crate) fn http(&mut self, key: ConnectionKey) -> Option<&mut Http> {
        self.connections.get_mut(key).filter(|connection| connection.is_open())?.http()
    }

    /// Takes the phase out to be worked on; whoever takes it leaves `Head` or sets the next.
    pub(crate) fn take_phase(&mut self, key: ConnectionKey) -> Option<Phase> {
        self.http(key).map(|http| std::mem::take(&mut http.phase))
    }

    pub(crate) fn set_phase(&mut self, key: ConnectionKey, phase: Phase) {
        if let Some(http) = self.http(key) {
            http.phase = phase;
        }
    }

    pub(crate) fn set_request_session(&mut self, key: ConnectionKey, session: SessionKey) {
        if let Some(http) = self.http(key) {
            http.session = Some(session);
        }
    }

    pub(crate) fn set_keep_alive(&mut self, key: ConnectionKey, keep_alive: bool) {
        if let Some(http) = self.http(key) {
            http.answer.keep_alive = keep_alive;
        }
    }

    /// A request with a body that nobody will read ends its connection: returns what was promised.
    pub(crate) fn refuse_unread_body(&mut self, key: ConnectionKey, head: &Head<'_>) -> bool {
        let Some(http) = self.http(key) else { return false };
        let promised = http.answer.keep_alive;
        if !matches!(head.body(), BodyLength::None | BodyLength::Length(0)) {
            http.answer.keep_alive = false;
        }
        promised
    }

    /// The head is not whole yet: remembers how far it was searched, and from its first byte on counts
    /// the time it takes.
    pub(crate) fn head_is_incomplete(&mut self, key: ConnectionKey, parser: HeadParser) {
        let deadline = self.now_ms + self.header_timeout_ms;
        let Some(http) = self.http(key) else { return };
        http.parser = parser;
        if !std::mem::replace(&mut http.head_began, true) {
            self.set_deadline(key, Some(deadline));
        }
    }

    /// Adds the CORS headers that the settings want on every answer to this request.
    pub(crate) fn add_cors(&mut self, key: ConnectionKey, head: &Head<'_>) {
        if let Some(cors) = &self.settings.cors {
            let mut lines = Vec::new();
            cors.write_headers(head.header("origin"), &mut lines);
            self.add_extra(key, lines);
        }
    }

    /// Answers a preflight, if CORS is on and this is one: any OPTIONS on the path.
    pub(crate) fn answer_preflight(&mut self, key: ConnectionKey, head: &Head<'_>) -> bool {
        if head.method() != Method::Options {
            return false;
        }
        let Some(cors) = &self.settings.cors else { return false };
        let mut lines = Vec::new();
        let asked = head.header("access-control-request-headers");
        let Some(status) = cors.write_preflight(head.header("origin"), asked, &mut lines) else {
            return false;
        };
        self.add_extra(key, lines);
        self.refuse_unread_body(key, head);
        self.respond_status(key, status);
        true
    }

    /// Adds the cookie of a polling handshake.
    pub(crate) fn add_cookie(&mut self, key: ConnectionKey, session: SessionKey) {
        if let Some(cookie) = &self.settings.cookie
            && let Some(entry) = self.sessions.get(session)
        {
            let line = format!("Set-Cookie: {}\r\n", cookie.value(entry.id.as_str()));
            self.add_extra(key, line.into_bytes());
        }
    }

    pub(crate) fn add_extra(&mut self, key: ConnectionKey, lines: Vec<u8>) {
        if let Some(http) = self.http(key).filter(|_| !lines.is_empty()) {
            let mut all = http.answer.extra.take().map(Vec::from).unwrap_or_default();
            all.extend(lines);
            http.answer.extra = Some(all.into());
        }
    }

    /// The header lines that were collected for this request.
    pub(crate) fn take_extra(&mut self, key: ConnectionKey) -> Box<[u8]> {
        self.http(key).and_then(|http| http.answer.extra.take()).unwrap_or_default()
    }

    /// Notes how the answer to a poll may be compressed.
    pub(crate) fn note_encoding(&mut self, key: ConnectionKey, head: &Head<'_>) {
        if self.settings.http_compression.is_some()
            && let Some(accept) = head.header("accept-encoding")
            && let Some(http) = self.http(key)
        {
            http.answer.encoding = preferred_encoding(accept, &OFFERED);
        }
    }

    /// Answers with what a session said.
    pub(crate) fn respond(&mut self, key: ConnectionKey, response: Response) {
        match self.coding_of(key, &response) {
            Some(encoding) => self.respond_compressed(key, response, encoding),
            None => self.respond_body(key, &response, None, &response.body),
        }
    }

    /// Answers with what a session said, and this as its body.
    pub(crate) fn respond_body(
        &mut self,
        key: ConnectionKey,
        response: &Response,
        encoding: Option<Encoding>,
        body: &[u8],
    ) {
        let Some(http) = self.http(key) else { return };
        let no_store = response.is_no_store();
        let no_xss = no_store && http.answer.no_xss_header;
        let fields = |out: &mut Vec<u8>| {
            if let Some(content_type) = response.content_type {
                field(out, "Content-Type", content_type);
            }
            if let Some(encoding) = encoding {
                field(out, "Content-Encoding", encoding.name());
            }
            if no_store {
                out.extend_from_slice(b"cache-control: no-store\r\n");
            }
            if no_xss {
                out.extend_from_slice(b"X-XSS-Protection: 0\r\n");
            }
        };
        self.write_answer(key, response.status, fields, body);
    }

    /// Answers with a status and nothing else.
    pub(crate) fn respond_status(&mut self, key: ConnectionKey, status: u16) {
        self.write_answer(key, status, |_| (), &[]);
    }

    /// Answers with a file.
    pub(crate) fn reply(&mut self, key: ConnectionKey, reply: &HttpReply) {
        let fields = |out: &mut Vec<u8>| put_fields(&reply.headers, out);
        self.write_answer(key, reply.status.as_u16(), fields, &reply.body);
    }

    /// Refuses a request that broke the protocol, a limit or its time; the connection ends with it.
    pub(crate) fn refuse_request(&mut self, key: ConnectionKey, status: u16) {
        self.set_keep_alive(key, false);
        self.respond_status(key, status);
        self.finish(key);
    }

    /// Writes an answer; then the connection is ready for the next request, or ends.
    fn write_answer(
        &mut self,
        key: ConnectionKey,
        status: u16,
        fields: impl FnOnce(&mut Vec<u8>),
        body: &[u8],
    ) {
        let extra = self.take_extra(key);
        let keep_alive_ms = self.settings.limits.keep_alive_timeout.as_millis() as u64;
        let deadline = self.now_ms + keep_alive_ms;
        let Some(http) = self.http(key) else { return };
        let answer = std::mem::take(&mut http.answer);
        http.phase = Phase::Head;
        http.session = None;
        let has_body = status >= 200 && status != 204 && status != 304;
        let connection = &mut self.connections[key];
        connection.outbox.write(&mut self.pool, |out| {
            let _ = write!(out, "HTTP/1.1 {status} {}\r\n", reason(status));
            fields(out);
            out.extend_from_slice(&extra);
            if has_body || status == 204 {
                let _ = write!(out, "Content-Length: {}\r\n", body.len());
            }
            match (answer.keep_alive, answer.http_1_0) {
                (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
                (true, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
                (true, false) => {}
            }
            out.extend_from_slice(b"\r\n");
            if has_body && !answer.head_only {
                out.extend_from_slice(body);
            }
        });
        let has_more = !connection.inbox.is_empty();
        self.mark_dirty(key);
        if !answer.keep_alive {
            return self.finish(key);
        }
        self.set_deadline(key, Some(deadline));
        if has_more {
            self.errands.push(Errand::Parse(key));
        }
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}
