//! Sockets of other cores and nodes, as they can be seen from here.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use serde::de::DeserializeOwned;
use yamabiko_runtime::{EmitArgs, EmitError, Gathered, Item, NamespaceId, Shard, SocketInfo};

use crate::broadcast::Broadcast;
use crate::handshake::Handshake;
use crate::socket::AckFailure;

/// A socket that may live on another core or node: what was known of it when it was fetched, and the way to it.
/// Socket.IO's `RemoteSocket`.
#[derive(Clone)]
pub struct RemoteSocket {
    shard: Shard,
    namespace: NamespaceId,
    id: String,
    owner: Option<u8>,
    rooms: Vec<String>,
    handshake: Handshake,
    data: Option<Box<str>>,
}

impl RemoteSocket {
    fn new(shard: Shard, namespace: NamespaceId, info: SocketInfo) -> Self {
        let SocketInfo { id, shard: owner, rooms, handshake, data } = info;
        Self { shard, namespace, id, owner, rooms, handshake: Handshake::new(handshake), data }
    }

    /// Its id, as its client knows it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The core that owns it; `None` if it is one of another node.
    pub fn shard(&self) -> Option<u8> {
        self.owner
    }

    /// The rooms it was in when it was fetched, its own id first.
    pub fn rooms(&self) -> &[String] {
        &self.rooms
    }

    /// What is known of its client since the handshake.
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// What its core had said of it when it was fetched, or `None` if that is no `T`.
    pub fn data<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.data.as_deref()?).ok()
    }

    /// Sends it an event. Nothing happens if it is gone.
    ///
    /// # Errors
    /// The arguments cannot be put into JSON, or the name is reserved.
    pub fn emit<T: EmitArgs + ?Sized>(&self, event: &str, args: &T) -> Result<(), EmitError> {
        self.alone().emit(event, args)
    }

    /// Sends it an event and waits for the first argument of its client's acknowledgement.
    ///
    /// # Errors
    /// [`AckFailure`]. A socket that is gone already is one that has disconnected.
    pub fn emit_with_ack<R: DeserializeOwned + 'static>(
        &self,
        event: &str,
        args: &dyn EmitArgs,
        timeout: Duration,
    ) -> impl Future<Output = Result<R, AckFailure>> + use<R> {
        let gathered = self.alone().timeout(timeout).gather_acks(event, args);
        async move {
            let gathered = gathered.map_err(AckFailure::Emit)?.await;
            match gathered.items.into_iter().next() {
                Some(Item::Ack { args, .. }) => args.parse_arg(0).map_err(AckFailure::Type),
                // Its core was not heard, or it has not answered.
                _ if !gathered.silent.is_empty() => Err(AckFailure::TimedOut),
                _ if !gathered.missing.is_empty() => Err(AckFailure::TimedOut),
                _ => Err(AckFailure::Disconnected),
            }
        }
    }

    /// Has it join a room.
    pub fn join(&self, room: &str) {
        self.alone().sockets_join([room]);
    }

    /// Has it leave a room.
    pub fn leave(&self, room: &str) {
        self.alone().sockets_leave([room]);
    }

    /// Takes it out of its namespace; with `close` out of all of them, and closes the connection.
    pub fn disconnect(&self, close: bool) {
        self.alone().disconnect_sockets(close);
    }

    fn alone(&self) -> Broadcast {
        Broadcast::everyone(self.shard.clone(), self.namespace).to(&self.id)
    }
}

impl fmt::Debug for RemoteSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut socket = f.debug_struct("RemoteSocket");
        socket.field("id", &self.id).field("shard", &self.owner).field("rooms", &self.rooms);
        socket.finish()
    }
}

/// The sockets that were found, and who was not heard.
#[derive(Debug, Clone, Default)]
pub struct Fetched {
    /// The sockets.
    pub sockets: Vec<RemoteSocket>,
    /// Who did not answer in time, such as `shard 3` or `1 of 2 other nodes`; their sockets are not among
    /// those above.
    pub missing: Vec<String>,
}

impl Fetched {
    pub(crate) fn new(shard: &Shard, namespace: NamespaceId, gathered: Gathered) -> Self {
        let mut missing = silent(&gathered);
        missing.extend_from_slice(&gathered.missing);
        let sockets = gathered.items.into_iter().filter_map(|item| match item {
            Item::Socket(info) => Some(RemoteSocket::new(shard.clone(), namespace, *info)),
            _ => None,
        });
        Self { sockets: sockets.collect(), missing }
    }
}

impl IntoIterator for Fetched {
    type Item = RemoteSocket;
    type IntoIter = std::vec::IntoIter<RemoteSocket>;

    fn into_iter(self) -> Self::IntoIter {
        self.sockets.into_iter()
    }
}

/// The names of the shards that were not heard.
pub(crate) fn silent(gathered: &Gathered) -> Vec<String> {
    gathered.silent.iter().map(|shard| format!("shard {shard}")).collect()
}
