//! Time that comes round.

use std::fmt;
use std::time::{Duration, Instant};

use yamabiko_runtime::Shard;

use crate::server::Core;

/// What becomes of ticks that nobody waited for in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissedTicks {
    /// They are left out: the next tick comes at the next multiple of the period.
    #[default]
    Skip,
    /// They come one after the other without a pause, until none is missing.
    Burst,
    /// They are left out, and time counts anew: the next tick comes a period after this one.
    Delay,
}

/// Ticks at equal distances, which do not drift. It comes from [`Core::interval`].
pub struct Interval {
    shard: Shard,
    period: Duration,
    next: Instant,
    missed: MissedTicks,
}

impl Core {
    /// Ticks every `period`, the first time after one. Its resolution is about a millisecond; a period below
    /// that counts as one.
    pub fn interval(&self, period: Duration) -> Interval {
        let period = period.max(Duration::from_millis(1));
        let next = later(Instant::now(), period);
        Interval { shard: self.shard.clone(), period, next, missed: MissedTicks::default() }
    }
}

impl Interval {
    /// Chooses what becomes of ticks that are missed: [`MissedTicks::Skip`] unless told.
    pub fn missed(mut self, missed: MissedTicks) -> Self {
        self.missed = missed;
        self
    }

    /// Waits for the next tick; if it is due already, it waits for nothing. One that stops waiting loses no
    /// tick.
    pub async fn tick(&mut self) {
        let now = Instant::now();
        if let Some(wait) = self.next.checked_duration_since(now).filter(|wait| !wait.is_zero()) {
            self.shard.sleep(wait).await;
        }
        self.next = after(self.next, self.period, self.missed, Instant::now());
    }

    /// Counts anew from now on.
    pub fn reset(&mut self) {
        self.next = later(Instant::now(), self.period);
    }
}

/// When the tick after the one that was due at `due` comes, if it is now `now`.
fn after(due: Instant, period: Duration, missed: MissedTicks, now: Instant) -> Instant {
    let next = later(due, period);
    if next > now {
        return next;
    }
    match missed {
        MissedTicks::Burst => next,
        MissedTicks::Delay => later(now, period),
        MissedTicks::Skip => {
            let periods = now.duration_since(due).as_nanos() / period.as_nanos() + 1;
            // What does not fit into 32 bits of periods is centuries, or a stall of 50 days.
            let periods = u32::try_from(periods).unwrap_or(u32::MAX);
            later(due, period.saturating_mul(periods))
        }
    }
}

/// A time so far away that there is no such instant never comes: a century stands for it.
fn later(time: Instant, by: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    time.checked_add(by.min(CENTURY)).unwrap_or(time)
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut interval = f.debug_struct("Interval");
        interval.field("period", &self.period).field("missed", &self.missed).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(100);

    /// Milliseconds after the tick that was due.
    fn next_ms(missed: MissedTicks, late_ms: u64) -> u128 {
        let due = Instant::now();
        let now = due + Duration::from_millis(late_ms);
        after(due, PERIOD, missed, now).duration_since(due).as_millis()
    }

    #[test]
    fn a_tick_in_time_changes_nothing() {
        for missed in [MissedTicks::Skip, MissedTicks::Burst, MissedTicks::Delay] {
            assert_eq!((next_ms(missed, 0), next_ms(missed, 99)), (100, 100));
        }
    }

    #[test]
    fn missed_ticks_are_skipped_or_made_up_for_or_begin_anew() {
        let of = |missed| [100, 101, 250, 1000].map(|late_ms| next_ms(missed, late_ms));
        assert_eq!(of(MissedTicks::Skip), [200, 200, 300, 1100]);
        assert_eq!(of(MissedTicks::Burst), [100, 100, 100, 100]);
        assert_eq!(of(MissedTicks::Delay), [200, 201, 350, 1100]);
    }

    #[test]
    fn the_longest_period_is_no_overflow() {
        let now = Instant::now();
        assert!(after(now, Duration::MAX, MissedTicks::Skip, now) > now);
        assert!(later(now, Duration::MAX) > now);
    }
}
