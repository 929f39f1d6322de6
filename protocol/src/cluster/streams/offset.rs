//! Where an entry is in a stream.

use std::fmt;
use std::str::FromStr;

/// The id of an entry (Redis, "Streams", section "Entry IDs"), which clients are told as the offset of an
/// event. Later entries are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset {
    /// Milliseconds since 1970 on the clock of Redis.
    pub ms: u64,
    /// Counts the entries of one millisecond.
    pub sequence: u64,
}

/// No id of an entry: whatever a client says is its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidOffset;

impl fmt::Display for InvalidOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no offset in a stream")
    }
}

impl std::error::Error for InvalidOffset {}

impl Offset {
    /// The first that is later: where a range that excludes this one starts, also for Redis before 6.2.
    pub fn next(self) -> Self {
        match self.sequence.checked_add(1) {
            Some(sequence) => Self { sequence, ..self },
            None => Self { ms: self.ms.saturating_add(1), sequence: 0 },
        }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.sequence)
    }
}

impl FromStr for Offset {
    type Err = InvalidOffset;

    fn from_str(text: &str) -> Result<Self, InvalidOffset> {
        let number = |digits: &str| {
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse().ok()).flatten().ok_or(InvalidOffset)
        };
        let (ms, sequence) = text.split_once('-').ok_or(InvalidOffset)?;
        Ok(Self { ms: number(ms)?, sequence: number(sequence)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_two_numbers() {
        let offset: Offset = "1795406000645-7".parse().unwrap();
        assert_eq!((offset.ms, offset.sequence), (1_795_406_000_645, 7));
        assert_eq!(offset.to_string(), "1795406000645-7");
        assert_eq!(offset.next().to_string(), "1795406000645-8");
        assert_eq!(Offset { ms: 1, sequence: u64::MAX }.next(), Offset { ms: 2, sequence: 0 });
        assert!(
            offset < offset.next() && offset.next() < Offset { ms: offset.ms + 1, sequence: 0 }
        );
        for bad in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "+1-1",
            "1-+1",
            "1-1-1",
            "1-x",
            " 1-1",
            "18446744073709551616-0",
            "$",
            "١-١",
        ] {
            assert_eq!(bad.parse::<Offset>(), Err(InvalidOffset), "{bad}");
        }
    }
}
