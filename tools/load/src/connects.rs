//! Scenario `connects`: clients that come in and leave at once, again and again.
//!
//! A connection that breaks is an error and is not replaced, so that a server that has fallen over is not
//! hammered.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use crate::failure::Failure;
use crate::handshake::{self, Handshake};
use crate::link::{Link, ReadEnd};
use crate::loss::Loss;
use crate::opening::Opening;
use crate::options::Options;
use crate::readiness::{Readiness, Ready};
use crate::run::Load;
use crate::tally::Tally;

/// Clients that are being connected.
#[derive(Debug)]
pub(crate) struct Connects {
    server: SocketAddr,
    request: Vec<u8>,
    /// Where each handshake begins.
    handshake: Handshake,
    readiness: Readiness,
    /// At its token; `None` between clients and after an error.
    comers: Vec<Option<Comer>>,
    coming: bool,
    tally: Tally,
    random: fastrand::Rng,
    epoch: Instant,
    shared: Vec<u8>,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Comer {
    link: Link,
    handshake: Handshake,
    since: u64,
}

impl Connects {
    /// As the options say.
    ///
    /// # Errors
    /// If the URL is wrong, or the operating system has no epoll for us.
    pub(crate) fn new(options: &Options) -> Result<Self, Failure> {
        Ok(Self {
            server: options.server()?,
            request: handshake::request(
                options.host().unwrap_or_default(),
                options.detour.as_deref(),
            ),
            handshake: Handshake::begin(options.detour.as_deref()),
            readiness: Readiness::new()?,
            comers: std::iter::repeat_with(|| None).take(options.connections).collect(),
            coming: false,
            tally: Tally::new(),
            random: fastrand::Rng::new(),
            epoch: Instant::now(),
            shared: Vec::new(),
            scratch: Vec::new(),
        })
    }

    fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    fn dial(&mut self, at: usize) -> io::Result<()> {
        let since = self.now();
        let mut link = Link::connect(self.server, at)?;
        self.readiness.register(&mut link, at)?;
        link.send(&self.request)?;
        self.comers[at] = Some(Comer { link, handshake: self.handshake, since });
        Ok(())
    }

    fn turn(&mut self, deadline: Instant) -> Result<(), Failure> {
        for at in 0..self.readiness.wait(deadline)? {
            let Ready { token, readable, until_end } = self.readiness.ready(at);
            if let Err(loss) = self.handle(token, readable, until_end) {
                self.comers[token] = None;
                self.tally.error(|| loss.to_string());
            }
        }
        Ok(())
    }

    fn handle(&mut self, at: usize, readable: bool, until_end: bool) -> Result<(), Loss> {
        let Some(Comer { link, handshake, since }) = &mut self.comers[at] else { return Ok(()) };
        if link.has_unsent() {
            link.flush()?;
        }
        if !readable {
            return Ok(());
        }
        let Self { shared, scratch, random, .. } = self;
        scratch.clear();
        let end = link.read(shared, until_end, |bytes| {
            handshake.advance(bytes, None, 0, random, scratch).map_err(Loss::Protocol)
        })?;
        if *handshake == Handshake::Done {
            let since = *since;
            self.comers[at] = None;
            self.tally.delivered(self.now() - since);
            return if self.coming { Ok(self.dial(at)?) } else { Ok(()) };
        }
        if end == ReadEnd::Closed {
            return Err(Loss::Protocol(format!("{handshake:?}: the server closed the connection")));
        }
        if !scratch.is_empty() {
            link.send(scratch)?;
        }
        Ok(())
    }
}

impl Load for Connects {
    /// Lets one client in, to see that there is a server.
    fn open(&mut self) -> Result<(), Failure> {
        if let Err(error) = self.dial(0) {
            return Err(Failure::Connect { server: self.server, opened: 0, error });
        }
        let mut opening = Opening::of(1, 1);
        while !opening.is_over(self.tally.messages as usize)? {
            self.turn(opening.deadline())?;
            if let Some(what) = self.tally.first_error.take() {
                return Err(Failure::Handshake { opened: 0, what });
            }
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), Failure> {
        self.coming = true;
        for at in 0..self.comers.len() {
            if let Err(error) = self.dial(at) {
                return Err(Failure::Connect { server: self.server, opened: at, error });
            }
        }
        Ok(())
    }

    fn run_until(&mut self, deadline: Instant) -> Result<(), Failure> {
        while Instant::now() < deadline {
            self.turn(deadline)?;
        }
        Ok(())
    }

    fn stop(&mut self) {
        self.coming = false;
    }

    fn outstanding(&self) -> usize {
        self.comers.iter().flatten().count()
    }

    /// Those who never came in.
    fn missing(&self) -> u64 {
        self.outstanding() as u64
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}
