//! `index`: an index that is built while others go on, where the engine can.

use super::known::at_step;
use super::violations::{Suspect, names};
use super::{Facts, Operations};
use crate::dialect::steps::{self as render, NewIndex};
use crate::finding::Finding;
use crate::schema::text::normal;
use crate::schema::{Column, Index, Table};
use crate::source::grammar::steps::IndexStep;
use crate::source::plan::StepDoc;
use crate::value::{Query, Row};

/// A column of an index as the step names it.
struct Wanted<'a> {
    column: &'a Column,
    descending: bool,
    length: Option<u32>,
}

/// Reads `sent_at`, `sent_at DESC`, `name(20)`.
fn wanted<'a>(
    step: &StepDoc,
    table: &'a Table,
    text: &str,
    facts: &Facts<'a>,
) -> Result<Wanted<'a>, Finding> {
    let plain = |column| Wanted {
        column,
        descending: false,
        length: None,
    };
    if let Some(column) = facts.column_of(table, text) {
        return Ok(plain(column));
    }
    let (mut name, mut descending, mut length) = (text.trim(), false, None);
    if let Some((rest, word)) = name.rsplit_once(char::is_whitespace) {
        let is_direction = word.eq_ignore_ascii_case("desc") || word.eq_ignore_ascii_case("asc");
        if is_direction {
            descending = word.eq_ignore_ascii_case("desc");
            name = rest.trim_end();
        }
    }
    if facts.dialect.steps().prefix_indexes()
        && let Some((rest, digits)) = name
            .strip_suffix(')')
            .and_then(|text| text.rsplit_once('('))
        && let Ok(number) = digits.trim().parse()
    {
        length = Some(number);
        name = rest.trim_end();
    }
    let column = facts.column(step, table, name)?;
    Ok(Wanted {
        column,
        descending,
        length,
    })
}

struct Read<'a> {
    table: &'a Table,
    columns: Vec<Wanted<'a>>,
}

fn read<'a>(
    step: &StepDoc,
    asked: &IndexStep,
    facts: &Facts<'a>,
) -> Result<Read<'a>, Vec<Finding>> {
    let table = facts
        .table(step, &asked.table)
        .map_err(|finding| vec![finding])?;
    let (mut columns, mut faults) = (vec![], vec![]);
    for name in &asked.columns {
        match wanted(step, table, name, facts) {
            Ok(column) => columns.push(column),
            Err(fault) => faults.push(fault),
        }
    }
    if columns.is_empty() && faults.is_empty() {
        faults.push(
            at_step("missing-key", step, "the index is over no columns")
                .help("name them in `columns`"),
        );
    }
    let only = condition(asked);
    if only.is_some() && !facts.dialect.steps().partial_indexes() {
        let message = format!(
            "{} has no partial indexes, and `where` asks for one",
            facts.caps.engine
        );
        faults.push(at_step("not-on-this-engine", step, message).help(
            "leave `where` out, or index a generated column that is NULL for the other rows",
        ));
    }
    if let Some(only) = only
        && let Some(why) = super::broken_expression(only, facts)
    {
        faults.push(at_step(
            "bad-value",
            step,
            format!("`where` of the index {why}"),
        ));
    }
    if faults.is_empty() {
        Ok(Read { table, columns })
    } else {
        Err(faults)
    }
}

fn condition(asked: &IndexStep) -> Option<&str> {
    asked
        .only
        .as_deref()
        .map(str::trim)
        .filter(|only| !only.is_empty())
}

fn suspect(read: &Read<'_>, asked: &IndexStep, facts: &Facts<'_>) -> Option<Suspect> {
    let prefix = read.columns.iter().any(|wanted| wanted.length.is_some());
    if !asked.unique || prefix || there(read, asked, facts) == There::Same {
        return None;
    }
    let columns: Vec<&Column> = read.columns.iter().map(|wanted| wanted.column).collect();
    let names = names(&columns);
    Some(Suspect {
        query: render::select_duplicates(facts.dialect, read.table, &columns, condition(asked)),
        grouped: true,
        what: format!("{} is to be unique", asked.name),
        columns: names,
        help: "change or remove all but one row of each, then run again".into(),
    })
}

/// Asks for rows that a unique index would refuse.
pub(super) fn asks(step: &StepDoc, asked: &IndexStep, facts: &Facts<'_>) -> Vec<Query> {
    let read = read(step, asked, facts);
    let suspect = read.ok().and_then(|read| suspect(&read, asked, facts));
    suspect.map(|suspect| suspect.query).into_iter().collect()
}

#[derive(PartialEq)]
enum There {
    No,
    /// An interrupted build left it.
    Invalid,
    Same,
    Other(String),
}

fn there(read: &Read<'_>, asked: &IndexStep, facts: &Facts<'_>) -> There {
    let dialect = facts.dialect;
    let same = |name: &str| dialect.steps().same_name(name, &asked.name);
    let Some(index) = read.table.indexes.iter().find(|index| same(&index.name)) else {
        return There::No;
    };
    if dialect.steps().is_invalid(index) {
        return There::Invalid;
    }
    let part = |(part, wanted): (&crate::schema::IndexPart, &Wanted<'_>)| {
        part.what == wanted.column.name
            && !part.expression
            && part.descending == wanted.descending
            && part.length == wanted.length
    };
    // How a server spells a condition is its own: two conditions are one where their letters and signs are.
    let letters = |text: &str| {
        normal(text, dialect)
            .to_lowercase()
            .replace(['(', ')', ' ', '"', '`'], "")
    };
    let predicate = |index: &Index| index.predicate.as_deref().map(letters);
    let equal = index.unique == asked.unique
        && index.parts.len() == read.columns.len()
        && index.parts.iter().zip(&read.columns).all(part)
        && predicate(index) == condition(asked).map(letters);
    if equal {
        There::Same
    } else {
        let catalog = dialect.catalog();
        let part = crate::dialect::catalog::Part::Index(
            read.table.schema.as_deref(),
            &read.table.name,
            index,
        );
        There::Other(catalog.clause(part))
    }
}

/// The statements that build it, and those that drop it.
pub(super) fn lower(
    step: &StepDoc,
    asked: &IndexStep,
    facts: &Facts<'_>,
    answers: &[Vec<Row>],
) -> Result<Operations, Vec<Finding>> {
    let read = read(step, asked, facts)?;
    let (dialect, steps) = (facts.dialect, facts.dialect.steps());
    let mut before = vec![];
    match there(&read, asked, facts) {
        There::No => {}
        There::Invalid => before = steps.drop_index(read.table, &asked.name),
        There::Same => {
            let message = format!(
                "step `{}`: the index {} of {} is there already; the step neither builds it nor takes it away",
                step.id,
                asked.name,
                read.table.label()
            );
            let findings = vec![Finding::info("already-there", step.place.clone(), message)];
            return Ok(Operations {
                findings,
                ..Operations::default()
            });
        }
        There::Other(clause) => {
            let message = format!(
                "{} has another index {}: {clause}",
                read.table.label(),
                asked.name
            );
            return Err(vec![
                at_step("already-there", step, message).help("give the new index another name"),
            ]);
        }
    }
    if let Some(suspect) = suspect(&read, asked, facts) {
        let rows = super::answer(step, answers, 0)?;
        if let Some(finding) = suspect.judge(step, &read.table.label(), rows) {
            return Err(vec![finding]);
        }
    }
    let parts = read.columns.iter().map(|wanted| {
        let mut part = dialect.quote(&wanted.column.name);
        if let Some(length) = wanted.length {
            part.push_str(&format!("({length})"));
        }
        if wanted.descending {
            part.push_str(" DESC");
        }
        part
    });
    let new = NewIndex {
        name: asked.name.clone(),
        parts: parts.collect(),
        unique: asked.unique,
        only: condition(asked).map(str::to_owned),
    };
    before.extend(steps.add_index(facts.caps, read.table, &new));
    let back = steps.drop_index(read.table, &asked.name);
    Ok(Operations::of(render::moves(before, back)))
}
