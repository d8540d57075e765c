//! `undo = "restore"`: which tables are kept before a step, so that their rows can be merged back.
//!
//! Rows come back, and nothing else: a step that changes the catalog is refused, and so is a table in which a row cannot
//! be found again. Tables whose rows go or change along by a foreign key are kept, too.

use super::{Facts, known};
use crate::finding::Finding;
use crate::schema::{ForeignKey, Table, key};
use crate::source::plan::StepDoc;
use crate::sql::change::Change;
use crate::sql::{Kind, ObjectKind, StatementClass};

/// The tables to keep before these statements, by label.
pub(super) fn tables(
    step: &StepDoc,
    statements: &[String],
    facts: &Facts<'_>,
) -> Result<Vec<String>, Vec<Finding>> {
    let (mut findings, mut kept): (Vec<Finding>, Vec<&Table>) = (vec![], vec![]);
    for sql in statements {
        let class = facts.dialect.classify(sql, facts.lex);
        if matches!(class.kind, Kind::Query | Kind::Session) {
            continue;
        }
        if !changes_rows_only(sql, &class, facts) {
            findings.push(refused(step, sql, "changes more than rows"));
            continue;
        }
        for object in &class.touches {
            let name = object.parent.as_deref().unwrap_or(&object.name);
            match facts.table_of(object.schema.as_deref(), name) {
                Some(table) if kept.contains(&table) => {}
                Some(table) => kept.push(table),
                None if object.kind == ObjectKind::Table => {
                    let label = crate::schema::label(object.schema.as_deref(), name);
                    findings.extend(facts.table(step, &label).err());
                }
                None => findings.push(refused(step, sql, "changes what is no table")),
            }
        }
    }
    if kept.is_empty() && findings.is_empty() {
        let message = "it has no statement that tells which rows it changes".to_owned();
        findings.push(finding(step, "no-inverse", message));
    }
    follow(&mut kept, facts);
    for table in &kept {
        if key::of(table).is_none() {
            let message = format!("{} has no key by which a row is found again", table.label());
            findings.push(finding(step, "no-unique-key", message));
        }
    }
    match findings.is_empty() {
        true => Ok(kept.iter().map(|table| table.label()).collect()),
        false => Err(findings),
    }
}

/// Whether a statement changes rows and nothing else, in a transaction.
fn changes_rows_only(sql: &str, class: &StatementClass, facts: &Facts<'_>) -> bool {
    if class.kind == Kind::Dml {
        return !class.touches.is_empty();
    }
    let ddl = facts.dialect.steps().ddl(sql, facts.lex);
    let empties = |change: &Change| matches!(change, Change::Empty(_));
    class.kind == Kind::Ddl
        && facts.caps.transactional_ddl
        && ddl.is_some_and(|ddl| !ddl.changes.is_empty() && ddl.changes.iter().all(empties))
}

/// Adds the tables whose rows a foreign key takes along.
fn follow<'a>(kept: &mut Vec<&'a Table>, facts: &Facts<'a>) {
    let acts = |key: &ForeignKey| {
        let acts =
            |action: &Option<String>| action.as_deref().is_some_and(|action| action != "RESTRICT");
        acts(&key.on_delete) || acts(&key.on_update)
    };
    let mut at = 0;
    while at < kept.len() {
        let parent = kept[at];
        let refers = |table: &&Table| {
            table.foreign_keys.iter().any(|key| {
                acts(key) && key.references == parent.name && key.references_schema == parent.schema
            })
        };
        for child in facts.catalog.tables.iter().filter(refers) {
            if !kept.contains(&child) {
                kept.push(child);
            }
        }
        at += 1;
    }
}

fn refused(step: &StepDoc, sql: &str, why: &str) -> Finding {
    let head = crate::redact::head_of(sql);
    finding(step, "no-inverse", format!("`{head}` {why}"))
}

fn finding(step: &StepDoc, code: &'static str, why: String) -> Finding {
    let message = format!("`undo = \"restore\"` brings rows back by their keys: {why}");
    known::at_step(code, step, message).help(
        "let the undo be derived or write it; put what changes the catalog into a step of its own",
    )
}
