//! What the generator says about one run, and whether the run counts.

use serde::{Deserialize, Serialize};

use crate::scenario::Scenario;

/// The generator's answer. Times in seconds unless named otherwise, memory in bytes.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Measurement {
    /// Length of the window.
    pub(crate) seconds: f64,
    /// Connections that were open.
    pub(crate) connections: u32,
    /// Deliveries within the window.
    pub(crate) messages: u64,
    /// CPU of the server and all its descendants within the window.
    pub(crate) server_cpu_seconds: f64,
    /// RSS before the first connection.
    pub(crate) server_rss_before: u64,
    /// RSS with all connections open.
    pub(crate) server_rss_after: u64,
    #[serde(default)]
    pub(crate) server_rss_peak: Option<u64>,
    /// The generator's own CPU within the window.
    pub(crate) client_cpu_seconds: f64,
    pub(crate) missing: u64,
    pub(crate) doubled: u64,
    pub(crate) out_of_order: u64,
    pub(crate) errors: u64,
    /// Absent where nothing is sent.
    #[serde(default)]
    pub(crate) latency_us: Option<Latency>,
    /// What it took to open all connections.
    #[serde(default)]
    pub(crate) connect_seconds: Option<f64>,
}

/// From sending a message to the answer, or to the last receiver's copy. Microseconds.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Latency {
    #[serde(default)]
    pub(crate) p50: Option<f64>,
    #[serde(default)]
    pub(crate) p90: Option<f64>,
    #[serde(default)]
    pub(crate) p99: Option<f64>,
    #[serde(default)]
    pub(crate) max: Option<f64>,
}

impl Measurement {
    /// Reads the generator's output. The error is a sentence for the report.
    pub(crate) fn parse(output: &str) -> Result<Self, String> {
        let output = output.trim();
        if output.is_empty() {
            return Err("the generator said nothing".to_owned());
        }
        serde_json::from_str(output)
            .map_err(|error| format!("the generator's answer cannot be read: {error}"))
    }

    /// Why the run does not count, with the counts; or nothing.
    pub(crate) fn fault(&self, scenario: &Scenario) -> Option<String> {
        let counts = [
            (self.missing, "missing"),
            (self.doubled, "doubled"),
            (self.errors, if self.errors == 1 { "error" } else { "errors" }),
        ];
        let wrong: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if !wrong.is_empty() {
            return Some(wrong.join(", "));
        }
        if self.seconds <= 0.0 {
            return Some("the window has no length".to_owned());
        }
        if scenario.is_idle() {
            return (self.connections == 0).then(|| "no connection was open".to_owned());
        }
        if self.messages == 0 {
            return Some("nothing arrived".to_owned());
        }
        (self.server_cpu_seconds <= 0.0)
            .then(|| "the server used no CPU that could be seen".to_owned())
    }

    pub(crate) fn messages_per_cpu_second(&self) -> f64 {
        self.messages as f64 / self.server_cpu_seconds
    }

    /// Server CPU seconds per million messages.
    pub(crate) fn cpu_per_million(&self) -> f64 {
        self.server_cpu_seconds * 1e6 / self.messages as f64
    }

    /// Messages per second of the wall clock.
    pub(crate) fn wall_rate(&self) -> f64 {
        self.messages as f64 / self.seconds
    }

    /// How busy the server kept its cores, 1 being all the time.
    pub(crate) fn server_use(&self, cores: usize) -> f64 {
        self.server_cpu_seconds / self.seconds / cores as f64
    }

    /// How busy the generator kept its core.
    pub(crate) fn generator_use(&self) -> f64 {
        self.client_cpu_seconds / self.seconds
    }

    /// Bytes of RSS that came with each connection.
    pub(crate) fn rss_per_connection(&self) -> f64 {
        (self.server_rss_after as f64 - self.server_rss_before as f64) / f64::from(self.connections)
    }

    /// CPU microseconds per connection and second.
    pub(crate) fn cpu_us_per_connection(&self) -> f64 {
        self.server_cpu_seconds * 1e6 / f64::from(self.connections) / self.seconds
    }

    pub(crate) fn p50_us(&self) -> Option<f64> {
        self.latency_us.as_ref().and_then(|latency| latency.p50)
    }

    pub(crate) fn p99_us(&self) -> Option<f64> {
        self.latency_us.as_ref().and_then(|latency| latency.p99)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::scenario::SCENARIOS;

    /// An answer of the generator, as the contract has it.
    pub(crate) const ANSWER: &str = r#"{"scenario":"echo","connections":50,"outstanding":8,"payload":64,
        "seconds":4.0,"messages":9000000,"server_cpu_seconds":3.96,"server_rss_before":4096000,
        "server_rss_after":5120000,"server_rss_peak":5200000,"client_cpu_seconds":3.2,"missing":0,
        "doubled":0,"out_of_order":0,"errors":0,
        "latency_us":{"p50":170,"p90":200,"p99":410.5,"max":2000},"connect_seconds":0.02}"#;

    fn echo() -> &'static Scenario {
        SCENARIOS.iter().find(|scenario| scenario.name == "echo-50x8").unwrap()
    }

    #[test]
    fn an_answer_gives_its_figures() {
        let answer = Measurement::parse(ANSWER).unwrap();
        assert_eq!(answer.fault(echo()), None);
        assert!((answer.messages_per_cpu_second() - 2_272_727.0).abs() < 1.0);
        assert!((answer.cpu_per_million() - 0.44).abs() < 1e-9);
        assert_eq!(answer.wall_rate(), 2_250_000.0);
        assert_eq!((answer.server_use(1), answer.server_use(2)), (0.99, 0.495));
        assert_eq!(answer.generator_use(), 0.8);
        assert_eq!(answer.rss_per_connection(), 20_480.0);
        assert_eq!((answer.p50_us(), answer.p99_us()), (Some(170.0), Some(410.5)));
    }

    #[test]
    fn what_is_absent_is_absent() {
        let answer = ANSWER
            .replace(
                r#""latency_us":{"p50":170,"p90":200,"p99":410.5,"max":2000}"#,
                r#""latency_us":null"#,
            )
            .replace(r#""server_rss_peak":5200000,"#, "");
        let answer = Measurement::parse(&answer).unwrap();
        assert_eq!((answer.p50_us(), answer.server_rss_peak), (None, None));
    }

    #[test]
    fn a_run_with_faults_is_void_with_its_counts() {
        let answer = ANSWER
            .replace(r#""missing":0"#, r#""missing":3"#)
            .replace(r#""errors":0"#, r#""errors":1"#);
        let fault = Measurement::parse(&answer).unwrap().fault(echo());
        assert_eq!(fault.as_deref(), Some("3 missing, 1 error"));
    }

    #[test]
    fn nothing_is_no_result() {
        let nothing = ANSWER.replace(r#""messages":9000000"#, r#""messages":0"#);
        let nothing = Measurement::parse(&nothing).unwrap();
        assert_eq!(nothing.fault(echo()).as_deref(), Some("nothing arrived"));
        let idle = SCENARIOS.iter().find(|scenario| scenario.is_idle()).unwrap();
        assert_eq!(nothing.fault(idle), None);
        let free = ANSWER.replace(r#""server_cpu_seconds":3.96"#, r#""server_cpu_seconds":0.0"#);
        assert!(Measurement::parse(&free).unwrap().fault(echo()).is_some());
    }

    #[test]
    fn other_output_is_an_error_that_says_so() {
        assert_eq!(Measurement::parse(" \n").unwrap_err(), "the generator said nothing");
        assert!(Measurement::parse("panicked").unwrap_err().contains("cannot be read"));
        assert!(Measurement::parse("{}").unwrap_err().contains("missing field"));
    }
}
