//! One running server: started on its cores, awaited, and ended with all its descendants.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cores;

/// How long a server may take until it accepts connections.
const START_LIMIT: Duration = Duration::from_secs(20);
/// After one of two nodes accepts connections, time for the other.
const PAIR_DELAY: Duration = Duration::from_secs(1);
/// How long it may take to end after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How often both are looked at.
const LOOK: Duration = Duration::from_millis(10);
/// Ports for servers: below the range from which Linux takes ports for clients, so that waiting for
/// a server cannot connect a socket to itself.
const PORTS: std::ops::Range<u16> = 21_000..29_000;

/// How to start a peer.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) directory: PathBuf,
    /// It is to be two nodes with a Redis between them, if it can be that.
    pub(crate) is_pair: bool,
}

/// A server process that accepts connections. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: u16,
    log: PathBuf,
}

/// A process and when it started, which tells it from a later one with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    id: i32,
    parent: i32,
    start: u64,
}

impl Server {
    /// Starts a peer on these cores and waits until a TCP connect works. What it prints goes to `log`.
    ///
    /// The error is a sentence that says what happened, with the last lines of the log.
    pub(crate) fn start(launch: &Launch, on: &[usize], log: &Path) -> Result<Self, String> {
        let port = free_port()?;
        let output = File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = output.try_clone().map_err(|error| format!("{}: {error}", log.display()))?;
        let child = Command::new("taskset")
            .args(["--cpu-list", &cores::list(on)])
            .arg(&launch.program)
            .args(&launch.arguments)
            .current_dir(&launch.directory)
            .env("PORT", port.to_string())
            .env("CORES", on.len().to_string())
            .env("NODE_ENV", "production")
            .env("REDIS_PAIR", if launch.is_pair { "1" } else { "0" })
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("cannot start taskset: {error}"))?;
        let mut server = Self { child, port, log: log.to_owned() };
        server.wait_until_ready()?;
        if launch.is_pair {
            thread::sleep(PAIR_DELAY);
        }
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_LIMIT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        loop {
            if let Some(end) = self.ended() {
                return Err(format!("it cannot be started: {end}"));
            }
            if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let seconds = START_LIMIT.as_secs();
                let said = said(&self.log);
                return Err(format!("it does not listen on its port after {seconds} s{said}"));
            }
            thread::sleep(LOOK);
        }
    }

    /// How it ended by itself, if it did.
    pub(crate) fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(Some(status)) => Some(format!("the server ended ({status}){}", said(&self.log))),
            Ok(None) => None,
            Err(error) => Some(format!("the server cannot be watched: {error}")),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Asks it to end, waits, and kills what is left of it and its descendants.
    pub(crate) fn stop(mut self) {
        let family = self.family();
        if let Some(id) = Pid::from_raw(self.child.id() as i32)
            && matches!(self.child.try_wait(), Ok(None))
        {
            // It may end between the look and the signal: that is what was wanted.
            let _ = kill_process(id, Signal::TERM);
        }
        let deadline = Instant::now() + STOP_LIMIT;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(LOOK);
        }
        self.kill(&family);
    }

    fn family(&self) -> Vec<Process> {
        descendants(self.child.id() as i32, &processes())
    }

    fn kill(&mut self, family: &[Process]) {
        // Killing what has ended is an error that means nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let alive = processes();
        for process in family {
            let still =
                alive.iter().any(|other| (other.id, other.start) == (process.id, process.start));
            if let Some(id) = Pid::from_raw(process.id)
                && still
            {
                let _ = kill_process(id, Signal::KILL);
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let family = self.family();
        self.kill(&family);
    }
}

/// The end of what a program printed, as the end of a sentence.
pub(crate) fn said(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // The line that names an error says more than the trace behind it.
    let telling = lines.iter().position(|line| line.to_lowercase().contains("error"));
    let start = telling.unwrap_or(lines.len().saturating_sub(3));
    match lines[start..].iter().take(3).copied().collect::<Vec<_>>().join(" / ") {
        said if said.is_empty() => String::new(),
        said => format!(": {}", said.chars().take(300).collect::<String>()),
    }
}

/// A port nobody listens on, another one with each call.
fn free_port() -> Result<u16, String> {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    for _ in PORTS {
        // Begin somewhere else in each process, so that two of us at once rarely try the same.
        let place = std::process::id() as usize + CALLS.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + (place % PORTS.len()) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(format!("no port between {} and {} is free", PORTS.start, PORTS.end))
}

/// All processes that `/proc` shows now.
fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let id = path.file_name()?.to_str()?.parse().ok()?;
            parse_stat(id, &fs::read_to_string(path.join("stat")).ok()?)
        })
        .collect()
}

/// Reads proc_pid_stat(5): parent and start time are fields 4 and 22. The name, field 2, may hold
/// anything, so counting begins behind its last parenthesis.
fn parse_stat(id: i32, stat: &str) -> Option<Process> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let start = fields.nth(17)?.parse().ok()?;
    Some(Process { id, parent, start })
}

/// Children of `id`, their children, and so on.
fn descendants(id: i32, processes: &[Process]) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![id];
    while let Some(parent) = parents.pop() {
        for process in processes.iter().filter(|process| process.parent == parent) {
            found.push(*process);
            parents.push(process.id);
        }
    }
    found
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A server that closes what it accepts, in a language every Debian has.
    pub(crate) fn fake(body: &str) -> Launch {
        let program = format!(
            "use IO::Socket::INET; $| = 1;
             my $s = IO::Socket::INET->new(Listen => 9, LocalAddr => '127.0.0.1', \
                LocalPort => $ENV{{PORT}}, ReuseAddr => 1) or die; {body}
             while (my $c = $s->accept) {{ close $c }}"
        );
        Launch {
            program: "perl".into(),
            arguments: vec!["-e".into(), program],
            directory: "/".into(),
            is_pair: false,
        }
    }

    fn log(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("yamabiko-peers-{}-{name}.log", std::process::id()))
    }

    /// One this process may use.
    fn core() -> Vec<usize> {
        cores::Cores::allowed().unwrap().server(1).unwrap().to_vec()
    }

    fn alive(id: i32) -> bool {
        processes().iter().any(|process| process.id == id)
    }

    #[test]
    fn a_server_is_pinned_told_and_ended_with_its_children() {
        let core = core();
        let path = log("children");
        let launch = fake("print qq($ENV{CORES}\\n); if (!fork) { sleep 100; exit }");
        let server = Server::start(&launch, &core, &path).unwrap();
        let id = server.id() as i32;
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let allowed = status.lines().find(|line| line.starts_with("Cpus_allowed_list")).unwrap();
        assert_eq!(allowed.split_whitespace().last(), Some(core[0].to_string().as_str()));
        let deadline = Instant::now() + START_LIMIT;
        while server.family().is_empty() && Instant::now() < deadline {
            thread::sleep(LOOK);
        }
        let child = server.family()[0].id;
        server.stop();
        assert!(!alive(id));
        while alive(child) && Instant::now() < deadline {
            thread::sleep(LOOK);
        }
        assert!(!alive(child));
        assert_eq!(fs::read_to_string(&path).unwrap().trim(), "1");
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_server_may_end_in_its_own_way() {
        let path = log("term");
        let launch = fake("$SIG{TERM} = sub { print qq(goodbye\n); exit };");
        Server::start(&launch, &core(), &path).unwrap().stop();
        assert_eq!(fs::read_to_string(&path).unwrap(), "goodbye\n");
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn one_that_ends_at_once_says_why() {
        let path = log("ends");
        let launch = Launch {
            program: "sh".into(),
            arguments: vec!["-c".into(), "echo io_uring is forbidden here >&2; exit 3".into()],
            directory: "/".into(),
            is_pair: false,
        };
        let error = Server::start(&launch, &core(), &path).unwrap_err();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.ends_with("io_uring is forbidden here"), "{error}");
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_name_with_parentheses_hides_no_field() {
        let stat = "7 (a) b) S 3 7 7 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 98765 1 1";
        assert_eq!(parse_stat(7, stat), Some(Process { id: 7, parent: 3, start: 98765 }));
        assert_eq!(parse_stat(7, "7 (a"), None);
    }

    #[test]
    fn descendants_are_found_below_each_other() {
        let process = |id, parent| Process { id, parent, start: 0 };
        let all = [process(2, 1), process(3, 2), process(4, 9), process(5, 3)];
        let ids: Vec<i32> = descendants(1, &all).iter().map(|process| process.id).collect();
        assert_eq!(ids, [2, 3, 5]);
    }
}
