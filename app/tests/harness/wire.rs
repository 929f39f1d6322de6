//! One TCP connection that a test writes raw bytes to, and HTTP responses read from it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::SockRef;

/// How long a read may wait before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// The target of a polling handshake.
pub(crate) const HANDSHAKE: &str = "/socket.io/?EIO=4&transport=polling";

/// The headers of a WebSocket upgrade.
pub(crate) const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A request without body.
pub(crate) fn get(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

/// A client's side of a TCP connection.
pub(crate) struct Wire {
    stream: TcpStream,
    /// Bytes that were read ahead.
    ahead: Vec<u8>,
}

/// An HTTP response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Status line and header lines.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Wire {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server accepts");
        Self::from(stream)
    }

    pub(crate) fn from(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, ahead: Vec::new() }
    }

    /// Its own end of the connection.
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Sends bytes. A peer that has closed meanwhile is no error: what it said is read next.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        match self.stream.write_all(bytes.as_ref()) {
            Err(error) if !is_closed(&error) => panic!("cannot send: {error}"),
            _ => {}
        }
    }

    /// Sends bytes; whether the peer still takes them.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends as many of these bytes as the peer takes until it has taken nothing for a while. Returns how
    /// many that were.
    pub(crate) fn send_until_stuck(&mut self, bytes: &[u8], patience: Duration) -> usize {
        self.stream.set_write_timeout(Some(patience)).unwrap();
        let mut sent = 0;
        while sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Ok(len) => sent += len,
                Err(_) => break,
            }
        }
        self.stream.set_write_timeout(Some(PATIENCE)).unwrap();
        sent
    }

    /// Says that nothing more will come.
    pub(crate) fn end(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Closes with RST instead of FIN.
    pub(crate) fn reset(self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Reads some bytes; `None` at the end of the stream, also when it was reset.
    fn read_some(&mut self) -> Option<usize> {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => None,
            Ok(len) => {
                self.ahead.extend_from_slice(&piece[..len]);
                Some(len)
            }
            Err(error) if is_closed(&error) => None,
            Err(error) => panic!("waited in vain: {error}; got {:?}", self.ahead_text()),
        }
    }

    fn ahead_text(&self) -> String {
        String::from_utf8_lossy(&self.ahead).into_owned()
    }

    /// Exactly `len` bytes; `None` if the stream ends before.
    pub(crate) fn read_exact(&mut self, len: usize) -> Option<Vec<u8>> {
        while self.ahead.len() < len {
            self.read_some()?;
        }
        let rest = self.ahead.split_off(len);
        Some(std::mem::replace(&mut self.ahead, rest))
    }

    /// Everything up to the end of the stream.
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        while self.read_some().is_some() {}
        std::mem::take(&mut self.ahead)
    }

    /// Whether nothing comes for a while.
    pub(crate) fn is_silent_for(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        self.stream.set_read_timeout(Some(time)).unwrap();
        let got = self.stream.read(&mut [0; 1]);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let timed_out = got.is_err_and(|error| {
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
        });
        timed_out && self.ahead.is_empty() && Instant::now() >= deadline
    }

    /// The next response; `None` if the stream ends before one has begun.
    pub(crate) fn response(&mut self) -> Option<Response> {
        let mut response = self.head()?;
        let body = match response.header("content-length") {
            Some(len) => self.read_exact(len.parse().unwrap()).expect("a whole body"),
            None if response.header("transfer-encoding") == Some("chunked") => {
                let mut body = Vec::new();
                while let chunk = self.chunk().expect("a whole body")
                    && !chunk.is_empty()
                {
                    body.extend(chunk);
                }
                body
            }
            None => Vec::new(),
        };
        response.body = String::from_utf8(body).unwrap();
        Some(response)
    }

    /// The next chunk of a body, empty at the end; `None` if the stream ends instead.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let line_end = loop {
            if let Some(at) = self.ahead.windows(2).position(|it| it == b"\r\n") {
                break at + 2;
            }
            self.read_some()?;
        };
        let line = String::from_utf8(self.read_exact(line_end)?).unwrap();
        let len = usize::from_str_radix(line.trim_end(), 16).expect("a chunk's size");
        let mut chunk = self.read_exact(len + 2)?;
        assert_eq!(chunk.split_off(len), b"\r\n");
        Some(chunk)
    }

    /// The head of the next response; `None` if the stream ends before one has begun.
    pub(crate) fn head(&mut self) -> Option<Response> {
        let end = loop {
            if let Some(at) = self.ahead.windows(4).position(|it| it == b"\r\n\r\n") {
                break at + 4;
            }
            if self.read_some().is_none() {
                assert!(self.ahead.is_empty(), "half a response: {}", self.ahead_text());
                return None;
            }
        };
        let head = String::from_utf8(self.read_exact(end)?).unwrap();
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status: {head}"));
        Some(Response { status, head, body: String::new() })
    }

    /// Sends a request and reads its answer, if the connection is still open for it.
    pub(crate) fn response_or_none(&mut self, request: impl AsRef<[u8]>) -> Option<Response> {
        self.send(request);
        self.response()
    }

    /// Sends a request and reads its answer.
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Response {
        self.send(request);
        self.response().expect("an answer")
    }
}

impl Response {
    /// The first header of that name, given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (other, value) = line.split_once(':')?;
            other.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The session's id, in the answer to a polling handshake.
    pub(crate) fn sid(&self) -> &str {
        let at = self.body.find("\"sid\":\"").unwrap_or_else(|| panic!("no handshake: {self:?}"));
        &self.body[at + 7..at + 27]
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
    )
}
