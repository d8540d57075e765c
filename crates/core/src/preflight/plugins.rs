//! Whether plugins are switched in an order in which each finds what it builds on.

use super::Checked;
use crate::source::grammar::apps::PluginTable;
use crate::source::plan::{PlanDoc, StepSpec};
use std::collections::BTreeMap;

/// The code of its page.
pub const CODE: &str = "plugin-order";

/// Walks the steps of these phases in order. `on`: what was observed; absent: not known.
pub fn check(
    doc: &PlanDoc,
    tables: &[PluginTable],
    on: &BTreeMap<String, bool>,
    is_ahead: impl Fn(&str) -> bool,
) -> Checked {
    let id = "plugins";
    if let Some(cycle) = cycle(tables) {
        let message = format!("plugins wait for each other: {}", cycle.join(" after "));
        return Checked::failed(id, CODE, message).help("take one `after` out of dunlin.toml");
    }
    let (faults, unknown, switched) = walked(doc, tables, on, is_ahead);
    if !faults.is_empty() {
        return Checked::failed(id, CODE, faults.join("; "))
            .help("put the steps into the order of the plugins' `after`");
    }
    if !unknown.is_empty() {
        return Checked::warned(id, CODE, format!("not known: {}", unknown.join(", ")))
            .help("see that their commands and settings rows can be asked");
    }
    Checked::passed(
        id,
        CODE,
        match switched {
            0 => "no plugin is switched".to_owned(),
            n => format!(
                "{} in the order of their `after`",
                super::count(n, "switch").replace("switchs", "switches")
            ),
        },
    )
}

/// What is wrong with the order, what of it is not known, and how many switches there are.
fn walked(
    doc: &PlanDoc,
    tables: &[PluginTable],
    on: &BTreeMap<String, bool>,
    is_ahead: impl Fn(&str) -> bool,
) -> (Vec<String>, Vec<String>, usize) {
    let mut state: BTreeMap<&str, Option<bool>> = tables
        .iter()
        .map(|table| (table.id.as_str(), on.get(&table.id).copied()))
        .collect();
    let (mut faults, mut unknown, mut switched) = (vec![], vec![], 0);
    for (phase, step) in doc.steps() {
        let StepSpec::Plugin { id, on } = &step.kind else {
            continue;
        };
        if !is_ahead(&phase.id) {
            continue;
        }
        switched += 1;
        let Some(table) = tables.iter().find(|table| table.id == *id) else {
            faults.push(format!("step `{}`: there is no plugin `{id}`", step.id));
            continue;
        };
        if *on {
            for before in &table.after {
                match state.get(before.as_str()) {
                    Some(Some(true)) => {}
                    Some(None) => unknown.push(format!("whether `{before}` is on, which `{id}` needs")),
                    _ => faults.push(format!(
                        "step `{}` switches `{id}` on, and `{before}`, which must be on first, is not",
                        step.id
                    )),
                }
            }
        } else {
            let leaning = tables.iter().filter(|other| {
                other.after.contains(id) && state.get(other.id.as_str()) == Some(&Some(true))
            });
            faults.extend(leaning.map(|other| {
                format!(
                    "step `{}` switches `{id}` off, and `{}` is on, which needs it",
                    step.id, other.id
                )
            }));
        }
        state.insert(&table.id, Some(*on));
    }
    (faults, unknown, switched)
}

/// A circle of plugins, where there is one.
fn cycle(tables: &[PluginTable]) -> Option<Vec<String>> {
    let mut done: Vec<&str> = vec![];
    for table in tables {
        let mut way = vec![];
        if let Some(found) = walk(&table.id, tables, &mut way, &mut done) {
            return Some(found);
        }
    }
    None
}

fn walk<'t>(
    id: &'t str,
    tables: &'t [PluginTable],
    way: &mut Vec<&'t str>,
    done: &mut Vec<&'t str>,
) -> Option<Vec<String>> {
    if let Some(at) = way.iter().position(|one| *one == id) {
        let circle = way[at..].iter().chain([&id]);
        return Some(circle.map(|one| (*one).to_owned()).collect());
    }
    if done.contains(&id) {
        return None;
    }
    way.push(id);
    let table = tables.iter().find(|table| table.id == id);
    for before in table.iter().flat_map(|table| &table.after) {
        if let Some(found) = walk(before, tables, way, done) {
            return Some(found);
        }
    }
    way.pop();
    done.push(id);
    None
}
