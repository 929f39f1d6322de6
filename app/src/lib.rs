//! A Socket.IO server that scales out by design: write handlers, get every core.
//!
//! ```no_run
//! use yamabiko::{App, Config, Namespace, Reject, Socket, serve};
//!
//! fn chat() -> Namespace {
//!     Namespace::new()
//!         .on_connect(async |socket: Socket| {
//!             socket.join("lobby").ok();
//!         })
//!         .on("say", async |socket: Socket, room: String, text: String| -> Result<usize, Reject> {
//!             socket.to(&room).emit("said", &(socket.id(), &text))?; // every core
//!             Ok(text.len()) // the client's acknowledgement
//!         })
//!         .on_disconnect(async |socket: Socket, reason| {
//!             tracing::info!(id = socket.id(), %reason, "left");
//!         })
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     serve(Config::from_args()?, |_core| App::new().namespace("/", chat()))?;
//!     Ok(())
//! }
//! ```
//!
//! # Which state is whose
//!
//! | state | lives | the way to it |
//! |---|---|---|
//! | of a socket | with the socket, on its core | [`Socket::set`], [`Socket::get`], what a [guard](Namespace::guard) returns |
//! | of a socket, for others to read | with the socket | [`Socket::set_data`], [`Socket::data`] |
//! | of a core | in what the factory makes | `Rc`, `RefCell`, captured by handlers |
//! | of the node | in memory that all cores share | `Arc`, atomics, captured by the factory |
//! | of the cluster | in a database of yours | |
//!
//! Handlers run on the core that owns their socket and never leave it. So what they capture needs no
//! `Send` and no lock, and **what one core keeps no other core sees**. Rooms and broadcasts are the
//! exception: they reach every core. A handler that blocks its thread stops every socket of its core:
//! wait with `.await`, and hand long work to a thread.
//!
//! # Order and failure
//!
//! Handlers of one socket start in the order in which its events arrived, each running to its first wait
//! before the next starts; [middleware](Namespace::middleware) that waits keeps that order. One that does not wait, `async` or not, costs no task. One that waits delays
//! nobody. A panic in one ends its socket, with DISCONNECT, and nothing else. What a refusal or an argument
//! of the wrong type becomes is told at [`IntoAck`] and [`Namespace::on`].
//!
//! # HTTP beside it, and applications of several parts
//!
//! An [`App`] is a [`Router`] too: routes with parameters, layers (Express's middleware), files, bodies in
//! pieces, server-sent events. Handlers are `async`, may wait, and may share an `Rc`. An app can be
//! [mounted](App::mount) in another, with its routes, layers, files and namespaces.
//!
//! ```
//! use std::cell::RefCell;
//! use std::rc::Rc;
//! use yamabiko::{App, Failure, Files, Json, Namespace, RequestExt, Socket, compression};
//!
//! fn chat() -> App {
//!     let lines: Rc<RefCell<Vec<String>>> = Rc::default(); // per core
//!     let (heard, recent) = (Rc::clone(&lines), lines);
//!     App::new()
//!         .namespace("/", Namespace::new().on("say", move |_: Socket, text: String| {
//!             heard.borrow_mut().push(text);
//!         }))
//!         .get("/recent/{count}", async move |request| -> Result<_, Failure> {
//!             let count: usize = request.param("count")?; // 400 if it is no number
//!             Ok(Json(recent.borrow().iter().rev().take(count).cloned().collect::<Vec<_>>()))
//!         })
//! }
//!
//! fn site() -> App {
//!     App::new()
//!         .layer(compression())
//!         .files("/", Files::new("public"))
//!         .mount("/chat", chat()) // GET /chat/recent/10, and namespace /chat
//! }
//! # site();
//! ```
//!
//! # Modules
//!
//! The crate depends on `yamabiko-runtime`, which runs the cores, and on `yamabiko-protocol` for the types
//! of HTTP and of packets. It knows neither sockets of the operating system nor bytes on the wire, and not
//! what the cores' executor is.
//!
//! | module | what it owns |
//! |---|---|
//! | `app` | what an application is made of, and applications mounted in it |
//! | [`http`] | routers, layers, files, bodies in pieces |
//! | [`engine`] | requests of Socket.IO's own path: who may begin a session, headers, refusals |
//! | `namespace`, `handler`, `answer` | handlers; their arguments; what becomes of what they return |
//! | `pattern`, `space` | dynamic namespaces; the namespaces of a core |
//! | `actor` | the other style: one value for each client, one thing at a time |
//! | `hooks`, `task`, `interval`, `blocking` | work beside the handlers: at the start and the end, for long, again and again, on other threads |
//! | `socket`, `handshake`, `sending` | one client; what is known of it; how it is sent something |
//! | `broadcast`, `whom` | many clients; who is meant, and how |
//! | `remote`, `responses`, `handle` | sockets of other cores; what many answer; the way in from other threads |
//! | `data`, `listeners`, `rare` | a socket's data for others; its own listeners; what few sockets have |
//! | `running`, `dispatch`, `middleware` | how a shard's events reach the handlers, and what they pass |
//! | `room`, `census` | rooms coming and going; how many there are |
//! | `server`, `config` | starting a node; options from file, environment and flags |
//! | `serve_client` | the official client's files |
//! | `demo` | the chat that the `yamabiko` binary serves |

mod actor;
mod answer;
mod app;
mod assign;
mod blocking;
mod broadcast;
mod census;
mod config;
mod data;
pub mod demo;
mod dispatch;
mod emitter;
pub mod engine;
mod handle;
mod handler;
mod handshake;
mod hooks;
pub mod http;
mod interval;
mod listeners;
mod middleware;
mod namespace;
mod pattern;
mod rare;
mod remote;
mod responses;
mod room;
mod running;
mod sending;
mod serve_client;
mod server;
mod socket;
mod space;
mod task;
mod whom;

pub use self::http::{
    Body, Client, Dotfiles, Failure, Files, Html, IntoResponse, Json, Next, Redirect, Request,
    RequestExt, Response, Route, Router, Sse, SseEvent, SseSender, compression,
};
pub use actor::{Actor, Address, Events, Mailbox, Method, Receive, Undelivered};
pub use answer::{EventError, IntoAck, Outcome, Reject};
pub use app::App;
pub use blocking::blocking;
pub use broadcast::Broadcast;
pub use config::{Config, ConfigError, LogFormat, Options, ServeClient};
pub use emitter::{Addressed, Emitter};
pub use engine::{ConnectionError, RequestHead};
pub use handle::{Handle, Meant, TellError};
pub use handler::{EventHandler, marker};
pub use handshake::Handshake;
pub use interval::{Interval, MissedTicks};
pub use middleware::Middleware;
pub use namespace::Namespace;
pub use pattern::NamespacePattern;
pub use rare::ListenerId;
pub use regex::Regex;
pub use remote::{Fetched, RemoteSocket};
pub use responses::{AcksFailure, Incomplete};
pub use room::Room;
pub use sending::Sending;
pub use serve_client::Bundle;
pub use server::{Core, Ready, Server, serve};
pub use socket::{AckFailure, Socket};
pub use task::Task;
pub use yamabiko_protocol::msgpack::Date;
pub use yamabiko_protocol::parser::{Args, ArgsError, Event, Parser};
pub use yamabiko_protocol::socket::Binary;
pub use yamabiko_runtime::{
    Adapter, Cluster, ClusterState, ConnectionStateRecovery, Count, DisconnectReason, EmitArgs,
    EmitError, EmitterError, Gone, HttpCompression, IpNet, JoinError, NodeInfo, RawArgs, Redis,
    Secret, ServeError, Settings, ShardMetrics, Unreached,
};
