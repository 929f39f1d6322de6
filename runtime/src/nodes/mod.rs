//! The nodes of the cluster: which there are, and which of them owns an id.
//!
//! | file | what it owns |
//! |---|---|
//! | `roll` | what every shard may ask at any time: whose an id is, and where its owner is reached |

mod roll;

pub(crate) use roll::{Roll, Whose};
