//! The bytes of a `*.plan.toml` to a [`PlanDoc`], every fault at once.

use super::hash::Parts;
use super::requires::{Required, Requirement, parse_bytes};
use super::window::Window;
use super::workdays::{EXAMPLES as DURATIONS, WorkDays};
use super::{PlanDoc, SqlText};
use crate::dialect;
use crate::finding::{Finding, Place, Severity, any_error};
use crate::limits::PLAN_NAME_BYTES_MAX;
use crate::source::config::text_of;
use crate::source::expand::Environment;
use crate::source::grammar::plan::{PlanFile, WatchTable};
use crate::source::grammar::plan_schema;
use crate::source::nearest::did_you_mean;
use crate::source::shape::{Places, shape, without_holes};
use crate::source::{DatabaseConfig, Project, Secrets};
use crate::sql::{LexMode, LexRules};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

/// Reads a file that a plan names: the path as it stands there, meant from the plan's folder. The error is a sentence.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> Result<Vec<u8>, String>;

/// What a plan is read from. The caller does the reading.
#[derive(Clone, Copy)]
pub struct PlanInput<'a> {
    /// The path of the plan, as shown to people.
    pub path: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Reads the files that it names.
    pub files: ReadFile<'a>,
}

/// The database that a plan names, as far as its bytes tell: whoever reads the whole plan must have chosen it.
pub fn plan_database(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (root, _) = toml::de::DeTable::parse_recoverable(text);
    let found = root.get_ref().get("database")?.get_ref().as_str()?;
    Some(found.to_owned())
}

/// Reads a plan. Every fault of it and of the files that it names is among the findings; where one of them is an error
/// there is no plan.
pub fn parse_plan(
    input: PlanInput<'_>,
    project: &Project,
    config: &DatabaseConfig,
) -> (Option<PlanDoc>, Vec<Finding>) {
    let text = match text_of(input.path, input.bytes) {
        Ok(text) => text,
        Err(fault) => return (None, vec![*fault]),
    };
    let shaped = shape(input.path, text, plan_schema());
    let mode = LexMode {
        sql_mode: config.sql_mode.to_uppercase(),
        plain_backslashes: false,
    };
    let dialect = dialect::by_url(config.url.expose());
    let mut reading = Reading {
        file: input.path,
        text,
        places: shaped.places,
        files: input.files,
        project,
        config,
        rules: dialect.map(|dialect| dialect.lex_rules(&mode)),
        environment: project.environment.clone(),
        findings: shaped.findings,
        sqls: BTreeMap::new(),
        meanings: BTreeMap::new(),
        unset: BTreeSet::new(),
        lines: std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect(),
        ids: BTreeSet::new(),
        confirmed: BTreeMap::new(),
    };
    let doc = reading.plan(shaped.value, &shaped.env);
    let findings = reading.findings;
    (doc.filter(|_| !any_error(&findings)), findings)
}

/// What of a plan is read, and what was found so far.
pub(super) struct Reading<'r> {
    pub(super) file: &'r str,
    pub(super) text: &'r str,
    pub(super) places: Places,
    pub(super) files: ReadFile<'r>,
    pub(super) project: &'r Project,
    pub(super) config: &'r DatabaseConfig,
    /// How SQL is lexed; `None` where the URL does not tell.
    pub(super) rules: Option<LexRules>,
    pub(super) environment: Environment,
    pub(super) findings: Vec<Finding>,
    /// The SQL of each key that takes it, by pointer.
    pub(super) sqls: BTreeMap<String, SqlText>,
    /// The fingerprint of its meaning.
    pub(super) meanings: BTreeMap<String, String>,
    /// Texts whose variables are not set: what they say is not known, so nothing more is said of them.
    pub(super) unset: BTreeSet<String>,
    /// Where the lines of the text begin.
    lines: Vec<usize>,
    /// Names that are taken: what of, and the name.
    ids: BTreeSet<(&'static str, String)>,
    /// What of those a person confirms by name.
    confirmed: BTreeMap<String, &'static str>,
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

    /// The place of a range of the plan's text. As [`Place::in_file`], which counts lines anew each time.
    pub(super) fn place_of(&self, span: Range<usize>) -> Place {
        Place {
            file: Some(self.file.to_owned()),
            line: Some(self.lines.partition_point(|start| *start <= span.start)),
            span: Some(span),
            object: None,
        }
    }

    pub(super) fn error(
        &mut self,
        code: &'static str,
        path: &str,
        message: String,
        help: Option<String>,
    ) {
        self.say(Severity::Error, code, path, message, help);
    }

    pub(super) fn say(
        &mut self,
        severity: Severity,
        code: &'static str,
        path: &str,
        message: String,
        help: Option<String>,
    ) {
        let place = self.place(path);
        self.findings.push(Finding {
            code,
            severity,
            place,
            message,
            help,
        });
    }

    /// Whether a key stands in the file, sound or not: what is there and faulty is not missing as well.
    pub(super) fn stands(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// A file that the plan names, as people know it.
    pub(super) fn shown(&self, file: &str) -> String {
        match self.file.rfind(['/', '\\']) {
            Some(at) if !Path::new(file).is_absolute() => format!("{}{file}", &self.file[..=at]),
            _ => file.to_owned(),
        }
    }

    fn plan(&mut self, mut value: Value, env: &[String]) -> Option<PlanDoc> {
        self.texts(&mut value);
        let hashes = self.hashes(&value);
        let written: Vec<String> = texts_of(value.get("requires"));
        self.variables(&mut value, env);
        let requires = self.requires(value.get("requires"), &written);
        let mut phases = self.take_phases(&mut value, &hashes);
        if phases.is_empty() && !self.stands("/phase") && !self.broken() {
            let help = Some("write `[[phase]]` with an `id`".to_owned());
            self.error("missing-key", "", "the plan has no phase".into(), help);
        }
        without_holes(&mut value);
        let file: PlanFile = self.typed("", value)?;
        self.plan_name(&file.name);
        self.database(file.database.as_deref());
        self.watch(file.watch.as_ref());
        let window = self.window("/window", file.window.as_deref());
        let starts = self.starts(file.starts.as_deref());
        let docs = self.phases(&mut phases);
        Some(PlanDoc {
            file: self.file.to_owned(),
            name: file.name,
            database: file.database,
            on_failure: file.on_failure.unwrap_or_default(),
            requires,
            window,
            starts,
            team: file.team,
            watch: file.watch,
            phases: docs,
            secrets: Secrets(self.environment.secrets()),
        })
    }

    /// Whether the text is no TOML: what is missing may only have been lost.
    fn broken(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.code == "toml-syntax")
    }

    /// The walk lets nothing pass that the types do not take; where it did, better said than guessed.
    pub(super) fn typed<T: DeserializeOwned>(&mut self, path: &str, value: Value) -> Option<T> {
        match serde_json::from_value(value) {
            Ok(typed) => Some(typed),
            Err(fault) => {
                let message = format!("this cannot be read: {fault}");
                self.error("bad-value", path, message, None);
                None
            }
        }
    }

    /// The hashes of all phases and steps, by pointer.
    fn hashes(&self, plan: &Value) -> BTreeMap<String, String> {
        let plugin = |id: &str| {
            let found = self
                .project
                .file
                .plugin
                .iter()
                .find(|plugin| plugin.id == id);
            found.and_then(|plugin| serde_json::to_value(plugin).ok())
        };
        let parts = Parts {
            meanings: &self.meanings,
            plugins: &plugin,
        };
        let mut hashes = BTreeMap::new();
        for (path, phase) in tables(plan.as_object(), "", "phase") {
            for (path, step) in tables(Some(phase), &path, "step") {
                let hash = parts.step(&path, step);
                hashes.insert(path, hash);
            }
            let hash = parts.phase(&path, phase);
            hashes.insert(path, hash);
        }
        hashes
    }

    /// A name must be there, a word, and its owner's alone.
    pub(super) fn id(&mut self, what: &'static str, path: &str, id: &str) {
        let path = format!("{path}/id");
        if id.is_empty() && !self.stands(&path) {
            return;
        }
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let fault = match id {
            "" => Some("a name cannot be empty".to_owned()),
            _ if !id.chars().all(word) => Some(format!(
                "`{}` cannot be the name of a {what}",
                id.escape_debug()
            )),
            _ if id.len() > PLAN_NAME_BYTES_MAX => Some(format!(
                "the name is longer than {PLAN_NAME_BYTES_MAX} letters"
            )),
            _ => None,
        };
        if let Some(message) = fault {
            let help = "letters, digits, `-`, `_` and `.`; a `title` may say more".to_owned();
            self.error("bad-id", &path, message, Some(help));
            return;
        }
        if !self.ids.insert((what, id.to_owned())) {
            let message = format!("there is another {what} `{id}` in this plan");
            self.error("duplicate-id", &path, message, None);
        }
    }

    /// What `dunlin confirm PLAN NAME` answers must be one thing: a manual step or a question.
    pub(super) fn confirmed(&mut self, what: &'static str, path: &str, id: &str) {
        match self.confirmed.insert(id.to_owned(), what) {
            Some(other) if other != what && !id.is_empty() => {
                let message =
                    format!("there is a {other} `{id}` too, and both wait to be confirmed");
                self.error("duplicate-id", &format!("{path}/id"), message, None);
            }
            _ => {}
        }
    }

    /// The plan's name is the head of keys in the journal, and people type it.
    fn plan_name(&mut self, name: &str) {
        let message = match name {
            "" if !self.stands("/name") => return,
            _ if name.trim().is_empty() => "the plan's name is empty".to_owned(),
            _ if name.len() > PLAN_NAME_BYTES_MAX => format!(
                "the plan's name has {} bytes; it may have {PLAN_NAME_BYTES_MAX}",
                name.len()
            ),
            _ if name.contains('/') || name.contains(char::is_control) => {
                format!("`{}` cannot be a plan's name", name.escape_debug())
            }
            _ if name.trim() != name => "the plan's name begins or ends with a space".to_owned(),
            _ => return,
        };
        let help = "a few words without `/`: \"single tenant to multi-tenant\"".to_owned();
        self.error("bad-id", "/name", message, Some(help));
    }

    fn database(&mut self, name: Option<&str>) {
        let Some(name) = name.filter(|name| *name != self.config.name) else {
            return;
        };
        let known: Vec<&str> = self
            .project
            .databases
            .iter()
            .map(|db| db.name.as_str())
            .collect();
        let (code, message, help) = match known.contains(&name) {
            true => (
                "other-database",
                format!(
                    "this plan is for database `{name}`, and `{}` is chosen",
                    self.config.name
                ),
                Some(format!("choose it: `--database {name}`")),
            ),
            false => (
                "unknown-database",
                format!("there is no database `{}`", name.escape_debug()),
                did_you_mean(name, &known),
            ),
        };
        self.error(code, "/database", message, help);
    }

    fn watch(&mut self, watch: Option<&WatchTable>) {
        let size = watch.and_then(|watch| watch.min_free_disk.as_deref());
        if let Some(Err(message)) = size.map(parse_bytes) {
            self.error("bad-value", "/watch/min_free_disk", message, None);
        }
    }

    pub(super) fn window(&mut self, path: &str, text: Option<&str>) -> Option<Window> {
        match Window::parse(text?) {
            Ok(window) => Some(window),
            Err(fault) => {
                self.error("bad-window", path, fault.message, Some(fault.help));
                None
            }
        }
    }

    pub(super) fn duration(&mut self, path: &str, text: Option<&str>) -> Option<WorkDays> {
        match WorkDays::parse(text?) {
            Ok(duration) => Some(duration),
            Err(message) => {
                self.error("bad-duration", path, message, Some(DURATIONS.to_owned()));
                None
            }
        }
    }

    fn starts(&mut self, text: Option<&str>) -> Option<jiff::civil::Date> {
        let text = text?;
        let date = text.parse::<jiff::civil::Date>().ok();
        // The parser also takes instants; a day is meant.
        let date = date.filter(|date| date.to_string() == text);
        if date.is_none() {
            let message = format!("`{}` is not a day", text.escape_debug());
            let help = Some("days look like `2026-01-05`".to_owned());
            self.error("bad-value", "/starts", message, help);
        }
        date
    }

    fn requires(&mut self, list: Option<&Value>, written: &[String]) -> Vec<Requirement> {
        let mut out = vec![];
        let list = list.and_then(Value::as_array).into_iter().flatten();
        for (at, text) in list.enumerate() {
            let path = format!("/requires/{at}");
            let Some(text) = text.as_str().filter(|_| !self.unset.contains(&path)) else {
                continue;
            };
            match Required::parse(text) {
                Ok(mut kind) => {
                    match &mut kind {
                        Required::Plugin(id) => self.known_plugin(&path, id),
                        Required::Setting { table, .. } => self.fill_name(&path, table),
                        _ => {}
                    }
                    let written = written.get(at).cloned().unwrap_or_default();
                    out.push(Requirement { written, kind });
                }
                Err(fault) => self.error("bad-requirement", &path, fault.message, fault.help),
            }
        }
        out
    }

    pub(super) fn known_plugin(&mut self, path: &str, id: &str) {
        let project = self.project;
        let known = project.file.plugin.iter().map(|plugin| plugin.id.as_str());
        self.known("plugin", path, id, &known.collect::<Vec<_>>());
    }

    /// A name of `dunlin.toml` must be there.
    pub(super) fn known(&mut self, what: &str, path: &str, id: &str, known: &[&str]) {
        if known.contains(&id) {
            return;
        }
        let message = format!("`dunlin.toml` has no {what} `{}`", id.escape_debug());
        let none = || {
            known
                .is_empty()
                .then(|| format!("it has no `[[{what}]]` at all"))
        };
        let help = did_you_mean(id, known).or_else(none);
        self.error("unknown-name", path, message, help);
    }
}

/// The tables of a list, each with its pointer.
fn tables<'v>(
    owner: Option<&'v Map<String, Value>>,
    path: &str,
    list: &str,
) -> impl Iterator<Item = (String, &'v Map<String, Value>)> {
    let head = format!("{path}/{list}");
    let items = owner.and_then(|owner| owner.get(list)?.as_array());
    let items = items.into_iter().flatten().enumerate();
    items.filter_map(move |(at, item)| Some((format!("{head}/{at}"), item.as_object()?)))
}

/// The texts of a list by number; what is none is empty.
fn texts_of(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.map(|item| item.as_str().unwrap_or_default().to_owned())
        .collect()
}
