//! What the runs of one peer in one scenario say together.

use std::collections::HashMap;

use serde::Serialize;

use crate::measurement::Measurement;
use crate::peer::PEERS;
use crate::scenario::{SCENARIOS, Scenario};
use crate::spread::Spread;

/// One run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Record {
    pub(crate) scenario: &'static str,
    pub(crate) peer: &'static str,
    /// From 1.
    pub(crate) round: u32,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// How a run ended.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "outcome")]
pub(crate) enum Outcome {
    /// It counts.
    Valid { measurement: Measurement },
    /// It was measured and does not count: messages were lost or doubled, or there were errors.
    Void { why: String, measurement: Measurement },
    /// There is no measurement.
    Failed { why: String },
}

/// All runs of one peer in one scenario. A spread is absent where no valid run has the figure.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figures {
    pub(crate) valid: usize,
    pub(crate) void: usize,
    pub(crate) failed: usize,
    /// Messages that came in another order than they were sent, in valid runs.
    pub(crate) out_of_order: u64,
    /// The reasons of void and failed runs, each once, in order of appearance.
    pub(crate) reasons: Vec<String>,
    pub(crate) messages_per_cpu_second: Option<Spread>,
    /// Server CPU seconds.
    pub(crate) cpu_per_million: Option<Spread>,
    pub(crate) wall_rate: Option<Spread>,
    pub(crate) p50_us: Option<Spread>,
    pub(crate) p99_us: Option<Spread>,
    /// Share of its cores the server used.
    pub(crate) server_use: Option<Spread>,
    /// Share of its core the generator used.
    pub(crate) generator_use: Option<Spread>,
    /// Bytes; idle only.
    pub(crate) rss_per_connection: Option<Spread>,
    /// CPU microseconds per connection and second; idle only.
    pub(crate) idle_cpu_us: Option<Spread>,
}

/// The figures of all that ran, by scenario and peer.
#[derive(Debug, Default)]
pub(crate) struct Table {
    figures: HashMap<(&'static str, &'static str), Figures>,
}

impl Figures {
    fn of(scenario: &Scenario, outcomes: &[&Outcome]) -> Self {
        let mut figures = Self::default();
        let mut valid = Vec::new();
        for outcome in outcomes {
            match outcome {
                Outcome::Valid { measurement } => valid.push(measurement),
                Outcome::Void { why, .. } => figures.fault(why, |figures| &mut figures.void),
                Outcome::Failed { why } => figures.fault(why, |figures| &mut figures.failed),
            }
        }
        figures.valid = valid.len();
        figures.out_of_order = valid.iter().map(|run| run.out_of_order).sum();
        let spread =
            |figure: fn(&Measurement) -> f64| Spread::of(valid.iter().map(|run| figure(run)));
        if scenario.is_idle() {
            figures.rss_per_connection = spread(Measurement::rss_per_connection);
            figures.idle_cpu_us = spread(Measurement::cpu_us_per_connection);
        } else {
            figures.messages_per_cpu_second = spread(Measurement::messages_per_cpu_second);
            figures.cpu_per_million = spread(Measurement::cpu_per_million);
            figures.wall_rate = spread(Measurement::wall_rate);
            figures.p50_us = Spread::of(valid.iter().filter_map(|run| run.p50_us()));
            figures.p99_us = Spread::of(valid.iter().filter_map(|run| run.p99_us()));
        }
        figures.server_use = Spread::of(valid.iter().map(|run| run.server_use(scenario.cores)));
        figures.generator_use = spread(Measurement::generator_use);
        figures
    }

    fn fault(&mut self, why: &str, counter: fn(&mut Self) -> &mut usize) {
        *counter(self) += 1;
        if !self.reasons.iter().any(|known| known == why) {
            self.reasons.push(why.to_owned());
        }
    }

    /// How many runs do not count, and why. Empty when all do.
    pub(crate) fn faults(&self) -> String {
        let runs = self.valid + self.void + self.failed;
        let counts: Vec<String> = [(self.void, "void"), (self.failed, "failed")]
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} of {runs} {what}"))
            .collect();
        if counts.is_empty() {
            return String::new();
        }
        format!("{}: {}", counts.join(", "), self.reasons.join("; "))
    }

    /// Why there is no figure at all, for those without a valid run.
    pub(crate) fn absence(&self) -> String {
        match self.faults() {
            faults if faults.is_empty() => "not run".to_owned(),
            faults => faults,
        }
    }
}

impl Table {
    pub(crate) fn of_records(records: &[Record]) -> Self {
        let mut runs: HashMap<_, Vec<&Outcome>> = HashMap::new();
        for record in records {
            runs.entry((record.scenario, record.peer)).or_default().push(&record.outcome);
        }
        let figures = runs.into_iter().filter_map(|((name, peer), outcomes)| {
            let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name)?;
            Some(((name, peer), Figures::of(scenario, &outcomes)))
        });
        Self { figures: figures.collect() }
    }

    /// The figures of a peer in a scenario, if it ran there.
    pub(crate) fn of(&self, scenario: &'static str, peer: &'static str) -> Option<&Figures> {
        self.figures.get(&(scenario, peer))
    }

    /// CPU per message of a peer on two cores as a multiple of that on one; or what is lacking.
    pub(crate) fn two_cores_against_one(
        &self,
        scenario: &Scenario,
        peer: &'static str,
    ) -> Result<f64, String> {
        let cost = |scenario, peer| {
            let spread = self.of(scenario, peer).and_then(|figures| figures.cpu_per_million);
            spread
                .map(|spread| spread.median)
                .ok_or_else(|| format!("{scenario} of {peer} was not measured"))
        };
        let one_core = scenario.on_one_core.ok_or("it has no counterpart on one core")?;
        let one_core_peer = PEERS
            .iter()
            .find(|known| known.name == peer)
            .map_or(peer, |known| known.one_core_peer());
        Ok(cost(scenario.name, peer)? / cost(one_core, one_core_peer)?)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::measurement::tests::ANSWER;

    impl Record {
        pub(crate) fn measurement_mut(&mut self) -> &mut Measurement {
            match &mut self.outcome {
                Outcome::Valid { measurement } | Outcome::Void { measurement, .. } => measurement,
                Outcome::Failed { why } => panic!("{why}"),
            }
        }
    }

    /// A valid run with so many messages for so many seconds of CPU.
    pub(crate) fn record(
        scenario: &'static str,
        peer: &'static str,
        messages: u64,
        server_cpu_seconds: f64,
    ) -> Record {
        let measurement =
            Measurement { messages, server_cpu_seconds, ..Measurement::parse(ANSWER).unwrap() };
        Record { scenario, peer, round: 1, outcome: Outcome::Valid { measurement } }
    }

    /// A run that lost messages.
    pub(crate) fn void(scenario: &'static str, peer: &'static str, missing: u64) -> Record {
        let measurement = Measurement { missing, ..Measurement::parse(ANSWER).unwrap() };
        let why = format!("{missing} missing");
        Record { scenario, peer, round: 2, outcome: Outcome::Void { why, measurement } }
    }

    /// A run that did not happen.
    pub(crate) fn failed(scenario: &'static str, peer: &'static str, why: &str) -> Record {
        Record { scenario, peer, round: 3, outcome: Outcome::Failed { why: why.to_owned() } }
    }

    #[test]
    fn void_and_failed_runs_do_not_count() {
        let table = Table::of_records(&[
            record("echo-50x8", "node", 100, 1.0),
            record("echo-50x8", "node", 300, 1.0),
            void("echo-50x8", "node", 5),
            failed("echo-50x8", "node", "it did not start"),
        ]);
        let figures = table.of("echo-50x8", "node").unwrap();
        assert_eq!(figures.messages_per_cpu_second.unwrap().median, 200.0);
        assert_eq!((figures.valid, figures.void, figures.failed), (2, 1, 1));
        assert_eq!(figures.faults(), "1 of 4 void, 1 of 4 failed: 5 missing; it did not start");
    }

    #[test]
    fn only_void_runs_give_no_figure() {
        let table = Table::of_records(&[void("echo-50x8", "node", 5)]);
        let figures = table.of("echo-50x8", "node").unwrap();
        assert_eq!(figures.messages_per_cpu_second, None);
        assert_eq!(figures.absence(), "1 of 1 void: 5 missing");
    }

    #[test]
    fn idle_has_its_own_figures() {
        let mut idle = record("idle", "node", 0, 0.5);
        let measurement = idle.measurement_mut();
        (measurement.connections, measurement.seconds) = (10_000, 25.0);
        (measurement.server_rss_before, measurement.server_rss_after) = (1_000_000, 11_000_000);
        let table = Table::of_records(&[idle]);
        let figures = table.of("idle", "node").unwrap();
        assert_eq!(figures.rss_per_connection.unwrap().median, 1000.0);
        assert_eq!(figures.idle_cpu_us.unwrap().median, 2.0);
        assert_eq!(figures.messages_per_cpu_second, None);
    }

    #[test]
    fn the_cluster_on_two_cores_is_held_against_node_on_one() {
        let table = Table::of_records(&[
            record("echo-50x8", "node", 1000, 1.0),
            record("echo-50x8-2", "cluster", 1000, 1.5),
        ]);
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == "echo-50x8-2").unwrap();
        assert_eq!(table.two_cores_against_one(scenario, "cluster"), Ok(1.5));
        assert!(table.two_cores_against_one(scenario, "yamabiko").is_err());
    }
}
