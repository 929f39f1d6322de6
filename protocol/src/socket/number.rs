//! Numbers as JavaScript prints them (ECMA-262, Number::toString with radix 10), which is also how
//! `JSON.stringify` does: `1` and not `1.0`, `1e+21` and not `1e21`.

use std::io::{self, Write};

/// Between these magnitudes every shortest-digits printer writes a number with a fraction in the same
/// way, without exponent; JavaScript's range is wider, but this one is nearly always enough.
const PLAIN: std::ops::Range<f64> = 1e-4..1e15;

/// Whole numbers below 2⁵³ are exact in a float and print as integers.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Writes a finite number; for others JavaScript has `null` in JSON, which is the caller's to write.
pub(crate) fn write_f64<W: Write + ?Sized>(out: &mut W, value: f64) -> io::Result<()> {
    if value.trunc() == value && value.abs() < WHOLE_MAX {
        // Negative zero becomes 0, as in JavaScript.
        return write!(out, "{}", value as i64);
    }
    if PLAIN.contains(&value.abs()) {
        return serde_json::ser::Formatter::write_f64(
            &mut serde_json::ser::CompactFormatter,
            out,
            value,
        );
    }
    let mut scientific = Scientific::default();
    write!(scientific, "{value:e}")?;
    scientific.write_as_javascript(out)
}

/// Writes a finite single-precision number with its own shortest digits: `0.1`, where widening it first
/// would give `0.10000000149011612`.
pub(crate) fn write_f32<W: Write + ?Sized>(out: &mut W, value: f32) -> io::Result<()> {
    if value.trunc() == value {
        return write_f64(out, f64::from(value));
    }
    let mut scientific = Scientific::default();
    write!(scientific, "{value:e}")?;
    scientific.write_as_javascript(out)
}

/// The text of a number in Rust's scientific form, `-d.ddde-ddd`: at most 17 digits and 7 signs.
#[derive(Default)]
struct Scientific {
    text: [u8; 32],
    len: usize,
}

impl Write for Scientific {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        let mut room = &mut self.text[self.len..];
        let written = room.write(more)?;
        self.len += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Scientific {
    fn write_as_javascript<W: Write + ?Sized>(&self, out: &mut W) -> io::Result<()> {
        const ZEROS: [u8; 21] = [b'0'; 21];
        let text = std::str::from_utf8(&self.text[..self.len]).map_err(io::Error::other)?;
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().map_err(io::Error::other)?;
        let mantissa = match mantissa.strip_prefix('-') {
            Some(positive) => {
                out.write_all(b"-")?;
                positive
            }
            None => mantissa,
        };
        let (lead, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let rest_len = i32::try_from(rest.len()).map_err(io::Error::other)?;
        match exponent {
            // A whole number: the point is at or behind the last digit.
            0..=20 if rest_len <= exponent => {
                write!(out, "{lead}{rest}")?;
                out.write_all(&ZEROS[..(exponent - rest_len) as usize])
            }
            0..=20 => {
                let (whole, fraction) = rest.split_at(exponent as usize);
                write!(out, "{lead}{whole}.{fraction}")
            }
            -6..=-1 => {
                out.write_all(b"0.")?;
                out.write_all(&ZEROS[..(-1 - exponent) as usize])?;
                write!(out, "{lead}{rest}")
            }
            _ => {
                let point = if rest.is_empty() { "" } else { "." };
                write!(out, "{lead}{point}{rest}e{exponent:+}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(value: f64) -> String {
        let mut out = Vec::new();
        write_f64(&mut out, value).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Each right side is what `String(x)` gives in Node 20.
    #[test]
    fn numbers_print_as_in_javascript() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (1e15, "1000000000000000"),
            (123_456_789_012_345.67, "123456789012345.67"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (1e20, "100000000000000000000"),
            (1.5e20, "150000000000000000000"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e21, "1e+21"),
            (-1.25e21, "-1.25e+21"),
            (1e-4, "0.0001"),
            (1.5e-5, "0.000015"),
            (1e-6, "0.000001"),
            (-1.23e-6, "-0.00000123"),
            (1e-7, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
        ] {
            assert_eq!(printed(value), text);
        }
    }

    #[test]
    fn single_precision_keeps_its_digits() {
        for (value, text) in [(0.1_f32, "0.1"), (16_777_216.0, "16777216"), (1.5e-7, "1.5e-7")] {
            let mut out = Vec::new();
            write_f32(&mut out, value).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    proptest! {
        #[test]
        fn the_short_ways_print_what_the_long_one_does(value in prop_oneof![
            any::<f64>(), -1e6..1e6_f64, -1e-3..1e-3_f64, (-1e17..1e17_f64).prop_map(f64::round),
        ]) {
            let mut scientific = Scientific::default();
            write!(scientific, "{value:e}").unwrap();
            let mut out = Vec::new();
            scientific.write_as_javascript(&mut out).unwrap();
            let long = String::from_utf8(out).unwrap();
            prop_assert_eq!(printed(value), if value == 0.0 { "0" } else { &long });
            prop_assert_eq!(printed(value).parse::<f64>().unwrap(), value);
        }
    }
}
