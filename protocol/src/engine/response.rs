//! The answer to an HTTP request, without the headers that are the server's business.

use std::borrow::Cow;

/// An HTTP response. The caller adds `Content-Length`, CORS headers and what else it is told to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// `Content-Type`, if there is a body to name.
    pub content_type: Option<&'static str>,
    /// Body.
    pub body: Cow<'static, [u8]>,
    /// Whether somebody wants it smaller: it is the payload of a poll with a packet that may be compressed.
    pub compress: bool,
}

impl Response {
    /// A status with an empty body.
    pub const fn empty(status: u16) -> Self {
        Self { status, content_type: None, body: Cow::Borrowed(b""), compress: false }
    }

    /// The answer to a POST: `ok`, as `text/html` because some browsers offer plain text as a
    /// download.
    pub const fn ok() -> Self {
        Self {
            status: 200,
            content_type: Some("text/html"),
            body: Cow::Borrowed(b"ok"),
            compress: false,
        }
    }

    /// The answer to methods other than GET and POST with a known session id. The session is not
    /// touched.
    pub const fn method_unsupported() -> Self {
        Self::empty(500)
    }

    /// Whether the reference sends `cache-control: no-store` (and, to old Internet Explorers,
    /// `X-XSS-Protection: 0`) with this: with everything that a transport says in good order.
    pub fn is_no_store(&self) -> bool {
        self.status == 200
    }
}
