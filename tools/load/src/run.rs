//! The course of a run: open, warm up, measure, stop, wait for what is on its way.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::failure::Failure;
use crate::options::Options;
use crate::processes::{CpuMark, Processes};
use crate::report::Report;
use crate::tally::Tally;

/// The server's memory is looked at so often while the window is open.
const SAMPLE: Duration = Duration::from_millis(250);
/// After the window what is outstanding may take so long in all,
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// and so long without anything coming.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// Then a copy too many gets so long to show itself.
const LINGER: Duration = Duration::from_millis(50);

/// Connections that put load on a server.
pub(crate) trait Load {
    /// Opens all connections.
    ///
    /// # Errors
    /// If one does not come up.
    fn open(&mut self) -> Result<(), Failure>;

    /// Sends the first messages.
    ///
    /// # Errors
    /// If the operating system fails us.
    fn start(&mut self) -> Result<(), Failure>;

    /// Moves messages until `deadline`, a little longer where a turn takes longer.
    ///
    /// # Errors
    /// If the operating system fails us.
    fn run_until(&mut self, deadline: Instant) -> Result<(), Failure>;

    /// Sends no new messages from now on.
    fn stop(&mut self);

    /// Messages that are on their way.
    fn outstanding(&self) -> usize;

    /// Copies that have not come, of all that was sent.
    fn missing(&self) -> u64;

    /// What was counted so far.
    fn tally(&mut self) -> &mut Tally;
}

/// Runs `load` as the options say.
///
/// # Errors
/// If the run could not be made. What went wrong inside it is in the report.
pub(crate) fn run(load: &mut impl Load, options: &Options) -> Result<Report, Failure> {
    let server = Server::of(options.server_pid);
    let resident_before = server.measure(Processes::resident_exactly)?;
    let cpu_before = server.measure(Processes::mark_cpu)?;
    let start = Instant::now();
    load.open()?;
    let connect_seconds = start.elapsed().as_secs_f64();
    let connect_server_cpu_seconds = server.seconds_since(cpu_before)?;

    load.start()?;
    load.run_until(Instant::now() + Duration::from_secs_f64(options.warmup))?;

    let server_cpu = server.measure(Processes::mark_cpu)?;
    let client_cpu = own_cpu_seconds();
    let messages = load.tally().messages;
    load.tally().restart_latency();
    let opened = Instant::now();
    let mut resident_peak = resident_before;
    let end = opened + Duration::from_secs_f64(options.seconds);
    while Instant::now() < end {
        load.run_until(end.min(Instant::now() + SAMPLE))?;
        resident_peak = resident_peak.max(server.measure(Processes::resident_roughly)?);
    }
    let seconds = opened.elapsed().as_secs_f64();
    let client_cpu_seconds = own_cpu_seconds() - client_cpu;
    let server_cpu_seconds = server.seconds_since(server_cpu)?;
    let messages = load.tally().messages - messages;
    let latency_us = load.tally().percentiles();
    let resident_after = server.measure(Processes::resident_exactly)?;

    load.stop();
    drain(load)?;
    let missing = load.missing();
    let tally = load.tally();
    Ok(Report {
        scenario: options.scenario,
        connections: options.connections,
        outstanding: options.outstanding,
        payload: options.payload,
        seconds,
        messages,
        server_cpu_seconds,
        server_rss_before: resident_before,
        server_rss_after: resident_after,
        server_rss_peak: resident_peak.max(resident_after),
        client_cpu_seconds,
        missing,
        doubled: tally.doubled,
        out_of_order: tally.out_of_order,
        errors: tally.errors,
        latency_us,
        connect_seconds,
        connect_server_cpu_seconds,
        first_error: tally.first_error.clone(),
    })
}

/// Waits for what is outstanding, in bounds.
fn drain(load: &mut impl Load) -> Result<(), Failure> {
    let start = Instant::now();
    let mut progress = (load.tally().messages, start);
    while load.outstanding() > 0
        && start.elapsed() < DRAIN_MAX
        && progress.1.elapsed() < SILENCE_MAX
    {
        load.run_until(Instant::now() + Duration::from_millis(10))?;
        let messages = load.tally().messages;
        if messages != progress.0 {
            progress = (messages, Instant::now());
        }
    }
    load.run_until(Instant::now() + LINGER)
}

/// The server's processes, if they are to be measured.
struct Server(Option<u32>);

impl Server {
    fn of(pid: Option<u32>) -> Self {
        Self(pid)
    }

    fn measure<V>(
        &self,
        what: impl FnOnce(Processes) -> std::io::Result<V>,
    ) -> Result<Option<V>, Failure> {
        let Some(pid) = self.0 else { return Ok(None) };
        what(Processes::of(pid)).map(Some).map_err(|error| self.gone(error))
    }

    fn seconds_since(&self, mark: Option<CpuMark>) -> Result<Option<f64>, Failure> {
        mark.map(|mark| mark.seconds_since().map_err(|error| self.gone(error))).transpose()
    }

    fn gone(&self, error: std::io::Error) -> Failure {
        Failure::Process { pid: self.0.unwrap_or_default(), error }
    }
}

/// CPU time of this process, of threads that have ended too.
fn own_cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
