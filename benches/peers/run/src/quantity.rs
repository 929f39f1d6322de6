//! Numbers as people read them: three digits and a unit.

/// A rate or a count: `2.27 M`, `309 k`, `42.0`.
pub(crate) fn rate(value: f64) -> String {
    match value.abs() {
        size if size >= 999.5e6 => format!("{} G", digits(value / 1e9)),
        size if size >= 999.5e3 => format!("{} M", digits(value / 1e6)),
        size if size >= 999.5 => format!("{} k", digits(value / 1e3)),
        _ => digits(value),
    }
}

/// Seconds: `4.41 s`.
pub(crate) fn seconds(value: f64) -> String {
    format!("{} s", digits(value))
}

/// A time given in microseconds: `75.0 µs`, `1.20 ms`, `2.50 s`.
pub(crate) fn micros(value: f64) -> String {
    match value.abs() {
        size if size >= 999.5e3 => format!("{} s", digits(value / 1e6)),
        size if size >= 999.5 => format!("{} ms", digits(value / 1e3)),
        _ => format!("{} µs", digits(value)),
    }
}

/// Bytes: `812 B`, `13.4 KiB`.
pub(crate) fn bytes(value: f64) -> String {
    const KIB: f64 = 1024.0;
    match value.abs() {
        size if size >= KIB * KIB * KIB => format!("{} GiB", digits(value / KIB / KIB / KIB)),
        size if size >= KIB * KIB => format!("{} MiB", digits(value / KIB / KIB)),
        size if size >= KIB => format!("{} KiB", digits(value / KIB)),
        _ => format!("{value:.0} B"),
    }
}

/// A share of one, as per cent: `98 %`.
pub(crate) fn percent(value: f64) -> String {
    format!("{:.0} %", value * 100.0)
}

/// How many times: `6.20×`.
pub(crate) fn times(value: f64) -> String {
    format!("{}×", digits(value))
}

/// Three significant digits, never fewer than the whole part has.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.9995 => format!("{value:.2}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_three_digits() {
        assert_eq!(rate(2_274_000.0), "2.27 M");
        assert_eq!(rate(308_900.0), "309 k");
        assert_eq!(rate(16_860.0), "16.9 k");
        assert_eq!(rate(999_900.0), "1.00 M");
        assert_eq!(rate(0.0), "0");
    }

    #[test]
    fn units_change_where_they_should() {
        assert_eq!(micros(74.96), "75.0 µs");
        assert_eq!(micros(1200.0), "1.20 ms");
        assert_eq!(micros(2.5e6), "2.50 s");
        assert_eq!(bytes(812.4), "812 B");
        assert_eq!(bytes(13.4 * 1024.0), "13.4 KiB");
        assert_eq!(seconds(0.4405), "0.441 s");
        assert_eq!(percent(0.981), "98 %");
        assert_eq!(times(6.2), "6.20×");
    }
}
