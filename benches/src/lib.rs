//! Benchmarks only: `cargo bench --package yamabiko-benches`. They use the public API of the other crates.
