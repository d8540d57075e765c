//! `undo = "restore"`: the tables of a step are kept around its transaction, and its undo merges their rows back.

use super::Walk;
use crate::checkpoint::{self, Keep, Merged};
use crate::steps::migrate::json;
use dunlin_core::event::Event;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::{self, Direction, UnitDetail, UnitState, Writing};
use dunlin_core::plan::steps::{Inverse, Operations};
use dunlin_core::source::plan::{StepDoc, StepSpec, UndoSpec};

/// Refuses it where the step has no statements that change rows, before anything is touched.
pub fn possible(step: &StepDoc) -> Result<(), Failure> {
    let of_rows = matches!(
        step.kind,
        StepSpec::Sql(_)
            | StepSpec::Settings(_)
            | StepSpec::Plugin { .. }
            | StepSpec::Backfill(_)
            | StepSpec::Clean(_)
            | StepSpec::Import(_)
    );
    if step.undo != UndoSpec::Restore || of_rows {
        return Ok(());
    }
    let message = format!(
        "step `{}`: `undo = \"restore\"` brings rows back, and a step of the kind `{}` changes other things",
        step.id,
        step.kind.kind()
    );
    Err(Failure::refused("no-inverse", message)
        .at(step.place.clone())
        .hint("let the undo be derived, or write it"))
}

/// Has the tables kept around the transaction that follows, where the undo needs them.
pub async fn set(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    operations: &Operations,
) -> Result<(), Failure> {
    if operations.undo != Inverse::Restore {
        return Ok(());
    }
    let may = checkpoint::may_keep(&mut *walk.runner.work, &operations.kept).await;
    may.map_err(|mut failure| {
        failure.message = format!("step `{}`: {}", doc.id, failure.message);
        failure
    })?;
    let name = format!("step-{}", doc.id);
    walk.runner.keep = Some(Keep::around(name, operations.kept.clone()));
    Ok(())
}

/// Merges the rows back: those that still are what the step left. Others' later writes stay and are said.
pub async fn back(walk: &mut Walk<'_, '_>, doc: &StepDoc, key: &str) -> Result<(), Failure> {
    let kept = match walk.history.steps.get(key) {
        Some(UnitState::Applied(applied)) => applied.kept.clone(),
        _ => None,
    };
    let Some(kept) = kept else {
        let message = "no checkpoint was made before it";
        return Err(Failure::new(FailureClass::Failed, "no-checkpoint", message));
    };
    let found = checkpoint::find(walk.runner.world, &kept)?;
    let (name, by) = (doc.title.clone(), walk.runner.world.who.clone());
    let record = |merged: &Merged| {
        let detail = UnitDetail {
            direction: Some(Direction::Down),
            name: name.clone(),
            by: by.clone(),
            rows: Some(merged.rows),
            kept: Some(kept.clone()),
            left: merged.left.clone(),
            ..UnitDetail::default()
        };
        vec![Writing::unit(
            journal::Event::Done,
            key,
            &doc.hash,
            json(&detail),
        )]
    };
    let merged = checkpoint::merge(walk.runner, &found, &record).await?;
    for (table, left, keys) in &merged.left {
        walk.runner.sink.event(&Event::Note {
            message: format!(
                "step `{}`: changed by others since, and left as they are: {} of {table} ({})",
                doc.id,
                super::count(usize::try_from(*left).unwrap_or(usize::MAX), "row"),
                keys.join("; ")
            ),
        });
    }
    walk.runner.sink.event(&Event::StepDone {
        version: doc.id.clone(),
        name: doc.title.clone(),
        direction: Direction::Down.to_string(),
        duration_ms: 0,
    });
    Ok(())
}
