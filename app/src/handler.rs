//! Handlers: what may be one, how its arguments are read, and what its answer becomes.

use std::fmt;
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use yamabiko_protocol::socket::Event;
use yamabiko_runtime::{EmitArgs, Shard};

use crate::socket::Socket;
use crate::{ArgsError, RawArgs};

/// A handler's refusal: the client's acknowledgement, if it asked for one, is `{"error": message}`; in a
/// guard it becomes the client's `connect_error`.
///
/// Strings, boxed errors and the errors of this crate turn into one by `?`; for others there is
/// `map_err(Reject::of)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    message: String,
    data: Option<String>,
}

impl Reject {
    /// A refusal with a message for the client.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), data: None }
    }

    /// A refusal with an error's text.
    pub fn of(error: impl fmt::Display) -> Self {
        Self::new(error.to_string())
    }

    /// Adds what the client's `connect_error` has as `data`. A value that cannot be JSON is left out.
    pub fn with_data<T: Serialize>(mut self, data: &T) -> Self {
        self.data = serde_json::to_string(data).ok();
        self
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn data(&self) -> Option<&str> {
        self.data.as_deref()
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<&str> for Reject {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl From<String> for Reject {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

// One for all errors would leave no room for strings, and strings are what guards mostly say.
macro_rules! reject_from {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for Reject {
            fn from(error: $error) -> Self {
                Self::new(error.to_string())
            }
        })*
    };
}

reject_from!(
    ArgsError,
    crate::AckFailure,
    crate::EmitError,
    crate::Gone,
    crate::JoinError,
    serde_json::Error,
    std::io::Error,
    std::fmt::Error,
    std::num::ParseIntError,
    std::num::ParseFloatError,
    Box<dyn std::error::Error>,
);

/// What a handler returns: its acknowledgement. `M` tells the two kinds apart and is found by inference.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a handler's answer",
    note = "return something that implements `serde::Serialize`, `RawArgs`, or a `Result<_, Reject>` of it"
)]
pub trait IntoAck<M> {
    /// Answers the event `id` of the socket, or logs why there is no answer.
    fn answer(self, shard: &Shard, socket: &Socket, event: &str, id: Option<u64>);
}

/// Marks answers that are sent as they are.
pub struct Plain;
/// Marks answers that may be refusals.
pub struct Fallible;

impl<T: EmitArgs> IntoAck<Plain> for T {
    fn answer(self, shard: &Shard, socket: &Socket, event: &str, id: Option<u64>) {
        let Some(id) = id else { return };
        if let Err(error) = shard.acknowledge(socket.key(), id, &self) {
            tracing::debug!(event, %error, "an acknowledgement was not sent");
        }
    }
}

impl<T: EmitArgs> IntoAck<Fallible> for Result<T, Reject> {
    fn answer(self, shard: &Shard, socket: &Socket, event: &str, id: Option<u64>) {
        match self {
            Ok(value) => value.answer(shard, socket, event, id),
            Err(reject) => {
                tracing::debug!(event, error = %reject, "a handler refused an event");
                ErrorAnswer { error: reject.message() }.answer(shard, socket, event, id);
            }
        }
    }
}

/// What a client gets as acknowledgement when there is nothing better.
#[derive(Serialize)]
pub(crate) struct ErrorAnswer<'a> {
    pub(crate) error: &'a str,
}

/// An async closure or function that takes a [`Socket`] and up to six arguments, or [`RawArgs`]. `M` is
/// found by inference.
#[diagnostic::on_unimplemented(
    message = "this is no event handler",
    label = "not `async |socket: Socket, …| …` with arguments that serde can read",
    note = "each argument after the `Socket` needs a type that implements `serde::de::DeserializeOwned`; \
            `RawArgs` alone takes all of them as they came",
    note = "an error type other than `yamabiko::Reject` is turned into one with `?`"
)]
pub trait EventHandler<M>: 'static {
    /// Reads the arguments and calls the handler.
    ///
    /// # Errors
    /// An argument is not of the type that the handler takes.
    fn call(
        self: &Rc<Self>,
        shard: &Shard,
        socket: &Socket,
        event: &Event<'_>,
    ) -> Result<(), ArgsError>;
}

macro_rules! event_handler {
    ($($argument:ident),*) => {
        #[allow(non_snake_case, unused_parens)]
        impl<H, R, K, $($argument),*> EventHandler<(K, ($($argument,)*))> for H
        where
            H: AsyncFn(Socket, $($argument),*) -> R + 'static,
            R: IntoAck<K> + 'static,
            $($argument: DeserializeOwned + 'static,)*
        {
            fn call(
                self: &Rc<Self>,
                shard: &Shard,
                socket: &Socket,
                event: &Event<'_>,
            ) -> Result<(), ArgsError> {
                let ($($argument,)*): ($($argument,)*) = event.args.parse_tuple()?;
                let (handler, own, socket) = (Rc::clone(self), shard.clone(), socket.clone());
                let (name, id) = (event.name.to_string(), event.id);
                shard.run(Some(socket.key()), async move {
                    let answer = handler(socket.clone(), $($argument),*).await;
                    answer.answer(&own, &socket, &name, id);
                });
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

/// Marks handlers that take all arguments as they came.
pub struct Raw;

impl<H, R, K> EventHandler<(K, Raw)> for H
where
    H: AsyncFn(Socket, RawArgs) -> R + 'static,
    R: IntoAck<K> + 'static,
{
    fn call(
        self: &Rc<Self>,
        shard: &Shard,
        socket: &Socket,
        event: &Event<'_>,
    ) -> Result<(), ArgsError> {
        let args = RawArgs::from(&event.args);
        let (handler, own, socket) = (Rc::clone(self), shard.clone(), socket.clone());
        let (name, id) = (event.name.to_string(), event.id);
        shard.run(Some(socket.key()), async move {
            let answer = handler(socket.clone(), args).await;
            answer.answer(&own, &socket, &name, id);
        });
        Ok(())
    }
}
