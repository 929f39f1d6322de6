//! A data message that arrives in more than one piece: fragments, or parts of a frame, or both.
//!
//! All pieces go into one buffer which grows with what has arrived, never with what was announced,
//! and never beyond the message limit; the number of pieces plays no part.

use std::borrow::Cow;

use super::{Event, Violation, utf8::Utf8Tail};

/// Smallest buffer worth allocating, in bytes.
const FIRST_BYTES: usize = 64;

/// The message so far, unmasked.
#[derive(Debug)]
pub(super) enum Assembly {
    Text { text: String, tail: Utf8Tail },
    Binary(Vec<u8>),
}

impl Assembly {
    pub(super) fn text() -> Self {
        Self::Text { text: String::new(), tail: Utf8Tail::default() }
    }

    pub(super) fn binary() -> Self {
        Self::Binary(Vec::new())
    }

    /// Bytes of the message that have arrived.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text { text, tail } => text.len() + tail.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Bytes of heap held.
    pub(super) fn capacity(&self) -> usize {
        match self {
            Self::Text { text, .. } => text.capacity(),
            Self::Binary(bytes) => bytes.capacity(),
        }
    }

    /// Appends an unmasked piece. `len_max` is the most this message can still become, in bytes; it is
    /// at least what has arrived and the piece together.
    pub(super) fn append(&mut self, piece: &[u8], len_max: usize) -> Result<(), Violation> {
        let room = growth(self.len(), piece.len(), self.capacity(), len_max);
        match self {
            Self::Text { text, tail } => {
                text.reserve_exact(tail.len() + room);
                tail.push(piece, text).map_err(|_| Violation::InvalidText)
            }
            Self::Binary(bytes) => {
                bytes.reserve_exact(room);
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// The whole message, after its last piece.
    pub(super) fn finish(self) -> Result<Event<'static>, Violation> {
        match self {
            Self::Text { text, tail } if tail.len() == 0 => Ok(Event::Text(Cow::Owned(text))),
            Self::Text { .. } => Err(Violation::InvalidText),
            Self::Binary(bytes) => Ok(Event::Binary(Cow::Owned(bytes))),
        }
    }
}

/// Room to reserve behind `len` bytes for `more`: none where it fits; else double the buffer, so that
/// copying stays linear, but not beyond `len_max`.
fn growth(len: usize, more: usize, capacity: usize, len_max: usize) -> usize {
    let needed = len + more;
    debug_assert!(needed <= len_max, "the frame's header was checked against the limit");
    if needed <= capacity {
        return 0;
    }
    needed.max(len_max.min((2 * capacity).max(FIRST_BYTES))) - len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_doubles_up_to_the_limit_and_never_beyond() {
        for (mut assembly, byte) in [(Assembly::text(), b'a'), (Assembly::binary(), 0xff)] {
            let mut growths = 0;
            for len in 1..=100_000 {
                let before = assembly.capacity();
                assembly.append(&[byte], 100_000).unwrap();
                growths += usize::from(assembly.capacity() != before);
                assert_eq!(assembly.len(), len);
                assert!(assembly.capacity() <= (2 * len).clamp(FIRST_BYTES, 100_000));
            }
            assert_eq!(growths, 12, "64, 128, …, 65536, 100000");
        }
    }

    #[test]
    fn a_character_cut_at_the_limit_fits() {
        let text = "€€€";
        let mut assembly = Assembly::text();
        for byte in text.bytes() {
            assembly.append(&[byte], text.len()).unwrap();
            assert!(assembly.capacity() <= text.len());
        }
        assert_eq!(assembly.finish(), Ok(Event::Text(text.into())));
    }

    #[test]
    fn a_character_cut_off_at_the_end_is_no_text() {
        let mut assembly = Assembly::text();
        assembly.append(b"a\xe2\x82", 3).unwrap();
        assert_eq!(assembly.len(), 3);
        assert_eq!(assembly.finish(), Err(Violation::InvalidText));
    }
}
