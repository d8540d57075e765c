//! Reading the catalog.

use crate::facts::TableSize;
use crate::sql::ObjectRef;
use crate::value::{Query, Row};

/// Sizes of all tables. Rows are the planner's estimate, or the statistics collector's count before the first ANALYZE.
pub fn table_sizes() -> Query {
    Query::new(
        "SELECT n.nspname::text, c.relname::text, \
         CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint ELSE pg_stat_get_live_tuples(c.oid) END, \
         pg_total_relation_size(c.oid), NULL::text, c.relpersistence = 'p' AND c.relkind <> 'f' \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' \
         AND n.nspname NOT LIKE 'pg\\_%' ORDER BY 1, 2",
        vec![],
    )
}

/// Reads a row of [`table_sizes`].
pub fn read_table_size(row: &Row) -> Option<TableSize> {
    crate::dialect::table_size_row(row)
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

/// What a backup's manifest says of the database.
pub fn database_facts() -> Query {
    Query::new(
        "SELECT 'encoding', pg_encoding_to_char(encoding)::text FROM pg_database WHERE datname = current_database() \
         UNION ALL SELECT 'collation', datcollate::text FROM pg_database WHERE datname = current_database() \
         UNION ALL SELECT 'owner', pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database() \
         UNION ALL SELECT 'extensions', COALESCE(string_agg(extname || ' ' || extversion, ', ' ORDER BY extname), '') FROM pg_extension",
        vec![],
    )
}

/// The columns of some tables in some schemas.
pub fn columns_of(schemas: &[&str], tables: &[&str]) -> Query {
    let marks = |from: usize, count: usize| {
        let marks: Vec<_> = (from..from + count)
            .map(|n| format!("${n}::text"))
            .collect();
        marks.join(", ")
    };
    Query::new(
        format!(
            "SELECT n.nspname::text, c.relname::text, a.attname::text FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid \
             WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped \
             AND n.nspname IN ({}) AND lower(c.relname) IN ({}) ORDER BY 1, 2, a.attnum",
            marks(1, schemas.len()),
            marks(1 + schemas.len(), tables.len()),
        ),
        schemas
            .iter()
            .chain(tables)
            .map(|&name| name.into())
            .collect(),
    )
}
