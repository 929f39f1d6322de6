//! One timer wheel per shard: every deadline of connections and sessions, none of them a task.
//!
//! Entries are hints. The owner keeps the true deadline; when an entry comes up, the owner says
//! whether it is due, and if not the entry is filed again. So moving a deadline later (each pong does)
//! touches nothing here, and a dead owner's entry simply falls out.

/// Milliseconds per step. Also the period of the shard's tick.
pub(crate) const STEP_MS: u64 = 10;
/// The period of the tick of a shard that has nobody to serve: an idle server is to cost nothing.
pub(crate) const RESTING_STEP_MS: u64 = 100;
/// Steps of one turn of the wheel: 81 seconds. Deadlines further away are looked at once a turn.
const STEPS: usize = 8192;

/// A wheel of keys.
pub(crate) struct Wheel<K> {
    steps: Box<[Vec<K>]>,
    /// The next step to come up, counted from time zero.
    next: u64,
    len: usize,
}

impl<K> Wheel<K> {
    pub(crate) fn new(now_ms: u64) -> Self {
        let steps = (0..STEPS).map(|_| Vec::new()).collect();
        Self { steps, next: now_ms / STEP_MS, len: 0 }
    }

    /// Files `key` to come up at `at_ms` at the earliest, or within one turn of the wheel if that
    /// is further away. Returns the time at which it will come up.
    pub(crate) fn file(&mut self, key: K, at_ms: u64) -> u64 {
        let step = at_ms.div_ceil(STEP_MS).clamp(self.next, self.next + STEPS as u64 - 1);
        self.steps[step as usize % STEPS].push(key);
        self.len += 1;
        step * STEP_MS
    }

    /// Takes every key that came up by `now_ms`.
    pub(crate) fn advance(&mut self, now_ms: u64, due: &mut Vec<K>) {
        let until = now_ms / STEP_MS;
        if self.len == 0 {
            self.next = self.next.max(until + 1);
            return;
        }
        // After a long stall one whole turn visits every entry; more would visit them again.
        self.next = self.next.max(until.saturating_sub(STEPS as u64));
        while self.next <= until {
            // The step's memory goes with its keys: kept, it would add up over all steps.
            let mut step = std::mem::take(&mut self.steps[self.next as usize % STEPS]);
            self.len -= step.len();
            due.append(&mut step);
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up_at(wheel: &mut Wheel<u32>, now: u64) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.advance(now, &mut due);
        due.sort_unstable();
        due
    }

    #[test]
    fn keys_come_up_at_their_time_and_once() {
        let mut wheel = Wheel::new(5_000);
        wheel.file(1, 5_300);
        wheel.file(2, 5_301);
        wheel.file(3, 4_000);
        assert_eq!(up_at(&mut wheel, 5_010), [3]);
        assert!(up_at(&mut wheel, 5_299).is_empty());
        assert_eq!(up_at(&mut wheel, 5_300), [1]);
        assert_eq!(up_at(&mut wheel, 5_310), [2]);
        assert!(up_at(&mut wheel, 500_000).is_empty());
    }

    #[test]
    fn far_deadlines_come_up_within_a_turn_to_be_filed_again() {
        let mut wheel = Wheel::new(0);
        let at = wheel.file(7, 10_000_000);
        assert_eq!(at, (STEPS as u64 - 1) * STEP_MS);
        assert!(up_at(&mut wheel, at - 1).is_empty());
        assert_eq!(up_at(&mut wheel, at), [7]);
    }

    #[test]
    fn a_stall_of_many_turns_loses_nothing() {
        let mut wheel = Wheel::new(0);
        for key in 0..1_000 {
            wheel.file(key, u64::from(key) * 50);
        }
        assert_eq!(up_at(&mut wheel, 100_000_000).len(), 1_000);
    }
}
