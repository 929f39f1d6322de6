//! Methods of actors: what may handle an event, and how one is called.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;

use serde::de::DeserializeOwned;
use yamabiko_protocol::parser::KeptArgs;

use super::role::Actor;
use super::seat::{Job, Seat};
use crate::answer::{Call, IntoAck};
use crate::handler::EventHandler;
use crate::marker::{Async, Bound as OfActor, Raw, Sync};
use crate::{Args, ArgsError, RawArgs, dispatch};

/// A method, function or closure, `async` or not, that takes `&mut` the actor and then either up to six
/// arguments that serde can read, or [`RawArgs`]. `M` is found by inference. Arguments and answer follow the
/// rules of [`EventHandler`].
#[diagnostic::on_unimplemented(
    message = "this is no method of the actor `{A}` for events",
    label = "not `fn(&mut self, …)` or `async fn(&mut self, …)` with arguments that serde can read",
    note = "each argument after `&mut self`, at most six, needs a written type that implements \
            `serde::de::DeserializeOwned` (`String`, not `&str`); `RawArgs` alone takes all as they came",
    note = "its answer needs `serde::Serialize`, or to be `RawArgs`, or a `Result<_, yamabiko::Reject>`"
)]
pub trait Method<A, M>: 'static {
    /// What it takes.
    #[doc(hidden)]
    type Arguments: 'static;

    /// Whether it never waits: then its future is ready when it is first looked at.
    #[doc(hidden)]
    const IS_PLAIN: bool;

    #[doc(hidden)]
    fn read(args: &Args<'_>) -> Result<Self::Arguments, ArgsError>;

    /// Handles the event and answers it.
    #[doc(hidden)]
    fn run(
        &self,
        actor: &mut A,
        call: Call,
        arguments: Self::Arguments,
    ) -> impl Future<Output = ()>;
}

macro_rules! method {
    ($($argument:ident),*) => {
        #[allow(non_snake_case)]
        impl<A, H, R, K, $($argument),*> Method<A, Async<(R, K, $($argument,)*)>> for H
        where
            A: 'static,
            H: AsyncFn(&mut A, $($argument),*) -> R + 'static,
            R: IntoAck<K> + 'static,
            $($argument: DeserializeOwned + 'static,)*
        {
            type Arguments = ($($argument,)*);
            const IS_PLAIN: bool = false;

            fn read(args: &Args<'_>) -> Result<Self::Arguments, ArgsError> {
                args.parse_tuple()
            }

            async fn run(&self, actor: &mut A, call: Call, arguments: Self::Arguments) {
                let ($($argument,)*) = arguments;
                let answer = self(actor, $($argument),*).await;
                answer.answer(&call);
            }
        }

        #[allow(non_snake_case)]
        impl<A, H, R, K, $($argument),*> Method<A, Sync<(R, K, $($argument,)*)>> for H
        where
            A: 'static,
            H: Fn(&mut A, $($argument),*) -> R + 'static,
            R: IntoAck<K> + 'static,
            $($argument: DeserializeOwned + 'static,)*
        {
            type Arguments = ($($argument,)*);
            const IS_PLAIN: bool = true;

            fn read(args: &Args<'_>) -> Result<Self::Arguments, ArgsError> {
                args.parse_tuple()
            }

            async fn run(&self, actor: &mut A, call: Call, arguments: Self::Arguments) {
                let ($($argument,)*) = arguments;
                self(actor, $($argument),*).answer(&call);
            }
        }
    };
}

method!();
method!(B);
method!(B, C);
method!(B, C, D);
method!(B, C, D, E);
method!(B, C, D, E, F);
method!(B, C, D, E, F, G);

impl<A, H, R, K> Method<A, Async<Raw<(R, K)>>> for H
where
    A: 'static,
    H: AsyncFn(&mut A, RawArgs) -> R + 'static,
    R: IntoAck<K> + 'static,
{
    type Arguments = RawArgs;
    const IS_PLAIN: bool = false;

    fn read(args: &Args<'_>) -> Result<RawArgs, ArgsError> {
        Ok(RawArgs::from(args))
    }

    async fn run(&self, actor: &mut A, call: Call, args: RawArgs) {
        let answer = self(actor, args).await;
        answer.answer(&call);
    }
}

impl<A, H, R, K> Method<A, Sync<Raw<(R, K)>>> for H
where
    A: 'static,
    H: Fn(&mut A, RawArgs) -> R + 'static,
    R: IntoAck<K> + 'static,
{
    type Arguments = RawArgs;
    const IS_PLAIN: bool = true;

    fn read(args: &Args<'_>) -> Result<RawArgs, ArgsError> {
        Ok(RawArgs::from(args))
    }

    async fn run(&self, actor: &mut A, call: Call, args: RawArgs) {
        self(actor, args).answer(&call);
    }
}

/// A method as a handler of the other style: it finds the actor of the event's socket, or waits for its turn.
pub(super) struct Bound<A, H, M> {
    method: H,
    kinds: PhantomData<fn(A, M)>,
}

impl<A, H, M> Bound<A, H, M> {
    pub(super) fn new(method: H) -> Self {
        Self { method, kinds: PhantomData }
    }
}

impl<A, H, M> EventHandler<OfActor> for Bound<A, H, M>
where
    A: Actor,
    H: Method<A, M>,
    M: 'static,
{
    fn call(self: &Rc<Self>, call: Call, args: &Args<'_>) -> Result<(), (Call, ArgsError)> {
        let Some(seat) = Seat::<A>::of(&call.socket) else { return Ok(()) };
        let Some(turn) = seat.take_turn() else {
            let args = KeptArgs::from(args);
            let bytes = args.bytes();
            seat.wait(Waiting { bound: Rc::clone(self), call, args }, bytes);
            return Ok(());
        };
        let arguments = match H::read(args) {
            Ok(arguments) => arguments,
            Err(error) => {
                turn.end();
                return Err((call, error));
            }
        };
        if H::IS_PLAIN {
            turn.run_now(async |actor| self.method.run(actor, call, arguments).await);
        } else {
            let bound = Rc::clone(self);
            turn.run(async move |actor| bound.method.run(actor, call, arguments).await);
        }
        Ok(())
    }
}

/// An event that waits for its turn, as it came: so it takes no more memory than it did on its way.
struct Waiting<A, H, M> {
    bound: Rc<Bound<A, H, M>>,
    call: Call,
    args: KeptArgs,
}

impl<A: Actor, H: Method<A, M>, M: 'static> Job<A> for Waiting<A, H, M> {
    fn run<'a>(self: Box<Self>, actor: &'a mut A) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(async move {
            let Waiting { bound, call, args } = *self;
            let arguments = H::read(&args.lend());
            drop(args);
            match arguments {
                Ok(arguments) => bound.method.run(actor, call, arguments).await,
                Err(error) => dispatch::misfit(call, error),
            }
        })
    }
}
