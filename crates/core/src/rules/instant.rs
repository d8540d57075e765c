//! Instants as rows hold them: dates in texts of several formats, counted numbers, and the engines' own types.
//!
//! Two dates are compared as the instants that they mean, never as texts: `2024-01-01T10:00:00+03:30` is before
//! `2024-01-01 08:00:00`. A text without an offset is UTC. What cannot be read is said and decides nothing.

use crate::copy::Cell;
use crate::copy::temporal::{Moment, from_integer, from_julian, timestamp};

/// What a cell of a column of dates says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instant {
    /// Microseconds since 1970, UTC.
    At(i64),
    /// NULL: no date.
    None,
    /// Something that is read as no date.
    Unreadable,
}

impl Instant {
    /// Reads a cell.
    pub fn read(cell: Cell<'_>) -> Instant {
        let found = match cell {
            Cell::Null => return Instant::None,
            Cell::Int(n) => from_integer(n).map(|(at, _)| at),
            Cell::UInt(n) => i64::try_from(n)
                .ok()
                .and_then(from_integer)
                .map(|(at, _)| at),
            Cell::Float(value) => float(value),
            Cell::Float32(value) => float(value.into()),
            Cell::Text(text) => self::text(text.trim()),
            Cell::Bool(_) | Cell::BadText(_) | Cell::Bytes(_) => None,
        };
        found.map_or(Instant::Unreadable, Instant::At)
    }

    /// Whether it is known to be before an instant.
    pub fn is_before(self, bound: i64) -> bool {
        matches!(self, Instant::At(at) if at < bound)
    }
}

/// A Julian day, or seconds or milliseconds with a fraction.
fn float(value: f64) -> Option<i64> {
    if let Some((at, _)) = from_julian(value) {
        return Some(at);
    }
    if !value.is_finite() || value.abs() >= 1e17 {
        return None;
    }
    let whole = value.trunc();
    let (at, _) = from_integer(whole as i64)?;
    let (unit, _) = from_integer(whole as i64 + 1)?;
    Some(at + ((value - whole) * (unit - at) as f64).round() as i64)
}

fn text(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit) {
        return from_integer(text.parse().ok()?).map(|(at, _)| at);
    }
    let iso = cut(&slashed(text));
    match timestamp(iso.as_bytes(), true) {
        Some(Moment::At(at)) => Some(at),
        Some(Moment::Infinity) => Some(i64::MAX),
        Some(Moment::NegativeInfinity) => Some(i64::MIN),
        // As mails and servers' headers write them: `Mon, 01 Jan 2024 10:00:00 +0000`.
        None => jiff::fmt::rfc2822::parse(text)
            .ok()
            .map(|at| at.timestamp().as_microsecond()),
    }
}

/// `2024/01/31` says nothing else than `2024-01-31`.
fn slashed(text: &str) -> String {
    let bytes = text.as_bytes();
    if bytes.get(4) == Some(&b'/') && bytes.get(7) == Some(&b'/') {
        return format!("{}-{}-{}", &text[..4], &text[5..7], &text[8..]);
    }
    text.to_owned()
}

/// What is finer than a microsecond tells no two dates apart that anybody wrote.
fn cut(text: &str) -> String {
    let Some(dot) = text.find('.') else {
        return text.to_owned();
    };
    let digits = text[dot + 1..]
        .bytes()
        .take_while(u8::is_ascii_digit)
        .count();
    if digits <= 6 {
        return text.to_owned();
    }
    format!("{}{}", &text[..dot + 7], &text[dot + 1 + digits..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Instant {
        Instant::read(Cell::Text(text))
    }

    #[test]
    fn one_instant_in_many_spellings() {
        let at = Instant::At(1_704_090_600_000_000);
        for same in [
            "2024-01-01 06:30:00",
            "2024-01-01T06:30:00Z",
            "2024-01-01T10:00:00+03:30",
            "2024-01-01 10:00:00 +0330",
            "2024-01-01 06:30",
            "2024/01/01 06:30:00",
            "2024-01-01T06:30:00.000000000Z",
            " 2024-01-01 06:30:00.000 ",
            "1704090600",
            "1704090600000",
            "Mon, 01 Jan 2024 10:00:00 +0330",
        ] {
            assert_eq!(read(same), at, "{same}");
        }
        assert_eq!(Instant::read(Cell::Int(1_704_090_600)), at);
        assert_eq!(Instant::read(Cell::UInt(1_704_090_600_000)), at);
        assert_eq!(Instant::read(Cell::Float(1_704_090_600.0)), at);
        assert_eq!(
            Instant::read(Cell::Float(1_704_090_600.5)),
            Instant::At(1_704_090_600_500_000)
        );
        assert_eq!(Instant::read(Cell::Float(2_440_587.5)), Instant::At(0));
        assert_eq!(read("1970-01-02"), Instant::At(86_400_000_000));
        assert_eq!(read("infinity"), Instant::At(i64::MAX));
        assert!(Instant::At(1).is_before(2) && !Instant::None.is_before(2));
    }

    #[test]
    fn what_could_be_anything_is_not_read() {
        for text in [
            "",
            "yesterday",
            "01/02/2024",
            "2024-02-30",
            "20240101",
            "0000-00-00 00:00:00",
            "یک",
            "é/é/é/é/é/",
        ] {
            assert_eq!(read(text), Instant::Unreadable, "{text}");
        }
        assert_eq!(Instant::read(Cell::Null), Instant::None);
        assert_eq!(Instant::read(Cell::Int(2024)), Instant::Unreadable);
        assert_eq!(Instant::read(Cell::Float(f64::NAN)), Instant::Unreadable);
        assert_eq!(
            Instant::read(Cell::Bytes(b"2024-01-01")),
            Instant::Unreadable
        );
        assert!(!Instant::Unreadable.is_before(i64::MAX));
    }
}
