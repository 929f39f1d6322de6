//! Points in time inside typed arguments.

use std::fmt::{self, Write as _};

use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

/// A point in time anywhere inside an argument, in milliseconds since 1970-01-01T00:00Z: a `Date` to
/// JavaScript.
///
/// A MessagePack peer sends and gets it as a date. A JSON peer gets the string that
/// `Date.prototype.toISOString` makes (ECMA-262, section "Date Time String Format"), as
/// `JSON.stringify` has it; from one, that string is read, and so is a number of milliseconds. A date
/// that is invalid to JavaScript (more than 100 million days from 1970) is `null` in JSON.
///
/// A handler that wants a string or a number instead takes a peer's date as that string, or as
/// milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i64);

/// The name under which a date passes through serde, for those on its way that know it.
pub(super) const NAME: &str = "$yamabiko::Date";

const MS_MAX: i64 = 8_640_000_000_000_000;
const MS_PER_DAY: i64 = 86_400_000;

impl Date {
    /// Whether it is one to JavaScript, too.
    pub fn is_valid(self) -> bool {
        (-MS_MAX..=MS_MAX).contains(&self.0)
    }
}

/// The longest is `-271821-04-20T00:00:00.000Z`.
pub(crate) struct Iso {
    text: [u8; 27],
    len: usize,
}

impl Iso {
    /// A date's text; of an invalid one some text of the same form.
    pub(crate) fn new(date: Date) -> Self {
        let ms = date.0.clamp(-MS_MAX, MS_MAX);
        let (year, month, day) = civil(ms.div_euclid(MS_PER_DAY));
        let in_day = ms.rem_euclid(MS_PER_DAY);
        let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
        let (second, ms) = (in_day / 1000 % 60, in_day % 1000);
        let mut iso = Self { text: [0; 27], len: 0 };
        let year_fits = match year {
            0..=9999 => write!(iso, "{year:04}"),
            // Six digits, and a sign in any case.
            _ => write!(iso, "{year:+07}"),
        };
        let rest_fits =
            write!(iso, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z");
        debug_assert!(year_fits.and(rest_fits).is_ok(), "{date:?}");
        iso
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..self.len]).unwrap_or_default()
    }
}

impl fmt::Write for Iso {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = self.text.get_mut(self.len..self.len + more.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(more.as_bytes());
        self.len += more.len();
        Ok(())
    }
}

/// Year, month and day of the day that many days after 1970-01-01, in the proleptic Gregorian calendar.
/// Years are counted from March here, so that the day a leap year adds is their last.
fn civil(days: i64) -> (i64, i64, i64) {
    const DAYS_PER_400_YEARS: i64 = 146_097;
    // From 0000-03-01.
    let days = days + 719_468;
    let (era, in_era) = (days.div_euclid(DAYS_PER_400_YEARS), days.rem_euclid(DAYS_PER_400_YEARS));
    // Every 4th year has a day more, but not every 100th, but again the last of 400.
    let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    // From March on, five months always have 153 days.
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5 + 1;
    let january = i64::from(month >= 10);
    (era * 400 + year + january, month + 3 - 12 * january, day)
}

/// The other way round.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, in_era) = (year.div_euclid(400), year.rem_euclid(400));
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468
}

/// Reads what [`Iso`] writes, and that form only.
fn parse(text: &str) -> Option<Date> {
    let year_len = if text.starts_with(['+', '-']) { 7 } else { 4 };
    let (year, rest) = text.split_at_checked(year_len)?;
    let mut fields = [0; 6];
    let mut at = 0;
    for (field, (separator, len)) in
        fields.iter_mut().zip([('-', 2), ('-', 2), ('T', 2), (':', 2), (':', 2), ('.', 3)])
    {
        let digits = rest.get(at..)?.strip_prefix(separator)?.get(..len)?;
        *field =
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
        at += 1 + len;
    }
    let [month, day, hour, minute, second, ms] = fields;
    let year: i64 = year.parse().ok()?;
    let date = Date(
        days(year, month, day) * MS_PER_DAY
            + hour * 3_600_000
            + minute * 60_000
            + second * 1000
            + ms,
    );
    // Whatever is no date (February 30th, 25 o'clock) is another one here, or an invalid one.
    (date.is_valid() && Iso::new(date).as_str() == text).then_some(date)
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(NAME, &Inner(*self))
    }
}

/// What is inside of a date to serde: text where people may read it, else milliseconds.
struct Inner(Date);

impl Serialize for Inner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            serializer.serialize_i64(self.0.0)
        } else if self.0.is_valid() {
            serializer.serialize_str(Iso::new(self.0).as_str())
        } else {
            serializer.serialize_none()
        }
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, DateVisitor)
    }
}

struct DateVisitor;

impl<'de> Visitor<'de> for DateVisitor {
    type Value = Date;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a date")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Date, D::Error> {
        if inner.is_human_readable() {
            inner.deserialize_any(self)
        } else {
            inner.deserialize_i64(self)
        }
    }

    fn visit_i64<E: de::Error>(self, ms: i64) -> Result<Date, E> {
        Ok(Date(ms))
    }

    fn visit_u64<E: de::Error>(self, ms: u64) -> Result<Date, E> {
        let ms = i64::try_from(ms);
        ms.map(Date).map_err(|_| E::custom("a date out of range"))
    }

    fn visit_f64<E: de::Error>(self, ms: f64) -> Result<Date, E> {
        // JavaScript, too, cuts off what is below a millisecond.
        let date = Date(ms as i64);
        if ms.is_nan() || !date.is_valid() {
            return Err(E::invalid_value(Unexpected::Float(ms), &self));
        }
        Ok(date)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Date, E> {
        parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `new Date(ms).toISOString()` prints them in Node 22.
    const KNOWN: [(i64, &str); 12] = [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_795_449_600_005, "2026-11-23T16:00:00.005Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (-2_203_891_200_000, "1900-03-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, "+010000-01-01T00:00:00.000Z"),
        (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
        (-62_167_219_200_001, "-000001-12-31T23:59:59.999Z"),
        (-62_162_121_600_000, "0000-02-29T00:00:00.000Z"),
        (8_640_000_000_000_000, "+275760-09-13T00:00:00.000Z"),
        (-8_640_000_000_000_000, "-271821-04-20T00:00:00.000Z"),
    ];

    #[test]
    fn texts_are_javascripts() {
        for (ms, text) in KNOWN {
            assert_eq!(Iso::new(Date(ms)).as_str(), text);
            assert_eq!(parse(text), Some(Date(ms)), "{text}");
        }
    }

    #[test]
    fn every_day_comes_back() {
        for day in (-100_000_000..=100_000_000).step_by(9_973) {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), day);
        }
        // Four hundred years without a gap.
        let mut before = civil(-1);
        for day in 0..146_097 {
            let now = civil(day);
            assert!(now > before && days(now.0, now.1, now.2) == day, "{now:?}");
            before = now;
        }
        assert_eq!(before, (2369, 12, 31));
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "é",
            "2026",
            "2026-11-23",
            "2026-11-23T16:00:00Z",
            "2026-11-23T16:00:00.005",
            "2026-11-23T16:00:00.005Z ",
            "2026-11-23T16:00:00.005+01:00",
            "2026-02-29T00:00:00.000Z",
            "2026-13-01T00:00:00.000Z",
            "2026-00-01T00:00:00.000Z",
            "2026-01-00T00:00:00.000Z",
            "2026-01-01T24:00:00.000Z",
            "2026-01-01T00:60:00.000Z",
            "-000000-01-01T00:00:00.000Z",
            "+002026-01-01T00:00:00.000Z",
            "+275760-09-13T00:00:00.001Z",
            "+999999-01-01T00:00:00.000Z",
            "2026-+1-01T00:00:00.000Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn to_json_it_is_a_string() {
        let date = Date(1_795_449_600_005);
        let json = serde_json::to_string(&date).unwrap();
        assert_eq!(json, "\"2026-11-23T16:00:00.005Z\"");
        assert_eq!(serde_json::from_str::<Date>(&json).unwrap(), date);
        for number in ["1795449600005", "1795449600005.9"] {
            assert_eq!(serde_json::from_str::<Date>(number).unwrap(), date);
        }
        assert_eq!(serde_json::to_string(&Date(i64::MAX)).unwrap(), "null");
        assert_eq!(serde_json::from_str::<Option<Date>>("null").unwrap(), None);
        for json in ["null", "{}", "\"yesterday\"", "1e300", "18446744073709551615"] {
            assert!(serde_json::from_str::<Date>(json).is_err(), "{json}");
        }
    }
}
