//! How glommio's executor waits for our ring while it has tasks of its own to look after: the ring rings
//! an eventfd at each completion, and glommio waits for that as for a file (a `BufferedFile` reads eight
//! bytes).

use std::io;
use std::os::fd::{FromRawFd, IntoRawFd};

use glommio::io::BufferedFile;

use super::doorbell::Doorbell;

/// Made on the shard's own thread.
pub(crate) struct Signal(BufferedFile);

impl Signal {
    pub(crate) fn new(doorbell: &Doorbell) -> io::Result<Self> {
        let copy = doorbell.in_executor().try_clone_to_owned()?;
        // SAFETY: the file owns the duplicate from here on.
        #[allow(unsafe_code)]
        let file = unsafe { BufferedFile::from_raw_fd(copy.into_raw_fd()) };
        Ok(Self(file))
    }

    /// Waits for the next completion, or for the doorbell, while other tasks of the executor run. The
    /// counter stays set until it is read, so one that came before the call ends it at once.
    pub(crate) async fn wait(&self) {
        // An error here only means one more look at the ring.
        let _ = self.0.read_at(0, 8).await;
    }
}
