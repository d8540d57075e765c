//! What stands outside of the database: plugins, compared paths, notices, the emergency commands.

use super::{EnvText, HttpTable};
use crate::source::duration::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[[plugin]]`: a capability of the application that steps switch; a settings row or commands.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["setting"]}, {"required": ["exec"]}]))]
pub struct PluginTable {
    /// Its name in steps.
    pub id: String,
    /// Plugins that must be on first.
    #[serde(default)]
    pub after: Vec<String>,
    /// The settings row that says whether it is on.
    #[serde(default)]
    pub setting: Option<PluginSetting>,
    /// The commands that switch it.
    #[serde(default)]
    pub exec: Option<PluginExec>,
    /// More settings rows, written with it and reverted with it.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// The database of the settings; default: the default database.
    #[serde(default)]
    pub database: Option<String>,
}

/// A plugin's settings row.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginSetting {
    /// The table.
    pub table: String,
    /// The column of the keys.
    pub key: String,
    /// The column of the values.
    pub value: String,
    /// The key of this plugin's row.
    pub name: String,
    /// The value that means on.
    pub on: String,
    /// The value that means off.
    pub off: String,
}

/// A plugin's commands.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginExec {
    /// Switches it on.
    pub on: EnvText,
    /// Switches it off.
    pub off: EnvText,
    /// Exits with 0 where it is on.
    pub is_on: EnvText,
    /// How long a command may take.
    #[serde(default)]
    pub timeout: Option<DurationText>,
}

/// `[[compare]]`: a parallel run of the old and the new path.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareTable {
    /// Its name.
    pub name: String,
    /// The old path.
    pub old: CompareSide,
    /// The new path.
    pub new: CompareSide,
    /// What is sent: a file of JSON lines, or a query.
    pub samples: CompareSamples,
    /// JSONPaths that may differ.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// What must hold.
    #[serde(default)]
    pub require: Option<CompareRequire>,
}

/// One path of a comparison.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["http"]}, {"required": ["sql"]}]))]
pub struct CompareSide {
    /// A request.
    #[serde(default)]
    pub http: Option<HttpTable>,
    /// A query, or one word ending in `.sql`: a file.
    #[serde(default)]
    pub sql: Option<String>,
    /// The database asked; default: the default database.
    #[serde(default)]
    pub database: Option<String>,
}

/// What a comparison sends.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CompareSamples {
    /// A file of JSON lines.
    File(EnvText),
    /// A query.
    Query(SampleQuery),
}

/// A query whose rows are samples.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleQuery {
    /// The SQL, or one word ending in `.sql`: a file.
    pub sql: String,
    /// The database asked; default: the default database.
    #[serde(default)]
    pub database: Option<String>,
    /// How many rows at most.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// What a comparison must show.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CompareRequire {
    /// The least share of equal answers, 0 to 1.
    pub match_rate: Option<f64>,
    /// How much slower the new path may be: 1.2 is a fifth.
    pub slower_by_at_most: Option<f64>,
}

/// `[notify]`: after the fact, never in the way.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NotifyTable {
    /// What is told.
    pub on: Vec<NotifyOn>,
    /// A command; `{event}` and `{summary}` are filled in.
    pub exec: Option<EnvText>,
    /// An address that gets a POST.
    pub webhook: Option<EnvText>,
}

/// What `[notify] on` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NotifyOn {
    /// Something failed.
    Failed,
    /// Something waits for a person.
    Waiting,
    /// Something is done.
    Done,
}

/// `[emergency]`: what `dunlin rollback --emergency` does to the application.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EmergencyTable {
    /// Stops the application.
    pub stop: Option<EnvText>,
    /// Starts it again.
    pub start: Option<EnvText>,
}
