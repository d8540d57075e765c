//! The checks of phases and steps: when they are evaluated, and where what they found is kept.

use super::Walk;
use crate::steps::migrate::json;
use dunlin_core::event::Event;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::plan::{PhaseDetail, phase_key};
use dunlin_core::journal::{self, Writing};
use dunlin_core::plan::evidence::{CheckOutcome, Evidence};
use dunlin_core::source::grammar::checks::When;
use dunlin_core::source::plan::{CheckDoc, CheckSpec, PhaseDoc, StepDoc};

/// Evaluates checks at one moment. What they found is recorded with the next commit.
pub async fn evaluate(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
    checks: &[&CheckDoc],
    when: When,
) -> Result<Vec<Evidence>, Failure> {
    let mut found = vec![];
    for check in checks {
        if check.when != when && check.when != When::Both {
            continue;
        }
        walk.runner.may_go_on()?;
        let answer = match &check.kind {
            CheckSpec::Ask(_) => walk
                .history
                .answer(&phase.id, &check.id)
                .map(|answer| !answer.no),
            _ => None,
        };
        let evidence = super::observe::evaluate(walk, phase, check, when, answer).await?;
        walk.runner.sink.event(&Event::CheckDone {
            phase: phase.id.clone(),
            evidence: evidence.clone(),
        });
        found.push(evidence);
    }
    Ok(found)
}

/// The record of what checks found.
pub fn record(walk: &Walk<'_, '_>, phase: &PhaseDoc, evidence: Vec<Evidence>) -> Writing {
    let key = phase_key(&walk.ask.doc.name, &phase.id);
    let detail = PhaseDetail {
        evidence,
        ..PhaseDetail::default()
    };
    Writing::unit(journal::Event::Checked, &key, &phase.hash, json(&detail))
}

/// The questions that nobody has answered yet.
pub fn unanswered<'c>(evidence: &[Evidence], checks: &[&'c CheckDoc]) -> Vec<&'c CheckDoc> {
    let open = |check: &&&CheckDoc| {
        matches!(check.kind, CheckSpec::Ask(_))
            && evidence
                .iter()
                .any(|found| found.id == check.id && found.outcome == CheckOutcome::NotRun)
    };
    checks.iter().filter(open).copied().collect()
}

/// The failure of checks that failed; `None` where none did.
pub fn failure(evidence: &[Evidence], what: &str, class: FailureClass) -> Option<Failure> {
    let failed: Vec<_> = evidence
        .iter()
        .filter(|found| found.outcome == CheckOutcome::Failed)
        .collect();
    let first = failed.first()?;
    let code = match class {
        FailureClass::Refused => "check-before",
        _ => "check-failed",
    };
    let message = match failed.len() {
        1 => format!(
            "check `{}` {what} does not hold: expected {}, observed {}",
            first.id, first.expected, first.observed
        ),
        many => format!("{many} checks {what} do not hold"),
    };
    let mut failure = Failure::new(class, code, message);
    if failed.len() > 1 {
        failure.hints.extend(failed.iter().map(|found| {
            format!(
                "check `{}`: expected {}, observed {}",
                found.id, found.expected, found.observed
            )
        }));
    }
    Some(failure)
}

/// Whether the step's checks before it hold.
pub async fn before_step(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
    step: &StepDoc,
) -> Result<(), Failure> {
    if step.checks.is_empty() {
        return Ok(());
    }
    let checks: Vec<_> = step.checks.iter().collect();
    let found = evaluate(walk, phase, &checks, When::Before).await?;
    settle_step(walk, phase, found, &format!("before step `{}`", step.id))?;
    // A step that an interrupted run began has noted it already.
    let key = dunlin_core::journal::plan::step_key(&walk.ask.doc.name, &phase.id, &step.id);
    match walk.history.flight(&key) {
        Some(_) => Ok(()),
        None => super::observe::note_step(walk, phase, step).await,
    }
}

/// Whether the step's checks after it hold.
pub async fn after_step(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
    step: &StepDoc,
) -> Result<(), Failure> {
    if step.checks.is_empty() {
        return Ok(());
    }
    walk.flush().await?;
    let checks: Vec<_> = step.checks.iter().collect();
    let found = evaluate(walk, phase, &checks, When::After).await?;
    settle_step(walk, phase, found, &format!("after step `{}`", step.id))
}

fn settle_step(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
    found: Vec<Evidence>,
    what: &str,
) -> Result<(), Failure> {
    if found.is_empty() {
        return Ok(());
    }
    let failure = failure(&found, what, FailureClass::Failed);
    let record = record(walk, phase, found);
    walk.runner.pending.push(record);
    failure.map_or(Ok(()), Err)
}

/// Runs a phase's `before` checks once more after it was taken back.
pub async fn before_again(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
) -> Result<Vec<Evidence>, Failure> {
    let checks: Vec<_> = phase
        .checks
        .iter()
        .filter(|check| !matches!(check.kind, CheckSpec::Ask(_)))
        .collect();
    let found = evaluate(walk, phase, &checks, When::Before).await?;
    if !found.is_empty() {
        let record = record(walk, phase, found.clone());
        walk.runner.pending.push(record);
        walk.flush().await?;
    }
    Ok(found)
}
