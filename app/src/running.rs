//! An app on its shard: how the shard's events reach the handlers.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use ::http::HeaderMap;
use yamabiko_protocol::engine::Rejection;
use yamabiko_protocol::http::{Head, Method};
use yamabiko_protocol::parser::{Args, Event};
use yamabiko_runtime::{
    Application, Decision, DisconnectReason, EngineHooks, Exchange, HttpReply, NamespaceId,
    RoomChange, ServerReply, Shard, SocketKey, SocketState,
};

use crate::app::{App, Settled};
use crate::assign;
use crate::data::EMPTY;
use crate::dispatch;
use crate::engine::Engine;
use crate::hooks::Hooks;
use crate::http::{Dispatch, answering};
use crate::room::Room;
use crate::serve_client::Bundle;
use crate::socket::{Inner, Socket};
use crate::space::{Space, Spaces};

/// An app on its shard.
pub(crate) struct Running {
    shard: Shard,
    spaces: Rc<Spaces>,
    site: Rc<Dispatch>,
    bundle: Option<Bundle>,
    hooks: RefCell<Hooks>,
    engine: Rc<Engine>,
}

impl Running {
    pub(crate) fn new(app: App, bundle: Option<Bundle>, shard: Shard) -> Self {
        let Settled { namespaces, patterns, site, hooks, engine } = app.settle();
        let spaces = Rc::new(Spaces::new(shard.clone(), namespaces, patterns));
        Self { shard, spaces, site, bundle, hooks: hooks.into(), engine: engine.into() }
    }

    /// A socket, and what is known of it for as long as the call lasts.
    fn socket<'s>(
        &self,
        key: SocketKey,
        state: Option<&'s SocketState>,
    ) -> Option<(Socket, &'s Inner)> {
        let state = state?;
        let inner: Rc<Inner> = Rc::clone(state).downcast().ok()?;
        Some((Socket::with_inner(self.shard.clone(), key, inner), state.downcast_ref()?))
    }
}

impl Application for Running {
    fn namespaces(&self) -> Vec<String> {
        self.spaces.names()
    }

    fn start(&self) {
        self.spaces.start();
        let mut hooks = self.hooks.take();
        hooks.start(&self.shard);
        self.hooks.replace(hooks);
    }

    fn stop(&self) {
        self.hooks.take().stop(&self.shard);
    }

    fn may_have_namespace(&self, name: &str) -> bool {
        self.spaces.may_have(name)
    }

    fn connect(&self, key: SocketKey, id: NamespaceId, auth: Option<&str>) {
        if let Some(space) = self.spaces.get(id) {
            return welcome(&self.shard, key, space);
        }
        let (spaces, shard) = (Rc::clone(&self.spaces), self.shard.clone());
        let auth = auth.map(Box::from);
        self.shard.run(Some(key), async move {
            match spaces.find(id, auth).await {
                Some(space) => welcome(&shard, key, space),
                None => shard.refuse_namespace(key),
            }
        });
    }

    fn event(
        &self,
        key: SocketKey,
        _: NamespaceId,
        state: Option<&SocketState>,
        event: &Event<'_>,
    ) {
        if let Some((socket, inner)) = self.socket(key, state) {
            dispatch::arrive(socket, inner, event);
        }
    }

    fn disconnecting(
        &self,
        key: SocketKey,
        _: NamespaceId,
        state: Option<&SocketState>,
        reason: DisconnectReason,
    ) {
        let Some((socket, inner)) = self.socket(key, state) else { return };
        for handler in &inner.space.handlers.on_disconnecting {
            handler(socket.clone(), reason);
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
        let Some(space) = self.spaces.get(id) else { return };
        let Some(handler) = space.handlers.on_server_side.get(event) else { return };
        if let Err(error) = handler(&self.shard, args, reply) {
            tracing::warn!(event, %error, "another core's arguments do not fit their handler");
        }
    }

    fn disconnect(
        &self,
        key: SocketKey,
        _: NamespaceId,
        state: Option<&SocketState>,
        reason: DisconnectReason,
    ) {
        let Some((socket, inner)) = self.socket(key, state) else { return };
        for handler in &inner.space.handlers.on_disconnect {
            handler(socket.clone(), reason);
        }
        socket.close();
    }

    fn outgoing(
        &self,
        key: SocketKey,
        _: NamespaceId,
        state: Option<&SocketState>,
        event: &Event<'_>,
    ) {
        if let Some((socket, inner)) = self.socket(key, state) {
            dispatch::depart(&socket, inner, event);
        }
    }

    fn room(&self, id: NamespaceId, room: &str, change: RoomChange<'_>) {
        let Some(space) = self.spaces.get(id) else { return };
        let room = Room { namespace: &space.name, name: room };
        for handler in &space.handlers.on_room {
            handler(&room, change);
        }
    }

    fn data(&self, state: Option<&SocketState>) -> Option<Box<str>> {
        let inner = state?.downcast_ref::<Inner>()?;
        let data = inner.rare().and_then(|rare| rare.data.borrow().clone());
        Some(data.unwrap_or_else(|| EMPTY.into()))
    }

    fn engine_hooks(&self) -> EngineHooks {
        EngineHooks { upgraded: self.spaces.hear_of_upgrades(), ..self.engine.hooks() }
    }

    fn allow_request(&self, head: &Head<'_>, address: SocketAddr, decision: Decision) {
        self.engine.decide(&self.shard, head, address, decision);
    }

    fn engine_headers(
        &self,
        head: &Head<'_>,
        address: SocketAddr,
        is_initial: bool,
        headers: &mut HeaderMap,
    ) {
        self.engine.put_headers(head, address, is_initial, headers);
    }

    fn connection_error(&self, head: &Head<'_>, address: SocketAddr, rejection: &Rejection<'_>) {
        self.engine.tell_error(head, address, rejection);
    }

    fn upgraded(&self, key: SocketKey, _: NamespaceId, state: Option<&SocketState>) {
        let Some((socket, inner)) = self.socket(key, state) else { return };
        for handler in &inner.space.handlers.on_upgrade {
            handler(socket.clone());
        }
    }

    fn file(&self, head: &Head<'_>) -> Option<HttpReply> {
        let settings = self.shard.settings();
        // With `cors` a preflight is answered before anything is looked for, as in Node.
        let is_preflight = settings.cors.is_some() && head.method() == Method::Options;
        self.bundle.as_ref().filter(|_| !is_preflight)?.serve(&settings.path, head)
    }

    fn request(&self, head: &Head<'_>, exchange: Exchange) {
        let settings = self.shard.settings();
        if settings.redis.is_some() && head.path() == settings.cluster.assign_path {
            return exchange.answer(assign::reply(head, &self.shard.nodes(), self.shard.dice()));
        }
        answering::take(&self.shard, &self.site, head, exchange);
    }
}

/// A client asks to join a namespace that is served.
fn welcome(shard: &Shard, key: SocketKey, space: Rc<Space>) {
    let Ok(socket) = Socket::new(shard.clone(), key, space) else { return };
    let handlers = &socket.inner.space.handlers;
    // Who comes back is not asked again, but needs new actors.
    let first = if socket.recover() { handlers.guards.len() - handlers.actors.len() } else { 0 };
    if handlers.guards.len() == first {
        return admit(&socket);
    }
    let joining = Joining(socket);
    shard.run(Some(key), async move {
        let socket = &joining.0;
        for guard in &socket.inner.space.handlers.guards[first..] {
            if let Err(reject) = guard(socket.clone()).await {
                return socket.refuse(&reject);
            }
        }
        admit(socket);
    });
}

/// The guards have let the socket pass. Each handler starts before the first event, and none waits for
/// another.
fn admit(socket: &Socket) {
    let handlers = &socket.inner.space.handlers;
    if !handlers.on_any_outgoing.is_empty() {
        // One that has left meanwhile is not accepted either.
        let _ = socket.shard.watch_outgoing(socket.key);
    }
    if socket.accept().is_ok() {
        for handler in &handlers.on_connect {
            handler(socket.clone());
        }
    }
}

/// A socket on its way through the guards. One that does not arrive is told of no end.
struct Joining(Socket);

impl Drop for Joining {
    fn drop(&mut self) {
        if !self.0.connected() {
            self.0.close();
        }
    }
}
