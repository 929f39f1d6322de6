//! A thread's listening socket, and room in the table of descriptors.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections the kernel keeps until they are accepted; it clamps to `net.core.somaxconn`.
const BACKLOG: i32 = 65_535;

/// Listens on 127.0.0.1, beside the listeners of the other threads. What is accepted inherits
/// `TCP_NODELAY`. Accepting blocks: a ring would be told of a non-blocking listener's empty queue.
pub(crate) fn listen(port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Raises the limit of descriptors as far as it goes, and lets the kernel make its table that large
/// at once: growing it under load stalls a threaded process for 10 to 30 ms each time. Where that
/// fails, there is less room, which accepting tells.
pub(crate) fn make_room_for_descriptors() {
    const HIGHEST: u64 = 65_535;
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let high = limit.maximum.unwrap_or(HIGHEST).clamp(1, HIGHEST) as i32 - 1;
    drop(fcntl_dupfd_cloexec(io::stderr(), high));
}
