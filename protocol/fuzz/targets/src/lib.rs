//! What the fuzz targets share.
//!
//! A corpus file is what a peer would send and nothing else, so that it can be read and written by hand:
//! whatever else a target needs (where to cut its input) it makes out of the input itself.

pub mod cluster;

use std::alloc::System;

use cap::Cap;

/// More than any target may hold at a time: no limit that they set is beyond a few hundred kilobytes.
/// An allocation beyond it fails, which ends the process; libFuzzer itself allocates elsewhere.
const HEAP_BYTES_MAX: usize = 32 << 20;

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, HEAP_BYTES_MAX);

/// Cuts an input into pieces in several ways: whole, byte by byte, and at places that look random but
/// are always the same for the same input.
pub fn cuts(data: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let whole = vec![data];
    let bytes = data.chunks(1).collect();
    // FNV-1a: the cuts of a similar input are different.
    let seed = data.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    [whole, bytes, random_pieces(data, seed, 8), random_pieces(data, !seed, 64)].into_iter()
}

/// Pieces of 1 to `len_max` bytes.
fn random_pieces(data: &[u8], seed: u64, len_max: u64) -> Vec<&[u8]> {
    let mut state = seed | 1;
    let mut rest = data;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        // Xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let len = (state % len_max + 1) as usize;
        let (piece, tail) = rest.split_at(len.min(rest.len()));
        pieces.push(piece);
        rest = tail;
    }
    pieces
}
