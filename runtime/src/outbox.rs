//! What waits to be written to one connection, and how it goes out.
//!
//! Small writes are appended to one buffer; shared bytes (a broadcast's frame) are kept by reference
//! as long as they are alone. One send is in flight at a time, so order holds; it takes everything
//! that waits: one piece as it is, several small ones copied into one buffer, large ones gathered.
//! Buffers come from the shard's pool and go back to it, so the plain path allocates nothing and an idle
//! connection's outbox owns no heap memory.

use std::collections::VecDeque;
use std::ptr;

use bytes::Bytes;

/// Pieces up to this size are copied together rather than gathered: at 64 bytes both cost the same
/// per piece, and one buffer keeps the vector short (figures in the performance notes).
const COPY_BYTES_MAX: usize = 2 * 1024;
/// Vectors of one gathering send; the kernel's own limit is 1024.
const GATHER_MAX: usize = 64;
/// A new buffer's capacity: a turn's worth of small messages for one client.
const BUFFER_BYTES: usize = 512;
/// A buffer that has grown past this is not kept for others.
const POOLED_BYTES_MAX: usize = 16 * 1024;
/// What a shard's pool may hold in all.
const POOL_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The shard's spare write buffers.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    spare: Vec<Vec<u8>>,
    bytes: usize,
    /// The fewest spare buffers since the last trim.
    least: usize,
}

/// Bytes waiting for one connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: Waiting,
    waiting_bytes: usize,
    flight: Flight,
}

#[derive(Debug)]
enum Piece {
    Own(Vec<u8>),
    Shared(Bytes),
}

/// Pieces in order; one is by far the most frequent number.
#[derive(Debug, Default)]
enum Waiting {
    #[default]
    Nothing,
    One(Piece),
    Many(VecDeque<Piece>),
}

/// A send the kernel has.
#[derive(Debug, Default)]
enum Flight {
    #[default]
    None,
    /// One piece, whose bytes lie on the heap and so stay where they are, and how far it got.
    One(Piece, usize),
    Many(Box<Gathered>),
}

/// A send of several pieces.
#[derive(Debug)]
struct Gathered {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that are already sent.
    sent: usize,
    vectors: Vec<libc::iovec>,
    header: libc::msghdr,
}

/// What to give to the ring.
pub(crate) enum Send<'a> {
    One(&'a [u8]),
    Many(*const libc::msghdr),
}

impl Pool {
    fn take(&mut self) -> Vec<u8> {
        match self.spare.pop() {
            Some(buffer) => {
                self.bytes -= buffer.capacity();
                self.least = self.least.min(self.spare.len());
                buffer
            }
            None => Vec::with_capacity(BUFFER_BYTES),
        }
    }

    fn give_back(&mut self, piece: Piece) {
        if let Piece::Own(mut buffer) = piece
            && buffer.capacity() <= POOLED_BYTES_MAX
            && self.bytes + buffer.capacity() <= POOL_BYTES_MAX
        {
            buffer.clear();
            self.bytes += buffer.capacity();
            self.spare.push(buffer);
        }
    }

    /// Frees what nobody has needed since the last call; to be called about once a second.
    pub(crate) fn trim(&mut self) {
        for buffer in self.spare.drain(..self.least) {
            self.bytes -= buffer.capacity();
        }
        self.least = self.spare.len();
    }
}

impl Outbox {
    /// Bytes that wait or are on their way.
    pub(crate) fn bytes(&self) -> usize {
        self.waiting_bytes + self.flight.remaining()
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.waiting, Waiting::Nothing) && !self.in_flight()
    }

    pub(crate) fn in_flight(&self) -> bool {
        !matches!(self.flight, Flight::None)
    }

    /// Appends what `write` writes.
    pub(crate) fn write(&mut self, pool: &mut Pool, write: impl FnOnce(&mut Vec<u8>)) {
        let buffer = self.waiting.buffer(pool);
        let before = buffer.len();
        write(buffer);
        self.waiting_bytes += buffer.len() - before;
    }

    /// Appends shared bytes: by reference when nothing waits or they are large, else by copy.
    pub(crate) fn push(&mut self, pool: &mut Pool, bytes: &Bytes) {
        if !matches!(self.waiting, Waiting::Nothing) && bytes.len() <= COPY_BYTES_MAX {
            return self.write(pool, |out| out.extend_from_slice(bytes));
        }
        self.waiting_bytes += bytes.len();
        self.waiting.push(Piece::Shared(bytes.clone()));
    }

    /// Forgets what waits; what the kernel already has cannot be taken back.
    pub(crate) fn clear_waiting(&mut self) {
        self.waiting = Waiting::Nothing;
        self.waiting_bytes = 0;
    }

    /// Puts everything that waits in flight. `None` when nothing waits or a send is under way.
    pub(crate) fn take_off(&mut self) -> Option<Send<'_>> {
        if self.in_flight() {
            return None;
        }
        match std::mem::take(&mut self.waiting) {
            Waiting::Nothing => return None,
            Waiting::One(piece) => {
                self.waiting_bytes = 0;
                self.flight = Flight::One(piece, 0);
            }
            Waiting::Many(mut pieces) => {
                let rest = pieces.split_off(pieces.len().min(GATHER_MAX));
                self.waiting_bytes -= pieces.iter().map(Piece::len).sum::<usize>();
                if !rest.is_empty() {
                    self.waiting = Waiting::Many(rest);
                }
                self.flight = Flight::Many(Box::new(Gathered::new(pieces)));
            }
        }
        self.resume()
    }

    /// The rest of a send that the kernel took only in part.
    pub(crate) fn resume(&mut self) -> Option<Send<'_>> {
        match &mut self.flight {
            Flight::None => None,
            Flight::One(piece, sent) => Some(Send::One(&piece.as_slice()[*sent..])),
            Flight::Many(gathered) => Some(gathered.send()),
        }
    }

    /// The kernel has given the flight back unfinished, and nobody wants the rest.
    pub(crate) fn abandon(&mut self) {
        self.flight = Flight::None;
    }

    /// The kernel took `bytes` more; true when the whole flight has landed.
    pub(crate) fn landed(&mut self, pool: &mut Pool, bytes: usize) -> bool {
        match &mut self.flight {
            Flight::None => return true,
            Flight::One(piece, sent) => {
                *sent += bytes;
                if *sent < piece.len() {
                    return false;
                }
            }
            Flight::Many(gathered) => {
                if !gathered.advance(pool, bytes) {
                    return false;
                }
            }
        }
        if let Flight::One(piece, _) = std::mem::take(&mut self.flight) {
            pool.give_back(piece);
        }
        true
    }
}

impl Waiting {
    /// A buffer at the end to append to.
    fn buffer(&mut self, pool: &mut Pool) -> &mut Vec<u8> {
        match self {
            Waiting::Nothing => *self = Waiting::One(Piece::Own(pool.take())),
            // A lone small piece becomes the start of a buffer that others can join.
            Waiting::One(Piece::Shared(bytes)) if bytes.len() <= COPY_BYTES_MAX => {
                let mut buffer = pool.take();
                buffer.extend_from_slice(bytes);
                *self = Waiting::One(Piece::Own(buffer));
            }
            Waiting::One(Piece::Own(_)) => {}
            Waiting::One(Piece::Shared(_)) => self.push(Piece::Own(pool.take())),
            Waiting::Many(pieces) => {
                if !matches!(pieces.back(), Some(Piece::Own(_))) {
                    pieces.push_back(Piece::Own(pool.take()));
                }
            }
        }
        let last = match self {
            Waiting::One(piece) => Some(piece),
            Waiting::Many(pieces) => pieces.back_mut(),
            Waiting::Nothing => None,
        };
        match last {
            Some(Piece::Own(buffer)) => buffer,
            _ => unreachable!("the last piece was made an own one above"),
        }
    }

    fn push(&mut self, piece: Piece) {
        *self = match std::mem::take(self) {
            Waiting::Nothing => Waiting::One(piece),
            Waiting::One(first) => Waiting::Many(VecDeque::from([first, piece])),
            Waiting::Many(mut pieces) => {
                pieces.push_back(piece);
                Waiting::Many(pieces)
            }
        };
    }
}

impl Flight {
    fn remaining(&self) -> usize {
        match self {
            Flight::None => 0,
            Flight::One(piece, sent) => piece.len() - sent,
            Flight::Many(gathered) => {
                gathered.pieces.iter().map(Piece::len).sum::<usize>() - gathered.sent
            }
        }
    }
}

impl Piece {
    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Piece::Own(bytes) => bytes,
            Piece::Shared(bytes) => bytes,
        }
    }
}

impl Gathered {
    fn new(pieces: VecDeque<Piece>) -> Self {
        // SAFETY: a msghdr is plain data for which all zeroes mean "nothing".
        #[allow(unsafe_code)]
        let header = unsafe { std::mem::zeroed() };
        Self { pieces, sent: 0, vectors: Vec::new(), header }
    }

    fn send(&mut self) -> Send<'_> {
        let mut skip = self.sent;
        self.vectors = self
            .pieces
            .iter()
            .map(|piece| {
                let rest = &piece.as_slice()[std::mem::take(&mut skip)..];
                libc::iovec { iov_base: rest.as_ptr() as *mut _, iov_len: rest.len() }
            })
            .collect();
        self.header.msg_iov = self.vectors.as_mut_ptr();
        self.header.msg_iovlen = self.vectors.len();
        Send::Many(ptr::from_ref(&self.header))
    }

    fn advance(&mut self, pool: &mut Pool, bytes: usize) -> bool {
        self.sent += bytes;
        while let Some(piece) = self.pieces.front()
            && self.sent >= piece.len()
        {
            self.sent -= piece.len();
            if let Some(piece) = self.pieces.pop_front() {
                pool.give_back(piece);
            }
        }
        self.pieces.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(unsafe_code)]
    fn taken(send: Send<'_>, limit: usize) -> Vec<u8> {
        let mut all = Vec::new();
        match send {
            Send::One(bytes) => all.extend_from_slice(bytes),
            Send::Many(header) => {
                // SAFETY: the flight is borrowed by `send`, so its vectors and pieces are alive.
                let vectors =
                    unsafe { std::slice::from_raw_parts((*header).msg_iov, (*header).msg_iovlen) };
                for vector in vectors {
                    // SAFETY: as above.
                    all.extend_from_slice(unsafe {
                        std::slice::from_raw_parts(vector.iov_base as *const u8, vector.iov_len)
                    });
                }
            }
        }
        all.truncate(limit);
        all
    }

    /// Sends everything through a kernel that takes at most `step` bytes at a time.
    fn drain(outbox: &mut Outbox, pool: &mut Pool, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(send) = outbox.take_off() {
            let mut part = taken(send, step);
            loop {
                all.extend_from_slice(&part);
                if outbox.landed(pool, part.len()) {
                    break;
                }
                part = taken(outbox.resume().expect("not landed yet"), step);
            }
        }
        assert!(outbox.is_empty());
        assert_eq!(outbox.bytes(), 0);
        all
    }

    #[test]
    fn order_and_bytes_survive_every_mix_of_pieces_and_partial_sends() {
        let mut pool = Pool::default();
        for step in [1, 3, 1000, usize::MAX] {
            let mut outbox = Outbox::default();
            let mut expected = Vec::new();
            for i in 0..200usize {
                let piece = vec![i as u8; [1, 64, 700, 2048, 2049, 5000][i % 6]];
                expected.extend_from_slice(&piece);
                if i % 3 == 0 {
                    outbox.write(&mut pool, |out| out.extend_from_slice(&piece));
                } else {
                    outbox.push(&mut pool, &Bytes::from(piece));
                }
            }
            assert_eq!(outbox.bytes(), expected.len());
            assert_eq!(drain(&mut outbox, &mut pool, step), expected, "step {step}");
        }
    }

    #[test]
    fn a_lone_shared_piece_is_sent_without_a_copy() {
        let frame = Bytes::from_static(b"one frame for a thousand members");
        let mut outbox = Outbox::default();
        outbox.push(&mut Pool::default(), &frame);
        let Some(Send::One(bytes)) = outbox.take_off() else { panic!("one piece") };
        assert_eq!(bytes.as_ptr(), frame.as_ptr());
    }

    #[test]
    fn what_comes_during_a_flight_waits_for_the_next() {
        let (mut outbox, mut pool) = (Outbox::default(), Pool::default());
        outbox.push(&mut pool, &Bytes::from_static(b"first"));
        assert!(outbox.take_off().is_some());
        outbox.push(&mut pool, &Bytes::from_static(b"second"));
        assert!(outbox.take_off().is_none());
        assert!(outbox.landed(&mut pool, 5));
        assert_eq!(drain(&mut outbox, &mut pool, usize::MAX), b"second");
    }

    #[test]
    fn an_idle_outbox_is_small() {
        assert!(size_of::<Outbox>() <= 96, "{}", size_of::<Outbox>());
    }

    #[test]
    fn buffers_are_used_again_and_never_hoarded() {
        let (mut outbox, mut pool) = (Outbox::default(), Pool::default());
        let mut first = std::ptr::null();
        for round in 0..3 {
            outbox.write(&mut pool, |out| out.extend_from_slice(b"message"));
            let Some(Send::One(bytes)) = outbox.take_off() else { panic!("one piece") };
            match round {
                0 => first = bytes.as_ptr(),
                _ => assert_eq!(bytes.as_ptr(), first),
            }
            assert!(outbox.landed(&mut pool, 7));
            assert_eq!(pool.spare.len(), 1);
        }
        outbox.write(&mut pool, |out| out.resize(POOLED_BYTES_MAX + 1, 0));
        assert!(outbox.take_off().is_some());
        assert!(outbox.landed(&mut pool, POOLED_BYTES_MAX + 1));
        assert!(pool.spare.is_empty(), "a large buffer is not kept");
        for _ in 0..2 * POOL_BYTES_MAX / BUFFER_BYTES {
            pool.give_back(Piece::Own(Vec::with_capacity(BUFFER_BYTES)));
        }
        assert!(pool.bytes <= POOL_BYTES_MAX);
        assert_eq!(pool.bytes, pool.spare.iter().map(Vec::capacity).sum::<usize>());
    }

    #[test]
    fn buffers_that_nobody_needs_are_freed() {
        let mut pool = Pool::default();
        let mut use_at_once = |count: usize| {
            let taken: Vec<_> = (0..count).map(|_| pool.take()).collect();
            taken.into_iter().for_each(|buffer| pool.give_back(Piece::Own(buffer)));
            pool.trim();
            pool.spare.len()
        };
        assert_eq!(use_at_once(10), 10);
        assert_eq!(use_at_once(4), 4);
        assert_eq!(use_at_once(6), 6);
        assert_eq!(use_at_once(0), 0);
        assert_eq!(pool.bytes, 0);
    }
}
