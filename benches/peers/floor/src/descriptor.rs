//! What the operations on a connection name it by.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A connection's socket.
#[derive(Debug)]
pub(crate) enum Descriptor {
    /// A descriptor of the process.
    Own(OwnedFd),
    /// A place in the table of the ring that accepted it. Its engine must close it there.
    Registered(u32),
}

impl Descriptor {
    /// The process's descriptor. An engine that accepts into a table must not ask for it.
    #[inline]
    pub(crate) fn own(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(fd) => fd.as_fd(),
            Self::Registered(place) => panic!("{place} is no descriptor of the process"),
        }
    }
}
