//! What is told of a plan: its phases, steps and checks as the journal knows them, and the documents made of it.

pub mod html;
pub mod junit;
pub mod markdown;
#[cfg(test)]
mod tests;

use crate::journal::archive::{Archive, Home};
use crate::journal::plan::{Approval, PhaseState, PlanHistory, StepState, step_key};
use crate::journal::{Event, Record, UnitState};
use crate::plan::evidence::{CheckOutcome, Evidence};
use crate::plan::point::Computed;
use crate::plan::schedule::schedule;
use crate::source::grammar::checks::When;
use crate::source::grammar::data::Risk;
use crate::source::plan::{CheckDoc, PhaseDoc, PlanDoc};
use serde::Serialize;
use serde_json::Value;

/// Everything that a report says of one plan.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The plan's name.
    pub plan: String,
    /// The database, secrets masked.
    pub database: String,
    /// When the report was made, RFC 3339 UTC.
    pub made_at: String,
    /// The planned first day.
    pub starts: Option<String>,
    /// The phases.
    pub phases: Vec<PhaseReport>,
    /// What people said at gates.
    pub approvals: Vec<ApprovalReport>,
    /// The runs of this plan, oldest first.
    pub runs: Vec<RunReport>,
}

/// What a person said at a gate.
#[derive(Debug, Clone, Serialize)]
pub struct ApprovalReport {
    /// The phase.
    pub phase: String,
    /// When.
    pub at: String,
    /// What.
    #[serde(flatten)]
    pub said: Approval,
}

impl ApprovalReport {
    /// What was done: approved, refused, reviewed.
    pub fn word(&self) -> &'static str {
        match (self.said.reject, self.said.review) {
            (true, _) => "refused",
            (false, true) => "reviewed",
            (false, false) => "approved",
        }
    }

    /// What was confirmed and accepted with it, and the note.
    pub fn beside(&self) -> String {
        let listed = |word: &str, all: &[String]| {
            (!all.is_empty()).then(|| format!("{word}: {}", all.join(", ")))
        };
        let said = [
            listed("confirmed", &self.said.confirm),
            listed("accepted", &self.said.accept),
            self.said.note.clone(),
        ];
        said.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// A run of the plan.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// Its id.
    pub run: String,
    /// What it did.
    pub what: String,
    /// How it ended; `None`: it has no end.
    pub outcome: Option<String>,
    /// When it began.
    pub started_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Who ran it.
    pub by: String,
    /// How long it took.
    pub duration_ms: Option<u64>,
}

impl Report {
    /// The report of a plan.
    pub fn new(
        doc: &PlanDoc,
        history: &PlanHistory,
        runs: &[RunReport],
        database: String,
        made_at: String,
    ) -> Report {
        let own = |run: &&RunReport| {
            run.what
                .split_once(' ')
                .is_some_and(|(_, plan)| plan == doc.name)
        };
        Report {
            plan: doc.name.clone(),
            database,
            made_at,
            starts: doc.starts.map(|day| day.to_string()),
            phases: phases(doc, history),
            approvals: history
                .said
                .iter()
                .map(|said| ApprovalReport {
                    phase: said.phase.clone(),
                    at: said.at.clone(),
                    said: said.approval.clone(),
                })
                .collect(),
            runs: runs.iter().filter(own).cloned().collect(),
        }
    }
}

/// Runs out of the records of their beginnings and ends, oldest first.
pub fn runs(records: &[Record]) -> Vec<RunReport> {
    let mut runs: Vec<RunReport> = vec![];
    for record in records {
        let detail: Value = serde_json::from_str(&record.detail).unwrap_or_default();
        let text = |key: &str| detail[key].as_str().unwrap_or_default().to_owned();
        match record.event {
            Event::Began => runs.push(RunReport {
                run: record.run.clone(),
                what: text("what"),
                outcome: None,
                started_at: record.at.clone(),
                ended_at: None,
                by: text("by"),
                duration_ms: None,
            }),
            Event::Ended => {
                if let Some(run) = runs.iter_mut().rev().find(|run| run.run == record.run) {
                    // What goes in one commit with its end has come to it.
                    let outcome = Some(text("outcome")).filter(|text| !text.is_empty());
                    run.outcome = Some(outcome.unwrap_or_else(|| "done".into()));
                    run.ended_at = Some(record.at.clone());
                    run.duration_ms = detail["duration_ms"].as_u64();
                }
            }
            _ => {}
        }
    }
    runs
}

/// A phase as `run`, `rollback` and reports show it.
#[derive(Debug, Clone, Serialize)]
pub struct PhaseReport {
    /// Its name.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The planned duration, in working days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned_days: Option<f64>,
    /// The day on which it is planned to begin, where the plan says when it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned_from: Option<String>,
    /// The day on which it is planned to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned_to: Option<String>,
    /// The declared risk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    /// What it is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objectives: Vec<String>,
    /// Where it stands.
    pub state: PhaseState,
    /// The run in which it (last) began.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// When it (last) began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// What was looked up at its gate when it began.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub computed: Vec<Computed>,
    /// The checkpoint or backup that was made before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved: Option<String>,
    /// How long it was expected to take when it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted_ms: Option<u64>,
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
    /// What was archived when it was taken back, and what came home of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub archived: Vec<String>,
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
    let planned = schedule(doc).map(|all| all.phases).unwrap_or_default();
    let mut phases: Vec<PhaseReport> = doc
        .phases
        .iter()
        .map(|phase| of_phase(doc, phase, history))
        .collect();
    for phase in &mut phases {
        let own = planned.iter().find(|planned| planned.phase == phase.id);
        phase.planned_from = own.and_then(|own| own.from.clone());
        phase.planned_to = own.and_then(|own| own.to.clone());
    }
    phases
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
            archived: archived(history, &key),
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
        planned_days: phase.duration.map(|duration| duration.days()),
        planned_from: None,
        planned_to: None,
        computed: was.began.computed.clone(),
        saved: was.began.saved.clone(),
        risk: phase.risk,
        objectives: phase.objectives.clone(),
        state: was.state,
        steps: steps.collect(),
        checks,
        run: was.run,
        began_at: was.began_at,
        ended_at: was.ended_at,
        predicted_ms: was.began.predicted_ms,
        duration_ms: was.duration_ms,
        error: was.error,
    }
}

/// One sentence for each archive of a step, oldest first.
fn archived(history: &PlanHistory, key: &str) -> Vec<String> {
    let sentence = |archive: &Archive| {
        let what = archive.archived.shown();
        let home = archive.home.as_ref().map(Home::shown);
        let home = home.unwrap_or_else(|| "comes home when the phase runs forward again".into());
        format!("archived before it went ({}): {what}; {home}", archive.at)
    };
    let mut all: Vec<String> = history.archives.of(key).map(sentence).collect();
    all.reverse();
    all
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
