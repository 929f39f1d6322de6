//! What handlers return: the acknowledgement, or a refusal, and what becomes of each.

use std::fmt;
use std::rc::Rc;

use serde::Serialize;
use serde_json::value::RawValue;
use yamabiko_runtime::EmitArgs;

use crate::ArgsError;
use crate::marker::{Fallible, Plain, WriteResultOfReject};
use crate::socket::Socket;

/// A handler's refusal. The client's acknowledgement, if it asked for one, is `{"error": message}`, with
/// `data` beside it if there is some; in a guard it becomes the client's `connect_error`.
///
/// Strings, boxed errors and the errors of this crate turn into one by `?`; for others there is
/// `map_err(Reject::of)`, or `impl From<MyError> for Reject`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    message: String,
    /// JSON.
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

    /// Adds what the client finds as `data` in its `connect_error` or in the acknowledgement. A value that
    /// cannot be JSON is left out.
    pub fn with_data<T: Serialize>(mut self, data: &T) -> Self {
        self.data = serde_json::to_string(data).ok();
        self
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The data as JSON.
    pub fn data(&self) -> Option<&str> {
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
                Self::of(error)
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
    crate::Undelivered,
    serde_json::Error,
    std::io::Error,
    std::fmt::Error,
    std::num::ParseIntError,
    std::num::ParseFloatError,
    Box<dyn std::error::Error>,
    Box<dyn std::error::Error + Send + Sync>,
);

/// Why an event did not reach its handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventError {
    /// The client's fault: an argument is not of the type that the handler takes.
    Args(ArgsError),
    /// A [middleware](crate::Namespace::middleware) has refused it.
    Refused(Reject),
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventError::Args(error) => error.fmt(f),
            EventError::Refused(reject) => reject.fmt(f),
        }
    }
}

impl std::error::Error for EventError {}

/// What an event handler returns: its acknowledgement. `M` tells the two kinds apart and is found by
/// inference.
///
/// | returned | acknowledgement, if the client asked for one |
/// |---|---|
/// | `()` | `[]`, no argument |
/// | a tuple, or an array of fixed length | several arguments |
/// | `RawArgs` | as they came |
/// | anything else that serde can write | one argument |
/// | `Ok(value)` | as `value` |
/// | `Err(error)`, of a type that turns into a [`Reject`] | `{"error": message}`, and `data` if there is some; logged |
///
/// A `Result` whose error serde can write, such as `Result<_, String>`, does not compile: it could be sent as
/// it is, and then clients would get `{"Ok":…}`. Write `Result<_, Reject>`.
///
/// ```compile_fail,E0283
/// # use yamabiko::{Namespace, Socket};
/// Namespace::new().on("say", |_: Socket| -> Result<u8, String> { Ok(1) });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a handler's answer",
    note = "return something that implements `serde::Serialize`, `RawArgs`, or a `Result<_, Reject>` of it"
)]
pub trait IntoAck<M> {
    #[doc(hidden)]
    fn answer(self, call: &Call);
}

impl<T: EmitArgs> IntoAck<Plain> for T {
    fn answer(self, call: &Call) {
        call.acknowledge(&self);
    }
}

impl<T: EmitArgs, E: Into<Reject>> IntoAck<Fallible> for Result<T, E> {
    fn answer(self, call: &Call) {
        match self.map_err(Into::into) {
            Ok(value) => call.acknowledge(&value),
            Err(reject) => {
                tracing::debug!(event = &*call.event, error = %reject, "a handler refused an event");
                call.refuse(reject.message(), reject.data());
            }
        }
    }
}

/// Never chosen: it makes results that could be sent as they are ambiguous, so that nobody sends them so by
/// mistake. Its marker's name is in what the compiler then says.
impl<T: Serialize, E: Serialize> IntoAck<WriteResultOfReject> for Result<T, E> {
    fn answer(self, call: &Call) {
        call.acknowledge(&self);
    }
}

/// What a handler of connecting or disconnecting returns: nothing, or a result of which an error is logged.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the outcome of connecting or disconnecting",
    note = "nobody waits for an answer: return `()`, or a `Result<(), _>` whose error can be displayed"
)]
pub trait Outcome {
    #[doc(hidden)]
    fn settle(self, socket: &Socket);
}

impl Outcome for () {
    fn settle(self, _: &Socket) {}
}

impl<E: fmt::Display> Outcome for Result<(), E> {
    fn settle(self, socket: &Socket) {
        if let Err(error) = self {
            tracing::debug!(socket = socket.id(), %error, "a handler failed");
        }
    }
}

/// One event on its way through a handler.
#[doc(hidden)]
pub struct Call {
    pub(crate) socket: Socket,
    /// The event's name as it was registered.
    pub(crate) event: Rc<str>,
    /// The id under which the client waits for an acknowledgement, if it does.
    pub(crate) id: Option<u64>,
}

impl Call {
    fn acknowledge<T: EmitArgs>(&self, args: &T) {
        let Some(id) = self.id else { return };
        if let Err(error) = self.socket.acknowledge(id, args) {
            tracing::debug!(event = &*self.event, %error, "an acknowledgement was not sent");
        }
    }

    /// What the client gets when there is nothing better. `data` is JSON.
    pub(crate) fn refuse(&self, error: &str, data: Option<&str>) {
        let data = data.and_then(|json| serde_json::from_str(json).ok());
        self.acknowledge(&Refusal { error, data });
    }
}

#[derive(Serialize)]
struct Refusal<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(reject: &Reject) -> String {
        let data = reject.data().map(|json| serde_json::from_str(json).unwrap());
        serde_json::to_string(&Refusal { error: reject.message(), data }).unwrap()
    }

    #[test]
    fn a_refusal_is_an_object_with_its_message_and_data() {
        assert_eq!(json(&Reject::new("no \"way\"")), r#"{"error":"no \"way\""}"#);
        let reject = Reject::from("no").with_data(&(1, "two"));
        assert_eq!(json(&reject), r#"{"error":"no","data":[1,"two"]}"#);
    }

    #[test]
    fn data_that_cannot_be_json_is_left_out() {
        let with_such_keys = std::collections::HashMap::from([((1, 2), 3)]);
        assert_eq!(Reject::new("no").with_data(&with_such_keys).data(), None);
    }

    #[test]
    fn errors_become_refusals_with_their_text() {
        fn fails() -> Result<(), Reject> {
            "x".parse::<i32>()?;
            Ok(())
        }
        assert_eq!(fails().unwrap_err().message(), "invalid digit found in string");
        assert_eq!(Reject::from(crate::Gone).message(), "the socket is no longer connected");
        assert_eq!(Reject::of("text").to_string(), "text");
    }
}
