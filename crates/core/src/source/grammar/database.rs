//! `[database.NAME]`.

use super::EnvText;
use crate::source::duration::DurationText;
use crate::source::{BackupPolicy, ManifestPolicy, OnFailure, OutOfOrder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[database.NAME]`: one named place with a URL.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseTable {
    /// `sqlite:path`, `sqlite::memory:`, `postgres://…`, `mysql://…`, `mariadb://…`.
    pub url: Option<EnvText>,
    /// Behind a transaction pooler: the way around it, for what needs a session.
    pub direct_url: Option<EnvText>,
    /// Whether `url` leads through a transaction pooler.
    #[schemars(extend("default" = false))]
    pub pooler: Option<bool>,
    /// URL where scratch databases may be made; default: the same server, generated names, never an existing database.
    pub scratch: Option<EnvText>,
    /// The folder of migrations, relative to this file.
    #[schemars(extend("default" = "migrations"))]
    pub migrations: Option<EnvText>,
    /// Prefix of the names of the journal's tables.
    #[schemars(extend("default" = "dunlin_"))]
    pub journal_prefix: Option<String>,
    /// Schema of the journal's tables, where the engine has several.
    pub journal_schema: Option<String>,
    /// `drop-all`, `reset` and `unlock --force` refuse.
    #[schemars(extend("default" = false))]
    pub protected: Option<bool>,
    /// Bound on lock waits of DDL; retried with back-off up to `lock_patience`.
    #[schemars(extend("default" = "200ms"))]
    pub lock_timeout: Option<DurationText>,
    /// How long lock waits are retried.
    #[schemars(extend("default" = "10m"))]
    pub lock_patience: Option<DurationText>,
    /// Bound on statements; `0`: none.
    #[schemars(extend("default" = "0"))]
    pub statement_timeout: Option<DurationText>,
    /// Statements for every script session, e.g. `SET FOREIGN_KEY_CHECKS=0`.
    pub prelude: Vec<String>,
    /// MySQL and MariaDB: the mode that scripts were written for; default: the server's, recorded.
    #[schemars(extend("default" = ""))]
    pub sql_mode: Option<String>,
    /// What to do about a pending version below the newest applied one.
    #[schemars(extend("default" = "stop"))]
    pub out_of_order: Option<OutOfOrder>,
    /// What to do about a migration that fails.
    #[schemars(extend("default" = "undo"))]
    pub on_failure: Option<OnFailure>,
    /// When a backup is made before `up`.
    #[schemars(extend("default" = "auto"))]
    pub backup: Option<BackupPolicy>,
    /// Where backups go, relative to this file.
    #[schemars(extend("default" = "backups"))]
    pub backup_dir: Option<EnvText>,
    /// How many backups are kept.
    #[schemars(extend("default" = 14))]
    pub backup_keep: Option<u32>,
    /// What a gate accepts as recent: where it is stated, a gate opens only beside a verified backup that is no older, or before
    /// a phase that makes one itself (`backup = "database"`).
    pub backup_max_age: Option<DurationText>,
    /// What to do with `version.json`.
    #[schemars(extend("default" = "read"))]
    pub manifest: Option<ManifestPolicy>,
    /// Patterns of objects that are ours; default: everything.
    pub owns: Vec<String>,
    /// Patterns of others' objects that ours refer to: copied, empty, into scratch databases.
    pub borrows: Vec<String>,
    /// How long details are kept: journal details, undo images, rejects, checkpoints.
    #[schemars(extend("default" = "180d"))]
    pub retention: Option<DurationText>,
    /// `{name}` in scripts and SQL; only declared names are replaced.
    pub placeholders: BTreeMap<String, String>,
}
