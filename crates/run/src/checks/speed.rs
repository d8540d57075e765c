//! `speed`: a query is fast enough, and has not become slower.
//!
//! A server is busier on one day than on another. So a reference, which costs the same but for the load, is run in turns
//! with the query, before and after; what the query may take afterwards is scaled by what became of the reference. A busy
//! moment hides a slower query as easily as it blames a good one: measures are taken again until one is quiet, and what
//! counts is the best of the quiet ones.

use super::{Context, Marks, Trouble, Verdict, answer};
use dunlin_core::source::duration::show_duration;
use dunlin_core::source::grammar::checks::{Speed, When};
use dunlin_engines::Session;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::{Duration, Instant};

/// The percentile where none is named.
const PERCENTILE: u8 = 95;

/// How often a query is run where nothing is said, and at most.
const RUNS: u32 = 30;
const RUNS_MAX: u32 = 10_000;

/// How often a measure is taken, where each is of a quiet moment.
const MEASURES: usize = 3;

/// For how long a quiet moment is waited for, and how long between two looks.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(300);

/// How much busier the server may be than before for the load to count as the reason: beyond that a measure says too
/// little to excuse anything.
const LOAD_MAX: f64 = 5.0;

/// How much more than in the quietest moment the reference may cost in a moment that is as good.
const QUIET: f64 = 1.5;

/// A difference below this is the network's, in milliseconds.
const NOTHING: f64 = 0.25;

/// A measure, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Measure {
    /// The percentile asked for.
    at: f64,
    /// The median.
    median: f64,
    /// The reference's median.
    reference: f64,
}

async fn timed(session: &mut dyn Session, sql: &str) -> Result<f64, Trouble> {
    let began = Instant::now();
    let mut source = session.stream(sql).await?;
    while source.next().await?.is_some() {}
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

/// The percentile of sorted figures: the smallest that so many of them do not exceed.
fn percentile(sorted: &[f64], percentile: u8) -> f64 {
    let rank = (sorted.len() * usize::from(percentile.min(100))).div_ceil(100);
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0.0)
}

async fn measure(session: &mut dyn Session, sql: &str, speed: &Speed) -> Result<Measure, Trouble> {
    let reference = session.dialect().checks().reference();
    let runs = speed.runs.unwrap_or(RUNS).clamp(1, RUNS_MAX);
    let (mut mine, mut theirs) = (vec![], vec![]);
    // The first run of each fills caches and is not counted.
    for run in 0..=runs {
        let (a, b) = (timed(session, sql).await?, timed(session, reference).await?);
        if run > 0 {
            mine.push(a);
            theirs.push(b);
        }
    }
    mine.sort_by(f64::total_cmp);
    theirs.sort_by(f64::total_cmp);
    Ok(Measure {
        at: percentile(&mine, speed.percentile.unwrap_or(PERCENTILE)),
        median: percentile(&mine, 50),
        reference: percentile(&theirs, 50),
    })
}

async fn prepared(cx: &mut Context<'_>, speed: &Speed, marks: &Marks) -> Result<String, Trouble> {
    let session = cx.reader().await?;
    let filled = marks.fill(&speed.sql, session.dialect())?;
    answer::one_statement(session, &filled)
}

pub(super) async fn note(
    cx: &mut Context<'_>,
    speed: &Speed,
    marks: &Marks,
) -> Result<Value, Trouble> {
    let sql = prepared(cx, speed, marks).await?;
    let mut taken = vec![];
    for _ in 0..MEASURES {
        taken.push(measure(cx.reader().await?, &sql, speed).await?);
        // Two that agree on the load are no accident.
        if let [.., a, b] = taken.as_slice()
            && a.reference.max(b.reference) <= a.reference.min(b.reference) * QUIET
        {
            break;
        }
    }
    serde_json::to_value(best(&taken)).map_err(|error| error.to_string().into())
}

/// The best of the measures that were taken in a quiet moment.
fn best(taken: &[Measure]) -> Option<Measure> {
    let quietest = taken
        .iter()
        .map(|one| one.reference)
        .min_by(f64::total_cmp)?;
    let quiet = taken.iter().filter(|one| one.reference <= quietest * QUIET);
    quiet.min_by(|a, b| a.at.total_cmp(&b.at)).copied()
}

pub(super) async fn find(
    cx: &mut Context<'_>,
    speed: &Speed,
    marks: &Marks,
    when: When,
    noted: Option<&Value>,
) -> Result<Verdict, Trouble> {
    let before: Option<Measure> = match noted {
        Some(noted) if when != When::Before => Some(
            serde_json::from_value(noted.clone())
                .map_err(|error| format!("what was noted cannot be read: {error}"))?,
        ),
        _ => None,
    };
    if before.is_none() && speed.slower_by_at_most.is_some() && when != When::Before {
        let sentence = "nothing was measured when the phase began, so nothing can be compared";
        return Ok(Verdict::Broken(sentence.into()));
    }
    let sql = prepared(cx, speed, marks).await?;
    let (mut taken, mut quiet_ones, began) = (vec![], 0, Instant::now());
    loop {
        let now = measure(cx.reader().await?, &sql, speed).await?;
        let quiet = before.is_none_or(|before| now.reference <= before.reference * QUIET);
        let fine = faults(speed, before.as_ref(), &now).is_empty();
        taken.push(now);
        quiet_ones += usize::from(quiet);
        let patient = began.elapsed() < PATIENCE || taken.len() < MEASURES;
        if quiet && fine || quiet_ones == MEASURES || !patient {
            break;
        }
        if !quiet {
            tokio::time::sleep(PAUSE).await;
        }
    }
    let Some(best) = best(&taken) else {
        return Err("nothing was measured".to_owned().into());
    };
    let faults = faults(speed, before.as_ref(), &best);
    let figures = told(speed, before.as_ref(), &best);
    Ok(if faults.is_empty() {
        Verdict::Holds(figures)
    } else {
        Verdict::Broken(format!("{}; {figures}", faults.join("; ")))
    })
}

/// How much more the reference costs now.
fn load(before: &Measure, now: &Measure) -> f64 {
    if before.reference <= 0.0 {
        return 1.0;
    }
    (now.reference / before.reference).clamp(1.0 / LOAD_MAX, LOAD_MAX)
}

fn faults(speed: &Speed, before: Option<&Measure>, now: &Measure) -> Vec<String> {
    let mut faults = vec![];
    if let Some(within) = speed.within
        && Duration::from_secs_f64(now.at / 1000.0) > within.0
    {
        faults.push(format!("over {}", show_duration(within.0)));
    }
    if let (Some(factor), Some(before)) = (speed.slower_by_at_most, before) {
        let fair = before.at * load(before, now);
        if now.at > fair * factor && now.at - fair > NOTHING {
            faults.push(format!("{:.2} times as slow as before", now.at / fair));
        }
    }
    faults
}

fn told(speed: &Speed, before: Option<&Measure>, now: &Measure) -> String {
    let name = speed.percentile.unwrap_or(PERCENTILE);
    let one = |measure: &Measure| {
        format!(
            "p{name} {:.2} ms, median {:.2} ms, reference {:.2} ms",
            measure.at, measure.median, measure.reference
        )
    };
    match before {
        Some(before) => format!("before: {}; now: {}", one(before), one(now)),
        None => one(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dunlin_core::source::duration::DurationText;

    fn speed(within: Option<u64>, factor: Option<f64>) -> Speed {
        Speed {
            sql: String::new(),
            slower_by_at_most: factor,
            within: within.map(|ms| DurationText(Duration::from_millis(ms))),
            percentile: None,
            runs: None,
        }
    }

    fn measure(at: f64, reference: f64) -> Measure {
        Measure {
            at,
            median: at,
            reference,
        }
    }

    #[test]
    fn a_percentile_is_the_smallest_that_so_many_do_not_exceed() {
        let figures: Vec<f64> = (1..=30).map(f64::from).collect();
        assert_eq!(percentile(&figures, 50), 15.0);
        assert_eq!(percentile(&figures, 95), 29.0);
        assert_eq!(percentile(&figures, 99), 30.0);
        assert_eq!(percentile(&figures, 0), 1.0);
        assert_eq!(percentile(&[], 95), 0.0);
    }

    #[test]
    fn a_busy_moment_neither_blames_nor_excuses() {
        let quiet = [measure(12.0, 1.0), measure(11.0, 1.4), measure(9.0, 3.0)];
        assert_eq!(best(&quiet), Some(quiet[1]));
        assert_eq!(best(&[]), None);
    }

    #[test]
    fn what_may_be_taken_is_scaled_by_the_reference() {
        let before = measure(10.0, 1.0);
        let found = |now: Measure| faults(&speed(None, Some(1.2)), Some(&before), &now).len();
        assert_eq!(found(measure(11.9, 1.0)), 0);
        assert_eq!(found(measure(12.1, 1.0)), 1);
        assert_eq!(
            found(measure(20.0, 2.0)),
            0,
            "the server is busier, and that is all"
        );
        assert_eq!(found(measure(90.0, 9.0)), 1, "too busy to excuse anything");
        assert_eq!(
            found(measure(10.0, 0.5)),
            1,
            "the server is faster, and the query is not"
        );
        let tiny = measure(0.1, 1.0);
        let faster = faults(&speed(None, Some(1.2)), Some(&tiny), &measure(0.3, 1.0));
        assert!(
            faster.is_empty(),
            "a fifth of a millisecond is the network's"
        );
        assert_eq!(
            faults(&speed(Some(5), None), None, &measure(5.1, 1.0)).len(),
            1
        );
        assert_eq!(
            faults(&speed(Some(5), None), None, &measure(4.9, 1.0)).len(),
            0
        );
    }
}
