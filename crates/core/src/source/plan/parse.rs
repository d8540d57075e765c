//! The bytes of a `*.plan.toml` to a [`PlanDoc`], every fault at once.

use super::hash::Parts;
use super::needs::{Arranged, Node, arrange};
use super::requires::{Required, Requirement, parse_bytes};
use super::texts::paths;
use super::window::Window;
use super::workdays::{EXAMPLES as DURATIONS, WorkDays};
use super::{PhaseDoc, PlanDoc, SqlText, StepDoc, UndoSpec};
use crate::dialect;
use crate::finding::{Finding, Place, Severity, any_error};
use crate::limits::PLAN_NAME_BYTES_MAX;
use crate::source::config::text_of;
use crate::source::expand::Environment;
use crate::source::grammar::plan::{Gate, PhaseTable, PlanFile, WatchTable};
use crate::source::grammar::plan_schema;
use crate::source::grammar::steps::StepTable;
use crate::source::nearest::did_you_mean;
use crate::source::shape::{Places, shape, without_holes};
use crate::source::{DatabaseConfig, Project, Secrets};
use crate::sql::{LexMode, LexRules};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
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
        ids: BTreeSet::new(),
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
    /// Names that are taken: what of, and the name.
    ids: BTreeSet<(&'static str, String)>,
}

/// A phase or a step with its pointer.
struct Found<T> {
    path: String,
    table: T,
    hash: String,
}

impl Reading<'_> {
    /// The place of a value; where it is not in the file, that of what it would stand in.
    pub(super) fn place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(span) = self.places.get(path) {
                return Place::in_file(self.file, self.text, span.clone());
            }
            match path.rfind('/') {
                Some(at) => path = &path[..at],
                None => return Place::file(self.file),
            }
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
        let table = |path: &str| plan.pointer(path).and_then(Value::as_object);
        for phase in paths(plan, "", "phase") {
            for step in paths(plan, &phase, "step") {
                if let Some(found) = table(&step) {
                    hashes.insert(step.clone(), parts.step(&step, found));
                }
            }
            if let Some(found) = table(&phase) {
                hashes.insert(phase.clone(), parts.phase(&phase, found));
            }
        }
        hashes
    }

    fn take_phases(
        &mut self,
        plan: &mut Value,
        hashes: &BTreeMap<String, String>,
    ) -> Vec<(Found<PhaseTable>, Vec<Found<StepTable>>)> {
        let mut phases = vec![];
        for (path, mut value) in items(plan.as_object_mut(), "", "phase") {
            let steps = items(value.as_object_mut(), &path, "step");
            let steps = steps
                .into_iter()
                .filter_map(|(path, value)| self.found(path, value, hashes));
            let steps: Vec<Found<StepTable>> = steps.collect();
            if let Some(phase) = self.found(path, value, hashes) {
                phases.push((phase, steps));
            }
        }
        phases
    }

    fn found<T: DeserializeOwned>(
        &mut self,
        path: String,
        mut value: Value,
        hashes: &BTreeMap<String, String>,
    ) -> Option<Found<T>> {
        // Holes of the checks stay: they are looked up by number. Nulls are no checks.
        let checks = value
            .as_object_mut()
            .and_then(|map| map.shift_remove("check"));
        without_holes(&mut value);
        if let (Some(Value::Array(mut checks)), Some(map)) = (checks, value.as_object_mut()) {
            // A hole becomes an empty table; the reader knows by its place that nothing is there.
            for check in checks.iter_mut() {
                match check.is_null() {
                    true => *check = Value::Object(Map::new()),
                    false => without_holes(check),
                }
            }
            map.insert("check".into(), Value::Array(checks));
        }
        let table = self.typed(&path, value)?;
        let hash = hashes.get(&path).cloned().unwrap_or_default();
        Some(Found { path, table, hash })
    }

    fn phases(
        &mut self,
        phases: &mut Vec<(Found<PhaseTable>, Vec<Found<StepTable>>)>,
    ) -> Vec<PhaseDoc> {
        for (phase, _) in phases.iter() {
            self.id("phase", &phase.path, &phase.table.id);
        }
        let owners: BTreeMap<String, String> = phases
            .iter()
            .flat_map(|(phase, steps)| {
                let owner = phase.table.id.clone();
                steps
                    .iter()
                    .map(move |step| (step.table.id.clone(), owner.clone()))
            })
            .collect();
        let nodes: Vec<(String, String, Option<Vec<String>>)> = phases
            .iter()
            .map(|(phase, _)| {
                let table = &phase.table;
                (phase.path.clone(), table.id.clone(), table.needs.clone())
            })
            .collect();
        let arranged = self.arranged("phase", &nodes, &BTreeMap::new());
        let mut docs: Vec<Option<PhaseDoc>> = vec![];
        for (at, (phase, steps)) in std::mem::take(phases).into_iter().enumerate() {
            let needs = names_of(&arranged, at, &nodes);
            docs.push(Some(self.phase(phase, steps, needs, &owners)));
        }
        let ordered = arranged
            .order
            .iter()
            .filter_map(|at| docs.get_mut(*at)?.take());
        ordered.collect()
    }

    fn phase(
        &mut self,
        found: Found<PhaseTable>,
        steps: Vec<Found<StepTable>>,
        needs: Vec<String>,
        owners: &BTreeMap<String, String>,
    ) -> PhaseDoc {
        let Found { path, table, hash } = found;
        let gate = table.gate.unwrap_or_default();
        for (key, list) in [("approvers", &table.approvers), ("go", &table.go)] {
            if gate == Gate::Auto && !list.is_empty() && !self.stands(&format!("{path}/gate")) {
                let message = format!("`{key}` does nothing: nobody need open this phase");
                let help = Some("write `gate = \"approve\"` beside it".to_owned());
                self.say(
                    Severity::Warning,
                    "no-gate",
                    &format!("{path}/{key}"),
                    message,
                    help,
                );
            }
        }
        let window = self.window(&format!("{path}/window"), table.window.as_deref());
        let duration = self.duration(&format!("{path}/duration"), table.duration.as_deref());
        let checks = self.checks(&path, table.check);
        let steps = self.steps(steps, owners);
        PhaseDoc {
            title: table.title.unwrap_or_else(|| table.id.clone()),
            id: table.id,
            version: table.version,
            objectives: table.objectives,
            risk: table.risk,
            duration,
            needs,
            gate,
            approvers: table.approvers,
            go: table.go,
            review: table.review,
            backup: table.backup.unwrap_or_default(),
            window,
            checks,
            steps,
            hash,
            place: self.place(&path),
        }
    }

    fn steps(
        &mut self,
        steps: Vec<Found<StepTable>>,
        owners: &BTreeMap<String, String>,
    ) -> Vec<StepDoc> {
        let nodes: Vec<(String, String, Option<Vec<String>>)> = steps
            .iter()
            .map(|step| {
                (
                    step.path.clone(),
                    step.table.id.clone(),
                    step.table.needs.clone(),
                )
            })
            .collect();
        let arranged = self.arranged("step", &nodes, owners);
        let mut docs: Vec<Option<StepDoc>> = vec![];
        for (at, Found { path, table, hash }) in steps.into_iter().enumerate() {
            let needs = names_of(&arranged, at, &nodes);
            docs.push(self.step(&path, table, needs, hash));
        }
        let ordered = arranged
            .order
            .iter()
            .filter_map(|at| docs.get_mut(*at)?.take());
        let docs: Vec<StepDoc> = ordered.collect();
        self.impossible_last(&docs);
        docs
    }

    /// What cannot be taken back stands last: else a failure after it could not be taken back to where the phase began.
    fn impossible_last(&mut self, steps: &[StepDoc]) {
        let impossible = |step: &&StepDoc| matches!(step.undo, UndoSpec::Impossible(_));
        let Some(last) = steps.iter().rposition(|step| !impossible(&step)) else {
            return;
        };
        let after = steps[last].id.clone();
        for step in steps[..last].iter().filter(impossible) {
            let message = format!(
                "step `{}` cannot be taken back, and `{after}` comes after it",
                step.id
            );
            let help =
                "put it at the end of its phase, or into a phase of its own behind the others";
            let finding = Finding::error("impossible-not-last", step.place.clone(), message);
            self.findings.push(finding.help(help));
        }
    }

    /// Sorts by what needs what, and says which needs name nothing or each other. `owners`: which phase each step is of.
    fn arranged(
        &mut self,
        what: &str,
        nodes: &[(String, String, Option<Vec<String>>)],
        owners: &BTreeMap<String, String>,
    ) -> Arranged {
        let borrowed = nodes.iter().map(|(_, id, needs)| Node {
            id,
            needs: needs.as_deref(),
        });
        let arranged = arrange(&borrowed.collect::<Vec<_>>());
        let known: Vec<&str> = nodes.iter().map(|(_, id, _)| id.as_str()).collect();
        for (at, which) in &arranged.unknown {
            let (path, _, needs) = &nodes[*at];
            let Some(name) = needs.as_ref().and_then(|needs| needs.get(*which)) else {
                continue;
            };
            let (message, help) = match owners.get(name) {
                Some(phase) => (
                    format!("`{name}` is a step of phase `{phase}`"),
                    Some(
                        "steps need steps of their own phase; let the phase need that phase".into(),
                    ),
                ),
                None => (
                    format!("there is no {what} `{}` to need", name.escape_debug()),
                    did_you_mean(name, &known),
                ),
            };
            self.error(
                "unknown-need",
                &format!("{path}/needs/{which}"),
                message,
                help,
            );
        }
        for circle in &arranged.circles {
            let names: Vec<&str> = circle.iter().map(|at| known[*at]).collect();
            let message = match names.as_slice() {
                [one] => format!("{what} `{one}` needs itself"),
                many => format!(
                    "these {what}s need each other: {} → {}",
                    many.join(" → "),
                    many[0]
                ),
            };
            let path = format!("{}/needs", nodes[circle[0]].0);
            let help = Some("take one of the `needs` out".to_owned());
            self.error("needs-cycle", &path, message, help);
        }
        arranged
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

    fn duration(&mut self, path: &str, text: Option<&str>) -> Option<WorkDays> {
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
                Ok(kind) => {
                    if let Required::Plugin(id) = &kind {
                        self.known_plugin(&path, id);
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

/// The texts of a list by number; what is none is empty.
fn texts_of(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.map(|item| item.as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Takes a list of tables out of their owner, each with its pointer.
fn items(owner: Option<&mut Map<String, Value>>, path: &str, list: &str) -> Vec<(String, Value)> {
    let Some(Value::Array(values)) = owner.and_then(|owner| owner.shift_remove(list)) else {
        return vec![];
    };
    let pointed = values.into_iter().enumerate();
    pointed
        .map(|(at, value)| (format!("{path}/{list}/{at}"), value))
        .filter(|(_, value)| value.is_object())
        .collect()
}

fn names_of(
    arranged: &Arranged,
    at: usize,
    nodes: &[(String, String, Option<Vec<String>>)],
) -> Vec<String> {
    let needs = arranged.needs.get(at).into_iter().flatten();
    needs
        .filter_map(|need| nodes.get(*need))
        .map(|(_, id, _)| id.clone())
        .collect()
}
