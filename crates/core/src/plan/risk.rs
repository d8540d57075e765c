//! How risky a plan is, from what it says and what was observed: for each step, each phase and the whole, with reasons.
//!
//! A declared risk is raised by what is computed and never lowered. What is not known raises nothing and is said.

use crate::limits::{BIG_DATABASE_BYTES, LARGE_TABLE_BYTES, LARGE_TABLE_ROWS};
use crate::source::grammar::data::MetricTable;
use crate::source::grammar::plan::PhaseBackup;
use crate::source::plan::requires::Required;
use crate::source::plan::{PhaseDoc, PlanDoc, StepDoc, StepSpec, UndoSpec};
use serde::Serialize;
use std::collections::BTreeMap;

pub use crate::source::grammar::data::Risk as Level;

/// More phases than these are a risk.
pub const PHASES_MAX: usize = 2;

/// More plugins to switch on than these are a risk.
pub const PLUGINS_MAX: usize = 2;

/// What a statement does to a table while others wait, by the codes of its hazards.
const BLOCKING: [&str; 4] = [
    "table-rewrite",
    "lock-table-scan",
    "blocking-index",
    "rebuild-loses-rows",
];

/// Why something is risky.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// A stable snake_case word.
    pub kind: &'static str,
    /// How much of a risk it is.
    pub level: Level,
    /// One sentence.
    pub description: String,
    /// What to do about it.
    pub mitigation: String,
}

/// A level with its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assessed {
    /// The highest of its reasons.
    pub level: Level,
    /// Why.
    pub reasons: Vec<Reason>,
}

impl Assessed {
    fn of(reasons: Vec<Reason>) -> Self {
        let level = reasons.iter().map(|reason| reason.level).max();
        Assessed {
            level: level.unwrap_or(Level::Low),
            reasons,
        }
    }
}

/// The risk of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRisk {
    /// The whole: the reasons of its phases and steps are among its own.
    pub whole: Assessed,
    /// Its phases, by name.
    pub phases: BTreeMap<String, Assessed>,
    /// Its steps, by name.
    pub steps: BTreeMap<String, Assessed>,
    /// What to do before it is run.
    pub recommendations: Vec<String>,
    /// What could not be judged, and why.
    pub unknown: Vec<String>,
}

/// What was observed of the world; what is not known is absent.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The size of the database.
    pub bytes: Option<u64>,
    /// The figures of `[[state.metric]]` with their values.
    pub metrics: Vec<(MetricTable, Option<f64>)>,
    /// Which plugins are on.
    pub plugins: BTreeMap<String, bool>,
    /// Steps that were looked at, by name.
    pub steps: BTreeMap<String, StepSeen>,
}

/// What was observed of a step.
#[derive(Debug, Clone, Default)]
pub struct StepSeen {
    /// What its statements do to tables.
    pub heavy: Vec<Heavy>,
    /// Why it cannot be taken back, where that came out when it was looked at.
    pub irreversible: Option<String>,
    /// Why it could not be looked at.
    pub unknown: Option<String>,
}

/// What a statement does to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heavy {
    /// The hazard's code.
    pub code: &'static str,
    /// The table.
    pub table: String,
    /// Its rows, where they are known.
    pub rows: Option<u64>,
    /// Its size, where it is known.
    pub bytes: Option<u64>,
}

impl Heavy {
    /// Whether others wait for as long as the table is large.
    pub fn is_blocking(&self) -> bool {
        BLOCKING.contains(&self.code)
    }

    /// Whether the table is large. `None`: nobody knows.
    pub fn is_large(&self) -> Option<bool> {
        match (self.rows, self.bytes) {
            (None, None) => None,
            (rows, bytes) => Some(
                rows.is_some_and(|rows| rows >= LARGE_TABLE_ROWS)
                    || bytes.is_some_and(|bytes| bytes >= LARGE_TABLE_BYTES),
            ),
        }
    }
}

/// Assesses a plan.
pub fn assess(doc: &PlanDoc, observed: &Observed) -> PlanRisk {
    let mut risk = PlanRisk {
        whole: Assessed::of(vec![]),
        phases: BTreeMap::new(),
        steps: BTreeMap::new(),
        recommendations: vec![],
        unknown: vec![],
    };
    let mut all = of_plan(doc, observed, &mut risk.unknown);
    for phase in &doc.phases {
        let mut reasons: Vec<Reason> = declared(phase.risk, "phase", &phase.id)
            .into_iter()
            .collect();
        for step in &phase.steps {
            let own = of_step(step, observed.steps.get(&step.id), &mut risk.unknown);
            reasons.extend(own.iter().cloned());
            risk.steps.insert(step.id.clone(), Assessed::of(own));
        }
        all.extend(reasons.iter().cloned());
        risk.phases.insert(phase.id.clone(), Assessed::of(reasons));
    }
    all.sort_by_key(|reason| std::cmp::Reverse(reason.level));
    risk.whole = Assessed::of(all);
    risk.recommendations = recommendations(doc, risk.whole.level);
    risk
}

fn declared(level: Option<Level>, what: &str, id: &str) -> Option<Reason> {
    let level = level.filter(|level| *level > Level::Low)?;
    Some(Reason {
        kind: "declared",
        level,
        description: format!("{what} `{id}` is declared as {}", word(level)),
        mitigation: "the plan's author knows why: read its objectives and ask them".into(),
    })
}

/// A level as files and JSON spell it.
pub const fn word(level: Level) -> &'static str {
    match level {
        Level::Low => "low",
        Level::Medium => "medium",
        Level::High => "high",
        Level::Critical => "critical",
    }
}

fn of_plan(doc: &PlanDoc, observed: &Observed, unknown: &mut Vec<String>) -> Vec<Reason> {
    let mut reasons = vec![];
    match observed.bytes {
        Some(bytes) if bytes > BIG_DATABASE_BYTES => reasons.push(Reason {
            kind: "large_database",
            level: Level::Medium,
            description: format!(
                "the database is over 1 GB ({:.1} GB): whatever reads or writes all of it takes its time",
                bytes as f64 / 1e9
            ),
            mitigation: "measure the steps on a copy of the same size, and choose hours of low traffic".into(),
        }),
        Some(_) => {}
        None => unknown.push("how large the database is: nobody answered".into()),
    }
    if doc.phases.len() > PHASES_MAX {
        reasons.push(Reason {
            kind: "many_phases",
            level: Level::Medium,
            description: format!(
                "{} phases: each is a state in which the application must work",
                doc.phases.len()
            ),
            mitigation:
                "stop after each phase and look; let `gate = \"approve\"` ask for a person's word"
                    .into(),
        });
    }
    let plugins: Vec<&str> = doc
        .steps()
        .filter_map(|(_, step)| match &step.kind {
            StepSpec::Plugin { id, on: true } if observed.plugins.get(id) != Some(&true) => {
                Some(id.as_str())
            }
            _ => None,
        })
        .collect();
    if plugins.len() > PLUGINS_MAX {
        reasons.push(Reason {
            kind: "many_plugins",
            level: Level::Medium,
            description: format!("{} plugins are switched on: {}", plugins.len(), plugins.join(", ")),
            mitigation: "switch them on one by one and watch the application after each; every one can be switched off again".into(),
        });
    }
    for (metric, value) in &observed.metrics {
        match value {
            Some(value) => reasons.extend(of_metric(metric, *value)),
            None => unknown.push(format!("metric `{}`: it has no value", metric.id)),
        }
    }
    reasons
}

fn of_metric(metric: &MetricTable, value: f64) -> Option<Reason> {
    let above = metric.warn_above.filter(|bound| value > *bound);
    let below = metric.warn_below.filter(|bound| value < *bound);
    let (side, bound) = match (above, below) {
        (Some(bound), _) => ("above", bound),
        (None, Some(bound)) => ("below", bound),
        (None, None) => return None,
    };
    Some(Reason {
        kind: "metric",
        level: metric.risk.unwrap_or(Level::Medium),
        description: format!("`{}` is {value}, {side} its bound of {bound}", metric.id),
        mitigation: metric
            .mitigation
            .clone()
            .unwrap_or_else(|| "find out why before the plan makes it worse".into()),
    })
}

fn of_step(step: &StepDoc, seen: Option<&StepSeen>, unknown: &mut Vec<String>) -> Vec<Reason> {
    let id = &step.id;
    let mut reasons: Vec<Reason> = declared(step.risk, "step", id).into_iter().collect();
    if matches!(step.kind, StepSpec::Copy(_)) {
        reasons.push(Reason {
            kind: "change_of_engine",
            level: Level::High,
            description: format!("step `{id}` moves the data to another database: types, texts and order may differ there"),
            mitigation: "rehearse the copy, verify every table by digest, and keep the old database until the new one has proved itself".into(),
        });
    }
    let impossible = match &step.undo {
        UndoSpec::Impossible(why) => Some(why),
        _ => seen.and_then(|seen| seen.irreversible.as_ref()),
    };
    if let Some(why) = impossible {
        reasons.push(Reason {
            kind: "irreversible",
            level: Level::High,
            description: format!("step `{id}` cannot be taken back: {why}"),
            mitigation: "make and verify a backup right before it (`backup = \"database\"`): from here on it is the only way back".into(),
        });
    }
    let Some(seen) = seen else { return reasons };
    if let Some(why) = &seen.unknown {
        unknown.push(format!("step `{id}`: {why}"));
    }
    let mut said: Vec<&str> = vec![];
    for heavy in seen.heavy.iter().filter(|heavy| heavy.is_blocking()) {
        if said.contains(&heavy.table.as_str()) {
            continue;
        }
        match heavy.is_large() {
            Some(true) => {
                said.push(&heavy.table);
                reasons.push(blocking(id, heavy));
            }
            Some(false) => {}
            None => {
                said.push(&heavy.table);
                unknown.push(format!(
                    "step `{id}`: how large `{}` is, which it reads or writes whole while others wait",
                    heavy.table
                ));
            }
        }
    }
    reasons
}

fn blocking(id: &str, heavy: &Heavy) -> Reason {
    let does = match heavy.code {
        "table-rewrite" | "rebuild-loses-rows" => "writes all of",
        "blocking-index" => "builds an index over all of",
        _ => "reads all of",
    };
    let size = match (heavy.rows, heavy.bytes) {
        (Some(rows), _) => format!("about {rows} rows"),
        (None, Some(bytes)) => format!("{:.1} GB", bytes as f64 / 1e9),
        (None, None) => "size not known".to_owned(),
    };
    Reason {
        kind: "large_table",
        level: Level::High,
        description: format!(
            "step `{id}` {does} `{}` ({size}) while others wait ({})",
            heavy.table, heavy.code
        ),
        mitigation: "use the step kinds that do it without the lock (`index`, `require`, `add_columns`, `backfill`), or a window without traffic".into(),
    }
}

/// What to do before it is run: what the plan sees to already is named as such.
fn recommendations(doc: &PlanDoc, level: Level) -> Vec<String> {
    let has = |wanted: fn(&Required) -> bool| doc.requires.iter().any(|one| wanted(&one.kind));
    let windows = |phase: &PhaseDoc| phase.window.is_some();
    let mut list = vec![];
    list.push(match doc.window.is_some() || doc.phases.iter().any(windows) {
        true => "Window: keep to the one that the plan names; tell those who use the application".into(),
        false => "Window: choose hours of low traffic (`window = \"Sun-Thu 02:00-05:00 Asia/Tehran\"`) and tell those who use the application".into(),
    });
    list.push(
        match has(|required| matches!(required, Required::Rehearsal(_))) {
            true => "Rehearsal: `dunlin rehearse` within the age that the plan requires".into(),
            false => "Rehearsal: forward, back and forward on a scratch copy first (`dunlin rehearse`), so that the estimates are measured ones".into(),
        },
    );
    let backs_up = has(|required| matches!(required, Required::Backup(_)))
        || doc
            .phases
            .iter()
            .any(|phase| phase.backup == PhaseBackup::Database);
    list.push(match backs_up {
        true => "Backup: the plan asks for one; see that there is room for it".into(),
        false => "Backup: make one and verify it by restoring it (`backup = \"database\"` on the first phase, or `dunlin backup create` and `backup verify`)".into(),
    });
    if level >= Level::Medium {
        list.push("Test on a copy: run the plan and the application's own tests on a copy with the real rows".into());
        let team: Vec<&str> = doc.team.iter().map(|one| one.role.as_str()).collect();
        list.push(match team.is_empty() {
            true => "Support at hand: have somebody there who knows the database and may decide to go back".into(),
            false => format!("Support at hand: {}", team.join(", ")),
        });
    }
    list
}

#[cfg(test)]
#[path = "risk_tests.rs"]
pub(crate) mod tests;
