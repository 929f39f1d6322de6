//! Who runs where.
//!
//! One glommio executor is pinned to each core. On it runs one shard: its own `SO_REUSEPORT` listener, its
//! own io_uring, its own connections, sessions, sockets and rooms. Shards share nothing but the registry
//! of namespaces, the directory of interest and the channels between them. The crate knows no application: it calls one through the
//! [`Application`] trait and serves it through [`Shard`].
//!
//! It may depend on `yamabiko-protocol` for what bytes mean, on glommio, io-uring and flume; never on
//! the crate that people write their app against.
//!
//! | module | what it owns |
//! |---|---|
//! | `boot`, `driver`, `heart` | one executor per core, signals, supervision; the task that turns a shard |
//! | `preflight`, `settings`, `metrics` | what is checked, set and counted |
//! | `shard` | everything one core owns, and its turn |
//! | `ring`, `listener`, `entrance` | the network: io_uring behind one interface, listeners |
//! | `connection`, `outbox`, `incoming` | the actor of one TCP connection: life, writes, reads |
//! | `overtaken` | polls that came later than the farewell sent after them |
//! | `request`, `engine_request`, `polling`, `upgrade` | the way of HTTP requests: heads and bodies, sessions, POSTs, WebSocket handshakes |
//! | `decision`, `engine_hooks` | handshakes that wait for the application's leave; what else it says to requests of sessions |
//! | `exchange`, `request_body`, `response_body` | requests of the application: their bodies in, their answers out, in pieces |
//! | `answer`, `compressor`, `frames` | the way of HTTP answers, smaller ones to polls, and that of WebSocket frames |
//! | `session`, `socket`, `namespace` | Engine.IO sessions; Socket.IO packets; joining and leaving namespaces |
//! | `registry`, `catalog`, `census` | the namespaces of the node, those that a shard has met; how many there are of everything |
//! | `packet`, `raw`, `emit`, `task` | what is sent to sockets, also without being read; the futures of handlers |
//! | `room`, `membership`, `interest`, `broadcast` | rooms here, who is in them, interest across the node, one event to many |
//! | `outgoing` | telling the application what its sockets are sent |
//! | `operation`, `inquiry`, `gathering` | what is done to many sockets; what shards ask each other; what comes back |
//! | `recovery` | clients that come back: what they get again, and what is kept for that |
//! | `bridge`, `cluster` | the thread that talks to Redis; what nodes tell each other over it |
//! | `mesh`, `handoff`, `outside` | channels between shards; connections that move to their session's owner; other threads |
//! | `nodes`, `relay` | the nodes of the cluster; connections passed on to the node that owns their session, and taken from others |
//! | `wheel`, `identity` | timers; ids that name their owner |

mod answer;
mod application;
mod boot;
mod bridge;
mod broadcast;
mod catalog;
mod census;
mod cluster;
mod compressor;
mod connection;
mod decision;
mod driver;
mod emit;
mod ending;
mod engine_hooks;
mod engine_request;
mod entrance;
mod exchange;
mod frames;
mod gathering;
mod handoff;
mod heart;
mod identity;
mod incoming;
mod inquiry;
mod interest;
mod listener;
mod membership;
mod mesh;
mod metrics;
mod namespace;
mod nodes;
mod operation;
mod outbox;
mod outgoing;
mod outside;
mod overtaken;
mod packet;
mod polling;
mod preflight;
mod raw;
mod recovery;
mod registry;
mod relay;
mod request;
mod request_body;
mod response_body;
mod ring;
mod room;
mod session;
mod settings;
mod shard;
mod socket;
mod task;
mod upgrade;
mod wheel;

pub use application::{
    Application, DisconnectReason, EngineApplication, HttpReply, NamespaceId, RoomChange,
    SessionKey, SocketKey, SocketState,
};
pub use boot::{Ready, ServeError, serve};
pub use broadcast::Target;
pub use census::Count;
pub use cluster::{ClusterState, Emitter, EmitterError};
pub use decision::Decision;
pub use emit::{EmitOptions, Handshake};
pub use ending::Hold;
pub use engine_hooks::EngineHooks;
pub use exchange::{Client, Departure, Exchange};
pub use gathering::Gathered;
pub use inquiry::{Item, OnGathered, ServerReply, SocketInfo};
pub use interest::SHARDS_MAX;
pub use ipnet::IpNet;
pub use membership::JoinError;
pub use metrics::{Counter, ShardMetrics};
pub use nodes::{Assignment, NodeInfo, assign};
pub use operation::Operation;
pub use outside::{Outside, Unreached};
pub use packet::{EmitArgs, EmitError, Gone};
pub use preflight::Unfit;
pub use raw::RawArgs;
pub use recovery::Recovered;
pub use request_body::{BodyError, RequestBody};
pub use response_body::{ResponseBody, WriteError};
pub use settings::{
    Adapter, Cluster, ConnectionStateRecovery, HttpCompression, Limits, Redis, RingSettings,
    Secret, Settings,
};
pub use shard::Shard;
pub use socket::{AckCallback, AckError};
