//! What a JSON string says, given what stands between its quotes.
//!
//! JavaScript's strings may hold half a surrogate pair, and then it is escaped on the wire; no Rust
//! string can. It becomes U+FFFD, as JavaScript's own encoder makes of it when such a string leaves as
//! UTF-8.

use std::borrow::Cow;

/// What a string says; owned only if there is an escape in it.
pub(crate) fn unescape(inner: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', inner.as_bytes()) else {
        return Cow::Borrowed(inner);
    };
    let mut said = String::with_capacity(inner.len());
    let mut rest = inner;
    let mut next = Some(first);
    while let Some(backslash) = next {
        said.push_str(&rest[..backslash]);
        let (character, len) = read_escape(&rest.as_bytes()[backslash..]);
        said.push(character);
        rest = rest.get(backslash + len..).unwrap_or("");
        next = memchr::memchr(b'\\', rest.as_bytes());
    }
    said.push_str(rest);
    Cow::Owned(said)
}

/// Whether a string with `inner` between its quotes says `text`.
pub(crate) fn says(inner: &str, text: &str) -> bool {
    let mut rest = inner;
    for wanted in text.chars() {
        let (said, len) = match rest.chars().next() {
            Some('\\') => read_escape(rest.as_bytes()),
            Some(plain) => (plain, plain.len_utf8()),
            None => return false,
        };
        if said != wanted {
            return false;
        }
        rest = rest.get(len..).unwrap_or("");
    }
    rest.is_empty()
}

/// Reads the escape that `bytes` start with: what it stands for, and its length in bytes.
fn read_escape(bytes: &[u8]) -> (char, usize) {
    let simple = match bytes.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(&other @ (b'"' | b'\\' | b'/')) => char::from(other),
        _ => return read_unicode_escape(bytes),
    };
    (simple, 2)
}

fn read_unicode_escape(bytes: &[u8]) -> (char, usize) {
    let Some(first) = hex4(bytes, 2) else {
        // Not in checked text: the backslash alone is consumed.
        return (char::REPLACEMENT_CHARACTER, 1);
    };
    if let 0xd800..=0xdbff = first
        && bytes.get(6..8) == Some(b"\\u")
        && let Some(second @ 0xdc00..=0xdfff) = hex4(bytes, 8)
    {
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
}

/// Four hexadecimal digits at `at`.
pub(super) fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.iter().try_fold(0, |value, &byte| {
        let digit = char::from(byte).to_digit(16)?;
        Some(value << 4 | digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::json;
    use proptest::prelude::*;

    #[test]
    fn strings_say_what_javascript_reads() {
        for (inner, said) in [
            ("plain", "plain"),
            (r#"a\"\\\/\b\f\n\r\tz"#, "a\"\\/\u{8}\u{c}\n\r\tz"),
            (r"\u00E9\u00e9é", "ééé"),
            (r"\ud83d\ude00!", "😀!"),
            (r"\ud800", "\u{fffd}"),
            (r"\udc00\ud800", "\u{fffd}\u{fffd}"),
            (r"\ud800\ud83d\ude00", "\u{fffd}😀"),
            (r"\ud800\u0041", "\u{fffd}A"),
        ] {
            assert_eq!(unescape(inner), said);
        }
        assert!(matches!(unescape("plain"), Cow::Borrowed(_)));
        assert!(matches!(unescape(r"\n"), Cow::Owned(_)));
    }

    proptest! {
        #[test]
        fn strings_agree_with_serde_json(text in any::<String>(), escape in any::<bool>()) {
            let mut quoted = serde_json::to_string(&text).unwrap();
            if escape {
                quoted = format!("\"{}\"", text.encode_utf16().map(|u| format!("\\u{u:04x}")).collect::<String>());
            }
            prop_assert!(json::check(&quoted, 0).is_ok());
            let inner = &quoted[1..quoted.len() - 1];
            prop_assert!(says(inner, &text));
            let longer = text.clone() + "a";
            prop_assert!(!says(inner, &longer));
            let longer = inner.to_owned() + "a";
            prop_assert!(!says(&longer, &text));
            prop_assert_eq!(unescape(inner), text);
        }
    }
}
