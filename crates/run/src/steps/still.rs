//! Statements that write over what their step had looked at before. Where somebody has written there since, they do nothing:
//! the step looks again, so that its undo gives back what was there last.

use super::migrate::Unit;
use crate::executor::Runner;
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::redact::head_of;
use dunlin_engines::DbError;

/// The code of the failure by which a step learns that it has to look again.
pub(crate) const OVERTAKEN: &str = "overtaken";

/// Whether others were faster, where a statement has written nothing. A row that had all its values already is not written
/// either, by some servers' count.
pub(super) async fn wrote(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    at: usize,
    rows: u64,
) -> Result<Option<Failure>, DbError> {
    let statement = &unit.script.statements[at];
    let Some(still) = statement.still.as_ref().filter(|_| rows == 0) else {
        return Ok(None);
    };
    let found = runner.work.query(still, &[]).await?;
    let overtaken = || {
        let message = format!(
            "others wrote to the row of `{}` after it was looked at",
            head_of(&statement.sql)
        );
        Failure::new(FailureClass::Failed, OVERTAKEN, message)
    };
    Ok(found.is_empty().then(overtaken))
}

/// The same of a statement that failed, once nothing of it stands: a row that it was to insert may be there by now.
pub(super) async fn failed(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    at: usize,
    error: &DbError,
) -> Option<Failure> {
    if error.class != ErrorClass::Unique {
        return None;
    }
    // Where this fails, what is told is the error that was there before.
    wrote(runner, unit, at, 0).await.unwrap_or_default()
}
