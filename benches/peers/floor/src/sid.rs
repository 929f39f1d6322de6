//! Session and socket ids, in the reference's shape: 20 characters of base64url.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// An id.
pub(crate) type Sid = [u8; 20];

/// 12 random bytes and a 24-bit number, as the reference makes them.
#[derive(Debug)]
pub(crate) struct Sids {
    random: fastrand::Rng,
    next: u32,
}

impl Sids {
    pub(crate) fn new() -> Self {
        Self { random: fastrand::Rng::new(), next: 0 }
    }

    pub(crate) fn next(&mut self) -> Sid {
        let mut bytes = [0; 15];
        self.random.fill(&mut bytes[..12]);
        bytes[12..].copy_from_slice(&self.next.to_be_bytes()[1..]);
        self.next = self.next.wrapping_add(1);
        let mut sid = [0; 20];
        BASE64_URL_SAFE_NO_PAD.encode_slice(bytes, &mut sid).expect("15 bytes are 20 characters");
        sid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_are_of_their_alphabet() {
        let mut sids = Sids::new();
        let (one, other) = (sids.next(), sids.next());
        assert_ne!(one, other);
        assert!(one.ends_with(b"AAAA") && other.ends_with(b"AAAB"));
        assert!(one.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)));
    }
}
