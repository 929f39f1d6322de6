//! An application: its namespaces and HTTP routes, and how a shard's events reach them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;
use serde::Serialize;
use yamabiko_protocol::http::Method;
use yamabiko_protocol::socket::Event;
use yamabiko_runtime::{
    Application, DisconnectReason, HttpReply, HttpRequest, NamespaceId, Shard, SocketKey,
    SocketState,
};

use crate::handler::ErrorAnswer;
use crate::namespace::Namespace;
use crate::serve_client::Bundle;
use crate::socket::{Inner, Socket};

/// An application as one core runs it. The factory that makes it runs once per core, so whatever its
/// handlers share in an `Rc` is **per core**; what all cores must see goes through rooms.
pub struct App {
    namespaces: Vec<(String, Namespace)>,
    routes: HashMap<String, Route>,
    bundle: Option<Bundle>,
}

type Route = Box<dyn Fn(&HttpRequest<'_>) -> Response>;

/// An HTTP response.
#[derive(Debug, Clone)]
pub struct Response(HttpReply);

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}

impl App {
    /// An application with nothing but an empty main namespace, which admits everybody.
    pub fn new() -> Self {
        Self {
            namespaces: vec![("/".into(), Namespace::new())],
            routes: HashMap::new(),
            bundle: None,
        }
    }

    /// Serves a namespace under its name; a missing `/` in front is added. The last one of a name counts.
    pub fn namespace(mut self, name: &str, namespace: Namespace) -> Self {
        let name = if name.starts_with('/') { name.into() } else { format!("/{name}") };
        match self.namespaces.iter_mut().find(|(other, _)| *other == name) {
            Some(known) => known.1 = namespace,
            None => self.namespaces.push((name, namespace)),
        }
        self
    }

    /// Answers GET and HEAD requests for exactly this path.
    pub fn get(
        mut self,
        path: &str,
        handler: impl Fn(&HttpRequest<'_>) -> Response + 'static,
    ) -> Self {
        self.routes.insert(path.into(), Box::new(handler));
        self
    }

    pub(crate) fn serve_client(mut self, bundle: Option<Bundle>) -> Self {
        self.bundle = bundle;
        self
    }
}

impl Response {
    /// A response with a status and a body.
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
    pub fn json<T: Serialize>(value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::new(200, "application/json", body),
            Err(error) => {
                tracing::error!(%error, "a response could not be put into JSON");
                Self::new(500, "text/plain; charset=utf-8", "Internal Server Error")
            }
        }
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

/// An app on its shard.
pub(crate) struct Running {
    app: App,
    shard: Shard,
}

impl Running {
    pub(crate) fn new(app: App, shard: Shard) -> Self {
        Self { app, shard }
    }

    fn namespace_of(&self, id: NamespaceId) -> &Namespace {
        &self.app.namespaces[usize::from(id.0)].1
    }

    fn socket(&self, key: SocketKey, state: Option<&SocketState>) -> Option<Socket> {
        let inner: Rc<Inner> = Rc::clone(state?).downcast().ok()?;
        Some(Socket::with_inner(self.shard.clone(), key, inner))
    }
}

impl Application for Running {
    fn namespaces(&self) -> Vec<String> {
        self.app.namespaces.iter().map(|(name, _)| name.clone()).collect()
    }

    fn connect(&self, key: SocketKey, id: NamespaceId, _auth: Option<&str>) {
        let Ok(socket) = Socket::new(self.shard.clone(), key, id) else { return };
        let namespace = self.namespace_of(id);
        let (guards, handlers) = (namespace.guards.clone(), namespace.on_connect.clone());
        let shard = self.shard.clone();
        self.shard.run(Some(key), async move {
            for guard in guards {
                if let Err(reject) = guard(socket.clone()).await {
                    return shard.refuse(key, reject.message(), reject.data());
                }
            }
            if shard.accept(key, Some(socket.inner())).is_ok() {
                for handler in handlers {
                    handler(socket.clone()).await;
                }
            }
        });
    }

    fn event(
        &self,
        key: SocketKey,
        id: NamespaceId,
        state: Option<&SocketState>,
        event: &Event<'_>,
    ) {
        let Some(socket) = self.socket(key, state) else { return };
        let namespace = self.namespace_of(id);
        for handler in &namespace.on_any {
            handler(&socket, event);
        }
        // An event that nobody handles is ignored, as in Node; `error` is one like any other.
        let Some(handler) = namespace.on_event.get(&*event.name) else { return };
        if let Err(error) = handler(&self.shard, &socket, event) {
            tracing::debug!(event = %event.name, %error, "an event's arguments do not fit its handler");
            if let Some(id) = event.id {
                let answer = ErrorAnswer { error: &error.to_string() };
                let _ = self.shard.acknowledge(key, id, &answer);
            }
        }
    }

    fn disconnect(
        &self,
        key: SocketKey,
        id: NamespaceId,
        state: Option<&SocketState>,
        reason: DisconnectReason,
    ) {
        let Some(socket) = self.socket(key, state) else { return };
        let handlers = self.namespace_of(id).on_disconnect.clone();
        if !handlers.is_empty() {
            self.shard.run(None, async move {
                for handler in handlers {
                    handler(socket.clone(), reason).await;
                }
            });
        }
    }

    fn request(&self, request: &HttpRequest<'_>) -> Option<HttpReply> {
        let path = request.head.path();
        if let Some(bundle) = &self.app.bundle
            && let Some(reply) = bundle.serve(&self.shard.settings().path, request)
        {
            return Some(reply);
        }
        let route = self.app.routes.get(path)?;
        Some(match request.head.method() {
            Method::Get | Method::Head => route(request).0,
            _ => {
                Response::new(405, "text/plain; charset=utf-8", "Method Not Allowed")
                    .with_header("Allow", "GET, HEAD")
                    .0
            }
        })
    }
}
