//! The command line and the environment.

use std::time::Duration;

pub(crate) const USAGE: &str = "usage: PORT=3000 CORES=1 floor --engine epoll|uring
with uring, to try what the ring can do otherwise:
  --registered-files       connections are places in the ring's table, not descriptors
  --zero-copy-above BYTES  larger sends are not copied
  --incremental-buffers    a receive buffer is filled by several receives
  --busy-poll MICROS       a wait polls the network card for so long
  --spin MICROS            a wait spins for so long";

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) engine: Engine,
    pub(crate) port: u16,
    pub(crate) threads: usize,
}

/// What waits for the sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Epoll,
    Uring(Levers),
}

/// What a ring can do otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Levers {
    pub(crate) registered_files: bool,
    pub(crate) zero_copy_above: Option<usize>,
    pub(crate) incremental_buffers: bool,
    pub(crate) busy_poll: Option<Duration>,
    pub(crate) spin: Option<Duration>,
}

impl Options {
    /// The error is a sentence that names what is wrong.
    pub(crate) fn read(
        mut arguments: impl Iterator<Item = String>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let (mut engine, mut levers) = (None, Levers::default());
        while let Some(flag) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{flag} needs a value"));
            match &*flag {
                "--engine" => engine = Some(value()?),
                "--registered-files" => levers.registered_files = true,
                "--zero-copy-above" => levers.zero_copy_above = Some(number(&flag, &value()?)?),
                "--incremental-buffers" => levers.incremental_buffers = true,
                "--busy-poll" => levers.busy_poll = Some(micros(&flag, &value()?)?),
                "--spin" => levers.spin = Some(micros(&flag, &value()?)?),
                _ => return Err(format!("there is no {flag}")),
            }
        }
        let engine = match engine.as_deref() {
            Some("uring") => Engine::Uring(levers),
            Some("epoll") if levers == Levers::default() => Engine::Epoll,
            Some("epoll") => return Err("epoll takes no other flags".into()),
            _ => return Err("one of the two engines must be chosen".into()),
        };
        let number = |name: &str, default: u16| match variable(name) {
            None => Ok(default),
            Some(text) => number(&format!("{name}="), &text),
        };
        let port = number("PORT", 3000)?;
        let threads = usize::from(number("CORES", 1)?).clamp(1, 64);
        Ok(Self { engine, port, threads })
    }
}

fn number<N: std::str::FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: &str,
) -> Result<N, String> {
    text.parse().map_err(|error| format!("{name} {text}: {error}"))
}

fn micros(name: &str, text: &str) -> Result<Duration, String> {
    number(name, text).map(|micros: u32| Duration::from_micros(micros.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Options, String> {
        Options::read(arguments.iter().map(|argument| argument.to_string()), |name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| value.to_string())
        })
    }

    #[test]
    fn engine_port_and_threads_are_told() {
        let read = |arguments: &[&str]| read(arguments, &[("PORT", "4000"), ("CORES", "2")]);
        let uring = Engine::Uring(Levers::default());
        let expected = Options { engine: uring, port: 4000, threads: 2 };
        assert_eq!(read(&["--engine", "uring"]), Ok(expected));
        let expected = Options { engine: Engine::Epoll, port: 4000, threads: 2 };
        assert_eq!(read(&["--engine", "epoll"]), Ok(expected));
    }

    #[test]
    fn levers_are_the_rings() {
        let words = "--engine uring --registered-files --zero-copy-above 4096 \
                     --incremental-buffers --busy-poll 50 --spin 20";
        let words: Vec<&str> = words.split_whitespace().collect();
        let levers = Levers {
            registered_files: true,
            zero_copy_above: Some(4096),
            incremental_buffers: true,
            busy_poll: Some(Duration::from_micros(50)),
            spin: Some(Duration::from_micros(20)),
        };
        let expected = Options { engine: Engine::Uring(levers), port: 3000, threads: 1 };
        assert_eq!(read(&words, &[]), Ok(expected));
        assert!(read(&["--engine", "epoll", "--registered-files"], &[]).is_err());
    }

    #[test]
    fn wrong_options_are_refused() {
        assert!(read(&[], &[]).is_err());
        assert!(read(&["--engine"], &[]).is_err());
        assert!(read(&["--engine", "kqueue"], &[]).is_err());
        assert!(read(&["--engine", "epoll", "x"], &[]).is_err());
        assert!(read(&["--engine", "uring", "--spin", "long"], &[]).is_err());
        assert!(read(&["--engine", "uring", "--spin"], &[]).is_err());
        assert!(read(&["--engine", "epoll"], &[("PORT", "70000")]).is_err());
        assert!(read(&["--engine", "epoll"], &[("CORES", "two")]).is_err());
    }
}
