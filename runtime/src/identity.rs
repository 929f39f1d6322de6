//! Where ids come from: the operating system's random numbers, and the shard that owns what they name.

use std::sync::Arc;

use yamabiko_protocol::engine::{Owner, SessionId};

use crate::nodes::Roll;

/// Random bytes fetched from the operating system at a time.
const POOL_BYTES: usize = 12 * 128;

/// Makes ids for what one shard owns. Random bytes are fetched in batches and each is used once.
pub(crate) struct Identities {
    shard: u8,
    roll: Arc<Roll>,
    pool: Box<[u8; POOL_BYTES]>,
    used: usize,
}

impl Identities {
    pub(crate) fn new(roll: Arc<Roll>, shard: u8) -> Self {
        Self { shard, roll, pool: Box::new([0; POOL_BYTES]), used: POOL_BYTES }
    }

    pub(crate) fn next(&mut self) -> SessionId {
        if self.used == POOL_BYTES {
            getrandom::fill(&mut self.pool[..]).expect("the system has a random number generator");
            self.used = 0;
        }
        let random = std::array::from_fn(|i| self.pool[self.used + i]);
        self.used += 12;
        SessionId::new(random, Owner { node: self.roll.own(), shard: self.shard })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// CVE-2017-16031: ids were guessable.
    #[test]
    fn a_million_ids_are_unique_and_name_their_owner() {
        let mut identities = Identities::new(Arc::new(Roll::of(3, &[])), 7);
        let mut seen = HashSet::with_capacity(1_000_000);
        for _ in 0..1_000_000 {
            let id = identities.next();
            assert_eq!(id.owner(), Owner { node: 3, shard: 7 });
            assert!(seen.insert(id), "an id came twice");
        }
    }
}
