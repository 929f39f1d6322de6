//! Middleware of events: what each event of a socket has to pass before its handler.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use yamabiko_protocol::parser::Event;

use crate::answer::Reject;
use crate::marker::{Async, Sync};
use crate::socket::Socket;

type Verdict<'a> = Pin<Box<dyn Future<Output = Result<(), Reject>> + 'a>>;
type Plain = Box<dyn Fn(&Socket, &Event<'_>) -> Result<(), Reject>>;
type Waiting = Box<dyn for<'a> Fn(&'a Socket, &'a Event<'a>) -> Verdict<'a>>;

/// One middleware.
#[doc(hidden)]
pub enum Link {
    /// Decides at once.
    Plain(Plain),
    /// May wait.
    Waiting(Waiting),
}

/// A closure or function, `async` or not, that takes `&Socket` and `&Event` and passes the event on with
/// `Ok(())`, or refuses it with an error that turns into a [`Reject`]. `M` is found by inference; the types of
/// the arguments must be written out.
#[diagnostic::on_unimplemented(
    message = "this is no middleware",
    label = "not `|socket: &Socket, event: &Event<'_>| …` or `async |socket: &Socket, event: &Event<'_>| …`",
    note = "it returns a `Result<(), E>` with an error that turns into a `yamabiko::Reject`"
)]
pub trait Middleware<M> {
    #[doc(hidden)]
    fn link(self) -> Link;
}

impl<F, E> Middleware<Sync<(E,)>> for F
where
    F: Fn(&Socket, &Event<'_>) -> Result<(), E> + 'static,
    E: Into<Reject> + 'static,
{
    fn link(self) -> Link {
        Link::Plain(Box::new(move |socket, event| self(socket, event).map_err(Into::into)))
    }
}

impl<F, E> Middleware<Async<(E,)>> for F
where
    F: AsyncFn(&Socket, &Event<'_>) -> Result<(), E> + 'static,
    E: Into<Reject> + 'static,
{
    fn link(self) -> Link {
        let decide = Rc::new(self);
        Link::Waiting(Box::new(move |socket, event| {
            let decide = Rc::clone(&decide);
            Box::pin(async move { decide(socket, event).await.map_err(Into::into) })
        }))
    }
}

/// How far an event comes without waiting.
pub(crate) enum Progress {
    Passed,
    Refused(Reject),
    /// The middleware at this place may wait.
    Waits(usize),
}

/// Leads an event through all that decide at once, up to the first that may wait.
pub(crate) fn pass(chain: &[Link], socket: &Socket, event: &Event<'_>) -> Progress {
    for (place, link) in chain.iter().enumerate() {
        match link {
            Link::Plain(decide) => {
                if let Err(reject) = decide(socket, event) {
                    return Progress::Refused(reject);
                }
            }
            Link::Waiting(_) => return Progress::Waits(place),
        }
    }
    Progress::Passed
}

/// Leads an event through all of the chain.
pub(crate) async fn pass_waiting(
    chain: &[Link],
    socket: &Socket,
    event: &Event<'_>,
) -> Result<(), Reject> {
    for link in chain {
        match link {
            Link::Plain(decide) => decide(socket, event)?,
            Link::Waiting(decide) => decide(socket, event).await?,
        }
    }
    Ok(())
}
