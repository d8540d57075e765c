//! `version.json`, as WordPress plugins keep one beside their migrations: read, compared with the folder, written back.

mod write;

pub use write::{AppliedLine, write_manifest};

use crate::finding::{Finding, Place};
use crate::source::config::text_of;
use crate::source::folder::Requires;
use crate::source::{DatabaseConfig, Migration, Version};
use serde_json::{Map, Value};
use std::time::Duration;

/// The file's name.
pub const FILE: &str = "version.json";

/// What a `version.json` says.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// The file, as shown to people.
    pub file: String,
    /// Its text, for places.
    text: String,
    /// Its migrations.
    pub entries: Vec<Entry>,
    /// `backup_before_migration`: a backup before each migration.
    pub backup_before_migration: Option<bool>,
    /// `migration_timeout_seconds`: for migrations that state none.
    pub migration_timeout: Option<Duration>,
    /// `auto_migrate_on_activation`: false: the embedded `up()` only reports.
    pub auto_migrate_on_activation: Option<bool>,
}

/// One migration of a manifest.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key under `migrations`, or the position in the list.
    pub key: String,
    /// The version: the key, or `version`.
    pub version: Version,
    /// `name`.
    pub name: Option<String>,
    /// `description`.
    pub description: Option<String>,
    /// `file`.
    pub file: Option<String>,
    /// `rollback_file`.
    pub rollback_file: Option<String>,
    /// `dependencies`.
    pub dependencies: Vec<String>,
    /// `requires_backup`.
    pub requires_backup: bool,
    /// `estimated_time_seconds`.
    pub estimate: Option<Duration>,
    /// `tables_created` and `views_created`, as written.
    pub creates: Vec<String>,
}

/// Reads a manifest. `None`: it cannot be read; the findings say why.
pub fn parse_manifest(file: &str, bytes: &[u8]) -> (Option<Manifest>, Vec<Finding>) {
    let text = match text_of(file, bytes) {
        Ok(text) => text,
        Err(finding) => return (None, vec![*finding]),
    };
    let value: Value = match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(value) => value,
        Err(fault) => {
            let place = Place {
                file: Some(file.into()),
                line: Some(fault.line()),
                span: None,
                object: None,
            };
            let place = match line_span(text, fault.line()) {
                Some(span) => Place::in_file(file, text, span),
                None => place,
            };
            let finding =
                Finding::error("manifest-syntax", place, format!("not valid JSON: {fault}"));
            return (
                None,
                vec![finding.help("`manifest = \"ignore\"` in dunlin.toml leaves the file alone")],
            );
        }
    };
    let mut reading = Reading {
        file,
        text,
        findings: vec![],
    };
    let manifest = reading.manifest(&value);
    (manifest, reading.findings)
}

struct Reading<'a> {
    file: &'a str,
    text: &'a str,
    findings: Vec<Finding>,
}

impl Reading<'_> {
    fn wrong(&mut self, entry: Option<&str>, key: &str, wanted: &str) {
        let place = place(self.file, self.text, entry, key);
        self.findings.push(Finding::error(
            "manifest-syntax",
            place,
            format!("`{key}` takes {wanted}"),
        ));
    }

    fn manifest(&mut self, value: &Value) -> Option<Manifest> {
        let Value::Object(root) = value else {
            let finding = Finding::error(
                "manifest-syntax",
                Place::file(self.file),
                "version.json is not a table (`{ … }`)",
            );
            self.findings.push(finding);
            return None;
        };
        let mut manifest = Manifest {
            file: self.file.into(),
            text: self.text.into(),
            ..Manifest::default()
        };
        manifest.backup_before_migration = self.yes_no(None, root, "backup_before_migration");
        manifest.auto_migrate_on_activation = self.yes_no(None, root, "auto_migrate_on_activation");
        manifest.migration_timeout = self
            .seconds(None, root, "migration_timeout_seconds")
            .filter(|timeout| !timeout.is_zero());
        match root.get("migrations") {
            None | Some(Value::Null) => {}
            Some(Value::Object(entries)) => {
                for (key, entry) in entries {
                    manifest.entries.extend(self.entry(key, Some(key), entry));
                }
            }
            // PHP writes an empty table as `[]`, and some keep a list.
            Some(Value::Array(entries)) => {
                for (at, entry) in entries.iter().enumerate() {
                    manifest
                        .entries
                        .extend(self.entry(&at.to_string(), None, entry));
                }
            }
            Some(_) => self.wrong(None, "migrations", "a table of migrations by version"),
        }
        Some(manifest)
    }

    fn entry(&mut self, key: &str, version: Option<&str>, value: &Value) -> Option<Entry> {
        let Value::Object(table) = value else {
            self.wrong(None, key, "a table");
            return None;
        };
        let own = match table.get("version") {
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => self.text(Some(key), table, "version"),
        };
        let is_version =
            |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let version = version
            .filter(is_version)
            .or(own.as_deref().filter(is_version));
        let Some(version) = version.map(|version| Version(version.to_owned())) else {
            self.wrong(None, key, "a version in digits");
            return None;
        };
        if let Some(own) = own.filter(|own| Version(own.clone()) != version) {
            let place = place(self.file, self.text, Some(key), "version");
            let message = format!("`version` is `{own}` under the key `{key}`");
            self.findings
                .push(Finding::error("manifest-mismatch", place, message));
        }
        let mut creates = self.list(Some(key), table, "tables_created");
        creates.extend(self.list(Some(key), table, "views_created"));
        Some(Entry {
            name: self.text(Some(key), table, "name"),
            description: self.text(Some(key), table, "description"),
            file: self.text(Some(key), table, "file"),
            rollback_file: self
                .text(Some(key), table, "rollback_file")
                .filter(|file| !file.is_empty()),
            dependencies: self.list(Some(key), table, "dependencies"),
            requires_backup: self
                .yes_no(Some(key), table, "requires_backup")
                .unwrap_or(false),
            estimate: self.seconds(Some(key), table, "estimated_time_seconds"),
            creates,
            key: key.to_owned(),
            version,
        })
    }

    fn text(
        &mut self,
        entry: Option<&str>,
        table: &Map<String, Value>,
        key: &str,
    ) -> Option<String> {
        match table.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            _ => {
                self.wrong(entry, key, "a text");
                None
            }
        }
    }

    fn yes_no(
        &mut self,
        entry: Option<&str>,
        table: &Map<String, Value>,
        key: &str,
    ) -> Option<bool> {
        match table.get(key)? {
            Value::Bool(yes) => Some(*yes),
            Value::Null => None,
            _ => {
                self.wrong(entry, key, "true or false");
                None
            }
        }
    }

    fn seconds(
        &mut self,
        entry: Option<&str>,
        table: &Map<String, Value>,
        key: &str,
    ) -> Option<Duration> {
        match table.get(key)? {
            Value::Null => None,
            value => {
                let seconds = value
                    .as_f64()
                    .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                if seconds.is_none() {
                    self.wrong(entry, key, "seconds");
                }
                seconds
            }
        }
    }

    fn list(&mut self, entry: Option<&str>, table: &Map<String, Value>, key: &str) -> Vec<String> {
        let items = match table.get(key) {
            None | Some(Value::Null) => return vec![],
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.wrong(entry, key, "a list of texts");
                return vec![];
            }
        };
        let texts: Vec<String> = items
            .iter()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect();
        if texts.len() < items.len() {
            self.wrong(entry, key, "a list of texts");
        }
        texts
    }
}

/// Where a key stands, found by its text: serde knows no places of what it has read.
fn place(file: &str, text: &str, entry: Option<&str>, key: &str) -> Place {
    let find = |word: &str, from: usize| {
        let quoted = format!("\"{word}\"");
        let mut at = from;
        loop {
            let start = at + text.get(at..)?.find(&quoted)?;
            let end = start + quoted.len();
            if text[end..].trim_start().starts_with(':') {
                return Some(start..end);
            }
            at = end;
        }
    };
    let migrations = find("migrations", 0).map_or(0, |span| span.end);
    let from = entry
        .and_then(|entry| find(entry, migrations))
        .map_or(0, |span| span.end);
    let found = find(key, from).or_else(|| entry.and_then(|entry| find(entry, migrations)));
    match found {
        Some(span) => Place::in_file(file, text, span),
        None => Place::file(file),
    }
}

fn line_span(text: &str, line: usize) -> Option<std::ops::Range<usize>> {
    let mut start = 0;
    for (at, content) in text.split_inclusive('\n').enumerate() {
        if at + 1 == line {
            return Some(start..start + content.trim_end().len());
        }
        start += content.len();
    }
    None
}

impl Manifest {
    /// The entry whose undo script this file is.
    pub fn rollback_of(&self, file: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.rollback_file.as_deref() == Some(file))
    }

    fn mismatch(&self, entry: &Entry, key: &str, message: String) -> Finding {
        let place = place(&self.file, &self.text, Some(&entry.key), key);
        let help = "mend version.json, or leave it alone with `manifest = \"ignore\"`";
        Finding::error("manifest-mismatch", place, message).help(help)
    }

    /// Brings what the manifest says to the migrations of the folder. Their own headers go first.
    pub(super) fn apply(
        &self,
        migrations: &mut [Migration],
        required: &mut [Requires],
        unreadable: &[Version],
        db: &DatabaseConfig,
        findings: &mut Vec<Finding>,
    ) {
        for migration in migrations.iter_mut() {
            migration.backup |= self.backup_before_migration.unwrap_or(false);
            migration.timeout = migration.timeout.or(self.migration_timeout);
        }
        let mut listed: Vec<Version> = vec![];
        for entry in &self.entries {
            if listed.contains(&entry.version) {
                findings.push(self.mismatch(
                    entry,
                    &entry.key,
                    format!("version {} is listed twice", entry.version),
                ));
                continue;
            }
            listed.push(entry.version.clone());
            let at = migrations
                .iter()
                .position(|migration| migration.version == entry.version);
            let (Some(at), Some(migration)) = (at, at.and_then(|at| migrations.get_mut(at))) else {
                if unreadable.contains(&entry.version) {
                    continue;
                }
                let message = format!(
                    "version {} is listed and has no script in the folder",
                    entry.version
                );
                findings.push(self.mismatch(entry, &entry.key, message));
                continue;
            };
            self.compare(entry, migration, findings);
            migration.description = migration.description.take().or(entry.description.clone());
            migration.backup |= entry.requires_backup;
            migration.estimate = migration.estimate.or(entry.estimate);
            migration.creates = entry
                .creates
                .iter()
                .map(|name| full_name(name, migration, db))
                .collect();
            if let Some(requires) = required.get_mut(at) {
                self.require(entry, requires, findings);
            }
        }
        for migration in migrations
            .iter()
            .filter(|migration| !listed.contains(&migration.version))
        {
            let message = format!(
                "version {} has a script and is not listed in version.json",
                migration.version
            );
            let finding = Finding::warning(
                "manifest-mismatch",
                Place::file(&migration.up.file),
                message,
            );
            findings.push(
                finding
                    .help("it is applied all the same; `dunlin status --write-manifest` lists it"),
            );
        }
    }

    fn require(&self, entry: &Entry, requires: &mut Requires, findings: &mut Vec<Finding>) {
        for dependency in &entry.dependencies {
            let place = place(&self.file, &self.text, Some(&entry.key), "dependencies");
            if dependency.is_empty() || !dependency.bytes().all(|byte| byte.is_ascii_digit()) {
                let message = format!("`{}` is not a version", dependency.escape_debug());
                findings.push(Finding::error("manifest-syntax", place, message));
            } else {
                requires.push((Version(dependency.clone()), place));
            }
        }
    }

    fn compare(&self, entry: &Entry, migration: &Migration, findings: &mut Vec<Finding>) {
        let script = file_part(&migration.up.file);
        if let Some(file) = entry
            .file
            .as_deref()
            .filter(|file| file_part(file) != script)
        {
            findings.push(self.mismatch(
                entry,
                "file",
                format!("`file` is `{file}`, and the script is `{script}`"),
            ));
        }
        if let Some(name) = entry.name.as_deref().filter(|name| *name != migration.name) {
            let message = format!("`name` is `{name}`, and the script is `{script}`");
            findings.push(self.mismatch(entry, "name", message));
        }
        if let Some(file) = &entry.rollback_file {
            let undo = migration.undo.as_ref().map(|undo| file_part(&undo.file));
            if undo != Some(file_part(file)) {
                let message =
                    format!("`rollback_file` is `{file}`, and no such undo is in the folder");
                findings.push(self.mismatch(entry, "rollback_file", message));
            }
        }
    }
}

fn file_part(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The name in the database of a created object: manifests leave the prefix out that the script writes as `{prefix}name`.
fn full_name(name: &str, migration: &Migration, db: &DatabaseConfig) -> String {
    if let Ok(filled) = crate::source::expand::fill(name, &db.placeholders)
        && filled != name
    {
        return filled;
    }
    let mentions = |name: &str| {
        migration
            .up
            .statements
            .iter()
            .any(|statement| has_word(&statement.sql, name))
    };
    if mentions(name) {
        return name.to_owned();
    }
    let prefixed = db
        .placeholders
        .values()
        .map(|value| format!("{value}{name}"));
    prefixed
        .into_iter()
        .find(|name| mentions(name))
        .unwrap_or_else(|| name.to_owned())
}

/// Whether a name stands in a text as a word of its own.
fn has_word(text: &str, name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    !name.is_empty()
        && text.match_indices(name).any(|(at, _)| {
            !text[..at].ends_with(part) && !text[at + name.len()..].starts_with(part)
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn faults_of_a_manifest_have_places() {
        let text = "{\n \"migrations\": {\n  \"001\": { \"version\": \"2\", \"name\": 5,\n   \"dependencies\": \"000\" },\n  \"x\": {}, \"y\": 1\n },\n \"migration_timeout_seconds\": -1\n}";
        let (manifest, findings) = parse_manifest("version.json", text.as_bytes());
        assert_eq!(manifest.unwrap().entries.len(), 1);
        let shown: Vec<_> = findings
            .iter()
            .map(|finding| (finding.place.line.unwrap(), finding.message.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                (7, "`migration_timeout_seconds` takes seconds"),
                (3, "`version` is `2` under the key `001`"),
                (3, "`name` takes a text"),
                (4, "`dependencies` takes a list of texts"),
                (5, "`x` takes a version in digits"),
                (5, "`y` takes a table"),
            ]
        );
        let (none, findings) = parse_manifest("version.json", b"{\n \"a\": ,\n}");
        assert!(none.is_none());
        assert_eq!(
            (findings[0].code, findings[0].place.line),
            ("manifest-syntax", Some(2))
        );
    }
}
