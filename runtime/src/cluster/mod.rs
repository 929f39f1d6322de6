//! The cluster: what this node and others tell each other over the [bridge](crate::bridge).
//!
//! Other nodes may be Node's: the formats are those of `@socket.io/redis-adapter`, and anything that speaks
//! to it (emitters in any language) speaks to this node too. All shards of a node are one member of the
//! cluster, with one name.
//!
//! | file | what it owns |
//! |---|---|
//! | `wire` | what is said as bytes on channels, by one adapter or another |
//! | `mouth` | saying it to all |
//! | `voice` | what shards say to other nodes |
//! | `emitter` | what programs say that are no nodes |
//! | `ear` | what other nodes say, on the bridge's thread: read once, and handed to the shards that care |
//! | `asked` | which questions wait for answers |
//! | `question` | asking and answering, on a shard |
//! | `portrait` | what nodes tell each other of a socket |

mod asked;
mod ear;
mod emitter;
mod mouth;
mod portrait;
mod question;
mod voice;
mod wire;

pub(crate) use asked::Asked;
pub(crate) use ear::Ear;
pub use emitter::{Emitter, EmitterError};
pub(crate) use mouth::Mouth;
pub use voice::ClusterState;
pub(crate) use voice::Voice;
pub(crate) use wire::Wire;
