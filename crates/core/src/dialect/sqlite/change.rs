//! Changing rows in bulk. One writer has the file; nothing needs locking row by row.

use super::ddl::quote;
use crate::dialect::change::{ChangeDialect, Filling, Follows};
use crate::schema::{Catalog, Table};
use crate::value::Query;

/// How rows are changed.
#[derive(Debug, Clone, Copy)]
pub struct Changes;

impl ChangeDialect for Changes {
    fn quote(&self, identifier: &str) -> String {
        quote(identifier)
    }

    fn table(&self, _schema: Option<&str>, name: &str) -> String {
        format!("main.{}", quote(name))
    }

    fn as_made(&self, column: &str, default: Option<&str>) -> String {
        format!("{} IS ({})", quote(column), default.unwrap_or("NULL"))
    }

    fn for_update(&self) -> &'static str {
        ""
    }

    fn rows_in(&self) -> (&'static str, &'static str) {
        ("(VALUES ", ")")
    }

    fn follow(&self, there: &Catalog, tables: &[&Table]) -> Vec<Follows> {
        super::follow::follow(there, tables)
    }
    fn updates(&self) -> &'static str {
        // Whatever the table itself says of a conflict.
        "UPDATE OR ABORT"
    }
    fn quiet(&self) -> &'static [&'static str] {
        &["PRAGMA foreign_keys = OFF"]
    }

    fn loud(&self) -> &'static [&'static str] {
        &["PRAGMA foreign_keys = ON"]
    }

    fn keys_on(&self) -> &'static [&'static str] {
        self.loud()
    }

    fn counters(&self, _schema: Option<&str>, table: &str) -> Option<Query> {
        Some(Query::new(
            "SELECT 'sqlite_sequence', seq FROM main.sqlite_sequence WHERE name = ?",
            vec![table.into()],
        ))
    }

    fn raise(&self, _schema: Option<&str>, table: &str, _counter: &str, value: i64) -> Vec<Query> {
        vec![
            Query::new(
                "UPDATE main.sqlite_sequence SET seq = ? WHERE name = ?",
                vec![value.into(), table.into()],
            ),
            Query::new(
                "INSERT INTO main.sqlite_sequence (name, seq) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM \
                 main.sqlite_sequence WHERE name = ?1)",
                vec![table.into(), value.into()],
            ),
        ]
    }

    /// A trigger cannot change the row that comes, so it changes it right after.
    fn fill(&self, filling: &Filling<'_>) -> Result<Vec<String>, String> {
        let name = |at: usize| quote(&filling.table.columns[at].shape.name);
        let empty: Vec<String> = filling
            .assigned
            .iter()
            .map(|(at, _)| format!("NEW.{} IS NULL", name(*at)))
            .collect();
        let set: Vec<String> = filling
            .assigned
            .iter()
            .map(|(at, expression)| {
                let column = name(*at);
                format!(
                    "{column} = CASE WHEN {column} IS NULL THEN ({expression}\n) ELSE {column} END"
                )
            })
            .collect();
        let mut row: Vec<String> = filling
            .key
            .iter()
            .map(|at| format!("{0} = NEW.{0}", name(*at)))
            .collect();
        row.extend(filling.only.map(|only| format!("({only}\n)")));
        let table = quote(&filling.table.table);
        Ok(vec![format!(
            "CREATE TRIGGER IF NOT EXISTS main.{} AFTER INSERT ON {table} WHEN {} BEGIN UPDATE {table} SET {} WHERE {}; END",
            quote(filling.name),
            empty.join(" OR "),
            set.join(", "),
            row.join(" AND ")
        )])
    }

    fn unfill(&self, _schema: Option<&str>, _table: &str, name: &str) -> Vec<String> {
        vec![format!("DROP TRIGGER IF EXISTS main.{}", quote(name))]
    }
}
