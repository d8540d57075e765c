//! The steps that move data, read from `[[phase.step]]`: names, words, dates and policies are checked before any database is
//! asked.

use super::StepSpec;
use super::parse::Reading;
use crate::bulk::Form;
use crate::bulk::since::Since;
use crate::copy::policy::{Policies, Policy};
use crate::finding::Severity;
use crate::source::grammar::moving::{CopyStep, ExportStep, ImportStep, SkipDuplicates};
use crate::source::nearest::did_you_mean;

/// The words of `verify`.
const PROOFS: [&str; 2] = ["digest", "none"];

impl Reading<'_> {
    pub(super) fn copy(&mut self, path: &str, step: CopyStep) -> StepSpec {
        let path = format!("{path}/copy");
        self.end(&format!("{path}/from"), &step.from.0);
        self.end(&format!("{path}/to"), &step.to.0);
        if !step.from.0.is_empty() && step.from == step.to {
            let message = "source and target are the same database".to_owned();
            self.error("bad-value", &format!("{path}/to"), message, None);
        }
        if let Some(word) = step.verify.as_deref().filter(|word| !PROOFS.contains(word)) {
            let message = format!("`{}` is not a value of `verify`", word.escape_debug());
            let help = Some("it is `digest` (every row is read again), or `none`".to_owned());
            self.error("bad-value", &format!("{path}/verify"), message, help);
        }
        let default = step.on_error.as_deref();
        if let Some(word) = default.filter(|word| Policy::by_name(word).is_none()) {
            let message = format!(
                "`{}` is neither fail, reject nor coerce",
                word.escape_debug()
            );
            self.error("bad-value", &format!("{path}/on_error"), message, None);
        }
        for (code, word) in &step.policy {
            if let Err(sentence) = Policies::default().take(&format!("{code}={word}")) {
                let at = crate::source::shape::pointer(&format!("{path}/policy"), code);
                self.error("bad-value", &at, sentence, None);
            }
        }
        StepSpec::Copy(Box::new(step))
    }

    /// One end of a copy: a database of the project, or a URL. A URL may hold secrets and is not shown.
    fn end(&mut self, path: &str, named: &str) {
        self.filled(path, named);
        if named.trim().is_empty() || named.contains(':') || self.unset.contains(path) {
            return;
        }
        let known = self.project.databases.iter().map(|db| db.name.as_str());
        let known: Vec<&str> = known.collect();
        if known.contains(&named) {
            return;
        }
        // A warning: the plan can be shown before all of its databases are configured. A run and `plan check` refuse it.
        let message = format!("`dunlin.toml` has no database `{}`", named.escape_debug());
        let help = did_you_mean(named, &known).or_else(|| Some("or name a URL".to_owned()));
        self.say(Severity::Warning, "unknown-name", path, message, help);
    }

    pub(super) fn export(&mut self, path: &str, step: ExportStep) -> StepSpec {
        let path = format!("{path}/export");
        self.filled(&format!("{path}/to"), &step.to.0);
        if step.to.0 == "-" {
            let message = "a plan has no pipe: name a folder or a file".to_owned();
            self.error("bad-value", &format!("{path}/to"), message, None);
        }
        let unknown = |word: &&str| Form::named(word).is_none();
        if let Some(word) = step.form.as_deref().filter(unknown) {
            let message = format!("`{}` is not a form", word.escape_debug());
            let help = Some(format!("it is {}", Form::NAMES));
            self.error("bad-value", &format!("{path}/as"), message, help);
        }
        for (at, text) in step.since.iter().flat_map(|since| since.all()).enumerate() {
            if let Err(sentence) = Since::parse(text) {
                let single = format!("{path}/since");
                let listed = format!("{single}/{at}");
                let place = if self.stands(&listed) { listed } else { single };
                self.error("bad-value", &place, sentence, None);
            }
        }
        for (table, condition) in &step.only {
            let at = crate::source::shape::pointer(&format!("{path}/where"), table);
            self.filled(&at, condition);
        }
        StepSpec::Export(Box::new(step))
    }

    pub(super) fn import(&mut self, path: &str, step: ImportStep) -> StepSpec {
        let path = format!("{path}/import");
        let files: Vec<String> = step.files.iter().map(|file| file.0.clone()).collect();
        let unset = (0..files.len()).any(|at| self.unset.contains(&format!("{path}/files/{at}")));
        if !unset {
            self.listed(&format!("{path}/files"), &files);
        }
        if files.iter().any(|file| file == "-") {
            let message = "a plan has no pipe: name folders or files".to_owned();
            self.error("bad-value", &format!("{path}/files"), message, None);
        }
        if let Some(SkipDuplicates::By(tables)) = &step.skip_duplicates {
            for (table, columns) in tables {
                let at = crate::source::shape::pointer(&format!("{path}/skip_duplicates"), table);
                self.listed(&at, columns);
            }
        }
        StepSpec::Import(Box::new(step))
    }
}
