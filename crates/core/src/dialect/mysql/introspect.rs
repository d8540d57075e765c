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

/// The storage of some tables: schema, name, whether it is transactional.
pub fn storage(tables: &[ObjectRef]) -> Option<Query> {
    let marks = vec!["?"; tables.len()].join(", ");
    let params = tables
        .iter()
        .map(|table| table.name.as_str().into())
        .collect();
    Some(Query::new(
        format!(
            "SELECT t.TABLE_SCHEMA, t.TABLE_NAME, COALESCE(e.TRANSACTIONS, 'NO') = 'YES' \
             FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE \
             WHERE t.TABLE_TYPE = 'BASE TABLE' AND t.TABLE_NAME IN ({marks})"
        ),
        params,
    ))
}
