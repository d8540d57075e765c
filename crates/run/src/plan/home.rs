//! What an undo has archived comes home when the phase runs forward again, right after the step that makes the table or
//! column again.

use super::Walk;
use super::back::stops_everything;
use crate::checkpoint::since::{self, Moment, Waiting};
use crate::checkpoint::{self, Coming, Names};
use crate::steps::migrate::json;
use dunlin_core::event::Event;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::finding::{Finding, Place};
use dunlin_core::journal::archive::{Archive, Archives, Home, Part};
use dunlin_core::journal::plan::step_key;
use dunlin_core::journal::{self, Writing};
use dunlin_core::plan::inverse;
use dunlin_core::plan::steps::Inverse;
use dunlin_core::source::plan::{PlanDoc, StepDoc};
use dunlin_core::sql::ObjectRef;
use std::collections::BTreeSet;

/// The failure of an archive that cannot come home.
pub const WAITS: &str = "archive-waits";

/// Brings home what was archived when the step was taken back. The step is done; nothing waits: nothing is asked.
pub async fn bring(walk: &mut Walk<'_, '_>, doc: &StepDoc, key: &str) -> Result<(), Failure> {
    let waiting: Vec<Archive> = walk.history.archives.waiting(key).cloned().collect();
    if waiting.is_empty() {
        return Ok(());
    }
    // Where a runner died between archive and drop, the undo changed the table itself, or an older one could not come home the
    // last time, there may be several: what is newer counts, and what only an older one holds comes beside it.
    let mut newer: Vec<Newer> = vec![];
    for archive in waiting {
        let parts = archive.archived.parts.iter();
        let replaces =
            |known: &Newer, part: &Part| known.round == archive.round && known.part.replaces(part);
        let parts = parts.filter(|part| !newer.iter().any(|known| replaces(known, part)));
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

/// Before a step runs forward: looks whose the values are by now that an undo of it has written over, so that what others have
/// written since is told from what the undo has left when they come home.
pub async fn ready(walk: &mut Walk<'_, '_>, key: &str) -> Result<(), Failure> {
    let waiting: Vec<Archive> = walk.history.archives.waiting(key).cloned().collect();
    let of_values = |archive: &&Archive| {
        let mut parts = archive.archived.parts.iter();
        parts.any(|part| !part.over.is_empty())
    };
    let world = walk.runner.world;
    let found = waiting.iter().filter(of_values);
    // One that is not there any more stops the run when it is to come home.
    let found =
        found.filter_map(|archive| checkpoint::find(world, &archive.archived.checkpoint).ok());
    let archives: Vec<_> = found.collect();
    if archives.is_empty() {
        return Ok(());
    }
    let names = undone_names(walk, key, &archives);
    let moment = match walk.history.flight(key) {
        None => Moment::Begins,
        Some(_) => Moment::Again,
    };
    since::look_outside(world, &archives, (&names, moment), None).await?;
    walk.runner.since = Some(Waiting {
        archives,
        names,
        noted: false,
    });
    Ok(())
}

/// When it has run: notes what it has left there, where it was not statements that noted it themselves.
pub async fn noted(walk: &mut Walk<'_, '_>) {
    if walk.runner.since.as_ref().is_some_and(|since| !since.noted) {
        let at = (&Names::default(), Moment::Done);
        since::note(walk.runner, false, at, None).await;
    }
}

/// The names that tables have since the step was taken back.
fn undone_names(walk: &Walk<'_, '_>, key: &str, archives: &[checkpoint::Checkpoint]) -> Names {
    let work = &*walk.runner.work;
    let (dialect, lex) = (work.dialect(), work.lex_mode());
    let renames = |sql: &str| inverse::renames(sql, dialect, lex);
    let mut renamed = vec![];
    match walk.history.lowered.get(key).map(|lowered| &lowered.undo) {
        Some(Inverse::Statements(statements)) => {
            renamed.extend(statements.iter().map(|sql| renames(sql)));
        }
        Some(Inverse::Migrations(versions)) => {
            let undos = versions.iter().rev().filter_map(|version| {
                let mut all = walk.ask.migrations.iter();
                let found = all.find(|migration| migration.version.0 == *version)?;
                found.undo.as_ref()
            });
            let statements = undos.flat_map(|undo| &undo.statements);
            renamed.extend(statements.map(|statement| renames(&statement.sql)));
        }
        _ => {}
    }
    let mut names = Names::default();
    for saved in archives.iter().flat_map(|archive| &archive.saved) {
        // A statement may leave out the schema that goes without saying.
        for schema in [saved.schema.as_deref(), None] {
            let first = ObjectRef::table(schema, &saved.name);
            let is = inverse::name_after(&renamed, &first);
            names.add(saved.schema.as_deref(), &saved.name, &is.name);
        }
    }
    names
}

/// A part that has come home, and the columns of its file.
struct Newer {
    round: usize,
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
        // What one of another round does not say of a row nobody had written then.
        let same = newer
            .iter()
            .filter(|known| known.part.table == part.table && known.round == archive.round);
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
        round: archive.round,
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

/// What waits for steps that the plan does not have, or has no more under that name: no run brings it home.
pub fn homeless(plan: &PlanDoc, archives: &Archives) -> Vec<Finding> {
    let phases = plan.phases.iter();
    let keys = phases.flat_map(|phase| {
        let steps = phase.steps.iter();
        steps.map(|step| step_key(&plan.name, &phase.id, &step.id))
    });
    let keys: BTreeSet<String> = keys.collect();
    let waiting = archives.all_waiting();
    let homeless = waiting.filter(|archive| !keys.contains(&archive.step));
    let found = homeless.map(|archive| {
        let (_, phase, step) = archive.place();
        let message = format!(
            "step `{step}` of phase `{phase}` is not in the plan, and what was archived when it was taken back waits for it: {}",
            archive.archived.shown()
        );
        let place = Place::object(format!("step {step}"));
        Finding::warning(WAITS, place, message).help(
            "give the step that makes it again this id and phase, or bring it back by hand (`dunlin checkpoint restore`, where whole rows are in it)",
        )
    });
    found.collect()
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
