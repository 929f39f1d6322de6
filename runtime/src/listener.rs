//! The shards' listeners: one socket each on the same address, joined by `SO_REUSEPORT`, so that the
//! kernel spreads connections over the shards by itself: by a hash of their addresses, or, once they are
//! steered, by the core that handles their first packet.
//!
//! Steering is `SO_INCOMING_CPU`, not a program (`SO_ATTACH_REUSEPORT_CBPF`): the kernel honours both, but
//! a program names listeners by their place in the group, which changes when one closes.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::preflight;

/// Before it, kernels take `SO_INCOMING_CPU` and choose in a group by hash all the same.
const STEERING_KERNEL_MIN: (u32, u32) = (6, 2);

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

/// Why connections are not steered. They are spread by hash, as without steering.
#[derive(Debug)]
pub(crate) enum Unsteered {
    /// The operator runs more shards than there are cores: those on one core would get uneven shares.
    TooFewCores { shards: usize, cores: usize },
    /// The kernel is older than Linux 6.2.
    OldKernel(String),
    /// The kernel says no.
    Refused(io::Error),
}

impl fmt::Display for Unsteered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsteered::TooFewCores { shards, cores } => {
                write!(f, "{shards} shards share {cores} cores, and each needs one of its own")
            }
            Unsteered::OldKernel(release) => write!(
                f,
                "this kernel is {release}; Linux {}.{} or newer is needed",
                STEERING_KERNEL_MIN.0, STEERING_KERNEL_MIN.1
            ),
            Unsteered::Refused(error) => write!(f, "the kernel refused it: {error}"),
        }
    }
}

/// Has each listener take the connections whose SYN is handled at the core with its place in `cores`.
/// Where a core has no listener, the kernel goes on to spread by hash over all of them.
///
/// # Errors
/// [`Unsteered`]; the listeners work all the same.
pub(crate) fn steer(listeners: &[OwnedFd], cores: &[usize]) -> Result<(), Unsteered> {
    if listeners.len() > cores.len() {
        return Err(Unsteered::TooFewCores { shards: listeners.len(), cores: cores.len() });
    }
    let release = preflight::kernel_release();
    if preflight::parse_release(&release).is_some_and(|version| version < STEERING_KERNEL_MIN) {
        return Err(Unsteered::OldKernel(release));
    }
    for (listener, core) in listeners.iter().zip(cores) {
        SockRef::from(listener).set_cpu_affinity(*core).map_err(Unsteered::Refused)?;
    }
    Ok(())
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
    fn from_a_core_without_a_listener_connections_are_spread_by_hash() {
        let (address, listeners) = bind(([127, 0, 0, 1], 0).into(), 2, 128).unwrap();
        // Cores that no machine has.
        steer(&listeners, &[100_000, 100_001]).unwrap();
        let clients: Vec<_> = (0..64).map(|_| TcpStream::connect(address).unwrap()).collect();
        let accepted = listeners.into_iter().map(|listener| {
            let listener = TcpListener::from(listener);
            listener.set_nonblocking(true).unwrap();
            std::iter::from_fn(|| listener.accept().ok()).count()
        });
        let accepted: Vec<usize> = accepted.collect();
        assert_eq!(accepted.iter().sum::<usize>(), clients.len(), "{accepted:?}");
        assert!(accepted.iter().all(|count| *count > 0), "{accepted:?}");
    }

    #[test]
    fn more_listeners_than_cores_are_not_steered() {
        let (_, listeners) = bind(([127, 0, 0, 1], 0).into(), 3, 16).unwrap();
        let error = steer(&listeners, &[0, 1]).unwrap_err();
        assert!(matches!(error, Unsteered::TooFewCores { shards: 3, cores: 2 }), "{error}");
        for listener in &listeners {
            assert_eq!(untouched(), SockRef::from(listener).cpu_affinity().unwrap());
        }
    }

    /// What a listener says that was never steered.
    fn untouched() -> usize {
        let socket = open(([127, 0, 0, 1], 0).into()).unwrap();
        socket.cpu_affinity().unwrap()
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
