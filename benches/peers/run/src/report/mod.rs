//! The report: one document, written as Markdown, as HTML and, with every run, as JSON.

mod chart;
mod comparison;
mod detail;
mod document;
mod head;
mod html;
mod markdown;
mod sections;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::contest::Contest;
use crate::figures::{Figures, Record, Table};
use crate::machine::Machine;
use crate::scenario::Scenario;
use crate::target::Standing;

/// What the report's head says beside the machine.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Occasion {
    /// When the contest began, RFC 3339, UTC.
    pub(crate) date: String,
    pub(crate) command: String,
    /// Load average of the minute before the first run.
    pub(crate) load_average: f64,
    pub(crate) machine: Machine,
}

/// `results.json`.
#[derive(Serialize)]
struct Results<'a> {
    #[serde(flatten)]
    occasion: &'a Occasion,
    rounds: u32,
    seconds: u32,
    peers: Vec<Participant<'a>>,
    scenarios: Vec<Part<'a>>,
    targets: Vec<Standing>,
    runs: &'a [Record],
}

#[derive(Serialize)]
struct Participant<'a> {
    name: &'static str,
    version: &'a str,
    unavailable: Option<&'a str>,
}

#[derive(Serialize)]
struct Part<'a> {
    #[serde(flatten)]
    scenario: &'static Scenario,
    impossible: Option<&'a str>,
    generator_shares_a_core: bool,
    /// By peer.
    figures: BTreeMap<&'static str, &'a Figures>,
}

/// Writes all three into `out`.
pub(crate) fn write(out: &Path, occasion: &Occasion, contest: &Contest) -> Result<(), String> {
    let table = Table::of_records(&contest.records);
    let document = sections::document(occasion, contest, &table);
    let results = serde_json::to_string_pretty(&results(occasion, contest, &table))
        .map_err(|error| format!("the results cannot be written as JSON: {error}"))?;
    for (name, text) in [
        ("report.md", markdown::render(&document)),
        ("report.html", html::render(&document)),
        ("results.json", results),
    ] {
        let path = out.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn results<'a>(occasion: &'a Occasion, contest: &'a Contest, table: &'a Table) -> Results<'a> {
    let peers = contest.entrants.iter().map(|entrant| Participant {
        name: entrant.peer.name,
        version: &entrant.version,
        unavailable: entrant.launch.as_ref().err().map(String::as_str),
    });
    let part = |scenario: &&'static Scenario| Part {
        scenario,
        impossible: contest.impossible.get(scenario.name).map(String::as_str),
        generator_shares_a_core: contest.cores.shared(scenario.cores),
        figures: scenario
            .peers
            .iter()
            .filter_map(|peer| Some((*peer, table.of(scenario.name, peer)?)))
            .collect(),
    };
    Results {
        occasion,
        rounds: contest.rounds,
        seconds: contest.seconds,
        peers: peers.collect(),
        scenarios: contest.scenarios.iter().map(part).collect(),
        targets: sections::standings(contest, table),
        runs: &contest.records,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contest::tests::contest;
    use crate::figures::tests::{failed, record, void};
    use crate::server::tests::fake;

    fn occasion() -> Occasion {
        Occasion {
            date: "2026-01-02T03:04:05Z".to_owned(),
            command: "cargo run --release -p yamabiko-peers -- --rounds 2".to_owned(),
            load_average: 0.1,
            machine: Machine {
                cpu: "A CPU & co".to_owned(),
                cores: 2,
                kernel: "Linux 6.1".to_owned(),
                memory_bytes: 8 << 30,
                rust: "rustc 1.95.0".to_owned(),
            },
        }
    }

    /// A contest with a bit of everything: good, void, failed, disordered, unavailable.
    fn ended(name: &str) -> Contest {
        let mut contest = contest(
            name,
            &["echo-50x8", "echo-50x8-2"],
            &[
                ("yamabiko", Ok(fake(""))),
                ("floor-uring", Ok(fake(""))),
                ("uws", Err("npm failed: 404 | <not found>")),
                ("socketioxide", Ok(fake(""))),
                ("node", Ok(fake(""))),
            ],
        );
        let mut disordered = record("echo-50x8", "socketioxide", 1_000_000, 4.0);
        disordered.measurement_mut().out_of_order = 9;
        contest.records = vec![
            record("echo-50x8", "yamabiko", 2_000_000, 1.0),
            record("echo-50x8", "yamabiko", 2_400_000, 1.0),
            record("echo-50x8", "floor-uring", 2_200_000, 1.0),
            disordered,
            void("echo-50x8", "node", 5),
            failed("echo-50x8", "node", "the generator did not finish within 96 s"),
            record("echo-50x8-2", "yamabiko", 2_000_000, 1.0),
        ];
        contest
    }

    fn written(name: &str) -> (String, String, serde_json::Value) {
        let contest = ended(name);
        write(&contest.logs, &occasion(), &contest).unwrap();
        let read = |file: &str| fs::read_to_string(contest.logs.join(file)).unwrap();
        let json = serde_json::from_str(&read("results.json")).unwrap();
        let texts = (read("report.md"), read("report.html"), json);
        fs::remove_dir_all(&contest.logs).unwrap();
        texts
    }

    #[test]
    fn markdown_has_every_peer_with_its_figures_or_its_reason() {
        let (markdown, ..) = written("markdown");
        for line in [
            "| machine | A CPU & co, 2 cores, 8.00 GiB of memory |",
            "| command | `cargo run --release -p yamabiko-peers -- --rounds 2` |",
            "| yamabiko | 0.458 s (0.417 s–0.500 s) | 2.20 M (2.00 M–2.40 M) |",
            "| socketioxide | 4.00 s | 250 k |",
            "| uws | not available: npm failed: 404 \\| <not found> |",
            "| node | 1 of 2 void, 1 of 2 failed: 5 missing; the generator did not finish within 96 s |",
            "| echo-50x8 | per server CPU-second | ≥ 1.20 M, in order | 2.20 M | met |",
            "| echo-50x8 | 2.20 M | 1.00× | not available | 8.80× ‡ | void |",
            "| yamabiko | echo-50x8-2 | 0.458 s | 0.500 s | 1.09× |",
        ] {
            assert!(markdown.contains(line), "{line}\n\n{markdown}");
        }
        assert!(markdown.contains("‡ 9 out of order"), "{markdown}");
    }

    #[test]
    fn html_stands_alone_and_escapes() {
        let (_, html, _) = written("html");
        for fragment in [
            "<!doctype html>",
            "<meta name=\"color-scheme\" content=\"light dark\">",
            "<td>A CPU &amp; co, 2 cores, 8.00 GiB of memory</td>",
            "not available: npm failed: 404 | &lt;not found&gt;",
            "<code>cargo run --release -p yamabiko-peers -- --rounds 2</code>",
            "<td class=\"number ours\">2.20 M (2.00 M–2.40 M)</td>",
            "<td class=\"good\">met</td>",
        ] {
            assert!(html.contains(fragment), "{fragment}\n\n{html}");
        }
        for outside in ["<script", "http://", "https://", "<link", "<img", "url("] {
            let html = html.replace("http://www.w3.org/2000/svg", "");
            assert!(!html.contains(outside), "{outside}");
        }
        assert_eq!(html.matches("<svg").count(), 2);
        for tag in ["table", "tr", "td", "th", "section", "svg", "g", "text", "p", "ul", "li"] {
            let opened = html.matches(&format!("<{tag}>")).count()
                + html.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn json_has_every_run_and_every_reason() {
        let (.., json) = written("json");
        assert_eq!(json["runs"].as_array().unwrap().len(), 7);
        assert_eq!(json["runs"][4]["outcome"], "void");
        assert_eq!(json["runs"][4]["why"], "5 missing");
        assert_eq!(json["runs"][0]["measurement"]["messages"], 2_000_000);
        assert_eq!(json["peers"][2]["unavailable"], "npm failed: 404 | <not found>");
        assert_eq!(json["machine"]["kernel"], "Linux 6.1");
        assert_eq!(json["scenarios"][0]["load"], "echo");
        assert_eq!(
            json["scenarios"][0]["figures"]["yamabiko"]["messages_per_cpu_second"]["median"],
            2.2e6
        );
        assert_eq!(json["targets"][0]["verdict"], "met");
    }

    #[test]
    fn a_report_of_nothing_can_be_written() {
        let mut contest = contest("nothing", &["connects", "idle"], &[]);
        contest.impossible.insert("idle", "it needs 10200 descriptors".to_owned());
        write(&contest.logs, &occasion(), &contest).unwrap();
        let markdown = fs::read_to_string(contest.logs.join("report.md")).unwrap();
        assert!(markdown.contains("Not run on this machine: it needs 10200 descriptors."));
        assert!(markdown.contains(
            "| connects | per server CPU-second | ≥ 40.0 k | – | not measured: not run |"
        ));
        fs::remove_dir_all(&contest.logs).unwrap();
    }
}
