//! Questions that settle a doubt: whether a condition holds, and what an object looks like.
//!
//! Fingerprints are `SHOW CREATE …`: one round trip of 0.02-0.1 ms where `information_schema` takes 0.1-0.5 ms. Their
//! error for an absent object is of the class `ObjectMissing` (or `DatabaseMissing` for a database), which stands for
//! "no rows". They cannot be prepared on every server, so they are sent as text without values.

use super::ddl::quote;
use super::types;
use crate::sql::{Condition, ObjectKind, ObjectRef};
use crate::value::{Query, Row, Value};

fn qualified(schema: Option<&str>, name: &str) -> String {
    match schema {
        Some(schema) => format!("{}.{}", quote(schema), quote(name)),
        None => quote(name),
    }
}

/// `column = …` for the schema of an object: the one it names, or the session's database.
fn in_schema(column: &str, object: &ObjectRef, params: &mut Vec<Value>) -> String {
    match &object.schema {
        Some(schema) => {
            params.push(schema.as_str().into());
            format!("{column} = ?")
        }
        None => format!("{column} = DATABASE()"),
    }
}

/// The rows of a catalog view that are the object: the view, its schema column, its name column, its table column.
fn rows_of(object: &ObjectRef) -> Option<(String, Vec<Value>)> {
    let mut params = vec![];
    let (view, schema, name, table, more) = match object.kind {
        ObjectKind::Table => (
            "TABLES",
            "TABLE_SCHEMA",
            "TABLE_NAME",
            "",
            " AND TABLE_TYPE NOT IN ('VIEW', 'SYSTEM VIEW', 'SEQUENCE')",
        ),
        ObjectKind::View => (
            "TABLES",
            "TABLE_SCHEMA",
            "TABLE_NAME",
            "",
            " AND TABLE_TYPE = 'VIEW'",
        ),
        ObjectKind::Sequence => (
            "TABLES",
            "TABLE_SCHEMA",
            "TABLE_NAME",
            "",
            " AND TABLE_TYPE = 'SEQUENCE'",
        ),
        ObjectKind::Index => ("STATISTICS", "TABLE_SCHEMA", "INDEX_NAME", "TABLE_NAME", ""),
        ObjectKind::Column => ("COLUMNS", "TABLE_SCHEMA", "COLUMN_NAME", "TABLE_NAME", ""),
        ObjectKind::Constraint => (
            "TABLE_CONSTRAINTS",
            "TABLE_SCHEMA",
            "CONSTRAINT_NAME",
            "TABLE_NAME",
            "",
        ),
        ObjectKind::Trigger => (
            "TRIGGERS",
            "TRIGGER_SCHEMA",
            "TRIGGER_NAME",
            "EVENT_OBJECT_TABLE",
            "",
        ),
        ObjectKind::Function => (
            "ROUTINES",
            "ROUTINE_SCHEMA",
            "ROUTINE_NAME",
            "",
            " AND ROUTINE_TYPE = 'FUNCTION'",
        ),
        ObjectKind::Procedure => (
            "ROUTINES",
            "ROUTINE_SCHEMA",
            "ROUTINE_NAME",
            "",
            " AND ROUTINE_TYPE = 'PROCEDURE'",
        ),
        ObjectKind::Event => ("EVENTS", "EVENT_SCHEMA", "EVENT_NAME", "", ""),
        ObjectKind::Schema | ObjectKind::Database => {
            params.push(object.name.as_str().into());
            return Some((
                "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?".into(),
                params,
            ));
        }
        // Neither engine has these.
        ObjectKind::MaterializedView
        | ObjectKind::Type
        | ObjectKind::EnumValue
        | ObjectKind::Extension
        | ObjectKind::Other => return None,
    };
    let mut clauses = vec![in_schema(schema, object, &mut params)];
    match &object.parent {
        Some(parent) if !table.is_empty() => {
            clauses.push(format!("{table} = ?"));
            params.push(parent.as_str().into());
        }
        // A column's name says nothing without its table.
        None if object.kind == ObjectKind::Column => return None,
        _ => {}
    }
    clauses.push(format!("{name} = ?"));
    params.push(object.name.as_str().into());
    Some((
        format!(
            "SELECT 1 FROM information_schema.{view} WHERE {}{more}",
            clauses.join(" AND ")
        ),
        params,
    ))
}

/// A query that answers one boolean.
pub fn condition(condition: &Condition) -> Option<Query> {
    match condition {
        Condition::Exists(object) => {
            let (rows, params) = rows_of(object)?;
            Some(Query::new(format!("SELECT EXISTS ({rows})"), params))
        }
        Condition::Missing(object) => {
            let (rows, params) = rows_of(object)?;
            Some(Query::new(format!("SELECT NOT EXISTS ({rows})"), params))
        }
        Condition::Empty(object) => {
            let name = qualified(object.schema.as_deref(), &object.name);
            Some(Query::new(
                format!("SELECT NOT EXISTS (SELECT 1 FROM {name} LIMIT 1)"),
                vec![],
            ))
        }
        Condition::Rows(object, count) => {
            let name = qualified(object.schema.as_deref(), &object.name);
            let sql = format!("SELECT COUNT(*) = ? FROM {name}");
            Some(Query::new(sql, vec![Value::UInt(*count)]))
        }
        Condition::Unwritten(added) => {
            let table = added.column.parent.as_deref()?;
            let name = qualified(added.column.schema.as_deref(), table);
            let column = quote(&added.column.name);
            let has_default = added.nullable || added.default.is_some();
            let sql = if has_default && added.is_constant() {
                format!(
                    "SELECT NOT EXISTS (SELECT 1 FROM {name} WHERE NOT ({column} <=> DEFAULT({column})) LIMIT 1)"
                )
            } else {
                // What rows got when the column was made is one value; a second one was written.
                format!("SELECT COUNT(DISTINCT {column}) < 2 FROM {name}")
            };
            Some(Query::new(sql, vec![]))
        }
        Condition::ColumnType(object, declared) => {
            let spellings = types::spellings(declared)?;
            let (rows, mut params) = rows_of(object)?;
            let marks = vec!["?"; spellings.len()].join(", ");
            params.extend(spellings.into_iter().map(Value::from));
            Some(Query::new(
                format!("SELECT EXISTS ({rows} AND BINARY COLUMN_TYPE IN ({marks}))"),
                params,
            ))
        }
        Condition::Body(object, text) => {
            let column = match object.kind {
                ObjectKind::Function | ObjectKind::Procedure => "ROUTINE_DEFINITION",
                ObjectKind::Trigger => "ACTION_STATEMENT",
                ObjectKind::Event => "EVENT_DEFINITION",
                ObjectKind::View => return None,
                _ => return None,
            };
            let (rows, mut params) = rows_of(object)?;
            // The text may be the body or the whole statement: the body is what both end with.
            params.push(text.trim().trim_end_matches(';').trim_end().into());
            Some(Query::new(
                format!(
                    "SELECT EXISTS ({rows} AND TRIM({column}) <> '' AND BINARY RIGHT(?, CHAR_LENGTH(TRIM({column}))) = \
                     BINARY TRIM({column}))"
                ),
                params,
            ))
        }
    }
}

/// A query whose rows are the object's catalog fingerprint. An absent object is an error of the class `ObjectMissing`.
pub fn fingerprint(object: &ObjectRef) -> Option<Query> {
    let schema = object.schema.as_deref();
    let (word, name) = match object.kind {
        // Views and MariaDB's sequences answer it as well.
        ObjectKind::Table | ObjectKind::View | ObjectKind::Sequence => {
            ("TABLE", qualified(schema, &object.name))
        }
        ObjectKind::Column | ObjectKind::Index | ObjectKind::Constraint => {
            ("TABLE", qualified(schema, object.parent.as_deref()?))
        }
        ObjectKind::Trigger => ("TRIGGER", qualified(schema, &object.name)),
        ObjectKind::Function => ("FUNCTION", qualified(schema, &object.name)),
        ObjectKind::Procedure => ("PROCEDURE", qualified(schema, &object.name)),
        ObjectKind::Event => ("EVENT", qualified(schema, &object.name)),
        ObjectKind::Schema | ObjectKind::Database => ("DATABASE", quote(&object.name)),
        ObjectKind::MaterializedView
        | ObjectKind::Type
        | ObjectKind::EnumValue
        | ObjectKind::Extension
        | ObjectKind::Other => return None,
    };
    Some(Query::new(format!("SHOW CREATE {word} {name}"), vec![]))
}

/// The text of a fingerprint's rows. The next number of an AUTO_INCREMENT column is taken out: rows change it.
pub fn read_fingerprint(rows: &[Row]) -> Option<String> {
    let text = crate::dialect::rows_text(rows)?;
    Some(without_counter(&text))
}

/// The text of a `SHOW CREATE TABLE` without ` AUTO_INCREMENT=n` among the table's options.
pub fn without_counter(text: &str) -> String {
    const WORD: &str = " AUTO_INCREMENT=";
    // The options stand after the last closing bracket at the beginning of a line; a comment of a column before it
    // may hold anything.
    let options = text.rfind("\n) ").unwrap_or(text.len());
    let Some(at) = text[options..].find(WORD).map(|at| at + options) else {
        return text.to_owned();
    };
    let rest = &text[at + WORD.len()..];
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    format!("{}{}", &text[..at], &rest[digits..])
}
