//! The way of WebSocket bytes: frames to Engine.IO packets to messages.

use yamabiko_protocol::engine::{Data, Packet, Received, Revision};
use yamabiko_protocol::websocket::{Decoder, Event};

use crate::connection::{ConnectionKey, Role};
use crate::session::{CLOSE, PONG, SessionKey};
use crate::shard::{Shard, State};

/// Whether to read on from a connection.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Frame,
    Stop,
}

/// What a packet asks for.
enum Step<'a> {
    /// The application is to have this.
    Message(Data<'a>),
    /// The session is on this WebSocket now.
    Upgraded,
    Nothing,
    Stop,
}

impl Shard {
    /// Bytes of a WebSocket. They are the shard's until this returns, and are unmasked where they lie.
    pub(crate) fn websocket_bytes(&self, key: ConnectionKey, bytes: &mut [u8]) {
        let Some((mut decoder, session)) = self.with(|state| state.lend_decoder(key)) else {
            return;
        };
        let mut input = bytes;
        loop {
            let next = match decoder.decode(&mut input) {
                Ok(Some(event)) => self.frame(key, session, &event),
                Ok(None) => break,
                Err(violation) => {
                    tracing::debug!(?violation, "a WebSocket frame broke the protocol");
                    self.0.metrics.websocket_errors.add(1);
                    let status = u16::from(violation.close_code());
                    self.with(|state| {
                        state.engine(session, |it, _, fx| it.websocket_failed(key, status, fx));
                    });
                    Next::Stop
                }
            };
            if next == Next::Stop {
                return;
            }
        }
        self.with(|state| state.return_decoder(key, decoder));
    }

    fn frame(&self, key: ConnectionKey, session: SessionKey, event: &Event<'_>) -> Next {
        let received = match event {
            Event::Text(text) => self.with(|state| {
                state.receive_packet(key, session, |revision| Packet::from_text(revision, text))
            }),
            Event::Binary(bytes) => self.with(|state| {
                state.receive_packet(key, session, |revision| Packet::from_binary(revision, bytes))
            }),
            Event::Ping(payload) => {
                self.with(|state| state.write_frame(key, PONG, payload));
                return Next::Frame;
            }
            Event::Pong(_) => return Next::Frame,
            Event::Close(_) => {
                self.with(|state| {
                    state.write_frame(key, CLOSE, &[]);
                    state.engine(session, |it, _, fx| it.connection_lost(key, fx));
                    state.finish(key);
                });
                return Next::Stop;
            }
        };
        match received {
            Step::Message(data) => self.message(session, &data),
            Step::Upgraded => self.tell_upgrade(session),
            Step::Nothing => {}
            Step::Stop => return Next::Stop,
        }
        match self.with(|state| state.connections.get(key).is_some_and(|it| it.is_open())) {
            true => Next::Frame,
            false => Next::Stop,
        }
    }
}

impl State {
    /// Gives a packet to its session, in one look-up for what most packets are: messages.
    fn receive_packet<'a, E>(
        &mut self,
        key: ConnectionKey,
        session: SessionKey,
        parse: impl FnOnce(Revision) -> Result<Packet<'a>, E>,
    ) -> Step<'a> {
        let Some(entry) = self.sessions.get_mut(session) else { return Step::Stop };
        let Ok(packet) = parse(entry.engine.revision()) else {
            self.metrics.engine_errors.add(1);
            self.engine(session, |it, _, fx| it.bad_packet(key, fx));
            return Step::Stop;
        };
        match entry.engine.receive(key, &packet, self.now_ms, &mut self.effects) {
            // A message asks for nothing and brings no deadline nearer, so there is nothing to settle.
            Received::Message => {
                debug_assert!(self.effects.is_empty());
                Step::Message(packet.data)
            }
            received => {
                self.settle(session);
                match received {
                    Received::Closed => Step::Stop,
                    Received::Upgraded => Step::Upgraded,
                    _ => Step::Nothing,
                }
            }
        }
    }

    /// Takes the decoder out of a connection while its bytes are read, so that handlers may use the
    /// shard meanwhile.
    fn lend_decoder(&mut self, key: ConnectionKey) -> Option<(Decoder, SessionKey)> {
        let connection = self.connections.get_mut(key).filter(|connection| connection.is_open())?;
        match &mut connection.role {
            Role::WebSocket(websocket) => {
                let limits = self.websocket_limits;
                let decoder = std::mem::replace(&mut websocket.decoder, Decoder::new(limits));
                Some((decoder, websocket.session))
            }
            Role::Http(_) | Role::Relay(_) | Role::Greeting(_) => None,
        }
    }

    fn return_decoder(&mut self, key: ConnectionKey, decoder: Decoder) {
        if let Some(connection) = self.connections.get_mut(key)
            && let Role::WebSocket(websocket) = &mut connection.role
        {
            websocket.decoder = decoder;
        }
    }
}
