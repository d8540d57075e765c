//! What a cleaning is asked for, and what came of it.

use dunlin_core::finding::Finding;
use dunlin_core::rules::Rule;
use serde::Serialize;
use std::path::Path;

/// What a cleaning is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The rules.
    pub rules: &'a [Rule],
    /// All rules about this database: they say what refers to what, too.
    pub all: &'a [Rule],
    /// The folder that files are meant from.
    pub root: &'a Path,
}

/// What was done about one rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Cleaned {
    /// The rule.
    pub id: String,
    /// Its kind.
    pub kind: &'static str,
    /// Rows removed (moved away among them), children that went with them included.
    pub removed: u64,
    /// Rows changed.
    pub changed: u64,
    /// Rows that were left, for something keeps them.
    pub left: u64,
    /// The first of their keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_keys: Vec<String>,
    /// The same by table.
    pub tables: Vec<PerTable>,
    /// The size of tidied tables (or of the database) before, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_before: Option<u64>,
    /// And after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_after: Option<u64>,
}

/// What was done to one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PerTable {
    /// The table.
    pub table: String,
    /// Rows removed.
    pub removed: u64,
    /// Rows changed.
    pub changed: u64,
}

/// What came of a cleaning.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Rule by rule; of one that was stopped, as far as it came.
    pub rules: Vec<Cleaned>,
    /// What is to be said beside.
    pub findings: Vec<Finding>,
}

impl Outcome {
    /// Rows removed and changed.
    pub fn rows(&self) -> u64 {
        self.rules
            .iter()
            .map(|rule| rule.removed + rule.changed)
            .sum()
    }
}
