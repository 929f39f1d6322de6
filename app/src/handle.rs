//! The way to a running server's sockets from any thread of its process.

use std::future::Future;
use std::time::Duration;

use serde::de::DeserializeOwned;
use yamabiko_protocol::parser::Parser;
use yamabiko_runtime::{EmitArgs, EmitError, Outside, RawArgs, Shard, Unreached};

use crate::broadcast::Broadcast;
use crate::responses::{AcksFailure, complete};
use crate::server::Core;
use crate::whom::Whom;

/// A handle to a running server, for any thread or runtime: `Clone`, `Send` and `Sync`. It comes with
/// [`Ready`](crate::Ready).
///
/// What it is told is done on the first core, in the order in which one thread tells it, and reaches the
/// sockets of all cores from there.
///
/// ```no_run
/// use yamabiko::{App, Config, Server};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// Server::new(Config::from_env()?)
///     .on_ready(|ready| {
///         let handle = ready.handle;
///         std::thread::spawn(move || {
///             handle.of("/").to("readers").emit("news", &"from a thread").ok();
///         });
///     })
///     .run(|_core| App::new())?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Handle {
    outside: Outside,
    parser: Parser,
}

/// Sockets of a namespace, told from outside: what [`Broadcast`] is to handlers.
#[derive(Debug, Clone)]
#[must_use = "nothing is done before `emit` or another verb"]
pub struct Meant {
    outside: Outside,
    parser: Parser,
    namespace: String,
    whom: Whom,
}

impl Handle {
    pub(crate) fn new(outside: Outside, parser: Parser) -> Self {
        Self { outside, parser }
    }

    /// How many cores the server has.
    pub fn shards(&self) -> usize {
        self.outside.shards()
    }

    /// Everybody in a namespace, on all cores.
    pub fn of(&self, namespace: &str) -> Meant {
        Meant {
            outside: self.outside.clone(),
            parser: self.parser,
            namespace: namespace.into(),
            whom: Whom::default(),
        }
    }

    /// Shuts the server down as SIGTERM does: Socket.IO's `io.close`. It begins within a quarter of a second;
    /// [`Server::run`](crate::Server::run) returns when it is done. Clients get no DISCONNECT packet, and so
    /// come back by themselves.
    pub fn close(&self) {
        self.outside.close();
    }

    /// Has a closure run on the first core, beside the handlers. It can do whatever they can, and must not
    /// block. A panic in it is logged and ends nothing else.
    ///
    /// # Errors
    /// [`Unreached`]: the core does not keep up, or the server has ended.
    pub fn run(&self, call: impl FnOnce(Core) + Send + 'static) -> Result<(), Unreached> {
        self.run_on(0, call)
    }

    /// The same on a core of your choice, from 0.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_on(
        &self,
        shard: u8,
        call: impl FnOnce(Core) + Send + 'static,
    ) -> Result<(), Unreached> {
        self.outside.call(shard, move |shard| call(Core::new(shard.clone())))
    }

    /// Has a closure run on the first core, and what it returns awaited there and sent back. The future that
    /// is returned may be awaited on any runtime, or blocked on.
    ///
    /// ```no_run
    /// # async fn example(handle: yamabiko::Handle) {
    /// let readers = handle.ask(async |core| match core.of("/") {
    ///     Some(everyone) => everyone.to("readers").fetch_sockets().await.sockets.len(),
    ///     None => 0,
    /// });
    /// println!("{:?}", readers.await);
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Unreached`], also if the closure panicked.
    pub fn ask<Q, R>(
        &self,
        question: Q,
    ) -> impl Future<Output = Result<R, Unreached>> + Send + use<Q, R>
    where
        Q: AsyncFnOnce(Core) -> R + Send + 'static,
        R: Send + 'static,
    {
        let (sender, receiver) = flume::bounded(1);
        let told = self.outside.call(0, move |shard| {
            let core = Core::new(shard.clone());
            shard.run(None, async move {
                // Whoever asked may have stopped waiting.
                let _ = sender.send(question(core).await);
            });
        });
        async move {
            told?;
            receiver.recv_async().await.map_err(|_| Unreached::Ended)
        }
    }
}

impl Meant {
    /// Members of this room, too. Without any room it is everybody.
    pub fn to(mut self, room: &str) -> Self {
        self.whom.to([room]);
        self
    }

    /// Members of these rooms, too. An empty list of rooms means nobody.
    pub fn to_rooms<R: Into<String>>(mut self, rooms: impl IntoIterator<Item = R>) -> Self {
        self.whom.to(rooms);
        self
    }

    /// But not members of this room.
    pub fn except(mut self, room: &str) -> Self {
        self.whom.except([room]);
        self
    }

    /// But not members of any of these rooms.
    pub fn except_rooms<R: Into<String>>(mut self, rooms: impl IntoIterator<Item = R>) -> Self {
        self.whom.except(rooms);
        self
    }

    /// It may be lost for clients that are not ready for it right now.
    pub fn volatile(mut self) -> Self {
        self.whom.target.volatile = true;
        self
    }

    /// Whether it may be compressed: yes, unless told. An answer to a poll with nothing in it that may be is
    /// sent as it is (`http-compression`). WebSockets are not compressed.
    pub fn compress(mut self, may: bool) -> Self {
        self.whom.target.compress = may;
        self
    }

    /// Sockets of this node only, on all its cores; also for what is asked of sockets or done to them. As long
    /// as a node is alone that is everybody anyway.
    pub fn local(mut self) -> Self {
        self.whom.target.local = true;
        self
    }

    /// How long to wait for what [`Self::emit_with_ack`] asks for: 5 seconds unless told.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.whom.timeout = time;
        self
    }

    /// Sends the event. The arguments are read before this returns.
    ///
    /// # Errors
    /// [`TellError`](crate::TellError): the arguments cannot be sent, the name is reserved, or the server
    /// was not reached. A namespace that does not exist is logged by the core.
    pub fn emit<T: EmitArgs + ?Sized>(&self, event: &str, args: &T) -> Result<(), TellError> {
        let args = self.read(event, args).map_err(TellError::Emit)?;
        let event = event.to_owned();
        self.tell(move |sockets| {
            if let Err(error) = sockets.emit(&event, &args) {
                tracing::warn!(event, %error, "an event of another thread was not sent");
            }
        })
    }

    /// Sends an event and waits for the first argument of each client's acknowledgement, as
    /// [`Broadcast::emit_with_ack`] does. The event is sent by the call itself; the future may be awaited on
    /// any runtime, or blocked on.
    ///
    /// # Errors
    /// [`AcksFailure`]; a namespace that does not exist is [`EmitError::Gone`].
    pub fn emit_with_ack<R: DeserializeOwned + Send + 'static>(
        &self,
        event: &str,
        args: &dyn EmitArgs,
    ) -> impl Future<Output = Result<Vec<R>, AcksFailure<R>>> + Send + use<R> {
        let (sender, receiver) = flume::bounded(1);
        let told = self.read(event, args).map_err(AcksFailure::Emit).and_then(|args| {
            let (meant, event) = (self.clone(), event.to_owned());
            let call = move |shard: &Shard| {
                let asked = meant.sockets(shard).ok_or(EmitError::Gone);
                let asked = asked.and_then(|sockets| sockets.gather_acks(&event, &args));
                shard.run(None, async move {
                    let answers = match asked {
                        Ok(gathered) => complete(gathered.await),
                        Err(error) => Err(AcksFailure::Emit(error)),
                    };
                    // Whoever asked may have stopped waiting.
                    let _ = sender.send(answers);
                });
            };
            self.outside.call(0, call).map_err(AcksFailure::Unreached)
        });
        async move {
            told?;
            let answers = receiver.recv_async().await;
            answers.unwrap_or(Err(AcksFailure::Unreached(Unreached::Ended)))
        }
    }

    /// Has them join rooms.
    ///
    /// # Errors
    /// The server was not reached.
    pub fn sockets_join<R: Into<String>>(
        &self,
        rooms: impl IntoIterator<Item = R>,
    ) -> Result<(), TellError> {
        let rooms: Vec<String> = rooms.into_iter().map(Into::into).collect();
        self.tell(move |sockets| sockets.sockets_join(rooms))
    }

    /// Has them leave rooms.
    ///
    /// # Errors
    /// The server was not reached.
    pub fn sockets_leave<R: Into<String>>(
        &self,
        rooms: impl IntoIterator<Item = R>,
    ) -> Result<(), TellError> {
        let rooms: Vec<String> = rooms.into_iter().map(Into::into).collect();
        self.tell(move |sockets| sockets.sockets_leave(rooms))
    }

    /// Takes them out of the namespace; with `close` out of all of theirs, and closes their connections.
    ///
    /// # Errors
    /// The server was not reached.
    pub fn disconnect_sockets(&self, close: bool) -> Result<(), TellError> {
        self.tell(move |sockets| sockets.disconnect_sockets(close))
    }

    fn tell(&self, what: impl FnOnce(Broadcast) + Send + 'static) -> Result<(), TellError> {
        let meant = self.clone();
        let call = move |shard: &Shard| match meant.sockets(shard) {
            Some(sockets) => what(sockets),
            None => {
                let namespace = meant.namespace;
                tracing::warn!(namespace, "another thread named a namespace that is not here");
            }
        };
        self.outside.call(0, call).map_err(TellError::Unreached)
    }

    /// The same as seen from a core.
    fn sockets(&self, shard: &Shard) -> Option<Broadcast> {
        let everyone = Core::new(shard.clone()).of(&self.namespace)?;
        Some(everyone.of(self.whom.clone()))
    }

    /// Reads an event's arguments, which other threads keep to themselves.
    fn read<T: EmitArgs + ?Sized>(&self, event: &str, args: &T) -> Result<RawArgs, EmitError> {
        yamabiko_protocol::socket::encode::check_name(event)?;
        Ok(args.to_raw(self.parser)?)
    }
}

/// Why something that another thread wanted was not done.
#[derive(Debug)]
pub enum TellError {
    /// The event cannot be sent.
    Emit(EmitError),
    /// The server was not reached.
    Unreached(Unreached),
}

impl std::fmt::Display for TellError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TellError::Emit(error) => error.fmt(f),
            TellError::Unreached(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TellError {}
