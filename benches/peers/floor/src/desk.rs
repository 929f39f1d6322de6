//! One thread's desk: bytes of its connections in, answers into their output.
//!
//! It owns everything but the waiting for sockets, which is the engine's.

use std::mem;
use std::sync::Arc;

use crate::connection::{Connections, Phase};
use crate::descriptor::Descriptor;
use crate::frame::{self, Taken};
use crate::http::{self, Request};
use crate::mail::{Letter, Mail, Mailbox, Place};
use crate::packet::{self, Packet};
use crate::rooms::Rooms;
use crate::sessions::{Polled, Posted, SEPARATOR, Sessions};
use crate::sid::{Sid, Sids};

/// What one thread serves.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) connections: Connections,
    thread: usize,
    rooms: Rooms,
    sids: Sids,
    sessions: Arc<Sessions>,
    mail: Mail,
    /// Packets of a polling body, while it is put together.
    packets: Vec<u8>,
}

impl Desk {
    pub(crate) fn new(thread: usize, sessions: Arc<Sessions>, mail: Mail) -> Self {
        Self {
            connections: Connections::default(),
            thread,
            rooms: Rooms::default(),
            sids: Sids::new(),
            sessions,
            mail,
            packets: Vec::new(),
        }
    }

    /// Answers what a connection has sent.
    #[inline]
    pub(crate) fn receive(&mut self, slot: u32, bytes: &mut [u8]) {
        let connection = self.connections.known(slot);
        if connection.rest.is_empty() {
            let used = self.answer(slot, bytes);
            if used < bytes.len() {
                self.connections.known(slot).rest.extend_from_slice(&bytes[used..]);
            }
            return;
        }
        let mut rest = mem::take(&mut connection.rest);
        rest.extend_from_slice(bytes);
        let used = self.answer(slot, &mut rest);
        if used < rest.len() {
            rest.drain(..used);
            self.connections.known(slot).rest = rest;
        } else {
            self.connections.spare(rest);
        }
    }

    /// Gives letters of other threads to the GETs that wait here.
    pub(crate) fn deliver(&mut self, mailbox: &Mailbox) {
        for Letter { to, packets } in mailbox.take() {
            hand_over(&mut self.connections, to, &packets);
        }
    }

    /// Ends a turn: exchanges `slots`, which is empty, for the connections that have output.
    #[inline]
    pub(crate) fn end_turn(&mut self, slots: &mut Vec<u32>) {
        if self.rooms.have_news() {
            self.rooms.spread(&mut self.connections);
        }
        self.connections.take_listed(slots);
    }

    /// Forgets a connection; its descriptor is the engine's to close.
    pub(crate) fn dismiss(&mut self, slot: u32) -> Option<Descriptor> {
        let connection = self.connections.dismiss(slot)?;
        self.rooms.leave(&connection.memberships, &mut self.connections);
        if let Phase::Http(Some(sid)) = connection.phase {
            let place = Place { thread: self.thread, slot, serial: connection.serial };
            self.sessions.abandon(&sid, place);
        }
        Some(connection.descriptor)
    }

    /// How many bytes were used; the rest is not whole.
    fn answer(&mut self, slot: u32, bytes: &mut [u8]) -> usize {
        let mut used = 0;
        while self.connections.known(slot).phase != Phase::WebSocket {
            match http::take(&bytes[used..]) {
                http::Taken::Request(request, length) => {
                    used += length;
                    self.answer_request(slot, request);
                }
                http::Taken::Partial => return used,
                http::Taken::Broken => return self.refuse(slot, bytes),
            }
            if used == bytes.len() {
                return used;
            }
        }
        loop {
            let (opcode, payload, length) = match frame::take(&mut bytes[used..]) {
                Taken::Frame { opcode, payload, used } => (opcode, payload, used),
                Taken::Partial => return used,
                Taken::Broken => return self.refuse(slot, bytes),
            };
            used += length;
            match opcode {
                frame::TEXT => self.answer_packet(slot, payload),
                frame::BINARY => self.answer_attachment(slot, payload),
                frame::PING => frame::put(self.output(slot), frame::PONG, &[payload]),
                frame::CLOSE => {
                    frame::put(self.output(slot), frame::CLOSE, &[payload]);
                    return self.refuse(slot, bytes);
                }
                _ => {}
            }
        }
    }

    /// Closes a connection once it is flushed, and ignores what else it has sent.
    fn refuse(&mut self, slot: u32, bytes: &[u8]) -> usize {
        self.output(slot);
        self.connections.known(slot).leaving = true;
        bytes.len()
    }

    #[inline]
    fn answer_packet(&mut self, slot: u32, message: &[u8]) {
        match packet::read(message) {
            Packet::Echo { ack, arguments } => {
                frame::put(self.output(slot), frame::TEXT, &[b"43", ack, b"[", arguments]);
            }
            Packet::Say { room, payload } => self.rooms.say(room, payload),
            Packet::BinaryEcho { ack, arguments } => {
                let announced = &mut self.connections.known(slot).announced;
                announced.clear();
                put_binary_ack(announced, ack, arguments);
            }
            Packet::Join { ack, room } => {
                self.rooms.join(room, slot, &mut self.connections);
                frame::put(self.output(slot), frame::TEXT, &[b"43", ack, b"[]"]);
            }
            Packet::Connect => {
                let sid = self.sids.next();
                let parts: &[&[u8]] = &[br#"40{"sid":""#, &sid, br#""}"#];
                frame::put(self.output(slot), frame::TEXT, parts);
            }
            Packet::Other => {}
        }
    }

    #[inline]
    fn answer_attachment(&mut self, slot: u32, attachment: &[u8]) {
        let mut announced = mem::take(&mut self.connections.known(slot).announced);
        if announced.is_empty() {
            return;
        }
        let out = self.output(slot);
        frame::put(out, frame::TEXT, &[&announced]);
        frame::put(out, frame::BINARY, &[attachment]);
        announced.clear();
        self.connections.known(slot).announced = announced;
    }

    fn answer_request(&mut self, slot: u32, request: Request<'_>) {
        match request {
            Request::Upgrade(key) => {
                self.connections.known(slot).phase = Phase::WebSocket;
                let sid = self.sids.next();
                let out = self.connections.output(slot);
                http::put_upgraded(out, key);
                frame::put(out, frame::TEXT, &open_packet(&sid));
            }
            Request::Open => {
                let sid = self.sids.next();
                self.sessions.open(sid);
                let packet = open_packet(&sid).concat();
                http::put_packets(self.connections.output(slot), &packet);
            }
            Request::Get(sid) => self.poll(slot, &sid),
            Request::Post(sid, body) => self.post(slot, &sid, body),
            Request::Unknown => http::put_unknown_request(self.connections.output(slot)),
        }
    }

    fn poll(&mut self, slot: u32, sid: &Sid) {
        let connection = self.connections.known(slot);
        let place = Place { thread: self.thread, slot, serial: connection.serial };
        // Set before the session knows: from then on another thread may answer.
        connection.phase = Phase::Http(Some(*sid));
        self.packets.clear();
        match self.sessions.poll(sid, place, &mut self.packets) {
            Polled::Waits => return,
            Polled::Answered => {
                http::put_packets(self.connections.output(slot), &self.packets);
            }
            Polled::Unknown => http::put_unknown_session(self.connections.output(slot)),
        }
        self.connections.known(slot).phase = Phase::Http(None);
    }

    fn post(&mut self, slot: u32, sid: &Sid, body: &[u8]) {
        self.packets.clear();
        let mut ends = false;
        for message in body.split(|byte| *byte == SEPARATOR) {
            ends |= message == b"1";
            self.answer_posted(message);
        }
        match self.sessions.post(sid, &self.packets) {
            Posted::Unknown => {
                return http::put_unknown_session(self.connections.output(slot));
            }
            Posted::Queued => {}
            Posted::Awaited(to) if to.thread == self.thread => {
                hand_over(&mut self.connections, to, &self.packets);
            }
            Posted::Awaited(to) => self.mail.send(Letter { to, packets: self.packets.clone() }),
        }
        http::put_ok(self.connections.output(slot));
        if ends {
            self.sessions.close(sid);
        }
    }

    /// Appends the answer to one posted packet to the body. Rooms are not for polling.
    fn answer_posted(&mut self, message: &[u8]) {
        let packets = &mut self.packets;
        let before = packets.len();
        if before > 0 {
            packets.push(SEPARATOR);
        }
        let start = packets.len();
        match packet::read(message) {
            Packet::Echo { ack, arguments } => {
                for part in [b"43", ack, b"[", arguments] {
                    packets.extend_from_slice(part);
                }
            }
            Packet::BinaryEcho { ack, arguments } => put_binary_ack(packets, ack, arguments),
            Packet::Connect => {
                packets.extend_from_slice(br#"40{"sid":""#);
                packets.extend_from_slice(&self.sids.next());
                packets.extend_from_slice(br#""}"#);
            }
            // An attachment, in base64: it follows its packet, as it does in the answer.
            Packet::Other if message.first() == Some(&b'b') => packets.extend_from_slice(message),
            Packet::Other | Packet::Join { .. } | Packet::Say { .. } => {}
        }
        if packets.len() == start {
            packets.truncate(before);
        }
    }

    /// Where to answer a WebSocket: behind what was said before.
    #[inline]
    fn output(&mut self, slot: u32) -> &mut Vec<u8> {
        if self.rooms.have_news() && !self.connections.known(slot).memberships.is_empty() {
            self.rooms.spread(&mut self.connections);
        }
        self.connections.output(slot)
    }
}

/// Answers the GET that waits at a place, if it still does.
fn hand_over(connections: &mut Connections, to: Place, packets: &[u8]) {
    let Some(connection) = connections.get_mut(to.slot) else { return };
    if connection.serial == to.serial && matches!(connection.phase, Phase::Http(Some(_))) {
        connection.phase = Phase::Http(None);
        http::put_packets(connections.output(to.slot), packets);
    }
}

fn open_packet(sid: &Sid) -> [&[u8]; 3] {
    let end = br#"","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
    [br#"0{"sid":""#, sid, end]
}

#[inline]
fn put_binary_ack(out: &mut Vec<u8>, ack: &[u8], arguments: &[u8]) {
    for part in [b"461-", ack, b"[", arguments] {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    const UPGRADE: &[u8] =
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nSec-WebSocket-Key: k\r\n\r\n";

    fn desk() -> Desk {
        let (mail, _) = Mail::new(1).expect("sockets");
        Desk::new(0, Arc::default(), mail)
    }

    fn admit(desk: &mut Desk) -> u32 {
        let file = File::open("/dev/null").expect("a descriptor");
        desk.connections.admit(Descriptor::Own(file.into()))
    }

    /// Unmasked by a mask of zeros.
    fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame::put(&mut bytes, opcode, &[payload]);
        let start = bytes.len() - payload.len();
        bytes[1] |= 0x80;
        bytes.splice(start..start, [0; 4]);
        bytes
    }

    fn told(desk: &mut Desk, slot: u32) -> Vec<u8> {
        desk.end_turn(&mut Vec::new());
        mem::take(&mut desk.connections.known(slot).out)
    }

    fn ask(desk: &mut Desk, slot: u32, bytes: &[u8]) -> Vec<u8> {
        desk.receive(slot, &mut bytes.to_vec());
        told(desk, slot)
    }

    fn bare(payloads: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        payloads.iter().for_each(|payload| frame::put(&mut bytes, frame::TEXT, &[payload]));
        bytes
    }

    fn websocket(desk: &mut Desk) -> u32 {
        let slot = admit(desk);
        let opened = ask(desk, slot, UPGRADE);
        assert!(opened.starts_with(b"HTTP/1.1 101 "));
        assert!(opened.ends_with(br#""maxPayload":1000000}"#));
        slot
    }

    #[test]
    fn any_cut_of_what_is_asked_gets_the_same_answers() {
        let mut asked = UPGRADE.to_vec();
        asked.extend(frame(frame::TEXT, br#"427["echo","x"]"#));
        let event = br#"451-8["echo",{"_placeholder":true,"num":0}]"#;
        asked.extend(frame(frame::TEXT, event));
        asked.extend(frame(frame::BINARY, &[5; 300]));
        let mut expected = bare(&[br#"437["x"]"#, br#"461-8[{"_placeholder":true,"num":0}]"#]);
        frame::put(&mut expected, frame::BINARY, &[&[5; 300]]);
        for cut in 1..asked.len() {
            let mut desk = desk();
            let slot = admit(&mut desk);
            let mut answer = ask(&mut desk, slot, &asked[..cut]);
            answer.extend(ask(&mut desk, slot, &asked[cut..]));
            assert!(answer.ends_with(&expected), "cut at {cut}: {}", answer.escape_ascii());
        }
    }

    #[test]
    fn what_is_said_reaches_every_member_in_order_and_nobody_else() {
        let mut desk = desk();
        let (one, two, other) = (websocket(&mut desk), websocket(&mut desk), websocket(&mut desk));
        for slot in [one, two] {
            let join = frame(frame::TEXT, br#"421["join","r"]"#);
            assert_eq!(ask(&mut desk, slot, &join), bare(&[b"431[]"]));
        }
        let mut says = frame(frame::TEXT, br#"42["say","r","a"]"#);
        says.extend(frame(frame::TEXT, br#"42["say","r","b"]"#));
        says.extend(frame(frame::TEXT, br#"422["echo"]"#));
        says.extend(frame(frame::TEXT, br#"42["say","r","c"]"#));
        let [a, b, c] = [br#"42["said","a"]"#, br#"42["said","b"]"#, br#"42["said","c"]"#];
        assert_eq!(ask(&mut desk, one, &says), bare(&[a, b, b"432[]", c]));
        assert_eq!(told(&mut desk, two), bare(&[a, b, c]));
        assert_eq!(told(&mut desk, other), b"");
        drop(desk.dismiss(one));
        let say = frame(frame::TEXT, br#"42["say","r","a"]"#);
        assert_eq!(ask(&mut desk, other, &say), b"");
        assert_eq!(told(&mut desk, two), bare(&[a]));
        drop(desk.dismiss(two));
        assert_eq!(ask(&mut desk, other, &say), b"");
    }

    #[test]
    fn a_get_waits_for_the_answers_to_a_post() {
        let mut desk = desk();
        let (get, post) = (admit(&mut desk), admit(&mut desk));
        let head = "/socket.io/?EIO=4&transport=polling";
        let opened = ask(&mut desk, get, format!("GET {head} HTTP/1.1\r\n\r\n").as_bytes());
        let sid_at = memchr::memmem::find(&opened, b"sid\":\"").expect("a session") + 6;
        let sid = str::from_utf8(&opened[sid_at..sid_at + 20]).expect("text");
        let poll = format!("GET {head}&sid={sid} HTTP/1.1\r\n\r\n");
        assert_eq!(ask(&mut desk, get, poll.as_bytes()), b"");
        let body = "420[\"echo\",\"x\"]\x1e42[\"other\"]\x1e421[\"echo\"]";
        let body = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let body = format!("POST {head}&sid={sid} HTTP/1.1\r\n{body}");
        assert!(ask(&mut desk, post, body.as_bytes()).ends_with(b"ok"));
        assert!(told(&mut desk, get).ends_with(b"\r\n\r\n430[\"x\"]\x1e431[]"));
        let close = format!("POST {head}&sid={sid} HTTP/1.1\r\nContent-Length: 1\r\n\r\n1");
        assert!(ask(&mut desk, post, close.as_bytes()).ends_with(b"ok"));
        assert!(ask(&mut desk, get, poll.as_bytes()).starts_with(b"HTTP/1.1 400 "));
    }

    #[test]
    fn a_close_is_answered_and_ends_the_connection() {
        let mut desk = desk();
        let slot = websocket(&mut desk);
        let mut asked = frame(frame::CLOSE, &[3, 232]);
        asked.extend(frame(frame::TEXT, b"420[\"echo\"]"));
        assert_eq!(ask(&mut desk, slot, &asked), [0x88, 2, 3, 232]);
        assert!(desk.connections.known(slot).leaving);
        let broken = websocket(&mut desk);
        assert_eq!(ask(&mut desk, broken, &[0x81, 0x01, b'x']), b"");
        assert!(desk.connections.known(broken).leaving);
    }
}
