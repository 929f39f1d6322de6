//! The header that comes first on a connection from another node, or from a proxy in front of all.
//!
//! It owns the connection from its accept to the end of that header. Who may not come is closed without a
//! word, counted, and the first of them is logged.

use std::os::fd::{AsFd, OwnedFd};

use socket2::SockRef;
use yamabiko_protocol::proxy::Header;

use super::origin::canonical;
use crate::connection::{ConnectionKey, Http, Role};
use crate::entrance::Entrance;
use crate::shard::{Shard, State};

/// How long a header may take to arrive whole. Those who send one have it ready, and send it at once.
const GREETING_MS: u64 = 5_000;

/// A connection whose header is not whole yet. Its bytes are in the connection's inbox.
pub(crate) struct Greeting {
    entrance: Entrance,
}

impl Shard {
    /// Bytes of a connection whose header is not whole yet.
    pub(crate) fn greeting_bytes(&self, key: ConnectionKey, bytes: &[u8]) {
        if let Some(mut rest) = self.with(|state| state.read_greeting(key, bytes))
            && !rest.is_empty()
        {
            self.http_bytes(key, &mut rest);
        }
    }
}

impl State {
    /// Takes in a connection that has to begin with a header, if it may come at all.
    pub(crate) fn expect_greeting(&mut self, fd: OwnedFd, entrance: Entrance) {
        let address = canonical(SockRef::from(&fd.as_fd()).peer_addr());
        if self.trust.may_come(entrance, address.ip()) {
            self.metrics.connections_accepted.add(1);
            let key = self.adopt(fd);
            self.connections[key].role = Role::Greeting(Greeting { entrance });
            let patience = GREETING_MS.min(self.header_timeout_ms);
            return self.set_deadline(key, Some(self.now_ms + patience));
        }
        match entrance {
            // Whoever is no proxy is a client, and speaks for itself.
            Entrance::Clients => {
                self.metrics.connections_accepted.add(1);
                self.adopt(fd);
            }
            Entrance::Cluster => self.turned_away(&address, &"its address is none of a node"),
        }
    }

    /// Reads on; once the header is whole, returns what came behind it.
    fn read_greeting(&mut self, key: ConnectionKey, bytes: &[u8]) -> Option<Vec<u8>> {
        let connection = self.connections.get_mut(key)?;
        let Role::Greeting(Greeting { entrance }) = connection.role else { return None };
        connection.inbox.extend_from_slice(bytes);
        let read = match Header::read(&connection.inbox) {
            Ok(None) => return None,
            Ok(Some((header, len))) => {
                let judged = self.trust.judge(entrance, &header);
                judged.map(|origin| (origin, len)).map_err(|doubt| doubt.to_string())
            }
            Err(malformed) => Err(malformed.to_string()),
        };
        match read {
            Ok((origin, len)) => {
                let mut rest = std::mem::take(&mut connection.inbox);
                rest.drain(..len);
                connection.role = Role::Http(Http::default());
                if entrance == Entrance::Cluster {
                    self.metrics.relays_in.add(1);
                }
                connection.origin = Some(Box::new(origin));
                self.set_deadline(key, Some(self.now_ms + self.header_timeout_ms));
                Some(rest)
            }
            Err(why) => {
                let address = connection.peer_address();
                self.turned_away(&address, &why);
                self.close(key);
                None
            }
        }
    }

    /// Closes a connection whose header did not come in time. True if this is one.
    pub(crate) fn greeting_ran_out_of_time(&mut self, key: ConnectionKey) -> bool {
        let Some(connection) = self.connections.get(key) else { return false };
        if !matches!(connection.role, Role::Greeting(_)) {
            return false;
        }
        if connection.is_open() {
            let address = connection.peer_address();
            self.turned_away(&address, &"its header did not come in time");
        }
        self.close(key);
        true
    }

    fn turned_away(&self, address: &std::net::SocketAddr, why: &dyn std::fmt::Display) {
        match self.metrics.strangers.value() {
            0 => tracing::warn!(
                %address, %why,
                "a connection was closed that is not from a node or proxy; others are counted only"
            ),
            _ => tracing::debug!(%address, %why, "a connection is not from a node or proxy"),
        }
        self.metrics.strangers.add(1);
    }
}
