//! When each phase is planned: from the first day and the planned durations, in working days. Saturdays and Sundays are
//! not worked; a first day that falls on one is moved to the Monday after it.

use crate::source::plan::PlanDoc;
use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use serde::Serialize;

/// The days that are not worked, as people are told.
pub const WEEKEND: &str = "Saturdays and Sundays are not worked";

/// When a phase is planned.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Planned {
    /// The phase.
    pub phase: String,
    /// Working days that it takes; `None`: nothing is planned.
    pub days: Option<f64>,
    /// Its first day, where the plan says when it starts.
    pub from: Option<String>,
    /// Its last day.
    pub to: Option<String>,
}

/// When everything is planned.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Schedule {
    /// The first day, as planned.
    pub starts: Option<String>,
    /// The last day.
    pub ends: Option<String>,
    /// Working days in all.
    pub days: f64,
    /// The phases, in order.
    pub phases: Vec<Planned>,
    /// Phases without a planned duration.
    pub unplanned: Vec<String>,
}

fn is_worked(date: Date) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// The first working day from this one on; the calendar's last days stay as they are.
fn worked_from(date: Date) -> Date {
    let mut day = date;
    while !is_worked(day) {
        match day.tomorrow() {
            Ok(next) => day = next,
            Err(_) => return date,
        }
    }
    day
}

/// The working day that is so many working days after a working day.
fn after(first: Date, days: u64) -> Option<Date> {
    let weeks = i64::try_from(days / 5).ok()?;
    let mut day = first.checked_add((weeks * 7).days()).ok()?;
    for _ in 0..days % 5 {
        day = worked_from(day.tomorrow().ok()?);
    }
    Some(day)
}

/// Lays the phases one after the other; `None` where nothing is planned at all.
pub fn schedule(doc: &PlanDoc) -> Option<Schedule> {
    let planned = |phase: &&crate::source::plan::PhaseDoc| phase.duration.is_some();
    if doc.starts.is_none() && !doc.phases.iter().any(|phase| planned(&phase)) {
        return None;
    }
    let first = doc.starts.map(worked_from);
    // In hundredths of a day, in which durations are written.
    let mut at = 0_u64;
    let mut phases = vec![];
    for phase in &doc.phases {
        let own = phase
            .duration
            .map(|duration| (duration.days() * 100.0).round() as u64);
        let (from, to) = match own {
            Some(own) => {
                let last = (at + own).div_ceil(100).saturating_sub(1).max(at / 100);
                (at / 100, last)
            }
            None => (at / 100, at / 100),
        };
        let day = |days: u64| first.and_then(|first| after(first, days));
        let is_planned = own.is_some();
        phases.push(Planned {
            phase: phase.id.clone(),
            days: phase.duration.map(|duration| duration.days()),
            from: day(from).filter(|_| is_planned).map(|day| day.to_string()),
            to: day(to).filter(|_| is_planned).map(|day| day.to_string()),
        });
        at += own.unwrap_or(0);
    }
    let ends = first.and_then(|first| after(first, at.div_ceil(100).saturating_sub(1)));
    Some(Schedule {
        starts: first.map(|day| day.to_string()),
        ends: ends.filter(|_| at > 0).map(|day| day.to_string()),
        days: at as f64 / 100.0,
        unplanned: phases
            .iter()
            .filter(|phase| phase.days.is_none())
            .map(|phase| phase.phase.clone())
            .collect(),
        phases,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::plan::risk::tests::{by_hand, phase, plan};
    use crate::source::plan::workdays::WorkDays;

    fn of(starts: Option<&str>, durations: &[Option<&str>]) -> Option<Schedule> {
        let phases = durations.iter().enumerate().map(|(at, duration)| {
            let mut phase = phase(&format!("p{at}"), vec![by_hand(&format!("s{at}"))]);
            phase.duration = duration.map(|text| WorkDays::parse(text).unwrap());
            phase
        });
        let mut doc = plan(phases.collect());
        doc.starts = starts.map(|text| text.parse().unwrap());
        schedule(&doc)
    }

    fn days(schedule: &Schedule) -> Vec<(String, String)> {
        let of = |phase: &Planned| {
            (
                phase.from.clone().unwrap_or_default(),
                phase.to.clone().unwrap_or_default(),
            )
        };
        schedule.phases.iter().map(of).collect()
    }

    #[test]
    fn weekends_are_passed_over_and_half_days_share_a_day() {
        // 2026-01-08 is a Thursday.
        let seen = of(
            Some("2026-01-08"),
            &[Some("1d"), Some("0.5d"), Some("0.5d"), Some("2d")],
        )
        .unwrap();
        let day = |from: &str, to: &str| (format!("2026-01-{from}"), format!("2026-01-{to}"));
        assert_eq!(
            days(&seen),
            [
                day("08", "08"),
                day("09", "09"),
                day("09", "09"),
                day("12", "13")
            ]
        );
        assert_eq!((seen.days, seen.ends.as_deref()), (4.0, Some("2026-01-13")));
        let crossing = of(Some("2026-01-08"), &[Some("0.5d"), Some("2w")]).unwrap();
        assert_eq!(
            days(&crossing)[1],
            day("08", "22"),
            "ten days from the half of a Thursday"
        );
    }

    #[test]
    fn a_first_day_on_a_weekend_is_moved() {
        let seen = of(Some("2026-01-10"), &[Some("1d")]).unwrap();
        assert_eq!(seen.starts.as_deref(), Some("2026-01-12"));
    }

    #[test]
    fn what_is_not_planned_is_said() {
        assert_eq!(of(None, &[None, None]), None);
        let seen = of(None, &[Some("1d"), None]).unwrap();
        assert_eq!((seen.days, seen.ends.clone()), (1.0, None));
        assert_eq!(seen.unplanned, ["p1"]);
        let last = of(Some("9999-12-31"), &[Some("400w")]).unwrap();
        assert_eq!(last.ends, None, "the calendar has an end");
    }
}
