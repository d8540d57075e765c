//! Reading the catalog.

use crate::facts::TableSize;
use crate::sql::ObjectRef;
use crate::value::{Query, Row};

/// Sizes of all tables, from `dbstat`: exact, but it reads the head of every page, so not for the hot path.
pub fn table_sizes() -> Query {
    Query::new(
        "WITH pages AS MATERIALIZED (SELECT name, sum(pgsize) AS bytes, sum(CASE WHEN pagetype = 'leaf' THEN ncell \
         END) AS cells FROM dbstat GROUP BY name), \
         trees AS MATERIALIZED (SELECT o.tbl_name, sum(p.bytes) AS bytes FROM main.sqlite_schema o JOIN pages p ON \
         p.name = o.name GROUP BY o.tbl_name) \
         SELECT NULL, t.name, p.cells, b.bytes, NULL, 1 FROM main.sqlite_schema t LEFT JOIN pages p ON p.name = t.name \
         LEFT JOIN trees b ON b.tbl_name = t.name WHERE t.type = 'table' AND t.rootpage > 0 AND t.name NOT LIKE \
         'sqlite\\_%' ESCAPE '\\' ORDER BY t.name",
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

/// What a backup's manifest says of the database.
pub fn database_facts() -> Query {
    Query::new(
        "SELECT 'encoding', encoding FROM pragma_encoding UNION ALL SELECT 'user_version', CAST(user_version AS TEXT) FROM pragma_user_version",
        vec![],
    )
}

/// The columns of some tables; there are no schemas.
pub fn columns_of(_schemas: &[&str], tables: &[&str]) -> Query {
    let marks = vec!["?"; tables.len()].join(", ");
    Query::new(
        format!(
            "SELECT NULL, t.name, c.name FROM main.sqlite_schema t JOIN pragma_table_info(t.name) c \
             WHERE t.type = 'table' AND lower(t.name) IN ({marks}) ORDER BY t.name, c.cid"
        ),
        tables.iter().map(|&table| table.into()).collect(),
    )
}
