//! Questions that settle a doubt: whether a condition holds, and what an object looks like.
//!
//! SQLite keeps the text of every object in `sqlite_schema`; an unqualified name is looked for in `main` and `temp`.

use super::ddl::quote;
use crate::sql::{Condition, ObjectKind, ObjectRef};
use crate::value::{Query, Row, Value};

/// The objects that an object's schema holds, as a table expression with the columns of `sqlite_schema`.
fn objects(object: &ObjectRef) -> String {
    match &object.schema {
        Some(schema) => format!("{}.sqlite_schema", quote(schema)),
        None => "(SELECT type, name, tbl_name, sql FROM main.sqlite_schema UNION ALL \
                 SELECT type, name, tbl_name, sql FROM temp.sqlite_schema)"
            .into(),
    }
}

/// The name under which `sqlite_schema.type` knows a kind.
fn type_name(kind: ObjectKind) -> Option<&'static str> {
    match kind {
        ObjectKind::Table => Some("table"),
        ObjectKind::View => Some("view"),
        ObjectKind::Index => Some("index"),
        ObjectKind::Trigger => Some("trigger"),
        _ => None,
    }
}

/// Columns of a table as rows, for the column and constraint questions: the schema is an argument where it is known.
fn columns_of(object: &ObjectRef, parent: &str) -> (String, Vec<Value>) {
    match &object.schema {
        Some(schema) => (
            "pragma_table_xinfo(?, ?)".into(),
            vec![parent.into(), schema.as_str().into()],
        ),
        None => ("pragma_table_xinfo(?)".into(), vec![parent.into()]),
    }
}

fn presence(object: &ObjectRef, word: &str) -> Option<Query> {
    if let Some(type_name) = type_name(object.kind) {
        let mut params = vec![type_name.into(), object.name.as_str().into()];
        let parent = match &object.parent {
            Some(parent) if object.kind != ObjectKind::Table => {
                params.push(parent.as_str().into());
                " AND tbl_name = ? COLLATE NOCASE"
            }
            _ => "",
        };
        let from = objects(object);
        return Some(Query::new(
            format!(
                "SELECT {word} (SELECT 1 FROM {from} WHERE type = ? AND name = ? COLLATE NOCASE{parent})"
            ),
            params,
        ));
    }
    let parent = object.parent.as_deref()?;
    match object.kind {
        ObjectKind::Column => {
            let (from, mut params) = columns_of(object, parent);
            params.push(object.name.as_str().into());
            Some(Query::new(
                format!("SELECT {word} (SELECT 1 FROM {from} WHERE name = ? COLLATE NOCASE)"),
                params,
            ))
        }
        // Constraints stand in the table's text only, so nothing here can tell; SQLite never needs it told, for its
        // DDL is transactional.
        _ => None,
    }
}

fn named(schema: Option<&str>, name: &str) -> String {
    match schema {
        Some(schema) => format!("{}.{}", quote(schema), quote(name)),
        None => quote(name),
    }
}

/// A query that answers one boolean.
pub fn condition(condition: &Condition) -> Option<Query> {
    match condition {
        Condition::Exists(object) => presence(object, "EXISTS"),
        Condition::Missing(object) => presence(object, "NOT EXISTS"),
        Condition::Empty(object) => {
            let name = named(object.schema.as_deref(), &object.name);
            Some(Query::new(
                format!("SELECT NOT EXISTS (SELECT 1 FROM {name})"),
                vec![],
            ))
        }
        Condition::Rows(object, count) => {
            let name = named(object.schema.as_deref(), &object.name);
            let sql = format!("SELECT count(*) = ? FROM {name}");
            Some(Query::new(
                sql,
                vec![Value::Int(i64::try_from(*count).ok()?)],
            ))
        }
        Condition::Unwritten(added) => {
            let table = added.column.parent.as_deref()?;
            let name = named(added.column.schema.as_deref(), table);
            let column = quote(&added.column.name);
            let default = added.default.as_deref().unwrap_or("NULL");
            let sql = if added.is_constant() {
                format!(
                    "SELECT NOT EXISTS (SELECT 1 FROM {name} WHERE {column} IS NOT ({default}))"
                )
            } else {
                // What rows got when the column was made is one value; a second one was written.
                format!("SELECT count(DISTINCT {column}) < 2 FROM {name}")
            };
            Some(Query::new(sql, vec![]))
        }
        Condition::ColumnType(object, declared) => {
            let (from, mut params) = columns_of(object, object.parent.as_deref()?);
            params.push(object.name.as_str().into());
            params.push(
                declared
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
                    .into(),
            );
            Some(Query::new(
                format!(
                    "SELECT EXISTS (SELECT 1 FROM {from} WHERE name = ? COLLATE NOCASE AND type = ? COLLATE NOCASE)"
                ),
                params,
            ))
        }
        Condition::Body(object, text) => {
            // SQLite stores `CREATE TRIGGER ` and the statement from the name on, so the text asked for may be the
            // whole statement (then it ends with what is stored after those 15 letters) or a part of it.
            let from = objects(object);
            let text = text.trim().trim_end_matches(';').trim_end();
            Some(Query::new(
                format!(
                    "SELECT EXISTS (SELECT 1 FROM {from} WHERE type = ?1 AND name = ?2 COLLATE NOCASE AND \
                     (instr(sql, ?3) > 0 OR substr(?3, -length(substr(sql, 16))) = substr(sql, 16)))"
                ),
                vec![
                    type_name(object.kind)?.into(),
                    object.name.as_str().into(),
                    text.into(),
                ],
            ))
        }
    }
}

/// A query whose rows are the object's catalog fingerprint; no rows where it is absent.
pub fn fingerprint(object: &ObjectRef) -> Option<Query> {
    let from = objects(object);
    let (clause, name) = match object.kind {
        ObjectKind::Table => ("tbl_name = ? COLLATE NOCASE", object.name.as_str()),
        ObjectKind::Column | ObjectKind::Constraint => {
            ("tbl_name = ? COLLATE NOCASE", object.parent.as_deref()?)
        }
        ObjectKind::View => (
            "type = 'view' AND name = ? COLLATE NOCASE",
            object.name.as_str(),
        ),
        ObjectKind::Index => (
            "type = 'index' AND name = ? COLLATE NOCASE",
            object.name.as_str(),
        ),
        ObjectKind::Trigger => (
            "type = 'trigger' AND name = ? COLLATE NOCASE",
            object.name.as_str(),
        ),
        _ => return None,
    };
    Some(Query::new(
        format!("SELECT type, name, tbl_name, sql FROM {from} WHERE {clause} ORDER BY type, name"),
        vec![name.into()],
    ))
}

/// The text of a fingerprint's rows.
pub fn read_fingerprint(rows: &[Row]) -> Option<String> {
    crate::dialect::rows_text(rows)
}
