//! Who runs where.
//!
//! One glommio executor is pinned to each core. On it runs one shard: its own `SO_REUSEPORT` listener, its
//! own io_uring, its own connections, sessions, sockets and rooms. Shards share nothing but the directory
//! of interest and the channels between them. The crate knows no application: it calls one through the
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
//! | `ring`, `listener` | the network: io_uring behind one interface, listeners |
//! | `connection`, `outbox`, `incoming` | the actor of one TCP connection: life, writes, reads |
//! | `overtaken` | polls that came later than the farewell sent after them |
//! | `request`, `answer`, `frames` | the way of HTTP requests, of their answers, of WebSocket frames |
//! | `session`, `socket`, `packet`, `emit` | Engine.IO sessions; Socket.IO sockets; what is sent to them |
//! | `room`, `interest`, `broadcast` | membership here, interest across the node, one event to many |
//! | `mesh`, `handoff` | channels between shards; connections that move to their session's owner |
//! | `wheel`, `identity` | timers; ids that name their owner |

mod answer;
mod application;
mod boot;
mod broadcast;
mod connection;
mod driver;
mod emit;
mod frames;
mod handoff;
mod heart;
mod identity;
mod incoming;
mod interest;
mod listener;
mod mesh;
mod metrics;
mod outbox;
mod overtaken;
mod packet;
mod preflight;
mod request;
mod ring;
mod room;
mod session;
mod settings;
mod shard;
mod socket;
mod wheel;

pub use application::{
    Application, DisconnectReason, EngineApplication, HttpReply, HttpRequest, NamespaceId,
    SessionKey, SocketKey, SocketState,
};
pub use boot::{Ready, ServeError, serve};
pub use broadcast::Target;
pub use emit::{EmitOptions, Handshake, JoinError};
pub use interest::SHARDS_MAX;
pub use metrics::{Counter, ShardMetrics};
pub use packet::{EmitArgs, EmitError, Gone, RawArgs};
pub use preflight::Unfit;
pub use settings::{Limits, RingSettings, Settings};
pub use shard::Shard;
pub use socket::{AckCallback, AckError};
