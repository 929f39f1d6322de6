//! Where attachments belong in a binary packet's JSON: `{"_placeholder":true,"num":0}`.
//!
//! As in the reference, an object is a placeholder when its last `_placeholder` member is exactly
//! `true`, whatever else it has and in whatever order. Unlike there, `num` must be the index of an
//! attachment and may be used once (CVE-2022-2421). An attachment without placeholder is allowed.

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

/// All placeholders of a checked JSON text, in order of place; at most `attachments` of them.
pub(crate) fn find(text: &str, attachments: usize) -> Result<Vec<Placeholder>, Illegal> {
    let mut search = Search { text, at: 0, used: vec![false; attachments], found: Vec::new() };
    search.value(0)?;
    Ok(search.found)
}

struct Search<'a> {
    text: &'a str,
    at: usize,
    used: Vec<bool>,
    found: Vec<Placeholder>,
}

impl<'a> Search<'a> {
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
            assert!(find(text, 1).is_ok(), "{text}");
        }
        assert_eq!(find(&"[".repeat(100_000), 1), Err(Illegal));
    }
}
