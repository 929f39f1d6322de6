//! An actor at its socket: its state, what waits for it, and whose turn it is.
//!
//! Whoever has the turn has the state, and gives both back when nothing waits any more; so there is nothing to
//! lock. The seat is part of the socket, and an actor mostly holds its socket: that ring is broken when the
//! socket leaves, as the state is let go of then.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use yamabiko_runtime::{Hold, Shard, SocketKey};

use super::address::Undelivered;
use super::role::Actor;
use crate::DisconnectReason;
use crate::answer::Reject;
use crate::socket::Socket;

/// So many things in a row are done before others have their turn.
const STREAK_MAX: u32 = 64;

/// The place of one actor at its socket.
pub(crate) struct Seat<A> {
    pub(super) shard: Shard,
    pub(super) key: SocketKey,
    inner: RefCell<Inner<A>>,
}

struct Inner<A> {
    stage: Stage<A>,
    queue: VecDeque<Queued<A>>,
    events: usize,
    event_bytes: usize,
    messages: usize,
}

enum Stage<A> {
    /// The client is not connected. What comes waits.
    Joining(Option<Box<A>>),
    /// Nothing is done, and nothing waits.
    Idle(Box<A>),
    /// Somebody has the turn, and the state.
    Busy,
    /// The same, and the client has left. The server does not end before the state has gone its last way.
    Leaving(DisconnectReason, Hold),
    Gone,
}

/// What is done in a turn.
pub(super) trait Job<A> {
    fn run<'a>(self: Box<Self>, actor: &'a mut A) -> Pin<Box<dyn Future<Output = ()> + 'a>>;
}

struct Queued<A> {
    job: Box<dyn Job<A>>,
    /// An event of so many bytes, or else a message.
    event_bytes: Option<usize>,
}

/// A seat of an actor of any type, for the socket that it is at.
pub(crate) trait Resident {
    fn into_any(self: Rc<Self>) -> Rc<dyn Any>;

    /// The socket has gone: whatever state is still here is dropped.
    fn abandon(&self);
}

/// Coming and going.
impl<A: Actor> Seat<A> {
    /// A new seat, at a socket that is about to connect.
    pub(super) fn at(socket: &Socket) -> Rc<Self> {
        let inner = Inner {
            stage: Stage::Joining(None),
            queue: VecDeque::new(),
            events: 0,
            event_bytes: 0,
            messages: 0,
        };
        let (shard, key) = (socket.shard.clone(), socket.key);
        let seat = Rc::new(Self { shard, key, inner: RefCell::new(inner) });
        socket.inner.rare_or_new().add_seat(TypeId::of::<A>(), seat.clone());
        seat
    }

    /// The seat of such an actor at a socket, as long as that is connected or about to.
    pub(super) fn of(socket: &Socket) -> Option<Rc<Self>> {
        socket.inner.rare()?.seat(TypeId::of::<A>())?.into_any().downcast().ok()
    }

    /// The actor is made.
    pub(super) fn sit_down(&self, actor: A) {
        let mut inner = self.inner.borrow_mut();
        if let Stage::Joining(place) = &mut inner.stage {
            *place = Some(Box::new(actor));
        } else {
            // The client has left meanwhile. What an actor does as it is dropped may come back here.
            drop(inner);
            drop(actor);
        }
    }

    /// The client is connected: now things have their turn.
    pub(super) fn begin(self: &Rc<Self>) {
        let actor = {
            let mut inner = self.inner.borrow_mut();
            let Stage::Joining(actor) = &mut inner.stage else { return };
            let Some(actor) = actor.take() else { return };
            inner.stage = Stage::Busy;
            actor
        };
        self.turn(actor).run(async |actor: &mut A| log("connected", actor.connected().await));
    }

    /// The client has left: what waits is dropped, and as soon as nobody has the turn the state goes its last
    /// way.
    pub(super) fn finish(&self, reason: DisconnectReason) {
        if let Stage::Idle(actor) = self.leave(Some(reason)) {
            self.shard.run(None, last_way(actor, reason, self.shard.hold_end()));
        }
    }

    /// Nothing comes in any more. Returns the stage it was in, and tells `reason` to whoever has the turn.
    fn leave(&self, reason: Option<DisconnectReason>) -> Stage<A> {
        let mut inner = self.inner.borrow_mut();
        let was = match (std::mem::replace(&mut inner.stage, Stage::Gone), reason) {
            (leaving @ Stage::Leaving(..), _) => {
                inner.stage = leaving;
                Stage::Gone
            }
            (Stage::Busy, Some(reason)) => {
                inner.stage = Stage::Leaving(reason, self.shard.hold_end());
                Stage::Busy
            }
            (was, _) => was,
        };
        let queue = std::mem::take(&mut inner.queue);
        // What is dropped may have something of its own to say: by then nothing is borrowed.
        drop(inner);
        drop(queue);
        was
    }

    fn turn(self: &Rc<Self>, actor: Box<A>) -> Turn<A> {
        Turn { seat: Rc::clone(self), actor: Some(actor) }
    }
}

impl<A: Actor> Resident for Seat<A> {
    fn into_any(self: Rc<Self>) -> Rc<dyn Any> {
        self
    }

    fn abandon(&self) {
        drop(self.leave(None));
    }
}

/// Events and messages.
impl<A: Actor> Seat<A> {
    /// The turn, if it is free.
    pub(super) fn take_turn(self: &Rc<Self>) -> Option<Turn<A>> {
        let mut inner = self.inner.borrow_mut();
        match std::mem::replace(&mut inner.stage, Stage::Busy) {
            Stage::Idle(actor) => Some(self.turn(actor)),
            other => {
                inner.stage = other;
                None
            }
        }
    }

    /// Lets an event wait for its turn. A client that has too many waiting is sent away; one that has left is
    /// not heard any more.
    pub(super) fn wait(&self, job: impl Job<A> + 'static, bytes: usize) {
        let limits = &self.shard.settings().limits;
        let mut inner = self.inner.borrow_mut();
        if inner.is_over() {
            drop(inner);
            return drop(job);
        }
        let has_room = inner.events < limits.early_events_max
            && inner.event_bytes.saturating_add(bytes) <= limits.outbox_bytes_max;
        if !has_room {
            drop(inner);
            drop(job);
            return self.shard.end_flood(self.key);
        }
        inner.events += 1;
        inner.event_bytes += bytes;
        inner.queue.push_back(Queued { job: Box::new(job), event_bytes: Some(bytes) });
    }

    /// Takes a message. It never runs before this returns, so that a chain of actors that tell each other
    /// is no chain of calls.
    ///
    /// # Errors
    /// [`Undelivered`]: then the message is dropped.
    pub(super) fn post(self: &Rc<Self>, job: impl Job<A> + 'static) -> Result<(), Undelivered> {
        let mut inner = self.inner.borrow_mut();
        let refusal = match inner.messages >= A::MESSAGES_MAX {
            _ if inner.is_over() => Some(Undelivered::Gone),
            true => Some(Undelivered::Full),
            false => None,
        };
        if let Some(refusal) = refusal {
            drop(inner);
            drop(job);
            return Err(refusal);
        }
        inner.messages += 1;
        inner.queue.push_back(Queued { job: Box::new(job), event_bytes: None });
        drop(inner);
        if let Some(turn) = self.take_turn() {
            self.shard.run(Some(self.key), async move {
                yield_now().await;
                turn.rest().await;
            });
        }
        Ok(())
    }
}

impl<A> Inner<A> {
    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Leaving(..) | Stage::Gone)
    }

    fn pop(&mut self) -> Option<Box<dyn Job<A>>> {
        let Queued { job, event_bytes } = self.queue.pop_front()?;
        match event_bytes {
            Some(bytes) => {
                (self.events, self.event_bytes) = (self.events - 1, self.event_bytes - bytes)
            }
            None => self.messages -= 1,
        }
        Some(job)
    }
}

/// The turn of whoever does something with the state. One that is dropped before its end has met a panic, or
/// the end of the server: then the state goes, and the seat is empty from there on.
pub(super) struct Turn<A: Actor> {
    seat: Rc<Seat<A>>,
    actor: Option<Box<A>>,
}

/// What comes next in a turn.
enum Next<A> {
    Job(Box<dyn Job<A>>),
    /// Nothing waits; the state is back in its seat.
    Rest,
    End(Box<A>, DisconnectReason, Hold),
}

impl<A: Actor> Turn<A> {
    /// Does something that is ready when it is first looked at, and so needs no task.
    pub(super) fn run_now(mut self, work: impl AsyncFnOnce(&mut A)) {
        if let Some(actor) = self.actor.as_deref_mut() {
            let work = pin!(work(actor));
            let seen = work.poll(&mut Context::from_waker(Waker::noop()));
            debug_assert!(seen.is_ready(), "plain methods do not wait");
        }
        self.end();
    }

    /// Does something that may wait, and then what waits behind it. A panic ends the socket.
    pub(super) fn run(mut self, work: impl AsyncFnOnce(&mut A) + 'static) {
        let (shard, key) = (self.seat.shard.clone(), self.seat.key);
        shard.run(Some(key), async move {
            if let Some(actor) = self.actor.as_deref_mut() {
                work(actor).await;
            }
            self.rest().await;
        });
    }

    /// Gives the turn back, or does what waits for it.
    pub(super) fn end(mut self) {
        match self.next() {
            Next::Rest => {}
            next => {
                let (shard, key) = (self.seat.shard.clone(), self.seat.key);
                shard.run(Some(key), self.go_on(next));
            }
        }
    }

    /// Does what waits, until nothing does.
    async fn rest(mut self) {
        let next = self.next();
        self.go_on(next).await;
    }

    async fn go_on(mut self, mut next: Next<A>) {
        let mut streak = 0;
        loop {
            match (next, self.actor.as_deref_mut()) {
                (Next::Job(job), Some(actor)) => job.run(actor).await,
                (Next::End(actor, reason, hold), _) => return last_way(actor, reason, hold).await,
                _ => return,
            }
            streak += 1;
            if streak % STREAK_MAX == 0 {
                yield_now().await;
            }
            next = self.next();
        }
    }

    fn next(&mut self) -> Next<A> {
        let mut inner = self.seat.inner.borrow_mut();
        match std::mem::replace(&mut inner.stage, Stage::Gone) {
            Stage::Busy => {
                let job = inner.pop();
                let actor = if job.is_none() { self.actor.take() } else { None };
                inner.stage = actor.map_or(Stage::Busy, Stage::Idle);
                job.map_or(Next::Rest, Next::Job)
            }
            Stage::Leaving(reason, hold) => {
                self.actor.take().map_or(Next::Rest, |actor| Next::End(actor, reason, hold))
            }
            stage => {
                inner.stage = stage;
                Next::Rest
            }
        }
    }
}

impl<A: Actor> Drop for Turn<A> {
    fn drop(&mut self) {
        if let Some(actor) = self.actor.take() {
            drop(self.seat.leave(None));
            // It may have been told why the client left; there is nobody to hear it.
            self.seat.inner.borrow_mut().stage = Stage::Gone;
            drop(actor);
        }
    }
}

/// The end of a state whose client has disconnected.
async fn last_way<A: Actor>(actor: Box<A>, reason: DisconnectReason, hold: Hold) {
    log("disconnected", actor.disconnected(reason).await);
    drop(hold);
}

fn log(method: &str, outcome: Result<(), Reject>) {
    if let Err(error) = outcome {
        tracing::debug!(method, %error, "an actor failed");
    }
}

/// Lets others have their turn.
async fn yield_now() {
    let mut has_yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
