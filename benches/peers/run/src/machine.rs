//! The machine the numbers come from.

use std::fs;
use std::process::Command;

use serde::Serialize;

use crate::workshop::first_line;

/// What the report's head says of the machine.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    /// Cores this process may use.
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) memory_bytes: u64,
    pub(crate) rust: String,
}

impl Machine {
    /// What `/proc`, the kernel and the compiler say.
    pub(crate) fn look(cores: usize) -> Self {
        let kernel = rustix::system::uname();
        Self {
            cpu: cpu_model(&read("/proc/cpuinfo")),
            cores,
            kernel: format!(
                "{} {}",
                kernel.sysname().to_string_lossy(),
                kernel.release().to_string_lossy()
            ),
            memory_bytes: memory_bytes(&read("/proc/meminfo")),
            rust: first_line(Command::new("rustc").arg("--version"))
                .unwrap_or_else(|| "unknown".to_owned()),
        }
    }
}

/// Processes that wanted a core during the last minute, on average.
pub(crate) fn load_average() -> f64 {
    read("/proc/loadavg")
        .split_whitespace()
        .next()
        .and_then(|load| load.parse().ok())
        .unwrap_or(0.0)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn cpu_model(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    name.unwrap_or(std::env::consts::ARCH).to_owned()
}

fn memory_bytes(meminfo: &str) -> u64 {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse().ok());
    kib.map_or(0, |kib: u64| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read() {
        let cpuinfo = "processor\t: 0\nmodel name\t: A CPU @ 2.00GHz\nflags\t: x\n";
        assert_eq!(cpu_model(cpuinfo), "A CPU @ 2.00GHz");
        assert_eq!(cpu_model("nothing"), std::env::consts::ARCH);
        assert_eq!(memory_bytes("MemTotal:       2048 kB\nMemFree: 1 kB\n"), 2 << 20);
        assert_eq!(memory_bytes(""), 0);
    }

    #[test]
    fn this_machine_is_known() {
        let machine = Machine::look(2);
        assert!(machine.kernel.starts_with("Linux "), "{machine:?}");
        assert!(machine.memory_bytes > 0);
    }
}
