//! What must hold before the first write. Passing is the only way to a [`Cleared`], and without one nothing executes.
//!
//! One file for each thing that `plan check` looks at. They judge what was observed; asking is the caller's part. Each
//! judgement is a [`Checked`], and all of them are made before any is told.

pub mod backup;
pub mod clock;
pub mod connection;
pub mod disk;
pub mod evaluable;
pub mod gates;
pub mod in_doubt;
pub mod migrations;
pub mod plugins;
pub mod requires;
pub mod rights;
#[cfg(test)]
mod tests;
pub mod transactions;
pub mod undo;

use crate::finding::{Finding, Place, any_error};
use crate::plan::Phase;
use crate::plan::evidence::CheckOutcome;
use serde::Serialize;

/// What one look before a plan has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What was looked at: `rights`, `requires:disk:5GB`.
    pub id: String,
    /// How it came out.
    pub outcome: CheckOutcome,
    /// One sentence.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The code of its page.
    pub code: &'static str,
    /// Where it points.
    #[serde(skip)]
    pub place: Place,
}

impl Checked {
    fn new(outcome: CheckOutcome, id: &str, code: &'static str, message: String) -> Self {
        Checked {
            id: id.to_owned(),
            outcome,
            message,
            help: None,
            code,
            place: Place::default(),
        }
    }

    /// It holds.
    pub fn passed(id: &str, code: &'static str, message: impl Into<String>) -> Self {
        Checked::new(CheckOutcome::Passed, id, code, message.into())
    }

    /// It does not, and the plan is refused.
    pub fn failed(id: &str, code: &'static str, message: impl Into<String>) -> Self {
        Checked::new(CheckOutcome::Failed, id, code, message.into())
    }

    /// It does not, and the plan may run.
    pub fn warned(id: &str, code: &'static str, message: impl Into<String>) -> Self {
        Checked::new(CheckOutcome::Warned, id, code, message.into())
    }

    /// It could not be looked at, and why.
    pub fn not_run(id: &str, code: &'static str, message: impl Into<String>) -> Self {
        Checked::new(CheckOutcome::NotRun, id, code, message.into())
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same at a place.
    #[must_use]
    pub fn at(mut self, place: &Place) -> Self {
        self.place = place.clone();
        self
    }

    /// As a finding; `None` where there is nothing to do.
    pub fn finding(&self) -> Option<Finding> {
        let place = self.place.clone();
        let finding = match self.outcome {
            CheckOutcome::Failed => Finding::error(self.code, place, self.message.clone()),
            CheckOutcome::Warned => Finding::warning(self.code, place, self.message.clone()),
            CheckOutcome::Passed | CheckOutcome::NotRun => return None,
        };
        Some(match &self.help {
            Some(help) => finding.help(help.clone()),
            None => finding,
        })
    }
}

/// `1 step`, `2 steps`.
pub fn count(n: usize, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    }
}

/// A size for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// A phase that preflight has passed. Only [`check`] makes one.
#[derive(Debug)]
pub struct Cleared {
    phase: Phase,
    findings: Vec<Finding>,
}

impl Cleared {
    /// The phase.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// What was found and does not stop.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

/// Clears a phase, or gives the findings that forbid it. `findings` are those of planning and lowering.
pub fn check(phase: Phase, findings: Vec<Finding>) -> Result<Cleared, Vec<Finding>> {
    if any_error(&findings) {
        Err(findings)
    } else {
        Ok(Cleared { phase, findings })
    }
}
