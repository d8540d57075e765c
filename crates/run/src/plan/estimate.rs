//! Estimates of a plan: from the sizes of its tables and rates that are measured on the server, by reading only.

use super::look::{Classed, Ground, StepLook, by_command};
use crate::observe;
use dunlin_core::facts::TableSize;
use dunlin_core::plan::estimate::{self, Estimate, Rates, Work};
use dunlin_core::plan::steps::Inverse;
use dunlin_core::source::duration::parse_duration;
use dunlin_core::source::grammar::steps::{Backfill, NumberOrAuto};
use dunlin_core::source::plan::{PhaseDoc, PlanDoc, StepDoc, StepSpec, UndoSpec};
use dunlin_core::value::Query;
use dunlin_engines::Session;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Rows of a batch that is measured; and how many of them a table must have, so that the figure says something.
const BATCH_ROWS: u64 = 20_000;
const ROWS_MIN: u64 = 1_000;

/// How long one batch may take: a slow one is a measure too, but `plan show` is waited for.
const PATIENCE: Duration = Duration::from_millis(300);

/// Batches that count, after one that warms the cache.
const BATCHES: usize = 3;

/// Measures on the largest table that the plan's steps work on, or takes the rule of thumb and says so.
pub async fn calibrate(
    session: &mut dyn Session,
    ground: &Ground<'_>,
    looks: &BTreeMap<String, StepLook>,
    doc: &PlanDoc,
) -> Rates {
    let thumb = Rates::by_rule_of_thumb();
    let Some(table) = largest(ground, looks, doc) else {
        return thumb;
    };
    let rows = table.rows.unwrap_or(0).min(BATCH_ROWS);
    let dialect = session.dialect();
    let sample = |rows: u64| dialect.sample(table.schema.as_deref(), &table.name, rows);
    let (empty, batch) = (sample(0), sample(rows));
    let Some(trip) = took(session, &empty, BATCHES).await else {
        return thumb;
    };
    let trip_ms = median(&trip);
    match took(session, &batch, BATCHES).await {
        Some(took) => Rates::measured(rows, &took, trip_ms, &table.name).unwrap_or(thumb),
        None => Rates { trip_ms, ..thumb },
    }
}

/// How long a query takes, in milliseconds, some times; `None` where it fails or takes too long.
async fn took(session: &mut dyn Session, query: &Query, times: usize) -> Option<Vec<f64>> {
    let mut took = vec![];
    for time in 0..=times {
        let started = Instant::now();
        observe::bounded(session, query, PATIENCE).await.ok()?;
        if time > 0 {
            took.push(started.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    Some(took)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(1.0)
}

fn largest<'g>(
    ground: &'g Ground<'_>,
    looks: &BTreeMap<String, StepLook>,
    doc: &PlanDoc,
) -> Option<&'g TableSize> {
    let by_statement = looks
        .values()
        .flat_map(|look| &look.up)
        .filter(|one| matches!(estimate::work_of(&one.class), Work::Scan | Work::Rewrite))
        .flat_map(|one| estimate::tables_of(&one.class, &ground.sizes));
    let by_kind = doc
        .steps()
        .flat_map(|(_, step)| tables(step))
        .filter_map(|table| ground.size_of(table));
    by_statement
        .chain(by_kind)
        .filter(|size| size.rows.is_some_and(|rows| rows >= ROWS_MIN))
        .max_by_key(|size| size.rows)
}

/// The tables whose rows a step reads or writes by its kind.
fn tables(step: &StepDoc) -> Vec<&str> {
    match &step.kind {
        StepSpec::Backfill(backfill) => vec![&backfill.table],
        StepSpec::Require(require) => vec![&require.table],
        StepSpec::Index(index) => vec![&index.table],
        StepSpec::Checkpoint(checkpoint) => checkpoint.tables.iter().map(String::as_str).collect(),
        _ => vec![],
    }
}

/// How long a phase may take: what is journalled when it begins.
pub fn of_phase(
    phase: &PhaseDoc,
    looks: &BTreeMap<String, StepLook>,
    ground: &Ground<'_>,
    rates: &Rates,
) -> Estimate {
    let parts: Vec<(&str, Estimate)> = phase
        .steps
        .iter()
        .map(|step| {
            let (forward, _) = of_step(step, looks.get(&step.id), ground, rates);
            (step.id.as_str(), forward)
        })
        .collect();
    Estimate::sum(parts.iter().map(|(id, part)| (*id, part)), "steps")
}

/// How long a step may take, and how long taking it back.
pub fn of_step(
    step: &StepDoc,
    look: Option<&StepLook>,
    ground: &Ground<'_>,
    rates: &Rates,
) -> (Estimate, Estimate) {
    let forward = match step.estimate {
        Some(author) => Estimate::by_author(author),
        None => measured(step, look, ground, rates),
    };
    let back = match (&step.undo, look.and_then(|look| look.inverse.as_ref())) {
        (UndoSpec::Impossible(_), _) => Estimate::unknown("it cannot be taken back"),
        (UndoSpec::None(_), _) => Estimate::of(0, "nothing is to be taken back", Some(0.0)),
        (UndoSpec::Exec(_), _) => Estimate::unknown("how long a command takes is not known"),
        (UndoSpec::Restore, _) => restored(step, look, ground, rates),
        (UndoSpec::Derive, _) if by_command(ground, step) => {
            Estimate::unknown("how long its command takes is not known")
        }
        (UndoSpec::Derive, _) if by_rows(step) => forward.clone(),
        (_, Some(Inverse::Statements(_) | Inverse::Migrations(_))) => {
            statements(look.map_or(&[], |look| &look.undo), &[], ground, rates)
        }
        (UndoSpec::Derive, _) => match &step.kind {
            StepSpec::Plugin { .. } | StepSpec::Settings(_) => rates.trip("writes a few rows"),
            StepSpec::Index(_) | StepSpec::Require(_) | StepSpec::AddColumns(_) => {
                rates.trip("changes the catalog only")
            }
            _ => Estimate::unknown("its inverse is known when its turn comes"),
        },
        (UndoSpec::Sql(_), _) => Estimate::unknown("its statements could not be read"),
    };
    (forward, back)
}

/// Whether a step's inverse writes the rows that it wrote.
fn by_rows(step: &StepDoc) -> bool {
    matches!(step.kind, StepSpec::Backfill(_) | StepSpec::Clean(_))
}

fn restored(
    step: &StepDoc,
    look: Option<&StepLook>,
    ground: &Ground<'_>,
    rates: &Rates,
) -> Estimate {
    let of_kind = tables(step)
        .into_iter()
        .filter_map(|table| ground.size_of(table));
    let touched = look.into_iter().flat_map(|look| &look.up);
    let touched = touched.flat_map(|one| estimate::tables_of(&one.class, &ground.sizes));
    let rows = of_kind.chain(touched).filter_map(|size| size.rows).max();
    match rows {
        Some(rows) => rates.rewrite_of(rows),
        None => Estimate::unknown("the rows that it would bring back are not counted"),
    }
}

/// Why nobody knows how long a step of this kind takes.
fn unknowable(kind: &StepSpec) -> Option<String> {
    Some(match kind {
        StepSpec::Manual(_) => "a person's work".into(),
        StepSpec::Exec(_) => {
            "how long a command takes is not known; `estimate` in the step says it".into()
        }
        StepSpec::Http(_) => {
            "how long a service takes is not known; `estimate` in the step says it".into()
        }
        StepSpec::Later(kind) => format!("steps of the kind `{kind}` come with a later version"),
        StepSpec::Copy(_) => {
            "how much there is to copy is known when its turn comes; `dunlin copy … --dry-run` measures it".into()
        }
        StepSpec::Export(_) | StepSpec::Import(_) => {
            "how many rows there are is known when its turn comes; `estimate` in the step says it".into()
        }
        StepSpec::Clean(_) => {
            "how many rows violate its rules is known when its turn comes; `dunlin clean --dry-run` counts them".into()
        }
        _ => return None,
    })
}

fn measured(
    step: &StepDoc,
    look: Option<&StepLook>,
    ground: &Ground<'_>,
    rates: &Rates,
) -> Estimate {
    let rows = |table: &str| ground.size_of(table).and_then(|size| size.rows);
    let not_counted = |table: &str| match ground.is_connected {
        true => Estimate::unknown(format!(
            "the rows of {table} are not counted: it is not there yet, or its statistics are not"
        )),
        false => Estimate::unknown("nobody has answered yet"),
    };
    if let Some(why) = unknowable(&step.kind) {
        return Estimate::unknown(why);
    }
    match &step.kind {
        StepSpec::Backfill(backfill) => match rows(&backfill.table) {
            // Each batch writes the rows and, in the same transaction, what they were.
            Some(rows) => paused(backfill, rows, rates.rewrite_of(rows.saturating_mul(2))),
            None => not_counted(&backfill.table),
        },
        StepSpec::Checkpoint(checkpoint) => {
            let all: Option<u64> = checkpoint.tables.iter().map(|table| rows(table)).sum();
            match all {
                Some(rows) => rates.scan_of(rows),
                None => not_counted(&checkpoint.tables.join(", ")),
            }
        }
        StepSpec::Require(require) if look.is_none_or(|look| look.up.is_empty()) => {
            let checks = require.not_null.len()
                + require.unique.len()
                + require.foreign_keys.len()
                + require.checks.len();
            match rows(&require.table) {
                Some(rows) => rates.scan_of(rows.saturating_mul(checks as u64)),
                None => not_counted(&require.table),
            }
        }
        StepSpec::Index(index) if look.is_none_or(|look| look.up.is_empty()) => {
            match rows(&index.table) {
                Some(rows) => rates.scan_of(rows),
                None => not_counted(&index.table),
            }
        }
        StepSpec::Plugin { .. } if by_command(ground, step) => Estimate::unknown(
            "how long its command takes is not known; `estimate` in the step says it",
        ),
        StepSpec::Plugin { .. } | StepSpec::Settings(_) => match look {
            Some(look) if !look.up.is_empty() => statements(&look.up, &look.makes(), ground, rates),
            _ => rates.trip("writes a few rows"),
        },
        _ => match look {
            Some(look) if look.up.is_empty() && look.unknown.is_some() => {
                Estimate::unknown(look.unknown.clone().unwrap_or_default())
            }
            Some(look) if look.up.is_empty() => Estimate::of(0, "nothing is to be done", Some(0.0)),
            Some(look) => statements(&look.up, &look.makes(), ground, rates),
            None => Estimate::unknown("its statements are not known"),
        },
    }
}

/// The same with the pauses between batches, where the step says how long they are and how many.
fn paused(backfill: &Backfill, rows: u64, work: Estimate) -> Estimate {
    let pause = backfill.pause.as_deref().map(parse_duration);
    let (Some(Ok(pause)), Some(NumberOrAuto::Number(batch))) = (pause, &backfill.batch) else {
        return work;
    };
    let batches = rows.div_ceil((*batch).max(1));
    let pauses = u64::try_from(pause.as_millis().saturating_mul(batches.into()));
    Estimate {
        ms: work
            .ms
            .map(|ms| ms.saturating_add(pauses.unwrap_or(u64::MAX))),
        source: format!(
            "{batches} pauses of {} ms; {}",
            pause.as_millis(),
            work.source
        ),
        ..work
    }
}

/// `made`: tables that the statements themselves make, so that they are empty while the others run.
fn statements(list: &[Classed], made: &[String], ground: &Ground<'_>, rates: &Rates) -> Estimate {
    let parts: Vec<(String, Estimate)> = list
        .iter()
        .map(|one| {
            let name = one
                .sql
                .split_whitespace()
                .take(3)
                .collect::<Vec<_>>()
                .join(" ");
            (
                name,
                estimate::of_statement_after(&one.class, &ground.sizes, rates, made),
            )
        })
        .collect();
    if let [(_, only)] = parts.as_slice() {
        return only.clone();
    }
    Estimate::sum(
        parts.iter().map(|(name, part)| (name.as_str(), part)),
        "statements",
    )
}
