//! The actor's Engine.IO side: what a client keeps when its connections change.
//!
//! The rules are `protocol::engine`'s. Here its effects are carried out, its one timer is kept, and what
//! Socket.IO hangs on a session is held.

use std::net::SocketAddr;

use bytes::Bytes;
use yamabiko_protocol::engine::{
    BinaryForm, Close, CloseReason, Effect, Hangup, Opening, Revision, Route, Session, SessionId,
};
use yamabiko_protocol::message::{Message, TextMessage};
use yamabiko_protocol::socket::Decoder;
use yamabiko_protocol::websocket::encode::put_header;
use yamabiko_protocol::websocket::{Control, Data, OpCode};

use crate::application::{DisconnectReason, NamespaceId, SocketKey};
use crate::connection::ConnectionKey;
use crate::outbox::{Outbox, Pool};
use crate::shard::{Errand, Shard, State, Timer, unix_ms};

slotmap::new_key_type! {
    /// Names one session on its shard.
    pub struct SessionKey;
}

pub(crate) const TEXT: OpCode = OpCode::Data(Data::Text);
pub(crate) const BINARY: OpCode = OpCode::Data(Data::Binary);
pub(crate) const PONG: OpCode = OpCode::Control(Control::Pong);
pub(crate) const CLOSE: OpCode = OpCode::Control(Control::Close);

/// Bytes that may wait for a client before its volatile packets are dropped.
const WRITABLE_BYTES_MAX: usize = 64 * 1024;

/// One session.
pub(crate) struct SessionEntry {
    pub(crate) engine: Session<ConnectionKey>,
    pub(crate) id: SessionId,
    /// The namespaces it has joined or asked to join.
    pub(crate) sockets: Vec<(NamespaceId, SocketKey)>,
    pub(crate) decoder: Decoder,
    pub(crate) address: SocketAddr,
    /// The head of the handshake's request, as it came.
    pub(crate) head: Bytes,
    pub(crate) issued_ms: u64,
    /// When the client must have joined a namespace.
    pub(crate) connect_deadline_ms: Option<u64>,
    /// When all attachments of the binary packet that is under way must be here.
    pub(crate) attachments_deadline_ms: Option<u64>,
    /// Why the server ends it, where Engine.IO's own reason says less.
    ending: Option<DisconnectReason>,
    /// The earliest entry for this session in the wheel.
    filed_ms: u64,
    /// It is in this turn's list of sessions to flush.
    chatty: bool,
}

impl State {
    /// Starts a session on the connection of its first request.
    pub(crate) fn open_session(
        &mut self,
        connection: ConnectionKey,
        opening: Opening,
        head: Bytes,
        address: SocketAddr,
    ) -> SessionKey {
        let id = self.identities.next();
        let mut fx = std::mem::take(&mut self.effects);
        let settings = self.engine_settings.clone();
        let engine = Session::open(id, connection, opening, settings, self.now_ms, &mut fx);
        // Who speaks Engine.IO alone joins no namespace, and has all the time it wants.
        let connect_timeout_ms = self.settings.connect_timeout.as_millis() as u64;
        let connect_deadline_ms = (!self.is_engine_only).then(|| self.now_ms + connect_timeout_ms);
        let key = self.sessions.insert(SessionEntry {
            engine,
            id,
            sockets: Vec::new(),
            decoder: Decoder::default(),
            address,
            head,
            issued_ms: unix_ms(),
            connect_deadline_ms,
            attachments_deadline_ms: None,
            ending: None,
            filed_ms: u64::MAX,
            chatty: false,
        });
        self.session_ids.insert(id, key);
        self.metrics.sessions.add(1);
        self.metrics.sessions_opened.add(1);
        self.effects = fx;
        self.settle(key);
        self.mark_chatty(key);
        key
    }

    /// Calls into a session and carries out what comes of it.
    pub(crate) fn engine<R>(
        &mut self,
        key: SessionKey,
        call: impl FnOnce(&mut Session<ConnectionKey>, u64, &mut Vec<Effect<ConnectionKey>>) -> R,
    ) -> Option<R> {
        let entry = self.sessions.get_mut(key)?;
        let result = call(&mut entry.engine, self.now_ms, &mut self.effects);
        self.settle(key);
        Some(result)
    }

    /// Carries out a session's effects and keeps its timer.
    pub(crate) fn settle(&mut self, key: SessionKey) {
        if !self.effects.is_empty() {
            let mut fx = std::mem::take(&mut self.effects);
            for effect in fx.drain(..) {
                self.carry_out(key, effect);
            }
            self.effects = fx;
        }
        self.file_session(key);
    }

    fn carry_out(&mut self, key: SessionKey, effect: Effect<ConnectionKey>) {
        match effect {
            Effect::Message { to, message, form } => self.write_message(to, &message, form),
            Effect::Packet { to, text } => self.write_frame(to, TEXT, text.as_bytes()),
            Effect::Respond { to, response } => self.respond(to, response),
            Effect::Hangup { connection, how } => self.hang_up(connection, how),
            Effect::Closed { reason } => {
                if let Some(entry) = self.sessions.get_mut(key) {
                    entry.ending.get_or_insert(disconnect_reason(reason));
                    let id = entry.id;
                    self.session_ids.remove(&id);
                    self.errands.push(Errand::Bury(key));
                }
            }
        }
    }

    fn hang_up(&mut self, connection: ConnectionKey, how: Hangup) {
        let payload = match how {
            Hangup::Destroy => return self.close(connection),
            Hangup::WebSocket => Vec::new(),
            Hangup::WebSocketStatus(status) => status.to_be_bytes().to_vec(),
        };
        self.write_frame(connection, CLOSE, &payload);
        self.finish(connection);
    }

    /// Sends a message to a session, over whatever carries it.
    pub(crate) fn send_message(&mut self, key: SessionKey, message: Message) {
        match self.sessions.get(key).map(|entry| entry.engine.route()) {
            Some(Route::WebSocket { to, form }) => self.write_message(to, &message, form),
            Some(Route::Polling) => {
                let compress = self.compress;
                self.engine(key, |session, _, fx| session.send_with(message, compress, fx));
                self.mark_chatty(key);
            }
            Some(Route::Closed) | None => {}
        }
    }

    /// Sends a text message that is not encoded for sharing.
    pub(crate) fn send_text(&mut self, key: SessionKey, text: &[u8]) {
        if !self.has_room(key, text.len()) {
            return;
        }
        match self.sessions.get(key).map(|entry| entry.engine.route()) {
            Some(Route::WebSocket { to, .. }) => {
                if let Some(connection) = self.connections.get_mut(to) {
                    connection.outbox.write(&mut self.pool, |out| put_text(out, text));
                    self.mark_dirty(to);
                }
            }
            Some(Route::Polling) => {
                let text = std::str::from_utf8(text).expect("the encoder writes JSON text");
                self.send_message(key, Message::Text(TextMessage::new(text)));
            }
            Some(Route::Closed) | None => {}
        }
    }

    /// Sends a text message and the attachments that follow it, none of them encoded for sharing.
    pub(crate) fn send_binary(&mut self, key: SessionKey, text: &[u8], attachments: &[Bytes]) {
        let Some(route) = self.sessions.get(key).map(|entry| entry.engine.route()) else { return };
        // All of it or nothing: a client must not wait for attachments that never come.
        let weight = text.len() + attachments.iter().map(Bytes::len).sum::<usize>();
        if !self.has_room(key, weight) {
            return;
        }
        match route {
            Route::WebSocket { to, form } => {
                let Some(connection) = self.connections.get_mut(to) else { return };
                connection.outbox.write(&mut self.pool, |out| put_text(out, text));
                for bytes in attachments {
                    put_binary(&mut connection.outbox, &mut self.pool, bytes, form);
                }
                self.mark_dirty(to);
            }
            Route::Polling => {
                self.send_text(key, text);
                for bytes in attachments {
                    self.send_message(key, Message::Binary(bytes.clone()));
                }
            }
            Route::Closed => {}
        }
    }

    /// Sends a binary message that is not encoded for sharing.
    pub(crate) fn send_bytes(&mut self, key: SessionKey, bytes: &[u8]) {
        if !self.has_room(key, bytes.len()) {
            return;
        }
        match self.sessions.get(key).map(|entry| entry.engine.route()) {
            Some(Route::WebSocket { to, form }) if !form.is_text() => {
                if let Some(connection) = self.connections.get_mut(to) {
                    connection.outbox.write(&mut self.pool, |out| {
                        put_header(out, BINARY, form.encoded_len(bytes.len()));
                        out.extend_from_slice(form.prefix());
                        out.extend_from_slice(bytes);
                    });
                    self.mark_dirty(to);
                }
            }
            Some(Route::WebSocket { .. } | Route::Polling) => {
                self.send_message(key, Message::Binary(Bytes::copy_from_slice(bytes)));
            }
            Some(Route::Closed) | None => {}
        }
    }

    fn write_message(&mut self, to: ConnectionKey, message: &Message, form: BinaryForm) {
        let Some(connection) = self.connections.get_mut(to) else { return };
        match message {
            Message::Text(text) => connection.outbox.push(&mut self.pool, text.frame()),
            Message::Binary(bytes) => {
                put_binary(&mut connection.outbox, &mut self.pool, bytes, form);
            }
        }
        self.mark_dirty(to);
    }

    /// Writes one small frame to a WebSocket.
    pub(crate) fn write_frame(&mut self, to: ConnectionKey, opcode: OpCode, payload: &[u8]) {
        if let Some(connection) = self.connections.get_mut(to)
            && connection.is_open()
        {
            connection.outbox.write(&mut self.pool, |out| {
                put_header(out, opcode, payload.len());
                out.extend_from_slice(payload);
            });
            self.mark_dirty(to);
        }
    }

    /// Whether a volatile packet may be sent now.
    pub(crate) fn is_writable(&self, key: SessionKey) -> bool {
        let Some(entry) = self.sessions.get(key) else { return false };
        entry.engine.is_writable()
            && match entry.engine.route() {
                Route::WebSocket { to, .. } => self
                    .connections
                    .get(to)
                    .is_some_and(|connection| connection.outbox.bytes() <= WRITABLE_BYTES_MAX),
                Route::Polling => true,
                Route::Closed => false,
            }
    }

    /// Whether `bytes` more may wait for this client; ends it if not, as it does not read.
    pub(crate) fn has_room(&mut self, key: SessionKey, bytes: usize) -> bool {
        let Some(Route::WebSocket { to, .. }) =
            self.sessions.get(key).map(|entry| entry.engine.route())
        else {
            return true;
        };
        let Some(connection) = self.connections.get(to) else { return false };
        if connection.outbox.bytes() + bytes <= self.settings.limits.outbox_bytes_max {
            return true;
        }
        self.metrics.outbox_overflows.add(1);
        tracing::debug!("a client did not read what was sent to it (limit outbox_bytes_max)");
        self.close_session(key, DisconnectReason::ForcedClose);
        self.close(to);
        false
    }

    /// The session has something to say at the end of this turn.
    pub(crate) fn mark_chatty(&mut self, key: SessionKey) {
        if let Some(entry) = self.sessions.get_mut(key)
            && !entry.chatty
        {
            entry.chatty = true;
            self.chatty.push(key);
        }
    }

    /// Answers the polls of all sessions that have something to say.
    pub(crate) fn flush_sessions(&mut self) {
        let mut chatty = std::mem::take(&mut self.chatty);
        for key in chatty.drain(..) {
            if let Some(entry) = self.sessions.get_mut(key) {
                entry.chatty = false;
                self.engine(key, |session, _, fx| session.flush(fx));
            }
        }
        self.chatty = chatty;
    }

    /// Ends a session at once; its sockets hear `reason`.
    pub(crate) fn close_session(&mut self, key: SessionKey, reason: DisconnectReason) {
        if let Some(entry) = self.sessions.get_mut(key) {
            entry.ending.get_or_insert(reason);
            self.engine(key, |session, now, fx| session.close(Close::Forced, now, fx));
        }
    }

    /// Ends a session after what was sent to it has arrived.
    pub(crate) fn close_session_gracefully(&mut self, key: SessionKey) {
        self.engine(key, |session, now, fx| {
            session.flush(fx);
            session.close(Close::Graceful, now, fx);
        });
    }

    fn file_session(&mut self, key: SessionKey) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        let deadlines =
            [entry.engine.deadline(), entry.connect_deadline_ms, entry.attachments_deadline_ms];
        if let Some(deadline) = deadlines.into_iter().flatten().min()
            && deadline < entry.filed_ms
        {
            entry.filed_ms = self.wheel.file(Timer::Session(key), deadline).min(deadline);
        }
    }

    /// The wheel's entry for a session came up.
    fn session_due(&mut self, key: SessionKey) {
        let Some(entry) = self.sessions.get_mut(key) else { return };
        // An earlier deadline has left this entry behind: the one that counts comes up later.
        if entry.filed_ms > self.now_ms {
            return;
        }
        entry.filed_ms = u64::MAX;
        if entry.connect_deadline_ms.is_some_and(|deadline| deadline <= self.now_ms) {
            entry.connect_deadline_ms = None;
            tracing::debug!("a client joined no namespace in time");
            return self.close_session(key, DisconnectReason::ForcedServerClose);
        }
        if entry.attachments_deadline_ms.is_some_and(|deadline| deadline <= self.now_ms) {
            entry.attachments_deadline_ms = None;
            self.metrics.request_timeouts.add(1);
            tracing::debug!("a client's attachments did not come in time");
            return self.close_session(key, DisconnectReason::ForcedClose);
        }
        self.engine(key, |session, now, fx| session.timeout(now, fx));
    }

    /// A binary packet has begun: its attachments get as long as a polling body.
    pub(crate) fn expect_attachments(&mut self, key: SessionKey) {
        let deadline = self.now_ms + self.settings.limits.body_timeout.as_millis() as u64;
        if let Some(entry) = self.sessions.get_mut(key) {
            entry.attachments_deadline_ms = Some(deadline);
            self.file_session(key);
        }
    }
}

/// A text message that is not encoded for sharing, as a frame.
fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_header(out, TEXT, 1 + text.len());
    out.push(b'4');
    out.extend_from_slice(text);
}

/// A binary message as a frame: its bytes are copied only if they are few.
fn put_binary(outbox: &mut Outbox, pool: &mut Pool, bytes: &Bytes, form: BinaryForm) {
    if form.is_text() {
        return outbox.write(pool, |out| Message::Binary(bytes.clone()).write_frame(form, out));
    }
    outbox.write(pool, |out| {
        put_header(out, BINARY, form.encoded_len(bytes.len()));
        out.extend_from_slice(form.prefix());
    });
    outbox.push(pool, bytes);
}

impl Shard {
    pub(crate) fn session_timer(&self, key: SessionKey) {
        self.with(|state| state.session_due(key));
    }

    /// Begins a session's Socket.IO side.
    pub(crate) fn session_opened(&self, key: SessionKey) {
        if let Some(engine) = self.engine_application() {
            return self.guarded(None, || engine.open(key));
        }
        let revision = self.with(|state| Some(state.sessions.get(key)?.engine.revision()));
        if revision == Some(Revision::V3) {
            self.join_main_namespace(key);
        }
    }

    /// The server shuts down: the transport is closed, and no DISCONNECT packet is sent, so that clients
    /// come back by themselves.
    pub(crate) fn shut_down_session(&self, key: SessionKey) {
        self.with(|state| {
            state.engine(key, |session, _, fx| session.flush(fx));
            state.close_session(key, DisconnectReason::ServerShuttingDown);
        });
    }

    /// Sends a message to a session of an application that speaks Engine.IO alone.
    pub fn send_engine(&self, session: SessionKey, message: Message) {
        self.with(|state| {
            if state.has_room(session, message.weight()) {
                state.send_message(session, message);
            }
        });
        self.nudge();
    }

    /// A session is over: tells its sockets and forgets it.
    pub(crate) fn bury(&self, key: SessionKey) {
        let Some((sockets, reason)) = self.with(|state| {
            let entry = state.sessions.get_mut(key)?;
            let reason = entry.ending.unwrap_or(DisconnectReason::TransportClose);
            Some((std::mem::take(&mut entry.sockets), reason))
        }) else {
            return;
        };
        if let Some(engine) = self.engine_application() {
            self.guarded(None, || engine.close(key, reason));
        }
        for (_, socket) in sockets {
            self.leave_namespace(socket, reason);
        }
        self.with(|state| {
            if state.sessions.remove(key).is_some() {
                state.metrics.sessions.sub(1);
            }
        });
    }
}

fn disconnect_reason(reason: CloseReason) -> DisconnectReason {
    match reason {
        CloseReason::TransportError => DisconnectReason::TransportError,
        CloseReason::TransportClose => DisconnectReason::TransportClose,
        CloseReason::ForcedClose | CloseReason::BufferOverflow => DisconnectReason::ForcedClose,
        CloseReason::PingTimeout => DisconnectReason::PingTimeout,
        CloseReason::ParseError => DisconnectReason::ParseError,
    }
}
