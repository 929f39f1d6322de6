//! Scenario `polling`: many [`Poller`]s on one thread.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use crate::failure::Failure;
use crate::link::{Link, ReadEnd};
use crate::loss::Loss;
use crate::opening::Opening;
use crate::options::Options;
use crate::poller::{Asker, Poller, Way};
use crate::readiness::{Readiness, Ready};
use crate::run::Load;
use crate::tally::Tally;

/// The clients.
#[derive(Debug)]
pub(crate) struct Polling {
    server: SocketAddr,
    host: String,
    readiness: Readiness,
    /// Tokens 2c (GET) and 2c + 1 (POST); `None` once a connection is lost.
    clients: Vec<Option<Poller>>,
    clients_max: usize,
    at_once: usize,
    opened: usize,
    sending: bool,
    asker: Asker,
    outstanding_max: usize,
    /// What lost clients were still waiting for.
    missing: u64,
    tally: Tally,
    epoch: Instant,
    shared: Vec<u8>,
}

impl Polling {
    /// As the options say.
    ///
    /// # Errors
    /// If the URL is wrong, or the operating system has no epoll for us.
    pub(crate) fn new(options: &Options) -> Result<Self, Failure> {
        Ok(Self {
            server: options.server()?,
            host: options.host().unwrap_or_default().into(),
            readiness: Readiness::new()?,
            clients: Vec::with_capacity(options.connections),
            clients_max: options.connections,
            at_once: options.at_once,
            opened: 0,
            sending: false,
            asker: Asker::new(options.payload),
            outstanding_max: options.outstanding,
            missing: 0,
            tally: Tally::new(),
            epoch: Instant::now(),
            shared: Vec::new(),
        })
    }

    fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    fn dial(&mut self) -> Result<(), Failure> {
        let number = self.clients.len();
        let link = |token: usize| -> io::Result<Link> {
            let mut link = Link::connect(self.server, token)?;
            self.readiness.register(&mut link, token)?;
            Ok(link)
        };
        let dialled = link(2 * number)
            .and_then(|gets| Ok((gets, link(2 * number + 1)?)))
            .and_then(|links| Poller::open(number, links, &self.host, self.outstanding_max));
        let failure = |error| Loss::Broken(error).into_failure(self.server, self.opened);
        self.clients.push(Some(dialled.map_err(failure)?));
        Ok(())
    }

    fn turn(&mut self, deadline: Instant) -> Result<(), Failure> {
        for at in 0..self.readiness.wait(deadline)? {
            let ready = self.readiness.ready(at);
            if let Err(loss) = self.handle(ready) {
                self.lost(ready.token / 2, loss)?;
            }
        }
        Ok(())
    }

    fn handle(&mut self, ready: Ready) -> Result<(), Loss> {
        let now = self.now();
        let Self { clients, asker, tally, shared, sending, opened, .. } = self;
        let Some(client) = &mut clients[ready.token / 2] else { return Ok(()) };
        let way = if ready.token.is_multiple_of(2) { Way::Gets } else { Way::Posts };
        client.link(way).flush()?;
        if !ready.readable {
            return Ok(());
        }
        let was_open = client.is_open();
        let end = client.receive(way, now, ready.until_end, shared, asker, tally)?;
        if end == ReadEnd::Closed {
            return Err(Loss::closed());
        }
        if client.is_open() && !was_open {
            *opened += 1;
        }
        Ok(client.advance(now, asker, *sending)?)
    }

    /// A lost connection ends the opening, but during the run it is an error among others.
    fn lost(&mut self, number: usize, loss: Loss) -> Result<(), Failure> {
        if !self.is_open() {
            return Err(loss.into_failure(self.server, self.opened));
        }
        if let Some(client) = self.clients[number].take() {
            self.missing += client.missing();
        }
        self.tally.error(|| format!("client {number}: {loss}"));
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.opened == self.clients_max
    }
}

impl Load for Polling {
    fn open(&mut self) -> Result<(), Failure> {
        let mut opening = Opening::of(self.clients_max, self.at_once);
        while !opening.is_over(self.opened)? {
            while opening.may_dial(self.clients.len()) {
                self.dial()?;
            }
            self.turn(opening.deadline())?;
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), Failure> {
        self.sending = true;
        for number in 0..self.clients.len() {
            let now = self.now();
            let Some(client) = &mut self.clients[number] else { continue };
            if let Err(error) = client.advance(now, &mut self.asker, true) {
                self.lost(number, error.into())?;
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
        self.sending = false;
    }

    fn outstanding(&self) -> usize {
        self.clients.iter().flatten().map(|client| client.outstanding()).sum()
    }

    fn missing(&self) -> u64 {
        let here = self.clients.iter().flatten().map(|client| client.missing());
        self.missing + here.sum::<u64>()
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}
