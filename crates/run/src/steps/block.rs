//! Running one block: a transaction with its record, or one statement with its beginning recorded before it.

use super::migrate::{Unit, json, millis};
use super::{promised, undo};
use crate::control::Stop;
use crate::executor::Runner;
use crate::journal_store;
use crate::settle;
use crate::shapes;
use crate::trouble;
use dunlin_core::dialect::Guard;
use dunlin_core::event::Event;
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::finding::Place;
use dunlin_core::journal::{self, BlockDetail, Writing};
use dunlin_core::limits;
use dunlin_core::plan::lower::{Block, head_of};
use dunlin_engines::{Cancel, DbError};
use std::time::{Duration, Instant};

/// `statement 2 (line 14): CREATE TABLE …`, for lists of what was done.
pub fn describe(unit: &Unit<'_>, block: &Block) -> String {
    let first = &unit.script.statements[block.statements.start];
    let what = match block.statements.len() {
        1 => format!("statement {}", block.statements.start + 1),
        _ => format!(
            "statements {} to {}",
            block.statements.start + 1,
            block.statements.end
        ),
    };
    format!(
        "{} {what} (line {}): {}",
        unit.migration.version,
        first.line,
        head_of(&first.sql)
    )
}

/// Runs pure session statements.
pub async fn session(
    runner: &mut Runner<'_>,
    unit: &mut Unit<'_>,
    block: &Block,
) -> Result<(), Failure> {
    for at in block.statements.clone() {
        execute(runner, unit, at)
            .await
            .map_err(|error| statement_failure(runner, unit, at, &error))?;
    }
    Ok(())
}

/// Runs a block in one transaction with its record: `end` is the unit's, where the block is all of it.
pub async fn together(
    runner: &mut Runner<'_>,
    unit: &mut Unit<'_>,
    block: &Block,
    end: Option<Writing>,
) -> Result<(), Failure> {
    let own_transaction = !runner.one_transaction;
    let began = Instant::now();
    let wrote = runner.wrote.clone();
    let mut attempt = 0;
    loop {
        attempt += 1;
        let tried = try_together(runner, unit, block, end.clone(), own_transaction).await;
        if tried.is_err() {
            // What was put into tables is rolled back with the rest.
            runner.wrote.clone_from(&wrote);
        }
        match tried {
            Ok(()) => break,
            // A connection lost during COMMIT is settled by reading the journal, which the next run does; never by a
            // retry here (invariant 6).
            Err(Trouble::Commit(error)) => {
                let doing = format!(
                    "the connection was lost while {} was committed",
                    describe(unit, block)
                );
                return Err(trouble::failed(&error, &doing).hint(
                    "run the same command again: the journal tells whether the commit took effect",
                ));
            }
            Err(Trouble::Statement(at, error)) => {
                roll_back(runner, own_transaction).await;
                if own_transaction && may_retry(runner, &error, attempt, began).await {
                    continue;
                }
                return Err(after_rollback(
                    statement_failure(runner, unit, at, &error),
                    unit,
                    block,
                    own_transaction,
                ));
            }
            Err(Trouble::Failure(failure)) => {
                roll_back(runner, own_transaction).await;
                return Err(after_rollback(*failure, unit, block, own_transaction));
            }
        }
    }
    unit.done.push(describe(unit, block));
    unit.done_blocks.push((block.index, BlockDetail::default()));
    Ok(())
}

/// How a transaction fails.
enum Trouble {
    /// A statement of it.
    Statement(usize, DbError),
    /// The commit: what became of it is unknown.
    Commit(DbError),
    /// Something of ours.
    Failure(Box<Failure>),
}

async fn try_together(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    block: &Block,
    end: Option<Writing>,
    own_transaction: bool,
) -> Result<(), Trouble> {
    let first = block.statements.start;
    let ours = |failure: Failure| Trouble::Failure(Box::new(failure));
    let guard = block.guard.clone().unwrap_or_default();
    let switches = switch_on(runner, &guard)
        .await
        .map_err(|error| Trouble::Statement(first, error))?;
    let outcome = async {
        if own_transaction {
            runner
                .work
                .begin()
                .await
                .map_err(|error| Trouble::Statement(first, error))?;
        }
        let before = watch(runner, &guard, true)
            .await
            .map_err(|error| Trouble::Statement(first, error))?;
        let started = Instant::now();
        let mut rows = 0;
        for at in block.statements.clone() {
            if at > first {
                runner.may_go_on().map_err(ours)?;
            }
            let shape = shapes::before(runner, unit, at).await.map_err(ours)?;
            rows += execute(runner, unit, at)
                .await
                .map_err(|error| Trouble::Statement(at, error))?;
            shapes::after(runner, unit, at, shape).await.map_err(ours)?;
        }
        let after = watch(runner, &guard, false)
            .await
            .map_err(|error| Trouble::Statement(first, error))?;
        judge(unit, &guard, &before, &after).map_err(ours)?;
        before_commit(runner, unit, end.is_some())
            .await
            .map_err(ours)?;
        let record = match end {
            // Made before the statements ran; what they took is known only now.
            Some(mut record) => {
                let before = record.detail["duration_ms"].as_u64().unwrap_or(0);
                record.detail["duration_ms"] = (before + millis(started)).into();
                record
            }
            None => {
                let detail = BlockDetail {
                    rows: Some(rows),
                    duration_ms: Some(millis(started)),
                    ..BlockDetail::default()
                };
                Writing::block(
                    journal::Event::Done,
                    &unit.migration.version.0,
                    block.index,
                    &block.hash,
                    json(&detail),
                )
            }
        };
        let mut records = runner.pending.clone();
        records.push(record);
        let pen = runner.pen.clone();
        let written = pen.append(runner.world, &mut *runner.work, &records).await;
        written
            .map_err(|error| ours(runner.trouble(&error, "the journal could not be written")))?;
        if own_transaction {
            runner
                .work
                .commit()
                .await
                .map_err(|error| match error.class {
                    ErrorClass::ConnectionLost => Trouble::Commit(error),
                    _ => Trouble::Statement(block.statements.end - 1, error),
                })?;
        }
        runner.pending.clear();
        Ok(())
    }
    .await;
    if outcome.is_err() {
        roll_back(runner, own_transaction).await;
    }
    for statement in switches {
        // A lost connection takes its switches with it; any other failure here shows at the next statement.
        let _ = runner.work.execute(&statement).await;
    }
    outcome
}

/// What must hold when a transaction is about to commit: the lease is ours, and what the unit promised is there.
async fn before_commit(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    ends: bool,
) -> Result<(), Failure> {
    // A file has one writer: who was stopped in here kept its successor from raising the fence.
    if runner.lease.is_lost() {
        return Err(journal_store::fenced());
    }
    promised::kept(runner, unit, ends).await
}

async fn roll_back(runner: &mut Runner<'_>, own_transaction: bool) {
    if own_transaction && runner.work.in_transaction() {
        // Where even this fails the connection is gone, and the server rolls back by itself.
        let _ = runner.work.rollback().await;
    }
}

fn after_rollback(
    mut failure: Failure,
    unit: &Unit<'_>,
    block: &Block,
    own_transaction: bool,
) -> Failure {
    if own_transaction && failure.code != "lease-lost" {
        failure.undone.push(format!(
            "{} (transaction rolled back)",
            describe(unit, block)
        ));
    }
    failure
}

/// Sets a guard's switches; gives the statements that put them back.
pub async fn switch_on(runner: &mut Runner<'_>, guard: &Guard) -> Result<Vec<String>, DbError> {
    let mut restore = vec![];
    for switch in &guard.switches {
        let rows = runner.work.query(&switch.read, &[]).await?;
        let was = rows
            .first()
            .and_then(|row| row.first())
            .map(|value| match value.as_str() {
                Some(text) => text.replace('\'', "''"),
                None => value.as_i64().unwrap_or(0).to_string(),
            })
            .unwrap_or_default();
        runner.work.execute(&switch.set).await?;
        restore.push(switch.restore.replace("{}", &was));
    }
    Ok(restore)
}

async fn watch(
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

fn judge(
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

/// Waits before another try, where one is right: deadlocks some times, lock timeouts as long as patience lasts.
async fn may_retry(runner: &mut Runner<'_>, error: &DbError, attempt: u32, began: Instant) -> bool {
    let retry = match error.class {
        ErrorClass::LockTimeout | ErrorClass::Busy => {
            began.elapsed() < runner.world.config.lock_patience
        }
        class => attempt <= class.retries(),
    };
    if !retry || runner.may_go_on().is_err() {
        return false;
    }
    runner.sink.event(&Event::Retrying {
        attempt,
        error: runner.world.redactor.apply(&error.message),
    });
    let pause = limits::RETRY_PAUSE_FIRST * 2_u32.saturating_pow(attempt.min(5) - 1);
    tokio::select! {
        () = tokio::time::sleep(pause) => true,
        () = runner.control.until(Stop::Soon) => false,
    }
}

/// Runs one statement by itself. Its beginning, and what was seen before it, is committed first.
pub async fn alone(
    runner: &mut Runner<'_>,
    unit: &mut Unit<'_>,
    block: &Block,
) -> Result<(), Failure> {
    let at = block.statements.start;
    let shape = shapes::before(runner, unit, at).await?;
    let seen = settle::look(runner, unit, at).await?;
    let version = unit.migration.version.0.clone();
    let began = Writing::block(
        journal::Event::Began,
        &version,
        block.index,
        &block.hash,
        json(&seen),
    );
    runner.pending.push(began);
    if let Err(error) = runner.flush().await {
        runner.pending.clear();
        return Err(runner.trouble(&error, "the journal could not be written"));
    }
    let guard = block.guard.clone().unwrap_or_default();
    let switches = match switch_on(runner, &guard).await {
        Ok(switches) => switches,
        Err(error) => return Err(statement_failure(runner, unit, at, &error)),
    };
    // Stopped between the record and the statement: the record stays open, and who took the lease settles it.
    if runner.lease.is_lost() {
        return Err(journal_store::fenced());
    }
    let outcome = try_alone(runner, unit, block).await;
    for statement in switches {
        // A lost connection takes its switches with it; any other failure here shows at the next statement.
        let _ = runner.work.execute(&statement).await;
    }
    let (rows, took) = outcome?;
    unit.done.push(describe(unit, block));
    unit.done_blocks.push((block.index, seen));
    let detail = BlockDetail {
        rows: Some(rows),
        duration_ms: Some(took),
        ..BlockDetail::default()
    };
    runner.pending.push(Writing::block(
        journal::Event::Done,
        &version,
        block.index,
        &block.hash,
        json(&detail),
    ));
    shapes::after(runner, unit, at, shape).await
}

/// The statement itself, tried again where that is right. Gives rows and milliseconds.
async fn try_alone(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    block: &Block,
) -> Result<(u64, u64), Failure> {
    let at = block.statements.start;
    let version = unit.migration.version.0.clone();
    let class = unit.lowered.classes[at].clone();
    let (started, mut attempt) = (Instant::now(), 0);
    loop {
        attempt += 1;
        let error = match execute(runner, unit, at).await {
            Ok(rows) => return Ok((rows, millis(started))),
            Err(error) => error,
        };
        if error.class == ErrorClass::ConnectionLost || runner.lease.is_lost() {
            // What became of it is unknown: the record of its beginning stays open, and the next run settles it.
            let doing = format!("the connection was lost in {}", describe(unit, block));
            return Err(trouble::failed(&error, &doing));
        }
        // A build that failed leaves an unusable index, which would be in the way of the next try; where dropping it
        // fails too, the next run finds it.
        let _ = settle::drop_leftovers(runner, &class).await;
        if may_retry(runner, &error, attempt, started).await {
            continue;
        }
        let detail = BlockDetail {
            why: runner.world.redactor.apply(&error.message),
            ..BlockDetail::default()
        };
        runner.pending.push(Writing::block(
            journal::Event::Failed,
            &version,
            block.index,
            &block.hash,
            json(&detail),
        ));
        return Err(statement_failure(runner, unit, at, &error));
    }
}

/// Sends one statement, with its events, its time limit, and an ear for Ctrl-C.
pub async fn execute(runner: &mut Runner<'_>, unit: &Unit<'_>, at: usize) -> Result<u64, DbError> {
    let statement = &unit.script.statements[at];
    let version = &unit.migration.version.0;
    runner.sink.event(&Event::StatementBegan {
        version: version.clone(),
        statement: at + 1,
        line: statement.line,
        head: runner.world.redactor.apply(&head_of(&statement.sql)),
    });
    let started = Instant::now();
    let cancel = runner.work.canceller();
    let limit = unit
        .migration
        .timeout
        .unwrap_or(Duration::from_secs(u64::from(u32::MAX)));
    let mut control = runner.control.clone();
    let work = &mut runner.work;
    let mut running = Box::pin(async {
        match &statement.copy_data {
            Some(data) => work.copy_in(&statement.sql, data).await,
            None => work.execute(&statement.sql).await,
        }
    });
    let mut timed_out = false;
    let outcome = tokio::select! {
        outcome = &mut running => outcome,
        () = tokio::time::sleep(limit) => {
            timed_out = true;
            cancel_until(&*cancel, &mut running).await
        }
        () = control.until(Stop::Now) => cancel_until(&*cancel, &mut running).await,
    };
    drop(running);
    let rows = outcome.map_err(|mut error| {
        if timed_out && error.class == ErrorClass::Cancelled {
            error.class = ErrorClass::StatementTimeout;
            error.message = format!("cancelled after {} s, as `timeout` says", limit.as_secs());
        }
        error
    })?;
    undo::count(runner, unit, at, rows);
    runner.sink.event(&Event::StatementDone {
        version: version.clone(),
        statement: at + 1,
        rows,
        duration_ms: millis(started),
    });
    Ok(rows)
}

/// How long a cancelled statement may go on before it is cancelled again.
const CANCEL_AGAIN: Duration = Duration::from_millis(500);

/// Cancels a statement and waits for its answer: only that says whether the cancel came in time (invariant 16). A cancel
/// travels by itself and may reach the server before the statement does, where it hits nothing; so it is said again.
async fn cancel_until<T>(
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

/// A statement's failure with its place.
pub fn statement_failure(
    runner: &Runner<'_>,
    unit: &Unit<'_>,
    at: usize,
    error: &DbError,
) -> Failure {
    if runner.lease.is_lost() {
        return journal_store::fenced();
    }
    let statement = &unit.script.statements[at];
    let doing = format!(
        "statement {} (line {}), `{}`",
        at + 1,
        statement.line,
        head_of(&statement.sql)
    );
    let mut failure = trouble::failed(error, &doing);
    if error.class == ErrorClass::Cancelled && runner.control.asked() > Stop::No {
        failure.class = FailureClass::Interrupted;
        failure.code = "interrupted";
    }
    let place = Place {
        file: Some(unit.script.file.clone()),
        line: Some(statement.line),
        span: Some(statement.span.clone()),
        object: None,
    };
    failure.at(place)
}
