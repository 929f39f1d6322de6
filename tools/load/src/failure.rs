//! Why a run could not be made. What goes wrong inside a run is counted instead.

use std::net::SocketAddr;
use std::{error, fmt, io};

/// Ends the program with status 2.
#[derive(Debug)]
#[allow(missing_docs)]
pub(crate) enum Failure {
    /// The caller asked for what cannot be.
    Options(String),
    /// The limit of open files is too low.
    Descriptors { needed: u64, limit: u64 },
    /// Nobody listens, or the server fell over while connections were being opened.
    Connect { server: SocketAddr, opened: usize, error: io::Error },
    /// The server's answers are not those of a Socket.IO server.
    Handshake { opened: usize, what: String },
    /// Connections stopped coming up.
    Stalled { opened: usize, asked: usize, seconds: u64 },
    /// The server's process does not exist or may not be looked at.
    Process { pid: u32, error: io::Error },
    /// The operating system refused something of our own.
    Local { what: &'static str, error: io::Error },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options(what) => f.write_str(what),
            Self::Descriptors { needed, limit } => write!(
                f,
                "this needs {needed} open files, but the limit is {limit}: raise it (ulimit -Hn) or take \
                 fewer connections"
            ),
            Self::Connect { server, opened: 0, error } => {
                write!(f, "no server answers at {server}: {error}")
            }
            Self::Connect { server, opened, error } => {
                write!(f, "{server} refused after {opened} connections: {error}")
            }
            Self::Handshake { opened, what } => {
                write!(f, "the handshake failed after {opened} connections: {what}")
            }
            Self::Stalled { opened, asked, seconds } => write!(
                f,
                "only {opened} of {asked} connections came up, then none for {seconds} seconds"
            ),
            Self::Process { pid, error } => {
                write!(f, "process {pid} (--server-pid) cannot be measured, is it gone? {error}")
            }
            Self::Local { what, error } => write!(f, "cannot {what}: {error}"),
        }
    }
}

impl error::Error for Failure {}

impl Failure {
    /// For `map_err` on a call to the operating system.
    pub(crate) fn local<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Local { what, error: error.into() }
    }
}
