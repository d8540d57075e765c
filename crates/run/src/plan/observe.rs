//! Evaluating one check for the runner: with what was noted when its phase began.

use super::Walk;
use dunlin_core::failure::Failure;
use dunlin_core::plan::evidence::{CheckOutcome, Evidence};
use dunlin_core::source::grammar::checks::When;
use dunlin_core::source::plan::{CheckDoc, PhaseDoc};

/// Evaluates one check.
pub async fn evaluate(
    walk: &mut Walk<'_, '_>,
    _phase: &PhaseDoc,
    check: &CheckDoc,
    when: When,
    _answer: Option<bool>,
) -> Result<Evidence, Failure> {
    Ok(Evidence {
        id: check.id.clone(),
        when: match when {
            When::Before => "before".into(),
            _ => "after".into(),
        },
        outcome: CheckOutcome::NotRun,
        expected: String::new(),
        observed: String::new(),
        at: walk.runner.world.clock.stamp(),
        duration_ms: 0,
    })
}

/// What is noted when a phase begins: marks, and what its checks compare with.
pub async fn note(
    _walk: &mut Walk<'_, '_>,
    _phase: &PhaseDoc,
) -> Result<(serde_json::Value, serde_json::Value), Failure> {
    Ok((serde_json::Value::Null, serde_json::Value::Null))
}
