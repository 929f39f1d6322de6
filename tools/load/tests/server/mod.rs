//! A Socket.IO server for few connections that makes one mistake, or none.
//!
//! A thread for each connection; broadcasts are written by the speaker's.

mod outlet;
mod polling;
mod websocket;

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use outlet::Outlet;

/// What the server does wrong. Mistakes about messages are made with one message in a few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Nothing, but sends a byte at a time.
    Trickle,
    /// Nothing, but first wants its pings answered.
    AnswersAfterPongs,
    /// Sends two messages in the other order.
    Swaps,
    /// Never sends one.
    Loses,
    /// Sends one twice.
    Doubles,
    /// Changes a byte of one.
    Alters,
    /// Closes the connection instead of sending one.
    Closes,
    /// Nothing, but takes 1,000 bytes at most.
    TakesLittle,
    /// Answers every request with status 400.
    Refuses,
}

/// The server; its threads end with the process.
pub(crate) struct Server {
    address: SocketAddr,
}

/// What the threads share.
struct Shared {
    fault: Fault,
    rooms: Mutex<HashMap<String, Vec<Arc<Mutex<Outlet>>>>>,
    polling: Mutex<polling::Sessions>,
}

impl Server {
    /// Listens on a port of its own.
    pub(crate) fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { fault, rooms: Mutex::default(), polling: Mutex::default() });
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (shared, stream) = (Arc::clone(&shared), stream.unwrap());
                thread::spawn(move || serve(&shared, stream));
            }
        });
        Self { address }
    }

    /// An address where nobody listens.
    pub(crate) fn nobody() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { address: listener.local_addr().unwrap() }
    }

    /// Where to connect.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A connection is one for polling if its first request says so; its end is nobody's fault.
fn serve(shared: &Shared, stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut start = [0; 64];
    let mut length = 0;
    while length < start.len() {
        match stream.peek(&mut start) {
            Ok(0) | Err(_) => return,
            Ok(so_far) => length = so_far,
        }
    }
    let polling = start.windows(17).any(|it| it == b"transport=polling");
    let _ = if polling { polling::serve(shared, stream) } else { websocket::serve(shared, stream) };
}

fn open_packet(fault: Fault, sid: &str) -> String {
    let most = if fault == Fault::TakesLittle { 1_000 } else { 5_000_000 };
    format!(
        r#"0{{"sid":"{sid}","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":{most}}}"#
    )
}

const REFUSAL: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno";
