//! The options: their names, documentation and defaults. What is not set is `None`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use clap::builder::BoolishValueParser;
use serde::{Deserialize, Serialize};

use super::value::{List, Listen, LogFormat, ParserName, ServeClient, Time};

const SOCKETS: &str = "Socket.IO";
const CORS: &str = "Cross-origin requests";
const LIMITS: &str = "Limits";
const RING: &str = "Network";
const CLUSTER: &str = "Cluster";

/// A Socket.IO server that runs on every core.
///
/// Every option can also stand in the file given with --config, as `name = value`, or in the environment, as
/// YAMABIKO_NAME with underscores. Flags win over the environment, and that over the file. Times are
/// milliseconds, or numbers with a unit: 500ms, 25s, 2m, 1h.
///
/// To send to the clients of a cluster: yamabiko emit --help.
#[derive(Debug, Clone, Default, Parser, Serialize, Deserialize)]
#[command(name = "yamabiko", version)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// TOML file with options
    #[arg(long, value_name = "FILE", env = "YAMABIKO_CONFIG")]
    #[serde(skip)]
    pub(super) config: Option<PathBuf>,

    /// Print all options with the values they have, as a file for --config, and end
    #[arg(long)]
    #[serde(skip)]
    pub(super) print_config: bool,

    /// Address to listen on, with or without a port; :: is every address of IPv6 and IPv4
    /// [default: [::]:3000]
    #[arg(long, value_name = "ADDRESS", env = "YAMABIKO_LISTEN")]
    pub(super) listen: Option<Listen>,

    /// Port to listen on, which wins over that of --listen; 0 takes a free one [default: 3000]
    #[arg(long, short, value_name = "PORT", env = "YAMABIKO_PORT")]
    pub(super) port: Option<u16>,

    /// Shards to run [default: one for each core that this process may use]
    #[arg(long, value_name = "COUNT", env = "YAMABIKO_SHARDS")]
    pub(super) shards: Option<usize>,

    /// Do not pin shards to cores [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        env = "YAMABIKO_NO_PIN",
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(super) no_pin: Option<bool>,

    /// Give new connections to the shard on the core that their packets arrive at, instead of spreading them
    /// evenly: for network cards with a queue for each core; needs Linux 6.2 [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        env = "YAMABIKO_STEER_BY_CPU",
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(super) steer_by_cpu: Option<bool>,

    /// Time for the clean shutdown; what is left is cut [default: 10s]
    #[arg(long, value_name = "TIME", env = "YAMABIKO_SHUTDOWN_TIMEOUT")]
    pub(super) shutdown_timeout: Option<Time>,

    /// What to log: error, warn, info, debug, trace, or a filter by module [default: info]
    #[arg(long, value_name = "FILTER", env = "YAMABIKO_LOG")]
    pub(super) log: Option<String>,

    /// How to log, on standard error: text or json [default: text]
    #[arg(long, value_name = "FORMAT", env = "YAMABIKO_LOG_FORMAT")]
    pub(super) log_format: Option<LogFormat>,

    /// Print `ready PORT` on standard output when every shard accepts connections [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        env = "YAMABIKO_ANNOUNCE",
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(super) announce: Option<bool>,

    /// Socket.IO's path [default: /socket.io]
    #[arg(long, value_name = "PATH", env = "YAMABIKO_PATH", help_heading = SOCKETS)]
    pub(super) path: Option<String>,

    /// Answer only where a slash ends that path, as Socket.IO does [default: true]
    #[arg(
        long,
        value_name = "BOOL",
        env = "YAMABIKO_ADD_TRAILING_SLASH",
        help_heading = SOCKETS,
        value_parser = BoolishValueParser::new(),
        action = clap::ArgAction::Set
    )]
    pub(super) add_trailing_slash: Option<bool>,

    /// Directory with the official client's bundle, which is served below the path: a `dist`, the package
    /// socket.io-client, or a node_modules; false for none [default: true, where npm puts it, if it is
    /// there]
    #[arg(long, value_name = "DIR", env = "YAMABIKO_SERVE_CLIENT", help_heading = SOCKETS)]
    pub(super) serve_client: Option<ServeClient>,

    /// Form of all packets, which clients must share: default, or msgpack for those with
    /// socket.io-msgpack-parser [default: default]
    #[arg(long, value_name = "NAME", env = "YAMABIKO_PARSER", help_heading = SOCKETS)]
    pub(super) parser: Option<ParserName>,

    /// Transports to offer, separated by commas [default: polling,websocket]
    #[arg(long, value_name = "NAMES", env = "YAMABIKO_TRANSPORTS", help_heading = SOCKETS)]
    pub(super) transports: Option<List>,

    /// Tell clients that they may upgrade to WebSocket [default: true]
    #[arg(
        long,
        value_name = "BOOL",
        env = "YAMABIKO_ALLOW_UPGRADES",
        help_heading = SOCKETS,
        value_parser = BoolishValueParser::new(),
        action = clap::ArgAction::Set
    )]
    pub(super) allow_upgrades: Option<bool>,

    /// Accept clients of Socket.IO 1.x and 2.x (Engine.IO 3) [default: false]
    #[arg(
        long = "allow-eio3",
        value_name = "BOOL",
        env = "YAMABIKO_ALLOW_EIO3",
        help_heading = SOCKETS,
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    #[serde(rename = "allow-eio3")]
    pub(super) allow_eio3: Option<bool>,

    /// Time between pings [default: 25s]
    #[arg(long, value_name = "TIME", env = "YAMABIKO_PING_INTERVAL", help_heading = SOCKETS)]
    pub(super) ping_interval: Option<Time>,

    /// Time that a pong may take [default: 20s]
    #[arg(long, value_name = "TIME", env = "YAMABIKO_PING_TIMEOUT", help_heading = SOCKETS)]
    pub(super) ping_timeout: Option<Time>,

    /// Time that an upgrade to WebSocket may take [default: 10s]
    #[arg(long, value_name = "TIME", env = "YAMABIKO_UPGRADE_TIMEOUT", help_heading = SOCKETS)]
    pub(super) upgrade_timeout: Option<Time>,

    /// Time for a client to join a namespace [default: 45s]
    #[arg(long, value_name = "TIME", env = "YAMABIKO_CONNECT_TIMEOUT", help_heading = SOCKETS)]
    pub(super) connect_timeout: Option<Time>,

    /// Remove a dynamic namespace with its last socket [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        env = "YAMABIKO_CLEANUP_EMPTY_CHILD_NAMESPACES",
        help_heading = SOCKETS,
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(super) cleanup_empty_child_namespaces: Option<bool>,

    /// Give clients that come back soon their socket, with id, rooms, data and the events they missed
    /// [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        env = "YAMABIKO_CONNECTION_STATE_RECOVERY",
        help_heading = SOCKETS,
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(super) connection_state_recovery: Option<bool>,

    /// How long those clients may be away [default: 2m]
    #[arg(
        long,
        value_name = "TIME",
        env = "YAMABIKO_MAX_DISCONNECTION_DURATION",
        help_heading = SOCKETS
    )]
    pub(super) max_disconnection_duration: Option<Time>,

    /// Do not put them through the namespace's guards again [default: true]
    #[arg(
        long,
        value_name = "BOOL",
        env = "YAMABIKO_SKIP_MIDDLEWARES",
        help_heading = SOCKETS,
        value_parser = BoolishValueParser::new(),
        action = clap::ArgAction::Set
    )]
    pub(super) skip_middlewares: Option<bool>,

    /// Largest message and polling body, in bytes [default: 1000000]
    #[arg(long, value_name = "BYTES", env = "YAMABIKO_MAX_HTTP_BUFFER_SIZE", help_heading = SOCKETS)]
    pub(super) max_http_buffer_size: Option<usize>,

    /// Compress answers to polls, with gzip or deflate as the client likes [default: true]
    #[arg(
        long,
        value_name = "BOOL",
        env = "YAMABIKO_HTTP_COMPRESSION",
        help_heading = SOCKETS,
        value_parser = BoolishValueParser::new(),
        action = clap::ArgAction::Set
    )]
    pub(super) http_compression: Option<bool>,

    /// Send shorter ones as they are, in bytes [default: 1024]
    #[arg(
        long,
        value_name = "BYTES",
        env = "YAMABIKO_HTTP_COMPRESSION_THRESHOLD",
        help_heading = SOCKETS
    )]
    pub(super) http_compression_threshold: Option<usize>,

    /// Set a cookie with the session's id, under this name; true for `io` [default: no cookie]
    #[arg(long, value_name = "NAME", env = "YAMABIKO_COOKIE", help_heading = SOCKETS)]
    pub(super) cookie: Option<String>,

    /// Origins that may connect, separated by commas; * for any, true to name the one that asks
    /// [default: no header of CORS at all]
    #[arg(long, value_name = "ORIGINS", env = "YAMABIKO_CORS_ORIGIN", help_heading = CORS)]
    pub(super) cors_origin: Option<List>,

    /// Let browsers send cookies along [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        env = "YAMABIKO_CORS_CREDENTIALS",
        help_heading = CORS,
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(super) cors_credentials: Option<bool>,

    /// Methods that a preflight allows, separated by commas [default: GET,HEAD,PUT,PATCH,POST,DELETE]
    #[arg(long, value_name = "METHODS", env = "YAMABIKO_CORS_METHODS", help_heading = CORS)]
    pub(super) cors_methods: Option<List>,

    /// Headers that a preflight allows, separated by commas [default: those it asks for]
    #[arg(long, value_name = "HEADERS", env = "YAMABIKO_CORS_ALLOWED_HEADERS", help_heading = CORS)]
    pub(super) cors_allowed_headers: Option<List>,

    /// Headers that scripts may read, separated by commas [default: none]
    #[arg(long, value_name = "HEADERS", env = "YAMABIKO_CORS_EXPOSED_HEADERS", help_heading = CORS)]
    pub(super) cors_exposed_headers: Option<List>,

    /// Time that browsers may keep a preflight's answer [default: theirs]
    #[arg(long, value_name = "TIME", env = "YAMABIKO_CORS_MAX_AGE", help_heading = CORS)]
    pub(super) cors_max_age: Option<Time>,

    /// Connections of one shard [default: 1000000]
    #[arg(long, value_name = "COUNT", env = "YAMABIKO_CONNECTIONS_MAX", help_heading = LIMITS)]
    pub(super) connections_max: Option<usize>,

    /// Bytes that may wait for one client before it is disconnected; at least max-http-buffer-size
    /// [default: 16000000]
    #[arg(long, value_name = "BYTES", env = "YAMABIKO_OUTBOX_BYTES_MAX", help_heading = LIMITS)]
    pub(super) outbox_bytes_max: Option<usize>,

    /// Time for a request's head to arrive [default: 1m]
    #[arg(long, value_name = "TIME", env = "YAMABIKO_HEADER_TIMEOUT", help_heading = LIMITS)]
    pub(super) header_timeout: Option<Time>,

    /// Time for a request's body, or all attachments of a packet, to arrive [default: 2m]
    #[arg(long, value_name = "TIME", env = "YAMABIKO_BODY_TIMEOUT", help_heading = LIMITS)]
    pub(super) body_timeout: Option<Time>,

    /// Time in which a client must take some of an answer that waits for it [default: 1m]
    #[arg(long, value_name = "TIME", env = "YAMABIKO_RESPONSE_TIMEOUT", help_heading = LIMITS)]
    pub(super) response_timeout: Option<Time>,

    /// Time a connection may stay open between two requests [default: 1m]
    #[arg(long, value_name = "TIME", env = "YAMABIKO_KEEP_ALIVE_TIMEOUT", help_heading = LIMITS)]
    pub(super) keep_alive_timeout: Option<Time>,

    /// Namespaces that one client may join [default: 64]
    #[arg(long, value_name = "COUNT", env = "YAMABIKO_NAMESPACES_PER_CLIENT_MAX", help_heading = LIMITS)]
    pub(super) namespaces_per_client_max: Option<usize>,

    /// Dynamic namespaces of all shards together, at most 60000 [default: 10000]
    #[arg(long, value_name = "COUNT", env = "YAMABIKO_DYNAMIC_NAMESPACES_MAX", help_heading = LIMITS)]
    pub(super) dynamic_namespaces_max: Option<usize>,

    /// Rooms that one socket may be in [default: 1024]
    #[arg(long, value_name = "COUNT", env = "YAMABIKO_ROOMS_PER_SOCKET_MAX", help_heading = LIMITS)]
    pub(super) rooms_per_socket_max: Option<usize>,

    /// Acknowledgements that the server may await from one socket [default: 16384]
    #[arg(long, value_name = "COUNT", env = "YAMABIKO_PENDING_ACKS_MAX", help_heading = LIMITS)]
    pub(super) pending_acks_max: Option<usize>,

    /// Events of one socket that may wait for its namespace's guards or middleware [default: 128]
    #[arg(long, value_name = "COUNT", env = "YAMABIKO_EARLY_EVENTS_MAX", help_heading = LIMITS)]
    pub(super) early_events_max: Option<usize>,

    /// Events that a shard keeps for clients that come back, in bytes [default: 67108864]
    #[arg(long, value_name = "BYTES", env = "YAMABIKO_RECOVERY_LOG_BYTES_MAX", help_heading = LIMITS)]
    pub(super) recovery_log_bytes_max: Option<usize>,

    /// Clients that may be away from a shard at a time and come back [default: 100000]
    #[arg(long, value_name = "COUNT", env = "YAMABIKO_RECOVERY_SESSIONS_MAX", help_heading = LIMITS)]
    pub(super) recovery_sessions_max: Option<usize>,

    /// Redis over which the nodes of a cluster talk, as redis://[user[:password]@]host[:port][/database];
    /// Node servers with the classic adapter may be among them [default: none: the node is alone]
    #[arg(long, value_name = "URL", env = "YAMABIKO_REDIS", help_heading = CLUSTER)]
    pub(super) redis: Option<String>,

    /// What all channels on Redis start with: the option key of Node's adapter [default: socket.io]
    #[arg(long, value_name = "KEY", env = "YAMABIKO_REDIS_KEY", help_heading = CLUSTER)]
    pub(super) redis_key: Option<String>,

    /// How nodes talk to each other, as all of the cluster must: classic is createAdapter of
    /// @socket.io/redis-adapter, sharded is createShardedAdapter, for Redis 7 or newer [default: classic]
    #[arg(long, value_name = "NAME", env = "YAMABIKO_REDIS_ADAPTER", help_heading = CLUSTER)]
    pub(super) redis_adapter: Option<String>,

    /// Which rooms have channels of their own with the sharded adapter, as all of the cluster must have:
    /// static, dynamic or dynamic-private [default: dynamic]
    #[arg(long, value_name = "MODE", env = "YAMABIKO_SUBSCRIPTION_MODE", help_heading = CLUSTER)]
    pub(super) subscription_mode: Option<String>,

    /// With the classic adapter: answer a node on a channel of its own [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        env = "YAMABIKO_PUBLISH_ON_SPECIFIC_RESPONSE_CHANNEL",
        num_args = 0..=1,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        help_heading = CLUSTER
    )]
    pub(super) publish_on_specific_response_channel: Option<bool>,

    /// Address and port at which other nodes pass on connections of clients whose session is here; needs
    /// cluster-secret or cluster-peers [default: none]
    #[arg(long, value_name = "ADDRESS", env = "YAMABIKO_CLUSTER_LISTENER", help_heading = CLUSTER)]
    pub(super) cluster_listener: Option<SocketAddr>,

    /// The address and port of cluster-listener as other nodes reach it, where it is not the same
    /// [default: that of cluster-listener]
    #[arg(long, value_name = "ADDRESS", env = "YAMABIKO_CLUSTER_ADDRESS", help_heading = CLUSTER)]
    pub(super) cluster_address: Option<SocketAddr>,

    /// Where clients reach this node and no other, for who asks where to connect [default: none]
    #[arg(long, value_name = "URL", env = "YAMABIKO_PUBLIC_URL", help_heading = CLUSTER)]
    pub(super) public_url: Option<String>,

    /// How many clients this node should have, beside the others [default: 1]
    #[arg(long, value_name = "NUMBER", env = "YAMABIKO_WEIGHT", help_heading = CLUSTER)]
    pub(super) weight: Option<u32>,

    /// New clients are told to connect to other nodes [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        env = "YAMABIKO_DRAIN",
        help_heading = CLUSTER,
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(super) drain: Option<bool>,

    /// The path at which clients ask to which node they should connect [default: /yamabiko/assign]
    #[arg(long, value_name = "PATH", env = "YAMABIKO_ASSIGN_PATH", help_heading = CLUSTER)]
    pub(super) assign_path: Option<String>,

    /// What all nodes know and nobody else, at least 16 characters: they prove with it that they are some;
    /// better set in the environment or the file, as flags can be seen by all users of a machine
    /// [default: none]
    #[arg(long, value_name = "TEXT", env = "YAMABIKO_CLUSTER_SECRET", help_heading = CLUSTER)]
    pub(super) cluster_secret: Option<String>,

    /// Networks or addresses of the nodes, separated by commas: 10.0.0.0/8,192.0.2.7
    /// [default: none: whoever has the secret is a node]
    #[arg(long, value_name = "NETWORKS", env = "YAMABIKO_CLUSTER_PEERS", help_heading = CLUSTER)]
    pub(super) cluster_peers: Option<List>,

    /// Nodes by number with their cluster-listener, separated by commas, where no Redis tells of them:
    /// 1=10.0.0.1:3001,2=10.0.0.2:3001 [default: none]
    #[arg(long, value_name = "NODES", env = "YAMABIKO_CLUSTER_NODES", help_heading = CLUSTER)]
    pub(super) cluster_nodes: Option<List>,

    /// The number of this node among them [default: 0]
    #[arg(long, value_name = "NUMBER", env = "YAMABIKO_CLUSTER_SLOT", help_heading = CLUSTER)]
    pub(super) cluster_slot: Option<u16>,

    /// Connections of trusted-proxies begin with a header of the PROXY protocol, version 2 [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        env = "YAMABIKO_PROXY_PROTOCOL",
        help_heading = RING,
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(super) proxy_protocol: Option<bool>,

    /// Requests from trusted-proxies name their client in X-Forwarded-For: Express's trust proxy
    /// [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        env = "YAMABIKO_FORWARDED_FOR",
        help_heading = RING,
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(super) forwarded_for: Option<bool>,

    /// Networks or addresses of the proxies in front of this node, separated by commas [default: none]
    #[arg(long, value_name = "NETWORKS", env = "YAMABIKO_TRUSTED_PROXIES", help_heading = RING)]
    pub(super) trusted_proxies: Option<List>,

    /// Bytes that may wait on their way through this node to another, in each direction [default: 262144]
    #[arg(long, value_name = "BYTES", env = "YAMABIKO_RELAY_BYTES_MAX", help_heading = LIMITS)]
    pub(super) relay_bytes_max: Option<usize>,

    /// Time for a connection to another node [default: 3s]
    #[arg(long, value_name = "TIME", env = "YAMABIKO_RELAY_CONNECT_TIMEOUT", help_heading = LIMITS)]
    pub(super) relay_connect_timeout: Option<Time>,

    /// Request line and headers together, in bytes [default: 16384]
    #[arg(long, value_name = "BYTES", env = "YAMABIKO_HEAD_BYTES_MAX", help_heading = LIMITS)]
    pub(super) head_bytes_max: Option<usize>,

    /// Headers of one request [default: 100]
    #[arg(long, value_name = "COUNT", env = "YAMABIKO_HEADERS_MAX", help_heading = LIMITS)]
    pub(super) headers_max: Option<usize>,

    /// Path and query of one request, in bytes [default: 8192]
    #[arg(long, value_name = "BYTES", env = "YAMABIKO_TARGET_BYTES_MAX", help_heading = LIMITS)]
    pub(super) target_bytes_max: Option<usize>,

    /// One line with a chunk's size, in bytes [default: 256]
    #[arg(long, value_name = "BYTES", env = "YAMABIKO_CHUNK_LINE_BYTES_MAX", help_heading = LIMITS)]
    pub(super) chunk_line_bytes_max: Option<usize>,

    /// Trailers of a chunked body together, in bytes [default: 4096]
    #[arg(long, value_name = "BYTES", env = "YAMABIKO_TRAILER_BYTES_MAX", help_heading = LIMITS)]
    pub(super) trailer_bytes_max: Option<usize>,

    /// Binary attachments of one packet [default: 10]
    #[arg(long, value_name = "COUNT", env = "YAMABIKO_ATTACHMENTS_MAX", help_heading = LIMITS)]
    pub(super) attachments_max: Option<usize>,

    /// All attachments of one packet together, in bytes [default: 10000000]
    #[arg(long, value_name = "BYTES", env = "YAMABIKO_ATTACHMENT_BYTES_MAX", help_heading = LIMITS)]
    pub(super) attachment_bytes_max: Option<usize>,

    /// A namespace's name, in bytes [default: 512]
    #[arg(long, value_name = "BYTES", env = "YAMABIKO_NAMESPACE_BYTES_MAX", help_heading = LIMITS)]
    pub(super) namespace_bytes_max: Option<usize>,

    /// Nesting of arrays and objects in one packet [default: 128]
    #[arg(long, value_name = "COUNT", env = "YAMABIKO_JSON_DEPTH_MAX", help_heading = LIMITS)]
    pub(super) json_depth_max: Option<usize>,

    /// Entries of a shard's submission queue, a power of two [default: 4096]
    #[arg(long, value_name = "COUNT", env = "YAMABIKO_RING_ENTRIES", help_heading = RING)]
    pub(super) ring_entries: Option<u32>,

    /// Receive buffers of a shard, a power of two [default: 256]
    #[arg(long, value_name = "COUNT", env = "YAMABIKO_RING_BUFFERS", help_heading = RING)]
    pub(super) ring_buffers: Option<u16>,

    /// Each receive buffer, in bytes [default: 16384]
    #[arg(long, value_name = "BYTES", env = "YAMABIKO_RING_BUFFER_BYTES", help_heading = RING)]
    pub(super) ring_buffer_bytes: Option<u32>,

    /// Connections the kernel may keep waiting [default: 65535]
    #[arg(long, value_name = "COUNT", env = "YAMABIKO_BACKLOG", help_heading = RING)]
    pub(super) backlog: Option<i32>,
}
