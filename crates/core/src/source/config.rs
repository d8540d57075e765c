//! `dunlin.toml`, `.env` and the environment to a [`Project`], every fault at once.

use super::build;
use super::dotenv::parse_dotenv;
use super::expand::{Environment, ExpandFault, expand};
use super::grammar::{ProjectFile, project_schema};
use super::nearest::did_you_mean;
use super::shape::{Places, Shaped, at, at_mut, pointer, shape, without_holes};
use super::{Deferred, Project};
use crate::finding::{Finding, Place};
use crate::redact::SecretUrl;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

/// The name of the database where no file names one.
pub const DEFAULT_DATABASE: &str = "app";

/// What a project is read from. The caller read the bytes; `None` where there is no such file.
#[derive(Clone, Default)]
pub struct ConfigInput {
    /// The path of `dunlin.toml`, as shown to people.
    pub path: String,
    /// Its bytes.
    pub toml: Option<Vec<u8>>,
    /// The bytes of `.env` beside it.
    pub dotenv: Option<Vec<u8>>,
    /// The environment of the process.
    pub environment: BTreeMap<String, String>,
    /// `--env NAME`.
    pub env_name: Option<String>,
    /// The folder of `dunlin.toml`: relative paths are meant from here.
    pub root: PathBuf,
}

/// Reads a project. What is faulty is left out of it; the findings say what. Variables that only an unselected database
/// misses do not count yet: [`Project::select`] raises them.
pub fn parse_project(input: ConfigInput) -> (Project, Vec<Finding>) {
    let mut findings = vec![];
    let dotenv_path = dotenv_path(&input.path);
    let dotenv = match input
        .dotenv
        .as_deref()
        .map(|bytes| text_of(&dotenv_path, bytes))
    {
        Some(Ok(text)) => {
            let (variables, faults) = parse_dotenv(&dotenv_path, text, &input.environment);
            findings.extend(faults);
            variables
        }
        Some(Err(fault)) => {
            findings.push(Finding {
                severity: crate::finding::Severity::Warning,
                ..*fault
            });
            vec![]
        }
        None => vec![],
    };
    let environment = Environment::new(input.environment, dotenv);
    let empty = Project {
        root: input.root.clone(),
        environment: environment.clone(),
        ..Project::default()
    };
    let Some(bytes) = input.toml else {
        if let Some(env) = &input.env_name {
            findings.push(unknown_env(env, &Map::new(), Place::default()));
        }
        return (without_file_in(empty), findings);
    };
    let text = match text_of(&input.path, &bytes) {
        Ok(text) => text,
        Err(fault) => {
            findings.push(*fault);
            return (empty, findings);
        }
    };
    let shaped = shape(&input.path, text, project_schema());
    let reading = Reading {
        file: &input.path,
        text,
        places: shaped.places.clone(),
        findings,
        deferred: vec![],
    };
    reading.project(shaped, empty, input.env_name.as_deref())
}

impl Project {
    /// What stands in for a file: one database named `app` at `url`, with the folder `migrations`.
    pub fn without_file(url: SecretUrl, root: PathBuf) -> Project {
        let mut project = without_file_in(Project {
            root,
            ..Project::default()
        });
        project.override_url(None, url);
        project
    }
}

fn without_file_in(mut project: Project) -> Project {
    let url = project
        .environment
        .get("DATABASE_URL")
        .unwrap_or_default()
        .to_owned();
    if url.is_empty() {
        let help = "give `--url`, set DATABASE_URL, or write a dunlin.toml (`dunlin init`)";
        let finding = Finding::error("no-url", Place::default(), "no database is named").help(help);
        project.deferred.push(Deferred {
            path: pointer("/database/app", "url"),
            finding,
        });
    }
    let database = build::plain_database(DEFAULT_DATABASE, SecretUrl::new(url), &project.root);
    project.databases.push(database);
    build::check_scheme(&mut project, 0, Place::default());
    project
}

fn dotenv_path(config: &str) -> String {
    match config.rfind(['/', '\\']) {
        Some(at) => format!("{}.env", &config[..=at]),
        None => ".env".into(),
    }
}

/// The text of a file, or the finding that says at which byte it is none.
pub(crate) fn text_of<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Box<Finding>> {
    std::str::from_utf8(bytes).map_err(|fault| {
        let at = fault.valid_up_to();
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        let place = Place {
            file: Some(file.to_owned()),
            line: Some(line),
            span: None,
            object: None,
        };
        let byte = bytes.get(at).copied().unwrap_or_default();
        let message = format!("byte {at} (0x{byte:02X}) is not UTF-8");
        let help =
            "save the file as UTF-8; `iconv -f WINDOWS-1252 -t UTF-8` converts the usual other one";
        Box::new(Finding::error("broken-utf8", place, message).help(help))
    })
}

fn unknown_env(name: &str, known: &Map<String, Value>, place: Place) -> Finding {
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    let mut finding = Finding::error(
        "unknown-env",
        place,
        format!("there is no environment `{name}`"),
    );
    finding.help =
        did_you_mean(name, &names).or_else(|| Some(format!("write `[env.{name}.database.app]`")));
    finding
}

/// The second half of the reading: overrides, variables, types.
pub(super) struct Reading<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
    pub(super) places: Places,
    pub(super) findings: Vec<Finding>,
    pub(super) deferred: Vec<Deferred>,
}

impl Reading<'_> {
    /// The place of a value; where it is not in the file, that of what it would stand in.
    pub(super) fn place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(span) = self.places.get(path) {
                return self.place_of(span.clone());
            }
            match path.rfind('/') {
                Some(at) => path = &path[..at],
                None => return Place::file(self.file),
            }
        }
    }

    fn place_of(&self, span: Range<usize>) -> Place {
        Place::in_file(self.file, self.text, span)
    }

    pub(super) fn error(
        &mut self,
        code: &'static str,
        path: &str,
        message: String,
        help: Option<String>,
    ) {
        let mut finding = Finding::error(code, self.place(path), message);
        finding.help = help;
        self.findings.push(finding);
    }

    /// A fault that counts only for whoever uses the value.
    pub(super) fn defer(
        &mut self,
        code: &'static str,
        path: &str,
        message: String,
        help: Option<String>,
    ) {
        let mut finding = Finding::error(code, self.place(path), message);
        finding.help = help;
        self.deferred.push(Deferred {
            path: path.to_owned(),
            finding,
        });
    }

    fn project(
        mut self,
        shaped: Shaped,
        mut empty: Project,
        env: Option<&str>,
    ) -> (Project, Vec<Finding>) {
        let Shaped {
            mut value,
            env: texts,
            findings,
            ..
        } = shaped;
        self.findings.extend(findings);
        let order = database_order(&value);
        let mut texts = texts;
        if let Some(env) = env {
            self.apply_env(&mut value, &mut texts, env);
        }
        for path in texts.iter().filter(|path| !path.starts_with("/env/")) {
            self.expand_at(&mut value, path, &mut empty.environment);
        }
        self.check_ids(&value);
        without_holes(&mut value);
        let file: ProjectFile = match serde_json::from_value(value) {
            Ok(file) => file,
            Err(fault) => {
                // The walk let something pass that the types do not take: better said than guessed.
                self.error(
                    "bad-value",
                    "",
                    format!("this file cannot be read: {fault}"),
                    None,
                );
                return (empty, self.findings);
            }
        };
        let mut project = Project {
            name: file.project.name.clone(),
            log: file.project.log.as_ref().map(|log| empty.root.join(&log.0)),
            sensitive: file
                .privacy
                .as_ref()
                .map(|privacy| privacy.sensitive.clone())
                .unwrap_or_default(),
            env: env.map(str::to_owned),
            ..empty
        };
        for name in order.into_iter().chain(added(&file, &self.places)) {
            if let Some(table) = file.database.get(&name)
                && !project
                    .databases
                    .iter()
                    .any(|database| database.name == name)
            {
                let database = self.database(&name, table, &project);
                project.databases.push(database);
            }
        }
        if project.databases.is_empty() {
            let standing = without_file_in(project.clone());
            project.databases = standing.databases;
            self.deferred.extend(standing.deferred);
        }
        self.check_rules(&file);
        project.file = file;
        project.places = self.places.clone();
        project.deferred = std::mem::take(&mut self.deferred);
        self.check_schemes(&mut project);
        (project, self.findings)
    }

    /// Faults of rules count for whoever asks them.
    fn check_rules(&mut self, file: &ProjectFile) {
        for (at, rule) in file.rule.iter().enumerate() {
            for fault in crate::rules::read(rule).err().into_iter().flatten() {
                let path = format!("/rule/{at}{}", fault.at);
                self.defer(fault.code, &path, fault.message, fault.help);
            }
        }
    }

    fn check_schemes(&self, project: &mut Project) {
        for at in 0..project.databases.len() {
            let path = pointer(&pointer("/database", &project.databases[at].name), "url");
            build::check_scheme(project, at, self.place(&path));
        }
    }

    /// Lays `[env.NAME]` over the rest, key by key.
    fn apply_env(&mut self, value: &mut Value, texts: &mut Vec<String>, env: &str) {
        let known = value
            .get("env")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let Some(over) = known.get(env) else {
            let place = self.place("/env");
            self.findings.push(unknown_env(env, &known, place));
            return;
        };
        self.check_overridden(value, over, env);
        merge(value, over);
        let prefix = pointer("/env", env);
        let moved: Vec<_> = self
            .places
            .range(prefix.clone()..)
            .map(|(path, span)| (path.clone(), span.clone()))
            .collect();
        for (path, span) in moved {
            if let Some(rest) = path
                .strip_prefix(&prefix)
                .filter(|rest| rest.starts_with('/'))
            {
                self.places.insert(rest.to_owned(), span);
            }
        }
        let own: Vec<String> = texts
            .iter()
            .filter_map(|path| path.strip_prefix(&prefix))
            .map(str::to_owned)
            .collect();
        texts.extend(own);
        texts.sort();
        texts.dedup();
    }

    /// An override of a database that is not there is a slip of the pen, unless it has a URL of its own.
    fn check_overridden(&mut self, value: &Value, over: &Value, env: &str) {
        let names = |value: &Value| -> Vec<String> {
            let databases = value.get("database").and_then(Value::as_object);
            databases.into_iter().flat_map(Map::keys).cloned().collect()
        };
        let known = names(value);
        for name in names(over) {
            let has_url = at(over, &pointer(&pointer("/database", &name), "url")).is_some();
            if !known.contains(&name) && !has_url {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                let path = pointer(&pointer("/env", env), "database");
                let message =
                    format!("`[env.{env}.database.{name}]` overrides a database that is not there");
                self.error(
                    "unknown-database",
                    &pointer(&path, &name),
                    message,
                    did_you_mean(&name, &known),
                );
            }
        }
    }

    fn expand_at(&mut self, value: &mut Value, path: &str, environment: &mut Environment) {
        let Some(Value::String(text)) = at_mut(value, path) else {
            return;
        };
        if !text.contains("${") {
            return;
        }
        environment.note_used(text);
        let faults = match expand(text, environment) {
            Ok(expanded) => {
                *text = expanded;
                return;
            }
            Err(faults) => faults,
        };
        for fault in faults {
            match fault {
                ExpandFault::Malformed(part) => {
                    let help =
                        "write `${NAME}` or `${NAME:-default}`; `$${` stands for `${` itself"
                            .to_owned();
                    self.error(
                        "bad-variable",
                        path,
                        format!("`{part}` names no variable"),
                        Some(help),
                    );
                }
                ExpandFault::Missing(name) => {
                    let message = format!("the environment variable {name} is not set");
                    let help = Some(format!(
                        "set {name}, put it into .env, or write `${{{name}:-default}}`"
                    ));
                    if path.starts_with("/project/") {
                        self.error("missing-variable", path, message, help);
                    } else {
                        self.defer("missing-variable", path, message, help);
                    }
                }
            }
        }
    }

    /// Names must be theirs alone.
    fn check_ids(&mut self, value: &Value) {
        let lists = [
            ("plugin", "id"),
            ("rule", "id"),
            ("item", "id"),
            ("report", "id"),
            ("coexistence", "name"),
            ("compare", "name"),
        ];
        for (list, key) in lists {
            let mut seen: Vec<&str> = vec![];
            let entries = value
                .get(list)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .enumerate();
            let mut doubles = vec![];
            for (at, entry) in entries {
                let Some(id) = entry.get(key).and_then(Value::as_str) else {
                    continue;
                };
                if seen.contains(&id) {
                    doubles.push((
                        format!("/{list}/{at}/{key}"),
                        format!("`[[{list}]] {key} = \"{id}\"` is there twice"),
                    ));
                }
                seen.push(id);
            }
            for (path, message) in doubles {
                self.error("duplicate-id", &path, message, None);
            }
        }
    }
}

/// The names of the databases in the order of the file.
fn database_order(value: &Value) -> Vec<String> {
    value
        .get("database")
        .and_then(Value::as_object)
        .map(|map| map.keys().cloned().collect())
        .unwrap_or_default()
}

/// Databases that only the chosen environment names, in the order of the file.
fn added(file: &ProjectFile, places: &Places) -> Vec<String> {
    let mut names: Vec<&String> = file.database.keys().collect();
    names.sort_by_key(|name| {
        places
            .get(&pointer("/database", name))
            .map_or(usize::MAX, |span| span.start)
    });
    names.into_iter().cloned().collect()
}

/// Lays one value over another: tables key by key, everything else as a whole.
fn merge(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                match under.get_mut(key) {
                    Some(there) => merge(there, value),
                    None => {
                        under.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (under, over) => *under = over.clone(),
    }
}
