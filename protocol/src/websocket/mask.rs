//! The masking of client frames (RFC 6455 section 5.3), undone in place.
//!
//! Eight bytes at a time in safe code, which compilers turn into vector instructions; unmasking can
//! stop after any byte and go on later, so payloads may arrive in pieces.

/// A frame's masking key, turned so that its first byte belongs to the next byte of payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mask([u8; 4]);

impl Mask {
    /// The key as the frame's header holds it.
    pub fn new(key: [u8; 4]) -> Self {
        Self(key)
    }

    /// Unmasks (or masks: it is the same) the next bytes of the payload in place.
    pub fn apply(&mut self, payload: &mut [u8]) {
        let Self([a, b, c, d]) = *self;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (words, rest) = payload.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
        for (at, byte) in rest.iter_mut().enumerate() {
            *byte ^= self.0[at % 4];
        }
        self.0.rotate_left(payload.len() % 4);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked_bytewise(payload: &[u8], key: [u8; 4]) -> Vec<u8> {
        payload.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]).collect()
    }

    #[test]
    fn equals_the_definition_for_every_length_and_alignment() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let plain: Vec<u8> = (0..=255).cycle().take(300).collect();
        for start in 0..9 {
            for end in start..plain.len() {
                let mut bytes = plain.clone();
                Mask::new(key).apply(&mut bytes[start..end]);
                assert_eq!(bytes[start..end], masked_bytewise(&plain[start..end], key));
                assert_eq!(bytes[..start], plain[..start]);
                assert_eq!(bytes[end..], plain[end..]);
            }
        }
    }

    #[test]
    fn resumes_after_any_byte() {
        let key = [1, 2, 4, 8];
        let plain = [0u8; 40];
        let whole = masked_bytewise(&plain, key);
        for first in 0..plain.len() {
            for second in first..plain.len() {
                let mut bytes = plain;
                let mut mask = Mask::new(key);
                mask.apply(&mut bytes[..first]);
                mask.apply(&mut bytes[first..second]);
                mask.apply(&mut bytes[second..]);
                assert_eq!(bytes[..], whole);
            }
        }
    }
}
