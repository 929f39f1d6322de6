//! What a handler fails with, and what its client is told.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use ::http::header::{self, HeaderMap, HeaderValue, IntoHeaderName};
use ::http::{Method, StatusCode};
use yamabiko_runtime::BodyError;

use super::body::Body;
use super::{Request, Response};
use crate::answer::Reject;

/// Why a request was not answered as asked: a status, a message for the client, and perhaps what caused it,
/// which the client is not told.
///
/// Handlers and layers return it as `Err`; it then goes to the error handler of the innermost router that
/// has one ([`Router::on_error`](crate::Router::on_error)), and from there on outwards. Nobody's becomes an
/// answer in plain text. Errors of the standard library turn into one with status 500 by `?`, as do those of
/// this crate with the status that fits; for others there is `map_err(Failure::of)`.
///
/// ```
/// use yamabiko::{Failure, Request, RequestExt, http::StatusCode};
///
/// async fn page(request: Request) -> Result<String, Failure> {
///     let number: u32 = request.param("number")?; // 400 if it is none
///     if number > 9 {
///         return Err(Failure::new(StatusCode::NOT_FOUND, "there are only ten pages"));
///     }
///     Ok(std::fs::read_to_string(format!("{number}.txt"))?) // 500, and the reason goes to the log
/// }
/// ```
pub struct Failure(Box<Inner>);

struct Inner {
    status: StatusCode,
    message: Cow<'static, str>,
    headers: HeaderMap,
    cause: Option<Box<dyn Error>>,
    /// No route took this request, which somebody else may still take.
    unmatched: Option<Request>,
    is_unmatched: bool,
}

impl Failure {
    /// A failure with a message for the client.
    pub fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            status,
            message: message.into(),
            headers: HeaderMap::new(),
            cause: None,
            unmatched: None,
            is_unmatched: false,
        }))
    }

    /// A failure of ours: 500. The error goes to the log, and the client learns nothing of it.
    pub fn of(error: impl Into<Box<dyn Error>>) -> Self {
        Self::caused(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error", error)
    }

    /// A failure with a message for the client, and what caused it for the log.
    pub fn caused(
        status: StatusCode,
        message: impl Into<Cow<'static, str>>,
        cause: impl Into<Box<dyn Error>>,
    ) -> Self {
        let mut failure = Self::new(status, message);
        failure.0.cause = Some(cause.into());
        failure
    }

    /// No route took the request.
    pub(crate) fn unmatched(request: Request) -> Self {
        let mut failure = Self::new(StatusCode::NOT_FOUND, "Not Found");
        failure.0.is_unmatched = true;
        failure.0.unmatched = Some(request);
        failure
    }

    /// A path that has routes, but not for this method.
    pub(crate) fn method_not_allowed(allowed: &[Method]) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
            .with_header(header::ALLOW, allow(allowed))
    }

    /// Adds a header to the answer.
    pub fn with_header(mut self, name: impl IntoHeaderName, value: HeaderValue) -> Self {
        self.0.headers.append(name, value);
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What the client is told.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What caused it.
    pub fn cause(&self) -> Option<&(dyn Error + 'static)> {
        self.0.cause.as_deref()
    }

    /// Whether there was no route for the request. A layer finds it in what [`Next::run`](crate::Next::run)
    /// returned, and best passes it on: somebody further out may have one.
    pub fn is_unmatched(&self) -> bool {
        self.0.is_unmatched
    }

    /// The request that no route took, for who may have one.
    pub(crate) fn take_unmatched(&mut self) -> Option<Request> {
        self.0.unmatched.take()
    }

    /// The answer that nobody made a better one of.
    pub(crate) fn into_plain_response(self) -> Response {
        let Inner { status, message, headers, cause, .. } = *self.0;
        match cause {
            Some(cause) if status.is_server_error() => {
                tracing::error!(%status, error = %cause, "a request failed");
            }
            Some(cause) => tracing::debug!(%status, error = %cause, "a request failed"),
            None => tracing::debug!(%status, %message, "a request failed"),
        }
        let mut response = Response::new(match message {
            Cow::Borrowed(message) => Body::from(message),
            Cow::Owned(message) => Body::from(message),
        });
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        let fields = [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            // A message may repeat what the client sent.
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        for (name, value) in fields {
            response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
        }
        response
    }
}

/// The value of `Allow`.
pub(crate) fn allow(methods: &[Method]) -> HeaderValue {
    let list = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    HeaderValue::from_str(&list).unwrap_or_else(|_| HeaderValue::from_static("GET, HEAD"))
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut failure = f.debug_struct("Failure");
        failure.field("status", &self.0.status).field("message", &self.0.message);
        failure.field("cause", &self.0.cause).finish()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.status.as_u16(), self.0.message)?;
        match &self.0.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl From<StatusCode> for Failure {
    fn from(status: StatusCode) -> Self {
        Self::new(status, status.canonical_reason().unwrap_or(""))
    }
}

impl<M: Into<Cow<'static, str>>> From<(StatusCode, M)> for Failure {
    fn from((status, message): (StatusCode, M)) -> Self {
        Self::new(status, message)
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        Self::caused(status, error.to_string(), error)
    }
}

/// What a socket would be refused with, a request is refused with too.
impl From<Reject> for Failure {
    fn from(reject: Reject) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reject.message().to_owned())
    }
}

// One for all errors would leave no room for the types above.
macro_rules! failure_from {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of(error)
            }
        })*
    };
}

failure_from!(
    crate::EmitError,
    crate::Gone,
    crate::JoinError,
    crate::AckFailure,
    serde_json::Error,
    ::http::Error,
    std::io::Error,
    std::fmt::Error,
    Box<dyn Error>,
);

impl From<Box<dyn Error + Send + Sync>> for Failure {
    fn from(error: Box<dyn Error + Send + Sync>) -> Self {
        Self::of(error as Box<dyn Error>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::now;

    fn told(failure: Failure) -> (u16, String) {
        let mut response = failure.into_plain_response();
        let body = now(response.body_mut().bytes()).unwrap();
        (response.status().as_u16(), String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn the_client_learns_the_message_and_never_the_cause() {
        let secret = std::io::Error::other("password of the database");
        assert_eq!(told(Failure::from(secret)), (500, "Internal Server Error".into()));
        assert_eq!(told(StatusCode::FORBIDDEN.into()), (403, "Forbidden".into()));
        assert_eq!(told((StatusCode::CONFLICT, "taken").into()), (409, "taken".into()));
        assert_eq!(told(Failure::from(BodyError::TooLarge)).0, 413);
        assert_eq!(told(Failure::from(Reject::new("no"))), (400, "no".into()));
        let plain: Box<dyn Error> = "inside".into();
        assert_eq!(told(plain.into()), (500, "Internal Server Error".into()));
    }

    #[test]
    fn headers_of_a_failure_are_sent() {
        let failure = Failure::method_not_allowed(&[Method::GET, Method::HEAD]);
        assert!(!failure.is_unmatched());
        let response = failure.into_plain_response();
        assert_eq!(response.headers()["allow"], "GET, HEAD");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    }
}
