//! JSONP: polling for pages that may only load scripts (`j=<n>`).
//!
//! A payload comes as a call of a function of the page, and goes in a form post `d=<payload>`. The
//! client escapes newlines before it posts, because a browser may turn them into CRLF.

/// The number of the page's callback: the digits of the query parameter `j`, at most
/// [`JsonpIndex::DIGITS_MAX`] of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonpIndex {
    digits: [u8; Self::DIGITS_MAX],
    len: u8,
}

impl JsonpIndex {
    /// Digits kept. Official clients count from 0.
    pub const DIGITS_MAX: usize = 15;

    /// Keeps the digits of `j`. Nothing else of it ever reaches the page.
    pub fn from_query(j: &str) -> Self {
        let mut digits = [0; Self::DIGITS_MAX];
        let mut len = 0;
        for (to, from) in digits.iter_mut().zip(j.bytes().filter(u8::is_ascii_digit)) {
            *to = from;
            len += 1;
        }
        Self { digits, len }
    }

    fn digits(&self) -> &[u8] {
        &self.digits[..usize::from(self.len)]
    }
}

/// Appends the script that hands `payload` to the page: `___eio[n]("…");`. The payload must be UTF-8.
pub fn wrap(index: JsonpIndex, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(payload.len() + payload.len() / 8 + 32);
    out.extend_from_slice(b"___eio[");
    out.extend_from_slice(index.digits());
    out.extend_from_slice(b"](\"");
    put_escaped(payload, out);
    out.extend_from_slice(b"\");");
}

/// Writes UTF-8 text as the inside of a JavaScript string: JSON's escapes, and U+2028 and U+2029,
/// which end a line in scripts but not in JSON.
fn put_escaped(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0..=0x1f => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
            0xe2 if matches!(tail, [0x80, 0xa8 | 0xa9, ..]) => {
                out.extend_from_slice(if tail[1] == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                rest = &tail[2..];
            }
            _ => out.push(byte),
        }
    }
}

/// The payload of a form post: its field `d`, decoded. `None` if there is no `d` or several.
pub fn unwrap(body: &[u8]) -> Option<String> {
    let mut found = None;
    for field in body.split(|&byte| byte == b'&') {
        let equals = memchr::memchr(b'=', field).unwrap_or(field.len());
        if form_decode(&field[..equals]) == b"d" {
            let value = field.get(equals + 1..).unwrap_or_default();
            if found.replace(value).is_some() {
                return None;
            }
        }
    }
    let value = form_decode(found?);
    Some(restore_newlines(&String::from_utf8_lossy(&value)))
}

/// Decodes `application/x-www-form-urlencoded`; a `%` without two hexadecimal digits stays.
fn form_decode(text: &[u8]) -> Vec<u8> {
    let hex = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut out = Vec::with_capacity(text.len());
    let mut index = 0;
    while let Some(&byte) = text.get(index) {
        index += 1;
        match (byte, hex(text.get(index)), hex(text.get(index + 1))) {
            (b'+', ..) => out.push(b' '),
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                index += 2;
            }
            _ => out.push(byte),
        }
    }
    out
}

/// Backslash and `n` is a newline; with one more backslash in front, it is itself.
fn restore_newlines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(tail) = rest.strip_prefix("\\\\n") {
            out.push_str("\\n");
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix("\\n") {
            out.push('\n');
            rest = tail;
        } else {
            out.push('\\');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrapped(j: &str, payload: &str) -> String {
        let mut out = Vec::new();
        wrap(JsonpIndex::from_query(j), payload.as_bytes(), &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_payload_becomes_a_call() {
        assert_eq!(wrapped("0", "4{\"a\":1}\x1e6"), r#"___eio[0]("4{\"a\":1}\u001e6");"#);
        assert_eq!(wrapped("12", "4\u{2028}é\u{2029}\n"), r#"___eio[12]("4\u2028é\u2029\n");"#);
    }

    #[test]
    fn only_digits_of_the_index_are_kept() {
        assert_eq!(wrapped("1];alert(1)//2", "6"), r#"___eio[112]("6");"#);
        assert_eq!(wrapped("", "6"), r#"___eio[]("6");"#);
        let long = wrapped(&"9".repeat(8_000), "6");
        assert_eq!(long, format!("___eio[{}](\"6\");", "9".repeat(JsonpIndex::DIGITS_MAX)));
    }

    #[test]
    fn a_form_post_becomes_a_payload() {
        for (body, payload) in [
            ("d=4hello", Some("4hello")),
            ("d=4a%1Eb%41QID+%2B", Some("4a\u{1e}bAQID +")),
            ("d=4a%5Cnb", Some("4a\nb")),
            ("d=4a%5C%5Cnb", Some("4a\\nb")),
            ("d=4a%5C%5C%5Cnb", Some("4a\\\\nb")),
            ("d=4a%5Cb%5C", Some("4a\\b\\")),
            ("d=4%zz%", Some("4%zz%")),
            ("d=4%e9", Some("4\u{fffd}")),
            ("x=1&%64=4a&y", Some("4a")),
            ("d", Some("")),
            ("d=", Some("")),
            ("", None),
            ("D=4a", None),
            ("d=4a&d=4b", None),
        ] {
            assert_eq!(unwrap(body.as_bytes()).as_deref(), payload, "{body}");
        }
    }

    proptest! {
        #[test]
        fn the_call_is_json_that_gives_the_payload_back(payload: String) {
            let script = wrapped("7", &payload);
            let json = script.strip_prefix("___eio[7](").and_then(|s| s.strip_suffix(");"));
            let back: String = serde_json::from_str(json.expect("a call")).expect("JSON");
            prop_assert_eq!(&back, &payload);
            let line_ends = ['\n', '\u{2028}', '\u{2029}'];
            prop_assert!(!script.contains(line_ends));
        }

        #[test]
        fn a_payload_survives_the_form(payload: String) {
            // What the client does: newlines and escaped newlines first, then percent-encoding.
            let escaped = payload.replace("\\n", "\\\\n").replace('\n', "\\n");
            let body: String = escaped.bytes().map(|byte| format!("%{byte:02X}")).collect();
            prop_assert_eq!(unwrap(format!("d={body}").as_bytes()), Some(payload));
        }

        #[test]
        fn unwrapping_is_total(body: Vec<u8>) {
            let _ = unwrap(&body);
        }
    }
}
