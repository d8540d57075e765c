//! Looking, before a step is taken back, at what its undo would take away: tables and columns that it drops and that hold
//! something, rows that the step inserted and somebody has changed since.

use super::own::{Asked, is_own};
use super::{Walk, deleted, values};
use crate::checkpoint::Names;
use crate::checkpoint::keep::{Question, Seen, answer};
use crate::observe;
use crate::steps::left;
use crate::trouble;
use dunlin_core::event::Event;
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::plan::delete;
use dunlin_core::plan::inverse::{self, Renames};
use dunlin_core::plan::steps::Later;
use dunlin_core::schema::lookup::Lookup;
use dunlin_core::schema::{Catalog, Column, Table, key, label};
use dunlin_core::source::plan::StepDoc;
use dunlin_core::sql::{Condition, ObjectKind, ObjectRef, TxUse, Unwritten};
use dunlin_engines::DbError;

/// What an undo would take away and what holds something: a table, columns of one, or rows.
#[derive(Debug, Default)]
pub struct Held {
    /// The table as people see it, by the name that it has before the undo.
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
    /// The columns whose values are written over, in rows that stay.
    pub over: Vec<String>,
    /// Nothing but these values goes.
    pub values: bool,
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
    /// Tables that an undo which stands half way has given another name.
    pub names: Names,
}

/// Where the tables of an undo are, whose statements may give them other names.
pub struct Places<'a> {
    catalog: &'a Catalog,
    lookup: &'a Lookup,
    /// What each of its statements gives another name.
    renames: &'a [Renames],
    /// It stands half way: its first statements may have run.
    half: bool,
}

/// A table of an undo.
#[derive(Debug, Clone)]
pub struct Found<'c> {
    /// As it is there.
    pub table: &'c Table,
    /// The name that it has before the undo.
    pub was: String,
    /// The same, as people see it.
    pub label: String,
}

impl<'a> Places<'a> {
    /// What is there.
    pub fn catalog(&self) -> &'a Catalog {
        self.catalog
    }

    /// The table that a statement of the undo names.
    pub fn named_at(&self, at: usize, named: &ObjectRef, names: &mut Names) -> Option<Found<'a>> {
        let before = self.renames.get(..at).unwrap_or_default();
        self.find(&inverse::first_of(before, named), names)
    }

    /// The table that had a name before the undo.
    fn find(&self, first: &ObjectRef, names: &mut Names) -> Option<Found<'a>> {
        let done = match self.half {
            true => 0..=self.renames.len(),
            false => 0..=0,
        };
        let mut all = done.map(|done| inverse::name_after(&self.renames[..done], first));
        let table = all.find_map(|name| self.lookup.table(self.catalog, &name))?;
        let schema = table.schema.as_deref();
        let was = match table.name.eq_ignore_ascii_case(&first.name) {
            true => table.name.clone(),
            false => first.name.clone(),
        };
        names.add(schema, &was, &table.name);
        Some(Found {
            table,
            label: label(schema, &was),
            was,
        })
    }
}

/// Looks at what an undo would take away.
pub async fn look(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    asked: &Asked<'_>,
) -> Result<Looked, Failure> {
    let mut looked = Looked {
        names: asked.names.clone(),
        ..Looked::default()
    };
    held(walk, asked, &mut looked).await?;
    looked.together &= !asked.apart;
    for rows in later(walk, doc, &asked.later, &mut looked).await? {
        let same = |one: &&mut Held| one.table == rows.table;
        match looked.held.iter_mut().find(same) {
            // Rows of a table that goes as a whole go with it; of others these are named, each by its key.
            Some(known) => {
                known.foreign = true;
                known.own.extend(rows.own);
                if let Some(only) = &mut known.only {
                    let more = rows.only.unwrap_or_default();
                    (known.what, *only) = (rows.what, format!("{only} OR {more}"));
                }
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
    let (classes, renamed) = left::read(undo, &*walk.runner.work);
    looked.together = walk.runner.work.caps().transactional_ddl
        && classes.iter().all(|class| class.tx == TxUse::Inside);
    let gone = inverse::gone(&classes, &renamed);
    let of = |kind: ObjectKind| {
        let gone = gone.iter().map(|gone| gone.was.clone());
        gone.filter(move |object| object.kind == kind)
    };
    let emptied = classes.iter().enumerate().filter(|_| asked.written);
    let emptied = emptied.flat_map(|(at, class)| {
        let tables = delete::emptied(class).iter();
        tables.map(move |table| (at, table))
    });
    let emptied = emptied.map(|(at, table)| inverse::first_of(&renamed[..at], table));
    let tables: Vec<ObjectRef> = of(ObjectKind::Table).chain(emptied).collect();
    let columns: Vec<ObjectRef> = of(ObjectKind::Column).collect();
    // What a derived undo deletes is asked for by its keys, too: those name the rows.
    let deletes = (asked.written || !asked.left.is_empty())
        && classes.iter().any(|class| class.verb == "DELETE");
    let overs = values::of(asked, undo, &*walk.runner.work);
    if tables.is_empty() && columns.is_empty() && !deletes && overs.is_empty() {
        return Ok(());
    }
    let catalog = observe::whole(&mut *walk.runner.work)
        .await
        .map_err(looking)?;
    let database = walk.runner.world.engine.database();
    let lookup = observe::lookup(&mut *walk.runner.work, database)
        .await
        .map_err(looking)?;
    let places = Places {
        catalog: &catalog,
        lookup: &lookup,
        renames: &renamed,
        half: asked.half,
    };
    looked.held = held_columns(walk, &places, &columns, asked, looked).await?;
    held_tables(walk, &places, &tables, asked, looked).await?;
    if deletes {
        deleted::look(walk, asked, undo, &places, looked).await?;
    }
    values::look(walk, asked, &overs, &places, looked).await
}

fn looking(error: DbError) -> Failure {
    trouble::failed(&error, "cannot look at what the undo would drop")
}

/// Of tables that go or are emptied those that hold something.
async fn held_tables(
    walk: &mut Walk<'_, '_>,
    places: &Places<'_>,
    tables: &[ObjectRef],
    asked: &Asked<'_>,
    looked: &mut Looked,
) -> Result<(), Failure> {
    for table in tables {
        let Some(Found { table, was, label }) = places.find(table, &mut looked.names) else {
            continue;
        };
        let question = Question::Rows {
            schema: table.schema.clone(),
            name: was,
            only: None,
        };
        let rows = ask(walk, looked, &label, question).await.map_err(looking)?;
        let known = |one: &Held| one.table == label && one.columns.is_empty();
        if rows == 0 || looked.held.iter().any(known) {
            continue;
        }
        looked.held.retain(|one| one.table != label);
        let mut own = rows <= asked.own;
        if let Some(seen) = looked.seen.last_mut().filter(|_| own) {
            seen.left = asked.left_of(&label, None, None).cloned();
            own = is_own(walk, seen, &looked.names, (asked, places.catalog)).await?;
        }
        looked.held.push(Held {
            columns: vec![],
            what: format!("{label} ({rows} rows)"),
            foreign: !own,
            keyed: key::of(table).is_some(),
            table: label,
            ..Held::default()
        });
    }
    Ok(())
}

/// Of columns that the undo drops those that hold something, one entry for each table.
async fn held_columns(
    walk: &mut Walk<'_, '_>,
    places: &Places<'_>,
    columns: &[ObjectRef],
    asked: &Asked<'_>,
    looked: &mut Looked,
) -> Result<Vec<Held>, Failure> {
    let mut held: Vec<Held> = vec![];
    for column in columns {
        let parent = column.parent.as_deref().unwrap_or_default();
        let table = ObjectRef::table(column.schema.as_deref(), parent);
        let Some(place) = places.find(&table, &mut looked.names) else {
            continue;
        };
        let mut found = place.table.columns.iter();
        let found = found.find(|found| found.name.eq_ignore_ascii_case(&column.name));
        let Some(found) = found else { continue };
        let written = written(walk, &place, found, column, looked).await;
        let mut written = written.map_err(looking)?;
        let keyed = key::of(place.table).is_some();
        // A step that has written rows itself may have filled the columns that its undo drops.
        let mut foreign = written > asked.own;
        let of_it = |seen: &&mut Seen| {
            seen.table == place.label && seen.column.as_ref() == Some(&found.name)
        };
        if let Some(seen) = looked.seen.last_mut().filter(of_it) {
            let left = asked.left_of(&place.label, Some(&found.name), None);
            seen.left = left.cloned();
            let each = matches!(seen.question, Question::Untouched { .. });
            if each && seen.left.is_some() {
                // Every row was given something: it is as it was given, or it is others'.
                foreign = !is_own(walk, seen, &looked.names, (asked, places.catalog)).await?;
                written = written.max(u64::from(foreign));
            } else if each {
                foreign = written > 0;
            } else if written > 0 && !foreign {
                foreign = !is_own(walk, seen, &looked.names, (asked, places.catalog)).await?;
            } else {
                seen.left = None;
            }
        }
        if written == 0 || (!foreign && !keyed) {
            continue;
        }
        let what = format!("values of {column}");
        match held.iter_mut().find(|one| one.table == place.label) {
            Some(one) => {
                one.what = format!("{}, {what}", one.what);
                one.columns.push(found.name.clone());
                one.foreign |= foreign;
            }
            None => held.push(Held {
                table: place.label,
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

/// Asks, and keeps question and answer.
async fn ask(
    walk: &mut Walk<'_, '_>,
    looked: &mut Looked,
    table: &str,
    question: Question,
) -> Result<u64, DbError> {
    let column = match &question {
        Question::Written { column, .. } => Some(column.clone()),
        Question::Untouched { added, .. } => Some(added.column.name.clone()),
        _ => None,
    };
    let mut seen = Seen {
        table: table.to_owned(),
        column,
        question,
        number: 0,
        of_rows: false,
        some: false,
        over: None,
        archived: false,
        left: None,
    };
    seen.number = answer(&mut *walk.runner.work, &seen, &looked.names, "").await?;
    let number = seen.number;
    looked.seen.push(seen);
    Ok(number)
}

/// How many rows hold something else in a column than what it held when it was added: NULL, or its default. Where that
/// cannot be told row by row and something was written: one. A column that is computed holds nothing of its own.
async fn written(
    walk: &mut Walk<'_, '_>,
    place: &Found<'_>,
    found: &Column,
    column: &ObjectRef,
    looked: &mut Looked,
) -> Result<u64, DbError> {
    if found.generated.is_some() {
        return Ok(0);
    }
    let mut added = Unwritten {
        column: column.clone(),
        nullable: found.nullable,
        default: found.default.clone(),
    };
    if !added.is_constant() || !(added.nullable || added.default.is_some()) {
        added.column.schema = place.table.schema.clone();
        added.column.parent = Some(place.table.name.clone());
        added.column.name = found.name.clone();
        let probe = Condition::Unwritten(added.clone());
        if walk.runner.work.dialect().probe(&probe).is_none() {
            // Where that cannot be asked it is taken for granted.
            return Ok(1);
        }
        let name = place.was.clone();
        let question = Question::Untouched { name, added };
        let untouched = ask(walk, looked, &place.label, question).await?;
        return Ok(u64::from(untouched == 0));
    }
    let question = Question::Written {
        schema: place.table.schema.clone(),
        name: place.was.clone(),
        column: found.name.clone(),
        default: added.default,
    };
    ask(walk, looked, &place.label, question).await
}

/// Asks for what others have written since where the undo would meet it: rows that it would take away are given, rows that
/// it leaves alone are said.
async fn later(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    asked: &[Later],
    looked: &mut Looked,
) -> Result<Vec<Held>, Failure> {
    let dialect = walk.runner.work.dialect();
    let (seen, names) = (&mut looked.seen, &looked.names);
    let question = |later: &Later, sql: &str| {
        let (schema, name) = match later.table.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, later.table.as_str()),
        };
        Question::Said {
            schema: schema.map(str::to_owned),
            name: name.to_owned(),
            sql: sql.to_owned(),
        }
    };
    let now = |later: &Later, sql: &str| question(later, sql).query(dialect, names).sql;
    let mut held: Vec<Held> = vec![];
    for chunk in asked.chunks(ASKED_AT_ONCE) {
        // One question for many, and of each only where some of them have an answer.
        let all = all_of(chunk);
        let none = match all.as_ref().zip(chunk.first()) {
            Some((sql, first)) => met(walk, &now(first, sql)).await? == 0,
            None => false,
        };
        let mut one = |later: &Later, sql: &str, rows: usize| {
            if later.destroys && !later.table.is_empty() {
                seen.push(Seen {
                    table: later.table.clone(),
                    column: None,
                    question: question(later, sql),
                    number: rows as u64,
                    of_rows: true,
                    some: true,
                    over: None,
                    archived: false,
                    left: None,
                });
            }
        };
        if let (Some(sql), Some(first), true) = (&all, chunk.first(), none) {
            one(first, sql, 0);
            continue;
        }
        for later in chunk {
            let rows = met(walk, &now(later, &later.sql)).await?;
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
