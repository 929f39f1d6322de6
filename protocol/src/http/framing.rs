//! What headers say about the body and the connection (RFC 9112 sections 6 and 9). Anything that another
//! reader could understand differently is an error: that is how requests are smuggled.

use super::error::HttpError;
use super::field::has_token;

/// How long a request's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none.
    None,
    /// So many bytes.
    Length(u64),
    /// As many as its chunks have.
    Chunked,
}

/// What the headers of one request say together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Framing {
    pub(super) body: BodyLength,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    pub(super) is_websocket_upgrade: bool,
}

impl Framing {
    /// Reads the headers of a request of HTTP/1.`minor`.
    pub(super) fn read(minor: u8, headers: &[httparse::Header<'_>]) -> Result<Self, HttpError> {
        let mut length = None;
        let mut chunked = false;
        let mut host = None;
        let (mut close, mut keep_alive, mut upgrade) = (false, false, false);
        let (mut expects_continue, mut websocket) = (false, false);
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            // Few names have the length of one that matters, so most headers cost one comparison.
            match header.name.len() {
                4 if is("host") => match host.replace(header.value) {
                    None if is_host(header.value) => {}
                    _ => return Err(HttpError::BadHost),
                },
                6 if is("expect") => match header.value.eq_ignore_ascii_case(b"100-continue") {
                    true => expects_continue = minor >= 1,
                    false => return Err(HttpError::UnknownExpectation),
                },
                7 if is("upgrade") => websocket |= has_token(text(header.value), "websocket"),
                10 if is("connection") => {
                    let value = text(header.value);
                    close |= has_token(value, "close");
                    keep_alive |= has_token(value, "keep-alive");
                    upgrade |= has_token(value, "upgrade");
                }
                14 if is("content-length") => {
                    let value = parse_length(header.value).ok_or(HttpError::BadLength)?;
                    if length.replace(value).is_some() {
                        return Err(HttpError::BadLength);
                    }
                }
                17 if is("transfer-encoding") => {
                    if chunked || minor == 0 {
                        return Err(HttpError::BadLength);
                    }
                    if !header.value.eq_ignore_ascii_case(b"chunked") {
                        return Err(HttpError::UnknownCoding);
                    }
                    chunked = true;
                }
                _ => {}
            }
        }
        if minor >= 1 && host.is_none() {
            return Err(HttpError::BadHost);
        }
        let body = match (length, chunked) {
            (Some(_), true) => return Err(HttpError::BadLength),
            (None, true) => BodyLength::Chunked,
            (Some(0), false) | (None, false) => BodyLength::None,
            (Some(length), false) => BodyLength::Length(length),
        };
        Ok(Self {
            body,
            keep_alive: !close && (minor >= 1 || keep_alive),
            expects_continue: expects_continue && body != BodyLength::None,
            is_websocket_upgrade: websocket && upgrade && minor >= 1,
        })
    }
}

/// A header's value where only ASCII matters.
fn text(value: &[u8]) -> &str {
    std::str::from_utf8(value).unwrap_or("")
}

/// Digits and nothing else, at most as many as a u64 surely holds.
fn parse_length(value: &[u8]) -> Option<u64> {
    let is_number = !value.is_empty() && value.len() <= 19 && value.iter().all(u8::is_ascii_digit);
    is_number.then(|| value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// Characters that a host and port may have. An empty value is allowed (RFC 9112 section 3.2).
fn is_host(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=:%[]".contains(byte))
}
