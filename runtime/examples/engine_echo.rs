//! Engine.IO alone: every message comes back. This is what the protocol's own test suites ask for.
//!
//! Environment: `PORT`, `SHARDS`, `ALLOW_EIO3` (1 for clients of revision 3), `EIO_PATH` (default `/engine.io`), `PING_INTERVAL` and `PING_TIMEOUT`
//! in milliseconds. Prints `ready <port>`.
#![allow(clippy::print_stdout)]

use std::env;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use yamabiko_protocol::engine::Data;
use yamabiko_protocol::message::{Message, TextMessage};
use yamabiko_protocol::parser::Event;
use yamabiko_runtime::{
    Application, DisconnectReason, EngineApplication, NamespaceId, SessionKey, Settings, Shard,
    SocketKey, SocketState, serve,
};

#[derive(Clone)]
struct Echo(Shard);

impl EngineApplication for Echo {
    fn open(&self, _: SessionKey) {}

    fn message(&self, session: SessionKey, data: &Data<'_>) {
        let message = match data {
            Data::Text(text) => Message::Text(TextMessage::new(text)),
            Data::Binary(bytes) => Message::Binary(Bytes::copy_from_slice(bytes)),
        };
        self.0.send_engine(session, message);
    }

    fn close(&self, _: SessionKey, _: DisconnectReason) {}
}

impl Application for Echo {
    fn namespaces(&self) -> Vec<String> {
        Vec::new()
    }

    fn connect(&self, _: SocketKey, _: NamespaceId, _: Option<&str>) {}

    fn event(&self, _: SocketKey, _: NamespaceId, _: Option<&SocketState>, _: &Event<'_>) {}

    fn disconnect(
        &self,
        _: SocketKey,
        _: NamespaceId,
        _: Option<&SocketState>,
        _: DisconnectReason,
    ) {
    }

    fn engine(&self) -> Option<Rc<dyn EngineApplication>> {
        Some(Rc::new(self.clone()))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let number = |name: &str, default: u64| -> Result<u64, std::num::ParseIntError> {
        env::var(name).map_or(Ok(default), |value| value.parse())
    };
    let settings = Settings {
        listen: ([127, 0, 0, 1], number("PORT", 3000)? as u16).into(),
        shards: Some(number("SHARDS", 1)? as usize),
        path: env::var("EIO_PATH").unwrap_or_else(|_| "/engine.io".into()),
        allow_eio3: number("ALLOW_EIO3", 0)? == 1,
        ping_interval: Duration::from_millis(number("PING_INTERVAL", 300)?),
        ping_timeout: Duration::from_millis(number("PING_TIMEOUT", 200)?),
        ..Settings::default()
    };
    let echo = |shard| Rc::new(Echo(shard)) as Rc<dyn Application>;
    serve(settings, echo, |ready| println!("ready {}", ready.address.port()))?;
    Ok(())
}
