//! What takes a statement back, where the statement itself tells.

use super::ddl::quote;
use crate::sql::change::{Change, Ddl};
use crate::sql::{ObjectKind, ObjectRef};

fn qualified(object: &ObjectRef) -> String {
    match &object.schema {
        Some(schema) => format!("{}.{}", quote(schema), quote(&object.name)),
        None => quote(&object.name),
    }
}

/// The table that a part belongs to.
fn parent(part: &ObjectRef) -> Option<String> {
    Some(qualified(&ObjectRef::table(
        part.schema.as_deref(),
        part.parent.as_deref()?,
    )))
}

fn word(kind: ObjectKind) -> Option<&'static str> {
    Some(match kind {
        ObjectKind::Table => "TABLE",
        ObjectKind::View => "VIEW",
        ObjectKind::MaterializedView => "MATERIALIZED VIEW",
        ObjectKind::Index => "INDEX",
        ObjectKind::Function => "FUNCTION",
        ObjectKind::Procedure => "PROCEDURE",
        ObjectKind::Sequence => "SEQUENCE",
        ObjectKind::Type => "TYPE",
        ObjectKind::Schema => "SCHEMA",
        ObjectKind::Database => "DATABASE",
        ObjectKind::Extension => "EXTENSION",
        _ => return None,
    })
}

/// The statements that take it back, newest effect first. `None`: they cannot be derived.
pub fn of(ddl: &Ddl) -> Option<Vec<String>> {
    // What may have been replaced, and what one of several IF [NOT] EXISTS left alone, cannot be told from here.
    if ddl.or_replace || ddl.if_exists || (ddl.if_not_exists && ddl.changes.len() > 1) {
        return None;
    }
    let moved = ddl.changes.iter().any(
        |change| matches!(change, Change::Rename(from, _) if Some(from) == ddl.table.as_ref()),
    );
    // A table that moves does so in a statement of its own; with other clauses the grammar refuses it.
    if moved && ddl.changes.len() > 1 {
        return None;
    }
    ddl.changes
        .iter()
        .rev()
        .map(|change| one(ddl, change))
        .collect()
}

fn one(ddl: &Ddl, change: &Change) -> Option<String> {
    Some(match change {
        Change::Create(object) if object.kind == ObjectKind::Trigger => {
            format!(
                "DROP TRIGGER {} ON {}",
                quote(&object.name),
                parent(object)?
            )
        }
        Change::Create(object) => {
            let arguments = ddl
                .arguments
                .as_ref()
                .map(|arguments| format!("({arguments})"))
                .unwrap_or_default();
            format!(
                "DROP {} {}{arguments}",
                word(object.kind)?,
                qualified(object)
            )
        }
        Change::AddColumn(column, _) => {
            alter(column, &format!("DROP COLUMN {}", quote(&column.name)))?
        }
        Change::AddIndex { index, .. } => {
            let concurrently = if ddl.concurrently {
                "CONCURRENTLY "
            } else {
                ""
            };
            format!("DROP INDEX {concurrently}{}", qualified(index))
        }
        Change::AddConstraint {
            constraint: Some(constraint),
            ..
        } => alter(
            constraint,
            &format!("DROP CONSTRAINT {}", quote(&constraint.name)),
        )?,
        Change::Rename(from, to) => rename(from, to)?,
        _ => return None,
    })
}

fn rename(from: &ObjectRef, to: &ObjectRef) -> Option<String> {
    match from.kind {
        ObjectKind::Column => alter(
            from,
            &format!("RENAME COLUMN {} TO {}", quote(&to.name), quote(&from.name)),
        ),
        ObjectKind::Constraint => alter(
            from,
            &format!(
                "RENAME CONSTRAINT {} TO {}",
                quote(&to.name),
                quote(&from.name)
            ),
        ),
        kind if from.schema == to.schema => Some(format!(
            "ALTER {} {} RENAME TO {}",
            word(kind)?,
            qualified(to),
            quote(&from.name)
        )),
        // Where it was before, only the search path knew.
        kind => Some(format!(
            "ALTER {} {} SET SCHEMA {}",
            word(kind)?,
            qualified(to),
            quote(from.schema.as_deref()?)
        )),
    }
}

fn alter(part: &ObjectRef, clause: &str) -> Option<String> {
    Some(format!("ALTER TABLE {} {clause}", parent(part)?))
}
