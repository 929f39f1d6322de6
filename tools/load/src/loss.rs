//! Why a connection is lost.

use std::net::SocketAddr;
use std::{fmt, io};

use crate::failure::Failure;

/// Ends one connection. While connections are being opened it ends the run.
#[derive(Debug)]
pub(crate) enum Loss {
    /// The operating system says so.
    Broken(io::Error),
    /// The server did what it should not.
    Protocol(String),
}

impl Loss {
    /// The server closed a connection that it should have kept.
    pub(crate) fn closed() -> Self {
        Self::Protocol("the server closed the connection".into())
    }

    /// Why there is no run, `opened` connections having come up before.
    pub(crate) fn into_failure(self, server: SocketAddr, opened: usize) -> Failure {
        match self {
            Self::Broken(error) => Failure::Connect { server, opened, error },
            Self::Protocol(what) => Failure::Handshake { opened, what },
        }
    }
}

impl From<io::Error> for Loss {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::Protocol(what) => f.write_str(what),
        }
    }
}
