//! What `export` and `import` take.

use clap::Args;
use std::path::PathBuf;

/// `export`.
#[derive(Debug, Args)]
pub struct Export {
    /// A folder (a file for each table and a manifest), a file, or - for a pipe (NDJSON)
    #[arg(short = 'o', long, value_name = "DIR|FILE")]
    pub output: PathBuf,
    /// The tables; those that refer to them come along (default: all that are ours)
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub tables: Vec<String>,
    /// Of a table only rows that meet a condition, and what refers to them
    #[arg(long = "where", value_name = "TABLE=SQL")]
    pub filters: Vec<String>,
    /// Of a table only rows since a date, in whatever format the column holds dates
    #[arg(long, value_name = "TABLE.COLUMN=DATE")]
    pub since: Vec<String>,
    /// How rows are written (default: by the name of the file, else ndjson)
    #[arg(long = "as", value_name = "FORM", value_parser = ["ndjson", "csv", "sqlite"])]
    pub form: Option<String>,
}

/// `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Folders of an export, files (NDJSON, CSV, SQLite, by content and ending), - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Leave out rows that are there already, and what refers to rows that were left out
    #[arg(long)]
    pub skip_duplicates: bool,
    /// By which columns rows of a table are duplicates (default: its primary and unique keys)
    #[arg(
        long = "key",
        value_name = "TABLE:COLUMNS",
        requires = "skip_duplicates"
    )]
    pub keys: Vec<String>,
    /// Write rows that are refused down, and import the others (exit code 8)
    #[arg(long)]
    pub continue_on_error: bool,
    /// Where they are written down (default: a file in the folder of backups)
    #[arg(long, value_name = "FILE", requires = "continue_on_error")]
    pub rejects: Option<PathBuf>,
}
