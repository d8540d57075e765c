//! The checks of phases and steps: when they are evaluated, and where what they found is kept.

use super::Walk;
use crate::control::{Control, Stop};
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
        let control = walk.runner.control.clone();
        let asked = super::observe::evaluate(walk, phase, check, when, answer);
        let evidence = unless_ended(control, &check.id, asked).await?;
        walk.runner.sink.event(&Event::CheckDone {
            phase: phase.id.clone(),
            evidence: evidence.clone(),
        });
        found.push(evidence);
    }
    Ok(found)
}

/// Waits for what a check asks, or until a person cancels it: what is asked reads, and what is tried out is not committed.
pub(super) async fn unless_ended<T>(
    mut control: Control,
    check: &str,
    asked: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        answer = asked => answer,
        () = control.until(Stop::Now) => {
            let message = format!("check `{check}` was ended by a person; the next run asks it again");
            Err(Failure::new(FailureClass::Interrupted, "interrupted", message))
        }
    }
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

/// Whether the step's checks before it hold. Gives the questions among them that nobody has answered.
pub async fn before_step<'s>(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
    step: &'s StepDoc,
) -> Result<Vec<&'s CheckDoc>, Failure> {
    let key = dunlin_core::journal::plan::step_key(&walk.ask.doc.name, &phase.id, &step.id);
    // A step that an interrupted run began: they held then, and what they compare with is noted. Now they would see what a
    // part of the step has done.
    if step.checks.is_empty() || walk.history.flight(&key).is_some() {
        return Ok(vec![]);
    }
    let open = at_step(walk, phase, step, When::Before).await?;
    if open.is_empty() {
        super::observe::note_step(walk, phase, step).await?;
    }
    Ok(open)
}

/// Whether the step's checks after it hold. Gives the questions among them that nobody has answered.
pub async fn after_step<'s>(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
    step: &'s StepDoc,
) -> Result<Vec<&'s CheckDoc>, Failure> {
    if step.checks.is_empty() {
        return Ok(vec![]);
    }
    walk.flush().await?;
    at_step(walk, phase, step, When::After).await
}

/// Whether the checks after a step were answered in this attempt, so that nothing more is to be asked of it. Its runner may
/// have died before they were, or they may not have held where `on_failure` lets the step stand.
pub fn are_settled(walk: &Walk<'_, '_>, phase: &PhaseDoc, step: &StepDoc) -> bool {
    let found = walk.history.phases.get(&phase.id);
    let evidence = found.map_or(&[][..], |phase| &phase.evidence);
    let mut after = step.checks.iter().filter(|own| own.when != When::Before);
    after.all(|check| {
        let mut newest_first = evidence.iter().rev();
        let newest = newest_first.find(|one| one.id == check.id && one.when == "after");
        newest.is_some_and(|one| match one.outcome {
            CheckOutcome::Passed | CheckOutcome::Warned => true,
            CheckOutcome::Failed => !step.critical,
            CheckOutcome::NotRun => false,
        })
    })
}

/// Evaluates a step's checks at one moment, and records what they found.
async fn at_step<'s>(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
    step: &'s StepDoc,
    when: When,
) -> Result<Vec<&'s CheckDoc>, Failure> {
    let checks: Vec<_> = step.checks.iter().collect();
    if checks
        .iter()
        .any(|check| matches!(check.kind, CheckSpec::Ask(_)))
    {
        // Answered while other steps ran, perhaps.
        walk.reload().await?;
    }
    let found = evaluate(walk, phase, &checks, when).await?;
    let open = unanswered(&found, &checks);
    let moment = if when == When::Before {
        "before"
    } else {
        "after"
    };
    settle_step(walk, phase, found, &format!("{moment} step `{}`", step.id))?;
    Ok(open)
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
