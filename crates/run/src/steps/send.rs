//! Sending one statement of a script.

use super::migrate::{Unit, millis};
use super::{last, storage, undo};
use crate::control::Stop;
use crate::executor::Runner;
use crate::journal_store::Pen;
use crate::world::World;
use dunlin_core::event::Event;
use dunlin_core::failure::ErrorClass;
use dunlin_core::journal::Writing;
use dunlin_core::limits;
use dunlin_core::plan::inverse::is_harmless;
use dunlin_core::redact::head_of;
use dunlin_core::source::Statement;
use dunlin_core::sql::StatementClass;
use dunlin_engines::lease::Witness;
use dunlin_engines::{Cancel, DbError, Halted, Session};
use std::time::{Duration, Instant};

/// What goes to the server with a statement, on the same trip where the protocol has such.
pub(super) enum With<'r> {
    /// Nothing.
    Nothing,
    /// The beginning of the transaction.
    Begin,
    /// These records, committed before it.
    Records(&'r [Writing]),
    /// The beginning of the transaction, these records and COMMIT.
    Whole(&'r [Writing]),
}

/// Sends one statement, with its events, its time limit, and an ear for Ctrl-C.
pub async fn execute(runner: &mut Runner<'_>, unit: &Unit<'_>, at: usize) -> Result<u64, DbError> {
    let sent = execute_with(runner, unit, at, With::Nothing).await;
    sent.map_err(Halted::into_error)
}

/// As [`execute`], with what goes with it. Says where the two stopped.
pub(super) async fn execute_with(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    at: usize,
    with: With<'_>,
) -> Result<u64, Halted> {
    let statement = &unit.script.statements[at];
    let version = unit.migration.version.shown().to_owned();
    let head = begins(runner, unit, at);
    let started = Instant::now();
    let cancel = runner.work.canceller();
    let limit = unit
        .migration
        .timeout
        .unwrap_or(Duration::from_secs(u64::from(u32::MAX)));
    let mut control = runner.control.clone();
    let (pen, world) = (runner.pen.clone(), runner.world);
    let ours = runner.lease.ours();
    let work = &mut *runner.work;
    let mut blockers = runner.blockers.take();
    if let Some(blockers) = &mut blockers {
        blockers.of(work).await;
    }
    let tables = tables_of(&unit.lowered.classes[at]);
    let sending = transmit(world, &pen, work, statement, with, &ours);
    let mut running = Box::pin(async {
        match &mut blockers {
            Some(blockers) => blockers.beside(world, &tables, sending).await,
            None => (sending.await, vec![]),
        }
    });
    let mut timed_out = false;
    let mut end = Box::pin(tokio::time::sleep(limit));
    let (outcome, said) = loop {
        tokio::select! {
            outcome = &mut running => break outcome,
            () = &mut end => {
                timed_out = true;
                break cancel_until(&*cancel, &mut running).await;
            }
            () = control.until(Stop::Now) => break cancel_until(&*cancel, &mut running).await,
            () = tokio::time::sleep(limits::RUNNING_EVERY) => {
                runner.sink.event(&Event::StatementRunning {
                    version: version.clone(),
                    statement: at + 1,
                    head: head.clone(),
                    elapsed_ms: millis(started),
                });
            }
        }
    };
    drop(running);
    runner.blockers = blockers;
    runner.tell(said);
    let rows = outcome.map_err(|halted| match timed_out {
        true => as_timeout(halted, limit),
        false => halted,
    })?;
    note(runner, unit, at, rows, millis(started));
    Ok(rows)
}

/// Says that a statement begins. Gives its first words.
pub(super) fn begins(runner: &mut Runner<'_>, unit: &Unit<'_>, at: usize) -> String {
    let statement = &unit.script.statements[at];
    let head = runner.world.redactor.apply(&head_of(&statement.sql));
    runner.sink.event(&Event::StatementBegan {
        version: unit.migration.version.shown().to_owned(),
        statement: at + 1,
        line: statement.line,
        head: head.clone(),
    });
    runner.altered |= !is_harmless(&unit.lowered.classes[at]);
    head
}

/// Keeps and says what a statement has done.
pub(super) fn note(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    at: usize,
    rows: u64,
    duration_ms: u64,
) {
    undo::count(runner, unit, at, rows);
    last::count(runner, &unit.lowered.classes[at], rows);
    runner.sink.event(&Event::StatementDone {
        version: unit.migration.version.shown().to_owned(),
        statement: at + 1,
        rows,
        duration_ms,
    });
    storage::note(runner, &unit.lowered.classes[at]);
}

/// The tables that a statement may have to wait for.
fn tables_of(class: &StatementClass) -> Vec<&str> {
    let objects = class.touches.iter().chain(&class.reads);
    objects
        .map(|object| object.parent.as_deref().unwrap_or(&object.name))
        .collect()
}

async fn transmit(
    world: &World,
    pen: &Pen,
    work: &mut dyn Session,
    statement: &Statement,
    with: With<'_>,
    ours: &Witness,
) -> Result<u64, Halted> {
    let sql = &statement.sql;
    match (&statement.copy_data, with) {
        (Some(data), _) => work.copy_in(sql, data).await.map_err(Halted::After),
        (None, With::Nothing) => work.execute(sql).await.map_err(Halted::After),
        (None, With::Begin) => work.begin_with(sql).await.map_err(Halted::After),
        (None, With::Records(records)) => pen.append_then(world, work, records, sql).await,
        (None, With::Whole(records)) => pen.append_after(world, work, sql, records, ours).await,
    }
}

/// A cancel of our own, for the time was up, told as that.
fn as_timeout(mut halted: Halted, limit: Duration) -> Halted {
    let (Halted::Statement(error) | Halted::Record(error) | Halted::After(error)) = &mut halted;
    if error.class == ErrorClass::Cancelled {
        error.class = ErrorClass::StatementTimeout;
        error.message = format!("cancelled after {} s, as `timeout` says", limit.as_secs());
    }
    halted
}

/// How long a cancelled statement may go on before it is cancelled again.
const CANCEL_AGAIN: Duration = Duration::from_millis(500);

/// Cancels a statement and waits for its answer: only that says whether the cancel came in time (invariant 16). A cancel
/// travels by itself and may reach the server before the statement does, where it hits nothing; so it is said again.
pub(super) async fn cancel_until<T>(
    cancel: &dyn Cancel,
    running: &mut (impl Future<Output = T> + Unpin),
) -> T {
    loop {
        let _ = cancel.cancel().await;
        if let Ok(outcome) = tokio::time::timeout(CANCEL_AGAIN, &mut *running).await {
            return outcome;
        }
    }
}
