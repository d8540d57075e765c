//! Reading whole tables. Sessions read the binary form of common types exactly; everything else is asked for as text.

use super::ddl::quote;
use crate::copy::Typing;
use crate::copy::reading::{Bound, ColumnShape};
use crate::dialect::{Caps, RowsDialect};
use crate::schema::NeutralType;
use crate::value::Query;

/// How rows are read.
#[derive(Debug, Clone, Copy)]
pub struct Rows;

/// The schema that names without one mean here.
pub(super) const DEFAULT_SCHEMA: &str = "public";

/// The settings under which rows are read and put back exactly, in a transaction.
pub(super) const EXACT: [&str; 9] = [
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL IntervalStyle = 'postgres'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL row_security = off",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    // Else a reading begins where somebody else's is: which of two rows comes first would be another one each time.
    "SET LOCAL synchronize_seqscans = off",
];

/// A statement, and those settings after it.
pub(super) const fn exactly_after(first: &'static str) -> [&'static str; EXACT.len() + 1] {
    let mut all = [first; EXACT.len() + 1];
    let mut at = 0;
    while at < EXACT.len() {
        all[at + 1] = EXACT[at];
        at += 1;
    }
    all
}

impl RowsDialect for Rows {
    fn one_of_each_key(&self, native: &str) -> bool {
        native == "jsonb"
    }

    fn typing(&self) -> Typing {
        Typing::Static
    }

    fn shapes(&self, _caps: &Caps) -> Query {
        // Partitions show through their root; tables of an extension belong to it. A domain is read as its base type.
        Query::new(
            "WITH RECURSIVE base AS (SELECT t.oid, t.oid AS base, NULL::int AS modifier FROM pg_type t \
             WHERE t.typtype <> 'd' UNION ALL SELECT t.oid, b.base, CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE \
             b.modifier END FROM pg_type t JOIN base b ON b.oid = t.typbasetype WHERE t.typtype = 'd') \
             SELECT CASE WHEN n.nspname <> 'public' THEN n.nspname::text END, c.relname::text, c.relkind <> 'p', \
             a.attname::text, format_type(b.base, coalesce(b.modifier, a.atttypmod)), a.attgenerated <> '', \
             t.typtype::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
             LEFT JOIN base b ON b.oid = a.atttypid LEFT JOIN pg_type t ON t.oid = b.base \
             WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' \
             AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg\\_temp\\_%' \
             AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid \
             AND d.deptype = 'e') ORDER BY 1 NULLS FIRST, 2, a.attnum",
            vec![],
        )
    }

    fn neutral(&self, native: &str, more: &str) -> NeutralType {
        if more == "e" {
            NeutralType::Text
        } else {
            neutral(native)
        }
    }

    fn select(&self, table: &Bound) -> String {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| expression(&column.shape))
            .collect();
        // A table without columns still has rows.
        let list = if columns.is_empty() {
            "NULL::text".to_owned()
        } else {
            columns.join(", ")
        };
        format!("SELECT {list} {}", self.from(table))
    }

    fn from(&self, table: &Bound) -> String {
        let only = if table.own_rows { "ONLY " } else { "" };
        let schema = table.schema.as_deref().unwrap_or(DEFAULT_SCHEMA);
        format!("FROM {only}{}.{}", quote(schema), quote(&table.table))
    }

    fn place(&self, _columns: &[&str], key: Option<&str>) -> Option<String> {
        key.map(quote)
    }

    fn ending(&self, column: &ColumnShape, chars: usize) -> Option<String> {
        Some(format!("right(({})::text, {chars})", expression(column)))
    }

    fn snapshot(&self) -> &'static [&'static str] {
        const SNAPSHOT: [&str; EXACT.len() + 1] =
            exactly_after("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        &SNAPSHOT
    }

    fn snapshot_export(&self) -> Option<&'static str> {
        Some("SELECT pg_export_snapshot()")
    }

    fn insert(&self, table: &Bound, rows: usize) -> (String, bool) {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| quote(&column.shape.name))
            .collect();
        let width = columns.len();
        let row = |row: usize| {
            let values: Vec<String> = table
                .columns
                .iter()
                .enumerate()
                .map(|(at, column)| {
                    format!("${}::text::{}", row * width + at + 1, column.shape.native)
                })
                .collect();
            format!("({})", values.join(", "))
        };
        let values: Vec<String> = (0..rows).map(row).collect();
        let schema = table.schema.as_deref().unwrap_or(DEFAULT_SCHEMA);
        let sql = format!(
            "INSERT INTO {}.{} ({}) OVERRIDING SYSTEM VALUE VALUES {}",
            quote(schema),
            quote(&table.table),
            columns.join(", "),
            values.join(", ")
        );
        (sql, true)
    }

    fn load_begin(&self) -> &'static [&'static str] {
        &[]
    }

    fn databases(&self) -> Option<&'static str> {
        Some("SELECT datname::text FROM pg_database WHERE NOT datistemplate")
    }

    fn snapshot_end(&self) -> &'static str {
        "ROLLBACK"
    }
}

/// A native type without its modifier: `timestamp(3) with time zone` is `timestamp with time zone`.
fn base(native: &str) -> String {
    match (native.find('('), native.find(')')) {
        (Some(open), Some(close)) if open < close => {
            format!("{}{}", &native[..open], &native[close + 1..])
        }
        _ => native.to_owned(),
    }
}

fn neutral(native: &str) -> NeutralType {
    let base = base(native);
    match base.as_str() {
        "boolean" => NeutralType::Bool,
        "smallint" | "integer" | "bigint" | "oid" => NeutralType::Int,
        "numeric" => NeutralType::Decimal,
        "real" | "double precision" => NeutralType::Float,
        "text" | "character varying" | "character" | "\"char\"" | "name" => NeutralType::Text,
        "bytea" => NeutralType::Bytes,
        "date" => NeutralType::Date,
        "time without time zone" => NeutralType::Time,
        "timestamp without time zone" => NeutralType::Timestamp,
        "timestamp with time zone" => NeutralType::TimestampTz,
        "json" | "jsonb" => NeutralType::Json,
        "uuid" => NeutralType::Uuid,
        // Of as many as the type says: no other engine's, where zeros before them count.
        "bit" => NeutralType::Bits,
        // An extension's type lies in whatever schema the extension does.
        name if name == "citext" || name.ends_with(".citext") => NeutralType::Text,
        name => NeutralType::Opaque(name.to_owned()),
    }
}

/// The column in the SELECT list. The padding of `character(n)` means nothing to the server, and the cast takes it off.
pub(super) fn expression(column: &ColumnShape) -> String {
    let name = quote(&column.name);
    let direct = match neutral(&column.native) {
        NeutralType::Opaque(_) | NeutralType::Bits => false,
        _ => {
            !matches!(base(&column.native).as_str(), "character" | "citext")
                && !column.native.ends_with(".citext")
        }
    };
    if direct {
        name
    } else {
        format!("{name}::text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_types_have_neutral_ones() {
        for (native, expected) in [
            ("character varying(160)", "text"),
            ("numeric(10,2)", "decimal"),
            ("timestamp(3) with time zone", "timestamp_tz"),
            ("timestamp without time zone", "timestamp"),
            ("bit(8)", "bits"),
            ("bit varying(8)", "opaque(bit varying)"),
            ("integer[]", "opaque(integer[])"),
            ("interval", "opaque(interval)"),
            ("time(3) with time zone", "opaque(time with time zone)"),
        ] {
            assert_eq!(neutral(native).name(), expected, "{native}");
        }
    }
}
