//! A server process: started on a free port, looked at from outside, stopped by a signal.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::client::Client;
use super::websocket::{TEXT, frame};

/// How long the process may take to stop: its own deadline is ten seconds, and one more.
const STOP_MAX: Duration = Duration::from_secs(14);
/// What is kept of the log.
const LOG_BYTES_MAX: usize = 256 * 1024;

/// A running server.
pub(crate) struct Server {
    child: Child,
    port: u16,
    log: Arc<Mutex<String>>,
    logger: Option<JoinHandle<()>>,
}

impl Server {
    /// A server with this many shards.
    pub(crate) fn start(shards: usize) -> Self {
        Self::with(shards, &[])
    }

    /// A server with this many shards and these variables in its environment.
    pub(crate) fn with(shards: usize, variables: &[(&str, &str)]) -> Self {
        Self::of("interop", shards, variables)
    }

    /// Another example, which takes its port and shards from the same variables.
    pub(crate) fn of(example: &str, shards: usize, variables: &[(&str, &str)]) -> Self {
        let mut child = command(example, variables)
            .env("PORT", "0")
            .env("SHARDS", shards.to_string())
            .spawn()
            .expect("the example is built together with the tests");
        let (log, logger) = keep_log(&mut child);
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("ready ").and_then(|port| port.parse().ok());
        let Some(port) = port else {
            let _ = child.wait();
            panic!("the server did not start: {line:?} {}", log.lock().unwrap());
        };
        Self { child, port, log, logger: Some(logger) }
    }

    /// Runs a server that is expected not to start; returns its exit status and log.
    pub(crate) fn fail_to_start(variables: &[(&str, &str)]) -> (ExitStatus, String) {
        let mut child = command("interop", variables).spawn().unwrap();
        let (log, logger) = keep_log(&mut child);
        let status = wait(&mut child).expect("it ends by itself");
        logger.join().unwrap();
        let log = log.lock().unwrap().clone();
        (status, log)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Memory in use, in bytes.
    pub(crate) fn rss_bytes(&self) -> usize {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it runs");
        let kib = line.split_whitespace().nth(1).and_then(|number| number.parse::<usize>().ok());
        kib.expect("a number of kB") * 1024
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }

    fn proc(&self, file: &str) -> PathBuf {
        ["/proc", &self.child.id().to_string(), file].iter().collect()
    }

    /// Has it use every page of its receive buffers once, so that what grows later grows for a reason.
    pub(crate) fn warm_up(&self) {
        let message =
            frame(0x80 | TEXT, format!("42[\"x\",\"{}\"]", "x".repeat(900_000)).as_bytes());
        for _ in 0..16 {
            let mut client = Client::open(self.address());
            for _ in 0..5 {
                client.socket.wire.send(&message);
            }
            client.assert_alive();
        }
    }

    /// Waits until it has no more than `count` descriptors open.
    pub(crate) fn wait_for_descriptors(&self, count: usize) {
        let settled = soon(|| self.descriptors() <= count);
        assert!(settled, "{} descriptors are open, not {count}", self.descriptors());
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("it runs");
    }

    /// Stops it as an operator does; it must have lived well and exit with status 0.
    pub(crate) fn stop(self) {
        self.terminate();
        self.wait_for_exit();
    }

    /// Waits for its end after [`Self::terminate`]; it must exit with status 0 in time.
    pub(crate) fn wait_for_exit(mut self) {
        let status = wait(&mut self.child).expect("it stops within its deadline");
        if let Some(logger) = self.logger.take() {
            logger.join().unwrap();
        }
        let log = self.log();
        assert!(status.success(), "{status}: {log}");
        for trouble in ["the shard panicked", "a shard died", "the ring failed"] {
            assert!(!log.contains(trouble), "{log}");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the server's log: {}", self.log());
        }
    }
}

/// Whether something becomes true within ten seconds.
pub(crate) fn soon(mut is_true: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if is_true() {
            return true;
        }
        thread::sleep(Duration::from_millis(10));
    }
    is_true()
}

fn command(name: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(example(name));
    command.envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The example lies beside the directory of the tests' executables.
fn example(name: &str) -> PathBuf {
    let mut path = env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples").join(name)
}

fn keep_log(child: &mut Child) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let log = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&log);
    let mut stderr = child.stderr.take().expect("it is piped");
    let logger = thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(len @ 1..) = stderr.read(&mut piece) {
            let mut kept = kept.lock().unwrap();
            if kept.len() < LOG_BYTES_MAX {
                kept.push_str(&String::from_utf8_lossy(&piece[..len]));
            }
        }
    });
    (log, logger)
}

fn wait(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + STOP_MAX;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(5));
    }
    None
}
