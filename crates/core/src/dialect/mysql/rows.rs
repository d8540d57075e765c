//! Reading whole tables. Sessions read the binary protocol's rows exactly, so every column is asked for as it is.

use super::ddl::quote;
use crate::copy::Typing;
use crate::copy::reading::{Bound, ColumnShape};
use crate::dialect::{Caps, EngineKind, RowsDialect};
use crate::schema::NeutralType;
use crate::value::Query;

/// How rows are read.
#[derive(Debug, Clone, Copy)]
pub struct Rows;

impl RowsDialect for Rows {
    fn one_of_each_key(&self, native: &str) -> bool {
        native.eq_ignore_ascii_case("json")
    }

    fn typing(&self) -> Typing {
        Typing::Static
    }

    fn shapes(&self, caps: &Caps) -> Query {
        // MariaDB's JSON is text with a check of its own making, by which it is known. Joined once: asked column by
        // column, the server opens every table of every database for each of them.
        // To it names are the same in another case, also where it has two such tables.
        let (json, checks, same, order) = if caps.engine == EngineKind::Mariadb {
            (
                "IF(k.CHECK_CLAUSE IS NULL, '', 'json')",
                "LEFT JOIN (SELECT DISTINCT CAST(TABLE_NAME AS BINARY) AS name, CHECK_CLAUSE FROM \
                 information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE()) k ON k.name = \
                 CAST(c.TABLE_NAME AS BINARY) AND k.CHECK_CLAUSE = \
                 CONCAT('json_valid(`', REPLACE(c.COLUMN_NAME, '`', '``'), '`)')",
                " AND CAST(c.TABLE_NAME AS BINARY) = CAST(t.TABLE_NAME AS BINARY)",
                "CAST(t.TABLE_NAME AS BINARY), ",
            )
        } else {
            ("''", "", "", "")
        };
        Query::new(
            format!(
                "SELECT NULL, t.TABLE_NAME, 1, c.COLUMN_NAME, c.COLUMN_TYPE, COALESCE(c.GENERATION_EXPRESSION, '') \
                 <> '', {json} FROM information_schema.TABLES t JOIN information_schema.COLUMNS c ON c.TABLE_SCHEMA = \
                 DATABASE() AND c.TABLE_NAME = t.TABLE_NAME{same} {checks} WHERE t.TABLE_SCHEMA = DATABASE() AND \
                 t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY t.TABLE_NAME, {order}c.ORDINAL_POSITION"
            ),
            vec![],
        )
    }

    fn neutral(&self, native: &str, more: &str) -> NeutralType {
        if more == "json" {
            NeutralType::Json
        } else {
            neutral(native)
        }
    }

    fn select(&self, table: &Bound) -> String {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| quote(&column.shape.name))
            .collect();
        format!("SELECT {} {}", columns.join(", "), self.from(table))
    }

    fn from(&self, table: &Bound) -> String {
        format!("FROM {}", quote(&table.table))
    }

    fn place(&self, _columns: &[&str], key: Option<&str>) -> Option<String> {
        key.map(quote)
    }

    /// In one character set, whatever the column's: an ending that it cannot hold is none of its, and no error.
    fn ending(&self, column: &ColumnShape, chars: usize) -> Option<String> {
        let name = quote(&column.name);
        Some(format!(
            "CONVERT(RIGHT({name}, {chars}) USING utf8mb4) COLLATE utf8mb4_bin"
        ))
    }

    fn snapshot(&self) -> &'static [&'static str] {
        &[
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        ]
    }

    fn snapshot_export(&self) -> Option<&'static str> {
        None
    }

    fn insert(&self, table: &Bound, rows: usize) -> (String, bool) {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| quote(&column.shape.name))
            .collect();
        let marks = format!("({})", vec!["?"; columns.len()].join(", "));
        let marks = vec![marks; rows].join(", ");
        let sql = format!(
            "INSERT INTO {} ({}) VALUES {marks}",
            quote(&table.table),
            columns.join(", ")
        );
        (sql, false)
    }

    fn load_begin(&self) -> &'static [&'static str] {
        &["SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"]
    }

    fn databases(&self) -> Option<&'static str> {
        Some("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA")
    }

    fn snapshot_end(&self) -> &'static str {
        "ROLLBACK"
    }
}

/// What a column type means. `tinyint(1)` stays a number: it holds any, whatever people mean by it, and a reading that
/// says bool reads its 0 and 1.
fn neutral(native: &str) -> NeutralType {
    let lower = native.to_ascii_lowercase();
    let base = lower.split(['(', ' ']).next().unwrap_or_default();
    match base {
        "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" | "year" => {
            NeutralType::Int
        }
        "decimal" | "numeric" => NeutralType::Decimal,
        "float" | "double" | "real" => NeutralType::Float,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => {
            NeutralType::Text
        }
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            NeutralType::Bytes
        }
        "date" => NeutralType::Date,
        "time" => NeutralType::Time,
        "datetime" => NeutralType::Timestamp,
        "timestamp" => NeutralType::TimestampTz,
        "json" => NeutralType::Json,
        "uuid" => NeutralType::Uuid,
        "bit" => NeutralType::Bits,
        _ => NeutralType::Opaque(base.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_types_have_neutral_ones() {
        for (native, expected) in [
            ("bigint(20) unsigned", "int"),
            ("tinyint(1)", "int"),
            ("decimal(65,30)", "decimal"),
            ("enum('a','b')", "text"),
            ("datetime(6)", "timestamp"),
            ("timestamp", "timestamp_tz"),
            ("point", "opaque(point)"),
        ] {
            assert_eq!(neutral(native).name(), expected, "{native}");
        }
    }
}
