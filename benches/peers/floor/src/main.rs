//! The floor: a server that answers the bytes of the benchmark's Socket.IO exchanges and does nothing
//! else, so that the cost of everything a real server does can be read as the distance to it.
//!
//! It refuses to be a server: it has no timers, limits, UTF-8 check, upgrade from polling, namespace
//! but `/`, or event but `echo`, `join` and `say`. Threads share nothing but polling sessions, so a
//! room ends at its thread.

mod connection;
mod desk;
mod epoll;
mod frame;
mod http;
mod listener;
mod mail;
mod packet;
mod rooms;
mod sessions;
mod sid;
mod uring;

use std::env;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use socket2::Socket;

use crate::desk::Desk;
use crate::mail::{Mail, Mailbox};
use crate::sessions::Sessions;

/// What waits for the sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    Epoll,
    Uring,
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    engine: Engine,
    port: u16,
    threads: usize,
}

fn main() -> ExitCode {
    let options = match options(env::args().skip(1), |name| env::var(name).ok()) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}\nusage: PORT=3000 CORES=1 floor --engine epoll|uring");
            return ExitCode::from(2);
        }
    };
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot serve port {}: {error}", options.port);
            ExitCode::FAILURE
        }
    }
}

fn options(
    mut arguments: impl Iterator<Item = String>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Options, String> {
    let engine = match (arguments.next().as_deref(), arguments.next().as_deref(), arguments.next())
    {
        (Some("--engine"), Some("epoll"), None) => Engine::Epoll,
        (Some("--engine"), Some("uring"), None) => Engine::Uring,
        _ => return Err("one of the two engines must be chosen".into()),
    };
    let number = |name: &str, default: u16| match variable(name) {
        None => Ok(default),
        Some(text) => text.parse::<u16>().map_err(|error| format!("{name}={text}: {error}")),
    };
    let port = number("PORT", 3000)?;
    let threads = usize::from(number("CORES", 1)?).clamp(1, 64);
    Ok(Options { engine, port, threads })
}

/// Serves until a thread fails; a signal ends the process.
fn serve(options: &Options) -> io::Result<()> {
    listener::make_room_for_descriptors();
    let sessions = Arc::new(Sessions::default());
    let (mail, mailboxes) = Mail::new(options.threads)?;
    // All listeners before the first thread: the kernel spreads connections over those that exist.
    let listeners = (0..options.threads)
        .map(|_| listener::listen(options.port))
        .collect::<io::Result<Vec<_>>>()?;
    let threads: Vec<_> = listeners
        .into_iter()
        .zip(mailboxes)
        .enumerate()
        .map(|(thread, (listener, mailbox))| {
            let desk = Desk::new(thread, Arc::clone(&sessions), mail.clone());
            let engine = options.engine;
            thread::spawn(move || run(engine, &listener, &mailbox, desk))
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| io::Error::other("a thread panicked"))??;
    }
    Ok(())
}

fn run(engine: Engine, listener: &Socket, mailbox: &Mailbox, desk: Desk) -> io::Result<()> {
    match engine {
        Engine::Epoll => epoll::run(listener, mailbox, desk),
        Engine::Uring => uring::run(listener, mailbox, desk),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Options, String> {
        options(arguments.iter().map(|argument| argument.to_string()), |name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| value.to_string())
        })
    }

    #[test]
    fn engine_port_and_threads_are_told() {
        let read = |arguments: &[&str]| read(arguments, &[("PORT", "4000"), ("CORES", "2")]);
        let expected = Options { engine: Engine::Uring, port: 4000, threads: 2 };
        assert_eq!(read(&["--engine", "uring"]), Ok(expected));
        let expected = Options { engine: Engine::Epoll, port: 4000, threads: 2 };
        assert_eq!(read(&["--engine", "epoll"]), Ok(expected));
    }

    #[test]
    fn wrong_options_are_refused() {
        assert!(read(&[], &[]).is_err());
        assert!(read(&["--engine", "kqueue"], &[]).is_err());
        assert!(read(&["--engine", "epoll", "x"], &[]).is_err());
        assert!(read(&["--engine", "epoll"], &[("PORT", "70000")]).is_err());
        assert!(read(&["--engine", "epoll"], &[("CORES", "two")]).is_err());
    }
}
