//! The databases that the steps `copy` name: both must answer, and the target must be empty.

use super::Scene;
use crate::plan::moving;
use crate::{inspect, observe, trouble};
use dunlin_core::failure::Failure;
use dunlin_core::preflight::Checked;
use dunlin_core::source::grammar::moving::CopyStep;
use dunlin_core::source::plan::{StepDoc, StepSpec};
use dunlin_engines::Purpose;

/// One judgement for each copy that has not begun.
pub(super) async fn check(scene: &Scene<'_>) -> Vec<Checked> {
    let mut found = vec![];
    for phase in &scene.ahead {
        for step in &phase.steps {
            let StepSpec::Copy(spec) = &step.kind else {
                continue;
            };
            let key = dunlin_core::journal::plan::step_key(&scene.doc.name, &phase.id, &step.id);
            if scene.ground.history.steps.contains_key(&key) {
                continue;
            }
            let judged = match look(scene, step, spec).await {
                Ok(tables) => Checked::passed(
                    "copies",
                    "target-not-empty",
                    format!(
                        "step `{}`: both databases answer, {tables}, the target is empty",
                        step.id
                    ),
                ),
                Err(failure) => {
                    let message = match failure.message.starts_with("step `") {
                        true => failure.message,
                        false => format!("step `{}`: {}", step.id, failure.message),
                    };
                    let help = failure.hints.into_iter().next().unwrap_or_default();
                    Checked::failed("copies", failure.code, message).help(help)
                }
            };
            found.push(judged.at(&step.place));
        }
    }
    found
}

/// How many tables the source has; refused where an end does not answer or the target holds anything.
async fn look(scene: &Scene<'_>, step: &StepDoc, spec: &CopyStep) -> Result<String, Failure> {
    let (from, to) = moving::ends(scene.world, scene.project, step, spec)?;
    let failed = |failure: Failure| to.redact(from.redact(failure));
    let mut source = from.open(Purpose::Read).await.map_err(failed)?;
    let seen = observe::catalog(&mut *source, &inspect::scope(&from)).await;
    source.close().await;
    let seen = seen.map_err(|error| {
        failed(trouble::refused(
            &error,
            "the source's catalog cannot be read",
        ))
    })?;
    let tables = crate::plan::count(seen.tables.len(), "table");
    // A target that is a file is made when its turn comes.
    if to.engine.file().is_some_and(|file| !file.exists()) {
        return Ok(tables);
    }
    let mut target = to.open(Purpose::Read).await.map_err(failed)?;
    let there = observe::catalog(&mut *target, &inspect::scope(&to)).await;
    target.close().await;
    let there = there.map_err(|error| {
        failed(trouble::refused(
            &error,
            "the target's catalog cannot be read",
        ))
    })?;
    if there.tables.is_empty() && there.views.is_empty() {
        return Ok(tables);
    }
    let first = there.tables.iter().map(|table| table.label()).take(5);
    let message = format!(
        "the target is not empty: it holds {}",
        first.collect::<Vec<_>>().join(", ")
    );
    Err(Failure::refused("target-not-empty", message)
        .hint("a step copies into an empty database: name another, or empty it"))
}
