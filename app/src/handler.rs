//! Event handlers: what may be one, and how its arguments are read.
//!
//! A handler is compiled into one call that reads the arguments as the tuple it takes and runs it. A plain
//! closure is simply called. An `async` one becomes a future on the heap, the only allocation here, which
//! is polled at once and becomes a task only if it has to wait.

use std::rc::Rc;

use serde::de::DeserializeOwned;
use yamabiko_protocol::socket::RESERVED_EVENTS;

use crate::answer::{Call, IntoAck};
use crate::marker::{Async, Raw, Sync};
use crate::socket::Socket;
use crate::{Args, ArgsError, RawArgs};

/// A handler of any kind: reads the arguments of a call and runs it.
pub(crate) type Handle = Box<dyn Fn(Call, &Args<'_>) -> Result<(), (Call, ArgsError)>>;

/// A handler as one of any kind.
///
/// # Panics
/// The event's name is one that Socket.IO keeps for itself.
pub(crate) fn handle_of<M>(event: &str, handler: impl EventHandler<M>) -> Handle {
    assert!(
        !RESERVED_EVENTS.contains(&event),
        "'{event}' never comes as an event; there are on_connect and on_disconnect"
    );
    let handler = Rc::new(handler);
    Box::new(move |call, args| handler.call(call, args))
}

/// A closure or function, `async` or not, that takes a [`Socket`] and then either up to six arguments that
/// serde can read, or [`RawArgs`]. `M` is found by inference.
///
/// Arguments that are missing at the end are read as `null`, so an `Option` takes them; more than the
/// handler takes are ignored, as JavaScript does.
///
/// The arguments' types must be written out where the closure's body does not tell them:
///
/// ```
/// # use yamabiko::{Namespace, RawArgs, Socket};
/// Namespace::new()
///     .on("add", |_: Socket, a: i64, b: i64| a + b)
///     .on("echo", |_: Socket, all: RawArgs| all)
///     .on("later", async |socket: Socket, ms: u64| {
///         socket.sleep(std::time::Duration::from_millis(ms)).await;
///     });
/// ```
///
/// What is no handler is refused by the compiler. Arguments are owned, as a handler may wait:
///
/// ```compile_fail,E0277
/// # use yamabiko::{Namespace, Socket};
/// Namespace::new().on("say", |_: Socket, _borrowed: &'static str| ());
/// ```
///
/// and an answer is something that can be sent:
///
/// ```compile_fail,E0277
/// # use yamabiko::{Namespace, Socket};
/// Namespace::new().on("say", |_: Socket| std::time::Instant::now());
/// ```
#[diagnostic::on_unimplemented(
    message = "this is no event handler",
    label = "not `|socket: Socket, …| …` or `async |socket: Socket, …| …` with arguments that serde can read",
    note = "each argument after the `Socket`, at most six, needs a written type that implements \
            `serde::de::DeserializeOwned` (`String`, not `&str`); `RawArgs` alone takes all as they came",
    note = "its answer needs `serde::Serialize`, or to be `RawArgs`, or a `Result<_, yamabiko::Reject>`"
)]
pub trait EventHandler<M>: 'static {
    /// Reads the arguments and calls the handler.
    ///
    /// # Errors
    /// An argument is not of the type that the handler takes.
    #[doc(hidden)]
    fn call(self: &Rc<Self>, call: Call, args: &Args<'_>) -> Result<(), (Call, ArgsError)>;
}

macro_rules! event_handler {
    ($($argument:ident),*) => {
        #[allow(non_snake_case)]
        impl<H, R, K, $($argument),*> EventHandler<Async<(K, $($argument,)*)>> for H
        where
            H: AsyncFn(Socket, $($argument),*) -> R + 'static,
            R: IntoAck<K> + 'static,
            $($argument: DeserializeOwned + 'static,)*
        {
            fn call(self: &Rc<Self>, call: Call, args: &Args<'_>) -> Result<(), (Call, ArgsError)> {
                let ($($argument,)*): ($($argument,)*) = match args.parse_tuple() {
                    Ok(arguments) => arguments,
                    Err(error) => return Err((call, error)),
                };
                let handler = Rc::clone(self);
                call.socket.clone().run(async move {
                    let answer = handler(call.socket.clone(), $($argument),*).await;
                    answer.answer(&call);
                });
                Ok(())
            }
        }

        #[allow(non_snake_case)]
        impl<H, R, K, $($argument),*> EventHandler<Sync<(K, $($argument,)*)>> for H
        where
            H: Fn(Socket, $($argument),*) -> R + 'static,
            R: IntoAck<K>,
            $($argument: DeserializeOwned,)*
        {
            fn call(self: &Rc<Self>, call: Call, args: &Args<'_>) -> Result<(), (Call, ArgsError)> {
                let ($($argument,)*): ($($argument,)*) = match args.parse_tuple() {
                    Ok(arguments) => arguments,
                    Err(error) => return Err((call, error)),
                };
                self(call.socket.clone(), $($argument),*).answer(&call);
                Ok(())
            }
        }
    };
}

event_handler!();
event_handler!(A);
event_handler!(A, B);
event_handler!(A, B, C);
event_handler!(A, B, C, D);
event_handler!(A, B, C, D, E);
event_handler!(A, B, C, D, E, F);

impl<H, R, K> EventHandler<Async<Raw<K>>> for H
where
    H: AsyncFn(Socket, RawArgs) -> R + 'static,
    R: IntoAck<K> + 'static,
{
    fn call(self: &Rc<Self>, call: Call, args: &Args<'_>) -> Result<(), (Call, ArgsError)> {
        let (handler, args) = (Rc::clone(self), RawArgs::from(args));
        call.socket.clone().run(async move {
            let answer = handler(call.socket.clone(), args).await;
            answer.answer(&call);
        });
        Ok(())
    }
}

impl<H, R, K> EventHandler<Sync<Raw<K>>> for H
where
    H: Fn(Socket, RawArgs) -> R + 'static,
    R: IntoAck<K>,
{
    fn call(self: &Rc<Self>, call: Call, args: &Args<'_>) -> Result<(), (Call, ArgsError)> {
        self(call.socket.clone(), RawArgs::from(args)).answer(&call);
        Ok(())
    }
}

/// Types that only tell kinds of handlers, answers and patterns apart, for the compiler; found by inference.
pub mod marker {
    use std::marker::PhantomData;

    /// Handlers that are `async`.
    pub struct Async<A>(PhantomData<A>);
    /// Handlers that are not.
    pub struct Sync<A>(PhantomData<A>);
    /// Handlers that take all arguments as they came.
    pub struct Raw<K>(PhantomData<K>);
    /// Handlers that are methods of an actor.
    pub struct Bound;
    /// Patterns that are regular expressions.
    pub struct Expression;
    /// Answers that are sent as they are.
    pub struct Plain;
    /// Answers that may be refusals.
    pub struct Fallible;
    /// No answers at all: see [`IntoAck`](crate::IntoAck).
    pub struct WriteResultOfReject;
}
