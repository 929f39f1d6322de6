//! The engine on io_uring: connections are accepted and received from by operations that are armed
//! once, and all sends of a turn are submitted by the call that waits for the next one.
//!
//! All `unsafe` here rests on one rule. What a send points at stays in its `Flight` or its loan,
//! untouched, until the kernel is done with it; and it is never freed before: the engine lives as long as
//! the process, since a ring that is dropped may still be working.
#![allow(unsafe_code)]

use std::io;
use std::mem::{self, ManuallyDrop};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use io_uring::types::{Fd, Fixed, Napi};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::process::{Resource, getrlimit};
use socket2::{SockRef, Socket};

use crate::buffers::{BUFFER_GROUP, Buffers};
use crate::descriptor::Descriptor;
use crate::desk::Desk;
use crate::loans::Loans;
use crate::mail::Mailbox;
use crate::options::Levers;
use crate::submissions::Submissions;

const ENTRIES: u32 = 4_096;
/// Connections that a ring's table has places for; the kernel allows as many as descriptors.
const PLACES_MAX: u32 = 65_536;

/// What a completion is of: the high half of `user_data`, above the slot or the loan's number.
const ACCEPT: u64 = 1 << 32;
const RECEIVE: u64 = 2 << 32;
const SEND: u64 = 3 << 32;
const BELL: u64 = 4 << 32;
const CLOSE: u64 = 5 << 32;
const LENT: u64 = 6 << 32;

struct Uring<'a> {
    submissions: Submissions<'a>,
    buffers: Buffers,
    desk: Desk,
    /// By slot, as the desk's connections.
    flights: Vec<Flight>,
    loans: Loans,
    listener: RawFd,
    levers: Levers,
}

/// What the kernel does for one connection.
#[derive(Debug, Default)]
struct Flight {
    /// A receive is armed.
    receiving: bool,
    /// The bytes of the send that is under way, if they are not lent.
    sending: Vec<u8>,
}

/// Serves until the kernel refuses to wait.
pub(crate) fn run(
    listener: &Socket,
    mailbox: &Mailbox,
    desk: Desk,
    levers: &Levers,
) -> io::Result<()> {
    let mut ring = ManuallyDrop::new(ring(levers)?);
    let buffers = Buffers::register(&ring, levers.incremental_buffers)?;
    let (submitter, queue, mut completions) = ring.split();
    let mut engine = ManuallyDrop::new(Uring {
        submissions: Submissions::new(submitter, queue, levers.spin),
        buffers,
        desk,
        flights: Vec::new(),
        loans: Loans::default(),
        listener: listener.as_raw_fd(),
        levers: *levers,
    });
    engine.accept();
    engine.listen_for(mailbox);
    let mut slots = Vec::new();
    loop {
        engine.submissions.enter(&mut completions)?;
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

/// A ring with what the levers need.
fn ring(levers: &Levers) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.setup_single_issuer().setup_defer_taskrun().setup_clamp().setup_cqsize(ENTRIES * 4);
    if levers.spin.is_some() {
        builder.setup_taskrun_flag();
    }
    let ring = builder.build(ENTRIES)?;
    if levers.registered_files {
        let most = getrlimit(Resource::Nofile).current.unwrap_or(PLACES_MAX.into());
        ring.submitter().register_files_sparse(most.min(PLACES_MAX.into()) as u32)?;
    }
    if let Some(time) = levers.busy_poll {
        let mut napi = Napi::new().set_busy_poll_timeout(time.as_micros() as u32);
        ring.submitter().register_napi(&mut napi)?;
    }
    Ok(ring)
}

impl Uring<'_> {
    fn accept(&mut self) {
        let accept = opcode::AcceptMulti::new(Fd(self.listener));
        let accept = match self.levers.registered_files {
            true => accept.allocate_file_index(true),
            false => accept.flags(libc::SOCK_CLOEXEC),
        };
        self.push(accept.build(), ACCEPT);
    }

    fn listen_for(&mut self, mailbox: &Mailbox) {
        let poll = opcode::PollAdd::new(Fd(mailbox.as_raw_fd()), libc::POLLIN as u32).multi(true);
        self.push(poll.build(), BELL);
    }

    fn receive(&mut self, slot: u32) {
        self.flights[slot as usize].receiving = true;
        let (fd, flags) = self.target(slot);
        let receive = opcode::RecvMulti::new(fd, BUFFER_GROUP).build().flags(flags);
        self.push(receive, RECEIVE | u64::from(slot));
    }

    /// Names a connection in an operation.
    #[inline]
    fn target(&mut self, slot: u32) -> (Fd, squeue::Flags) {
        match &self.desk.connections.known(slot).descriptor {
            Descriptor::Own(fd) => (Fd(fd.as_raw_fd()), squeue::Flags::empty()),
            Descriptor::Registered(place) => (Fd(*place as RawFd), squeue::Flags::FIXED_FILE),
        }
    }

    #[inline]
    fn push(&mut self, entry: squeue::Entry, user_data: u64) {
        // SAFETY: an operation that points at memory is a send, whose bytes stay in its `Flight` or loan.
        unsafe { self.submissions.push(&entry.user_data(user_data)) };
    }

    #[inline]
    fn complete(&mut self, completion: &cqueue::Entry, mailbox: &Mailbox) {
        let (result, armed) = (completion.result(), cqueue::more(completion.flags()));
        let slot = completion.user_data() as u32;
        match completion.user_data() >> 32 << 32 {
            RECEIVE => self.received(slot, result, completion.flags()),
            SEND => self.sent(slot, result),
            LENT => self.sent_lent(slot, result, completion.flags()),
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
            let descriptor = match self.levers.registered_files {
                true => Descriptor::Registered(result as u32),
                // SAFETY: the kernel has just made this descriptor for us, and nothing else owns it.
                false => Descriptor::Own(unsafe { OwnedFd::from_raw_fd(result) }),
            };
            let slot = self.desk.connections.admit(descriptor);
            if slot as usize == self.flights.len() {
                self.flights.push(Flight::default());
            }
            self.receive(slot);
        } else {
            // Out of descriptors, most likely: waiting is better than spinning.
            std::thread::sleep(Duration::from_millis(1));
        }
        if !armed {
            self.accept();
        }
    }

    #[inline]
    fn received(&mut self, slot: u32, result: i32, flags: u32) {
        let connection = self.desk.connections.known(slot);
        if let Some(buffer) = cqueue::buffer_select(flags) {
            let length = usize::try_from(result).unwrap_or(0);
            if !connection.leaving {
                self.desk.receive(slot, self.buffers.filled(buffer, length));
            }
            self.buffers.give_back(buffer, length, cqueue::buffer_more(flags));
        }
        if cqueue::more(flags) {
            return;
        }
        if result > 0 || result == -libc::ENOBUFS {
            self.receive(slot);
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

    #[inline]
    fn send(&mut self, slot: u32) {
        const FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let (fd, flags) = self.target(slot);
        let bytes = &mut self.flights[slot as usize].sending;
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let (send, user_data) = match self.levers.zero_copy_above {
            Some(bound) if bytes.len() > bound => {
                let (number, bytes) = self.loans.lend(slot, mem::take(bytes));
                let send = opcode::SendZc::new(fd, bytes.as_ptr(), length).flags(FLAGS);
                (send.build(), LENT | u64::from(number))
            }
            _ => {
                let send = opcode::Send::new(fd, bytes.as_ptr(), length).flags(FLAGS);
                (send.build(), SEND | u64::from(slot))
            }
        };
        self.push(send.flags(flags), user_data);
    }

    #[inline]
    fn sent(&mut self, slot: u32, result: i32) {
        let mut bytes = mem::take(&mut self.flights[slot as usize].sending);
        match usize::try_from(result) {
            Ok(sent) if sent < bytes.len() => {
                bytes.drain(..sent);
                self.flights[slot as usize].sending = bytes;
                self.send(slot);
            }
            result => {
                self.desk.connections.spare(bytes);
                self.landed(slot, result.is_ok());
            }
        }
    }

    /// Of a send that lent its bytes: first its result, then the notice that they are free.
    fn sent_lent(&mut self, number: u32, result: i32, flags: u32) {
        if !cqueue::notif(flags) {
            let (slot, bytes) = self.loans.known(number);
            match usize::try_from(result) {
                Ok(sent) if sent < bytes.len() => {
                    self.flights[slot as usize].sending = bytes[sent..].to_vec();
                    self.send(slot);
                }
                result => self.landed(slot, result.is_ok()),
            }
        }
        if !cqueue::more(flags) {
            let bytes = self.loans.end(number);
            self.desk.connections.spare(bytes);
        }
    }

    /// The next send may start, unless this one has failed.
    #[inline]
    fn landed(&mut self, slot: u32, is_ok: bool) {
        let connection = self.desk.connections.known(slot);
        if !is_ok {
            connection.leaving = true;
            connection.out.clear();
        }
        connection.busy = false;
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
            match &connection.descriptor {
                Descriptor::Own(fd) => {
                    let _ = SockRef::from(fd).shutdown(Shutdown::Both);
                }
                Descriptor::Registered(place) => {
                    let shutdown = opcode::Shutdown::new(Fixed(*place), libc::SHUT_RDWR).build();
                    self.push(shutdown.flags(squeue::Flags::SKIP_SUCCESS), CLOSE);
                }
            }
        } else if let Some(descriptor) = self.desk.dismiss(slot) {
            let close = match descriptor {
                Descriptor::Own(fd) => opcode::Close::new(Fd(fd.into_raw_fd())),
                Descriptor::Registered(place) => opcode::Close::new(Fixed(place)),
            };
            self.push(close.build().flags(squeue::Flags::SKIP_SUCCESS), CLOSE);
        }
    }
}
