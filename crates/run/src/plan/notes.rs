//! What the journal keeps of steps that are no script: what their undo is, their beginning, their end.

use super::Walk;
use crate::steps::migrate::json;
use dunlin_core::event::Event;
use dunlin_core::failure::Failure;
use dunlin_core::journal::{self, Direction, UnitDetail, Writing};
use dunlin_core::plan::steps::{Inverse, Operations};
use dunlin_core::source::plan::StepDoc;

/// Records what the undo of a step without statements is.
pub fn lowered(walk: &mut Walk<'_, '_>, step: &StepDoc, key: &str, undo: Inverse) {
    let operations = Operations {
        undo,
        ..Operations::default()
    };
    let record = Writing::unit(journal::Event::Lowered, key, &step.hash, json(&operations));
    walk.runner.pending.push(record);
    walk.history.lowered.insert(key.to_owned(), operations);
}

/// Records the beginning of a step without statements, committed before anything is done.
pub async fn begin(
    walk: &mut Walk<'_, '_>,
    step: &StepDoc,
    key: &str,
    direction: Direction,
) -> Result<(), Failure> {
    let detail = UnitDetail {
        direction: Some(direction),
        name: step.title.clone(),
        by: walk.runner.world.who.clone(),
        ..UnitDetail::default()
    };
    let record = Writing::unit(journal::Event::Began, key, &step.hash, json(&detail));
    walk.runner.pending.push(record);
    walk.runner.sink.event(&Event::StepBegan {
        version: step.id.clone(),
        name: step.title.clone(),
        direction: direction.to_string(),
        index: 1,
        of: 1,
        statements: 0,
        resumed_at: None,
    });
    let written = walk.runner.flush().await;
    written.map_err(|error| {
        walk.runner
            .trouble(&error, "the journal could not be written")
    })
}

/// Records the end of a step without statements; it goes with the next commit.
pub fn end(
    walk: &mut Walk<'_, '_>,
    step: &StepDoc,
    key: &str,
    direction: Direction,
    duration_ms: u64,
    rows: Option<u64>,
) {
    let detail = UnitDetail {
        direction: Some(direction),
        name: step.title.clone(),
        by: walk.runner.world.who.clone(),
        duration_ms: Some(duration_ms),
        rows,
        ..UnitDetail::default()
    };
    let record = Writing::unit(journal::Event::Done, key, &step.hash, json(&detail));
    walk.runner.pending.push(record);
    walk.runner.sink.event(&Event::StepDone {
        version: step.id.clone(),
        name: step.title.clone(),
        direction: direction.to_string(),
        duration_ms,
    });
}

/// Records that a step without statements failed: nothing of it stands (`clean`), or nobody knows.
pub async fn failed(
    walk: &mut Walk<'_, '_>,
    step: &StepDoc,
    key: &str,
    direction: Direction,
    failure: &Failure,
    clean: bool,
) {
    let detail = UnitDetail {
        direction: Some(direction),
        name: step.title.clone(),
        by: walk.runner.world.who.clone(),
        error: walk.runner.world.redactor.apply(&failure.message),
        clean: Some(clean),
        ..UnitDetail::default()
    };
    let record = Writing::unit(journal::Event::Failed, key, &step.hash, json(&detail));
    walk.runner.pending.push(record);
    // Where the journal cannot be written the run stops with that anyway.
    let _ = walk.runner.flush().await;
}
