//! The cluster: what this node and others tell each other over the [bridge](crate::bridge).
//!
//! Other nodes may be Node's: the formats are those of `@socket.io/redis-adapter`, and anything that speaks
//! to it (emitters in any language) speaks to this node too. All shards of a node are one member of the
//! cluster, with one name.
//!
//! | file | what it owns |
//! |---|---|
//! | `voice` | what shards say to other nodes |
//! | `ear` | what other nodes say, on the bridge's thread: read once, and handed to the shards that care |

mod ear;
mod voice;

pub(crate) use ear::Ear;
pub use voice::ClusterState;
pub(crate) use voice::Voice;
