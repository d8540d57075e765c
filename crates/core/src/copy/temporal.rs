//! Days, times and instants as numbers, from the spellings of all engines.

/// Microseconds in a day.
pub(crate) const DAY: i64 = 86_400_000_000;

/// What a spelling says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A finite value: days, or microseconds.
    At(i64),
    /// PostgreSQL's `infinity`.
    Infinity,
    /// And `-infinity`.
    NegativeInfinity,
}

/// Days from 1970-01-01 of a proleptic Gregorian day.
pub(crate) fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = i64::from((month + 9) % 12);
    let day_of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// A reader of digits.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        let len = self
            .rest
            .iter()
            .take(most)
            .take_while(|b| b.is_ascii_digit())
            .count();
        if len < least {
            return None;
        }
        let n = self.rest[..len]
            .iter()
            .fold(0_i64, |n, b| n * 10 + i64::from(b - b'0'));
        self.rest = &self.rest[len..];
        Some(n)
    }
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    /// `YYYY-MM-DD`, years of up to six digits. Gives year, month, day.
    fn civil(&mut self) -> Option<(i64, u32, u32)> {
        let year = self.number(4, 6)?;
        if !self.eat(b'-') {
            return None;
        }
        let month = self.number(2, 2)? as u32;
        if !self.eat(b'-') {
            return None;
        }
        let day = self.number(2, 2)? as u32;
        Some((year, month, day))
    }

    /// `HH:MM[:SS[.ffffff]]`; hours of up to `hours` digits. Digits beyond the microsecond must be zeros.
    fn clock(&mut self, hours: usize) -> Option<i64> {
        let hour = self.number(2, hours)?;
        if !self.eat(b':') {
            return None;
        }
        let minute = self.number(2, 2)?;
        let second = if self.eat(b':') {
            self.number(2, 2)?
        } else {
            0
        };
        let mut micros = 0;
        if self.eat(b'.') {
            let len = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
            if len == 0 {
                return None;
            }
            let digits = &self.rest[..len];
            for at in 0..6 {
                micros = micros * 10 + i64::from(digits.get(at).map_or(0, |b| b - b'0'));
            }
            if digits.iter().skip(6).any(|b| *b != b'0') {
                return None;
            }
            self.rest = &self.rest[len..];
        }
        // A second that was put in between (`:60`) is none that a column of times could give back.
        (minute < 60 && second < 60)
            .then_some(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
    }

    /// `Z`, `+HH[:MM[:SS]]`, `+HHMM`: microseconds east of UTC.
    fn offset(&mut self) -> Option<i64> {
        if self.eat(b'Z') || self.eat(b'z') {
            return Some(0);
        }
        let sign = match self.rest.first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.rest = &self.rest[1..];
        let hours = self.number(2, 2)?;
        self.eat(b':');
        let minutes = self.number(2, 2).unwrap_or(0);
        self.eat(b':');
        let seconds = self.number(2, 2).unwrap_or(0);
        (hours <= 15 && minutes < 60 && seconds < 60)
            .then_some(sign * ((hours * 60 + minutes) * 60 + seconds) * 1_000_000)
    }
}

/// Takes ` BC` off the end; years before 1 count as PostgreSQL's: 1 BC is year 0.
fn era(text: &[u8]) -> (&[u8], bool) {
    match text.strip_suffix(b" BC") {
        Some(rest) => (rest, true),
        None => (text, false),
    }
}

fn infinite(text: &[u8]) -> Option<Moment> {
    match text {
        b"infinity" => Some(Moment::Infinity),
        b"-infinity" => Some(Moment::NegativeInfinity),
        _ => None,
    }
}

fn day_number((year, month, day): (i64, u32, u32), bc: bool) -> Option<i64> {
    let year = if bc { 1 - year } else { year };
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    Some(days_from_civil(year, month, day))
}

/// The spelling that nearly every day and time has, `YYYY-MM-DD HH:MM:SS` or with a `T`: the day, and the microseconds of
/// its time. Taken apart digit by digit these cost a copy more than their hashing. `None`: whatever else it is, the reader
/// says.
fn plain(text: &[u8]) -> Option<(i64, i64)> {
    let text: &[u8; 19] = text.try_into().ok()?;
    let marks = [text[4], text[7], text[13], text[16]];
    if marks != *b"--::" || !matches!(text[10], b' ' | b'T') {
        return None;
    }
    let mut digits = true;
    let mut two = |at: usize| {
        let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
        digits &= tens < 10 && ones < 10;
        u32::from(tens) * 10 + u32::from(ones)
    };
    let (century, year, month, day) = (two(0), two(2), two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    if !digits || minute >= 60 || second >= 60 {
        return None;
    }
    let day = day_number((i64::from(century * 100 + year), month, day), false)?;
    let seconds = (hour * 60 + minute) * 60 + second;
    Some((day, i64::from(seconds) * 1_000_000))
}

/// A day. A time of exactly midnight beside it is allowed: some engines have no type for days alone.
pub(crate) fn date(text: &[u8]) -> Option<Moment> {
    if let Some((day, micros)) = plain(text) {
        return (micros == 0).then_some(Moment::At(day));
    }
    read_date(text)
}

fn read_date(text: &[u8]) -> Option<Moment> {
    if let Some(moment) = infinite(text) {
        return Some(moment);
    }
    let (text, bc) = era(text);
    let mut reader = Reader { rest: text };
    let day = day_number(reader.civil()?, bc)?;
    if !reader.rest.is_empty() && !((reader.eat(b' ') || reader.eat(b'T')) && reader.clock(2)? == 0)
    {
        return None;
    }
    reader.rest.is_empty().then_some(Moment::At(day))
}

/// A time of day or a span of hours (`-838:59:59`), in microseconds. `24:00:00` is not midnight.
pub(crate) fn time(text: &[u8]) -> Option<i64> {
    let (negative, rest) = text
        .strip_prefix(b"-")
        .map_or((false, text), |rest| (true, rest));
    let mut reader = Reader { rest };
    let micros = reader.clock(3)?;
    reader
        .rest
        .is_empty()
        .then_some(if negative { -micros } else { micros })
}

/// A day and time, in microseconds. With `zone`, the instant in UTC (an offset that is not written is UTC's, which
/// tool sessions pin); without it an offset is refused: to drop it would be to change the value.
pub(crate) fn timestamp(text: &[u8], zone: bool) -> Option<Moment> {
    if let Some((day, micros)) = plain(text) {
        return (micros <= DAY).then_some(Moment::At(day * DAY + micros));
    }
    read_timestamp(text, zone)
}

fn read_timestamp(text: &[u8], zone: bool) -> Option<Moment> {
    if let Some(moment) = infinite(text) {
        return Some(moment);
    }
    let (text, bc) = era(text);
    let mut reader = Reader { rest: text };
    let day = day_number(reader.civil()?, bc)?;
    let mut micros = 0;
    if !reader.rest.is_empty() {
        if !(reader.eat(b' ') || reader.eat(b'T') || reader.eat(b't')) {
            return None;
        }
        micros = reader.clock(2)?;
        if micros > DAY {
            return None;
        }
        if !reader.rest.is_empty() {
            if !zone {
                return None;
            }
            reader.eat(b' ');
            micros -= reader.offset()?;
        }
    }
    let at = day.checked_mul(DAY)?.checked_add(micros)?;
    reader.rest.is_empty().then_some(Moment::At(at))
}

/// A day or time whose month or day (or all of it) is zero: what MySQL lets through as "unknown".
pub(crate) fn is_zero_date(text: &[u8]) -> bool {
    let mut reader = Reader { rest: text };
    let Some((_, month, day)) = reader.civil() else {
        return false;
    };
    let clock = reader.rest.is_empty()
        || ((reader.eat(b' ') || reader.eat(b'T')) && reader.clock(2).is_some());
    (month == 0 || day == 0) && month <= 12 && day <= 31 && clock && reader.rest.is_empty()
}

/// As [`timestamp`], for a spelling finer than a microsecond: rounded down to one.
pub(crate) fn rounded(text: &[u8], zone: bool) -> Option<Moment> {
    let point = text.iter().position(|b| *b == b'.')?;
    let digits = text[point + 1..]
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .count();
    if digits <= 6 {
        return timestamp(text, zone);
    }
    let mut cut = text[..point + 7].to_vec();
    cut.extend_from_slice(&text[point + 1 + digits..]);
    timestamp(&cut, zone)
}

/// What a number in a column of times counts.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Epoch {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// Microseconds since 1970.
    Microseconds,
    /// Days of the Julian calendar's count.
    JulianDay,
}

impl Epoch {
    /// How many microseconds one is.
    pub const fn micros(self) -> i64 {
        match self {
            Epoch::Seconds => 1_000_000,
            Epoch::Milliseconds => 1_000,
            Epoch::Microseconds => 1,
            Epoch::JulianDay => DAY,
        }
    }

    /// The unit as people say it.
    pub const fn name(self) -> &'static str {
        match self {
            Epoch::Seconds => "seconds since 1970",
            Epoch::Milliseconds => "milliseconds since 1970",
            Epoch::Microseconds => "microseconds since 1970",
            Epoch::JulianDay => "Julian days",
        }
    }
}

/// An integer in a column of times, told by its magnitude: seconds, milliseconds and microseconds since 1970 do not
/// overlap between 1973 and 5138. What lies outside could be anything (a year, a day count) and is not read.
pub(crate) fn from_integer(n: i64) -> Option<(i64, Epoch)> {
    match n.unsigned_abs() {
        100_000_000..=99_999_999_999 => Some((n * 1_000_000, Epoch::Seconds)),
        100_000_000_000..=99_999_999_999_999 => Some((n * 1_000, Epoch::Milliseconds)),
        100_000_000_000_000..=99_999_999_999_999_999 => Some((n, Epoch::Microseconds)),
        _ => None,
    }
}

/// A real in a column of times: a Julian day between the years 1 and 9999, to the millisecond (a double has no more).
pub(crate) fn from_julian(value: f64) -> Option<(i64, Epoch)> {
    if !(1_721_425.5..5_373_484.5).contains(&value) {
        return None;
    }
    let millis = ((value - 2_440_587.5) * 86_400_000.0).round() as i64;
    Some((millis * 1_000, Epoch::JulianDay))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_agree_with_a_calendar() {
        assert_eq!(date(b"1970-01-01"), Some(Moment::At(0)));
        assert_eq!(date(b"2000-03-01"), Some(Moment::At(11_017)));
        assert_eq!(date(b"1969-12-31 00:00:00"), Some(Moment::At(-1)));
        assert_eq!(date(b"infinity"), Some(Moment::Infinity));
        assert!(date(b"4713-01-01 BC").is_some());
        for bad in [
            "2023-02-29",
            "2024-13-01",
            "0000-00-00",
            "20240229",
            "",
            "2024-02-29 23:00:00",
            "now",
        ] {
            assert_eq!(date(bad.as_bytes()), None, "{bad}");
        }
        let start = jiff::civil::date(-9_000, 1, 1);
        for step in 0..2_000 {
            let day = start
                .checked_add(jiff::Span::new().days(step * 3_001))
                .unwrap();
            let expected = day
                .since((jiff::Unit::Day, jiff::civil::date(1970, 1, 1)))
                .unwrap()
                .get_days();
            let (year, month, number) = (day.year(), day.month(), day.day());
            let ours = days_from_civil(i64::from(year), month as u32, number as u32);
            assert_eq!(ours, i64::from(expected), "{day}");
        }
    }

    #[test]
    fn times_and_instants() {
        assert_eq!(time(b"00:00:01.5"), Some(1_500_000));
        assert_eq!(time(b"24:00:00"), Some(DAY));
        assert_eq!(time(b"-838:59:59"), Some(-3_020_399_000_000));
        assert_eq!(
            timestamp(b"1970-01-01 00:00:00.000001", false),
            Some(Moment::At(1))
        );
        assert_eq!(
            timestamp(b"1970-01-01T00:00:00", false),
            Some(Moment::At(0))
        );
        assert_eq!(
            timestamp(b"2024-06-01 12:00:00+05:30", false),
            None,
            "an offset is not dropped"
        );
        assert_eq!(
            timestamp(b"2024-06-01 12:00:00+05:30", true),
            timestamp(b"2024-06-01T06:30:00Z", true)
        );
        assert_eq!(
            timestamp(b"2024-06-01 06:30:00+00", true),
            timestamp(b"2024-06-01 06:30:00", true)
        );
        assert_eq!(
            timestamp(b"2017-06-30 23:59:60.123456789", false),
            None,
            "finer than a microsecond"
        );
        assert!(timestamp(b"2017-06-30 12:00:00.123456000", false).is_some());
    }

    proptest! {
        #[test]
        fn the_usual_spelling_says_what_the_reader_says(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-6][0-9]:[0-6][0-9]", at in 0..19_usize, byte in any::<u8>(),
            bend in any::<bool>(), zone in any::<bool>()
        ) {
            let mut text = text.into_bytes();
            if bend {
                text[at] = byte;
            }
            prop_assert_eq!(date(&text), read_date(&text));
            prop_assert_eq!(timestamp(&text, zone), read_timestamp(&text, zone));
        }
    }

    #[test]
    fn the_usual_spelling_is_read_at_once() {
        assert_eq!(plain(b"1970-01-02 00:00:01"), Some((1, 1_000_000)));
        assert_eq!(plain(b"1970-01-02T24:00:00"), Some((1, DAY)));
        for other in [
            "1970-01-02 00:00:0a",
            "1970-02-29 00:00:00",
            "1970-01-02 00:60:00",
            "1970-01-02",
        ] {
            assert_eq!(plain(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn numbers_are_told_by_magnitude() {
        let second = timestamp(b"2023-11-14 22:13:20", false).unwrap();
        for (n, unit) in [
            (1_700_000_000, Epoch::Seconds),
            (1_700_000_000_000, Epoch::Milliseconds),
            (1_700_000_000_000_000, Epoch::Microseconds),
        ] {
            let (micros, found) = from_integer(n).unwrap();
            assert_eq!((Moment::At(micros), found), (second, unit));
        }
        assert_eq!(from_integer(2024), None);
        assert_eq!(from_julian(2_440_587.5), Some((0, Epoch::JulianDay)));
        assert_eq!(from_julian(2024.0), None);
    }
}
