//! One non-blocking TCP connection: whole messages in, all bytes out, in whatever pieces they travel.
//!
//! Holds no buffer while messages come and go in whole. Knows nothing of what the bytes mean.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Socket, Type};

/// What one read takes at most where nothing larger is under way.
pub(crate) const READ_BYTES: usize = 256 << 10;
/// A message of more bytes than this is read into a buffer of its own once its start has come.
const LARGE_BYTES: usize = 32 << 10;
/// Connections from one source address, far from its 28,000 ports so that finding one stays cheap.
const PORTS_PER_SOURCE: usize = 8_000;

/// A TCP connection of ours.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    /// The first `filled` bytes are the start of a message of at least `needed` bytes. Longer than
    /// `filled` only while a large message is read straight into it.
    partial: Vec<u8>,
    filled: usize,
    needed: usize,
    /// What the socket did not take, from `unsent_at`.
    unsent: Vec<u8>,
    unsent_at: usize,
}

/// How far a reader of messages came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Consumed {
    /// Bytes of whole messages, from the front.
    pub(crate) used: usize,
    /// The next message's bytes, as far as known: a lower bound.
    pub(crate) needed: usize,
}

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadEnd {
    /// There is no more for now.
    Drained,
    /// The server has closed its side.
    Closed,
}

impl Link {
    /// Starts to connect to `server` as the caller's connection number `index`. What is sent before the
    /// connection stands goes out with the first [`flush`](Self::flush) that finds it writable.
    pub(crate) fn connect(server: SocketAddr, index: usize) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM.nonblocking(), None)?;
        socket.set_tcp_nodelay(true)?;
        // Closing resets, so that no port waits for a minute.
        socket.set_linger(Some(Duration::ZERO))?;
        if let Some(source) = source_address(server, index) {
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
        match socket.connect(&server.into()) {
            Err(error)
                if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
            {
                return Err(error);
            }
            _ => {}
        }
        Ok(Self {
            stream: TcpStream::from_std(socket.into()),
            partial: Vec::new(),
            filled: 0,
            needed: 0,
            unsent: Vec::new(),
            unsent_at: 0,
        })
    }

    /// Has events of this connection told, edge-triggered.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Sends `bytes` after all that was sent before, keeping what the socket does not take now.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.has_unsent() {
            self.unsent.extend_from_slice(bytes);
            return self.flush();
        }
        let taken = write(&self.stream, bytes)?;
        if taken < bytes.len() {
            self.unsent.clear();
            self.unsent.extend_from_slice(&bytes[taken..]);
            self.unsent_at = 0;
        }
        Ok(())
    }

    /// Sends what is still kept, as far as the socket takes it.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.has_unsent() {
            match write(&self.stream, &self.unsent[self.unsent_at..])? {
                0 => break,
                taken => self.unsent_at += taken,
            }
        }
        Ok(())
    }

    /// Is something kept that the socket did not take?
    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent_at < self.unsent.len()
    }

    /// Reads until there is no more, by way of `shared`, giving all bytes from the first unfinished
    /// message on to `consume`. With `until_end` also finds a close that came with the last bytes.
    pub(crate) fn read<E: From<io::Error>>(
        &mut self,
        shared: &mut Vec<u8>,
        until_end: bool,
        mut consume: impl FnMut(&[u8]) -> Result<Consumed, E>,
    ) -> Result<ReadEnd, E> {
        loop {
            let straight = self.filled > 0 && self.needed > LARGE_BYTES;
            let (room, taken) = if straight {
                self.read_straight(&mut consume)?
            } else {
                self.read_shared(shared, &mut consume)?
            };
            match taken {
                Some(0) => return Ok(ReadEnd::Closed),
                None => return Ok(ReadEnd::Drained),
                Some(taken) if taken < room && !until_end => return Ok(ReadEnd::Drained),
                Some(_) => {}
            }
        }
    }

    /// Reads on in the buffer of a large message. The room there was, and what [`read`] gave.
    fn read_straight<E: From<io::Error>>(
        &mut self,
        consume: &mut impl FnMut(&[u8]) -> Result<Consumed, E>,
    ) -> Result<(usize, Option<usize>), E> {
        if self.partial.len() < self.needed {
            self.partial.resize(self.needed, 0);
        }
        let free = &mut self.partial[self.filled..self.needed];
        let room = free.len();
        let taken = read(&self.stream, free)?;
        self.filled += taken.unwrap_or(0);
        if self.filled == self.needed {
            let Consumed { used, needed } = consume(&self.partial[..self.filled])?;
            self.partial.copy_within(used..self.filled, 0);
            self.filled -= used;
            self.needed = needed;
        }
        Ok((room, taken))
    }

    /// Reads into the shared buffer, after the start of a message if one is kept.
    fn read_shared<E: From<io::Error>>(
        &mut self,
        shared: &mut Vec<u8>,
        consume: &mut impl FnMut(&[u8]) -> Result<Consumed, E>,
    ) -> Result<(usize, Option<usize>), E> {
        // A message of unknown length may outgrow the buffer.
        let least = (self.filled * 2).max(READ_BYTES);
        if shared.len() < least {
            shared.resize(least, 0);
        }
        shared[..self.filled].copy_from_slice(&self.partial[..self.filled]);
        let free = &mut shared[self.filled..];
        let room = free.len();
        let taken = read(&self.stream, free)?;
        if let Some(taken @ 1..) = taken {
            let end = self.filled + taken;
            let Consumed { used, needed } = consume(&shared[..end])?;
            self.partial.clear();
            self.partial.extend_from_slice(&shared[used..end]);
            self.filled = end - used;
            self.needed = needed;
        }
        Ok((room, taken))
    }
}

/// Bytes read, 0 at the end; `None` if there is nothing now.
#[inline]
fn read(mut stream: &TcpStream, into: &mut [u8]) -> io::Result<Option<usize>> {
    loop {
        match stream.read(into) {
            Ok(taken) => return Ok(Some(taken)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Bytes that the socket took, 0 where it has no room or is not connected yet.
#[inline]
fn write(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match stream.write(bytes) {
            Ok(taken) => return Ok(taken),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) =>
            {
                return Ok(0);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The address to connect from, where the default one might run out of ports. All of 127.0.0.0/8 is this
/// machine. A port that is bound belongs to one connection, whatever that leads to, so each server has
/// addresses of its own.
fn source_address(server: SocketAddr, index: usize) -> Option<IpAddr> {
    let further = u8::try_from(index / PORTS_PER_SOURCE)
        .ok()
        .filter(|further| (1..=250).contains(further))?;
    let [high, low] = server.port().to_be_bytes();
    matches!(server.ip(), IpAddr::V4(address) if address.is_loopback())
        .then(|| Ipv4Addr::new(127, high, low, 1 + further).into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A message is a byte that says its length in bytes, times 1,000, and then these bytes.
    fn messages(bytes: &[u8], lengths: &mut Vec<usize>) -> Consumed {
        let mut used = 0;
        loop {
            let Some(thousands) = bytes.get(used) else { return Consumed { used, needed: 1 } };
            let length = usize::from(*thousands) * 1_000;
            let end = used + 1 + length;
            let Some(body) = bytes.get(used + 1..end) else {
                return Consumed { used, needed: 1 + length };
            };
            assert!(body.iter().enumerate().all(|(at, byte)| *byte == at as u8));
            lengths.push(length);
            used = end;
        }
    }

    fn pair() -> (Link, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = Link::connect(listener.local_addr().unwrap(), 0).unwrap();
        (link, listener.accept().unwrap().0)
    }

    #[test]
    fn messages_of_all_sizes_come_whole_however_they_are_cut() {
        let sizes = [1_u8, 0, 30, 33, 200, 255, 2, 0, 64, 1];
        let mut stream = Vec::new();
        for size in sizes {
            stream.push(size);
            stream.extend((0..usize::from(size) * 1_000).map(|at| at as u8));
        }
        let mut random = fastrand::Rng::with_seed(3);
        for cut_max in [7, 900, 40_000, 1_000_000] {
            let (mut link, mut server) = pair();
            server.set_nodelay(true).unwrap();
            let (mut shared, mut lengths) = (Vec::new(), Vec::new());
            let mut rest = &stream[..];
            // With the smallest cuts the whole stream would take a minute.
            let mut cuts = 0;
            while !rest.is_empty() {
                let cut_max = if cuts < 300 { cut_max } else { cut_max.max(5_000) };
                cuts += 1;
                let (now, later) = rest.split_at(random.usize(1..=cut_max).min(rest.len()));
                rest = later;
                server.write_all(now).unwrap();
                let end = link.read(&mut shared, true, |bytes| {
                    Ok::<_, io::Error>(messages(bytes, &mut lengths))
                });
                assert_eq!(end.unwrap(), ReadEnd::Drained);
            }
            drop(server);
            while lengths.len() < sizes.len() {
                link.read(&mut shared, true, |bytes| {
                    Ok::<_, io::Error>(messages(bytes, &mut lengths))
                })
                .unwrap();
            }
            assert_eq!(lengths, sizes.map(|size| usize::from(size) * 1_000));
        }
    }

    #[test]
    fn what_the_socket_does_not_take_is_sent_later_and_in_order() {
        let (mut link, mut server) = pair();
        let sent: Vec<u8> = (0..20 << 20).map(|at: u32| (at / 3) as u8).collect();
        for piece in sent.chunks(3 << 20) {
            link.send(piece).unwrap();
        }
        assert!(link.has_unsent());
        let mut received = vec![0; sent.len()];
        let mut at = 0;
        while at < received.len() {
            at += server.read(&mut received[at..]).unwrap();
            link.flush().unwrap();
        }
        assert!(received == sent && !link.has_unsent());
    }

    #[test]
    fn many_connections_come_from_several_addresses() {
        let server: SocketAddr = ([127, 0, 0, 1], 0x0fa1).into();
        assert_eq!(source_address(server, 7_999), None);
        assert_eq!(source_address(server, 8_000), Some([127, 0x0f, 0xa1, 2].into()));
        assert_eq!(source_address(server, 17_999), Some([127, 0x0f, 0xa1, 3].into()));
        assert_eq!(source_address(([10, 0, 0, 1], 80).into(), 17_999), None);
    }
}
