//! The shards' listeners: one socket each on the same address, joined by `SO_REUSEPORT`, so that the
//! kernel spreads connections over the shards by itself.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

/// How long to wait for an address that is taken.
const CLAIM_PATIENCE: Duration = Duration::from_secs(1);
const CLAIM_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Binds `count` listeners to one address. Port 0 becomes the same free port for all of them.
///
/// # Errors
/// What `bind` says. An address that any other process listens on is an error, although
/// `SO_REUSEPORT` would silently share it.
pub(crate) fn bind(
    address: SocketAddr,
    count: usize,
    backlog: i32,
) -> io::Result<(SocketAddr, Vec<OwnedFd>)> {
    let address = claim(address)?;
    let mut listeners = Vec::with_capacity(count);
    let mut bound = address;
    for _ in 0..count {
        let socket = open(bound)?;
        socket.set_reuse_port(true)?;
        socket.bind(&bound.into())?;
        bound = socket.local_addr()?.as_socket().unwrap_or(bound);
        listeners.push(socket);
    }
    for listener in &listeners {
        listener.listen(backlog)?;
    }
    Ok((bound, listeners.into_iter().map(OwnedFd::from).collect()))
}

/// Makes sure that nobody else has the address, by binding it alone for a moment.
///
/// A process that has just been killed may still have it: the kernel takes its rings apart in the
/// background, and their pending accepts hold the listeners. So one that is taken is asked for again.
fn claim(address: SocketAddr) -> io::Result<SocketAddr> {
    let start = Instant::now();
    loop {
        let probe = open(address)?;
        match probe.bind(&address.into()) {
            Ok(()) => return Ok(probe.local_addr()?.as_socket().unwrap_or(address)),
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && start.elapsed() < CLAIM_PATIENCE =>
            {
                thread::sleep(CLAIM_AGAIN_AFTER);
            }
            Err(error) => return Err(error),
        }
    }
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // Accepted sockets inherit it, which saves a call for each connection.
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn all_listeners_share_one_free_port() {
        let (address, listeners) = bind(([127, 0, 0, 1], 0).into(), 3, 16).unwrap();
        assert_eq!(listeners.len(), 3);
        assert_ne!(address.port(), 0);
        TcpStream::connect(address).unwrap();
    }

    #[test]
    fn an_address_that_is_given_up_in_time_is_taken() {
        let last = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = last.local_addr().unwrap();
        let dying = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            drop(last);
        });
        assert_eq!(bind(address, 2, 16).unwrap().0, address);
        dying.join().unwrap();
    }

    #[test]
    fn a_taken_address_is_an_error() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = bind(taken.local_addr().unwrap(), 2, 16).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let (address, _ours) = bind(([127, 0, 0, 1], 0).into(), 2, 16).unwrap();
        assert_eq!(bind(address, 2, 16).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
