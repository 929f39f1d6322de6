//! A Socket.IO client over HTTP long-polling, on two kept-alive connections.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::client::ack_of;
use super::wire::{HANDSHAKE, Response, Wire, get};

/// A client that is connected to `/`.
pub(crate) struct Poller {
    pub(crate) sid: String,
    pub(crate) polls: Wire,
    pub(crate) posts: Wire,
    packets: VecDeque<String>,
    next_ack: u64,
}

impl Poller {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let mut polls = Wire::open(address);
        let sid = polls.ask(get(HANDSHAKE, "")).sid().to_owned();
        let posts = Wire::open(address);
        let mut poller = Self { sid, polls, posts, packets: VecDeque::new(), next_ack: 0 };
        poller.send("40");
        assert!(poller.packet().starts_with("40{"));
        assert!(poller.packet().starts_with("42[\"auth\""));
        poller
    }

    fn target(&self) -> String {
        format!("{HANDSHAKE}&sid={}", self.sid)
    }

    /// A POST of this body.
    pub(crate) fn post(&self, body: &str) -> String {
        let target = self.target();
        let len = body.len();
        format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len}\r\n\r\n{body}")
    }

    /// The request of a poll.
    pub(crate) fn poll(&self) -> String {
        get(&self.target(), "")
    }

    /// Sends a payload of packets.
    pub(crate) fn send(&mut self, payload: &str) -> Response {
        let response = self.posts.ask(self.post(payload));
        assert_eq!((response.status, &*response.body), (200, "ok"), "{response:?}");
        response
    }

    /// The next packet that is no ping.
    pub(crate) fn packet(&mut self) -> String {
        loop {
            if let Some(packet) = self.packets.pop_front() {
                return packet;
            }
            let response = self.polls.ask(self.poll());
            assert_eq!(response.status, 200, "{response:?}");
            for packet in response.body.split('\x1e') {
                match packet {
                    "2" => drop(self.send("3")),
                    "6" => {}
                    _ => self.packets.push_back(packet.into()),
                }
            }
        }
    }

    /// Sends an event; `event` is its JSON array.
    pub(crate) fn emit(&mut self, event: &str) {
        self.send(&format!("42{event}"));
    }

    /// Sends an event that wants an acknowledgement; returns its id.
    pub(crate) fn emit_for_ack(&mut self, event: &str) -> u64 {
        let id = self.next_ack;
        self.next_ack += 1;
        self.send(&format!("42{id}{event}"));
        id
    }

    /// Sends an event and waits for its acknowledgement, leaving out what else comes.
    pub(crate) fn ask(&mut self, event: &str) -> String {
        let id = self.emit_for_ack(event);
        loop {
            let packet = self.packet();
            if let Some((acked, args)) = ack_of(&packet) {
                assert_eq!(acked, id, "acknowledgements come in order");
                return args.into();
            }
        }
    }

    pub(crate) fn join(&mut self, room: &str) {
        self.ask(&format!("[\"join\",\"{room}\"]"));
    }
}
