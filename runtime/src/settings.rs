//! What an operator or embedder sets, with Socket.IO's names and defaults.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use yamabiko_protocol::cluster::sharded::Mode as SubscriptionMode;
use yamabiko_protocol::engine;
use yamabiko_protocol::http::{Cookie, Cors};
use yamabiko_protocol::limits::{HttpLimits, MESSAGE_BYTES_MAX, PacketLimits, WebSocketLimits};
use yamabiko_protocol::parser::Parser;

use crate::registry::NAMESPACES_MAX;

/// The largest `dynamic_namespaces_max`: what is left of the ids is for those that are declared.
const DYNAMIC_NAMESPACES_MAX: usize = 60_000;
const _: () = assert!(DYNAMIC_NAMESPACES_MAX < NAMESPACES_MAX);

/// Settings of one node.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Shards to run; by default one for each core that this process may use.
    pub shards: Option<usize>,
    /// Pin each shard to a core.
    pub pin: bool,
    /// Give a new connection to the shard on the core that its first packet was handled at, where that
    /// core has one; without, and from other cores, the kernel spreads them by hash. Needs pinned shards.
    pub steer_by_cpu: bool,

    /// Socket.IO's `parser`: the form of all packets. Every client has to use the same.
    pub parser: Parser,
    /// Socket.IO's `path`: the Engine.IO path, without its trailing slash.
    pub path: String,
    /// Socket.IO's `addTrailingSlash`.
    pub add_trailing_slash: bool,
    /// Socket.IO's `transports` contains `polling`.
    pub polling: bool,
    /// Socket.IO's `transports` contains `websocket`.
    pub websocket: bool,
    /// Socket.IO's `allowUpgrades`.
    pub allow_upgrades: bool,
    /// Socket.IO's `allowEIO3`: clients of version 2.
    pub allow_eio3: bool,
    /// Socket.IO's `pingInterval`.
    pub ping_interval: Duration,
    /// Socket.IO's `pingTimeout`.
    pub ping_timeout: Duration,
    /// Socket.IO's `upgradeTimeout`.
    pub upgrade_timeout: Duration,
    /// Socket.IO's `connectTimeout`.
    pub connect_timeout: Duration,
    /// Socket.IO's `cleanupEmptyChildNamespaces`: a dynamic namespace goes with its last socket on the
    /// node.
    pub cleanup_empty_child_namespaces: bool,
    /// Socket.IO's `connectionStateRecovery`; off without it.
    pub connection_state_recovery: Option<ConnectionStateRecovery>,
    /// Socket.IO's `maxHttpBufferSize`, in bytes: the largest message and polling body.
    pub max_http_buffer_size: usize,
    /// Socket.IO's `httpCompression`; answers to polls are sent as they are without it.
    pub http_compression: Option<HttpCompression>,
    /// Socket.IO's `cors`; no header at all without it.
    pub cors: Option<Cors>,
    /// Socket.IO's `cookie`.
    pub cookie: Option<Cookie>,

    /// The Redis over which nodes of a cluster talk; without it the node is alone.
    pub redis: Option<Redis>,
    /// How the nodes of a cluster reach each other, and know that they do.
    pub cluster: Cluster,
    /// Connections from `trusted_proxies` begin with a header of the PROXY protocol, version 2, that says
    /// whose they are. Others do not.
    pub proxy_protocol: bool,
    /// Requests from `trusted_proxies` name their client in `X-Forwarded-For`.
    pub forwarded_for: bool,
    /// Networks of the proxies in front of this node.
    pub trusted_proxies: Vec<IpNet>,
    /// Bounds on what a peer may make the server hold.
    pub limits: Limits,
    /// Time for the clean shutdown before what is left is cut.
    pub shutdown_timeout: Duration,
    /// Sizes of the shard's ring.
    pub ring: RingSettings,
}

/// Bounds of one shard on what its peers may make it hold. Each has a counter in
/// [`ShardMetrics`](crate::ShardMetrics) for when it bites.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections of one shard; beyond it new ones are closed at once.
    pub connections_max: usize,
    /// Time from a connection's start, or a request's first byte, to the end of the request's head.
    pub header_timeout: Duration,
    /// Time for a polling request's body, or for all attachments of a binary packet, to arrive. For bodies
    /// that the application reads: for each 64 KiB of them, while it waits for them.
    pub body_timeout: Duration,
    /// Time in which a client must take some of an answer that waits for it: 4 KiB in each half of it.
    pub response_timeout: Duration,
    /// Time a connection may stay open between two requests.
    pub keep_alive_timeout: Duration,
    /// Bytes that may wait for one client. A client over it is disconnected; long before, at 64 KiB, it
    /// gets no volatile packets.
    pub outbox_bytes_max: usize,
    /// Bytes that may wait on their way through this node to another, in each direction; beyond it no more
    /// are read until half of them are gone.
    pub relay_bytes_max: usize,
    /// Time for a connection to another node.
    pub relay_connect_timeout: Duration,
    /// Namespaces that one client may have joined or asked to join.
    pub namespaces_per_client_max: usize,
    /// Dynamic namespaces of the whole node; who asks for one more is refused with "Too many namespaces".
    pub dynamic_namespaces_max: usize,
    /// Rooms that one socket may be in.
    pub rooms_per_socket_max: usize,
    /// Acknowledgements that the server may wait for from one socket.
    pub pending_acks_max: usize,
    /// Events of one socket that may wait: while its namespace's guards decide about it, or while its
    /// namespace's middleware decides about an earlier event.
    pub early_events_max: usize,
    /// Bounds on one HTTP request.
    pub http: HttpLimits,
    /// Bounds on one Socket.IO packet.
    pub packet: PacketLimits,
}

/// Which answers to polls are compressed, with gzip or deflate as the client likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpCompression {
    /// Socket.IO's `threshold`: shorter ones are sent as they are. Bytes.
    pub threshold: usize,
}

/// What is kept for clients that come back. Each shard keeps its own.
#[derive(Debug, Clone)]
pub struct ConnectionStateRecovery {
    /// Socket.IO's `maxDisconnectionDuration`: how long a client may be away.
    pub max_disconnection_duration: Duration,
    /// Socket.IO's `skipMiddlewares`: who comes back is not asked again.
    pub skip_middlewares: bool,
    /// Bytes of events that a shard keeps; the oldest go first, and with them the recovery of who needs
    /// them.
    pub log_bytes_max: usize,
    /// Clients that may be away from a shard at a time; those who went first go first.
    pub sessions_max: usize,
}

/// Where the nodes of a cluster meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redis {
    /// `redis://[user[:password]@]host[:port][/database]`.
    pub url: String,
    /// The option `key` of Node's adapters: what all channels start with.
    pub key: String,
    /// How nodes talk to each other.
    pub adapter: Adapter,
}

/// How nodes talk to each other over Redis: which of Node's adapters the cluster has. All nodes must have the
/// same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adapter {
    /// `createAdapter` of `@socket.io/redis-adapter`: everything by PUBLISH.
    Classic {
        /// The option `publishOnSpecificResponseChannel`: answers go to the channel of the node that asked.
        is_specific: bool,
    },
    /// `createShardedAdapter`: everything by SPUBLISH, with the option `subscriptionMode`. Redis 7 or newer.
    Sharded(SubscriptionMode),
}

impl Adapter {
    /// The adapter of that name (`classic` or `sharded`), with the sharded one's mode. Without names it is the
    /// default.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn named(name: Option<&str>, mode: Option<&str>) -> Result<Self, String> {
        match (name.unwrap_or("classic"), mode) {
            ("classic", None) => Ok(Self::default()),
            ("classic", Some(_)) => Err("subscription-mode needs the sharded redis-adapter".into()),
            ("sharded", mode) => match mode.unwrap_or("dynamic").parse() {
                Ok(mode) => Ok(Self::Sharded(mode)),
                Err(why) => Err(format!("subscription-mode: {why}")),
            },
            (other, _) => {
                Err(format!("redis-adapter: '{other}' is none; there are classic and sharded"))
            }
        }
    }
}

impl Default for Adapter {
    fn default() -> Self {
        Self::Classic { is_specific: false }
    }
}

impl Redis {
    /// A Redis at this address, with the adapters' own key.
    pub fn at(url: &str) -> Self {
        let key = yamabiko_protocol::cluster::PREFIX.into();
        Self { url: url.into(), key, adapter: Adapter::default() }
    }
}

/// How the nodes of a cluster reach each other. A request may arrive at any of them: one for a session of
/// another is passed on to that node, with its whole connection.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Where to listen for connections that other nodes pass on. Port 0 takes a free one.
    pub listen: Option<SocketAddr>,
    /// What all nodes know and nobody else: they sign with it what they say of a connection.
    pub secret: Option<Secret>,
    /// Networks of the other nodes; without any, whoever has the secret is one.
    pub peers: Vec<IpNet>,
    /// The number that this node has among `nodes`.
    pub slot: u16,
    /// Nodes by their numbers, with the addresses at which they listen for each other, where no Redis
    /// tells of them. This node may be among them.
    pub nodes: Vec<(u16, SocketAddr)>,
    /// The address of `listen` as other nodes reach it, where it is not the same.
    pub address: Option<SocketAddr>,
    /// Where clients reach this node and no other, as an URL.
    pub public_url: Option<String>,
    /// How many clients this node should have, beside others.
    pub weight: u32,
    /// Whether new clients should go elsewhere, from the start on.
    pub drain: bool,
    /// The path at which clients are told to which node they should connect.
    pub assign_path: String,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            listen: None,
            secret: None,
            peers: Vec::new(),
            slot: 0,
            nodes: Vec::new(),
            address: None,
            public_url: None,
            weight: 1,
            drain: false,
            assign_path: "/yamabiko/assign".into(),
        }
    }
}

/// A secret, which is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

/// Fewer bytes can be tried out.
const SECRET_BYTES_MIN: usize = 16;

impl Secret {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Cluster {
    fn check(&self) -> Result<(), String> {
        if self.listen.is_some() && self.secret.is_none() && self.peers.is_empty() {
            return Err("cluster-listener needs cluster-secret or cluster-peers".into());
        }
        if self.secret.as_ref().is_some_and(|it| it.as_bytes().len() < SECRET_BYTES_MIN) {
            return Err(format!("cluster-secret must have at least {SECRET_BYTES_MIN} characters"));
        }
        if self.weight == 0 {
            return Err("weight must be at least 1".into());
        }
        if !self.assign_path.starts_with('/') {
            return Err("assign-path must begin with a slash".into());
        }
        for (at, (slot, _)) in self.nodes.iter().enumerate() {
            if self.nodes[..at].iter().any(|(other, _)| other == slot) {
                return Err(format!("cluster-nodes names slot {slot} twice"));
            }
        }
        Ok(())
    }
}

/// Sizes of one shard's io_uring.
#[derive(Debug, Clone, Copy)]
pub struct RingSettings {
    /// Submission queue entries, a power of two.
    pub entries: u32,
    /// Receive buffers provided to the kernel, a power of two up to 32,768.
    pub buffers: u16,
    /// Bytes of each receive buffer.
    pub buffer_bytes: u32,
    /// Connections the kernel may keep for us between two accepts.
    pub backlog: i32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 3000)),
            shards: None,
            pin: true,
            steer_by_cpu: false,
            parser: Parser::Default,
            path: "/socket.io".into(),
            add_trailing_slash: true,
            polling: true,
            websocket: true,
            allow_upgrades: true,
            allow_eio3: false,
            ping_interval: Duration::from_millis(25_000),
            ping_timeout: Duration::from_millis(20_000),
            upgrade_timeout: Duration::from_millis(10_000),
            connect_timeout: Duration::from_millis(45_000),
            cleanup_empty_child_namespaces: false,
            connection_state_recovery: None,
            max_http_buffer_size: MESSAGE_BYTES_MAX,
            http_compression: Some(HttpCompression::default()),
            cors: None,
            cookie: None,
            redis: None,
            cluster: Cluster::default(),
            proxy_protocol: false,
            forwarded_for: false,
            trusted_proxies: Vec::new(),
            limits: Limits::default(),
            shutdown_timeout: Duration::from_secs(10),
            ring: RingSettings::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1_000_000,
            header_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(120),
            response_timeout: Duration::from_secs(60),
            keep_alive_timeout: Duration::from_secs(60),
            outbox_bytes_max: 16 * MESSAGE_BYTES_MAX,
            relay_bytes_max: 256 * 1024,
            relay_connect_timeout: Duration::from_secs(3),
            namespaces_per_client_max: 64,
            dynamic_namespaces_max: 10_000,
            rooms_per_socket_max: 1024,
            pending_acks_max: 16_384,
            early_events_max: 128,
            http: HttpLimits::default(),
            packet: PacketLimits::default(),
        }
    }
}

impl Default for HttpCompression {
    fn default() -> Self {
        Self { threshold: 1024 }
    }
}

impl Default for ConnectionStateRecovery {
    fn default() -> Self {
        Self {
            max_disconnection_duration: Duration::from_secs(120),
            skip_middlewares: true,
            log_bytes_max: 64 * 1024 * 1024,
            sessions_max: 100_000,
        }
    }
}

impl Default for RingSettings {
    fn default() -> Self {
        // Buffers come back within the turn that filled them, so a shard needs no more than one turn
        // brings; what it has is touched in rounds and so all of it is soon resident: 4 MiB.
        Self { entries: 4096, buffers: 256, buffer_bytes: 16 * 1024, backlog: 65_535 }
    }
}

impl Settings {
    /// The part that Engine.IO sessions share.
    pub(crate) fn engine(&self) -> engine::Settings {
        let transports = engine::Transports { polling: self.polling, websocket: self.websocket };
        engine::Settings {
            ping_interval_ms: self.ping_interval.as_millis() as u64,
            ping_timeout_ms: self.ping_timeout.as_millis() as u64,
            upgrade_timeout_ms: self.upgrade_timeout.as_millis() as u64,
            max_payload: self.max_http_buffer_size,
            transports,
            allow_upgrades: self.allow_upgrades,
            allow_eio3: self.allow_eio3,
            buffer_bytes_max: self.limits.outbox_bytes_max,
            ..engine::Settings::default()
        }
    }

    /// The part that WebSocket decoders share.
    pub(crate) fn websocket(&self) -> WebSocketLimits {
        WebSocketLimits { message_bytes_max: self.max_http_buffer_size }
    }

    /// Makes dependent settings agree and checks ranges. Errors name the setting.
    pub fn checked(mut self) -> Result<Self, String> {
        let ensure = |holds: bool, message: &str| match holds {
            true => Ok(()),
            false => Err(message.to_owned()),
        };
        ensure(self.path.starts_with('/'), "path must start with '/'")?;
        ensure(
            self.pin || !self.steer_by_cpu,
            "steer-by-cpu needs pinned shards, and no-pin is set",
        )?;
        ensure(self.polling || self.websocket, "transports must not be empty")?;
        ensure(!self.ping_interval.is_zero(), "pingInterval must be above 0")?;
        ensure(!self.ping_timeout.is_zero(), "pingTimeout must be above 0")?;
        ensure(
            (1..=u32::MAX as usize / 2).contains(&self.max_http_buffer_size),
            "maxHttpBufferSize must be between 1 byte and 2 GB",
        )?;
        ensure(
            self.limits.outbox_bytes_max >= self.max_http_buffer_size,
            "outboxBytesMax must be at least maxHttpBufferSize",
        )?;
        ensure(
            self.limits.dynamic_namespaces_max <= DYNAMIC_NAMESPACES_MAX,
            "dynamicNamespacesMax must be at most 60000",
        )?;
        ensure(self.limits.relay_bytes_max >= 1024, "relay-bytes-max must be at least 1024")?;
        ensure(
            !self.limits.relay_connect_timeout.is_zero(),
            "relay-connect-timeout must be above 0",
        )?;
        ensure(
            !self.proxy_protocol || !self.trusted_proxies.is_empty(),
            "proxy-protocol needs trusted-proxies",
        )?;
        ensure(
            !self.forwarded_for || !self.trusted_proxies.is_empty(),
            "forwarded-for needs trusted-proxies",
        )?;
        self.cluster.check()?;
        ensure(
            self.ring.entries.is_power_of_two() && (64..=32_768).contains(&self.ring.entries),
            "ring entries must be a power of two between 64 and 32768",
        )?;
        ensure(
            self.ring.buffers.is_power_of_two() && (16..=32_768).contains(&self.ring.buffers),
            "ring buffers must be a power of two between 16 and 32768",
        )?;
        ensure(
            (1024..=1024 * 1024).contains(&self.ring.buffer_bytes),
            "ring buffer bytes must be between 1 KiB and 1 MiB",
        )?;
        while self.path.ends_with('/') && self.path.len() > 1 {
            self.path.pop();
        }
        self.limits.http.body_bytes_max = self.max_http_buffer_size;
        Ok(self)
    }
}
