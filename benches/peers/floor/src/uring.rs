//! The engine on io_uring: connections are accepted and received from by operations that are armed
//! once, and all sends of a turn are submitted by the call that waits for the next one.
//!
//! All `unsafe` here rests on three rules. A receive buffer belongs to the kernel from `provide` until
//! a completion names it, and to this side until it is provided again. What a send points at stays in
//! its `Flight`, untouched, until the send's completion. And the memory of both is never freed: it
//! lives as long as the process, since a ring that is dropped may still be working.
#![allow(unsafe_code)]

use std::io;
use std::mem::{self, ManuallyDrop};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, SubmissionQueue, Submitter, cqueue, opcode, squeue};
use socket2::{SockRef, Socket};

use crate::desk::Desk;
use crate::mail::Mailbox;

const ENTRIES: u32 = 4_096;
/// A power of two.
const BUFFERS: u16 = 1_024;
const BUFFER_BYTES: usize = 16 * 1024;
const BUFFER_GROUP: u16 = 0;

/// What a completion is of: the high half of `user_data`, above the slot.
const ACCEPT: u64 = 1 << 32;
const RECEIVE: u64 = 2 << 32;
const SEND: u64 = 3 << 32;
const BELL: u64 = 4 << 32;
const CLOSE: u64 = 5 << 32;

struct Uring<'a> {
    submissions: Submissions<'a>,
    buffers: Buffers,
    desk: Desk,
    /// By slot, as the desk's connections.
    flights: Vec<Flight>,
    listener: RawFd,
}

/// What the kernel does for one connection.
#[derive(Debug, Default)]
struct Flight {
    /// A receive is armed.
    receiving: bool,
    /// The bytes of the send that is under way.
    sending: Vec<u8>,
}

/// Serves until the kernel refuses to wait.
pub(crate) fn run(listener: &Socket, mailbox: &Mailbox, desk: Desk) -> io::Result<()> {
    let mut ring = ManuallyDrop::new(
        IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_clamp()
            .setup_cqsize(ENTRIES * 4)
            .build(ENTRIES)?,
    );
    let buffers = Buffers::register(&ring)?;
    let (submitter, queue, mut completions) = ring.split();
    let mut engine = ManuallyDrop::new(Uring {
        submissions: Submissions { submitter, queue },
        buffers,
        desk,
        flights: Vec::new(),
        listener: listener.as_raw_fd(),
    });
    engine.accept();
    engine.listen_for(mailbox);
    let mut slots = Vec::new();
    loop {
        engine.submissions.enter()?;
        completions.sync();
        for completion in &mut completions {
            engine.complete(&completion, mailbox);
        }
        completions.sync();
        engine.buffers.publish();
        engine.desk.end_turn(&mut slots);
        for slot in slots.drain(..) {
            engine.flush(slot);
        }
    }
}

impl Uring<'_> {
    fn accept(&mut self) {
        let accept = opcode::AcceptMulti::new(Fd(self.listener)).flags(libc::SOCK_CLOEXEC);
        self.submissions.push(&accept.build().user_data(ACCEPT));
    }

    fn listen_for(&mut self, mailbox: &Mailbox) {
        let poll = opcode::PollAdd::new(Fd(mailbox.as_raw_fd()), libc::POLLIN as u32).multi(true);
        self.submissions.push(&poll.build().user_data(BELL));
    }

    fn receive(&mut self, slot: u32, fd: RawFd) {
        self.flights[slot as usize].receiving = true;
        let receive = opcode::RecvMulti::new(Fd(fd), BUFFER_GROUP).build();
        self.submissions.push(&receive.user_data(RECEIVE | u64::from(slot)));
    }

    #[inline]
    fn complete(&mut self, completion: &cqueue::Entry, mailbox: &Mailbox) {
        let (result, armed) = (completion.result(), cqueue::more(completion.flags()));
        let slot = completion.user_data() as u32;
        match completion.user_data() >> 32 << 32 {
            RECEIVE => {
                self.received(slot, result, cqueue::buffer_select(completion.flags()), armed);
            }
            SEND => self.sent(slot, result),
            ACCEPT => self.accepted(result, armed),
            BELL => {
                mailbox.silence();
                self.desk.deliver(mailbox);
                if !armed {
                    self.listen_for(mailbox);
                }
            }
            _ => {}
        }
    }

    fn accepted(&mut self, result: i32, armed: bool) {
        if result >= 0 {
            // SAFETY: the kernel has just made this descriptor for us, and nothing else owns it.
            let slot = self.desk.connections.admit(unsafe { OwnedFd::from_raw_fd(result) });
            if slot as usize == self.flights.len() {
                self.flights.push(Flight::default());
            }
            self.receive(slot, result);
        } else {
            // Out of descriptors, most likely: waiting is better than spinning.
            std::thread::sleep(Duration::from_millis(1));
        }
        if !armed {
            self.accept();
        }
    }

    #[inline]
    fn received(&mut self, slot: u32, result: i32, buffer: Option<u16>, armed: bool) {
        let connection = self.desk.connections.known(slot);
        let fd = connection.fd.as_raw_fd();
        if let Some(buffer) = buffer {
            if !connection.leaving {
                let length = usize::try_from(result).unwrap_or(0);
                self.desk.receive(slot, self.buffers.filled(buffer, length));
            }
            self.buffers.provide(buffer);
        }
        if armed {
            return;
        }
        if result > 0 || result == -libc::ENOBUFS {
            self.receive(slot, fd);
        } else {
            self.flights[slot as usize].receiving = false;
            self.desk.connections.known(slot).leaving = true;
            self.leave(slot);
        }
    }

    /// Sends what a connection is to be told, once the send before has ended.
    #[inline]
    fn flush(&mut self, slot: u32) {
        let Some(connection) = self.desk.connections.get_mut(slot) else { return };
        if connection.busy {
            return;
        }
        if connection.out.is_empty() {
            if connection.leaving {
                self.leave(slot);
            }
            return;
        }
        connection.busy = true;
        self.flights[slot as usize].sending = mem::take(&mut connection.out);
        self.send(slot);
    }

    fn send(&mut self, slot: u32) {
        let fd = self.desk.connections.known(slot).fd.as_raw_fd();
        let bytes = &self.flights[slot as usize].sending;
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let send = opcode::Send::new(Fd(fd), bytes.as_ptr(), length)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL);
        self.submissions.push(&send.build().user_data(SEND | u64::from(slot)));
    }

    #[inline]
    fn sent(&mut self, slot: u32, result: i32) {
        let sending = &mut self.flights[slot as usize].sending;
        let connection = self.desk.connections.known(slot);
        match usize::try_from(result) {
            Ok(sent) if sent < sending.len() => {
                sending.drain(..sent);
                return self.send(slot);
            }
            Ok(_) => {}
            Err(_) => {
                connection.leaving = true;
                connection.out.clear();
            }
        }
        connection.busy = false;
        let sending = mem::take(sending);
        self.desk.connections.spare(sending);
        self.flush(slot);
    }

    /// Closes a connection that is to be closed and has nothing to send, as soon as nothing is armed.
    fn leave(&mut self, slot: u32) {
        let connection = self.desk.connections.known(slot);
        if connection.busy {
            return;
        }
        if self.flights[slot as usize].receiving {
            // Ends the receive, which comes back here. Where it fails, the peer has ended it.
            let _ = SockRef::from(&connection.fd).shutdown(std::net::Shutdown::Both);
        } else if let Some(fd) = self.desk.dismiss(slot) {
            let close = opcode::Close::new(Fd(fd.into_raw_fd())).build();
            let close = close.flags(squeue::Flags::SKIP_SUCCESS).user_data(CLOSE);
            self.submissions.push(&close);
        }
    }
}

/// The submission queue.
struct Submissions<'a> {
    submitter: Submitter<'a>,
    queue: SubmissionQueue<'a>,
}

impl Submissions<'_> {
    #[inline]
    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: an operation that points at memory is a send, and its `Flight` keeps the bytes.
        while unsafe { self.queue.push(entry) }.is_err() {
            self.queue.sync();
            if self.submitter.submit().is_err() {
                // The next wait tells why.
                std::thread::yield_now();
            }
            self.queue.sync();
        }
    }

    /// Submits all that was pushed, and waits until something is complete.
    fn enter(&mut self) -> io::Result<()> {
        self.queue.sync();
        let entered = self.submitter.submit_and_wait(1);
        self.queue.sync();
        match entered {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(()),
                _ => Err(error),
            },
        }
    }
}

/// The buffers that the kernel receives into.
struct Buffers {
    entries: *mut BufRingEntry,
    memory: *mut u8,
    tail: u16,
}

impl Buffers {
    fn register(ring: &IoUring) -> io::Result<Self> {
        let entries = map(usize::from(BUFFERS) * size_of::<BufRingEntry>())?.cast();
        let memory = map(usize::from(BUFFERS) * BUFFER_BYTES)?;
        // SAFETY: `entries` is page aligned, has `BUFFERS` zeroed entries, and is never unmapped.
        unsafe {
            let at = entries as u64;
            ring.submitter().register_buf_ring_with_flags(at, BUFFERS, BUFFER_GROUP, 0)?;
        }
        let mut buffers = Self { entries, memory, tail: 0 };
        (0..BUFFERS).for_each(|buffer| buffers.provide(buffer));
        buffers.publish();
        Ok(buffers)
    }

    /// What the kernel has filled.
    #[inline]
    fn filled(&mut self, buffer: u16, length: usize) -> &mut [u8] {
        assert!(buffer < BUFFERS && length <= BUFFER_BYTES, "the kernel fills what it was given");
        // SAFETY: the range is inside `memory` by the assertion, mapped and so initialised, and this
        // side's alone until `provide`, which the borrow of `self` keeps away.
        unsafe {
            let start = self.memory.add(usize::from(buffer) * BUFFER_BYTES);
            std::slice::from_raw_parts_mut(start, length)
        }
    }

    /// Gives a buffer to the kernel, which learns of it by the next `publish`.
    #[inline]
    fn provide(&mut self, buffer: u16) {
        assert!(buffer < BUFFERS, "the kernel names what it was given");
        // SAFETY: the entry is inside the ring, and the kernel does not look at it before the tail is
        // published: there are as many entries as buffers, and this buffer is not in any of them.
        // The buffer's offset is inside `memory` by the assertion.
        unsafe {
            let entry = &mut *self.entries.add(usize::from(self.tail % BUFFERS));
            let start = self.memory.add(usize::from(buffer) * BUFFER_BYTES);
            entry.set_addr(start as u64);
            entry.set_len(BUFFER_BYTES as u32);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    #[inline]
    fn publish(&self) {
        // SAFETY: the tail is the reserved field of the first entry, aligned and mapped; the kernel
        // only reads it, and `set_*` of entries do not write to it.
        let tail = unsafe { &*BufRingEntry::tail(self.entries).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}

/// Zeroed pages that stay until the process ends.
fn map(bytes: usize) -> io::Result<*mut u8> {
    // SAFETY: a new private mapping touches nothing that exists.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(start.cast()) }
}
