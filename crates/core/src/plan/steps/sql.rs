//! `sql`: the author's statements, and what takes them back where that can be derived.

use super::known::place_in;
use super::{Facts, Later, Operations};
use crate::dialect::catalog::Part;
use crate::dialect::steps::Move;
use crate::finding::Finding;
use crate::plan::insert;
use crate::plan::inverse::{self, Stated};
use crate::source::plan::SqlText;
use crate::sql::change::{Change, ConstraintKind};
use crate::sql::{Kind, ObjectRef, PieceKind, split};

/// The statements of a text, each with its place; or the faults of the text.
pub fn statements(text: &SqlText, facts: &Facts<'_>) -> Result<Vec<Stated>, Vec<Finding>> {
    let (pieces, faults) = split(&text.text, &facts.dialect.lex_rules(facts.lex));
    let place = |at: usize| place_in(&text.file, text.line, &text.text, at);
    let mut findings: Vec<Finding> = faults
        .into_iter()
        .map(|fault| Finding::error(fault.code, place(fault.span.start), fault.message))
        .collect();
    let mut statements = vec![];
    for piece in pieces {
        let range = match piece.kind {
            PieceKind::Statement(range) => range,
            PieceKind::Copy { statement, .. } => {
                let message = "rows that follow a COPY are read in migrations, not in a step's SQL";
                findings.push(
                    Finding::error("copy-in-step", place(statement.start), message).help(
                        "write them as INSERT, or put them into a migration and `migrate` to it",
                    ),
                );
                continue;
            }
            PieceKind::Blank | PieceKind::Client(_) => continue,
        };
        let place = place(range.start);
        let sql = text.text.get(range).unwrap_or_default();
        let sql = facts
            .dialect
            .completed(sql)
            .unwrap_or_else(|| sql.to_owned());
        if facts.dialect.classify(&sql, facts.lex).kind == Kind::Transaction {
            let head = sql.split_whitespace().next().unwrap_or_default();
            let message = format!("`{head}`: transactions are the runner's");
            findings
                .push(Finding::error("transaction-control", place, message).help("take it out"));
            continue;
        }
        statements.push(Stated { sql, place });
    }
    if findings.is_empty() {
        Ok(statements)
    } else {
        Err(findings)
    }
}

/// Of the rows that statements have inserted, how to ask whether somebody has changed them since.
pub fn inserted(statements: &[String], facts: &Facts<'_>) -> Vec<Later> {
    let (mut inserts, mut renames) = (vec![], vec![]);
    for (at, sql) in statements.iter().enumerate() {
        let class = facts.dialect.classify(sql, facts.lex);
        if class.kind == Kind::Dml && class.verb == "INSERT" {
            inserts.push((at, sql));
        }
        renames.push(match class.kind {
            Kind::Ddl => inverse::renames(sql, facts.dialect, facts.lex),
            _ => vec![],
        });
    }
    let later = |(at, sql): (usize, &String)| insert::later(sql, facts, &renames[at..]);
    inserts.into_iter().flat_map(later).collect()
}

/// The statements as they stand; `derive`: with their inverse, or what has none.
pub(super) fn lower(
    text: &SqlText,
    facts: &Facts<'_>,
    derive: bool,
) -> Result<Operations, Vec<Finding>> {
    let statements = statements(text, facts)?;
    if !derive {
        return Ok(Operations {
            up: statements.into_iter().map(|stated| stated.sql).collect(),
            ..Operations::default()
        });
    }
    let back = inverse::derive(&statements, facts)?;
    let beside = beside(&statements, facts);
    let moves = statements.into_iter().zip(back);
    let moves = moves.map(|(stated, back)| Move::new(stated.sql, back));
    Ok(Operations {
        beside,
        ..Operations::of(moves.collect())
    })
}

/// Foreign keys that statements add to tables that are there, and of whose name there is no index yet.
fn beside(statements: &[Stated], facts: &Facts<'_>) -> Vec<ObjectRef> {
    let steps = facts.dialect.steps();
    if !steps.indexes_keys() {
        return vec![];
    }
    let all = statements
        .iter()
        .filter_map(|stated| steps.ddl(&stated.sql, facts.lex));
    let changes = all.flat_map(|ddl| ddl.changes);
    let keys = changes.filter_map(|change| match change {
        Change::AddConstraint {
            constraint: Some(key),
            kind: ConstraintKind::ForeignKey,
            ..
        } => Some(key),
        _ => None,
    });
    let is_new = |key: &ObjectRef| {
        let table = ObjectRef::table(key.schema.as_deref(), key.parent.as_deref()?);
        let Some(Part::Table(table)) = facts.part(&table) else {
            return None;
        };
        let mut names = table.indexes.iter();
        Some(!names.any(|index| steps.same_name(&index.name, &key.name)))
    };
    keys.filter(|key| is_new(key) == Some(true)).collect()
}
