//! The server's long-polling side. It answers GETs in chunks and POSTs with a length.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};

use super::outlet::{Message, Outlet, Sink};
use super::{Fault, REFUSAL, Shared, open_packet};

/// Sessions by id.
pub(crate) type Sessions = HashMap<String, Arc<Session>>;

/// One client's.
pub(crate) struct Session {
    outlet: Arc<Mutex<Outlet>>,
    waiting: Arc<Waiting>,
    /// Packets held back until a ping is answered; `None` after that.
    early: Mutex<Option<Vec<String>>>,
}

/// What the next GET brings; `None` once the session is closed.
struct Waiting {
    packets: Mutex<Option<Vec<String>>>,
    changed: Condvar,
}

impl Sink for Arc<Waiting> {
    fn send(&mut self, message: &Message) -> io::Result<()> {
        self.push(&message.packet)
    }

    fn close(&mut self) {
        *self.packets.lock().unwrap() = None;
        self.changed.notify_all();
    }
}

impl Waiting {
    fn push(&self, packet: &str) -> io::Result<()> {
        let mut packets = self.packets.lock().unwrap();
        packets.as_mut().ok_or(ErrorKind::NotConnected)?.push(packet.into());
        self.changed.notify_all();
        Ok(())
    }

    fn take(&self) -> io::Result<String> {
        let packets = self.packets.lock().unwrap();
        let mut packets =
            self.changed.wait_while(packets, |it| it.as_ref().is_some_and(Vec::is_empty)).unwrap();
        let packets = packets.as_mut().ok_or(ErrorKind::NotConnected)?;
        Ok(std::mem::take(packets).join("\x1e"))
    }
}

/// Serves one connection to its end.
pub(crate) fn serve(shared: &Shared, mut stream: TcpStream) -> io::Result<()> {
    if shared.fault == Fault::Refuses {
        return stream.write_all(REFUSAL);
    }
    let mut buffer = Vec::new();
    loop {
        let (is_post, sid, body) = request(&mut stream, &mut buffer)?;
        let Some(sid) = sid else {
            let sid = open(shared);
            chunked(&mut stream, shared.fault, &open_packet(shared.fault, &sid))?;
            continue;
        };
        let session = Arc::clone(&shared.polling.lock().unwrap()[&sid]);
        if is_post {
            body.split('\x1e').try_for_each(|packet| session.packet(packet))?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        } else {
            chunked(&mut stream, shared.fault, &session.waiting.take()?)?;
        }
    }
}

fn open(shared: &Shared) -> String {
    let packets = Mutex::new(Some(Vec::new()));
    let waiting = Arc::new(Waiting { packets, changed: Condvar::new() });
    let early = (shared.fault == Fault::AnswersAfterPongs).then(Vec::new);
    let outlet = Outlet::start(shared.fault, Arc::clone(&waiting));
    let session = Session { outlet, waiting, early: Mutex::new(early) };
    let mut sessions = shared.polling.lock().unwrap();
    let sid = format!("session-{}", sessions.len());
    sessions.insert(sid.clone(), Arc::new(session));
    sid
}

impl Session {
    fn packet(&self, packet: &str) -> io::Result<()> {
        let mut early = self.early.lock().unwrap();
        match (packet, &mut *early) {
            ("40", held) => {
                self.waiting.push(r#"40{"sid":"socket"}"#)?;
                if held.is_some() { self.waiting.push("2") } else { Ok(()) }
            }
            ("3", held) => {
                let held = held.take().expect("a ping");
                held.iter().try_for_each(|packet| self.echo(packet))
            }
            (question, Some(held)) => {
                held.push(question.into());
                Ok(())
            }
            (question, None) => self.echo(question),
        }
    }

    fn echo(&self, packet: &str) -> io::Result<()> {
        let (id, json) = packet.strip_prefix("42").unwrap().split_at(packet.find('[').unwrap() - 2);
        let event: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
        assert_eq!(event[0], "echo");
        let packet = format!("43{id}[{}]", event[1]);
        self.outlet.lock().unwrap().message(Message { packet, attachment: None })
    }
}

/// The next request: is it a POST, its session, its body.
fn request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> io::Result<(bool, Option<String>, String)> {
    let mut piece = vec![0; 1 << 16];
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(head) = request.parse(buffer).unwrap() {
            let is_post = request.method == Some("POST");
            let sid = request.path.unwrap().split_once("&sid=").map(|(_, sid)| sid.to_owned());
            let length = request.headers.iter().find(|it| it.name == "Content-Length");
            let length: usize =
                length.map_or(0, |it| str::from_utf8(it.value).unwrap().parse().unwrap());
            if buffer.len() >= head + length {
                let body = String::from_utf8(buffer[head..head + length].to_vec()).unwrap();
                buffer.drain(..head + length);
                return Ok((is_post, sid, body));
            }
        }
        match stream.read(&mut piece)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            taken => buffer.extend_from_slice(&piece[..taken]),
        }
    }
}

/// Answers with a body in two chunks, neither of which is empty: that would end it.
fn chunked(stream: &mut TcpStream, fault: Fault, body: &str) -> io::Result<()> {
    let mut response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.as_bytes().chunks(body.len().div_ceil(2)) {
        write!(response, "{:x}\r\n", chunk.len())?;
        response.extend_from_slice(chunk);
        response.extend_from_slice(b"\r\n");
    }
    response.extend_from_slice(b"0\r\n\r\n");
    if fault == Fault::Trickle {
        return response.chunks(1).try_for_each(|byte| stream.write_all(byte));
    }
    stream.write_all(&response)
}
