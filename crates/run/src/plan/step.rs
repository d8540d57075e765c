//! One step of a plan, forward: lowered from the facts of the moment, run, recorded; resumed where it stands half way.

use super::{Waiting, Walk, kept, notes};
use crate::control::Stop;
use crate::executor::Runner;
use crate::observe;
use crate::outside;
use crate::steps::migrate::{self, json, millis};
use crate::steps::still;
use crate::trouble;
use dunlin_core::event::Event;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::plan::step_key;
use dunlin_core::journal::{self, Direction, UnitState, Writing};
use dunlin_core::limits;
use dunlin_core::plan::select::{self, UpGoal};
use dunlin_core::plan::steps::{Facts, Inverse, Operations, asks, looks, lower};
use dunlin_core::plan::{self, StepKind};
use dunlin_core::schema::Catalog;
use dunlin_core::source::grammar::steps::ExecStep;
use dunlin_core::source::plan::{PhaseDoc, StepDoc, StepSpec, UndoSpec};
use dunlin_core::source::{Migration, Script, Statement, TransactionMode, Version};
use dunlin_core::sql::fingerprint;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a step came out.
#[derive(Debug)]
pub enum Came {
    /// It is done.
    Done,
    /// It waits for a person.
    Waiting(Waiting),
}

/// Runs a step, or goes on with it.
pub async fn forward(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
    step: &StepDoc,
    (index, of): (usize, usize),
) -> Result<Came, Failure> {
    let key = step_key(&walk.ask.doc.name, &phase.id, &step.id);
    match &step.kind {
        StepSpec::Manual(manual) => return by_hand(walk, phase, step, &key, &manual.what).await,
        StepSpec::Exec(exec) => command(walk, step, &key, exec, stated(&step.undo)).await?,
        StepSpec::Backfill(spec) => super::fill::forward(walk, phase, step, &key, spec).await?,
        StepSpec::Clean(rules) => super::clean::forward(walk, step, &key, rules).await?,
        StepSpec::Copy(spec) => super::moving::copy(walk, step, &key, spec).await?,
        StepSpec::Export(spec) => super::moving::export(walk, step, &key, spec).await?,
        StepSpec::Import(spec) => super::moving::import(walk, step, &key, spec).await?,
        StepSpec::Checkpoint(spec) => super::save::step(walk, step, &key, spec).await?,
        StepSpec::Http(http) => super::ask_http::send(walk, step, &key, http).await?,
        StepSpec::Plugin { id, on } => match commands_of(walk, id, *on) {
            Some((exec, undo)) => command(walk, step, &key, &exec, undo).await?,
            None => statements(walk, step, &key, (index, of)).await?,
        },
        StepSpec::Migrate(to) => migrations(walk, step, &key, to.as_ref()).await?,
        StepSpec::Later(kind) => return Err(later(step, kind)),
        _ => statements(walk, step, &key, (index, of)).await?,
    }
    Ok(Came::Done)
}

/// A plugin that commands switch, as the command to run and the one that takes it back.
pub(super) fn commands_of(walk: &Walk<'_, '_>, id: &str, on: bool) -> Option<(ExecStep, Inverse)> {
    let plugins = &walk.ask.project.file.plugin;
    let exec = plugins
        .iter()
        .find(|plugin| plugin.id == id)?
        .exec
        .as_ref()?;
    let (run, back) = match on {
        true => (&exec.on, &exec.off),
        false => (&exec.off, &exec.on),
    };
    let step = ExecStep {
        run: run.clone(),
        timeout: exec.timeout,
        probe: None,
        // Switching on what is on does no harm: that is what a switch is.
        rerunnable: true,
    };
    Some((step, Inverse::Exec(back.0.clone())))
}

/// A kind that this version cannot run yet.
pub fn later(step: &StepDoc, kind: &str) -> Failure {
    let message = format!(
        "step `{}`: steps of the kind `{kind}` come with a later version",
        step.id
    );
    Failure::refused("comes-later", message).at(step.place.clone())
}

/// What an undo that the author stated is, before anything is lowered.
pub fn stated(undo: &UndoSpec) -> Inverse {
    match undo {
        UndoSpec::Impossible(why) => Inverse::Impossible(why.clone()),
        UndoSpec::None(why) => Inverse::Nothing(why.clone()),
        UndoSpec::Exec(command) => Inverse::Exec(command.clone()),
        UndoSpec::Restore => Inverse::Restore,
        UndoSpec::Sql(sql) => Inverse::Statements(vec![sql.text.clone()]),
        UndoSpec::Derive => Inverse::Statements(vec![]),
    }
}

/// Lowers a step from what is there now.
pub async fn lower_now(
    runner: &mut Runner<'_>,
    plugins: &[dunlin_core::source::grammar::apps::PluginTable],
    step: &StepDoc,
) -> Result<Operations, Failure> {
    let looking = |error| trouble::failed(&error, "cannot look at what the step will change");
    let (caps, lex) = (runner.work.caps().clone(), runner.work.lex_mode().clone());
    let unread = Catalog::default();
    let read;
    let mut facts = Facts {
        dialect: runner.work.dialect(),
        caps: &caps,
        lex: &lex,
        catalog: &unread,
        plugins,
    };
    // A dozen questions, for which a large database takes its time.
    if looks(step, &facts) {
        read = observe::whole(&mut *runner.work).await.map_err(looking)?;
        facts.catalog = &read;
    }
    let mut answers = vec![];
    for query in asks(step, &facts) {
        let rows = runner.work.query(&query.sql, &query.params).await;
        answers.push(rows.map_err(looking)?);
    }
    lower(step, &facts, &answers).map_err(|findings| refused(step, findings))
}

/// A step that cannot be lowered: nothing of it was touched.
fn refused(step: &StepDoc, findings: Vec<dunlin_core::finding::Finding>) -> Failure {
    let Some(first) = findings.first() else {
        return Failure::new(
            FailureClass::Failed,
            "step-refused",
            format!("step `{}` cannot be run", step.id),
        );
    };
    let mut failure = Failure::new(
        FailureClass::Failed,
        first.code,
        format!("step `{}`: {}", step.id, first.message),
    )
    .at(step.place.clone());
    failure.hints.extend(first.help.clone());
    let more = findings.iter().skip(1);
    failure
        .hints
        .extend(more.map(|finding| finding.message.clone()));
    failure
}

/// A step that is statements in the end. Where others write to rows between its look at them and its own write, it looks
/// again: what it writes over is what its undo gives back.
async fn statements(
    walk: &mut Walk<'_, '_>,
    step: &StepDoc,
    key: &str,
    place: (usize, usize),
) -> Result<(), Failure> {
    let mut looks = 1;
    loop {
        let operations = operations(walk, step, key, looks).await?;
        let migration = as_migration(walk.runner, step, key, &operations);
        kept::set(walk, step, &operations).await?;
        let outcome = run_script(walk, step, migration, Direction::Up, key, place).await;
        walk.runner.keep = None;
        match outcome {
            Err(failure) if failure.code == still::OVERTAKEN => {
                may_look_again(walk, step, key, looks, failure).await?;
            }
            outcome => return outcome,
        }
        looks += 1;
    }
}

/// What a step is lowered to, recorded with what comes next. What stands half way goes on with what it was lowered to,
/// whatever the catalog looks like by now.
async fn operations(
    walk: &mut Walk<'_, '_>,
    step: &StepDoc,
    key: &str,
    looks: u32,
) -> Result<Operations, Failure> {
    let half_way = walk
        .history
        .flight(key)
        .is_some_and(|flight| flight.direction == Direction::Up);
    if let Some(recorded) = walk.history.lowered.get(key).filter(|_| half_way) {
        return Ok(recorded.clone());
    }
    walk.runner.refresh().await?;
    let operations = lower_now(walk.runner, &walk.ask.project.file.plugin, step).await?;
    if looks == 1 {
        walk.note_findings(&operations.findings);
    }
    let written = walk.written(step);
    let recorded = json(&operations.veiled(&written));
    let record = Writing::unit(journal::Event::Lowered, key, &step.hash, recorded);
    walk.runner.pending.push(record);
    let lowered = &mut walk.history.lowered;
    lowered.insert(key.to_owned(), operations.clone());
    Ok(operations)
}

/// Whether a step to whose rows others were faster begins anew; nothing of it stands, or it cannot.
async fn may_look_again(
    walk: &mut Walk<'_, '_>,
    step: &StepDoc,
    key: &str,
    looks: u32,
    mut failure: Failure,
) -> Result<(), Failure> {
    // Of what was found then nothing was done, and nothing is to be on record.
    let stale = |record: &Writing| {
        record.event == journal::Event::Lowered && record.unit.as_deref() == Some(key)
    };
    walk.runner.pending.retain(|record| !stale(record));
    walk.reload().await?;
    let stands = walk.history.flight(key).is_some();
    if !stands && looks < limits::LOOKS_AGAIN {
        let error = walk.runner.world.redactor.apply(&failure.message);
        walk.runner.sink.event(&Event::Retrying {
            attempt: looks,
            error,
        });
        return walk.runner.may_go_on();
    }
    failure.message = format!(
        "step `{}` failed: {}, each of the {looks} times that it looked",
        step.id, failure.message
    );
    let failure = failure.at(step.place.clone()).hint(
        "what they wrote stands; run the same command again when they write less often, or stop them for that long",
    );
    if !stands {
        notes::failed(walk, step, key, Direction::Up, &failure, true).await;
    }
    Err(failure)
}

/// Runs a step's script, up or down, as a migration's is run.
pub async fn run_script(
    walk: &mut Walk<'_, '_>,
    step: &StepDoc,
    migration: Arc<Migration>,
    direction: Direction,
    key: &str,
    (index, of): (usize, usize),
) -> Result<(), Failure> {
    let unit = plan::Step {
        id: key.to_owned(),
        hash: step.hash.clone(),
        kind: StepKind::Migrate {
            migration,
            direction,
        },
    };
    let history = walk.history.as_units(key);
    let ran = migrate::run(walk.runner, &unit, &history, index, of).await;
    ran.map(drop)
        .map_err(|failure| how_to_settle(walk, step, failure))
}

/// How a person settles a statement in doubt, where that is what stopped it.
pub(super) fn how_to_settle(walk: &Walk<'_, '_>, step: &StepDoc, failure: Failure) -> Failure {
    if failure.code != "in-doubt" {
        return failure;
    }
    let plan = &walk.ask.shown;
    failure.hint(format!("`dunlin confirm {plan} {} --by NAME` where it is done, with `--no` where it is not; then run the same command again", step.id))
}

/// The step as a migration, for the machinery that runs those.
pub fn as_migration(
    runner: &Runner<'_>,
    step: &StepDoc,
    key: &str,
    operations: &Operations,
) -> Arc<Migration> {
    let (file, text, first) = match &step.kind {
        StepSpec::Sql(sql) => (sql.file.clone(), sql.text.as_str(), sql.line),
        _ => (
            step.place.file.clone().unwrap_or_default(),
            "",
            step.place.line.unwrap_or(1),
        ),
    };
    let mut up = script(runner, &file, text, first, &operations.up);
    // Should it end half way, each statement goes back as it was found when the step began.
    for (statement, back) in up.statements.iter_mut().zip(&operations.back) {
        statement.back = Some(back.clone());
    }
    for (statement, still) in up.statements.iter_mut().zip(&operations.still) {
        statement.still = Some(still.clone());
    }
    let undo = match &operations.undo {
        Inverse::Statements(statements) => {
            let (file, text, first) = match &step.undo {
                UndoSpec::Sql(sql) => (sql.file.as_str(), sql.text.as_str(), sql.line),
                _ => (file.as_str(), "", step.place.line.unwrap_or(1)),
            };
            Some(script(runner, file, text, first, statements))
        }
        _ => None,
    };
    Arc::new(Migration {
        version: Version(key.to_owned()),
        name: step.title.clone(),
        description: None,
        up,
        undo,
        irreversible: None,
        requires: vec![],
        transaction: if operations.apart {
            TransactionMode::None
        } else {
            TransactionMode::Auto
        },
        backup: false,
        estimate: step.estimate,
        timeout: None,
        allow: vec![],
        creates: vec![],
    })
}

/// Statements as a script: each with the line on which it stands, where it stands in the text.
fn script(
    runner: &Runner<'_>,
    file: &str,
    text: &str,
    first: usize,
    statements: &[String],
) -> Script {
    let rules = runner.work.dialect().lex_rules(runner.work.lex_mode());
    let mut from = 0;
    let found = statements.iter().map(|sql| {
        let mut line = first;
        let mut span = 0..0;
        if let Some(at) = text.get(from..).and_then(|rest| rest.find(sql.as_str())) {
            span = from + at..from + at + sql.len();
            line = first
                + text[..span.start]
                    .bytes()
                    .filter(|byte| *byte == b'\n')
                    .count();
            from = span.end;
        }
        Statement {
            span,
            line,
            sql: Arc::from(sql.as_str()),
            copy_data: None,
            probe: None,
            rerunnable: false,
            back: None,
            still: None,
        }
    });
    Script {
        file: file.to_owned(),
        statements: found.collect(),
        fingerprint: fingerprint(&statements.join(";\n"), &rules),
        wrapped: false,
    }
}

/// A person does something: done when they have said so.
async fn by_hand(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
    step: &StepDoc,
    key: &str,
    what: &str,
) -> Result<Came, Failure> {
    if walk.history.answer(&phase.id, &step.id).is_none() {
        // Said while the steps before it ran, perhaps.
        walk.reload().await?;
    }
    let Some(answer) = walk.history.answer(&phase.id, &step.id).cloned() else {
        let missing = format!(
            "step `{}`: {what}; then `dunlin confirm {} {} --by NAME`",
            step.id, walk.ask.shown, step.id
        );
        return Ok(Came::Waiting(Waiting::word(&phase.id, &step.id, missing)));
    };
    if answer.no {
        let message = format!("step `{}` was not done, says {}", step.id, answer.by);
        return Err(
            Failure::new(FailureClass::Failed, "not-confirmed", message).at(step.place.clone())
        );
    }
    notes::lowered(walk, step, key, stated(&step.undo));
    notes::end(walk, step, key, Direction::Up, 0, None);
    Ok(Came::Done)
}

/// Runs a command of the application.
pub(super) async fn command(
    walk: &mut Walk<'_, '_>,
    step: &StepDoc,
    key: &str,
    exec: &ExecStep,
    undo: Inverse,
) -> Result<(), Failure> {
    let began = walk.history.flight(key).is_some();
    if began && settled(walk, step, key, exec).await? {
        notes::end(walk, step, key, Direction::Up, 0, None);
        return walk.flush().await;
    }
    if !began {
        notes::lowered(walk, step, key, undo);
        notes::begin(walk, step, key, Direction::Up).await?;
    }
    let timeout = exec.timeout.map_or(outside::TIMEOUT, |timeout| timeout.0);
    match shell(walk, &exec.run.0, timeout).await {
        Ok(took) => {
            notes::end(walk, step, key, Direction::Up, took, None);
            // At once: nothing in the database tells whether it took effect.
            walk.flush().await
        }
        // Ended half way by a person: whether it took effect the next run finds out.
        Err(failure) if failure.class == FailureClass::Interrupted => {
            Err(failure.at(step.place.clone()))
        }
        Err(mut failure) => {
            failure.message = format!("step `{}`: {}", step.id, failure.message);
            notes::failed(walk, step, key, Direction::Up, &failure, true).await;
            Err(failure.at(step.place.clone()))
        }
    }
}

/// A command that began and whose end is not known: by its probe, its author's word or a person's, or nobody's.
pub(super) async fn settled(
    walk: &mut Walk<'_, '_>,
    step: &StepDoc,
    key: &str,
    exec: &ExecStep,
) -> Result<bool, Failure> {
    if let Some(probe) = &exec.probe {
        return Ok(shell(walk, &probe.0, outside::TIMEOUT).await.is_ok());
    }
    if exec.rerunnable {
        return Ok(false);
    }
    if let Some(done) = word_on(walk, step, key) {
        return Ok(done);
    }
    Err(in_doubt(walk, step))
}

/// What a person said of a step in doubt since it began.
pub fn word_on(walk: &Walk<'_, '_>, step: &StepDoc, key: &str) -> Option<bool> {
    let began = walk.history.flight(key).map_or(0, |flight| flight.began_id);
    let mut words = walk.history.confirmed.iter().rev();
    let word = words.find(|(id, said)| *id > began && said.id == step.id);
    word.map(|(_, said)| !said.no)
}

/// A step that began and of which nobody knows whether it took effect.
pub fn in_doubt(walk: &Walk<'_, '_>, step: &StepDoc) -> Failure {
    let message = format!(
        "step `{}` began, and whether it took effect is not known",
        step.id
    );
    let plan = &walk.ask.shown;
    Failure::new(FailureClass::InDoubt, "in-doubt", message)
        .at(step.place.clone())
        .hint(format!("look, and say so: `dunlin confirm {plan} {} --by NAME` where it took effect, with `--no` where it did not; then run the same command again", step.id))
        .hint("`probe` or `rerunnable = true` in the step answers this by itself the next time")
}

/// Runs a shell command in the project's folder; gives how long it took.
pub async fn shell(
    walk: &mut Walk<'_, '_>,
    command: &str,
    timeout: Duration,
) -> Result<u64, Failure> {
    let world = walk.runner.world;
    let (root, mut control) = (&walk.ask.project.root, walk.runner.control.clone());
    let stop = control.until(Stop::Now);
    let ended = outside::run_until(command, root, timeout, &world.redactor, stop).await;
    match ended {
        Ok(ended) if ended.is_ok() => Ok(ended.duration_ms),
        Ok(ended) if ended.stopped => {
            let message = format!("`{}` was ended by a person", world.redactor.apply(command));
            Err(Failure::new(
                FailureClass::Interrupted,
                "interrupted",
                message,
            ))
        }
        Ok(ended) => {
            let command = world.redactor.apply(command);
            let message = format!("`{command}` failed: {}", ended.said());
            Err(Failure::new(
                FailureClass::Failed,
                "command-failed",
                message,
            ))
        }
        Err(error) => {
            let message = format!("the shell could not be started: {error}");
            Err(Failure::new(
                FailureClass::Failed,
                "command-failed",
                message,
            ))
        }
    }
}

/// Applies migrations, each recorded as `up` would; the step remembers which.
async fn migrations(
    walk: &mut Walk<'_, '_>,
    step: &StepDoc,
    key: &str,
    to: Option<&Version>,
) -> Result<(), Failure> {
    let started = Instant::now();
    let half_way = walk.history.flight(key).is_some();
    let units = crate::journal_store::read(walk.runner.world, &mut *walk.runner.work).await?;
    let goal = UpGoal {
        to: to.cloned(),
        out_of_order: walk.runner.world.config.out_of_order,
    };
    let (wanted, findings) = select::up(walk.ask.migrations, &units, &goal)?;
    select::verdict(&findings)?;
    if !half_way {
        // The versions that it is about to apply are its own to take back; what was applied before is not.
        let versions = wanted.steps().map(|unit| unit.id.clone()).collect();
        let operations = Operations {
            undo: match stated(&step.undo) {
                Inverse::Statements(_) => Inverse::Migrations(versions),
                other => other,
            },
            ..Operations::default()
        };
        let record = Writing::unit(journal::Event::Lowered, key, &step.hash, json(&operations));
        walk.runner.pending.push(record);
        walk.history.lowered.insert(key.to_owned(), operations);
        notes::begin(walk, step, key, Direction::Up).await?;
    }
    let of = wanted.steps().count();
    for (index, unit) in wanted.steps().enumerate() {
        walk.runner.may_go_on()?;
        walk.runner.of_step = true;
        let ran = migrate::run(walk.runner, unit, &units, index + 1, of).await;
        walk.runner.of_step = false;
        if let Err(failure) = ran {
            if failure.class == FailureClass::Failed {
                notes::failed(walk, step, key, Direction::Up, &failure, false).await;
            }
            return Err(failure);
        }
    }
    notes::end(walk, step, key, Direction::Up, millis(started), None);
    Ok(())
}

/// Whether a step counts as passed in this attempt: done, or failed where that is only a warning. The journal's fold forgets
/// failures with the attempt.
pub fn is_passed(walk: &Walk<'_, '_>, step: &StepDoc, key: &str) -> bool {
    match walk.history.steps.get(key) {
        Some(UnitState::Applied(_)) => true,
        Some(UnitState::Absent { failed: Some(_) }) => !step.critical,
        _ => false,
    }
}
