//! A run's result, for programs and for people.

use std::fmt;

use serde::Serialize;

use crate::options::Scenario;
use crate::tally::Percentiles;

/// What one run measured. Memory is in bytes, CPU time of all threads. `None`, in JSON `null`: nothing to
/// measure, as without a server's process.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct Report {
    pub(crate) scenario: Scenario,
    pub(crate) connections: usize,
    pub(crate) outstanding: usize,
    pub(crate) payload: usize,
    /// How long the window was open in fact.
    pub(crate) seconds: f64,
    /// Deliveries in the window: acknowledgements, copies at receivers, completed connects.
    pub(crate) messages: u64,
    pub(crate) server_cpu_seconds: Option<f64>,
    /// Before the first connection.
    pub(crate) server_rss_before: Option<u64>,
    /// At the end of the window, all connections still open.
    pub(crate) server_rss_after: Option<u64>,
    /// The most that was seen until then.
    pub(crate) server_rss_peak: Option<u64>,
    pub(crate) client_cpu_seconds: f64,
    /// In the whole run, as the next three.
    pub(crate) missing: u64,
    pub(crate) doubled: u64,
    pub(crate) out_of_order: u64,
    pub(crate) errors: u64,
    /// From sending to arrival of each delivery in the window.
    pub(crate) latency_us: Option<Percentiles>,
    /// Until all connections were open.
    pub(crate) connect_seconds: f64,
    /// What that took the server.
    pub(crate) connect_server_cpu_seconds: Option<f64>,
    #[serde(skip)]
    pub(crate) first_error: Option<String>,
}

impl Report {
    /// Was every answer right? Order does not count.
    pub(crate) fn is_sound(&self) -> bool {
        self.missing == 0 && self.doubled == 0 && self.errors == 0
    }

    /// What was wrong, in a sentence; empty if nothing was.
    pub(crate) fn complaint(&self) -> String {
        if self.is_sound() {
            return String::new();
        }
        let Self { missing, doubled, errors, .. } = self;
        let first =
            self.first_error.as_ref().map_or(String::new(), |it| format!("; first error: {it}"));
        format!("{missing} missing, {doubled} doubled, {errors} errors{first}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages = self.messages as f64;
        writeln!(
            f,
            "{:?}: {} connections, {} outstanding, {} bytes",
            self.scenario, self.connections, self.outstanding, self.payload
        )?;
        writeln!(f, "{:>14.0} messages/s over {:.2} s", messages / self.seconds, self.seconds)?;
        if let Some(cpu) = self.server_cpu_seconds {
            writeln!(f, "{:>14.0} messages/s of server CPU ({cpu:.3} s)", messages / cpu)?;
        }
        let client = self.client_cpu_seconds;
        writeln!(f, "{:>14.0} messages/s of client CPU ({client:.3} s)", messages / client)?;
        if let Some(Percentiles { p50, p90, p99, max }) = self.latency_us {
            writeln!(
                f,
                "               p50 {p50:.0}, p90 {p90:.0}, p99 {p99:.0}, max {max:.0} µs"
            )?;
        }
        if let (Some(before), Some(after)) = (self.server_rss_before, self.server_rss_after) {
            let each = (after as f64 - before as f64) / self.connections as f64;
            writeln!(f, "{:>14.0} bytes of server memory per connection", each)?;
        }
        write!(f, "               connected in {:.3} s", self.connect_seconds)?;
        match self.connect_server_cpu_seconds {
            Some(cpu) => writeln!(f, ", {cpu:.3} s of server CPU")?,
            None => writeln!(f)?,
        }
        let Self { missing, doubled, out_of_order, errors, .. } = self;
        write!(
            f,
            "               {missing} missing, {doubled} doubled, {out_of_order} out of order, {errors} errors"
        )
    }
}
