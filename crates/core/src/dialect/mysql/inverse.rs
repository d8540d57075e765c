//! What takes a statement back, where the statement itself tells.

use super::ddl::quote;
use crate::sql::change::{Change, ConstraintKind, Ddl};
use crate::sql::{ObjectKind, ObjectRef};

fn qualified(object: &ObjectRef) -> String {
    match &object.schema {
        Some(schema) => format!("{}.{}", quote(schema), quote(&object.name)),
        None => quote(&object.name),
    }
}

/// The table that a part belongs to.
fn parent(part: &ObjectRef) -> Option<String> {
    let table = ObjectRef::table(part.schema.as_deref(), part.parent.as_deref()?);
    Some(qualified(&table))
}

/// The statements that take it back, newest effect first. `None`: they cannot be derived.
pub fn of(ddl: &Ddl) -> Option<Vec<String>> {
    // What may have been replaced, and what one of several IF [NOT] EXISTS left alone, cannot be told from here.
    if ddl.or_replace || ddl.if_exists || (ddl.if_not_exists && ddl.changes.len() > 1) {
        return None;
    }
    let renames = ddl
        .changes
        .iter()
        .all(|change| matches!(change, Change::Rename(..)));
    if ddl.table.is_none() && renames && !ddl.changes.is_empty() {
        return Some(vec![rename_back(ddl)]);
    }
    let moved = ddl.changes.iter().find_map(|change| match change {
        Change::Rename(from, to) if Some(from) == ddl.table.as_ref() => Some((from, to)),
        _ => None,
    });
    let mut statements = vec![];
    // The table's own name comes back first: the other clauses name it as it was.
    if let Some((from, to)) = moved {
        statements.push(format!(
            "RENAME TABLE {} TO {}",
            qualified(to),
            qualified(from)
        ));
    }
    for change in ddl.changes.iter().rev() {
        match change {
            Change::Rename(from, _) if moved.is_some_and(|(table, _)| table == from) => {}
            Change::Quiet("ALGORITHM" | "ONLINE") => {}
            change => statements.push(one(ddl, change)?),
        }
    }
    Some(statements)
}

fn rename_back(ddl: &Ddl) -> String {
    let pairs = ddl.changes.iter().rev().filter_map(|change| match change {
        Change::Rename(from, to) => Some(format!("{} TO {}", qualified(to), qualified(from))),
        _ => None,
    });
    format!("RENAME TABLE {}", pairs.collect::<Vec<_>>().join(", "))
}

fn one(ddl: &Ddl, change: &Change) -> Option<String> {
    Some(match change {
        Change::Create(object) => {
            let temporary = if ddl.temporary { "TEMPORARY " } else { "" };
            let word = match object.kind {
                ObjectKind::Table => "TABLE",
                ObjectKind::View => "VIEW",
                ObjectKind::Trigger => "TRIGGER",
                ObjectKind::Function => "FUNCTION",
                ObjectKind::Procedure => "PROCEDURE",
                ObjectKind::Event => "EVENT",
                ObjectKind::Sequence => "SEQUENCE",
                ObjectKind::Schema | ObjectKind::Database => "DATABASE",
                _ => return None,
            };
            format!("DROP {temporary}{word} {}", qualified(object))
        }
        Change::AddColumn(column, _) => {
            alter(column, &format!("DROP COLUMN {}", quote(&column.name)))?
        }
        Change::AddIndex { guessed: true, .. } => return None,
        Change::AddIndex { index, .. } => {
            alter(index, &format!("DROP INDEX {}", quote(&index.name)))?
        }
        Change::AddConstraint {
            constraint: Some(constraint),
            kind,
            ..
        } => {
            let name = quote(&constraint.name);
            let clause = match kind {
                ConstraintKind::PrimaryKey => "DROP PRIMARY KEY".to_owned(),
                ConstraintKind::ForeignKey => format!("DROP FOREIGN KEY {name}"),
                _ => format!("DROP CONSTRAINT {name}"),
            };
            alter(constraint, &clause)?
        }
        Change::Rename(from, to) => match from.kind {
            ObjectKind::Table => format!("RENAME TABLE {} TO {}", qualified(to), qualified(from)),
            ObjectKind::Column => {
                // CHANGE also gave a type; what the type was is not in the statement.
                let typed = ddl
                    .changes
                    .iter()
                    .any(|other| matches!(other, Change::ColumnType(column, _) if column == to));
                if typed {
                    return None;
                }
                alter(
                    from,
                    &format!("RENAME COLUMN {} TO {}", quote(&to.name), quote(&from.name)),
                )?
            }
            ObjectKind::Index => alter(
                from,
                &format!("RENAME INDEX {} TO {}", quote(&to.name), quote(&from.name)),
            )?,
            _ => return None,
        },
        _ => return None,
    })
}

fn alter(part: &ObjectRef, clause: &str) -> Option<String> {
    Some(format!("ALTER TABLE {} {clause}", parent(part)?))
}
