//! `*.plan.toml`: a plan, its phases, gates and watch.

use super::checks::CheckTable;
use super::data::Risk;
use super::steps::StepTable;
use super::{EnvText, HttpTable};
use crate::source::duration::DurationText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `*.plan.toml`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "plan.toml", extend("required" = ["name"], "x-dunlin-lenient" = true))]
pub struct PlanFile {
    /// The plan's name within one journal.
    pub name: String,
    /// The database of `dunlin.toml`; default: the default one.
    pub database: Option<String>,
    /// What happens when a step or a check fails.
    pub on_failure: Option<PlanOnFailure>,
    /// What must be there: `command:pg_dump>=15`, `extension:…`, `env:…`, `plugin:…`, `server:postgres>=13`, `disk:5GB`,
    /// `tcp:…`, `http:…`, `setting:table.key=value`, `backup:24h`, `rehearsal:7d`.
    pub requires: Vec<EnvText>,
    /// When something new may begin: `Sun-Thu 02:00-05:00 Asia/Tehran`.
    pub window: Option<String>,
    /// The planned first day: `2026-01-05`.
    pub starts: Option<String>,
    /// Who must be there.
    pub team: Vec<TeamTable>,
    /// What is measured during the whole run.
    pub watch: Option<WatchTable>,
    /// The phases, in order.
    pub phase: Vec<PhaseTable>,
}

/// What happens when a step or a check of a plan fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PlanOnFailure {
    /// Everything stands as it is.
    Stop,
    /// The phase is taken back.
    #[default]
    UndoPhase,
    /// Every phase is taken back, newest first.
    UndoPlan,
}

/// Who must be there.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamTable {
    /// The role.
    pub role: String,
    /// When: `all phases`, or names of phases.
    #[serde(default)]
    pub when: Option<String>,
}

/// `[watch]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WatchTable {
    /// What is measured; empty: a statement that waits behind locks on the step's table and changes nothing.
    #[schemars(with = "Option<ProbeShape>")]
    pub probe: Option<WatchProbe>,
    /// How often.
    pub every: Option<DurationText>,
    /// Three of five above: pause.
    pub max_latency: Option<DurationText>,
    /// Still so after this: cancel the statement and undo the step.
    pub give_up_after: Option<DurationText>,
    /// Below: pause. `2GB`.
    pub min_free_disk: Option<String>,
}

/// The shape of [`WatchProbe`]: one table of exactly one kind, so that a fault is said of the key that was meant.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum ProbeShape {
    /// The default one, where empty.
    Default(String),
    /// A query or a request.
    Table(ProbeTable),
}

/// A query or a request that is watched.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["sql"]}, {"required": ["http"]}]))]
#[expect(dead_code, reason = "only its schema is used")]
struct ProbeTable {
    /// The SQL, or one word ending in `.sql`: a file.
    sql: Option<String>,
    /// The request.
    http: Option<HttpTable>,
}

/// What a watch measures.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum WatchProbe {
    /// The default one, where empty.
    Default(String),
    /// A query.
    Sql(WatchSql),
    /// A request.
    Http(WatchHttp),
}

/// A query that is watched.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchSql {
    /// The SQL.
    pub sql: String,
}

/// A request that is watched.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchHttp {
    /// The request.
    pub http: HttpTable,
}

/// `[[phase]]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["id"], "x-dunlin-lenient" = true))]
pub struct PhaseTable {
    /// Its name.
    pub id: String,
    /// Its title.
    pub title: Option<String>,
    /// The version that it leads to, for plans that go from one version to another.
    pub version: Option<u64>,
    /// What it is for.
    pub objectives: Vec<String>,
    /// The declared risk; what is computed may raise it.
    pub risk: Option<Risk>,
    /// The planned duration of people's work: `0.5d`, `2w`.
    pub duration: Option<String>,
    /// Phases that must be done; default: the one before.
    pub needs: Option<Vec<String>>,
    /// Whether a person opens it.
    pub gate: Option<Gate>,
    /// The roles that must approve, each by another person.
    pub approvers: Vec<String>,
    /// Points that a person confirms.
    pub go: Vec<String>,
    /// A second approval after the phase.
    pub review: bool,
    /// What is saved before it.
    pub backup: Option<PhaseBackup>,
    /// When something new may begin.
    pub window: Option<String>,
    /// The checks.
    pub check: Vec<CheckTable>,
    /// The steps.
    pub step: Vec<StepTable>,
}

/// Whether a person opens a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    /// Nobody need open it.
    #[default]
    Auto,
    /// `dunlin approve` opens it.
    Approve,
}

/// What is saved before a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PhaseBackup {
    /// Nothing.
    #[default]
    None,
    /// The tables touched, and `[configuration]`.
    Checkpoint,
    /// The whole database, verified by restoring it.
    Database,
}
