//! What a check has found: expected, observed, when, how long. Kept in the journal, shown in `runs` and reports.

use serde::{Deserialize, Serialize};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// What it asserts holds.
    Passed,
    /// It does not hold, and that is an error.
    Failed,
    /// It does not hold, and that is a warning.
    Warned,
    /// It was not evaluated: the phase did not come so far, or a person has not answered yet.
    NotRun,
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Evidence {
    /// The check's name.
    pub id: String,
    /// `before` or `after`.
    pub when: String,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// What was expected, for people.
    pub expected: String,
    /// What was observed, for people; sensitive values masked.
    pub observed: String,
    /// When, RFC 3339 UTC.
    pub at: String,
    /// How long it took.
    pub duration_ms: u64,
}
