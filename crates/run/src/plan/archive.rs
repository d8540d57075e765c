//! What an undo would destroy and its step did not write (invariant 17).

use super::Walk;
use crate::observe;
use crate::trouble;
use dunlin_core::event::Event;
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::journal::UnitState;
use dunlin_core::plan::inverse::comes_back;
use dunlin_core::plan::steps::Operations;
use dunlin_core::schema::Catalog;
use dunlin_core::source::plan::StepDoc;
use dunlin_core::source::{Migration, Statement};
use dunlin_core::sql::{Condition, ObjectKind, ObjectRef, StatementClass, Unwritten};
use dunlin_engines::DbError;

/// Asks for what others have written since where the undo would meet it: rows that it would take away are refused, rows
/// that it leaves alone are said.
pub async fn later(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    operations: &Operations,
) -> Result<(), Failure> {
    let mut destroyed = vec![];
    for later in &operations.later {
        let rows = match walk.runner.work.query(&later.sql, &[]).await {
            Ok(rows) => rows,
            // What it would be asked of is gone already: nothing of anybody is left to be met.
            Err(error) if error.class == ErrorClass::ObjectMissing => continue,
            Err(error) => {
                return Err(trouble::failed(
                    &error,
                    "cannot look at what was written since",
                ));
            }
        };
        if rows.is_empty() {
            continue;
        }
        let met = format!("{} ({})", later.what, super::count(rows.len(), "row"));
        match later.destroys {
            true => destroyed.push(met),
            false => walk.runner.sink.event(&Event::Note {
                message: format!(
                    "step `{}`: written by others since, and left as it is: {met}",
                    doc.id
                ),
            }),
        }
    }
    if destroyed.is_empty() || walk.ask.discard_later {
        return Ok(());
    }
    Err(would_destroy(doc, &destroyed))
}

fn would_destroy(doc: &StepDoc, held: &[String]) -> Failure {
    let message = format!(
        "taking step `{}` back would destroy what it did not write: {}",
        doc.id,
        held.join(", ")
    );
    Failure::new(FailureClass::Failed, "would-destroy", message).hint(
        "save it first (`dunlin checkpoint create NAME --tables …`), then take back with `--discard-later`",
    )
}

/// Refuses an undo that would drop a table which holds more rows than its step has written, or a column which holds
/// values.
pub async fn nothing_is_lost(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    migration: &Migration,
) -> Result<(), Failure> {
    if walk.ask.discard_later {
        return Ok(());
    }
    let Some(undo) = &migration.undo else {
        return Ok(());
    };
    let looking = |error| trouble::failed(&error, "cannot look at what the undo would drop");
    let (dialect, lex) = (
        walk.runner.work.dialect(),
        walk.runner.work.lex_mode().clone(),
    );
    let classify = |statement: &Statement| dialect.classify(&statement.sql, &lex);
    let classes: Vec<_> = undo.statements.iter().map(classify).collect();
    let dropped = dropped_tables(&classes);
    let own = match walk.history.steps.get(key) {
        Some(UnitState::Applied(applied)) => applied.rows.unwrap_or(0),
        _ => 0,
    };
    // A step that has written rows itself may have filled the columns that its undo drops.
    let columns: Vec<&ObjectRef> = match own {
        0 => classes.iter().flat_map(dropped_columns).collect(),
        _ => vec![],
    };
    if dropped.is_empty() && columns.is_empty() {
        return Ok(());
    }
    let catalog = observe::whole(&mut *walk.runner.work)
        .await
        .map_err(looking)?;
    let mut held = vec![];
    for column in columns {
        if is_written(walk, &catalog, column).await.map_err(looking)? {
            held.push(format!("values of {column}"));
        }
    }
    for table in dropped {
        let there = catalog.tables.iter().find(|found| {
            found.name.eq_ignore_ascii_case(&table.name)
                && (table.schema.is_none() || found.schema == table.schema)
        });
        let Some(there) = there else { continue };
        let query = dialect.count_rows(there.schema.as_deref(), &there.name);
        let rows = walk
            .runner
            .work
            .query(&query.sql, &query.params)
            .await
            .map_err(looking)?;
        let rows = rows
            .first()
            .and_then(|row| row.first())
            .and_then(|value| value.as_i64());
        let rows = rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or(0);
        if rows > own {
            held.push(format!("{} ({rows} rows)", there.label()));
        }
    }
    if held.is_empty() {
        return Ok(());
    }
    Err(would_destroy(doc, &held))
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
