//! The way of an event: listeners of everything, middleware, its handler, listeners of the socket's own.
//!
//! Handlers of one socket start in the order in which its events arrived. So while an event waits in a
//! middleware, later ones of its socket wait behind it, at most `early_events_max` of them; those of other
//! sockets, acknowledgements and disconnecting do not.

use std::rc::Rc;

use yamabiko_protocol::parser::{Event, KeptEvent};

use crate::ArgsError;
use crate::answer::{Call, EventError, Reject};
use crate::handler::Handle;
use crate::middleware::{Progress, pass, pass_waiting};
use crate::rare::Direction;
use crate::socket::{Inner, Socket};

/// An event has come.
pub(crate) fn arrive(socket: Socket, inner: &Inner, event: &Event<'_>) {
    let handlers = &inner.space.handlers;
    for handler in &handlers.on_any {
        handler(&socket, event);
    }
    if let Some(rare) = inner.rare() {
        rare.call_any(Direction::Incoming, &socket, event);
    }
    match handlers.middleware.is_empty() {
        true => handle(socket, inner, event),
        false => ask(socket, inner, event),
    }
}

/// An event was sent.
pub(crate) fn depart(socket: &Socket, inner: &Inner, event: &Event<'_>) {
    for handler in &inner.space.handlers.on_any_outgoing {
        handler(socket, event);
    }
    if let Some(rare) = inner.rare() {
        rare.call_any(Direction::Outgoing, socket, event);
    }
}

/// Leads an event through the middleware.
fn ask(socket: Socket, inner: &Inner, event: &Event<'_>) {
    if let Some(rare) = inner.rare().filter(|rare| rare.is_held_up()) {
        let max = socket.shard.settings().limits.early_events_max;
        if !rare.enqueue(event, max) {
            socket.shard.end_flood(socket.key);
        }
        return;
    }
    match pass(&inner.space.handlers.middleware, &socket, event) {
        Progress::Passed => handle(socket, inner, event),
        Progress::Refused(reject) => refuse(socket, inner, event, reject),
        Progress::Waits(place) => {
            inner.rare_or_new().hold_up();
            socket.clone().run(wait(socket, event.into(), place));
        }
    }
}

/// Leads an event through the rest of the middleware, and then those that have come meanwhile.
async fn wait(socket: Socket, mut event: KeptEvent, mut place: usize) {
    let inner = Rc::clone(&socket.inner);
    loop {
        let rest = &inner.space.handlers.middleware[place..];
        let verdict = pass_waiting(rest, &socket, &event.lend()).await;
        // As in Node, what belongs to a socket that has left meanwhile is let go of.
        if !socket.connected() {
            return;
        }
        match verdict {
            Ok(()) => handle(socket.clone(), &inner, &event.lend()),
            Err(reject) => refuse(socket.clone(), &inner, &event.lend(), reject),
        }
        match inner.rare_or_new().dequeue() {
            Some(next) => (event, place) = (next, 0),
            None => return,
        }
    }
}

/// An event that nobody handles is ignored, as in Node; `error` is one like any other.
fn handle(socket: Socket, inner: &Inner, event: &Event<'_>) {
    let named = inner.space.handlers.on_event.get(&*event.name);
    let Some(rare) = inner.rare() else {
        if let Some(named) = named {
            let call = Call { socket, event: Rc::clone(&named.name), id: event.id };
            run(&named.handle, call, event);
        }
        return;
    };
    let own = rare.listeners_of(&event.name);
    let handles = named.map(|it| &it.handle).into_iter().chain(own.iter().map(|it| &**it));
    let name: Rc<str> = named.map_or_else(|| (&*event.name).into(), |it| Rc::clone(&it.name));
    // The first answers.
    let mut id = event.id;
    for handle in handles {
        let call = Call { socket: socket.clone(), event: Rc::clone(&name), id: id.take() };
        run(handle, call, event);
    }
}

fn run(handle: &Handle, call: Call, event: &Event<'_>) {
    if let Err((call, error)) = handle(call, &event.args) {
        misfit(call, error);
    }
}

/// The arguments are not those that the handler takes.
pub(crate) fn misfit(call: Call, error: ArgsError) {
    tracing::debug!(event = &*call.event, %error, "arguments do not fit their handler");
    let error = EventError::Args(error);
    report(&call.socket.inner, &call.socket, &call.event, &error);
    call.refuse(&error.to_string(), None);
}

/// A middleware has refused an event.
fn refuse(socket: Socket, inner: &Inner, event: &Event<'_>, reject: Reject) {
    let call = Call { socket, event: (&*event.name).into(), id: event.id };
    tracing::debug!(event = &*call.event, error = %reject, "a middleware refused an event");
    report(inner, &call.socket, &call.event, &EventError::Refused(reject.clone()));
    call.refuse(reject.message(), reject.data());
}

fn report(inner: &Inner, socket: &Socket, event: &str, error: &EventError) {
    for handler in &inner.space.handlers.on_error {
        handler(socket, event, error);
    }
}
