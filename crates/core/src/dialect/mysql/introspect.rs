//! Reading the catalog.

use crate::facts::TableSize;
use crate::sql::ObjectRef;
use crate::value::{Query, Row};
use std::collections::BTreeMap;

/// Sizes of all tables of the current database. What is transactional is told by the server's own list of storage
/// engines (InnoDB, RocksDB are; MyISAM, Aria, MEMORY, CSV, ARCHIVE are not).
pub fn table_sizes() -> Query {
    Query::new(
        "SELECT NULL, t.TABLE_NAME, t.TABLE_ROWS, t.DATA_LENGTH + t.INDEX_LENGTH, t.ENGINE, \
         COALESCE(e.TRANSACTIONS = 'YES', 0) FROM information_schema.TABLES t \
         LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE \
         WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE NOT IN ('VIEW', 'SYSTEM VIEW', 'SEQUENCE') \
         ORDER BY t.TABLE_NAME",
        vec![],
    )
}

/// Reads a row of [`table_sizes`].
pub fn read_table_size(row: &Row) -> Option<TableSize> {
    crate::dialect::table_size_row(row)
}

/// The storage of some tables: schema, name, whether it is transactional. A table without a schema is one of the current
/// database: others have tables of the same names, and there may be thousands of them.
pub fn storage(tables: &[ObjectRef]) -> Option<Query> {
    let mut schemas: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
    for table in tables {
        let names = schemas.entry(table.schema.as_deref()).or_default();
        names.push(&table.name);
    }
    let (mut params, mut parts) = (vec![], vec![]);
    for (schema, names) in schemas {
        params.extend(schema.map(Into::into));
        params.extend(names.iter().map(|name| (*name).into()));
        let schema = schema.map_or("DATABASE()", |_| "?");
        let marks = vec!["?"; names.len()].join(", ");
        parts.push(format!(
            "SELECT t.TABLE_SCHEMA, t.TABLE_NAME, COALESCE(e.TRANSACTIONS, 'NO') = 'YES' \
             FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE \
             WHERE t.TABLE_SCHEMA = {schema} AND t.TABLE_NAME IN ({marks}) AND t.TABLE_TYPE = 'BASE TABLE'"
        ));
    }
    Some(Query::new(parts.join(" UNION ALL "), params))
}

/// What a backup's manifest says of the database.
pub fn database_facts() -> Query {
    Query::new(
        "SELECT 'charset', DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = DATABASE() \
         UNION ALL SELECT 'collation', DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = DATABASE()",
        vec![],
    )
}

/// The columns of some tables of the current database.
pub fn columns_of(_schemas: &[&str], tables: &[&str]) -> Query {
    let marks = vec!["?"; tables.len()].join(", ");
    Query::new(
        format!(
            "SELECT NULL, c.TABLE_NAME, c.COLUMN_NAME FROM information_schema.COLUMNS c \
             JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME \
             WHERE c.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE' AND LOWER(c.TABLE_NAME) IN ({marks}) \
             ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION"
        ),
        tables.iter().map(|&table| table.into()).collect(),
    )
}
