//! Hashes of what counts in a phase and in a step: the table as it is written, without what is only for people, with
//! the meaning of its SQL in place of the text, and with the plugins of `dunlin.toml` that it switches.
//!
//! Variables are hashed as they are written: what an approval is bound to says nothing of secrets, and holds on the host
//! that carries it out.

use crate::hash::Hasher;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What is only for people: in phases, and in steps.
const OF_PHASES: [&str; 4] = ["title", "objectives", "duration", "risk"];
const OF_STEPS: [&str; 4] = ["title", "type", "risk", "estimate"];
/// What says nothing of what a step does, in a hash of the step alone.
const OF_STEPS_ALONE: [&str; 8] = [
    "title",
    "type",
    "risk",
    "estimate",
    "critical",
    "needs",
    "kill_blockers",
    "check",
];

/// What is hashed beside the tables.
pub(super) struct Parts<'a> {
    /// The fingerprint of the meaning of each SQL text, by pointer.
    pub meanings: &'a BTreeMap<String, String>,
    /// The definition of each plugin.
    pub plugins: &'a dyn Fn(&str) -> Option<Value>,
}

impl Parts<'_> {
    /// The hash of a phase with its checks and steps.
    pub(super) fn phase(&self, path: &str, phase: &Map<String, Value>) -> String {
        let mut hasher = Hasher::new();
        let steps = phase.get("step").and_then(Value::as_array);
        for step in steps.into_iter().flatten().filter_map(Value::as_object) {
            self.plugin(step, &mut hasher);
        }
        self.put_table(path, phase, &OF_PHASES, &OF_STEPS, &mut hasher);
        hasher.hex()
    }

    /// The hash of what a step does and how it is taken back.
    pub(super) fn step(&self, path: &str, step: &Map<String, Value>) -> String {
        let mut hasher = Hasher::new();
        self.plugin(step, &mut hasher);
        self.put_table(path, step, &OF_STEPS_ALONE, &[], &mut hasher);
        hasher.hex()
    }

    fn plugin(&self, step: &Map<String, Value>, hasher: &mut Hasher) {
        let plugin = step.get("plugin").and_then(Value::as_object);
        let ids = plugin
            .into_iter()
            .flat_map(Map::values)
            .filter_map(Value::as_str);
        for definition in ids.filter_map(|id| (self.plugins)(id)) {
            self.put("plugin", &definition, hasher);
        }
    }

    /// Each value behind a letter for its kind, and each list behind its length: no two values give the same parts.
    fn put(&self, path: &str, value: &Value, hasher: &mut Hasher) {
        match value {
            Value::Null => hasher.part(b"-"),
            Value::Bool(yes) => hasher.part(if *yes { b"true" } else { b"false" }),
            Value::Number(number) => hasher.part(format!("n{number}").as_bytes()),
            Value::String(text) => match self.meanings.get(path) {
                Some(meaning) => hasher.joined(&[b"q", meaning.as_bytes()]),
                None => hasher.joined(&[b"s", text.as_bytes()]),
            },
            Value::Array(list) => {
                hasher.part(format!("l{}", list.len()).as_bytes());
                for (at, item) in list.iter().enumerate() {
                    self.put(&format!("{path}/{at}"), item, hasher);
                }
            }
            Value::Object(map) => self.put_table(path, map, &[], &[], hasher),
        }
    }

    /// A table without some of its keys. `of_steps`: those that the steps in it are put without.
    fn put_table(
        &self,
        path: &str,
        map: &Map<String, Value>,
        without: &[&str],
        of_steps: &[&str],
        hasher: &mut Hasher,
    ) {
        let counted = map
            .iter()
            .filter(|(key, _)| !without.contains(&key.as_str()));
        let mut sorted: Vec<(&String, &Value)> = counted.collect();
        // The order of keys is a matter of taste.
        sorted.sort_by_key(|(key, _)| *key);
        hasher.part(format!("o{}", sorted.len()).as_bytes());
        for (key, value) in sorted {
            hasher.part(key.as_bytes());
            let path = super::super::shape::pointer(path, key);
            match value {
                Value::Array(steps) if key == "step" && !of_steps.is_empty() => {
                    hasher.part(format!("l{}", steps.len()).as_bytes());
                    for (at, step) in steps.iter().enumerate() {
                        let path = format!("{path}/{at}");
                        match step {
                            Value::Object(step) => {
                                self.put_table(&path, step, of_steps, &[], hasher);
                            }
                            hole => self.put(&path, hole, hasher),
                        }
                    }
                }
                value => self.put(&path, value, hasher),
            }
        }
    }
}
