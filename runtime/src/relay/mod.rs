//! Connections between the nodes of a cluster: a client's, passed on whole to the node that owns the session
//! it asks for, or taken from a node that passes it on.
//!
//! | file | what it owns |
//! |---|---|
//! | `pair` | a client's connection and the one to the owner's node, joined: bytes both ways, ends, errors, time |
//! | `greeting` | the header that comes first from nodes and proxies, and what becomes of strangers |
//! | `trust` | who may say whose a connection is, and the proof that a node is one of the cluster |
//! | `origin` | whose a connection really is, and how far it has come |
//!
//! Nothing that passes by is parsed here: the first request that named another node's session was read to
//! find that out, and travels on as it came.

mod greeting;
mod origin;
mod pair;
mod trust;

pub(crate) use greeting::Greeting;
pub(crate) use origin::{HOPS_MAX, Origin};
pub(crate) use pair::Relay;
pub(crate) use trust::{Trust, signer};
