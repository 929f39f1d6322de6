//! The submission queue, and how its thread waits for completions.
#![allow(unsafe_code)]

use std::hint;
use std::io;
use std::time::{Duration, Instant};

use io_uring::{CompletionQueue, SubmissionQueue, Submitter, squeue};

/// How often a spinning thread looks at the completions before it looks at the clock.
const LOOKS: u32 = 64;

pub(crate) struct Submissions<'a> {
    submitter: Submitter<'a>,
    queue: SubmissionQueue<'a>,
    spin: Option<Duration>,
}

impl<'a> Submissions<'a> {
    /// Spins for so long before it sleeps, if at all; the ring must have been set up with
    /// `IORING_SETUP_TASKRUN_FLAG` then.
    pub(crate) fn new(
        submitter: Submitter<'a>,
        queue: SubmissionQueue<'a>,
        spin: Option<Duration>,
    ) -> Self {
        Self { submitter, queue, spin }
    }

    /// Queues an operation.
    ///
    /// # Safety
    /// What it points at must stay, unchanged, until the kernel says that it is done with it.
    #[inline]
    pub(crate) unsafe fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: the caller's promise.
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
    #[inline]
    pub(crate) fn enter(&mut self, completions: &mut CompletionQueue<'_>) -> io::Result<()> {
        self.queue.sync();
        let entered = match self.spin {
            None => self.submitter.submit_and_wait(1),
            Some(time) => self.spin(time, completions),
        };
        self.queue.sync();
        match entered {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Looks for work in memory that the kernel shares, without a call, and sleeps when time is over.
    fn spin(&mut self, time: Duration, completions: &mut CompletionQueue<'_>) -> io::Result<usize> {
        self.look()?;
        let until = Instant::now() + time;
        loop {
            for _ in 0..LOOKS {
                if self.queue.taskrun() {
                    self.look()?;
                }
                completions.sync();
                if completions.len() != 0 {
                    return Ok(completions.len());
                }
                hint::spin_loop();
            }
            if Instant::now() > until {
                return self.submitter.submit_and_wait(1);
            }
        }
    }

    /// Submits, and has the kernel finish what it can.
    fn look(&mut self) -> io::Result<usize> {
        const GETEVENTS: u32 = 1;
        let queued = self.queue.len() as u32;
        // SAFETY: no argument is passed, so there is nothing that must outlive the call.
        let entered = unsafe { self.submitter.enter::<libc::sigset_t>(queued, 0, GETEVENTS, None) };
        self.queue.sync();
        entered
    }
}
