//! Decimal numbers in messages: written without allocation, read without trust.

const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
2021222324252627282930313233343536373839\
4041424344454647484950515253545556575859\
6061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

/// Fills `out` with the last `out.len()` decimal digits of `value`, zeros in front.
#[inline]
pub(crate) fn fill(out: &mut [u8], mut value: u64) {
    let (rest, pairs) = out.as_rchunks_mut::<2>();
    for pair in pairs.iter_mut().rev() {
        let at = (value % 100) as usize * 2;
        *pair = [PAIRS[at], PAIRS[at + 1]];
        value /= 100;
    }
    if let [digit] = rest {
        *digit = b'0' + (value % 10) as u8;
    }
}

/// A number as JSON and acknowledgement ids spell it: no zeros in front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    /// The digits of `value`.
    #[inline]
    pub(crate) fn new(value: u64) -> Self {
        let mut digits = [0; 20];
        let width = value.checked_ilog10().map_or(1, |log| log as usize + 1);
        let start = digits.len() - width;
        fill(&mut digits[start..], value);
        Self { digits, start }
    }

    /// One to twenty ASCII digits.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

/// The number that `bytes` starts with, and what follows it; `None` where no digit does, or where it has
/// more than 18 digits.
#[inline]
pub(crate) fn leading(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    let mut at = 0;
    while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
        value = value * 10 + u64::from(digit - b'0');
        at += 1;
        if at > 18 {
            return None;
        }
    }
    (at > 0).then(|| (value, &bytes[at..]))
}

/// The number that `bytes` is, all of it digits.
#[inline]
pub(crate) fn exact(bytes: &[u8]) -> Option<u64> {
    leading(bytes).filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for value in [0, 1, 9, 10, 99, 100, 101, 999, 12_345, 999_999, 1_000_000, 9_999_999_999] {
            let decimal = Decimal::new(value);
            assert_eq!(decimal.as_bytes(), value.to_string().as_bytes());
            assert_eq!(exact(decimal.as_bytes()), Some(value));
            let mut fixed = [b'x'; 10];
            fill(&mut fixed, value);
            assert_eq!(fixed, format!("{value:010}").as_bytes());
            let mut odd = [b'x'; 5];
            fill(&mut odd, value);
            assert_eq!(odd, format!("{:05}", value % 100_000).as_bytes());
        }
        assert_eq!(Decimal::new(u64::MAX).as_bytes(), u64::MAX.to_string().as_bytes());
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert_eq!(leading(b""), None);
        assert_eq!(leading(b"x1"), None);
        assert_eq!(leading(b"-1"), None);
        assert_eq!(leading(b"9999999999999999999"), None);
        assert_eq!(leading(b"12[x]"), Some((12, &b"[x]"[..])));
        assert_eq!(exact(b"12x"), None);
    }
}
