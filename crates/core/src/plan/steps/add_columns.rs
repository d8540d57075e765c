//! `add_columns`: columns that are not there yet, in one statement where the engine can.

use super::known::at_step;
use super::{Facts, Operations};
use crate::dialect::steps::NewColumn;
use crate::finding::Finding;
use crate::schema::Table;
use crate::source::grammar::steps::AddColumns;
use crate::source::plan::StepDoc;
use crate::sql::alter::column_facts;
use crate::sql::words::{Cursor, Words, by_commas};
use crate::sql::{TokenKind, lex};

/// Reads one definition: `user_id BIGINT NOT NULL`.
fn read(step: &StepDoc, definition: &str, facts: &Facts<'_>) -> Result<NewColumn, Finding> {
    let rules = facts.dialect.lex_rules(facts.lex);
    let bad = |why: &str| {
        at_step(
            "bad-column",
            step,
            format!("`{definition}` is not one column's definition: {why}"),
        )
        .help("write a name and a type, and what else belongs to the column: `user_id BIGINT`")
    };
    let (tokens, _) = lex(definition, &rules);
    if tokens
        .iter()
        .any(|token| token.kind == TokenKind::Delimiter)
    {
        return Err(bad("it holds a `;`"));
    }
    let words = Words::read(definition, &rules);
    if by_commas(&words.toks).len() > 1 {
        return Err(bad("it holds a comma; give each column a text of its own"));
    }
    let (mut open, mut closed_early) = (0_i32, false);
    for tok in &words.toks {
        open += i32::from(tok.op("(")) - i32::from(tok.op(")"));
        closed_early |= open < 0;
    }
    if open != 0 || closed_early {
        return Err(bad("its brackets do not close"));
    }
    let mut cursor = Cursor::over(&words.toks);
    let name = cursor
        .ident(facts.dialect.steps().fold())
        .ok_or_else(|| bad("it begins with no name"))?;
    let facts = column_facts(definition, cursor.rest());
    let from = cursor
        .rest()
        .first()
        .map_or(definition.len(), |tok| tok.start);
    let until = words.toks.last().map_or(from, |tok| tok.end());
    Ok(NewColumn {
        name,
        definition: definition.get(from..until).unwrap_or_default().to_owned(),
        facts,
    })
}

/// The columns that are missing, notes on those that are there, and what forbids the step.
fn missing(
    step: &StepDoc,
    asked: &AddColumns,
    table: &Table,
    facts: &Facts<'_>,
) -> (Vec<NewColumn>, Vec<Finding>, Vec<Finding>) {
    let steps = facts.dialect.steps();
    let mut new: Vec<NewColumn> = vec![];
    let (mut notes, mut faults) = (vec![], vec![]);
    for definition in &asked.columns {
        let column = match read(step, definition, facts) {
            Ok(column) => column,
            Err(fault) => {
                faults.push(fault);
                continue;
            }
        };
        let same = |name: &str| steps.same_name(name, &column.name);
        if new.iter().any(|other| same(&other.name)) {
            let message = format!("`{}` is asked for twice", column.name);
            faults.push(at_step("bad-column", step, message));
            continue;
        }
        let Some(there) = table.columns.iter().find(|other| same(&other.name)) else {
            new.push(column);
            continue;
        };
        let name = format!("{}.{}", table.label(), there.name);
        if steps.same_type(&column.facts.type_text, there) {
            let message = format!(
                "step `{}`: {name} is there already and of this type; the step neither adds it nor takes it away",
                step.id
            );
            notes.push(Finding::info("already-there", step.place.clone(), message));
        } else {
            let message = format!("{name} is there already, as {}", there.native);
            faults.push(
                at_step("already-there", step, message)
                    .help("take it out of the step, or give the new column another name"),
            );
        }
    }
    (new, notes, faults)
}

/// The statements that add what is missing, and those that take exactly that away.
pub(super) fn lower(
    step: &StepDoc,
    asked: &AddColumns,
    facts: &Facts<'_>,
) -> Result<Operations, Vec<Finding>> {
    let table = facts
        .table(step, &asked.table)
        .map_err(|finding| vec![finding])?;
    let (new, findings, faults) = missing(step, asked, table, facts);
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut operations = Operations::default();
    if !new.is_empty() {
        let steps = facts.dialect.steps();
        operations = Operations::of(steps.add_columns(facts.caps, table, &new));
    }
    operations.findings = findings;
    Ok(operations)
}
