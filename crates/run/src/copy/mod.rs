//! Copying a database into another one, and proving that every row arrived.
//!
//! The source is read in one state ([`ends`]); what its columns hold decides their types ([`look`]); the rows move table by
//! table, each in one transaction with the record that it is done ([`rows`], [`table`], [`ledger`]); then come keys,
//! indexes and foreign keys ([`after`]); and every row is read again from the target and compared with what was read from
//! the source ([`prove`]). What does not go over is a reject, a named loss, or the end of the copy.

pub mod after;
mod aside;
mod asked;
pub mod bite;
mod broken;
mod build;
mod early;
pub mod ends;
pub mod estimate;
mod exchange;
pub mod existing;
mod giving;
pub mod ledger;
mod longest;
pub mod look;
mod mend;
pub mod once;
mod orphans;
mod pair;
mod parts;
pub mod prove;
mod ready;
pub mod rejects;
pub mod repair;
pub mod rows;
pub mod short;
mod sight;
mod sums;
pub mod table;
mod together;
mod two;
pub mod verify;
mod works;

use crate::control::{Control, Stop};
use crate::journal_store::Pen;
use crate::world::World;
use dunlin_core::copy::cast::Casts;
use dunlin_core::copy::parts::Sizing;
use dunlin_core::copy::plan::NotCarried;
use dunlin_core::copy::policy::Policies;
use dunlin_core::copy::stages::{Stages, stages};
use dunlin_core::event::{Event, Sink};
use dunlin_core::exit::Outcome;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::finding::Finding;
use dunlin_core::journal::{self, Writing};
use dunlin_core::schema::label;
use dunlin_engines::{Purpose, Session};
use early::Early;
use ends::{Readers, Soundness};
use look::Looked;
use ready::{begun, take};
use rejects::Rejects;
use rows::Tally;
use serde::Serialize;
use short::Short;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Most sessions that a copy opens on either side: more than that only wait for the server's disk.
const JOBS_MAX: usize = 16;

/// What happens to tables that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Rows are added.
    Append,
    /// Rows are replaced.
    Replace,
}

/// What is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum What {
    /// Schema and rows.
    #[default]
    All,
    /// No rows.
    Schema,
    /// Rows into tables that are there.
    Data,
}

/// A copy as it is asked for.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// Patterns of tables; empty: all.
    pub tables: Vec<String>,
    /// Patterns of tables that are left out.
    pub exclude: Vec<String>,
    /// How many sessions work at once; 0: as many as there are cores.
    pub jobs: usize,
    /// What is copied.
    pub what: What,
    /// Renames and types that a person decided.
    pub casts: Casts,
    /// What is done about hazards.
    pub policies: Policies,
    /// Where rejected rows go.
    pub rejects: PathBuf,
    /// Goes on with a copy that was begun.
    pub resume: bool,
    /// Proves every row.
    pub verify: bool,
    /// What happens to tables that are there; `None`: the target must be empty.
    pub existing: Option<Existing>,
    /// Nothing is written: what is there is compared.
    pub compares: bool,
    /// Waits for another runner.
    pub wait: bool,
    /// The step of a plan that asks for it, where one does.
    pub step: Option<Step>,
    /// From when on a table is copied in parts.
    pub large: Sizing,
}

/// A copy as a step of a plan.
#[derive(Debug, Clone)]
pub struct Step {
    /// What tells it from any other copy into this database.
    pub mark: String,
    /// The run under whose lease the target is; `None`: the copy takes that lease itself.
    pub pen: Option<Pen>,
}

/// One table, copied.
#[derive(Debug, Clone, Serialize)]
pub struct CopiedTable {
    /// The table, in the source's words.
    pub table: String,
    /// Its name in the target.
    pub target: String,
    /// Rows read from the source.
    pub rows_source: u64,
    /// Rows in the target; of a copy that was not verified, those that the target took.
    pub rows_target: u64,
    /// Rows left out.
    pub rejected: u64,
    /// The digest of the rows that were sent, without those that were set aside afterwards.
    pub digest_source: String,
    /// The digest of the rows that were read again; `None`: not verified.
    pub digest_target: Option<String>,
    /// Whether both agree; `None`: not verified.
    pub equal: Option<bool>,
    /// Of `verify --repair`: what was done to its rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<repair::Repaired>,
}

/// Values that changed in spelling or class under the plan, or by a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lossy {
    /// The table, in the source's words.
    pub table: String,
    /// The column.
    pub column: String,
    /// How.
    pub kind: String,
    /// In how many rows.
    pub rows: u64,
}

/// What a copy did.
#[derive(Debug, Default)]
pub struct Copied {
    /// The run.
    pub run: String,
    /// Table by table, as in the plan.
    pub tables: Vec<CopiedTable>,
    /// All tables agree; `None`: not verified.
    pub equal: Option<bool>,
    /// What changed.
    pub lossy: Vec<Lossy>,
    /// Constraints and counters that were tried.
    pub proven: Vec<bite::Proven>,
    /// What is not there.
    pub not_carried: Vec<NotCarried>,
    /// Where rejected rows are.
    pub rejects: Option<PathBuf>,
    /// What there is to say.
    pub findings: Vec<Finding>,
    /// How long the rows took, in milliseconds.
    pub rows_ms: u64,
    /// How long keys, indexes and foreign keys took.
    pub after_ms: u64,
    /// How long the proof took.
    pub verify_ms: u64,
}

impl Copied {
    /// Whether something that was tried does not bite.
    pub fn toothless(&self) -> bool {
        !self.without_teeth().is_empty()
    }

    /// What does not bite, by name.
    pub fn without_teeth(&self) -> Vec<&str> {
        let failed = |one: &&bite::Proven| one.outcome == bite::Bites::Failed;
        let failed = self.proven.iter().filter(failed);
        failed.map(|one| one.object.as_str()).collect()
    }

    /// Rows left out, of all tables.
    pub fn rejected(&self) -> u64 {
        self.tables.iter().map(|table| table.rejected).sum()
    }
}

/// Looks and plans; writes nothing.
pub async fn dry(
    from: &World,
    to: &World,
    job: &Job,
    sink: &mut dyn Sink,
) -> Result<Looked, Failure> {
    let mut readers = Readers::open(from, jobs(job)).await?;
    let mut target = to.open(Purpose::Read).await?;
    let mut looked = look::look(from, to, job, &mut readers, &mut *target, &Short::No, sink).await;
    if let Ok(looked) = &mut looked {
        looked.estimate = estimate::estimate(from, to, job, looked, &mut readers).await;
    }
    readers.close().await;
    target.close().await;
    looked
}

fn jobs(job: &Job) -> usize {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    match job.jobs {
        0 => cores,
        jobs => jobs,
    }
    .clamp(1, JOBS_MAX)
}

/// Copies.
///
/// # Errors
///
/// Refused before the first write: an end that cannot be read or written, a target that is not empty, the same database on
/// both ends, a plan with errors. Afterwards: a hazard under the policy `fail`, a constraint that its rows break, a
/// connection lost. What is done stays, and `resume` goes on with it.
pub async fn copy(
    from: &World,
    to: &World,
    job: &Job,
    sink: &mut dyn Sink,
    mut control: Control,
) -> Result<Copied, Failure> {
    if ends::same_file(from, to) {
        return Err(same_database());
    }
    let mut readers = Readers::open(from, jobs(job)).await?;
    let outcome = with_readers(from, to, job, &mut readers, sink, &mut control).await;
    readers.close().await;
    outcome
}

async fn with_readers(
    from: &World,
    to: &World,
    job: &Job,
    readers: &mut Readers,
    sink: &mut dyn Sink,
    control: &mut Control,
) -> Result<Copied, Failure> {
    let mut seen = begun(from, to, job, readers, (sink, &mut *control), true).await?;
    let (held, pen, mut work) = take(to, job, sink, control).await?;
    let began = Instant::now();
    if job.step.is_none() {
        sink.event(&Event::RunBegan {
            run: pen.run.clone(),
            what: "copy".into(),
            database: to.redactor.apply(&to.engine.describe()),
        });
    }
    let run = pen.run.clone();
    let outcome = loop {
        let stages = stages(&seen.looked.plan.catalog, to.dialect());
        let mut copying = Copying {
            from,
            to,
            job,
            hash: seen.hash,
            stages: &stages,
            looked: &seen.looked,
            rejects: Arc::new(Rejects::new(job.rejects.clone(), seen.history.goes_on())),
            history: seen.history,
            pen: pen.clone(),
            work,
            counted: vec![],
            set_sequences: vec![],
            broken: Arc::default(),
            early: Early::default(),
            unsound: false,
        };
        let outcome = copying.run(readers, &mut seen.sound, sink, control).await;
        let outcome = copying.taken_back(outcome).await;
        work = copying.work;
        if !outcome.as_ref().is_err_and(short::is_again) {
            break outcome;
        }
        seen = match begun(from, to, job, readers, (sink, &mut *control), false).await {
            Ok(seen) => seen,
            Err(failure) => break Err(failure),
        };
    };
    work.close().await;
    if let Some(held) = held {
        held.release().await;
    }
    let outcome = outcome.map_err(|failure| to.redact(from.redact(failure)));
    if job.step.is_some() {
        return outcome;
    }
    sink.event(&Event::RunEnded {
        run,
        outcome: match &outcome {
            Ok(_) => Outcome::Done,
            Err(failure) => failure.class.outcome(),
        },
        duration_ms: millis(began),
    });
    outcome
}

fn same_database() -> Failure {
    let message = "source and target are the same database";
    Failure::refused("same-database", message)
}

fn interrupted(message: &str) -> Failure {
    Failure::new(FailureClass::Interrupted, "interrupted", message)
        .hint("the same command with `--resume` goes on")
}

fn carrying_interrupted() -> Failure {
    interrupted("interrupted: what is done stays, the rows in flight were rolled back")
}

/// Milliseconds since then.
pub(crate) fn millis(since: Instant) -> u64 {
    span(since, Instant::now())
}

fn span(since: Instant, until: Instant) -> u64 {
    let took = until.saturating_duration_since(since);
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// A copy at work.
pub(crate) struct Copying<'c> {
    pub from: &'c World,
    pub to: &'c World,
    pub job: &'c Job,
    pub hash: String,
    pub stages: &'c Stages,
    pub looked: &'c Looked,
    pub history: ledger::History,
    pub pen: Pen,
    pub rejects: Arc<Rejects>,
    pub work: Box<dyn Session>,
    /// Counters that were set.
    pub counted: Vec<bite::Counted>,
    /// Statements that set sequences which stand for themselves.
    pub set_sequences: Vec<String>,
    /// A table that was taken for what it says is not: the copy begins again.
    pub broken: Arc<AtomicBool>,
    /// What was done before its time.
    early: Early,
    /// The source was not found whole while its rows went over.
    unsound: bool,
}

impl Copying<'_> {
    async fn run(
        &mut self,
        readers: &mut Readers,
        sound: &mut Soundness<'_>,
        sink: &mut dyn Sink,
        control: &mut Control,
    ) -> Result<Copied, Failure> {
        self.begin(readers).await?;
        self.known_rejects().map_err(|failure| *failure)?;
        let clock = Instant::now();
        let broken = Arc::clone(&self.broken);
        let carrying = ready::beside(sound, self.carry_all(readers, sink), &broken);
        let carried = tokio::select! {
            carried = carrying => carried,
            () = control.until(Stop::Soon) => Ok(Err(carrying_interrupted())),
        };
        self.unsound = carried.is_err();
        let carried = carried.and_then(|carried| carried);
        if carried.is_err() {
            self.early.end().await;
        }
        let mut tallies = match carried {
            Ok(tallies) => tallies,
            Err(failure) => return Err(self.still_ended(failure).await),
        };
        // Indexes may have been made since the last row went over.
        let filled = self.early.filled().unwrap_or_else(Instant::now);
        let rows_ms = span(clock, filled);
        let clock = filled;
        let left = self
            .after(readers.lead(), &mut tallies, sink, control)
            .await?;
        self.counters(readers.lead()).await?;
        let after_ms = millis(clock);
        let mut copied = self.report(&tallies);
        (copied.rows_ms, copied.after_ms) = (rows_ms, after_ms);
        copied.findings.extend(left);
        if self.job.verify && self.job.what != What::Schema {
            let clock = Instant::now();
            let proof = async {
                self.prove(&tallies, &mut copied, sink).await?;
                self.bite(&mut copied).await
            };
            tokio::select! {
                proven = proof => proven?,
                () = control.until(Stop::Soon) => {
                    return Err(interrupted("interrupted: all rows are there, and not all were read again"));
                }
            }
            copied.verify_ms = millis(clock);
        }
        self.last(&mut copied).await?;
        copied.rejects = self.rejects.close()?;
        self.end(&copied).await?;
        Ok(copied)
    }

    /// What a run of the copy came to; of one that begins again, or whose source was not found whole, nothing stays.
    async fn taken_back(&self, outcome: Result<Copied, Failure>) -> Result<Copied, Failure> {
        let mut failure = match outcome {
            Err(failure) if short::is_again(&failure) => {
                return self.take_back().await.and(Err(failure));
            }
            Err(failure) if self.unsound => failure,
            outcome => return outcome,
        };
        self.leave_nothing(&mut failure).await;
        Err(failure)
    }

    /// Says in the target's journal what is about to happen, and refuses where that is the source's journal too.
    async fn begin(&mut self, readers: &mut Readers) -> Result<(), Failure> {
        let goes_on = self.history.goes_on();
        let mark = self.job.step.as_ref().map(|step| &step.mark);
        let mut detail = serde_json::json!({ "what": "copy", "by": self.to.who, "goes_on": goes_on, "mark": mark });
        let granted = self.looked.granted();
        if !granted.is_empty() {
            detail["granted"] = granted.into();
        }
        let records = self.records(journal::Event::Began, journal::Event::Began, detail);
        let wrong = |error| ledger::failure(self.to, &error, "cannot write the journal");
        self.pen
            .append(self.to, &mut *self.work, &records)
            .await
            .map_err(wrong)?;
        if self.same(readers).await {
            let ended = serde_json::json!({ "outcome": "refused" });
            let records = self.records(journal::Event::Ended, journal::Event::Done, ended);
            let _ = self.pen.append(self.to, &mut *self.work, &records).await;
            return Err(same_database());
        }
        Ok(())
    }

    /// A record of the run and one of the copy; a run that is a plan's is recorded by the plan.
    fn records(
        &self,
        run: journal::Event,
        copy: journal::Event,
        detail: serde_json::Value,
    ) -> Vec<Writing> {
        let of_copy = ledger::record(copy, "run", &self.hash, detail.clone());
        let is_plan = self
            .job
            .step
            .as_ref()
            .is_some_and(|step| step.pen.is_some());
        match is_plan {
            true => vec![of_copy],
            false => vec![Writing::run(run, detail), of_copy],
        }
    }

    /// Whether the source is the target, whatever their URLs say: it shows what was just written there. Asked in a session
    /// of its own, for the readers stand in the past.
    async fn same(&self, readers: &mut Readers) -> bool {
        if readers.lead().caps().engine != self.work.caps().engine {
            return false;
        }
        let Ok(mut session) = self.from.open(Purpose::Read).await else {
            return false;
        };
        // With the target's names for the journal, which the source's configuration need not share.
        let runs = crate::plan::store::runs(self.to, &mut *session).await;
        session.close().await;
        runs.is_ok_and(|runs| runs.iter().any(|record| record.run == self.pen.run))
    }

    /// What is known so far.
    fn report(&self, tallies: &[Tally]) -> Copied {
        let mut copied = Copied {
            run: self.pen.run.clone(),
            not_carried: self.looked.plan.not_carried.clone(),
            findings: self.looked.findings.clone(),
            ..Copied::default()
        };
        let lacks = self.stages.lacks.iter().map(|why| NotCarried {
            object: "statement".into(),
            why: why.clone(),
            text: None,
        });
        copied.not_carried.extend(lacks);
        for (plan, tally) in self.looked.plan.tables.iter().zip(tallies) {
            let table = label(plan.source.0.as_deref(), &plan.source.1);
            for column in &plan.columns {
                if let Some(kind) = column.kind {
                    copied.lossy.push(Lossy {
                        table: table.clone(),
                        column: column.source.clone(),
                        kind: kind.to_owned(),
                        rows: tally.left().rows,
                    });
                }
            }
            for ((column, hazard), rows) in &tally.coerced {
                copied.lossy.push(Lossy {
                    table: table.clone(),
                    column: column.clone(),
                    kind: hazard.code().to_owned(),
                    rows: *rows,
                });
            }
            copied.tables.push(CopiedTable {
                table,
                target: label(plan.target.0.as_deref(), &plan.target.1),
                rows_source: tally.read,
                rows_target: tally.left().rows,
                rejected: tally.rejected + tally.removed.rows,
                digest_source: tally.left().hex(),
                digest_target: None,
                equal: None,
                repaired: None,
            });
        }
        copied
    }

    async fn end(&mut self, copied: &Copied) -> Result<(), Failure> {
        let outcome = match copied.equal {
            Some(false) => "mismatch",
            _ if copied.toothless() => "mismatch",
            _ if copied.rejected() > 0 => "partial",
            _ => "done",
        };
        let detail = serde_json::json!({ "what": "copy", "outcome": outcome });
        let records = self.records(journal::Event::Ended, journal::Event::Done, detail);
        self.pen
            .append(self.to, &mut *self.work, &records)
            .await
            .map_err(|error| ledger::failure(self.to, &error, "cannot write the journal"))
    }
}
