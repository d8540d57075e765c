//! Before rows are inserted again: a transaction that was rolled back, by a failure, by its runner's death or by the server,
//! has used up numbers of the counters of its tables. Counters of tables that this very unit made, and that hold its rows
//! alone, count on from where they stood: the same rows get the same numbers, whatever happened in between.

use super::migrate::Unit;
use crate::executor::Runner;
use dunlin_core::copy::reading::Bound;
use dunlin_core::dialect::change::ChangeDialect;
use dunlin_core::failure::ErrorClass;
use dunlin_core::journal::Direction;
use dunlin_core::plan::inverse::{self, Renames};
use dunlin_core::plan::lower::Block;
use dunlin_core::sql::{Condition, Kind, ObjectKind, ObjectRef, StatementClass};
use dunlin_core::value::Value;
use dunlin_engines::{DbError, Session};

/// Gives the counters that a block of a unit moves their numbers back. The first block of a run that goes on may have been
/// tried before, and so has one whose transaction failed.
pub(super) async fn number_as_before(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    block: &Block,
    failed: bool,
) -> Result<(), DbError> {
    let tried = failed || (unit.resumed && block.index == unit.first);
    if !tried || unit.direction == Direction::Down || runner.one_transaction {
        return Ok(());
    }
    let writes = |at: usize| {
        matches!(
            unit.lowered.classes[at].kind,
            Kind::Dml | Kind::CopyIn | Kind::Call
        )
    };
    if !block.statements.clone().any(writes) {
        return Ok(());
    }
    let (dialect, lex) = (runner.work.dialect(), runner.work.lex_mode());
    let before = unit.script.statements.iter().take(block.statements.start);
    let renames = before.map(|statement| inverse::renames(&statement.sql, dialect, lex));
    let renames: Vec<Renames> = renames.collect();
    for made in made(unit, block, &renames) {
        let wrote = made.names.iter();
        let mut wrote = wrote.filter_map(|name| runner.wrote.get(&name.name.to_lowercase()));
        // How many rows are its own is not known where it has changed or removed some.
        let own = wrote.try_fold(0_u64, |all, rows| Some(all.saturating_add((*rows)?)));
        let (Some(own), Some(table)) = (own, made.names.last()) else {
            continue;
        };
        let statements = concerning(unit, block, &made);
        match one(&mut *runner.work, table, &statements, own).await {
            // Gone by what no statement tells of itself: a routine.
            Err(error) if error.class == ErrorClass::ObjectMissing => {}
            done => done?,
        }
    }
    Ok(())
}

/// A table that the unit has made, and that is there still.
struct Made {
    /// Its names, the one that it has now last.
    names: Vec<ObjectRef>,
}

/// The tables that the unit has made before a block: those that have gone since are nobody's any more, and those that have
/// got another name are there under that.
fn made(unit: &Unit<'_>, block: &Block, renames: &[Renames]) -> Vec<Made> {
    let classes = &unit.lowered.classes;
    let there = |at: &usize| {
        let of = |(index, _): &&(usize, _)| unit.lowered.blocks[*index].statements.contains(at);
        let known = unit.done_blocks.iter().find(of);
        // With IF NOT EXISTS it may be somebody else's.
        known.is_some_and(|(_, seen)| seen.held.iter().any(|held| !held))
    };
    let before = 0..block.statements.start;
    let makes = before.filter(|at| {
        let class = &classes[*at];
        class.kind == Kind::Ddl && (!class.if_not_exists || there(at))
    });
    let mut found = vec![];
    for at in makes {
        let tables = classes[at]
            .post
            .iter()
            .filter_map(|condition| match condition {
                Condition::Exists(object) if object.kind == ObjectKind::Table => Some(object),
                _ => None,
            });
        // What only gets this name was made before, or by somebody else.
        let tables = tables.filter(|table| renames[at].iter().all(|(_, to)| to != *table));
        for table in tables {
            let after = at + 1..block.statements.start;
            let after = after.map(|at| (&classes[at], &renames[at]));
            found.extend(names_of(table, after).map(|names| Made { names }));
        }
    }
    found
}

/// The names that a table gets by these statements. `None`: it goes.
fn names_of<'u>(
    table: &ObjectRef,
    after: impl Iterator<Item = (&'u StatementClass, &'u Renames)>,
) -> Option<Vec<ObjectRef>> {
    let mut names = vec![table.clone()];
    for (class, renames) in after {
        let before = names.len();
        for (from, to) in renames {
            if names.last() == Some(from) {
                names.push(to.clone());
            }
        }
        let gone = names.last().cloned().map(Condition::Missing)?;
        if names.len() == before && class.post.contains(&gone) {
            return None;
        }
    }
    Some(names)
}

/// The statements before a block that may have set a table's counter.
fn concerning<'u>(unit: &'u Unit<'_>, block: &Block, table: &Made) -> Vec<&'u str> {
    let may = |at: &usize| {
        let class = &unit.lowered.classes[*at];
        let mut of_table = class.touches.iter().filter(|object| {
            matches!(
                object.kind,
                ObjectKind::Table | ObjectKind::Column | ObjectKind::Constraint
            )
        });
        let is_it = |object: &ObjectRef| {
            let touched = object.parent.as_ref().unwrap_or(&object.name);
            let mut names = table.names.iter();
            names.any(|name| touched.eq_ignore_ascii_case(&name.name))
        };
        class.kind != Kind::Dml && (of_table.clone().next().is_none() || of_table.any(is_it))
    };
    let before = (0..block.statements.start).filter(may);
    before
        .map(|at| unit.script.statements[at].sql.as_ref())
        .collect()
}

async fn one(
    work: &mut dyn Session,
    table: &ObjectRef,
    made: &[&str],
    own: u64,
) -> Result<(), DbError> {
    let change = work.dialect().change();
    let rules = work.dialect().lex_rules(work.lex_mode());
    let schema = table.schema.as_deref();
    let Some(anew) = change.count_anew(schema, &table.name, made, &rules) else {
        return Ok(());
    };
    if anew.is_empty() {
        return Ok(());
    }
    let bound = Bound {
        name: table.name.clone(),
        schema: table.schema.clone(),
        table: table.name.clone(),
        own_rows: false,
        columns: vec![],
    };
    // Between the look and the counter nobody may write, where a statement sees to that; elsewhere no counter goes back
    // behind a row that is there.
    let lock = change.lock(std::slice::from_ref(&bound));
    if let Some(lock) = &lock {
        work.begin().await?;
        if let Err(error) = work.execute(lock).await {
            // What comes after this says it, where the connection is gone.
            let _ = work.rollback().await;
            return Err(error);
        }
    }
    let set = set(work, change, &bound, &anew, own).await;
    match (&lock, &set) {
        (Some(_), Ok(())) => work.commit().await?,
        (Some(_), Err(_)) => {
            // What comes after this says it, where the connection is gone.
            let _ = work.rollback().await;
        }
        (None, _) => {}
    }
    set
}

async fn set(
    work: &mut dyn Session,
    change: &dyn ChangeDialect,
    table: &Bound,
    anew: &[dunlin_core::value::Query],
    own: u64,
) -> Result<(), DbError> {
    let schema = table.schema.as_deref();
    let count = work.dialect().count_rows(schema, &table.table);
    let rows = work.query(&count.sql, &count.params).await?;
    let there = rows.first().and_then(|row| row.first()?.as_i64());
    // Where others have written, who got which number is past.
    if there.and_then(|there| u64::try_from(there).ok()) != Some(own) {
        return Ok(());
    }
    let numbered = change.numbered(schema, &table.table);
    let Some(counters) = numbered.filter(|_| own > 0) else {
        for query in anew {
            let _ = work.query(&query.sql, &query.params).await?;
        }
        return Ok(());
    };
    for row in work.query(&counters.sql, &counters.params).await? {
        let text = |at: usize| row.get(at).and_then(Value::as_str);
        let (Some(counter), Some(column)) = (text(0), text(1)) else {
            continue;
        };
        let top = work.query(&change.greatest(table, column), &[]).await?;
        let Some(top) = top.first().and_then(|row| row.first()?.as_i64()) else {
            continue;
        };
        for query in change.raise(schema, &table.table, counter, top) {
            let _ = work.query(&query.sql, &query.params).await?;
        }
    }
    Ok(())
}
