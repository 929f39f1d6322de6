//! A real server in a process of its own, and small blocking clients that can misbehave.
//!
//! The server is the example `interop`; its environment and events are the contract. Clients write raw
//! bytes, so that a test says exactly what goes over the wire, and every read has a time limit: a test
//! that waits for what never comes fails instead of hanging.
//!
//! Cargo builds the example for `cargo test`, but not for `cargo test --test NAME`: after a change of the
//! server, `cargo build --example interop` comes first.

#![allow(dead_code, unused_imports)] // each test file uses its part
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test may panic, and says why

mod client;
mod guest;
mod inside;
mod poller;
mod random;
mod server;
mod wait;
mod websocket;
mod wire;

pub(crate) use client::{Client, ack_of, packet_of};
pub(crate) use guest::Guest;
pub(crate) use inside::Inside;
pub(crate) use poller::Poller;
pub(crate) use random::Random;
pub(crate) use server::{Server, soon};
pub(crate) use wait::wait;
pub(crate) use websocket::{
    BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, TEXT, WebSocket, frame,
};
pub(crate) use wire::{HANDSHAKE, Response, UPGRADE, Wire, get};
