//! What Yamabiko wants to reach, and whether it did.

use serde::Serialize;

use crate::figures::{Figures, Table};
use crate::peer::OURS;
use crate::quantity;
use crate::scenario::Scenario;

/// A bound on one measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) measure: Measure,
    /// In the measure's unit.
    pub(crate) bound: f64,
    /// Whether no message may arrive out of order.
    pub(crate) in_order: bool,
}

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Messages per server CPU-second, at least.
    Rate,
    /// RSS per idle connection in bytes, at most.
    Memory,
    /// CPU microseconds per idle connection and second, at most.
    IdleCpu,
    /// CPU per message on two cores as a multiple of that on one, at most.
    TwoCores,
}

/// How a target stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "verdict", content = "why")]
pub(crate) enum Verdict {
    Met,
    /// With what is wrong besides the number, if anything.
    Missed(Option<String>),
    /// With the reason.
    Unmeasured(String),
}

/// A target beside what was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Standing {
    pub(crate) scenario: &'static str,
    pub(crate) what: &'static str,
    /// Both as people read them.
    pub(crate) bound: String,
    pub(crate) measured: Option<String>,
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
}

impl Target {
    pub(crate) const fn rate(bound: f64) -> Self {
        Self { measure: Measure::Rate, bound, in_order: false }
    }

    pub(crate) const fn memory(bound: f64) -> Self {
        Self { measure: Measure::Memory, bound, in_order: false }
    }

    pub(crate) const fn idle_cpu(bound: f64) -> Self {
        Self { measure: Measure::IdleCpu, bound, in_order: false }
    }

    pub(crate) const fn two_cores(bound: f64) -> Self {
        Self { measure: Measure::TwoCores, bound, in_order: false }
    }

    pub(crate) const fn in_order(self) -> Self {
        Self { in_order: true, ..self }
    }

    /// Holds the target against what was measured.
    pub(crate) fn stand(&self, scenario: &Scenario, table: &Table) -> Standing {
        let figures = table.of(scenario.name, OURS);
        let value = self.value(scenario, table);
        Standing {
            scenario: scenario.name,
            what: self.measure.what(),
            bound: self.bound_text(),
            measured: value.as_ref().ok().map(|value| self.measure.text(*value)),
            verdict: match (value, figures) {
                (Ok(value), Some(figures)) => self.judge(value, figures),
                (Err(why), _) => Verdict::Unmeasured(why),
                (Ok(_), None) => Verdict::Unmeasured("not run".to_owned()),
            },
        }
    }

    fn value(&self, scenario: &Scenario, table: &Table) -> Result<f64, String> {
        let figures = table.of(scenario.name, OURS).ok_or("not run")?;
        if figures.valid == 0 {
            return Err(figures.absence());
        }
        let spread = match self.measure {
            Measure::Rate => figures.messages_per_cpu_second,
            Measure::Memory => figures.rss_per_connection,
            Measure::IdleCpu => figures.idle_cpu_us,
            Measure::TwoCores => return table.two_cores_against_one(scenario, OURS),
        };
        spread.map(|spread| spread.median).ok_or_else(|| "the generator did not say".to_owned())
    }

    fn judge(&self, value: f64, figures: &Figures) -> Verdict {
        let reached = match self.measure {
            Measure::Rate => value >= self.bound,
            _ => value <= self.bound,
        };
        if figures.void + figures.failed > 0 {
            return Verdict::Missed(Some(figures.faults()));
        }
        if self.in_order && figures.out_of_order > 0 {
            return Verdict::Missed(Some(format!("{} out of order", figures.out_of_order)));
        }
        if reached { Verdict::Met } else { Verdict::Missed(None) }
    }

    fn bound_text(&self) -> String {
        let sign = if self.measure == Measure::Rate { '≥' } else { '≤' };
        let order = if self.in_order { ", in order" } else { "" };
        format!("{sign} {}{order}", self.measure.text(self.bound))
    }
}

impl Measure {
    fn what(self) -> &'static str {
        match self {
            Self::Rate => "per server CPU-second",
            Self::Memory => "RSS per idle connection",
            Self::IdleCpu => "CPU per idle connection and second",
            Self::TwoCores => "CPU per message on two cores against one",
        }
    }

    fn text(self, value: f64) -> String {
        match self {
            Self::Rate => quantity::rate(value),
            Self::Memory => quantity::bytes(value),
            Self::IdleCpu => quantity::micros(value),
            Self::TwoCores => quantity::times(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::{record, void};
    use crate::scenario::SCENARIOS;

    fn scenario(name: &str) -> &'static Scenario {
        SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap()
    }

    fn stand(name: &str, table: &Table) -> Standing {
        scenario(name).targets[0].stand(scenario(name), table)
    }

    #[test]
    fn a_rate_must_be_reached() {
        let met = Table::of_records(&[record("echo-400x1", OURS, 265_000, 1.0)]);
        assert_eq!(stand("echo-400x1", &met).verdict, Verdict::Met);
        let missed = Table::of_records(&[record("echo-400x1", OURS, 264_000, 1.0)]);
        let standing = stand("echo-400x1", &missed);
        assert_eq!(standing.verdict, Verdict::Missed(None));
        assert_eq!(
            (standing.bound.as_str(), standing.measured.unwrap().as_str()),
            ("≥ 265 k", "264 k")
        );
    }

    #[test]
    fn a_void_run_misses_whatever_the_others_reached() {
        let table = Table::of_records(&[
            record("echo-400x1", OURS, 900_000, 1.0),
            void("echo-400x1", OURS, 3),
        ]);
        let Verdict::Missed(Some(why)) = stand("echo-400x1", &table).verdict else { panic!() };
        assert!(why.contains("3 missing"), "{why}");
    }

    #[test]
    fn order_counts_where_it_is_asked_for() {
        let mut disordered = record("echo-50x8", OURS, 3_000_000, 1.0);
        disordered.measurement_mut().out_of_order = 7;
        let table = Table::of_records(&[disordered]);
        assert_eq!(
            stand("echo-50x8", &table).verdict,
            Verdict::Missed(Some("7 out of order".to_owned()))
        );
    }

    #[test]
    fn two_cores_need_the_one() {
        let two = record("echo-50x8-2", OURS, 1_000_000, 1.05);
        let alone = Table::of_records(std::slice::from_ref(&two));
        assert_eq!(
            stand("echo-50x8-2", &alone).verdict,
            Verdict::Unmeasured("echo-50x8 of yamabiko was not measured".to_owned())
        );
        let both = Table::of_records(&[record("echo-50x8", OURS, 1_000_000, 1.0), two]);
        let standing = stand("echo-50x8-2", &both);
        assert_eq!(
            (standing.verdict, standing.measured.unwrap().as_str()),
            (Verdict::Met, "1.05×")
        );
    }

    #[test]
    fn what_never_ran_is_not_measured() {
        let table = Table::of_records(&[]);
        assert_eq!(stand("connects", &table).verdict, Verdict::Unmeasured("not run".to_owned()));
    }
}
