//! Threads for what would block a core: the file system.
//!
//! They belong to the process, not to a core, and may run on any of its cores. There are none before
//! somebody needs them.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;
use std::thread;

use flume::Sender;
use rustix::process::getpid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Enough that one slow disk read does not hold up the next; more would only compete for the cores.
const THREADS: usize = 4;

type Job = Box<dyn FnOnce() + Send>;

static JOBS: OnceLock<Sender<Job>> = OnceLock::new();

/// Runs `job` on a thread where blocking harms nobody. A panic in it goes on here.
pub(crate) async fn blocking<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, outcome) = flume::bounded(1);
    let job = Box::new(move || {
        // Whoever asked may have gone; nobody else wants to know.
        let _ = done.send(catch_unwind(AssertUnwindSafe(job)));
    });
    JOBS.get_or_init(start).send(job).expect("its threads never end");
    match outcome.recv_async().await.expect("a job always sends its outcome") {
        Ok(outcome) => outcome,
        Err(panic) => resume_unwind(panic),
    }
}

fn start() -> Sender<Job> {
    // The core that asks first is pinned, and threads inherit that. The process's first thread is not.
    let cores = sched_getaffinity(Some(getpid())).ok();
    let (sender, jobs) = flume::unbounded::<Job>();
    for number in 0..THREADS {
        let jobs = jobs.clone();
        let run = move || {
            roam(cores.as_ref());
            while let Ok(job) = jobs.recv() {
                job();
            }
        };
        let started = thread::Builder::new().name(format!("files-{number}")).spawn(run);
        if let Err(error) = started {
            tracing::error!(%error, "a thread for files could not be started");
        }
    }
    sender
}

fn roam(cores: Option<&CpuSet>) {
    if let Some(cores) = cores
        && let Err(error) = sched_setaffinity(None, cores)
    {
        tracing::debug!(%error, "a thread for files stays on one core");
    }
}
