//! What may stand in `Host`, and for the authority of a target (RFC 9112 section 3.2, RFC 3986 section
//! 3.2.2). Nothing is resolved or compared.

/// Whether it is one host, perhaps with a port. Empty is allowed: so says a client whose target has no
/// authority. Two hosts that were joined, a user, a path, and what is not ASCII are none.
pub(super) fn is_host(value: &[u8]) -> bool {
    let port = match value.strip_prefix(b"[") {
        Some(literal) => {
            let Some(end) = memchr::memchr(b']', literal) else { return false };
            let (address, port) = (&literal[..end], &literal[end + 1..]);
            if address.is_empty() || !address.iter().all(|byte| is_address_byte(*byte)) {
                return false;
            }
            port
        }
        None => {
            let end = memchr::memchr(b':', value).unwrap_or(value.len());
            let (name, port) = value.split_at(end);
            if name.is_empty() && !port.is_empty() || !name.iter().all(|byte| is_name_byte(*byte)) {
                return false;
            }
            port
        }
    };
    match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// A byte of a registered name or IPv4 address. Without the comma, which the RFC allows in names: in
/// `Host` it joins two of them.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte)
}

/// A byte between the brackets of an IPv6 address.
fn is_address_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b":.%-_~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_and_port_or_nothing() {
        for host in [
            "",
            "a",
            "a.example",
            "a:3000",
            "a:",
            "127.0.0.1:80",
            "[::1]",
            "[fe80::1%25eth0]:443",
            "a_b",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for other in [
            "a b", "a,b", "a/b", "a@b", "a?b", "a#b", "a\\b", ":80", "a:b", "a:1:2", "a:123456",
            "a:-1", "[::1", "::1", "[]", "[::1]a", "[::1]:b", "[a/b]", "\u{e4}", "a\t", "\0",
        ] {
            assert!(!is_host(other.as_bytes()), "{other}");
        }
        assert!(!is_host(b"a\xff"));
    }
}
