//! `[fleet.NAME]`: many databases under one change.

use super::EnvText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `[fleet.NAME]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FleetTable {
    /// The database that lists the tenants.
    pub registry: String,
    /// The query: columns `tenant` and `url`, and a third one for the wave where wanted.
    pub query: String,
    /// The `[database.…]` whose settings and migrations every tenant takes.
    pub template: String,
    /// A database that does not exist: made (true), or a failure of that tenant (false).
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub create: Option<bool>,
    /// The only variables that URLs of the registry may expand.
    #[serde(default)]
    pub env: Vec<String>,
    /// The only engines that URLs of the registry may name.
    #[serde(default)]
    pub engines: Vec<String>,
    /// The waves: numbers or shares of tenants, e.g. `1`, `10%`, `100%`.
    #[serde(default)]
    pub waves: Vec<String>,
    /// What stands between waves.
    #[serde(default)]
    pub gate: Option<FleetGate>,
    /// How many tenants at once.
    #[serde(default)]
    pub jobs: Option<u32>,
    /// How many tenants at once on one server.
    #[serde(default)]
    pub jobs_per_server: Option<u32>,
    /// After how many failures nothing new is begun.
    #[serde(default)]
    pub stop_after_failures: Option<u32>,
    /// When work may begin, e.g. `Sun-Thu 02:00-05:00 Asia/Tehran`.
    #[serde(default)]
    pub window: Option<String>,
    /// What must be there first.
    #[serde(default)]
    pub requires: Vec<EnvText>,
}

/// What stands between waves.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FleetGate {
    /// `auto` or `approve`.
    Word(GateWord),
    /// A check that must pass.
    Check(GateCheck),
}

/// The gates that are one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GateWord {
    /// The next wave begins by itself.
    Auto,
    /// A person approves.
    Approve,
}

/// A check between waves, as in a plan.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GateCheck {
    /// The check.
    pub check: Value,
}
