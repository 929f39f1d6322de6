//! Recorded messages of Node's packages, from `tests/cluster/fixtures`.

use serde::Deserialize;
use yamabiko_protocol::cluster::Value;

/// One message as it was published.
#[derive(Debug, Clone, Deserialize)]
#[allow(dead_code)] // Not every test looks at everything.
pub(crate) struct Record {
    /// The package, with its major version where there are several.
    pub(crate) writer: String,
    /// What it was told to do.
    pub(crate) what: String,
    /// The command of Redis.
    pub(crate) command: String,
    /// The channel, the stream or the key.
    pub(crate) channel: String,
    #[serde(default)]
    message: String,
    /// Of a stream's entry, names and values by turns.
    #[serde(default)]
    pub(crate) fields: Vec<String>,
    /// What a reader of that package makes of it, as JSON.
    pub(crate) reads: Option<String>,
}

impl Record {
    /// The message's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let pairs = (0..self.message.len()).step_by(2);
        let byte = |at: usize| u8::from_str_radix(&self.message[at..at + 2], 16);
        pairs.map(|at| byte(at).expect("hexadecimal digits")).collect()
    }
}

/// All records of one file.
pub(crate) fn records(file: &str) -> Vec<Record> {
    let path = format!("{}/tests/cluster/fixtures/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("a file of that name");
    let records: Vec<Record> = serde_json::from_str(&text).expect("records");
    assert!(!records.is_empty());
    records
}

/// The namespace that a channel belongs to.
#[allow(dead_code)]
pub(crate) fn namespace_of(channel: &str) -> &str {
    channel.split('#').nth(1).expect("a channel with a namespace")
}

/// A value as JSON.
#[allow(dead_code)]
pub(crate) fn json_of(value: &Value<'_>) -> String {
    let mut out = Vec::new();
    value.write_plain_json(&mut out).expect("a value");
    String::from_utf8(out).expect("JSON is UTF-8")
}
