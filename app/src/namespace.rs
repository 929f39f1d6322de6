//! A namespace: its guards and its handlers, declared once for all its sockets.

use std::any::TypeId;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use rustc_hash::FxHashMap;
use serde::de::DeserializeOwned;
use yamabiko_protocol::parser::Event;
use yamabiko_runtime::{DisconnectReason, EmitArgs, RoomChange, ServerReply, Shard};

use crate::answer::{EventError, Outcome, Reject};
use crate::handler::{EventHandler, Handle, handle_of};
use crate::middleware::{Link, Middleware};
use crate::room::{OnRoom, Room};
use crate::socket::Socket;
use crate::{Args, ArgsError};

type Guard = Box<dyn Fn(Socket) -> Pin<Box<dyn Future<Output = Result<(), Reject>>>>>;
type OnConnect = Box<dyn Fn(Socket)>;
type OnDisconnect = Box<dyn Fn(Socket, DisconnectReason)>;
type OnAny = Box<dyn Fn(&Socket, &Event<'_>)>;
type OnError = Box<dyn Fn(&Socket, &str, &EventError)>;
type OnServerSide = Box<dyn Fn(&Shard, &Args<'_>, Option<ServerReply>) -> Result<(), ArgsError>>;

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
    /// Those of [actors](crate::Actor) come last.
    pub(crate) guards: Vec<Guard>,
    /// The types of its actors.
    pub(crate) actors: Vec<TypeId>,
    pub(crate) on_connect: Vec<OnConnect>,
    pub(crate) on_upgrade: Vec<OnConnect>,
    pub(crate) on_disconnecting: Vec<OnDisconnect>,
    pub(crate) on_disconnect: Vec<OnDisconnect>,
    pub(crate) middleware: Vec<Link>,
    // By names that the app gives and no client adds to, so a quick hash will do.
    pub(crate) on_event: FxHashMap<Rc<str>, OnEvent>,
    pub(crate) on_any: Vec<OnAny>,
    pub(crate) on_any_outgoing: Vec<OnAny>,
    pub(crate) on_error: Vec<OnError>,
    pub(crate) on_room: Vec<OnRoom>,
    pub(crate) on_server_side: FxHashMap<Box<str>, OnServerSide>,
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
        let place = self.guards.len() - self.actors.len();
        self.guards.insert(
            place,
            Box::new(move |socket| {
                let guard = Rc::clone(&guard);
                Box::pin(async move {
                    let value = guard(socket.clone()).await?;
                    // `()` says nothing; keeping it would cost each socket memory.
                    if TypeId::of::<T>() != TypeId::of::<()>() {
                        socket.set(value);
                    }
                    Ok(())
                })
            }),
        );
        self
    }

    /// Called with each socket that has connected.
    pub fn on_connect<F, R>(mut self, handler: F) -> Self
    where
        F: AsyncFn(Socket) -> R + 'static,
        R: Outcome + 'static,
    {
        self.on_connect.push(greeting(handler));
        self
    }

    /// Called with each connected socket whose connection has changed from polling to WebSocket: Socket.IO's
    /// `upgrade` of `socket.conn`. A client that upgrades before it connects to the namespace is not among
    /// them; [`Socket::upgraded`] tells of both.
    pub fn on_upgrade<F, R>(mut self, handler: F) -> Self
    where
        F: AsyncFn(Socket) -> R + 'static,
        R: Outcome + 'static,
    {
        self.on_upgrade.push(greeting(handler));
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
        let handle = handle_of(event, handler);
        let name: Rc<str> = event.into();
        self.on_event.insert(Rc::clone(&name), OnEvent { name, handle });
        self
    }

    /// Leads each event past this before its handler: Socket.IO's `socket.use`. Middleware is asked in
    /// order. A refusal ends the event's way: handlers of [`Self::on_error`] are called, and the client's
    /// acknowledgement, if it asked for one, is `{"error": …}` with the refusal's message and data.
    ///
    /// Events keep their order. While one waits in a middleware, later events of the same socket wait
    /// behind it, so what comes second never starts first; other sockets are not held up, nor are
    /// acknowledgements, so a middleware may wait for one. At most `early_events_max` events of a socket
    /// wait; a client that sends more is disconnected. Those of a socket that disconnects meanwhile never
    /// reach their handlers. Who declares no middleware pays nothing for it.
    ///
    /// ```
    /// # use yamabiko::{Event, Namespace, Reject, Socket};
    /// # struct User { may_write: bool }
    /// # async fn is_banned(_: &str) -> bool { false }
    /// Namespace::new()
    ///     .middleware(|socket: &Socket, event: &Event<'_>| {
    ///         let may_write = socket.get::<User>().is_some_and(|user| user.may_write);
    ///         match &*event.name {
    ///             "read" => Ok(()),
    ///             _ if may_write => Ok(()),
    ///             _ => Err("you may only read"),
    ///         }
    ///     })
    ///     .middleware(async |socket: &Socket, _: &Event<'_>| match is_banned(socket.id()).await {
    ///         true => Err(Reject::new("banned")),
    ///         false => Ok(()),
    ///     });
    /// ```
    pub fn middleware<M>(mut self, middleware: impl Middleware<M>) -> Self {
        self.middleware.push(middleware.link());
        self
    }

    /// Called with each event before its middleware and its handler, whatever its name, in the order in which
    /// events arrive: for logs and metrics.
    pub fn on_any<F>(mut self, handler: F) -> Self
    where
        F: Fn(&Socket, &Event<'_>) + 'static,
    {
        self.on_any.push(Box::new(handler));
        self
    }

    /// Called with each event that is sent to a socket of this namespace, by itself or by a broadcast from
    /// anywhere, once for each socket it reaches: Socket.IO's `onAnyOutgoing`. It is called soon after the
    /// event was sent, when the socket may have disconnected already. Acknowledgements are no events, and
    /// volatile ones that are dropped reach nobody.
    ///
    /// What is sent is read again for this, so it costs something where it is declared.
    pub fn on_any_outgoing<F>(mut self, handler: F) -> Self
    where
        F: Fn(&Socket, &Event<'_>) + 'static,
    {
        self.on_any_outgoing.push(Box::new(handler));
        self
    }

    /// Called with each event that did not reach its handler, with the event's name: its arguments do not
    /// fit, or a [middleware](Self::middleware) has refused it.
    pub fn on_error<F>(mut self, handler: F) -> Self
    where
        F: Fn(&Socket, &str, &EventError) + 'static,
    {
        self.on_error.push(Box::new(handler));
        self
    }

    /// Called with each event of that name that another core has sent with
    /// [`Core::server_side_emit`](crate::Core::server_side_emit): Socket.IO's `io.on` for `serverSideEmit`.
    /// The handler takes the event's arguments as one tuple; what it returns is the answer, if one was asked
    /// for. A dynamic namespace hears it on those cores where somebody has come to it.
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

    /// Called with each socket that is about to disconnect, and why, while its rooms are known: Socket.IO's
    /// `disconnecting`. They are until the handler first waits. Then its rooms are left, and handlers of
    /// [`Self::on_leave_room`], [`Self::on_delete_room`] and [`Self::on_disconnect`] are called, in this
    /// order.
    ///
    /// ```
    /// # use yamabiko::{Namespace, Reject, Socket};
    /// Namespace::new().on_disconnecting(async |socket: Socket, _reason| -> Result<(), Reject> {
    ///     socket.to_rooms(socket.rooms()?).emit("left", socket.id())?;
    ///     Ok(())
    /// });
    /// ```
    pub fn on_disconnecting<F, R>(mut self, handler: F) -> Self
    where
        F: AsyncFn(Socket, DisconnectReason) -> R + 'static,
        R: Outcome + 'static,
    {
        self.on_disconnecting.push(farewell(handler));
        self
    }

    /// Called with each socket that has disconnected, and why. It is in no room any more, but what it keeps is
    /// still there.
    pub fn on_disconnect<F, R>(mut self, handler: F) -> Self
    where
        F: AsyncFn(Socket, DisconnectReason) -> R + 'static,
        R: Outcome + 'static,
    {
        self.on_disconnect.push(farewell(handler));
        self
    }
}

/// Rooms coming and going: the events of Socket.IO's adapter. They are told **on each core for itself**, of
/// the sockets that it owns: a room with members on three cores is created and deleted three times. Who needs
/// the node's view asks [`Core::members`](crate::Core::members). A socket's own id, which is a room by
/// Socket.IO's rules, is not told of.
///
/// ```
/// # use yamabiko::Namespace;
/// Namespace::new()
///     .on_create_room(|room| tracing::info!(namespace = room.namespace(), room = room.name(), "opened"))
///     .on_join_room(|room, id| tracing::info!(room = room.name(), id, "joined"));
/// ```
impl Namespace {
    /// Called when a room gets its first member on this core, before [`Self::on_join_room`].
    pub fn on_create_room(self, handler: impl Fn(&Room<'_>) + 'static) -> Self {
        self.on_room(move |room, change| {
            if let RoomChange::Created = change {
                handler(room);
            }
        })
    }

    /// Called when a room has lost its last member on this core, after [`Self::on_leave_room`].
    pub fn on_delete_room(self, handler: impl Fn(&Room<'_>) + 'static) -> Self {
        self.on_room(move |room, change| {
            if let RoomChange::Deleted = change {
                handler(room);
            }
        })
    }

    /// Called when a socket has joined a room, with the socket's id.
    pub fn on_join_room(self, handler: impl Fn(&Room<'_>, &str) + 'static) -> Self {
        self.on_room(move |room, change| {
            if let RoomChange::Joined(id) = change {
                handler(room, id);
            }
        })
    }

    /// Called when a socket has left a room, also by disconnecting, with the socket's id.
    pub fn on_leave_room(self, handler: impl Fn(&Room<'_>, &str) + 'static) -> Self {
        self.on_room(move |room, change| {
            if let RoomChange::Left(id) = change {
                handler(room, id);
            }
        })
    }

    fn on_room(mut self, handler: impl Fn(&Room<'_>, RoomChange<'_>) + 'static) -> Self {
        self.on_room.push(Box::new(handler));
        self
    }
}

fn greeting<F, R>(handler: F) -> OnConnect
where
    F: AsyncFn(Socket) -> R + 'static,
    R: Outcome + 'static,
{
    let handler = Rc::new(handler);
    Box::new(move |socket| {
        let handler = Rc::clone(&handler);
        socket.clone().run(async move { handler(socket.clone()).await.settle(&socket) });
    })
}

fn farewell<F, R>(handler: F) -> OnDisconnect
where
    F: AsyncFn(Socket, DisconnectReason) -> R + 'static,
    R: Outcome + 'static,
{
    let handler = Rc::new(handler);
    Box::new(move |socket, reason| {
        let handler = Rc::clone(&handler);
        // Not as the socket's task: there is nothing left that a panic could end.
        let shard = socket.shard.clone();
        shard.run(None, async move { handler(socket.clone(), reason).await.settle(&socket) });
    })
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
