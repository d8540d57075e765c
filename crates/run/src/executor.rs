//! The one executor. Everything that changes a database through a plan goes through here: `up`, `down`, and later plans,
//! copies and fleets. It asks no engine who it is; decisions stand in the blocks that lowering made.

use crate::checkpoint::Keep;
use crate::checkpoint::since::Waiting;
use crate::control::{Control, Stop};
use crate::journal_store::{self, Pen};
use crate::lease::Lease;
use crate::steps;
use crate::steps::blockers::Blockers;
use crate::steps::group::Went;
use crate::steps::last::Last;
use crate::steps::migrate::millis;
use crate::trouble;
use crate::world::World;
use dunlin_core::event::{Event, Sink};
use dunlin_core::exit::Outcome;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::{self, History, Writing};
use dunlin_core::limits;
use dunlin_core::plan::Step;
use dunlin_core::plan::lower::{Block, Lowered, Mode, Storage};
use dunlin_core::preflight::Cleared;
use dunlin_core::source::{OnFailure, Version};
use dunlin_core::sql::{LexRules, StatementClass};
use dunlin_engines::{DbError, Purpose, Session};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What a step that is done looked like.
#[derive(Debug, Clone, serde::Serialize)]
pub struct StepReport {
    /// The migration's version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// How long it took.
    pub duration_ms: u64,
}

/// How a run ended: what was done, and the failure that stopped it, where one did.
#[derive(Debug)]
pub struct RunReport {
    /// The run's id.
    pub run: String,
    /// The steps that are done.
    pub steps: Vec<StepReport>,
    /// Why it stopped, where it did not come to its end.
    pub failure: Option<Failure>,
    /// It stopped where it waits for a person or a window.
    pub waiting: bool,
}

impl RunReport {
    /// How it ended.
    fn outcome(&self) -> Outcome {
        match (&self.failure, self.waiting) {
            (Some(failure), _) => failure.class.outcome(),
            (None, true) => Outcome::Waiting,
            (None, false) => Outcome::Done,
        }
    }

    /// Of a run that had nothing to do.
    pub fn nothing(run: String) -> Self {
        RunReport {
            run,
            steps: vec![],
            failure: None,
            waiting: false,
        }
    }
}

/// A run under way: the lead session under the lease, and what is to be written with the next commit.
pub struct Runner<'w> {
    /// The world.
    pub world: &'w World,
    /// The session that writes. It holds the work lock.
    pub work: Box<dyn Session>,
    /// The lease.
    pub lease: Lease,
    /// Writes the journal.
    pub pen: Pen,
    /// Who listens.
    pub sink: &'w mut dyn Sink,
    /// Who may stop it.
    pub control: Control,
    /// Records that go with the next commit: the end of one statement shares a commit with the beginning of the next.
    pub pending: Vec<Writing>,
    /// What is known of tables' storage.
    pub storage: Storage,
    /// What was found of the statements of the steps to come.
    pub classes: Classes,
    /// Whether all steps go in one transaction.
    pub one_transaction: bool,
    /// Whether the last script left something behind in the session.
    pub dirty: bool,
    /// Whether anything was begun that could leave something behind in the database.
    pub altered: bool,
    /// Rows that this script's INSERTs have put into each table, by its name in lower case; `None`: they cannot be
    /// counted, for it changed or removed rows too.
    pub wrote: BTreeMap<String, Option<u64>>,
    /// Rows that this script has changed.
    pub rows: u64,
    /// The migrations that run belong to a step of a plan.
    pub of_step: bool,
    /// What is done about a script that fails.
    pub on_failure: OnFailure,
    /// Tables that are kept around the transaction of the next script, where it is a step that is taken back by them.
    pub keep: Option<Keep>,
    /// Archives whose values come home when the next script has run.
    pub since: Option<Waiting>,
    /// What the next script takes away by statements that commit by themselves.
    pub last: Option<Last>,
    /// The backup made for this run, where one was.
    pub backup: Option<String>,
    /// Ends those who keep a step waiting too long, where its author wants that.
    pub blockers: Option<Blockers>,
    /// What ran, where there is a backup, so that it can be run again beside it.
    pub ran: Vec<Ran>,
}

/// What the statements of scripts are, as it was found when they were looked through before the run: nobody needs to read
/// them again.
#[derive(Debug, Default)]
pub struct Classes {
    known: BTreeMap<Version, (LexRules, Vec<StatementClass>)>,
    count: usize,
}

impl Classes {
    /// Keeps what was found of a script by these rules, within [`limits::CLASSES_KEPT`].
    pub fn keep(&mut self, version: &Version, rules: &LexRules, classes: Vec<StatementClass>) {
        if self.count + classes.len() <= limits::CLASSES_KEPT {
            self.count += classes.len();
            self.known.insert(version.clone(), (rules.clone(), classes));
        }
    }

    /// Gives it away, to who reads scripts by the same rules.
    pub fn take(&mut self, version: &Version, rules: &LexRules) -> Option<Vec<StatementClass>> {
        let (by, classes) = self.known.remove(version)?;
        self.count -= classes.len();
        (by == *rules).then_some(classes)
    }
}

/// A migration of this run, as far as it came.
#[derive(Debug)]
pub struct Ran {
    /// Its script, lowered.
    pub lowered: Lowered,
    /// Its version.
    pub version: Version,
    /// The first block that this run ran; what is before it an earlier run did.
    pub first: usize,
    /// The blocks that are done and stand; `None`: all of them.
    pub done: Option<BTreeSet<usize>>,
}

impl Ran {
    /// The statements that this run ran and that stand, session statements among them.
    pub fn statements(&self) -> impl Iterator<Item = usize> + '_ {
        let stands = |block: &&Block| {
            let done = self.done.as_ref();
            block.index >= self.first
                && (block.mode == Mode::Session
                    || done.is_none_or(|done| done.contains(&block.index)))
        };
        let blocks = self.lowered.blocks.iter().filter(stands);
        blocks.flat_map(|block| block.statements.clone())
    }
}

impl<'w> Runner<'w> {
    /// A runner under the lease that has done nothing yet: a script that fails is taken back, and each has its own
    /// transactions. Its run gets an id of its own.
    pub fn new(
        world: &'w World,
        work: Box<dyn Session>,
        lease: Lease,
        sink: &'w mut dyn Sink,
        control: Control,
    ) -> Self {
        let pen = Pen {
            run: world.run_id(),
            token: lease.token,
        };
        Runner {
            world,
            work,
            lease,
            pen,
            sink,
            control,
            pending: vec![],
            storage: Storage::default(),
            classes: Classes::default(),
            one_transaction: false,
            dirty: false,
            altered: false,
            wrote: BTreeMap::new(),
            rows: 0,
            of_step: false,
            on_failure: OnFailure::Undo,
            keep: None,
            since: None,
            last: None,
            backup: None,
            blockers: None,
            ran: vec![],
        }
    }
}

impl Runner<'_> {
    /// Runs every step of a cleared phase.
    pub async fn run(&mut self, cleared: &Cleared, history: &History, what: &str) -> RunReport {
        let started = Instant::now();
        let run = self.pen.run.clone();
        self.begin(what);
        let mut report = RunReport {
            run: run.clone(),
            steps: vec![],
            failure: None,
            waiting: false,
        };
        if self.one_transaction
            && let Err(error) = self.work.begin().await
        {
            report.failure = Some(self.world.redact(trouble::refused(&error, "cannot begin")));
            return report;
        }
        if let Err(failure) = self
            .steps(&cleared.phase().steps, history, &mut report)
            .await
        {
            report.failure = Some(self.world.redact(failure));
        }
        self.finish(&mut report, what, started).await;
        report
    }

    /// Runs steps in their order, small ones together where the engine takes them so.
    async fn steps(
        &mut self,
        steps: &[Step],
        history: &History,
        report: &mut RunReport,
    ) -> Result<(), Failure> {
        let of = steps.len();
        let (mut next, mut singly_until) = (0, 0);
        while next < of {
            self.may_go_on()?;
            if next >= singly_until {
                match steps::group::run(self, &steps[next..], history, next, of).await {
                    Went::Together(done) => {
                        next += done.len();
                        report.steps.extend(done);
                        continue;
                    }
                    // What was tried meanwhile took its time: who may not go on any more is asked again.
                    Went::Singly(count) => {
                        singly_until = next + count;
                        continue;
                    }
                }
            }
            let done = steps::migrate::run(self, &steps[next], history, next + 1, of).await?;
            report.steps.push(done);
            next += 1;
        }
        Ok(())
    }

    /// Says that a run begins; its record goes with the first commit.
    pub fn begin(&mut self, what: &str) {
        let run = self.pen.run.clone();
        let database = self.world.engine.describe();
        self.sink.event(&Event::RunBegan {
            run,
            what: what.into(),
            database,
        });
        self.pending.push(Writing::run(
            journal::Event::Began,
            serde_json::json!({ "what": what, "by": self.world.who, "dunlin": env!("CARGO_PKG_VERSION") }),
        ));
    }

    /// Opens a fresh session for the next script, where the last one left settings or temporary things behind: every
    /// script begins in the same session, whether the ones before it ran just now or last year.
    pub async fn refresh(&mut self) -> Result<(), Failure> {
        if self.one_transaction || !self.dirty {
            return Ok(());
        }
        if let Err(error) = self.flush().await {
            return Err(self.trouble(&error, "cannot write the journal before a fresh session"));
        }
        let fresh = self.world.open(Purpose::Script).await?;
        let old = std::mem::replace(&mut self.work, fresh);
        old.close().await;
        let started = Instant::now();
        while !dunlin_engines::lease::take_work(&self.world.names, &mut *self.work)
            .await
            .map_err(|error| trouble::failed(&error, "cannot take the work lock"))?
        {
            // The server frees the old session's lock when it has seen it close; a successor may have taken it first.
            if self.lease.is_lost() || started.elapsed() > limits::LEASE_TTL {
                return Err(journal_store::fenced());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.lease.watch_over(self.work.canceller()).await;
        self.dirty = false;
        Ok(())
    }

    /// Says what was learned beside a statement.
    pub fn tell(&mut self, said: Vec<String>) {
        for message in said {
            self.sink.event(&Event::Note { message });
        }
    }

    /// Whether the next thing may begin: the lease is ours, and nobody asked to stop.
    pub fn may_go_on(&self) -> Result<(), Failure> {
        if self.lease.is_lost() {
            return Err(journal_store::fenced());
        }
        if self.control.asked() > Stop::No {
            return Err(Failure::new(
                FailureClass::Interrupted,
                "interrupted",
                "interrupted; what is done is recorded",
            )
            .hint("run the same command again: it goes on where this one stopped"));
        }
        Ok(())
    }

    /// A lost lease is told apart: another runner took it, or the server went away and the lease's connection with it.
    /// The session that writes may learn of it before the next beat does.
    async fn say_how_the_lease_was_lost(&mut self, failure: &mut Failure) {
        if !["lease-lost", "connection-lost"].contains(&failure.code) {
            return;
        }
        let succeeded = async || crate::lease::is_succeeded(self.world, self.pen.token).await;
        let found = if self.lease.is_taken() || succeeded().await {
            journal_store::fenced()
        } else if !self.lease.is_lost() {
            return;
        } else {
            let message = "the connection that held the lease was lost, so this runner stopped";
            Failure::new(FailureClass::Failed, "connection-lost", message)
                .hint("run the same command again: it finds out what was done and goes on")
        };
        if failure.code != found.code {
            failure.code = found.code;
            failure.class = found.class;
            failure.message = format!("{}; {}", found.message, failure.message);
            failure.hints = found.hints;
        }
    }

    /// Ends a run: its end is recorded, and what could not be recorded is not claimed.
    pub async fn finish(&mut self, report: &mut RunReport, what: &str, started: Instant) {
        // Also after the last step: what waits for the next commit is not written any more.
        if report.failure.is_none() && self.lease.is_lost() {
            report.failure = Some(journal_store::fenced());
        }
        if let Some(failure) = &mut report.failure {
            self.say_how_the_lease_was_lost(failure).await;
        }
        let (outcome, duration_ms) = (report.outcome(), millis(started));
        let fenced = report
            .failure
            .as_ref()
            .is_some_and(|failure| failure.code == "lease-lost");
        self.pending.push(Writing::run(
            journal::Event::Ended,
            serde_json::json!({ "what": what, "outcome": outcome, "duration_ms": duration_ms }),
        ));
        let mut wrong = None;
        if self.one_transaction {
            if report.failure.is_some() {
                wrong = self.work.rollback().await.err();
                report.steps.clear();
                if let Some(failure) = &mut report.failure {
                    failure
                        .undone
                        .push("the whole run: one transaction, rolled back".into());
                }
            } else {
                wrong = match self.flush().await {
                    Ok(()) => self.work.commit().await.err(),
                    Err(error) => Some(error),
                };
            }
        } else if !fenced && !self.lease.is_lost() {
            wrong = self.flush().await.err();
        }
        if let (Some(error), None) = (wrong, &report.failure) {
            report.failure = Some(
                self.world
                    .redact(self.trouble(&error, "the journal could not be written")),
            );
        }
        self.forget_what_is_not_recorded(report);
        self.sink.event(&Event::RunEnded {
            run: report.run.clone(),
            outcome,
            duration_ms,
        });
    }

    /// Whether the run's beginning is in the journal.
    pub fn is_on_record(&self) -> bool {
        let waits = |record: &Writing| {
            record.scope == journal::Scope::Run && record.event == journal::Event::Began
        };
        !self.pending.iter().any(waits)
    }

    /// Says that a run of which nothing is in the journal has ended.
    pub fn say_ended(&mut self, report: &RunReport, started: Instant) {
        self.sink.event(&Event::RunEnded {
            run: report.run.clone(),
            outcome: report.outcome(),
            duration_ms: millis(started),
        });
    }

    /// A step whose end waited for the next commit, which never came, is not reported as done: the journal does not
    /// say so either, and the next run looks at the database and settles it.
    fn forget_what_is_not_recorded(&self, report: &mut RunReport) {
        let Some(failure) = &mut report.failure else {
            return;
        };
        let ended = |version: &str| {
            self.pending.iter().any(|record| {
                record.scope == journal::Scope::Unit && record.unit.as_deref() == Some(version)
            })
        };
        report.steps.retain(|step| {
            let lost = ended(&step.version);
            if lost {
                failure.done.push(format!(
                    "{} {}: every statement ran, and its end could not be recorded; the next run settles it",
                    step.version, step.name
                ));
            }
            !lost
        });
    }

    /// Writes what waits, in the transaction that is open or as a commit of its own.
    pub async fn flush(&mut self) -> Result<(), DbError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.pen
            .append(self.world, &mut *self.work, &self.pending)
            .await?;
        // Only what is committed may be forgotten; inside a transaction the caller keeps a copy until it commits.
        self.pending.clear();
        Ok(())
    }

    /// A database error during the run, as a failure: lost lease, or failed after the first write.
    pub fn trouble(&self, error: &DbError, doing: &str) -> Failure {
        if journal_store::is_fenced(error) || self.lease.is_lost() {
            return journal_store::fenced();
        }
        trouble::failed(error, doing)
    }
}
