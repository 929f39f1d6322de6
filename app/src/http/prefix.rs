//! Where a part is mounted: the beginning of a path, by whole segments.

use super::origin::{Param, param};
use super::path::declared;

/// The beginning of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prefix(Vec<Segment>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Fixed(Box<str>),
    /// Anything but nothing, under this name.
    Param(Box<str>),
}

/// How much of a path a prefix uses up, and what it took out of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) bytes: usize,
    pub(crate) params: Vec<Param>,
}

impl Prefix {
    /// Reads a prefix as it is declared.
    ///
    /// # Panics
    /// It has a wildcard, or an empty segment.
    pub(crate) fn new(path: &str) -> Self {
        let path = declared(path);
        let inner = path.trim_start_matches('/').trim_end_matches('/');
        let segments = inner.split('/').filter(|_| !inner.is_empty());
        Self(segments.map(|segment| Segment::new(segment, &path)).collect())
    }

    /// How many segments it has: the one with more is the closer one.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The prefix as text, if it is the same for every request.
    pub(crate) fn fixed(&self) -> Option<String> {
        let segments = self.0.iter().map(|segment| match segment {
            Segment::Fixed(text) => Some(format!("/{text}")),
            Segment::Param(_) => None,
        });
        segments.collect()
    }

    /// Whether `path` begins with it.
    pub(crate) fn of(&self, path: &str) -> Option<Used> {
        let mut used = Used { bytes: 0, params: Vec::new() };
        for segment in &self.0 {
            let rest = path[used.bytes..].strip_prefix('/')?;
            let found = &rest[..rest.find('/').unwrap_or(rest.len())];
            match segment {
                Segment::Fixed(text) if **text == *found => {}
                Segment::Param(name) if !found.is_empty() => used.params.push(param(name, found)),
                _ => return None,
            }
            used.bytes += 1 + found.len();
        }
        Some(used)
    }
}

impl Segment {
    fn new(segment: &str, path: &str) -> Self {
        assert!(!segment.is_empty(), "'{path}' has an empty segment");
        match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => {
                assert!(!name.starts_with('*'), "'{path}': what is mounted takes the rest anyway");
                Self::Param(name.into())
            }
            None => {
                let has_brace = segment.contains(['{', '}']);
                assert!(!has_brace, "'{path}': a parameter is a whole segment here");
                assert!(!segment.starts_with(':'), "'{path}': parameters are written {{name}}");
                Self::Fixed(segment.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(prefix: &str, path: &str) -> Option<(usize, Vec<String>)> {
        let used = Prefix::new(prefix).of(path)?;
        Some((used.bytes, used.params.into_iter().map(|(_, value)| value).collect()))
    }

    #[test]
    fn a_prefix_ends_where_a_segment_does() {
        for (prefix, path, bytes) in [
            ("/", "/", Some(0)),
            ("/", "/a/b", Some(0)),
            ("", "/a", Some(0)),
            ("chat", "/chat", Some(5)),
            ("/chat", "/chat/", Some(5)),
            ("/chat/", "/chat/rooms", Some(5)),
            ("/chat", "/chatter", None),
            ("/chat", "/", None),
            ("/chat", "//chat", None),
            ("/a/b", "/a/b/c", Some(4)),
            ("/a/b", "/a", None),
            ("/a/b", "/a//b", None),
            ("/é", "/%C3%A9/x", Some(7)),
        ] {
            assert_eq!(used(prefix, path).map(|it| it.0), bytes, "{prefix} of {path}");
        }
    }

    #[test]
    fn parameters_are_whole_segments() {
        assert_eq!(used("/of/{who}/x", "/of/a%20b/x/y"), Some((11, vec!["a b".into()])));
        assert_eq!(used("/of/{who}", "/of//x"), None);
        assert_eq!(used("/of/{who}", "/of"), None);
        assert_eq!(Prefix::new("/a/b/").fixed().as_deref(), Some("/a/b"));
        assert_eq!(Prefix::new("/").fixed().as_deref(), Some(""));
        assert_eq!(Prefix::new("/a/{b}").fixed(), None);
    }

    #[test]
    #[should_panic(expected = "parameters are written {name}")]
    fn expresss_spelling_of_parameters_is_refused() {
        Prefix::new("/of/:who");
    }
}
