//! Dates as instants, whatever format each of them stands in.

use crate::copy::Cell;
use crate::copy::temporal::{self, Moment, days_from_civil};

/// Rows of a table since a date.
#[derive(Debug, Clone)]
pub struct Since {
    /// The table.
    pub table: String,
    /// The column that holds the date, in any format.
    pub column: String,
    /// The first instant that counts, in microseconds since 1970.
    pub at: i64,
}

impl Since {
    /// Reads `TABLE.COLUMN=DATE`. The error is a sentence.
    pub fn parse(text: &str) -> Result<Since, String> {
        let wrong = || format!("`{text}` is not TABLE.COLUMN=DATE");
        let (target, date) = text.split_once('=').ok_or_else(wrong)?;
        let (table, column) = target.rsplit_once('.').ok_or_else(wrong)?;
        let at = instant(Cell::Text(date.trim())).ok_or_else(|| {
            format!("`{date}` is no date: write it as 2026-01-31 or 2026-01-31T08:00:00+01:00")
        })?;
        Ok(Since {
            table: table.trim().into(),
            column: column.trim().into(),
            at,
        })
    }
}

/// The instant of a cell in microseconds since 1970, told by its format: ISO 8601 with or without a zone (without: UTC),
/// `DD.MM.YYYY [HH:MM[:SS]]`, seconds, milliseconds or microseconds since 1970 as number or digits, a Julian day.
/// `None`: it is no date in any of them.
pub fn instant(cell: Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Int(n) => temporal::from_integer(n).map(|(at, _)| at),
        Cell::UInt(n) => temporal::from_integer(i64::try_from(n).ok()?).map(|(at, _)| at),
        Cell::Float(value) => temporal::from_julian(value)
            .map(|(at, _)| at)
            .or_else(|| seconds(value)),
        Cell::Text(text) => spelled(text.trim()),
        _ => None,
    }
}

/// Seconds since 1970 with a fraction.
fn seconds(value: f64) -> Option<i64> {
    let whole = (value.abs() < 1e11).then_some(value.trunc() as i64)?;
    temporal::from_integer(whole)?;
    Some((value * 1e6).round() as i64)
}

fn spelled(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if let Some(moment) = temporal::timestamp(bytes, true) {
        return Some(match moment {
            Moment::At(at) => at,
            Moment::Infinity => i64::MAX,
            Moment::NegativeInfinity => i64::MIN,
        });
    }
    if let Ok(n) = text.parse::<i64>() {
        return temporal::from_integer(n).map(|(at, _)| at);
    }
    dotted(text).or_else(|| {
        text.parse()
            .ok()
            .and_then(|value| instant(Cell::Float(value)))
    })
}

/// `DD.MM.YYYY`, with a time behind a space.
fn dotted(text: &str) -> Option<i64> {
    let (day, clock) = text.split_once(' ').unwrap_or((text, ""));
    let mut parts = day.split('.');
    let number = |part: Option<&str>, digits: usize| {
        let part = part?;
        let plain = part.len() <= digits && part.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| part.parse::<u32>().ok()).flatten()
    };
    let (day, month, year) = (
        number(parts.next(), 2)?,
        number(parts.next(), 2)?,
        number(parts.next(), 4)?,
    );
    if parts.next().is_some() || year < 1000 {
        return None;
    }
    let iso = format!("{year:04}-{month:02}-{day:02}");
    match temporal::date(iso.as_bytes())? {
        Moment::At(_) => {}
        _ => return None,
    }
    let clock = match clock {
        "" => 0,
        clock => temporal::time(clock.as_bytes()).filter(|at| (0..86_400_000_000).contains(at))?,
    };
    Some(days_from_civil(i64::from(year), month, day) * 86_400_000_000 + clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instant_in_many_formats() {
        let expected = instant(Cell::Text("2023-11-14T22:13:20Z"));
        assert_eq!(expected, Some(1_700_000_000_000_000));
        for text in [
            "2023-11-14 22:13:20",
            "2023-11-15T01:43:20+03:30",
            "14.11.2023 22:13:20",
            "1700000000",
            "1700000000000",
            " 2023-11-14 22:13:20.000 ",
        ] {
            assert_eq!(instant(Cell::Text(text)), expected, "{text}");
        }
        assert_eq!(instant(Cell::Int(1_700_000_000)), expected);
        assert_eq!(instant(Cell::Float(1_700_000_000.0)), expected);
        assert_eq!(
            instant(Cell::Text("1.2.2024")),
            instant(Cell::Text("2024-02-01"))
        );
        for bad in ["", "soon", "31.02.2024", "2024", "14.11.23", "2024-13-01"] {
            assert_eq!(instant(Cell::Text(bad)), None, "{bad}");
        }
    }
}
