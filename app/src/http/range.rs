//! `Range` (RFC 9110 section 14.2), as far as files answer it.

use std::ops::Range;

/// What a `Range` header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: no such header, one that is not understood, or several ranges. Those may be ignored, and
    /// what they cost a server is out of proportion to what they are good for (section 14.2).
    All,
    /// These bytes, at least one.
    Part(Range<u64>),
    /// None of what there is: 416.
    Nothing,
}

/// Reads the header's value for something of `len` bytes.
pub(crate) fn wanted(range: Option<&str>, len: u64) -> Wanted {
    let spec = range
        .and_then(|range| range.split_once('='))
        .filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"))
        .and_then(|(_, set)| set.trim().split_once('-'));
    let Some((first, last)) = spec else { return Wanted::All };
    let part = match (first, last) {
        ("", last) => number(last).map(|suffix| len.saturating_sub(suffix)..len),
        (first, "") => number(first).map(|first| first..len),
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => {
                Some(first..last.saturating_add(1).min(len))
            }
            _ => None,
        },
    };
    match part {
        None => Wanted::All,
        Some(part) if part.is_empty() => Wanted::Nothing,
        Some(part) => Wanted::Part(part),
    }
}

/// Digits and nothing else; so many that they overflow stand for the largest number.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_answered() {
        for (range, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-99", 0..100),
            ("bytes=90-", 90..100),
            ("bytes=90-1000", 90..100),
            ("bytes=-10", 90..100),
            ("bytes=-1000", 0..100),
            ("Bytes = 5-6", 5..7),
            ("bytes=0-99999999999999999999999", 0..100),
            ("bytes=0-18446744073709551615", 0..100),
        ] {
            assert_eq!(wanted(Some(range), 100), Wanted::Part(part), "{range}");
        }
    }

    #[test]
    fn what_is_beyond_the_end_is_nothing() {
        for range in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=18446744073709551616-"] {
            assert_eq!(wanted(Some(range), 100), Wanted::Nothing, "{range}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
        assert_eq!(wanted(Some("bytes=-5"), 0), Wanted::Nothing);
    }

    #[test]
    fn all_else_means_all() {
        let many = format!(
            "bytes={}",
            (0..1000).map(|i| format!("{i}-{i}")).collect::<Vec<_>>().join(",")
        );
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-4",
            "bytes=a-b",
            "bytes=0-1,2-3",
            "bytes=+0-1",
            "bytes=0-1-2",
            "bytes=0x1-2",
            "lines=0-1",
            &many,
        ] {
            assert_eq!(wanted(Some(range), 100), Wanted::All, "{range}");
        }
        assert_eq!(wanted(None, 100), Wanted::All);
    }
}
