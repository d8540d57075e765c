//! What a `*.plan.toml` is once it is read, a [`PlanDoc`]: every fault at once, files read, `{name}` filled in, hashes made.

mod checks;
pub mod expect;
mod hash;
mod moving;
mod needs;
mod parse;
mod phases;
pub mod requires;
mod steps;
mod texts;
pub mod window;
pub mod workdays;

pub use parse::{PlanInput, ReadFile, parse_plan, plan_database};

use super::grammar::checks::{
    CheckSeverity, ExecCheck, Explain, Has, HttpCheck, Kept, Refuses, Speed, Untouched, When,
};
use super::grammar::data::Risk;
use super::grammar::moving::{CopyStep, ExportStep, ImportStep};
use super::grammar::plan::{Gate, PhaseBackup, PlanOnFailure, TeamTable, WatchTable};
use super::grammar::steps::{
    AddColumns, Backfill, CheckpointStep, ExecStep, HttpStep, IndexStep, Manual, Require, Settings,
    StepLabel,
};
use crate::finding::Place;
use std::time::Duration;

/// A plan as it was written.
#[derive(Debug, Clone)]
pub struct PlanDoc {
    /// The file, as shown to people.
    pub file: String,
    /// Its name within one journal.
    pub name: String,
    /// The database of `dunlin.toml`; `None`: the default one.
    pub database: Option<String>,
    /// What happens when a step or a check fails.
    pub on_failure: PlanOnFailure,
    /// What must be there, variables expanded.
    pub requires: Vec<requires::Requirement>,
    /// When something new may begin.
    pub window: Option<window::Window>,
    /// The planned first day.
    pub starts: Option<jiff::civil::Date>,
    /// Who must be there.
    pub team: Vec<TeamTable>,
    /// What is measured during the whole run.
    pub watch: Option<WatchTable>,
    /// The phases, in the order in which they run.
    pub phases: Vec<PhaseDoc>,
    /// What the plan takes from the environment under names that say secret, for the redacting filter.
    pub secrets: super::Secrets,
}

/// A phase as it was written.
#[derive(Debug, Clone)]
pub struct PhaseDoc {
    /// Its name.
    pub id: String,
    /// Its title; the name where it has none.
    pub title: String,
    /// The version that it leads to.
    pub version: Option<u64>,
    /// What it is for.
    pub objectives: Vec<String>,
    /// The declared risk.
    pub risk: Option<Risk>,
    /// The planned duration.
    pub duration: Option<workdays::WorkDays>,
    /// Phases that must be done: the one before, where nothing is said.
    pub needs: Vec<String>,
    /// Whether a person opens it.
    pub gate: Gate,
    /// The roles that must approve.
    pub approvers: Vec<String>,
    /// Points that a person confirms.
    pub go: Vec<String>,
    /// A second approval afterwards.
    pub review: bool,
    /// What is saved before it.
    pub backup: PhaseBackup,
    /// When something new may begin.
    pub window: Option<window::Window>,
    /// The checks.
    pub checks: Vec<CheckDoc>,
    /// The steps, in the order in which they run.
    pub steps: Vec<StepDoc>,
    /// The hash of everything that counts: an approval is bound to it, and a phase that has begun may not change it.
    /// Titles, objectives and places do not count; the text of SQL files does.
    pub hash: String,
    /// Where it stands.
    pub place: Place,
}

/// A step as it was written.
#[derive(Debug, Clone)]
pub struct StepDoc {
    /// Its name, unique in the plan.
    pub id: String,
    /// Its title; the name where it has none.
    pub title: String,
    /// A label of reports.
    pub label: Option<StepLabel>,
    /// Whether a failure is more than a warning.
    pub critical: bool,
    /// Steps of this phase that must be done.
    pub needs: Vec<String>,
    /// Who blocks it is ended after this; `None`: never.
    pub kill_blockers: Option<Duration>,
    /// Outside of it the step does not begin, and rests between its batches.
    pub window: Option<window::Window>,
    /// The declared risk.
    pub risk: Option<Risk>,
    /// How long the author thinks it takes.
    pub estimate: Option<Duration>,
    /// What it does.
    pub kind: StepSpec,
    /// How it is taken back.
    pub undo: UndoSpec,
    /// Checks right before and after it.
    pub checks: Vec<CheckDoc>,
    /// The hash of what it does and how it is taken back.
    pub hash: String,
    /// Where it stands.
    pub place: Place,
}

/// SQL of a plan: written there, or a file's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlText {
    /// The file, as shown to people: the plan's own where it is written there.
    pub file: String,
    /// The line on which the text begins, from 1.
    pub line: usize,
    /// The text, placeholders filled in.
    pub text: String,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum StepSpec {
    /// Runs SQL.
    Sql(SqlText),
    /// Applies migrations: to a version, or `None` for all.
    Migrate(Option<super::Version>),
    /// Adds columns.
    AddColumns(AddColumns),
    /// Fills rows in batches.
    Backfill(Backfill),
    /// Adds constraints.
    Require(Require),
    /// Builds an index.
    Index(IndexStep),
    /// Writes rows of a settings table.
    Settings(Settings),
    /// Switches a plugin of `dunlin.toml`.
    Plugin {
        /// Its id.
        id: String,
        /// On, or off.
        on: bool,
    },
    /// Cleans by rules of `dunlin.toml`.
    Clean(Vec<String>),
    /// Copies between databases.
    Copy(Box<CopyStep>),
    /// Writes rows to files.
    Export(Box<ExportStep>),
    /// Reads rows from files.
    Import(Box<ImportStep>),
    /// Saves tables.
    Checkpoint(CheckpointStep),
    /// Runs a command.
    Exec(ExecStep),
    /// Sends a request.
    Http(HttpStep),
    /// A person does something.
    Manual(Manual),
    /// A kind that comes with a later version; its name.
    Later(&'static str),
}

impl StepSpec {
    /// The kind, as the file spells it.
    pub const fn kind(&self) -> &'static str {
        match self {
            StepSpec::Sql(_) => "sql",
            StepSpec::Migrate(_) => "migrate",
            StepSpec::AddColumns(_) => "add_columns",
            StepSpec::Backfill(_) => "backfill",
            StepSpec::Require(_) => "require",
            StepSpec::Index(_) => "index",
            StepSpec::Settings(_) => "settings",
            StepSpec::Plugin { .. } => "plugin",
            StepSpec::Clean(_) => "clean",
            StepSpec::Copy(_) => "copy",
            StepSpec::Export(_) => "export",
            StepSpec::Import(_) => "import",
            StepSpec::Checkpoint(_) => "checkpoint",
            StepSpec::Exec(_) => "exec",
            StepSpec::Http(_) => "http",
            StepSpec::Manual(_) => "manual",
            StepSpec::Later(kind) => kind,
        }
    }
}

/// How a step is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UndoSpec {
    /// By the inverse of what it does.
    Derive,
    /// By SQL.
    Sql(SqlText),
    /// From a checkpoint made before it, merged by key.
    Restore,
    /// By a command.
    Exec(String),
    /// Not at all, and why.
    Impossible(String),
    /// Nothing is to be undone, and why.
    None(String),
}

/// A check as it was written.
#[derive(Debug, Clone)]
pub struct CheckDoc {
    /// Its name, unique in the plan.
    pub id: String,
    /// When it is evaluated.
    pub when: When,
    /// What a failure means.
    pub severity: CheckSeverity,
    /// What it asserts.
    pub kind: CheckSpec,
    /// Where it stands.
    pub place: Place,
}

/// What a check asserts.
#[derive(Debug, Clone)]
pub enum CheckSpec {
    /// A query's answer.
    Sql {
        /// The query.
        sql: SqlText,
        /// What its first value must be.
        expect: Option<expect::Expect>,
        /// What must hold for every row.
        rows: Option<expect::RowExpect>,
    },
    /// No row of before is missing or altered.
    Kept(Kept),
    /// A query's answer is as before.
    Unchanged(SqlText),
    /// Tables are as before.
    Untouched(Untouched),
    /// A statement is refused.
    Refuses(Refuses),
    /// A statement succeeds.
    Accepts(SqlText),
    /// A request's answer.
    Http(HttpCheck),
    /// A query has not become slower.
    Speed(Speed),
    /// How a query would be run.
    Explain(Explain),
    /// The catalog.
    Has(Has),
    /// Rules of `dunlin.toml`.
    Rules(Vec<String>),
    /// A comparison of `dunlin.toml`.
    Compare(String),
    /// A command exits with 0.
    Exec(ExecCheck),
    /// A person answers.
    Ask(String),
}

impl CheckSpec {
    /// The kind, as the file spells it.
    pub const fn kind(&self) -> &'static str {
        match self {
            CheckSpec::Sql { .. } => "sql",
            CheckSpec::Kept(_) => "kept",
            CheckSpec::Unchanged(_) => "unchanged",
            CheckSpec::Untouched(_) => "untouched",
            CheckSpec::Refuses(_) => "refuses",
            CheckSpec::Accepts(_) => "accepts",
            CheckSpec::Http(_) => "http",
            CheckSpec::Speed(_) => "speed",
            CheckSpec::Explain(_) => "explain",
            CheckSpec::Has(_) => "has",
            CheckSpec::Rules(_) => "rules",
            CheckSpec::Compare(_) => "compare",
            CheckSpec::Exec(_) => "exec",
            CheckSpec::Ask(_) => "ask",
        }
    }
}

impl PlanDoc {
    /// The phase of this name.
    pub fn phase(&self, id: &str) -> Option<&PhaseDoc> {
        self.phases.iter().find(|phase| phase.id == id)
    }

    /// All steps with their phases, in order.
    pub fn steps(&self) -> impl Iterator<Item = (&PhaseDoc, &StepDoc)> {
        self.phases
            .iter()
            .flat_map(|phase| phase.steps.iter().map(move |step| (phase, step)))
    }

    /// Whether a step runs versioned migrations, so that their folder must be there.
    pub fn runs_migrations(&self) -> bool {
        self.steps()
            .any(|(_, step)| matches!(step.kind, StepSpec::Migrate(_)))
    }
}
