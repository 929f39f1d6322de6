//! The nodes of the cluster: which there are, which of them owns an id, and where a new client should go.
//!
//! Each node picks a number, its *slot*, that becomes a part of every id it makes, and says every second
//! that it is there, over Redis. Nothing is kept in Redis: who comes asks who else is there, and who is not
//! heard for some seconds is forgotten, by the clock of who listens.
//!
//! | file | what it owns |
//! |---|---|
//! | `announcement` | what a node says of itself, as bytes, signed if there is a secret |
//! | `members` | who is there, and what becomes of two with the same slot; no clock, no network |
//! | `roll` | what every shard may ask at any time: whose an id is, and where its owner is reached |
//! | `placement` | which node a new client should connect to |

mod announcement;
mod members;
mod placement;
mod roll;

pub(crate) use announcement::channel;
pub(crate) use members::{Members, Myself, random_slot};
pub use placement::{Assignment, assign};
pub use roll::NodeInfo;
pub(crate) use roll::{Roll, Whose};
