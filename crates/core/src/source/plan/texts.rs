//! Texts of a plan: files are read, `{name}` filled in, SQL split to see whether it can be, `${NAME}` expanded.

use super::SqlText;
use super::parse::Reading;
use crate::finding::{Finding, Place};
use crate::limits::SCRIPT_BYTES_MAX;
use crate::source::config::text_of;
use crate::source::expand::{ExpandFault, expand, fill};
use crate::source::script::placeholder_help;
use crate::source::shape::{at_mut, pointer};
use crate::sql::{Fault, LexRules, Piece, PieceKind, fingerprint, split, substitute};
use serde_json::Value;
use std::borrow::Cow;
use std::path::Path;

/// Faults of one text beyond these are not shown: a binary file called `.sql` would give one for every line.
const FAULTS_MAX: usize = 20;

/// How many statements a text may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Many {
    /// As many as it likes, and one at least.
    Any,
    /// Exactly one.
    One,
}

/// Where the text of a key stands.
struct Written<'r> {
    /// The file, as shown to people.
    file: Cow<'r, str>,
    /// All of the file.
    whole: Cow<'r, str>,
    /// The offset in `whole` at which the text begins; `None`: its letters are spelled otherwise there (`\n`, `\"`).
    from: Option<usize>,
    /// The text; `None`: the rest of the file from `from` on.
    text: Option<String>,
}

impl Written<'_> {
    fn text(&self) -> &str {
        match &self.text {
            Some(text) => text,
            None => &self.whole[self.from.unwrap_or(0)..],
        }
    }
}

/// Pointers within steps and checks under which all texts are SQL or names.
const STEPS: [&str; 5] = [
    "/add_columns",
    "/backfill",
    "/require",
    "/index",
    "/checkpoint",
];
const CHECKS: [&str; 3] = ["/kept", "/untouched", "/has"];

impl<'r> Reading<'r> {
    /// Brings every SQL text of a plan to what will be run, in place, and remembers where it came from.
    pub(super) fn texts(&mut self, plan: &mut Value) {
        self.sql_at(plan, "", "/watch/probe/sql", Many::One);
        each(plan, "", "phase", |path, phase| {
            each(phase, path, "check", |path, check| {
                self.check_texts(check, path)
            });
            each(phase, path, "step", |path, step| {
                self.step_texts(step, path);
                each(step, path, "check", |path, check| {
                    self.check_texts(check, path)
                });
            });
        });
    }

    fn step_texts(&mut self, step: &mut Value, path: &str) {
        self.sql_at(step, path, "/sql", Many::Any);
        let word = step.get("undo").and_then(Value::as_str);
        if word.is_some_and(|word| !matches!(word, "derive" | "restore")) {
            self.sql_at(step, path, "/undo", Many::Any);
        }
        for key in STEPS {
            self.fill_at(step, path, key);
        }
        for key in ["/settings/table", "/settings/key"] {
            self.fill_at(step, path, key);
        }
    }

    fn check_texts(&mut self, check: &mut Value, path: &str) {
        for key in [
            "/sql",
            "/unchanged",
            "/refuses/sql",
            "/accepts",
            "/speed/sql",
            "/explain/sql",
        ] {
            self.sql_at(check, path, key, Many::One);
        }
        for key in CHECKS {
            self.fill_at(check, path, key);
        }
        self.fill_at(check, path, "/explain/uses");
    }

    /// One text of a table that is SQL, or the name of a file with it.
    fn sql_at(&mut self, table: &mut Value, path: &str, key: &str, many: Many) {
        let Some(Value::String(slot)) = at_mut(table, key) else {
            return;
        };
        let path = format!("{path}{key}");
        let Some(written) = self.written(&path, slot) else {
            return;
        };
        let Some(sql) = self.read_sql(&path, &written, many) else {
            return;
        };
        slot.clone_from(&sql.0.text);
        self.meanings.insert(path.clone(), sql.1);
        self.sqls.insert(path, sql.0);
    }

    /// What stands in a key: the text itself, or that of the file that it names.
    fn written(&mut self, path: &str, text: &str) -> Option<Written<'r>> {
        if !is_file(text) {
            return Some(self.inline(path, text));
        }
        let shown = self.shown(text);
        let bytes = match (self.files)(Path::new(text)) {
            Ok(bytes) => bytes,
            Err(why) => {
                let message = format!("`{shown}` cannot be read: {why}");
                let help = "files are meant from the plan's own folder; one word that ends in `.sql` is a file";
                self.error("file-missing", path, message, Some(help.into()));
                return None;
            }
        };
        if bytes.len() as u64 > SCRIPT_BYTES_MAX {
            let message = format!("`{shown}` is larger than {SCRIPT_BYTES_MAX} bytes");
            self.error("script-too-large", path, message, None);
            return None;
        }
        match text_of(&shown, &bytes) {
            Ok(whole) => Some(Written {
                from: Some(if whole.starts_with('\u{feff}') { 3 } else { 0 }),
                whole: Cow::Owned(whole.to_owned()),
                text: None,
                file: Cow::Owned(shown),
            }),
            Err(fault) => {
                self.findings.push(*fault);
                None
            }
        }
    }

    /// The text as it will be run, and the fingerprint of its meaning.
    fn read_sql(
        &mut self,
        path: &str,
        written: &Written<'_>,
        many: Many,
    ) -> Option<(SqlText, String)> {
        let Some(rules) = self.rules.clone() else {
            // What the URL does not tell cannot be split; whoever needs the URL says that it is missing.
            let sql = SqlText {
                file: written.file.to_string(),
                line: self.place_in(path, written, 0..0).line.unwrap_or(1),
                text: written.text().to_owned(),
            };
            let meaning = format!("text {}", written.text());
            return Some((sql, meaning));
        };
        let placed = match substitute(written.text(), &rules, &self.config.placeholders) {
            Ok(placed) => placed,
            Err(faults) => {
                self.sql_faults(path, written, faults, &|span| span);
                return None;
            }
        };
        let (pieces, faults) = split(&placed.text, &rules);
        if !faults.is_empty() {
            self.sql_faults(path, written, faults, &|span| placed.original_range(span));
            return None;
        }
        let statements: Vec<_> = pieces.iter().filter_map(statement).collect();
        let (first, last) = match (statements.first(), statements.last()) {
            (Some(first), Some(last)) => (first.clone(), last.clone()),
            _ => {
                let message = format!("`{}` holds no statement", key_of(path));
                self.error("empty-script", path, message, None);
                return None;
            }
        };
        let one = many == Many::One;
        if one && statements.len() > 1 {
            let place = self.place_in(path, written, placed.original_range(last));
            let message = format!(
                "`{}` takes one statement, and this is another",
                key_of(path)
            );
            self.findings
                .push(Finding::error("one-statement", place, message));
            return None;
        }
        let begins = if one { first.start } else { 0 };
        let place = self.place_in(path, written, placed.original_range(begins..begins));
        let text = if one {
            &placed.text[first]
        } else {
            &*placed.text
        };
        let sql = SqlText {
            file: written.file.to_string(),
            line: place.line.unwrap_or(1),
            text: text.to_owned(),
        };
        Some((sql, fingerprint(text, &rules).meaning))
    }

    /// Fills placeholders into a name that stands within another text.
    pub(super) fn fill_name(&mut self, path: &str, name: &mut String) {
        match fill(name, &self.config.placeholders) {
            Ok(filled) => *name = filled,
            Err(unknown) => {
                let known: Vec<&str> = self
                    .config
                    .placeholders
                    .keys()
                    .map(String::as_str)
                    .collect();
                let help = placeholder_help(&unknown, &known, &self.config.name);
                let message = format!("`{{{unknown}}}` is not declared as a placeholder.");
                self.error("placeholder-unknown", path, message, help);
            }
        }
    }

    /// Fills placeholders into every text under a key of a table.
    fn fill_at(&mut self, table: &mut Value, path: &str, key: &str) {
        let Some(value) = at_mut(table, key) else {
            return;
        };
        if let Some(rules) = self.rules.clone() {
            self.fill(&format!("{path}{key}"), value, &rules);
        }
    }

    fn fill(&mut self, path: &str, value: &mut Value, rules: &LexRules) {
        match value {
            Value::String(text) if text.contains('{') => {
                match substitute(text, rules, &self.config.placeholders) {
                    Ok(placed) => {
                        let placed = placed.text.into_owned();
                        *text = placed;
                    }
                    Err(faults) => {
                        let written = self.inline(path, text);
                        self.sql_faults(path, &written, faults, &|span| span);
                    }
                }
            }
            Value::Array(list) => {
                for (at, item) in list.iter_mut().enumerate() {
                    self.fill(&format!("{path}/{at}"), item, rules);
                }
            }
            Value::Object(map) => {
                for (key, item) in map {
                    self.fill(&pointer(path, key), item, rules);
                }
            }
            _ => {}
        }
    }

    fn inline(&self, path: &str, text: &str) -> Written<'r> {
        let span = self.places.get(path).cloned().unwrap_or(0..0);
        let raw = self.text.get(span.clone()).unwrap_or_default();
        Written {
            file: Cow::Borrowed(self.file),
            whole: Cow::Borrowed(self.text),
            from: raw.find(text).map(|at| span.start + at),
            text: Some(text.to_owned()),
        }
    }

    fn sql_faults(
        &mut self,
        path: &str,
        written: &Written<'_>,
        faults: Vec<Fault>,
        back: &dyn Fn(std::ops::Range<usize>) -> std::ops::Range<usize>,
    ) {
        let more = faults.len().saturating_sub(FAULTS_MAX);
        for fault in faults.into_iter().take(FAULTS_MAX) {
            let span = back(fault.span);
            let mut finding = Finding::error(
                fault.code,
                self.place_in(path, written, span.clone()),
                fault.message,
            );
            if fault.code == "placeholder-unknown" {
                let name = written.text().get(span).unwrap_or_default();
                let known: Vec<&str> = self
                    .config
                    .placeholders
                    .keys()
                    .map(String::as_str)
                    .collect();
                finding.help = placeholder_help(name, &known, &self.config.name);
            }
            self.findings.push(finding);
        }
        if more > 0 {
            let message = format!("{more} more faults of this kind are not shown");
            let place = Place::file(&written.file);
            self.findings
                .push(Finding::error("too-many-faults", place, message));
        }
    }

    /// The place of a range of a text; where its letters are spelled otherwise in the file, that of the whole value.
    fn place_in(&self, path: &str, written: &Written<'_>, span: std::ops::Range<usize>) -> Place {
        match written.from {
            Some(from) => {
                let span = from + span.start..from + span.end;
                if matches!(written.whole, Cow::Borrowed(_)) {
                    return self.place_of(span);
                }
                Place::in_file(&written.file, &written.whole, span)
            }
            None => self.place(path),
        }
    }

    /// Expands `${NAME}` where it is taken.
    pub(super) fn variables(&mut self, plan: &mut Value, paths: &[String]) {
        for path in paths {
            let Some(Value::String(text)) = at_mut(plan, path) else {
                continue;
            };
            if !text.contains("${") {
                continue;
            }
            self.environment.note_used(text);
            match expand(text, &self.environment) {
                Ok(expanded) => *text = expanded,
                Err(faults) => self.variable_faults(path, faults),
            }
        }
    }

    fn variable_faults(&mut self, path: &str, faults: Vec<ExpandFault>) {
        for fault in faults {
            let (code, message, help) = match fault {
                ExpandFault::Malformed(part) => (
                    "bad-variable",
                    format!("`{part}` names no variable"),
                    "write `${NAME}` or `${NAME:-default}`; `$${` stands for `${` itself"
                        .to_owned(),
                ),
                ExpandFault::Missing(name) => (
                    "missing-variable",
                    format!("the environment variable {name} is not set"),
                    format!("set {name}, put it into .env, or write `${{{name}:-default}}`"),
                ),
            };
            self.error(code, path, message, Some(help));
            self.unset.insert(path.to_owned());
        }
    }
}

/// A value is a file if it is one word ending in `.sql`.
fn is_file(text: &str) -> bool {
    text.ends_with(".sql") && !text.contains(char::is_whitespace)
}

fn statement(piece: &Piece) -> Option<std::ops::Range<usize>> {
    match &piece.kind {
        PieceKind::Statement(span) => Some(span.clone()),
        PieceKind::Copy { statement, .. } => Some(statement.clone()),
        PieceKind::Blank | PieceKind::Client(_) => None,
    }
}

/// The last key of a pointer.
fn key_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Calls for every item of a list, with its pointer.
fn each(owner: &mut Value, path: &str, list: &str, mut call: impl FnMut(&str, &mut Value)) {
    let items = owner.get_mut(list).and_then(Value::as_array_mut);
    for (at, item) in items.into_iter().flatten().enumerate() {
        call(&format!("{path}/{list}/{at}"), item);
    }
}
