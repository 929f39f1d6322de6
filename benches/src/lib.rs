//! What the benchmarks of this crate feed to each stage: messages as clients put them on the wire.
//!
//! The benchmarks are in `benches/`, one file for each group of stages; the README says how to run them.
//! They use the public API of the other crates, and nothing uses them.

pub mod wire;
