//! A block that is one plain statement and the whole of its migration: BEGIN, statement, record and COMMIT go together.

use super::block::{Trouble, roll_back};
use super::guard::switch_on;
use super::migrate::{Unit, tells_rows};
use super::send::{With, execute_with};
use super::{last, left};
use crate::executor::Runner;
use crate::journal_store;
use dunlin_core::failure::ErrorClass;
use dunlin_core::journal::Writing;
use dunlin_core::plan::lower::Block;
use dunlin_core::sql::{Condition, Kind, ObjectKind, StatementClass};
use dunlin_engines::Halted;

/// What it means where a transaction's parts stopped that were sent together.
pub(super) fn trouble_of(runner: &Runner<'_>, block: &Block, halted: Halted) -> Trouble {
    match halted {
        Halted::Statement(error) => Trouble::Statement(block.statements.start, error),
        Halted::Record(error) => Trouble::Failure(Box::new(
            runner.trouble(&error, "the journal could not be written"),
        )),
        Halted::After(error) if error.class == ErrorClass::ConnectionLost => Trouble::Commit(error),
        Halted::After(error) => Trouble::Statement(block.statements.end - 1, error),
    }
}

/// Whether a block is one plain statement and the whole of its unit, with nothing to be looked at between its parts: BEGIN,
/// statement, record and COMMIT may go together.
pub(super) fn fits(runner: &Runner<'_>, unit: &Unit<'_>, block: &Block) -> bool {
    block.statements.len() == 1 && is_plain(runner, unit, block)
}

/// Whether nothing is to be looked at, or kept, between the statements of a block and its record.
pub(super) fn is_plain(runner: &Runner<'_>, unit: &Unit<'_>, block: &Block) -> bool {
    let plain = |at: usize| {
        let class = &unit.lowered.classes[at];
        matches!(class.kind, Kind::Ddl | Kind::Dml | Kind::Query)
            && !class.if_not_exists
            && unit.script.statements[at].copy_data.is_none()
            && !tells_its_rows(runner, unit, class)
    };
    runner.keep.is_none()
        && runner.since.is_none()
        && !left::is_asked(runner, unit)
        && !last::concerns(runner, unit, block)
        && block.statements.clone().all(plain)
        && unit.migration.creates.is_empty()
        && block
            .guard
            .as_ref()
            .is_none_or(|guard| guard.watches.is_empty())
        && runner.pending.len() < journal_store::CHUNK
}

/// The end of a plan's step says how many rows it has put into what it makes: its undo asks for that. Sent together with
/// the statement it could not know.
fn tells_its_rows(runner: &Runner<'_>, unit: &Unit<'_>, class: &StatementClass) -> bool {
    let makes_table = |condition: &Condition| matches!(condition, Condition::Exists(object) if object.kind == ObjectKind::Table);
    tells_rows(runner, unit) && (class.kind == Kind::Dml || class.post.iter().any(makes_table))
}

/// As `try_together` does it, on one trip where the protocol has such.
pub(super) async fn try_whole(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    block: &Block,
    end: Writing,
) -> Result<(), Trouble> {
    let at = block.statements.start;
    let guard = block.guard.clone().unwrap_or_default();
    let switches = switch_on(&mut *runner.work, &guard)
        .await
        .map_err(|error| Trouble::Statement(at, error))?;
    let mut records = runner.pending.clone();
    records.push(end);
    let sent = execute_with(runner, unit, at, With::Whole(&records)).await;
    let outcome = sent.map_err(|halted| trouble_of(runner, block, halted));
    match &outcome {
        Ok(_) => runner.pending.clear(),
        Err(_) => roll_back(runner, true).await,
    }
    for statement in switches {
        // A lost connection takes its switches with it; any other failure here shows at the next statement.
        let _ = runner.work.execute(&statement).await;
    }
    outcome.map(|_| ())
}
