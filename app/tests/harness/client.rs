//! A Socket.IO client over WebSocket.

use std::net::SocketAddr;

use super::websocket::{TEXT, WebSocket};
use super::wire::Wire;

/// A client that is connected to `/`. It answers pings when it reads.
pub(crate) struct Client {
    pub(crate) socket: WebSocket,
    /// Its socket's id.
    pub(crate) id: String,
    next_ack: u64,
}

impl Client {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::connect(WebSocket::open(address))
    }

    pub(crate) fn on(wire: Wire) -> Self {
        Self::connect(WebSocket::on(wire, "/socket.io/?EIO=4&transport=websocket"))
    }

    /// On a connection that has been upgraded already.
    pub(crate) fn connect(socket: WebSocket) -> Self {
        let mut client = Self { socket, id: String::new(), next_ack: 0 };
        assert!(client.packet().expect("a handshake").starts_with("0{"));
        client.send("40");
        let connected = client.packet().expect("an answer");
        let id = connected.strip_prefix("40{\"sid\":\"").and_then(|it| it.strip_suffix("\"}"));
        client.id = id.unwrap_or_else(|| panic!("{connected}")).into();
        assert!(client.packet().expect("its first event").starts_with("42[\"auth\""));
        client
    }

    /// Sends an Engine.IO packet.
    pub(crate) fn send(&mut self, packet: &str) {
        self.socket.send_text(packet);
    }

    /// The next Engine.IO packet in text that is no ping; `None` when the connection ends.
    pub(crate) fn packet(&mut self) -> Option<String> {
        loop {
            let frame = self.socket.receive()?;
            match (frame.opcode(), &*frame.payload) {
                (TEXT, b"2") => self.send("3"),
                (TEXT, _) => return Some(frame.text().into()),
                _ => {}
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
            let packet = self.packet().expect("the connection lives");
            if let Some((acked, args)) = ack_of(&packet) {
                assert_eq!(acked, id, "acknowledgements come in order");
                return args.into();
            }
        }
    }

    /// Whether it is served.
    pub(crate) fn assert_alive(&mut self) {
        assert_eq!(self.ask("[\"message-with-ack\",\"alive\"]"), "[\"alive\"]");
    }

    pub(crate) fn join(&mut self, room: &str) {
        self.ask(&format!("[\"join\",\"{room}\"]"));
    }
}

/// Id and arguments of an acknowledgement.
pub(crate) fn ack_of(packet: &str) -> Option<(u64, &str)> {
    let rest = packet.strip_prefix("43")?;
    let at = rest.find('[')?;
    Some((rest[..at].parse().ok()?, &rest[at..]))
}

/// The JSON of an event without acknowledgement.
pub(crate) fn packet_of(packet: &str) -> Option<&str> {
    packet.strip_prefix("42").filter(|json| json.starts_with('['))
}
