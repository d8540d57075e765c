//! The end of a transaction, which a server may make wait: that is said, and why it may be.

use super::migrate::{Unit, millis};
use crate::executor::Runner;
use dunlin_core::event::Event;
use dunlin_core::journal::Writing;
use dunlin_core::limits;
use dunlin_core::plan::lower::Block;
use dunlin_engines::Halted;
use std::time::Instant;

/// Writes the records of a block's end, and commits where the transaction is its own.
///
/// A commit that does not come back is not given up: nobody would know what became of it, and a server that waits for
/// room on its disk goes on by itself. It is said, so that a person can make room, or end runner or server: the journal
/// tells the next run which way it went.
pub(super) async fn write_end(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    block: &Block,
    records: &[Writing],
    commit: bool,
) -> Result<(), Halted> {
    let pen = runner.pen.clone();
    if !commit {
        let written = pen.append(runner.world, &mut *runner.work, records).await;
        return written.map_err(Halted::Record);
    }
    let started = Instant::now();
    let mut reason = runner.work.dialect().slow_commit();
    let sink = &mut *runner.sink;
    let mut committing = Box::pin(pen.append_and_commit(runner.world, &mut *runner.work, records));
    loop {
        tokio::select! {
            done = &mut committing => return done,
            () = tokio::time::sleep(limits::RUNNING_EVERY) => {}
        }
        sink.event(&Event::StatementRunning {
            version: unit.migration.version.shown().to_owned(),
            statement: block.statements.end,
            head: "COMMIT".into(),
            elapsed_ms: millis(started),
        });
        let is_slow = started.elapsed() >= limits::COMMIT_SLOW;
        if let Some(reason) = reason.take_if(|_| is_slow) {
            let message = format!(
                "{}: the server has not answered COMMIT for {} s: {reason}",
                unit.title(),
                started.elapsed().as_secs()
            );
            sink.event(&Event::Note { message });
        }
    }
}
