//! What wakes a sleeping shard: one eventfd that its ring, its own tasks and other shards may ring.
//!
//! glommio waits for it as for a file (a `BufferedFile` reads eight bytes). The counter stays set
//! until it is read, so a ring between the last look and the sleep is never lost.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use glommio::io::BufferedFile;

/// The ringing side: any thread may hold one.
#[derive(Debug, Clone)]
pub(crate) struct Doorbell {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    event: OwnedFd,
    asleep: AtomicBool,
}

/// The sleeping side: the shard's own driver.
pub(crate) struct Sleeper {
    doorbell: Doorbell,
    file: BufferedFile,
}

#[allow(unsafe_code)]
impl Doorbell {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked and owned by nobody else.
        let event = unsafe {
            let fd = libc::eventfd(0, libc::EFD_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Self { shared: Arc::new(Shared { event, asleep: AtomicBool::new(false) }) })
    }

    /// Wakes the shard if it sleeps. Whatever it should find must be in place before.
    pub(crate) fn ring(&self) {
        // Pairs with the fence in `Sleeper::sleep_unless`: either this side sees `asleep`, or the
        // sleeper's last look sees what was put in place before the call.
        fence(Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::Relaxed) {
            self.write();
        }
    }

    fn write(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: eight valid bytes.
        unsafe { libc::write(self.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// The sleeping side, made on the shard's own thread.
    pub(crate) fn sleeper(&self) -> io::Result<Sleeper> {
        let copy = self.shared.event.try_clone()?;
        // SAFETY: the file owns the duplicate from here on.
        let file = unsafe { BufferedFile::from_raw_fd(copy.into_raw_fd()) };
        Ok(Sleeper { doorbell: self.clone(), file })
    }
}

impl AsRawFd for Doorbell {
    fn as_raw_fd(&self) -> RawFd {
        self.shared.event.as_raw_fd()
    }
}

impl Sleeper {
    /// Sleeps until the doorbell is rung, unless `last_look` finds work after the shard has
    /// announced that it sleeps.
    pub(crate) async fn sleep_unless(&self, last_look: impl FnOnce() -> bool) {
        let asleep = &self.doorbell.shared.asleep;
        asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !last_look() {
            // An error here only means one more look at the ring.
            let _ = self.file.read_at(0, 8).await;
        }
        asleep.store(false, Ordering::Relaxed);
    }
}
