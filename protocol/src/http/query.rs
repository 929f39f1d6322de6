//! The query string (`application/x-www-form-urlencoded`).

use std::borrow::Cow;

/// A query string, decoded as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'b>(&'b str);

impl<'b> Query<'b> {
    /// A query string, without the `?`.
    pub fn new(query: &'b str) -> Self {
        Self(query)
    }

    /// The text behind the `?`.
    pub fn as_str(&self) -> &'b str {
        self.0
    }

    /// Names and values in order, decoded; what is not UTF-8 becomes U+FFFD.
    pub fn pairs(&self) -> impl Iterator<Item = (Cow<'b, str>, Cow<'b, str>)> + use<'b> {
        form_urlencoded::parse(self.0.as_bytes())
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<Cow<'b, str>> {
        self.pairs().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// The values of several names at once, each only if it occurs once. Where a name occurs twice the
    /// reference gets a list, which is then equal to nothing it compares it with.
    pub fn unique<const N: usize>(&self, names: [&str; N]) -> [Option<Cow<'b, str>>; N] {
        let mut values = [const { None }; N];
        let mut seen = [false; N];
        for (name, value) in self.pairs() {
            if let Some(index) = names.iter().position(|other| *other == name) {
                values[index] = (!seen[index]).then_some(value);
                seen[index] = true;
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_doubled_names_are_nobodys() {
        let query = Query::new("EIO=4&transport=poll%69ng&sid=a+b&sid=c&__proto__=x&e");
        let [eio, transport, sid, proto, e, none] =
            query.unique(["EIO", "transport", "sid", "__proto__", "e", "f"]);
        assert_eq!(eio.as_deref(), Some("4"));
        assert_eq!(transport.as_deref(), Some("polling"));
        assert_eq!(sid, None);
        assert_eq!(proto.as_deref(), Some("x"));
        assert_eq!(e.as_deref(), Some(""));
        assert_eq!(none, None);
        assert_eq!(query.get("sid").as_deref(), Some("a b"));
    }

    #[test]
    fn a_third_value_does_not_bring_the_name_back() {
        assert_eq!(Query::new("a=1&a=2&a=3").unique(["a"]), [None]);
    }
}
