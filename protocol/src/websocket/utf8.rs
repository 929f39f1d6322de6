//! UTF-8 that arrives in pieces cut anywhere.
//!
//! A piece is checked as a whole by vector instructions, except for a character cut off at its end:
//! at most three bytes, kept until the next piece. A byte that no continuation could make right is an
//! error at once, not at the end of the message (RFC 6455 section 8.1; Autobahn 6.4).

/// The bytes so far of a character whose rest has not arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Utf8Tail {
    /// Invariant: `bytes[..len]` is a proper prefix of some character's encoding.
    bytes: [u8; 3],
    len: u8,
}

/// The text is not UTF-8. The peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InvalidUtf8;

impl Utf8Tail {
    /// Bytes waiting for the rest of their character: 0 to 3.
    pub(super) fn len(self) -> usize {
        usize::from(self.len)
    }

    /// Appends what is complete in `piece` to `text` and keeps the rest.
    pub(super) fn push(&mut self, mut piece: &[u8], text: &mut String) -> Result<(), InvalidUtf8> {
        while self.len > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.push_byte(byte, text)?;
        }
        let (whole, tail) = piece.split_at(piece.len() - cut_off_len(piece));
        text.push_str(simdutf8::basic::from_utf8(whole).map_err(|_| InvalidUtf8)?);
        if !tail.is_empty() {
            self.keep(tail)?;
        }
        Ok(())
    }

    /// Lengthens the waiting character by one byte.
    fn push_byte(&mut self, byte: u8, text: &mut String) -> Result<(), InvalidUtf8> {
        let len = self.len();
        let mut longer = [0; 4];
        longer[..len].copy_from_slice(&self.bytes[..len]);
        longer[len] = byte;
        match std::str::from_utf8(&longer[..=len]) {
            Ok(character) => {
                text.push_str(character);
                self.len = 0;
                Ok(())
            }
            Err(_) => self.keep(&longer[..=len]),
        }
    }

    /// Keeps `tail` if it can still become a character.
    fn keep(&mut self, tail: &[u8]) -> Result<(), InvalidUtf8> {
        let may_go_on = std::str::from_utf8(tail)
            .is_err_and(|error| error.error_len().is_none() && error.valid_up_to() == 0);
        let Some(bytes) = self.bytes.get_mut(..tail.len()).filter(|_| may_go_on) else {
            return Err(InvalidUtf8);
        };
        bytes.copy_from_slice(tail);
        self.len = tail.len() as u8;
        Ok(())
    }
}

/// How many bytes at the end of `piece` start a character that needs more: 0 to 3. Looks at lead
/// bytes only; whether the bytes are right is for the caller to check.
fn cut_off_len(piece: &[u8]) -> usize {
    for (behind, &byte) in piece.iter().rev().take(3).enumerate() {
        let width = match byte {
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
            _ => 1,
        };
        return if width > behind + 1 { behind + 1 } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pushed(pieces: &[&[u8]]) -> Result<(String, usize), InvalidUtf8> {
        let (mut tail, mut text) = (Utf8Tail::default(), String::new());
        for piece in pieces {
            tail.push(piece, &mut text)?;
        }
        Ok((text, tail.len()))
    }

    /// The standard library's verdict: valid so far with this much cut off, or wrong.
    fn expected(bytes: &[u8]) -> Result<(String, usize), InvalidUtf8> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok((text.to_owned(), 0)),
            Err(error) if error.error_len().is_some() => Err(InvalidUtf8),
            Err(error) => {
                let (text, tail) = bytes.split_at(error.valid_up_to());
                Ok((String::from_utf8(text.to_vec()).unwrap(), tail.len()))
            }
        }
    }

    #[test]
    fn every_character_may_be_cut_anywhere() {
        let text = "aä€𐍈\u{0}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}z";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let bytes = text.as_bytes();
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(pushed(&pieces), Ok((text.to_owned(), 0)));
            }
        }
    }

    #[test]
    fn the_first_wrong_byte_is_an_error_at_once() {
        let wrong_at_last: [&[u8]; 10] = [
            b"\x80",
            b"\xc0",
            b"\xc3a",
            b"\xe0\x80",
            b"\xed\xa0",
            b"\xf0\x80",
            b"\xf4\x90",
            b"\xf5",
            b"\xff",
            b"\xf0\x9f\x98a",
        ];
        for bytes in wrong_at_last {
            let (last, right) = bytes.split_last().unwrap();
            assert!(pushed(&[right]).is_ok(), "{right:x?}");
            assert_eq!(pushed(&[bytes]), Err(InvalidUtf8), "{bytes:x?}");
            assert_eq!(pushed(&[right, &[*last]]), Err(InvalidUtf8), "{bytes:x?} in two");
        }
    }

    #[test]
    fn all_sequences_of_two_and_three_bytes_have_the_library_verdict() {
        for a in 0..=255u8 {
            for b in 0..=255u8 {
                assert_eq!(pushed(&[&[a], &[b]]), expected(&[a, b]), "{a:x} {b:x}");
                for c in [0, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xe0, 0xf4, 0xff] {
                    let bytes = [a, b, c];
                    assert_eq!(pushed(&[&bytes]), expected(&bytes), "{bytes:x?}");
                    assert_eq!(pushed(&[&[a], &[b, c]]), expected(&bytes), "{bytes:x?}");
                    assert_eq!(pushed(&[&[a, b], &[c]]), expected(&bytes), "{bytes:x?}");
                }
            }
        }
    }

    fn nearly_text() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            6 => "\\PC{0,40}".prop_map(String::into_bytes),
            1 => proptest::collection::vec(any::<u8>(), 0..4),
        ];
        proptest::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn any_split_has_the_library_verdict(bytes in nearly_text(), cuts in proptest::collection::vec(0..160usize, 0..8)) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(pushed(&pieces), expected(&bytes));
        }
    }
}
