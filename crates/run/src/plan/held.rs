//! Looking, before a step is taken back, at what its undo would take away: tables and columns that it drops and that hold
//! something, rows that the step inserted and somebody has changed since.

use super::{Walk, deleted};
use crate::checkpoint::keep::Seen;
use crate::observe;
use crate::trouble;
use dunlin_core::event::Event;
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::journal::UnitState;
use dunlin_core::plan::steps::{self, Facts, Later, Operations};
use dunlin_core::plan::{delete, inverse};
use dunlin_core::schema::{Catalog, Column, Table, key};
use dunlin_core::source::plan::{StepDoc, StepSpec, UndoSpec};
use dunlin_core::source::{Migration, Statement, TransactionMode};
use dunlin_core::sql::{Condition, ObjectKind, ObjectRef, TxUse, Unwritten};
use dunlin_core::value::Query;
use dunlin_engines::DbError;

/// What an undo would take away and what holds something: a table, columns of one, or rows.
#[derive(Debug, Default)]
pub struct Held {
    /// The table as people see it.
    pub table: String,
    /// The columns; empty: the table itself.
    pub columns: Vec<String>,
    /// Rows of it beside the columns.
    pub rows: bool,
    /// For people.
    pub what: String,
    /// More than the step itself has written.
    pub foreign: bool,
    /// The table has a key.
    pub keyed: bool,
    /// Of rows: the condition that finds them.
    pub only: Option<String>,
    /// What takes away what the step puts in the place of rows.
    pub own: Vec<String>,
}

/// What was looked at.
#[derive(Debug, Default)]
pub struct Looked {
    /// What holds something.
    pub held: Vec<Held>,
    /// All that was asked, with its answer.
    pub seen: Vec<Seen>,
    /// The undo's statements share one transaction.
    pub together: bool,
}

/// An undo that is about to run: a step's own, or that of a migration which a step has applied.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Its statements.
    pub migration: &'a Migration,
    /// How many rows were written on the way forward.
    pub own: u64,
    /// Where others may have written what it would meet.
    pub later: Vec<Later>,
    /// Somebody wrote it.
    pub written: bool,
    /// Each of its statements commits by itself.
    pub apart: bool,
    /// It stands half way.
    pub half: bool,
}

impl<'a> Asked<'a> {
    /// The undo of a step.
    pub async fn of_step(
        walk: &mut Walk<'_, '_>,
        doc: &StepDoc,
        key: &str,
        operations: &Operations,
        migration: &'a Migration,
    ) -> Result<Self, Failure> {
        let mut later = operations.later.clone();
        later.extend(inserted(walk, doc, operations).await?);
        Ok(Asked {
            migration,
            own: own_rows(walk.history.steps.get(key)),
            later,
            written: matches!(doc.undo, UndoSpec::Sql(_)),
            apart: operations.apart,
            half: walk.history.flight(key).is_some(),
        })
    }

    /// The undo of a migration, which is in this state.
    pub fn of_migration(migration: &'a Migration, state: Option<&UnitState>) -> Self {
        Asked {
            migration,
            own: own_rows(state),
            later: vec![],
            written: true,
            apart: migration.transaction == TransactionMode::None,
            half: matches!(state, Some(UnitState::InFlight(_))),
        }
    }
}

/// Looks at what an undo would take away.
pub async fn look(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    asked: &Asked<'_>,
) -> Result<Looked, Failure> {
    let mut looked = Looked::default();
    held(walk, asked, &mut looked).await?;
    looked.together &= !asked.apart;
    for rows in later(walk, doc, &asked.later, &mut looked.seen).await? {
        // Rows of a table that goes as a whole go with it.
        let whole = |one: &&mut Held| one.table == rows.table && one.only.is_none();
        match looked.held.iter_mut().find(whole) {
            Some(table) => {
                table.foreign = true;
                table.own.extend(rows.own);
            }
            None => looked.held.push(rows),
        }
    }
    Ok(looked)
}

/// What the undo would drop and what holds something.
async fn held(
    walk: &mut Walk<'_, '_>,
    asked: &Asked<'_>,
    looked: &mut Looked,
) -> Result<(), Failure> {
    let Some(undo) = &asked.migration.undo else {
        return Ok(());
    };
    let looking = |error| trouble::failed(&error, "cannot look at what the undo would drop");
    let (dialect, lex) = (
        walk.runner.work.dialect(),
        walk.runner.work.lex_mode().clone(),
    );
    let classify = |statement: &Statement| dialect.classify(&statement.sql, &lex);
    let classes: Vec<_> = undo.statements.iter().map(classify).collect();
    looked.together = walk.runner.work.caps().transactional_ddl
        && classes.iter().all(|class| class.tx == TxUse::Inside);
    let renamed = |statement: &Statement| inverse::renames(&statement.sql, dialect, &lex);
    let renamed: Vec<_> = undo.statements.iter().map(renamed).collect();
    let gone = inverse::gone(&classes, &renamed);
    let of = |kind: ObjectKind| {
        let gone = gone.iter().map(|gone| &gone.was);
        gone.filter(move |object| object.kind == kind)
    };
    let emptied = classes.iter().filter(|_| asked.written);
    let emptied = emptied.flat_map(delete::emptied);
    let tables: Vec<&ObjectRef> = of(ObjectKind::Table).chain(emptied).collect();
    let columns: Vec<&ObjectRef> = of(ObjectKind::Column).collect();
    // What a derived undo deletes is asked for by its keys.
    let deletes = asked.written && classes.iter().any(|class| class.verb == "DELETE");
    if tables.is_empty() && columns.is_empty() && !deletes {
        return Ok(());
    }
    let own = asked.own;
    let catalog = observe::whole(&mut *walk.runner.work)
        .await
        .map_err(looking)?;
    let mut held = held_columns(walk, &catalog, &columns, own, &mut looked.seen)
        .await
        .map_err(looking)?;
    for table in tables {
        let Some(there) = table_of(&catalog, &table.schema, &table.name) else {
            continue;
        };
        let rows = count(walk, there, &mut looked.seen)
            .await
            .map_err(looking)?;
        let known = |one: &Held| one.table == there.label() && one.columns.is_empty();
        if rows == 0 || held.iter().any(known) {
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
    looked.held = held;
    if deletes {
        let found = deleted::look(walk, asked, undo, &catalog, looked).await;
        found.map_err(looking)?;
    }
    Ok(())
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
    seen: &mut Vec<Seen>,
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
        let written = written(walk, table, found, column, seen).await?;
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

async fn count(
    walk: &mut Walk<'_, '_>,
    table: &Table,
    seen: &mut Vec<Seen>,
) -> Result<u64, DbError> {
    let dialect = walk.runner.work.dialect();
    let query = dialect.count_rows(table.schema.as_deref(), &table.name);
    let number = number(walk, &query).await?;
    seen.push(Seen {
        table: table.label(),
        column: None,
        query,
        number,
        of_rows: false,
        some: false,
        archived: false,
    });
    Ok(number)
}

/// How many rows were written on the way to a state.
fn own_rows(state: Option<&UnitState>) -> u64 {
    let applied = match state {
        Some(UnitState::Applied(applied)) => Some(applied),
        // Taking it back was interrupted: what it had written then is its own still.
        Some(UnitState::InFlight(flight)) => flight.before.as_ref(),
        _ => None,
    };
    applied.and_then(|applied| applied.rows).unwrap_or(0)
}

/// How many rows hold something else in a column than what it held when it was added: NULL, or its default. Where that
/// cannot be told row by row and something was written: one. A column that is computed holds nothing of its own.
async fn written(
    walk: &mut Walk<'_, '_>,
    table: &Table,
    found: &Column,
    column: &ObjectRef,
    seen: &mut Vec<Seen>,
) -> Result<u64, DbError> {
    if found.generated.is_some() {
        return Ok(0);
    }
    let added = Unwritten {
        column: column.clone(),
        nullable: found.nullable,
        default: found.default.clone(),
    };
    if !added.is_constant() || !(added.nullable || added.default.is_some()) {
        return Ok(u64::from(is_written(walk, added).await?));
    }
    let work = &mut *walk.runner.work;
    let (schema, default) = (table.schema.as_deref(), added.default.as_deref());
    let change = work.dialect().change();
    let query = change.written(schema, &table.name, &found.name, default);
    let number = number(walk, &query).await?;
    seen.push(Seen {
        table: table.label(),
        column: Some(found.name.clone()),
        query,
        number,
        of_rows: false,
        some: false,
        archived: false,
    });
    Ok(number)
}

/// The number that a question has for an answer.
async fn number(walk: &mut Walk<'_, '_>, query: &Query) -> Result<u64, DbError> {
    let rows = walk.runner.work.query(&query.sql, &query.params).await?;
    let rows = rows.first().and_then(|row| row.first()?.as_i64());
    Ok(rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0))
}

/// Whether a column holds anything but what it was given when it was added; where that cannot be asked it is taken for
/// granted.
async fn is_written(walk: &mut Walk<'_, '_>, added: Unwritten) -> Result<bool, DbError> {
    let condition = Condition::Unwritten(added);
    let Some(query) = walk.runner.work.dialect().probe(&condition) else {
        return Ok(true);
    };
    let rows = walk.runner.work.query(&query.sql, &query.params).await?;
    let answer = rows.first().and_then(|row| row.first());
    Ok(!answer.and_then(|value| value.as_bool()).unwrap_or(false))
}

/// Asks for what others have written since where the undo would meet it: rows that it would take away are given, rows that
/// it leaves alone are said.
async fn later(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    asked: &[Later],
    seen: &mut Vec<Seen>,
) -> Result<Vec<Held>, Failure> {
    let mut held: Vec<Held> = vec![];
    for chunk in asked.chunks(ASKED_AT_ONCE) {
        // One question for many, and of each only where some of them have an answer.
        let all = all_of(chunk);
        let none = match &all {
            Some(sql) => met(walk, sql).await? == 0,
            None => false,
        };
        let mut one = |later: &Later, sql: &str, rows: usize| {
            if later.destroys && !later.table.is_empty() {
                seen.push(Seen {
                    table: later.table.clone(),
                    column: None,
                    query: Query::new(sql.to_owned(), vec![]),
                    number: rows as u64,
                    of_rows: true,
                    some: true,
                    archived: false,
                });
            }
        };
        if let (Some(sql), Some(first), true) = (&all, chunk.first(), none) {
            one(first, sql, 0);
            continue;
        }
        for later in chunk {
            let rows = met(walk, &later.sql).await?;
            one(later, &later.sql, rows);
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
