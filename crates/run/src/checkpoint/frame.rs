//! The frame around every change of rows by a checkpoint that goes with a run: nobody else writes, no trigger fires, no
//! foreign key acts, and what was done commits together with its records or not at all.

use super::file::Checkpoint;
use super::quiet::{self, Quiet};
use super::restore::{self, refused, targets};
use crate::executor::Runner;
use crate::steps::block::may_retry;
use crate::{digest, journal_store, observe, trouble};
use async_trait::async_trait;
use dunlin_core::copy::reading::Bound;
use dunlin_core::event::Event;
use dunlin_core::failure::Failure;
use dunlin_core::journal::Writing;
use dunlin_core::schema::Catalog;
use dunlin_engines::{Halted, Session};
use std::time::Instant;

/// What is done within the frame.
#[async_trait]
pub(super) trait Change: Send {
    /// Changes rows of the checkpoint's tables, as they are bound to those of now.
    async fn change(&mut self, work: &mut dyn Session, targets: &[Bound]) -> Result<(), Failure>;
    /// What is recorded with the same commit.
    fn records(&self) -> Vec<Writing>;
    /// What it has done was rolled back, and is done again.
    fn again(&mut self);
}

/// The tables of a checkpoint as they are now, and the catalog of everything.
pub(super) async fn found(
    session: &mut dyn Session,
    checkpoint: &Checkpoint,
) -> Result<(Vec<Bound>, Catalog), Failure> {
    let there = observe::whole(session)
        .await
        .map_err(|error| refused(&error))?;
    let shapes = digest::shapes(session)
        .await
        .map_err(|error| refused(&error))?;
    let then = restore::open(checkpoint)?.catalog;
    let targets = targets(&checkpoint.saved, &then, &there, &shapes)?;
    Ok((targets, there))
}

/// Runs a change within its frame; where others hold what it needs, as often as a statement of a step is tried.
pub(super) async fn run(
    runner: &mut Runner<'_>,
    checkpoint: &Checkpoint,
    change: &mut dyn Change,
) -> Result<(), Failure> {
    let (began, mut attempt) = (Instant::now(), 0);
    while let Some(failure) = once(runner, checkpoint, change).await? {
        attempt += 1;
        let retry = match trouble::class_of_waits(failure.code) {
            Some(class) => may_retry(runner, (class, &failure.message), attempt, began).await,
            None => false,
        };
        if !retry {
            return Err(failure);
        }
        change.again();
    }
    Ok(())
}

/// `Some`: what went wrong with it, and was rolled back.
async fn once(
    runner: &mut Runner<'_>,
    checkpoint: &Checkpoint,
    change: &mut dyn Change,
) -> Result<Option<Failure>, Failure> {
    let flushed = runner.flush().await;
    flushed.map_err(|error| runner.trouble(&error, "the journal could not be written"))?;
    let (world, pen) = (runner.world, runner.pen.clone());
    let work = &mut *runner.work;
    quiet::mend(world, work, &pen).await?;
    let (targets, there) = found(work, checkpoint).await?;
    let own = restore::tables(&there, &targets);
    let mut quiet = Quiet::of(work, &there, own).await?;
    let begun = quiet.before(world, work, &pen).await;
    let outcome = match begun {
        Ok(()) => within(runner, &targets, &mut quiet, change).await,
        Err(failure) => Err(failure),
    };
    if outcome.is_err() {
        let _ = runner.work.rollback().await;
    }
    let ended = quiet.after(world, &mut *runner.work, &pen).await;
    match (outcome, ended) {
        (Err(failure), Ok(())) => return Ok(Some(failure)),
        (Err(failure), Err(_)) | (Ok(()), Err(failure)) => return Err(failure),
        (Ok(()), Ok(())) => {}
    }
    for message in quiet.behind() {
        runner.sink.event(&Event::Note { message });
    }
    let raised = restore::raise(&mut *runner.work, &targets, &checkpoint.saved, true).await;
    raised.map(|()| None)
}

async fn within(
    runner: &mut Runner<'_>,
    targets: &[Bound],
    quiet: &mut Quiet,
    change: &mut dyn Change,
) -> Result<(), Failure> {
    let work = &mut *runner.work;
    quiet.begin(work, targets).await?;
    quiet.open(work).await?;
    change.change(work, targets).await?;
    quiet.close(work).await?;
    let records = change.records();
    if records.is_empty() {
        let done = work.commit().await;
        return done.map_err(|error| trouble::failed(&error, "the rows could not be committed"));
    }
    let pen = runner.pen.clone();
    let ended = pen.append_and_commit(runner.world, work, &records).await;
    ended.map_err(|halted| match halted {
        Halted::Record(error) if journal_store::is_fenced(&error) => journal_store::fenced(),
        Halted::Record(error) | Halted::Statement(error) => refused(&error),
        Halted::After(error) => trouble::failed(&error, "the rows could not be committed"),
    })
}
