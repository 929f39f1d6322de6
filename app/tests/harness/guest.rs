//! A Socket.IO client over WebSocket that is on a shard of choice and joins the namespaces it is told to.

use std::collections::VecDeque;
use std::net::SocketAddr;

use yamabiko_protocol::engine::SessionId;

use super::websocket::{TEXT, WebSocket};

/// Connections that may be opened to find one on a certain shard: the kernel spreads them evenly.
const TRIES_MAX: usize = 200;

/// A client that is connected and has joined nothing yet.
pub(crate) struct Guest {
    pub(crate) socket: WebSocket,
    /// The shard that owns it.
    pub(crate) shard: u8,
    /// What came while an answer was waited for.
    earlier: VecDeque<String>,
    next_ack: u64,
}

impl Guest {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let mut socket = WebSocket::open(address);
        let handshake: String = socket.receive().expect("a handshake").text().into();
        let sid = handshake.strip_prefix("0{\"sid\":\"").and_then(|it| it.get(..20)).unwrap();
        let shard = SessionId::parse(sid).unwrap().owner().shard;
        Self { socket, shard, earlier: VecDeque::new(), next_ack: 0 }
    }

    /// One on this shard.
    pub(crate) fn on(address: SocketAddr, shard: u8) -> Self {
        (0..TRIES_MAX)
            .map(|_| Self::open(address))
            .find(|guest| guest.shard == shard)
            .expect("the kernel spreads connections over all shards")
    }

    /// One on each of the first two shards.
    pub(crate) fn pair(address: SocketAddr) -> [Self; 2] {
        [0, 1].map(|shard| Self::on(address, shard))
    }

    /// Asks to join a namespace, with what is sent as `auth`; the answer.
    pub(crate) fn ask_to_join(&mut self, namespace: &str, auth: &str) -> String {
        self.send(&format!("40{}{auth}", prefix(namespace)));
        self.packet()
    }

    /// Joins a namespace; its id there.
    pub(crate) fn join(&mut self, namespace: &str) -> String {
        let answer = self.ask_to_join(namespace, "");
        let rest = answer.strip_prefix(&format!("40{}{{\"sid\":\"", prefix(namespace)));
        rest.and_then(|rest| rest.get(..20)).unwrap_or_else(|| panic!("{answer}")).into()
    }

    /// The same, with each one that is given.
    pub(crate) fn all_join(guests: &mut [Self], namespace: &str) -> Vec<String> {
        guests.iter_mut().map(|guest| guest.join(namespace)).collect()
    }

    pub(crate) fn leave(&mut self, namespace: &str) {
        self.send(&format!("41{}", prefix(namespace)));
    }

    /// Sends an event; `event` is its JSON array.
    pub(crate) fn emit(&mut self, namespace: &str, event: &str) {
        self.send(&format!("42{}{event}", prefix(namespace)));
    }

    /// Sends an event that wants an acknowledgement; what its answer begins with.
    pub(crate) fn emit_for_ack(&mut self, namespace: &str, event: &str) -> String {
        let (prefix, id) = (prefix(namespace), self.next_ack);
        self.next_ack += 1;
        self.send(&format!("42{prefix}{id}{event}"));
        format!("43{prefix}{id}[")
    }

    /// Sends an event and waits for its acknowledgement: its arguments. What comes before is kept.
    pub(crate) fn ask(&mut self, namespace: &str, event: &str) -> String {
        let start = self.emit_for_ack(namespace, event);
        loop {
            let packet = self.receive().expect("the connection lives");
            match packet.strip_prefix(&start) {
                Some(rest) => return format!("[{rest}"),
                None => self.earlier.push_back(packet),
            }
        }
    }

    pub(crate) fn send(&mut self, packet: &str) {
        self.socket.send_text(packet);
    }

    /// The next packet.
    pub(crate) fn packet(&mut self) -> String {
        let earlier = self.earlier.pop_front();
        earlier.or_else(|| self.receive()).expect("the connection lives")
    }

    /// Whether the connection ends, whatever comes before.
    pub(crate) fn is_sent_away(&mut self) -> bool {
        while self.receive().is_some() {}
        true
    }

    fn receive(&mut self) -> Option<String> {
        loop {
            let frame = self.socket.receive()?;
            match (frame.opcode(), &*frame.payload) {
                (TEXT, b"2") => self.send("3"),
                (TEXT, _) => return Some(frame.text().into()),
                _ => {}
            }
        }
    }
}

fn prefix(namespace: &str) -> String {
    if namespace == "/" { String::new() } else { format!("{namespace},") }
}
