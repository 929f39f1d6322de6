//! What an HTTP route answers.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use yamabiko_runtime::HttpReply;

/// An HTTP response.
#[derive(Debug, Clone)]
pub struct Response(HttpReply);

impl Response {
    /// A response with a status (200 to 599) and a body.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("Content-Type".into(), content_type.into())];
        Self(HttpReply { status, headers, body: body.into() })
    }

    /// 200 with text.
    pub fn text(body: impl Into<Bytes>) -> Self {
        Self::new(200, "text/plain; charset=utf-8", body)
    }

    /// 200 with a page.
    pub fn html(body: impl Into<Bytes>) -> Self {
        Self::new(200, "text/html; charset=utf-8", body)
    }

    /// 200 with a value as JSON; 500 if it cannot be JSON.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::new(200, "application/json", body),
            Err(error) => {
                tracing::error!(%error, "a response could not be put into JSON");
                Self::new(500, "text/plain; charset=utf-8", "Internal Server Error")
            }
        }
    }

    /// 304: what the client has is still right.
    pub fn not_modified() -> Self {
        Self(HttpReply { status: 304, headers: Vec::new(), body: Bytes::new() })
    }

    /// Adds a header. One with a name or value that HTTP does not allow is left out when it is sent.
    pub fn with_header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.0.headers.push((name.into(), value.into()));
        self
    }
}

impl From<Response> for HttpReply {
    fn from(response: Response) -> Self {
        response.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_cannot_be_json_is_our_error() {
        let reply = HttpReply::from(Response::json(&[1, 2]));
        assert_eq!((reply.status, &reply.body[..]), (200, &b"[1,2]"[..]));
        let with_such_keys = std::collections::HashMap::from([((1, 2), 3)]);
        assert_eq!(HttpReply::from(Response::json(&with_such_keys)).status, 500);
    }

    #[test]
    fn headers_come_in_order() {
        let reply = HttpReply::from(Response::text("hi").with_header("ETag", "\"1\""));
        let names: Vec<_> = reply.headers.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["Content-Type", "ETag"]);
    }
}
