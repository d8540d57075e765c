//! `[[phase.check]]` and `[[phase.step.check]]`: assertions about the world, each of exactly one kind.

use super::EnvText;
use crate::source::duration::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// One check, of exactly one kind.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    {"required": ["sql"]}, {"required": ["kept"]}, {"required": ["unchanged"]}, {"required": ["untouched"]},
    {"required": ["refuses"]}, {"required": ["accepts"]}, {"required": ["http"]}, {"required": ["speed"]},
    {"required": ["explain"]}, {"required": ["has"]}, {"required": ["rules"]}, {"required": ["compare"]},
    {"required": ["exec"]}, {"required": ["ask"]},
], "required" = ["id"], "x-dunlin-lenient" = true))]
pub struct CheckTable {
    /// Its name.
    pub id: String,
    /// When it is evaluated; default `after`.
    pub when: Option<When>,
    /// What a failure means; default `error`.
    pub severity: Option<CheckSeverity>,
    /// A query, or one word ending in `.sql`: a file. With `expect` or `expect_rows`.
    pub sql: Option<String>,
    /// What the value must be: `= 0`, `>= 1`, `between 1 and 5`, or a text.
    pub expect: Option<String>,
    /// What must hold for every row returned: `total = with_user_id`.
    pub expect_rows: Option<String>,
    /// No row of before is missing or altered.
    pub kept: Option<Kept>,
    /// A query whose answer is as before; `{mark:T}` is the highest key of T when the phase began.
    pub unchanged: Option<String>,
    /// Tables whose catalog (and rows) are as before.
    pub untouched: Option<Untouched>,
    /// A statement that must be refused.
    pub refuses: Option<Refuses>,
    /// A statement that must succeed; it is rolled back.
    pub accepts: Option<String>,
    /// A request and what is expected of its answer.
    pub http: Option<HttpCheck>,
    /// A query that may not have become slower.
    pub speed: Option<Speed>,
    /// How the server would run a query.
    pub explain: Option<Explain>,
    /// What the catalog must have.
    pub has: Option<Has>,
    /// Rules of `dunlin.toml`, or `*`.
    pub rules: Option<Vec<String>>,
    /// A comparison of `dunlin.toml`.
    pub compare: Option<String>,
    /// A command that must exit with 0.
    pub exec: Option<ExecCheck>,
    /// A question that a person answers.
    pub ask: Option<String>,
}

/// When a check is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Before the phase or step.
    Before,
    /// After it.
    #[default]
    After,
    /// Both.
    Both,
}

/// What a failed check means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckSeverity {
    /// The phase fails.
    #[default]
    Error,
    /// It is said.
    Warning,
}

/// No row of before is missing or altered; rows added meanwhile are allowed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The table.
    pub table: String,
    /// Columns that may change.
    #[serde(default)]
    pub except: Vec<String>,
}

/// Tables whose catalog is as before.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Untouched {
    /// The tables.
    pub tables: Vec<String>,
    /// Their content too.
    #[serde(default)]
    pub rows: bool,
}

/// A statement that must be refused, for the named reason and no other.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refuses {
    /// One statement.
    pub sql: String,
    /// The kind of violation.
    pub because: Because,
}

/// Why a statement is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// The row it refers to is not there.
    ForeignKey,
    /// There is such a row already.
    Unique,
    /// A value is missing.
    NotNull,
    /// A condition does not hold.
    Check,
    /// The value is not of the type.
    Type,
    /// The value is not JSON.
    Json,
}

/// A request and what is expected of its answer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-dunlin-env" = true))]
pub struct HttpCheck {
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
    /// The status; default: any of 200 to 299.
    #[serde(default)]
    pub status: Option<u16>,
    /// JSONPath to the value there.
    #[serde(default)]
    pub expect: BTreeMap<String, Value>,
    /// The answer is as it was before the phase.
    #[serde(default)]
    pub unchanged: bool,
    /// JSONPaths that may differ.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// How long an answer may take.
    #[serde(default)]
    pub within: Option<DurationText>,
}

/// A query that may not have become slower.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Speed {
    /// The query.
    pub sql: String,
    /// How much slower it may be than before: 1.2 is a fifth.
    #[serde(default)]
    pub slower_by_at_most: Option<f64>,
    /// How long it may take.
    #[serde(default)]
    pub within: Option<DurationText>,
    /// Which percentile counts; default 95.
    #[serde(default)]
    pub percentile: Option<u8>,
    /// How often it is run; default 30.
    #[serde(default)]
    pub runs: Option<u32>,
}

/// How the server would run a query.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// The query.
    pub sql: String,
    /// The index it must use.
    #[serde(default)]
    pub uses: Option<String>,
    /// No table may be read whole.
    #[serde(default)]
    pub no_full_scan: bool,
}

/// What the catalog must have.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Has {
    /// Tables.
    pub tables: Vec<String>,
    /// `table.column`.
    pub columns: Vec<String>,
    /// `name(columns)` or `table.name(columns) unique`.
    pub indexes: Vec<String>,
    /// `table.column -> table.column on delete cascade`.
    pub foreign_keys: Vec<String>,
    /// Views.
    pub views: Vec<String>,
}

/// A command that must exit with 0.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecCheck {
    /// The command, for the shell.
    pub run: EnvText,
    /// How long it may take.
    #[serde(default)]
    pub timeout: Option<DurationText>,
}
