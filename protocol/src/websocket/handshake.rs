//! The upgrade from HTTP (RFC 6455 section 4.2): is it one, and what is the answer.
//!
//! Works on header lookups, so it depends on no type of request. Method, HTTP version, path and origin
//! are the caller's to check, and so is the answer to a refused upgrade: [`HandshakeError`] says which
//! status it deserves.

use std::{error, fmt};

use base64::{
    Engine as _,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};
use tungstenite::handshake::derive_accept_key;

/// A valid request to upgrade, ready to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept<'h> {
    key: String,
    offered: Option<&'h str>,
    protocol: Option<&'h str>,
}

/// Why a request is no upgrade we can accept. Always the client's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeError {
    /// `Upgrade` does not say `websocket`, or `Connection` does not say `upgrade`.
    NotAnUpgrade,
    /// `Sec-WebSocket-Version` is missing or not 13.
    Version,
    /// `Sec-WebSocket-Key` is missing or not 16 bytes in base64.
    Key,
    /// `Sec-WebSocket-Protocol` is not a list of tokens.
    Protocol,
}

/// Checks a request's headers.
///
/// `header` looks a field's value up by its lower-case name; of a field that came more than once it
/// gives the values joined by `, ` (this matters for `connection` and `sec-websocket-protocol`).
///
/// # Errors
/// The first header in the order of [`HandshakeError`]'s variants that is not in order.
pub fn accept<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Result<Accept<'h>, HandshakeError> {
    let says = |name, token| header(name).is_some_and(|value| has_token(value, token));
    if !says("upgrade", "websocket") || !says("connection", "upgrade") {
        return Err(HandshakeError::NotAnUpgrade);
    }
    if header("sec-websocket-version") != Some("13") {
        return Err(HandshakeError::Version);
    }
    let key = header("sec-websocket-key").filter(|key| is_key(key)).ok_or(HandshakeError::Key)?;
    let offered = header("sec-websocket-protocol");
    if offered.is_some_and(|list| !elements(list).all(is_token)) {
        return Err(HandshakeError::Protocol);
    }
    Ok(Accept { key: derive_accept_key(key.as_bytes()), offered, protocol: None })
}

impl<'h> Accept<'h> {
    /// The value of `Sec-WebSocket-Accept`: 28 characters.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The subprotocols the client offers, its favourite first.
    pub fn protocols(&self) -> impl Iterator<Item = &'h str> + use<'h> {
        self.offered.into_iter().flat_map(elements)
    }

    /// Chooses one of the offered subprotocols for the answer; without this the answer names none.
    /// Returns whether it was offered: a server must not answer with another one.
    pub fn choose(&mut self, protocol: &str) -> bool {
        let found = self.protocols().find(|offered| *offered == protocol);
        self.protocol = found.or(self.protocol);
        found.is_some()
    }

    /// Appends the 101 response, with `extra_headers` behind our own; frames follow.
    ///
    /// CR, LF and NUL in extra headers become spaces (RFC 9110 section 5.5): no value, wherever it
    /// came from, can end the response early.
    pub fn write_response(&self, out: &mut Vec<u8>, extra_headers: &[(&str, &str)]) {
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        );
        write_header(out, "Sec-WebSocket-Accept", &self.key);
        if let Some(protocol) = self.protocol {
            write_header(out, "Sec-WebSocket-Protocol", protocol);
        }
        for (name, value) in extra_headers {
            write_header(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl HandshakeError {
    /// The status to refuse with: 426 for another version of the protocol, 400 otherwise.
    pub fn status(self) -> u16 {
        match self {
            Self::Version => 426,
            Self::NotAnUpgrade | Self::Key | Self::Protocol => 400,
        }
    }

    /// The header that belongs to the refusal, if any: the version we do speak (section 4.4).
    pub fn header(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Version => Some(("Sec-WebSocket-Version", "13")),
            Self::NotAnUpgrade | Self::Key | Self::Protocol => None,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnUpgrade => "not a request to upgrade to websocket",
            Self::Version => "Sec-WebSocket-Version is not 13",
            Self::Key => "Sec-WebSocket-Key is not 16 bytes in base64",
            Self::Protocol => "Sec-WebSocket-Protocol is not a list of tokens",
        })
    }
}

impl error::Error for HandshakeError {}

fn write_header(out: &mut Vec<u8>, name: &str, value: &str) {
    let harmless = |byte| if matches!(byte, b'\r' | b'\n' | 0) { b' ' } else { byte };
    out.extend(name.bytes().map(harmless));
    out.extend_from_slice(b": ");
    out.extend(value.bytes().map(harmless));
    out.extend_from_slice(b"\r\n");
}

/// The elements of a comma-separated list, without the white space around them. Each byte is looked
/// at a fixed number of times, whatever the list holds.
fn elements(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(|element| element.trim_matches([' ', '\t']))
}

fn has_token(list: &str, token: &str) -> bool {
    elements(list).any(|element| element.eq_ignore_ascii_case(token))
}

/// RFC 9110 section 5.6.2.
fn is_token(element: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !element.is_empty() && element.bytes().all(is_tchar)
}

/// Whether this is the base64 of 16 bytes. Bits beyond the sixteenth byte may be set: clients exist
/// that draw 22 characters instead of 16 bytes, and Node's `ws` lets them in.
fn is_key(key: &str) -> bool {
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    let mut nonce = [0; 18];
    key.len() == 24 && BASE64.decode_slice(key, &mut nonce) == Ok(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    type Headers<'h> = Vec<(&'h str, &'h str)>;

    /// The request of RFC 6455 section 1.2.
    fn request() -> Headers<'static> {
        vec![
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-key", KEY),
            ("sec-websocket-version", "13"),
        ]
    }

    fn accepted<'h>(headers: &Headers<'h>) -> Result<Accept<'h>, HandshakeError> {
        accept(|name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
    }

    fn with<'h>(name: &'h str, value: Option<&'h str>) -> Result<Accept<'h>, HandshakeError> {
        let mut headers: Headers<'h> = request();
        headers.retain(|(known, _)| *known != name);
        headers.extend(value.map(|value| (name, value)));
        accepted(&headers)
    }

    #[test]
    fn the_example_of_the_rfc() {
        let accept = accepted(&request()).unwrap();
        assert_eq!(accept.key(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let mut out = b"before".to_vec();
        accept.write_response(&mut out, &[("Set-Cookie", "io=1"), ("Vary", "Origin")]);
        let expected = "beforeHTTP/1.1 101 Switching Protocols\r\n\
            Upgrade: websocket\r\n\
            Connection: Upgrade\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
            Set-Cookie: io=1\r\n\
            Vary: Origin\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn upgrade_and_connection_are_lists_without_case() {
        for value in ["WebSocket", "h2c, websocket", "websocket , x"] {
            assert!(with("upgrade", Some(value)).is_ok(), "{value}");
        }
        for value in ["keep-alive, Upgrade", "upgrade", "UPGRADE,close"] {
            assert!(with("connection", Some(value)).is_ok(), "{value}");
        }
        for value in [None, Some(""), Some("websockets"), Some("web socket"), Some("h2c")] {
            assert_eq!(with("upgrade", value), Err(HandshakeError::NotAnUpgrade), "{value:?}");
        }
        for value in [None, Some(""), Some("keep-alive"), Some("no-upgrade")] {
            assert_eq!(with("connection", value), Err(HandshakeError::NotAnUpgrade), "{value:?}");
        }
    }

    #[test]
    fn other_versions_are_told_ours() {
        for value in [None, Some(""), Some("8"), Some("0"), Some("013"), Some("13, 8"), Some("14")]
        {
            assert_eq!(with("sec-websocket-version", value), Err(HandshakeError::Version));
        }
        assert_eq!(HandshakeError::Version.status(), 426);
        assert_eq!(HandshakeError::Version.header(), Some(("Sec-WebSocket-Version", "13")));
    }

    #[test]
    fn a_key_is_sixteen_bytes() {
        let wrong = [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ= ",
            "dGhlIHNhbXBsZSBub25jZWE=",
            "dGhlIHNhbXBsZSBub25jZWFh",
            "dGhlIHNhbXBsZSBub25jZQ====",
            "dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25j-_==",
            "dGhlIHNhbXBsZSBu=25jZQ==",
            "äGhlIHNhbXBsZSBub25jZQ=",
        ];
        for key in wrong {
            assert_eq!(with("sec-websocket-key", Some(key)), Err(HandshakeError::Key), "{key}");
        }
        assert_eq!(with("sec-websocket-key", None), Err(HandshakeError::Key));
        for key in
            ["AAAAAAAAAAAAAAAAAAAAAA==", "zzzzzzzzzzzzzzzzzzzzzz==", "+/+/+/+/+/+/+/+/+/+/+w=="]
        {
            assert!(with("sec-websocket-key", Some(key)).is_ok(), "{key}");
        }
        for error in [HandshakeError::Key, HandshakeError::NotAnUpgrade, HandshakeError::Protocol] {
            assert_eq!((error.status(), error.header()), (400, None));
        }
    }

    #[test]
    fn a_subprotocol_is_named_only_when_chosen() {
        let mut accept = with("sec-websocket-protocol", Some("chat, v2.x ,\tsuper")).unwrap();
        assert_eq!(accept.protocols().collect::<Vec<_>>(), ["chat", "v2.x", "super"]);
        let response = |accept: &Accept<'_>| {
            let mut out = Vec::new();
            accept.write_response(&mut out, &[]);
            String::from_utf8(out).unwrap()
        };
        assert!(!accept.choose("other"));
        assert!(!response(&accept).contains("Protocol:"));
        assert!(accept.choose("v2.x"));
        assert!(response(&accept).contains("\r\nSec-WebSocket-Protocol: v2.x\r\n"));
        assert!(!accept.choose("chat, v2.x"), "an element, not a part of the list");
        assert!(response(&accept).contains("\r\nSec-WebSocket-Protocol: v2.x\r\n"));
        assert_eq!(accepted(&request()).unwrap().protocols().count(), 0);
    }

    #[test]
    fn subprotocols_are_tokens() {
        for list in
            ["", " ", ",", "a,", ",a", "a,,b", "a b", "a;b", "\"a\"", "ä", "a, b c", "a\u{b}"]
        {
            let verdict = with("sec-websocket-protocol", Some(list));
            assert_eq!(verdict, Err(HandshakeError::Protocol), "{list:?}");
        }
    }

    #[test]
    fn extra_headers_cannot_split_the_response() {
        let mut out = Vec::new();
        let accept = accepted(&request()).unwrap();
        accept.write_response(&mut out, &[("X\r\nY", "a\r\n\r\nHTTP/1.1 200 OK\0")]);
        let out = String::from_utf8(out).unwrap();
        assert!(out.ends_with("\r\nX  Y: a    HTTP/1.1 200 OK \r\n\r\n"), "{out}");
        assert_eq!(out.matches("\r\n\r\n").count(), 1);
    }
}
