//! The command line.

use std::net::{SocketAddr, ToSocketAddrs};

use clap::{Parser, ValueEnum};

use crate::echo::ID_DIGITS;
use crate::failure::Failure;
use crate::payload::{NAME, SENDERS_MAX};

/// Loads a Socket.IO server from one thread, checks every answer, and tells messages, CPU time and
/// memory of a measured window.
///
/// Status 0: all answers were right (though maybe out of order). 1: some were missing, doubled or wrong,
/// or connections broke. 2: the run could not be made.
#[derive(Clone, Debug, Parser)]
#[command(name = "yamabiko-load", version)]
pub(crate) struct Options {
    /// What to do.
    pub(crate) scenario: Scenario,
    /// The server, `http://HOST:PORT`.
    #[arg(long, default_value = "http://127.0.0.1:3000")]
    pub(crate) url: String,
    /// Asks for the session with this id first, over the same connection: a cluster passes it on to the node
    /// that the id names. Not for `polling`.
    #[arg(long, value_name = "SID")]
    pub(crate) detour: Option<String>,
    /// Connections; for `connects`, how many are being made at any time; for `polling`, clients of two
    /// TCP connections each.
    #[arg(long, default_value_t = 50)]
    pub(crate) connections: usize,
    /// Handshakes that are under way at a time until all connections are open. 128 keep a server busy and
    /// do not overflow its queue of connections; as many as there are connections is what a restart brings.
    #[arg(long, default_value_t = 128)]
    pub(crate) at_once: usize,
    /// Messages that each sender keeps on their way.
    #[arg(long, default_value_t = 1)]
    pub(crate) outstanding: usize,
    /// Bytes: of the frame's payload (`echo`, `polling`: both ways but for the event's name; `fanout`,
    /// `rooms`: as delivered), of the attachment (`binary`).
    #[arg(long, default_value_t = 64)]
    pub(crate) payload: usize,
    /// Rooms over which the connections are spread (`rooms`).
    #[arg(long, default_value_t = 100)]
    pub(crate) rooms: usize,
    /// Seconds of load before the window opens.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) warmup: f64,
    /// Seconds that the window is open.
    #[arg(long, default_value_t = 4.0)]
    pub(crate) seconds: f64,
    /// The server's process: it and its descendants are measured.
    #[arg(long)]
    pub(crate) server_pid: Option<u32>,
    /// The core to stay on; any without.
    #[arg(long)]
    pub(crate) core: Option<usize>,
    /// Writes the result as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is done to the server. All but `polling` go over WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scenario {
    /// Connects, joins `/`, closes, again and again.
    Connects,
    /// Connections that have joined a room and say nothing.
    Idle,
    /// An event whose acknowledgement brings the payload back.
    Echo,
    /// The same with one binary attachment.
    Binary,
    /// `echo` over HTTP long-polling, a POST and a GET each.
    Polling,
    /// One sender, one room of all connections.
    Fanout,
    /// Several rooms, in each one member that sends.
    Rooms,
}

/// The longest payload.
const PAYLOAD_MAX: usize = 1 << 20;

impl Options {
    /// The server's address.
    ///
    /// # Errors
    /// If the URL is of another form, or its host unknown.
    pub(crate) fn server(&self) -> Result<SocketAddr, Failure> {
        let wrong = |what: &str| Failure::Options(format!("--url {}: {what}", self.url));
        let host = self.host().ok_or_else(|| wrong("http://HOST:PORT is expected"))?;
        let mut addresses = host.to_socket_addrs().map_err(|error| wrong(&error.to_string()))?;
        addresses.next().ok_or_else(|| wrong("the host has no address"))
    }

    /// What goes into the `Host` header; `None` if the URL is of another form.
    pub(crate) fn host(&self) -> Option<&str> {
        let host = self.url.strip_prefix("http://")?.trim_end_matches('/');
        (!host.contains('/')).then_some(host)
    }

    /// Rooms that are used in this scenario.
    pub(crate) fn rooms_used(&self) -> usize {
        if self.scenario == Scenario::Rooms { self.rooms } else { 1 }
    }

    /// TCP connections that are open at a time.
    pub(crate) fn tcp_connections(&self) -> usize {
        if self.scenario == Scenario::Polling { self.connections * 2 } else { self.connections }
    }

    /// Refuses what cannot be run.
    ///
    /// # Errors
    /// Says which option is wrong, and what it may be.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let wrong = |what: String| Err(Failure::Options(what));
        if !(1..=SENDERS_MAX).contains(&self.connections) {
            return wrong(format!("--connections may be 1 to {SENDERS_MAX}"));
        }
        if self.detour.is_some() && self.scenario == Scenario::Polling {
            return wrong("--detour is for WebSocket".into());
        }
        if self.at_once == 0 {
            return wrong("--at-once may not be 0".into());
        }
        if !(1..=100_000).contains(&self.outstanding) {
            return wrong("--outstanding may be 1 to 100000".into());
        }
        if self.scenario == Scenario::Rooms && !(1..=self.connections).contains(&self.rooms) {
            return wrong("--rooms may be 1 to the number of connections".into());
        }
        let least = self.scenario.payload_min();
        if !(least..=PAYLOAD_MAX).contains(&self.payload) {
            let scenario = format!("{:?}", self.scenario).to_lowercase();
            return wrong(format!("--payload of {scenario} may be {least} to {PAYLOAD_MAX} bytes"));
        }
        if !(self.warmup >= 0.0 && self.warmup <= 3600.0) {
            return wrong("--warmup may be 0 to 3600 seconds".into());
        }
        if !(self.seconds > 0.0 && self.seconds <= 3600.0) {
            return wrong("--seconds may be up to 3600, and more than 0".into());
        }
        Ok(())
    }
}

impl Scenario {
    /// Bytes of a payload that just names sender and number.
    fn payload_min(self) -> usize {
        match self {
            Self::Connects | Self::Idle => 0,
            Self::Binary => NAME,
            Self::Echo | Self::Polling => br#"42["echo",""]"#.len() + ID_DIGITS + NAME,
            Self::Fanout | Self::Rooms => br#"42["said",""]"#.len() + NAME,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &str) -> Options {
        let words = ["yamabiko-load"].into_iter().chain(arguments.split_whitespace());
        Options::try_parse_from(words).unwrap()
    }

    #[test]
    fn the_contracts_command_line_is_understood() {
        let it = options(
            "rooms --url http://127.0.0.1:3001/ --connections 1000 --outstanding 8 --payload 64 \
             --rooms 100 --warmup 0.5 --seconds 4 --server-pid 12 --core 1 --json",
        );
        it.check().unwrap();
        assert_eq!(it.server().unwrap(), ([127, 0, 0, 1], 3001).into());
        assert_eq!(it.host(), Some("127.0.0.1:3001"));
        assert_eq!((it.rooms_used(), it.server_pid, it.core), (100, Some(12), Some(1)));
    }

    #[test]
    fn what_cannot_be_run_is_refused_by_name() {
        for (arguments, named) in [
            ("echo --payload 38", "39 to 1048576"),
            ("binary --payload 2000000", "--payload"),
            ("echo --connections 0", "--connections"),
            ("echo --outstanding 0", "--outstanding"),
            ("rooms --connections 5 --rooms 6", "--rooms"),
            ("polling --detour x", "--detour"),
            ("echo --seconds 0", "--seconds"),
            ("echo --warmup -1", "--warmup"),
        ] {
            let words: Vec<&str> = arguments.split_whitespace().collect();
            let arguments = words.join(" ").replace("--warmup -1", "--warmup=-1");
            let why = options(&arguments).check().unwrap_err().to_string();
            assert!(why.contains(named), "{arguments}: {why}");
        }
        for url in [
            "127.0.0.1:3000",
            "https://127.0.0.1:3000",
            "http://127.0.0.1:3000/chat",
            "http://127.0.0.1",
        ] {
            assert!(options(&format!("echo --url {url}")).server().is_err(), "{url}");
        }
    }
}
