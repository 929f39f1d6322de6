//! Scenario `polling`: the echo over HTTP long-polling. Each client has two connections, one for POSTs
//! and one on which a GET always waits.
//!
//! One POST is under way at a time, with all that may be asked then; so the official client does it.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use memchr::memmem;
use mio::{Events, Poll, Token};

use crate::digits::Decimal;
use crate::echo::EchoText;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::handshake;
use crate::http::{self, Parsed};
use crate::link::{Consumed, Link, ReadEnd};
use crate::options::Options;
use crate::run::Load;
use crate::swarm::{EVENTS_MAX, HANDSHAKES_MAX, Loss, PATIENCE};
use crate::tally::{Tally, excerpt};

/// Parts packets of one body (Engine.IO 4).
const SEPARATOR: u8 = 0x1e;

/// The clients.
#[derive(Debug)]
pub(crate) struct Polling {
    server: SocketAddr,
    host: String,
    poll: Poll,
    events: Events,
    /// Tokens 2c (GET) and 2c + 1 (POST); `None` once a connection is lost.
    clients: Vec<Option<Client>>,
    clients_max: usize,
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

/// What all clients ask with.
#[derive(Debug)]
struct Asker {
    packets: EchoText,
    length: usize,
    body: Vec<u8>,
    request: Vec<u8>,
    chunks: Vec<u8>,
}

#[derive(Debug)]
struct Client {
    number: usize,
    gets: Half,
    posts: Half,
    /// A whole request, and one up to the body's length: known with the session.
    get: Vec<u8>,
    post: Vec<u8>,
    step: Step,
    pong_due: bool,
    /// Questions that fit into one POST.
    batch_max: usize,
    exchange: Exchange,
}

#[derive(Debug)]
struct Half {
    link: Link,
    /// A response is awaited.
    busy: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The open packet is awaited.
    Opening,
    /// CONNECT is to be posted.
    Opened,
    /// Its answer is awaited.
    Connecting,
    /// Events may flow.
    Done,
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
            poll: Poll::new().map_err(Failure::local("wait for events"))?,
            events: Events::with_capacity(EVENTS_MAX),
            clients: Vec::with_capacity(options.connections),
            clients_max: options.connections,
            opened: 0,
            sending: false,
            asker: Asker {
                packets: EchoText::new(options.payload),
                length: options.payload,
                body: Vec::new(),
                request: Vec::new(),
                chunks: Vec::new(),
            },
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
        let opened = self.opened;
        let half = |token: usize| -> io::Result<Half> {
            let mut link = Link::connect(self.server, token)?;
            link.register(self.poll.registry(), Token(token))?;
            Ok(Half { link, busy: false })
        };
        let dialed = half(2 * number).and_then(|mut gets| {
            gets.link.send(&get(&self.host, ""))?;
            gets.busy = true;
            Ok((gets, half(2 * number + 1)?))
        });
        let (gets, posts) =
            dialed.map_err(|error| Failure::Connect { server: self.server, opened, error })?;
        self.clients.push(Some(Client {
            number,
            gets,
            posts,
            get: Vec::new(),
            post: Vec::new(),
            step: Step::Opening,
            pong_due: false,
            batch_max: 1,
            exchange: Exchange::new(self.outstanding_max),
        }));
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
            let token = event.token().0;
            let readable = event.is_readable() || event.is_error();
            let until_end = event.is_read_closed() || event.is_error();
            if let Err(loss) = self.handle(token, readable, until_end) {
                self.lost(token / 2, loss)?;
            }
        }
        self.events = events;
        Ok(())
    }

    fn handle(&mut self, token: usize, readable: bool, until_end: bool) -> Result<(), Loss> {
        let now = self.now();
        let Self { clients, asker, tally, shared, sending, opened, host, .. } = self;
        let Some(client) = &mut clients[token / 2] else { return Ok(()) };
        let of_gets = token.is_multiple_of(2);
        let half = if of_gets { &mut client.gets } else { &mut client.posts };
        half.link.flush()?;
        if !readable {
            return Ok(());
        }
        let was_done = client.step == Step::Done;
        let end = if of_gets {
            client.read_gets(now, shared, until_end, asker, host, tally)?
        } else {
            client.read_posts(shared, until_end, asker)?
        };
        if end == ReadEnd::Closed {
            return Err(Loss::Protocol("the server closed the connection".into()));
        }
        if client.step == Step::Done && !was_done {
            *opened += 1;
        }
        Ok(client.advance(now, asker, *sending)?)
    }

    fn lost(&mut self, number: usize, loss: Loss) -> Result<(), Failure> {
        if let Some(client) = self.clients[number].take() {
            self.missing += client.exchange.missing();
        }
        let opened = self.opened;
        match loss {
            loss if self.is_open() => {
                self.tally.error(|| format!("client {number}: {loss}"));
                Ok(())
            }
            Loss::Broken(error) => Err(Failure::Connect { server: self.server, opened, error }),
            Loss::Protocol(what) => Err(Failure::Handshake { opened, what }),
        }
    }

    fn is_open(&self) -> bool {
        self.opened == self.clients_max
    }
}

impl Client {
    /// Takes the responses to GETs, and the packets in them.
    fn read_gets(
        &mut self,
        now: u64,
        shared: &mut Vec<u8>,
        until_end: bool,
        asker: &mut Asker,
        host: &str,
        tally: &mut Tally,
    ) -> Result<ReadEnd, Loss> {
        let Self { gets, number, get, post, step, pong_due, batch_max, exchange, .. } = self;
        let Half { link, busy } = gets;
        let Asker { packets, length, chunks, .. } = asker;
        link.read(shared, until_end, |bytes| {
            responses(bytes, chunks, busy, |body| {
                for packet in body.split(|byte| *byte == SEPARATOR) {
                    match (*step, packet) {
                        (Step::Opening, [b'0', b'{', ..]) => {
                            let sid = session(packet)?;
                            *get = self::get(host, sid);
                            *post = self::post(host, sid);
                            let fitting = handshake::max_payload(packet) / (*length as u64 + 1);
                            *batch_max = usize::try_from(fitting).unwrap_or(usize::MAX);
                            if *batch_max == 0 {
                                return Err(format!(
                                    "the server takes no payload of {length} bytes"
                                ));
                            }
                            *step = Step::Opened;
                        }
                        (Step::Connecting, [b'4', b'0', b'{', ..]) => *step = Step::Done,
                        (_, b"2") => *pong_due = true,
                        (_, b"6") => {}
                        (Step::Done, packet) => match packets.answered(*number, packet) {
                            Some(sequence) if exchange.was_asked(sequence) => {
                                exchange.answered(sequence, now, tally);
                            }
                            _ => tally.error(|| {
                                format!("client {number} was answered {}", excerpt(packet))
                            }),
                        },
                        (step, packet) => {
                            return Err(format!("{step:?}: the server said {}", excerpt(packet)));
                        }
                    }
                }
                Ok(())
            })
        })
    }

    /// Takes the responses to POSTs.
    fn read_posts(
        &mut self,
        shared: &mut Vec<u8>,
        until_end: bool,
        asker: &mut Asker,
    ) -> Result<ReadEnd, Loss> {
        let Half { link, busy } = &mut self.posts;
        link.read(shared, until_end, |bytes| {
            responses(bytes, &mut asker.chunks, busy, |body| match body {
                b"ok" => Ok(()),
                _ => Err(format!("a POST was answered {}", excerpt(body))),
            })
        })
    }

    /// Sends the requests that may be sent.
    fn advance(&mut self, now: u64, asker: &mut Asker, sending: bool) -> io::Result<()> {
        if self.step == Step::Opening {
            return Ok(());
        }
        if !self.gets.busy {
            self.gets.busy = true;
            self.gets.link.send(&self.get)?;
        }
        if self.posts.busy {
            return Ok(());
        }
        let Asker { packets, body, request, .. } = asker;
        body.clear();
        if std::mem::take(&mut self.pong_due) {
            body.push(b'3');
        }
        if self.step == Step::Opened {
            self.step = Step::Connecting;
            append(body, b"40");
        }
        let mut asked = 0;
        while self.step == Step::Done && sending && asked < self.batch_max {
            let Some(sequence) = self.exchange.ask(now) else { break };
            append(body, packets.ask(self.number, sequence));
            asked += 1;
        }
        if body.is_empty() {
            return Ok(());
        }
        request.clear();
        request.extend_from_slice(&self.post);
        request.extend_from_slice(Decimal::new(body.len() as u64).as_bytes());
        request.extend_from_slice(b"\r\n\r\n");
        request.extend_from_slice(body);
        self.posts.busy = true;
        self.posts.link.send(request)
    }
}

impl Load for Polling {
    fn open(&mut self) -> Result<(), Failure> {
        let mut progress = (self.opened, Instant::now());
        while !self.is_open() {
            while self.clients.len() < self.clients_max
                && self.clients.len() - self.opened < HANDSHAKES_MAX
            {
                self.dial()?;
            }
            self.turn(progress.1 + PATIENCE)?;
            if self.opened > progress.0 {
                progress = (self.opened, Instant::now());
            } else if progress.1.elapsed() >= PATIENCE {
                return Err(Failure::Stalled {
                    opened: self.opened,
                    asked: self.clients_max,
                    seconds: PATIENCE.as_secs(),
                });
            }
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
        self.clients.iter().flatten().map(|client| client.exchange.outstanding()).sum()
    }

    fn missing(&self) -> u64 {
        let here = self.clients.iter().flatten().map(|client| client.exchange.missing());
        self.missing + here.sum::<u64>()
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }
}

/// Gives the bodies of whole responses to `each`. `busy` ends with each of them.
fn responses(
    bytes: &[u8],
    chunks: &mut Vec<u8>,
    busy: &mut bool,
    mut each: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<Consumed, Loss> {
    let mut used = 0;
    while used < bytes.len() {
        match http::parse(&bytes[used..], chunks) {
            Parsed::Response { status: 200, body, total, keep_alive: true } if *busy => {
                *busy = false;
                each(body).map_err(Loss::Protocol)?;
                used += total;
            }
            Parsed::Response { .. } => {
                let what = format!("the server answered {}", excerpt(&bytes[used..]));
                return Err(Loss::Protocol(what));
            }
            Parsed::Incomplete { needed } => return Ok(Consumed { used, needed }),
            Parsed::Malformed(what) => return Err(Loss::Protocol(what.into())),
        }
    }
    Ok(Consumed { used, needed: 1 })
}

/// Appends a packet to a body.
fn append(body: &mut Vec<u8>, packet: &[u8]) {
    if !body.is_empty() {
        body.push(SEPARATOR);
    }
    body.extend_from_slice(packet);
}

/// The session's id, as an open packet tells it.
fn session(open_packet: &[u8]) -> Result<&str, String> {
    let name = br#""sid":""#;
    memmem::find(open_packet, name)
        .and_then(|at| open_packet[at + name.len()..].split(|byte| *byte == b'"').next())
        .and_then(|sid| str::from_utf8(sid).ok())
        .filter(|sid| !sid.is_empty())
        .ok_or_else(|| format!("an open packet without a session: {}", excerpt(open_packet)))
}

/// A GET, the session's first where there is no `sid`.
fn get(host: &str, sid: &str) -> Vec<u8> {
    let session = if sid.is_empty() { String::new() } else { format!("&sid={sid}") };
    format!(
        "GET /socket.io/?EIO=4&transport=polling{session} HTTP/1.1\r\nHost: {host}\r\n\
         Accept: */*\r\n\r\n"
    )
    .into_bytes()
}

/// A POST up to its body's length.
fn post(host: &str, sid: &str) -> Vec<u8> {
    format!(
        "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: {host}\r\n\
         Accept: */*\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: "
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_taken_one_by_one_and_only_when_asked_for() {
        let one = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n2\x1e6";
        let mut bodies = Vec::new();
        let mut take = |bytes: &[u8], busy: &mut bool| {
            responses(bytes, &mut Vec::new(), busy, |body| {
                bodies.push(body.to_vec());
                Ok(())
            })
            .map_err(|loss| loss.to_string())
        };
        let mut busy = true;
        let cut = take(&one[..one.len() - 1], &mut busy).unwrap();
        assert_eq!((cut, busy), (Consumed { used: 0, needed: one.len() }, true));
        assert_eq!(take(one, &mut busy).unwrap().used, one.len());
        assert!(!busy);
        assert!(take(one, &mut busy).is_err(), "nothing was asked");
        assert!(take(b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n", &mut true).is_err());
        assert_eq!(bodies, [b"2\x1e6"]);
    }

    #[test]
    fn a_session_is_read_from_the_open_packet() {
        assert_eq!(session(br#"0{"sid":"a-B_9","upgrades":["websocket"]}"#), Ok("a-B_9"));
        assert!(session(br#"0{"sid":""}"#).is_err());
        assert!(session(b"0{}").is_err());
    }

    #[test]
    fn bodies_are_packets_with_separators_between() {
        let mut body = Vec::new();
        append(&mut body, b"3");
        append(&mut body, b"42[]");
        assert_eq!(body, b"3\x1e42[]");
    }
}
