//! A month, by which history is kept.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A calendar month of UTC, from 2000 to 9998.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    year: i16,
    month: i8,
}

/// Not a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a month such as 2026-11, from 2000-01 to 9998-12")]
pub struct NotAPeriod;

impl Period {
    fn new(year: i16, month: i8) -> Option<Self> {
        ((2000..=9998).contains(&year) && (1..=12).contains(&month)).then_some(Self { year, month })
    }

    /// Reads `2026-11`.
    pub fn parse(text: &str) -> Result<Self, NotAPeriod> {
        let (year, month) = text.split_once('-').ok_or(NotAPeriod)?;
        Self::of_digits(year, month)
    }

    /// Reads `202611`.
    pub fn parse_compact(text: &str) -> Result<Self, NotAPeriod> {
        let (year, month) = text.split_at_checked(4).ok_or(NotAPeriod)?;
        Self::of_digits(year, month)
    }

    fn of_digits(year: &str, month: &str) -> Result<Self, NotAPeriod> {
        let digits = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return Err(NotAPeriod);
        }
        let (year, month) = (year.parse().map_err(|_| NotAPeriod)?, month.parse().map_err(|_| NotAPeriod)?);
        Self::new(year, month).ok_or(NotAPeriod)
    }

    /// The month of a moment; none for what is not in the range.
    pub fn of(moment: Timestamp) -> Option<Self> {
        let date = moment.to_zoned(TimeZone::UTC).date();
        Self::of_date(date)
    }

    /// The month of a day; none for what is not in the range.
    pub fn of_date(date: Date) -> Option<Self> {
        Self::new(date.year(), date.month())
    }

    /// Its first day.
    pub fn first_day(self) -> Date {
        Date::constant(self.year, self.month, 1)
    }

    /// Its first moment.
    pub fn start(self) -> Timestamp {
        // The range of years is within that of timestamps.
        TimeZone::UTC.to_timestamp(self.first_day().at(0, 0, 0, 0)).unwrap_or(Timestamp::MIN)
    }

    /// The first moment after it.
    pub fn end(self) -> Timestamp {
        let next = if self.month == 12 {
            Date::constant(self.year + 1, 1, 1)
        } else {
            Date::constant(self.year, self.month + 1, 1)
        };
        TimeZone::UTC.to_timestamp(next.at(0, 0, 0, 0)).unwrap_or(Timestamp::MAX)
    }

    /// How many months after this one the other one is; negative if it is before.
    pub fn months_until(self, other: Self) -> i32 {
        (i32::from(other.year) - i32::from(self.year)) * 12 + i32::from(other.month) - i32::from(self.month)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl std::str::FromStr for Period {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPeriod> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_written_as_it_is_read_and_nothing_else_is_one() {
        for text in ["2000-01", "2026-11", "9998-12"] {
            assert_eq!(Period::parse(text).unwrap().to_string(), text);
            assert_eq!(Period::parse_compact(&text.replace('-', "")).unwrap().to_string(), text);
        }
        for text in [
            "",
            "2026",
            "2026-00",
            "2026-13",
            "1999-12",
            "9999-01",
            "2026-1",
            "26-11",
            "+026-11",
            "2026-11-01",
        ] {
            assert_eq!(Period::parse(text), Err(NotAPeriod), "{text}");
        }
        for text in ["", "20261", "2026-11", "../../..", "2026111", "20é11"] {
            assert_eq!(Period::parse_compact(text), Err(NotAPeriod), "{text}");
        }
    }

    #[test]
    fn it_goes_from_its_first_moment_to_the_next_months() {
        let november = Period::parse("2026-11").unwrap();
        assert_eq!(november.start().to_string(), "2026-11-01T00:00:00Z");
        assert_eq!(november.end().to_string(), "2026-12-01T00:00:00Z");
        assert_eq!(Period::parse("2026-12").unwrap().end().to_string(), "2027-01-01T00:00:00Z");
        let last = november.end() - jiff::SignedDuration::from_nanos(1);
        assert_eq!(Period::of(last), Some(november));
        assert_eq!(Period::of(november.end()), Period::parse("2026-12").ok());
        assert_eq!(Period::of(Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn months_are_counted_over_the_years() {
        let of = |text| Period::parse(text).unwrap();
        assert_eq!(of("2026-11").months_until(of("2027-01")), 2);
        assert_eq!(of("2027-01").months_until(of("2026-11")), -2);
    }
}
