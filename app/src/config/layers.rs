//! Which value of an option counts, and options that do not exist.

use std::path::Path;

use clap::CommandFactory;
use serde::Deserialize;
use toml::Table;

use super::checked::ConfigError;
use super::options::Options;

impl Options {
    /// Reads the file's options.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let failed = |error: String| ConfigError::new(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        Self::from_toml(&text).map_err(failed)
    }

    /// The options in a file's text. The error names the line, or the option that was probably meant.
    pub(super) fn from_toml(text: &str) -> Result<Self, String> {
        let table: Table = toml::from_str(text).map_err(|error| error.to_string())?;
        let names = names();
        if let Some(unknown) = table.keys().find(|key| !names.contains(key)) {
            return Err(no_such_option(unknown, &names));
        }
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// These options, and those of `below` that are not set here.
    pub(super) fn over(&self, below: &Self) -> Result<Self, ConfigError> {
        let layered = || {
            let mut table = Table::try_from(below).map_err(|error| error.to_string())?;
            table.extend(Table::try_from(self).map_err(|error| error.to_string())?);
            Self::deserialize(table).map_err(|error| error.to_string())
        };
        layered().map_err(ConfigError::new)
    }

    /// The options as a file.
    pub(super) fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|error| ConfigError::new(error.to_string()))
    }
}

/// A sentence about each variable that looks like an option and is none.
pub(super) fn unknown_variables(variables: impl Iterator<Item = String>) -> Vec<String> {
    let command = Options::command();
    let known: Vec<String> = command
        .get_arguments()
        .filter_map(|option| Some(option.get_env()?.to_str()?.to_owned()))
        .collect();
    variables
        .filter(|name| name.starts_with("YAMABIKO_") && !known.contains(name))
        .map(|name| no_such_option(&name, &known))
        .collect()
}

/// Names that options have in a file.
fn names() -> Vec<String> {
    let command = Options::command();
    let here_only = ["config", "print-config", "help", "version"];
    let longs = command.get_arguments().filter_map(|option| option.get_long());
    longs.filter(|name| !here_only.contains(name)).map(String::from).collect()
}

/// Below this likeness, from 0 to 1, a name is no misspelling of another.
const LIKENESS_MIN: f64 = 0.7;

fn no_such_option(name: &str, known: &[String]) -> String {
    // `pingInterval` is `ping-interval` to whoever comes from Node.
    let plain = |name: &str| name.replace(['-', '_'], "").to_lowercase();
    let likeness = |other: &String| strsim::jaro_winkler(&plain(name), &plain(other));
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|other| likeness(other) >= LIKENESS_MIN) {
        Some(other) => format!("there is no option '{name}'; did you mean '{other}'?"),
        None => format!("there is no option '{name}'; --help names all"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn flags(arguments: &[&str]) -> Options {
        Options::try_parse_from([&["yamabiko"], arguments].concat()).unwrap()
    }

    #[test]
    fn what_is_set_above_wins_and_the_rest_shows_through() {
        let below = Options::from_toml("port = 1\npath = \"/below\"\ncors-origin = \"*\"").unwrap();
        let both =
            flags(&["--port", "2", "--cors-origin", "http://a,http://b"]).over(&below).unwrap();
        assert_eq!(both.port, Some(2));
        assert_eq!(both.path.as_deref(), Some("/below"));
        assert_eq!(both.cors_origin.unwrap().0, ["http://a", "http://b"]);
        assert_eq!(both.shards, None);
    }

    #[test]
    fn a_switch_can_be_turned_off_again() {
        let below = Options::from_toml("allow-eio3 = true\nannounce = true").unwrap();
        let both = flags(&["--allow-eio3=false"]).over(&below).unwrap();
        assert_eq!((both.allow_eio3, both.announce), (Some(false), Some(true)));
        assert_eq!(flags(&["--allow-eio3"]).allow_eio3, Some(true));
    }

    #[test]
    fn an_unknown_option_in_the_file_is_an_error_that_names_the_nearest() {
        for (text, nearest) in [
            ("pingInterval = 5", "'ping-interval'"),
            ("ping_interval = 5", "'ping-interval'"),
            ("ping-intervall = 5", "'ping-interval'"),
            ("maxHttpBufferSize = 5", "'max-http-buffer-size'"),
            ("[corsOrigin]\nany = 1", "'cors-origin'"),
            ("wombat = 5", "--help"),
            ("config = \"other.toml\"", "no option 'config'"),
        ] {
            let error = Options::from_toml(text).unwrap_err();
            assert!(error.contains(nearest), "{text}: {error}");
        }
    }

    #[test]
    fn a_wrong_value_in_the_file_is_an_error_that_names_its_line() {
        for text in
            ["\nport = \"x\"", "\nport = 70000", "\nping-interval = -1", "\nlog-format = \"xml\""]
        {
            let error = Options::from_toml(text).unwrap_err();
            assert!(error.contains("line 2"), "{text}: {error}");
        }
    }

    #[test]
    fn values_in_a_file_are_written_as_in_flags_or_as_toml_has_them() {
        let text = "ping-interval = \"5s\"\nping-timeout = 700\ntransports = [\"polling\"]\nserve-client = false";
        let written = Options::from_toml(text).unwrap();
        let flags = flags(&[
            "--ping-interval=5000",
            "--ping-timeout=700ms",
            "--transports=polling",
            "--serve-client=false",
        ]);
        assert_eq!(written.to_toml().unwrap(), flags.to_toml().unwrap());
    }

    #[test]
    fn unknown_variables_are_told_apart_from_options_and_from_others() {
        let names = ["PATH", "YAMABIKO_PORT", "YAMABIKO_PING_INTERVL", "YAMABIKO_SERVICE_HOST"];
        let unknown = unknown_variables(names.map(String::from).into_iter());
        assert_eq!(unknown.len(), 2, "{unknown:?}");
        assert!(unknown[0].contains("'YAMABIKO_PING_INTERVAL'"));
    }

    #[test]
    fn an_option_has_one_name_in_three_spellings() {
        let names = names();
        for option in Options::command().get_arguments() {
            let Some(name) = option.get_long().filter(|name| names.iter().any(|it| it == name))
            else {
                continue;
            };
            let variable = format!("YAMABIKO_{}", name.to_uppercase().replace('-', "_"));
            assert_eq!(option.get_env().unwrap().to_str(), Some(&*variable));
            // Serde knows it by the same name: what it complains about is the value.
            let error = toml::from_str::<Options>(&format!("{name} = 1979-05-27")).unwrap_err();
            assert!(!error.message().contains("unknown field"), "{name}: {error}");
        }
    }
}
