//! What an actor is, and how a namespace gets one for each of its sockets.

use std::any::TypeId;
use std::future::Future;
use std::marker::PhantomData;
use std::rc::Rc;

use super::method::{Bound, Method};
use super::seat::Seat;
use crate::DisconnectReason;
use crate::answer::Reject;
use crate::handler::handle_of;
use crate::namespace::{Namespace, OnEvent};
use crate::socket::Socket;

/// One client's side of an application: its state, and what is done with its events.
///
/// There is one value for each socket. Everything that happens to it comes **one at a time, in the order of
/// arrival**: [`connected`](Self::connected), events, messages, [`disconnected`](Self::disconnected). The next
/// one starts when the last has ended, however often it has waited, so methods have `&mut self` and no lock.
/// Other sockets wait for nothing. An acknowledgement that a method waits for comes through at once.
///
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use yamabiko::{Actor, App, DisconnectReason, Events, Namespace, Reject, Socket};
///
/// struct Player {
///     socket: Socket,
///     online: Rc<Cell<u32>>, // per core
///     name: String,
///     points: u32,
/// }
///
/// impl Actor for Player {
///     type Shared = Cell<u32>;
///
///     async fn connect(socket: Socket, online: Rc<Cell<u32>>) -> Result<Self, Reject> {
///         let name = socket.handshake()?.query("name").ok_or("who are you?")?; // refused
///         Ok(Self { socket, online, name, points: 0 })
///     }
///
///     fn events(events: Events<Self>) -> Events<Self> {
///         events.on("hit", Self::hit).on("points", |player: &mut Self| player.points)
///     }
///
///     async fn connected(&mut self) -> Result<(), Reject> {
///         self.online.set(self.online.get() + 1);
///         Ok(self.socket.emit("welcome", &self.name)?)
///     }
///
///     async fn disconnected(self, _: DisconnectReason) -> Result<(), Reject> {
///         self.online.set(self.online.get() - 1);
///         Ok(())
///     }
/// }
///
/// impl Player {
///     async fn hit(&mut self, target: String) -> Result<u32, Reject> {
///         let patience = Some(std::time::Duration::from_secs(5));
///         let is_sure: bool = self.socket.emit_with_ack("sure?", &target, patience).await?;
///         self.points += u32::from(is_sure); // no other event of this client came in between
///         Ok(self.points) // the acknowledgement
///     }
/// }
///
/// # fn app() -> App {
/// App::new().namespace("/", Namespace::new().actor::<Player>(Cell::new(0)))
/// # }
/// ```
///
/// # What ends it
///
/// * When the socket **disconnects**, what waits is dropped, a method that runs goes on to its end, and
///   then `disconnected` takes the state. From the first moment on, messages are answered with
///   [`Undelivered::Gone`](crate::Undelivered::Gone).
/// * A **panic** ends the socket and drops the state; `disconnected` is not called, as nobody knows what
///   the state is worth.
///
/// # What bounds it
///
/// Events that come while it is busy wait: at most `early-events-max` of them (128) with at most
/// `outbox-bytes-max` bytes together. A client that sends more is disconnected, "forced close". Its reads are
/// not held back, since then neither acknowledgements nor heartbeats could come through. Messages that wait are
/// at most [`Self::MESSAGES_MAX`].
#[diagnostic::on_unimplemented(message = "`{Self}` is no `Actor`")]
pub trait Actor: Sized + 'static {
    /// What all actors of this type on one core share, given to [`Namespace::actor`]; `()` if nothing.
    type Shared: 'static;

    /// Messages that may wait for it; one more is refused with
    /// [`Undelivered::Full`](crate::Undelivered::Full).
    const MESSAGES_MAX: usize = 1024;

    /// A client asks to connect: makes its state, or refuses it, which becomes the client's `connect_error`.
    /// It is the last of the [guards](Namespace::guard), so nothing can be sent to the client yet.
    ///
    /// An actor that is to be found by others gives them its [address](Socket::address) here.
    fn connect(
        socket: Socket,
        shared: Rc<Self::Shared>,
    ) -> impl Future<Output = Result<Self, Reject>>;

    /// Declares its events, once for all actors of this type.
    fn events(events: Events<Self>) -> Events<Self>;

    /// The client has connected. Comes before everything else; an error is logged.
    fn connected(&mut self) -> impl Future<Output = Result<(), Reject>> {
        async { Ok(()) }
    }

    /// The client has disconnected. Comes after everything else, if the client was connected; an error is
    /// logged. A server that shuts down waits for it, as long as `shutdown-timeout` allows.
    fn disconnected(self, reason: DisconnectReason) -> impl Future<Output = Result<(), Reject>> {
        let _ = reason;
        async { Ok(()) }
    }
}

/// The events of an actor, by their names.
#[must_use = "return it from `Actor::events`"]
pub struct Events<A> {
    all: Vec<OnEvent>,
    actor: PhantomData<fn(A)>,
}

impl<A: Actor> Events<A> {
    /// Has a method called with each event of that name: an `async` one or a plain one, or a closure, which
    /// takes `&mut Self` and the event's arguments. Arguments and acknowledgement are as told at
    /// [`Namespace::on`].
    ///
    /// # Panics
    /// The name is one that Socket.IO keeps for itself, as for [`Namespace::on`].
    pub fn on<M: 'static>(mut self, event: &str, method: impl Method<A, M>) -> Self {
        let handle = handle_of(event, Bound::new(method));
        self.all.push(OnEvent { name: event.into(), handle });
        self
    }
}

/// The actor style: see [`Actor`].
impl Namespace {
    /// Gives each socket of this namespace an actor of this type. Handlers of the other style, guards and
    /// middleware may be there as well: an event goes to whoever declared its name last. Several types of
    /// actors may share a namespace; each then minds its own events, and does not wait for the others.
    ///
    /// `shared` is one for all of them on this core, a value or an `Rc` of it.
    ///
    /// # Panics
    /// The namespace has actors of this type already.
    pub fn actor<A: Actor>(mut self, shared: impl Into<Rc<A::Shared>>) -> Self {
        let shared = shared.into();
        let kind = TypeId::of::<A>();
        assert!(
            !self.actors.contains(&kind),
            "the namespace has actors of the type {} already",
            std::any::type_name::<A>()
        );
        self.actors.push(kind);
        self.guards.push(Box::new(move |socket| {
            let shared = Rc::clone(&shared);
            Box::pin(async move {
                let seat = Seat::<A>::at(&socket);
                let actor = A::connect(socket, shared).await?;
                seat.sit_down(actor);
                Ok(())
            })
        }));
        for event in A::events(Events { all: Vec::new(), actor: PhantomData }).all {
            self.on_event.insert(Rc::clone(&event.name), event);
        }
        self.on_connect.push(Box::new(|socket| {
            if let Some(seat) = Seat::<A>::of(&socket) {
                seat.begin();
            }
        }));
        self.on_disconnect.push(Box::new(|socket, reason| {
            if let Some(seat) = Seat::<A>::of(&socket) {
                seat.finish(reason);
            }
        }));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Mute;

    impl Actor for Mute {
        type Shared = ();

        async fn connect(_: Socket, _: Rc<()>) -> Result<Self, Reject> {
            Ok(Self)
        }

        fn events(events: Events<Self>) -> Events<Self> {
            events.on("a", |_: &mut Self| 1).on("b", async |_: &mut Self, text: String| text)
        }
    }

    #[test]
    fn an_event_goes_to_whoever_declared_it_last() {
        let namespace = Namespace::new().on("a", |_: Socket| ()).actor::<Mute>(());
        assert_eq!((namespace.on_event.len(), namespace.guards.len()), (2, 1));
    }

    #[test]
    #[should_panic(expected = "Mute already")]
    fn a_socket_has_one_actor_of_a_type() {
        let _ = Namespace::new().actor::<Mute>(()).actor::<Mute>(());
    }
}
