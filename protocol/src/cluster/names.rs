//! Lists of names: of rooms, of sockets.

use std::borrow::Cow;

use super::container::Elements;
use super::malformed::Malformed;
use super::value::Value;
use super::writer::Writer;

/// A list of names, borrowed from a message or from whoever makes one.
///
/// Rooms may be numbers to JavaScript; here they have the name that it would print.
#[derive(Debug, Clone, Copy, Default)]
pub struct Names<'a>(Source<'a>);

#[derive(Debug, Clone, Copy, Default)]
enum Source<'a> {
    #[default]
    None,
    Slices(&'a [&'a str]),
    Strings(&'a [String]),
    /// Names all of them, and how many.
    Read(Elements<'a>, usize),
}

impl<'a> Names<'a> {
    /// A list that was read; one that is missing is empty.
    ///
    /// A list with something else in it is refused as a whole: without that, it might be shorter, and
    /// the shortest list of rooms means everybody.
    pub(crate) fn read(value: Option<Value<'a>>, member: &'static str) -> Result<Self, Malformed> {
        let Some(value) = value.filter(|value| !value.is_null()) else {
            return Ok(Self::default());
        };
        let elements = value.elements().ok_or(Malformed::Member(member))?;
        let mut len = 0;
        for element in elements {
            if !element.is_name() {
                return Err(Malformed::Member(member));
            }
            len += 1;
        }
        Ok(Self(Source::Read(elements, len)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self.0 {
            Source::None => 0,
            Source::Slices(names) => names.len(),
            Source::Strings(names) => names.len(),
            Source::Read(_, len) => len,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names in their order; owned only if they were numbers or had escapes.
    pub fn iter(&self) -> NamesIter<'a> {
        NamesIter { source: self.0, at: 0 }
    }

    /// The only name, if there is exactly one.
    pub fn only(&self) -> Option<Cow<'a, str>> {
        self.iter().next().filter(|_| self.len() == 1)
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        writer.list(self.len());
        for name in self.iter() {
            writer.str(&name);
        }
        writer.end_list();
    }
}

impl PartialEq for Names<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Names<'_> {}

impl<'a> From<&'a [&'a str]> for Names<'a> {
    fn from(names: &'a [&'a str]) -> Self {
        Self(Source::Slices(names))
    }
}

impl<'a, const N: usize> From<&'a [&'a str; N]> for Names<'a> {
    fn from(names: &'a [&'a str; N]) -> Self {
        Self(Source::Slices(names))
    }
}

impl<'a> From<&'a [String]> for Names<'a> {
    fn from(names: &'a [String]) -> Self {
        Self(Source::Strings(names))
    }
}

impl<'a> IntoIterator for &Names<'a> {
    type Item = Cow<'a, str>;
    type IntoIter = NamesIter<'a>;

    fn into_iter(self) -> NamesIter<'a> {
        self.iter()
    }
}

/// The names of a list: see [`Names::iter`].
#[derive(Debug, Clone)]
pub struct NamesIter<'a> {
    source: Source<'a>,
    at: usize,
}

impl<'a> Iterator for NamesIter<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Cow<'a, str>> {
        let at = self.at;
        self.at += 1;
        match &mut self.source {
            Source::None => None,
            Source::Slices(names) => names.get(at).copied().map(Cow::Borrowed),
            Source::Strings(names) => names.get(at).map(|name| Cow::Borrowed(name.as_str())),
            Source::Read(elements, _) => elements.next()?.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sources_are_alike() {
        let strings = ["a".to_owned(), "1".to_owned(), "é".to_owned()];
        for names in [
            Names::from(&["a", "1", "é"]),
            Names::from(&strings[..]),
            Names::read(Some(Value::json(r#"["a", 1, "\u00e9"]"#)), "x").unwrap(),
            Names::read(Some(Value::Msgpack(b"\x93\xa1a\x01\xa2\xc3\xa9")), "x").unwrap(),
        ] {
            assert_eq!((names.len(), names.is_empty(), names.only()), (3, false, None));
            assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "1", "é"]);
        }
        for none in [None, Some(Value::json("null")), Some(Value::Msgpack(b"\x90"))] {
            assert_eq!(Names::read(none, "x"), Ok(Names::default()));
        }
        assert_eq!(Names::from(&["a"]).only().as_deref(), Some("a"));
    }

    #[test]
    fn one_that_is_no_name_spoils_the_list() {
        for bad in ["[null]", "[\"a\",{}]", "[true]", "\"a\"", "{}", "1"] {
            let read = Names::read(Some(Value::json(bad)), "rooms");
            assert_eq!(read, Err(Malformed::Member("rooms")), "{bad}");
        }
    }
}
