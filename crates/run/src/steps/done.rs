//! How far a script that stands half way has come.

use super::migrate::ready;
use crate::executor::Runner;
use crate::journal_store;
use dunlin_core::failure::Failure;
use dunlin_core::journal::{Direction, History, UnitState};
use dunlin_core::plan::{Step, StepKind};

/// How many statements of an undo have been done, the first of them; those of which it is not known are not among them.
pub(crate) async fn of_undo(
    runner: &mut Runner<'_>,
    step: &Step,
    history: &History,
) -> Result<usize, Failure> {
    let StepKind::Migrate { migration, .. } = &step.kind;
    let Some(UnitState::InFlight(flight)) = history.units.get(&migration.version) else {
        return Ok(0);
    };
    let Some(script) = step
        .script()
        .filter(|_| flight.direction == Direction::Down)
    else {
        return Ok(0);
    };
    let unit = ready(runner, step, script).await?;
    let version = migration.version.0.as_str();
    let open = journal_store::blocks(runner.world, &mut *runner.work, version, flight).await?;
    let done = open.iter().filter(|block| block.done).filter_map(|block| {
        let mut now = unit.lowered.blocks.iter();
        now.find(|now| now.index == block.index && now.hash == block.hash)
    });
    Ok(done.map(|block| block.statements.end).max().unwrap_or(0))
}
