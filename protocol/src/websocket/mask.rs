//! Unmasking (RFC 6455 section 5.3): each byte is xored with one of the mask's four, in turn.

/// Unmasks `bytes`, of which `done` bytes of the same frame came before. Eight bytes at a time, which the
/// compiler turns into the machine's widest words.
pub(super) fn unmask(bytes: &mut [u8], mask: [u8; 4], done: usize) {
    let turned: [u8; 4] = std::array::from_fn(|i| mask[(i + done) % 4]);
    let word = u64::from_ne_bytes(std::array::from_fn(|i| turned[i % 4]));
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(turned.into_iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_words_do_what_single_bytes_do_from_any_offset() {
        let mask = [0x12, 0x34, 0x56, 0x78];
        for len in 0..67 {
            for done in 0..9 {
                let original: Vec<u8> = (0..len).collect();
                let mut bytes = original.clone();
                unmask(&mut bytes, mask, done);
                let one_by_one: Vec<u8> =
                    original.iter().enumerate().map(|(i, b)| b ^ mask[(i + done) % 4]).collect();
                assert_eq!(bytes, one_by_one, "{len} bytes after {done}");
            }
        }
    }
}
