//! A namespace: its guard and its handlers, declared once for all its sockets.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use yamabiko_protocol::socket::Event;
use yamabiko_runtime::{DisconnectReason, Shard};

use crate::ArgsError;
use crate::handler::{EventHandler, Reject};
use crate::socket::Socket;

type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;
type Guard = Rc<dyn Fn(Socket) -> Boxed<Result<(), Reject>>>;
type OnConnect = Rc<dyn Fn(Socket) -> Boxed<()>>;
type OnDisconnect = Rc<dyn Fn(Socket, DisconnectReason) -> Boxed<()>>;
type OnAny = Box<dyn Fn(&Socket, &Event<'_>)>;
type OnEvent = Box<dyn Fn(&Shard, &Socket, &Event<'_>) -> Result<(), ArgsError>>;

/// The handlers of one namespace.
///
/// Handlers of one socket start in the order in which its events arrived; each runs to its first wait
/// before the next starts. They stay on one core, so what they share is an `Rc`, without locks.
#[derive(Default)]
pub struct Namespace {
    pub(crate) guards: Vec<Guard>,
    pub(crate) on_connect: Vec<OnConnect>,
    pub(crate) on_disconnect: Vec<OnDisconnect>,
    pub(crate) on_event: HashMap<String, OnEvent>,
    pub(crate) on_any: Vec<OnAny>,
}

impl Namespace {
    /// A namespace that admits everybody and handles nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides whether a socket may connect; guards are asked in order, and the first refusal becomes the
    /// client's `connect_error`.
    pub fn guard<F>(mut self, guard: F) -> Self
    where
        F: AsyncFn(Socket) -> Result<(), Reject> + 'static,
    {
        let guard = Rc::new(guard);
        self.guards.push(Rc::new(move |socket| {
            let guard = Rc::clone(&guard);
            Box::pin(async move { guard(socket).await })
        }));
        self
    }

    /// Called with each socket that has connected.
    pub fn on_connect<F>(mut self, handler: F) -> Self
    where
        F: AsyncFn(Socket) + 'static,
    {
        let handler = Rc::new(handler);
        self.on_connect.push(Rc::new(move |socket| {
            let handler = Rc::clone(&handler);
            Box::pin(async move { handler(socket).await })
        }));
        self
    }

    /// Called with each event of that name. The handler's arguments are the event's, read by serde; what
    /// it returns is the acknowledgement, if the client asked for one. A second handler for the same name
    /// replaces the first.
    ///
    /// Arguments of another type than the handler's never reach it: the event is logged, and the client's
    /// acknowledgement is `{"error": …}`.
    pub fn on<F, M>(mut self, event: &str, handler: F) -> Self
    where
        F: EventHandler<M>,
    {
        let handler = Rc::new(handler);
        let call: OnEvent =
            Box::new(move |shard, socket, event| handler.call(shard, socket, event));
        self.on_event.insert(event.into(), call);
        self
    }

    /// Called with each event before its handler, whatever its name: for logs and metrics.
    pub fn on_any<F>(mut self, handler: F) -> Self
    where
        F: Fn(&Socket, &Event<'_>) + 'static,
    {
        self.on_any.push(Box::new(handler));
        self
    }

    /// Called with each socket that has disconnected, and why. Its rooms are still known until the handler
    /// first waits.
    pub fn on_disconnect<F>(mut self, handler: F) -> Self
    where
        F: AsyncFn(Socket, DisconnectReason) + 'static,
    {
        let handler = Rc::new(handler);
        self.on_disconnect.push(Rc::new(move |socket, reason| {
            let handler = Rc::clone(&handler);
            Box::pin(async move { handler(socket, reason).await })
        }));
        self
    }
}
