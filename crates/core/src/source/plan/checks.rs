//! One `[[phase.check]]` or `[[phase.step.check]]` to a [`CheckDoc`].

use super::expect::{Expect, RowExpect};
use super::parse::Reading;
use super::{CheckDoc, CheckSpec, SqlText};
use crate::finding::Severity;
use crate::source::grammar::checks::{CheckTable, Explain, Has, HttpCheck, Speed, When};

/// What every message about an expectation ends with.
const EXPECTATIONS: &str =
    "expectations look like `= 0`, `>= 1`, `<> x`, `between 1 and 5`, or are the text itself";

impl Reading<'_> {
    /// The checks of a phase or step.
    pub(super) fn checks(&mut self, owner: &str, checks: Vec<CheckTable>) -> Vec<CheckDoc> {
        let mut out = vec![];
        for (at, check) in checks.into_iter().enumerate() {
            let path = format!("{owner}/check/{at}");
            out.extend(self.check(&path, check));
        }
        out
    }

    fn check(&mut self, path: &str, mut check: CheckTable) -> Option<CheckDoc> {
        self.id("check", path, &check.id);
        let when = check.when.unwrap_or_default();
        let kind = self.check_spec(path, &mut check)?;
        self.check_when(path, when, &kind);
        match &kind {
            CheckSpec::Compare(_) => {
                let message = format!(
                    "checks of the kind `{}` come with a later version of Dunlin",
                    kind.kind()
                );
                let help = "the plan can be shown and checked; a run refuses it".to_owned();
                let at = format!("{path}/{}", kind.kind());
                self.say(Severity::Warning, "comes-later", &at, message, Some(help));
            }
            CheckSpec::Ask(_) => self.confirmed("question", path, &check.id),
            _ => {}
        }
        Some(CheckDoc {
            id: check.id,
            when,
            severity: check.severity.unwrap_or_default(),
            kind,
            place: self.place(path),
        })
    }

    fn check_spec(&mut self, path: &str, check: &mut CheckTable) -> Option<CheckSpec> {
        self.expectations_elsewhere(path, check);
        let sql = |reading: &Self, key: &str| -> Option<SqlText> {
            reading.sqls.get(&format!("{path}/{key}")).cloned()
        };
        if check.sql.is_some() {
            return self.sql_check(path, check);
        }
        if check.unchanged.is_some() {
            return sql(self, "unchanged").map(CheckSpec::Unchanged);
        }
        if check.accepts.is_some() {
            return sql(self, "accepts").map(CheckSpec::Accepts);
        }
        if let Some(refuses) = check.refuses.take() {
            return Some(CheckSpec::Refuses(refuses));
        }
        if let Some(kept) = check.kept.take() {
            self.filled(&format!("{path}/kept/table"), &kept.table);
            return Some(CheckSpec::Kept(kept));
        }
        if let Some(untouched) = check.untouched.take() {
            self.listed(&format!("{path}/untouched/tables"), &untouched.tables);
            return Some(CheckSpec::Untouched(untouched));
        }
        if let Some(http) = check.http.take() {
            self.http_check(&format!("{path}/http"), &http);
            return Some(CheckSpec::Http(http));
        }
        if let Some(speed) = check.speed.take() {
            self.speed(&format!("{path}/speed"), &speed);
            return Some(CheckSpec::Speed(speed));
        }
        if let Some(explain) = check.explain.take() {
            self.explain(&format!("{path}/explain"), &explain);
            return Some(CheckSpec::Explain(explain));
        }
        if let Some(has) = check.has.take() {
            self.has(&format!("{path}/has"), &has);
            return Some(CheckSpec::Has(has));
        }
        if let Some(rules) = check.rules.take() {
            self.rules(&format!("{path}/rules"), &rules);
            return Some(CheckSpec::Rules(rules));
        }
        if let Some(compare) = check.compare.take() {
            let project = self.project;
            let known = project
                .file
                .compare
                .iter()
                .map(|compare| compare.name.as_str());
            let known: Vec<&str> = known.collect();
            self.known("compare", &format!("{path}/compare"), &compare, &known);
            return Some(CheckSpec::Compare(compare));
        }
        if let Some(exec) = check.exec.take() {
            self.filled(&format!("{path}/exec/run"), &exec.run.0);
            return Some(CheckSpec::Exec(exec));
        }
        let ask = check.ask.take()?;
        self.filled(&format!("{path}/ask"), &ask);
        Some(CheckSpec::Ask(ask))
    }

    /// `expect` and `expect_rows` speak of a query's answer.
    fn expectations_elsewhere(&mut self, path: &str, check: &CheckTable) {
        if check.sql.is_some() || self.stands(&format!("{path}/sql")) {
            return;
        }
        for (key, given) in [
            ("expect", check.expect.is_some()),
            ("expect_rows", check.expect_rows.is_some()),
        ] {
            if given {
                let message =
                    format!("`{key}` says what a query answers, and there is no `sql` here");
                self.error("bad-expect", &format!("{path}/{key}"), message, None);
            }
        }
    }

    fn sql_check(&mut self, path: &str, check: &CheckTable) -> Option<CheckSpec> {
        let at = |key: &str| format!("{path}/{key}");
        let given = self.stands(&at("expect")) || self.stands(&at("expect_rows"));
        if !given {
            let message = "the query is run, and nothing says what it must answer".to_owned();
            let help =
                Some("add `expect = \"= 0\"`, or `expect_rows = \"total = done\"`".to_owned());
            self.error("bad-expect", path, message, help);
        }
        let expect = self.read_expect(
            &at("expect"),
            check.expect.as_deref(),
            Expect::parse,
            EXPECTATIONS,
        );
        let rows = self.read_expect(
            &at("expect_rows"),
            check.expect_rows.as_deref(),
            RowExpect::parse,
            "it compares columns of the answer: `total = with_user_id`, `missing = 0`",
        );
        let sql = self.sqls.get(&at("sql")).cloned()?;
        Some(CheckSpec::Sql { sql, expect, rows })
    }

    fn read_expect<T>(
        &mut self,
        path: &str,
        text: Option<&str>,
        parse: impl Fn(&str) -> Result<T, String>,
        help: &str,
    ) -> Option<T> {
        match parse(text?) {
            Ok(expect) => Some(expect),
            Err(message) => {
                self.error("bad-expect", path, message, Some(help.to_owned()));
                None
            }
        }
    }

    /// What is compared with before cannot be looked at before only.
    fn check_when(&mut self, path: &str, when: When, kind: &CheckSpec) {
        let compares = match kind {
            CheckSpec::Kept(_) | CheckSpec::Unchanged(_) | CheckSpec::Untouched(_) => true,
            CheckSpec::Http(http) => http.unchanged,
            CheckSpec::Speed(speed) => speed.slower_by_at_most.is_some(),
            _ => false,
        };
        if when == When::Before && compares {
            let message = format!(
                "`{}` compares with what was before, so it is evaluated after",
                kind.kind()
            );
            let help = Some("leave `when` out".to_owned());
            self.error("bad-value", &format!("{path}/when"), message, help);
        }
    }

    fn http_check(&mut self, path: &str, http: &HttpCheck) {
        self.address(&format!("{path}/url"), &http.url.0);
        if let Some(status) = http.status.filter(|status| !(100..600).contains(status)) {
            let message = format!("{status} is no status of an answer");
            self.error("bad-value", &format!("{path}/status"), message, None);
        }
        let expected = http.expect.keys().map(|key| {
            (
                super::super::shape::pointer(&format!("{path}/expect"), key),
                key,
            )
        });
        let ignored = http
            .ignore
            .iter()
            .enumerate()
            .map(|(at, key)| (format!("{path}/ignore/{at}"), key));
        for (at, key) in expected
            .chain(ignored)
            .filter(|(_, key)| !key.starts_with('$'))
        {
            let message = format!("`{}` is no JSONPath", key.escape_debug());
            let help = Some(format!("it begins at the answer: `$.{key}`"));
            self.error("bad-value", &at, message, help);
        }
    }

    fn speed(&mut self, path: &str, speed: &Speed) {
        if speed.slower_by_at_most.is_none() && speed.within.is_none() {
            let keys = ["slower_by_at_most", "within"];
            if !keys.iter().any(|key| self.stands(&format!("{path}/{key}"))) {
                let message = "nothing says how fast the query must be".to_owned();
                let help =
                    Some("add `slower_by_at_most = 1.2`, or `within = \"100ms\"`".to_owned());
                self.error("bad-value", path, message, help);
            }
        }
        if speed.slower_by_at_most.is_some_and(|factor| factor <= 0.0) {
            let message = "a factor is above 0; `1.2` allows a fifth more".to_owned();
            self.error(
                "bad-value",
                &format!("{path}/slower_by_at_most"),
                message,
                None,
            );
        }
        if speed
            .percentile
            .is_some_and(|percentile| !(1..=100).contains(&percentile))
        {
            let message = "a percentile lies between 1 and 100".to_owned();
            self.error("bad-value", &format!("{path}/percentile"), message, None);
        }
        if speed.runs == Some(0) {
            let message = "what is never run has no speed".to_owned();
            self.error("bad-value", &format!("{path}/runs"), message, None);
        }
    }

    fn explain(&mut self, path: &str, explain: &Explain) {
        let said = explain.uses.is_some() || explain.no_full_scan;
        if !said && !self.stands(&format!("{path}/uses")) {
            let message = "nothing says how the query must be run".to_owned();
            let help = Some("add `uses = \"index\"`, or `no_full_scan = true`".to_owned());
            self.error("bad-value", path, message, help);
        }
    }

    fn has(&mut self, path: &str, has: &Has) {
        let lists = [
            ("tables", &has.tables),
            ("columns", &has.columns),
            ("indexes", &has.indexes),
            ("foreign_keys", &has.foreign_keys),
            ("views", &has.views),
        ];
        let stands = |key: &str| self.stands(&format!("{path}/{key}/0"));
        if lists
            .iter()
            .all(|(key, list)| list.is_empty() && !stands(key))
        {
            let message = "nothing says what the catalog must have".to_owned();
            let help =
                Some("it takes `tables`, `columns`, `indexes`, `foreign_keys`, `views`".into());
            self.error("bad-value", path, message, help);
        }
        for (at, column) in has
            .columns
            .iter()
            .enumerate()
            .filter(|(_, column)| !column.contains('.'))
        {
            let message = format!("`{}` names no table", column.escape_debug());
            let help = Some("columns look like `contacts.user_id`".to_owned());
            self.error("bad-value", &format!("{path}/columns/{at}"), message, help);
        }
        for (at, key) in has
            .foreign_keys
            .iter()
            .enumerate()
            .filter(|(_, key)| !key.contains("->"))
        {
            let message = format!("`{}` refers to nothing", key.escape_debug());
            let help = Some("foreign keys look like `chatbots.user_id -> users.id`".to_owned());
            self.error(
                "bad-value",
                &format!("{path}/foreign_keys/{at}"),
                message,
                help,
            );
        }
    }

    pub(super) fn rules(&mut self, path: &str, rules: &[String]) {
        self.listed(path, rules);
        let project = self.project;
        let known: Vec<&str> = project
            .file
            .rule
            .iter()
            .map(|rule| rule.id.as_str())
            .collect();
        for (at, rule) in rules.iter().enumerate() {
            if rule != "*" && !rule.trim().is_empty() {
                self.known("rule", &format!("{path}/{at}"), rule, &known);
            }
        }
    }
}
