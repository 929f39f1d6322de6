//! The actor of one TCP connection: a slab entry, not a task.
//!
//! It owns the descriptor, the bytes that are not parsed yet, the outbox and the connection's one
//! deadline. What the bytes mean is the business of `request` (HTTP), `frames` (WebSocket) and `relay`.
//!
//! A connection's end takes several steps, as the kernel may still hold its buffers: it is *closed*
//! (nothing more is read or written), and *released* (the descriptor is closed and the key invalid)
//! once no receive is armed and no send is in flight.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use slotmap::Key;
use yamabiko_protocol::engine::BodyForm;
use yamabiko_protocol::http::{BodyDecoder, Encoding, HeadParser};
use yamabiko_protocol::websocket::Decoder;

use crate::decision::Deciding;
use crate::entrance::Entrance;
use crate::exchange::Exchanging;
use crate::outbox::{Outbox, Send};
use crate::relay::{Greeting, Origin, Relay};
use crate::ring::Token;
use crate::session::SessionKey;
use crate::shard::{State, Timer};

slotmap::new_key_type! {
    /// Names one connection on its shard.
    pub(crate) struct ConnectionKey;
}

/// Bytes of further requests that may wait while one is being answered; beyond it the connection is not
/// read from until then.
pub(crate) const PIPELINED_BYTES_MAX: usize = 64 * 1024;
/// How long a closing connection waits for the peer to read the rest and close its side.
const LINGER_MS: u64 = 2_000;

/// One TCP connection.
pub(crate) struct Connection {
    pub(crate) fd: OwnedFd,
    pub(crate) role: Role,
    /// HTTP bytes that are not parsed yet.
    pub(crate) inbox: Vec<u8>,
    pub(crate) outbox: Outbox,
    pub(crate) stage: Stage,
    /// Whose it really is, where another node or a proxy has passed it on.
    pub(crate) origin: Option<Box<Origin>>,
    /// When the connection must have made progress; `None` leaves it to its session.
    pub(crate) deadline_ms: Option<u64>,
    /// The earliest entry for this connection in the wheel.
    filed_ms: u64,
    /// A multishot receive is armed in the kernel.
    receiving: bool,
    /// It is in this turn's list of connections to flush.
    dirty: bool,
}

/// What the connection's bytes mean.
pub(crate) enum Role {
    Http(Http),
    WebSocket(WebSocket),
    /// They are another node's business.
    Relay(Relay),
    /// A header with its origin comes first.
    Greeting(Greeting),
}

/// The state of an HTTP/1.1 connection between two reads.
#[derive(Default)]
pub(crate) struct Http {
    pub(crate) parser: HeadParser,
    pub(crate) phase: Phase,
    /// How the current request's answer must be written.
    pub(crate) answer: Answer,
    /// The session that the current request is for.
    pub(crate) session: Option<SessionKey>,
    /// The first bytes of a head are here, and its time runs.
    pub(crate) head_began: bool,
    /// The owner of the next request's session could not be reached: it is to be refused here.
    pub(crate) is_unreachable: bool,
}

/// Where an HTTP connection is in its current request.
#[derive(Default)]
pub(crate) enum Phase {
    /// Between requests or inside a head.
    #[default]
    Head,
    /// Inside a body.
    Body(Box<IncomingBody>),
    /// The request is whole and waits for its session's answer; further bytes wait in the inbox.
    Answering,
    /// It would begin a session, and waits for the application's leave; further bytes wait in the inbox.
    Deciding(Box<Deciding>),
    /// The application has it; further requests wait in the inbox.
    Exchange(Box<Exchanging>),
}

/// The body of a polling POST on its way in.
pub(crate) struct IncomingBody {
    pub(crate) decoder: BodyDecoder,
    pub(crate) bytes: Vec<u8>,
    pub(crate) session: SessionKey,
    pub(crate) form: BodyForm,
}

/// What must be remembered of a request until it is answered.
#[derive(Debug, Default, Clone)]
pub(crate) struct Answer {
    pub(crate) keep_alive: bool,
    pub(crate) http_1_0: bool,
    pub(crate) head_only: bool,
    pub(crate) no_xss_header: bool,
    /// The client waits to be asked for the body.
    pub(crate) expects_continue: bool,
    /// How the body may be compressed, if it may be.
    pub(crate) encoding: Option<Encoding>,
    /// It is on its way, and needs nothing but to be compressed.
    pub(crate) is_compressing: bool,
    /// Header lines for this request's response (CORS, cookie, the application's), ready to be sent.
    pub(crate) extra: Option<Box<[u8]>>,
}

/// The state of a WebSocket connection between two reads.
pub(crate) struct WebSocket {
    pub(crate) decoder: Decoder,
    pub(crate) session: SessionKey,
}

/// How far a connection is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    /// Input is ignored; the write side is shut down when the outbox is empty.
    Finishing,
    /// The write side is shut down; waits for the peer to close, or for the deadline.
    Lingering,
    /// On its way to another shard once the kernel is done with it.
    Moving {
        to: u8,
    },
    /// Shut down both ways; waits for the kernel to be done with it.
    Closed,
}

impl Http {
    /// Whether a request has begun and is not answered.
    pub(crate) fn is_inside_request(&self) -> bool {
        self.head_began || !matches!(self.phase, Phase::Head)
    }
}

impl Stage {
    /// Whether bytes that come now may still be wanted.
    pub(crate) fn keeps_input(self) -> bool {
        matches!(self, Stage::Open | Stage::Moving { .. })
    }
}

impl Connection {
    fn new(fd: OwnedFd, deadline_ms: u64) -> Self {
        Self {
            fd,
            role: Role::Http(Http::default()),
            inbox: Vec::new(),
            outbox: Outbox::default(),
            stage: Stage::Open,
            origin: None,
            deadline_ms: Some(deadline_ms),
            filed_ms: u64::MAX,
            receiving: false,
            dirty: false,
        }
    }

    pub(crate) fn http(&mut self) -> Option<&mut Http> {
        match &mut self.role {
            Role::Http(http) => Some(http),
            Role::WebSocket(_) | Role::Relay(_) | Role::Greeting(_) => None,
        }
    }

    /// The session that this connection serves right now.
    pub(crate) fn session(&self) -> Option<SessionKey> {
        match &self.role {
            Role::WebSocket(websocket) => Some(websocket.session),
            Role::Http(http) => http.session,
            Role::Relay(_) | Role::Greeting(_) => None,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// How many nodes have passed it on.
    pub(crate) fn hops(&self) -> u8 {
        self.origin.as_ref().map_or(0, |origin| origin.hops)
    }

    pub(crate) fn relay(&mut self) -> Option<&mut Relay> {
        match &mut self.role {
            Role::Relay(relay) => Some(relay),
            Role::Http(_) | Role::WebSocket(_) | Role::Greeting(_) => None,
        }
    }

    /// Lets go of it while the kernel may still have something of it: that stays allocated.
    pub(crate) fn forget(self) {
        std::mem::forget(self.outbox);
        if let Role::Relay(relay) = self.role {
            std::mem::forget(relay);
        }
    }

    fn is_connecting(&self) -> bool {
        matches!(&self.role, Role::Relay(relay) if relay.is_connecting())
    }

    fn is_exchange(&self) -> bool {
        matches!(&self.role, Role::Http(Http { phase: Phase::Exchange(_), .. }))
    }

    fn wants_input(&self) -> bool {
        match (self.stage, &self.role) {
            (Stage::Open, Role::Http(Http { phase: Phase::Exchange(exchange), .. })) => {
                exchange.wants_input() && self.inbox.len() <= PIPELINED_BYTES_MAX
            }
            (Stage::Open, Role::Relay(relay)) => relay.wants_input(),
            (Stage::Open | Stage::Finishing | Stage::Lingering, _) => true,
            (Stage::Moving { .. } | Stage::Closed, _) => false,
        }
    }
}

pub(crate) fn token(key: ConnectionKey) -> Token {
    Token(key.data().as_ffi())
}

pub(crate) fn key_of(token: Token) -> ConnectionKey {
    slotmap::KeyData::from_ffi(token.0).into()
}

pub(crate) fn shut_down(fd: RawFd, how: libc::c_int) {
    // SAFETY: shutdown has no memory preconditions; an error means that the peer was faster.
    #[allow(unsafe_code)]
    unsafe {
        libc::shutdown(fd, how)
    };
}

impl State {
    /// Takes in a descriptor that `accept` gave or another shard sent.
    pub(crate) fn adopt(&mut self, fd: OwnedFd) -> ConnectionKey {
        let key = self.enter(fd, self.now_ms + self.header_timeout_ms);
        self.receive_again(key);
        key
    }

    /// Gives a descriptor its place among the connections. Nothing is received from it yet.
    pub(crate) fn enter(&mut self, fd: OwnedFd, deadline_ms: u64) -> ConnectionKey {
        let key = self.connections.insert(Connection::new(fd, deadline_ms));
        self.metrics.connections.add(1);
        self.file_connection(key);
        key
    }

    /// Takes in what `accept` gave, or refuses it politely when there are too many.
    pub(crate) fn accepted(&mut self, fd: RawFd, entrance: Entrance) {
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        #[allow(unsafe_code)]
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        if self.connections.len() >= self.settings.limits.connections_max || self.draining {
            self.metrics.connections_refused.add(1);
            return;
        }
        if !self.trust.is_plain(entrance) {
            return self.expect_greeting(fd, entrance);
        }
        self.metrics.connections_accepted.add(1);
        self.adopt(fd);
    }

    /// Sets the time by which the connection must have made progress.
    pub(crate) fn set_deadline(&mut self, key: ConnectionKey, deadline_ms: Option<u64>) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.deadline_ms = deadline_ms;
            self.file_connection(key);
        }
    }

    fn file_connection(&mut self, key: ConnectionKey) {
        let connection = &mut self.connections[key];
        if let Some(deadline) = connection.deadline_ms
            && deadline < connection.filed_ms
        {
            connection.filed_ms = self.wheel.file(Timer::Connection(key), deadline).min(deadline);
        }
    }

    /// The wheel's entry for a connection came up: true if its deadline has passed.
    pub(crate) fn connection_due(&mut self, key: ConnectionKey) -> bool {
        let Some(connection) = self.connections.get_mut(key) else { return false };
        if connection.filed_ms > self.now_ms {
            return false;
        }
        connection.filed_ms = u64::MAX;
        let due = connection.deadline_ms.is_some_and(|deadline| deadline <= self.now_ms);
        self.file_connection(key);
        due
    }

    /// Puts the connection on this turn's list if it has something to write.
    pub(crate) fn mark_dirty(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key)
            && !connection.dirty
        {
            connection.dirty = true;
            self.dirty.push(key);
        }
    }

    /// Gives the outboxes of this turn to the kernel. Returns whether there were any.
    pub(crate) fn flush(&mut self) -> bool {
        let mut dirty = std::mem::take(&mut self.dirty);
        let any = !dirty.is_empty();
        for key in dirty.drain(..) {
            if let Some(connection) = self.connections.get_mut(key) {
                connection.dirty = false;
                self.write(key);
            }
        }
        self.dirty = dirty;
        any
    }

    fn write(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.stage == Stage::Closed {
            return;
        }
        let fd = connection.fd.as_raw_fd();
        if let Some(send) = connection.outbox.take_off() {
            submit(&mut self.ring, token(key), fd, send);
        } else if connection.outbox.is_empty() {
            self.written(key);
        }
    }

    /// A send is over.
    pub(crate) fn sent(&mut self, key: ConnectionKey, result: std::io::Result<usize>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let fd = connection.fd.as_raw_fd();
        match result {
            Ok(sent) if sent > 0 => {
                self.metrics.bytes_out.add(sent as u64);
                if !connection.outbox.landed(&mut self.pool, sent) {
                    if connection.stage != Stage::Closed {
                        if let Some(send) = connection.outbox.resume() {
                            submit(&mut self.ring, token(key), fd, send);
                        }
                        return;
                    }
                    connection.outbox.abandon();
                }
            }
            _ => {
                // The peer is gone; its receive reports the same, with what it still sent.
                connection.outbox.abandon();
                connection.outbox.clear_waiting();
                if connection.stage != Stage::Closed {
                    shut_down(fd, libc::SHUT_RDWR);
                }
                // Unless its end was heard before, or it was held back.
                if connection.is_open() && !connection.receiving {
                    return self.close(key);
                }
            }
        }
        let is_exchange = connection.is_exchange();
        let is_relay = matches!(connection.role, Role::Relay(_));
        if connection.outbox.is_empty() {
            self.written(key);
        } else {
            self.mark_dirty(key);
        }
        if is_exchange {
            self.response_moved(key);
        }
        if is_relay {
            self.settle_relay(key);
        }
        self.release_if_done(key);
    }

    /// Everything has been written.
    fn written(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.stage == Stage::Finishing {
            shut_down(connection.fd.as_raw_fd(), libc::SHUT_WR);
            connection.stage = Stage::Lingering;
            if !connection.receiving {
                self.close(key);
            } else {
                self.set_deadline(key, Some(self.now_ms + LINGER_MS));
            }
        }
    }

    /// The kernel's multishot receive has ended: by error, end of stream, or for lack of buffers.
    pub(crate) fn receive_ended(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.receiving = false;
        }
    }

    /// Arms the receive again after it ended without the stream's end.
    pub(crate) fn receive_again(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key)
            && !connection.receiving
            && connection.wants_input()
        {
            connection.receiving = true;
            self.ring.receive(token(key), connection.fd.as_raw_fd());
        }
    }

    /// Whether a receive is armed for this connection.
    pub(crate) fn is_receiving(&self, key: ConnectionKey) -> bool {
        self.connections.get(key).is_some_and(|connection| connection.receiving)
    }

    /// Asks the kernel to stop receiving for this connection, without closing it.
    pub(crate) fn stop_receiving(&mut self, key: ConnectionKey) {
        if self.is_receiving(key) {
            self.ring.stop_receiving(token(key));
        }
    }

    /// Reads no more, writes what waits, then closes.
    pub(crate) fn finish(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(key)
            && connection.stage == Stage::Open
        {
            connection.stage = Stage::Finishing;
            connection.inbox = Vec::new();
            self.abandon_request(key);
            // A peer that reads nothing must not keep the connection for ever.
            let patience = self.now_ms + self.finish_timeout_ms;
            self.set_deadline(key, Some(patience));
            self.mark_dirty(key);
        }
    }

    /// The peer has ended its side: writes what waits, then closes without waiting for more.
    pub(crate) fn finish_after_end(&mut self, key: ConnectionKey) {
        self.finish(key);
    }

    /// Closes at once; what waits is lost.
    pub(crate) fn close(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.stage != Stage::Closed {
            connection.stage = Stage::Closed;
            connection.outbox.clear_waiting();
            connection.inbox = Vec::new();
            connection.deadline_ms = None;
            // It ends what the kernel still does with the connection; else closing is enough.
            if connection.receiving || connection.outbox.in_flight() {
                shut_down(connection.fd.as_raw_fd(), libc::SHUT_RDWR);
            }
            let is_relay = matches!(connection.role, Role::Relay(_));
            self.abandon_request(key);
            if is_relay {
                self.part_relay(key);
            }
        }
        self.release_if_done(key);
    }

    /// Closes at once, with an error at the peer: what it has is not all there should be. Nothing is shut
    /// down before, as that would look like the end.
    pub(crate) fn reset(&mut self, key: ConnectionKey) {
        self.abandon_request(key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        let _ = socket2::SockRef::from(&connection.fd).set_linger(Some(Duration::ZERO));
        connection.stage = Stage::Closed;
        connection.outbox.clear_waiting();
        connection.inbox = Vec::new();
        connection.deadline_ms = None;
        if connection.receiving {
            self.ring.stop_receiving(token(key));
        }
        if connection.outbox.in_flight() {
            self.ring.stop_sending(token(key));
        }
        self.release_if_done(key);
    }

    /// Bytes that the peer has acknowledged since the connection began.
    pub(crate) fn acknowledged_bytes(&self, key: ConnectionKey) -> u64 {
        let Some(connection) = self.connections.get(key) else { return 0 };
        // SAFETY: plain numbers, for which all zeroes are valid.
        #[allow(unsafe_code)]
        let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
        let mut len = size_of_val(&info) as libc::socklen_t;
        // SAFETY: the descriptor is open, and the kernel writes at most `len` bytes (tcp(7), TCP_INFO).
        // What it does not know stays zero.
        #[allow(unsafe_code)]
        unsafe {
            libc::getsockopt(
                connection.fd.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                (&raw mut info).cast(),
                &raw mut len,
            )
        };
        info.tcpi_bytes_acked
    }

    /// Forgets a closed connection as soon as the kernel has nothing of it in its hands.
    pub(crate) fn release_if_done(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get(key)
            && connection.stage == Stage::Closed
            && !connection.receiving
            && !connection.outbox.in_flight()
            && !connection.is_connecting()
        {
            self.connections.remove(key);
            self.metrics.connections.sub(1);
        }
    }
}

fn submit(ring: &mut crate::ring::Ring, token: Token, fd: RawFd, send: Send<'_>) {
    // SAFETY: the bytes belong to the connection's flight, which is boxed, is not touched before the
    // ring reports `Sent`, and is not dropped before it: `release_if_done` waits for it.
    #[allow(unsafe_code)]
    unsafe {
        match send {
            Send::One(bytes) => ring.send(token, fd, bytes),
            Send::Many(header) => ring.send_vectored(token, fd, header),
        }
    }
}
