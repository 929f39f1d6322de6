//! What a run counts while it runs.

use hdrhistogram::Histogram;

/// The longest latency that is told apart, in nanoseconds: ten minutes.
const LATENCY_MAX: u64 = 600_000_000_000;

/// Counts since the start, and latencies since the window opened.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Deliveries: acknowledgements, copies at receivers, completed connects. Doubled ones do not count.
    pub(crate) messages: u64,
    /// Copies that a receiver already had.
    pub(crate) doubled: u64,
    /// Copies that came after one that was sent later.
    pub(crate) out_of_order: u64,
    /// Wrong answers, broken protocol, lost connections.
    pub(crate) errors: u64,
    /// What the first error was.
    pub(crate) first_error: Option<String>,
    latency: Histogram<u64>,
    /// Equal latencies that came one after the other, not yet in the histogram.
    run: (u64, u64),
}

/// Microseconds from sending to arrival.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Percentiles {
    /// Half of them were faster.
    pub(crate) p50: f64,
    /// Nine of ten were.
    pub(crate) p90: f64,
    /// 99 of a hundred were.
    pub(crate) p99: f64,
    /// The slowest.
    pub(crate) max: f64,
}

impl Tally {
    /// Nothing counted.
    pub(crate) fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX, 2).expect("2 digits, 1 < max / 2");
        Self {
            messages: 0,
            doubled: 0,
            out_of_order: 0,
            errors: 0,
            first_error: None,
            latency,
            run: (0, 0),
        }
    }

    /// One delivery, `nanoseconds` after it was sent.
    #[inline]
    pub(crate) fn delivered(&mut self, nanoseconds: u64) {
        self.messages += 1;
        if self.run.0 != nanoseconds {
            self.close_run();
            self.run.0 = nanoseconds;
        }
        self.run.1 += 1;
    }

    /// One error. The first is kept as `what` tells it.
    #[cold]
    pub(crate) fn error(&mut self, what: impl FnOnce() -> String) {
        self.errors += 1;
        if self.first_error.is_none() {
            self.first_error = Some(what());
        }
    }

    /// Forgets the latencies so far.
    pub(crate) fn restart_latency(&mut self) {
        self.latency.reset();
        self.run = (0, 0);
    }

    /// The latencies since [`restart_latency`](Self::restart_latency); `None` if there was none.
    pub(crate) fn percentiles(&mut self) -> Option<Percentiles> {
        self.close_run();
        let microseconds = |quantile| self.latency.value_at_quantile(quantile) as f64 / 1_000.0;
        (!self.latency.is_empty()).then(|| Percentiles {
            p50: microseconds(0.5),
            p90: microseconds(0.9),
            p99: microseconds(0.99),
            max: self.latency.max() as f64 / 1_000.0,
        })
    }

    #[inline]
    fn close_run(&mut self) {
        let (nanoseconds, count) = self.run;
        self.latency.saturating_record_n(nanoseconds, count);
        self.run.1 = 0;
    }
}

/// The beginning of what a server sent, for an error's text.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const SHOWN: usize = 80;
    let shown = &bytes[..bytes.len().min(SHOWN)];
    let more = if bytes.len() > SHOWN { "…" } else { "" };
    format!("'{}{more}' ({} bytes)", shown.escape_ascii(), bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_hundredth() {
        let mut tally = Tally::new();
        tally.delivered(1);
        tally.restart_latency();
        assert_eq!(tally.percentiles(), None);
        for microseconds in 1..=1_000_u64 {
            tally.delivered(microseconds * 1_000);
        }
        let it = tally.percentiles().unwrap();
        for (seen, expected) in
            [(it.p50, 500.0), (it.p90, 900.0), (it.p99, 990.0), (it.max, 1_000.0)]
        {
            assert!((seen - expected).abs() <= expected * 0.01, "{seen} is not {expected}");
        }
        assert_eq!(tally.messages, 1_001);
    }

    #[test]
    fn a_run_of_equal_latencies_counts_each() {
        let mut tally = Tally::new();
        for nanoseconds in [5_000, 5_000, 5_000, 90_000] {
            tally.delivered(nanoseconds);
        }
        let it = tally.percentiles().unwrap();
        assert!(it.p50 < 6.0 && it.max > 80.0, "{it:?}");
    }

    #[test]
    fn the_first_error_is_told() {
        let mut tally = Tally::new();
        tally.error(|| "first".into());
        tally.error(|| "second".into());
        assert_eq!((tally.errors, tally.first_error.as_deref()), (2, Some("first")));
    }
}
