//! Runs the rounds: for each scenario, in each round, every peer once, in an order that turns.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use crate::cores::Cores;
use crate::figures::{Outcome, Record};
use crate::generator::{Generator, WARMUP_SECONDS};
use crate::quantity;
use crate::scenario::Scenario;
use crate::server::{Launch, Server};
use crate::workshop::Entrant;

/// Descriptors a process needs beside its connections.
const DESCRIPTORS_BESIDES: u64 = 200;
/// Seconds a run takes besides warm-up and window, for the forecast.
const OVERHEAD_SECONDS: u32 = 2;

/// What is run, and what came of it.
#[derive(Debug)]
pub(crate) struct Contest {
    pub(crate) scenarios: Vec<&'static Scenario>,
    pub(crate) entrants: Vec<Entrant>,
    pub(crate) rounds: u32,
    /// Seconds of a window, unless the scenario needs more.
    pub(crate) seconds: u32,
    pub(crate) cores: Cores,
    /// Descriptors a process may have.
    pub(crate) descriptors: u64,
    pub(crate) generator: Generator,
    /// Where the output of failed runs stays.
    pub(crate) logs: PathBuf,
    pub(crate) records: Vec<Record>,
    /// Scenarios that cannot be run on this machine, with the reason.
    pub(crate) impossible: HashMap<&'static str, String>,
}

impl Contest {
    /// Runs everything. `after` is called when a scenario is done, so that a long contest that is cut
    /// short leaves a report of what it had.
    pub(crate) fn run(
        &mut self,
        after: impl Fn(&Self) -> Result<(), String>,
    ) -> Result<(), String> {
        eprintln!("{} runs, about {} minutes", self.total(), self.forecast_seconds().div_ceil(60));
        for scenario in self.scenarios.clone() {
            if let Some(why) = self.obstacle(scenario) {
                eprintln!("{} cannot be run: {why}", scenario.name);
                self.impossible.insert(scenario.name, why);
            } else {
                self.run_scenario(scenario);
            }
            after(self)?;
        }
        Ok(())
    }

    fn run_scenario(&mut self, scenario: &'static Scenario) {
        for round in 1..=self.rounds {
            for place in order(&self.taking_part(scenario), round) {
                let Some(outcome) = self.run_once(scenario, place, round) else { continue };
                let peer = self.entrants[place].peer.name;
                eprintln!(
                    "[{}/{}] {:<15} {peer:<13} round {round}/{}  {}",
                    self.records.len() + 1,
                    self.total(),
                    scenario.name,
                    self.rounds,
                    summary(scenario, &outcome)
                );
                self.records.push(Record { scenario: scenario.name, peer, round, outcome });
            }
        }
    }

    /// One run with a fresh server; `None` for a peer that is not available.
    fn run_once(&mut self, scenario: &Scenario, place: usize, round: u32) -> Option<Outcome> {
        let entrant = &self.entrants[place];
        let launch = entrant.launch.as_ref().ok()?;
        let peer = entrant.peer.name;
        let name = format!("{}-{peer}-{round}", scenario.name);
        let server_log = self.logs.join(format!("{name}-server.log"));
        let generator_log = self.logs.join(format!("{name}-generator.log"));
        let on = self.cores.server(scenario.cores)?;
        let launch = Launch { is_pair: scenario.over_redis, ..launch.clone() };
        let outcome = match Server::start(&launch, on, &server_log) {
            Ok(mut server) => {
                let seconds = scenario.seconds(self.seconds);
                let outcome = self.generator.run(scenario, &mut server, seconds, &generator_log);
                server.stop();
                outcome
            }
            Err(why) if !self.records.iter().any(|record| record.peer == peer) => {
                eprintln!("{peer} is not available: {why}");
                self.entrants[place].launch = Err(why);
                return None;
            }
            Err(why) => Outcome::Failed { why },
        };
        if matches!(outcome, Outcome::Valid { .. }) {
            // Only what went wrong leaves files behind.
            let _ = fs::remove_file(server_log);
            let _ = fs::remove_file(generator_log);
        }
        Some(outcome)
    }

    /// Places of the entrants that take part in a scenario, available or not.
    pub(crate) fn taking_part(&self, scenario: &Scenario) -> Vec<usize> {
        let takes_part = |name| self.entrants.iter().position(|entrant| entrant.peer.name == name);
        scenario.peers.iter().filter_map(|name| takes_part(*name)).collect()
    }

    /// Why this machine cannot run a scenario, if it cannot.
    fn obstacle(&self, scenario: &Scenario) -> Option<String> {
        if self.cores.server(scenario.cores).is_none() {
            return Some(format!("it needs {} cores for the server", scenario.cores));
        }
        let needed = u64::from(scenario.connections) + DESCRIPTORS_BESIDES;
        (self.descriptors < needed).then(|| {
            format!(
                "it needs {needed} descriptors, the hard limit (ulimit -Hn) is {}",
                self.descriptors
            )
        })
    }

    /// How many runs there are in all, as far as is known now.
    fn total(&self) -> usize {
        self.scenarios.iter().map(|scenario| self.runs(scenario)).sum()
    }

    /// How many runs a scenario has: none for peers that are not available.
    fn runs(&self, scenario: &Scenario) -> usize {
        let places = self.taking_part(scenario).into_iter();
        let available = places.filter(|place| self.entrants[*place].launch.is_ok()).count();
        match self.obstacle(scenario) {
            Some(_) => 0,
            None => available * self.rounds as usize,
        }
    }

    fn forecast_seconds(&self) -> u32 {
        let seconds = |scenario: &&Scenario| {
            let run = scenario.seconds(self.seconds) + WARMUP_SECONDS + OVERHEAD_SECONDS;
            self.runs(scenario) as u32 * run
        };
        self.scenarios.iter().map(seconds).sum()
    }
}

/// The order of a round: each round begins one place later, so that nobody always runs behind the
/// same one or first on a cold machine.
fn order(places: &[usize], round: u32) -> Vec<usize> {
    let mut order = places.to_vec();
    if !order.is_empty() {
        let turn = (round as usize - 1) % order.len();
        order.rotate_left(turn);
    }
    order
}

/// A run in half a line.
fn summary(scenario: &Scenario, outcome: &Outcome) -> String {
    let run = match outcome {
        Outcome::Valid { measurement } => measurement,
        Outcome::Void { why, .. } => return format!("VOID: {why}"),
        Outcome::Failed { why } => return format!("FAILED: {why}"),
    };
    if scenario.is_idle() {
        return format!(
            "{} and {}/s per connection",
            quantity::bytes(run.rss_per_connection()),
            quantity::micros(run.cpu_us_per_connection())
        );
    }
    let order = match run.out_of_order {
        0 => String::new(),
        count => format!("  {count} out of order"),
    };
    format!(
        "{} {} per CPU-second  wall {}/s  p50 {}  server {}  generator {}{order}",
        quantity::rate(run.messages_per_cpu_second()),
        scenario.load.unit(),
        quantity::rate(run.wall_rate()),
        run.p50_us().map_or("–".to_owned(), quantity::micros),
        quantity::percent(run.server_use(scenario.cores)),
        quantity::percent(run.generator_use()),
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::generator::tests::script;
    use crate::measurement::tests::ANSWER;
    use crate::peer::PEERS;
    use crate::scenario::SCENARIOS;
    use crate::server::tests::fake;

    /// A contest of a few peers and scenarios that has not run, in a directory of its own.
    pub(crate) fn contest(
        name: &str,
        scenarios: &[&str],
        peers: &[(&str, Result<Launch, &str>)],
    ) -> Contest {
        let (logs, generator) = script(name, &format!("cat <<'END'\n{ANSWER}\nEND"));
        let entrant = |(name, launch): &(&str, Result<Launch, &str>)| Entrant {
            peer: PEERS.iter().find(|peer| peer.name == *name).unwrap(),
            version: format!("{name} 1.2.3"),
            launch: launch.clone().map_err(str::to_owned),
        };
        let scenario = |name| SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
        Contest {
            scenarios: scenarios.iter().map(|name| scenario(*name)).collect(),
            entrants: peers.iter().map(entrant).collect(),
            rounds: 2,
            seconds: 1,
            cores: Cores::allowed().unwrap(),
            descriptors: 20_000,
            generator,
            logs,
            records: Vec::new(),
            impossible: HashMap::new(),
        }
    }

    #[test]
    fn the_order_turns_with_each_round() {
        assert_eq!(order(&[4, 5, 6], 1), [4, 5, 6]);
        assert_eq!(order(&[4, 5, 6], 2), [5, 6, 4]);
        assert_eq!(order(&[4, 5, 6], 4), [4, 5, 6]);
        assert!(order(&[], 3).is_empty());
    }

    #[test]
    fn rounds_are_interleaved_and_the_missing_are_kept() {
        let (program, directory) = ("false".into(), "/".into());
        let cannot = Launch { program, arguments: vec![], directory, is_pair: false };
        let peers = [
            ("yamabiko", Ok(fake(""))),
            ("node", Ok(fake(""))),
            ("uws", Err("npm failed")),
            ("floor-uring", Ok(cannot)),
        ];
        let mut contest = contest("rounds", &["echo-50x8", "polling-100"], &peers);
        let reports = Cell::new(0);
        contest
            .run(|_| {
                reports.set(reports.get() + 1);
                Ok(())
            })
            .unwrap();
        let ran: Vec<_> =
            contest.records.iter().map(|run| (run.scenario, run.round, run.peer)).collect();
        let rounds = |scenario| {
            [
                (scenario, 1, "yamabiko"),
                (scenario, 1, "node"),
                (scenario, 2, "node"),
                (scenario, 2, "yamabiko"),
            ]
        };
        assert_eq!(ran, [rounds("echo-50x8"), rounds("polling-100")].concat());
        assert!(contest.records.iter().all(|run| matches!(run.outcome, Outcome::Valid { .. })));
        let why = contest.entrants[3].launch.as_ref().unwrap_err();
        assert!(why.starts_with("it cannot be started"), "{why}");
        assert_eq!(reports.get(), 2);
        fs::remove_dir_all(&contest.logs).unwrap();
    }

    #[test]
    fn what_the_machine_cannot_do_is_said() {
        let mut contest = contest("limits", &["idle"], &[("node", Ok(fake("")))]);
        contest.descriptors = 4096;
        contest.run(|_| Ok(())).unwrap();
        assert!(contest.records.is_empty());
        assert_eq!(
            contest.impossible["idle"],
            "it needs 10200 descriptors, the hard limit (ulimit -Hn) is 4096"
        );
        fs::remove_dir_all(&contest.logs).unwrap();
    }

    #[test]
    fn a_server_that_stops_starting_fails_its_run() {
        let once = format!(
            "{}/yamabiko-peers-once-{}",
            std::env::temp_dir().display(),
            std::process::id()
        );
        let body = format!("die 'no more' if -e '{once}'; open(my $f, '>', '{once}');");
        let mut contest = contest("once", &["echo-50x8"], &[("node", Ok(fake(&body)))]);
        contest.run(|_| Ok(())).unwrap();
        assert!(matches!(contest.records[0].outcome, Outcome::Valid { .. }));
        // The port is bound before it dies, so either the start or the run may be what notices.
        let (Outcome::Failed { why } | Outcome::Void { why, .. }) = &contest.records[1].outcome
        else {
            panic!("{:?}", contest.records[1]);
        };
        assert!(why.contains("no more"), "{why}");
        fs::remove_file(once).unwrap();
        fs::remove_dir_all(&contest.logs).unwrap();
    }
}
