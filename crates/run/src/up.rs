//! `up` and `down`: a run of a plan with one implicit phase.

use crate::backup;
use crate::control::Control;
use crate::executor::{Classes, RunReport, Runner, StepReport};
use crate::foreign;
use crate::inspect;
use crate::journal_store::{self};
use crate::lease;
use crate::steps::storage;
use crate::world::World;
use dunlin_core::event::{Event, Sink};
use dunlin_core::exit::Outcome;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::finding::{Finding, Severity};
use dunlin_core::journal::{History, UnitState};
use dunlin_core::plan::lower::{Storage, classify, lower_classified};
use dunlin_core::plan::select::{self, DownGoal, UpGoal};
use dunlin_core::plan::{Phase, Plan};
use dunlin_core::preflight;
use dunlin_core::source::{BackupPolicy, Migration, OnFailure};
use dunlin_engines::{Purpose, Session};
use std::sync::Arc;

/// What a run is asked for.
#[derive(Debug, Clone)]
pub enum Goal {
    /// Apply what is pending.
    Up(UpGoal),
    /// Take back.
    Down(DownGoal),
}

impl Goal {
    /// `up` or `down`.
    pub const fn what(&self) -> &'static str {
        match self {
            Goal::Up(_) => "up",
            Goal::Down(_) => "down",
        }
    }

    /// The plan for a history, and what is to be said about it.
    pub fn plan(
        &self,
        migrations: &[Arc<Migration>],
        history: &History,
    ) -> Result<(Plan, Vec<Finding>), Failure> {
        match self {
            Goal::Up(goal) => select::up(migrations, history, goal),
            Goal::Down(goal) => select::down(migrations, history, goal),
        }
    }
}

/// How a run is to behave.
#[derive(Debug, Clone)]
pub struct Options {
    /// Wait for another runner instead of leaving with "locked".
    pub wait_for_lease: bool,
    /// All steps in one transaction.
    pub one_transaction: bool,
    /// Make no backup, whatever the settings say.
    pub no_backup: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            wait_for_lease: true,
            one_transaction: false,
            no_backup: false,
        }
    }
}

/// How a run ended.
#[derive(Debug, Default)]
pub struct Report {
    /// The steps that are done.
    pub steps: Vec<StepReport>,
    /// What was found on the way.
    pub findings: Vec<Finding>,
    /// The backup made before, where one was.
    pub backup: Option<String>,
    /// Why it stopped, where it did not come to its end.
    pub failure: Option<Failure>,
    /// The run's id, where one began.
    pub run: Option<String>,
}

impl Report {
    /// The outcome.
    pub fn outcome(&self) -> Outcome {
        self.failure
            .as_ref()
            .map_or(Outcome::Done, |failure| failure.class.outcome())
    }
}

/// What was seen of the database while the scripts were still being read: who has nothing to do waits for one of the two
/// and not for both. Only read; nobody is waited for.
pub struct Ahead {
    reader: Result<Box<dyn Session>, Failure>,
    history: Option<History>,
    shown: Option<(Plan, Vec<Finding>)>,
}

impl Ahead {
    /// Connects and reads the journal.
    pub async fn look(world: &World) -> Self {
        let mut reader = world.open(Purpose::Read).await;
        let history = match &mut reader {
            // What goes wrong here is met again, and told, when the scripts are there.
            Ok(reader) => journal_store::read(world, &mut **reader).await.ok(),
            Err(_) => None,
        };
        Ahead {
            reader,
            history,
            shown: None,
        }
    }

    /// Plans on what was seen; whether there is certainly nothing to do.
    pub fn is_idle(&mut self, migrations: &[Arc<Migration>], goal: &Goal) -> bool {
        let planned = |history: &History| goal.plan(migrations, history).ok();
        self.shown = self.history.as_ref().and_then(planned);
        self.shown.as_ref().is_some_and(|(plan, _)| plan.is_empty())
    }
}

/// Runs `up` or `down`.
pub async fn run(
    world: &World,
    migrations: &[Arc<Migration>],
    goal: &Goal,
    options: &Options,
    sink: &mut dyn Sink,
    control: Control,
) -> Report {
    let ahead = Ahead {
        reader: world.open(Purpose::Read).await,
        history: None,
        shown: None,
    };
    run_after(ahead, world, migrations, goal, options, sink, control).await
}

/// Runs `up` or `down` on what was seen ahead of it.
pub async fn run_after(
    ahead: Ahead,
    world: &World,
    migrations: &[Arc<Migration>],
    goal: &Goal,
    options: &Options,
    sink: &mut dyn Sink,
    control: Control,
) -> Report {
    let mut report = Report::default();
    let outcome = try_run(
        ahead,
        world,
        migrations,
        goal,
        options,
        sink,
        control,
        &mut report,
    );
    if let Err(failure) = outcome.await {
        report.failure = Some(world.redact(failure));
    }
    report
}

#[allow(clippy::too_many_arguments)]
async fn try_run(
    ahead: Ahead,
    world: &World,
    migrations: &[Arc<Migration>],
    goal: &Goal,
    options: &Options,
    sink: &mut dyn Sink,
    mut control: Control,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut reader = ahead.reader?;
    let wait = options.wait_for_lease;
    let history = match ahead.history {
        Some(history) => history,
        None => lease::read_journal(world, &mut *reader, wait, sink, &mut control).await?,
    };
    let (shown, findings) = match ahead.shown {
        Some(shown) => shown,
        None => goal.plan(migrations, &history)?,
    };
    report.findings = findings;
    if history.units.is_empty() && !shown.is_empty() {
        let mut others = foreign::histories(world, &mut *reader).await?;
        report.findings.append(&mut others);
    }
    select::verdict(&report.findings)?;
    if shown.is_empty() {
        reader.close().await;
        return Ok(());
    }
    let (mut found, classes) = lowered_findings(&mut *reader, &shown, options).await?;
    reader.close().await;
    report.findings.append(&mut found);
    select::verdict(&report.findings)?;
    tell(&report.findings, sink);
    let (lease, work) = lease::acquire(
        world,
        Purpose::Script,
        options.wait_for_lease,
        sink,
        &mut control,
    )
    .await?;
    let token = lease.token;
    let outcome = under_lease(
        world, migrations, goal, options, sink, control, report, &shown, classes, work, lease,
    )
    .await;
    match outcome {
        Ok(run) => {
            report.steps = run.steps;
            report.run = Some(run.run);
            run.failure.map_or(Ok(()), Err)
        }
        // Stopped before it began, and woken when another had its place.
        Err(failure)
            if failure.code == "connection-lost" && lease::is_succeeded(world, token).await =>
        {
            Err(journal_store::fenced())
        }
        Err(failure) => Err(failure),
    }
}

/// Before anything is touched: a run that dies has told what it could not promise.
fn tell(findings: &[Finding], sink: &mut dyn Sink) {
    for finding in findings {
        if finding.severity >= Severity::Warning {
            sink.event(&Event::Found {
                finding: finding.clone(),
            });
        }
    }
}

#[allow(clippy::too_many_arguments)]
async fn under_lease(
    world: &World,
    migrations: &[Arc<Migration>],
    goal: &Goal,
    options: &Options,
    sink: &mut dyn Sink,
    control: Control,
    report: &mut Report,
    shown: &Plan,
    classes: Classes,
    mut work: Box<dyn Session>,
    lease: lease::Lease,
) -> Result<RunReport, Failure> {
    // Again under the lease: what another runner did meanwhile is done; anything else than a remainder is refused.
    let again = async {
        let history = journal_store::read(world, &mut *work).await?;
        let (plan, findings) = goal.plan(migrations, &history)?;
        select::verdict(&findings)?;
        if !plan.is_remainder_of(shown) {
            return Err(Failure::refused(
                "plan-changed",
                "the database changed between planning and taking the lease",
            )
            .hint("run the command again"));
        }
        Ok((history, plan))
    };
    let (history, plan) = match again.await {
        Ok(again) => again,
        Err(failure) => {
            lease.release().await;
            return Err(failure);
        }
    };
    let empty = plan.is_empty();
    let Some(phase) = plan.phases.into_iter().next().filter(|_| !empty) else {
        lease.release().await;
        return Ok(RunReport::nothing(world.run_id()));
    };
    let cleared = match preflight::check(phase, report.findings.clone()) {
        Ok(cleared) => cleared,
        Err(findings) => {
            lease.release().await;
            select::verdict(&findings)?;
            return Err(Failure::refused(
                "preflight",
                "preflight found a reason to stop",
            ));
        }
    };
    report.backup = match back_up(
        world,
        goal,
        options,
        cleared.phase(),
        sink,
        &mut report.findings,
    )
    .await
    {
        Ok(path) => path,
        Err(failure) => {
            lease.release().await;
            return Err(failure);
        }
    };
    let mut runner = Runner::new(world, work, lease, sink, control);
    runner.on_failure = world.config.on_failure;
    runner.one_transaction = options.one_transaction;
    runner.classes = classes;
    runner.backup.clone_from(&report.backup);
    if history.units.is_empty() {
        // What is ours and was here before the first migration: what `drift --rebuild` stands on.
        let pen = runner.pen.clone();
        if let Err(error) = inspect::record_base(world, &mut *runner.work, &pen).await {
            let message = format!(
                "the catalog could not be recorded for `drift`: {}",
                error.message
            );
            runner.sink.event(&Event::Note { message });
        }
    }
    let mut outcome = runner.run(&cleared, &history, goal.what()).await;
    record_catalog(&mut runner, &mut outcome).await;
    end(runner, cleared.phase(), &mut outcome).await;
    Ok(outcome)
}

/// Gives the lease back, and brings the backup back where the run failed and the settings say so.
async fn end(runner: Runner<'_>, phase: &Phase, outcome: &mut RunReport) {
    let mode = runner.work.lex_mode().clone();
    let Runner {
        world,
        work,
        lease,
        pen,
        sink,
        backup,
        ran,
        one_transaction,
        ..
    } = runner;
    // The lease goes first: who waits for it must not wait for a connection to close.
    lease.release().await;
    work.close().await;
    let Some(path) = backup.filter(|_| !one_transaction) else {
        return;
    };
    let run = backup::Run {
        path,
        token: pen.token,
        phase,
        ran,
        mode,
    };
    backup::after_failure(world, &run, outcome, sink).await;
}

/// Makes and verifies a backup before `up`, where the settings or a migration ask for one. Gives its path. Where it
/// fails nothing has been touched.
async fn back_up(
    world: &World,
    goal: &Goal,
    options: &Options,
    phase: &Phase,
    sink: &mut dyn Sink,
    findings: &mut Vec<Finding>,
) -> Result<Option<String>, Failure> {
    let asked = match world.config.backup {
        BackupPolicy::Always => true,
        BackupPolicy::Never => false,
        BackupPolicy::Auto => {
            world.config.on_failure == OnFailure::Restore
                || phase.steps.iter().any(|step| step.migration().backup)
        }
    };
    if options.no_backup || !asked || !matches!(goal, Goal::Up(_)) {
        return Ok(None);
    }
    let (manifest, mut found) =
        backup::create_verified(world, sink)
            .await
            .map_err(|mut failure| {
                failure.class = FailureClass::Refused;
                failure.message = format!(
                    "no migration was applied, for the backup before it failed: {}",
                    failure.message
                );
                failure
            })?;
    findings.append(&mut found);
    Ok(Some(
        manifest
            .path(&world.config.backup_dir)
            .display()
            .to_string(),
    ))
}

/// Records the catalog that the run leaves behind: `drift` compares with it. Where it cannot be read (a right is
/// missing) the run is not worth less, and `drift` says that nothing is recorded.
async fn record_catalog(runner: &mut Runner<'_>, outcome: &mut RunReport) {
    let fenced = outcome
        .failure
        .as_ref()
        .is_some_and(|failure| failure.code == "lease-lost");
    if outcome.steps.is_empty() || fenced || runner.lease.is_lost() {
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

/// Lowers every step ahead of the run, for what must be said or refused before anything is touched. Gives what was found
/// of the statements, too.
async fn lowered_findings(
    session: &mut dyn Session,
    plan: &Plan,
    options: &Options,
) -> Result<(Vec<Finding>, Classes), Failure> {
    let mut findings = vec![];
    let mut storage = Storage::default();
    let (dialect, mode) = (session.dialect(), session.lex_mode().clone());
    let rules = dialect.lex_rules(&mode);
    let steps = || {
        plan.steps()
            .filter_map(|step| Some((step.migration(), step.script()?)))
    };
    let (mut known, mut asked) = (Classes::default(), vec![]);
    for (migration, script) in steps() {
        let classes = classify(script, dialect, &mode);
        storage::written(&classes, &storage, &mut asked);
        known.keep(&migration.version, &rules, classes);
    }
    // Where the catalog may not be seen now it is asked again when a migration's turn comes, and the reason is said.
    let _ = storage::ask(session, asked, &mut storage).await;
    for (migration, script) in steps() {
        let classes = known.take(&migration.version, &rules);
        let lowered = lower_classified(
            migration,
            script,
            classes.unwrap_or_else(|| classify(script, dialect, &mode)),
            dialect,
            session.caps(),
            &storage,
            options.one_transaction,
        );
        findings.extend(
            lowered
                .findings
                .into_iter()
                .filter(|finding| finding.severity >= Severity::Warning),
        );
        known.keep(&migration.version, &rules, lowered.classes);
    }
    Ok((findings, known))
}

/// The versions that stand half way, and whether a block of them is in doubt; for `status`.
pub async fn in_doubt(
    world: &World,
    session: &mut dyn Session,
    history: &History,
) -> Result<Vec<String>, Failure> {
    let mut versions = vec![];
    for (version, state) in &history.units {
        if let UnitState::InFlight(flight) = state {
            let blocks = journal_store::blocks(world, session, &version.0, flight).await?;
            if blocks.iter().any(|block| !block.done) {
                versions.push(version.0.clone());
            }
        }
    }
    Ok(versions)
}
