//! Futures beside the handlers, which somebody may end before they end by themselves.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};

use crate::server::Core;
use crate::socket::Socket;

/// A future that runs on its core beside the handlers. Dropping this leaves it alone.
#[derive(Clone)]
pub struct Task(Rc<State>);

#[derive(Default)]
struct State {
    is_cancelled: Cell<bool>,
    has_ended: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Task {
    /// Ends it: it is dropped where it waits, very soon. One that is just running goes on to its next wait.
    pub fn cancel(&self) {
        self.0.is_cancelled.set(true);
        let waker = self.0.waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether it has ended, in whatever way.
    pub fn has_ended(&self) -> bool {
        self.0.has_ended.get()
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("has_ended", &self.has_ended()).finish()
    }
}

impl Core {
    /// Runs a future on this core beside the handlers, for as long as it takes, or until it is
    /// [cancelled](Task::cancel). It is polled at once; a panic in it is logged and ends it alone.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) -> Task {
        let task = Task(Rc::default());
        self.shard.run(None, run(task.clone(), future));
        task
    }
}

impl Socket {
    /// Runs a future beside the handlers **until the socket disconnects**: then it is dropped where it waits,
    /// before handlers of disconnecting have waited. A panic in it ends this socket and nothing else. It is
    /// polled at once; at a socket that is gone already it never runs.
    ///
    /// What is to outlive the socket is run by its core: `socket.core().spawn(…)`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use yamabiko::{Namespace, Socket};
    /// Namespace::new().on("watch", |socket: Socket, ms: u64| {
    ///     let mut every = socket.core().interval(Duration::from_millis(ms));
    ///     let watcher = socket.clone();
    ///     socket.spawn(async move {
    ///         loop {
    ///             every.tick().await;
    ///             watcher.emit("seen", &()).ok();
    ///         }
    ///     });
    /// });
    /// ```
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) -> Task {
        let task = Task(Rc::default());
        match self.shard.socket_id(self.key) {
            Ok(_) => {
                self.inner.rare_or_new().tasks.add(&task);
                self.run(run(task.clone(), future));
            }
            Err(_) => task.0.has_ended.set(true),
        }
        task
    }
}

async fn run(task: Task, future: impl Future<Output = ()>) {
    let ended = Ended(task);
    let state = &ended.0.0;
    let mut future = pin!(future);
    poll_fn(|context| {
        if state.is_cancelled.get() {
            return Poll::Ready(());
        }
        let poll = future.as_mut().poll(context);
        if poll.is_ready() || state.is_cancelled.get() {
            return Poll::Ready(());
        }
        state.waker.replace(Some(context.waker().clone()));
        Poll::Pending
    })
    .await;
}

/// Says so, also after a panic.
struct Ended(Task);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.0.has_ended.set(true);
    }
}

/// The tasks of one socket.
#[derive(Default)]
pub(crate) struct Tasks(RefCell<Vec<Weak<State>>>);

impl Tasks {
    fn add(&self, task: &Task) {
        let mut tasks = self.0.borrow_mut();
        // Those that have ended go before there would be more memory for the list.
        if tasks.len() == tasks.capacity() {
            tasks.retain(|it| it.upgrade().is_some_and(|state| !state.has_ended.get()));
        }
        tasks.push(Rc::downgrade(&task.0));
    }

    /// The socket has left.
    pub(crate) fn cancel(&self) {
        let tasks = self.0.take();
        for state in tasks.iter().filter_map(Weak::upgrade) {
            Task(state).cancel();
        }
    }
}
