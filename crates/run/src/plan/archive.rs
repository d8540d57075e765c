//! What an undo would destroy and its step did not write (invariant 17): refused, or archived before anything goes. How it
//! comes home: [`super::home`].

use super::Walk;
use crate::checkpoint::{self, Checkpoint, Chosen};
use crate::observe;
use crate::steps::migrate::json;
use crate::trouble;
use dunlin_core::event::Event;
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::journal::archive::{Archive, Archived, Part};
use dunlin_core::journal::{self, UnitState, Writing};
use dunlin_core::plan::inverse::comes_back;
use dunlin_core::plan::steps::{self, Facts, Later, Operations};
use dunlin_core::schema::{Catalog, Table, key};
use dunlin_core::source::plan::{StepDoc, StepSpec, UndoSpec};
use dunlin_core::source::{Migration, Statement};
use dunlin_core::sql::{Condition, ObjectKind, ObjectRef, StatementClass, Unwritten};
use dunlin_engines::DbError;

/// Asks for what others have written since where the undo would meet it: rows that it would take away are given, rows that
/// it leaves alone are said.
async fn later(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    operations: &Operations,
) -> Result<Vec<Held>, Failure> {
    let mut asked = operations.later.clone();
    asked.extend(inserted(walk, doc, operations).await?);
    let mut held: Vec<Held> = vec![];
    for chunk in asked.chunks(ASKED_AT_ONCE) {
        // One question for many, and of each only where some of them have an answer.
        if let Some(sql) = all_of(chunk)
            && met(walk, &sql).await? == 0
        {
            continue;
        }
        for later in chunk {
            let rows = met(walk, &later.sql).await?;
            if rows > 0 {
                one_met(walk, doc, later, rows, &mut held);
            }
        }
    }
    Ok(held)
}

/// Rows that one question is about.
const ASKED_AT_ONCE: usize = 100;

/// Whether any of several has changed, where that is one question.
fn all_of(chunk: &[Later]) -> Option<String> {
    let first = chunk.first().filter(|_| chunk.len() > 1)?;
    let head = |later: &Later| Some(later.sql.strip_suffix(&later.only)?.to_owned());
    let select = head(first).filter(|_| !first.only.is_empty())?;
    let same = |later: &Later| head(later).is_some_and(|head| head == select);
    let each = chunk.iter().map(|later| format!("({})", later.only));
    let each: Vec<String> = each.collect();
    let all = chunk.iter().all(same);
    all.then(|| format!("{select}{}", each.join(" OR ")))
}

/// How many rows have changed.
async fn met(walk: &mut Walk<'_, '_>, sql: &str) -> Result<usize, Failure> {
    match walk.runner.work.query(sql, &[]).await {
        Ok(rows) => Ok(rows.len()),
        // What it would be asked of is gone already: nothing of anybody is left to be met.
        Err(error) if error.class == ErrorClass::ObjectMissing => Ok(0),
        Err(error) => Err(trouble::failed(
            &error,
            "cannot look at what was written since",
        )),
    }
}

fn one_met(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    later: &Later,
    rows: usize,
    held: &mut Vec<Held>,
) {
    let met = format!("{} ({})", later.what, super::count(rows, "row"));
    if !later.destroys {
        let message = format!(
            "step `{}`: written by others since, and left as it is: {met}",
            doc.id
        );
        walk.runner.sink.event(&Event::Note { message });
        return;
    }
    let only = format!("({})", later.only);
    match held.iter_mut().find(|one| one.table == later.table) {
        Some(one) => {
            one.what = format!("{}, {met}", one.what);
            one.only = one.only.take().map(|known| format!("{known} OR {only}"));
            one.own.push(later.own.clone());
        }
        None => held.push(Held {
            table: later.table.clone(),
            what: met,
            foreign: true,
            keyed: true,
            only: Some(only),
            own: vec![later.own.clone()],
            ..Held::default()
        }),
    }
}

/// Of a step whose undo was derived: what finds the rows that it inserted and somebody has changed.
async fn inserted(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    operations: &Operations,
) -> Result<Vec<Later>, Failure> {
    if doc.undo != UndoSpec::Derive || !matches!(doc.kind, StepSpec::Sql(_)) {
        return Ok(vec![]);
    }
    let work = &mut *walk.runner.work;
    let catalog = observe::whole(work).await;
    let catalog = catalog
        .map_err(|error| trouble::failed(&error, "cannot look at what was written since"))?;
    let facts = Facts {
        dialect: work.dialect(),
        caps: work.caps(),
        lex: work.lex_mode(),
        catalog: &catalog,
        plugins: &[],
    };
    Ok(steps::sql::inserted(&operations.up, &facts))
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

/// What an undo would take away and what holds something: a table, columns of one, or rows.
#[derive(Debug, Default)]
struct Held {
    /// The table as people see it.
    table: String,
    /// The columns; empty: the table itself.
    columns: Vec<String>,
    /// For people.
    what: String,
    /// More than the step itself has written.
    foreign: bool,
    /// The table has a key.
    keyed: bool,
    /// Of rows: the condition that finds them.
    only: Option<String>,
    /// What takes away what the step puts in the place of rows.
    own: Vec<String>,
}

/// Sees to it that nothing is lost which others have written into a table or column that the undo drops: refused; or,
/// where a person has said so, archived before anything goes. What lies in an archive just as it is, is not lost.
pub async fn nothing_is_lost(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    operations: &Operations,
    migration: &Migration,
) -> Result<(), Failure> {
    let mut held = held(walk, key, migration).await?;
    for rows in later(walk, doc, operations).await? {
        // Rows of a table that goes as a whole go with it.
        match held
            .iter_mut()
            .find(|one| one.table == rows.table && one.only.is_none())
        {
            Some(table) => {
                table.foreign = true;
                table.own.extend(rows.own);
            }
            None => held.push(rows),
        }
    }
    let is_own = held.iter().all(|one| !one.foreign);
    if is_own && !walk.ask.discard_later && walk.history.archives.of(key).next().is_none() {
        return Ok(());
    }
    let again = archived_already(walk, key, &mut held).await?;
    if !walk.ask.discard_later {
        let lost = held.iter().filter(|one| one.foreign);
        let lost: Vec<String> = lost.map(|one| one.what.clone()).collect();
        if !lost.is_empty() {
            return Err(would_destroy(doc, &lost));
        }
    } else if !held.is_empty() {
        save(walk, doc, key, &held).await?;
    }
    for archived in again {
        record(walk, doc, key, archived).await?;
    }
    Ok(())
}

/// Takes out what lies in an archive of this step just as it is now. Gives the archives that must wait again for that.
async fn archived_already(
    walk: &mut Walk<'_, '_>,
    key: &str,
    held: &mut Vec<Held>,
) -> Result<Vec<Archived>, Failure> {
    let known: Vec<Archive> = walk.history.archives.of(key).cloned().collect();
    let mut again = vec![];
    for archive in known {
        let covers = |one: &Held, part: &Part| {
            part.table == one.table
                && one.columns.iter().all(|name| part.columns.contains(name))
                && part.columns.is_empty() == one.columns.is_empty()
                && part.only == one.only
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
        let still = checkpoint::still(world, &checkpoint, walk.runner.sink).await?;
        let before = held.len();
        held.retain(|one| {
            !parts
                .iter()
                .any(|part| still.contains(&part.table) && covers(one, part))
        });
        if held.len() < before && archive.home.is_some() {
            again.push(archive.archived);
        }
    }
    Ok(again)
}

/// How often rows that change while they are read are archived anew.
const TRIES: usize = 3;

/// Archives, and looks whether the rows still are what was archived.
async fn save(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    held: &[Held],
) -> Result<(), Failure> {
    if let Some(keyless) = held
        .iter()
        .find(|one| !one.columns.is_empty() && !one.keyed)
    {
        let message = format!(
            "{} cannot be archived: {} has no key by which a value finds its row again",
            keyless.what, keyless.table
        );
        return Err(Failure::new(FailureClass::Failed, "no-unique-key", message).hint(
            "nothing was dropped; give the table a primary key, or save and empty the column yourself",
        ));
    }
    let columns = held.iter().filter(|one| !one.columns.is_empty());
    let tables = held
        .iter()
        .filter(|one| one.columns.is_empty() && one.only.is_none());
    let some = |one: &Held| Some((one.table.clone(), one.only.clone()?));
    let chosen = Chosen {
        tables: tables.map(|one| one.table.clone()).collect(),
        columns: columns
            .map(|one| (one.table.clone(), one.columns.clone()))
            .collect(),
        rows: held.iter().filter_map(some).collect(),
        ..Chosen::default()
    };
    let name = format!("undo-{}", doc.id);
    walk.flush().await?;
    for _ in 0..TRIES {
        let world = walk.runner.world;
        let made = checkpoint::create(world, &name, &chosen, walk.runner.sink).await;
        let made = made.map_err(|failure| not_archived(doc, failure))?;
        let still = checkpoint::still(world, &made, walk.runner.sink).await;
        if still.map_err(|failure| not_archived(doc, failure))?.len() == made.saved.len() {
            return record(walk, doc, key, told(&made, held)).await;
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

fn not_archived(doc: &StepDoc, mut failure: Failure) -> Failure {
    failure.message = format!(
        "step `{}` is not taken back, for what others have written could not be archived: {}",
        doc.id, failure.message
    );
    if failure.class == FailureClass::Refused {
        failure.class = FailureClass::Failed;
    }
    failure.hint("nothing of it was dropped")
}

fn told(made: &Checkpoint, held: &[Held]) -> Archived {
    let part = |(saved, digest): (&checkpoint::file::Saved, &crate::digest::TableDigest)| {
        let table = saved.label();
        let asked = held
            .iter()
            .find(|one| one.table.eq_ignore_ascii_case(&table));
        Part {
            columns: asked.map_or(vec![], |one| one.columns.clone()),
            only: asked.and_then(|one| one.only.clone()),
            own: asked.map_or(vec![], |one| one.own.clone()),
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
    walk.runner.sink.event(&Event::Note {
        message: format!(
            "step `{}`: archived before it goes: {}; comes home when the phase runs forward again",
            doc.id,
            archived.shown()
        ),
    });
    walk.archived.push(archived);
    Ok(())
}

/// What the undo would drop and what holds something.
async fn held(
    walk: &mut Walk<'_, '_>,
    key: &str,
    migration: &Migration,
) -> Result<Vec<Held>, Failure> {
    let Some(undo) = &migration.undo else {
        return Ok(vec![]);
    };
    let looking = |error| trouble::failed(&error, "cannot look at what the undo would drop");
    let (dialect, lex) = (
        walk.runner.work.dialect(),
        walk.runner.work.lex_mode().clone(),
    );
    let classify = |statement: &Statement| dialect.classify(&statement.sql, &lex);
    let classes: Vec<_> = undo.statements.iter().map(classify).collect();
    let tables = dropped_tables(&classes);
    let columns: Vec<&ObjectRef> = classes.iter().flat_map(dropped_columns).collect();
    if tables.is_empty() && columns.is_empty() {
        return Ok(vec![]);
    }
    let own = own_rows(walk, key);
    let catalog = observe::whole(&mut *walk.runner.work)
        .await
        .map_err(looking)?;
    let mut held = held_columns(walk, &catalog, &columns, own)
        .await
        .map_err(looking)?;
    for table in tables {
        let Some(there) = table_of(&catalog, &table.schema, &table.name) else {
            continue;
        };
        let rows = count(walk, there).await.map_err(looking)?;
        if rows == 0 {
            continue;
        }
        held.retain(|one| one.table != there.label());
        held.push(Held {
            table: there.label(),
            columns: vec![],
            what: format!("{} ({rows} rows)", there.label()),
            foreign: rows > own,
            keyed: key::of(there).is_some(),
            ..Held::default()
        });
    }
    Ok(held)
}

fn table_of<'c>(catalog: &'c Catalog, schema: &Option<String>, name: &str) -> Option<&'c Table> {
    catalog.tables.iter().find(|found| {
        found.name.eq_ignore_ascii_case(name) && (schema.is_none() || found.schema == *schema)
    })
}

/// Of columns that the undo drops those that hold something, one entry for each table.
async fn held_columns(
    walk: &mut Walk<'_, '_>,
    catalog: &Catalog,
    columns: &[&ObjectRef],
    own: u64,
) -> Result<Vec<Held>, DbError> {
    let mut held: Vec<Held> = vec![];
    for column in columns {
        let parent = column.parent.as_deref().unwrap_or_default();
        let Some(table) = table_of(catalog, &column.schema, parent) else {
            continue;
        };
        let mut found = table.columns.iter();
        let found = found.find(|found| found.name.eq_ignore_ascii_case(&column.name));
        let Some(found) = found else { continue };
        let written = written(walk, catalog, table, column).await?;
        let keyed = key::of(table).is_some();
        // A step that has written rows itself may have filled the columns that its undo drops.
        let foreign = written > own;
        if written == 0 || (!foreign && !keyed) {
            continue;
        }
        let what = format!("values of {column}");
        match held.iter_mut().find(|one| one.table == table.label()) {
            Some(one) => {
                one.what = format!("{}, {what}", one.what);
                one.columns.push(found.name.clone());
                one.foreign |= foreign;
            }
            None => held.push(Held {
                table: table.label(),
                columns: vec![found.name.clone()],
                what,
                foreign,
                keyed,
                ..Held::default()
            }),
        }
    }
    Ok(held)
}

async fn count(walk: &mut Walk<'_, '_>, table: &Table) -> Result<u64, DbError> {
    let work = &mut *walk.runner.work;
    let query = work
        .dialect()
        .count_rows(table.schema.as_deref(), &table.name);
    let rows = work.query(&query.sql, &query.params).await?;
    let rows = rows.first().and_then(|row| row.first()?.as_i64());
    Ok(rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0))
}

/// How many rows a step has written itself.
fn own_rows(walk: &Walk<'_, '_>, key: &str) -> u64 {
    let applied = match walk.history.steps.get(key) {
        Some(UnitState::Applied(applied)) => Some(applied),
        // Taking it back was interrupted: what it had written then is its own still.
        Some(UnitState::InFlight(flight)) => flight.before.as_ref(),
        _ => None,
    };
    applied.and_then(|applied| applied.rows).unwrap_or(0)
}

/// The tables that statements drop for good.
fn dropped_tables(classes: &[StatementClass]) -> Vec<&ObjectRef> {
    let mut dropped = vec![];
    for (at, class) in classes.iter().enumerate() {
        // A rebuild drops the table when all its rows stand in the new one.
        let back = comes_back(class, &classes[at..]);
        dropped.extend(class.post.iter().filter_map(|condition| match condition {
            Condition::Missing(table) if table.kind == ObjectKind::Table => {
                (back != Some(table)).then_some(table)
            }
            _ => None,
        }));
    }
    dropped
}

/// The columns that a statement drops.
fn dropped_columns(class: &StatementClass) -> impl Iterator<Item = &ObjectRef> {
    class.post.iter().filter_map(|condition| match condition {
        Condition::Missing(object) if object.kind == ObjectKind::Column => Some(object),
        _ => None,
    })
}

/// How many rows hold something else in a column than what it held when it was added: NULL, or its default. Where that
/// cannot be told row by row and something was written: one.
async fn written(
    walk: &mut Walk<'_, '_>,
    catalog: &Catalog,
    table: &Table,
    column: &ObjectRef,
) -> Result<u64, DbError> {
    if !is_written(walk, catalog, column).await? {
        return Ok(0);
    }
    let mut columns = table.columns.iter();
    let found = columns.find(|found| found.name.eq_ignore_ascii_case(&column.name));
    let default = found.and_then(|found| found.default.clone());
    let added = Unwritten {
        column: column.clone(),
        nullable: found.is_some_and(|found| found.nullable),
        default,
    };
    if !added.is_constant() || !(added.nullable || added.default.is_some()) {
        return Ok(1);
    }
    let work = &mut *walk.runner.work;
    let (schema, default) = (table.schema.as_deref(), added.default.as_deref());
    let change = work.dialect().change();
    let query = change.written(schema, &table.name, &column.name, default);
    let rows = work.query(&query.sql, &query.params).await?;
    let rows = rows.first().and_then(|row| row.first()?.as_i64());
    Ok(rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(1))
}

/// Whether a column holds anything but what it held when it was added: NULL, or its default. One that is gone, or that
/// is computed, holds nothing of its own; of one that cannot be asked it is taken for granted.
async fn is_written(
    walk: &mut Walk<'_, '_>,
    catalog: &Catalog,
    column: &ObjectRef,
) -> Result<bool, DbError> {
    let parent = column.parent.as_deref().unwrap_or_default();
    let tables = catalog.tables.iter();
    let mut tables = tables.filter(|table| table.name.eq_ignore_ascii_case(parent));
    let found = tables.find_map(|table| {
        let mut columns = table.columns.iter();
        columns.find(|found| found.name.eq_ignore_ascii_case(&column.name))
    });
    let Some(found) = found.filter(|found| found.generated.is_none()) else {
        return Ok(false);
    };
    let condition = Condition::Unwritten(Unwritten {
        column: column.clone(),
        default: found.default.clone(),
        nullable: found.nullable,
    });
    let Some(query) = walk.runner.work.dialect().probe(&condition) else {
        return Ok(true);
    };
    let rows = walk.runner.work.query(&query.sql, &query.params).await?;
    let answer = rows.first().and_then(|row| row.first());
    Ok(!answer.and_then(|value| value.as_bool()).unwrap_or(false))
}
