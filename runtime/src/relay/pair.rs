//! Two connections joined: a client's, and ours to the node that owns its session. What comes from the one
//! goes to the other.
//!
//! A client's connection becomes one side of a pair when its next request names a session of another node;
//! those before it are answered by then. It stays with its shard, which connects to the other node. Until
//! that is done its bytes wait where they are, so that a client whose owner cannot be reached still gets an
//! answer here. Then a header that says whose it is goes first, and what has waited, and from then on
//! whatever comes, never looked at.
//!
//! A side that is ahead of the other is not read from. The end of one side's bytes is the end of those to
//! the other, after all that waits; an error on one side ends both.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use slotmap::Key;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::origin::HOPS_MAX;
use crate::connection::{Connection, ConnectionKey, Http, Role, shut_down, token};
use crate::shard::{Errand, State};

/// How long a side may stay open whose client has been told that nothing more comes.
const FAREWELL_MS: u64 = 4_000;

/// One side of a pair.
pub(crate) struct Relay {
    /// The other side; null once they are parted.
    other: ConnectionKey,
    /// It is a client's; else ours.
    is_client: bool,
    /// Bytes go both ways. Before, a client's wait in its inbox.
    is_joined: bool,
    /// The kernel works on the connect of our side, and reads this address.
    connecting: Option<Box<SockAddr>>,
    /// Not read from, as the other side is slow to take what came.
    is_held: bool,
    /// Nothing more comes from it.
    has_ended: bool,
    /// It was told that nothing more comes to it.
    is_shut: bool,
}

impl Relay {
    fn new(other: ConnectionKey, connecting: Option<Box<SockAddr>>) -> Self {
        Self {
            other,
            is_client: connecting.is_none(),
            is_joined: false,
            connecting,
            is_held: false,
            has_ended: false,
            is_shut: false,
        }
    }

    pub(crate) fn wants_input(&self) -> bool {
        !self.is_held && !self.has_ended
    }

    /// Whether the kernel works on its connect.
    pub(crate) fn is_connecting(&self) -> bool {
        self.connecting.is_some()
    }
}

impl State {
    /// Whether this connection's next request may go on to another node. One that could not is to be
    /// answered here, once.
    pub(crate) fn may_relay(&mut self, key: ConnectionKey) -> bool {
        let Some(connection) = self.connections.get_mut(key) else { return false };
        let is_far = connection.hops() >= HOPS_MAX;
        let is_unreachable =
            connection.http().is_some_and(|http| std::mem::take(&mut http.is_unreachable));
        if is_far {
            self.metrics.relays_failed.add(1);
        }
        !is_far && !is_unreachable
    }

    /// Begins to pass a connection on whose unparsed bytes begin with a request for the node at `address`.
    pub(crate) fn begin_relay(&mut self, client: ConnectionKey, address: SocketAddr) {
        if !self.connections.get(client).is_some_and(Connection::is_open) {
            return;
        }
        let socket = match open(address) {
            Ok(_) if self.connections.len() >= self.settings.limits.connections_max => {
                self.metrics.connections_refused.add(1);
                return self.refuse_relay(client);
            }
            Ok(socket) => socket,
            Err(error) => {
                tracing::debug!(%address, %error, "no connection to another node can be made");
                return self.refuse_relay(client);
            }
        };
        let patience = self.settings.limits.relay_connect_timeout.as_millis() as u64;
        let fd = socket.as_raw_fd();
        let peer = self.enter(socket, self.now_ms + patience);
        let address = Box::new(SockAddr::from(address));
        // SAFETY: the address is boxed in the connection's role, which keeps it until the connect is
        // over: the role changes only in `relay_connected`, and `release_if_done` waits for it.
        #[allow(unsafe_code)]
        unsafe {
            self.ring.connect(token(peer), fd, &address)
        };
        self.connections[peer].role = Role::Relay(Relay::new(client, Some(address)));
        let connection = &mut self.connections[client];
        connection.role = Role::Relay(Relay::new(peer, None));
        connection.deadline_ms = None;
        self.metrics.relays.add(1);
    }

    /// The connect of a pair's own side is over.
    pub(crate) fn relay_connected(&mut self, peer: ConnectionKey, result: io::Result<()>) {
        let Some(relay) = self.relay(peer) else { return };
        let address = relay.connecting.take();
        match result {
            Ok(()) => self.join_relay(peer),
            Err(error) => {
                let address = address.and_then(|address| address.as_socket());
                tracing::debug!(?address, %error, "another node cannot be reached");
                self.close(peer);
            }
        }
        self.release_if_done(peer);
    }

    fn join_relay(&mut self, peer: ConnectionKey) {
        let Some(client) = self.relay(peer).map(|relay| relay.other) else { return };
        // Whoever has gone meanwhile has closed the other side, too.
        let Some(connection) = self.connections.get_mut(client) else { return };
        let (source, destination) = (connection.peer_address(), connection.local_address());
        let hops = connection.hops() + 1;
        let bytes = std::mem::take(&mut connection.inbox);
        let trust = &self.trust;
        self.connections[peer].outbox.write(&mut self.pool, |out| {
            trust.write_header(out, source, destination, hops);
            out.extend_from_slice(&bytes);
        });
        self.metrics.relays_out.add(1);
        self.metrics.relay_bytes_out.add(bytes.len() as u64);
        self.mark_dirty(peer);
        let deadline = self.now_ms + self.relay_idle_ms();
        for key in [client, peer] {
            if let Some(relay) = self.relay(key) {
                relay.is_joined = true;
            }
            self.set_deadline(key, Some(deadline));
            self.receive_again(key);
        }
    }

    /// Bytes from one side go to the other.
    pub(crate) fn relay_bytes(&mut self, from: ConnectionKey, bytes: &[u8]) {
        let deadline = self.now_ms + self.relay_idle_ms();
        let Some(connection) = self.connections.get_mut(from) else { return };
        let Role::Relay(relay) = &connection.role else { return };
        let (to, is_client) = (relay.other, relay.is_client);
        if !relay.is_joined {
            connection.inbox.extend_from_slice(bytes);
            return self.hold_back(from);
        }
        connection.deadline_ms = Some(deadline);
        let Some(other) = self.connections.get_mut(to) else { return };
        other.outbox.write(&mut self.pool, |out| out.extend_from_slice(bytes));
        let is_ahead = other.outbox.bytes() > self.settings.limits.relay_bytes_max;
        self.mark_dirty(to);
        let counter = match is_client {
            true => &self.metrics.relay_bytes_out,
            false => &self.metrics.relay_bytes_in,
        };
        counter.add(bytes.len() as u64);
        if is_ahead
            && let Some(relay) = self.relay(from)
            && !std::mem::replace(&mut relay.is_held, true)
        {
            self.metrics.relays_held.add(1);
            self.stop_receiving(from);
        }
    }

    /// Something was written to this side, or the other has ended. Reads on from the other if that was
    /// ahead; once all is written, passes its end on; and closes both once both have ended.
    pub(crate) fn settle_relay(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(key).filter(|it| it.is_open()) else {
            return;
        };
        let (waiting, fd) = (connection.outbox.bytes(), connection.fd.as_raw_fd());
        let Some(&mut Relay { other, is_joined: true, is_shut, .. }) = connection.relay() else {
            return;
        };
        let low = self.settings.limits.relay_bytes_max / 2;
        let Some(from) = self.relay(other) else { return };
        let (has_ended, is_last) = (from.has_ended, from.is_shut);
        if waiting <= low && std::mem::take(&mut from.is_held) {
            self.receive_again(other);
        }
        if waiting > 0 || !has_ended || is_shut {
            return;
        }
        shut_down(fd, libc::SHUT_WR);
        if is_last {
            self.dissolve_relay(key);
            self.close(key);
            return self.close(other);
        }
        let Some(relay) = self.relay(key) else { return };
        relay.is_shut = true;
        if relay.is_client {
            // The node has closed its side, and so takes nothing more either.
            let deadline = Some(self.now_ms + FAREWELL_MS);
            self.set_deadline(key, deadline);
            self.set_deadline(other, deadline);
        }
    }

    /// One side has said all, or is broken. True if this is the side of a pair.
    pub(crate) fn relay_ended(&mut self, key: ConnectionKey, is_broken: bool) -> bool {
        let Some(connection) = self.connections.get_mut(key).filter(|it| it.is_open()) else {
            return false;
        };
        let Some(relay) = connection.relay() else { return false };
        if is_broken {
            self.close(key);
            return true;
        }
        relay.has_ended = true;
        let other = relay.other;
        self.settle_relay(other);
        true
    }

    /// The deadline of one side has passed: it could not be connected, or nothing has moved for long. True
    /// if this is the side of a pair.
    pub(crate) fn relay_ran_out_of_time(&mut self, key: ConnectionKey) -> bool {
        let Some(relay) = self.relay(key) else { return false };
        let (other, is_joined) = (relay.other, relay.is_joined);
        // What comes from one side puts off its own deadline only.
        let later = self.connections.get(other).and_then(|other| other.deadline_ms);
        match later.filter(|later| is_joined && *later > self.now_ms) {
            Some(later) => self.set_deadline(key, Some(later)),
            None => self.close(key),
        }
        true
    }

    /// This side is closed, for whatever reason: so is the other. A client gets what waits for it, or an
    /// answer from here if its request went nowhere.
    pub(crate) fn part_relay(&mut self, key: ConnectionKey) {
        let Some(relay) = self.relay(key) else { return };
        let (is_client, is_joined) = (relay.is_client, relay.is_joined);
        if relay.is_connecting() {
            self.ring.stop_connecting(token(key));
        }
        let Some(other) = self.dissolve_relay(key) else { return };
        match (is_client, is_joined) {
            (true, _) => self.close(other),
            (false, true) => self.finish_relayed(other),
            (false, false) => self.refuse_relay(other),
        }
    }

    /// The server shuts down: whoever is passed on has to come again, to another node.
    pub(crate) fn drain_relay(&mut self, key: ConnectionKey) {
        let Some(is_client) = self.relay(key).map(|relay| relay.is_client) else { return };
        let Some(other) = self.dissolve_relay(key) else { return };
        let (client, peer) = if is_client { (key, other) } else { (other, key) };
        self.finish_relayed(client);
        self.close(peer);
    }

    /// Writes what waits for a client, then closes.
    fn finish_relayed(&mut self, client: ConnectionKey) {
        self.finish(client);
        // It may have been held back; to be seen to close its side, it is read from again.
        self.receive_again(client);
    }

    /// The node that a client's next request is for cannot be reached: the request is answered here.
    fn refuse_relay(&mut self, client: ConnectionKey) {
        self.metrics.relays_failed.add(1);
        if let Some(connection) = self.connections.get_mut(client).filter(|it| it.is_open()) {
            connection.role = Role::Http(Http { is_unreachable: true, ..Http::default() });
            self.errands.push(Errand::Parse(client));
        }
    }

    /// Neither side knows of the other any more. Returns the other, unless that was so before.
    fn dissolve_relay(&mut self, key: ConnectionKey) -> Option<ConnectionKey> {
        let other = std::mem::replace(&mut self.relay(key)?.other, ConnectionKey::null());
        if other.is_null() {
            return None;
        }
        if let Some(relay) = self.relay(other) {
            relay.other = ConnectionKey::null();
        }
        self.metrics.relays.sub(1);
        Some(other)
    }

    fn relay(&mut self, key: ConnectionKey) -> Option<&mut Relay> {
        self.connections.get_mut(key)?.relay()
    }

    /// How long nothing may move: the owner and its clients exchange pings more often than that.
    fn relay_idle_ms(&self) -> u64 {
        2 * (self.engine_settings.ping_interval_ms + self.engine_settings.ping_timeout_ms)
    }
}

/// A socket that can be connected to another node.
fn open(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}
