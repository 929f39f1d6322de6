//! Many WebSocket clients on one thread: opens them, moves their frames, answers pings.
//!
//! What the clients say and what the answers must be is [`Traffic`]'s.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use crate::failure::Failure;
use crate::frame::{self, Opcode, Parsed};
use crate::handshake::{self, Handshake};
use crate::link::{Consumed, Link, ReadEnd};
use crate::loss::Loss;
use crate::opening::Opening;
use crate::options::Options;
use crate::readiness::{Readiness, Ready};
use crate::run::Load;
use crate::tally::{Tally, excerpt};

/// What clients send, and the check of what they receive. Times are nanoseconds.
pub(crate) trait Traffic {
    /// The room that a client joins before it counts as open.
    fn room(&self, client: usize) -> Option<String>;

    /// Bytes of the largest frame that is going to be sent.
    fn largest(&self) -> usize;

    /// `client` received a packet, not a ping.
    fn text(&mut self, client: usize, now: u64, packet: &[u8], tally: &mut Tally);

    /// `client` received an attachment.
    fn binary(&mut self, client: usize, now: u64, bytes: &[u8], tally: &mut Tally);

    /// Appends the frames that `client` may send now.
    fn outgoing(&mut self, client: usize, now: u64, out: &mut Vec<u8>);

    /// Clients that may send because of what others received, each once.
    fn due(&mut self) -> &mut VecDeque<usize>;

    /// Messages sent that are not wholly back.
    fn outstanding(&self) -> usize;

    /// Copies that have not come, of all that was sent.
    fn missing(&self) -> u64;
}

/// The clients.
#[derive(Debug)]
pub(crate) struct Swarm<T> {
    server: SocketAddr,
    request: Vec<u8>,
    /// Where each handshake begins.
    handshake: Handshake,
    readiness: Readiness,
    /// At its token; `None` once the connection is lost.
    clients: Vec<Option<Client>>,
    clients_max: usize,
    at_once: usize,
    opened: usize,
    sending: bool,
    traffic: T,
    tally: Tally,
    random: fastrand::Rng,
    epoch: Instant,
    /// What one read takes in, and what one write puts out: shared by all, empty between.
    shared: Vec<u8>,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Client {
    link: Link,
    handshake: Handshake,
}

impl<T: Traffic> Swarm<T> {
    /// As many clients as the options ask for, none yet connected.
    ///
    /// # Errors
    /// If the URL is wrong, or the operating system has no epoll for us.
    pub(crate) fn new(options: &Options, traffic: T) -> Result<Self, Failure> {
        Ok(Self {
            server: options.server()?,
            request: handshake::request(
                options.host().unwrap_or_default(),
                options.detour.as_deref(),
            ),
            handshake: Handshake::begin(options.detour.as_deref()),
            readiness: Readiness::new()?,
            clients: Vec::with_capacity(options.connections),
            clients_max: options.connections,
            at_once: options.at_once,
            opened: 0,
            sending: false,
            traffic,
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

    fn dial(&mut self) -> Result<(), Failure> {
        let index = self.clients.len();
        let connected = Link::connect(self.server, index).and_then(|mut link| {
            self.readiness.register(&mut link, index)?;
            link.send(&self.request)?;
            Ok(link)
        });
        let failure = |error| Loss::Broken(error).into_failure(self.server, self.opened);
        let link = connected.map_err(failure)?;
        self.clients.push(Some(Client { link, handshake: self.handshake }));
        Ok(())
    }

    /// Waits for events until `deadline` at most, and handles them.
    fn turn(&mut self, deadline: Instant) -> Result<(), Failure> {
        for at in 0..self.readiness.wait(deadline)? {
            let Ready { token: client, readable, until_end } = self.readiness.ready(at);
            if let Err(loss) = self.handle(client, readable, until_end) {
                self.lost(client, loss)?;
            }
        }
        while let Some(client) = self.traffic.due().pop_front() {
            self.scratch.clear();
            if let Err(loss) = self.send(client, self.now()) {
                self.lost(client, loss)?;
            }
        }
        Ok(())
    }

    fn handle(&mut self, client: usize, readable: bool, until_end: bool) -> Result<(), Loss> {
        let Some(Client { link, .. }) = &mut self.clients[client] else { return Ok(()) };
        if link.has_unsent() {
            link.flush()?;
        }
        if !readable {
            return Ok(());
        }
        self.scratch.clear();
        let now = self.now();
        let end = self.receive(client, now, until_end)?;
        self.send(client, now)?;
        match end {
            ReadEnd::Drained => Ok(()),
            ReadEnd::Closed => Err(Loss::closed()),
        }
    }

    /// Reads what has come. Leaves in `scratch` what the protocol wants answered.
    fn receive(&mut self, client: usize, now: u64, until_end: bool) -> Result<ReadEnd, Loss> {
        let Some(Client { link, handshake }) = &mut self.clients[client] else {
            return Ok(ReadEnd::Drained);
        };
        let Self { traffic, tally, random, scratch, shared, opened, .. } = self;
        link.read(shared, until_end, |bytes| {
            let mut used = 0;
            if *handshake != Handshake::Done {
                let room = traffic.room(client);
                let largest = traffic.largest();
                let consumed = handshake
                    .advance(bytes, room.as_deref(), largest, random, scratch)
                    .map_err(Loss::Protocol)?;
                if *handshake != Handshake::Done {
                    return Ok(consumed);
                }
                used = consumed.used;
                *opened += 1;
            }
            loop {
                match frame::parse(&bytes[used..]) {
                    Parsed::Frame { opcode, payload, total } => {
                        used += total;
                        match (opcode, payload) {
                            (Opcode::Text, b"2") => reply(scratch, random, Opcode::Text, b"3"),
                            (Opcode::Text, packet) => traffic.text(client, now, packet, tally),
                            (Opcode::Binary, bytes) => traffic.binary(client, now, bytes, tally),
                            (Opcode::Ping, bytes) => reply(scratch, random, Opcode::Pong, bytes),
                            (Opcode::Pong, _) => {}
                            (Opcode::Close, status) => return Err(closed(status)),
                        }
                    }
                    Parsed::Incomplete { needed } => return Ok(Consumed { used, needed }),
                    Parsed::Malformed(what) => return Err(Loss::Protocol(what.into())),
                }
            }
        })
    }

    /// Sends what is in `scratch`, and what the client may send now, with one write.
    fn send(&mut self, client: usize, now: u64) -> Result<(), Loss> {
        let Some(Client { link, .. }) = &mut self.clients[client] else { return Ok(()) };
        if self.sending {
            self.traffic.outgoing(client, now, &mut self.scratch);
        }
        if !self.scratch.is_empty() {
            link.send(&self.scratch)?;
        }
        Ok(())
    }

    /// A lost connection ends the opening, but during the run it is an error among others.
    fn lost(&mut self, client: usize, loss: Loss) -> Result<(), Failure> {
        if !self.is_open() {
            return Err(loss.into_failure(self.server, self.opened));
        }
        self.clients[client] = None;
        self.tally.error(|| format!("client {client}: {loss}"));
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.opened == self.clients_max
    }
}

impl<T: Traffic> Load for Swarm<T> {
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
        for client in 0..self.clients.len() {
            self.scratch.clear();
            if let Err(loss) = self.send(client, self.now()) {
                self.lost(client, loss)?;
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
        self.traffic.outstanding()
    }

    fn missing(&self) -> u64 {
        self.traffic.missing()
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}

fn reply(out: &mut Vec<u8>, random: &mut fastrand::Rng, opcode: Opcode, payload: &[u8]) {
    frame::write(out, opcode, frame::random_mask(random), &[payload]);
}

fn closed(status: &[u8]) -> Loss {
    Loss::Protocol(match status {
        [high, low, reason @ ..] => format!(
            "the server closed with status {} {}",
            u16::from_be_bytes([*high, *low]),
            excerpt(reason)
        ),
        _ => "the server closed without a status".into(),
    })
}
