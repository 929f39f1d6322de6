//! What may be a header field (RFC 9110 section 5).

/// Whether a name and a value may be sent as a header field: a token, and no control characters, so that
/// no value can end its line.
pub fn is_field(name: &str, value: &str) -> bool {
    is_token(name.as_bytes()) && value.bytes().all(is_value_byte)
}

/// RFC 9110 section 5.6.2.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

/// A byte of a token.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A byte of a field's value: anything but control characters, and what is not ASCII (RFC 9110
/// section 5.5).
pub(super) fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

/// Whether a comma-separated list has the token, in any case.
pub(super) fn has_token(list: &[u8], token: &str) -> bool {
    list.split(|byte| *byte == b',')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_end_its_line() {
        assert!(is_field("Set-Cookie", "a=b; Path=/"));
        for (name, value) in [("A", "b\r\nC: d"), ("A", "b\n"), ("A", "\0"), ("A b", ""), ("", "")]
        {
            assert!(!is_field(name, value), "{name:?}: {value:?}");
        }
    }

    #[test]
    fn lists_are_searched_by_whole_tokens() {
        assert!(has_token(b"keep-alive, Upgrade", "upgrade"));
        assert!(has_token(b"\xff,\tclose ,", "close"));
        assert!(!has_token(b"keep-alive, Upgraded", "upgrade"));
    }
}
