//! What waits to be written to one connection, and how it goes out.
//!
//! Small writes are appended to one buffer; shared bytes (a broadcast's frame) are kept by reference
//! as long as they are alone. One send is in flight at a time, so order holds; it takes everything
//! that waits: one piece as it is, several small ones copied into one buffer, large ones gathered.
//! An idle connection's outbox owns no heap memory.

use std::collections::VecDeque;
use std::ptr;

use bytes::Bytes;

/// Pieces up to this size are copied together rather than gathered: at 64 bytes both cost the same
/// per piece, and one buffer keeps the vector short (figures in the performance notes).
const COPY_BYTES_MAX: usize = 2 * 1024;
/// Vectors of one gathering send; the kernel's own limit is 1024.
const GATHER_MAX: usize = 64;

/// Bytes waiting for one connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: VecDeque<Piece>,
    waiting_bytes: usize,
    flight: Option<Box<Flight>>,
}

#[derive(Debug)]
enum Piece {
    Own(Vec<u8>),
    Shared(Bytes),
}

/// A send the kernel has: pieces in order, and how far it got.
#[derive(Debug)]
struct Flight {
    pieces: Vec<Piece>,
    /// Bytes of `pieces[0]` that are already sent.
    sent: usize,
    vectors: Vec<libc::iovec>,
    header: libc::msghdr,
}

/// What to give to the ring.
pub(crate) enum Send<'a> {
    One(&'a [u8]),
    Many(*const libc::msghdr),
}

impl Outbox {
    /// Bytes that wait or are on their way.
    pub(crate) fn bytes(&self) -> usize {
        let flying = self.flight.as_ref().map_or(0, |flight| flight.remaining());
        self.waiting_bytes + flying
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.flight.is_none()
    }

    pub(crate) fn in_flight(&self) -> bool {
        self.flight.is_some()
    }

    /// Appends what `write` writes.
    pub(crate) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if !matches!(self.waiting.back(), Some(Piece::Own(_))) {
            self.waiting.push_back(Piece::Own(Vec::new()));
        }
        if let Some(Piece::Own(buffer)) = self.waiting.back_mut() {
            let before = buffer.len();
            write(buffer);
            self.waiting_bytes += buffer.len() - before;
        }
    }

    /// Appends shared bytes: by reference when nothing waits or they are large, else by copy.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if !self.waiting.is_empty() && bytes.len() <= COPY_BYTES_MAX {
            self.gather_first();
            return self.write(|out| out.extend_from_slice(&bytes));
        }
        self.waiting_bytes += bytes.len();
        self.waiting.push_back(Piece::Shared(bytes));
    }

    /// Turns a lone small shared piece into the start of a buffer that others can join.
    fn gather_first(&mut self) {
        if let Some(Piece::Shared(bytes)) = self.waiting.back()
            && bytes.len() <= COPY_BYTES_MAX
        {
            let mut buffer = Vec::with_capacity(4 * bytes.len().max(64));
            buffer.extend_from_slice(bytes);
            self.waiting.pop_back();
            self.waiting.push_back(Piece::Own(buffer));
        }
    }

    /// Forgets what waits; what the kernel already has cannot be taken back.
    pub(crate) fn clear_waiting(&mut self) {
        self.waiting = VecDeque::new();
        self.waiting_bytes = 0;
    }

    /// Puts everything that waits in flight. `None` when nothing waits or a send is under way.
    pub(crate) fn take_off(&mut self) -> Option<Send<'_>> {
        if self.flight.is_some() || self.waiting.is_empty() {
            return None;
        }
        let mut pieces = Vec::with_capacity(self.waiting.len().min(GATHER_MAX));
        while pieces.len() < GATHER_MAX
            && let Some(piece) = self.waiting.pop_front()
        {
            self.waiting_bytes -= piece.len();
            pieces.push(piece);
        }
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        self.flight = Some(Box::new(Flight::new(pieces)));
        self.resume()
    }

    /// The rest of a send that the kernel took only in part.
    pub(crate) fn resume(&mut self) -> Option<Send<'_>> {
        self.flight.as_mut().map(|flight| flight.send())
    }

    /// The kernel has given the flight back unfinished, and nobody wants the rest.
    pub(crate) fn abandon(&mut self) {
        self.flight = None;
    }

    /// The kernel took `sent` bytes; true when the whole flight has landed.
    pub(crate) fn landed(&mut self, sent: usize) -> bool {
        let done = self.flight.as_mut().is_none_or(|flight| flight.advance(sent));
        if done {
            self.flight = None;
        }
        done
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

impl Flight {
    fn new(pieces: Vec<Piece>) -> Self {
        // SAFETY: a msghdr is plain data for which all zeroes mean "nothing".
        #[allow(unsafe_code)]
        let header = unsafe { std::mem::zeroed() };
        Self { pieces, sent: 0, vectors: Vec::new(), header }
    }

    fn remaining(&self) -> usize {
        self.pieces.iter().map(Piece::len).sum::<usize>() - self.sent
    }

    fn send(&mut self) -> Send<'_> {
        if let [only] = self.pieces.as_slice() {
            return Send::One(&only.as_slice()[self.sent..]);
        }
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

    fn advance(&mut self, sent: usize) -> bool {
        self.sent += sent;
        let mut whole = 0;
        while let Some(piece) = self.pieces.get(whole)
            && self.sent >= piece.len()
        {
            self.sent -= piece.len();
            whole += 1;
        }
        self.pieces.drain(..whole);
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
    fn drain(outbox: &mut Outbox, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(send) = outbox.take_off() {
            let mut part = taken(send, step);
            loop {
                all.extend_from_slice(&part);
                if outbox.landed(part.len()) {
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
        for step in [1, 3, 1000, usize::MAX] {
            let mut outbox = Outbox::default();
            let mut expected = Vec::new();
            for i in 0..200usize {
                let piece = vec![i as u8; [1, 64, 700, 2048, 2049, 5000][i % 6]];
                expected.extend_from_slice(&piece);
                if i % 3 == 0 {
                    outbox.write(|out| out.extend_from_slice(&piece));
                } else {
                    outbox.push(Bytes::from(piece));
                }
            }
            assert_eq!(outbox.bytes(), expected.len());
            assert_eq!(drain(&mut outbox, step), expected, "step {step}");
        }
    }

    #[test]
    fn a_lone_shared_piece_is_sent_without_a_copy() {
        let frame = Bytes::from_static(b"one frame for a thousand members");
        let mut outbox = Outbox::default();
        outbox.push(frame.clone());
        let Some(Send::One(bytes)) = outbox.take_off() else { panic!("one piece") };
        assert_eq!(bytes.as_ptr(), frame.as_ptr());
    }

    #[test]
    fn what_comes_during_a_flight_waits_for_the_next() {
        let mut outbox = Outbox::default();
        outbox.push(Bytes::from_static(b"first"));
        assert!(outbox.take_off().is_some());
        outbox.push(Bytes::from_static(b"second"));
        assert!(outbox.take_off().is_none());
        assert!(outbox.landed(5));
        assert_eq!(drain(&mut outbox, usize::MAX), b"second");
    }

    #[test]
    fn an_idle_outbox_is_small() {
        assert!(size_of::<Outbox>() <= 64, "{}", size_of::<Outbox>());
    }
}
