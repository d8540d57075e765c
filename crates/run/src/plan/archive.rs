//! What an undo would destroy and its step did not write (invariant 17): refused, or archived before anything goes. How it
//! comes home: [`super::home`].

use super::Walk;
use super::held::{self, Held, Looked};
use super::own::{self, Asked};
use super::step::{as_migration, run_script};
use super::store;
use crate::checkpoint::keep::{Before, Keep, Older, Seen, not_archived};
use crate::checkpoint::since;
use crate::checkpoint::{self, Checkpoint, Chosen, Names};
use crate::settle;
use crate::steps::done;
use crate::steps::last::Last;
use crate::steps::left;
use crate::steps::migrate::{self, json};
use crate::trouble;
use crate::world::World;
use dunlin_core::event::Event;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::archive::{Archive, Archived, Archives, Part};
use dunlin_core::journal::{self, Direction, History, Writing};
use dunlin_core::plan::inverse;
use dunlin_core::plan::steps::Operations;
use dunlin_core::plan::{self, StepKind};
use dunlin_core::source::Migration;
use dunlin_core::source::plan::StepDoc;
use dunlin_core::sql::ObjectRef;
use dunlin_engines::{Purpose, Session};
use std::sync::Arc;

/// What the names of archives begin with.
const PREFIX: &str = "undo-";

/// Takes a step back by the statements of its inverse, once nothing of others is lost by that.
pub async fn take_back(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    operations: &Operations,
) -> Result<(), Failure> {
    let migration = as_migration(walk.runner, doc, key, operations);
    let mut asked = Asked::of_step(walk, doc, key, operations, &migration).await?;
    if asked.half {
        let unit = plan::Step {
            id: key.to_owned(),
            hash: doc.hash.clone(),
            kind: StepKind::Migrate {
                migration: migration.clone(),
                direction: Direction::Down,
            },
        };
        let history = walk.history.as_units(key);
        asked.done = done::of_undo(walk.runner, &unit, &history).await?;
    }
    let held = nothing_is_lost(walk, doc, key, &asked).await?;
    let ran = run_script(walk, doc, migration, Direction::Down, key, (1, 1)).await;
    told_after(walk, doc, &held);
    ran?;
    nothing_is_left_beside(walk, key).await
}

/// What the server made by itself for the statements of a step that is taken back goes, too.
pub async fn nothing_is_left_beside(walk: &mut Walk<'_, '_>, key: &str) -> Result<(), Failure> {
    let Some(operations) = walk.history.lowered.get(key) else {
        return Ok(());
    };
    let dropped = settle::drop_indexes_of(walk.runner, &operations.beside).await;
    dropped.map_err(|error| trouble::failed(&error, "cannot look for the indexes of foreign keys"))
}

/// Takes a migration back that a step has applied, as the step's own statements are taken back. `later`: those that the step
/// has applied after it.
pub async fn migration_back(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    unit: &plan::Step,
    (units, later): (&History, &[Arc<Migration>]),
) -> Result<(), Failure> {
    let StepKind::Migrate { migration, .. } = &unit.kind;
    let state = units.units.get(&migration.version);
    let mut asked = Asked::of_migration(migration, state, later, &*walk.runner.work);
    asked.done = done::of_undo(walk.runner, unit, units).await?;
    let held = nothing_is_lost(walk, doc, key, &asked).await?;
    let ran = migrate::run(walk.runner, unit, units, 1, 1).await;
    told_after(walk, doc, &held);
    walk.runner.keep = None;
    ran.map(drop)
}

/// Refuses it where taking back these migrations, newest first, would destroy what their step did not write, before the first of them
/// goes.
pub async fn may_take_back(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    migrations: &[Arc<Migration>],
    units: &History,
) -> Result<(), Failure> {
    if walk.ask.discard_later {
        return Ok(());
    }
    let mut lost = vec![];
    for (at, migration) in migrations.iter().enumerate() {
        let state = units.units.get(&migration.version);
        let later = &migrations[..at];
        let mut asked = Asked::of_migration(migration, state, later, &*walk.runner.work);
        asked.unsure = own::touched(later, &*walk.runner.work);
        let unit = plan::Step::migrate(migration, Direction::Down);
        asked.done = done::of_undo(walk.runner, &unit, units).await?;
        let mut looked = held::look(walk, doc, &asked).await?;
        archived_already(walk, key, &mut looked).await?;
        lost.extend(foreign(&looked.held));
    }
    match lost.is_empty() {
        true => Ok(()),
        false => Err(would_destroy(doc, &lost)),
    }
}

/// Says what was archived while an undo ran.
fn told_after(walk: &mut Walk<'_, '_>, doc: &StepDoc, held: &[Held]) {
    let kept = walk.runner.keep.take();
    // Recorded, whatever became of the rest of the script.
    for made in walk
        .runner
        .last
        .take()
        .into_iter()
        .flat_map(|last| last.anew)
    {
        say(walk, doc, told(&made.archive, held, made.beside));
    }
    if let Some(made) = kept.and_then(|keep| keep.made) {
        say(walk, doc, told(&made, held, false));
    }
}

/// What others have written.
fn foreign(held: &[Held]) -> Vec<String> {
    let foreign = held.iter().filter(|one| one.foreign);
    foreign.map(|one| one.what.clone()).collect()
}

fn would_destroy(doc: &StepDoc, held: &[String]) -> Failure {
    let message = format!(
        "taking step `{}` back would destroy what it did not write: {}",
        doc.id,
        held.join(", ")
    );
    Failure::new(FailureClass::Failed, "would-destroy", message).hint(
        "with `--discard-later` it is archived first, and comes home when the phase runs forward again",
    )
}

/// Sees to it that nothing is lost which others have written into what the undo takes away: refused; or, where a person has
/// said so, archived before anything goes. What lies in an archive just as it is, is not lost. Gives what is to be archived.
async fn nothing_is_lost(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    asked: &Asked<'_>,
) -> Result<Arc<Vec<Held>>, Failure> {
    let mut looked = held::look(walk, doc, asked).await?;
    let (again, older) = archived_already(walk, key, &mut looked).await?;
    if !walk.ask.discard_later {
        let lost = foreign(&looked.held);
        if !lost.is_empty() {
            return Err(would_destroy(doc, &lost));
        }
        looked.held.clear();
    }
    let held = Arc::new(looked.held);
    for archived in again {
        record(walk, doc, key, archived).await?;
    }
    // What is archived whole may change up to the moment when nobody else writes any more.
    let unheld = |mut seen: Vec<Seen>| {
        for seen in &mut seen {
            let saved = |one: &Held| {
                let of_rows = one.rows || (one.only.is_some() && !one.values);
                let all = if seen.over.is_some() {
                    !one.over.is_empty()
                } else {
                    of_rows
                };
                one.table == seen.table && all
            };
            seen.archived = seen.some && !seen.of_rows && held.iter().any(saved);
        }
        seen.retain(|seen| {
            let archived = |one: &Held| {
                let column = seen.column.as_ref();
                one.table == seen.table
                    && one.only.is_none()
                    && column
                        .is_none_or(|column| one.columns.contains(column) || one.columns.is_empty())
                    && (column.is_some() || one.columns.is_empty())
            };
            !held.iter().any(archived)
        });
        seen
    };
    may_archive(&held)?;
    // What stands half way goes on as it began.
    if looked.together && !asked.half {
        let older = (older, after(asked, &looked.seen, &*walk.runner.work));
        keep(walk, doc, key, &held, unheld(looked.seen), older);
        return Ok(held);
    }
    let made = match held.is_empty() {
        true => None,
        false => Some(save(walk, doc, key, &held, (&looked.names, &older)).await?),
    };
    look_again(walk, doc, key, &held, unheld(looked.seen), (made, older));
    Ok(held)
}

/// The names that the tables of an undo have after it.
fn after(asked: &Asked<'_>, seen: &[Seen], work: &dyn Session) -> Names {
    let mut names = Names::default();
    if let Some(undo) = &asked.migration.undo {
        let (_, renamed) = left::read(undo, work);
        for seen in seen.iter().filter(|seen| seen.over.is_some()) {
            let (schema, was) = seen.question.table();
            let is = |schema: Option<&str>| {
                inverse::name_after(&renamed, &ObjectRef::table(schema, was))
            };
            // A statement may leave out the schema that goes without saying.
            for schema in [schema, None] {
                names.add(seen.question.table().0, was, &is(schema).name);
            }
        }
    }
    names
}

/// Whether what is archived now stands beside an archive that waits: the undo has taken away some of it already, before it
/// stopped.
fn goes_on(walk: &Walk<'_, '_>, key: &str) -> bool {
    walk.history.flight(key).is_some() && walk.history.archives.waiting(key).next().is_some()
}

/// The record of an archive of what is held.
fn recording(
    walk: &Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    held: &Arc<Vec<Held>>,
) -> impl Fn(&Checkpoint, bool) -> Writing + Send + Sync + 'static {
    let goes_on = goes_on(walk, key);
    let (held, key, hash) = (held.clone(), key.to_owned(), doc.hash.clone());
    move |made: &Checkpoint, beside: bool| {
        let archived = told(made, &held, beside || goes_on);
        Writing::unit(journal::Event::Archived, &key, &hash, json(&archived))
    }
}

/// Has each statement that takes something away look at it once more, under a lock.
fn look_again(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    held: &Arc<Vec<Held>>,
    seen: Vec<Seen>,
    archives: (Option<Checkpoint>, Vec<Older>),
) {
    let name = format!("{PREFIX}{}", doc.id);
    let record = Box::new(recording(walk, doc, key, held));
    walk.runner.last = Last::of(name, seen, archives, chosen(held), record);
}

/// Has what is to be archived saved in the very transaction of the undo.
fn keep(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    held: &Arc<Vec<Held>>,
    seen: Vec<Seen>,
    (older, names): (Vec<Older>, Names),
) {
    if held.is_empty() && seen.is_empty() {
        return;
    }
    let chosen = chosen(held);
    let record = recording(walk, doc, key, held);
    let beside = !older.is_empty();
    let before = Before {
        seen,
        older,
        names,
        record: Box::new(move |made| record(made, beside)),
    };
    let name = format!("{PREFIX}{}", doc.id);
    walk.runner.keep = Some(Keep::before(name, chosen, before));
}

/// Values need a key by which they find their rows again.
fn may_archive(held: &[Held]) -> Result<(), Failure> {
    let keyless = |one: &&Held| !(one.keyed || one.columns.is_empty() && one.over.is_empty());
    let Some(keyless) = held.iter().find(keyless) else {
        return Ok(());
    };
    let message = format!(
        "{} cannot be archived: {} has no key by which a value finds its row again",
        keyless.what, keyless.table
    );
    Err(Failure::new(FailureClass::Failed, "no-unique-key", message).hint(
        "nothing was dropped; give the table a primary key, or save and empty the column yourself",
    ))
}

/// What a checkpoint is to hold.
fn chosen(held: &[Held]) -> Chosen {
    let some = |one: &Held| Some((one.table.clone(), one.only.clone()?));
    let columns = held
        .iter()
        .filter(|one| (!one.columns.is_empty() || one.values) && !one.rows);
    let columns = columns.map(|one| (one.table.clone(), [&one.columns[..], &one.over].concat()));
    let over = held.iter().filter(|one| !one.over.is_empty());
    let over = over.map(|one| (one.table.clone(), one.over.clone()));
    let tables = held
        .iter()
        .filter(|one| one.rows || (one.columns.is_empty() && one.only.is_none()));
    Chosen {
        tables: tables.map(|one| one.table.clone()).collect(),
        columns: columns.collect(),
        rows: held.iter().filter_map(some).collect(),
        over: over.collect(),
        ..Chosen::default()
    }
}

/// Takes out what lies in an archive of this step just as it is now. Gives the archives that must wait again for that, and
/// those whose values wait to come home by now and are about to be written over once more.
async fn archived_already(
    walk: &mut Walk<'_, '_>,
    key: &str,
    looked: &mut Looked,
) -> Result<(Vec<Archived>, Vec<Older>), Failure> {
    let held = &mut looked.held;
    let known: Vec<Archive> = walk.history.archives.of(key).cloned().collect();
    let (mut again, mut older) = (vec![], vec![]);
    for archive in known {
        older.extend(waiting(walk, &archive));
        let covers = |one: &Held, part: &Part| {
            part.table == one.table
                && one.columns.iter().all(|name| part.columns.contains(name))
                && part.columns.is_empty() == one.columns.is_empty()
                && part.whole == one.rows
                && part.only == one.only
                && part.over == one.over
                && part.values == one.values
        };
        let parts = &archive.archived.parts;
        if !held
            .iter()
            .any(|one| parts.iter().any(|part| covers(one, part)))
        {
            continue;
        }
        let world = walk.runner.world;
        // One that is gone or cannot be read covers nothing.
        let Ok(checkpoint) = checkpoint::find(world, &archive.archived.checkpoint) else {
            continue;
        };
        if checkpoint.check().is_err() {
            continue;
        }
        let still = checkpoint::still(world, &checkpoint, &looked.names, walk.runner.sink).await?;
        let covered = |one: &Held| {
            let mut parts = parts.iter();
            parts.any(|part| still.contains(&part.table) && covers(one, part))
        };
        let tables = held.iter().filter(|one| covered(one));
        let tables: Vec<String> = tables.map(|one| one.table.clone()).collect();
        held.retain(|one| !covered(one));
        if tables.is_empty() {
            continue;
        }
        if since::is_of(&checkpoint) {
            if archive.home.is_some() {
                let typing = walk.runner.work.dialect().rows().typing();
                since::start(world, typing, &checkpoint, &[])?;
            }
            older.retain(|one: &Older| one.archive.id != checkpoint.id);
            older.push(Older {
                archive: checkpoint,
                holds: tables,
            });
        }
        if archive.home.is_some() {
            again.push(archive.archived);
        }
    }
    // The oldest first.
    older.sort_by(|a, b| a.archive.created_at.cmp(&b.archive.created_at));
    Ok((again, older))
}

/// An archive with values that wait to come home.
fn waiting(walk: &Walk<'_, '_>, archive: &Archive) -> Option<Older> {
    let of_values = archive
        .archived
        .parts
        .iter()
        .any(|part| !part.over.is_empty());
    if archive.home.is_some() || !of_values {
        return None;
    }
    let found = checkpoint::find(walk.runner.world, &archive.archived.checkpoint);
    Some(Older {
        archive: found.ok()?,
        holds: vec![],
    })
}

/// How often rows that change while they are read are archived anew.
const TRIES: usize = 3;

/// Archives, and looks whether the rows still are what was archived: where the undo's statements commit by themselves.
async fn save(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    held: &[Held],
    (names, older): (&Names, &[Older]),
) -> Result<Checkpoint, Failure> {
    let chosen = Chosen {
        names: names.clone(),
        ..chosen(held)
    };
    let name = format!("{PREFIX}{}", doc.id);
    walk.flush().await?;
    for _ in 0..TRIES {
        let world = walk.runner.world;
        let made = checkpoint::create(world, &name, &chosen, walk.runner.sink).await;
        let made = made.map_err(not_archived)?;
        let still = checkpoint::still(world, &made, names, walk.runner.sink).await;
        if still.map_err(not_archived)?.len() == made.saved.len() {
            let typing = walk.runner.work.dialect().rows().typing();
            let before: Vec<&Checkpoint> = older.iter().map(|one| &one.archive).collect();
            since::start(world, typing, &made, &before).map_err(not_archived)?;
            let beside = !older.is_empty() || goes_on(walk, key);
            record(walk, doc, key, told(&made, held, beside)).await?;
            return Ok(made);
        }
        let _ = checkpoint::drop(&made);
    }
    let message = format!(
        "step `{}` is not taken back: others write into {} while it is archived",
        doc.id,
        held.iter()
            .map(|one| one.what.clone())
            .collect::<Vec<_>>()
            .join(", ")
    );
    Err(Failure::new(FailureClass::Failed, "would-destroy", message)
        .hint("stop whoever writes there, and take it back again"))
}

fn told(made: &Checkpoint, held: &[Held], beside: bool) -> Archived {
    let part = |(saved, digest): (&checkpoint::file::Saved, &crate::digest::TableDigest)| {
        let table = saved.label();
        let asked = held
            .iter()
            .find(|one| one.table.eq_ignore_ascii_case(&table));
        Part {
            columns: asked.map_or(vec![], |one| one.columns.clone()),
            only: asked.and_then(|one| one.only.clone()),
            own: asked.map_or(vec![], |one| one.own.clone()),
            whole: asked.is_some_and(|one| one.rows),
            over: asked.map_or(vec![], |one| one.over.clone()),
            values: asked.is_some_and(|one| one.values),
            beside,
            table,
            rows: digest.rows,
            digest: digest.digest.clone(),
        }
    };
    Archived {
        checkpoint: made.id.clone(),
        file: made.path.display().to_string(),
        parts: made.saved.iter().zip(&made.tables).map(part).collect(),
    }
}

/// Committed before anything is dropped.
async fn record(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    archived: Archived,
) -> Result<(), Failure> {
    let event = journal::Event::Archived;
    let record = Writing::unit(event, key, &doc.hash, json(&archived));
    walk.runner.pending.push(record);
    walk.flush().await?;
    say(walk, doc, archived);
    Ok(())
}

fn say(walk: &mut Walk<'_, '_>, doc: &StepDoc, archived: Archived) {
    walk.runner.sink.event(&Event::Note {
        message: format!(
            "step `{}`: archived before it goes: {}; comes home when the phase runs forward again",
            doc.id,
            archived.shown()
        ),
    });
    walk.archived.push(archived);
}

/// Removes a checkpoint, unless it holds what an undo took away and waits to come home.
pub async fn drop_checkpoint(world: &World, checkpoint: &Checkpoint) -> Result<(), Failure> {
    // Only those bear such a name: for the others nobody is asked.
    if checkpoint.name.starts_with(PREFIX) {
        let mut session = world.open(Purpose::Read).await?;
        let records = store::records(world, &mut *session).await;
        session.close().await;
        let archives = Archives::fold(&records?);
        if let Some(waits) = archives.waiting_in(&checkpoint.id).next() {
            return Err(still_waits(checkpoint, waits));
        }
    }
    checkpoint::drop(checkpoint)
}

fn still_waits(checkpoint: &Checkpoint, archive: &Archive) -> Failure {
    let (plan, phase, step) = archive.place();
    let parts: Vec<String> = archive.archived.parts.iter().map(Part::shown).collect();
    let message = format!(
        "checkpoint {} is not dropped: it holds what was archived when step `{step}` of phase `{phase}` of plan \"{plan}\" \
         was taken back, and waits to come home ({})",
        checkpoint.id,
        parts.join(", ")
    );
    Failure::refused(super::home::WAITS, message)
        .hint("it comes home when the phase runs forward again")
        .hint("or go on without it (`dunlin run PLAN --leave-archived`, where it cannot come home): then it may go")
}
