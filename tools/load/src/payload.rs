//! The messages' content: text or bytes of a chosen length that name sender and number.
//!
//! A receiver compares all of it, so a byte changed, lost or added anywhere is seen.

use crate::digits;

/// Digits of a sender's number, and of a message's.
const SENDER: usize = 5;
const SEQUENCE: usize = 10;
/// Bytes that name sender and sequence: `00012.0000000345`.
pub(crate) const NAME: usize = SENDER + 1 + SEQUENCE;
/// So many senders have different numbers.
pub(crate) const SENDERS_MAX: usize = 100_000;

/// The last digits of a sequence, which change with almost every message.
const LOW: usize = 4;
const LOW_END: u64 = 10_u64.pow(LOW as u32);
const FILLER: &[u8] = b"The quick brown fox jumps over the lazy dog, again and again; ";

/// A payload that is patched from message to message. Its name is its end.
#[derive(Debug)]
pub(crate) struct Payload {
    bytes: Vec<u8>,
    /// Where the name starts.
    name: usize,
    /// What the name says now, so that only what differs is patched.
    sender: usize,
    sequence: u64,
}

impl Payload {
    /// Text of `length` bytes that needs no escape in JSON, then `"]`: the end of an event's packet.
    pub(crate) fn text(length: usize) -> Self {
        Self::new(length, FILLER.iter().copied(), br#""]"#)
    }

    /// `length` bytes of every value.
    pub(crate) fn binary(length: usize) -> Self {
        Self::new(length, (0..=255).rev(), b"")
    }

    fn new(length: usize, filler: impl Iterator<Item = u8> + Clone, end: &[u8]) -> Self {
        let name = length.saturating_sub(NAME);
        let mut bytes: Vec<u8> = filler.cycle().take(name).collect();
        bytes.extend_from_slice(b"00000.0000000000");
        bytes.extend_from_slice(end);
        Self { bytes, name, sender: 0, sequence: 0 }
    }

    /// The payload of `sender`'s message number `sequence`.
    #[inline]
    pub(crate) fn of(&mut self, sender: usize, sequence: u64) -> &[u8] {
        if (self.sender, self.sequence) != (sender, sequence) {
            self.rename(sender, sequence);
        }
        &self.bytes
    }

    /// Puts `head` in front of a text, in place of what was there: `restored` bytes of an earlier head or
    /// of text.
    ///
    /// # Panics
    /// If either reaches into the name: the caller has made the text long enough.
    pub(crate) fn replace_head(&mut self, restored: usize, head: &[u8]) {
        assert!(restored.max(head.len()) <= self.name, "there is text enough for the head");
        for (byte, filler) in self.bytes[..restored].iter_mut().zip(FILLER.iter().cycle()) {
            *byte = *filler;
        }
        self.bytes[..head.len()].copy_from_slice(head);
    }

    /// The first bytes, to be patched within a head.
    #[inline]
    pub(crate) fn head_mut(&mut self, length: usize) -> &mut [u8] {
        &mut self.bytes[..length]
    }

    #[inline]
    fn rename(&mut self, sender: usize, sequence: u64) {
        let Some(name) = self.bytes[self.name..].first_chunk_mut::<NAME>() else { return };
        if self.sender != sender {
            digits::fill(&mut name[..SENDER], sender as u64);
        }
        let digits = &mut name[SENDER + 1..];
        if self.sequence / LOW_END == sequence / LOW_END {
            digits::fill(&mut digits[SEQUENCE - LOW..], sequence);
        } else {
            digits::fill(digits, sequence);
        }
        (self.sender, self.sequence) = (sender, sequence);
    }

    /// The number that `payload`, as long as this one, says it has.
    #[inline]
    pub(crate) fn sequence(&self, payload: &[u8]) -> Option<u64> {
        let start = self.name + SENDER + 1;
        (payload.len() == self.bytes.len())
            .then(|| digits::exact(&payload[start..start + SEQUENCE]))
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sender_and_sequence_at_its_end() {
        let mut text = Payload::text(30);
        assert_eq!(text.of(0, 0), br#"The quick brow00000.0000000000"]"#);
        assert_eq!(text.of(12, 345), br#"The quick brow00012.0000000345"]"#);
        assert_eq!(text.of(12, 10_000), br#"The quick brow00012.0000010000"]"#);
        assert_eq!(text.of(13, 9_999), br#"The quick brow00013.0000009999"]"#);
        let mut bytes = Payload::binary(20);
        assert_eq!(bytes.of(1, 2), b"\xff\xfe\xfd\xfc00001.0000000002");
    }

    #[test]
    fn is_json_text_as_it_stands() {
        let mut text = Payload::text(300);
        let packet = [b"[\"", text.of(99_999, 9_999_999_999)].concat();
        let parsed: Vec<String> = serde_json::from_slice(&packet).unwrap();
        assert_eq!(parsed[0].len(), 300);
        assert!(parsed[0].ends_with("99999.9999999999"));
    }

    #[test]
    fn a_head_gives_back_the_text_it_covered() {
        let mut text = Payload::text(30);
        text.replace_head(0, b"12345678");
        assert_eq!(text.of(0, 0), br#"12345678k brow00000.0000000000"]"#);
        text.replace_head(8, b"abc");
        assert_eq!(text.of(0, 0), br#"abc quick brow00000.0000000000"]"#);
    }

    #[test]
    fn reads_the_sequence_of_its_own_length_only() {
        let mut text = Payload::text(64);
        let sent = text.of(7, 4_200).to_vec();
        assert_eq!(text.sequence(&sent), Some(4_200));
        assert_eq!(text.sequence(&sent[1..]), None);
        let mut broken = sent;
        broken[60] = b'x';
        assert_eq!(text.sequence(&broken), None);
    }
}
