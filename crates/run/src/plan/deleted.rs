//! Rows that an undo's own DELETE takes away: more of them than the step has written are not all its own.

use super::Walk;
use super::held::{Asked, Held, Looked};
use crate::checkpoint::keep::{Seen, answer};
use dunlin_core::plan::delete;
use dunlin_core::plan::steps::{Facts, sql::inserted};
use dunlin_core::schema::{Catalog, Table, key};
use dunlin_core::source::Script;
use dunlin_core::sql::{Kind, StatementClass};
use dunlin_core::value::Query;
use dunlin_engines::DbError;

/// Looks at the rows that the undo's DELETEs would take away, of tables that do not go as a whole.
pub async fn look(
    walk: &mut Walk<'_, '_>,
    asked: &Asked<'_>,
    undo: &Script,
    catalog: &Catalog,
    looked: &mut Looked,
) -> Result<(), DbError> {
    let work = &mut *walk.runner.work;
    let (dialect, lex) = (work.dialect(), work.lex_mode().clone());
    let up = asked.migration.up.statements.iter();
    let classes: Vec<StatementClass> = up
        .map(|statement| dialect.classify(&statement.sql, &lex))
        .collect();
    let table = |name: &str, schema: Option<&str>| {
        let mut tables = catalog.tables.iter();
        tables.find(|table| {
            table.name.eq_ignore_ascii_case(name)
                && (schema.is_none() || table.schema.as_deref() == schema)
        })
    };
    if !counts(&classes, |name| table(name, None)) {
        return Ok(());
    }
    for statement in &undo.statements {
        let Some(deleted) = delete::read(&statement.sql, dialect, &lex) else {
            continue;
        };
        let Some(table) = table(&deleted.table.name, deleted.table.schema.as_deref()) else {
            continue;
        };
        let label = table.label();
        let goes = |one: &Held| one.table == label && one.columns.is_empty() && one.only.is_none();
        if looked.held.iter().any(goes) {
            continue;
        }
        let all = dialect.count_rows(table.schema.as_deref(), &table.name);
        let some = dialect.change().filtered(&all.sql, Some(&deleted.only));
        let mut seen = Seen {
            table: label.clone(),
            column: None,
            query: Query::new(some, all.params),
            number: 0,
            of_rows: false,
            some: true,
            archived: false,
        };
        seen.number = answer(&mut *walk.runner.work, &seen, "").await?;
        if seen.number > asked.own {
            let rows = Held {
                what: format!("{label} ({} rows)", seen.number),
                foreign: true,
                keyed: key::of(table).is_some(),
                only: Some(deleted.only),
                own: own(walk, asked, catalog, &label),
                table: label,
                ..Held::default()
            };
            add(&mut looked.held, rows);
        }
        looked.seen.push(seen);
    }
    Ok(())
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
fn counts<'c>(classes: &[StatementClass], table: impl Fn(&str) -> Option<&'c Table>) -> bool {
    classes.iter().all(|class| match class.kind {
        Kind::Ddl | Kind::Query | Kind::Session | Kind::Maintenance => true,
        Kind::Dml | Kind::CopyIn => {
            let quiet = |name: &str| table(name).is_none_or(|table| table.triggers.is_empty());
            let mut touched = class.touches.iter();
            !class.touches.is_empty() && touched.all(|object| quiet(&object.name))
        }
        _ => false,
    })
}

/// Statements that take away what the step inserts anew into a table, where it still is that.
fn own(walk: &Walk<'_, '_>, asked: &Asked<'_>, catalog: &Catalog, label: &str) -> Vec<String> {
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
    of_table.map(|later| later.own).collect()
}
