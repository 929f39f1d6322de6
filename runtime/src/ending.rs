//! The end of a shard: first the application stops while its clients are still there, then they are closed,
//! and what somebody still holds the end for is waited for. All of it within `shutdown_timeout`.

use std::cell::Cell;
use std::fmt;

use crate::shard::Shard;

/// How much of the time for the shutdown is left for closing clients, whatever the application does: one part
/// in so many.
const CLOSING_PART: u64 = 5;

/// How far the end has come.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    /// Those who hold it.
    holds: Cell<usize>,
    /// The application stops, until this time at the latest.
    stopping_until_ms: Cell<Option<u64>>,
}

impl Ending {
    pub(crate) fn is_held(&self) -> bool {
        self.holds.get() > 0
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping_until_ms.get().is_some()
    }
}

/// Holds the end of a shard until it is dropped, or there is no time left.
pub struct Hold(Shard);

impl Shard {
    /// Holds the end of this shard, for work that should not be cut.
    pub fn hold_end(&self) -> Hold {
        let holds = &self.0.ending.holds;
        holds.set(holds.get() + 1);
        Hold(self.clone())
    }

    /// Begins the end: nobody new comes in, and the application is told. If it has nothing to wait for, its
    /// clients are closed at once.
    pub(crate) fn stop(&self) {
        let patience_ms = self.0.settings.shutdown_timeout.as_millis() as u64;
        let stop_ms = patience_ms - patience_ms / CLOSING_PART;
        let Some(now_ms) = self.with(|state| state.begin_ending(patience_ms)) else { return };
        self.0.ending.stopping_until_ms.set(Some(now_ms + stop_ms));
        self.guarded(None, || self.application().stop());
        self.drain_if_stopped();
    }

    /// Closes all clients as soon as the application has stopped, or has taken too long.
    pub(crate) fn drain_if_stopped(&self) {
        let Some(until_ms) = self.0.ending.stopping_until_ms.get() else { return };
        let is_late = self.with(|state| state.now_ms >= until_ms);
        if self.0.ending.is_held() && !is_late {
            return;
        }
        if is_late {
            tracing::warn!(shard = self.id(), "the application did not stop in time");
        }
        self.0.ending.stopping_until_ms.set(None);
        self.drain();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let holds = &self.0.0.ending.holds;
        holds.set(holds.get() - 1);
        self.0.nudge();
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold")
    }
}
