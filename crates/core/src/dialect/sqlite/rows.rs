//! Reading whole tables. A value's class is its own in SQLite; the column's declared type says how it is meant.

use super::ddl::quote;
use crate::copy::Typing;
use crate::copy::reading::Bound;
use crate::dialect::{Caps, Leaning, RowsDialect};
use crate::schema::NeutralType;
use crate::value::Query;

/// How rows are read.
#[derive(Debug, Clone, Copy)]
pub struct Rows;

impl RowsDialect for Rows {
    fn leaning(&self, native: &str) -> Leaning {
        super::bulk::leaning(native)
    }

    fn typing(&self) -> Typing {
        Typing::Dynamic
    }

    fn shapes(&self, _caps: &Caps) -> Query {
        // Virtual tables have no root page; their shadow tables do, and are read as the tables that they are.
        Query::new(
            "SELECT NULL, m.name, 1, x.name, x.type, x.hidden IN (2, 3), '' FROM main.sqlite_schema m \
             LEFT JOIN pragma_table_xinfo(m.name, 'main') x ON x.hidden <> 1 \
             WHERE m.type = 'table' AND m.rootpage > 0 AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
             ORDER BY m.name, x.cid",
            vec![],
        )
    }

    fn neutral(&self, native: &str, _more: &str) -> NeutralType {
        neutral(native)
    }

    fn select(&self, table: &Bound) -> String {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| quote(&column.shape.name))
            .collect();
        let list = if columns.is_empty() {
            "NULL".to_owned()
        } else {
            columns.join(", ")
        };
        format!("SELECT {list} {}", self.from(table))
    }

    fn from(&self, table: &Bound) -> String {
        format!("FROM main.{}", quote(&table.table))
    }

    /// The row's own number, under a name that no column hides. Unquoted: in quotes a name that is no column's is a text.
    fn place(&self, columns: &[&str], _key: Option<&str>) -> Option<String> {
        let hidden = |name: &&str| {
            let mut columns = columns.iter();
            columns.any(|column| column.eq_ignore_ascii_case(name))
        };
        let names = ["rowid", "_rowid_", "oid"];
        let name = names.into_iter().find(|name| !hidden(name))?;
        Some(name.to_owned())
    }

    /// A key has an index of its own, unless it is the row's number or the table lies by it.
    fn ordered(&self, select: &str, key: &[String]) -> Option<String> {
        Some(format!("{select} ORDER BY {}", key.join(", ")))
    }

    fn snapshot(&self) -> &'static [&'static str] {
        // BEGIN alone reads nothing: the first query takes the snapshot.
        &["BEGIN", "SELECT 1 FROM sqlite_schema LIMIT 1"]
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
            // Whatever the table itself says of a conflict: no row of others is replaced, none is left out in silence.
            "INSERT OR ABORT INTO {} ({}) VALUES {marks}",
            quote(&table.table),
            columns.join(", ")
        );
        (sql, false)
    }

    fn insert_texts(&self, table: &Bound, texts: &[bool]) -> Option<String> {
        let columns = table.columns.iter().map(|c| quote(&c.shape.name));
        let marks = texts
            .iter()
            .map(|text| if *text { "CAST(? AS TEXT)" } else { "?" });
        Some(format!(
            "INSERT INTO {} ({}) VALUES ({})",
            quote(&table.table),
            columns.collect::<Vec<_>>().join(", "),
            marks.collect::<Vec<_>>().join(", ")
        ))
    }

    fn plain_table(&self, table: &Bound, declared: bool) -> Option<String> {
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|column| {
                let native = if declared {
                    declared_type(&column.shape.native)
                } else {
                    unbent(&column.ty).to_owned()
                };
                format!("{} {native}", quote(&column.shape.name))
            })
            .collect();
        Some(format!(
            "CREATE TABLE {} ({})",
            quote(&table.table),
            columns.join(", ")
        ))
    }

    fn load_begin(&self) -> &'static [&'static str] {
        &[]
    }

    fn databases(&self) -> Option<&'static str> {
        None
    }

    fn snapshot_end(&self) -> &'static str {
        "ROLLBACK"
    }
}

/// A declared type as it can stand in a statement.
fn declared_type(native: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_ (),".contains(c);
    let words = native.split(['(', ' ']).next().unwrap_or_default();
    if native.is_empty() || (native.chars().all(plain) && !words.is_empty()) {
        native.to_owned()
    } else {
        quote(native)
    }
}

/// A declared type whose affinity leaves values of a server's column as they are.
fn unbent(ty: &NeutralType) -> &'static str {
    match ty {
        NeutralType::Bool => "BOOLEAN",
        NeutralType::Int => "INTEGER",
        NeutralType::Float => "REAL",
        NeutralType::Bytes => "BLOB",
        // Numbers here, digits there.
        NeutralType::Bits => "",
        _ => "TEXT",
    }
}

/// What a declared type means: first the names that say more than SQLite's affinities, then the affinities. A column
/// whose name says nothing holds anything.
fn neutral(declared: &str) -> NeutralType {
    let upper = declared.to_ascii_uppercase();
    let base = upper.split('(').next().unwrap_or_default().trim();
    match base {
        "BOOL" | "BOOLEAN" => return NeutralType::Bool,
        "DATE" => return NeutralType::Date,
        "TIME" => return NeutralType::Time,
        "DATETIME" | "TIMESTAMP" => return NeutralType::Timestamp,
        "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" | "DATETIMEOFFSET" => {
            return NeutralType::TimestampTz;
        }
        // What a copy into SQLite calls its columns, so that an affinity keeps their texts as they are.
        "DECIMAL_TEXT" => return NeutralType::Decimal,
        "JSON_TEXT" => return NeutralType::Json,
        "BIT_TEXT" => return NeutralType::Bits,
        "JSON" => return NeutralType::Json,
        "UUID" | "GUID" | "UNIQUEIDENTIFIER" => return NeutralType::Uuid,
        "DECIMAL" | "NUMERIC" | "NUMBER" | "MONEY" => return NeutralType::Decimal,
        "REAL" | "DOUBLE" | "FLOAT" | "DOUBLE PRECISION" => return NeutralType::Float,
        "" | "ANY" | "JSONB" => return NeutralType::any(),
        _ => {}
    }
    // A POINT is a shape, whatever letters it ends with.
    if base.contains("INT") && !base.contains("POINT") {
        NeutralType::Int
    } else if ["CHAR", "CLOB", "TEXT"]
        .iter()
        .any(|word| base.contains(word))
    {
        NeutralType::Text
    } else if base.contains("BLOB") || base.contains("BINARY") || base == "BYTEA" {
        NeutralType::Bytes
    } else if ["REAL", "FLOA", "DOUB"]
        .iter()
        .any(|word| base.contains(word))
    {
        NeutralType::Float
    } else {
        NeutralType::any()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_mean_what_people_mean() {
        for (declared, expected) in [
            ("INTEGER", "int"),
            ("UNSIGNED BIG INT", "int"),
            ("int8", "int"),
            ("NVARCHAR(160)", "text"),
            ("NATIVE CHARACTER(70)", "text"),
            ("NUMERIC(10,2)", "decimal"),
            ("DATETIME", "timestamp"),
            ("TIMESTAMP WITH TIME ZONE", "timestamp_tz"),
            ("boolean", "bool"),
            ("DOUBLE PRECISION", "float"),
            ("BLOB", "bytes"),
            ("POINT", "opaque(any)"),
            ("", "opaque(any)"),
            ("STRING", "opaque(any)"),
        ] {
            assert_eq!(neutral(declared).name(), expected, "{declared}");
        }
    }
}
