//! Running one block: a transaction with its record, or one statement with its beginning recorded before it.

use super::commit::write_end;
use super::guard::{judge, switch_on, watch};
use super::migrate::{Unit, json, millis};
use super::send::{With, execute, execute_with};
use super::{again, last, left, over, promised, still, undo, waiting, whole};
use crate::checkpoint::keep;
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
use dunlin_core::plan::lower::Block;
use dunlin_core::redact::head_of;
use dunlin_core::sql::{Kind, ObjectKind};
use dunlin_engines::{DbError, Halted};
use std::time::Instant;

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
    let (wrote, rows) = (runner.wrote.clone(), runner.rows);
    let mut attempt = 0;
    loop {
        attempt += 1;
        let tried = match again::number_as_before(runner, unit, block, attempt > 1).await {
            Ok(()) => try_together(runner, unit, block, end.clone(), own_transaction).await,
            Err(error) => Err(Trouble::Statement(block.statements.start, error)),
        };
        if tried.is_err() {
            // What was put into tables is rolled back with the rest.
            runner.wrote.clone_from(&wrote);
            runner.rows = rows;
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
                if own_transaction
                    && may_retry(runner, (error.class, &error.message), attempt, began).await
                {
                    continue;
                }
                let late = still::failed(runner, unit, at, &error).await;
                let failure = late.unwrap_or_else(|| statement_failure(runner, unit, at, &error));
                return Err(after_rollback(failure, unit, block, own_transaction));
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
pub(super) enum Trouble {
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
    let end = match end {
        Some(end) if own_transaction && whole::fits(runner, unit, block) => {
            return whole::try_whole(runner, unit, block, end).await;
        }
        end => end,
    };
    let first = block.statements.start;
    let guard = block.guard.clone().unwrap_or_default();
    let switches = switch_on(&mut *runner.work, &guard)
        .await
        .map_err(|error| Trouble::Statement(first, error))?;
    // BEGIN goes with the first statement, unless something is to be looked at between the two.
    let looks = last::concerns(runner, unit, block);
    let reached = waiting::reached(runner, unit, block.statements.clone())
        .await
        .map_err(|error| Trouble::Statement(first, error))?;
    let begin_with = own_transaction
        && runner.keep.is_none()
        && !looks
        && reached.is_none()
        && guard.watches.is_empty()
        && !unit.lowered.classes[first].if_not_exists
        && unit.script.statements[first].copy_data.is_none();
    let how = How {
        guard: &guard,
        own_transaction,
        begin_with,
        looks,
        reached: reached.as_ref(),
    };
    if let Some(last) = &mut runner.last {
        last.begins();
    }
    let outcome = transaction(runner, unit, block, end, &how).await;
    if let Some(last) = &mut runner.last {
        last.ended(matches!(outcome, Ok(()) | Err(Trouble::Commit(_))));
    }
    if let Err(trouble) = &outcome {
        roll_back(runner, own_transaction).await;
        // After a commit whose end nobody knows, it may be what the step is taken back by.
        if !matches!(trouble, Trouble::Commit(_))
            && let Some(keep) = &mut runner.keep
        {
            keep.discard();
        }
    }
    for statement in switches {
        // A lost connection takes its switches with it; any other failure here shows at the next statement.
        let _ = runner.work.execute(&statement).await;
    }
    outcome
}

/// How a transaction goes.
struct How<'h> {
    guard: &'h Guard,
    /// It is this block's own.
    own_transaction: bool,
    /// BEGIN goes with the first statement.
    begin_with: bool,
    /// A last look is taken at what goes.
    looks: bool,
    /// Its statements write to values that come home.
    reached: Option<&'h waiting::Reached>,
}

/// From BEGIN to COMMIT.
async fn transaction(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    block: &Block,
    end: Option<Writing>,
    how: &How<'_>,
) -> Result<(), Trouble> {
    let first = block.statements.start;
    let ours = |failure: Failure| Trouble::Failure(Box::new(failure));
    let at_first = |error: DbError| Trouble::Statement(first, error);
    if how.looks {
        last::before(runner).await.map_err(at_first)?;
    }
    if how.own_transaction && !how.begin_with {
        keep::begin(runner).await.map_err(at_first)?;
    }
    let stopped = |wrong: last::Wrong| match wrong {
        last::Wrong::Error(error) => at_first(error),
        last::Wrong::Failure(failure) => ours(failure),
    };
    if let Some(reached) = how.reached {
        waiting::hold(runner, reached).await.map_err(stopped)?;
    }
    keep::save(runner).await.map_err(ours)?;
    let anew = last::within(runner, unit, block).await.map_err(stopped)?;
    let before = watch(runner, how.guard, true).await.map_err(at_first)?;
    let started = Instant::now();
    let mut rows = 0;
    for at in block.statements.clone() {
        if at > first {
            runner.may_go_on().map_err(ours)?;
        }
        rows += one_of(runner, unit, at, how.begin_with && at == first).await?;
    }
    let after = watch(runner, how.guard, false).await.map_err(at_first)?;
    judge(unit, how.guard, &before, &after).map_err(ours)?;
    let ends = before_commit(runner, unit, end.is_some()).await;
    ends.map_err(ours)?;
    let left = match end.is_some() {
        true => left::of(runner, unit, true).await,
        false => vec![],
    };
    waiting::note(runner, how.reached, end.is_some()).await;
    over::after(runner, unit, block).await.map_err(ours)?;
    let mut record = record_of(runner, unit, block, end, (rows, millis(started)));
    left::note(&mut record, &left);
    let mut records = runner.pending.clone();
    records.extend(anew);
    if let Some(keep) = &runner.keep {
        let noted = keep.note(runner.world, &mut *runner.work).await;
        if let Some(id) = noted.map_err(ours)? {
            record.detail["kept"] = id.into();
        }
        records.extend(keep.records());
    }
    records.push(record);
    write_end(runner, unit, block, &records, how.own_transaction)
        .await
        .map_err(|halted| whole::trouble_of(runner, block, halted))?;
    runner.pending.clear();
    Ok(())
}

/// Sends one statement of a transaction, with its beginning where that goes with it. Gives its rows.
async fn one_of(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    at: usize,
    begins: bool,
) -> Result<u64, Trouble> {
    let ours = |failure: Failure| Trouble::Failure(Box::new(failure));
    let here = |error: DbError| Trouble::Statement(at, error);
    let shape = shapes::before(runner, unit, at).await.map_err(ours)?;
    let with = if begins { With::Begin } else { With::Nothing };
    let sent = execute_with(runner, unit, at, with).await;
    let rows = sent.map_err(|halted| here(halted.into_error()))?;
    let late = still::wrote(runner, unit, at, rows).await;
    if let Some(late) = late.map_err(here)? {
        return Err(ours(late));
    }
    shapes::after(runner, unit, at, shape).await.map_err(ours)?;
    Ok(rows)
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

/// The record of a block's end: the unit's, where the block is all of it.
fn record_of(
    runner: &Runner<'_>,
    unit: &Unit<'_>,
    block: &Block,
    end: Option<Writing>,
    (rows, took): (u64, u64),
) -> Writing {
    match end {
        // Made before the statements ran; what they took and changed is known only now.
        Some(mut record) => {
            let before = record.detail["duration_ms"].as_u64().unwrap_or(0);
            record.detail["duration_ms"] = (before + took).into();
            if let Some(before) = record.detail["rows"].as_u64() {
                record.detail["rows"] = (before + rows).into();
            }
            record
        }
        None => {
            let detail = BlockDetail {
                rows: Some(rows),
                duration_ms: Some(took),
                wrote: undo::wrote_by(runner, unit, block),
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
    }
}

pub(super) async fn roll_back(runner: &mut Runner<'_>, own_transaction: bool) {
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

/// Waits before another try, where one is right: deadlocks some times, lock timeouts as long as patience lasts.
pub(crate) async fn may_retry(
    runner: &mut Runner<'_>,
    (class, said): (ErrorClass, &str),
    attempt: u32,
    began: Instant,
) -> bool {
    let retry = match class {
        ErrorClass::LockTimeout | ErrorClass::Busy => {
            // Whoever blocks is ended only after a while, which is not to be shorter than the patience.
            let longer = runner.blockers.as_ref().map(|blockers| blockers.after);
            began.elapsed() < runner.world.config.lock_patience + longer.unwrap_or_default()
        }
        class => attempt <= class.retries(),
    };
    if !retry || runner.may_go_on().is_err() {
        return false;
    }
    runner.sink.event(&Event::Retrying {
        attempt,
        error: runner.world.redactor.apply(said),
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
    let again = again::number_as_before(runner, unit, block, false).await;
    again.map_err(|error| statement_failure(runner, unit, at, &error))?;
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
    let guard = block.guard.clone().unwrap_or_default();
    if !goes_with_record(unit, at) || last::concerns(runner, unit, block) {
        write_beginning(runner).await?;
    }
    let switches = match switch_on(&mut *runner.work, &guard).await {
        Ok(switches) => switches,
        Err(error) => return Err(statement_failure(runner, unit, at, &error)),
    };
    // Stopped between the record and the statement: the record stays open, and who took the lease settles it.
    if runner.lease.is_lost() {
        return Err(journal_store::fenced());
    }
    let reached = waiting::alone(runner, unit, block).await;
    let reached = reached.map_err(|error| statement_failure(runner, unit, at, &error))?;
    let outcome = try_alone(runner, unit, block).await;
    for statement in switches {
        // A lost connection takes its switches with it; any other failure here shows at the next statement.
        let _ = runner.work.execute(&statement).await;
    }
    let (rows, took) = outcome?;
    waiting::after_alone(runner, reached.as_ref()).await;
    unit.done.push(describe(unit, block));
    unit.done_blocks.push((block.index, seen));
    let detail = BlockDetail {
        rows: Some(rows),
        duration_ms: Some(took),
        wrote: undo::wrote_by(runner, unit, block),
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

/// Whether the record of a statement's beginning may go with it on one trip: plain statements about tables. Servers cut
/// the text of a routine out of what was sent, and nothing of ours shall ever stand in it.
fn goes_with_record(unit: &Unit<'_>, at: usize) -> bool {
    let class = &unit.lowered.classes[at];
    let of_tables = [
        ObjectKind::Table,
        ObjectKind::Index,
        ObjectKind::Column,
        ObjectKind::Constraint,
    ];
    class.kind == Kind::Ddl
        && !class.touches.is_empty()
        && class
            .touches
            .iter()
            .all(|object| of_tables.contains(&object.kind))
        && unit.script.statements[at].copy_data.is_none()
}

/// Commits what waits to be written before a statement may begin.
async fn write_beginning(runner: &mut Runner<'_>) -> Result<(), Failure> {
    if let Err(error) = runner.flush().await {
        runner.pending.clear();
        return Err(runner.trouble(&error, "the journal could not be written"));
    }
    Ok(())
}

/// The statement itself, tried again where that is right. Gives rows and milliseconds.
async fn try_alone(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    block: &Block,
) -> Result<(u64, u64), Failure> {
    let at = block.statements.start;
    let class = unit.lowered.classes[at].clone();
    let (started, mut attempt) = (Instant::now(), 0);
    loop {
        attempt += 1;
        // Empty where its beginning is recorded already.
        let records = std::mem::take(&mut runner.pending);
        let with = match records.as_slice() {
            [] => With::Nothing,
            records => With::Records(records),
        };
        let error = match last::execute(runner, unit, at, with).await {
            Ok(rows) => match still::wrote(runner, unit, at, rows).await {
                Ok(None) => return Ok((rows, millis(started))),
                Ok(Some(late)) => {
                    not_done(runner, unit, block, &late.message);
                    return Err(late);
                }
                Err(error) => {
                    not_done(runner, unit, block, &error.message);
                    return Err(statement_failure(runner, unit, at, &error));
                }
            },
            // It came before the statement, so the statement has not run.
            Err(Halted::Record(error)) if is_cancelled(&error) => {
                return Err(statement_failure(runner, unit, at, &error));
            }
            Err(Halted::Record(error)) => {
                return Err(runner.trouble(&error, "the journal could not be written"));
            }
            Err(Halted::Statement(error) | Halted::After(error)) => error,
        };
        if error.class == ErrorClass::ConnectionLost || runner.lease.is_lost() {
            // What became of it is unknown: the record of its beginning stays open, and the next run settles it.
            let doing = format!("the connection was lost in {}", describe(unit, block));
            return Err(trouble::failed(&error, &doing));
        }
        // A build that failed leaves an unusable index, which would be in the way of the next try; where dropping it
        // fails too, the next run finds it.
        let _ = settle::drop_leftovers(runner, &class).await;
        if may_retry(runner, (error.class, &error.message), attempt, started).await {
            continue;
        }
        not_done(runner, unit, block, &error.message);
        let late = still::failed(runner, unit, at, &error).await;
        return Err(late.unwrap_or_else(|| statement_failure(runner, unit, at, &error)));
    }
}

/// Of a statement that had begun, and of which nothing stands.
fn not_done(runner: &mut Runner<'_>, unit: &Unit<'_>, block: &Block, why: &str) {
    let detail = BlockDetail {
        why: runner.world.redactor.apply(why),
        ..BlockDetail::default()
    };
    runner.pending.push(Writing::block(
        journal::Event::Failed,
        &unit.migration.version.0,
        block.index,
        &block.hash,
        json(&detail),
    ));
}

fn is_cancelled(error: &DbError) -> bool {
    matches!(
        error.class,
        ErrorClass::Cancelled | ErrorClass::StatementTimeout
    )
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
