//! The opening handshake (RFC 6455 section 4.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tungstenite::handshake::derive_accept_key;

/// An upgrade request that is in order; that it is an upgrade at all was checked before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    key: String,
}

/// Why an upgrade is refused; the client's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeError {
    /// `Sec-WebSocket-Version` is not 13.
    Version,
    /// `Sec-WebSocket-Key` is missing, or not 16 bytes in base64.
    Key,
}

/// Checks an upgrade request by its headers, which `header` looks up by lower-case name.
///
/// No subprotocol is chosen, so `Sec-WebSocket-Protocol` is not even read: nothing there can cost time
/// (CVE-2021-32640). Socket.IO clients do not use it.
pub fn accept<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Result<Accept, HandshakeError> {
    if header("sec-websocket-version").map(str::trim) != Some("13") {
        return Err(HandshakeError::Version);
    }
    let key = header("sec-websocket-key").map(str::trim).ok_or(HandshakeError::Key)?;
    let mut bytes = [0; 18];
    match key.len() == 24 && STANDARD.decode_slice(key, &mut bytes) == Ok(16) {
        true => Ok(Accept { key: derive_accept_key(key.as_bytes()) }),
        false => Err(HandshakeError::Key),
    }
}

impl Accept {
    /// Appends the 101; `extra` are whole header lines.
    pub fn write_response(&self, out: &mut Vec<u8>, extra: &[u8]) {
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        );
        out.extend_from_slice(b"Sec-WebSocket-Accept: ");
        out.extend_from_slice(self.key.as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(extra);
        out.extend_from_slice(b"\r\n");
    }
}

impl HandshakeError {
    /// Appends the refusal; the connection closes after it.
    pub fn write_response(self, out: &mut Vec<u8>) {
        let (status, extra) = match self {
            Self::Version => ("426 Upgrade Required", "Sec-WebSocket-Version: 13\r\n"),
            Self::Key => ("400 Bad Request", ""),
        };
        let answer =
            format!("HTTP/1.1 {status}\r\n{extra}Connection: close\r\nContent-Length: 0\r\n\r\n");
        out.extend_from_slice(answer.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(version: &str, key: Option<&str>) -> Result<Accept, HandshakeError> {
        accept(|name| match name {
            "sec-websocket-version" => Some(version),
            "sec-websocket-key" => key,
            _ => None,
        })
    }

    #[test]
    fn the_example_of_the_standard_is_accepted() {
        let mut out = Vec::new();
        let accept = check("13", Some("dGhlIHNhbXBsZSBub25jZQ==")).unwrap();
        accept.write_response(&mut out, b"A: b\r\n");
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("HTTP/1.1 101 "));
        assert!(text.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(text.ends_with("\r\nA: b\r\n\r\n"));
    }

    #[test]
    fn other_versions_and_bad_keys_are_refused() {
        let key = Some("dGhlIHNhbXBsZSBub25jZQ==");
        for version in ["8", "", "13, 8", "013"] {
            assert_eq!(check(version, key), Err(HandshakeError::Version), "{version}");
        }
        for key in [None, Some(""), Some("c2hvcnQ="), Some("dGhlIHNhbXBsZSBub25jZQ"), Some("!!!!")]
        {
            assert_eq!(check("13", key), Err(HandshakeError::Key), "{key:?}");
        }
        let mut out = Vec::new();
        HandshakeError::Version.write_response(&mut out);
        assert!(String::from_utf8(out).unwrap().contains("Sec-WebSocket-Version: 13\r\n"));
    }

    /// CVE-2021-32640: a long run of spaces in Sec-WebSocket-Protocol took quadratic time.
    #[test]
    fn the_subprotocol_header_is_never_looked_at() {
        let asked = std::cell::RefCell::new(Vec::new());
        let _ = accept(|name| {
            asked.borrow_mut().push(name.to_owned());
            (name == "sec-websocket-version").then_some("13")
        });
        assert!(!asked.borrow().iter().any(|name| name == "sec-websocket-protocol"));
    }
}
