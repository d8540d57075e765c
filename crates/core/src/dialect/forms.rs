//! The forms in which rows are written into files: one of them is a database of an engine whose databases are files.

use serde::{Deserialize, Serialize};

/// What a database file begins with.
pub const DATABASE_HEAD: &[u8] = b"SQLite format 3\0";

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A JSON object a line.
    Ndjson,
    /// Comma-separated values.
    Csv,
    /// A database file.
    #[serde(rename = "sqlite")]
    Database,
}

impl Form {
    /// The names, for who has written another.
    pub const NAMES: &str = "`ndjson`, `csv` or `sqlite`";

    /// The form of a name.
    pub fn named(name: &str) -> Option<Form> {
        match name {
            "ndjson" | "jsonl" => Some(Form::Ndjson),
            "csv" => Some(Form::Csv),
            "sqlite" | "sqlite3" | "db" => Some(Form::Database),
            _ => None,
        }
    }

    /// What its files end with.
    pub const fn ending(self) -> &'static str {
        match self {
            Form::Ndjson => "ndjson",
            Form::Csv => "csv",
            Form::Database => "sqlite",
        }
    }
}
