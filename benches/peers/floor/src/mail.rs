//! Polling answers for a GET that waits at another thread, and the bell that wakes that thread.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A connection of some thread. Slots are used again; serials are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) thread: usize,
    pub(crate) slot: u32,
    pub(crate) serial: u32,
}

/// Packets for the GET that waits at a place.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) to: Place,
    pub(crate) packets: Vec<u8>,
}

/// The way to every thread.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    threads: Arc<[Address]>,
}

#[derive(Debug)]
struct Address {
    letters: Arc<Mutex<Vec<Letter>>>,
    bell: UnixStream,
}

/// One thread's end.
#[derive(Debug)]
pub(crate) struct Mailbox {
    letters: Arc<Mutex<Vec<Letter>>>,
    bell: UnixStream,
}

impl Mail {
    /// The ways to `threads` threads, and their ends in the same order.
    pub(crate) fn new(threads: usize) -> io::Result<(Self, Vec<Mailbox>)> {
        let mut addresses = Vec::with_capacity(threads);
        let mut mailboxes = Vec::with_capacity(threads);
        for _ in 0..threads {
            let (bell, heard) = UnixStream::pair()?;
            bell.set_nonblocking(true)?;
            heard.set_nonblocking(true)?;
            let letters = Arc::new(Mutex::default());
            addresses.push(Address { letters: Arc::clone(&letters), bell });
            mailboxes.push(Mailbox { letters, bell: heard });
        }
        Ok((Self { threads: addresses.into() }, mailboxes))
    }

    pub(crate) fn send(&self, letter: Letter) {
        let address = &self.threads[letter.to.thread];
        let mut letters = lock(&address.letters);
        letters.push(letter);
        if letters.len() == 1 {
            // A full bell is a bell that rings.
            let _ = (&address.bell).write(&[1]);
        }
    }
}

impl Mailbox {
    /// Silences the bell, for an engine that is told of it but does not read it.
    pub(crate) fn silence(&self) {
        let mut rings = [0; 64];
        while matches!((&self.bell).read(&mut rings), Ok(read) if read == rings.len()) {}
    }

    /// All letters, once the bell has been silenced: one sent later rings again.
    pub(crate) fn take(&self) -> Vec<Letter> {
        std::mem::take(&mut *lock(&self.letters))
    }
}

impl AsRawFd for Mailbox {
    fn as_raw_fd(&self) -> RawFd {
        self.bell.as_raw_fd()
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

fn lock(letters: &Mutex<Vec<Letter>>) -> MutexGuard<'_, Vec<Letter>> {
    letters.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_arrive_at_their_thread_and_ring_once() {
        let (mail, mailboxes) = Mail::new(2).expect("sockets");
        let to = Place { thread: 1, slot: 4, serial: 7 };
        for packets in [b"one".to_vec(), b"two".to_vec()] {
            mail.send(Letter { to, packets });
        }
        let mut rings = [0; 8];
        assert_eq!((&mailboxes[1].bell).read(&mut rings).expect("rung"), 1);
        let letters = mailboxes[1].take();
        assert_eq!(letters.len(), 2);
        assert!(letters.iter().all(|letter| letter.to == to));
        assert!((&mailboxes[0].bell).read(&mut rings).is_err(), "the other was not rung");
        assert!(mailboxes[0].take().is_empty());
    }
}
