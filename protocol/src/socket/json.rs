//! JSON as text: is it well formed, where does a value end.
//!
//! A packet's JSON is checked once, when the packet is decoded, and stays text from then on: nothing
//! here builds a tree, nothing recurses, and the check allocates nothing. The functions that walk
//! ([`skip_value`], [`skip_space`]) expect checked text; on any other they still end inside it.
//!
//! What counts as JSON is what JavaScript's `JSON.parse` takes (RFC 8259), including escapes of lone
//! surrogates (`"\ud800"`), which no Rust string can hold.

use super::escape::hex4;

/// The deepest nesting that is let in, whatever a limit says: the deepest that `serde_json` reads, so
/// that a handler can have a type out of whatever was let in. Also, one bit for each must fit a word.
pub(crate) const DEPTH_CAP: usize = 127;

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not JSON.
    Syntax,
    /// Arrays and objects nest deeper than allowed.
    Depth,
}

/// What a check notes of an array, so that nobody has to look for it again. Of any other value it means
/// nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Outline {
    /// Where the first element ends; 0 if there is none.
    pub(crate) first_end: usize,
    /// Where the second element starts, or the closing bracket if there is none; 0 in an empty array.
    pub(crate) second: usize,
}

/// Checks that `text` is exactly one JSON value whose arrays and objects nest at most `depth_max`
/// (and never more than [`DEPTH_CAP`]) deep.
pub(crate) fn check(text: &str, depth_max: usize) -> Result<Outline, Fault> {
    let bytes = text.as_bytes();
    let mut outline = Outline::default();
    let mut open = Open { objects: 0, depth: 0, depth_max: depth_max.min(DEPTH_CAP) };
    let mut at = skip_space(bytes, 0);
    loop {
        // One value starts here.
        match bytes.get(at) {
            Some(b'"') => at = check_string(bytes, at + 1)?,
            Some(&bracket @ (b'[' | b'{')) => {
                open.push(bracket == b'{')?;
                at = skip_space(bytes, at + 1);
                // The closing bracket is the opening one plus two in ASCII.
                if bytes.get(at) != Some(&(bracket + 2)) {
                    if bracket == b'{' {
                        at = check_key(bytes, at)?;
                    }
                    continue;
                }
                open.pop();
                at += 1;
            }
            Some(b'-' | b'0'..=b'9') => at = check_number(bytes, at)?,
            Some(b't') => at = check_word(bytes, at, b"true")?,
            Some(b'f') => at = check_word(bytes, at, b"false")?,
            Some(b'n') => at = check_word(bytes, at, b"null")?,
            _ => return Err(Fault::Syntax),
        }
        // It ended: so may any number of containers, until a comma starts the next value.
        loop {
            let end = at;
            at = skip_space(bytes, at);
            if open.depth == 0 {
                return if at == bytes.len() { Ok(outline) } else { Err(Fault::Syntax) };
            }
            let is_first = open.depth == 1 && outline.first_end == 0;
            if is_first {
                outline = Outline { first_end: end, second: at };
            }
            match (bytes.get(at), open.in_object()) {
                (Some(b','), in_object) => {
                    at = skip_space(bytes, at + 1);
                    if is_first {
                        outline.second = at;
                    }
                    if in_object {
                        at = check_key(bytes, at)?;
                    }
                    break;
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    open.pop();
                    at += 1;
                }
                _ => return Err(Fault::Syntax),
            }
        }
    }
}

/// The containers that are open: a bit each, 1 for an object; the innermost is the lowest.
struct Open {
    objects: u128,
    depth: usize,
    depth_max: usize,
}

impl Open {
    fn push(&mut self, object: bool) -> Result<(), Fault> {
        if self.depth == self.depth_max {
            return Err(Fault::Depth);
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        Ok(())
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

/// Checks `"key" :` at `at`; returns where the member's value starts.
fn check_key(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    if bytes.get(at) != Some(&b'"') {
        return Err(Fault::Syntax);
    }
    let at = skip_space(bytes, check_string(bytes, at + 1)?);
    if bytes.get(at) != Some(&b':') {
        return Err(Fault::Syntax);
    }
    Ok(skip_space(bytes, at + 1))
}

/// Checks the rest of a string whose opening quote is before `at`; returns where it ends, past the
/// closing quote.
fn check_string(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    loop {
        at = skip_plain(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => match bytes.get(at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at += 2,
                Some(b'u') if hex4(bytes, at + 2).is_some() => at += 6,
                _ => return Err(Fault::Syntax),
            },
            // The end, or a control character that should have been escaped.
            _ => return Err(Fault::Syntax),
        }
    }
}

/// The first byte at or after `at` that is a quote, a backslash or a control character: eight bytes at
/// a time, since most of a message is inside strings.
fn skip_plain(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    // The lowest byte that is marked is always right; a borrow can only mark wrongly above it.
    let less_than = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word & HIGHS;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let marks = less_than(word, 0x20)
            | less_than(word ^ (ONES * u64::from(b'"')), 1)
            | less_than(word ^ (ONES * u64::from(b'\\')), 1);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&b| b != b'"' && b != b'\\' && b >= 0x20) {
        at += 1;
    }
    at
}

/// Checks a number that starts at `at`; returns where it ends.
fn check_number(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let digits = |from: usize| -> Result<usize, Fault> {
        let mut at = from;
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if at == from { Err(Fault::Syntax) } else { Ok(at) }
    };
    let start = at + usize::from(bytes.get(at) == Some(&b'-'));
    let mut at = digits(start)?;
    if bytes.get(start) == Some(&b'0') && at > start + 1 {
        return Err(Fault::Syntax);
    }
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at = digits(at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-'))))?;
    }
    Ok(at)
}

fn check_word(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, Fault> {
    let end = at + word.len();
    if bytes.get(at..end) == Some(word) { Ok(end) } else { Err(Fault::Syntax) }
}

/// The first element of a checked array; empty if there is none.
pub(crate) fn first_element(array: &str, outline: Outline) -> &str {
    let start = skip_space(array.as_bytes(), 1);
    array.get(start..outline.first_end).unwrap_or_default()
}

/// `text` without white space around it.
pub(crate) fn trim(text: &str) -> &str {
    const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];
    match text.as_bytes() {
        // As nearly always.
        [first, .., last] if *first > b' ' && *last > b' ' => text,
        _ => text.trim_matches(SPACE),
    }
}

/// The first byte at or after `at` that is not white space.
pub(crate) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Where the value that starts at `at` ends.
pub(crate) fn skip_value(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = skip_string(bytes, at),
            b'[' | b'{' => {
                depth += 1;
                at += 1;
                continue;
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            _ => at = skip_scalar(bytes, at),
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Where the string whose opening quote is at `at` ends, past the closing quote.
pub(crate) fn skip_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    loop {
        at = skip_plain(bytes, at);
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') => return at + 1,
            Some(_) => at += 1,
            None => return bytes.len(),
        }
    }
}

/// Where a number or a word that starts at `at` ends.
fn skip_scalar(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while !matches!(bytes.get(end), None | Some(b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r'))
    {
        end += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn json_is_what_javascript_takes() {
        for good in [
            "0",
            "-0",
            "-1.5e+10",
            "1E2",
            " [ ] ",
            "{}",
            "[1,2]",
            "[[],{}]",
            r#"{"a":{"b":[null,true,false]}, "c" : "\u00e9\ud800\n" }"#,
            "\"\u{2028}\u{7f}é\"",
            r#""12345678\"1234567\\""#,
        ] {
            assert_eq!(check(good, 8).map(|_| ()), Ok(()), "{good}");
        }
        for bad in [
            "",
            " ",
            "01",
            "1.",
            ".5",
            "+1",
            "-",
            "1e",
            "1e+",
            "nul",
            "nulll",
            "True",
            "[",
            "]",
            "[1",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{",
            "{]",
            "[}",
            "{1:2}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u12",
            "\"a\nb\"",
            "\"1234567\tb\"",
            "[] []",
            "[]x",
            "'a'",
            "NaN",
            "[1]]",
            "\u{a0}1",
            "/**/1",
            "\"\\",
        ] {
            assert_eq!(check(bad, 8), Err(Fault::Syntax), "{bad}");
        }
    }

    #[test]
    fn each_character_is_judged_alike_in_every_place() {
        for character in (0..=0x2ff).filter_map(char::from_u32) {
            for before in 0..17 {
                let text = format!("\"{}{character}01234567\"", "x".repeat(before));
                let plain = character >= ' ' && character != '"' && character != '\\';
                assert_eq!(check(&text, 0).is_ok(), plain, "{text:?}");
            }
        }
    }

    #[test]
    fn depth_is_counted_not_recursed() {
        assert_eq!(check("[[1]]", 2).map(|_| ()), Ok(()));
        assert_eq!(check("[[[]]]", 2), Err(Fault::Depth));
        assert_eq!(check("[{\"a\":[]}]", 2), Err(Fault::Depth));
        assert_eq!(check("1", 0).map(|_| ()), Ok(()));
        assert_eq!(check("[[],[],[[]]]", 3).map(|_| ()), Ok(()));
        let deep = "[".repeat(DEPTH_CAP) + &"]".repeat(DEPTH_CAP);
        assert_eq!(check(&deep, usize::MAX).map(|_| ()), Ok(()));
        assert!(serde_json::from_str::<serde_json::Value>(&deep).is_ok());
        let deeper = format!("[{deep}]");
        assert_eq!(check(&deeper, usize::MAX), Err(Fault::Depth));
        assert!(serde_json::from_str::<serde_json::Value>(&deeper).is_err());
    }

    proptest! {
        #[test]
        fn the_check_agrees_with_serde_json(text in r#"([\[\]{},:"\\ u0-9aeE.+\-]|true|null|"a"|"a":|\\u00e9){0,24}"#) {
            let other = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(check(&text, 128).is_ok(), other);
        }

        #[test]
        fn the_check_takes_what_serde_json_prints(value in any::<Vec<(String, f64, Option<i64>)>>()) {
            let compact = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(check(&compact, 3).map(|_| ()), Ok(()));
            prop_assert_eq!(skip_value(compact.as_bytes(), 0), compact.len());
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(check(&pretty, 3).map(|_| ()), Ok(()));
            prop_assert_eq!(skip_value(pretty.as_bytes(), 0), pretty.len());
        }

        #[test]
        fn walking_unchecked_text_ends_inside_it(text in any::<String>(), from in 0_usize..64) {
            let from = from.min(text.len());
            prop_assert!(skip_value(text.as_bytes(), from) <= text.len().max(from));
            prop_assert!(skip_string(text.as_bytes(), from) <= text.len().max(from + 1));
        }
    }
}
