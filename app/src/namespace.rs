//! A namespace: its guards and its handlers, declared once for all its sockets.

use std::any::TypeId;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use serde::de::DeserializeOwned;
use yamabiko_protocol::socket::{Event, RESERVED_EVENTS};
use yamabiko_runtime::{DisconnectReason, EmitArgs, ServerReply, Shard};

use crate::answer::{Call, Outcome, Reject};
use crate::handler::EventHandler;
use crate::socket::Socket;
use crate::{Args, ArgsError};

type Guard = Box<dyn Fn(Socket) -> Pin<Box<dyn Future<Output = Result<(), Reject>>>>>;
type OnConnect = Box<dyn Fn(Socket)>;
type OnDisconnect = Box<dyn Fn(Socket, DisconnectReason)>;
type OnAny = Box<dyn Fn(&Socket, &Event<'_>)>;
type OnError = Box<dyn Fn(&Socket, &str, &ArgsError)>;
type OnServerSide = Box<dyn Fn(&Shard, &Args<'_>, Option<ServerReply>) -> Result<(), ArgsError>>;
type Handle = Box<dyn Fn(Call, &Args<'_>) -> Result<(), (Call, ArgsError)>>;

/// The handlers of one namespace.
///
/// Handlers of one socket start in the order in which its events arrived; each runs to its first wait
/// before the next starts. They stay on one core, so what they share is an `Rc`, without locks. A panic in
/// one ends its socket and nothing else.
///
/// Handlers of events may be `async` closures or plain ones. Guards and handlers of connecting and
/// disconnecting are `async`, so that the compiler knows what they take and their arguments need no type.
#[derive(Default)]
pub struct Namespace {
    pub(crate) guards: Vec<Guard>,
    pub(crate) on_connect: Vec<OnConnect>,
    pub(crate) on_disconnect: Vec<OnDisconnect>,
    pub(crate) on_event: HashMap<Rc<str>, OnEvent>,
    pub(crate) on_any: Vec<OnAny>,
    pub(crate) on_error: Vec<OnError>,
    pub(crate) on_server_side: HashMap<Box<str>, OnServerSide>,
}

/// One event's handler, under its name.
pub(crate) struct OnEvent {
    pub(crate) name: Rc<str>,
    pub(crate) handle: Handle,
}

impl Namespace {
    /// A namespace that admits everybody and handles nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides whether a socket may connect: Socket.IO's `namespace.use`. Guards are asked in order, and the
    /// first refusal becomes the client's `connect_error`, with its message and data. What a guard returns
    /// as `Ok` is kept with the socket, for [`Socket::get`]. Events that the client sends meanwhile wait.
    ///
    /// The socket is not connected yet: it may join rooms, but nothing is sent to it before it is
    /// accepted. A guard that panics refuses it with "Internal server error".
    pub fn guard<F, T>(mut self, guard: F) -> Self
    where
        F: AsyncFn(Socket) -> Result<T, Reject> + 'static,
        T: 'static,
    {
        let guard = Rc::new(guard);
        self.guards.push(Box::new(move |socket| {
            let guard = Rc::clone(&guard);
            Box::pin(async move {
                let value = guard(socket.clone()).await?;
                // `()` says nothing; keeping it would cost each socket memory.
                if TypeId::of::<T>() != TypeId::of::<()>() {
                    socket.set(value);
                }
                Ok(())
            })
        }));
        self
    }

    /// Called with each socket that has connected.
    pub fn on_connect<F, R>(mut self, handler: F) -> Self
    where
        F: AsyncFn(Socket) -> R + 'static,
        R: Outcome + 'static,
    {
        let handler = Rc::new(handler);
        self.on_connect.push(Box::new(move |socket| {
            let handler = Rc::clone(&handler);
            socket.clone().spawn(async move { handler(socket.clone()).await.settle(&socket) });
        }));
        self
    }

    /// Called with each event of that name. The handler's arguments are the event's, read by serde; what
    /// it returns is the acknowledgement, if the client asked for one: see [`EventHandler`] and
    /// [`IntoAck`](crate::IntoAck). A second handler for the same name replaces the first.
    ///
    /// Arguments of another type than the handler's never reach it: the event is logged, handlers of
    /// [`Self::on_error`] are called, and the client's acknowledgement is `{"error": …}`. An event that has
    /// no handler is ignored and not acknowledged, as in Node.
    ///
    /// # Panics
    /// The name is one that Socket.IO keeps for itself, so that no client may send it: `connect`,
    /// `connect_error`, `disconnect`, `disconnecting`, `newListener`, `removeListener`.
    pub fn on<F, M>(mut self, event: &str, handler: F) -> Self
    where
        F: EventHandler<M>,
    {
        assert!(
            !RESERVED_EVENTS.contains(&event),
            "'{event}' never comes as an event; there are on_connect and on_disconnect"
        );
        let handler = Rc::new(handler);
        let handle: Handle = Box::new(move |call, args| handler.call(call, args));
        let name: Rc<str> = event.into();
        self.on_event.insert(Rc::clone(&name), OnEvent { name, handle });
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

    /// Called with each event whose arguments do not fit its handler, with the event's name.
    pub fn on_error<F>(mut self, handler: F) -> Self
    where
        F: Fn(&Socket, &str, &ArgsError) + 'static,
    {
        self.on_error.push(Box::new(handler));
        self
    }

    /// Called with each event of that name that another core has sent with
    /// [`Core::server_side_emit`](crate::Core::server_side_emit): Socket.IO's `io.on` for `serverSideEmit`.
    /// The handler takes the event's arguments as one tuple; what it returns is the answer, if one was asked
    /// for.
    ///
    /// ```
    /// # use yamabiko::Namespace;
    /// Namespace::new().on_server_side("price", async |(item, cents): (String, u32)| {
    ///     tracing::info!(item, cents, "another core says");
    /// });
    /// ```
    pub fn on_server_side<F, A, R>(mut self, event: &str, handler: F) -> Self
    where
        F: AsyncFn(A) -> R + 'static,
        A: DeserializeOwned + 'static,
        R: EmitArgs + 'static,
    {
        let handler = Rc::new(handler);
        let call: OnServerSide = Box::new(move |shard, args, reply| {
            let (handler, args) = (Rc::clone(&handler), args.parse_tuple::<A>()?);
            shard.run(None, async move {
                let answer = handler(args).await;
                if let Some(Err(error)) = reply.map(|reply| reply.answer(&answer)) {
                    tracing::warn!(%error, "an answer to another core was not sent");
                }
            });
            Ok(())
        });
        self.on_server_side.insert(event.into(), call);
        self
    }

    /// Called with each socket that has disconnected, and why. Its rooms are still known until the handler
    /// first waits.
    pub fn on_disconnect<F, R>(mut self, handler: F) -> Self
    where
        F: AsyncFn(Socket, DisconnectReason) -> R + 'static,
        R: Outcome + 'static,
    {
        let handler = Rc::new(handler);
        self.on_disconnect.push(Box::new(move |socket, reason| {
            let handler = Rc::clone(&handler);
            // Not as the socket's task: there is nothing left that a panic could end.
            let shard = socket.shard.clone();
            shard.run(None, async move { handler(socket.clone(), reason).await.settle(&socket) });
        }));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "there are on_connect and on_disconnect")]
    fn a_reserved_name_is_no_event() {
        let _ = Namespace::new().on("disconnect", |_: Socket| ());
    }

    #[test]
    fn a_later_handler_replaces_the_one_of_the_same_name() {
        let namespace = Namespace::new().on("a", |_: Socket| 1).on("a", async |_: Socket| 2);
        assert_eq!(namespace.on_event.len(), 1);
    }
}
