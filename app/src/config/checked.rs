//! From options to a server's settings, and back for those who want to see them.

use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::process;
use std::time::Duration;

use clap::Parser;
use yamabiko_protocol::http::{Cookie, Cors, Origins, SameSite};
use yamabiko_runtime::{
    Adapter, Cluster, ConnectionStateRecovery, HttpCompression, IpNet, Redis, Secret, Settings,
};

use super::layers::unknown_variables;
use super::options::Options;
use super::value::{List, Listen, LogFormat, ServeClient};

/// What the configuration cannot mean: the operator's mistake. The text names the option and what it takes.
#[derive(Debug)]
pub struct ConfigError(String);

impl ConfigError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// A server's configuration, checked.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// What the runtime is told.
    pub settings: Settings,
    /// Whether the official client's bundle is served, and from where.
    pub serve_client: ServeClient,
    /// What to log, for the program that sets the log up.
    pub log: Option<String>,
    /// How to log, for the same.
    pub log_format: LogFormat,
    /// Whether to print `ready PORT` on standard output when every shard accepts connections.
    pub announce: bool,
    /// A sentence about each variable of the environment that looks like an option and is none; they are
    /// logged when the server starts.
    pub unknown_variables: Vec<String>,
}

impl Config {
    /// Reads flags, environment and file. Ends the process for `--help`, `--version`, `--print-config` and
    /// wrong flags, as command-line programs do.
    ///
    /// # Errors
    /// The file cannot be read, or an option's value is out of its range.
    pub fn from_args() -> Result<Self, ConfigError> {
        let flags = Options::parse();
        let print = flags.print_config;
        let options = flags.with_file()?;
        if print {
            // Whoever closed the pipe has seen enough.
            let _ = io::stdout().write_all(options.effective()?.to_toml()?.as_bytes());
            process::exit(0);
        }
        options.check_with_environment()
    }

    /// Reads environment and file (named by `YAMABIKO_CONFIG`), for programs with a command line of their
    /// own.
    ///
    /// # Errors
    /// As [`Self::from_args`], and for wrong values in the environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        let options = Options::try_parse_from(["yamabiko"]);
        let options = options.map_err(|error| ConfigError::new(error.to_string()))?;
        options.with_file()?.check_with_environment()
    }
}

/// Options that become one setting as it is.
macro_rules! plain {
    ($($option:ident => $($setting:ident).+),* $(,)?) => {
        impl Options {
            fn apply_plain(self, settings: &mut Settings) {
                $(if let Some(value) = self.$option { settings.$($setting).+ = value.into(); })*
            }

            fn of_plain(settings: &Settings) -> Self {
                Self { $($option: Some(settings.$($setting).+.clone().into()),)* ..Self::default() }
            }
        }
    };
}

plain!(
    steer_by_cpu => steer_by_cpu,
    shutdown_timeout => shutdown_timeout,
    parser => parser,
    path => path,
    add_trailing_slash => add_trailing_slash,
    allow_upgrades => allow_upgrades,
    allow_eio3 => allow_eio3,
    ping_interval => ping_interval,
    ping_timeout => ping_timeout,
    upgrade_timeout => upgrade_timeout,
    connect_timeout => connect_timeout,
    cleanup_empty_child_namespaces => cleanup_empty_child_namespaces,
    max_http_buffer_size => max_http_buffer_size,
    connections_max => limits.connections_max,
    outbox_bytes_max => limits.outbox_bytes_max,
    proxy_protocol => proxy_protocol,
    forwarded_for => forwarded_for,
    relay_bytes_max => limits.relay_bytes_max,
    relay_connect_timeout => limits.relay_connect_timeout,
    header_timeout => limits.header_timeout,
    body_timeout => limits.body_timeout,
    response_timeout => limits.response_timeout,
    keep_alive_timeout => limits.keep_alive_timeout,
    namespaces_per_client_max => limits.namespaces_per_client_max,
    dynamic_namespaces_max => limits.dynamic_namespaces_max,
    rooms_per_socket_max => limits.rooms_per_socket_max,
    pending_acks_max => limits.pending_acks_max,
    early_events_max => limits.early_events_max,
    head_bytes_max => limits.http.head_bytes_max,
    headers_max => limits.http.headers_max,
    target_bytes_max => limits.http.target_bytes_max,
    chunk_line_bytes_max => limits.http.chunk_line_bytes_max,
    trailer_bytes_max => limits.http.trailer_bytes_max,
    attachments_max => limits.packet.attachments_max,
    attachment_bytes_max => limits.packet.attachment_bytes_max,
    namespace_bytes_max => limits.packet.namespace_bytes_max,
    json_depth_max => limits.packet.json_depth_max,
    ring_entries => ring.entries,
    ring_buffers => ring.buffers,
    ring_buffer_bytes => ring.buffer_bytes,
    backlog => ring.backlog,
);

impl Options {
    fn with_file(self) -> Result<Self, ConfigError> {
        match &self.config {
            Some(path) => self.over(&Self::read(path)?),
            None => Ok(self),
        }
    }

    fn check_with_environment(self) -> Result<Config, ConfigError> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        Ok(Config { unknown_variables: unknown_variables(names), ..self.check()? })
    }

    pub(super) fn check(mut self) -> Result<Config, ConfigError> {
        let mut settings = Settings::default();
        settings.listen = self.address(settings.listen);
        settings.shards = self.shards;
        settings.pin = !self.no_pin.unwrap_or(!settings.pin);
        if let Some(names) = &self.transports {
            (settings.polling, settings.websocket) = transports(names)?;
        }
        settings.http_compression = self.http_compression()?;
        settings.cors = self.cors()?;
        settings.connection_state_recovery = self.recovery()?;
        settings.redis = self.redis()?;
        settings.cluster = self.cluster()?;
        settings.trusted_proxies = networks("trusted-proxies", self.trusted_proxies.as_ref())?;
        if let Some(name) = &self.cookie {
            settings.cookie = cookie(name)?;
        }
        let config = Config {
            settings: Settings::default(),
            serve_client: self.serve_client.take().unwrap_or_default(),
            log: self.log.take(),
            log_format: self.log_format.unwrap_or_default(),
            announce: self.announce.unwrap_or(false),
            unknown_variables: Vec::new(),
        };
        self.apply_plain(&mut settings);
        Ok(Config { settings: settings.checked().map_err(ConfigError)?, ..config })
    }

    /// All options with the values they have; those that are absent are off.
    fn effective(&self) -> Result<Self, ConfigError> {
        let Config { settings, serve_client, log, log_format, announce, .. } =
            self.clone().check()?;
        let has = |transport: &str, is_offered: bool| is_offered.then(|| transport.to_owned());
        let offered = [has("polling", settings.polling), has("websocket", settings.websocket)];
        let address = settings.listen;
        let recovery = settings.connection_state_recovery.as_ref();
        let below = Self {
            http_compression: Some(settings.http_compression.is_some()),
            http_compression_threshold: settings.http_compression.map(|it| it.threshold),
            connection_state_recovery: Some(recovery.is_some()),
            max_disconnection_duration: recovery.map(|it| it.max_disconnection_duration.into()),
            skip_middlewares: recovery.map(|it| it.skip_middlewares),
            recovery_log_bytes_max: recovery.map(|it| it.log_bytes_max),
            recovery_sessions_max: recovery.map(|it| it.sessions_max),
            cluster_slot: Some(settings.cluster.slot),
            weight: Some(settings.cluster.weight),
            drain: Some(settings.cluster.drain),
            assign_path: Some(settings.cluster.assign_path.clone()),
            redis_key: settings.redis.as_ref().map(|redis| redis.key.clone()),
            listen: Some(Listen { address: address.ip(), port: Some(address.port()) }),
            no_pin: Some(!settings.pin),
            transports: Some(List(offered.into_iter().flatten().collect())),
            serve_client: Some(serve_client),
            log: Some(log.unwrap_or_else(|| "info".into())),
            log_format: Some(log_format),
            announce: Some(announce),
            ..Self::of_plain(&settings)
        };
        // The rest is off unless it was set. The address above has the port already.
        Ok(Self { listen: below.listen, port: None, ..self.over(&below)? })
    }

    fn address(&self, default: SocketAddr) -> SocketAddr {
        let listen = self.listen.unwrap_or(Listen { address: default.ip(), port: None });
        let port = self.port.or(listen.port).unwrap_or(default.port());
        SocketAddr::new(listen.address, port)
    }

    fn http_compression(&self) -> Result<Option<HttpCompression>, ConfigError> {
        let threshold = self.http_compression_threshold;
        if !self.http_compression.unwrap_or(true) {
            let others = [("http-compression-threshold", threshold.is_some())];
            return needs_none("http-compression", &others);
        }
        let default = HttpCompression::default();
        Ok(Some(HttpCompression { threshold: threshold.unwrap_or(default.threshold) }))
    }

    fn recovery(&self) -> Result<Option<ConnectionStateRecovery>, ConfigError> {
        if !self.connection_state_recovery.unwrap_or(false) {
            return needs_none(
                "connection-state-recovery",
                &[
                    ("max-disconnection-duration", self.max_disconnection_duration.is_some()),
                    ("skip-middlewares", self.skip_middlewares.is_some()),
                    ("recovery-log-bytes-max", self.recovery_log_bytes_max.is_some()),
                    ("recovery-sessions-max", self.recovery_sessions_max.is_some()),
                ],
            );
        }
        let default = ConnectionStateRecovery::default();
        let duration = self.max_disconnection_duration.map(Duration::from);
        Ok(Some(ConnectionStateRecovery {
            max_disconnection_duration: duration.unwrap_or(default.max_disconnection_duration),
            skip_middlewares: self.skip_middlewares.unwrap_or(default.skip_middlewares),
            log_bytes_max: self.recovery_log_bytes_max.unwrap_or(default.log_bytes_max),
            sessions_max: self.recovery_sessions_max.unwrap_or(default.sessions_max),
        }))
    }

    fn redis(&self) -> Result<Option<Redis>, ConfigError> {
        let Some(url) = &self.redis else {
            return needs_none(
                "redis",
                &[
                    ("redis-key", self.redis_key.is_some()),
                    ("redis-adapter", self.redis_adapter.is_some()),
                    ("subscription-mode", self.subscription_mode.is_some()),
                    (
                        "publish-on-specific-response-channel",
                        self.publish_on_specific_response_channel.is_some(),
                    ),
                ],
            );
        };
        let redis = Redis::at(url);
        let key = self.redis_key.clone().unwrap_or(redis.key);
        Ok(Some(Redis { key, adapter: self.adapter()?, ..redis }))
    }

    fn adapter(&self) -> Result<Adapter, ConfigError> {
        let adapter =
            Adapter::named(self.redis_adapter.as_deref(), self.subscription_mode.as_deref());
        match (adapter.map_err(ConfigError)?, self.publish_on_specific_response_channel) {
            (Adapter::Classic { .. }, is_specific) => {
                Ok(Adapter::Classic { is_specific: is_specific.unwrap_or(false) })
            }
            (_, Some(true)) => Err(ConfigError::new(
                "publish-on-specific-response-channel needs the classic redis-adapter",
            )),
            (other, _) => Ok(other),
        }
    }

    fn cluster(&self) -> Result<Cluster, ConfigError> {
        let default = Cluster::default();
        let nodes = self.cluster_nodes.as_ref().map_or(&[][..], |nodes| &nodes.0);
        Ok(Cluster {
            listen: self.cluster_listener,
            secret: self.cluster_secret.as_deref().map(Secret::from),
            peers: networks("cluster-peers", self.cluster_peers.as_ref())?,
            slot: self.cluster_slot.unwrap_or_default(),
            nodes: nodes.iter().map(|node| self::node(node)).collect::<Result<_, _>>()?,
            address: self.cluster_address,
            public_url: self.public_url()?,
            weight: self.weight.unwrap_or(default.weight),
            drain: self.drain.unwrap_or(default.drain),
            assign_path: self.assign_path.clone().unwrap_or(default.assign_path),
        })
    }

    fn public_url(&self) -> Result<Option<String>, ConfigError> {
        match &self.public_url {
            Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
                Err(ConfigError(format!(
                    "public-url: '{url}' begins with neither http:// nor https://"
                )))
            }
            url => Ok(url.clone()),
        }
    }

    fn cors(&mut self) -> Result<Option<Cors>, ConfigError> {
        let Some(List(origins)) = self.cors_origin.take() else {
            return needs_none(
                "cors-origin",
                &[
                    ("cors-credentials", self.cors_credentials.is_some()),
                    ("cors-methods", self.cors_methods.is_some()),
                    ("cors-allowed-headers", self.cors_allowed_headers.is_some()),
                    ("cors-exposed-headers", self.cors_exposed_headers.is_some()),
                    ("cors-max-age", self.cors_max_age.is_some()),
                ],
            );
        };
        let mut cors = Cors { origins: self::origins(origins)?, ..Cors::default() };
        cors.credentials = self.cors_credentials.unwrap_or(cors.credentials);
        cors.methods = self.cors_methods.take().map_or(cors.methods, |list| list.0);
        cors.allowed_headers = self.cors_allowed_headers.take().map(|list| list.0);
        cors.exposed_headers =
            self.cors_exposed_headers.take().map(|list| list.0).unwrap_or_default();
        cors.max_age = self.cors_max_age.map(|time| Duration::from(time).as_secs());
        Ok(Some(cors))
    }
}

/// Nothing, as `main` is off, unless an option is set that means something only with it.
fn needs_none<T>(main: &str, others: &[(&str, bool)]) -> Result<Option<T>, ConfigError> {
    match others.iter().find(|(_, is_set)| *is_set) {
        Some((name, _)) => Err(ConfigError(format!("{name} needs {main}"))),
        None => Ok(None),
    }
}

/// Networks as they are written; an address is a network of its own.
fn networks(option: &str, list: Option<&List>) -> Result<Vec<IpNet>, ConfigError> {
    let network = |text: &String| {
        let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
        text.parse().ok().or_else(address).ok_or_else(|| {
            ConfigError(format!("{option}: '{text}' is no network; write 10.0.0.0/8 or 10.0.0.1"))
        })
    };
    list.map_or(&[][..], |list| &list.0).iter().map(network).collect()
}

/// A node's number and address.
fn node(text: &str) -> Result<(u16, SocketAddr), ConfigError> {
    let parts = text.split_once('=').and_then(|(slot, address)| {
        Some((slot.trim().parse().ok()?, address.trim().parse().ok()?))
    });
    parts.ok_or_else(|| {
        ConfigError(format!("cluster-nodes: '{text}' is no node; write 1=10.0.0.1:3001"))
    })
}

fn origins(origins: Vec<String>) -> Result<Origins, ConfigError> {
    match origins.iter().map(|it| &**it).collect::<Vec<_>>().as_slice() {
        [] => Err(ConfigError::new("cors-origin: name an origin, * or true")),
        ["*"] => Ok(Origins::Any),
        ["true"] => Ok(Origins::Reflect),
        several if several.contains(&"*") || several.contains(&"true") => {
            Err(ConfigError::new("cors-origin: * and true stand alone"))
        }
        _ => Ok(Origins::List(origins)),
    }
}

/// Whether polling and WebSocket are offered.
fn transports(List(names): &List) -> Result<(bool, bool), ConfigError> {
    match names.iter().find(|it| !["polling", "websocket"].contains(&&***it)) {
        Some(other) => Err(ConfigError(format!(
            "transports: '{other}' is none; there are polling and websocket"
        ))),
        None => {
            let has = |name: &str| names.iter().any(|other| other == name);
            Ok((has("polling"), has("websocket")))
        }
    }
}

fn cookie(name: &str) -> Result<Option<Cookie>, ConfigError> {
    match name {
        "true" => Ok(Some(Cookie::default())),
        "false" => Ok(None),
        _ => Cookie::new(name, Some("/"), None, None, true, false, Some(SameSite::Lax))
            .map(Some)
            .map_err(|error| ConfigError(format!("cookie: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn flags(arguments: &[&str]) -> Options {
        Options::try_parse_from([&["yamabiko"], arguments].concat()).unwrap()
    }

    fn refused(arguments: &[&str]) -> String {
        flags(arguments).check().unwrap_err().to_string()
    }

    #[test]
    fn without_options_everything_is_socket_ios_default() {
        let Config { settings, serve_client, .. } = flags(&[]).check().unwrap();
        assert_eq!(settings.listen, "[::]:3000".parse().unwrap());
        assert_eq!(settings.ping_interval, Duration::from_secs(25));
        assert_eq!(settings.ping_timeout, Duration::from_secs(20));
        assert_eq!(settings.connect_timeout, Duration::from_secs(45));
        assert_eq!(settings.max_http_buffer_size, 1_000_000);
        assert!(settings.cors.is_none() && settings.cookie.is_none() && !settings.allow_eio3);
        assert!(settings.polling && settings.websocket && settings.allow_upgrades && settings.pin);
        assert_eq!(serve_client, ServeClient::Find);
    }

    #[test]
    fn the_help_tells_the_true_defaults() {
        let effective = flags(&[]).effective().unwrap().to_toml().unwrap();
        let effective: toml::Table = effective.parse().unwrap();
        for option in Options::command().get_arguments() {
            let name = option.get_long().unwrap();
            if ["help", "version", "config", "print-config"].contains(&name) {
                continue;
            }
            let help = option.get_help().unwrap().to_string().replace('\n', " ");
            let value = effective.get(name).map(|value| match value {
                toml::Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            match (name, value) {
                ("port", None) => assert!(help.contains("[default: 3000]")),
                (_, None) => assert!(help.contains("[default: "), "{name}: {help}"),
                ("serve-client", Some(_)) => assert!(help.contains("[default: true, ")),
                (_, Some(value)) => {
                    assert!(
                        help.contains(&format!("[default: {value}]")),
                        "{name}={value}: {help}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let arguments = [
            "--listen=127.0.0.1:80",
            "--port=81",
            "--shards=3",
            "--ping-interval=1500",
            "--transports=websocket",
            "--parser=msgpack",
            "--cors-origin=http://a,http://b",
            "--cors-max-age=10m",
            "--cookie=sid",
            "--serve-client=/srv/client",
            "--json-depth-max=7",
            "--ring-entries=1024",
            "--no-pin",
            "--redis=redis://there/1",
            "--cluster-listener=10.0.0.1:3001",
            "--cluster-secret=known to all nodes",
            "--cluster-peers=10.0.0.0/8,192.0.2.7",
            "--cluster-slot=1",
            "--cluster-nodes=1=10.0.0.1:3001,2=[2001:db8::1]:3001",
            "--proxy-protocol",
            "--trusted-proxies=172.16.0.0/12",
            "--connection-state-recovery",
            "--max-disconnection-duration=30s",
            "--http-compression-threshold=99",
        ];
        let printed = flags(&arguments).effective().unwrap().to_toml().unwrap();
        let again = Options::from_toml(&printed).unwrap();
        assert_eq!(again.effective().unwrap().to_toml().unwrap(), printed);
        let config = again.check().unwrap();
        let direct = flags(&arguments).check().unwrap();
        assert_eq!(format!("{:?}", config.settings), format!("{:?}", direct.settings));
        assert_eq!(config.serve_client, direct.serve_client);
        assert_eq!(config.settings.listen, "127.0.0.1:81".parse().unwrap());
        assert_eq!(config.settings.cors.unwrap().max_age, Some(600));
        assert_eq!(config.settings.limits.packet.json_depth_max, 7);
        assert!(!config.settings.polling && !config.settings.pin);
        assert_eq!(config.settings.parser.as_str(), "msgpack");
        let cluster = config.settings.cluster;
        assert_eq!(cluster.peers[1], "192.0.2.7/32".parse().unwrap());
        assert_eq!(cluster.nodes[1], (2, "[2001:db8::1]:3001".parse().unwrap()));
        assert!(!format!("{cluster:?}").contains("known"), "a secret is shown to nobody");
    }

    #[test]
    fn wrong_values_name_their_option() {
        for (arguments, named) in [
            (&["--transports", "polling,webtransport"][..], "webtransport"),
            (&["--path", "socket.io"], "path"),
            (&["--ping-interval", "0"], "pingInterval"),
            (&["--steer-by-cpu", "--no-pin"], "steer-by-cpu needs pinned shards"),
            (&["--cookie", "a=b"], "cookie"),
            (&["--dynamic-namespaces-max", "60001"], "dynamicNamespacesMax"),
            (&["--cors-origin", "*,http://a"], "cors-origin"),
            (&["--cors-origin", ","], "cors-origin"),
            (&["--cors-credentials"], "cors-credentials needs cors-origin"),
            (&["--cors-max-age", "1m"], "cors-max-age needs cors-origin"),
            (
                &["--http-compression", "false", "--http-compression-threshold", "1"],
                "http-compression-threshold needs http-compression",
            ),
            (&["--redis-key", "x"], "redis-key needs redis"),
            (&["--redis-adapter", "sharded"], "redis-adapter needs redis"),
            (&["--redis", "r", "--redis-adapter", "mongo"], "there are classic and sharded"),
            (&["--redis", "r", "--subscription-mode", "static"], "needs the sharded"),
            (
                &["--redis", "r", "--redis-adapter", "sharded", "--subscription-mode", "private"],
                "'private' is no mode",
            ),
            (&["--public-url", "here"], "public-url: 'here'"),
            (&["--weight", "0"], "weight must be at least 1"),
            (&["--assign-path", "assign"], "assign-path must begin"),
            (&["--cluster-listener", "[::]:1"], "needs cluster-secret or cluster-peers"),
            (&["--cluster-secret", "too short"], "cluster-secret"),
            (&["--cluster-peers", "10.0.0.0/33"], "cluster-peers: '10.0.0.0/33'"),
            (&["--cluster-nodes", "10.0.0.1:1"], "cluster-nodes: '10.0.0.1:1'"),
            (&["--cluster-nodes", "1=[::]:1,1=[::]:2"], "slot 1 twice"),
            (&["--forwarded-for"], "forwarded-for needs trusted-proxies"),
            (&["--proxy-protocol"], "proxy-protocol needs trusted-proxies"),
            (&["--relay-bytes-max", "1"], "relay-bytes-max"),
            (&["--skip-middlewares", "false"], "skip-middlewares needs connection-state-recovery"),
        ] {
            let error = refused(arguments);
            assert!(error.contains(named), "{error}");
        }
        for (flag, value, text) in [
            ("--ping-timeout", "5 weeks", "no unit of time"),
            ("--listen", "localhost", "is no address"),
            ("--log-format", "xml", "text and json"),
            ("--parser", "json", "default and msgpack"),
            ("--shards", "many", "--shards"),
        ] {
            let error = Options::try_parse_from(["yamabiko", flag, value]).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains(flag), "{error}");
        }
        let error = Options::try_parse_from(["yamabiko", "--ping-intervall=1"]).unwrap_err();
        assert!(error.to_string().contains("--ping-interval"), "{error}");
    }

    #[test]
    fn origins_are_any_one_or_several() {
        let origins = |value| flags(&["--cors-origin", value]).check().unwrap().settings.cors;
        assert_eq!(origins("*").unwrap().origins, Origins::Any);
        assert_eq!(origins("true").unwrap().origins, Origins::Reflect);
        let list = origins("http://a,http://b").unwrap().origins;
        assert_eq!(list, Origins::List(vec!["http://a".into(), "http://b".into()]));
    }

    #[test]
    fn the_cookie_is_nodes_own_or_another() {
        let cookie = |value| flags(&["--cookie", value]).check().unwrap().settings.cookie;
        assert_eq!(cookie("true"), Some(Cookie::default()));
        assert_eq!(cookie("io"), Some(Cookie::default()));
        assert_eq!(cookie("false"), None);
    }

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }
}
