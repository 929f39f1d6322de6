//! What headers say about the body and the connection (RFC 9112 sections 6 and 9). Anything that another
//! reader could understand differently is an error: that is how requests are smuggled.

use super::error::HttpError;
use super::field::has_token;
use super::head::Method;
use super::host::is_host;

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
    pub(super) fn read(
        method: Method<'_>,
        minor: u8,
        headers: &[httparse::Header<'_>],
    ) -> Result<Self, HttpError> {
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
                7 if is("upgrade") => websocket |= has_token(header.value, "websocket"),
                10 if is("connection") => {
                    close |= has_token(header.value, "close");
                    keep_alive |= has_token(header.value, "keep-alive");
                    upgrade |= has_token(header.value, "upgrade");
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
                13.. if is_disguised_length(header.name) => return Err(HttpError::BadLength),
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
        let has_body = body != BodyLength::None;
        // Such a body means nothing (RFC 9110 section 9.3), but clients do send it and Node reads it, so
        // it is no reason to refuse. Whoever is between may have passed it over and taken it for a
        // request: therefore the connection serves no other.
        let is_odd =
            has_body && matches!(method, Method::Get | Method::Head | Method::Other("TRACE"));
        Ok(Self {
            body,
            keep_alive: !close && !is_odd && (minor >= 1 || keep_alive),
            expects_continue: expects_continue && has_body,
            // Else the body's bytes would be taken for frames.
            is_websocket_upgrade: websocket && upgrade && minor >= 1 && !has_body,
        })
    }
}

/// Digits and nothing else, at most as many as a u64 surely holds.
fn parse_length(value: &[u8]) -> Option<u64> {
    let is_number = !value.is_empty() && value.len() <= 19 && value.iter().all(u8::is_ascii_digit);
    is_number.then(|| value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// Whether the name differs from one of those that tell the body's length in punctuation only, as in
/// `Content_Length` or `Transfer--Encoding`: who maps names as CGI does takes it for that one.
fn is_disguised_length(name: &str) -> bool {
    let is_like = |letters: &str| {
        let plain = name.bytes().filter(u8::is_ascii_alphanumeric);
        plain.map(|byte| byte.to_ascii_lowercase()).eq(letters.bytes())
    };
    is_like("contentlength") || is_like("transferencoding")
}
