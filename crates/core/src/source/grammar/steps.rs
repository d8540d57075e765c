//! `[[phase.step]]`: what a phase does, each step of exactly one kind, and how it is taken back.

use super::checks::CheckTable;
use super::data::Risk;
use super::moving::{CopyStep, ExportStep, ImportStep};
use super::{EnvText, HttpTable};
use crate::source::duration::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One step, of exactly one kind.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    {"required": ["sql"]}, {"required": ["migrate"]}, {"required": ["add_columns"]}, {"required": ["drop_columns"]},
    {"required": ["drop_tables"]}, {"required": ["backfill"]}, {"required": ["require"]}, {"required": ["index"]},
    {"required": ["sync"]}, {"required": ["settings"]}, {"required": ["plugin"]}, {"required": ["copy"]},
    {"required": ["export"]}, {"required": ["import"]}, {"required": ["clean"]}, {"required": ["checkpoint"]},
    {"required": ["exec"]}, {"required": ["http"]}, {"required": ["fleet"]}, {"required": ["manual"]},
], "required" = ["id"], "x-dunlin-lenient" = true))]
pub struct StepTable {
    /// Its name within the plan.
    pub id: String,
    /// Its title.
    pub title: Option<String>,
    /// A label of reports.
    #[serde(rename = "type")]
    pub label: Option<StepLabel>,
    /// A failure of one that is not critical is a warning; default true.
    pub critical: Option<bool>,
    /// Steps of this phase that must be done; default: the one before.
    pub needs: Option<Vec<String>>,
    /// `never`, or `after 5m`.
    pub kill_blockers: Option<String>,
    /// The declared risk; what is computed may raise it.
    pub risk: Option<Risk>,
    /// How long the author thinks it takes.
    pub estimate: Option<DurationText>,
    /// How it is taken back; default `derive`.
    #[schemars(with = "Option<UndoShape>")]
    pub undo: Option<UndoTable>,
    /// Checks right before and after it.
    pub check: Vec<CheckTable>,
    /// SQL, or one word ending in `.sql`: a file.
    pub sql: Option<String>,
    /// Beside `sql`: statements that have a safe form are rewritten.
    pub safe: Option<bool>,
    /// Applies migrations.
    pub migrate: Option<MigrateStep>,
    /// Adds columns.
    pub add_columns: Option<AddColumns>,
    /// Drops columns.
    pub drop_columns: Option<Value>,
    /// Drops tables.
    pub drop_tables: Option<Value>,
    /// Fills rows in batches.
    pub backfill: Option<Backfill>,
    /// Adds constraints.
    pub require: Option<Require>,
    /// Builds an index.
    pub index: Option<IndexStep>,
    /// Keeps old and new columns in step.
    pub sync: Option<Value>,
    /// Writes rows of a settings table.
    pub settings: Option<Settings>,
    /// Switches a plugin.
    pub plugin: Option<PluginStep>,
    /// Copies between databases.
    pub copy: Option<CopyStep>,
    /// Writes rows to files.
    pub export: Option<ExportStep>,
    /// Reads rows from files.
    pub import: Option<ImportStep>,
    /// Repairs what rules find.
    pub clean: Option<CleanStep>,
    /// Saves tables.
    pub checkpoint: Option<CheckpointStep>,
    /// Runs a command.
    pub exec: Option<ExecStep>,
    /// Sends a request.
    pub http: Option<HttpStep>,
    /// Does something in many databases.
    pub fleet: Option<Value>,
    /// A person does something.
    pub manual: Option<Manual>,
}

/// A label of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepLabel {
    /// A plugin is switched.
    Plugin,
    /// Tables are changed.
    Schema,
    /// Rows are changed.
    Data,
    /// A component is set up.
    Component,
    /// A feature is switched.
    Feature,
    /// The database itself changes.
    Database,
    /// Something is looked at.
    Assessment,
    /// A person does it.
    Manual,
}

/// The shape of [`UndoTable`]: one table of exactly one kind, so that a fault is said of the key that was meant.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum UndoShape {
    /// SQL, one word ending in `.sql` (a file), `derive` or `restore`.
    Text(String),
    /// Why not, or by which command.
    Table(UndoKinds),
}

/// Why a step is not taken back, or by which command.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["impossible"]}, {"required": ["exec"]}, {"required": ["none"]}]))]
#[expect(dead_code, reason = "only its schema is used")]
struct UndoKinds {
    /// It cannot be taken back, and why.
    impossible: Option<String>,
    /// The command that takes it back.
    exec: Option<EnvText>,
    /// Nothing is to be undone, and why.
    none: Option<String>,
}

/// How a step is taken back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum UndoTable {
    /// SQL, a file, `derive` or `restore`.
    Text(String),
    /// It cannot be, and why.
    Impossible(UndoImpossible),
    /// A command.
    Exec(UndoExec),
    /// Nothing is to be undone, and why.
    None(UndoNone),
}

/// `{ impossible = "why" }`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UndoImpossible {
    /// Why.
    pub impossible: String,
}

/// `{ exec = "…" }`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UndoExec {
    /// The command.
    pub exec: EnvText,
}

/// `{ none = "why" }`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UndoNone {
    /// Why nothing is to be undone.
    pub none: String,
}

/// `migrate = { to = "007" }`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MigrateStep {
    /// A version, or `latest`.
    pub to: String,
}

/// `add_columns`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddColumns {
    /// The table.
    pub table: String,
    /// Definitions: `user_id BIGINT`.
    pub columns: Vec<String>,
}

/// `backfill`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backfill {
    /// The table.
    pub table: String,
    /// Assignments, as after SET.
    pub set: String,
    /// Which rows.
    #[serde(default, rename = "where")]
    pub only: Option<String>,
    /// Rows in a batch: a number, or `auto`.
    #[serde(default)]
    pub batch: Option<NumberOrAuto>,
    /// The pause between batches: a duration, or `auto`.
    #[serde(default)]
    pub pause: Option<String>,
    /// How rows that come meanwhile get their values.
    #[serde(default)]
    pub new_rows: Option<NewRows>,
    /// When batches may begin.
    #[serde(default)]
    pub window: Option<String>,
}

/// A number, or `auto`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum NumberOrAuto {
    /// A number.
    Number(u64),
    /// `auto`.
    Auto(String),
}

/// How rows that come meanwhile get their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NewRows {
    /// By a trigger.
    Trigger,
    /// By the columns' defaults.
    Default,
    /// Not at all.
    #[default]
    None,
}

/// `require`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Require {
    /// The table.
    pub table: String,
    /// Columns that must hold something.
    #[serde(default)]
    pub not_null: Vec<String>,
    /// Unique constraints.
    #[serde(default)]
    pub unique: Vec<Vec<String>>,
    /// `user_id -> users(id)`.
    #[serde(default)]
    pub foreign_keys: Vec<String>,
    /// Conditions.
    #[serde(default)]
    pub checks: Vec<String>,
    /// Constraints that go.
    #[serde(default)]
    pub drops: Vec<String>,
}

/// `index`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexStep {
    /// Its name.
    pub name: String,
    /// The table.
    pub table: String,
    /// The columns.
    pub columns: Vec<String>,
    /// No two rows may have the same.
    #[serde(default)]
    pub unique: bool,
    /// The condition of a partial index.
    #[serde(default, rename = "where")]
    pub only: Option<String>,
}

/// `settings`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The table.
    pub table: String,
    /// The columns of the key.
    pub key: Vec<String>,
    /// The rows: column to value.
    pub rows: Vec<BTreeMap<String, Value>>,
}

/// `plugin = { enable = "analytics" }`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["enable"]}, {"required": ["disable"]}]))]
pub struct PluginStep {
    /// The plugin that is switched on.
    pub enable: Option<String>,
    /// The plugin that is switched off.
    pub disable: Option<String>,
}

/// `clean`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CleanStep {
    /// The rules; `*`: all.
    pub rules: Vec<String>,
}

/// `checkpoint`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointStep {
    /// Its name.
    pub name: String,
    /// The tables.
    pub tables: Vec<String>,
}

/// `exec`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecStep {
    /// The command, for the shell.
    pub run: EnvText,
    /// How long it may take.
    #[serde(default)]
    pub timeout: Option<DurationText>,
    /// A command that exits with 0 where the effect is there.
    #[serde(default)]
    pub probe: Option<EnvText>,
    /// Running it twice does no harm.
    #[serde(default)]
    pub rerunnable: bool,
}

/// `http`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-dunlin-env" = true))]
pub struct HttpStep {
    /// The method; default `GET`.
    #[serde(default)]
    pub method: Option<String>,
    /// The address.
    pub url: EnvText,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, EnvText>,
    /// The body, sent as JSON.
    #[serde(default)]
    pub json: Option<Value>,
    /// How long an answer may take.
    #[serde(default)]
    pub timeout: Option<DurationText>,
    /// The status; default: any of 200 to 299.
    #[serde(default)]
    pub status: Option<u16>,
    /// A request that answers with 2xx where the effect is there.
    #[serde(default)]
    pub probe: Option<HttpTable>,
    /// Sending it twice does no harm.
    #[serde(default)]
    pub rerunnable: bool,
}

/// `manual`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manual {
    /// What is to be done.
    #[serde(rename = "do")]
    pub what: String,
    /// By whom.
    #[serde(default)]
    pub by: Option<String>,
}
