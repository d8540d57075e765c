//! A migration's script, up or down: lowered when its turn comes, resumed where a dead runner stopped, taken back where
//! it fails.

use super::{block, left, promised, still, storage, undo, waiting};
use crate::executor::{Ran, Runner, StepReport};
use crate::journal_store;
use crate::settle::{self, Verdict};
use crate::trouble;
use dunlin_core::event::Event;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::{
    self, BlockDetail, Direction, History, InFlight, OpenBlock, UnitDetail, UnitState, Writing,
};
use dunlin_core::plan::lower::{Block, Lowered, Mode, classify, lower_classified};
use dunlin_core::plan::{Step, StepKind};
use dunlin_core::source::{Migration, OnFailure, Script, Version};
use dunlin_core::sql::{SessionState, StatementClass};
use std::collections::BTreeSet;
use std::time::Instant;

/// One migration while it runs.
pub struct Unit<'s> {
    /// The step.
    pub step: &'s Step,
    /// The migration.
    pub migration: &'s Migration,
    /// The script that runs.
    pub script: &'s Script,
    /// Which way.
    pub direction: Direction,
    /// The script, lowered.
    pub lowered: Lowered,
    /// What has been done so far, for messages.
    pub done: Vec<String>,
    /// Blocks that are done and recorded, newest last, with what was seen when they began.
    pub done_blocks: Vec<(usize, BlockDetail)>,
    /// Whether the unit's beginning is recorded.
    pub began: bool,
    /// The first block that this run runs.
    pub first: usize,
    /// An earlier run has begun it.
    pub resumed: bool,
    /// Blocks that were done and have been taken back.
    pub undone: Vec<usize>,
}

impl Unit<'_> {
    /// `002 add_tags`; of a plan's step its name.
    pub fn title(&self) -> String {
        match journal::plan::is_key(&self.migration.version.0) {
            true => format!("step `{}`", self.migration.version),
            false => format!("{} {}", self.migration.version, self.migration.name),
        }
    }
}

/// Runs one migration.
pub async fn run(
    runner: &mut Runner<'_>,
    step: &Step,
    history: &History,
    index: usize,
    of: usize,
) -> Result<StepReport, Failure> {
    let StepKind::Migrate {
        migration,
        direction,
    } = &step.kind;
    let script = step.script().ok_or_else(|| {
        Failure::refused("no-undo", format!("{} has no undo part", migration.version))
    })?;
    let started = Instant::now();
    let mut unit = ready(runner, step, script).await?;
    runner.dirty = unit
        .lowered
        .classes
        .iter()
        .any(|class| class.state != SessionState::None);
    let resume_from = match history.units.get(&migration.version) {
        Some(UnitState::InFlight(was)) => Some(resume(runner, &mut unit, was, Way::On).await?),
        _ => None,
    };
    runner.sink.event(&Event::StepBegan {
        version: migration.version.shown().to_owned(),
        name: migration.name.clone(),
        direction: direction.to_string(),
        index,
        of,
        statements: script.statements.len(),
        resumed_at: resume_from,
    });
    let first = resume_from.unwrap_or(0);
    (unit.first, unit.resumed) = (first, resume_from.is_some());
    match blocks(runner, &mut unit, first, started).await {
        Ok(()) => {}
        Err(failure) => return Err(fail(runner, unit, failure).await),
    }
    remember(runner, unit.lowered, &migration.version, first, None);
    let duration_ms = millis(started);
    runner.sink.event(&Event::StepDone {
        version: migration.version.shown().to_owned(),
        name: migration.name.clone(),
        direction: direction.to_string(),
        duration_ms,
    });
    Ok(StepReport {
        version: migration.version.0.clone(),
        name: migration.name.clone(),
        duration_ms,
    })
}

/// Takes back a unit that stands half way: doubts are settled first, then what was done goes statement by statement. Gives
/// `false` where that cannot be and nothing has failed in it: then it can be brought to its end, and taken back from there.
pub async fn take_half_back(
    runner: &mut Runner<'_>,
    step: &Step,
    history: &History,
) -> Result<bool, Failure> {
    let StepKind::Migrate { migration, .. } = &step.kind;
    let Some(UnitState::InFlight(flight)) = history.units.get(&migration.version) else {
        return Ok(true);
    };
    let script = &migration.up;
    let mut unit = ready(runner, step, script).await?;
    unit.began = true;
    resume(runner, &mut unit, flight, Way::Back).await?;
    let message = format!("{} stands half way", unit.title());
    let mut failure = Failure::new(FailureClass::Failed, "taken-back", message);
    // Asked for in so many words, whatever is done about scripts that fail.
    let on_failure = std::mem::replace(&mut runner.on_failure, OnFailure::Undo);
    let clean = undo::after_failure(runner, &mut unit, &mut failure).await;
    runner.on_failure = on_failure;
    if !clean && flight.error.is_none() {
        return Ok(false);
    }
    note_failed(runner, &unit, &failure, clean);
    let written = runner.flush().await;
    written.map_err(|error| runner.trouble(&error, "the journal could not be written"))?;
    if clean {
        return Ok(true);
    }
    failure.message = failure.hints.pop().unwrap_or(failure.message);
    Err(failure)
}

/// A unit whose script is lowered now, and of which nothing has been done yet.
pub(super) async fn ready<'s>(
    runner: &mut Runner<'_>,
    step: &'s Step,
    script: &'s Script,
) -> Result<Unit<'s>, Failure> {
    let StepKind::Migrate {
        migration,
        direction,
    } = &step.kind;
    runner.refresh().await?;
    let classes = classes_of(runner, migration, script);
    storage::learn(runner, &classes).await?;
    let lowered = lower_now(runner, migration, script, classes);
    runner.wrote.clear();
    runner.rows = 0;
    Ok(Unit {
        step,
        migration,
        script,
        direction: *direction,
        lowered,
        done: vec![],
        done_blocks: vec![],
        began: false,
        first: 0,
        resumed: false,
        undone: vec![],
    })
}

/// Its record goes with the next commit.
fn note_failed(runner: &mut Runner<'_>, unit: &Unit<'_>, failure: &Failure, clean: bool) {
    let detail = UnitDetail {
        direction: Some(unit.direction),
        name: unit.migration.name.clone(),
        by: runner.world.who.clone(),
        error: runner.world.redactor.apply(&failure.message),
        clean: Some(clean),
        ..UnitDetail::default()
    };
    runner.pending.push(Writing::unit(
        journal::Event::Failed,
        &unit.migration.version.0,
        &unit.step.hash,
        json(&detail),
    ));
}

/// Keeps what ran, where a backup may come back: it is run again beside it, to see whether others have written.
pub(super) fn remember(
    runner: &mut Runner<'_>,
    lowered: Lowered,
    version: &Version,
    first: usize,
    done: Option<BTreeSet<usize>>,
) {
    if runner.backup.is_some() {
        runner.ran.push(Ran {
            lowered,
            version: version.clone(),
            first,
            done,
        });
    }
}

/// Milliseconds since an instant.
pub fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What each statement is: as it was found before the run, where the session reads scripts as the one did that looked.
fn classes_of(
    runner: &mut Runner<'_>,
    migration: &Migration,
    script: &Script,
) -> Vec<StatementClass> {
    let (dialect, mode) = (runner.work.dialect(), runner.work.lex_mode());
    let rules = dialect.lex_rules(mode);
    let known = runner.classes.take(&migration.version, &rules);
    known.unwrap_or_else(|| classify(script, dialect, mode))
}

fn lower_now(
    runner: &Runner<'_>,
    migration: &Migration,
    script: &Script,
    classes: Vec<StatementClass>,
) -> Lowered {
    let (dialect, caps) = (runner.work.dialect(), runner.work.caps());
    lower_classified(
        migration,
        script,
        classes,
        dialect,
        caps,
        &runner.storage,
        runner.one_transaction,
    )
}

/// Finds out where a half-done unit stands: gives the first block that is still to run.
async fn resume(
    runner: &mut Runner<'_>,
    unit: &mut Unit<'_>,
    flight: &InFlight,
    way: Way,
) -> Result<usize, Failure> {
    let version = unit.migration.version.0.clone();
    let open = journal_store::blocks(runner.world, &mut *runner.work, &version, flight).await?;
    unit.began = true;
    let mut next = 0;
    for block in &open {
        let Some(now) = unit
            .lowered
            .blocks
            .get(block.index)
            .filter(|now| now.hash == block.hash)
            .cloned()
        else {
            return Err(changed_meanwhile(unit, block));
        };
        replay(runner, unit, next, now.index).await?;
        if block.done {
            undo::wrote_before(runner, &block.detail);
            unit.done.push(block::describe(unit, &now));
            unit.done_blocks.push((block.index, block.detail.clone()));
            next = block.index + 1;
            replay_inside(runner, unit, &now).await?;
            continue;
        }
        next = settle_open(runner, unit, &now, block, way).await?;
    }
    replay(runner, unit, next, unit.lowered.blocks.len().min(next)).await?;
    Ok(next)
}

/// Runs a statement again of which nobody knows whether it stands, so that it does; one that fails does not stand.
async fn again(runner: &mut Runner<'_>, unit: &mut Unit<'_>, now: &Block) -> Result<(), Failure> {
    match block::alone(runner, unit, now).await {
        Err(failure)
            if failure.class != FailureClass::Failed || failure.code == "connection-lost" =>
        {
            Err(failure)
        }
        _ => Ok(()),
    }
}

/// What a unit that stands half way is resumed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To go on.
    On,
    /// To be taken back.
    Back,
}

async fn settle_open(
    runner: &mut Runner<'_>,
    unit: &mut Unit<'_>,
    now: &Block,
    open: &OpenBlock,
    way: Way,
) -> Result<usize, Failure> {
    let version = unit.migration.version.0.clone();
    let (verdict, why) = if open.undoing {
        settle::settle_undo(runner, unit, now, &open.detail).await?
    } else {
        settle::settle(runner, unit, now, &open.detail).await?
    };
    let (to, next) = match verdict {
        Verdict::Done => ("done", now.index + 1),
        Verdict::NotDone | Verdict::Again => ("not_done", now.index),
        Verdict::Unknown => return Err(settle::in_doubt(unit, now, &open.detail, &why)),
    };
    runner.sink.event(&Event::DoubtSettled {
        version: unit.migration.version.shown().to_owned(),
        statement: now.statements.start + 1,
        verdict: to.replace('_', " "),
        why: why.clone(),
    });
    if verdict == Verdict::Again {
        // It stays in doubt until it is run again, which is the next thing that happens; should nothing happen, whoever
        // takes it back must know that it may stand.
        if way == Way::Back {
            again(runner, unit, now).await?;
        }
        return Ok(next);
    }
    let detail = serde_json::json!({ "to": to, "why": why });
    runner.pending.push(Writing::block(
        journal::Event::Settled,
        &version,
        now.index,
        &now.hash,
        detail,
    ));
    if to == "done" {
        unit.done.push(block::describe(unit, now));
        unit.done_blocks.push((now.index, open.detail.clone()));
    }
    Ok(next)
}

fn changed_meanwhile(unit: &Unit<'_>, block: &OpenBlock) -> Failure {
    let message = format!(
        "{} stands half way, and statement {} (`{}`), which had begun, is no longer what the script says",
        unit.title(),
        block.index + 1,
        block.detail.head
    );
    Failure::new(FailureClass::Mismatch, "changed-script", message)
        .hint("put the part of the script that has run back as it was; what has not run yet may be changed")
        .hint(format!("or settle it by your own word: `dunlin repair --settle {} done|not-done`", unit.migration.version))
}

/// Runs pure session statements between two blocks again: they are how the session was.
async fn replay(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    from: usize,
    to: usize,
) -> Result<(), Failure> {
    for at in from..to {
        if unit
            .lowered
            .blocks
            .get(at)
            .is_some_and(|block| block.mode == Mode::Session)
        {
            let block = unit.lowered.blocks[at].clone();
            replay_inside(runner, unit, &block).await?;
        }
    }
    Ok(())
}

async fn replay_inside(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    block: &Block,
) -> Result<(), Failure> {
    for at in block.statements.clone() {
        if unit.lowered.classes[at].state == SessionState::Sets {
            let sql = &unit.script.statements[at].sql;
            runner.work.execute(sql).await.map_err(|error| {
                trouble::failed(&error, "cannot restore the session's settings")
            })?;
        }
    }
    Ok(())
}

/// Runs the blocks from `first` on and records the unit's end.
async fn blocks(
    runner: &mut Runner<'_>,
    unit: &mut Unit<'_>,
    first: usize,
    started: Instant,
) -> Result<(), Failure> {
    let recorded = unit
        .lowered
        .blocks
        .iter()
        .filter(|block| block.mode != Mode::Session)
        .count();
    let whole = unit
        .lowered
        .blocks
        .iter()
        .all(|block| block.mode != Mode::Alone)
        && recorded <= 1
        && !unit.began;
    let count = unit.lowered.blocks.len();
    let last = unit
        .lowered
        .blocks
        .iter()
        .rposition(|block| block.mode == Mode::Together)
        .filter(|_| whole);
    if runner.keep.is_some() && last.is_none() {
        let message = format!("{} does not go in one transaction", unit.title());
        return Err(Failure::new(FailureClass::Failed, "no-inverse", message).hint(
            "what is kept within it needs that: split the step, or write its undo; nothing was done",
        ));
    }
    for at in first..count {
        if at > first {
            runner.may_go_on()?;
        }
        let block = unit.lowered.blocks[at].clone();
        match block.mode {
            Mode::Session => block::session(runner, unit, &block).await?,
            // Effect and the unit's end in one commit: no beginning is needed.
            Mode::Together if last == Some(at) => {
                let end = ending(runner, unit, started);
                block::together(runner, unit, &block, Some(end)).await?;
                waiting::ended(runner, unit);
                return rest_of_session(runner, unit, at + 1).await;
            }
            Mode::Together => {
                begin(runner, unit);
                block::together(runner, unit, &block, None).await?;
            }
            Mode::Alone => {
                begin(runner, unit);
                block::alone(runner, unit, &block).await?;
            }
        }
    }
    promised::kept(runner, unit, true).await?;
    // Its record goes with the next commit: the next unit's beginning, or the run's end. It says of the last block what
    // the block's own would, which would go with that same commit.
    let of_block = |record: &Writing| {
        record.scope == journal::Scope::Stmt
            && record.event == journal::Event::Done
            && record.unit.as_deref() == Some(&unit.migration.version.0)
    };
    if runner.pending.last().is_some_and(of_block) {
        runner.pending.pop();
    }
    record_end(runner, unit, started).await;
    Ok(())
}

/// The record of a unit's end goes with the next commit, and with it what the unit has left.
async fn record_end(runner: &mut Runner<'_>, unit: &Unit<'_>, started: Instant) {
    let left = left::of(runner, unit, false).await;
    waiting::ended(runner, unit);
    let mut end = ending(runner, unit, started);
    left::note(&mut end, &left);
    runner.pending.push(end);
}

async fn rest_of_session(
    runner: &mut Runner<'_>,
    unit: &mut Unit<'_>,
    from: usize,
) -> Result<(), Failure> {
    for at in from..unit.lowered.blocks.len() {
        let block = unit.lowered.blocks[at].clone();
        block::session(runner, unit, &block).await?;
    }
    Ok(())
}

fn begin(runner: &mut Runner<'_>, unit: &mut Unit<'_>) {
    if !unit.began {
        unit.began = true;
        let detail = UnitDetail {
            direction: Some(unit.direction),
            name: unit.migration.name.clone(),
            by: runner.world.who.clone(),
            blocks: Some(unit.lowered.blocks.len()),
            ..UnitDetail::default()
        };
        runner.pending.push(Writing::unit(
            journal::Event::Began,
            &unit.migration.version.0,
            &unit.step.hash,
            json(&detail),
        ));
    }
}

/// Whether the unit's end says how many rows it has written: the undo of a plan's step asks for that. Of what an earlier
/// runner has begun nobody knows here whether it was a step's.
pub(super) fn tells_rows(runner: &Runner<'_>, unit: &Unit<'_>) -> bool {
    runner.of_step || unit.resumed || journal::plan::is_key(&unit.migration.version.0)
}

/// The record of a unit's end.
pub(super) fn ending(runner: &Runner<'_>, unit: &Unit<'_>, started: Instant) -> Writing {
    let detail = UnitDetail {
        direction: Some(unit.direction),
        name: unit.migration.name.clone(),
        by: runner.world.who.clone(),
        duration_ms: Some(millis(started)),
        rows: tells_rows(runner, unit).then_some(runner.rows),
        fingerprint: Some(unit.migration.up.fingerprint.clone()),
        undo_fingerprint: unit
            .migration
            .undo
            .as_ref()
            .map(|undo| undo.fingerprint.clone()),
        ..UnitDetail::default()
    };
    Writing::unit(
        journal::Event::Done,
        &unit.migration.version.0,
        &unit.step.hash,
        json(&detail),
    )
}

/// A detail as JSON.
pub fn json(detail: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(detail).unwrap_or_default()
}

/// A unit that failed is taken back as `on_failure` says; what was done and undone goes into the failure.
async fn fail(runner: &mut Runner<'_>, mut unit: Unit<'_>, failure: Failure) -> Failure {
    let failure = taken_back(runner, &mut unit, failure).await;
    let blocks = unit.done_blocks.iter().map(|(index, _)| *index);
    let stands = |index: &usize| *index >= unit.first && !unit.undone.contains(index);
    let standing = blocks.filter(stands).collect();
    let version = &unit.migration.version;
    remember(runner, unit.lowered, version, unit.first, Some(standing));
    failure
}

async fn taken_back(runner: &mut Runner<'_>, unit: &mut Unit<'_>, mut failure: Failure) -> Failure {
    let overtaken = failure.code == still::OVERTAKEN;
    let title = unit.title();
    failure.done.extend(unit.done.iter().cloned());
    if !matches!(
        failure.class,
        FailureClass::Failed | FailureClass::Interrupted
    ) || failure.code == "connection-lost"
        || (overtaken && !unit.began)
    {
        return failure;
    }
    let clean = match failure.class {
        FailureClass::Interrupted => unit.done_blocks.is_empty(),
        _ => undo::after_failure(runner, unit, &mut failure).await,
    };
    if failure.class == FailureClass::Failed && !runner.one_transaction {
        note_failed(runner, unit, &failure, clean);
        if let Err(error) = runner.flush().await {
            failure.hints.push(format!(
                "the journal could not be written either: {}",
                error.message
            ));
        }
    }
    if overtaken {
        return failure;
    }
    runner.sink.event(&Event::StepFailed {
        version: unit.migration.version.shown().to_owned(),
        name: unit.migration.name.clone(),
        failure: runner.world.redact(failure.clone()),
    });
    if failure.class == FailureClass::Failed {
        failure.message = format!("{title} failed: {}", failure.message);
    }
    failure
}
