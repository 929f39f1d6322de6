//! The way into a node's shards from any other thread.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flume::{Sender, TrySendError};

use crate::mesh::Parcel;
use crate::ring::Doorbell;
use crate::shard::Shard;

/// A handle to a running node, for any thread. What it is told is done on a shard, in that shard's turn.
#[derive(Clone)]
pub struct Outside {
    shards: Vec<Door>,
    end: Arc<End>,
}

/// The end of a node, as those outside want it and see it.
#[derive(Debug, Default)]
pub(crate) struct End {
    is_wanted: AtomicBool,
    has_come: AtomicBool,
}

/// One shard's inbox and bell.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) line: Sender<Vec<Parcel>>,
    pub(crate) doorbell: Doorbell,
}

/// Something to be done on a shard.
pub(crate) struct Call(Box<dyn FnOnce(&Shard) + Send>);

/// Why a shard was not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreached {
    /// More waits for the shard already than it can take: it does not keep up.
    Busy,
    /// The node has shut down, or has no such shard.
    Ended,
}

impl Outside {
    pub(crate) fn new(shards: Vec<Door>, end: Arc<End>) -> Self {
        Self { shards, end }
    }

    /// Has the node shut down as a signal would: its supervisor sees it within a quarter of a second.
    pub fn close(&self) {
        self.end.is_wanted.store(true, Ordering::Release);
    }

    /// How many shards the node has.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Has `call` run on a shard. Calls of one thread to one shard run in the order in which they were
    /// made. A panic in one is logged and harms nobody.
    ///
    /// # Errors
    /// [`Unreached`]; it will not run then.
    pub fn call(
        &self,
        shard: u8,
        call: impl FnOnce(&Shard) + Send + 'static,
    ) -> Result<(), Unreached> {
        self.post(shard, Parcel::Call(Call(Box::new(call))))
    }
}

impl Outside {
    /// Puts a parcel into a shard's inbox.
    pub(crate) fn post(&self, shard: u8, parcel: Parcel) -> Result<(), Unreached> {
        if self.end.has_come.load(Ordering::Acquire) {
            return Err(Unreached::Ended);
        }
        let door = self.shards.get(usize::from(shard)).ok_or(Unreached::Ended)?;
        door.line.try_send(vec![parcel]).map_err(|error| match error {
            TrySendError::Full(_) => Unreached::Busy,
            TrySendError::Disconnected(_) => Unreached::Ended,
        })?;
        door.doorbell.ring();
        Ok(())
    }
}

impl End {
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    /// From now on nothing outside reaches a shard.
    pub(crate) fn come(&self) {
        self.has_come.store(true, Ordering::Release);
    }
}

impl Call {
    pub(crate) fn run(self, shard: &Shard) {
        shard.guarded(None, || (self.0)(shard));
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Call")
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").field("shards", &self.shards()).finish()
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unreached::Busy => "the shard does not keep up with what it is told",
            Unreached::Ended => "the server has ended",
        })
    }
}

impl std::error::Error for Unreached {}
