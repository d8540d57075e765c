//! Before rows are inserted again: a transaction that was rolled back, by a failure, by its runner's death or by the server,
//! has used up numbers of the counters of its tables. Counters of tables that this very unit made, and that hold its rows
//! alone, count on from where they stood: the same rows get the same numbers, whatever happened in between.

use super::counted::default_schema;
use super::made::{self, Made};
use super::migrate::Unit;
use crate::executor::Runner;
use dunlin_core::copy::reading::Bound;
use dunlin_core::dialect::change::ChangeDialect;
use dunlin_core::failure::ErrorClass;
use dunlin_core::journal::Direction;
use dunlin_core::plan::lower::Block;
use dunlin_core::sql::{Kind, ObjectKind, ObjectRef};
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
    let renames = made::renames(runner, unit);
    let default = default_schema(runner);
    let tables = made::tables(unit, makes(unit, block), block.statements.start, &renames);
    for made in tables {
        let (Some(own), Some(table)) = (made.wrote(runner, &default), made.now()) else {
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

/// The statements before a block that may have made tables.
fn makes<'u>(unit: &'u Unit<'_>, block: &Block) -> impl Iterator<Item = usize> + 'u {
    let there = |at: &usize| {
        let of = |(index, _): &&(usize, _)| unit.lowered.blocks[*index].statements.contains(at);
        let known = unit.done_blocks.iter().find(of);
        // With IF NOT EXISTS it may be somebody else's.
        known.is_some_and(|(_, seen)| seen.held.iter().any(|held| !held))
    };
    (0..block.statements.start).filter(move |at| {
        let class = &unit.lowered.classes[*at];
        class.kind == Kind::Ddl && (!class.if_not_exists || there(at))
    })
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
            table.is_named(touched)
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
