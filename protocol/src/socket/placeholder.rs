//! Where attachments belong in a binary packet's JSON: `{"_placeholder":true,"num":0}`.
//!
//! As in the reference, an object is a placeholder when its last `_placeholder` member is exactly
//! `true`, whatever else it has and in whatever order. Unlike there, `num` must be the index of an
//! attachment and may be used once (CVE-2022-2421). An attachment without placeholder is allowed.

use std::sync::LazyLock;

use memchr::memmem;

use super::escape;
use super::json;

/// One placeholder: it stands at `at..end` of the JSON, for attachment `num`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placeholder {
    pub(crate) at: usize,
    pub(crate) end: usize,
    pub(crate) num: usize,
}

/// A placeholder that stands for nothing, or for what another stands for or stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Illegal;

/// As nearly every peer writes one, up to its number.
const PLAIN: &str = r#"{"_placeholder":true,"num":"#;
/// Where in [`PLAIN`] the key stands.
const KEY_AT: usize = 2;

static KEY: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new("_placeholder"));

/// Checks the placeholders of a checked JSON text, as [`find`] does.
pub(crate) fn check(text: &str, attachments: usize) -> Result<(), Illegal> {
    if read_plain(text, attachments, |_| {}) {
        return Ok(());
    }
    Search::new(text, attachments).run().map(|_| ())
}

/// All placeholders of a checked JSON text, in order of place; at most `attachments` of them.
pub(crate) fn find(text: &str, attachments: usize) -> Result<Vec<Placeholder>, Illegal> {
    let mut found = Vec::new();
    if read_plain(text, attachments, |placeholder| found.push(placeholder)) {
        return Ok(found);
    }
    Search::new(text, attachments).run()
}

/// Reads the placeholders of a text in which all are written plainly and are legal. Returns whether it is
/// such a text; if not, `found` may have been called for some.
///
/// Its quotes are not escaped, as there is no backslash: so what is found is no part of a string, and no
/// other object has the key.
fn read_plain(text: &str, attachments: usize, mut found: impl FnMut(Placeholder)) -> bool {
    let bytes = text.as_bytes();
    if memchr::memchr(b'\\', bytes).is_some() {
        return false;
    }
    let mut used = 0_u64;
    for key in KEY.find_iter(bytes) {
        let Some(at) = key.checked_sub(KEY_AT) else { return false };
        let Some(rest) = bytes[at..].strip_prefix(PLAIN.as_bytes()) else { return false };
        let (num, digits) = match *rest {
            [digit @ b'0'..=b'9', b'}', ..] => (digit - b'0', 1),
            [ten @ b'1'..=b'9', one @ b'0'..=b'9', b'}', ..] => {
                ((ten - b'0') * 10 + (one - b'0'), 2)
            }
            _ => return false,
        };
        let num = usize::from(num);
        if num >= attachments.min(u64::BITS as usize) || used >> num & 1 == 1 {
            return false;
        }
        used |= 1 << num;
        found(Placeholder { at, end: at + PLAIN.len() + digits + 1, num });
    }
    true
}

/// The search in a text of any spelling.
struct Search<'a> {
    text: &'a str,
    at: usize,
    used: Vec<bool>,
    found: Vec<Placeholder>,
}

impl<'a> Search<'a> {
    fn new(text: &'a str, attachments: usize) -> Self {
        Self { text, at: 0, used: vec![false; attachments], found: Vec::new() }
    }

    fn run(mut self) -> Result<Vec<Placeholder>, Illegal> {
        self.value(0)?;
        Ok(self.found)
    }

    fn value(&mut self, depth: usize) -> Result<(), Illegal> {
        match self.peek() {
            Some(b'{' | b'[') if depth == json::DEPTH_CAP => Err(Illegal),
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            _ => {
                self.at = json::skip_value(self.text.as_bytes(), self.at);
                Ok(())
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Illegal> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break self.at += 1,
                Some(_) => self.value(depth)?,
                None => break,
            }
        }
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), Illegal> {
        let (start, found_before) = (self.at, self.found.len());
        let mut is_placeholder = false;
        let mut num = None;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'}') => break self.at += 1,
                Some(b'"') => {}
                Some(_) => {
                    self.at += 1;
                    continue;
                }
                None => break,
            }
            let (key, value) = self.member(depth)?;
            if escape::says(key, "_placeholder") {
                is_placeholder = value == "true";
            } else if escape::says(key, "num") {
                num = self.index(value);
            }
        }
        if is_placeholder {
            let num = num.filter(|&num| !self.used[num]).ok_or(Illegal)?;
            if self.found.len() > found_before {
                return Err(Illegal);
            }
            self.used[num] = true;
            self.found.push(Placeholder { at: start, end: self.at, num });
        }
        Ok(())
    }

    /// Reads one member whose key is next: its key between the quotes, and its value's text.
    fn member(&mut self, depth: usize) -> Result<(&'a str, &'a str), Illegal> {
        let text = self.text;
        let key = self.at + 1;
        self.at = json::skip_string(text.as_bytes(), self.at);
        let key = text.get(key..self.at.saturating_sub(1)).unwrap_or_default();
        if self.peek() == Some(b':') {
            self.at += 1;
        }
        self.peek();
        let value = self.at;
        self.value(depth)?;
        Ok((key, text.get(value..self.at).unwrap_or_default()))
    }

    /// The attachment that a `num` of this text means: any spelling of a whole number, as in JavaScript.
    fn index(&self, num: &str) -> Option<usize> {
        let num: f64 = num.parse().ok().filter(|_| !num.starts_with('+'))?;
        let whole = num.trunc() == num && num >= 0.0 && num < self.used.len() as f64;
        whole.then_some(num as usize)
    }

    fn peek(&mut self) -> Option<u8> {
        self.at = json::skip_space(self.text.as_bytes(), self.at);
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nums(text: &str, attachments: usize) -> Option<Vec<usize>> {
        let found = find(text, attachments).ok()?;
        Some(found.iter().map(|placeholder| placeholder.num).collect())
    }

    #[test]
    fn placeholders_are_found_in_any_nesting_order_and_spelling() {
        let text = r#"["a",{"_placeholder":true,"num":1},{"x":[{"num":0,"_placeholder":true}]}]"#;
        assert_eq!(nums(text, 2), Some(vec![1, 0]));
        let found = find(text, 2).unwrap();
        assert_eq!(&text[found[0].at..found[0].end], r#"{"_placeholder":true,"num":1}"#);
        assert_eq!(&text[found[1].at..found[1].end], r#"{"num":0,"_placeholder":true}"#);
        for other in [
            r#"[ { "_placeholder" : true , "num" : 0 } ]"#,
            r#"[{"\u005fplaceholder":true,"n\u0075m":0.0}]"#,
            r#"[{"_placeholder":false,"num":9,"_placeholder":true,"num":0}]"#,
            r#"[{"_placeholder":true,"num":0,"more":{"num":7}}]"#,
        ] {
            assert_eq!(nums(other, 1), Some(vec![0]), "{other}");
        }
    }

    #[test]
    fn plain_ones_are_read_as_any_other() {
        let one = |num: usize| format!("{PLAIN}{num}}}");
        for text in [
            format!("[{}]", one(0)),
            format!(r#"["a",{},[{}],"{{",{{"x":{}}}]"#, one(1), one(0), one(2)),
            format!("[{}]", (0..70).map(one).collect::<Vec<_>>().join(",")),
            format!("[{},{}]", one(0), one(0)),
            format!("[{}]", one(3)),
            format!("[{PLAIN}00}}]"),
            format!(r#"[{PLAIN}0,"more":1}}]"#),
            format!(r#"[{},{{"_placeholder":false}}]"#, one(0)),
            format!(r#"["_placeholder",{}]"#, one(0)),
            format!(r#"[{{"_placeholder":true,"x":{}}}]"#, one(0)),
            "_placeholder".into(),
        ] {
            for attachments in [0, 1, 2, 3, 70] {
                let slow = Search::new(&text, attachments).run();
                assert_eq!(find(&text, attachments), slow, "{text} {attachments}");
                assert_eq!(check(&text, attachments).is_ok(), slow.is_ok());
            }
        }
        let plain = format!("[{},{}]", one(1), one(0));
        assert!(read_plain(&plain, 2, |_| {}));
    }

    #[test]
    fn what_only_looks_like_one_is_data() {
        for text in [
            r#"[{"_placeholder":1,"num":0}]"#,
            r#"[{"_placeholder":"true","num":0}]"#,
            r#"[{"_placeholder":true,"_placeholder":false,"num":9}]"#,
            r#"["{\"_placeholder\":true}",{"placeholder":true,"num":-1}]"#,
            r#"[]"#,
        ] {
            assert_eq!(nums(text, 1), Some(vec![]), "{text}");
        }
    }

    #[test]
    fn one_that_stands_for_nothing_is_illegal() {
        for num in
            ["-1", "1", "1.5", "1e9", "1e999", "\"0\"", "\"splice\"", "null", "[0]", "{}", "true"]
        {
            let text = format!(r#"["a",{{"_placeholder":true,"num":{num}}}]"#);
            assert_eq!(nums(&text, 1), None, "{num}");
        }
        assert_eq!(nums(r#"[{"_placeholder":true}]"#, 1), None);
        let twice = r#"[{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#;
        assert_eq!(nums(twice, 2), None);
        let nested = r#"[{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":1}}]"#;
        assert_eq!(nums(nested, 2), None);
        assert_eq!(nums(r#"[{"_placeholder":true,"num":0}]"#, 0), None);
    }

    #[test]
    fn unchecked_text_ends_the_search() {
        for text in ["", "[", "{", "{\"", "{\"a\"", "{\"a\":", "[{]", "{]}", "{:\"a\\", "é", "[}"]
        {
            assert!(Search::new(text, 1).run().is_ok() && find(text, 1).is_ok(), "{text}");
        }
        assert_eq!(Search::new(&"[".repeat(100_000), 1).run(), Err(Illegal));
    }
}
