//! What is told of a plan: its phases and steps as the journal knows them.

use dunlin_core::journal::UnitState;
use dunlin_core::journal::plan::{PhaseState, PlanHistory, StepState, step_key};
use dunlin_core::plan::evidence::{CheckOutcome, Evidence};
use dunlin_core::source::grammar::checks::When;
use dunlin_core::source::plan::{CheckDoc, PhaseDoc, PlanDoc};
use serde::Serialize;

/// A phase as `run`, `rollback` and reports show it.
#[derive(Debug, Clone, Serialize)]
pub struct PhaseReport {
    /// Its name.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub state: PhaseState,
    /// When it (last) began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Why it failed, or what could not be taken back.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Its steps.
    pub steps: Vec<StepReport>,
    /// Its checks.
    pub checks: Vec<CheckReport>,
}

/// A step.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// Its name.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its kind.
    pub kind: &'static str,
    /// Where it stands.
    pub state: StepState,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// How many rows it changed, where that is known.
    pub rows: Option<u64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A check.
#[derive(Debug, Clone, Serialize)]
pub struct CheckReport {
    /// Its name.
    pub id: String,
    /// `before` or `after`.
    pub when: String,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// What was expected.
    pub expected: String,
    /// What was observed.
    pub observed: String,
    /// When, where it was evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// All phases of a plan as the journal knows them.
pub fn phases(doc: &PlanDoc, history: &PlanHistory) -> Vec<PhaseReport> {
    doc.phases
        .iter()
        .map(|phase| of_phase(doc, phase, history))
        .collect()
}

fn of_phase(doc: &PlanDoc, phase: &PhaseDoc, history: &PlanHistory) -> PhaseReport {
    let was = history.phase(&phase.id);
    let steps = phase.steps.iter().map(|step| {
        let key = step_key(&doc.name, &phase.id, &step.id);
        let state = match history.step(&key) {
            StepState::Failed if !step.critical && was.state != PhaseState::Failed => {
                StepState::Warned
            }
            state => state,
        };
        let (duration_ms, rows) = match history.steps.get(&key) {
            Some(UnitState::Applied(applied)) => (applied.duration_ms, applied.rows),
            _ => (None, None),
        };
        let error = match history.steps.get(&key) {
            Some(UnitState::InFlight(flight)) => flight.error.clone(),
            Some(UnitState::Absent { failed }) => failed.clone(),
            _ => None,
        };
        StepReport {
            id: step.id.clone(),
            title: step.title.clone(),
            kind: step.kind.kind(),
            state,
            duration_ms,
            rows,
            error,
        }
    });
    let own = phase.steps.iter().flat_map(|step| &step.checks);
    let checks = phase
        .checks
        .iter()
        .chain(own)
        .flat_map(|check| of_check(check, &was.evidence))
        .collect();
    PhaseReport {
        id: phase.id.clone(),
        title: phase.title.clone(),
        state: was.state,
        steps: steps.collect(),
        checks,
        began_at: was.began_at,
        ended_at: was.ended_at,
        duration_ms: was.duration_ms,
        error: was.error,
    }
}

fn of_check(check: &CheckDoc, evidence: &[Evidence]) -> Vec<CheckReport> {
    let whens: &[&str] = match check.when {
        When::Before => &["before"],
        When::After => &["after"],
        When::Both => &["before", "after"],
    };
    let of = |when: &&str| {
        let found = evidence
            .iter()
            .rev()
            .find(|found| found.id == check.id && found.when == *when);
        match found {
            Some(found) => CheckReport {
                id: found.id.clone(),
                when: found.when.clone(),
                outcome: found.outcome,
                expected: found.expected.clone(),
                observed: found.observed.clone(),
                at: Some(found.at.clone()),
                duration_ms: Some(found.duration_ms),
            },
            None => CheckReport {
                id: check.id.clone(),
                when: (*when).to_owned(),
                outcome: CheckOutcome::NotRun,
                expected: String::new(),
                observed: String::new(),
                at: None,
                duration_ms: None,
            },
        }
    };
    whens.iter().map(of).collect()
}
