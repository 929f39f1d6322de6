//! The counts that are committed, and how new ones compare.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// Instructions by the name of the path.
pub(crate) type Counts = BTreeMap<String, u64>;

/// What `instructions.toml` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// Version of the compiler that built what was counted.
    pub(crate) rustc: String,
    pub(crate) instructions: Counts,
}

/// A change up to this many per cent, in either direction, is none: that much moves when unrelated code
/// is laid out anew.
const TOLERANCE_PER_CENT: u64 = 5;

const HEADER: &str = "\
# Instructions of one run of each hot path, as callgrind counts them on x86-64 with AVX2.
# Written by: cargo bench --profile ci --package yamabiko-benches --bench instructions -- --update
";

/// Recorded counts beside new ones.
#[derive(Debug)]
pub(crate) struct Comparison {
    rows: Vec<Row>,
    /// Compilers, where they differ: of the record, of the new counts.
    compilers: Option<(String, String)>,
}

#[derive(Debug)]
struct Row {
    name: String,
    recorded: Option<u64>,
    counted: Option<u64>,
}

impl Record {
    /// Reads the file.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| format!("instructions.toml: {error}"))
    }

    /// What to write into the file.
    pub(crate) fn to_text(&self) -> String {
        let body = toml::to_string(self).expect("strings and numbers are TOML");
        format!("{HEADER}{body}")
    }

    /// Holds `counted` against this record.
    pub(crate) fn compare(&self, counted: &Self) -> Comparison {
        let names: BTreeSet<&String> =
            self.instructions.keys().chain(counted.instructions.keys()).collect();
        let rows = names.into_iter().map(|name| Row {
            name: name.clone(),
            recorded: self.instructions.get(name).copied(),
            counted: counted.instructions.get(name).copied(),
        });
        let differ = self.rustc != counted.rustc;
        Comparison {
            rows: rows.collect(),
            compilers: differ.then(|| (self.rustc.clone(), counted.rustc.clone())),
        }
    }
}

impl Comparison {
    /// All rows, for people.
    pub(crate) fn table(&self) -> String {
        let mut out =
            format!("{:<28} {:>9} {:>9} {:>8}\n", "path", "recorded", "counted", "change");
        let number = |count: Option<u64>| count.map_or("-".into(), |count| count.to_string());
        for row in &self.rows {
            let (recorded, counted) = (number(row.recorded), number(row.counted));
            let change = row.change().map_or("-".into(), |change| format!("{change:+.1} %"));
            let _ = writeln!(out, "{:<28} {recorded:>9} {counted:>9} {change:>8}", row.name);
        }
        out
    }

    /// A line for each row that is not as recorded; empty if all are.
    pub(crate) fn complaints(&self) -> String {
        let mut out: String = self.rows.iter().filter_map(Row::complaint).collect();
        if let Some((recorded, counted)) = &self.compilers
            && !out.is_empty()
        {
            let _ = writeln!(
                out,
                "The record is of rustc {recorded} and this is rustc {counted}, which may be all."
            );
        }
        out
    }
}

impl Row {
    /// In per cent of the recorded count.
    fn change(&self) -> Option<f64> {
        let (recorded, counted) = (self.recorded? as f64, self.counted? as f64);
        Some((counted - recorded) / recorded * 100.0)
    }

    fn complaint(&self) -> Option<String> {
        let name = &self.name;
        let (recorded, counted) = match (self.recorded, self.counted) {
            (Some(recorded), Some(counted)) => (recorded, counted),
            (None, _) => return Some(format!("{name}: is not recorded yet.\n")),
            (_, None) => return Some(format!("{name}: is recorded and no path any more.\n")),
        };
        if recorded.abs_diff(counted) * 100 <= recorded * TOLERANCE_PER_CENT {
            return None;
        }
        let advice = match counted > recorded {
            true => "became dearer. Find out why; record it only if it is worth that",
            false => "became cheaper. Record it, so that it stays so",
        };
        let change = self.change().unwrap_or(f64::INFINITY);
        Some(format!("{name}: {advice} ({recorded} -> {counted}, {change:+.1} %).\n"))
    }
}
