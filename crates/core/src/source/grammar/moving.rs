//! The steps that move data: `copy` between databases, `export` to files, `import` from them.

use super::EnvText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `copy`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["from", "to"]))]
pub struct CopyStep {
    /// The source: a database of `dunlin.toml`, or a URL.
    pub from: EnvText,
    /// The target: a database of `dunlin.toml`, or a URL. It must be empty.
    pub to: EnvText,
    /// Patterns of tables; default: all.
    pub tables: Vec<String>,
    /// Patterns of tables that are left out.
    pub exclude: Vec<String>,
    /// The proof: `digest` (default), or `none`.
    pub verify: Option<String>,
    /// What is done about hazards for which nothing else is said: `fail` (default), `reject`, `coerce`.
    pub on_error: Option<String>,
    /// What is done about a hazard, by its code.
    pub policy: BTreeMap<String, String>,
    /// Where rejected rows are written down; default: beside the backups.
    pub rejects: Option<EnvText>,
    /// A file of renames and types, as `copy --cast` takes.
    pub cast: Option<EnvText>,
    /// How many sessions work at once; default: as many as there are cores.
    pub jobs: Option<usize>,
}

/// `export`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["to"]))]
pub struct ExportStep {
    /// The folder or file.
    pub to: EnvText,
    /// `ndjson`, `csv` or `sqlite`; default: by the file's name, else `ndjson`.
    #[serde(rename = "as")]
    pub form: Option<String>,
    /// The tables; default: all that are ours. Those that refer to them come along.
    pub tables: Vec<String>,
    /// `TABLE.COLUMN=DATE`: rows since then.
    pub since: Option<OneOrMany>,
    /// Conditions by table, in the engine's SQL.
    #[serde(rename = "where")]
    pub only: BTreeMap<String, String>,
}

/// `import`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["files"]))]
pub struct ImportStep {
    /// Files and folders.
    pub files: Vec<EnvText>,
    /// Rows that are there already are left out: by the columns named for their tables, or by any key (`true`).
    pub skip_duplicates: Option<SkipDuplicates>,
    /// Rows that are refused are written down, and the others imported.
    pub continue_on_error: bool,
    /// Where they are written down; default: beside the backups.
    pub rejects: Option<EnvText>,
}

/// A text, or a list of them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn all(&self) -> &[String] {
        match self {
            OneOrMany::One(one) => std::slice::from_ref(one),
            OneOrMany::Many(many) => many,
        }
    }
}

/// Which rows count as there already.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SkipDuplicates {
    /// By primary and unique keys, or not at all.
    All(bool),
    /// By these columns, table by table.
    By(BTreeMap<String, Vec<String>>),
}
