//! The engine on level-triggered epoll: a turn reads every readable connection once into one shared
//! buffer, then writes to each connection that has output once.
//!
//! All `unsafe` here is system calls whose pointers come from slices that outlive the call.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use socket2::Socket;

use crate::descriptor::Descriptor;
use crate::desk::Desk;
use crate::mail::Mailbox;

const EVENTS_MAX: usize = 1_024;
const BUFFER_BYTES: usize = 64 * 1024;
/// Connections accepted in one turn.
const ACCEPTS_MAX: usize = 64;
/// What events are for, where they are not for a slot.
const LISTENER: u64 = u64::MAX;
const BELL: u64 = u64::MAX - 1;
const READABLE: u32 = libc::EPOLLIN as u32;
const WRITABLE: u32 = libc::EPOLLOUT as u32;

struct Epoll<'a> {
    epoll: OwnedFd,
    listener: &'a Socket,
    desk: Desk,
    buffer: Vec<u8>,
}

/// Serves until the kernel refuses to wait.
pub(crate) fn run(listener: &Socket, mailbox: &Mailbox, desk: Desk) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = create()?;
    control(&epoll, libc::EPOLL_CTL_ADD, listener.as_fd(), LISTENER, READABLE)?;
    control(&epoll, libc::EPOLL_CTL_ADD, mailbox.as_fd(), BELL, READABLE)?;
    let mut engine = Epoll { epoll, listener, desk, buffer: vec![0; BUFFER_BYTES] };
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX];
    let mut slots = Vec::new();
    loop {
        for event in wait(&engine.epoll, &mut events)? {
            match event.u64 {
                LISTENER => engine.accept(),
                BELL => {
                    mailbox.silence();
                    engine.desk.deliver(mailbox);
                }
                slot => engine.turn(slot as u32, event.events),
            }
        }
        engine.desk.end_turn(&mut slots);
        for slot in slots.drain(..) {
            engine.flush(slot);
        }
    }
}

impl Epoll<'_> {
    fn accept(&mut self) {
        for _ in 0..ACCEPTS_MAX {
            match accept(self.listener.as_fd()) {
                Ok(fd) => {
                    let raw = fd.as_raw_fd();
                    let slot = self.desk.connections.admit(Descriptor::Own(fd));
                    // SAFETY: the desk owns the descriptor and keeps it open beyond this call.
                    let fd = unsafe { BorrowedFd::borrow_raw(raw) };
                    let add = libc::EPOLL_CTL_ADD;
                    if control(&self.epoll, add, fd, u64::from(slot), READABLE).is_err() {
                        self.desk.dismiss(slot);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Out of descriptors, most likely: waiting is better than spinning.
                Err(_) => return std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    fn turn(&mut self, slot: u32, events: u32) {
        if events & WRITABLE != 0
            && let Some(connection) = self.desk.connections.get_mut(slot)
        {
            connection.busy = false;
            self.watch(slot, READABLE);
            self.flush(slot);
        }
        if events & !WRITABLE == 0 {
            return;
        }
        let Some(connection) = self.desk.connections.get_mut(slot) else { return };
        match receive(connection.descriptor.own(), &mut self.buffer) {
            Ok(0) => drop(self.desk.dismiss(slot)),
            Ok(length) if !connection.leaving => {
                self.desk.receive(slot, &mut self.buffer[..length]);
            }
            Ok(_) => {}
            Err(error) if is_transient(&error) => {}
            Err(_) => drop(self.desk.dismiss(slot)),
        }
    }

    /// Writes what a connection is to be told, or waits until it can be.
    fn flush(&mut self, slot: u32) {
        let Some(connection) = self.desk.connections.get_mut(slot) else { return };
        if connection.busy {
            return;
        }
        let sent = match connection.out.as_slice() {
            [] => Ok(0),
            out => send(connection.descriptor.own(), out),
        };
        let sent = match sent {
            Ok(sent) => sent,
            Err(error) if is_transient(&error) => 0,
            Err(_) => return drop(self.desk.dismiss(slot)),
        };
        if sent < connection.out.len() {
            connection.out.drain(..sent);
            connection.busy = true;
            self.watch(slot, READABLE | WRITABLE);
        } else if connection.leaving {
            drop(self.desk.dismiss(slot));
        } else {
            let out = std::mem::take(&mut connection.out);
            self.desk.connections.spare(out);
        }
    }

    fn watch(&mut self, slot: u32, events: u32) {
        let fd = self.desk.connections.known(slot).descriptor.own();
        if control(&self.epoll, libc::EPOLL_CTL_MOD, fd, u64::from(slot), events).is_err() {
            drop(self.desk.dismiss(slot));
        }
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn create() -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the descriptor is checked, new and owned by nobody else.
    unsafe {
        let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

fn control(
    epoll: &OwnedFd,
    operation: i32,
    fd: BorrowedFd<'_>,
    token: u64,
    events: u32,
) -> io::Result<()> {
    let mut event = libc::epoll_event { events, u64: token };
    // SAFETY: both descriptors are open as they are borrowed, and the kernel copies the event.
    let done = unsafe { libc::epoll_ctl(epoll.as_raw_fd(), operation, fd.as_raw_fd(), &mut event) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn wait<'a>(
    epoll: &OwnedFd,
    events: &'a mut [libc::epoll_event],
) -> io::Result<&'a [libc::epoll_event]> {
    // SAFETY: the kernel writes at most as many events as the slice has.
    let found = unsafe {
        libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), events.len() as i32, -1)
    };
    if found >= 0 {
        return Ok(&events[..found as usize]);
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(&[]),
        error => Err(error),
    }
}

fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: null addresses mean that none is asked for; the descriptor is checked, new and owned by
    // nobody else.
    unsafe {
        let fd = libc::accept4(
            listener.as_raw_fd(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
        );
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes into the exclusively borrowed buffer.
    let received =
        unsafe { libc::recv(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    usize::try_from(received).map_err(|_| io::Error::last_os_error())
}

fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the kernel reads `bytes.len()` bytes of the borrowed slice.
    let sent = unsafe {
        libc::send(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL)
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}
