//! Messages to an actor: from others on its core, and from elsewhere.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use flume::Sender;
use yamabiko_runtime::{Outside, Shard, SocketKey, Unreached};

use super::role::Actor;
use super::seat::{Job, Seat};
use crate::socket::{Inner, Socket};

/// What an actor does with a message of type `M`. It is one of the things that come to it one at a time, in
/// order of arrival: see [`Actor`].
#[diagnostic::on_unimplemented(message = "the actor `{Self}` takes no messages of type `{M}`")]
pub trait Receive<M>: Actor {
    /// What [`Address::ask`] is answered with; `()` if nothing.
    type Answer: 'static;

    /// Handles the message.
    fn receive(&mut self, message: M) -> impl Future<Output = Self::Answer>;
}

/// Where messages to one actor go: others on its core keep it. It keeps nothing alive; once the actor is gone,
/// it says so.
///
/// ```
/// # use std::rc::Rc;
/// # use yamabiko::{Actor, Address, Events, Receive, Reject, Socket};
/// struct Agent {
///     socket: Socket,
/// }
///
/// # impl Actor for Agent {
/// #     type Shared = ();
/// #     async fn connect(socket: Socket, _: Rc<()>) -> Result<Self, Reject> { Ok(Self { socket }) }
/// #     fn events(events: Events<Self>) -> Events<Self> { events }
/// # }
/// struct Call {
///     visitor: String,
/// }
///
/// impl Receive<Call> for Agent {
///     type Answer = bool;
///
///     async fn receive(&mut self, call: Call) -> bool {
///         self.socket.emit_with_ack("take it?", &call.visitor, None).await.unwrap_or(false)
///     }
/// }
///
/// async fn is_taken(agent: &Address<Agent>, visitor: String) -> bool {
///     agent.ask(Call { visitor }).await.unwrap_or(false) // its client may be gone
/// }
/// ```
pub struct Address<A> {
    seat: Weak<Seat<A>>,
}

impl<A: Actor> Address<A> {
    /// Sends a message. It waits for its turn behind what came before, and never runs before this returns.
    ///
    /// # Errors
    /// [`Undelivered`]: the message is dropped.
    pub fn tell<M: 'static>(&self, message: M) -> Result<(), Undelivered>
    where
        A: Receive<M>,
    {
        post(&self.seat.upgrade().ok_or(Undelivered::Gone)?, message, None)
    }

    /// The same, and waits for the answer. The message is sent by the call itself, not only when its result
    /// is awaited.
    ///
    /// An actor that waits for its own answer, or two for each other's, wait for ever.
    ///
    /// # Errors
    /// [`Undelivered`], also if the actor ends before it has answered.
    pub fn ask<M: 'static>(
        &self,
        message: M,
    ) -> impl Future<Output = Result<A::Answer, Undelivered>> + use<A, M>
    where
        A: Receive<M>,
    {
        let (reply, answer) = flume::bounded(1);
        let seat = self.seat.upgrade().ok_or(Undelivered::Gone);
        let sent = seat.and_then(|seat| post(&seat, message, Some(reply)));
        async move {
            sent?;
            answer.recv_async().await.unwrap_or(Err(Undelivered::Gone))
        }
    }

    /// The same address for other cores and threads. `None` if the actor is gone.
    pub fn mailbox(&self) -> Option<Mailbox<A>> {
        let seat = self.seat.upgrade()?;
        let id = seat.shard.socket_id(seat.key).ok()?;
        Some(Mailbox {
            outside: seat.shard.outside().clone(),
            shard: seat.shard.id(),
            key: seat.key,
            id: id.into(),
            actor: PhantomData,
        })
    }
}

/// Where messages to one actor go, for other cores and threads: `Send` and `Sync`. It comes from
/// [`Address::mailbox`]. Messages of one thread keep their order.
pub struct Mailbox<A> {
    outside: Outside,
    shard: u8,
    key: SocketKey,
    /// A core that was started again may have another socket under the same key.
    id: Arc<str>,
    actor: PhantomData<fn(A)>,
}

impl<A: Actor> Mailbox<A> {
    /// Sends a message, as [`Address::tell`]. That the actor is gone, or has too many messages, is not known
    /// here: who must know it asks.
    ///
    /// # Errors
    /// [`Unreached`]: the core does not keep up, or the server has ended.
    pub fn tell<M: Send + 'static>(&self, message: M) -> Result<(), Unreached>
    where
        A: Receive<M>,
    {
        self.at(move |seat| {
            let _ = seat.and_then(|seat| post(&seat, message, None));
        })
    }

    /// The same, and waits for the answer; on any runtime, or blocked on.
    ///
    /// # Errors
    /// [`Undelivered`]: a core that does not keep up is [`Full`](Undelivered::Full), too.
    pub fn ask<M: Send + 'static>(
        &self,
        message: M,
    ) -> impl Future<Output = Result<A::Answer, Undelivered>> + Send + use<A, M>
    where
        A: Receive<M>,
        A::Answer: Send,
    {
        let (reply, answer) = flume::bounded(1);
        let sent = self.at(move |seat| {
            if let Err(error) = seat.and_then(|seat| post(&seat, message, Some(reply.clone()))) {
                // Whoever asked may have stopped waiting.
                let _ = reply.send(Err(error));
            }
        });
        async move {
            sent.map_err(|unreached| match unreached {
                Unreached::Busy => Undelivered::Full,
                Unreached::Ended => Undelivered::Gone,
            })?;
            answer.recv_async().await.unwrap_or(Err(Undelivered::Gone))
        }
    }
}

impl<A: Actor> Mailbox<A> {
    /// Does something at the actor's seat, on its core.
    fn at(
        &self,
        call: impl FnOnce(Result<Rc<Seat<A>>, Undelivered>) + Send + 'static,
    ) -> Result<(), Unreached> {
        let (key, id) = (self.key, Arc::clone(&self.id));
        self.outside.call(self.shard, move |shard| {
            call(find(shard, key, &id).ok_or(Undelivered::Gone));
        })
    }
}

/// Where an answer goes, if one is waited for.
type Reply<R> = Option<Sender<Result<R, Undelivered>>>;

fn post<A: Receive<M>, M: 'static>(
    seat: &Rc<Seat<A>>,
    message: M,
    reply: Reply<A::Answer>,
) -> Result<(), Undelivered> {
    seat.post(Message { message, reply })
}

/// The seat of a socket, known by its key and id.
fn find<A: Actor>(shard: &Shard, key: SocketKey, id: &str) -> Option<Rc<Seat<A>>> {
    let inner: Rc<Inner> = shard.socket_state(key)?.downcast().ok()?;
    let socket = Socket::with_inner(shard.clone(), key, inner);
    (socket.id() == id).then(|| Seat::of(&socket))?
}

/// A message that waits for its turn.
struct Message<M, R> {
    message: M,
    reply: Reply<R>,
}

impl<A: Receive<M>, M: 'static> Job<A> for Message<M, A::Answer> {
    fn run<'a>(self: Box<Self>, actor: &'a mut A) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(async move {
            let answer = actor.receive(self.message).await;
            if let Some(reply) = self.reply {
                // Whoever asked may have stopped waiting.
                let _ = reply.send(Ok(answer));
            }
        })
    }
}

/// The way to a socket's actor.
impl Socket {
    /// The address of this socket's actor. If it has none of this type, messages to it are answered with
    /// [`Undelivered::Gone`].
    pub fn address<A: Actor>(&self) -> Address<A> {
        Address { seat: Seat::of(self).map_or_else(Weak::new, |seat| Rc::downgrade(&seat)) }
    }
}

/// Why a message did not reach an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undelivered {
    /// The actor's client has disconnected, or the actor has panicked; or there was none.
    Gone,
    /// As many messages as may wait for it do so.
    Full,
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Undelivered::Gone => "the actor is gone",
            Undelivered::Full => "the actor does not keep up with its messages",
        })
    }
}

impl std::error::Error for Undelivered {}

impl<A> Clone for Address<A> {
    fn clone(&self) -> Self {
        Self { seat: Weak::clone(&self.seat) }
    }
}

impl<A> fmt::Debug for Address<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address")
    }
}

impl<A> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        let Self { outside, shard, key, id, actor } = self;
        let (outside, id) = (outside.clone(), Arc::clone(id));
        Self { outside, shard: *shard, key: *key, id, actor: *actor }
    }
}

impl<A> fmt::Debug for Mailbox<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("shard", &self.shard).field("socket", &self.id).finish()
    }
}
