//! The server's WebSocket side.

use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

use tungstenite::Message as Frame;
use tungstenite::WebSocket;

use super::outlet::{Message, Outlet, Sink};
use super::{Fault, REFUSAL, Shared, open_packet};

/// Serves one client to its end.
pub(crate) fn serve(shared: &Shared, mut stream: TcpStream) -> io::Result<()> {
    if shared.fault == Fault::Refuses {
        return stream.write_all(REFUSAL);
    }
    let wire = Wire { stream: stream.try_clone()?, trickles: shared.fault == Fault::Trickle };
    let socket =
        tungstenite::accept(stream).map_err(|error| io::Error::other(error.to_string()))?;
    let outlet = Outlet::start(shared.fault, wire);
    let end = Client { shared, socket, outlet: Arc::clone(&outlet) }.run();
    for members in shared.rooms.lock().unwrap().values_mut() {
        members.retain(|member| !Arc::ptr_eq(member, &outlet));
    }
    end
}

struct Wire {
    stream: TcpStream,
    trickles: bool,
}

impl Sink for Wire {
    fn send(&mut self, message: &Message) -> io::Result<()> {
        let mut bytes = frame(1, message.packet.as_bytes());
        bytes.extend(message.attachment.iter().flat_map(|attachment| frame(2, attachment)));
        if self.trickles {
            return bytes.chunks(1).try_for_each(|byte| self.stream.write_all(byte));
        }
        self.stream.write_all(&bytes)
    }

    fn close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

struct Client<'a> {
    shared: &'a Shared,
    socket: WebSocket<TcpStream>,
    outlet: Arc<Mutex<Outlet>>,
}

impl Client<'_> {
    fn run(&mut self) -> io::Result<()> {
        self.control(&open_packet(self.shared.fault, "session"))?;
        assert_eq!(self.text()?, "40");
        if self.shared.fault == Fault::AnswersAfterPongs {
            self.control("2")?;
            assert_eq!(self.text()?, "3");
        }
        self.control(r#"40{"sid":"socket"}"#)?;
        if self.shared.fault == Fault::AnswersAfterPongs {
            self.control("2")?;
            self.socket.get_mut().write_all(&frame(9, b"are you there?"))?;
            // Questions may come first; this server does not mind losing none of them.
            let mut early = Vec::new();
            let (mut pong, mut low_pong) = (false, false);
            while !(pong && low_pong) {
                match self.read()? {
                    Frame::Text(text) if text == "3" => pong = true,
                    Frame::Pong(bytes) if bytes == "are you there?".as_bytes() => low_pong = true,
                    other => early.push(other),
                }
            }
            let mut early = early.into_iter();
            while let Some(frame) = early.next() {
                self.packet(frame, &mut early)?;
            }
        }
        loop {
            let frame = self.read()?;
            self.packet(frame, &mut std::iter::empty())?;
        }
    }

    /// Handles a packet. Its attachment is in `early`, or still to be read.
    fn packet(&mut self, frame: Frame, early: &mut dyn Iterator<Item = Frame>) -> io::Result<()> {
        let Frame::Text(text) = frame else { panic!("{frame:?} without an announcement") };
        let packet = text.as_str();
        let start = packet.find('[').expect("an event");
        let (kind, json) = packet.split_at(start);
        let event: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
        match (kind.get(..2), event[0].as_str(), kind.strip_prefix("451-")) {
            (_, Some("echo"), Some(id)) => {
                assert_eq!(event[1], serde_json::json!({ "_placeholder": true, "num": 0 }));
                let attachment = match early.next() {
                    Some(frame) => frame,
                    None => self.read()?,
                };
                let packet = format!(r#"461-{id}[{{"_placeholder":true,"num":0}}]"#);
                let attachment = Some(attachment.into_data().to_vec());
                self.outlet.lock().unwrap().message(Message { packet, attachment })
            }
            (Some("42"), Some("echo"), None) => {
                let packet = format!("43{}[{}]", &kind[2..], event[1]);
                self.outlet.lock().unwrap().message(Message { packet, attachment: None })
            }
            (Some("42"), Some("join"), None) => {
                let mut rooms = self.shared.rooms.lock().unwrap();
                let room = event[1].as_str().unwrap().to_owned();
                rooms.entry(room).or_default().push(Arc::clone(&self.outlet));
                drop(rooms);
                self.control(&format!("43{}[]", &kind[2..]))
            }
            (Some("42"), Some("say"), None) => {
                let rooms = self.shared.rooms.lock().unwrap();
                for member in &rooms[event[1].as_str().unwrap()] {
                    let packet = format!(r#"42["said",{}]"#, event[2]);
                    let _ = member.lock().unwrap().message(Message { packet, attachment: None });
                }
                Ok(())
            }
            _ => panic!("{packet}"),
        }
    }

    fn control(&self, packet: &str) -> io::Result<()> {
        self.outlet.lock().unwrap().control(packet)
    }

    fn read(&mut self) -> io::Result<Frame> {
        match self.socket.read() {
            Ok(Frame::Close(_)) | Err(_) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(frame) => Ok(frame),
        }
    }

    fn text(&mut self) -> io::Result<String> {
        match self.read()? {
            Frame::Text(text) => Ok(text.to_string()),
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Client<'_> {
    /// The rooms may still hold the writing half.
    fn drop(&mut self) {
        let _ = self.socket.get_ref().shutdown(Shutdown::Both);
    }
}

/// A frame of a server.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..=125 => frame.push(length as u8),
        length @ 126..=65535 => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}
