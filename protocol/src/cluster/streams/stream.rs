//! The names of streams.

use crate::cluster::PREFIX;

/// Node's default for the option `streamName`.
pub const STREAM: &str = PREFIX;

/// Node's default for the option `maxLen`: entries of a stream that are kept at least.
pub const MAX_LEN: u64 = 10_000;

/// The streams of a cluster: one, or several (the option `streamCount`) that share the namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streams {
    name: String,
    count: u32,
}

impl Streams {
    /// `name` is the option `streamName`. Of a `count` of 0 or 1 there is one, of that very name.
    pub fn new(name: &str, count: u32) -> Self {
        Self { name: name.to_owned(), count: count.max(1) }
    }

    /// The stream that everything about `namespace` is written to.
    ///
    /// The number of one among several may be negative: Node writes those, and does not read them. So
    /// with several streams, only some names of namespaces work there: see [`is_read_by_node`].
    ///
    /// [`is_read_by_node`]: Self::is_read_by_node
    pub fn of(&self, namespace: &str) -> String {
        match self.count {
            1 => self.name.clone(),
            _ => format!("{}-{}", self.name, self.number(namespace)),
        }
    }

    /// Whether Node's nodes hear what is written about `namespace`.
    pub fn is_read_by_node(&self, namespace: &str) -> bool {
        self.count == 1 || self.number(namespace) >= 0
    }

    /// All streams that may be written to: those that Node reads, and those that it should.
    pub fn all(&self) -> Vec<String> {
        let count = i64::from(self.count);
        match count {
            1 => vec![self.name.clone()],
            _ => (1 - count..count).map(|number| format!("{}-{number}", self.name)).collect(),
        }
    }

    fn number(&self, namespace: &str) -> i64 {
        i64::from(hash(namespace)) % i64::from(self.count)
    }
}

/// The hash of a string that Java has, too: its UTF-16 units as digits of a number to base 31.
fn hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stream_has_the_name_itself() {
        for count in [0, 1] {
            let streams = Streams::new("socket.io", count);
            assert_eq!(
                (streams.of("/any"), streams.all()),
                ("socket.io".into(), vec!["socket.io".into()])
            );
            assert!(streams.is_read_by_node("/my-namespace"));
        }
    }

    #[test]
    fn several_streams_are_numbered() {
        let streams = Streams::new("s", 4);
        assert_eq!(streams.all(), ["s--3", "s--2", "s--1", "s-0", "s-1", "s-2", "s-3"]);
        // Hashes as `String.hashCode` of Java gives them.
        assert_eq!(
            (hash("/"), hash("hello"), hash("polygenelubricants")),
            (47, 99_162_322, i32::MIN)
        );
        assert_eq!(streams.of("/"), "s-3");
        assert_eq!(streams.of("polygenelubricants"), "s-0");
        let negative = ["/notifications", "/my-namespace"];
        for namespace in negative {
            assert!(
                !streams.is_read_by_node(namespace) && streams.of(namespace).starts_with("s--")
            );
            assert!(streams.all().contains(&streams.of(namespace)));
        }
    }
}
