//! What is switched and watched while a block runs, because its statements need it.

use super::migrate::Unit;
use crate::executor::Runner;
use dunlin_core::dialect::Guard;
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::finding::Place;
use dunlin_engines::{DbError, Session};

/// Sets a guard's switches; gives the statements that put them back.
pub async fn switch_on(work: &mut dyn Session, guard: &Guard) -> Result<Vec<String>, DbError> {
    let mut restore = vec![];
    for switch in &guard.switches {
        let rows = work.query(&switch.read, &[]).await?;
        let was = rows
            .first()
            .and_then(|row| row.first())
            .map(|value| match value.as_str() {
                Some(text) => text.replace('\'', "''"),
                None => value.as_i64().unwrap_or(0).to_string(),
            })
            .unwrap_or_default();
        work.execute(&switch.set).await?;
        restore.push(switch.restore.replace("{}", &was));
    }
    Ok(restore)
}

/// The numbers that a guard watches.
pub(super) async fn watch(
    runner: &mut Runner<'_>,
    guard: &Guard,
    before: bool,
) -> Result<Vec<Option<i64>>, DbError> {
    let mut numbers = vec![];
    for watch in &guard.watches {
        let sql = if before { &watch.before } else { &watch.after };
        numbers.push(match runner.work.query(sql, &[]).await {
            Ok(rows) => rows
                .first()
                .and_then(|row| row.first())
                .and_then(|value| value.as_i64()),
            // Not there before: the script makes it, drops it and makes it again.
            Err(error) if error.class == ErrorClass::ObjectMissing => None,
            Err(error) => return Err(error),
        });
    }
    Ok(numbers)
}

/// Whether what is watched is as it may be.
pub(super) fn judge(
    unit: &Unit<'_>,
    guard: &Guard,
    before: &[Option<i64>],
    after: &[Option<i64>],
) -> Result<(), Failure> {
    for ((watch, before), after) in guard.watches.iter().zip(before).zip(after) {
        let (Some(before), Some(after)) = (before, after) else {
            continue;
        };
        let wrong = if watch.may_not_grow {
            after > before
        } else {
            after < before
        };
        if wrong
            && !unit
                .migration
                .allow
                .iter()
                .any(|allow| allow.code == watch.code)
        {
            let message = format!("{}: {before} before, {after} after", watch.what);
            return Err(Failure::new(FailureClass::Failed, watch.code, message)
                .at(Place::file(&unit.script.file))
                .hint(format!(
                    "if that is meant, say so in the header: `-- dunlin: allow = [\"{}: why\"]`",
                    watch.code
                )));
        }
    }
    Ok(())
}
