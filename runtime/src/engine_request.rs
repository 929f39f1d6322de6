//! Requests under the Engine.IO path: which session they are for, and whether they may.

use bytes::Bytes;
use yamabiko_protocol::engine::verify::{Existing, Verdict, verify};
use yamabiko_protocol::engine::{self, ErrorCode, Rejection, SessionId};
use yamabiko_protocol::http::{Head, Method};

use crate::connection::{ConnectionKey, Phase};
use crate::nodes::Whose;
use crate::request::{Elsewhere, Routed};
use crate::session::SessionKey;
use crate::shard::{Shard, State};
use crate::upgrade::Purpose101;
use crate::wheel::STEP_MS;

impl Shard {
    /// A request under the Engine.IO path.
    pub(crate) fn engine_request(&self, key: ConnectionKey, head: &Head<'_>) -> Routed {
        let [transport, eio, sid, b64, j] =
            head.query().unique(["transport", "EIO", "sid", "b64", "j"]);
        // A repeated `sid` names no session; it must not begin one either.
        let sid = sid.or_else(|| head.query().get("sid").map(|_| "repeated".into()));
        if let Some(elsewhere) = sid.as_deref().and_then(|sid| self.owner_elsewhere(key, sid)) {
            return Routed::Elsewhere(elsewhere);
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
            Verdict::NewSession(handshake) if self.hooks().allow_request => {
                self.ask_for_leave(key, head, handshake);
                Ok(())
            }
            Verdict::NewSession(handshake) => {
                let opening = handshake.admit(self.0.settings.allow_eio3)?;
                self.open(key, head, opening);
                Ok(())
            }
            Verdict::AcceptThenClose => {
                self.ask_for_headers(key, head, request.sid.is_none());
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

    /// Where the session lives, if it is not here and can be gone to. A node that could not be reached,
    /// or to which the connection has come too far already, is passed over: then it is unknown here.
    fn owner_elsewhere(&self, key: ConnectionKey, sid: &str) -> Option<Elsewhere> {
        let owner = SessionId::parse(sid)?.owner();
        self.with(|state| match state.roll.whose(owner.node) {
            Whose::Ours => {
                let is_there = usize::from(owner.shard) < self.0.shards;
                (is_there && owner.shard != self.0.id).then_some(Elsewhere::Shard(owner.shard))
            }
            Whose::Peer(address) => state.may_relay(key).then_some(Elsewhere::Node(address)),
            Whose::Nobody => None,
        })
    }

    pub(crate) fn reject(&self, key: ConnectionKey, head: &Head<'_>, rejection: &Rejection<'_>) {
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
            state.respond(key, rejection.response());
        });
        self.tell_refusal(key, head, rejection);
    }

    /// A new session.
    pub(crate) fn open(&self, key: ConnectionKey, head: &Head<'_>, opening: engine::Opening) {
        self.ask_for_headers(key, head, true);
        if opening.transport == engine::Transport::WebSocket {
            return self.upgrade(key, head, Some(Purpose101::Open(opening)));
        }
        let session = self.with(|state| {
            let address = state.client_address(key, head);
            state.set_phase(key, Phase::Answering);
            state.note_encoding(key, head);
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
        if existing != Existing::Other {
            self.ask_for_headers(key, head, false);
        }
        match existing {
            Existing::Poll => self.with(|state| {
                state.refuse_unread_body(key, head);
                state.set_phase(key, Phase::Answering);
                state.note_encoding(key, head);
                state.set_request_session(key, session);
                state.engine(session, |it, now, fx| it.get(key, now, fx));
            }),
            Existing::Post => self.with(|state| state.begin_post(key, head, session)),
            Existing::Upgrade { b64 } => {
                self.upgrade(key, head, Some(Purpose101::Join { session, b64 }));
            }
            Existing::Other => self.with(|state| {
                state.refuse_unread_body(key, head);
                state.respond(key, engine::Response::method_unsupported());
            }),
        }
    }
}

impl State {
    fn session_named(&self, sid: Option<&str>) -> Option<SessionKey> {
        self.session_ids.get(&SessionId::parse(sid?)?).copied()
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
            let compress = false;
            self.respond(key, engine::Response { status: 200, content_type, body, compress });
        }
        is_it
    }
}
