//! Evaluating checks for the runner: with what was noted when their phase or step began.

use super::Walk;
use super::checks::unless_ended;
use crate::checks::{self, Baselines, Marks};
use crate::steps::migrate::json;
use dunlin_core::failure::Failure;
use dunlin_core::journal::plan::{PhaseDetail, phase_key};
use dunlin_core::journal::{Event, Writing};
use dunlin_core::plan::evidence::Evidence;
use dunlin_core::source::grammar::checks::When;
use dunlin_core::source::plan::{CheckDoc, PhaseDoc, StepDoc};
use serde_json::Value;

/// Evaluates one check.
pub async fn evaluate(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
    check: &CheckDoc,
    when: When,
    answer: Option<bool>,
) -> Result<Evidence, Failure> {
    let began = walk.history.phase(&phase.id).began;
    let marks: Marks = read(&began.marks);
    let baselines: Baselines = read(&began.baselines);
    let baseline = baselines.0.get(&check.id);
    Ok(checks::evaluate(&mut walk.checks, check, when, &marks, baseline, answer).await)
}

/// What is noted when a phase begins: marks, and what the phase's own checks compare with.
pub async fn note(walk: &mut Walk<'_, '_>, phase: &PhaseDoc) -> Result<(Value, Value), Failure> {
    let own = phase.steps.iter().flat_map(|step| &step.checks);
    let all: Vec<_> = phase.checks.iter().chain(own).collect();
    let marks = checks::marks(&mut walk.checks, &all).await?;
    let mut baselines = Baselines::default();
    for check in &phase.checks {
        walk.runner.may_go_on()?;
        let control = walk.runner.control.clone();
        let asked = checks::baseline(&mut walk.checks, check, &marks);
        let baseline = unless_ended(control, &check.id, asked).await?;
        if let Some(baseline) = baseline {
            baselines.0.insert(check.id.clone(), baseline);
        }
    }
    Ok((json(&marks), json(&baselines)))
}

/// What is noted when a step begins, for its own checks that compare; recorded with the next commit.
pub async fn note_step(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
    step: &StepDoc,
) -> Result<(), Failure> {
    let marks: Marks = read(&walk.history.phase(&phase.id).began.marks);
    let mut baselines = Baselines::default();
    for check in &step.checks {
        let control = walk.runner.control.clone();
        let asked = checks::baseline(&mut walk.checks, check, &marks);
        let baseline = unless_ended(control, &check.id, asked).await?;
        if let Some(baseline) = baseline {
            baselines.0.insert(check.id.clone(), baseline);
        }
    }
    if baselines.0.is_empty() {
        return Ok(());
    }
    let detail = PhaseDetail {
        baselines: json(&baselines),
        ..PhaseDetail::default()
    };
    let key = phase_key(&walk.ask.doc.name, &phase.id);
    let record = Writing::unit(Event::Checked, &key, &phase.hash, json(&detail));
    walk.runner.pending.push(record);
    walk.flush().await?;
    walk.reload().await
}

/// Removes what was noted on the disk when a phase began, once it is over: done, or taken back.
pub fn forget(walk: &Walk<'_, '_>, phase: &PhaseDoc) {
    let began = walk.history.phase(&phase.id).began;
    let baselines: Baselines = read(&began.baselines);
    baselines.0.values().for_each(checks::forget);
}

/// What was recorded; nothing where nothing was.
fn read<T: Default + serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_default()
}
