//! What an undo has archived comes home when the phase runs forward again, right after the step that makes the table or
//! column again.

use super::Walk;
use super::back::stops_everything;
use crate::checkpoint::{self, Coming};
use crate::steps::migrate::json;
use dunlin_core::event::Event;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::archive::{Archive, Home, Part};
use dunlin_core::journal::{self, Writing};
use dunlin_core::source::plan::StepDoc;

/// The failure of an archive that cannot come home.
pub const WAITS: &str = "archive-waits";

/// Brings home what was archived when the step was taken back. The step is done; nothing waits: nothing is asked.
pub async fn bring(walk: &mut Walk<'_, '_>, doc: &StepDoc, key: &str) -> Result<(), Failure> {
    let waiting: Vec<Archive> = walk.history.archives.waiting(key).cloned().collect();
    if waiting.is_empty() {
        return Ok(());
    }
    // Where a runner died between archive and drop, or the undo changed the table itself, there may be several: what is
    // newer counts, and what only an older one holds comes beside it.
    let mut newer: Vec<Newer> = vec![];
    for archive in waiting {
        let parts = archive.archived.parts.iter();
        let parts = parts.filter(|part| !newer.iter().any(|known| known.part.replaces(part)));
        let parts: Vec<Part> = parts.cloned().collect();
        match one(walk, doc, key, &archive, (&parts, &mut newer)).await {
            Ok(home) => {
                tell(walk, doc, &home);
                walk.home.push(home);
            }
            Err(failure) if stops_everything(&failure) => return Err(failure),
            Err(failure) if walk.ask.leave_archived => {
                leave(walk, doc, key, &archive, &failure).await?;
            }
            Err(failure) => return Err(waits(walk, doc, &archive, &failure)),
        }
    }
    walk.reload().await
}

/// A part that has come home, and the columns of its file.
struct Newer {
    part: Part,
    columns: Vec<String>,
}

async fn one(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    archive: &Archive,
    (parts, newer): (&[Part], &mut Vec<Newer>),
) -> Result<Home, Failure> {
    let found = checkpoint::find(walk.runner.world, &archive.archived.checkpoint)?;
    let columns = |part: &Part| {
        let mut saved = found.saved.iter();
        let saved = saved.find(|saved| saved.label() == part.table);
        saved.map_or(vec![], |saved| saved.columns.clone())
    };
    let coming = |part: &Part| {
        let same = newer.iter().filter(|known| known.part.table == part.table);
        let mut known: Vec<String> = same.flat_map(|known| known.columns.clone()).collect();
        if part.whole {
            // Rows that are there get the values of these columns, and no others.
            let others = columns(part).into_iter();
            known.extend(others.filter(|name| !part.columns.contains(name)));
        }
        Coming {
            part: part.clone(),
            known: (!known.is_empty()).then_some(known),
        }
    };
    let coming: Vec<Coming> = parts.iter().map(coming).collect();
    let home = checkpoint::bring_home(walk.runner, &found, &coming, (key, &doc.hash)).await?;
    newer.extend(parts.iter().map(|part| Newer {
        part: part.clone(),
        columns: columns(part),
    }));
    Ok(home)
}

fn tell(walk: &mut Walk<'_, '_>, doc: &StepDoc, home: &Home) {
    for came in &home.came {
        walk.runner.sink.event(&Event::Note {
            message: format!("step `{}`: {}", doc.id, came.shown()),
        });
    }
}

async fn leave(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    archive: &Archive,
    why: &Failure,
) -> Result<(), Failure> {
    let why = walk.runner.world.redactor.apply(&why.message);
    let home = Home {
        checkpoint: archive.archived.checkpoint.clone(),
        left_because: why.clone(),
        ..Home::default()
    };
    let record = Writing::unit(journal::Event::Home, key, &doc.hash, json(&home));
    walk.runner.pending.push(record);
    walk.flush().await?;
    walk.runner.sink.event(&Event::Note {
        message: format!(
            "step `{}`: what was archived does not come home and stays in {}: {why}",
            doc.id, archive.archived.file
        ),
    });
    walk.home.push(home);
    Ok(())
}

fn waits(walk: &Walk<'_, '_>, doc: &StepDoc, archive: &Archive, why: &Failure) -> Failure {
    let parts = archive.archived.parts.iter().map(|part| part.shown());
    let message = format!(
        "what was archived when step `{}` was taken back cannot come home ({}): {}",
        doc.id,
        parts.collect::<Vec<_>>().join(", "),
        why.message
    );
    let mut failure = Failure::new(FailureClass::Failed, WAITS, message).at(doc.place.clone());
    failure.hints.push(format!(
        "it lies in checkpoint {} ({}); mend what stands in the way and run again",
        archive.archived.checkpoint, archive.archived.file
    ));
    failure.hints.push(format!(
        "`dunlin run {} --leave-archived` goes on without it",
        walk.ask.shown
    ));
    failure
}
