//! Polls that their own client's farewell has overtaken.
//!
//! A client that leaves sends a close packet by POST while a poll of its own is pending; the poll is then
//! answered with a noop. On a node of several shards the two requests may come over different connections,
//! of which one has to be handed off first, so that the POST is read before the poll that was sent before
//! it. Such a poll is still owed its noop, once and for a moment; any later request finds no session.

use std::collections::HashMap;

use yamabiko_protocol::engine::SessionId;

/// How much longer than a POST a poll may take to reach its session's shard.
const PATIENCE_MS: u64 = 250;

/// Sessions that ended by their client's close packet while no poll was pending.
#[derive(Default)]
pub(crate) struct Overtaken {
    owed: HashMap<SessionId, u64>,
}

impl Overtaken {
    /// The session has ended, and a poll may be on its way.
    pub(crate) fn expect(&mut self, id: SessionId, now_ms: u64) {
        self.owed.insert(id, now_ms + PATIENCE_MS);
    }

    /// Whether this is the poll that was on its way.
    pub(crate) fn take(&mut self, id: &SessionId, now_ms: u64) -> bool {
        self.owed.remove(id).is_some_and(|until| now_ms <= until)
    }

    /// Forgets what did not come.
    pub(crate) fn forget_old(&mut self, now_ms: u64) {
        if !self.owed.is_empty() {
            self.owed.retain(|_, until| now_ms <= *until);
        }
    }
}

#[cfg(test)]
mod tests {
    use yamabiko_protocol::engine::Owner;

    use super::*;

    #[test]
    fn one_poll_is_owed_and_not_for_long() {
        let id = SessionId::new([1; 12], Owner::default());
        let mut overtaken = Overtaken::default();
        assert!(!overtaken.take(&id, 0));
        overtaken.expect(id, 0);
        assert!(overtaken.take(&id, PATIENCE_MS));
        assert!(!overtaken.take(&id, PATIENCE_MS));
        overtaken.expect(id, 0);
        overtaken.forget_old(PATIENCE_MS + 1);
        assert!(overtaken.owed.is_empty());
    }
}
