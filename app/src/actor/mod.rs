//! The actor style: one value holds all that is known of one client, and handles one thing at a time.
//!
//! | module | what it owns |
//! |---|---|
//! | `role` | [`Actor`], its events, and how it comes to a namespace |
//! | `method` | what may handle an event |
//! | `seat` | an actor at its socket: its state, what waits for it, whose turn it is |
//! | `address` | messages from others, of this core and of elsewhere |
//!
//! It is a second door to the room that [`Namespace`](crate::Namespace) is: guards, middleware, listeners and
//! handlers of the other style work beside it, and who declares no actor pays nothing for it.

mod address;
mod method;
mod role;
mod seat;

pub use address::{Address, Mailbox, Receive, Undelivered};
pub use method::Method;
pub use role::{Actor, Events};
pub(crate) use seat::Resident;
