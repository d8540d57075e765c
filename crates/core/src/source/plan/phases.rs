//! Phases and steps: taken out of the file each with its pointer, sorted by their needs, and read.

use super::needs::{Arranged, Node, arrange};
use super::parse::Reading;
use super::{PhaseDoc, StepDoc, UndoSpec};
use crate::finding::{Finding, Severity};
use crate::source::grammar::plan::{Gate, PhaseTable};
use crate::source::grammar::steps::StepTable;
use crate::source::nearest::did_you_mean;
use crate::source::shape::without_holes;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A phase or a step with its pointer.
pub(super) struct Found<T> {
    path: String,
    table: T,
    hash: String,
}

/// A phase with its steps.
pub(super) type PhaseWithSteps = (Found<PhaseTable>, Vec<Found<StepTable>>);

/// What is sorted: pointer, name, and what it says that it needs.
type Needing = (String, String, Option<Vec<String>>);

impl Reading<'_> {
    /// Takes the phases and their steps out of the plan.
    pub(super) fn take_phases(
        &mut self,
        plan: &mut Value,
        hashes: &BTreeMap<String, String>,
    ) -> Vec<PhaseWithSteps> {
        let mut phases = vec![];
        for (path, mut value) in items(plan.as_object_mut(), "", "phase") {
            let steps = items(value.as_object_mut(), &path, "step");
            let steps = steps
                .into_iter()
                .filter_map(|(path, value)| self.found(path, value, hashes));
            let steps: Vec<Found<StepTable>> = steps.collect();
            if let Some(phase) = self.found(path, value, hashes) {
                phases.push((phase, steps));
            }
        }
        phases
    }

    fn found<T: DeserializeOwned>(
        &mut self,
        path: String,
        mut value: Value,
        hashes: &BTreeMap<String, String>,
    ) -> Option<Found<T>> {
        // Holes of the checks stay: they are looked up by number. Nulls are no checks.
        let checks = value
            .as_object_mut()
            .and_then(|map| map.shift_remove("check"));
        without_holes(&mut value);
        if let (Some(Value::Array(mut checks)), Some(map)) = (checks, value.as_object_mut()) {
            // A hole becomes an empty table; the reader knows by its place that nothing is there.
            for check in checks.iter_mut() {
                match check.is_null() {
                    true => *check = Value::Object(Map::new()),
                    false => without_holes(check),
                }
            }
            map.insert("check".into(), Value::Array(checks));
        }
        let table = self.typed(&path, value)?;
        let hash = hashes.get(&path).cloned().unwrap_or_default();
        Some(Found { path, table, hash })
    }

    /// The phases, in the order in which they run.
    pub(super) fn phases(&mut self, phases: &mut Vec<PhaseWithSteps>) -> Vec<PhaseDoc> {
        for (phase, _) in phases.iter() {
            self.id("phase", &phase.path, &phase.table.id);
        }
        let owners: BTreeMap<String, String> = phases
            .iter()
            .flat_map(|(phase, steps)| {
                let owner = phase.table.id.clone();
                steps
                    .iter()
                    .map(move |step| (step.table.id.clone(), owner.clone()))
            })
            .collect();
        let nodes: Vec<Needing> = phases
            .iter()
            .map(|(phase, _)| {
                let table = &phase.table;
                (phase.path.clone(), table.id.clone(), table.needs.clone())
            })
            .collect();
        let arranged = self.arranged("phase", &nodes, &BTreeMap::new());
        let mut docs: Vec<Option<PhaseDoc>> = vec![];
        for (at, (phase, steps)) in std::mem::take(phases).into_iter().enumerate() {
            let needs = names_of(&arranged, at, &nodes);
            docs.push(Some(self.phase(phase, steps, needs, &owners)));
        }
        let ordered = arranged
            .order
            .iter()
            .filter_map(|at| docs.get_mut(*at)?.take());
        ordered.collect()
    }

    fn phase(
        &mut self,
        found: Found<PhaseTable>,
        steps: Vec<Found<StepTable>>,
        needs: Vec<String>,
        owners: &BTreeMap<String, String>,
    ) -> PhaseDoc {
        let Found { path, table, hash } = found;
        let gate = table.gate.unwrap_or_default();
        for (key, list) in [("approvers", &table.approvers), ("go", &table.go)] {
            for (at, item) in list.iter().enumerate() {
                let path = format!("{path}/{key}/{at}");
                match item.trim().is_empty() {
                    true => self.error("bad-value", &path, "this is empty".into(), None),
                    // A role twice asks for two people of it; a point can be confirmed only once.
                    false if key == "go" && list[..at].contains(item) => {
                        let message = format!("`{}` is there twice", item.escape_debug());
                        self.error("duplicate-id", &path, message, None);
                    }
                    false => {}
                }
            }
        }
        for (key, list) in [("approvers", &table.approvers), ("go", &table.go)] {
            // Whoever reviews the phase afterwards is named there, too.
            let reviews = key == "approvers" && table.review;
            let idle = gate == Gate::Auto && !list.is_empty() && !reviews;
            if idle && !self.stands(&format!("{path}/gate")) {
                let message = format!("`{key}` does nothing: nobody need open this phase");
                let help = Some("write `gate = \"approve\"` beside it".to_owned());
                self.say(
                    Severity::Warning,
                    "no-gate",
                    &format!("{path}/{key}"),
                    message,
                    help,
                );
            }
        }
        let window = self.window(&format!("{path}/window"), table.window.as_deref());
        let duration = self.duration(&format!("{path}/duration"), table.duration.as_deref());
        let checks = self.checks(&path, table.check);
        let steps = self.steps(steps, owners);
        PhaseDoc {
            title: table.title.unwrap_or_else(|| table.id.clone()),
            id: table.id,
            version: table.version,
            objectives: table.objectives,
            risk: table.risk,
            duration,
            needs,
            gate,
            approvers: table.approvers,
            go: table.go,
            review: table.review,
            backup: table.backup.unwrap_or_default(),
            window,
            checks,
            steps,
            hash,
            place: self.place(&path),
        }
    }

    fn steps(
        &mut self,
        steps: Vec<Found<StepTable>>,
        owners: &BTreeMap<String, String>,
    ) -> Vec<StepDoc> {
        let nodes: Vec<Needing> = steps
            .iter()
            .map(|step| {
                (
                    step.path.clone(),
                    step.table.id.clone(),
                    step.table.needs.clone(),
                )
            })
            .collect();
        let arranged = self.arranged("step", &nodes, owners);
        let mut docs: Vec<Option<StepDoc>> = vec![];
        for (at, Found { path, table, hash }) in steps.into_iter().enumerate() {
            let needs = names_of(&arranged, at, &nodes);
            docs.push(self.step(&path, table, needs, hash));
        }
        let ordered = arranged
            .order
            .iter()
            .filter_map(|at| docs.get_mut(*at)?.take());
        let docs: Vec<StepDoc> = ordered.collect();
        self.impossible_last(&docs);
        docs
    }

    /// What cannot be taken back stands last: else a failure after it could not be taken back to where the phase began.
    fn impossible_last(&mut self, steps: &[StepDoc]) {
        let impossible = |step: &&StepDoc| matches!(step.undo, UndoSpec::Impossible(_));
        let Some(last) = steps.iter().rposition(|step| !impossible(&step)) else {
            return;
        };
        let after = steps[last].id.clone();
        for step in steps[..last].iter().filter(impossible) {
            let message = format!(
                "step `{}` cannot be taken back, and `{after}` comes after it",
                step.id
            );
            let help =
                "put it at the end of its phase, or into a phase of its own behind the others";
            let finding = Finding::error("impossible-not-last", step.place.clone(), message);
            self.findings.push(finding.help(help));
        }
    }

    /// Sorts by what needs what, and says which needs name nothing or each other. `owners`: which phase each step is of.
    fn arranged(
        &mut self,
        what: &str,
        nodes: &[Needing],
        owners: &BTreeMap<String, String>,
    ) -> Arranged {
        let borrowed = nodes.iter().map(|(_, id, needs)| Node {
            id,
            needs: needs.as_deref(),
        });
        let arranged = arrange(&borrowed.collect::<Vec<_>>());
        let known: Vec<&str> = nodes.iter().map(|(_, id, _)| id.as_str()).collect();
        for (at, which) in &arranged.unknown {
            let (path, _, needs) = &nodes[*at];
            let Some(name) = needs.as_ref().and_then(|needs| needs.get(*which)) else {
                continue;
            };
            let (message, help) = match owners.get(name) {
                Some(phase) => (
                    format!("`{name}` is a step of phase `{phase}`"),
                    Some(
                        "steps need steps of their own phase; let the phase need that phase".into(),
                    ),
                ),
                None => (
                    format!("there is no {what} `{}` to need", name.escape_debug()),
                    did_you_mean(name, &known),
                ),
            };
            self.error(
                "unknown-need",
                &format!("{path}/needs/{which}"),
                message,
                help,
            );
        }
        for circle in &arranged.circles {
            let names: Vec<&str> = circle.iter().map(|at| known[*at]).collect();
            let message = match names.as_slice() {
                [one] => format!("{what} `{one}` needs itself"),
                many => format!(
                    "these {what}s need each other: {} → {}",
                    many.join(" → "),
                    many[0]
                ),
            };
            let path = format!("{}/needs", nodes[circle[0]].0);
            let help = Some("take one of the `needs` out".to_owned());
            self.error("needs-cycle", &path, message, help);
        }
        arranged
    }
}

/// Takes a list of tables out of their owner, each with its pointer.
fn items(owner: Option<&mut Map<String, Value>>, path: &str, list: &str) -> Vec<(String, Value)> {
    let Some(Value::Array(values)) = owner.and_then(|owner| owner.shift_remove(list)) else {
        return vec![];
    };
    let pointed = values.into_iter().enumerate();
    pointed
        .map(|(at, value)| (format!("{path}/{list}/{at}"), value))
        .filter(|(_, value)| value.is_object())
        .collect()
}

fn names_of(arranged: &Arranged, at: usize, nodes: &[Needing]) -> Vec<String> {
    let needs = arranged.needs.get(at).into_iter().flatten();
    needs
        .filter_map(|need| nodes.get(*need))
        .map(|(_, id, _)| id.clone())
        .collect()
}
