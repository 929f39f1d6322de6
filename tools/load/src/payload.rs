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

/// A payload that is patched from message to message. Its name is its end, its front may be cut off.
#[derive(Debug)]
pub(crate) struct Payload {
    bytes: Vec<u8>,
    /// Where the name starts.
    name: usize,
    /// What the name says now, so that a broadcast's receivers do not patch it each anew.
    named: Option<(usize, u64)>,
}

impl Payload {
    /// Text of `length` bytes that needs no escape in JSON, then `"]`: the end of an event's packet.
    pub(crate) fn text(length: usize) -> Self {
        let filler = b"The quick brown fox jumps over the lazy dog, again and again; ";
        Self::new(length, filler.iter().copied(), br#""]"#)
    }

    /// `length` bytes of every value.
    pub(crate) fn binary(length: usize) -> Self {
        Self::new(length, (0..=255).rev(), b"")
    }

    fn new(length: usize, filler: impl Iterator<Item = u8> + Clone, end: &[u8]) -> Self {
        let name = length.saturating_sub(NAME);
        let mut bytes: Vec<u8> = filler.cycle().take(name).collect();
        bytes.extend_from_slice(&[b'.'; NAME]);
        bytes.extend_from_slice(end);
        Self { bytes, name, named: None }
    }

    /// The payload of `sender`'s message number `sequence`, without its first `cut` bytes.
    ///
    /// # Panics
    /// If `cut` reaches into the name: the caller has made the text long enough.
    #[inline]
    pub(crate) fn of(&mut self, sender: usize, sequence: u64, cut: usize) -> &[u8] {
        if self.named != Some((sender, sequence)) {
            let name = &mut self.bytes[self.name..self.name + NAME];
            digits::fill(&mut name[..SENDER], sender as u64);
            digits::fill(&mut name[SENDER + 1..], sequence);
            self.named = Some((sender, sequence));
        }
        assert!(cut <= self.name, "the text is longer than what is cut off");
        &self.bytes[cut..]
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
        assert_eq!(text.of(12, 345, 0), br#"The quick brow00012.0000000345"]"#);
        assert_eq!(text.of(12, 346, 4), br#"quick brow00012.0000000346"]"#);
        assert_eq!(text.of(13, 346, 14), br#"00013.0000000346"]"#);
        let mut bytes = Payload::binary(20);
        assert_eq!(bytes.of(1, 2, 0), b"\xff\xfe\xfd\xfc00001.0000000002");
    }

    #[test]
    fn is_json_text_as_it_stands() {
        let mut text = Payload::text(300);
        let packet = [b"[\"", text.of(99_999, 9_999_999_999, 0)].concat();
        let parsed: Vec<String> = serde_json::from_slice(&packet).unwrap();
        assert_eq!(parsed[0].len(), 300);
        assert!(parsed[0].ends_with("99999.9999999999"));
    }

    #[test]
    fn reads_the_sequence_of_its_own_length_only() {
        let mut text = Payload::text(64);
        let sent = text.of(7, 4_200, 0).to_vec();
        assert_eq!(text.sequence(&sent), Some(4_200));
        assert_eq!(text.sequence(&sent[1..]), None);
        let mut broken = sent;
        broken[60] = b'x';
        assert_eq!(text.sequence(&broken), None);
    }
}
