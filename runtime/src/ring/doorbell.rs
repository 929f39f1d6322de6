//! What ends a shard's sleep from outside: other shards, and tasks of its own, ring its doorbell.
//!
//! There are two bells, as there are two ways to sleep. The shard's ring polls one of them. The other is
//! the eventfd that the executor waits for, which the ring's completions ring as well. One bell for both
//! will not do: a write to an eventfd that completes an operation may not signal another eventfd from
//! within. Linux 6.18 puts that off, and the second time forgets it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering, fence};

/// One shard's doorbell. Any thread may hold a clone.
#[derive(Debug, Clone)]
pub(crate) struct Doorbell {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    in_ring: OwnedFd,
    in_executor: OwnedFd,
    sleep: AtomicU8,
}

/// Where a shard sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sleep {
    /// In its own ring.
    InRing = 1,
    /// In the executor, which has tasks to look after.
    InExecutor = 2,
}

const AWAKE: u8 = 0;

impl Doorbell {
    pub(crate) fn new() -> io::Result<Self> {
        let (in_ring, in_executor) = (eventfd()?, eventfd()?);
        Ok(Self { shared: Arc::new(Shared { in_ring, in_executor, sleep: AtomicU8::new(AWAKE) }) })
    }

    /// Wakes the shard if it sleeps. Whatever it should find must be in place before.
    pub(crate) fn ring(&self) {
        // Pairs with the fence in `fall_asleep`: either this side sees the sleep, or the sleeper's last
        // look, which comes after it, sees what was put in place before the call.
        fence(Ordering::SeqCst);
        match self.shared.sleep.load(Ordering::Relaxed) {
            AWAKE => {}
            sleep if sleep == Sleep::InRing as u8 => write(self.in_ring()),
            _ => write(self.in_executor()),
        }
    }

    /// Announces that the shard sleeps. It must look once more for work before it does.
    pub(crate) fn fall_asleep(&self, sleep: Sleep) {
        self.shared.sleep.store(sleep as u8, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The shard is awake again.
    pub(crate) fn wake_up(&self) {
        self.shared.sleep.store(AWAKE, Ordering::Relaxed);
    }

    /// The bell that the ring polls. Its counter is never read: each write is a completion of its own.
    pub(super) fn in_ring(&self) -> BorrowedFd<'_> {
        self.shared.in_ring.as_fd()
    }

    /// The bell that the executor reads.
    pub(super) fn in_executor(&self) -> BorrowedFd<'_> {
        self.shared.in_executor.as_fd()
    }
}

fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the result is checked and owned by nobody else.
    #[allow(unsafe_code)]
    unsafe {
        let fd = libc::eventfd(0, libc::EFD_CLOEXEC);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

fn write(event: BorrowedFd<'_>) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: eight valid bytes.
    #[allow(unsafe_code)]
    unsafe {
        libc::write(event.as_raw_fd(), one.as_ptr().cast(), one.len())
    };
}
