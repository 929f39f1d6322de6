//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::peer::{PEERS, Peer};
use crate::scenario::{SCENARIOS, Scenario};

/// Yamabiko and its peers under the same load, side by side.
///
/// Installs and builds all peers and the load generator, runs every scenario in interleaved rounds, and
/// writes report.html, report.md and results.json.
#[derive(Debug, Parser)]
#[command(name = "yamabiko-peers")]
pub(crate) struct Options {
    /// Runs of each peer in each scenario.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,

    /// Seconds measured in each run; idle takes one ping interval, 25 s, at least.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) seconds: u32,

    /// Only these scenarios.
    #[arg(long, value_name = "SCENARIO,…", value_delimiter = ',', value_parser = scenario)]
    only: Vec<String>,

    /// Only these peers; `floor` means both of its engines.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = peer)]
    peers: Vec<String>,

    /// Where the report goes.
    #[arg(long, value_name = "DIR", default_value = "target/peers")]
    pub(crate) out: PathBuf,
}

impl Options {
    /// The scenarios asked for, in the report's order.
    pub(crate) fn scenarios(&self) -> Vec<&'static Scenario> {
        let asked = |scenario: &&Scenario| self.only.iter().any(|name| name == scenario.name);
        SCENARIOS.iter().filter(|scenario| self.only.is_empty() || asked(scenario)).collect()
    }

    /// The peers asked for that take part in a scenario asked for, in the report's order.
    pub(crate) fn peers(&self) -> Vec<&'static Peer> {
        let scenarios = self.scenarios();
        let asked = |peer: &Peer| {
            self.peers.is_empty() || self.peers.iter().any(|name| peer.answers_to(name))
        };
        let needed =
            |peer: &Peer| scenarios.iter().any(|scenario| scenario.peers.contains(&peer.name));
        PEERS.iter().filter(|peer| asked(peer) && needed(peer)).collect()
    }
}

fn scenario(name: &str) -> Result<String, String> {
    let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    match names.contains(&name) {
        true => Ok(name.to_owned()),
        false => Err(format!("there are {}", names.join(", "))),
    }
}

fn peer(name: &str) -> Result<String, String> {
    match PEERS.iter().any(|peer| peer.answers_to(name)) {
        true => Ok(name.to_owned()),
        false => {
            let names: Vec<&str> = PEERS.iter().map(|peer| peer.name).collect();
            Err(format!("there are {}", names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from(["yamabiko-peers"].iter().chain(arguments))
    }

    fn names(options: &Options) -> (Vec<&str>, Vec<&str>) {
        let scenarios = options.scenarios().iter().map(|scenario| scenario.name).collect();
        (scenarios, options.peers().iter().map(|peer| peer.name).collect())
    }

    #[test]
    fn without_options_everything_runs() {
        let options = parse(&[]).unwrap();
        assert_eq!((options.rounds, options.seconds), (5, 4));
        assert_eq!(options.out, PathBuf::from("target/peers"));
        let (scenarios, peers) = names(&options);
        assert_eq!((scenarios.len(), peers.len()), (SCENARIOS.len(), PEERS.len()));
    }

    #[test]
    fn only_what_was_asked_for_and_takes_part() {
        let options =
            parse(&["--only", "polling-100,connects", "--peers", "floor,node,cluster"]).unwrap();
        assert_eq!(
            names(&options),
            (vec!["connects", "polling-100"], vec!["floor-epoll", "floor-uring", "node"])
        );
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        let error = parse(&["--only", "echo"]).unwrap_err().to_string();
        assert!(error.contains("there are connects, idle, echo-50x8"), "{error}");
        let error = parse(&["--peers", "deno"]).unwrap_err().to_string();
        assert!(error.contains("there are yamabiko, floor-epoll"), "{error}");
        assert!(parse(&["--rounds", "0"]).is_err());
    }
}
