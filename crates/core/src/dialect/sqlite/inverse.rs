//! What takes a statement back, where the statement itself tells.

use super::ddl::quote;
use crate::sql::change::{Change, Ddl};
use crate::sql::{ObjectKind, ObjectRef};

fn qualified(schema: Option<&str>, name: &str) -> String {
    match schema {
        Some(schema) => format!("{}.{}", quote(schema), quote(name)),
        None => quote(name),
    }
}

/// The statements that take it back, newest effect first. `None`: they cannot be derived.
pub fn of(ddl: &Ddl) -> Option<Vec<String>> {
    ddl.changes.iter().rev().map(one).collect()
}

fn one(change: &Change) -> Option<String> {
    let drop = |word: &str, object: &ObjectRef| {
        format!(
            "DROP {word} {}",
            qualified(object.schema.as_deref(), &object.name)
        )
    };
    Some(match change {
        Change::Create(object) => match object.kind {
            ObjectKind::Table => drop("TABLE", object),
            ObjectKind::View => drop("VIEW", object),
            ObjectKind::Trigger => drop("TRIGGER", object),
            _ => return None,
        },
        Change::AddIndex { index, .. } => drop("INDEX", index),
        Change::AddColumn(column, _) => {
            alter(column, &format!("DROP COLUMN {}", quote(&column.name)))?
        }
        Change::Rename(from, to) if from.kind == ObjectKind::Table => {
            format!(
                "ALTER TABLE {} RENAME TO {}",
                qualified(to.schema.as_deref(), &to.name),
                quote(&from.name)
            )
        }
        Change::Rename(from, to) if from.kind == ObjectKind::Column => alter(
            from,
            &format!("RENAME COLUMN {} TO {}", quote(&to.name), quote(&from.name)),
        )?,
        _ => return None,
    })
}

fn alter(part: &ObjectRef, clause: &str) -> Option<String> {
    let table = qualified(part.schema.as_deref(), part.parent.as_deref()?);
    Some(format!("ALTER TABLE {table} {clause}"))
}
