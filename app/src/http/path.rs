//! Paths as they are routed: one spelling for each, and none that climbs.
//!
//! A path is read once, before anything is matched with it. Escapes of characters that need none are
//! decoded (RFC 3986 section 6.2.2), so that `/%61dmin` is `/admin` for layers, routes and files alike.
//! What could mean one thing here and another to a handler or a file system is refused as a whole: a
//! broken escape, one that is no UTF-8, a NUL, and `..` however it is written.

use std::borrow::Cow;

/// A path that is refused: 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadPath;

/// The spelling of a request's path that everything is matched with.
pub(crate) fn routed(path: &str) -> Result<Cow<'_, str>, BadPath> {
    let spelled = match path.bytes().any(|byte| byte == b'%' || !byte.is_ascii()) {
        true => Cow::Owned(respell(path)?),
        false => Cow::Borrowed(path),
    };
    // Decoded only for this look: an escaped slash is one to whoever decodes it.
    let decoded = decode(&spelled)?;
    let climbs = decoded.split(['/', '\\']).any(|segment| segment == "..");
    if climbs || decoded.contains('\0') { Err(BadPath) } else { Ok(spelled) }
}

/// A part of a path with its escapes decoded.
pub(crate) fn decode(part: &str) -> Result<Cow<'_, str>, BadPath> {
    if !part.contains('%') {
        return Ok(Cow::Borrowed(part));
    }
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, more @ ..] = rest {
        (rest, _) = match (first, more) {
            (b'%', [high, low, more @ ..]) => (more, bytes.push(hex(*high)? << 4 | hex(*low)?)),
            (b'%', _) => return Err(BadPath),
            (byte, more) => (more, bytes.push(*byte)),
        };
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| BadPath)
}

/// A path as a router declares it, in the spelling that requests have.
pub(crate) fn declared(path: &str) -> String {
    let mut spelled = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        spelled.push('/');
    }
    path.bytes().for_each(|byte| match byte.is_ascii_graphic() {
        true => spelled.push(byte.into()),
        false => escape(byte, &mut spelled),
    });
    spelled
}

fn respell(path: &str) -> Result<String, BadPath> {
    let mut spelled = String::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        match (first, more) {
            (b'%', [high, low, more @ ..]) => {
                rest = more;
                match hex(*high)? << 4 | hex(*low)? {
                    byte if is_unreserved(byte) => spelled.push(byte.into()),
                    byte => escape(byte, &mut spelled),
                }
            }
            (b'%', _) => return Err(BadPath),
            (byte, _) if byte.is_ascii() => spelled.push((*byte).into()),
            (byte, _) => escape(*byte, &mut spelled),
        }
    }
    Ok(spelled)
}

fn escape(byte: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(DIGITS[usize::from(byte >> 4)].into());
    out.push(DIGITS[usize::from(byte & 15)].into());
}

fn hex(digit: u8) -> Result<u8, BadPath> {
    char::from(digit).to_digit(16).map(|value| value as u8).ok_or(BadPath)
}

/// RFC 3986 section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_resource_has_one_spelling() {
        for (path, spelled) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/%61dmin", "/admin"),
            ("/%7Euser/%2e", "/~user/."),
            ("/a%2fb", "/a%2Fb"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/café", "/caf%C3%A9"),
            ("/a%20b%25", "/a%20b%25"),
        ] {
            assert_eq!(routed(path).as_deref(), Ok(spelled), "{path}");
            assert_eq!(routed(spelled).as_deref(), Ok(spelled), "{path}");
        }
        assert_eq!(declared("café/ {a}"), "/caf%C3%A9/%20{a}");
        assert!(matches!(routed("/plain"), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn what_climbs_or_cannot_be_read_is_refused() {
        for path in [
            "/..",
            "/../etc/passwd",
            "/a/../b",
            "/a/..",
            "/%2e%2e/a",
            "/%2E./a",
            "/.%2e",
            "/a%2f..%2fb",
            "/a%2f%2e%2e",
            "/..%5c..%5ca",
            "/a\\..\\b",
            "/%",
            "/%4",
            "/%zz",
            "/%00",
            "/a%00.html",
            "/%ff",
            "/%c0%ae%c0%ae/",
            "/%e0%80%ae",
            "/%ed%a0%80",
        ] {
            assert_eq!(routed(path), Err(BadPath), "{path}");
        }
        for path in ["/...", "/a..b", "/..a", "/a../b", "/.", "/%252e%252e/a"] {
            assert!(routed(path).is_ok(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_is_read_twice_with_another_meaning(path in "(/|%|2|5|e|E|f|\\.|c|0|a){0,12}") {
            let path = format!("/{path}");
            if let Ok(once) = routed(&path) {
                let twice = routed(&once);
                prop_assert_eq!(twice.as_deref(), Ok(&*once));
                let decoded = decode(&once).unwrap();
                prop_assert!(!decoded.split('/').any(|segment| segment == ".."));
                prop_assert_eq!(decode(&path).unwrap(), decoded);
            }
        }
    }
}
