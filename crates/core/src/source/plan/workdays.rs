//! Planned durations of people's work, in working days: `0.5d`, `3d`, `2w`. A week has five.

use std::fmt;

/// What every message about a planned duration ends with.
pub const EXAMPLES: &str =
    "planned durations look like `0.5d`, `3d`, `2w`: working days and weeks of five";

/// A planned duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkDays {
    hundredths: u32,
}

impl WorkDays {
    /// Reads a planned duration. The error is a sentence without the place.
    pub fn parse(text: &str) -> Result<WorkDays, String> {
        let bad = || format!("`{}` is not a planned duration", text.escape_debug());
        let (number, days) = match text.strip_suffix('d') {
            Some(number) => (number, 1),
            None => (text.strip_suffix('w').ok_or_else(bad)?, 5),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 2 {
            return Err(bad());
        }
        let hundredths = format!("{whole}{fraction:0<2}").parse::<u32>().ok();
        let hundredths = hundredths.and_then(|number| number.checked_mul(days));
        // A plan of more than four hundred years is a slip of the pen, and dates have an end.
        let hundredths = hundredths.filter(|number| *number <= 10_000_000);
        hundredths
            .map(|hundredths| WorkDays { hundredths })
            .ok_or_else(bad)
    }

    /// In working days.
    pub fn days(self) -> f64 {
        f64::from(self.hundredths) / 100.0
    }

    /// Whole working days that it takes up, begun ones counted.
    pub const fn begun(self) -> u32 {
        self.hundredths.div_ceil(100)
    }
}

impl fmt::Display for WorkDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hundredths {
            0 => f.write_str("0d"),
            weeks if weeks % 500 == 0 => write!(f, "{}w", weeks / 500),
            _ => write!(f, "{}d", self.days()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn planned_durations_are_read_and_shown() {
        for (text, days, begun, shown) in [
            ("0.5d", 0.5, 1, "0.5d"),
            ("1d", 1.0, 1, "1d"),
            ("1.25d", 1.25, 2, "1.25d"),
            ("2w", 10.0, 10, "2w"),
            ("0.5w", 2.5, 3, "2.5d"),
            ("5d", 5.0, 5, "1w"),
            ("0d", 0.0, 0, "0d"),
        ] {
            let read = WorkDays::parse(text).unwrap();
            assert_eq!((read.days(), read.begun()), (days, begun), "{text}");
            assert_eq!(read.to_string(), shown);
        }
        for bad in [
            "", "d", "1", "2h", "-1d", "1.d", ".5d", "1.234d", "1 d", "1D", "۵d", "999999w",
        ] {
            assert!(WorkDays::parse(bad).is_err(), "{bad}");
        }
    }
}
