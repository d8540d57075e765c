//! Who waits while a last look is taken, up to the end of what comes after it.

use super::last::Concern;
use crate::executor::Runner;
use dunlin_core::copy::reading::Bound;
use dunlin_core::dialect::catalog::Hold;
use dunlin_core::event::Event;
use dunlin_core::failure::ErrorClass;
use dunlin_core::sql::ObjectRef;
use dunlin_engines::{DbError, Session};

/// For a statement that commits by itself: locks the tables. Where this user may not, it is said, and the look is as close as it can be.
pub(super) async fn alone(runner: &mut Runner<'_>, concerned: &[Concern]) -> Result<Hold, DbError> {
    let names = concerned.iter();
    let names = names.map(|one| (one.schema.as_deref(), one.is.as_str()));
    let named: Vec<(Option<&str>, &str)> = names.collect();
    let shown = concerned.iter().map(|concern| concern.table.as_str());
    take(runner, &named, &shown.collect::<Vec<_>>()).await
}

/// The tables stay as they are open to all, which is said.
pub(super) fn none(runner: &mut Runner<'_>, concerned: &[Concern]) -> Hold {
    let shown = concerned.iter().map(|concern| concern.table.as_str());
    let message = format!(
        "warning: {} cannot be locked together with the tables that the undo joins, so what others write at that moment is not seen",
        shown.collect::<Vec<_>>().join(", ")
    );
    runner.sink.event(&Event::Note { message });
    Hold::default()
}

/// As [`alone`], of tables that a unit has made.
pub(super) async fn tables(runner: &mut Runner<'_>, tables: &[ObjectRef]) -> Result<Hold, DbError> {
    if tables.is_empty() {
        return Ok(Hold::default());
    }
    let names = tables.iter();
    let names = names.map(|table| (table.schema.as_deref(), table.name.as_str()));
    let named: Vec<(Option<&str>, &str)> = names.collect();
    let shown = tables.iter().map(|table| table.name.as_str());
    take(runner, &named, &shown.collect::<Vec<_>>()).await
}

/// In a transaction, up to its end: keeps everybody else from tables that a unit has made.
pub(super) async fn tables_within(
    work: &mut dyn Session,
    tables: &[ObjectRef],
) -> Result<(), DbError> {
    let bound = tables.iter();
    let bound = bound.map(|table| named(table.schema.as_deref(), &table.name));
    let bound: Vec<Bound> = bound.collect();
    let lock = work.dialect().change().lock(&bound);
    match lock.filter(|_| !bound.is_empty()) {
        Some(lock) => work.execute(&lock).await.map(drop),
        None => Ok(()),
    }
}

/// A table to be locked.
fn named(schema: Option<&str>, name: &str) -> Bound {
    Bound {
        name: name.to_owned(),
        schema: schema.map(str::to_owned),
        table: name.to_owned(),
        own_rows: false,
        columns: vec![],
    }
}

async fn take(
    runner: &mut Runner<'_>,
    named: &[(Option<&str>, &str)],
    shown: &[&str],
) -> Result<Hold, DbError> {
    let hold = runner.work.dialect().catalog().hold(named);
    for statement in &hold.take {
        match runner.work.execute(statement).await {
            Ok(_) => {}
            Err(error) if error.class == ErrorClass::PermissionDenied => {
                let message = format!(
                    "warning: {} cannot be locked, so what others write while it is dropped is not seen: {}",
                    shown.join(", "),
                    error.message
                );
                runner.sink.event(&Event::Note { message });
                return Ok(Hold::default());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(hold)
}

/// In a transaction, up to its end: keeps other writers from the tables, and readers where more than rows goes.
pub(super) async fn within(work: &mut dyn Session, concerned: &[Concern]) -> Result<(), DbError> {
    let change = work.dialect().change();
    // Elsewhere nothing may be read before what holds it: everything that is read later is seen as it was then.
    if change.lock(&[]).is_none() {
        return Ok(());
    }
    let bound = |of_rows: bool| {
        let known = concerned.iter().filter(|one| one.is_of_rows() == of_rows);
        let known = known.map(|one| named(one.schema.as_deref(), &one.is));
        known.collect::<Vec<Bound>>()
    };
    // Whoever only reads has nothing to wait for where nothing but rows changes. Nothing is read before the locks: in a
    // transaction of REPEATABLE READ all that is read later would be seen as it was then.
    let (rows, whole) = (bound(true), bound(false));
    let whole = change.lock(&whole).filter(|_| !whole.is_empty());
    let rows = change.hold(&rows).filter(|_| !rows.is_empty());
    for lock in whole.into_iter().chain(rows) {
        let _ = work.execute(&lock).await?;
    }
    Ok(())
}
