//! Polling POSTs: bodies to Engine.IO packets.

use yamabiko_protocol::engine::payload::{Body, BodyForm};
use yamabiko_protocol::engine::{self, PacketType, Received};
use yamabiko_protocol::http::{BodyDecoder, Head};

use crate::connection::{ConnectionKey, Phase};
use crate::session::SessionKey;
use crate::shard::{Shard, State};

impl State {
    /// A polling POST: the overlap rules apply as soon as its head is here.
    pub(crate) fn begin_post(&mut self, key: ConnectionKey, head: &Head<'_>, session: SessionKey) {
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
                self.expect_body(key, decoder, session, form);
            }
            Err(error) => {
                tracing::debug!(%error, "a polling body was refused");
                self.metrics.http_errors.add(1);
                self.engine(session, |it, _, fx| it.body_too_large(key, fx));
            }
        }
    }
}

impl Shard {
    /// The packets of a polling POST.
    pub(crate) fn packets(
        &self,
        key: ConnectionKey,
        session: SessionKey,
        form: BodyForm,
        body: &[u8],
    ) {
        let Some(revision) =
            self.with(|state| Some(state.sessions.get(session)?.engine.revision()))
        else {
            return self.with(|state| state.respond(key, engine::Response::ok()));
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

impl State {
    /// A session was closed by its client. One shard alone reads requests in the order they came.
    fn expect_overtaken(&mut self, session: SessionKey) {
        if self.shards > 1
            && let Some(entry) = self.sessions.get(session)
        {
            self.overtaken.expect(entry.id, self.now_ms);
        }
    }
}
