//! What `plan show` gives: the keys of its JSON.

use super::state::State;
use dunlin_core::finding::Finding;
use dunlin_core::journal::plan::{PhaseState, StepState};
use dunlin_core::plan::estimate::Estimate;
use dunlin_core::plan::gate::GateState;
use dunlin_core::plan::risk::{Level, Reason};
use dunlin_core::plan::schedule::{Planned, Schedule};
use dunlin_core::source::grammar::checks::{CheckSeverity, When};
use dunlin_core::source::grammar::plan::{Gate, PhaseBackup, PlanOnFailure, TeamTable};
use dunlin_core::source::grammar::steps::StepLabel;
use serde::Serialize;

/// A plan, shown.
#[derive(Debug, Clone, Serialize)]
pub struct PlanView {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// What happens when a step or a check fails.
    pub on_failure: PlanOnFailure,
    /// How risky it is, and why.
    pub risk: RiskView,
    /// What to do before it is run.
    pub recommendations: Vec<String>,
    /// What could not be judged, and why.
    pub unknown: Vec<String>,
    /// How long it may take.
    pub estimate_ms: Option<u64>,
    /// How long taking all of it back may take.
    pub undo_estimate_ms: Option<u64>,
    /// The first with its source and error.
    pub estimate: Estimate,
    /// The second.
    pub undo_estimate: Estimate,
    /// The phases.
    pub phases: Vec<PhaseView>,
    /// What must be there.
    pub requirements: Vec<String>,
    /// What `rollback` does, in its order.
    pub rollback_plan: Vec<BackView>,
    /// Where we are.
    pub current_state: State,
    /// When what is planned.
    pub schedule: Option<Schedule>,
    /// Who must be there.
    pub team: Vec<TeamTable>,
    /// When something new may begin.
    pub window: Option<String>,
    /// Why nobody answered, where nobody did.
    pub unreachable: Option<String>,
}

/// A level with its reasons.
#[derive(Debug, Clone, Serialize)]
pub struct RiskView {
    /// The highest.
    pub level: Level,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// A phase, shown.
#[derive(Debug, Clone, Serialize)]
pub struct PhaseView {
    /// Its name.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The version that it leads to.
    pub version: Option<u64>,
    /// What it is for.
    pub objectives: Vec<String>,
    /// Phases that must be done.
    pub needs: Vec<String>,
    /// Where it stands.
    pub state: PhaseState,
    /// How risky it is.
    pub risk: Level,
    /// Why.
    pub reasons: Vec<Reason>,
    /// How long it may take.
    pub estimate_ms: Option<u64>,
    /// How long taking it back may take.
    pub undo_estimate_ms: Option<u64>,
    /// The first with its source and error.
    pub estimate: Estimate,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// When it is planned.
    pub planned: Option<Planned>,
    /// Its gate.
    pub gate: GateView,
    /// What is saved before it.
    pub backup: PhaseBackup,
    /// When something new may begin.
    pub window: Option<String>,
    /// Its checks.
    pub checks: Vec<CheckView>,
    /// Its steps.
    pub steps: Vec<StepView>,
}

/// A gate, shown.
#[derive(Debug, Clone, Serialize)]
pub struct GateView {
    /// Whether a person opens it.
    pub kind: Gate,
    /// Who must approve, each by another person.
    pub approvers: Vec<String>,
    /// The points that a person confirms.
    pub points: Vec<String>,
    /// Steps that cannot be taken back and must be accepted by name.
    pub accept: Vec<String>,
    /// A second approval afterwards.
    pub review: bool,
    /// How it stands.
    #[serde(flatten)]
    pub state: GateState,
}

/// A check, shown.
#[derive(Debug, Clone, Serialize)]
pub struct CheckView {
    /// Its name.
    pub id: String,
    /// Its kind.
    pub kind: &'static str,
    /// When it is evaluated.
    pub when: When,
    /// What a failure means.
    pub severity: CheckSeverity,
}

/// A step, shown.
#[derive(Debug, Clone, Serialize)]
pub struct StepView {
    /// Its name.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its kind.
    pub kind: &'static str,
    /// Its label.
    #[serde(rename = "type")]
    pub label: Option<StepLabel>,
    /// Whether a failure is more than a warning.
    pub critical: bool,
    /// Steps that must be done.
    pub needs: Vec<String>,
    /// Where it stands.
    pub state: StepState,
    /// How risky it is.
    pub risk: Level,
    /// Its way back.
    pub undo: UndoView,
    /// What was archived when it was taken back, and waits to come home when it runs again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting_archives: Vec<ArchiveView>,
    /// What its statements do to others.
    pub hazards: Vec<HazardView>,
    /// Its statements, as far as they are known by now.
    pub statements: Vec<String>,
    /// How long it may take.
    pub estimate_ms: Option<u64>,
    /// How long taking it back may take.
    pub undo_estimate_ms: Option<u64>,
    /// The first with its source and error.
    pub estimate: Estimate,
    /// The second.
    pub undo_estimate: Estimate,
    /// Its checks.
    pub checks: Vec<CheckView>,
    /// Why it would be refused as it is now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Finding>,
    /// What is not known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// What waits to come home, shown.
#[derive(Debug, Clone, Serialize)]
pub struct ArchiveView {
    /// The checkpoint's id.
    pub checkpoint: String,
    /// Its file.
    pub file: String,
    /// When it was archived.
    pub at: String,
    /// What is in it, for people.
    pub parts: Vec<String>,
}

/// A way back, shown.
#[derive(Debug, Clone, Serialize)]
pub struct UndoView {
    /// `derive`, `sql`, `restore`, `exec`, `impossible` or `none`.
    pub kind: &'static str,
    /// One sentence.
    pub text: String,
    /// The statements, as far as they are known by now.
    pub statements: Vec<String>,
}

/// What a statement does to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HazardView {
    /// Its code.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// The table.
    pub table: Option<String>,
    /// The table's rows, where they are known.
    pub rows: Option<u64>,
}

/// One step of the way back.
#[derive(Debug, Clone, Serialize)]
pub struct BackView {
    /// The phase.
    pub phase: String,
    /// The step.
    pub step: String,
    /// What is done.
    pub undo: String,
}
