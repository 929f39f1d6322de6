//! The network of one shard: an io_uring of our own, driven by a task on the shard's executor.
//!
//! This is the one narrow interface behind which rings are known: above it there are descriptors,
//! tokens, received bytes and completions. It owns the submission and completion queues, the shard's
//! provided receive buffers, the doorbell that ends the shard's sleep, and both ways to sleep. It refuses to own
//! descriptors of connections, protocol state, or a policy for errors.
//!
//! Multishot accept and receive are armed once; sends are queued during a turn and submitted together
//! by the next [`Ring::enter`]. With `DEFER_TASKRUN` completions appear only inside `enter`, so the
//! kernel never interrupts the running core.

mod buffers;
mod doorbell;
mod signal;

pub(crate) use buffers::Received;
pub(crate) use doorbell::{Doorbell, Sleep};
pub(crate) use signal::Signal;

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use io_uring::{IoUring, cqueue, opcode, squeue, types};
use socket2::SockAddr;

use buffers::BufferRing;

/// Who an operation is for: chosen by the caller, given back with each completion. Bits 28 to 31 are
/// the ring's own: a slot map's key has its index there, and no shard has 2²⁸ connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token(pub(crate) u64);

/// What an operation was; kept in bits 28 to 31 of `user_data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Accept = 1,
    Receive = 2,
    Send = 3,
    Cancel = 4,
    Bell = 5,
    Alarm = 6,
    Connect = 7,
}

const OP_SHIFT: u32 = 28;
const OP_MASK: u64 = 0xf << OP_SHIFT;

/// Something the kernel finished.
#[derive(Debug)]
pub(crate) enum Completion {
    /// A new connection's descriptor, or why there was none. `armed` tells whether the listener
    /// still accepts by itself.
    Accepted { token: Token, result: io::Result<RawFd>, armed: bool },
    /// A connection of our own is there, or why it is not.
    Connected { token: Token, result: io::Result<()> },
    /// Bytes for a connection; an empty buffer is the peer's end of stream. `armed` tells whether
    /// more will come without asking again.
    Received { token: Token, result: io::Result<Received>, armed: bool },
    /// A queued send is over: how many bytes the kernel took.
    Sent { token: Token, result: io::Result<usize> },
}

/// One shard's ring.
pub(crate) struct Ring {
    uring: IoUring,
    buffers: BufferRing,
    reaped: Vec<cqueue::Entry>,
    doorbell: Doorbell,
    /// Completions ring the executor's bell, which stays so once it was asked for.
    is_signalled: bool,
    /// An alarm is set, at this time; the kernel reads it when the operation is submitted.
    alarm: Box<types::Timespec>,
    alarm_is_set: bool,
    /// [`Self::wait`] has just reaped for the next [`Self::enter`].
    has_waited: bool,
}

/// Sizes of one shard's ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RingSizes {
    /// Submission queue entries, a power of two.
    pub(crate) entries: u32,
    /// Provided receive buffers, a power of two.
    pub(crate) buffers: u16,
    /// Bytes of each receive buffer.
    pub(crate) buffer_bytes: u32,
}

impl Ring {
    /// Sets up the ring on the calling thread, which must be the only one to use it.
    pub(crate) fn new(sizes: RingSizes, doorbell: &Doorbell) -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_cqsize(sizes.entries * 4)
            .setup_clamp()
            .build(sizes.entries)?;
        let buffers = BufferRing::register(&uring, sizes.buffers, sizes.buffer_bytes)?;
        let mut ring = Self {
            uring,
            buffers,
            reaped: Vec::with_capacity(256),
            doorbell: doorbell.clone(),
            is_signalled: false,
            alarm: Box::default(),
            alarm_is_set: false,
            has_waited: false,
        };
        ring.hear_bell();
        Ok(ring)
    }

    /// Completes whenever the doorbell is rung.
    fn hear_bell(&mut self) {
        let bell = types::Fd(self.doorbell.in_ring().as_raw_fd());
        let entry = opcode::PollAdd::new(bell, libc::POLLIN as u32).multi(true);
        self.push(entry.build(), Op::Bell, Token(0));
    }

    /// Accepts connections from `listener` until told to stop.
    pub(crate) fn accept(&mut self, token: Token, listener: RawFd) {
        let entry = opcode::AcceptMulti::new(types::Fd(listener)).flags(libc::SOCK_CLOEXEC);
        self.push(entry.build(), Op::Accept, token);
    }

    /// Ends accepting: one last `Accepted` with `armed` false follows.
    pub(crate) fn stop_accepting(&mut self, token: Token) {
        let entry = opcode::AsyncCancel::new(user_data(Op::Accept, token));
        self.push(entry.build(), Op::Cancel, token);
    }

    /// Connects a socket to `address`; a `Connected` follows.
    ///
    /// # Safety
    /// `address` must stay where it is, unchanged, until that `Connected`.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn connect(&mut self, token: Token, fd: RawFd, address: &SockAddr) {
        let entry = opcode::Connect::new(types::Fd(fd), address.as_ptr().cast(), address.len());
        self.push(entry.build(), Op::Connect, token);
    }

    /// Ends a connect that is under way; its `Connected` tells so, unless it was quicker.
    pub(crate) fn stop_connecting(&mut self, token: Token) {
        let entry = opcode::AsyncCancel::new(user_data(Op::Connect, token));
        self.push(entry.build(), Op::Cancel, token);
    }

    /// Receives for `token` until the peer ends, an error, or [`Self::stop_receiving`].
    pub(crate) fn receive(&mut self, token: Token, fd: RawFd) {
        let entry = opcode::RecvMulti::new(types::Fd(fd), BufferRing::GROUP);
        self.push(entry.build(), Op::Receive, token);
    }

    /// Ends receiving: one last `Received` with `armed` false follows, after all bytes that the
    /// kernel had already taken.
    pub(crate) fn stop_receiving(&mut self, token: Token) {
        let entry = opcode::AsyncCancel::new(user_data(Op::Receive, token));
        self.push(entry.build(), Op::Cancel, token);
    }

    /// Queues a send of `bytes`; a `Sent` follows.
    ///
    /// # Safety
    /// `bytes` must stay where they are, unchanged, until that `Sent`.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn send(&mut self, token: Token, fd: RawFd, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let entry = opcode::Send::new(types::Fd(fd), bytes.as_ptr(), len)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL);
        self.push(entry.build(), Op::Send, token);
    }

    /// Queues a gathering send of what `header` points at; a `Sent` follows.
    ///
    /// # Safety
    /// The header, its vectors and all bytes they point at must stay unchanged until that `Sent`.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn send_vectored(
        &mut self,
        token: Token,
        fd: RawFd,
        header: *const libc::msghdr,
    ) {
        let entry = opcode::SendMsg::new(types::Fd(fd), header)
            .flags((libc::MSG_NOSIGNAL | libc::MSG_WAITALL) as u32);
        self.push(entry.build(), Op::Send, token);
    }

    /// Ends a send that is under way: its `Sent` tells what had been taken before, or an error.
    pub(crate) fn stop_sending(&mut self, token: Token) {
        let entry = opcode::AsyncCancel::new(user_data(Op::Send, token));
        self.push(entry.build(), Op::Cancel, token);
    }

    fn push(&mut self, entry: squeue::Entry, op: Op, token: Token) {
        let entry = entry.user_data(user_data(op, token));
        loop {
            // SAFETY: whoever queued the operation promised that what it points at lives until its
            // completion (`send`, `send_vectored`, `connect`). The alarm's time is boxed, and is written again only
            // after its completion. All other operations point at nothing.
            #[allow(unsafe_code)]
            let pushed = unsafe { self.uring.submission().push(&entry) };
            if pushed.is_ok() {
                return;
            }
            // The queue is full: hand it to the kernel now. That can only fail for a reason that
            // the next `enter` reports as well, so it is not reported twice.
            if self.uring.submit().is_err() {
                std::thread::yield_now();
            }
        }
    }

    /// Submits what was queued and reaps what is done, without waiting. Returns how many
    /// completions there are to take with [`Self::take_completions`].
    pub(crate) fn enter(&mut self) -> io::Result<usize> {
        let queued = self.uring.submission().len() as u32;
        if std::mem::take(&mut self.has_waited) && queued == 0 {
            self.reaped.extend(self.uring.completion());
            return Ok(self.reaped.len());
        }
        const GETEVENTS: u32 = 1;
        // SAFETY: no argument is passed, so there is nothing that must outlive the call.
        #[allow(unsafe_code)]
        let entered =
            unsafe { self.uring.submitter().enter::<libc::sigset_t>(queued, 0, GETEVENTS, None) };
        match entered {
            Ok(_) => {}
            Err(error) if is_transient(&error) => {}
            Err(error) => return Err(error),
        }
        self.reaped.extend(self.uring.completion());
        Ok(self.reaped.len())
    }

    /// Blocks the thread until something is done, at most for `time`. Submits what was queued.
    pub(crate) fn wait(&mut self, time: Duration) -> io::Result<()> {
        let time = types::Timespec::from(time);
        let args = types::SubmitArgs::new().timespec(&time);
        self.has_waited = true;
        match self.uring.submitter().submit_with_args(1, &args) {
            Ok(_) => Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::ETIME) || is_transient(&error) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Lets completions ring the executor's bell from now on, and one of them come after `time` at the
    /// latest. Returns whether the caller may wait for it. If not, it must enter once more: what was done
    /// before has rung nothing, and until it is reaped the kernel rings nothing for what follows either.
    pub(crate) fn signal(&mut self, time: Duration) -> io::Result<bool> {
        if !self.is_signalled {
            let bell = self.doorbell.in_executor().as_raw_fd();
            self.uring.submitter().register_eventfd(bell)?;
            self.is_signalled = true;
            return Ok(false);
        }
        if !self.alarm_is_set {
            self.alarm_is_set = true;
            *self.alarm = types::Timespec::from(time);
            let entry = opcode::Timeout::new(&*self.alarm).build();
            self.push(entry, Op::Alarm, Token(0));
            self.uring.submit()?;
        }
        Ok(true)
    }

    /// Whether operations wait for the next [`Self::enter`].
    pub(crate) fn has_queued(&mut self) -> bool {
        !self.uring.submission().is_empty()
    }

    /// Takes the reaped completions, oldest first.
    pub(crate) fn take_completions(&mut self, into: &mut Vec<Completion>) {
        let mut reaped = std::mem::take(&mut self.reaped);
        for entry in reaped.drain(..) {
            match (entry.user_data() & OP_MASK) >> OP_SHIFT {
                op if op == Op::Bell as u64 => {
                    if !cqueue::more(entry.flags()) {
                        self.hear_bell();
                    }
                }
                op if op == Op::Alarm as u64 => self.alarm_is_set = false,
                _ => into.extend(translate(&entry, &mut self.buffers)),
            }
        }
        self.reaped = reaped;
    }

    /// Gives a receive buffer back to the kernel.
    pub(crate) fn give_back(&mut self, received: Received) {
        self.buffers.give_back(received);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let _ = self.uring.submitter().unregister_buf_ring(BufferRing::GROUP);
    }
}

fn user_data(op: Op, token: Token) -> u64 {
    debug_assert_eq!(token.0 & OP_MASK, 0, "these bits of a token are the ring's");
    (op as u64) << OP_SHIFT | token.0
}

/// Errors of `enter` that the next turn gets over by itself.
fn is_transient(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EBUSY))
}

fn translate(entry: &cqueue::Entry, buffers: &mut BufferRing) -> Option<Completion> {
    let op = (entry.user_data() & OP_MASK) >> OP_SHIFT;
    let token = Token(entry.user_data() & !OP_MASK);
    let result = |value: i32| match value {
        0.. => Ok(value as usize),
        _ => Err(io::Error::from_raw_os_error(-value)),
    };
    let armed = cqueue::more(entry.flags());
    if op == Op::Accept as u64 {
        let result = result(entry.result()).map(|fd| fd as RawFd);
        return Some(Completion::Accepted { token, result, armed });
    }
    if op == Op::Connect as u64 {
        return Some(Completion::Connected { token, result: result(entry.result()).map(|_| ()) });
    }
    if op == Op::Receive as u64 {
        let result = result(entry.result())
            .map(|len| buffers.take(cqueue::buffer_select(entry.flags()), len));
        return Some(Completion::Received { token, result, armed });
    }
    if op == Op::Send as u64 {
        return Some(Completion::Sent { token, result: result(entry.result()) });
    }
    None
}
