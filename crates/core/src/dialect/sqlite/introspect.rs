//! Reading the catalog.

use crate::facts::TableSize;
use crate::sql::ObjectRef;
use crate::value::{Query, Row};

/// Sizes of all tables, from `dbstat`: exact, but it reads the head of every page, so not for the hot path.
pub fn table_sizes() -> Query {
    Query::new(
        "SELECT NULL, t.name, \
         (SELECT sum(s.ncell) FROM dbstat s WHERE s.name = t.name AND s.pagetype = 'leaf'), \
         (SELECT sum(s.pgsize) FROM main.sqlite_schema o JOIN dbstat s ON s.name = o.name WHERE o.tbl_name = t.name \
         AND o.rootpage > 0), NULL, 1 \
         FROM main.sqlite_schema t WHERE t.type = 'table' AND t.rootpage > 0 AND t.name NOT LIKE 'sqlite\\_%' ESCAPE \
         '\\' ORDER BY t.name",
        vec![],
    )
}

/// Reads a row of [`table_sizes`].
pub fn read_table_size(row: &Row) -> Option<TableSize> {
    crate::dialect::table_size_row(row)
}

/// Every table of SQLite is transactional.
pub fn storage(_tables: &[ObjectRef]) -> Option<Query> {
    None
}
