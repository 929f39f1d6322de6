//! What a shard asks of the application that runs on it, and the names both sides share.
//!
//! One application object lives on each shard, made there by a factory; it never leaves its thread,
//! so it needs neither `Send` nor locks. Its methods are called between borrows of the shard's state,
//! so they may call back into the [`Shard`](crate::Shard) freely.

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use yamabiko_protocol::engine::{Data, Rejection};
use yamabiko_protocol::http::Head;
use yamabiko_protocol::parser::{Args, Event};

use crate::decision::Decision;
use crate::engine_hooks::EngineHooks;
use crate::exchange::Exchange;
use crate::inquiry::ServerReply;
pub use crate::session::SessionKey;

slotmap::new_key_type! {
    /// Names one Socket.IO socket (a client in one namespace) on its shard. A key is `Copy`; that of a
    /// socket that is gone stays invalid for ever.
    pub struct SocketKey;
}

/// Names one namespace, the same one on every shard of the node. The id of one that is no more stays
/// invalid for ever; what is sent to it reaches nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceId {
    pub(crate) slot: u16,
    pub(crate) generation: u32,
}

impl NamespaceId {
    /// Its place in a table of namespaces. Once a namespace is no more, another may have its place.
    pub fn slot(self) -> usize {
        self.slot.into()
    }
}

/// Why a socket left its namespace, in the words of Socket.IO's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisconnectReason {
    /// The connection broke, or a request broke the transport's rules.
    TransportError,
    /// The client closed the connection.
    TransportClose,
    /// The server closed the transport because of the client's packets, or for an outbox over its limit.
    ForcedClose,
    /// The client did not answer a ping, or sent none, in time.
    PingTimeout,
    /// An Engine.IO packet could not be decoded.
    ParseError,
    /// The server shuts down.
    ServerShuttingDown,
    /// The client joined no namespace in time, or was in an invalid state.
    ForcedServerClose,
    /// The client left the namespace.
    ClientNamespaceDisconnect,
    /// The application disconnected the socket.
    ServerNamespaceDisconnect,
}

impl DisconnectReason {
    /// The reason as Node's Socket.IO names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TransportError => "transport error",
            Self::TransportClose => "transport close",
            Self::ForcedClose => "forced close",
            Self::PingTimeout => "ping timeout",
            Self::ParseError => "parse error",
            Self::ServerShuttingDown => "server shutting down",
            Self::ForcedServerClose => "forced server close",
            Self::ClientNamespaceDisconnect => "client namespace disconnect",
            Self::ServerNamespaceDisconnect => "server namespace disconnect",
        }
    }
}

impl fmt::Display for DisconnectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A whole answer to an HTTP request. How long it is, and what becomes of the connection, is written by the
/// runtime: fields that tell of it are left out, but `Connection: close` is followed.
#[derive(Debug, Clone, Default)]
pub struct HttpReply {
    /// 200 to 599; any other is sent as 500.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// What the app attaches to a socket when it connects and gets back with each of its events.
pub type SocketState = Rc<dyn Any>;

/// What has become of a room on its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomChange<'a> {
    /// It has its first member here, who is about to be told.
    Created,
    /// The socket of this id is a member now.
    Joined(&'a str),
    /// The socket of this id is none any more.
    Left(&'a str),
    /// It has no member here any more.
    Deleted,
}

/// The application of one shard.
pub trait Application {
    /// Names of the namespaces that are always there, `/` among them. Asked once.
    fn namespaces(&self) -> Vec<String>;

    /// The namespaces have their ids, for [`Shard::namespace`](crate::Shard::namespace). Called once, before
    /// anything that follows.
    fn start(&self) {}

    /// Whether a namespace that is not among [`Self::namespaces`] may come into being, asked when a client
    /// wants to join one that this shard has not met. If so, [`Self::connect`] is called with it, which may
    /// still say that there is no such namespace: [`Shard::refuse_namespace`](crate::Shard::refuse_namespace).
    fn may_have_namespace(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// The server is about to end: no new connections come, but clients are still there. They are closed when
    /// nobody [holds the end](crate::Shard::hold_end) any more.
    fn stop(&self) {}

    /// A client asks to join a namespace. `auth` is the raw JSON of its payload (an object), if any.
    /// Answer now or later with [`Shard::accept`](crate::Shard::accept) or
    /// [`Shard::refuse`](crate::Shard::refuse).
    fn connect(&self, socket: SocketKey, namespace: NamespaceId, auth: Option<&str>);

    /// An event of a connected socket. `state` is what was attached to the socket.
    fn event(
        &self,
        socket: SocketKey,
        namespace: NamespaceId,
        state: Option<&SocketState>,
        event: &Event<'_>,
    );

    /// The socket is about to leave: it gets no events and is sent nothing any more, but is still a member of
    /// its rooms. Called only for sockets that were accepted.
    fn disconnecting(
        &self,
        socket: SocketKey,
        namespace: NamespaceId,
        state: Option<&SocketState>,
        reason: DisconnectReason,
    ) {
        let _ = (socket, namespace, state, reason);
    }

    /// The socket has left, and its rooms too; its key is valid during this call and invalid after it.
    /// Called only for sockets that were accepted.
    fn disconnect(
        &self,
        socket: SocketKey,
        namespace: NamespaceId,
        state: Option<&SocketState>,
        reason: DisconnectReason,
    );

    /// An event was sent to a socket for which the application has called
    /// [`Shard::watch_outgoing`](crate::Shard::watch_outgoing). Told by the end of the turn, when the socket
    /// may have left already.
    fn outgoing(
        &self,
        socket: SocketKey,
        namespace: NamespaceId,
        state: Option<&SocketState>,
        event: &Event<'_>,
    ) {
        let _ = (socket, namespace, state, event);
    }

    /// Something has become of a room of a namespace for which the application has called
    /// [`Shard::watch_rooms`](crate::Shard::watch_rooms), on this shard. A socket's own id is no such room.
    fn room(&self, namespace: NamespaceId, room: &str, change: RoomChange<'_>) {
        let _ = (namespace, room, change);
    }

    /// An event that the application of another shard sent to this one. Answered by `reply`, if somebody
    /// waits for it; one that is dropped says that there is no answer.
    fn server_side_event(
        &self,
        namespace: NamespaceId,
        event: &str,
        args: &Args<'_>,
        reply: Option<ServerReply>,
    ) {
        let _ = (namespace, event, args, reply);
    }

    /// What the other shards may know of a socket, as JSON: Socket.IO's `socket.data`.
    fn data(&self, state: Option<&SocketState>) -> Option<Box<str>> {
        let _ = state;
        None
    }

    /// Which of the four calls below are wanted. Asked once; those that are not wanted are never made, and
    /// cost nothing.
    fn engine_hooks(&self) -> EngineHooks {
        EngineHooks::default()
    }

    /// Whether a client may begin a session. Asked when its request has passed every check but that of its
    /// revision, before there is a session; answered now or later. A decision that is dropped refuses.
    fn allow_request(&self, head: &Head<'_>, address: SocketAddr, decision: Decision) {
        let _ = (head, address);
        decision.allow();
    }

    /// Adds fields to the answer to a request that begins a session (`is_initial`) or is for one: a poll's, a
    /// POST's, a WebSocket handshake's. Asked when the request has come. What frames the answer, or tells how
    /// to read it, is left out.
    fn engine_headers(
        &self,
        head: &Head<'_>,
        address: SocketAddr,
        is_initial: bool,
        headers: &mut HeaderMap,
    ) {
        let _ = (head, address, is_initial, headers);
    }

    /// A request under the Engine.IO path was refused.
    fn connection_error(&self, head: &Head<'_>, address: SocketAddr, rejection: &Rejection<'_>) {
        let _ = (head, address, rejection);
    }

    /// The connection of a connected socket has changed from polling to WebSocket.
    fn upgraded(&self, socket: SocketKey, namespace: NamespaceId, state: Option<&SocketState>) {
        let _ = (socket, namespace, state);
    }

    /// A request beneath the Engine.IO path for a file (`/socket.io/socket.io.js`). `None`: not a file.
    fn file(&self, head: &Head<'_>) -> Option<HttpReply> {
        let _ = head;
        None
    }

    /// Any other request. Its answer may be given now or later, whole or in pieces; an exchange that is
    /// dropped without an answer, by a panic too, answers 500.
    fn request(&self, head: &Head<'_>, exchange: Exchange) {
        let _ = head;
        exchange.answer(HttpReply { status: StatusCode::NOT_FOUND, ..HttpReply::default() });
    }

    /// An application that wants Engine.IO's messages themselves, with no Socket.IO in between, returns
    /// who takes them; then nothing above but `file` and `request` is called. Asked once.
    fn engine(&self) -> Option<Rc<dyn EngineApplication>> {
        None
    }
}

/// An application of Engine.IO alone.
pub trait EngineApplication {
    /// A session has begun.
    fn open(&self, session: SessionKey);

    /// A message has come. Answer with [`Shard::send_engine`](crate::Shard::send_engine).
    fn message(&self, session: SessionKey, data: &Data<'_>);

    /// The session is over.
    fn close(&self, session: SessionKey, reason: DisconnectReason);
}
