//! One `[[phase.step]]` to a [`StepDoc`].

use super::parse::Reading;
use super::window::Window;
use super::{StepDoc, StepSpec, UndoSpec};
use crate::finding::Severity;
use crate::limits::VERSION_DIGITS_MAX;
use crate::source::Version;
use crate::source::duration::{EXAMPLES, parse_duration};
use crate::source::grammar::steps::{
    AddColumns, Backfill, CheckpointStep, IndexStep, Manual, MigrateStep, NumberOrAuto, PluginStep,
    Require, Settings, StepTable, UndoTable,
};
use std::time::Duration;

impl Reading<'_> {
    /// One step; `None` where what it does cannot be told, which was said.
    pub(super) fn step(
        &mut self,
        path: &str,
        mut table: StepTable,
        needs: Vec<String>,
        hash: String,
    ) -> Option<StepDoc> {
        self.id("step", path, &table.id);
        let checks = self.checks(path, std::mem::take(&mut table.check));
        let kill_blockers = self.kill_blockers(path, table.kill_blockers.as_deref());
        let kind = self.spec(path, &mut table);
        let undo = self.undo(path, table.undo.take(), kind.as_ref());
        let window = match &kind {
            // What is wrong with it was said when the step was read.
            Some(StepSpec::Backfill(fill)) => fill.window.as_deref(),
            _ => None,
        };
        let window = window.and_then(|text| Window::parse(text).ok());
        if let Some(StepSpec::Manual(_)) = &kind {
            self.confirmed("manual step", path, &table.id);
        }
        Some(StepDoc {
            title: table.title.unwrap_or_else(|| table.id.clone()),
            id: table.id,
            label: table.label,
            critical: table.critical.unwrap_or(true),
            needs,
            kill_blockers,
            window,
            risk: table.risk,
            estimate: table.estimate.map(|estimate| estimate.0),
            kind: kind?,
            undo: undo?,
            checks,
            hash,
            place: self.place(path),
        })
    }

    fn kill_blockers(&mut self, path: &str, text: Option<&str>) -> Option<Duration> {
        let text = text?;
        let path = format!("{path}/kill_blockers");
        if text == "never" {
            return None;
        }
        let Some(rest) = text.strip_prefix("after ") else {
            let message = format!(
                "`{}` is not a value of `kill_blockers`",
                text.escape_debug()
            );
            let help = Some("it is `never`, or `after 5m`".to_owned());
            self.error("bad-value", &path, message, help);
            return None;
        };
        self.duration_at(&path, rest.trim())
    }

    fn duration_at(&mut self, path: &str, text: &str) -> Option<Duration> {
        match parse_duration(text) {
            Ok(duration) => Some(duration),
            Err(message) => {
                self.error("bad-duration", path, message, Some(EXAMPLES.to_owned()));
                None
            }
        }
    }

    fn spec(&mut self, path: &str, table: &mut StepTable) -> Option<StepSpec> {
        if let Some(kind) = later(table) {
            let message = match kind {
                "safe" => "`safe = true` comes with a later version of Dunlin".to_owned(),
                kind => format!("steps of the kind `{kind}` come with a later version of Dunlin"),
            };
            let help = "the plan can be shown and checked; a run refuses it".to_owned();
            let at = format!("{path}/{kind}");
            self.say(Severity::Warning, "comes-later", &at, message, Some(help));
            return Some(StepSpec::Later(kind));
        }
        if table.sql.is_some() {
            return self
                .sqls
                .get(&format!("{path}/sql"))
                .cloned()
                .map(StepSpec::Sql);
        }
        if let Some(step) = table.migrate.take() {
            return self.migrate(path, &step);
        }
        if let Some(step) = table.add_columns.take() {
            return self.add_columns(path, step);
        }
        if let Some(step) = table.backfill.take() {
            return self.backfill(path, step);
        }
        if let Some(step) = table.require.take() {
            return self.require(path, step);
        }
        if let Some(step) = table.index.take() {
            return self.index(path, step);
        }
        if let Some(step) = table.settings.take() {
            return self.settings(path, step);
        }
        if let Some(step) = table.plugin.take() {
            return self.plugin(path, step);
        }
        if let Some(step) = table.clean.take() {
            self.rules(&format!("{path}/clean/rules"), &step.rules);
            return Some(StepSpec::Clean(step.rules));
        }
        if let Some(step) = table.copy.take() {
            return Some(self.copy(path, step));
        }
        if let Some(step) = table.export.take() {
            return Some(self.export(path, step));
        }
        if let Some(step) = table.import.take() {
            return Some(self.import(path, step));
        }
        if let Some(step) = table.checkpoint.take() {
            return self.checkpoint(path, step);
        }
        if let Some(step) = table.exec.take() {
            self.filled(&format!("{path}/exec/run"), &step.run.0);
            return Some(StepSpec::Exec(step));
        }
        if let Some(step) = table.http.take() {
            self.address(&format!("{path}/http/url"), &step.url.0);
            return Some(StepSpec::Http(step));
        }
        table.manual.take().map(|step| self.manual(path, step))
    }

    fn migrate(&mut self, path: &str, step: &MigrateStep) -> Option<StepSpec> {
        if step.to == "latest" {
            return Some(StepSpec::Migrate(None));
        }
        let digits = !step.to.is_empty() && step.to.bytes().all(|byte| byte.is_ascii_digit());
        if digits && step.to.len() <= VERSION_DIGITS_MAX {
            return Some(StepSpec::Migrate(Some(Version(step.to.clone()))));
        }
        let message = format!("`{}` is not a version", step.to.escape_debug());
        let help = Some("versions are digits, as files have them: `007`; or `latest`".to_owned());
        self.error("bad-value", &format!("{path}/migrate/to"), message, help);
        None
    }

    fn add_columns(&mut self, path: &str, step: AddColumns) -> Option<StepSpec> {
        let path = format!("{path}/add_columns");
        self.filled(&format!("{path}/table"), &step.table);
        self.listed(&format!("{path}/columns"), &step.columns);
        for (at, column) in step.columns.iter().enumerate() {
            // A name alone has no type; on engines that would take it, it is a slip of the pen all the same.
            if !column.trim().is_empty() && !column.trim().contains(char::is_whitespace) {
                let message = format!("`{column}` has no type");
                let help = Some("definitions look like `user_id BIGINT`".to_owned());
                self.error("bad-value", &format!("{path}/columns/{at}"), message, help);
            }
        }
        Some(StepSpec::AddColumns(step))
    }

    fn backfill(&mut self, path: &str, step: Backfill) -> Option<StepSpec> {
        let path = format!("{path}/backfill");
        self.filled(&format!("{path}/table"), &step.table);
        self.filled(&format!("{path}/set"), &step.set);
        let fine = match &step.batch {
            None => true,
            Some(NumberOrAuto::Number(number)) => *number > 0,
            Some(NumberOrAuto::Auto(word)) => word == "auto",
        };
        if !fine {
            let message = "a batch has a number of rows, or `auto`".to_owned();
            self.error("bad-value", &format!("{path}/batch"), message, None);
        }
        if let Some(pause) = step.pause.as_deref().filter(|pause| *pause != "auto") {
            self.duration_at(&format!("{path}/pause"), pause);
        }
        self.window(&format!("{path}/window"), step.window.as_deref());
        Some(StepSpec::Backfill(step))
    }

    fn require(&mut self, path: &str, step: Require) -> Option<StepSpec> {
        let path = format!("{path}/require");
        self.filled(&format!("{path}/table"), &step.table);
        let lists = [
            &step.not_null,
            &step.foreign_keys,
            &step.checks,
            &step.drops,
        ];
        let nothing = lists.iter().all(|list| list.is_empty()) && step.unique.is_empty();
        let keys = ["not_null", "unique", "foreign_keys", "checks", "drops"];
        if nothing
            && !keys
                .iter()
                .any(|key| self.has_items(&format!("{path}/{key}")))
        {
            let message = "this step requires nothing".to_owned();
            let help =
                Some("it takes `not_null`, `unique`, `foreign_keys`, `checks`, `drops`".into());
            self.error("bad-value", &path, message, help);
        }
        for (at, columns) in step.unique.iter().enumerate() {
            self.listed(&format!("{path}/unique/{at}"), columns);
        }
        for (at, key) in step.foreign_keys.iter().enumerate() {
            if !key.contains("->") {
                let message = format!("`{}` refers to nothing", key.escape_debug());
                let help = Some("foreign keys look like `user_id -> users(id)`".to_owned());
                self.error(
                    "bad-value",
                    &format!("{path}/foreign_keys/{at}"),
                    message,
                    help,
                );
            }
        }
        Some(StepSpec::Require(step))
    }

    fn index(&mut self, path: &str, mut step: IndexStep) -> Option<StepSpec> {
        let path = format!("{path}/index");
        self.filled(&format!("{path}/name"), &step.name);
        self.filled(&format!("{path}/table"), &step.table);
        self.listed(&format!("{path}/columns"), &step.columns);
        // An empty condition is none: the contract's own example has one.
        step.only = step.only.filter(|only| !only.trim().is_empty());
        Some(StepSpec::Index(step))
    }

    fn settings(&mut self, path: &str, step: Settings) -> Option<StepSpec> {
        let path = format!("{path}/settings");
        self.filled(&format!("{path}/table"), &step.table);
        self.listed(&format!("{path}/key"), &step.key);
        if step.rows.is_empty() && !self.has_items(&format!("{path}/rows")) {
            let message = "`rows` names nothing".to_owned();
            self.error("bad-value", &format!("{path}/rows"), message, None);
        }
        for (at, row) in step.rows.iter().enumerate() {
            for key in step.key.iter().filter(|key| !row.contains_key(*key)) {
                let message = format!(
                    "this row has no `{}`, which is of the key",
                    key.escape_debug()
                );
                self.error("missing-key", &format!("{path}/rows/{at}"), message, None);
            }
            let composed = row
                .iter()
                .filter(|(_, value)| value.is_array() || value.is_object());
            for (column, _) in composed {
                let message = format!("`{}` is not a single value", column.escape_debug());
                let help = Some("JSON is written as a text: `'{\"a\": 1}'`".to_owned());
                let at = super::super::shape::pointer(&format!("{path}/rows/{at}"), column);
                self.error("bad-value", &at, message, help);
            }
        }
        Some(StepSpec::Settings(step))
    }

    fn plugin(&mut self, path: &str, step: PluginStep) -> Option<StepSpec> {
        let (key, id, on) = match (step.enable, step.disable) {
            (Some(id), _) => ("enable", id, true),
            (None, Some(id)) => ("disable", id, false),
            (None, None) => return None,
        };
        self.known_plugin(&format!("{path}/plugin/{key}"), &id);
        Some(StepSpec::Plugin { id, on })
    }

    fn checkpoint(&mut self, path: &str, step: CheckpointStep) -> Option<StepSpec> {
        let path = format!("{path}/checkpoint");
        self.filled(&format!("{path}/name"), &step.name);
        self.listed(&format!("{path}/tables"), &step.tables);
        Some(StepSpec::Checkpoint(step))
    }

    fn manual(&mut self, path: &str, step: Manual) -> StepSpec {
        self.filled(&format!("{path}/manual/do"), &step.what);
        StepSpec::Manual(step)
    }

    /// A text that must say something.
    pub(super) fn filled(&mut self, path: &str, text: &str) {
        if text.trim().is_empty() && !self.unset.contains(path) {
            let key = path.rsplit('/').next().unwrap_or_default();
            self.error("bad-value", path, format!("`{key}` is empty"), None);
        }
    }

    /// A list that must name something, and nothing empty.
    pub(super) fn listed(&mut self, path: &str, list: &[String]) {
        if list.is_empty() && !self.has_items(path) {
            let key = path.rsplit('/').find(|key| key.parse::<usize>().is_err());
            let message = format!("`{}` names nothing", key.unwrap_or_default());
            self.error("bad-value", path, message, None);
        }
        let empty = |(_, item): &(usize, &String)| item.trim().is_empty();
        for (at, _) in list.iter().enumerate().filter(empty) {
            let path = format!("{path}/{at}");
            self.error("bad-value", &path, "this is empty".into(), None);
        }
    }

    /// Whether a list has items in the file, sound or not.
    pub(super) fn has_items(&self, path: &str) -> bool {
        self.stands(&format!("{path}/0"))
    }

    /// An address must have a scheme that can be asked. The text may hold secrets and is not shown.
    pub(super) fn address(&mut self, path: &str, url: &str) {
        let host = ["http://", "https://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme));
        let fine = host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'));
        if !fine && !self.unset.contains(path) {
            let message = "this is not an address with `http://` or `https://`".to_owned();
            self.error("bad-value", path, message, None);
        }
    }

    /// How a step is taken back; `None` where that cannot be told, which was said.
    fn undo(
        &mut self,
        path: &str,
        undo: Option<UndoTable>,
        kind: Option<&StepSpec>,
    ) -> Option<UndoSpec> {
        let at = format!("{path}/undo");
        let outside = matches!(kind, Some(StepSpec::Exec(_) | StepSpec::Http(_)));
        let why = |reading: &mut Self, key: &str, why: String| {
            reading.filled(&format!("{at}/{key}"), &why);
            why
        };
        let spec = match undo {
            Some(UndoTable::Impossible(undo)) => {
                UndoSpec::Impossible(why(self, "impossible", undo.impossible))
            }
            Some(UndoTable::None(undo)) => UndoSpec::None(why(self, "none", undo.none)),
            Some(UndoTable::Exec(undo)) => UndoSpec::Exec(why(self, "exec", undo.exec.0)),
            Some(UndoTable::Text(word)) if word == "restore" => UndoSpec::Restore,
            Some(UndoTable::Text(word)) if word != "derive" => {
                return self.sqls.get(&at).cloned().map(UndoSpec::Sql);
            }
            // It is there and faulty, which was said.
            None if self.stands(&at) => return None,
            Some(UndoTable::Text(_)) | None => UndoSpec::Derive,
        };
        if outside && matches!(spec, UndoSpec::Derive | UndoSpec::Restore) {
            let kind = kind.map_or("exec", StepSpec::kind);
            let message = format!(
                "nothing is known of what this `{kind}` step changes, so it must say how it is taken back"
            );
            let help = "`undo = { exec = \"…\" }`, SQL, `{ none = \"why nothing is to undo\" }`, or `{ impossible = \"why\" }`";
            self.error("undo-missing", &at, message, Some(help.to_owned()));
            return None;
        }
        Some(spec)
    }
}

/// The kind of a step that comes with a later version.
fn later(table: &StepTable) -> Option<&'static str> {
    let kinds = [
        ("sync", table.sync.is_some()),
        ("drop_columns", table.drop_columns.is_some()),
        ("drop_tables", table.drop_tables.is_some()),
        ("fleet", table.fleet.is_some()),
        ("safe", table.safe == Some(true)),
    ];
    kinds
        .iter()
        .find(|(_, given)| *given)
        .map(|(kind, _)| *kind)
}
