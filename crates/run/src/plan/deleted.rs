//! Rows that an undo's own DELETE takes away: more of them than the step has written, or others than it has left, are not all
//! its own.

use super::Walk;
use super::held::{Found, Held, Looked, Places};
use super::own::{Asked, is_own};
use crate::checkpoint::Names;
use crate::checkpoint::keep::{Question, Seen, answer};
use crate::trouble;
use dunlin_core::event::Event;
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::plan::delete;
use dunlin_core::plan::steps::{Facts, sql::inserted};
use dunlin_core::redact::head_of;
use dunlin_core::schema::{Catalog, key};
use dunlin_core::source::{Script, Statement};
use dunlin_core::sql::{Kind, ObjectRef, StatementClass};
use dunlin_engines::DbError;

/// Looks at the rows that the undo's DELETEs would take away, of tables that do not go as a whole.
pub async fn look(
    walk: &mut Walk<'_, '_>,
    asked: &Asked<'_>,
    undo: &Script,
    places: &Places<'_>,
    looked: &mut Looked,
) -> Result<(), Failure> {
    let looking = |error| trouble::failed(&error, "cannot look at what the undo would delete");
    let work = &mut *walk.runner.work;
    let (dialect, lex) = (work.dialect(), work.lex_mode().clone());
    let catalog = places.catalog();
    let up = asked.migration.up.statements.iter();
    let classes: Vec<StatementClass> = up
        .map(|statement| dialect.classify(&statement.sql, &lex))
        .collect();
    // In whichever schema.
    let has_triggers = |name: &str| {
        let mut tables = catalog.tables.iter();
        tables.any(|table| table.name.eq_ignore_ascii_case(name) && !table.triggers.is_empty())
    };
    let counted = counts(&classes, has_triggers);
    for (at, statement) in undo.statements.iter().enumerate() {
        let Some(deleted) = delete::read(&statement.sql, dialect, &lex) else {
            continue;
        };
        let named = ObjectRef::table(deleted.table.schema.as_deref(), &deleted.table.name);
        let Some(found) = places.named_at(at, &named, &mut looked.names) else {
            continue;
        };
        let goes =
            |one: &Held| one.table == found.label && one.columns.is_empty() && one.only.is_none();
        // Under another name such a condition finds nothing: `plan check` has named it.
        let elsewhere =
            deleted.named && !found.table.name.eq_ignore_ascii_case(&deleted.table.name);
        let told = asked.tells_all_of(&found.label);
        if elsewhere || told || looked.held.iter().any(goes) {
            continue;
        }
        let left = asked.left_of(&found.label, None, Some(&deleted.only));
        // By keys no more rows go than were inserted, whoever wrote them since.
        let counted = counted && asked.written;
        if !counted && left.is_none() {
            continue;
        }
        let seen = rows(walk, statement, &found, &deleted.only, &looked.names).await;
        let Some(mut seen) = seen.map_err(looking)? else {
            continue;
        };
        let more = counted && seen.number > asked.own;
        seen.left = left.filter(|_| !more).cloned();
        let about = (asked, catalog);
        if more || (seen.number > 0 && !is_own(walk, &mut seen, &looked.names, about).await?) {
            let rows = Held {
                what: format!("{} ({} rows)", found.label, seen.number),
                foreign: true,
                keyed: key::of(found.table).is_some(),
                own: own(walk, asked, catalog, (&found.label, &deleted.only)),
                only: Some(deleted.only),
                table: found.label,
                ..Held::default()
            };
            add(&mut looked.held, rows);
        }
        looked.seen.push(seen);
    }
    Ok(())
}

/// How many rows a DELETE would take away. `None`: it is about what the undo itself makes before it.
async fn rows(
    walk: &mut Walk<'_, '_>,
    statement: &Statement,
    found: &Found<'_>,
    only: &str,
    names: &Names,
) -> Result<Option<Seen>, DbError> {
    let mut seen = Seen {
        table: found.label.clone(),
        column: None,
        question: Question::Rows {
            schema: found.table.schema.clone(),
            name: found.was.clone(),
            only: Some(only.to_owned()),
        },
        number: 0,
        of_rows: false,
        some: true,
        over: None,
        archived: false,
        left: None,
    };
    match answer(&mut *walk.runner.work, &seen, names, "").await {
        Ok(number) => seen.number = number,
        Err(error) if error.class == ErrorClass::ObjectMissing => {
            let message = format!(
                "which rows `{}` takes away cannot be asked before it does: {}",
                head_of(&statement.sql),
                error.message
            );
            walk.runner.sink.event(&Event::Note { message });
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    Ok(Some(seen))
}

/// Rows beside what goes of their table already.
fn add(held: &mut Vec<Held>, rows: Held) {
    let Some(known) = held.iter_mut().find(|one| one.table == rows.table) else {
        held.push(rows);
        return;
    };
    known.what = format!("{}, {}", known.what, rows.what);
    known.foreign = true;
    match known.only.take().zip(rows.only) {
        Some((one, other)) => known.only = Some(format!("{one} OR {other}")),
        // Columns of all rows, and rows: the whole table is saved.
        None => known.rows = true,
    }
    for own in rows.own {
        if !known.own.contains(&own) {
            known.own.push(own);
        }
    }
}

/// Whether how many rows these statements have written is known: none calls what may write by itself.
fn counts(classes: &[StatementClass], has_triggers: impl Fn(&str) -> bool) -> bool {
    classes.iter().all(|class| match class.kind {
        Kind::Ddl | Kind::Query | Kind::Session | Kind::Maintenance => true,
        Kind::Dml | Kind::CopyIn => {
            let mut touched = class.touches.iter();
            !class.touches.is_empty() && touched.all(|object| !has_triggers(&object.name))
        }
        _ => false,
    })
}

/// Statements that take away what the step inserts anew into a table, where it still is that, of the rows that meet a condition:
/// no others are in the archive.
fn own(
    walk: &Walk<'_, '_>,
    asked: &Asked<'_>,
    catalog: &Catalog,
    (label, only): (&str, &str),
) -> Vec<String> {
    let work = &*walk.runner.work;
    let facts = Facts {
        dialect: work.dialect(),
        caps: work.caps(),
        lex: work.lex_mode(),
        catalog,
        plugins: &[],
    };
    let up = asked.migration.up.statements.iter();
    let up: Vec<String> = up.map(|statement| statement.sql.to_string()).collect();
    let later = inserted(&up, &facts).into_iter();
    let of_table = later.filter(|later| later.table == label);
    of_table
        .map(|later| format!("{} AND ({only}\n)", later.own))
        .collect()
}
