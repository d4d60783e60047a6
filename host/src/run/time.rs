//! Points in time, as the records of a run write them.

use std::{fmt, str::FromStr, time::SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const MS_PER_DAY: u64 = 86_400_000;

/// A point in time in UTC, to the millisecond: `2026-09-01T10:22:07.123Z` (RFC 3339).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Timestamp {
    /// Milliseconds since 1970.
    ms: u64,
}

impl Timestamp {
    /// The last millisecond that has a year of four digits, in milliseconds since 1970.
    const MAX_MS: u64 = 253_402_300_799_999;

    /// Returns the current time.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { ms: u64::try_from(since.as_millis()).unwrap_or(Self::MAX_MS).min(Self::MAX_MS) }
    }

    /// Returns the point `ms` milliseconds after the start of 1970, if its year has four digits.
    pub fn from_millis(ms: u64) -> Option<Self> {
        (ms <= Self::MAX_MS).then_some(Self { ms })
    }

    /// Returns the seconds from `earlier` to this point; negative if `earlier` is later.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        (self.ms as f64 - earlier.ms as f64) / 1000.0
    }

    /// Returns the time in a form that fits file names: `2026-09-01T10-22-07`.
    pub fn file_name(self) -> String {
        self.to_string()[..19].replace(':', "-")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.ms / MS_PER_DAY);
        let ms = self.ms % MS_PER_DAY;
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
    }
}

/// A text that is not a time as [`Timestamp`] writes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time like 2026-09-01T10:22:07.123Z")]
pub struct ParseTimestampError(String);

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseTimestampError(text.to_owned()))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = ParseTimestampError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

/// Reads exactly what `Display` writes: the text is accepted if writing it again gives the same.
fn parse(text: &str) -> Option<Timestamp> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute) = (number(11..13)?, number(14..16)?);
    let (second, ms) = (number(17..19)?, number(20..23)?);
    let days = days(year, month, day)?;
    let time =
        Timestamp::from_millis(days * MS_PER_DAY + hour * 3_600_000 + minute * 60_000 + second * 1000 + ms)?;
    (time.to_string() == text).then_some(time)
}

/// Days of the Gregorian calendar up to 1 January of `year`, counted from year 1.
fn days_before_year(year: u64) -> u64 {
    let y = year - 1;
    y * 365 + y / 4 - y / 100 + y / 400
}

fn month_lengths(year: u64) -> [u64; 12] {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// Year, month and day of the day `days` after 1 January 1970.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + days_before_year(1970);
    // 366 days a year is never too many, so the guess is never late.
    let mut year = days / 366 + 1;
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    let mut day = days - days_before_year(year);
    let mut month = 1;
    for length in month_lengths(year) {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    (year, month, day + 1)
}

/// Days from 1 January 1970 to the given day, if it exists and is not earlier.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    let months = &month_lengths(year)[..month as usize - 1];
    Some(days_before_year(year) - days_before_year(1970) + months.iter().sum::<u64>() + day - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_times_are_written_as_other_tools_write_them() {
        // Seconds from GNU date: date -u -d 2024-02-29T23:59:59Z +%s
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (1_788_258_127, "2026-09-01T10:22:07.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            let time = Timestamp::from_millis(seconds * 1000).unwrap();
            assert_eq!(time.to_string(), text);
            assert_eq!(text.parse(), Ok(time));
        }
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in [
            "",
            "2026-09-01",
            "2026-09-01T10:22:07Z",
            "2026-02-29T00:00:00.000Z",
            "2026-13-01T00:00:00.000Z",
            "2026-09-01T24:00:00.000Z",
            "2026-09-01T10:22:07.123+02:00",
            "1969-12-31T23:59:59.999Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_form_for_file_names_has_no_colon() {
        let time: Timestamp = "2026-09-01T10:22:07.123Z".parse().unwrap();
        assert_eq!(time.file_name(), "2026-09-01T10-22-07");
    }

    proptest! {
        #[test]
        fn every_time_is_read_back(ms in 0..=Timestamp::MAX_MS) {
            let time = Timestamp::from_millis(ms).unwrap();
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }
    }
}
