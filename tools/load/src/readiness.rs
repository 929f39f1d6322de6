//! Which connections have something to do (epoll, edge-triggered).

use std::io::{self, ErrorKind};
use std::time::Instant;

use mio::{Events, Poll, Token};

use crate::failure::Failure;
use crate::link::Link;

/// Events taken at once.
const EVENTS_MAX: usize = 1024;

/// Waits for connections, and keeps what a wait has brought until the next.
#[derive(Debug)]
pub(crate) struct Readiness {
    poll: Poll,
    events: Events,
    ready: Vec<Ready>,
}

/// A connection that can go on. It may have room to write in any case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    /// What the connection was registered with.
    pub(crate) token: usize,
    /// There is something to read.
    pub(crate) readable: bool,
    /// And it is the last: read until the end or the error.
    pub(crate) until_end: bool,
}

impl Readiness {
    /// Waits for nothing yet.
    ///
    /// # Errors
    /// If the operating system has no epoll for us.
    pub(crate) fn new() -> Result<Self, Failure> {
        let poll = Poll::new().map_err(Failure::local("wait for events"))?;
        Ok(Self { poll, events: Events::with_capacity(EVENTS_MAX), ready: Vec::new() })
    }

    /// Includes a connection, until it is dropped.
    pub(crate) fn register(&self, link: &mut Link, token: usize) -> io::Result<()> {
        link.register(self.poll.registry(), Token(token))
    }

    /// Waits until something is ready, at most until `deadline`; how many are.
    ///
    /// # Errors
    /// If the operating system fails us.
    pub(crate) fn wait(&mut self, deadline: Instant) -> Result<usize, Failure> {
        self.ready.clear();
        let wait = deadline.saturating_duration_since(Instant::now());
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(0),
            Err(error) => return Err(Failure::Local { what: "wait for events", error }),
            Ok(()) => {}
        }
        self.ready.extend(self.events.iter().map(|event| Ready {
            token: event.token().0,
            readable: event.is_readable() || event.is_error(),
            until_end: event.is_read_closed() || event.is_error(),
        }));
        Ok(self.ready.len())
    }

    /// Number `at` of those that the last wait has found.
    pub(crate) fn ready(&self, at: usize) -> Ready {
        self.ready[at]
    }
}
