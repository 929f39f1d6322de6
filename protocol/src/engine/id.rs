//! Session ids: 20 characters of the URL-safe base64 alphabet that name their owner.
//!
//! Socket.IO's sticky balancer, cluster engine and sharded adapter all count on exactly 20
//! characters. They hold 15 bytes: 12 of the operating system's randomness, given by the caller, so
//! that no id can be guessed (CVE-2017-16031), then the node and the shard that own the session, so
//! that no table is needed to route to it. The same shape serves Socket.IO's socket ids and private
//! ids. The reference ends its ids in a sequence number, which nothing reads.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Who holds a session: a slot of the cluster, and a shard of that node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Owner {
    /// The node's slot in the cluster; 0 for a node without cluster.
    pub node: u16,
    /// The shard within the node.
    pub shard: u8,
}

/// A session id. Always [`SessionId::LEN`] characters of `[A-Za-z0-9_-]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; SessionId::LEN]);

impl SessionId {
    /// Length of an id in characters and bytes.
    pub const LEN: usize = 20;

    /// Makes an id from random bytes and its owner.
    pub fn new(random: [u8; 12], owner: Owner) -> Self {
        let mut bytes = [0; 15];
        bytes[..12].copy_from_slice(&random);
        bytes[12..14].copy_from_slice(&owner.node.to_be_bytes());
        bytes[14] = owner.shard;
        let mut text = [0; Self::LEN];
        let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text);
        debug_assert_eq!(written, Ok(Self::LEN));
        Self(text)
    }

    /// Reads an id; `None` unless it is exactly 20 characters of the alphabet.
    pub fn parse(text: &str) -> Option<Self> {
        let text: [u8; Self::LEN] = text.as_bytes().try_into().ok()?;
        let in_alphabet = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        text.iter().all(in_alphabet).then_some(Self(text))
    }

    /// Who owns the session. An id that another server made (or a client invented) names somebody
    /// too: whether that owner exists, and knows the id, is for the caller to find out.
    pub fn owner(&self) -> Owner {
        let mut tail = [0; 3];
        let written = URL_SAFE_NO_PAD.decode_slice(&self.0[16..], &mut tail);
        debug_assert_eq!(written, Ok(3));
        Owner { node: u16::from_be_bytes([tail[0], tail[1]]), shard: tail[2] }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("both constructors admit ASCII only")
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_round_trip_and_name_their_owner(random: [u8; 12], node: u16, shard: u8) {
            let owner = Owner { node, shard };
            let id = SessionId::new(random, owner);
            prop_assert_eq!(id.as_str().len(), 20);
            prop_assert_eq!(id.owner(), owner);
            prop_assert_eq!(SessionId::parse(id.as_str()), Some(id));
        }

        #[test]
        fn every_20_characters_of_the_alphabet_are_an_id(text in "[A-Za-z0-9_-]{20}") {
            let id = SessionId::parse(&text).expect("an id");
            prop_assert_eq!(id.to_string(), text);
            let _ = id.owner();
        }

        #[test]
        fn parsing_is_total(text: String) {
            if let Some(id) = SessionId::parse(&text) {
                prop_assert_eq!(id.as_str(), &text);
            }
        }
    }

    #[test]
    fn other_lengths_and_characters_are_no_ids() {
        for text in [
            "",
            "fsUa2hpngZvtLS5GAAA",
            "fsUa2hpngZvtLS5GAAAAA",
            "fsUa2hpngZvtLS5G+AAA",
            "é234567890123456789",
        ] {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
        let of_the_reference = SessionId::parse("fsUa2hpngZvtLS5GAAAB").expect("an id");
        assert_eq!(of_the_reference.owner(), Owner { node: 0, shard: 1 });
    }

    #[test]
    fn different_randomness_gives_different_ids() {
        let owner = Owner { node: 7, shard: 3 };
        let mut seen = std::collections::HashSet::new();
        for bit in 0..96 {
            let mut random = [0; 12];
            random[bit / 8] = 1 << (bit % 8);
            assert!(seen.insert(SessionId::new(random, owner)));
        }
    }
}
