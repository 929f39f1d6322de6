//! WebSocket handshakes: a connection stops speaking HTTP.

use bytes::Bytes;
use yamabiko_protocol::engine;
use yamabiko_protocol::http::{Head, reason};
use yamabiko_protocol::websocket;

use crate::connection::{ConnectionKey, Role, WebSocket};
use crate::session::{CLOSE, SessionKey};
use crate::shard::{Shard, State};

/// What a WebSocket handshake is for.
pub(crate) enum Purpose101 {
    Open(engine::Opening),
    Join { session: SessionKey, b64: bool },
}

impl Shard {
    /// A WebSocket handshake: for a session to open, one to join, or none (accept, then close).
    pub(crate) fn upgrade(&self, key: ConnectionKey, head: &Head<'_>, purpose: Option<Purpose101>) {
        let mut accept = match websocket::accept(|name| head.header(name)) {
            Ok(accept) => accept,
            Err(error) => return self.refuse_upgrade(key, head, error),
        };
        // Node's WebSocket server takes the first that is offered.
        if let Some(first) = accept.protocols().next() {
            accept.choose(first);
        }
        let opened = self.with(|state| {
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
                    let address = state.client_address(key, head);
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

    fn refuse_upgrade(
        &self,
        key: ConnectionKey,
        head: &Head<'_>,
        error: websocket::HandshakeError,
    ) {
        tracing::debug!(?error, "a WebSocket handshake was refused");
        self.0.metrics.websocket_errors.add(1);
        self.with(|state| {
            if let Some(connection) = state.connections.get_mut(key) {
                connection.outbox.write(&mut state.pool, |out| refuse_handshake(error, out));
            }
            state.finish(key);
        });
        self.tell_refusal(key, head, &engine::Context::TransportHandshake.into());
    }
}

impl State {
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
