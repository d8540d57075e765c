//! What is asked of the data: state, rules, the checklist, reports, coexistence.

use super::{EnvText, QueryTable};
use crate::source::duration::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[state]`: `plan show` says where we are.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StateTable {
    /// The application's version.
    pub version: Option<QueryTable>,
    /// How many entries there are.
    pub entries: Option<QueryTable>,
    /// Figures with a bound.
    pub metric: Vec<MetricTable>,
}

/// `[[state.metric]]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricTable {
    /// Its name.
    pub id: String,
    /// The SQL, or one word ending in `.sql`: a file.
    pub sql: String,
    /// Above this it is a risk.
    #[serde(default)]
    pub warn_above: Option<f64>,
    /// Below this it is a risk.
    #[serde(default)]
    pub warn_below: Option<f64>,
    /// How much of a risk.
    #[serde(default)]
    pub risk: Option<Risk>,
    /// What to do about it.
    #[serde(default)]
    pub mitigation: Option<String>,
    /// The database asked; default: the default database.
    #[serde(default)]
    pub database: Option<String>,
}

/// How much is at stake.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// All.
    Critical,
}

/// `[[rule]]`: one integrity rule, of exactly one kind.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    {"required": ["orphans"]}, {"required": ["required"]}, {"required": ["unique"]}, {"required": ["archive"]},
    {"required": ["same_owner"]}, {"required": ["sql"]}, {"required": ["optimize"]},
]))]
pub struct RuleTable {
    /// Its name.
    pub id: String,
    /// What it is about.
    #[serde(default)]
    pub description: Option<String>,
    /// How much a violation weighs.
    #[serde(default)]
    #[schemars(extend("default" = "error"))]
    pub severity: Option<RuleSeverity>,
    /// The database; default: the default database.
    #[serde(default)]
    pub database: Option<String>,
    /// Rows whose parent is not there.
    #[serde(default)]
    pub orphans: Option<Orphans>,
    /// Columns that must hold something.
    #[serde(default)]
    pub required: Option<Required>,
    /// Rows that are there twice.
    #[serde(default)]
    pub unique: Option<Unique>,
    /// Rows to be put away.
    #[serde(default)]
    pub archive: Option<Archive>,
    /// Rows whose owner differs from that of the row they belong to.
    #[serde(default)]
    pub same_owner: Option<SameOwner>,
    /// A query; every row that it gives is a violation. One word ending in `.sql` is a file.
    #[serde(default)]
    pub sql: Option<String>,
    /// Tables to be tidied; the size is taken before and after.
    #[serde(default)]
    pub optimize: Option<Optimize>,
    /// What `dunlin clean` does.
    #[serde(default)]
    #[schemars(extend("default" = "none"))]
    pub clean: Option<Clean>,
    /// What happens to the children of a removed duplicate.
    #[serde(default)]
    pub on_children: Option<OnChildren>,
}

/// How much a violation weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleSeverity {
    /// `check` ends with 5.
    Error,
    /// Only shown.
    Warning,
}

/// What `dunlin clean` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Clean {
    /// Removes the violating rows.
    Delete,
    /// Removes all but the one kept.
    DeleteDuplicates,
    /// Nothing.
    None,
}

/// What happens to the children of a removed duplicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnChildren {
    /// They are given to the row that is kept.
    Repoint,
    /// They go with it.
    Delete,
}

/// Rows whose parent is not there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Orphans {
    /// The table.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The parent: `table(column, …)`.
    pub references: String,
    /// The fleet whose tenants' databases hold the parent.
    #[serde(default)]
    pub in_fleet: Option<String>,
}

/// Columns that must hold something.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Required {
    /// The table.
    pub table: String,
    /// The columns.
    pub columns: Vec<String>,
    /// Whether an empty text counts as nothing.
    #[serde(default)]
    pub empty_counts: bool,
}

/// Rows that are there twice.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unique {
    /// The table.
    pub table: String,
    /// The columns; NULL equals NULL.
    pub columns: Vec<String>,
    /// Which one is kept.
    #[serde(default)]
    pub keep: Option<Keep>,
    /// The instant that decides; ties by key.
    #[serde(default)]
    pub by: Option<String>,
}

/// Which of several equal rows is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The oldest.
    Oldest,
    /// The newest.
    Newest,
}

/// Rows to be put away: marked, moved to a table, or moved to a file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["set"]}, {"required": ["to_table"]}, {"required": ["to_file"]}]))]
pub struct Archive {
    /// The table.
    pub table: String,
    /// What is set to mark a row as archived.
    #[serde(default)]
    pub set: Option<String>,
    /// The table where rows move to.
    #[serde(default)]
    pub to_table: Option<String>,
    /// The file where rows move to.
    #[serde(default)]
    pub to_file: Option<EnvText>,
    /// Which rows.
    #[serde(default, rename = "where")]
    pub filter: Option<String>,
    /// How old they must be.
    #[serde(default)]
    pub older_than: Option<DurationText>,
    /// The instant that says how old.
    #[serde(default)]
    pub by: Option<String>,
}

/// Rows whose owner differs from that of the row they belong to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SameOwner {
    /// The table.
    pub table: String,
    /// The column of the owner.
    pub column: String,
    /// The way to the other row: `contact_id -> contacts(id)`.
    pub via: String,
}

/// Tables to be tidied.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Optimize {
    /// The tables.
    pub tables: Vec<String>,
}

/// `[[item]]`: one line of the computed checklist.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemTable {
    /// Its name.
    pub id: String,
    /// What is shown.
    pub title: String,
    /// When it is done.
    pub done: QueryTable,
    /// When it is begun.
    #[serde(default)]
    pub started: Option<QueryTable>,
    /// Asked in every tenant's database; done when done in all.
    #[serde(default)]
    pub tenant: bool,
}

/// `[[report]]`: a named read-only query.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportTable {
    /// Its name.
    pub id: String,
    /// The fleet whose tenants are asked.
    #[serde(default)]
    pub fleet: Option<String>,
    /// The database asked; default: the default database.
    #[serde(default)]
    pub database: Option<String>,
    /// The SQL, or one word ending in `.sql`: a file.
    pub sql: String,
}

/// `[[coexistence]]`: old and new columns side by side in one table.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CoexistenceTable {
    /// Its name.
    pub name: String,
    /// The database; default: the default database.
    #[serde(default)]
    pub database: Option<String>,
    /// The table.
    pub table: String,
    /// The old columns.
    #[serde(default)]
    pub old: Vec<String>,
    /// The new columns.
    #[serde(default)]
    pub new: Vec<String>,
    /// A row uses the old system when this is not NULL.
    #[serde(default)]
    pub old_marker: Option<String>,
    /// A row uses the new system when this is not NULL.
    #[serde(default)]
    pub new_marker: Option<String>,
    /// The column of the tenant.
    #[serde(default)]
    pub tenant: Option<String>,
    /// The column of the instant.
    #[serde(default)]
    pub at: Option<String>,
    /// Tables that are classified beside it.
    #[serde(default)]
    pub also: Vec<AlsoTable>,
}

/// A table that is classified beside a coexistence.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlsoTable {
    /// The table.
    pub table: String,
    /// The fleet whose tenants' databases hold it.
    #[serde(default)]
    pub fleet: Option<String>,
    /// The old columns.
    #[serde(default)]
    pub old: Vec<String>,
    /// The new columns.
    #[serde(default)]
    pub new: Vec<String>,
}
