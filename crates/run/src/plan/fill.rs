//! A step that fills rows in batches, and its way back from the images of what the batches changed.

use super::Walk;
use super::{notes, step};
use crate::steps::backfill;
use crate::steps::migrate::millis;
use dunlin_core::event::Event;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::Direction;
use dunlin_core::plan::steps::Inverse;
use dunlin_core::source::grammar::steps::Backfill;
use dunlin_core::source::plan::window::Window;
use dunlin_core::source::plan::{PhaseDoc, SqlText, StepDoc, StepSpec, UndoSpec};
use std::time::Instant;

/// Runs the batches, or goes on after the last one that is recorded.
pub async fn forward(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
    doc: &StepDoc,
    key: &str,
    spec: &Backfill,
) -> Result<(), Failure> {
    let started = Instant::now();
    if walk.history.flight(key).is_none() {
        let undo = match &doc.undo {
            UndoSpec::Derive | UndoSpec::Restore => Inverse::Images,
            UndoSpec::Sql(SqlText { text, .. }) => Inverse::Statements(vec![text.clone()]),
            said => step::stated(said),
        };
        notes::lowered(walk, doc, key, undo);
        notes::begin(walk, doc, key, Direction::Up).await?;
    }
    let windows = [&walk.ask.doc.window, &phase.window, &doc.window];
    let windows: Vec<&Window> = windows.into_iter().flatten().collect();
    let resting = Some((&mut walk.rest, windows.as_slice()));
    match backfill::run_resting(walk.runner, key, spec, resting).await {
        Ok(rows) => {
            notes::end(walk, doc, key, Direction::Up, millis(started), Some(rows));
            walk.flush().await
        }
        Err(failure) => {
            // Batches that are done stand, each with its image: the undo takes them back.
            if failure.class == FailureClass::Failed {
                notes::failed(walk, doc, key, Direction::Up, &failure, false).await;
            }
            Err(failure)
        }
    }
}

/// Takes the batches back; rows that others have changed since are left alone and said.
pub async fn back(walk: &mut Walk<'_, '_>, doc: &StepDoc, key: &str) -> Result<(), Failure> {
    // Should it stop at a batch, the step is done no more.
    let flight = walk.history.flight(key);
    if flight.is_none_or(|flight| flight.direction == Direction::Up) {
        notes::begin(walk, doc, key, Direction::Down).await?;
    }
    let gone = match &doc.kind {
        StepSpec::Clean(_) => super::clean::back(walk, doc, key).await,
        StepSpec::Backfill(spec) => batches_back(walk, doc, key, spec).await,
        _ => {
            let message = "the step was a backfill when it ran, and is none any more";
            Err(Failure::new(FailureClass::Failed, "no-inverse", message))
        }
    };
    if let Err(failure) = &gone
        && !super::back::stops_everything(failure)
    {
        notes::failed(walk, doc, key, Direction::Down, failure, false).await;
    }
    gone
}

async fn batches_back(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    spec: &Backfill,
) -> Result<(), Failure> {
    let undone = backfill::undo(walk.runner, key, spec).await?;
    if undone.left > 0 {
        walk.runner.sink.event(&Event::Note {
            message: format!(
                "step `{}`: changed by others since, and left as they are: {} ({})",
                doc.id,
                super::count(usize::try_from(undone.left).unwrap_or(usize::MAX), "row"),
                undone.keys.join(", ")
            ),
        });
    }
    notes::end(walk, doc, key, Direction::Down, 0, None);
    walk.flush().await
}
