//! Values as people write them, the same in a file, a variable and a flag.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use yamabiko_protocol::parser::{Parser, UnknownParser};

/// A time: milliseconds, or a number with the unit ms, s, m or h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time(Duration);

const UNITS_MS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| format!("'{text}' is no time"))?;
        let unit = if unit.is_empty() { "ms" } else { unit.trim_start() };
        let Some((_, unit_ms)) = UNITS_MS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("'{unit}' is no unit of time; there are ms, s, m and h"));
        };
        let time = number.checked_mul(*unit_ms).map(Duration::from_millis);
        time.map(Self).ok_or_else(|| format!("'{text}' is too long"))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        let fitting =
            UNITS_MS.iter().find(|(_, unit)| ms > 0 && ms.is_multiple_of(u128::from(*unit)));
        let (name, unit_ms) = fitting.unwrap_or(&("ms", 1));
        write!(f, "{}{name}", ms / u128::from(*unit_ms))
    }
}

impl From<Time> for Duration {
    fn from(time: Time) -> Self {
        time.0
    }
}

impl From<Duration> for Time {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

/// Words between commas; in a file also an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List(pub(super) Vec<String>);

impl FromStr for List {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        Ok(Self(words.map(String::from).collect()))
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// An address to listen on, with or without a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listen {
    pub(super) address: IpAddr,
    pub(super) port: Option<u16>,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(both) = text.parse::<SocketAddr>() {
            return Ok(Self { address: both.ip(), port: Some(both.port()) });
        }
        match text.trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(address) => Ok(Self { address, port: None }),
            Err(_) => Err(format!("'{text}' is no address; write 127.0.0.1, :: or 127.0.0.1:3000")),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.address, port).fmt(f),
            None => self.address.fmt(f),
        }
    }
}

/// Whether the official client's bundle is served, and from where: Socket.IO's `serveClient`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ServeClient {
    /// From where npm puts it below the working directory, if it is there.
    #[default]
    Find,
    /// From this directory; it is an error if it is not there.
    From(PathBuf),
    /// Not at all.
    Off,
}

impl FromStr for ServeClient {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("write a directory, true or false".into()),
            "true" => Ok(Self::Find),
            "false" => Ok(Self::Off),
            directory => Ok(Self::From(directory.into())),
        }
    }
}

impl fmt::Display for ServeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Find => f.write_str("true"),
            Self::From(directory) => directory.display().fmt(f),
            Self::Off => f.write_str("false"),
        }
    }
}

/// How lines of the log look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object of JSON on each line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("'{other}' is no format; there are text and json")),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// A parser, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ParserName(Parser);

impl FromStr for ParserName {
    type Err = UnknownParser;

    fn from_str(text: &str) -> Result<Self, UnknownParser> {
        text.parse().map(Self)
    }
}

impl fmt::Display for ParserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<ParserName> for Parser {
    fn from(name: ParserName) -> Self {
        name.0
    }
}

impl From<Parser> for ParserName {
    fn from(parser: Parser) -> Self {
        Self(parser)
    }
}

/// In a file a value is what it is in a flag, as a string; numbers, booleans and arrays may stand for
/// their text.
macro_rules! written_as_text {
    ($($value:ty),*) => {
        $(
            impl<'de> Deserialize<'de> for $value {
                fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    let Text(text) = Text::deserialize(from)?;
                    text.parse().map_err(de::Error::custom)
                }
            }

            impl Serialize for $value {
                fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                    to.collect_str(self)
                }
            }
        )*
    };
}

written_as_text!(Time, List, Listen, ServeClient, LogFormat, ParserName);

struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a number of at least 0, true, false or an array of texts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.into()))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Text, E> {
                match u64::try_from(number) {
                    Ok(number) => self.visit_u64(number),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Signed(number), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = seq.next_element::<String>()? {
                    words.push(word);
                }
                Ok(Text(words.join(",")))
            }
        }

        from.deserialize_any(TextVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, ms, shortest) in [
            ("25000", 25_000, "25s"),
            ("25s", 25_000, "25s"),
            (" 2 m ", 120_000, "2m"),
            ("1h", 3_600_000, "1h"),
            ("1500ms", 1_500, "1500ms"),
            ("0", 0, "0ms"),
        ] {
            let time: Time = text.parse().unwrap();
            assert_eq!(Duration::from(time), Duration::from_millis(ms), "{text}");
            assert_eq!(time.to_string(), shortest);
            assert_eq!(shortest.parse::<Time>().unwrap(), time);
        }
        for text in
            ["", "s", "-1", "1.5s", "5 weeks", "99999999999999999999", "18446744073709551615h"]
        {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_may_have_a_port() {
        for (text, address, port) in [
            ("127.0.0.1", "127.0.0.1", None),
            ("127.0.0.1:80", "127.0.0.1", Some(80)),
            ("::", "::", None),
            ("[::1]", "::1", None),
            ("[::1]:0", "::1", Some(0)),
        ] {
            let listen: Listen = text.parse().unwrap();
            assert_eq!(listen, Listen { address: address.parse().unwrap(), port }, "{text}");
            assert_eq!(listen.to_string().parse::<Listen>().unwrap(), listen);
        }
        for text in ["", "localhost", "127.0.0.1:99999", "*"] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }

    #[test]
    fn lists_are_words_between_commas() {
        let list = |text: &str| text.parse::<List>().unwrap().0;
        assert_eq!(list("a, b,,c "), ["a", "b", "c"]);
        assert!(list(" ").is_empty());
    }

    #[test]
    fn the_client_is_found_or_off_or_somewhere() {
        let parse = |text: &str| text.parse::<ServeClient>().unwrap();
        assert_eq!(parse("true"), ServeClient::Find);
        assert_eq!(parse("false"), ServeClient::Off);
        assert_eq!(parse("./dist"), ServeClient::From("./dist".into()));
        assert!("".parse::<ServeClient>().is_err());
    }
}
