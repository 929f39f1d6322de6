//! The state machine of one session: polling, upgrade, WebSocket, heartbeat, close.
//!
//! It does no I/O and calls nobody. The caller tells it what happened, each time with a list to which
//! it appends [`Effect`]s; the caller carries them out in order, right after the call. Connections are
//! handles of the caller's (`C`), compared and handed back, never looked into.
//!
//! **A turn.** Feed what arrived, let handlers run and [`send`](Session::send), then call
//! [`flush`](Session::flush) once: everything sent in one turn to a polling client leaves in one
//! payload. After any call, [`deadline`](Session::deadline) may have moved; one timer per session
//! serves heartbeat, upgrade and close, and may fire early or late.
//!
//! **A polling body.** [`post_begin`](Session::post_begin) when the head arrived; then the body is
//! read and each packet is given to [`receive`](Session::receive), which says whether the packet is a
//! message for the application and lets go of the session before the application runs; then
//! [`post_end`](Session::post_end).
//!
//! | file | what it owns |
//! |---|---|
//! | `machine` | the session, opening, sending, what others ask of it |
//! | `effect` | what a session asks of its caller, and why it ended |
//! | `inbound` | packets that arrive, on either transport |
//! | `polling` | polls, posts and the buffer between polls |
//! | `upgrade` | the WebSocket that wants to take over |
//! | `heartbeat` | the one timer |
//! | `closing` | every way to end |

mod closing;
mod effect;
mod heartbeat;
mod inbound;
mod machine;
mod polling;
mod upgrade;

pub use closing::Close;
pub use effect::{CloseReason, Effect, Hangup};
pub use inbound::Received;
pub use machine::{Route, Session};
