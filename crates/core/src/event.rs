//! Events: the runner's only voice (invariant 2). Terminal, JSON lines and log are consumers of the same stream.

use crate::failure::Failure;
use crate::finding::Finding;
use crate::plan::evidence::Evidence;
use schemars::JsonSchema;
use serde::Serialize;

/// The JSON Schema of a line of `--events`.
pub fn events_schema() -> serde_json::Value {
    crate::source::grammar::output_schema::<Line>()
}

/// A line of `--events`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "a line of --events")]
struct Line {
    /// When, RFC 3339 UTC.
    at: String,
    /// What.
    #[serde(flatten)]
    event: Event,
}

/// One thing that happened in a run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A run began.
    RunBegan {
        /// The run's id.
        run: String,
        /// What it does: `up`, `down`, `repair` …
        what: String,
        /// The database, redacted.
        database: String,
    },
    /// Said before anything is touched, as what is not exactly-once, or could end in doubt.
    Found {
        /// What.
        finding: Finding,
    },
    /// Another runner holds the lease; this one waits.
    LeaseWaiting {
        /// Who holds it, since when.
        holder: String,
        /// How long this runner has waited.
        waited_ms: u64,
    },
    /// The lease is held now.
    LeaseTaken {
        /// The fencing token.
        token: i64,
    },
    /// A predecessor died or stopped; its session is being ended before anything else is done.
    PredecessorEnding {
        /// Who it was.
        holder: String,
    },
    /// A backup was made and verified.
    BackupDone {
        /// Where it is.
        path: String,
        /// Its size.
        bytes: u64,
        /// How long it took.
        duration_ms: u64,
    },
    /// A step began.
    StepBegan {
        /// The migration's version.
        version: String,
        /// Its name.
        name: String,
        /// `up` or `down`.
        direction: String,
        /// Which of the run's steps, from 1.
        index: usize,
        /// How many steps the run has.
        of: usize,
        /// How many statements it has.
        statements: usize,
        /// From which statement it is resumed, where it is.
        resumed_at: Option<usize>,
    },
    /// A statement began.
    StatementBegan {
        /// The migration's version.
        version: String,
        /// Which statement, from 1.
        statement: usize,
        /// The line of the file.
        line: usize,
        /// Its first words.
        head: String,
    },
    /// A statement still runs; said every few seconds.
    StatementRunning {
        /// The migration's version.
        version: String,
        /// Which statement, from 1.
        statement: usize,
        /// Its first words.
        head: String,
        /// For how long.
        elapsed_ms: u64,
    },
    /// A statement is done.
    StatementDone {
        /// The migration's version.
        version: String,
        /// Which statement, from 1.
        statement: usize,
        /// How many rows it changed.
        rows: u64,
        /// How long it took.
        duration_ms: u64,
    },
    /// A doubt was settled by a probe.
    DoubtSettled {
        /// The migration's version.
        version: String,
        /// Which statement, from 1.
        statement: usize,
        /// `done` or `not done`.
        verdict: String,
        /// By what.
        why: String,
    },
    /// A statement is tried again after a deadlock.
    Retrying {
        /// Which try, from 1.
        attempt: u32,
        /// What the server said.
        error: String,
    },
    /// Something is being taken back.
    Undoing {
        /// What.
        what: String,
    },
    /// A step is done.
    StepDone {
        /// The migration's version.
        version: String,
        /// Its name.
        name: String,
        /// `up` or `down`.
        direction: String,
        /// How long it took.
        duration_ms: u64,
    },
    /// A step failed.
    StepFailed {
        /// The migration's version.
        version: String,
        /// Its name.
        name: String,
        /// Why.
        failure: Failure,
    },
    /// Something worth a look.
    Note {
        /// One sentence.
        message: String,
    },
    /// Progress of something long.
    Progress {
        /// What.
        what: String,
        /// Units done.
        done: u64,
        /// Units in all, where known.
        total: Option<u64>,
        /// What the units are: `rows`, `bytes`, `statements`.
        unit: String,
    },
    /// A phase of a plan began.
    PhaseBegan {
        /// Its name.
        phase: String,
        /// Its title.
        title: String,
    },
    /// A check was evaluated.
    CheckDone {
        /// The phase.
        phase: String,
        /// What it found.
        evidence: Evidence,
    },
    /// A plan waits for a person or a window.
    Waiting {
        /// The phase.
        phase: String,
        /// For what, each a sentence.
        missing: Vec<String>,
    },
    /// A phase of a plan is done.
    PhaseDone {
        /// Its name.
        phase: String,
        /// How long it took.
        duration_ms: u64,
    },
    /// The run ended.
    RunEnded {
        /// The run's id.
        run: String,
        /// Its outcome.
        outcome: crate::exit::Outcome,
        /// How long it took.
        duration_ms: u64,
    },
}

/// Whoever listens to a run.
pub trait Sink: Send {
    /// Takes one event. A sink never fails a run.
    fn event(&mut self, event: &Event);
}

/// Listens to nothing.
#[derive(Debug, Default)]
pub struct Silent;
impl Sink for Silent {
    fn event(&mut self, _event: &Event) {}
}
impl<F: FnMut(&Event) + Send> Sink for F {
    fn event(&mut self, event: &Event) {
        self(event);
    }
}
