//! What may be a header field (RFC 9110 section 5).

/// Whether a name and a value may be sent as a header field: a token, and no control characters, so that
/// no value can end its line.
pub fn is_field(name: &str, value: &str) -> bool {
    is_token(name.as_bytes())
        && value.bytes().all(|byte| byte == b'\t' || byte >= b' ' && byte != 0x7f)
}

/// RFC 9110 section 5.6.2.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    let is_token_byte =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_token_byte)
}

/// Whether a comma-separated list has the token, in any case.
pub(super) fn has_token(list: &str, token: &str) -> bool {
    list.split(',').any(|item| item.trim_matches([' ', '\t']).eq_ignore_ascii_case(token))
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
        assert!(has_token("keep-alive, Upgrade", "upgrade"));
        assert!(!has_token("keep-alive, Upgraded", "upgrade"));
    }
}
