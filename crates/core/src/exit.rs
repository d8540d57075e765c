//! Outcomes and exit codes: the one place where a number is decided.

use serde::Serialize;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done, or nothing to do.
    Done,
    /// Failed after the first write.
    Failed,
    /// Usage or configuration, decided without a database.
    Usage,
    /// Waiting at a gate, a manual step, a window.
    Waiting,
    /// Refused before the first write.
    Refused,
    /// A mismatch: changed script, drift, unequal digests.
    Mismatch,
    /// Locked by another runner.
    Locked,
    /// In doubt: a person must look.
    InDoubt,
    /// Some units done, others listed.
    Partial,
    /// Something is pending (only `status --exit-code`).
    Pending,
    /// Interrupted by the person.
    Interrupted,
}

impl Outcome {
    /// The process exit code of this outcome.
    pub const fn code(self) -> u8 {
        match self {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::Usage => 2,
            Outcome::Waiting => 3,
            Outcome::Refused => 4,
            Outcome::Mismatch => 5,
            Outcome::Locked => 6,
            Outcome::InDoubt => 7,
            Outcome::Partial => 8,
            Outcome::Pending => 10,
            Outcome::Interrupted => 130,
        }
    }
}
