//! What the records of a plan mean: which phases and steps are done, which stand half way, who approved what.
//!
//! A plan's records stand under keys that no migration's version can be: `@PLAN`, `@PLAN/PHASE`, `@PLAN/PHASE/STEP`.

use super::archive::Archives;
use super::fold::UnitState;
use super::record::{Event, Record};
use super::{History, InFlight};
use crate::plan::evidence::Evidence;
use crate::plan::point::Computed;
use crate::plan::steps::Operations;
use crate::source::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Whether a journal's unit is of a plan.
pub fn is_key(unit: &str) -> bool {
    unit.starts_with('@')
}

/// The key of a plan.
pub fn plan_key(plan: &str) -> String {
    format!("@{plan}")
}

/// The key of a phase.
pub fn phase_key(plan: &str, phase: &str) -> String {
    format!("@{plan}/{phase}")
}

/// The key of a step.
pub fn step_key(plan: &str, phase: &str, step: &str) -> String {
    format!("@{plan}/{phase}/{step}")
}

/// Where a phase stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseState {
    /// It has not begun.
    #[default]
    Pending,
    /// It waits for a person or a window.
    Waiting,
    /// It began and has no end yet.
    Running,
    /// It is done.
    Done,
    /// It failed, and stands as it was left.
    Failed,
    /// It was taken back.
    Undone,
    /// What happened in it cannot be known.
    InDoubt,
}

impl PhaseState {
    /// As JSON spells it.
    pub const fn name(self) -> &'static str {
        match self {
            PhaseState::Pending => "pending",
            PhaseState::Waiting => "waiting",
            PhaseState::Running => "running",
            PhaseState::Done => "done",
            PhaseState::Failed => "failed",
            PhaseState::Undone => "undone",
            PhaseState::InDoubt => "in_doubt",
        }
    }

    /// Whether something of it may stand in the database.
    pub const fn stands(self) -> bool {
        matches!(
            self,
            PhaseState::Running | PhaseState::Done | PhaseState::Failed | PhaseState::InDoubt
        )
    }
}

/// What phase-level records keep in `detail`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PhaseDetail {
    /// Who did it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// Of `Began`: the highest keys of tables that checks name.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub marks: Value,
    /// Of `Began`: what checks compare with, by check.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub baselines: Value,
    /// Of `Began`: the checkpoint or backup made before the phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved: Option<String>,
    /// Of `Began`: what was looked up at the gate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub computed: Vec<Computed>,
    /// Of `Checked`, and of an end: what checks found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// Of `Began`: how long it was expected to take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicted_ms: Option<u64>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Of `Failed`: the error. Of `Undone`: what could not be taken back.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// A phase, folded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PhaseHistory {
    /// Where it stands.
    pub state: PhaseState,
    /// The hash of the phase that (last) began.
    pub hash: String,
    /// The run in which it last began.
    pub run: String,
    /// When it last began.
    pub began_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// What was noted when it began.
    pub began: PhaseDetail,
    /// What checks found, in this attempt.
    pub evidence: Vec<Evidence>,
    /// Why it failed, or what could not be taken back.
    pub error: String,
    /// It is being taken back: a run that finds it so finishes that first.
    pub undoing: bool,
    /// The number of the record with which the last attempt ended badly or was taken back: approvals and answers before
    /// it do not count any more.
    pub since: i64,
}

/// A person's word at a gate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Approval {
    /// Who, as they said.
    pub by: String,
    /// In which role.
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The points confirmed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confirm: Vec<String>,
    /// The steps whose undo is impossible and which are accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<String>,
    /// It is a refusal.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reject: bool,
    /// A note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The user of the database.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The user of the operating system.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os: String,
    /// It is the review after the phase.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub review: bool,
}

/// A person's word, where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// The record's number.
    pub id: i64,
    /// When.
    pub at: String,
    /// The phase.
    pub phase: String,
    /// The hash of the phase that was approved.
    pub hash: String,
    /// What was said.
    pub approval: Approval,
}

/// A manual step done, a check answered, a step in doubt settled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Confirmation {
    /// The step or check.
    pub id: String,
    /// Who, as they said.
    pub by: String,
    /// The answer is no.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no: bool,
    /// A note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The user of the operating system.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os: String,
}

/// The newest order from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Nobody said anything, or to go on.
    #[default]
    GoOn,
    /// To pause.
    Pause,
    /// To stop.
    Abort,
}

/// A plan, folded.
#[derive(Debug, Clone, Default)]
pub struct PlanHistory {
    /// The phases that have records.
    pub phases: BTreeMap<String, PhaseHistory>,
    /// The steps, by key.
    pub steps: BTreeMap<String, UnitState>,
    /// The steps that were taken back with their phase and have not begun again, by key.
    pub undone: BTreeSet<String>,
    /// What steps were last lowered to, by key.
    pub lowered: BTreeMap<String, Operations>,
    /// What undos have saved before they destroyed it.
    pub archives: Archives,
    /// What was said at gates, in order.
    pub said: Vec<Said>,
    /// What was confirmed, in order, with the record's number.
    pub confirmed: Vec<(i64, Confirmation)>,
    /// The newest order, with its record's number.
    pub order: (i64, Order),
    /// The highest record number.
    pub last_id: i64,
}

impl PlanHistory {
    /// Folds the records of one plan, oldest first; those of others are passed over.
    pub fn fold(plan: &str, records: &[Record]) -> Self {
        let (own, below) = (plan_key(plan), format!("@{plan}/"));
        let mut history = PlanHistory::default();
        let mut steps: Vec<Record> = vec![];
        for record in records {
            let Some(unit) = &record.unit else { continue };
            history.last_id = history.last_id.max(record.id);
            if *unit == own {
                history.plan_record(record);
            } else if let Some(rest) = unit.strip_prefix(&below) {
                if !rest.contains('/') {
                    if record.event == Event::Undone {
                        history.forget_steps(unit, &mut steps);
                    }
                    history.phase_record(rest, record);
                } else if record.event == Event::Lowered {
                    history.lowered.insert(unit.clone(), record.detail());
                } else if !history.archives.take(unit, record) {
                    steps.push(record.clone());
                }
            }
        }
        let folded = History::fold(&steps);
        history.steps = folded
            .units
            .into_iter()
            .map(|(version, state)| (version.0, state))
            .collect();
        history
    }

    /// A phase that was taken back whole has no step that stands, and none whose failure counts for the next attempt.
    fn forget_steps(&mut self, phase: &str, steps: &mut Vec<Record>) {
        let own = |record: &Record| {
            let unit = record.unit.as_deref().unwrap_or_default();
            unit.strip_prefix(phase)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        let units = steps.iter().filter(|record| own(record));
        self.undone
            .extend(units.filter_map(|record| record.unit.clone()));
        steps.retain(|record| !own(record));
    }

    fn plan_record(&mut self, record: &Record) {
        let order = match record.event {
            Event::Paused => Order::Pause,
            Event::Resumed => Order::GoOn,
            Event::Aborted => Order::Abort,
            Event::Confirmed => {
                self.confirmed.push((record.id, record.detail()));
                return;
            }
            _ => return,
        };
        self.order = (record.id, order);
    }

    fn phase_record(&mut self, id: &str, record: &Record) {
        if record.event == Event::Approved {
            self.said.push(Said {
                id: record.id,
                at: record.at.clone(),
                phase: id.to_owned(),
                hash: record.hash.clone().unwrap_or_default(),
                approval: record.detail(),
            });
            return;
        }
        let phase = self.phases.entry(id.to_owned()).or_default();
        let mut detail: PhaseDetail = record.detail();
        match record.event {
            Event::Began => {
                *phase = PhaseHistory {
                    state: PhaseState::Running,
                    hash: record.hash.clone().unwrap_or_default(),
                    run: record.run.clone(),
                    began_at: Some(record.at.clone()),
                    evidence: std::mem::take(&mut detail.evidence),
                    began: detail,
                    since: phase.since,
                    ..PhaseHistory::default()
                };
            }
            Event::Checked => {
                phase.evidence.append(&mut detail.evidence);
                if let Some(more) = detail.baselines.as_object() {
                    match phase.began.baselines.as_object_mut() {
                        Some(known) => known.extend(more.clone()),
                        None => phase.began.baselines = detail.baselines,
                    }
                }
            }
            Event::Undoing => {
                phase.state = PhaseState::Running;
                phase.undoing = true;
            }
            Event::Done | Event::Failed | Event::Undone => {
                phase.state = match record.event {
                    Event::Done => PhaseState::Done,
                    Event::Failed => PhaseState::Failed,
                    _ => PhaseState::Undone,
                };
                phase.undoing = false;
                phase.ended_at = Some(record.at.clone());
                phase.duration_ms = detail.duration_ms.or(phase.duration_ms);
                phase.evidence.append(&mut detail.evidence);
                phase.error = detail.error;
                if record.event != Event::Done {
                    phase.since = record.id;
                }
            }
            _ => {}
        }
    }

    /// Where a phase stands; one without records is pending.
    pub fn phase(&self, id: &str) -> PhaseHistory {
        self.phases.get(id).cloned().unwrap_or_default()
    }

    /// Where a step stands.
    pub fn step(&self, key: &str) -> StepState {
        match self.steps.get(key) {
            None if self.undone.contains(key) => StepState::Undone,
            None => StepState::Pending,
            Some(UnitState::Applied(_)) => StepState::Done,
            Some(UnitState::Absent { failed: Some(_) }) => StepState::Failed,
            Some(UnitState::Absent { failed: None }) => StepState::Undone,
            Some(UnitState::InFlight(flight)) => match flight.error {
                Some(_) => StepState::Failed,
                None => StepState::Running,
            },
        }
    }

    /// The half-done beginning of a step, where it stands half way.
    pub fn flight(&self, key: &str) -> Option<&InFlight> {
        match self.steps.get(key) {
            Some(UnitState::InFlight(flight)) => Some(flight),
            _ => None,
        }
    }

    /// The step's state as the history of one unit, for the machinery of migrations.
    pub fn as_units(&self, key: &str) -> History {
        let mut history = History {
            exists: true,
            ..History::default()
        };
        if let Some(state) = self.steps.get(key) {
            history.units.insert(Version(key.to_owned()), state.clone());
        }
        history
    }

    /// The answer that counts for a step or check of a phase: the newest since its last attempt.
    pub fn answer(&self, phase: &str, id: &str) -> Option<&Confirmation> {
        let since = self.phases.get(phase).map_or(0, |phase| phase.since);
        self.confirmed
            .iter()
            .rev()
            .find(|(record, said)| *record > since && said.id == id)
            .map(|(_, said)| said)
    }

    /// What was said at a phase's gate that still counts: since its last attempt, and of the phase as it is now.
    pub fn approvals(&self, phase: &str, hash: &str, review: bool) -> Vec<&Said> {
        let since = self.phases.get(phase).map_or(0, |phase| phase.since);
        let counts = |said: &&Said| {
            said.phase == phase
                && said.hash == hash
                && said.id > since
                && said.approval.review == review
        };
        self.said.iter().filter(counts).collect()
    }
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// It has not begun.
    Pending,
    /// It waits for a person.
    Waiting,
    /// It began and has no end yet.
    Running,
    /// It is done.
    Done,
    /// It failed.
    Failed,
    /// It was taken back.
    Undone,
    /// What happened cannot be known.
    InDoubt,
    /// It was passed over.
    Skipped,
    /// It failed and is not critical.
    Warned,
}

/// The names of all plans that a journal speaks of.
pub fn plans(records: &[Record]) -> Vec<String> {
    let mut names: Vec<String> = vec![];
    for record in records {
        let name = record
            .unit
            .as_deref()
            .and_then(|unit| unit.strip_prefix('@'));
        let name = name.map(|rest| rest.split('/').next().unwrap_or(rest).to_owned());
        if let Some(name) = name
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}
