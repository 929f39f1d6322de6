//! Requests of Socket.IO's own path, before and beside the sockets: Node's `io.engine` and `allowRequest`.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;

use ::http::HeaderMap;
use bytes::Bytes;
use yamabiko_protocol::engine::Rejection;
pub use yamabiko_protocol::engine::{Context, ErrorCode, Revision, Transport};
use yamabiko_protocol::http::Head;
use yamabiko_runtime::{Decision, EngineHooks, Shard};

use crate::answer::Reject;
use crate::app::App;

type Verdict = Pin<Box<dyn Future<Output = Result<(), Reject>>>>;
type AllowRequest = Box<dyn Fn(Rc<RequestHead>) -> Verdict>;
type Headers = Box<dyn Fn(&RequestHead, &mut HeaderMap)>;
type OnConnectionError = Box<dyn Fn(&ConnectionError<'_>)>;

/// The head of a request for Socket.IO's own path, and where it came from.
#[derive(Clone)]
pub struct RequestHead {
    raw: Bytes,
    address: SocketAddr,
}

impl RequestHead {
    fn new(head: &Head<'_>, address: SocketAddr) -> Self {
        Self { raw: Bytes::copy_from_slice(head.raw()), address }
    }

    /// The peer's address; behind a proxy, the proxy's.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.head().map_or("", |head| head.method().as_str())
    }

    /// The target: path and query.
    pub fn url(&self) -> &str {
        self.head().map_or("", |head| head.target())
    }

    /// A header; its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head()?.header(name)
    }

    /// All headers, in order, as the client wrote them.
    pub fn headers(&self) -> Vec<(&str, &str)> {
        self.head().map_or(Vec::new(), |head| head.headers().collect())
    }

    /// A parameter of the query string, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        self.head()?.query().get(name).map(Into::into)
    }

    /// Whether it asks to become a WebSocket.
    pub fn is_upgrade(&self) -> bool {
        self.head().is_some_and(|head| head.is_websocket_upgrade())
    }

    fn head(&self) -> Option<Head<'_>> {
        Head::reparse(&self.raw)
    }
}

impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut request = f.debug_struct("RequestHead");
        request.field("address", &self.address).field("method", &self.method());
        request.field("url", &self.url()).finish()
    }
}

/// A request that was refused: what Node's `connection_error` tells.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionError<'a> {
    request: &'a RequestHead,
    rejection: &'a Rejection<'a>,
}

impl<'a> ConnectionError<'a> {
    /// The request.
    pub fn request(&self) -> &'a RequestHead {
        self.request
    }

    /// The code that the client was told, from 0 to 5.
    pub fn code(&self) -> u8 {
        self.rejection.code.number()
    }

    /// The same by name.
    pub fn kind(&self) -> ErrorCode {
        self.rejection.code
    }

    /// What the client was told: Node's text for the code, or what [`App::allow_request`] has said.
    pub fn message(&self) -> &'a str {
        self.rejection.message()
    }

    /// What was wrong.
    pub fn context(&self) -> &'a Context<'a> {
        &self.rejection.context
    }
}

/// What an application says to requests.
#[derive(Default)]
pub(crate) struct Engine {
    allow_request: Vec<AllowRequest>,
    initial_headers: Vec<Headers>,
    headers: Vec<Headers>,
    on_connection_error: Vec<OnConnectionError>,
}

/// Socket.IO's own requests: Node's `allowRequest`, and the events of `io.engine`.
///
/// They come before namespaces, and so these hooks are for all clients of the server; those of a mounted app,
/// too. Those of one kind are called in the order in which they were declared, those of mounted apps last.
/// What is not declared costs nothing.
impl App {
    /// Decides whether a client may begin a session, before there is one: Socket.IO's `allowRequest`. Asked
    /// about each request without a session that is in order otherwise, over polling or WebSocket; not about
    /// the further requests of a session, and so not about its upgrade.
    ///
    /// A refusal is status 403, with `{"code":4,"message":…}`: the refusal's message, or "Forbidden" for an
    /// empty one; for a WebSocket it is 400 with the bare message, as in Node. Its data is for namespaces alone, and not sent. A hook that panics refuses, and one that
    /// has not decided within the time that a client has to connect (`connect-timeout`) does, too. When the
    /// client goes away meanwhile the hook's future is dropped.
    ///
    /// ```
    /// use yamabiko::{App, RequestHead};
    ///
    /// # async fn is_known(_: Option<String>) -> bool { true }
    /// App::new().allow_request(async |request: &RequestHead| match request.header("origin") {
    ///     Some("https://example.org") if is_known(request.query("token")).await => Ok(()),
    ///     _ => Err("who are you?".into()),
    /// });
    /// ```
    pub fn allow_request<F>(mut self, hook: F) -> Self
    where
        F: AsyncFn(&RequestHead) -> Result<(), Reject> + 'static,
    {
        let hook = Rc::new(hook);
        self.engine.allow_request.push(Box::new(move |request| {
            let hook = Rc::clone(&hook);
            Box::pin(async move { hook(&request).await })
        }));
        self
    }

    /// Adds headers to the first answer of a session: that to a polling handshake, or the 101 of a WebSocket.
    /// Socket.IO's `initial_headers`.
    ///
    /// A header takes the place of one by the same name that the server sends by itself, but `Set-Cookie` and
    /// `Vary` stand beside it. What frames an answer or tells how to read it stays the server's: `Connection`,
    /// `Content-Length`, `Content-Type`, `Content-Encoding`, `Cache-Control`, `Transfer-Encoding`, `Trailer`,
    /// `Upgrade`, `Keep-Alive`, and the WebSocket's own.
    ///
    /// ```
    /// use yamabiko::{App, http::{HeaderMap, HeaderValue, header}};
    ///
    /// App::new().initial_headers(|_request, headers: &mut HeaderMap| {
    ///     headers.append(header::SET_COOKIE, HeaderValue::from_static("lb=1; Path=/; HttpOnly"));
    /// });
    /// ```
    pub fn initial_headers(
        mut self,
        hook: impl Fn(&RequestHead, &mut HeaderMap) + 'static,
    ) -> Self {
        self.engine.initial_headers.push(Box::new(hook));
        self
    }

    /// Adds headers to every answer of a session, behind [`Self::initial_headers`] to its first: to polls and
    /// to the POSTs of a client that polls, and the 101 of WebSockets. Socket.IO's `headers`. It is asked when
    /// the request has come, as a poll may wait for its answer.
    ///
    /// ```
    /// use yamabiko::{App, http::{HeaderMap, HeaderValue}};
    ///
    /// App::new().headers(|_request, headers: &mut HeaderMap| {
    ///     headers.insert("x-served-by", HeaderValue::from_static("yamabiko"));
    /// });
    /// ```
    pub fn headers(mut self, hook: impl Fn(&RequestHead, &mut HeaderMap) + 'static) -> Self {
        self.engine.headers.push(Box::new(hook));
        self
    }

    /// Called with each request under Socket.IO's path that was refused, and why: Socket.IO's
    /// `connection_error` of `io.engine`.
    ///
    /// ```
    /// use yamabiko::{App, ConnectionError};
    ///
    /// App::new().on_connection_error(|error: &ConnectionError<'_>| {
    ///     let (code, from) = (error.code(), error.request().address());
    ///     tracing::info!(code, %from, message = error.message(), context = ?error.context(), "refused");
    /// });
    /// ```
    pub fn on_connection_error(mut self, hook: impl Fn(&ConnectionError<'_>) + 'static) -> Self {
        self.engine.on_connection_error.push(Box::new(hook));
        self
    }
}

impl Engine {
    /// Those of an app that is mounted here come after those that are here already.
    pub(crate) fn take_in(&mut self, mounted: Engine) {
        self.allow_request.extend(mounted.allow_request);
        self.initial_headers.extend(mounted.initial_headers);
        self.headers.extend(mounted.headers);
        self.on_connection_error.extend(mounted.on_connection_error);
    }

    /// What the runtime has to call.
    pub(crate) fn hooks(&self) -> EngineHooks {
        EngineHooks {
            allow_request: !self.allow_request.is_empty(),
            headers: !(self.headers.is_empty() && self.initial_headers.is_empty()),
            connection_error: !self.on_connection_error.is_empty(),
            upgraded: false,
        }
    }

    pub(crate) fn decide(
        self: &Rc<Self>,
        shard: &Shard,
        head: &Head<'_>,
        address: SocketAddr,
        decision: Decision,
    ) {
        let request = Rc::new(RequestHead::new(head, address));
        let engine = Rc::clone(self);
        shard.run(
            None,
            decision.by(async move {
                for hook in &engine.allow_request {
                    let verdict = hook(Rc::clone(&request)).await;
                    verdict.map_err(|reject| Some(reject.message().to_owned()))?;
                }
                Ok(())
            }),
        );
    }

    pub(crate) fn put_headers(
        &self,
        head: &Head<'_>,
        address: SocketAddr,
        is_initial: bool,
        headers: &mut HeaderMap,
    ) {
        let request = RequestHead::new(head, address);
        let initial = self.initial_headers.iter().filter(|_| is_initial);
        for hook in initial.chain(&self.headers) {
            hook(&request, headers);
        }
    }

    pub(crate) fn tell_error(
        &self,
        head: &Head<'_>,
        address: SocketAddr,
        rejection: &Rejection<'_>,
    ) {
        let request = RequestHead::new(head, address);
        for hook in &self.on_connection_error {
            hook(&ConnectionError { request: &request, rejection });
        }
    }
}
