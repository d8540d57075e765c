//! Plans: phases one after the other under the lease, each between its gate, its checks and its way back.
//!
//! What stands where: one phase in `phase`, one step in `step`, the way back in `back`, what people say beside a run in
//! `word`. The journal is read at the beginning and after each phase; what is to be done next follows from it alone.

pub mod archive;
mod ask_http;
pub mod back;
pub mod checks;
mod clean;
mod deleted;
pub mod emergency;
mod emptied;
pub mod estimate;
mod fill;
mod gates;
mod half;
mod held;
pub mod home;
mod kept;
pub mod load;
pub mod look;
pub mod moving;
mod notes;
pub mod observe;
mod own;
pub mod phase;
pub mod preflight;
pub mod rest;
pub mod save;
pub mod show;
pub mod state;
pub mod step;
pub mod store;
mod values;
mod veil;
pub mod view;
pub mod word;

use crate::control::Control;
use crate::executor::{RunReport, Runner};
use crate::inspect;
use crate::lease;
use crate::world::{Opening, World};
use dunlin_core::event::{Event, Sink};
use dunlin_core::exit::Outcome;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::finding::{Finding, Severity};
use dunlin_core::journal::archive::{Archived, Home};
use dunlin_core::journal::plan::{PhaseState, PlanHistory};
use dunlin_core::report;
use dunlin_core::source::grammar::plan::PlanOnFailure;
use dunlin_core::source::plan::{CheckSpec, PhaseDoc, PlanDoc, StepSpec};
use dunlin_core::source::{Migration, OnFailure, Project};
use dunlin_engines::Purpose;
use std::sync::Arc;
use std::time::Instant;

/// What a run or a rollback of a plan is asked for.
#[derive(Clone)]
pub struct Ask<'a> {
    /// The project.
    pub project: &'a Project,
    /// The plan.
    pub doc: &'a PlanDoc,
    /// How the person named the plan, for hints.
    pub shown: String,
    /// The migrations of its database.
    pub migrations: &'a [Arc<Migration>],
    /// The last phase to run, inclusive; of a rollback the phase that stays.
    pub until: Option<String>,
    /// Only phases that lead to a version above this one.
    pub from: Option<u64>,
    /// Only phases that lead to a version up to this one.
    pub to: Option<u64>,
    /// Wait for another runner instead of leaving with "locked".
    pub wait_for_lease: bool,
    /// A rollback may take away what others have written since; it is archived first.
    pub discard_later: bool,
    /// A run goes on where what was archived cannot come home.
    pub leave_archived: bool,
}

/// How a run or a rollback ended.
#[derive(Debug, Default)]
pub struct Report {
    /// The run's id, where one began.
    pub run: Option<String>,
    /// The phases as the journal knows them now.
    pub phases: Vec<report::PhaseReport>,
    /// What was found on the way.
    pub findings: Vec<Finding>,
    /// Where it waits, and for what.
    pub waiting: Option<Waiting>,
    /// What a rollback took back, newest first.
    pub undone: Vec<String>,
    /// What was archived before it went.
    pub archived: Vec<Archived>,
    /// What came home of earlier archives.
    pub home: Vec<Home>,
    /// Rows that copies and imports of this run left out.
    pub rejected: u64,
    /// How many phases `--until`, `--from` and `--to` choose.
    pub chosen: usize,
    /// Why it stopped, where it did not come to its end.
    pub failure: Option<Failure>,
    /// The plan's history at the end, where that is known without reading it again.
    history: Option<PlanHistory>,
}

/// Where a run waits.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Waiting {
    /// The phase.
    pub phase: String,
    /// For what, each a sentence.
    pub missing: Vec<String>,
    /// The steps and checks that a person must confirm.
    pub confirm: Vec<String>,
    /// It waits at the gate, or for the review.
    pub gate: bool,
}

impl Report {
    /// The outcome.
    pub fn outcome(&self) -> Outcome {
        match (&self.failure, &self.waiting) {
            (Some(failure), _) => failure.class.outcome(),
            (None, Some(_)) => Outcome::Waiting,
            (None, None) if self.rejected > 0 => Outcome::Partial,
            (None, None) => Outcome::Done,
        }
    }
}

/// A run under way, with what the journal has told of the plan.
pub struct Walk<'r, 'w> {
    /// The runner.
    pub runner: &'r mut Runner<'w>,
    /// What is asked.
    pub ask: &'r Ask<'r>,
    /// What checks are evaluated with.
    pub checks: crate::checks::Context<'w>,
    /// The plan's history, as of the last look.
    pub history: PlanHistory,
    /// Whether this run has written anything of the plan.
    pub wrote: bool,
    /// What was found on the way.
    pub findings: Vec<Finding>,
    /// What was archived before it went.
    pub archived: Vec<Archived>,
    /// What came home of earlier archives.
    pub home: Vec<Home>,
    /// Rows that copies and imports of this run left out.
    pub rejected: u64,
    /// What lets it rest between two things that it does.
    pub rest: rest::Rest,
}

impl Walk<'_, '_> {
    /// Writes what waits for a commit.
    pub async fn flush(&mut self) -> Result<(), Failure> {
        let written = self.runner.flush().await;
        written.map_err(|error| {
            self.runner
                .trouble(&error, "the journal could not be written")
        })
    }

    /// Reads the plan's history again; what waits for a commit is written first.
    pub async fn reload(&mut self) -> Result<(), Failure> {
        self.flush().await?;
        let world = self.runner.world;
        self.history = store::read(world, &mut *self.runner.work, &self.ask.doc.name).await?;
        self.take_passwords();
        Ok(())
    }

    /// Keeps findings for the answer, and says the grave ones at once.
    pub fn note_findings(&mut self, findings: &[Finding]) {
        for finding in findings {
            if finding.severity >= Severity::Warning {
                self.runner.sink.event(&Event::Found {
                    finding: finding.clone(),
                });
            }
            self.findings.push(finding.clone());
        }
    }
}

/// Runs a plan, or goes on with it.
pub async fn run(
    world: &World,
    ask: &Ask<'_>,
    reader: Option<Opening>,
    sink: &mut dyn Sink,
    control: Control,
) -> Report {
    let mut report = Report::default();
    let ran = try_run(world, ask, reader, sink, control, &mut report).await;
    if let Err(failure) = ran {
        report.failure = Some(world.redact(failure));
    }
    if let Some(waiting) = &report.waiting {
        sink.event(&Event::Waiting {
            phase: waiting.phase.clone(),
            missing: waiting.missing.clone(),
        });
    }
    tell(world, ask, &mut report).await;
    report
}

/// Takes phases back, newest first, until the one that stays.
pub async fn rollback(
    world: &World,
    ask: &Ask<'_>,
    sink: &mut dyn Sink,
    control: Control,
) -> Report {
    let mut report = Report::default();
    if let Err(failure) = try_rollback(world, ask, sink, control, &mut report).await {
        report.failure = Some(world.redact(failure));
    }
    tell(world, ask, &mut report).await;
    report
}

/// Puts the phases into the report as the journal knows them at the end.
async fn tell(world: &World, ask: &Ask<'_>, report: &mut Report) {
    let known = report.history.take();
    let look = async {
        if let Some(history) = known {
            return Ok(history);
        }
        let mut reader = world.open(Purpose::Read).await?;
        let history = store::read(world, &mut *reader, &ask.doc.name).await;
        reader.close().await;
        history
    };
    // Where the server is gone by now the failure says so already.
    if let Ok(history) = look.await {
        report.phases = report::phases(ask.doc, &history);
        if let Some(waiting) = &report.waiting
            && let Some(phase) = report
                .phases
                .iter_mut()
                .find(|phase| phase.id == waiting.phase)
            && phase.state == PhaseState::Pending
        {
            phase.state = PhaseState::Waiting;
        }
    }
}

/// The phases that a run is asked for, in order.
pub fn selected<'d>(ask: &Ask<'d>) -> Result<Vec<&'d PhaseDoc>, Failure> {
    let doc = ask.doc;
    let mut last = doc.phases.len();
    if let Some(until) = &ask.until {
        let at = doc.phases.iter().position(|phase| phase.id == *until);
        last = at.ok_or_else(|| unknown_phase(doc, until))? + 1;
    }
    let within = |phase: &&PhaseDoc| {
        let above = ask
            .from
            .is_none_or(|from| phase.version.is_none_or(|version| version > from));
        above
            && ask
                .to
                .is_none_or(|to| phase.version.is_none_or(|version| version <= to))
    };
    Ok(doc.phases[..last].iter().filter(within).collect())
}

/// A phase that the plan does not have.
pub fn unknown_phase(doc: &PlanDoc, name: &str) -> Failure {
    let known: Vec<&str> = doc.phases.iter().map(|phase| phase.id.as_str()).collect();
    let message = format!("the plan \"{}\" has no phase `{name}`", doc.name);
    Failure::usage("unknown-phase", message).hint(format!("its phases: {}", known.join(", ")))
}

/// What the history and the file must agree on: phases that have begun are as they were.
pub fn unchanged(doc: &PlanDoc, history: &PlanHistory) -> Result<(), Failure> {
    for (id, was) in &history.phases {
        if !was.state.stands() {
            continue;
        }
        let message = match doc.phase(id) {
            None => format!("phase `{id}` has begun, and the plan file does not have it any more"),
            Some(now) if now.hash != was.hash => {
                format!("phase `{id}` has begun, and the plan file has changed it since")
            }
            Some(_) => continue,
        };
        return Err(
            Failure::new(FailureClass::Mismatch, "changed-plan", message)
                .hint("put it back as it was; phases that have not begun may be changed")
                .hint("or take the phase back first, with the file as it was: `dunlin rollback`"),
        );
    }
    Ok(())
}

/// What this version cannot do yet, before anything is touched.
fn possible(phases: &[&PhaseDoc], history: &PlanHistory) -> Result<(), Failure> {
    for phase in phases {
        if history.phase(&phase.id).state == PhaseState::Done {
            continue;
        }
        for step in &phase.steps {
            if let StepSpec::Later(kind) = step.kind {
                return Err(step::later(step, kind));
            }
            kept::possible(step)?;
        }
        let own = phase.steps.iter().flat_map(|step| &step.checks);
        for check in phase.checks.iter().chain(own) {
            if matches!(check.kind, CheckSpec::Compare(_)) {
                let message = format!(
                    "check `{}`: checks of the kind `{}` come with a later version",
                    check.id,
                    check.kind.kind()
                );
                return Err(Failure::refused("comes-later", message).at(check.place.clone()));
            }
        }
    }
    Ok(())
}

async fn try_run(
    world: &World,
    ask: &Ask<'_>,
    reader: Option<Opening>,
    sink: &mut dyn Sink,
    mut control: Control,
    report: &mut Report,
) -> Result<(), Failure> {
    let phases = selected(ask)?;
    report.chosen = phases.len();
    let mut reader = match reader {
        Some(reader) => reader.session().await?,
        None => world.open(Purpose::Read).await?,
    };
    let history = store::read(world, &mut *reader, &ask.doc.name).await;
    reader.close().await;
    let history = history?;
    unchanged(ask.doc, &history)?;
    possible(&phases, &history)?;
    let is_done = |phase: &&PhaseDoc| history.phase(&phase.id).state == PhaseState::Done;
    report.waiting = gates::next(world, ask.doc, &phases, &history).await;
    if report.waiting.is_some() || phases.iter().all(is_done) {
        report.history = Some(history);
        return Ok(());
    }
    let acquired = lease::acquire(
        world,
        Purpose::Script,
        ask.wait_for_lease,
        sink,
        &mut control,
    );
    let (lease, work) = acquired.await?;
    let mut runner = Runner::new(world, work, lease, sink, control);
    runner.on_failure = match ask.doc.on_failure {
        PlanOnFailure::Stop => OnFailure::Stop,
        PlanOnFailure::UndoPhase | PlanOnFailure::UndoPlan => OnFailure::Undo,
    };
    let what = format!("run {}", ask.doc.name);
    let outcome = under_lease(&mut runner, ask, &what, report, &phases).await;
    let (lease, work) = (runner.lease, runner.work);
    lease.release().await;
    work.close().await;
    outcome.map_or(Ok(()), Err)
}

/// Runs under the lease; gives the failure, where there was one.
async fn under_lease(
    runner: &mut Runner<'_>,
    ask: &Ask<'_>,
    what: &str,
    report: &mut Report,
    phases: &[&PhaseDoc],
) -> Option<Failure> {
    let started = Instant::now();
    let mut run = RunReport {
        run: runner.pen.run.clone(),
        steps: vec![],
        failure: None,
        waiting: false,
    };
    runner.begin(what);
    let mut walk = match walk(runner, ask).await {
        Ok(walk) => walk,
        Err(failure) => return Some(failure),
    };
    walk.note_findings(&home::homeless(ask.doc, &walk.history.archives));
    match phase::all(&mut walk, phases).await {
        Ok(waiting) => {
            run.waiting = waiting.is_some();
            report.waiting = waiting;
        }
        Err(failure) => run.failure = Some(walk.runner.world.redact(failure)),
    }
    report.findings.append(&mut walk.findings);
    report.archived.append(&mut walk.archived);
    report.home.append(&mut walk.home);
    report.rejected = walk.rejected;
    if run.waiting
        && let Err(failure) = walk.reload().await
    {
        run.failure.get_or_insert(failure);
    }
    report.history = run.failure.is_none().then(|| walk.history.clone());
    let wrote = walk.wrote;
    if wrote && may_have_altered(runner).await {
        note_catalog(runner).await;
    }
    // Refused before its first write, a run may have saved something.
    if wrote || runner.is_on_record() {
        report.run = Some(run.run.clone());
        runner.finish(&mut run, what, started).await;
    } else {
        runner.say_ended(&run, started);
    }
    run.failure
}

async fn walk<'r, 'w>(
    runner: &'r mut Runner<'w>,
    ask: &'r Ask<'r>,
) -> Result<Walk<'r, 'w>, Failure> {
    let history = store::read(runner.world, &mut *runner.work, &ask.doc.name).await?;
    unchanged(ask.doc, &history)?;
    let checks = crate::checks::Context::new(runner.world)
        .in_folder(&ask.project.root)
        .masking(&ask.project.sensitive)
        .hiding(&ask.doc.secrets.0)
        .ruled(ask.project);
    let mut walk = Walk {
        runner,
        ask,
        checks,
        rest: rest::Rest::new(ask, &history),
        history,
        wrote: false,
        findings: vec![],
        archived: vec![],
        rejected: 0,
        home: vec![],
    };
    walk.take_passwords();
    Ok(walk)
}

/// Whether this run, or one before it that was stopped before it recorded its catalog, could have altered it. What others
/// have altered meanwhile is left for `drift` to find.
async fn may_have_altered(runner: &mut Runner<'_>) -> bool {
    if runner.altered {
        return true;
    }
    let (sql, run) = (&runner.world.sql.count_unrecorded, runner.pen.run.as_str());
    let counted = runner.work.ask(sql, &[run.into()]).await;
    let count = counted
        .ok()
        .and_then(|rows| rows.first()?.first()?.as_i64());
    count != Some(0)
}

/// The catalog that the run leaves behind, for `drift`.
async fn note_catalog(runner: &mut Runner<'_>) {
    if runner.lease.is_lost() {
        return;
    }
    let pen = runner.pen.clone();
    if let Err(error) = inspect::record(runner.world, &mut *runner.work, &pen).await {
        let message = format!(
            "the catalog could not be recorded for `drift`: {}",
            error.message
        );
        runner.sink.event(&Event::Note { message });
    }
}

async fn try_rollback(
    world: &World,
    ask: &Ask<'_>,
    sink: &mut dyn Sink,
    mut control: Control,
    report: &mut Report,
) -> Result<(), Failure> {
    if let Some(keep) = &ask.until
        && ask.doc.phase(keep).is_none()
    {
        return Err(unknown_phase(ask.doc, keep));
    }
    let mut reader = world.open(Purpose::Read).await?;
    let history = store::read(world, &mut *reader, &ask.doc.name).await;
    reader.close().await;
    let history = history?;
    unchanged(ask.doc, &history)?;
    let after_keep = ask
        .doc
        .phases
        .iter()
        .rev()
        .take_while(|phase| ask.until.as_ref() != Some(&phase.id));
    if !after_keep
        .into_iter()
        .any(|phase| history.phase(&phase.id).state.stands())
    {
        return Ok(());
    }
    let acquired = lease::acquire(
        world,
        Purpose::Script,
        ask.wait_for_lease,
        sink,
        &mut control,
    );
    let (lease, work) = acquired.await?;
    let mut runner = Runner::new(world, work, lease, sink, control);
    let started = Instant::now();
    let what = format!("rollback {}", ask.doc.name);
    let mut run = RunReport {
        run: runner.pen.run.clone(),
        steps: vec![],
        failure: None,
        waiting: false,
    };
    report.run = Some(run.run.clone());
    runner.begin(&what);
    let outcome = taken_back(&mut runner, ask, report).await;
    run.failure = outcome.err().map(|failure| world.redact(failure));
    note_catalog(&mut runner).await;
    runner.finish(&mut run, &what, started).await;
    let (lease, work) = (runner.lease, runner.work);
    lease.release().await;
    work.close().await;
    run.failure.map_or(Ok(()), Err)
}

async fn taken_back(
    runner: &mut Runner<'_>,
    ask: &Ask<'_>,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut walk = walk(runner, ask).await?;
    let taken = back::plan(&mut walk, ask.until.as_deref(), "taken back by a person").await;
    report.findings.append(&mut walk.findings);
    report.archived.append(&mut walk.archived);
    let taken = taken?;
    report.undone = taken.undone;
    if taken.left.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} could not be taken back",
        super::plan::count(taken.left.len(), "part")
    );
    let mut failure = Failure::new(FailureClass::Failed, "not-taken-back", message);
    failure.undone = report.undone.clone();
    failure.hints.extend(taken.left);
    failure.hints.extend(taken.hints);
    failure.hints.push(format!(
        "mend what stands in the way and run `dunlin rollback {}` again: it goes on from here",
        ask.shown
    ));
    Err(failure)
}

/// `1 part`, `2 parts`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    }
}
