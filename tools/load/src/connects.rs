//! Scenario `connects`: clients that come in and leave at once, again and again.
//!
//! A connection that breaks is an error and is not replaced, so that a server that has fallen over is not
//! hammered.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::{Events, Poll, Token};

use crate::failure::Failure;
use crate::handshake::{self, Handshake};
use crate::link::{Link, ReadEnd};
use crate::options::Options;
use crate::run::Load;
use crate::swarm::{EVENTS_MAX, Loss, PATIENCE};
use crate::tally::Tally;

/// Clients that are being connected.
#[derive(Debug)]
pub(crate) struct Connects {
    server: SocketAddr,
    request: Vec<u8>,
    poll: Poll,
    events: Events,
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
            request: handshake::request(options.host().unwrap_or_default()),
            poll: Poll::new().map_err(Failure::local("wait for events"))?,
            events: Events::with_capacity(EVENTS_MAX),
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
        link.register(self.poll.registry(), Token(at))?;
        link.send(&self.request)?;
        self.comers[at] = Some(Comer { link, handshake: Handshake::Upgrading, since });
        Ok(())
    }

    fn turn(&mut self, deadline: Instant) -> Result<(), Failure> {
        let wait = deadline.saturating_duration_since(Instant::now());
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        match self.poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(Failure::Local { what: "wait for events", error });
            }
            _ => {}
        }
        for event in &events {
            let at = event.token().0;
            let readable = event.is_readable() || event.is_error();
            if let Err(loss) = self.handle(at, readable) {
                self.comers[at] = None;
                self.tally.error(|| loss.to_string());
            }
        }
        self.events = events;
        Ok(())
    }

    fn handle(&mut self, at: usize, readable: bool) -> Result<(), Loss> {
        let Some(Comer { link, handshake, since }) = &mut self.comers[at] else { return Ok(()) };
        if link.has_unsent() {
            link.flush()?;
        }
        if !readable {
            return Ok(());
        }
        let Self { shared, scratch, random, .. } = self;
        scratch.clear();
        let end = link.read(shared, false, |bytes| {
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
        let deadline = Instant::now() + PATIENCE;
        if let Err(error) = self.dial(0) {
            return Err(Failure::Connect { server: self.server, opened: 0, error });
        }
        while self.comers[0].is_some() && Instant::now() < deadline {
            self.turn(deadline)?;
        }
        match self.tally.first_error.take() {
            Some(what) => Err(Failure::Handshake { opened: 0, what }),
            None if self.tally.messages == 0 => {
                Err(Failure::Stalled { opened: 0, asked: 1, seconds: PATIENCE.as_secs() })
            }
            None => Ok(()),
        }
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
