//! Trying a batch again: after a deadlock, where a lock was not had, and who is ended that has it.

use super::{Work, Wrong, failed, rest, try_batch};
use crate::executor::Runner;
use dunlin_core::backfill::Task;
use dunlin_core::event::Event;
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::limits;
use dunlin_core::value::Row;
use std::time::Instant;

/// How long a lock that is not had is waited for again, beside the engine's own patience.
const LOCK_TRIES: u32 = 20;

/// Tries a batch; who keeps it waiting too long is ended where the step's author wants that.
pub(super) async fn watched(
    runner: &mut Runner<'_>,
    work: &Work<'_>,
    task: &Task,
    keys: &[Row],
) -> Result<(u64, usize), Wrong> {
    let Some(mut blockers) = runner.blockers.take() else {
        return try_batch(runner, work, task, keys).await;
    };
    let (world, tables) = (runner.world, [work.table.name.as_str()]);
    blockers.of(&mut *runner.work).await;
    let trying = try_batch(runner, work, task, keys);
    let (tried, said) = blockers.beside(world, &tables, trying).await;
    runner.blockers = Some(blockers);
    runner.tell(said);
    tried
}

/// How often a batch was tried, and since when.
pub(super) struct Tries(u32, Instant);

impl Default for Tries {
    fn default() -> Self {
        Tries(0, Instant::now())
    }
}

impl Tries {
    /// Rolls back and waits a little, or says what stopped it.
    pub(super) async fn again(
        &mut self,
        runner: &mut Runner<'_>,
        wrong: Wrong,
    ) -> Result<(), Failure> {
        let _ = runner.work.rollback().await;
        let error = match wrong {
            Wrong::Said(error) => error,
            Wrong::Final(failure) => return Err(*failure),
        };
        let allowed = match error.class {
            ErrorClass::LockTimeout | ErrorClass::Busy => LOCK_TRIES,
            class => class.retries(),
        };
        // Whoever blocks is ended only after a while, and the try after that must come.
        let after = runner.blockers.as_ref().map(|blockers| blockers.after);
        let waits = after.is_some_and(|after| self.1.elapsed() < after * 2);
        if self.0 >= allowed && !(waits && allowed == LOCK_TRIES) {
            return Err(failed(&error));
        }
        runner.may_go_on()?;
        self.0 += 1;
        runner.sink.event(&Event::Retrying {
            attempt: self.0,
            error: runner.world.redactor.apply(&error.message),
        });
        rest(
            runner.control.clone(),
            limits::RETRY_PAUSE_FIRST * self.0.min(10),
        )
        .await;
        Ok(())
    }
}
