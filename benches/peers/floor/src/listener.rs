//! A thread's listening socket, and room in the table of descriptors.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

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
/// at once: growing it under load stalls a threaded process for 10 to 30 ms each time.
#[allow(unsafe_code)]
pub(crate) fn make_room_for_descriptors() {
    const HIGHEST: libc::rlim_t = 65_535;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for both calls, the other arguments are plain numbers, and the
    // descriptor that is closed is the one just made, which nothing else owns. Where a call fails,
    // there is less room, which accepting tells.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) != 0 {
            return;
        }
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        let high = limit.rlim_max.min(HIGHEST) as i32 - 1;
        let copy = libc::fcntl(2, libc::F_DUPFD_CLOEXEC, high);
        if copy >= 0 {
            libc::close(copy);
        }
    }
}
