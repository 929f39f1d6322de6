//! The WebSocket layer as its callers see it: bytes in, events and answers out.

mod client;
mod holes;
mod model;
mod rules;
mod transcript;
