//! `plugin`: a capability of the application that a settings row switches, its options written beside it.

use super::known::at_step;
use super::{Facts, Inverse, Operations, settings};
use crate::finding::Finding;
use crate::source::grammar::apps::{PluginSetting, PluginTable};
use crate::source::grammar::steps::Settings;
use crate::source::nearest;
use crate::source::plan::StepDoc;
use crate::value::{Query, Row};
use serde_json::Value;
use std::collections::BTreeMap;

fn find<'a>(step: &StepDoc, id: &str, facts: &Facts<'a>) -> Result<&'a PluginTable, Finding> {
    facts
        .plugins
        .iter()
        .find(|plugin| plugin.id == id)
        .ok_or_else(|| {
            let known: Vec<&str> = facts
                .plugins
                .iter()
                .map(|plugin| plugin.id.as_str())
                .collect();
            let mut finding = at_step("unknown-plugin", step, format!("there is no plugin `{id}`"));
            finding.help = nearest::did_you_mean(id, &known)
                .or_else(|| Some("describe it under `[[plugin]]` in `dunlin.toml`".into()));
            finding
        })
}

/// The rows: the switch, and where it goes on, its options. Going off leaves the options as they are.
fn rows(plugin: &PluginTable, setting: &PluginSetting, on: bool) -> Settings {
    let row = |name: &str, value: &str| {
        BTreeMap::from([
            (setting.key.clone(), Value::String(name.to_owned())),
            (setting.value.clone(), Value::String(value.to_owned())),
        ])
    };
    let mut rows = vec![];
    if on {
        // The application may look at the options the moment that the switch is on.
        rows.extend(plugin.options.iter().map(|(name, value)| row(name, value)));
    }
    rows.push(row(
        &setting.name,
        if on { &setting.on } else { &setting.off },
    ));
    Settings {
        table: setting.table.clone(),
        key: vec![setting.key.clone()],
        rows,
    }
}

/// Asks for the rows of the switch and its options.
pub(super) fn asks(step: &StepDoc, id: &str, on: bool, facts: &Facts<'_>) -> Vec<Query> {
    let plugin = find(step, id, facts).ok();
    let setting = plugin.and_then(|plugin| Some((plugin, plugin.setting.as_ref()?)));
    setting
        .map(|(plugin, setting)| settings::asks(step, &rows(plugin, setting, on), facts))
        .unwrap_or_default()
}

/// The statements that switch it. A plugin of commands has none: the runner runs them.
pub(super) fn lower(
    step: &StepDoc,
    id: &str,
    on: bool,
    facts: &Facts<'_>,
    answers: &[Vec<Row>],
) -> Result<Operations, Vec<Finding>> {
    let plugin = find(step, id, facts).map_err(|finding| vec![finding])?;
    if let Some(setting) = &plugin.setting {
        return settings::lower(step, &rows(plugin, setting, on), facts, answers);
    }
    let Some(exec) = &plugin.exec else {
        let message = format!("the plugin `{id}` says neither `setting` nor `exec`");
        return Err(vec![at_step("exactly-one", step, message)]);
    };
    let back = if on { &exec.off } else { &exec.on };
    Ok(Operations {
        undo: Inverse::Exec(back.0.clone()),
        ..Operations::default()
    })
}
