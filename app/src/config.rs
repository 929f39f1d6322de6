//! How a server is set up: defaults, then a TOML file, then environment variables, then flags; what comes
//! later wins. Every option has one name, in three spellings: `ping-interval` in the file,
//! `YAMABIKO_PING_INTERVAL` in the environment, `--ping-interval` on the command line.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use clap::builder::ArgPredicate;
use serde::{Deserialize, Deserializer};
use yamabiko_protocol::http::{Cookie, Cors, Origins};
use yamabiko_runtime::Settings;

/// What the configuration cannot mean. The text names the option and what it takes.
#[derive(Debug)]
pub struct ConfigError(String);

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// A Socket.IO server that runs on every core.
///
/// Every option can also stand in the file given with --config (as `name = value`), or in the environment
/// (as YAMABIKO_NAME). Times are milliseconds, or numbers with a unit: 500ms, 25s, 2m.
#[derive(Debug, Clone, Default, Parser, Deserialize)]
#[command(name = "yamabiko", version)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// TOML file with options
    #[arg(long, value_name = "FILE", env = "YAMABIKO_CONFIG")]
    #[serde(skip)]
    config: Option<PathBuf>,

    /// Address to listen on [default: ::, all addresses of IPv6 and IPv4]
    #[arg(long, value_name = "ADDRESS", env = "YAMABIKO_HOST")]
    host: Option<IpAddr>,

    /// Port to listen on; 0 takes a free one [default: 3000]
    #[arg(long, short, value_name = "PORT", env = "YAMABIKO_PORT")]
    port: Option<u16>,

    /// Shards to run [default: one for each core that this process may use]
    #[arg(long, value_name = "COUNT", env = "YAMABIKO_SHARDS")]
    shards: Option<usize>,

    /// Do not pin shards to cores
    #[arg(
        long,
        env = "YAMABIKO_NO_PIN",
        default_value_if("no_pin", ArgPredicate::IsPresent, "true"),
        num_args = 0,
        default_missing_value = "true"
    )]
    no_pin: Option<bool>,

    /// Socket.IO's path [default: /socket.io]
    #[arg(long, value_name = "PATH", env = "YAMABIKO_PATH")]
    path: Option<String>,

    /// Transports to offer, separated by commas [default: polling,websocket]
    #[arg(long, value_name = "NAMES", env = "YAMABIKO_TRANSPORTS", value_delimiter = ',')]
    transports: Option<Vec<String>>,

    /// Accept clients of Socket.IO 2.x (Engine.IO 3)
    #[arg(
        long = "allow-eio3",
        env = "YAMABIKO_ALLOW_EIO3",
        num_args = 0,
        default_missing_value = "true"
    )]
    #[serde(rename = "allow-eio3")]
    allow_eio3: Option<bool>,

    /// Time between pings [default: 25s]
    #[arg(long, value_name = "TIME", env = "YAMABIKO_PING_INTERVAL", value_parser = duration)]
    #[serde(deserialize_with = "optional_duration")]
    ping_interval: Option<Duration>,

    /// Time that a pong may take [default: 20s]
    #[arg(long, value_name = "TIME", env = "YAMABIKO_PING_TIMEOUT", value_parser = duration)]
    #[serde(deserialize_with = "optional_duration")]
    ping_timeout: Option<Duration>,

    /// Time that an upgrade to WebSocket may take [default: 10s]
    #[arg(long, value_name = "TIME", env = "YAMABIKO_UPGRADE_TIMEOUT", value_parser = duration)]
    #[serde(deserialize_with = "optional_duration")]
    upgrade_timeout: Option<Duration>,

    /// Time for a client to join a namespace [default: 45s]
    #[arg(long, value_name = "TIME", env = "YAMABIKO_CONNECT_TIMEOUT", value_parser = duration)]
    #[serde(deserialize_with = "optional_duration")]
    connect_timeout: Option<Duration>,

    /// Largest message and polling body, in bytes [default: 1000000]
    #[arg(long, value_name = "BYTES", env = "YAMABIKO_MAX_HTTP_BUFFER_SIZE")]
    max_http_buffer_size: Option<usize>,

    /// Origins that may connect, separated by commas; * for any, true to name the one that asks
    /// [default: no CORS header at all]
    #[arg(long, value_name = "ORIGINS", env = "YAMABIKO_CORS_ORIGIN", value_delimiter = ',')]
    cors_origin: Option<Vec<String>>,

    /// Let browsers send cookies along
    #[arg(long, env = "YAMABIKO_CORS_CREDENTIALS", num_args = 0, default_missing_value = "true")]
    cors_credentials: Option<bool>,

    /// Set a cookie with the session's id, under this name [default: no cookie]
    #[arg(long, value_name = "NAME", env = "YAMABIKO_COOKIE")]
    cookie: Option<String>,

    /// Bytes that may wait for one client before it is disconnected [default: 16000000]
    #[arg(long, value_name = "BYTES", env = "YAMABIKO_OUTBOX_BYTES_MAX")]
    outbox_bytes_max: Option<usize>,

    /// Connections that one shard may have [default: 1000000]
    #[arg(long, value_name = "COUNT", env = "YAMABIKO_CONNECTIONS_MAX")]
    connections_max: Option<usize>,

    /// Time for the clean shutdown [default: 10s]
    #[arg(long, value_name = "TIME", env = "YAMABIKO_SHUTDOWN_TIMEOUT", value_parser = duration)]
    #[serde(deserialize_with = "optional_duration")]
    shutdown_timeout: Option<Duration>,

    /// Directory with the official client's bundle [default: where npm puts it, if it is there]
    #[arg(long, value_name = "DIR", env = "YAMABIKO_SERVE_CLIENT")]
    serve_client: Option<PathBuf>,

    /// What to log: error, warn, info, debug, trace, or a filter by module [default: info]
    #[arg(long, value_name = "FILTER", env = "YAMABIKO_LOG")]
    log: Option<String>,

    /// Print `ready PORT` on standard output when every shard accepts connections
    #[arg(long, env = "YAMABIKO_ANNOUNCE", num_args = 0, default_missing_value = "true")]
    announce: Option<bool>,
}

/// A server's configuration, checked.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// What the runtime is told.
    pub settings: Settings,
    /// Where the official client's bundle is, if it was said.
    pub serve_client: Option<PathBuf>,
    /// What to log.
    pub log: Option<String>,
    /// Whether to print `ready PORT`.
    pub announce: bool,
}

impl Config {
    /// Reads flags, environment and file. Ends the process for `--help`, `--version` and wrong flags, as
    /// command-line programs do.
    ///
    /// # Errors
    /// The file cannot be read, or an option's value is out of its range.
    pub fn from_args() -> Result<Self, ConfigError> {
        Options::parse().into_config()
    }

    /// Reads environment and file, for programs with a command line of their own.
    ///
    /// # Errors
    /// As [`Self::from_args`], and for wrong values in the environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        let options = Options::try_parse_from(["yamabiko"]);
        options.map_err(|error| ConfigError(error.to_string()))?.into_config()
    }
}

impl Options {
    fn into_config(self) -> Result<Config, ConfigError> {
        let file = match &self.config {
            Some(path) => Self::read(path)?,
            None => Self::default(),
        };
        self.or(file).check()
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError(format!("cannot read {}: {error}", path.display())))?;
        toml::from_str(&text).map_err(|error| ConfigError(format!("{}: {error}", path.display())))
    }

    /// These options, with those of `other` where none is given here.
    fn or(self, other: Self) -> Self {
        macro_rules! each {
            ($($name:ident),* $(,)?) => { Self { $($name: self.$name.or(other.$name)),* } };
        }
        each!(
            config,
            host,
            port,
            shards,
            no_pin,
            path,
            transports,
            allow_eio3,
            ping_interval,
            ping_timeout,
            upgrade_timeout,
            connect_timeout,
            max_http_buffer_size,
            cors_origin,
            cors_credentials,
            cookie,
            outbox_bytes_max,
            connections_max,
            shutdown_timeout,
            serve_client,
            log,
            announce,
        )
    }

    fn check(self) -> Result<Config, ConfigError> {
        let mut settings = Settings::default();
        let host = self.host.unwrap_or(settings.listen.ip());
        settings.listen = SocketAddr::new(host, self.port.unwrap_or(settings.listen.port()));
        settings.shards = self.shards;
        settings.pin = !self.no_pin.unwrap_or(false);
        macro_rules! set {
            ($($name:ident),*) => { $(if let Some(value) = self.$name { settings.$name = value; })* };
        }
        set!(path, allow_eio3, ping_interval, ping_timeout, upgrade_timeout, connect_timeout);
        set!(max_http_buffer_size, shutdown_timeout);
        if let Some(bytes) = self.outbox_bytes_max {
            settings.limits.outbox_bytes_max = bytes;
        }
        if let Some(count) = self.connections_max {
            settings.limits.connections_max = count;
        }
        if let Some(names) = &self.transports {
            let has = |name: &str| names.iter().any(|other| other == name);
            (settings.polling, settings.websocket) = (has("polling"), has("websocket"));
            if let Some(other) = names.iter().find(|it| !["polling", "websocket"].contains(&&***it))
            {
                return Err(ConfigError(format!(
                    "transports: '{other}' is none; there are polling and websocket"
                )));
            }
        }
        settings.cors = self.cors_origin.map(|origins| Cors {
            origins: match origins.as_slice() {
                [any] if any == "*" => Origins::Any,
                [reflect] if reflect == "true" => Origins::Reflect,
                _ => Origins::List(origins),
            },
            credentials: self.cors_credentials.unwrap_or(false),
            ..Cors::default()
        });
        if let Some(name) = self.cookie {
            let lax = Some(yamabiko_protocol::http::SameSite::Lax);
            let cookie = Cookie::new(&name, Some("/"), None, None, true, false, lax)
                .map_err(|error| ConfigError(format!("cookie: {error}")))?;
            settings.cookie = Some(cookie);
        }
        let settings = settings.checked().map_err(ConfigError)?;
        Ok(Config {
            settings,
            serve_client: self.serve_client,
            log: self.log,
            announce: self.announce.unwrap_or(false),
        })
    }
}

/// A time: milliseconds, or a number with the unit ms, s, m or h.
fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| format!("'{text}' is no time"))?;
    let unit_ms = match text[digits..].trim_start() {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        unit => return Err(format!("'{unit}' is no unit of time; there are ms, s, m and h")),
    };
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or(format!("'{text}' is too long"))
}

fn optional_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Time {
        Milliseconds(u64),
        Text(String),
    }
    match Time::deserialize(from)? {
        Time::Milliseconds(ms) => Ok(Some(Duration::from_millis(ms))),
        Time::Text(text) => duration(&text).map(Some).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(arguments: &[&str]) -> Options {
        Options::try_parse_from([&["yamabiko"], arguments].concat()).unwrap()
    }

    fn file(text: &str) -> Result<Options, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn without_options_everything_is_socket_ios_default() {
        let config = flags(&[]).check().unwrap();
        let settings = config.settings;
        assert_eq!(settings.listen, "[::]:3000".parse().unwrap());
        assert_eq!(settings.ping_interval, Duration::from_secs(25));
        assert_eq!(settings.ping_timeout, Duration::from_secs(20));
        assert_eq!(settings.max_http_buffer_size, 1_000_000);
        assert!(settings.cors.is_none() && settings.cookie.is_none() && !settings.allow_eio3);
    }

    #[test]
    fn flags_win_over_the_file() {
        let file = file("port = 1\nping-interval = \"5s\"\nping-timeout = 700\nallow-eio3 = true")
            .unwrap();
        let settings = flags(&["--port", "2"]).or(file).check().unwrap().settings;
        assert_eq!(settings.listen.port(), 2);
        assert_eq!(settings.ping_interval, Duration::from_secs(5));
        assert_eq!(settings.ping_timeout, Duration::from_millis(700));
        assert!(settings.allow_eio3);
    }

    #[test]
    fn an_unknown_option_in_the_file_is_named_with_what_there_is() {
        let error = file("pingInterval = 5").unwrap_err().to_string();
        assert!(error.contains("pingInterval") && error.contains("ping-interval"), "{error}");
    }

    #[test]
    fn wrong_values_name_their_option() {
        for (arguments, named) in [
            (&["--transports", "polling,webtransport"][..], "webtransport"),
            (&["--path", "socket.io"], "path"),
            (&["--ping-interval", "0"], "pingInterval"),
            (&["--cookie", "a=b"], "cookie"),
        ] {
            let error = flags(arguments).check().unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
        let error = Options::try_parse_from(["yamabiko", "--ping-timeout", "5 weeks"]).unwrap_err();
        assert!(error.to_string().contains("no unit of time"));
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
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }
}
