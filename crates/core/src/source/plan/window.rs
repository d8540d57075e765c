//! When something new may begin: `Sun-Thu 02:00-05:00 Asia/Tehran`, several separated by `;`, also over midnight.
//!
//! Time zones are those that the program brings along: reading them from the host would be I/O, and a plan would mean
//! another hour on another host. The instant is handed in; there is no clock here.

use super::super::nearest::did_you_mean;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use std::fmt;

/// What every message about a window ends with.
pub const EXAMPLES: &str = "windows look like `Sun-Thu 02:00-05:00 Asia/Tehran`, `22:00-04:00 UTC`, `Mon,Wed 01:00-03:00; Sat 00:00-24:00`";

/// The days of a week, from Monday, as files spell them.
const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// When something new may begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// As it was written.
    written: String,
    openings: Vec<Opening>,
}

/// One part of a window: days, hours, and where the clock hangs.
#[derive(Debug, Clone, PartialEq)]
struct Opening {
    /// From Monday.
    days: [bool; 7],
    /// Minutes after midnight.
    from: u16,
    /// Minutes after midnight, not inclusive; not after `from`: on the next day.
    to: u16,
    zone: TimeZone,
}

/// Why a text is no window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadWindow {
    /// A sentence without the place.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl BadWindow {
    fn new(message: impl Into<String>) -> Self {
        BadWindow {
            message: message.into(),
            help: EXAMPLES.to_owned(),
        }
    }
}

impl Window {
    /// Reads a window. Where no part names a time zone, UTC is meant; where only some do, it is not said what the
    /// others mean.
    pub fn parse(text: &str) -> Result<Window, BadWindow> {
        let mut parts = vec![];
        for part in text.split(';').map(str::trim) {
            if part.is_empty() && !parts.is_empty() {
                continue;
            }
            parts.push(part_of(part)?);
        }
        let named = parts.iter().filter(|(.., zone)| zone.is_some()).count();
        if named != 0 && named != parts.len() {
            return Err(BadWindow::new(format!(
                "`{text}` names a time zone for some of its parts only"
            )));
        }
        let opening = |(days, from, to, zone): Part| Opening {
            days,
            from,
            to,
            zone: zone.unwrap_or(TimeZone::UTC),
        };
        Ok(Window {
            written: text.trim().to_owned(),
            openings: parts.into_iter().map(opening).collect(),
        })
    }

    /// Whether something new may begin at this instant.
    pub fn allows(&self, at: Timestamp) -> bool {
        self.openings.iter().any(|opening| opening.allows(at))
    }

    /// The next instant at which something new may begin: the given one where it may begin now. `None`: never within
    /// a year, as with an hour that a change of clocks always skips.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        if self.allows(after) {
            return Some(after);
        }
        self.openings
            .iter()
            .filter_map(|opening| opening.next(after))
            .min()
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl Opening {
    fn on(&self, date: Date) -> bool {
        self.days[date.weekday().to_monday_zero_offset() as usize]
    }

    fn allows(&self, at: Timestamp) -> bool {
        let local = self.zone.to_datetime(at);
        let minute = local.hour() as u16 * 60 + local.minute() as u16;
        let (date, over_midnight) = (local.date(), self.to <= self.from);
        if !over_midnight {
            return self.on(date) && (self.from..self.to).contains(&minute);
        }
        (self.on(date) && minute >= self.from)
            || (minute < self.to && date.yesterday().is_ok_and(|before| self.on(before)))
    }

    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let mut date = self.zone.to_datetime(after).date();
        // A week and a day find every weekday; a year finds it where a change of clocks skips the hour once.
        for _ in 0..=366 {
            if self.on(date) {
                let found = self.begins(date).into_iter().flatten();
                let found = found.filter(|at| *at > after && self.allows(*at)).min();
                if found.is_some() {
                    return found;
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// The instants at which the clock shows the beginning on this day: two where it shows the hour twice. In an hour
    /// that is skipped it is the first instant after it.
    fn begins(&self, date: Date) -> [Option<Timestamp>; 2] {
        let Some(time) = time_of(self.from) else {
            return [None, None];
        };
        let ambiguous = self
            .zone
            .to_ambiguous_timestamp(DateTime::from_parts(date, time));
        if matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
            let after = ambiguous.later().ok();
            // Earlier than asked, by the offset after the change; the change itself lies between.
            let before = ambiguous.earlier().ok();
            return [
                before.and_then(|from| {
                    self.zone
                        .following(from)
                        .next()
                        .map(|change| change.timestamp())
                }),
                after,
            ];
        }
        [ambiguous.earlier().ok(), ambiguous.later().ok()]
    }
}

fn time_of(minutes: u16) -> Option<Time> {
    Time::new((minutes / 60) as i8, (minutes % 60) as i8, 0, 0).ok()
}

type Part = ([bool; 7], u16, u16, Option<TimeZone>);

/// One part: days (all, where none are named), hours, and a zone.
fn part_of(part: &str) -> Result<Part, BadWindow> {
    let words: Vec<&str> = part.split_whitespace().collect();
    let (days, rest) = match words.as_slice() {
        [] => return Err(BadWindow::new("a window has no hours")),
        [first, rest @ ..] if first.starts_with(|c: char| c.is_alphabetic()) => {
            (days_of(first)?, rest)
        }
        rest => ([true; 7], rest),
    };
    let (hours, zone) = match rest {
        [hours] => (hours, None),
        [hours, zone] => (hours, Some(zone_of(zone)?)),
        [] => return Err(BadWindow::new(format!("`{part}` has no hours"))),
        _ => {
            return Err(BadWindow::new(format!(
                "`{part}` is more than days, hours and a time zone"
            )));
        }
    };
    let bad = || BadWindow::new(format!("`{hours}` does not say from when to when"));
    let (from, to) = hours.split_once('-').ok_or_else(bad)?;
    let (from, to) = (minutes_of(from)?, minutes_of(to)?);
    if from == DAY {
        return Err(BadWindow::new("a window begins at 00:00, not at 24:00"));
    }
    if from == to {
        let message = format!("`{hours}` begins when it ends; the whole day is `00:00-24:00`");
        return Err(BadWindow::new(message));
    }
    Ok((days, from, to, zone))
}

fn days_of(text: &str) -> Result<[bool; 7], BadWindow> {
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut at, last) = (day_of(first)?, day_of(last)?);
        // From Saturday to Monday goes over the end of the week.
        loop {
            days[at] = true;
            if at == last {
                break;
            }
            at = (at + 1) % 7;
        }
    }
    Ok(days)
}

fn day_of(text: &str) -> Result<usize, BadWindow> {
    let found = DAYS
        .iter()
        .position(|(name, _)| name.eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let names = DAYS.map(|(name, _)| name);
        BadWindow {
            message: format!("`{text}` is not a day of the week"),
            help: did_you_mean(text, &names).unwrap_or_else(|| EXAMPLES.to_owned()),
        }
    })
}

fn minutes_of(text: &str) -> Result<u16, BadWindow> {
    let bad = || BadWindow::new(format!("`{text}` is not a time of day"));
    let (hour, minute) = text.split_once(':').ok_or_else(bad)?;
    let number = |digits: &str, length: std::ops::RangeInclusive<usize>| {
        let fine = length.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        fine.then(|| digits.parse::<u16>().ok()).flatten()
    };
    let hour = number(hour, 1..=2).ok_or_else(bad)?;
    let minute = number(minute, 2..=2).filter(|m| *m < 60).ok_or_else(bad)?;
    let minutes = hour * 60 + minute;
    (minutes <= DAY).then_some(minutes).ok_or_else(bad)
}

fn zone_of(name: &str) -> Result<TimeZone, BadWindow> {
    let database = TimeZoneDatabase::bundled();
    if let Ok(zone) = database.get(name) {
        return Ok(zone);
    }
    let names: Vec<String> = database.available().map(|name| name.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let cities: Vec<&str> = names
        .iter()
        .copied()
        .filter(|known| {
            let city = known.rsplit('/').next().unwrap_or_default();
            city.eq_ignore_ascii_case(name.rsplit('/').next().unwrap_or_default())
        })
        .collect();
    let near = match cities.first() {
        Some(city) => Some(format!("did you mean `{city}`?")),
        None => did_you_mean(name, &names),
    };
    Err(BadWindow {
        message: format!("`{name}` is not a time zone that is known here"),
        help: near.unwrap_or_else(|| {
            "time zones are called by the names of the IANA database: `Europe/Berlin`, `UTC`"
                .to_owned()
        }),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn allows(window: &str, instant: &str) -> bool {
        Window::parse(window).unwrap().allows(at(instant))
    }

    fn next(window: &str, after: &str) -> String {
        let next = Window::parse(window).unwrap().next(at(after));
        next.map_or_else(|| "never".to_owned(), |at| at.to_string())
    }

    // 2026-01-04 is a Sunday. Tehran is at +03:30.
    const NIGHTS: &str = "Sun-Thu 02:00-05:00 Asia/Tehran";

    #[test]
    fn a_window_is_open_between_its_hours_on_its_days() {
        for (instant, open) in [
            ("2026-01-03T22:29:59Z", false),
            ("2026-01-03T22:30:00Z", true),
            ("2026-01-04T01:29:59Z", true),
            ("2026-01-04T01:30:00Z", false),
            ("2026-01-08T00:00:00Z", true),
            // Friday and Saturday in Tehran.
            ("2026-01-09T00:00:00Z", false),
            ("2026-01-10T00:00:00Z", false),
        ] {
            assert_eq!(allows(NIGHTS, instant), open, "{instant}");
        }
        assert!(allows("00:00-24:00", "2026-01-03T23:59:59Z"));
        assert!(!allows("0:00-23:59", "2026-01-03T23:59:00Z"));
    }

    #[test]
    fn over_midnight_the_day_is_that_of_the_beginning() {
        for (instant, open) in [
            ("2026-01-09T21:59:59Z", false),
            ("2026-01-09T22:00:00Z", true),
            ("2026-01-10T03:59:59Z", true),
            ("2026-01-10T04:00:00Z", false),
            ("2026-01-10T22:00:00Z", false),
            ("2026-01-09T03:00:00Z", false),
        ] {
            assert_eq!(allows("Fri 22:00-04:00 UTC", instant), open, "{instant}");
        }
        assert!(allows("Sun 22:00-24:00", "2026-01-04T23:59:59Z"));
        assert!(!allows("Sun 22:00-24:00", "2026-01-05T00:00:00Z"));
        assert!(allows("Sun 22:00-00:00", "2026-01-04T23:59:59Z"));
        assert!(!allows("Sun 22:00-00:00", "2026-01-05T00:00:00Z"));
    }

    #[test]
    fn days_are_lists_and_ranges_over_the_end_of_the_week() {
        for (days, open) in [
            ("Sat-Mon", [true, false, false, false, false, true, true]),
            (
                "mon,WED,Fri-Fri",
                [true, false, true, false, true, false, false],
            ),
            ("Mon-Sun", [true; 7]),
        ] {
            let window = format!("{days} 12:00-13:00");
            let found: Vec<bool> = (5..12)
                .map(|day| allows(&window, &format!("2026-01-{day:02}T12:30:00Z")))
                .collect();
            assert_eq!(found, open, "{days}");
        }
    }

    #[test]
    fn the_next_opening_is_found() {
        assert_eq!(next(NIGHTS, "2026-01-04T00:00:00Z"), "2026-01-04T00:00:00Z");
        assert_eq!(next(NIGHTS, "2026-01-04T01:30:00Z"), "2026-01-04T22:30:00Z");
        // Thursday's is over: Sunday is next.
        assert_eq!(next(NIGHTS, "2026-01-08T02:00:00Z"), "2026-01-10T22:30:00Z");
        let two = "Mon 01:00-02:00 UTC; Sun 23:00-23:30 UTC";
        assert_eq!(next(two, "2026-01-04T00:00:00Z"), "2026-01-04T23:00:00Z");
        assert_eq!(next(two, "2026-01-04T23:30:00Z"), "2026-01-05T01:00:00Z");
    }

    #[test]
    fn changes_of_clocks_neither_hide_nor_invent_a_window() {
        // Berlin springs from 02:00 to 03:00 on 2026-03-29 (01:00 UTC) and falls back on 2026-10-25 (01:00 UTC).
        let gone = "Sun 02:00-03:00 Europe/Berlin";
        assert_eq!(next(gone, "2026-03-28T12:00:00Z"), "2026-04-05T00:00:00Z");
        let cut = "Sun 02:30-04:00 Europe/Berlin";
        assert_eq!(next(cut, "2026-03-28T12:00:00Z"), "2026-03-29T01:00:00Z");
        assert!(!allows(cut, "2026-03-29T00:59:59Z"));
        let twice = "Sun 02:00-02:30 Europe/Berlin";
        assert_eq!(next(twice, "2026-10-24T12:00:00Z"), "2026-10-25T00:00:00Z");
        assert_eq!(next(twice, "2026-10-25T00:30:00Z"), "2026-10-25T01:00:00Z");
        assert_eq!(next(twice, "2026-10-25T01:30:00Z"), "2026-11-01T01:00:00Z");
    }

    #[test]
    fn what_is_no_window_is_refused_with_help() {
        for (bad, says) in [
            ("", "no hours"),
            ("Mon", "no hours"),
            ("Mon-Tue", "no hours"),
            ("Mno 01:00-02:00", "did you mean `Mon`?"),
            ("01:00", "from when to when"),
            ("1-2", "`1` is not a time"),
            ("01:60-02:00", "`01:60` is not a time"),
            ("01:00-24:01", "`24:01` is not a time"),
            ("24:00-01:00", "begins at 00:00"),
            ("02:00-02:00", "00:00-24:00"),
            ("01:00-02:00 Tehran", "did you mean `Asia/Tehran`?"),
            ("01:00-02:00 Asia/Teheran", "did you mean `Asia/Tehran`?"),
            ("01:00-02:00 Mars/Olympus_Mons", "IANA"),
            ("01:00-02:00 UTC daily", "more than"),
            ("01:00-02:00; Sat 03:00-04:00 UTC", "some of its parts"),
        ] {
            let fault = Window::parse(bad).unwrap_err();
            let said = format!("{}. {}", fault.message, fault.help);
            assert!(said.contains(says), "{bad}: {said}");
        }
        assert!(Window::parse("01:00-02:00;").is_ok());
    }
}
