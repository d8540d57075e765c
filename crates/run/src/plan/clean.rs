//! A step that cleans by rules, and its way back from the images of what its batches removed and changed.

use super::Walk;
use super::{notes, step};
use crate::rules::{self, Ask};
use crate::steps::migrate::millis;
use dunlin_core::event::Event;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::finding::Finding;
use dunlin_core::journal::Direction;
use dunlin_core::plan::steps::Inverse;
use dunlin_core::source::plan::{SqlText, StepDoc, UndoSpec};
use std::time::Instant;

/// Findings about rules, as the failure of a step.
fn unusable(doc: &StepDoc, findings: &[Finding]) -> Failure {
    let said: Vec<&str> = findings
        .iter()
        .map(|finding| finding.message.as_str())
        .collect();
    let code = findings.first().map_or("bad-rule", |finding| finding.code);
    Failure::refused(code, format!("step `{}`: {}", doc.id, said.join("; "))).at(doc.place.clone())
}

/// Cleans, or goes on with it: what is left to do is found anew.
pub async fn forward(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    names: &[String],
) -> Result<(), Failure> {
    let started = Instant::now();
    let (project, config) = (walk.ask.project, &walk.runner.world.config);
    let chosen = rules::chosen(project, config, names).map_err(|found| unusable(doc, &found))?;
    let all = rules::chosen(project, config, &[]).map_err(|found| unusable(doc, &found))?;
    if walk.history.flight(key).is_none() {
        let undo = match &doc.undo {
            UndoSpec::Derive | UndoSpec::Restore => Inverse::Images,
            UndoSpec::Sql(SqlText { text, .. }) => Inverse::Statements(vec![text.clone()]),
            said => step::stated(said),
        };
        notes::lowered(walk, doc, key, undo);
        notes::begin(walk, doc, key, Direction::Up).await?;
    }
    let ask = Ask {
        rules: &chosen,
        all: &all,
        root: &project.root,
    };
    let (outcome, ended) = rules::clean_unit(walk.runner, key, &ask).await;
    walk.note_findings(&outcome.findings);
    match ended {
        Ok(()) => {
            notes::end(
                walk,
                doc,
                key,
                Direction::Up,
                millis(started),
                Some(outcome.rows()),
            );
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

/// Takes the batches back; rows that others have written to since are left alone and said.
pub async fn back(walk: &mut Walk<'_, '_>, doc: &StepDoc, key: &str) -> Result<(), Failure> {
    let undone = rules::undo_unit(walk.runner, key).await?;
    let mut notes = undone.notes;
    if undone.left > 0 {
        notes.push(format!(
            "written to by others since, and left as they are: {} ({})",
            super::count(usize::try_from(undone.left).unwrap_or(usize::MAX), "row"),
            undone.keys.join("; ")
        ));
    }
    for note in notes {
        let message = format!("step `{}`: {note}", doc.id);
        walk.runner.sink.event(&Event::Note { message });
    }
    notes::end(walk, doc, key, Direction::Down, 0, None);
    walk.flush().await
}
