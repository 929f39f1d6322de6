//! An app on its shard: how the shard's events reach the handlers.

use std::collections::HashMap;
use std::rc::Rc;

use yamabiko_protocol::http::Method;
use yamabiko_protocol::socket::{Args, Event};
use yamabiko_runtime::{
    Application, DisconnectReason, HttpReply, HttpRequest, NamespaceId, ServerReply, Shard,
    SocketKey, SocketState,
};

use crate::answer::Call;
use crate::app::{App, Route};
use crate::namespace::Namespace;
use crate::response::Response;
use crate::serve_client::Bundle;
use crate::socket::{Inner, Socket};

/// An app on its shard.
pub(crate) struct Running {
    shard: Shard,
    names: Vec<String>,
    namespaces: Vec<Rc<Namespace>>,
    routes: HashMap<String, Route>,
    bundle: Option<Bundle>,
}

impl Running {
    pub(crate) fn new(app: App, bundle: Option<Bundle>, shard: Shard) -> Self {
        let (names, namespaces) =
            app.namespaces.into_iter().map(|(name, namespace)| (name, Rc::new(namespace))).unzip();
        Self { shard, names, namespaces, routes: app.routes, bundle }
    }

    fn namespace(&self, id: NamespaceId) -> &Rc<Namespace> {
        &self.namespaces[usize::from(id.0)]
    }

    fn socket(&self, key: SocketKey, state: Option<&SocketState>) -> Option<Socket> {
        let inner: Rc<Inner> = Rc::clone(state?).downcast().ok()?;
        Some(Socket::with_inner(self.shard.clone(), key, inner))
    }
}

impl Application for Running {
    fn namespaces(&self) -> Vec<String> {
        self.names.clone()
    }

    fn connect(&self, key: SocketKey, id: NamespaceId, _auth: Option<&str>) {
        let Ok(socket) = Socket::new(self.shard.clone(), key, id) else { return };
        let namespace = self.namespace(id);
        if namespace.guards.is_empty() {
            return admit(namespace, &socket);
        }
        let namespace = Rc::clone(namespace);
        self.shard.run(Some(key), async move {
            for guard in &namespace.guards {
                if let Err(reject) = guard(socket.clone()).await {
                    return socket.refuse(&reject);
                }
            }
            admit(&namespace, &socket);
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
        let namespace = self.namespace(id);
        for handler in &namespace.on_any {
            handler(&socket, event);
        }
        // An event that nobody handles is ignored, as in Node; `error` is one like any other.
        let Some(handler) = namespace.on_event.get(&*event.name) else { return };
        let call = Call { socket, event: Rc::clone(&handler.name), id: event.id };
        if let Err((call, error)) = (handler.handle)(call, &event.args) {
            tracing::debug!(event = &*call.event, %error, "arguments do not fit their handler");
            for handler in &namespace.on_error {
                handler(&call.socket, &call.event, &error);
            }
            call.refuse(&error.to_string(), None);
        }
    }

    fn server_side_event(
        &self,
        id: NamespaceId,
        event: &str,
        args: &Args<'_>,
        reply: Option<ServerReply>,
    ) {
        // A reply that nobody takes says that there is none.
        let Some(handler) = self.namespace(id).on_server_side.get(event) else { return };
        if let Err(error) = handler(&self.shard, args, reply) {
            tracing::warn!(event, %error, "another core's arguments do not fit their handler");
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
        for handler in &self.namespace(id).on_disconnect {
            handler(socket.clone(), reason);
        }
    }

    fn request(&self, request: &HttpRequest<'_>) -> Option<HttpReply> {
        let settings = self.shard.settings();
        // With `cors` a preflight is answered before anything is looked for, as in Node.
        let is_preflight = settings.cors.is_some() && request.head.method() == Method::Options;
        if let Some(bundle) = self.bundle.as_ref().filter(|_| !is_preflight)
            && let Some(reply) = bundle.serve(&settings.path, request)
        {
            return Some(reply);
        }
        let route = self.routes.get(request.head.path())?;
        let response = match request.head.method() {
            Method::Get | Method::Head => route(request),
            _ => Response::new(405, "text/plain; charset=utf-8", "Method Not Allowed")
                .with_header("Allow", "GET, HEAD"),
        };
        Some(response.into())
    }
}

/// The guards have let the socket pass. Each handler starts before the first event, and none waits for
/// another.
fn admit(namespace: &Namespace, socket: &Socket) {
    if socket.accept().is_ok() {
        for handler in &namespace.on_connect {
            handler(socket.clone());
        }
    }
}
