//! Threads for what would hold up a core: long computations, files, clients of databases that block.
//!
//! They belong to the process, not to a core, and may run on any of its cores. There are none before somebody
//! needs them, and no more than somebody needs.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flume::{Receiver, Sender};
use rustix::process::getpid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// More would only compete for the cores, or for one disk.
const THREADS_MAX: usize = 8;
/// Jobs that may wait for a thread; whoever has one more waits with it.
const JOBS_MAX: usize = 256;

type Job = Box<dyn FnOnce() + Send>;

static POOL: OnceLock<Pool> = OnceLock::new();

struct Pool {
    sender: Sender<Job>,
    jobs: Receiver<Job>,
    threads: AtomicUsize,
    /// Jobs that have not ended.
    unfinished: AtomicUsize,
    /// Where the process may run. The core that asks first is pinned, and threads inherit that.
    cores: Option<CpuSet>,
}

/// Runs a closure on another thread, where it may block or compute for long, and waits for what it returns.
/// Handlers of the core go on meanwhile. A panic in it goes on here.
///
/// There are at most 8 threads for the whole process; jobs wait for one in order. A job whose future is
/// dropped before its turn is not run; one that runs goes on to its end.
///
/// ```
/// # use yamabiko::{Namespace, Socket, blocking};
/// Namespace::new().on("count", async |_: Socket, path: String| {
///     let lines = blocking(move || std::fs::read_to_string(path).map(|text| text.lines().count()));
///     lines.await
/// });
/// ```
pub async fn blocking<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, outcome) = flume::bounded::<Result<T, Box<dyn Any + Send>>>(1);
    let job = Box::new(move || {
        if !done.is_disconnected() {
            // Whoever asked may have gone meanwhile; nobody else wants to know.
            let _ = done.send(catch_unwind(AssertUnwindSafe(job)));
        }
    });
    POOL.get_or_init(Pool::new).take(job).await;
    match outcome.recv_async().await.expect("a job that is waited for sends its outcome") {
        Ok(outcome) => outcome,
        Err(panic) => resume_unwind(panic),
    }
}

impl Pool {
    fn new() -> Self {
        let (sender, jobs) = flume::bounded(JOBS_MAX);
        // The process's first thread is not pinned.
        let cores = sched_getaffinity(Some(getpid())).ok();
        let (threads, unfinished) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { sender, jobs, threads, unfinished, cores }
    }

    async fn take(&'static self, job: Job) {
        let counted = Unfinished::new(&self.unfinished);
        let job = Box::new(move || {
            job();
            drop(counted);
        });
        self.add_thread_if_needed();
        self.sender.send_async(job).await.expect("the pool holds the other end");
        if self.threads.load(Ordering::SeqCst) == 0
            && let Ok(job) = self.jobs.try_recv()
        {
            // The system gives us no thread. Late is better than never.
            job();
        }
    }

    fn add_thread_if_needed(&'static self) {
        let needed = self.unfinished.load(Ordering::SeqCst).min(THREADS_MAX);
        let is_one_more = |threads| (threads < needed).then_some(threads + 1);
        let added = self.threads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, is_one_more);
        let Ok(number) = added else { return };
        let thread = thread::Builder::new().name(format!("blocking-{number}"));
        if let Err(error) = thread.spawn(|| self.work()) {
            self.threads.fetch_sub(1, Ordering::SeqCst);
            tracing::error!(%error, "a thread for blocking work could not be started");
        }
    }

    fn work(&self) {
        if let Some(cores) = &self.cores
            && let Err(error) = sched_setaffinity(None, cores)
        {
            tracing::debug!(%error, "a thread for blocking work stays on one core");
        }
        while let Ok(job) = self.jobs.recv() {
            job();
        }
    }
}

/// Counts one job until it has ended, or is dropped.
struct Unfinished(&'static AtomicUsize);

impl Unfinished {
    fn new(count: &'static AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
