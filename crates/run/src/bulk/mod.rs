//! Bulk data: `export` writes tables into files from one snapshot, `import` brings such files, or anybody's, into tables.

pub mod export;
mod filling;
pub mod import;
mod load;
mod out;
mod proof;
mod rejects;
mod remember;
mod source;

pub use dunlin_core::bulk::since::Since;
pub use export::{Asked as ExportAsk, Exported, Filter, To, export};
pub use import::{Asked as ImportAsk, Imported, import};

use dunlin_core::copy::reading::Bound;
use dunlin_core::failure::{Failure, FailureClass};
use std::path::Path;

/// How often progress is told, in rows.
const PROGRESS_ROWS: u64 = 10_000;

/// What became of the rows of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The table.
    pub table: String,
    /// Rows exported or imported.
    pub done: u64,
    /// Rows left out: not chosen by a date that nobody can read (export), duplicates and what refers to them (import).
    pub skipped: u64,
    /// Rows that were refused.
    pub failed: u64,
}

/// A file that is not what it should be.
fn wrong_file(path: &Path, why: impl std::fmt::Display) -> Failure {
    let message = format!("`{}`: {why}", path.display());
    Failure::refused("import-file", message)
}

fn interrupted(what: &str) -> Failure {
    let message = format!("interrupted; {what}");
    Failure::new(FailureClass::Interrupted, "interrupted", message)
}

/// The place of a column in a bound table: by its exact name, else by the only one that differs in case alone.
fn place(table: &Bound, name: &str) -> Option<usize> {
    let columns = || table.columns.iter().enumerate();
    let exact = columns().find(|(_, column)| column.shape.name == name);
    if let Some((at, _)) = exact {
        return Some(at);
    }
    let lower = name.to_lowercase();
    let mut loose = columns().filter(|(_, column)| column.shape.name.to_lowercase() == lower);
    match (loose.next(), loose.next()) {
        (Some((at, _)), None) => Some(at),
        _ => None,
    }
}
