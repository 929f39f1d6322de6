//! A request's line and headers.
//!
//! [`HeadParser`] finds the end of the head in whatever pieces it comes, looking at each byte once, and
//! only then lets `httparse` read it. A [`Head`] borrows the buffer and owns nothing: headers are read
//! again when somebody asks for one.

use std::mem::MaybeUninit;

use super::error::HttpError;
use super::framing::{BodyLength, Framing};
use super::host::is_host;
use super::query::Query;
use crate::limits::HttpLimits;

/// Header fields that can be read at all; `headers_max` is below it.
const HEADERS_READ_MAX: usize = 256;
/// Empty lines before a request line that are forgiven (RFC 9112 section 2.2), in bytes.
const LEADING_BYTES_MAX: usize = 4;
/// A request line beside its target: method, two spaces, version.
const LINE_EXTRA_BYTES_MAX: usize = 64;

/// Where the search for a head's end has got to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeadParser {
    searched: usize,
    /// A line end was seen behind the request line.
    has_line: bool,
}

/// A request's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method<'b> {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `PATCH`
    Patch,
    /// `OPTIONS`
    Options,
    /// Any other token.
    Other(&'b str),
}

/// A request's line and headers.
#[derive(Debug, Clone, Copy)]
pub struct Head<'b> {
    raw: &'b [u8],
    /// The header lines within `raw`.
    fields: &'b [u8],
    method: Method<'b>,
    target: &'b str,
    minor: u8,
    framing: Framing,
}

impl HeadParser {
    /// Reads the head at the start of `buf`, which must begin with what it began with in the last call.
    /// `None`: it is not whole yet. Else the head and the number of bytes that belong to it.
    ///
    /// # Errors
    /// [`HttpError`]; the connection is to be closed after its status was sent.
    pub fn parse<'b>(
        &mut self,
        buf: &'b [u8],
        limits: &HttpLimits,
    ) -> Result<Option<(Head<'b>, usize)>, HttpError> {
        let start = leading_line_ends(buf);
        let Some(end) = self.find_end(buf, start, limits)? else { return Ok(None) };
        let head = Head::read(&buf[start..end], limits)?;
        *self = Self::default();
        Ok(Some((head, end)))
    }

    /// Looks on for the empty line that ends the head.
    fn find_end(
        &mut self,
        buf: &[u8],
        start: usize,
        limits: &HttpLimits,
    ) -> Result<Option<usize>, HttpError> {
        let mut at = self.searched.max(start);
        while let Some(found) = memchr::memchr(b'\n', buf.get(at..).unwrap_or_default()) {
            let line_end = at + found;
            // Before all else: what came in pieces was refused for its length before its end was seen.
            self.check_length(line_end - start, limits)?;
            at = line_end + 1;
            if at - start > limits.head_bytes_max {
                return Err(HttpError::HeadTooLarge);
            }
            // An empty line at the start is one more than is forgiven; `httparse` would skip it.
            if line_end - start <= 1 || buf[line_end - 1] != b'\r' {
                return Err(HttpError::BadHead);
            }
            if buf[start..line_end].ends_with(b"\r\n\r") {
                return Ok(Some(at));
            }
            self.has_line = true;
        }
        self.searched = buf.len();
        self.check_length(buf.len().saturating_sub(start), limits)?;
        Ok(None)
    }

    /// Refuses `len` bytes of a head, or of its first line if that has not ended before them. It is the
    /// limit that is met first that counts, so that neither more bytes nor an end change the verdict.
    fn check_length(&self, len: usize, limits: &HttpLimits) -> Result<(), HttpError> {
        let line_max = limits.target_bytes_max.saturating_add(LINE_EXTRA_BYTES_MAX);
        match () {
            () if !self.has_line && line_max < limits.head_bytes_max && len > line_max => {
                Err(HttpError::TargetTooLong)
            }
            () if len > limits.head_bytes_max => Err(HttpError::HeadTooLarge),
            () => Ok(()),
        }
    }
}

/// How many bytes of empty lines stand before the request line.
fn leading_line_ends(buf: &[u8]) -> usize {
    let mut start = 0;
    while start < LEADING_BYTES_MAX && buf[start..].starts_with(b"\r\n") {
        start += 2;
    }
    start
}

impl<'b> Head<'b> {
    /// Reads a whole head that was kept from an earlier request ([`Self::raw`]).
    pub fn reparse(raw: &'b [u8]) -> Option<Self> {
        let limits = HttpLimits {
            head_bytes_max: usize::MAX,
            headers_max: HEADERS_READ_MAX,
            target_bytes_max: usize::MAX,
            ..HttpLimits::default()
        };
        Self::read(raw, &limits).ok()
    }

    fn read(raw: &'b [u8], limits: &HttpLimits) -> Result<Self, HttpError> {
        let mut headers = [const { MaybeUninit::uninit() }; HEADERS_READ_MAX];
        let mut request = httparse::Request::new(&mut []);
        let read =
            request.parse_with_uninit_headers(raw, &mut headers).map_err(|error| match error {
                httparse::Error::TooManyHeaders => HttpError::HeadTooLarge,
                httparse::Error::Version => HttpError::UnknownVersion,
                _ => HttpError::BadHead,
            })?;
        let (httparse::Status::Complete(len), Some(method), Some(target), Some(minor)) =
            (read, request.method, request.path, request.version)
        else {
            return Err(HttpError::BadHead);
        };
        if len != raw.len() {
            return Err(HttpError::BadHead);
        }
        if target.len() > limits.target_bytes_max {
            return Err(HttpError::TargetTooLong);
        }
        if request.headers.len() > limits.headers_max {
            return Err(HttpError::HeadTooLarge);
        }
        let method = Method::from(method);
        let framing = Framing::read(method, minor, request.headers)?;
        let target = origin_form(method, target)?;
        let line_end = memchr::memchr(b'\n', raw).ok_or(HttpError::BadHead)?;
        Ok(Self { raw, fields: &raw[line_end + 1..], method, target, minor, framing })
    }

    /// The whole head, to be kept.
    pub fn raw(&self) -> &'b [u8] {
        self.raw
    }

    /// The method.
    pub fn method(&self) -> Method<'b> {
        self.method
    }

    /// The target: path and query as sent, without scheme and host.
    pub fn target(&self) -> &'b str {
        self.target
    }

    /// The path, not decoded.
    pub fn path(&self) -> &'b str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }

    /// The query string.
    pub fn query(&self) -> Query<'b> {
        Query::new(self.target.split_once('?').map_or("", |(_, query)| query))
    }

    /// All header fields in order. One whose value is not UTF-8 is left out.
    pub fn headers(&self) -> impl Iterator<Item = (&'b str, &'b str)> + use<'b> {
        self.lines().filter_map(|line| {
            let colon = memchr::memchr(b':', line)?;
            let name = std::str::from_utf8(&line[..colon]).ok()?;
            let value = std::str::from_utf8(&line[colon + 1..]).ok()?;
            Some((name, value.trim_matches([' ', '\t'])))
        })
    }

    /// The header lines without their ends.
    fn lines(&self) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        let mut rest = self.fields;
        std::iter::from_fn(move || {
            let end = memchr::memchr(b'\n', rest)?;
            let line = rest[..end].strip_suffix(b"\r")?;
            rest = &rest[end + 1..];
            (!line.is_empty()).then_some(line)
        })
    }

    /// The first header field of that name, in any case. If its value is not UTF-8 there is none, whatever
    /// others of the name follow.
    pub fn header(&self, name: &str) -> Option<&'b str> {
        let value = self.lines().find_map(|line| {
            let (other, rest) = line.split_at_checked(name.len())?;
            let value = rest.strip_prefix(b":")?;
            other.eq_ignore_ascii_case(name.as_bytes()).then_some(value)
        })?;
        Some(std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']))
    }

    /// How long the body is.
    pub fn body(&self) -> BodyLength {
        self.framing.body
    }

    /// Whether the client wants to use the connection again.
    pub fn keep_alive(&self) -> bool {
        self.framing.keep_alive
    }

    /// Whether it is HTTP/1.0, which must be told that the connection stays.
    pub fn is_http_1_0(&self) -> bool {
        self.minor == 0
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    pub fn expects_continue(&self) -> bool {
        self.framing.expects_continue
    }

    /// Whether it asks to become a WebSocket.
    pub fn is_websocket_upgrade(&self) -> bool {
        self.framing.is_websocket_upgrade && self.method == Method::Get
    }
}

impl<'b> From<&'b str> for Method<'b> {
    fn from(method: &'b str) -> Self {
        match method {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "PATCH" => Self::Patch,
            "OPTIONS" => Self::Options,
            other => Self::Other(other),
        }
    }
}

impl<'b> Method<'b> {
    /// The method as it is written.
    pub fn as_str(&self) -> &'b str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Patch => "PATCH",
            Self::Options => "OPTIONS",
            Self::Other(other) => other,
        }
    }
}

/// The path and query of a target in any of the forms a server is sent (RFC 9112 section 3.2).
fn origin_form<'b>(method: Method<'b>, target: &'b str) -> Result<&'b str, HttpError> {
    // CONNECT names an authority and asks for a tunnel; there is none here.
    if target.contains('#') || method == Method::Other("CONNECT") {
        return Err(HttpError::BadTarget);
    }
    if target.starts_with('/') || target == "*" && method == Method::Options {
        return Ok(target);
    }
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| {
            Some(target).filter(|it| it.starts_with(scheme)).map(|it| &it[scheme.len()..])
        })
        .ok_or(HttpError::BadTarget)?;
    match rest.find('/') {
        Some(slash) if slash > 0 && is_host(&rest.as_bytes()[..slash]) => Ok(&rest[slash..]),
        _ => Err(HttpError::BadTarget),
    }
}

#[cfg(test)]
mod tests;
