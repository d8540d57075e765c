//! Small migrations that follow each other in one transaction, where the engine's transactions go together (one writer at
//! a time, and a commit that waits for the disk). Each keeps its own record, and nothing is said before the commit. What
//! does not go so, or fails, or takes long, is rolled back and run one by one, as if nothing had been tried.

use super::migrate::{self, Unit};
use super::{block, send, whole};
use crate::control::Stop;
use crate::executor::{Runner, StepReport};
use dunlin_core::event::Event;
use dunlin_core::journal::{Direction, History, UnitState};
use dunlin_core::limits;
use dunlin_core::plan::lower::Mode;
use dunlin_core::plan::{Step, StepKind};
use dunlin_core::sql::SessionState;
use dunlin_engines::{DbError, Did, Part, Together};
use std::time::Instant;

/// What became of some steps.
pub enum Went {
    /// The first ones are done.
    Together(Vec<StepReport>),
    /// Nothing of them: so many of the first are to run one by one.
    Singly(usize),
}

/// Runs the first of these steps in one transaction, as many as go together. `before`: how many steps of the run came before
/// them, of how many.
pub async fn run(
    runner: &mut Runner<'_>,
    steps: &[Step],
    history: &History,
    before: usize,
    of: usize,
) -> Went {
    if !runner.work.takes_together() || runner.one_transaction || steps.len() < 2 {
        return Went::Singly(steps.len());
    }
    let mut units = gather(runner, steps, history).await;
    let count = units.len();
    let sent = match count {
        0 | 1 => Ok(vec![]),
        _ => {
            let parts = parts(runner, &units);
            send(runner, parts).await
        }
    };
    let done = sent.unwrap_or_default();
    if done.is_empty() {
        block::roll_back(runner, true).await;
    } else {
        runner.pending.clear();
    }
    for unit in units.split_off(done.len()) {
        give_back(runner, unit);
    }
    if done.is_empty() {
        return Went::Singly(count.max(1));
    }
    let told = units.into_iter().zip(done).enumerate();
    let told = told.map(|(at, (unit, did))| tell(runner, unit, &did, before + at + 1, of));
    Went::Together(told.collect())
}

/// The first steps that may go together.
async fn gather<'s>(
    runner: &mut Runner<'_>,
    steps: &'s [Step],
    history: &History,
) -> Vec<Unit<'s>> {
    let mut units = vec![];
    let mut bytes = 0;
    for step in steps.iter().take(limits::GROUP_MOST) {
        let Some(unit) = fitting(runner, step, history).await else {
            break;
        };
        let statements = unit.script.statements.iter();
        bytes += statements
            .map(|statement| statement.sql.len())
            .sum::<usize>();
        if bytes > limits::GROUP_BYTES {
            give_back(runner, unit);
            break;
        }
        units.push(unit);
    }
    units
}

/// A step that may go with others: one plain block is all of it, of which nobody has begun anything.
async fn fitting<'s>(
    runner: &mut Runner<'_>,
    step: &'s Step,
    history: &History,
) -> Option<Unit<'s>> {
    let StepKind::Migrate {
        migration,
        direction,
    } = &step.kind;
    let half = matches!(
        history.units.get(&migration.version),
        Some(UnitState::InFlight(_))
    );
    let script = step.script()?;
    // Whoever bounds a script's time means its own.
    if half
        || migration.timeout.is_some()
        || *direction != Direction::Up
        || script.statements.iter().any(|it| is_deferred(&it.sql))
    {
        return None;
    }
    // What goes wrong here goes wrong again, and is told, when the step runs by itself.
    let unit = migrate::ready(runner, step, script).await.ok()?;
    let plain = |class: &dunlin_core::sql::StatementClass| class.state == SessionState::None;
    let fits = match unit.lowered.blocks.as_slice() {
        [block] => {
            let switches = block
                .guard
                .as_ref()
                .is_some_and(|guard| !guard.switches.is_empty());
            block.mode == Mode::Together && !switches && whole::is_plain(runner, &unit, block)
        }
        _ => false,
    };
    if fits && unit.lowered.classes.iter().all(plain) {
        return Some(unit);
    }
    give_back(runner, unit);
    None
}

/// Constraints that are looked at when a transaction commits want one of their own.
fn is_deferred(sql: &str) -> bool {
    sql.as_bytes()
        .windows(6)
        .any(|bytes| bytes.eq_ignore_ascii_case(b"deferr"))
}

/// What was found of its statements is kept for its turn.
fn give_back(runner: &mut Runner<'_>, unit: Unit<'_>) {
    let rules = runner.work.dialect().lex_rules(runner.work.lex_mode());
    let version = &unit.migration.version;
    runner.classes.keep(version, &rules, unit.lowered.classes);
}

/// The statements and records of some units; what waits to be recorded goes with the first.
fn parts(runner: &Runner<'_>, units: &[Unit<'_>]) -> Vec<Part> {
    let mut waiting = runner.pending.clone();
    let mut parts = vec![];
    for unit in units {
        let mut records = std::mem::take(&mut waiting);
        records.push(migrate::ending(runner, unit, Instant::now()));
        let statements = unit.script.statements.iter();
        let statements = statements.map(|statement| statement.sql.to_string());
        let pen = &runner.pen;
        parts.push(pen.part(runner.world, &*runner.work, statements.collect(), &records));
    }
    parts
}

async fn send(runner: &mut Runner<'_>, parts: Vec<Part>) -> Result<Vec<Vec<Did>>, DbError> {
    let asked = Together {
        parts,
        may_commit: runner.lease.ours(),
        within: limits::GROUP_TIME,
    };
    let cancel = runner.work.canceller();
    let mut control = runner.control.clone();
    let mut running = Box::pin(runner.work.together(asked));
    tokio::select! {
        outcome = &mut running => return outcome,
        () = tokio::time::sleep(limits::GROUP_PATIENCE) => {}
        () = control.until(Stop::Now) => {}
    }
    send::cancel_until(&*cancel, &mut running).await
}

/// Says what is done, now that it is.
fn tell(
    runner: &mut Runner<'_>,
    unit: Unit<'_>,
    did: &[Did],
    index: usize,
    of: usize,
) -> StepReport {
    let (version, name) = (unit.migration.version.clone(), unit.migration.name.clone());
    let direction = unit.direction.to_string();
    runner.sink.event(&Event::StepBegan {
        version: version.shown().to_owned(),
        name: name.clone(),
        direction: direction.clone(),
        index,
        of,
        statements: did.len(),
        resumed_at: None,
    });
    for (at, did) in did.iter().enumerate() {
        send::begins(runner, &unit, at);
        send::note(runner, &unit, at, did.rows, did.duration_ms);
    }
    let duration_ms = did.iter().map(|did| did.duration_ms).sum();
    runner.sink.event(&Event::StepDone {
        version: version.shown().to_owned(),
        name: name.clone(),
        direction,
        duration_ms,
    });
    migrate::remember(runner, unit.lowered, &version, 0, None);
    StepReport {
        version: version.0,
        name,
        duration_ms,
    }
}
