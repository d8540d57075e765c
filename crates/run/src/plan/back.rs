//! The way back: steps newest first, each by its own inverse; a failing one is reported and the others still run.

use super::step::{self, as_migration, run_script, shell};
use super::{Walk, archive, home, notes};
use crate::outside;
use crate::steps::migrate;
use dunlin_core::event::Event;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::plan::{PhaseDetail, PhaseState, phase_key, step_key};
use dunlin_core::journal::{self, Direction, History, UnitState, Writing};
use dunlin_core::plan::select::{self, DownGoal};
use dunlin_core::plan::steps::{Inverse, Operations};
use dunlin_core::plan::{self, StepKind};
use dunlin_core::source::Version;
use dunlin_core::source::plan::{PhaseDoc, StepDoc};
use std::sync::Arc;

/// What came of taking a phase back.
#[derive(Debug, Default)]
pub struct TakenBack {
    /// The steps that were taken back, newest first.
    pub undone: Vec<String>,
    /// What could not be, and why.
    pub left: Vec<String>,
    /// What can be done about it.
    pub hints: Vec<String>,
}

impl TakenBack {
    /// What a failing step advises, once.
    fn advise(&mut self, hints: Vec<String>) {
        for hint in hints {
            if !self.hints.contains(&hint) {
                self.hints.push(hint);
            }
        }
    }
}

/// Takes a phase back, newest step first. What must stop everything (a lost lease, a lost connection, an interruption, a
/// doubt) is an error; a step whose inverse fails is reported, and the others still run.
pub async fn phase(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
    why: &str,
) -> Result<TakenBack, Failure> {
    let doc = walk.ask.doc;
    let key = phase_key(&doc.name, &phase.id);
    walk.runner.sink.event(&Event::Undoing {
        what: format!("phase `{}`", phase.id),
    });
    walk.runner.pending.push(Writing::unit(
        journal::Event::Undoing,
        &key,
        &phase.hash,
        serde_json::json!({}),
    ));
    walk.flush().await?;
    walk.reload().await?;
    let mut taken = TakenBack::default();
    for step in phase.steps.iter().rev() {
        let key = step_key(&doc.name, &phase.id, &step.id);
        let stands = stands(walk, &key);
        if !stands && !gone_of_late(walk, &key) {
            continue;
        }
        walk.runner.may_go_on()?;
        let went = match stands {
            true => back(walk, step, &key).await,
            false => archive::nothing_is_left_beside(walk, &key).await,
        };
        match went {
            Ok(()) if !stands => {}
            Ok(()) => taken.undone.push(format!("step `{}`", step.id)),
            Err(failure) if stops_everything(&failure) => return Err(failure),
            Err(failure) => {
                let failure = walk.runner.world.redact(failure);
                walk.runner.sink.event(&Event::Note {
                    message: format!("step `{}` was not taken back: {}", step.id, failure.message),
                });
                taken
                    .left
                    .push(format!("step `{}`: {}", step.id, failure.message));
                taken.advise(failure.hints);
            }
        }
    }
    walk.flush().await?;
    let detail = PhaseDetail {
        by: walk.runner.world.who.clone(),
        error: match taken.left.is_empty() {
            true => walk.runner.world.redactor.apply(why),
            false => taken.left.join("; "),
        },
        ..PhaseDetail::default()
    };
    let event = match taken.left.is_empty() {
        true => journal::Event::Undone,
        false => journal::Event::Failed,
    };
    walk.runner.pending.push(Writing::unit(
        event,
        &key,
        &phase.hash,
        migrate::json(&detail),
    ));
    walk.flush().await?;
    walk.reload().await?;
    Ok(taken)
}

/// What no further step may follow.
pub fn stops_everything(failure: &Failure) -> bool {
    matches!(
        failure.class,
        FailureClass::Locked | FailureClass::Interrupted | FailureClass::InDoubt
    ) || failure.code == "connection-lost"
}

/// Whether anything of a step may stand in the database.
fn stands(walk: &Walk<'_, '_>, key: &str) -> bool {
    matches!(
        walk.history.steps.get(key),
        Some(UnitState::Applied(_) | UnitState::InFlight(_))
    )
}

/// Whether a runner has taken the step back that did not come to the end of its phase: it may have died right then.
fn gone_of_late(walk: &Walk<'_, '_>, key: &str) -> bool {
    let gone = Some(&UnitState::Absent { failed: None });
    walk.history.steps.get(key) == gone
}

/// Takes one step back.
async fn back(walk: &mut Walk<'_, '_>, doc: &StepDoc, key: &str) -> Result<(), Failure> {
    if let Some(flight) = walk.history.flight(key)
        && flight.direction == Direction::Up
    {
        return half_way_back(walk, doc, key).await;
    }
    let Some(operations) = walk.history.lowered.get(key).cloned() else {
        let message = "what it did is not recorded";
        return Err(Failure::new(FailureClass::Failed, "no-inverse", message));
    };
    by_inverse(walk, doc, key, &operations).await
}

/// Takes back a step that took effect.
async fn by_inverse(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    operations: &Operations,
) -> Result<(), Failure> {
    match &operations.undo {
        Inverse::Statements(_) => archive::take_back(walk, doc, key, operations).await,
        Inverse::Nothing(_) => {
            notes::end(walk, doc, key, Direction::Down, 0, None);
            walk.flush().await
        }
        Inverse::Impossible(why) => Err(Failure::new(
            FailureClass::Failed,
            "undo-impossible",
            format!("it cannot be undone: {why}"),
        )),
        Inverse::Exec(command) => {
            notes::begin(walk, doc, key, Direction::Down).await?;
            match shell(walk, command, outside::TIMEOUT).await {
                Ok(took) => {
                    notes::end(walk, doc, key, Direction::Down, took, None);
                    walk.flush().await
                }
                Err(failure) => {
                    notes::failed(walk, doc, key, Direction::Down, &failure, true).await;
                    Err(failure)
                }
            }
        }
        Inverse::Migrations(versions) => migrations_back(walk, doc, key, versions).await,
        Inverse::Images => super::fill::back(walk, doc, key).await,
        Inverse::Restore => super::kept::back(walk, doc, key).await,
        Inverse::Emptied { mark, left } => {
            super::emptied::uncopy(walk, doc, key, (mark, left.as_ref())).await
        }
    }
}

/// Takes back a step that stands half way: doubts are settled, and what was done goes statement by statement.
async fn half_way_back(walk: &mut Walk<'_, '_>, doc: &StepDoc, key: &str) -> Result<(), Failure> {
    let Some(operations) = walk.history.lowered.get(key).cloned() else {
        let message = "it stands half way, and what it was to do is not recorded";
        return Err(Failure::new(FailureClass::Failed, "no-inverse", message));
    };
    if let Inverse::Migrations(versions) = &operations.undo {
        return migrations_back(walk, doc, key, versions).await;
    }
    if operations.undo == Inverse::Images {
        return super::fill::back(walk, doc, key).await;
    }
    if let Inverse::Emptied { .. } = &operations.undo {
        return by_inverse(walk, doc, key, &operations).await;
    }
    if operations.up.is_empty() {
        return match super::half::took_effect(walk, doc, key, &operations).await? {
            true => by_inverse(walk, doc, key, &operations).await,
            false => {
                notes::end(walk, doc, key, Direction::Down, 0, None);
                walk.flush().await
            }
        };
    }
    let migration = as_migration(walk.runner, doc, key, &operations);
    let unit = plan::Step {
        id: key.to_owned(),
        hash: doc.hash.clone(),
        kind: StepKind::Migrate {
            migration,
            direction: Direction::Up,
        },
    };
    let history = walk.history.as_units(key);
    let gone = migrate::take_half_back(walk.runner, &unit, &history).await;
    if gone.map_err(|failure| step::how_to_settle(walk, doc, failure))? {
        return Ok(());
    }
    // Its runner died between statements that only its whole undo takes back: it goes to its end first.
    let migration = as_migration(walk.runner, doc, key, &operations);
    home::ready(walk, key).await?;
    let ran = run_script(walk, doc, migration, Direction::Up, key, (1, 1)).await;
    walk.runner.since = None;
    ran?;
    walk.reload().await?;
    by_inverse(walk, doc, key, &operations).await
}

/// The migrations as the journal knows them now.
async fn applied(walk: &mut Walk<'_, '_>) -> Result<History, Failure> {
    walk.flush().await?;
    let runner = &mut *walk.runner;
    crate::journal_store::read(runner.world, &mut *runner.work).await
}

/// Takes back a migration of a step whose runner died half way in it, or brings it to its end where only its whole undo
/// part takes it back.
async fn half_applied(
    walk: &mut Walk<'_, '_>,
    key: &str,
    version: &Version,
    units: &History,
) -> Result<(), Failure> {
    let mut known = walk.ask.migrations.iter();
    let Some(migration) = known.find(|migration| migration.version == *version) else {
        return Ok(());
    };
    let unit = plan::Step::migrate(migration, Direction::Up);
    if !migrate::take_half_back(walk.runner, &unit, units).await? {
        // What is settled by now counts.
        let units = applied(walk).await?;
        home::ready(walk, key).await?;
        let ran = migrate::run(walk.runner, &unit, &units, 1, 1).await;
        walk.runner.since = None;
        ran?;
    }
    Ok(())
}

/// Takes back the migrations that a step has applied, newest first.
async fn migrations_back(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    versions: &[String],
) -> Result<(), Failure> {
    let half = walk.history.flight(key).is_some();
    let newest_first = versions.iter().rev();
    let known = newest_first.filter_map(|version| {
        let mut all = walk.ask.migrations.iter();
        all.find(|migration| migration.version.0 == *version)
    });
    let known: Vec<Arc<_>> = known.cloned().collect();
    if !half {
        let units = applied(walk).await?;
        archive::may_take_back(walk, doc, key, &known, &units).await?;
        notes::begin(walk, doc, key, Direction::Down).await?;
    }
    for version in versions.iter().rev() {
        let version = Version(version.clone());
        let mut units = applied(walk).await?;
        if let Some(UnitState::InFlight(flight)) = units.units.get(&version)
            && flight.direction == Direction::Up
        {
            half_applied(walk, key, &version, &units).await?;
            units = applied(walk).await?;
        }
        let stands = units.units.get(&version);
        if !matches!(stands, Some(UnitState::Applied(_) | UnitState::InFlight(_))) {
            continue;
        }
        let at = known
            .iter()
            .position(|migration| migration.version == version);
        let later = &known[..at.unwrap_or(0)];
        let goal = DownGoal::Only(version);
        let migrations: &[Arc<_>] = walk.ask.migrations;
        let (wanted, findings) = select::down(migrations, &units, &goal)?;
        select::verdict(&findings)?;
        for unit in wanted.steps() {
            // What was archived for one of them the next may write over.
            walk.reload().await?;
            archive::migration_back(walk, doc, key, unit, (&units, later)).await?;
        }
    }
    notes::end(walk, doc, key, Direction::Down, 0, None);
    walk.flush().await
}

/// Takes phases back until `keep` (which stays), newest first.
pub async fn plan(
    walk: &mut Walk<'_, '_>,
    keep: Option<&str>,
    why: &str,
) -> Result<TakenBack, Failure> {
    let doc = walk.ask.doc;
    let mut all = TakenBack::default();
    for phase_doc in doc.phases.iter().rev() {
        if keep == Some(phase_doc.id.as_str()) {
            break;
        }
        let state = walk.history.phase(&phase_doc.id).state;
        if !state.stands() {
            continue;
        }
        let taken = phase(walk, phase_doc, why).await?;
        all.undone.extend(taken.undone);
        let whole = taken.left.is_empty();
        all.left.extend(taken.left);
        all.advise(taken.hints);
        if whole && state != PhaseState::Pending {
            all.undone.push(format!("phase `{}`", phase_doc.id));
            again(walk, phase_doc, &mut all).await?;
            super::observe::forget(walk, phase_doc);
        }
    }
    Ok(all)
}

/// After a phase was taken back, what held before it must hold again.
async fn again(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
    all: &mut TakenBack,
) -> Result<(), Failure> {
    let evidence = super::checks::before_again(walk, phase).await?;
    for found in evidence {
        if found.outcome == plan::evidence::CheckOutcome::Failed {
            all.left.push(format!(
                "check `{}` of phase `{}`, which held before, does not hold any more: expected {}, observed {}",
                found.id, phase.id, found.expected, found.observed
            ));
        }
    }
    Ok(())
}
