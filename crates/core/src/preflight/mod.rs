//! What must hold before the first write. Passing is the only way to a [`Cleared`], and without one nothing executes.

use crate::finding::{Finding, any_error};
use crate::plan::Phase;

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
