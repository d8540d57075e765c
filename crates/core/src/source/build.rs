//! One `[database.NAME]` to a [`DatabaseConfig`]: defaults, paths, patterns.

use super::config::Reading;
use super::expand::{fill, is_name};
use super::grammar::database::DatabaseTable;
use super::nearest::did_you_mean;
use super::shape::pointer;
use super::{DatabaseConfig, Deferred, Project, Secrets};
use crate::dialect;
use crate::finding::{Finding, Place};
use crate::redact::SecretUrl;
use crate::sql::{LexMode, substitute};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A database with nothing but a URL: every default as the contract has it.
pub(super) fn plain_database(name: &str, url: SecretUrl, root: &Path) -> DatabaseConfig {
    DatabaseConfig {
        name: name.to_owned(),
        url,
        base_dir: Some(root.to_owned()),
        direct_url: None,
        pooler: false,
        scratch: None,
        migrations: root.join("migrations"),
        journal_prefix: "dunlin_".into(),
        journal_schema: None,
        protected: false,
        lock_timeout: Duration::from_millis(200),
        lock_patience: Duration::from_secs(600),
        statement_timeout: Duration::ZERO,
        prelude: vec![],
        sql_mode: String::new(),
        out_of_order: Default::default(),
        on_failure: Default::default(),
        backup: Default::default(),
        backup_dir: root.join("backups"),
        backup_keep: 14,
        backup_max_age: None,
        manifest: Default::default(),
        owns: vec![],
        borrows: vec![],
        retention: Duration::from_secs(180 * 86_400),
        placeholders: BTreeMap::new(),
        secrets: Secrets::default(),
    }
}

/// Notes, for whoever selects the database, that its URL names no engine.
pub(super) fn check_scheme(project: &mut Project, at: usize, place: Place) {
    let database = &project.databases[at];
    let url = database.url.expose();
    if url.is_empty()
        || dialect::by_url(url).is_some()
        || project.is_deferred(&database_path(&database.name, "url"))
    {
        return;
    }
    let finding = unknown_engine(url, place);
    let path = database_path(&database.name, "url");
    project.deferred.push(Deferred { path, finding });
}

fn unknown_engine(url: &str, place: Place) -> Finding {
    let known: Vec<&str> = dialect::all()
        .iter()
        .flat_map(|dialect| dialect.schemes())
        .copied()
        .collect();
    let message = match url.split_once(':') {
        Some((scheme, _)) if is_name(&scheme.replace(['+', '.', '-'], "_")) => {
            format!("`{scheme}` is not an engine that Dunlin knows")
        }
        _ => "this URL does not say which engine it means".to_owned(),
    };
    let scheme = url.split(':').next().unwrap_or_default();
    let mut finding = Finding::error("unknown-engine", place, message);
    finding.help = did_you_mean(scheme, &known);
    finding
}

pub(super) fn database_path(name: &str, key: &str) -> String {
    pointer(&pointer("/database", name), key)
}

impl Project {
    /// The default database: the one named `app`, else the first.
    pub fn default_database(&self) -> Option<&DatabaseConfig> {
        let app = self
            .databases
            .iter()
            .find(|database| database.name == super::config::DEFAULT_DATABASE);
        app.or_else(|| self.databases.first())
    }

    /// The database of this name, or the default one; the error is every fault that only its user has to know of
    /// (variables that are not set, a URL that is missing or names no engine).
    pub fn select(&self, name: Option<&str>) -> Result<&DatabaseConfig, Vec<Finding>> {
        let found = match name {
            Some(name) => self.databases.iter().find(|database| database.name == name),
            None => self.default_database(),
        };
        let Some(database) = found else {
            let names: Vec<&str> = self
                .databases
                .iter()
                .map(|database| database.name.as_str())
                .collect();
            let message = match name {
                Some(name) => format!("there is no database `{name}`"),
                None => "no database is named".to_owned(),
            };
            let mut finding = Finding::error("unknown-database", Place::default(), message);
            finding.help = did_you_mean(name.unwrap_or_default(), &names);
            return Err(vec![finding]);
        };
        let faults = self.faults_under(&pointer("/database", &database.name));
        if faults.is_empty() {
            Ok(database)
        } else {
            Err(faults)
        }
    }

    /// The faults that count only for whoever uses what stands under a JSON pointer (`/database/app`, `/compare/0`).
    pub fn faults_under(&self, path: &str) -> Vec<Finding> {
        let under = |deferred: &&Deferred| {
            deferred
                .path
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.deferred
            .iter()
            .filter(under)
            .map(|deferred| deferred.finding.clone())
            .collect()
    }

    pub(super) fn is_deferred(&self, path: &str) -> bool {
        self.deferred.iter().any(|deferred| deferred.path == path)
    }

    /// Puts a URL (`--url`) in place of that of the named database, or of the default one. Relative files of such a URL
    /// are meant from the working directory, so it is taken as it is.
    pub fn override_url(&mut self, name: Option<&str>, url: SecretUrl) {
        let default = self
            .default_database()
            .map(|database| database.name.clone());
        let Some(name) = name.map(str::to_owned).or(default) else {
            return;
        };
        let Some(at) = self
            .databases
            .iter()
            .position(|database| database.name == name)
        else {
            return;
        };
        self.databases[at].url = url;
        self.databases[at].base_dir = None;
        let path = database_path(&name, "url");
        self.deferred.retain(|deferred| deferred.path != path);
        check_scheme(self, at, Place::default());
    }

    /// Every secret that the project's URLs hold or that it takes from the environment, for the redacting filter.
    pub fn secrets(&self) -> Vec<String> {
        let urls = self.databases.iter().flat_map(DatabaseConfig::urls);
        let mut secrets: Vec<String> = urls.flat_map(SecretUrl::secrets).collect();
        secrets.extend(self.environment.secrets());
        secrets.sort();
        secrets.dedup();
        secrets
    }
}

impl DatabaseConfig {
    fn urls(&self) -> impl Iterator<Item = &SecretUrl> {
        [
            Some(&self.url),
            self.direct_url.as_ref(),
            self.scratch.as_ref(),
        ]
        .into_iter()
        .flatten()
    }

    /// The secrets of its URLs and of what the project takes from the environment.
    pub fn secrets(&self) -> impl Iterator<Item = String> {
        self.urls()
            .flat_map(SecretUrl::secrets)
            .chain(self.secrets.0.iter().cloned())
    }
}

impl Reading<'_> {
    /// One database with its defaults.
    pub(super) fn database(
        &mut self,
        name: &str,
        table: &DatabaseTable,
        project: &Project,
    ) -> DatabaseConfig {
        let root = &project.root;
        let url = self.url(name, table, project);
        self.placeholder_names(name, &table.placeholders);
        let prelude = self.prelude(name, table, &url);
        let plain = plain_database(name, SecretUrl::new(""), root);
        let text = |text: &Option<super::grammar::EnvText>| {
            text.as_ref()
                .map(|text| text.0.clone())
                .filter(|text| !text.is_empty())
        };
        let secret = |url| text(url).map(SecretUrl::new);
        let duration = |given: Option<super::duration::DurationText>, default| {
            given.map_or(default, |given| given.0)
        };
        let path = |given, default| text(given).map_or(default, |given| root.join(given));
        DatabaseConfig {
            url,
            base_dir: plain.base_dir,
            direct_url: secret(&table.direct_url),
            pooler: table.pooler.unwrap_or(false),
            scratch: secret(&table.scratch),
            migrations: path(&table.migrations, plain.migrations),
            journal_prefix: self
                .journal_prefix(name, table)
                .unwrap_or(plain.journal_prefix),
            journal_schema: table
                .journal_schema
                .clone()
                .filter(|schema| !schema.is_empty()),
            protected: table.protected.unwrap_or(false),
            lock_timeout: duration(table.lock_timeout, plain.lock_timeout),
            lock_patience: duration(table.lock_patience, plain.lock_patience),
            statement_timeout: duration(table.statement_timeout, plain.statement_timeout),
            prelude,
            sql_mode: table.sql_mode.clone().unwrap_or_default(),
            out_of_order: table.out_of_order.unwrap_or_default(),
            on_failure: table.on_failure.unwrap_or_default(),
            backup: table.backup.unwrap_or_default(),
            backup_dir: path(&table.backup_dir, plain.backup_dir),
            backup_keep: table.backup_keep.unwrap_or(plain.backup_keep),
            backup_max_age: table.backup_max_age.map(|age| age.0),
            manifest: table.manifest.unwrap_or_default(),
            owns: self.patterns(name, "owns", &table.owns, &table.placeholders),
            borrows: self.patterns(name, "borrows", &table.borrows, &table.placeholders),
            retention: duration(table.retention, plain.retention),
            placeholders: table.placeholders.clone(),
            secrets: Secrets(project.secrets()),
            name: plain.name,
        }
    }

    fn url(&mut self, name: &str, table: &DatabaseTable, project: &Project) -> SecretUrl {
        let given = table
            .url
            .as_ref()
            .map(|url| url.0.as_str())
            .unwrap_or_default();
        if !given.is_empty() {
            return SecretUrl::new(given);
        }
        // Only where the file names no URL at all: `DATABASE_URL` is one place, and the file's word goes first.
        let first = project.databases.is_empty() || name == super::config::DEFAULT_DATABASE;
        let from_env = project
            .environment
            .get("DATABASE_URL")
            .filter(|url| first && !url.is_empty());
        match from_env {
            Some(url) => SecretUrl::new(url),
            None => {
                let message = format!("database `{name}` has no `url`");
                let help = Some("give `url`, or `--url` on the command line".to_owned());
                self.defer("no-url", &database_path(name, "url"), message, help);
                SecretUrl::new("")
            }
        }
    }

    /// The prelude is SQL: placeholders are filled in as in scripts, where the URL says by which rules.
    fn prelude(&mut self, name: &str, table: &DatabaseTable, url: &SecretUrl) -> Vec<String> {
        let Some(dialect) = dialect::by_url(url.expose()) else {
            return table.prelude.clone();
        };
        let mode = LexMode {
            sql_mode: table.sql_mode.clone().unwrap_or_default().to_uppercase(),
            plain_backslashes: false,
        };
        let rules = dialect.lex_rules(&mode);
        let path = database_path(name, "prelude");
        let mut statements = vec![];
        for (at, sql) in table.prelude.iter().enumerate() {
            match substitute(sql, &rules, &table.placeholders) {
                Ok(placed) => statements.push(placed.text.into_owned()),
                Err(faults) => {
                    for fault in faults {
                        self.error(fault.code, &format!("{path}/{at}"), fault.message, None);
                    }
                }
            }
        }
        statements
    }

    fn placeholder_names(&mut self, name: &str, placeholders: &BTreeMap<String, String>) {
        let path = database_path(name, "placeholders");
        for key in placeholders.keys().filter(|key| !is_name(key)) {
            let message = format!("`{}` cannot name a placeholder", key.escape_debug());
            let help = "letters, digits and `_`, not beginning with a digit".to_owned();
            self.error("bad-value", &pointer(&path, key), message, Some(help));
        }
    }

    fn journal_prefix(&mut self, name: &str, table: &DatabaseTable) -> Option<String> {
        let path = database_path(name, "journal_prefix");
        let given = table.journal_prefix.as_deref()?;
        let prefix = self.filled(&path, given, &table.placeholders)?;
        // 40 leaves room for the longest table name of the journal on the engine with the shortest names (63 bytes).
        let fine = prefix.len() <= 40
            && prefix
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !fine {
            let message = format!(
                "`{}` cannot begin the names of tables",
                prefix.escape_debug()
            );
            let help = "at most 40 letters, digits and `_`".to_owned();
            self.error("bad-value", &path, message, Some(help));
            return None;
        }
        Some(prefix)
    }

    fn patterns(
        &mut self,
        name: &str,
        key: &str,
        patterns: &[String],
        placeholders: &BTreeMap<String, String>,
    ) -> Vec<String> {
        let path = database_path(name, key);
        let walked = patterns.iter().enumerate();
        walked
            .filter_map(|(at, pattern)| self.filled(&format!("{path}/{at}"), pattern, placeholders))
            .collect()
    }

    fn filled(
        &mut self,
        path: &str,
        text: &str,
        placeholders: &BTreeMap<String, String>,
    ) -> Option<String> {
        match fill(text, placeholders) {
            Ok(text) => Some(text),
            Err(unknown) => {
                let known: Vec<&str> = placeholders.keys().map(String::as_str).collect();
                let help = did_you_mean(&unknown, &known).or_else(|| {
                    Some(format!(
                        "declare it: `[database.….placeholders] {unknown} = \"…\"`"
                    ))
                });
                self.error(
                    "placeholder-unknown",
                    path,
                    format!("placeholder `{{{unknown}}}` is not declared"),
                    help,
                );
                None
            }
        }
    }
}
