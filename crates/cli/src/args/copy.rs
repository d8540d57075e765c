//! The arguments of `copy` and `verify`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `copy`.
#[derive(Debug, Args)]
pub struct Copy {
    /// The source: a name of the project file or a URL
    pub from: String,
    /// The target: the same
    pub to: String,
    /// Only these tables (`*` and `?` stand for anything)
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub tables: Vec<String>,
    /// Not these tables
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// How many sessions work at once (default: as many as there are cores)
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub jobs: usize,
    /// Tables, keys and the rest, without rows
    #[arg(long, conflicts_with = "data_only")]
    pub schema_only: bool,
    /// Rows, into tables that are there
    #[arg(long)]
    pub data_only: bool,
    /// A TOML file of renames, types and policies for single columns
    #[arg(long, value_name = "FILE")]
    pub cast: Option<PathBuf>,
    /// What is done about a value that does not fit
    #[arg(long, value_name = "fail|reject|coerce", default_value = "fail")]
    pub on_error: String,
    /// The same for one kind of trouble
    #[arg(long, value_name = "CODE=fail|reject|coerce")]
    pub policy: Vec<String>,
    /// Where rejected rows are written (NDJSON)
    #[arg(long, value_name = "FILE", default_value = "rejects.ndjson")]
    pub rejects: PathBuf,
    /// Go on with a copy that was begun
    #[arg(long)]
    pub resume: bool,
    /// Do not read every row again
    #[arg(long)]
    pub no_verify: bool,
    /// Copy into tables that are there
    #[arg(long, value_name = "append|replace")]
    pub into_existing: Option<IntoExisting>,
    /// Show the plan, touch nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Follow the source's changes and switch over (comes later)
    #[arg(long)]
    pub live: bool,
}

/// What becomes of rows that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IntoExisting {
    /// They stay.
    Append,
    /// They go.
    Replace,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The source: a name of the project file or a URL
    pub from: String,
    /// What is to hold the same: a name or a URL
    pub to: String,
    /// Only these tables (`*` and `?` stand for anything)
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub tables: Vec<String>,
    /// The TOML file of renames, types and policies that the copy had
    #[arg(long, value_name = "FILE")]
    pub cast: Option<PathBuf>,
    /// Make the rows of the second those of the first, by their keys; what was there is kept in a file
    #[arg(long)]
    pub repair: bool,
}
