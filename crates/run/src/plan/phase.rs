//! One phase: its gate, what is noted before it, its steps, its checks, its end; and what happens where it fails.

use super::step::{self, Came};
use super::{Ask, Waiting, Walk, back, checks, gates, home, notes, observe, preflight};
use crate::backup;
use crate::steps::blockers::Blockers;
use crate::steps::migrate::{json, millis};
use dunlin_core::event::Event;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::plan::{PhaseDetail, PhaseState, phase_key, step_key};
use dunlin_core::journal::{self, Direction, Writing};
use dunlin_core::source::grammar::checks::When;
use dunlin_core::source::grammar::plan::{PhaseBackup, PlanOnFailure};
use dunlin_core::source::plan::{PhaseDoc, StepDoc, StepSpec};
use std::time::Instant;

/// Runs phases one after the other. Gives where it waits, where it does.
pub async fn all(
    walk: &mut Walk<'_, '_>,
    phases: &[&PhaseDoc],
) -> Result<Option<Waiting>, Failure> {
    for phase in phases {
        let mut was = walk.history.phase(&phase.id);
        // Whoever was stopped in it left no catalog behind.
        walk.runner.altered |= was.state.stands();
        if was.undoing || stands_half_back(walk, phase) {
            // Its runner died while it took the phase back, or a part of it could not be taken back whole: that is finished
            // first, and the phase begins anew.
            walk.wrote = true;
            let taken = back::phase(walk, phase, "taken back before it runs again").await?;
            if !taken.left.is_empty() {
                return Err(left_standing(phase, taken));
            }
            was = walk.history.phase(&phase.id);
        }
        if was.state == PhaseState::Done {
            if let Some(waiting) = gates::review(phase, &walk.history) {
                return Ok(Some(waiting));
            }
            continue;
        }
        if was.state.stands() {
            // It was begun by an earlier run.
            walk.wrote = true;
        } else if let Some(waiting) = begin(walk, phase).await? {
            return Ok(Some(waiting));
        }
        let started = Instant::now();
        match through(walk, phase).await {
            Ok(Some(waiting)) => {
                walk.flush().await?;
                return Ok(Some(waiting));
            }
            Ok(None) => done(walk, phase, started).await?,
            Err(failure) => return Err(fail(walk, phase, failure).await),
        }
        if let Some(waiting) = gates::review(phase, &walk.history) {
            return Ok(Some(waiting));
        }
    }
    Ok(None)
}

/// Whether the undo of a step has stopped half way. Of migrations each is known by itself: those that are gone are applied again.
fn stands_half_back(walk: &Walk<'_, '_>, phase: &PhaseDoc) -> bool {
    let mut steps = phase.steps.iter();
    steps.any(|step| {
        let key = step_key(&walk.ask.doc.name, &phase.id, &step.id);
        let flight = walk.history.flight(&key);
        flight.is_some_and(|flight| flight.direction == Direction::Down)
            && !matches!(step.kind, StepSpec::Migrate(_))
    })
}

/// A phase that could not be taken back whole cannot begin anew.
fn left_standing(phase: &PhaseDoc, taken: back::TakenBack) -> Failure {
    let message = format!(
        "phase `{}` was being taken back, and parts of it could not be",
        phase.id
    );
    let mut failure = Failure::new(FailureClass::Failed, "not-taken-back", message);
    failure.hints.extend(taken.left);
    failure.hints.extend(taken.hints);
    failure
}

/// Begins a phase: what it needs is done, its gate is open, its checks before it hold, what is to be saved is saved.
async fn begin(walk: &mut Walk<'_, '_>, phase: &PhaseDoc) -> Result<Option<Waiting>, Failure> {
    for need in &phase.needs {
        if walk.history.phase(need).state != PhaseState::Done {
            let message = format!(
                "phase `{}` needs phase `{need}`, which is not done",
                phase.id
            );
            return Err(refused(
                walk,
                Failure::refused("needs", message).at(phase.place.clone()),
            ));
        }
    }
    let gate = gates::before(walk.runner.world, walk.ask.doc, phase, &walk.history).await;
    let computed = gate.computed.clone();
    if let Some(waiting) = gates::closed(phase, gate) {
        return Ok(Some(waiting));
    }
    if walk.wrote {
        walk.rest.here(walk.runner, &[]).await?;
    }
    if let Some(waiting) = outside_of_window(walk, phase, None) {
        return Ok(Some(waiting));
    }
    let ready = preflight::for_run(walk.runner, walk.ask, phase, &walk.history).await;
    let ready = ready.map_err(|failure| refused(walk, failure))?;
    walk.note_findings(&ready.findings);
    let listed: Vec<_> = phase.checks.iter().collect();
    let found = checks::evaluate(walk, phase, &listed, When::Before).await?;
    let open = checks::unanswered(&found, &listed);
    if !open.is_empty() {
        return Ok(Some(questions(walk.ask, phase, &open)));
    }
    let what = format!("before phase `{}`", phase.id);
    if let Some(failure) = checks::failure(&found, &what, FailureClass::Refused) {
        return Err(refused(walk, failure.at(phase.place.clone())));
    }
    let saved = save(walk, phase).await?;
    let (marks, baselines) = observe::note(walk, phase).await?;
    let detail = PhaseDetail {
        by: walk.runner.world.who.clone(),
        marks,
        baselines,
        saved,
        evidence: found,
        predicted_ms: ready.predicted_ms,
        computed,
        ..PhaseDetail::default()
    };
    let key = phase_key(&walk.ask.doc.name, &phase.id);
    walk.runner.pending.push(Writing::unit(
        journal::Event::Began,
        &key,
        &phase.hash,
        json(&detail),
    ));
    walk.wrote = true;
    walk.runner.sink.event(&Event::PhaseBegan {
        phase: phase.id.clone(),
        title: phase.title.clone(),
    });
    walk.reload().await?;
    Ok(None)
}

/// Outside of the window, the plan's, the phase's or the step's, nothing new begins.
fn outside_of_window(
    walk: &Walk<'_, '_>,
    phase: &PhaseDoc,
    step: Option<&StepDoc>,
) -> Option<Waiting> {
    let now = walk.runner.world.clock.now();
    let own = step.and_then(|step| step.window.as_ref());
    let windows = [walk.ask.doc.window.as_ref(), phase.window.as_ref(), own];
    let closed = windows
        .into_iter()
        .flatten()
        .find(|window| !window.allows(now))?;
    let opens = match closed.next(now) {
        Some(at) => format!("it opens at {at:.0}"),
        None => "it does not open again".to_owned(),
    };
    Some(Waiting {
        phase: phase.id.clone(),
        missing: vec![format!("the window \"{closed}\": {opens}")],
        confirm: vec![],
        gate: false,
    })
}

/// Refused before this run's first write; where it has run a phase already, that stands and this is a failure.
fn refused(walk: &Walk<'_, '_>, mut failure: Failure) -> Failure {
    if walk.wrote && failure.class == FailureClass::Refused {
        failure.class = FailureClass::Failed;
        failure
            .hints
            .push("the phases before it are done and stand".into());
    }
    failure
}

fn questions(
    ask: &Ask<'_>,
    phase: &PhaseDoc,
    open: &[&dunlin_core::source::plan::CheckDoc],
) -> Waiting {
    let question = |check: &&dunlin_core::source::plan::CheckDoc| match &check.kind {
        dunlin_core::source::plan::CheckSpec::Ask(question) => format!(
            "check `{}`: {question} Answer with `dunlin confirm {} {} --by NAME`, or with `--no`",
            check.id, ask.shown, check.id
        ),
        _ => check.id.clone(),
    };
    Waiting {
        phase: phase.id.clone(),
        missing: open.iter().map(question).collect(),
        confirm: open.iter().map(|check| check.id.clone()).collect(),
        gate: false,
    }
}

/// Saves what the phase asks to be saved before it.
async fn save(walk: &mut Walk<'_, '_>, phase: &PhaseDoc) -> Result<Option<String>, Failure> {
    match phase.backup {
        PhaseBackup::None => Ok(None),
        PhaseBackup::Database => {
            let world = walk.runner.world;
            let made = backup::create_verified(world, walk.runner.sink).await;
            let (manifest, findings) = made.map_err(|mut failure| {
                failure.class = FailureClass::Refused;
                failure.message = format!(
                    "phase `{}` did not begin, for the backup before it failed: {}",
                    phase.id, failure.message
                );
                refused(walk, failure)
            })?;
            walk.note_findings(&findings);
            let path = manifest.path(&world.config.backup_dir);
            Ok(Some(path.display().to_string()))
        }
        PhaseBackup::Checkpoint => super::save::checkpoint(walk, phase).await,
    }
}

/// Runs the steps that are not done yet, and the checks after the phase.
async fn through(walk: &mut Walk<'_, '_>, phase: &PhaseDoc) -> Result<Option<Waiting>, Failure> {
    let of = phase.steps.len();
    for (index, step) in phase.steps.iter().enumerate() {
        let key = step_key(&walk.ask.doc.name, &phase.id, &step.id);
        let is_passed = step::is_passed(walk, step, &key);
        if is_passed {
            // Its runner may have died before what was archived came home, or before its checks were through.
            home_after(walk, step, &key).await?;
            if checks::are_settled(walk, phase, step) || !is_applied(walk, &key) {
                continue;
            }
        } else {
            walk.rest.here(walk.runner, &[]).await?;
            if let Some(waiting) = outside_of_window(walk, phase, Some(step)) {
                return Ok(Some(waiting));
            }
        }
        let came = match is_passed {
            true => looked_at(walk, phase, step).await,
            false => one(walk, phase, step, (index + 1, of)).await,
        };
        match came {
            Ok(Came::Done) => {}
            Ok(Came::Waiting(waiting)) => return Ok(Some(waiting)),
            Err(failure) if !step.critical && may_be_passed_over(walk, &key, &failure).await? => {
                pass_over(walk, step, &key, &failure).await;
            }
            Err(failure) => return Err(failure),
        }
    }
    let listed: Vec<_> = phase.checks.iter().collect();
    if !listed.is_empty() {
        // Said while the steps ran, perhaps.
        walk.reload().await?;
    }
    let found = checks::evaluate(walk, phase, &listed, When::After).await?;
    let open = checks::unanswered(&found, &listed);
    let failure = checks::failure(
        &found,
        &format!("after phase `{}`", phase.id),
        FailureClass::Failed,
    );
    if !found.is_empty() {
        let record = checks::record(walk, phase, found);
        walk.runner.pending.push(record);
    }
    if let Some(failure) = failure {
        return Err(failure.at(phase.place.clone()));
    }
    Ok((!open.is_empty()).then(|| questions(walk.ask, phase, &open)))
}

async fn one(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
    step: &StepDoc,
    place: (usize, usize),
) -> Result<Came, Failure> {
    // What is not a statement may do anything, and so may somebody outside.
    walk.runner.altered |= !matches!(step.kind, StepSpec::Sql(_));
    let open = checks::before_step(walk, phase, step).await?;
    if !open.is_empty() {
        return Ok(Came::Waiting(questions(walk.ask, phase, &open)));
    }
    let key = step_key(&walk.ask.doc.name, &phase.id, &step.id);
    home::ready(walk, &key).await?;
    if let Some(after) = step.kill_blockers {
        let beside = Blockers::open(walk.runner.world, &step.id, after).await?;
        walk.runner.blockers = Some(beside);
    }
    let came = step::forward(walk, phase, step, place).await;
    if matches!(came, Ok(Came::Done)) {
        home::noted(walk).await;
    }
    walk.runner.since = None;
    if let Some(beside) = walk.runner.blockers.take() {
        beside.close().await;
    }
    match came? {
        Came::Done => {
            home::bring(walk, step, &key).await?;
            looked_at(walk, phase, step).await
        }
        waiting => Ok(waiting),
    }
}

/// A step that stands, once its checks after it have been answered.
async fn looked_at(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
    step: &StepDoc,
) -> Result<Came, Failure> {
    let open = checks::after_step(walk, phase, step).await?;
    Ok(match open.is_empty() {
        true => Came::Done,
        false => Came::Waiting(questions(walk.ask, phase, &open)),
    })
}

/// Notes and says that a step which is not critical has failed.
async fn pass_over(walk: &mut Walk<'_, '_>, step: &StepDoc, key: &str, failure: &Failure) {
    if !walk.history.steps.contains_key(key) {
        notes::failed(walk, step, key, Direction::Up, failure, true).await;
    }
    walk.runner.sink.event(&Event::Note {
        message: format!(
            "warning: step `{}` failed and is not critical: {}",
            step.id, failure.message
        ),
    });
}

fn is_applied(walk: &Walk<'_, '_>, key: &str) -> bool {
    let state = walk.history.steps.get(key);
    matches!(state, Some(journal::UnitState::Applied(_)))
}

async fn home_after(walk: &mut Walk<'_, '_>, step: &StepDoc, key: &str) -> Result<(), Failure> {
    match is_applied(walk, key) {
        true => home::bring(walk, step, key).await,
        false => Ok(()),
    }
}

/// Whether a step that failed left nothing behind, so that its failure may be a mere warning.
async fn may_be_passed_over(
    walk: &mut Walk<'_, '_>,
    key: &str,
    failure: &Failure,
) -> Result<bool, Failure> {
    let own = failure.class == FailureClass::Failed && failure.code != home::WAITS;
    if !own || back::stops_everything(failure) {
        return Ok(false);
    }
    walk.reload().await?;
    Ok(!matches!(
        walk.history.steps.get(key),
        Some(journal::UnitState::InFlight(_))
    ))
}

/// Records the phase's end.
async fn done(walk: &mut Walk<'_, '_>, phase: &PhaseDoc, started: Instant) -> Result<(), Failure> {
    let duration_ms = millis(started);
    walk.runner.sink.event(&Event::PhaseDone {
        phase: phase.id.clone(),
        duration_ms,
    });
    let detail = PhaseDetail {
        by: walk.runner.world.who.clone(),
        duration_ms: Some(duration_ms),
        ..PhaseDetail::default()
    };
    let key = phase_key(&walk.ask.doc.name, &phase.id);
    walk.runner.pending.push(Writing::unit(
        journal::Event::Done,
        &key,
        &phase.hash,
        json(&detail),
    ));
    walk.reload().await?;
    observe::forget(walk, phase);
    Ok(())
}

/// A phase that failed: taken back as the plan says. What was done and undone stands in the failure.
async fn fail(walk: &mut Walk<'_, '_>, phase: &PhaseDoc, mut failure: Failure) -> Failure {
    if matches!(
        failure.class,
        FailureClass::Refused | FailureClass::Usage | FailureClass::Mismatch
    ) {
        // The phase has begun: what a part of it refuses is a failure of the phase.
        failure.class = FailureClass::Failed;
    }
    if failure.class != FailureClass::Failed || back::stops_everything(&failure) {
        return failure;
    }
    let on_failure = walk.ask.doc.on_failure;
    if on_failure == PlanOnFailure::Stop {
        failure.hints.push(format!(
            "`on_failure = \"stop\"`: what was done stands; `dunlin run {}` goes on, `dunlin rollback {}` takes it back",
            walk.ask.shown, walk.ask.shown
        ));
        let detail = PhaseDetail {
            error: walk.runner.world.redactor.apply(&failure.message),
            ..PhaseDetail::default()
        };
        let key = phase_key(&walk.ask.doc.name, &phase.id);
        let record = Writing::unit(journal::Event::Failed, &key, &phase.hash, json(&detail));
        walk.runner.pending.push(record);
        if let Err(worse) = walk.flush().await {
            failure.hints.push(worse.message);
        }
        return failure;
    }
    walk.runner.altered = true;
    let back = back::phase(walk, phase, &failure.message).await;
    if back.as_ref().is_ok_and(|taken| taken.left.is_empty()) {
        observe::forget(walk, phase);
    }
    let taken = match back {
        Ok(mut taken) if on_failure == PlanOnFailure::UndoPlan && taken.left.is_empty() => {
            match back::plan(walk, None, &failure.message).await {
                Ok(more) => {
                    taken.undone.extend(more.undone);
                    taken.left.extend(more.left);
                    Ok(taken)
                }
                Err(worse) => Err(worse),
            }
        }
        outcome => outcome,
    };
    match taken {
        Ok(taken) => {
            failure.undone.extend(taken.undone);
            failure.done.extend(taken.left);
            failure.message = format!("phase `{}` failed: {}", phase.id, failure.message);
        }
        Err(worse) => {
            failure
                .hints
                .push(format!("it was not taken back whole: {}", worse.message));
            failure.class = worse.class;
        }
    }
    failure
}
