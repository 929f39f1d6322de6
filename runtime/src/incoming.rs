//! What arrives from the kernel for a connection, and what its deadline means: bytes go the way of the
//! connection's role, an end or an error reaches the session, buffers go back at once.

use std::io;

use crate::connection::{ConnectionKey, PIPELINED_BYTES_MAX, Phase, Role, Stage};
use crate::mesh::MovedConnection;
use crate::ring::Received;
use crate::shard::{Shard, State};

/// The way a connection's bytes take.
enum Way {
    Http,
    WebSocket,
    Relay,
    Greeting,
    Keep,
    Drop,
}

impl Shard {
    /// A receive has given something.
    pub(crate) fn received(&self, key: ConnectionKey, result: io::Result<Received>, armed: bool) {
        if !armed {
            self.with(|state| state.receive_ended(key));
        }
        match result {
            Ok(mut received) if !received.is_empty() => {
                self.0.metrics.bytes_in.add(received.len() as u64);
                self.bytes(key, &mut received);
                self.with(|state| {
                    state.ring.give_back(received);
                    if !armed {
                        state.continue_hand_off(key, false);
                        state.receive_again(key);
                    }
                });
            }
            Ok(received) => {
                self.with(|state| state.ring.give_back(received));
                self.peer_ended(key, false);
            }
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOBUFS) => self.with(|state| {
                    self.0.metrics.buffers_exhausted.add(1);
                    state.continue_hand_off(key, false);
                    state.receive_again(key);
                }),
                // Asked for: by a hand-off, or to hold back a client that is ahead of its answers.
                Some(libc::ECANCELED) => self.with(|state| {
                    state.continue_hand_off(key, false);
                    state.resume_if_idle(key);
                }),
                _ => self.peer_ended(key, true),
            },
        }
        self.with(|state| state.release_if_done(key));
    }

    fn bytes(&self, key: ConnectionKey, bytes: &mut [u8]) {
        match self.with(|state| state.way(key)) {
            Way::Http => self.http_bytes(key, bytes),
            Way::WebSocket => self.websocket_bytes(key, bytes),
            Way::Relay => self.with(|state| state.relay_bytes(key, bytes)),
            Way::Greeting => self.greeting_bytes(key, bytes),
            Way::Keep => self.with(|state| state.connections[key].inbox.extend_from_slice(bytes)),
            Way::Drop => {}
        }
    }

    /// The peer has closed its side, or the connection is broken.
    fn peer_ended(&self, key: ConnectionKey, is_broken: bool) {
        self.with(|state| {
            let Some(connection) = state.connections.get(key) else { return };
            match connection.stage {
                Stage::Moving { .. } => return state.continue_hand_off(key, true),
                Stage::Closed => return,
                Stage::Lingering => return state.close(key),
                Stage::Open | Stage::Finishing => {}
            }
            let session = connection.session();
            if state.relay_ended(key, is_broken) {
                return;
            }
            if !is_broken && state.exchange_lost_peer(key) {
                return;
            }
            if let Some(session) = session {
                state.engine(session, |it, _, fx| it.connection_lost(key, fx));
            }
            // What waits may still reach a peer that has only closed its own side.
            match state.connections.get(key).is_some_and(|it| it.outbox.is_empty()) {
                true => state.close(key),
                false => state.finish_after_end(key),
            }
        });
    }

    /// A connection from another shard whose next request is for a session of this one.
    pub(crate) fn take_in(&self, moved: MovedConnection) {
        self.0.metrics.handoffs_in.add(1);
        let MovedConnection { fd, mut bytes, origin, ended } = moved;
        let key = self.with(|state| {
            let key = state.adopt(fd);
            state.connections[key].origin = origin;
            key
        });
        self.bytes(key, &mut bytes);
        if ended {
            self.peer_ended(key, false);
        }
    }

    /// The wheel's entry for a connection came up.
    pub(crate) fn connection_timer(&self, key: ConnectionKey) {
        self.with(|state| {
            if state.connection_due(key) {
                state.ran_out_of_time(key);
            }
        });
    }
}

impl State {
    fn way(&self, key: ConnectionKey) -> Way {
        match self.connections.get(key) {
            Some(connection) => match (connection.stage, &connection.role) {
                (Stage::Open, Role::Http(_)) => Way::Http,
                (Stage::Open, Role::WebSocket(_)) => Way::WebSocket,
                (Stage::Open, Role::Relay(_)) => Way::Relay,
                (Stage::Open, Role::Greeting(_)) => Way::Greeting,
                (Stage::Moving { .. }, _) => Way::Keep,
                _ => Way::Drop,
            },
            None => Way::Drop,
        }
    }

    /// Holds back a client that sends more requests than it waits for answers.
    pub(crate) fn hold_back(&mut self, key: ConnectionKey) {
        if self.connections.get(key).is_some_and(|it| it.inbox.len() > PIPELINED_BYTES_MAX) {
            self.stop_receiving(key);
        }
    }

    /// Reads on from a client that was held back, once it is not ahead any more.
    fn resume_if_idle(&mut self, key: ConnectionKey) {
        if self.connections.get(key).is_some_and(|it| it.inbox.len() <= PIPELINED_BYTES_MAX) {
            self.receive_again(key);
        }
    }

    fn ran_out_of_time(&mut self, key: ConnectionKey) {
        if self.relay_ran_out_of_time(key) || self.greeting_ran_out_of_time(key) {
            return;
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(http) = connection.http().filter(|http| http.is_inside_request()) else {
            return self.close(key);
        };
        let session = http.session;
        let is_body = matches!(http.phase, Phase::Body(_));
        if !connection.is_open() {
            return self.close(key);
        }
        if self.exchange_ran_out_of_time(key) || self.decision_ran_out_of_time(key) {
            return;
        }
        self.metrics.request_timeouts.add(1);
        if let Some(session) = session.filter(|_| is_body) {
            self.engine(session, |it, _, fx| it.connection_lost(key, fx));
        }
        self.refuse_request(key, 408);
    }
}
