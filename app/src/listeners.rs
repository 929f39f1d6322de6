//! Listeners of one socket, which come and go.

use std::rc::Rc;

use yamabiko_protocol::parser::Event;

use crate::handler::{EventHandler, handle_of};
use crate::rare::{Direction, ListenerId, OnAny, Place};
use crate::socket::Socket;

/// Listeners of this socket alone, which come and go while it is connected. What all sockets of a namespace
/// handle alike is better declared once, with [`Namespace::on`](crate::Namespace::on): that costs a socket no
/// memory.
///
/// A socket's own listeners are called after the namespace's handler, in the order in which they came. The
/// acknowledgement is what the first of all returns, the namespace's handler's if there is one; what others
/// return is left alone. They go when the socket disconnects, so they may hold a clone of it.
///
/// ```
/// # use yamabiko::{Namespace, Socket};
/// Namespace::new().on("follow", |socket: Socket, topic: String| {
///     let listener = socket.on(&topic, |_: Socket, text: String| tracing::info!(text));
///     socket.once("unfollow", move |socket: Socket| socket.off(listener));
/// });
/// ```
impl Socket {
    /// Calls a handler with each event of that name.
    ///
    /// # Panics
    /// The name is one that Socket.IO keeps for itself, as for [`Namespace::on`](crate::Namespace::on).
    pub fn on<M>(&self, event: &str, handler: impl EventHandler<M>) -> ListenerId {
        let handle = Rc::new(handle_of(event, handler));
        self.inner.rare_or_new().listen(event, false, handle)
    }

    /// Calls a handler with the next event of that name.
    ///
    /// # Panics
    /// As [`Self::on`].
    pub fn once<M>(&self, event: &str, handler: impl EventHandler<M>) -> ListenerId {
        let handle = Rc::new(handle_of(event, handler));
        self.inner.rare_or_new().listen(event, true, handle)
    }

    /// Drops a listener of any kind. Returns whether it was there.
    pub fn off(&self, listener: ListenerId) -> bool {
        self.inner.rare().is_some_and(|rare| rare.off(listener))
    }

    /// Drops all of this socket's own listeners of an event: Socket.IO's `removeAllListeners(event)`.
    pub fn off_event(&self, event: &str) -> bool {
        self.inner.rare().is_some_and(|rare| rare.off_event(event))
    }

    /// Calls a listener with each event, whatever its name, before its middleware and handlers.
    pub fn on_any(&self, listener: impl Fn(&Socket, &Event<'_>) + 'static) -> ListenerId {
        self.listen(Direction::Incoming, Place::Last, Rc::new(listener))
    }

    /// As [`Self::on_any`], before those of this socket that are there already.
    pub fn prepend_any(&self, listener: impl Fn(&Socket, &Event<'_>) + 'static) -> ListenerId {
        self.listen(Direction::Incoming, Place::First, Rc::new(listener))
    }

    /// Drops all of this socket's own listeners of all events. One alone is [`Self::off`]'s.
    pub fn off_any(&self) -> bool {
        self.inner.rare().is_some_and(|rare| rare.off_any(Direction::Incoming))
    }

    /// Calls a listener with each event that is sent to this socket: see
    /// [`Namespace::on_any_outgoing`](crate::Namespace::on_any_outgoing).
    pub fn on_any_outgoing(&self, listener: impl Fn(&Socket, &Event<'_>) + 'static) -> ListenerId {
        self.listen(Direction::Outgoing, Place::Last, Rc::new(listener))
    }

    /// As [`Self::on_any_outgoing`], before those of this socket that are there already.
    pub fn prepend_any_outgoing(
        &self,
        listener: impl Fn(&Socket, &Event<'_>) + 'static,
    ) -> ListenerId {
        self.listen(Direction::Outgoing, Place::First, Rc::new(listener))
    }

    /// Drops all of this socket's own listeners of what is sent to it.
    pub fn off_any_outgoing(&self) -> bool {
        self.inner.rare().is_some_and(|rare| rare.off_any(Direction::Outgoing))
    }

    fn listen(&self, direction: Direction, place: Place, listener: OnAny) -> ListenerId {
        if let Direction::Outgoing = direction {
            // One that is gone is sent nothing.
            let _ = self.shard.watch_outgoing(self.key);
        }
        self.inner.rare_or_new().listen_to_any(direction, place, listener)
    }
}
