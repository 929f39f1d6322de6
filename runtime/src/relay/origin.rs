//! Whose a connection really is, and how far it has come.

use std::net::SocketAddr;
use std::os::fd::AsFd;

use socket2::{SockAddr, SockRef};
use yamabiko_protocol::http::Head;

use crate::connection::{Connection, ConnectionKey};
use crate::shard::State;

/// Nodes that may pass a connection on. The first finds the owner of its first request's session. A request
/// that follows on the same connection may name another's, so there may be a second. An answer after that
/// ends the connection: the client's next one begins anew.
pub(crate) const HOPS_MAX: u8 = 2;

/// What a header has said of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The client's address; `None` if the header says nothing of it, so that the connection's own counts.
    pub(crate) address: Option<SocketAddr>,
    /// Nodes that have passed it on.
    pub(crate) hops: u8,
}

impl Connection {
    /// The client's address.
    pub(crate) fn peer_address(&self) -> SocketAddr {
        let told = self.origin.as_ref().and_then(|origin| origin.address);
        told.unwrap_or_else(|| canonical(SockRef::from(&self.fd.as_fd()).peer_addr()))
    }

    /// The address that it has connected to here.
    pub(crate) fn local_address(&self) -> SocketAddr {
        canonical(SockRef::from(&self.fd.as_fd()).local_addr())
    }
}

impl State {
    /// The address of whoever has sent this request.
    pub(crate) fn client_address(&self, key: ConnectionKey, head: &Head<'_>) -> SocketAddr {
        let peer = self.connections.get(key).map_or(UNKNOWN, Connection::peer_address);
        self.trust.client_of(peer, head)
    }
}

const UNKNOWN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

/// An address of IPv4 that a listener for both families has seen, as what it is.
pub(super) fn canonical(address: std::io::Result<SockAddr>) -> SocketAddr {
    let address = address.ok().and_then(|address| address.as_socket()).unwrap_or(UNKNOWN);
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
