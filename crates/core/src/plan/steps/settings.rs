//! `settings`: rows of a settings table, written where they are missing or other, and given back exactly.

use super::known::at_step;
use super::{Facts, Later, Operations};
use crate::dialect::steps::{self as render, Move, Pair};
use crate::finding::Finding;
use crate::plan::insert::untouched;
use crate::schema::{Column, Table};
use crate::source::grammar::steps::Settings;
use crate::source::plan::StepDoc;
use crate::value::{Query, Row};
use std::collections::BTreeMap;

/// A row as the catalog's columns and SQL values.
struct Wanted<'a> {
    key: Vec<Pair<'a>>,
    values: Vec<Pair<'a>>,
}

struct Read<'a> {
    table: &'a Table,
    rows: Vec<Wanted<'a>>,
    /// Columns that an update moves by itself.
    moved: Vec<&'a Column>,
}

fn read<'a>(step: &StepDoc, asked: &Settings, facts: &Facts<'a>) -> Result<Read<'a>, Vec<Finding>> {
    let table = facts
        .table(step, &asked.table)
        .map_err(|finding| vec![finding])?;
    let mut faults = vec![];
    let mut keys: Vec<&Column> = vec![];
    for name in &asked.key {
        match facts.column(step, table, name) {
            Ok(column) => keys.push(column),
            Err(fault) => faults.push(fault),
        }
    }
    if asked.key.is_empty() {
        faults.push(
            at_step("missing-key", step, "`key` names no column")
                .help("name the columns that tell the rows apart"),
        );
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut rows: Vec<Wanted<'_>> = vec![];
    for row in &asked.rows {
        match one(step, table, &keys, row, facts) {
            Ok(wanted) => {
                let same = |other: &Wanted<'_>| other.key == wanted.key;
                if rows.iter().any(same) {
                    let message = format!("the row {} stands there twice", shown(&wanted.key));
                    faults.push(at_step("bad-value", step, message).help("write it once"));
                } else {
                    rows.push(wanted);
                }
            }
            Err(more) => faults.extend(more),
        }
    }
    if !faults.is_empty() {
        faults.dedup();
        return Err(faults);
    }
    let moves = |column: &&Column| column.on_update.is_some();
    let moved = table.columns.iter().filter(moves).collect();
    Ok(Read { table, rows, moved })
}

fn one<'a>(
    step: &StepDoc,
    table: &'a Table,
    keys: &[&'a Column],
    row: &BTreeMap<String, serde_json::Value>,
    facts: &Facts<'a>,
) -> Result<Wanted<'a>, Vec<Finding>> {
    let mut wanted = Wanted {
        key: vec![],
        values: vec![],
    };
    let mut faults = vec![];
    for (name, value) in row {
        match facts.column(step, table, name) {
            Ok(column) => {
                let sql = facts.dialect.steps().value(column, value);
                let is_key = keys.iter().any(|key| key.name == column.name);
                let pairs = if is_key {
                    &mut wanted.key
                } else {
                    &mut wanted.values
                };
                pairs.push((column, sql));
            }
            Err(fault) => faults.push(fault),
        }
    }
    for key in keys {
        if wanted.key.iter().all(|(column, _)| column.name != key.name) {
            faults.push(
                at_step("missing-key", step, format!("a row has no `{}`", key.name))
                    .help("give every row a value for each column of `key`"),
            );
        }
    }
    if faults.is_empty() {
        Ok(wanted)
    } else {
        Err(faults)
    }
}

/// A key for people.
fn shown(key: &[Pair<'_>]) -> String {
    let each: Vec<String> = key
        .iter()
        .map(|(column, value)| format!("{} = {value}", column.name))
        .collect();
    each.join(", ")
}

/// For each row: of each value whether it is there already, and what is there now; then what an update would move.
fn query(read: &Read<'_>, row: &Wanted<'_>, facts: &Facts<'_>) -> Query {
    let steps = facts.dialect.steps();
    let mut list = vec![];
    for (column, value) in &row.values {
        list.push(steps.holds(facts.caps, column, value));
        list.push(steps.kept(column));
    }
    list.extend(moved(read, row).map(|column| steps.kept(column)));
    render::select(facts.dialect, read.table, &list, &row.key)
}

/// What an update of this row moves by itself: what it sets is not moved.
fn moved<'r, 'a>(read: &'r Read<'a>, row: &'r Wanted<'a>) -> impl Iterator<Item = &'a Column> + 'r {
    let set = |column: &Column| {
        row.values
            .iter()
            .any(|(other, _)| other.name == column.name)
    };
    read.moved
        .iter()
        .copied()
        .filter(move |column| !set(column))
}

/// Asks for the rows of the keys.
pub(super) fn asks(step: &StepDoc, asked: &Settings, facts: &Facts<'_>) -> Vec<Query> {
    match read(step, asked, facts) {
        Ok(read) => read
            .rows
            .iter()
            .map(|row| query(&read, row, facts))
            .collect(),
        Err(_) => vec![],
    }
}

/// The statements that write what is missing or other, and those that give back exactly that.
pub(super) fn lower(
    step: &StepDoc,
    asked: &Settings,
    facts: &Facts<'_>,
    answers: &[Vec<Row>],
) -> Result<Operations, Vec<Finding>> {
    let read = read(step, asked, facts)?;
    let (mut moves, mut still) = (vec![], vec![]);
    let (mut met, mut faults) = (vec![], vec![]);
    for (at, row) in read.rows.iter().enumerate() {
        match super::answer(step, answers, at)? {
            [] => {
                moves.push(added(&read, row, facts));
                still.push(missing(&read, row, facts));
                met.extend(whole(&read, row, facts));
            }
            [there] => {
                if let Some((one, found, later)) = changed(&read, row, there, facts) {
                    moves.push(one);
                    still.push(found);
                    met.extend([later, removed(&read, row, facts)]);
                }
            }
            several => {
                let message = format!(
                    "{} rows of {} have {}",
                    several.len(),
                    read.table.label(),
                    shown(&row.key)
                );
                faults.push(at_step("key-not-unique", step, message).help(
                    "name in `key` the columns that tell the rows apart, or remove the rows that are too many",
                ));
            }
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Operations {
        still,
        later: met,
        ..Operations::of(moves)
    })
}

/// The row as it was inserted, which the undo takes away.
fn whole(read: &Read<'_>, row: &Wanted<'_>, facts: &Facts<'_>) -> Option<Later> {
    let given = row.key.iter().chain(&row.values);
    let given: Vec<&Column> = given.map(|(column, _)| *column).collect();
    let mut holds = held(&row.values, facts);
    let (more, whole) = untouched(read.table, &given, facts);
    holds.extend(more);
    let what = format!("{} ({})", read.table.label(), shown(&row.key));
    let later = |holds: &[String]| Later {
        whole,
        ..later(read, row, what, holds, (facts, true))
    };
    (!holds.is_empty()).then(|| later(&holds))
}

/// The row that the step has changed, where somebody has removed it since.
fn removed(read: &Read<'_>, row: &Wanted<'_>, facts: &Facts<'_>) -> Later {
    Later {
        what: format!("{} without {}", read.table.label(), shown(&row.key)),
        sql: missing(read, row, facts),
        destroys: false,
        table: read.table.label(),
        only: String::new(),
        whole: false,
        own: String::new(),
    }
}

/// Gives a row where no row of the key is there.
fn missing(read: &Read<'_>, row: &Wanted<'_>, facts: &Facts<'_>) -> String {
    render::select_missing(facts.dialect, read.table, &row.key)
}

/// That columns hold what was written.
fn held<'p, 'a: 'p>(
    written: impl IntoIterator<Item = &'p Pair<'a>>,
    facts: &Facts<'_>,
) -> Vec<String> {
    let steps = facts.dialect.steps();
    let written = written.into_iter();
    let holds = written.map(|(column, value)| steps.holds(facts.caps, column, value));
    holds.collect()
}

fn later(
    read: &Read<'_>,
    row: &Wanted<'_>,
    what: String,
    holds: &[String],
    (facts, destroys): (&Facts<'_>, bool),
) -> Later {
    Later {
        what,
        sql: render::select_changed(facts.dialect, read.table, &row.key, holds),
        destroys,
        table: read.table.label(),
        only: render::is_changed(facts.dialect, &row.key, holds),
        whole: false,
        own: render::delete_unchanged(facts.dialect, read.table, &row.key, holds),
    }
}

fn added(read: &Read<'_>, row: &Wanted<'_>, facts: &Facts<'_>) -> Move {
    let whole: Vec<Pair<'_>> = row.key.iter().chain(&row.values).cloned().collect();
    Move::new(
        render::insert(facts.dialect, read.table, &whole),
        vec![render::delete(facts.dialect, read.table, &row.key)],
    )
}

fn changed(
    read: &Read<'_>,
    row: &Wanted<'_>,
    there: &Row,
    facts: &Facts<'_>,
) -> Option<(Move, String, Later)> {
    let steps = facts.dialect.steps();
    let mut written: Vec<&Pair<'_>> = vec![];
    // What the undo gives back, and that the row holds just that when it is written over: what others write in between
    // would be lost.
    let (mut back, mut still): (Vec<Pair<'_>>, Vec<String>) = (vec![], vec![]);
    let mut kept = |column, at: usize| {
        let text = there.get(at).and_then(crate::value::Value::as_str);
        back.push((column, steps.read_kept(column, text)));
        still.push(steps.still(column, text));
    };
    for (at, pair) in row.values.iter().enumerate() {
        let holds = there.get(at * 2).and_then(crate::value::Value::as_bool);
        if holds != Some(true) {
            written.push(pair);
            kept(pair.0, at * 2 + 1);
        }
    }
    if written.is_empty() {
        return None;
    }
    let from = row.values.len() * 2;
    for (at, column) in moved(read, row).enumerate() {
        kept(column, from + at);
    }
    let set: Vec<Pair<'_>> = written.iter().map(|pair| (*pair).clone()).collect();
    // What somebody wrote since stays.
    let holds = held(written.iter().copied(), facts);
    let (dialect, table) = (facts.dialect, read.table);
    let one = Move::new(
        render::update(dialect, table, &set, &row.key, &still),
        vec![render::update(dialect, table, &back, &row.key, &holds)],
    );
    let names: Vec<&str> = written
        .iter()
        .map(|(column, _)| column.name.as_str())
        .collect();
    let (names, label) = (names.join(", "), table.label());
    let what = format!("{names} of {label} ({})", shown(&row.key));
    let found = render::select_still(dialect, table, &row.key, &still);
    Some((one, found, later(read, row, what, &holds, (facts, false))))
}
