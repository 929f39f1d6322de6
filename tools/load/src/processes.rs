//! What a process and all its descendants use, from `/proc` (proc(5)): CPU time and resident memory.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A process and its descendants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processes {
    root: u32,
}

/// The CPU time of every thread at one moment.
#[derive(Debug)]
pub(crate) struct CpuMark {
    processes: Processes,
    /// Nanoseconds on a CPU, by the thread's `schedstat` file.
    threads: HashMap<PathBuf, u64>,
}

impl Processes {
    /// Process `root` and what it starts.
    pub(crate) fn of(root: u32) -> Self {
        Self { root }
    }

    /// Notes the CPU time used so far.
    ///
    /// # Errors
    /// If the process does not exist.
    pub(crate) fn mark_cpu(self) -> io::Result<CpuMark> {
        let threads = self.schedstats()?;
        let threads = threads
            .into_iter()
            .filter_map(|path| thread_nanoseconds(&path).map(|used| (path, used)))
            .collect();
        Ok(CpuMark { processes: self, threads })
    }

    /// Resident bytes, exact but slow where much is resident (`smaps_rollup`; `statm` where the kernel
    /// has none).
    ///
    /// # Errors
    /// If the process does not exist.
    pub(crate) fn resident_exactly(self) -> io::Result<u64> {
        self.sum_resident(|process| rollup(process).or_else(|_| statm(process)))
    }

    /// Resident bytes, to some hundred KiB, without disturbing the process (`statm`).
    ///
    /// # Errors
    /// If the process does not exist.
    pub(crate) fn resident_roughly(self) -> io::Result<u64> {
        self.sum_resident(statm)
    }

    fn sum_resident(self, of: impl Fn(&Path) -> io::Result<u64>) -> io::Result<u64> {
        let root = of(&directory(self.root))?;
        // A descendant may end at any moment.
        let others = self.all()?.into_iter().filter(|pid| *pid != self.root);
        Ok(root + others.filter_map(|pid| of(&directory(pid)).ok()).sum::<u64>())
    }

    /// The process and its descendants, as of now.
    fn all(self) -> io::Result<HashSet<u32>> {
        let mut parents = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            if let Some(parent) = parent(pid) {
                parents.push((pid, parent));
            }
        }
        let mut all = HashSet::from([self.root]);
        loop {
            let known = all.len();
            for (pid, parent) in &parents {
                if all.contains(parent) {
                    all.insert(*pid);
                }
            }
            if all.len() == known {
                return Ok(all);
            }
        }
    }

    /// The `schedstat` file of each thread, as of now.
    fn schedstats(self) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for pid in self.all()? {
            match fs::read_dir(directory(pid).join("task")) {
                Ok(tasks) => paths.extend(tasks.flatten().map(|it| it.path().join("schedstat"))),
                Err(error) if pid == self.root => return Err(error),
                Err(_) => {}
            }
        }
        Ok(paths)
    }
}

impl CpuMark {
    /// Seconds of CPU time since the mark, of threads that are still there; threads that have begun since
    /// count from their start.
    ///
    /// # Errors
    /// If the process does not exist any more.
    pub(crate) fn seconds_since(&self) -> io::Result<f64> {
        // First what was known, which is quick; then look who came, which takes milliseconds.
        let known = self.threads.iter().filter_map(|(path, before)| {
            thread_nanoseconds(path).map(|now| now.saturating_sub(*before))
        });
        let known: u64 = known.sum();
        let threads = self.processes.schedstats()?;
        let new = threads.iter().filter(|path| !self.threads.contains_key(*path));
        let new: u64 = new.filter_map(|path| thread_nanoseconds(path)).sum();
        Ok((known + new) as f64 / 1e9)
    }
}

fn directory(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

/// The parent, the second field after the name, which is in parentheses and may hold anything.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(directory(pid).join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The first field is the time on a CPU in nanoseconds. `None` where the thread has ended.
fn thread_nanoseconds(schedstat: &Path) -> Option<u64> {
    fs::read_to_string(schedstat).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

fn rollup(process: &Path) -> io::Result<u64> {
    let rollup = fs::read_to_string(process.join("smaps_rollup"))?;
    let resident = rollup.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kibibytes = resident.and_then(|it| it.trim().strip_suffix(" kB")?.trim().parse().ok());
    kibibytes.map(|it: u64| it * 1024).ok_or_else(|| ErrorKind::InvalidData.into())
}

fn statm(process: &Path) -> io::Result<u64> {
    let statm = fs::read_to_string(process.join("statm"))?;
    let pages = statm.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    let page = rustix::param::page_size() as u64;
    pages.map(|pages| pages * page).ok_or_else(|| ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    fn own() -> Processes {
        Processes::of(std::process::id())
    }

    #[test]
    fn work_of_threads_and_of_grandchildren_is_counted() {
        let own = own().mark_cpu().unwrap();
        // A shell with a shell that works, while the first waits.
        let script = "sh -c 'while :; do :; done' & echo $!; wait";
        let mut child =
            Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut worker = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(child.stdout.take().unwrap()), &mut worker)
            .unwrap();
        let mark = Processes::of(child.id()).mark_cpu().unwrap();
        let start = Instant::now();
        std::thread::spawn(move || while start.elapsed() < Duration::from_millis(100) {})
            .join()
            .unwrap();
        let mut spun = 0.0;
        while start.elapsed() < Duration::from_secs(20) && spun < 0.1 {
            spun = mark.seconds_since().unwrap();
        }
        Command::new("kill").arg(worker.trim()).status().unwrap();
        child.wait().unwrap();
        assert!(spun >= 0.1, "{spun}");
        // The thread that spun has ended, but the loops here have not; and the child is a descendant.
        assert!(own.seconds_since().unwrap() > 0.0);
    }

    #[test]
    fn resident_memory_grows_with_what_is_touched() {
        let before = own().resident_exactly().unwrap();
        let touched = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = own().resident_exactly().unwrap();
        assert!(after >= before + (60 << 20), "{before} {after} {}", touched.len());
        let roughly = own().resident_roughly().unwrap();
        assert!(roughly.abs_diff(after) < 8 << 20, "{roughly} {after}");
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        let mut child = Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(Processes::of(pid).mark_cpu().is_err());
        assert!(Processes::of(pid).resident_exactly().is_err());
    }
}
