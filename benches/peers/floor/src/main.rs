//! The floor: a server that answers the bytes of the benchmark's Socket.IO exchanges and does nothing
//! else, so that the cost of everything a real server does can be read as the distance to it.
//!
//! It refuses to be a server: it has no timers, limits, UTF-8 check, upgrade from polling, namespace
//! but `/`, or event but `echo`, `join` and `say`. Threads share nothing but polling sessions, so a
//! room ends at its thread.

mod buffers;
mod connection;
mod descriptor;
mod desk;
mod epoll;
mod frame;
mod http;
mod listener;
mod loans;
mod mail;
mod options;
mod packet;
mod rooms;
mod sessions;
mod sid;
mod submissions;
mod uring;

use std::env;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use socket2::Socket;

use crate::desk::Desk;
use crate::mail::{Mail, Mailbox};
use crate::options::{Engine, Options};
use crate::sessions::Sessions;

fn main() -> ExitCode {
    let options = match Options::read(env::args().skip(1), |name| env::var(name).ok()) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}\n{}", options::USAGE);
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
        Engine::Uring(levers) => uring::run(listener, mailbox, desk, &levers),
    }
}
