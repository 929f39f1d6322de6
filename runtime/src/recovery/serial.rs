//! The names of events that can be recovered.

use std::fmt;
use std::io::Write;

/// Names one event among all that any shard of the node has ever sent: the shard, and a number that only
/// grows there. Clients know it as the event's offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Serial {
    pub(crate) number: u64,
    pub(crate) shard: u8,
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, shard } = self;
        write!(f, "{number:016x}{shard:02x}")
    }
}

/// Where a shard's serials come from.
pub(crate) struct Serials {
    shard: u8,
    next: u64,
}

/// Characters of a serial: the number, then the shard, in hexadecimal.
const LEN: usize = 18;

impl Serial {
    /// Appends the serial to an event's text as the last of its arguments.
    pub(crate) fn append(self, event: &mut Vec<u8>) {
        let bracket = event.pop();
        debug_assert_eq!(bracket, Some(b']'), "an event ends with its array");
        write!(event, ",\"{self}\"]").expect("memory takes everything");
    }

    /// Reads what was appended. `None` for anything else: a client takes the last string of
    /// any event for an offset.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != LEN || !text.bytes().all(is_digit) {
            return None;
        }
        let (number, shard) = text.split_at(16);
        Some(Self {
            number: u64::from_str_radix(number, 16).ok()?,
            shard: u8::from_str_radix(shard, 16).ok()?,
        })
    }
}

impl Serials {
    /// Begins at the time, so that a shard that was started again does not repeat its old numbers: it would
    /// have had to send a million events in each millisecond of its life.
    pub(crate) fn new(shard: u8, unix_ms: u64) -> Self {
        Self { shard, next: unix_ms << 20 }
    }

    pub(crate) fn next(&mut self) -> Serial {
        self.next += 1;
        Serial { number: self.next, shard: self.shard }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_is_read_again() {
        let mut serials = Serials::new(7, 1_700_000_000_000);
        let (first, second) = (serials.next(), serials.next());
        assert!(first.number < second.number);
        let mut event = b"2[\"news\",1]".to_vec();
        second.append(&mut event);
        let text = std::str::from_utf8(&event).unwrap();
        let offset = text.strip_prefix("2[\"news\",1,\"").unwrap().strip_suffix("\"]").unwrap();
        assert_eq!(Serial::parse(offset), Some(second));
    }

    #[test]
    fn other_strings_are_no_serials() {
        let one_too_short = "0123456789abcdef0";
        let upper = "0123456789ABCDEF00";
        let signed = "+123456789abcdef00";
        let wide = "0123456789abcdé00";
        for text in ["", "vol", one_too_short, upper, signed, wide] {
            assert_eq!(Serial::parse(text), None, "{text}");
        }
    }
}
