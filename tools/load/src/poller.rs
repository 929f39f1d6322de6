//! One client of HTTP long-polling. It has two connections, one for POSTs and one on which a GET always
//! waits; one POST is under way at a time, with all that may be asked then. So the official client does
//! it.

use std::io;

use memchr::memmem;

use crate::digits::Decimal;
use crate::echo::EchoText;
use crate::exchange::Exchange;
use crate::handshake;
use crate::http::{self, Parsed};
use crate::link::{Consumed, Link, ReadEnd};
use crate::loss::Loss;
use crate::tally::{Tally, excerpt};

/// Parts packets of one body (Engine.IO 4).
const SEPARATOR: u8 = 0x1e;

/// The client.
#[derive(Debug)]
pub(crate) struct Poller {
    gets: Half,
    posts: Half,
    session: Session,
}

/// What is said over both connections.
#[derive(Debug)]
struct Session {
    number: usize,
    host: Box<str>,
    /// A whole request, and one up to the body's length: known with the session's id.
    get: Vec<u8>,
    post: Vec<u8>,
    step: Step,
    pong_due: bool,
    /// Questions that fit into one POST.
    batch_max: usize,
    exchange: Exchange,
}

/// What all clients ask with.
#[derive(Debug)]
pub(crate) struct Asker {
    packets: EchoText,
    length: usize,
    body: Vec<u8>,
    request: Vec<u8>,
    chunks: Vec<u8>,
}

/// One of a client's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// That of GETs.
    Gets,
    /// That of POSTs.
    Posts,
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

impl Asker {
    /// Questions of `length` bytes.
    pub(crate) fn new(length: usize) -> Self {
        let (body, request, chunks) = Default::default();
        Self { packets: EchoText::new(length), length, body, request, chunks }
    }
}

impl Poller {
    /// Starts a session over the links of [`Way::Gets`] and [`Way::Posts`].
    pub(crate) fn open(
        number: usize,
        (mut gets, posts): (Link, Link),
        host: &str,
        outstanding_max: usize,
    ) -> io::Result<Self> {
        gets.send(&get(host, ""))?;
        let session = Session {
            number,
            host: host.into(),
            get: Vec::new(),
            post: Vec::new(),
            step: Step::Opening,
            pong_due: false,
            batch_max: 1,
            exchange: Exchange::new(outstanding_max),
        };
        let gets = Half { link: gets, busy: true };
        Ok(Self { gets, posts: Half { link: posts, busy: false }, session })
    }

    /// One of its connections.
    pub(crate) fn link(&mut self, way: Way) -> &mut Link {
        match way {
            Way::Gets => &mut self.gets.link,
            Way::Posts => &mut self.posts.link,
        }
    }

    /// May it ask?
    pub(crate) fn is_open(&self) -> bool {
        self.session.step == Step::Done
    }

    /// Questions without an answer so far.
    pub(crate) fn outstanding(&self) -> usize {
        self.session.exchange.outstanding()
    }

    /// Questions that got no answer.
    pub(crate) fn missing(&self) -> u64 {
        self.session.exchange.missing()
    }

    /// Takes what has come on one of its connections.
    ///
    /// # Errors
    /// If the connection is lost thereby.
    pub(crate) fn receive(
        &mut self,
        way: Way,
        now: u64,
        until_end: bool,
        shared: &mut Vec<u8>,
        asker: &mut Asker,
        tally: &mut Tally,
    ) -> Result<ReadEnd, Loss> {
        match way {
            Way::Gets => self.receive_gets(now, until_end, shared, asker, tally),
            Way::Posts => self.receive_posts(until_end, shared, asker),
        }
    }

    fn receive_gets(
        &mut self,
        now: u64,
        until_end: bool,
        shared: &mut Vec<u8>,
        asker: &mut Asker,
        tally: &mut Tally,
    ) -> Result<ReadEnd, Loss> {
        let Self { gets, session, .. } = self;
        let Half { link, busy } = gets;
        let Asker { packets, length, chunks, .. } = asker;
        link.read(shared, until_end, |bytes| {
            responses(bytes, chunks, busy, |body| {
                body.split(|byte| *byte == SEPARATOR)
                    .try_for_each(|packet| session.packet(packet, now, packets, *length, tally))
            })
        })
    }

    fn receive_posts(
        &mut self,
        until_end: bool,
        shared: &mut Vec<u8>,
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
    pub(crate) fn advance(&mut self, now: u64, asker: &mut Asker, sending: bool) -> io::Result<()> {
        let Self { gets, posts, session } = self;
        if session.step == Step::Opening {
            return Ok(());
        }
        if !gets.busy {
            gets.busy = true;
            gets.link.send(&session.get)?;
        }
        if posts.busy {
            return Ok(());
        }
        let Asker { packets, body, request, .. } = asker;
        body.clear();
        session.fill(body, now, packets, sending);
        if body.is_empty() {
            return Ok(());
        }
        request.clear();
        request.extend_from_slice(&session.post);
        request.extend_from_slice(Decimal::new(body.len() as u64).as_bytes());
        request.extend_from_slice(b"\r\n\r\n");
        request.extend_from_slice(body);
        posts.busy = true;
        posts.link.send(request)
    }
}

impl Session {
    /// Takes a packet. An error ends the client.
    fn packet(
        &mut self,
        packet: &[u8],
        now: u64,
        packets: &mut EchoText,
        length: usize,
        tally: &mut Tally,
    ) -> Result<(), String> {
        match (self.step, packet) {
            (Step::Opening, [b'0', b'{', ..]) => self.opened(packet, length)?,
            (Step::Connecting, [b'4', b'0', b'{', ..]) => self.step = Step::Done,
            (_, b"2") => self.pong_due = true,
            (_, b"6") => {}
            (Step::Done, packet) => match packets.answered(self.number, packet) {
                Some(sequence) if self.exchange.was_asked(sequence) => {
                    self.exchange.answered(sequence, now, tally);
                }
                _ => {
                    let number = self.number;
                    tally.error(|| format!("client {number} was answered {}", excerpt(packet)));
                }
            },
            (step, packet) => return Err(format!("{step:?}: the server said {}", excerpt(packet))),
        }
        Ok(())
    }

    fn opened(&mut self, open_packet: &[u8], length: usize) -> Result<(), String> {
        let sid = session_id(open_packet)?;
        self.get = get(&self.host, sid);
        self.post = post(&self.host, sid);
        let limit = handshake::max_payload(open_packet);
        // Each question but the last has a separator after it.
        let fitting = (limit + 1) / (length as u64 + 1);
        if fitting == 0 {
            return Err(format!("payloads of {length} bytes, but the server takes {limit}"));
        }
        self.batch_max = usize::try_from(fitting).unwrap_or(usize::MAX);
        self.step = Step::Opened;
        Ok(())
    }

    /// Fills the body of a POST; leaves it empty where there is nothing to say.
    fn fill(&mut self, body: &mut Vec<u8>, now: u64, packets: &mut EchoText, sending: bool) {
        if self.step == Step::Opened {
            self.step = Step::Connecting;
            append(body, b"40");
        }
        if std::mem::take(&mut self.pong_due) {
            append(body, b"3");
            // Alone, so that questions as long as the server allows still fit.
            return;
        }
        let may_ask = sending && self.step == Step::Done;
        for _ in 0..if may_ask { self.batch_max } else { 0 } {
            let Some(sequence) = self.exchange.ask(now) else { break };
            append(body, packets.ask(self.number, sequence));
        }
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
fn session_id(open_packet: &[u8]) -> Result<&str, String> {
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
        assert_eq!(session_id(br#"0{"sid":"a-B_9","upgrades":["websocket"]}"#), Ok("a-B_9"));
        assert!(session_id(br#"0{"sid":""}"#).is_err());
        assert!(session_id(b"0{}").is_err());
    }

    #[test]
    fn bodies_are_packets_with_separators_between() {
        let mut body = Vec::new();
        append(&mut body, b"3");
        append(&mut body, b"42[]");
        assert_eq!(body, b"3\x1e42[]");
    }
}
