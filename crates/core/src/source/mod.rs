//! Bytes to documents: `dunlin.toml`, folders of migrations, headers. All faults of all files at once.

mod build;
pub mod config;
pub mod dotenv;
pub mod duration;
pub mod expand;
pub mod folder;
pub mod grammar;
pub mod header;
pub mod manifest;
pub mod nearest;
mod order;
pub mod pattern;
pub mod plan;
pub mod scaffold;
mod script;
pub mod shape;

#[cfg(test)]
mod config_tests;
#[cfg(test)]
mod folder_tests;
#[cfg(test)]
mod plan_tests;

use crate::finding::Finding;
use crate::redact::SecretUrl;
use crate::sql::Fingerprint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The project: `dunlin.toml`, or what stands in for one.
#[derive(Debug, Clone, Default)]
pub struct Project {
    /// `[project] name`.
    pub name: Option<String>,
    /// `[project] log`.
    pub log: Option<PathBuf>,
    /// The folder of `dunlin.toml`; relative paths are meant from here.
    pub root: PathBuf,
    /// The databases, in the order of the file.
    pub databases: Vec<DatabaseConfig>,
    /// `[privacy] sensitive`.
    pub sensitive: Vec<String>,
    /// `--env NAME`, where one was chosen.
    pub env: Option<String>,
    /// Everything that the file says, typed, environment laid over and variables expanded.
    pub file: grammar::ProjectFile,
    /// Where each value of the file stands, by JSON pointer.
    pub places: shape::Places,
    /// The environment with `.env` beneath it.
    pub environment: expand::Environment,
    /// Faults that count only for whoever uses the value; see [`Project::select`] and [`Project::faults_under`].
    pub deferred: Vec<Deferred>,
}

/// A fault of a value that nobody may ever use: a variable missing in the URL of another database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deferred {
    /// The value's JSON pointer.
    pub path: String,
    /// What is wrong with it.
    pub finding: Finding,
}

/// What `out_of_order` says of a pending version below the newest applied one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutOfOrder {
    /// Refuse.
    #[default]
    Stop,
    /// Say so and leave it pending.
    Warn,
    /// Apply it.
    Apply,
}

/// What `on_failure` says of a migration that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Take it back: transaction, else derived inverse, else backup.
    #[default]
    Undo,
    /// Leave everything as it is.
    Stop,
    /// Restore the backup.
    Restore,
}

/// When a backup is made before `up`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackupPolicy {
    /// Where a migration asks for one.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What happens with `version.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ManifestPolicy {
    /// Read it.
    #[default]
    Read,
    /// Read it, and write it after every up and down.
    Write,
    /// Leave it alone.
    Ignore,
}

/// Secrets, for the redacting filter; `Debug` shows only how many there are.
#[derive(Clone, Default)]
pub struct Secrets(pub Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// One `[database.NAME]`.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// Its name in the file.
    pub name: String,
    /// Where it is.
    pub url: SecretUrl,
    /// The folder from which a relative file in the URLs is meant; `None`: the working directory (`--url`).
    pub base_dir: Option<PathBuf>,
    /// The way around a transaction pooler.
    pub direct_url: Option<SecretUrl>,
    /// Whether `url` leads through a transaction pooler.
    pub pooler: bool,
    /// Where scratch databases may be made.
    pub scratch: Option<SecretUrl>,
    /// The folder of migrations, absolute.
    pub migrations: PathBuf,
    /// Prefix of the journal's tables.
    pub journal_prefix: String,
    /// Schema of the journal, where the engine has several.
    pub journal_schema: Option<String>,
    /// drop-all, reset and unlock --force refuse.
    pub protected: bool,
    /// Bound on lock waits of DDL.
    pub lock_timeout: Duration,
    /// How long lock waits are retried.
    pub lock_patience: Duration,
    /// Bound on statements; zero: none.
    pub statement_timeout: Duration,
    /// Statements for every script session.
    pub prelude: Vec<String>,
    /// MySQL/MariaDB: what scripts were written for; empty: the server's.
    pub sql_mode: String,
    /// What to do about out-of-order versions.
    pub out_of_order: OutOfOrder,
    /// What to do about a failed migration.
    pub on_failure: OnFailure,
    /// When to back up.
    pub backup: BackupPolicy,
    /// Where backups go, absolute.
    pub backup_dir: PathBuf,
    /// How many backups `prune` keeps.
    pub backup_keep: u32,
    /// What a gate accepts as recent; unless it is stated a gate asks for no backup.
    pub backup_max_age: Option<Duration>,
    /// What to do with `version.json`.
    pub manifest: ManifestPolicy,
    /// Patterns of what is ours (placeholders filled in); empty: everything.
    pub owns: Vec<String>,
    /// Patterns of others' objects that ours refer to.
    pub borrows: Vec<String>,
    /// How long details are kept.
    pub retention: Duration,
    /// Placeholders.
    pub placeholders: BTreeMap<String, String>,
    /// What the project takes from the environment under names that say secret, beside what the URLs hold.
    pub secrets: Secrets,
}

/// A version: digits, ordered as a number, shown as written.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(transparent)]
pub struct Version(pub String);

impl Version {
    /// As people know it: a version as it is; of a plan's step, which goes under a longer key, its name.
    pub fn shown(&self) -> &str {
        match self.0.strip_prefix('@') {
            Some(key) => key.rsplit('/').next().unwrap_or(key),
            None => &self.0,
        }
    }

    fn digits(&self) -> &str {
        self.0.trim_start_matches('0')
    }
}
impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Version {}
impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Version {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Padded to one width, as most folders are, digits compare as bytes do.
        if self.0.len() == other.0.len() {
            return self.0.cmp(&other.0);
        }
        let (a, b) = (self.digits(), other.digits());
        a.len().cmp(&b.len()).then_with(|| a.cmp(b))
    }
}
impl std::hash::Hash for Version {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.digits().hash(state);
    }
}
impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.shown())
    }
}

/// What the header says about transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransactionMode {
    /// As the statements demand.
    #[default]
    Auto,
    /// `transaction = "none"`.
    None,
}

/// One statement of a script, placeholders filled in.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The bytes in the file (before placeholders), for places.
    pub span: Range<usize>,
    /// The line in the file, from 1.
    pub line: usize,
    /// The SQL to send.
    pub sql: Arc<str>,
    /// The data of a psql COPY block.
    pub copy_data: Option<Arc<str>>,
    /// `-- dunlin: probe = "…"`.
    pub probe: Option<String>,
    /// `-- dunlin: rerunnable = true`.
    pub rerunnable: bool,
    /// What takes it back, where more is known than the statement tells: a plan's step knew the catalog before it.
    pub back: Option<Vec<String>>,
    /// A query that gives a row while what it writes over is as a plan's step found it; asked where it has written nothing.
    pub still: Option<String>,
}

/// One direction of a migration.
#[derive(Debug, Clone)]
pub struct Script {
    /// The file, as shown to people (relative to the project).
    pub file: String,
    /// Its statements, `BEGIN … COMMIT` around all of them taken off.
    pub statements: Vec<Statement>,
    /// Its fingerprints.
    pub fingerprint: Fingerprint,
    /// Whether an outermost BEGIN … COMMIT was taken over.
    pub wrapped: bool,
}

/// A finding code that the author allows, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    /// The code.
    pub code: String,
    /// Why.
    pub why: String,
}

/// One versioned migration.
#[derive(Debug, Clone)]
pub struct Migration {
    /// Its version.
    pub version: Version,
    /// Its name, snake case.
    pub name: String,
    /// `description`.
    pub description: Option<String>,
    /// The up part.
    pub up: Script,
    /// The undo part, where there is one.
    pub undo: Option<Script>,
    /// Why there is no way back.
    pub irreversible: Option<String>,
    /// Versions that must be applied before.
    pub requires: Vec<Version>,
    /// `transaction`.
    pub transaction: TransactionMode,
    /// `backup = true`.
    pub backup: bool,
    /// `estimate`.
    pub estimate: Option<Duration>,
    /// `timeout`.
    pub timeout: Option<Duration>,
    /// `allow`.
    pub allow: Vec<Allow>,
    /// Tables and views that the manifest says the migration makes; looked for afterwards.
    pub creates: Vec<String>,
}
