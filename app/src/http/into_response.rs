//! What a handler may return, and the response it becomes.

use std::borrow::Cow;

use ::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ::http::{Error, StatusCode};
use bytes::Bytes;
use serde::Serialize;

use super::Response;
use super::body::Body;
use super::failure::Failure;

/// What handlers and layers return.
///
/// | returned | response |
/// |---|---|
/// | `()` | 200 without a body |
/// | `&'static str`, `String` | 200, `text/plain; charset=utf-8` |
/// | `&'static [u8]`, `Vec<u8>`, `Bytes` | 200, `application/octet-stream` |
/// | [`Json`]`(value)`, [`Html`]`(text)` | 200 with that type |
/// | [`Redirect`] | a redirection |
/// | [`Sse`](crate::Sse), [`Body`] | 200, a body in pieces |
/// | `StatusCode` | that status; its name as text for one of an error |
/// | `(StatusCode, T)` | as `T`, with that status |
/// | `([(name, value); N], T)`, `(HeaderMap, T)` | as `T`, with these headers |
/// | `(StatusCode, headers, T)` | both |
/// | `http::Response<B>` | as it is |
/// | `Result<T, E>` | as `T`; an `E` that turns into a [`Failure`] goes to the error handler |
///
/// ```
/// use yamabiko::{App, Json, http::{StatusCode, header}};
///
/// App::new()
///     .get("/text", async |_| "hello")
///     .get("/json", async |_| Json([1, 2, 3]))
///     .post("/things", async |_| (StatusCode::CREATED, [(header::LOCATION, "/things/7")], "made"));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a response",
    note = "return text, bytes, `Json(value)`, `Html(text)`, a `StatusCode`, a tuple of a status, headers and one of \
            these, or a `Result<_, Failure>` of it"
)]
pub trait IntoResponse {
    /// The response.
    ///
    /// # Errors
    /// It is a failure, or cannot be a response.
    fn into_response(self) -> Result<Response, Failure>;
}

/// A value as JSON: a response's body, or what [`RequestExt::json`](crate::RequestExt::json) reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// Text as a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Html<T>(pub T);

/// Sends the client elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    status: StatusCode,
    location: String,
}

impl Redirect {
    /// 302: it is there for now. What `res.redirect` of Express does.
    pub fn to(location: impl Into<String>) -> Self {
        Self { status: StatusCode::FOUND, location: location.into() }
    }

    /// 303: the answer to a POST is to be fetched there.
    pub fn see_other(location: impl Into<String>) -> Self {
        Self { status: StatusCode::SEE_OTHER, location: location.into() }
    }

    /// 307: for now the same request is to be made there.
    pub fn temporary(location: impl Into<String>) -> Self {
        Self { status: StatusCode::TEMPORARY_REDIRECT, location: location.into() }
    }

    /// 308: from now on the same request is to be made there.
    pub fn permanent(location: impl Into<String>) -> Self {
        Self { status: StatusCode::PERMANENT_REDIRECT, location: location.into() }
    }
}

fn typed(content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}

macro_rules! plain {
    ($content_type:literal: $($body:ty),*) => {
        $(impl IntoResponse for $body {
            fn into_response(self) -> Result<Response, Failure> {
                Ok(typed($content_type, self))
            }
        })*
    };
}

plain!("text/plain; charset=utf-8": &'static str, String);
plain!("application/octet-stream": &'static [u8], Vec<u8>, Bytes);

impl IntoResponse for Cow<'static, str> {
    fn into_response(self) -> Result<Response, Failure> {
        match self {
            Cow::Borrowed(text) => text.into_response(),
            Cow::Owned(text) => text.into_response(),
        }
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Result<Response, Failure> {
        Ok(Response::default())
    }
}

impl IntoResponse for Body {
    fn into_response(self) -> Result<Response, Failure> {
        Ok(Response::new(self))
    }
}

impl<B: Into<Body>> IntoResponse for ::http::Response<B> {
    fn into_response(self) -> Result<Response, Failure> {
        Ok(self.map(Into::into))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Result<Response, Failure> {
        Ok(typed("application/json", serde_json::to_vec(&self.0)?))
    }
}

impl<T: Into<Body>> IntoResponse for Html<T> {
    fn into_response(self) -> Result<Response, Failure> {
        Ok(typed("text/html; charset=utf-8", self.0))
    }
}

impl IntoResponse for Redirect {
    fn into_response(self) -> Result<Response, Failure> {
        let location: String = self.location.chars().flat_map(in_header).collect();
        let mut response = Response::default();
        *response.status_mut() = self.status;
        let value = HeaderValue::try_from(location).map_err(Error::from)?;
        response.headers_mut().insert(header::LOCATION, value);
        Ok(response)
    }
}

/// A character of an address as a header takes it: percent-encoded unless it is visible ASCII.
fn in_header(char: char) -> Vec<char> {
    match char.is_ascii_graphic() {
        true => vec![char],
        false => {
            let mut bytes = [0; 4];
            let encoded = char.encode_utf8(&mut bytes).bytes();
            encoded.flat_map(|byte| format!("%{byte:02X}").chars().collect::<Vec<_>>()).collect()
        }
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Result<Response, Failure> {
        let is_error = self.is_client_error() || self.is_server_error();
        let mut response = match self.canonical_reason().filter(|_| is_error) {
            Some(reason) => reason.into_response()?,
            None => Response::default(),
        };
        *response.status_mut() = self;
        Ok(response)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Result<Response, Failure> {
        Err(self)
    }
}

impl<T: IntoResponse, E: Into<Failure>> IntoResponse for Result<T, E> {
    fn into_response(self) -> Result<Response, Failure> {
        self.map_err(Into::into)?.into_response()
    }
}

impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    fn into_response(self) -> Result<Response, Failure> {
        let mut response = self.1.into_response()?;
        *response.status_mut() = self.0;
        Ok(response)
    }
}

impl<T: IntoResponse> IntoResponse for (HeaderMap, T) {
    fn into_response(self) -> Result<Response, Failure> {
        let mut response = self.1.into_response()?;
        response.headers_mut().extend(self.0);
        Ok(response)
    }
}

impl<K, V, T, const N: usize> IntoResponse for ([(K, V); N], T)
where
    K: TryInto<HeaderName, Error: Into<Error>>,
    V: TryInto<HeaderValue, Error: Into<Error>>,
    T: IntoResponse,
{
    fn into_response(self) -> Result<Response, Failure> {
        let mut response = self.1.into_response()?;
        for (name, value) in self.0 {
            let name = name.try_into().map_err(Into::into)?;
            let value = value.try_into().map_err(Into::into)?;
            response.headers_mut().insert(name, value);
        }
        Ok(response)
    }
}

impl<H, T> IntoResponse for (StatusCode, H, T)
where
    (H, T): IntoResponse,
{
    fn into_response(self) -> Result<Response, Failure> {
        (self.0, (self.1, self.2)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::now;

    fn sent(value: impl IntoResponse) -> (u16, Option<String>, String) {
        let mut response = value.into_response().unwrap();
        let content_type = response.headers().get("content-type");
        let content_type = content_type.map(|value| value.to_str().unwrap().to_owned());
        let body = now(response.body_mut().bytes()).unwrap();
        (response.status().as_u16(), content_type, String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn values_become_responses() {
        let text = Some("text/plain; charset=utf-8".to_owned());
        let json = Some("application/json".to_owned());
        assert_eq!(sent("hi"), (200, text.clone(), "hi".into()));
        assert_eq!(sent(Json([1, 2])), (200, json.clone(), "[1,2]".into()));
        assert_eq!(sent(()), (200, None, String::new()));
        assert_eq!(sent(StatusCode::NO_CONTENT), (204, None, String::new()));
        assert_eq!(sent(StatusCode::NOT_FOUND), (404, text.clone(), "Not Found".into()));
        assert_eq!(sent((StatusCode::CREATED, "made")), (201, text.clone(), "made".into()));
        let built = ::http::Response::builder().status(418).body("teapot").unwrap();
        assert_eq!(sent(built), (418, None, "teapot".into()));
        let typed = (StatusCode::ACCEPTED, [("content-type", "application/json")], "{}");
        assert_eq!(sent(typed), (202, json, "{}".into()));
        assert_eq!(sent(Ok::<_, Failure>("fine")), (200, text, "fine".into()));
    }

    #[test]
    fn what_cannot_be_sent_is_our_failure() {
        let with_such_keys = std::collections::HashMap::from([((1, 2), 3)]);
        let failed = |value: Result<Response, Failure>| value.unwrap_err().status().as_u16();
        assert_eq!(failed(Json(with_such_keys).into_response()), 500);
        assert_eq!(failed(([("a b", "c")], "d").into_response()), 500);
        assert_eq!(failed(([("a", "b\r\nc: d")], "e").into_response()), 500);
        assert_eq!(failed(Err::<(), _>(StatusCode::GONE).into_response()), 410);
    }

    #[test]
    fn a_redirection_cannot_end_its_line() {
        let location = |to: &str| {
            let response = Redirect::to(to).into_response().unwrap();
            response.headers()["location"].to_str().unwrap().to_owned()
        };
        assert_eq!(location("/a?b=c%20d"), "/a?b=c%20d");
        assert_eq!(location("/a\r\nset-cookie: b"), "/a%0D%0Aset-cookie:%20b");
        assert_eq!(location("/山"), "/%E5%B1%B1");
    }
}
