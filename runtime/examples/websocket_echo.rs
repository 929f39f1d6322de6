//! A plain WebSocket echo on `protocol::websocket`, for the Autobahn test suite: it tests our frame layer
//! and nothing above it, over ordinary sockets, a thread for each connection.
//!
//! Environment: `PORT` (default 9002). Prints `ready <port>`.
#![allow(clippy::print_stdout)]

use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use yamabiko_protocol::http::HeadParser;
use yamabiko_protocol::limits::{HttpLimits, WebSocketLimits};
use yamabiko_protocol::websocket::encode::{put_binary, put_close, put_pong, put_text};
use yamabiko_protocol::websocket::{Decoder, Event, accept};

/// Autobahn sends messages of 16 MiB.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

fn main() -> io::Result<()> {
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(9002);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    println!("ready {}", listener.local_addr()?.port());
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || echo(stream));
    }
    Ok(())
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::new();
    let taken = handshake(&mut stream, &mut received)?;
    received.drain(..taken);
    let mut decoder = Decoder::new(WebSocketLimits { message_bytes_max: MESSAGE_BYTES_MAX });
    let mut buffer = vec![0; 64 * 1024];
    let mut out = Vec::new();
    loop {
        let mut input = &mut received[..];
        loop {
            match decoder.decode(&mut input) {
                Ok(None) => break,
                Ok(Some(Event::Text(text))) => put_text(&mut out, &text),
                Ok(Some(Event::Binary(bytes))) => put_binary(&mut out, &bytes),
                Ok(Some(Event::Ping(payload))) => put_pong(&mut out, &payload),
                Ok(Some(Event::Pong(_))) => {}
                Ok(Some(Event::Close(close))) => {
                    put_close(&mut out, close.map(|(code, _)| (code, "")));
                    return stream.write_all(&out);
                }
                Err(violation) => {
                    put_close(&mut out, Some((violation.close_code(), "")));
                    stream.write_all(&out)?;
                    return stream.shutdown(std::net::Shutdown::Write);
                }
            }
        }
        stream.write_all(&out)?;
        out.clear();
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        received.clear();
        received.extend_from_slice(&buffer[..len]);
    }
}

/// Answers the upgrade; returns how many of the bytes received belonged to it.
fn handshake(stream: &mut TcpStream, received: &mut Vec<u8>) -> io::Result<usize> {
    let refused = || io::Error::new(io::ErrorKind::InvalidData, "no WebSocket handshake");
    let mut parser = HeadParser::default();
    let mut buffer = [0; 4096];
    loop {
        let len = stream.read(&mut buffer)?;
        if len == 0 {
            return Err(refused());
        }
        received.extend_from_slice(&buffer[..len]);
        let parsed = parser.parse(received, &HttpLimits::default()).map_err(|_| refused())?;
        if let Some((head, taken)) = parsed {
            let accepted = accept(|name| head.header(name)).map_err(|_| refused())?;
            let mut out = Vec::new();
            accepted.write_response(&mut out, &[]);
            stream.write_all(&out)?;
            return Ok(taken);
        }
    }
}
