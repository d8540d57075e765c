//! How fast long work goes, and how long it will still take.

use super::table::duration;
use std::collections::BTreeMap;
use std::time::Duration;

/// Before that a rate says nothing.
const MEASURED: Duration = Duration::from_secs(1);

/// How many signs the bar has.
const BAR: u64 = 10;

/// Each work under way, with what was done of it when it was first told of (resumed work does not begin at nothing), and
/// when that was. Tables are copied beside each other.
#[derive(Debug, Default)]
pub struct Pace(BTreeMap<String, (u64, Duration)>);

impl Pace {
    /// What is shown of it at a moment: so much of so much, the rate, the time left; "measuring" while it has none.
    pub fn line(
        &mut self,
        what: &str,
        (done, total): (u64, Option<u64>),
        unit: &str,
        now: Duration,
    ) -> String {
        let known = self.0.entry(what.to_owned()).or_insert((done, now));
        if done < known.0 {
            // What goes backwards is another round of the same work.
            *known = (done, now);
        }
        let (first, since) = *known;
        let mut line = match total {
            Some(total) => format!("{what}: {done} of {total} {unit} {}", bar(done, total)),
            None => format!("{what}: {done} {unit}"),
        };
        let (passed, came) = (now.saturating_sub(since), done - first);
        if total.is_some_and(|total| done >= total) {
            return line;
        }
        if passed < MEASURED || came == 0 {
            return line + ", measuring";
        }
        let rate = came as f64 / passed.as_secs_f64();
        line.push_str(&match rate < 10.0 {
            true => format!(", {rate:.1} {unit}/s"),
            false => format!(", {rate:.0} {unit}/s"),
        });
        if let Some(total) = total {
            let left = total.saturating_sub(done) as f64 / rate * 1_000.0;
            line.push_str(&format!(", about {} left", duration(left as u64)));
        }
        line
    }
}

fn bar(done: u64, total: u64) -> String {
    let filled = match total {
        0 => BAR,
        _ => (u128::from(done.min(total)) * u128::from(BAR) / u128::from(total)) as u64,
    };
    let (full, empty) = (filled as usize, (BAR - filled) as usize);
    format!("[{}{}]", "#".repeat(full), ".".repeat(empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_time_left_are_told_once_they_are_measured() {
        let mut pace = Pace::default();
        let mut at = |what: &str, done, total, seconds: f64| {
            let now = Duration::from_secs_f64(100.0 + seconds);
            pace.line(what, (done, total), "rows", now)
        };
        let all = Some(60_000);
        assert_eq!(
            at("fill", 0, all, 0.0),
            "fill: 0 of 60000 rows [..........], measuring"
        );
        assert!(at("fill", 900, all, 0.9).ends_with(", measuring"));
        assert_eq!(
            at("fill", 10_000, all, 2.0),
            "fill: 10000 of 60000 rows [#.........], 5000 rows/s, about 10.0 s left"
        );
        assert_eq!(
            at("fill", 60_000, all, 9.0),
            "fill: 60000 of 60000 rows [##########]"
        );
        // What was done before this run has begun took no time of it.
        assert!(at("other", 5_000, None, 10.0).ends_with("measuring"));
        assert_eq!(
            at("other", 5_004, None, 12.0),
            "other: 5004 rows, 2.0 rows/s"
        );
        // Another round, and numbers beyond what a total can hold.
        assert!(at("other", 1, Some(0), 13.0).contains("[##########]"));
        let huge = at("huge", u64::MAX - 1, Some(u64::MAX), 14.0);
        assert!(huge.contains("[#########.]"), "{huge}");
    }
}
