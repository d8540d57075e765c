//! Which rights the steps of a plan need, asked of the server before anything is touched.

use super::Checked;
use crate::dialect::preflight::{Rights, privilege};
use crate::source::grammar::steps::NewRows;
use crate::source::plan::{StepDoc, StepSpec};
use crate::sql::words::Words;
use crate::sql::{Condition, Kind, ObjectKind, ObjectRef, StatementClass};

/// The code of its page.
pub const CODE: &str = "rights-missing";

/// A right, as the engines agree on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// To read rows.
    Select,
    /// To add rows.
    Insert,
    /// To change rows.
    Update,
    /// To delete rows.
    Delete,
    /// To empty a table.
    Truncate,
    /// To make triggers.
    Trigger,
    /// To refer to a table.
    References,
    /// To change a table.
    Alter,
    /// To build an index.
    Index,
    /// To drop an object.
    Drop,
    /// To make tables.
    CreateTable,
    /// To make views.
    CreateView,
    /// To make functions and procedures.
    CreateRoutine,
}

impl Right {
    /// As SQL spells it, of a table.
    pub const fn word(self) -> &'static str {
        match self {
            Right::Select => "SELECT",
            Right::Insert => "INSERT",
            Right::Update => "UPDATE",
            Right::Delete => "DELETE",
            Right::Truncate => "TRUNCATE",
            Right::Trigger => "TRIGGER",
            Right::References => "REFERENCES",
            Right::Alter => "ALTER",
            Right::Index => "INDEX",
            Right::Drop => "DROP",
            Right::CreateTable | Right::CreateView | Right::CreateRoutine => "CREATE",
        }
    }

    /// Whether it makes something that is not there.
    pub const fn makes(self) -> bool {
        matches!(
            self,
            Right::CreateTable | Right::CreateView | Right::CreateRoutine
        )
    }
}

/// A right that a step needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The right.
    pub right: Right,
    /// The schema, where the step names one.
    pub schema: Option<String>,
    /// The table; `None`: the database or schema.
    pub table: Option<String>,
    /// The plan makes the table: it may not be there yet.
    pub is_made: bool,
    /// The step that needs it first; empty: the journal.
    pub step: String,
}

/// The rights that are wanted, each once.
#[derive(Debug, Default)]
pub struct Wants(pub Vec<Wanted>, Vec<ObjectRef>);

impl Wants {
    fn add(&mut self, step: &str, right: Right, schema: Option<&str>, table: Option<&str>) {
        // Whoever may make one table may make another.
        let table = table.filter(|_| !right.makes());
        let known = self.0.iter().any(|one| {
            one.right == right && one.schema.as_deref() == schema && one.table.as_deref() == table
        });
        let is_made = self
            .1
            .iter()
            .any(|made| Some(made.name.as_str()) == table && made.schema.as_deref() == schema);
        if !known {
            self.0.push(Wanted {
                right,
                is_made,
                schema: schema.map(str::to_owned),
                table: table.map(str::to_owned),
                step: step.to_owned(),
            });
        }
    }

    /// What the journal needs, where its tables are not there yet.
    pub fn journal(&mut self, schema: Option<&str>) {
        self.add("", Right::CreateTable, schema, None);
    }

    /// What a step needs by its kind; statements that it is lowered to are told by [`Wants::statement`].
    pub fn step(&mut self, step: &StepDoc) {
        let id = step.id.as_str();
        let mut all = |rights: &[Right], table: &str| {
            let (schema, table) = named(table);
            for right in rights {
                self.add(id, *right, schema, Some(table));
            }
        };
        match &step.kind {
            StepSpec::AddColumns(columns) => all(&[Right::Alter], &columns.table),
            StepSpec::Index(index) => all(&[Right::Index], &index.table),
            StepSpec::Backfill(backfill) => {
                all(&[Right::Select, Right::Update], &backfill.table);
                if backfill.new_rows == Some(NewRows::Trigger) {
                    all(&[Right::Trigger], &backfill.table);
                }
            }
            StepSpec::Require(require) => {
                all(&[Right::Select, Right::Alter], &require.table);
                for key in &require.foreign_keys {
                    let parent = key.split("->").nth(1).unwrap_or_default();
                    let parent = parent.split('(').next().unwrap_or_default().trim();
                    if !parent.is_empty() {
                        all(&[Right::References], parent);
                    }
                }
            }
            StepSpec::Settings(settings) => all(
                &[Right::Select, Right::Insert, Right::Update, Right::Delete],
                &settings.table,
            ),
            StepSpec::Checkpoint(checkpoint) => {
                for table in &checkpoint.tables {
                    all(&[Right::Select], table);
                }
            }
            _ => {}
        }
    }

    /// What a statement of a step needs.
    pub fn statement(&mut self, step: &str, class: &StatementClass) {
        match class.kind {
            Kind::Dml | Kind::CopyIn => self.rows(step, class),
            Kind::Query => self.reads(step, class),
            Kind::Ddl => {
                self.1
                    .extend(class.post.iter().filter_map(|done| match done {
                        Condition::Exists(object) if object.kind == ObjectKind::Table => {
                            Some(object.clone())
                        }
                        _ => None,
                    }));
                self.catalog(step, class);
            }
            _ => {}
        }
    }

    /// What the branches of a MERGE and the other half of an upsert need, which only their words tell.
    pub fn branches(&mut self, step: &str, class: &StatementClass, words: &Words<'_>) {
        let says: [(Right, &[&[&str]]); 3] = [
            (Right::Insert, &[&["THEN", "INSERT"]]),
            (
                Right::Update,
                &[
                    &["THEN", "UPDATE"],
                    &["DO", "UPDATE"],
                    &["ON", "DUPLICATE", "KEY", "UPDATE"],
                ],
            ),
            (Right::Delete, &[&["THEN", "DELETE"]]),
        ];
        if class.kind != Kind::Dml || !["MERGE", "INSERT"].contains(&class.verb.as_str()) {
            return;
        }
        let tables = class.touches.iter();
        let tables: Vec<&ObjectRef> = tables.filter(|one| one.kind == ObjectKind::Table).collect();
        for (right, ways) in says {
            if ways.iter().any(|way| words.follow(way)) {
                for table in &tables {
                    self.add(step, right, table.schema.as_deref(), Some(&table.name));
                }
            }
        }
        if class.verb == "MERGE" {
            self.reads(step, class);
        }
    }

    fn reads(&mut self, step: &str, class: &StatementClass) {
        for table in &class.reads {
            self.add(
                step,
                Right::Select,
                table.schema.as_deref(),
                Some(&table.name),
            );
        }
    }

    fn rows(&mut self, step: &str, class: &StatementClass) {
        let rights: &[Right] = match class.verb.split(' ').next().unwrap_or_default() {
            "INSERT" | "COPY" | "LOAD" => &[Right::Insert],
            "REPLACE" => &[Right::Insert, Right::Delete],
            "UPDATE" => &[Right::Update],
            "DELETE" => &[Right::Delete],
            // MERGE: by what its branches do.
            _ => return,
        };
        for table in class
            .touches
            .iter()
            .filter(|object| object.kind == ObjectKind::Table)
        {
            for right in rights {
                self.add(step, *right, table.schema.as_deref(), Some(&table.name));
            }
        }
        self.reads(step, class);
    }

    fn catalog(&mut self, step: &str, class: &StatementClass) {
        let verb = class.verb.split(' ').next().unwrap_or_default();
        let makes = |kind: ObjectKind| {
            class
                .post
                .iter()
                .any(|done| matches!(done, Condition::Exists(object) if object.kind == kind))
        };
        // What a statement makes stands in what holds afterwards; what it works on, in what it touches.
        let made = match verb {
            "CREATE" if makes(ObjectKind::Table) => Some(Right::CreateTable),
            "CREATE" if makes(ObjectKind::View) => Some(Right::CreateView),
            "CREATE" if makes(ObjectKind::Function) || makes(ObjectKind::Procedure) => {
                Some(Right::CreateRoutine)
            }
            "CREATE" if makes(ObjectKind::Index) => Some(Right::Index),
            "CREATE" if makes(ObjectKind::Trigger) => Some(Right::Trigger),
            _ => None,
        };
        let is_new = |object: &ObjectRef| class.post.contains(&Condition::Exists(object.clone()));
        for object in &class.touches {
            let (schema, table) = (object.schema.as_deref(), of(object));
            let right = match (made, verb, object.kind) {
                (Some(right), ..) => right,
                (_, "ALTER", ObjectKind::Table | ObjectKind::Column | ObjectKind::Constraint) => {
                    Right::Alter
                }
                (_, "DROP", ObjectKind::Table | ObjectKind::View) => Right::Drop,
                (_, "TRUNCATE", ObjectKind::Table) => Right::Truncate,
                // The name that is given up and the one that is taken, as MySQL has it of RENAME TABLE.
                (_, "RENAME", ObjectKind::Table) if is_new(object) => Right::CreateTable,
                (_, "RENAME", ObjectKind::Table) => {
                    self.add(step, Right::Alter, schema, table);
                    Right::Drop
                }
                _ => continue,
            };
            if right.makes() || table.is_some() {
                self.add(step, right, schema, table);
            }
        }
        // The tables that a new one refers to.
        if verb == "CREATE" && makes(ObjectKind::Table) {
            for table in &class.reads {
                self.add(
                    step,
                    Right::References,
                    table.schema.as_deref(),
                    Some(&table.name),
                );
            }
        }
    }
}

/// The table of an object: itself, or the one that it belongs to.
fn of(object: &ObjectRef) -> Option<&str> {
    match object.kind {
        ObjectKind::Table | ObjectKind::View => Some(&object.name),
        _ => object.parent.as_deref(),
    }
}

fn named(table: &str) -> (Option<&str>, &str) {
    match table.split_once('.') {
        Some((schema, table)) => (Some(schema), table),
        None => (None, table),
    }
}

/// Whether every right is there. `made`: tables that the plan itself makes; whoever makes a table owns it.
pub fn check(wanted: &[Wanted], rights: &Rights) -> Checked {
    if let Some(why) = &rights.unknown {
        return Checked::not_run("rights", CODE, format!("the rights cannot be told: {why}"));
    }
    if rights.lacking.is_empty() {
        return Checked::passed(
            "rights",
            CODE,
            format!("the {} rights that the steps need are there", wanted.len()),
        );
    }
    let mut missing = vec![];
    let mut grants: Vec<&str> = vec![];
    for lack in &rights.lacking {
        let Some(wanted) = wanted.get(lack.at) else {
            continue;
        };
        let on = match &wanted.table {
            Some(table) => format!("{} on {table}", privilege(wanted.right)),
            None => privilege(wanted.right).to_owned(),
        };
        missing.push(match wanted.step.as_str() {
            "" => format!("{on} (the journal's tables)"),
            step => format!("{on} (step `{step}`)"),
        });
        if !grants.contains(&lack.grant.as_str()) {
            grants.push(&lack.grant);
        }
    }
    Checked::failed(
        "rights",
        CODE,
        format!("rights are missing: {}", missing.join(", ")),
    )
    .help(format!("let an administrator run: {}", grants.join(" ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::dialect::Dialect;
    use crate::dialect::preflight::Lacking;
    use crate::dialect::{mysql::Mysql, postgres::Postgres};
    use crate::plan::evidence::CheckOutcome;
    use crate::sql::LexMode;

    fn wanted(dialect: &dyn Dialect, statements: &[&str]) -> Vec<String> {
        let mut wants = Wants::default();
        for sql in statements {
            let lex = LexMode::default();
            let class = dialect.classify(sql, &lex);
            wants.statement("s", &class);
            wants.branches("s", &class, &Words::read(sql, &dialect.lex_rules(&lex)));
        }
        let shown = |one: &Wanted| {
            format!(
                "{} {}",
                privilege(one.right),
                one.table.as_deref().unwrap_or("-")
            )
        };
        wants.0.iter().map(shown).collect()
    }

    #[test]
    fn statements_say_what_they_need() {
        for dialect in [&Postgres as &dyn Dialect, &Mysql] {
            for (sql, expected) in [
                ("INSERT INTO t (a) VALUES (1)", vec!["INSERT t"]),
                ("UPDATE t SET a = 1", vec!["UPDATE t"]),
                ("DELETE FROM t WHERE a = 1", vec!["DELETE t"]),
                (
                    "INSERT INTO t (a) SELECT b FROM u",
                    vec!["INSERT t", "SELECT u"],
                ),
                ("CREATE TABLE t (id int)", vec!["CREATE -"]),
                ("CREATE TABLE t (id int); ", vec!["CREATE -"]),
                ("CREATE INDEX i ON t (a)", vec!["INDEX t"]),
                ("ALTER TABLE t ADD COLUMN a int", vec!["ALTER t"]),
                ("DROP TABLE t", vec!["DROP t"]),
                ("TRUNCATE TABLE t", vec!["TRUNCATE t"]),
                ("CREATE VIEW v AS SELECT 1", vec!["CREATE VIEW -"]),
                ("SET @x = 1", vec![]),
            ] {
                let sql = sql.trim_end_matches("; ");
                assert_eq!(wanted(dialect, &[sql]), expected, "{dialect:?}: {sql}");
            }
        }
        let both = ["INSERT t", "DELETE t"];
        assert_eq!(wanted(&Mysql, &["REPLACE INTO t VALUES (1)"]), both);
        let upsert = "INSERT INTO t (a) VALUES ('THEN DELETE') ON CONFLICT (a) DO UPDATE SET a = 1";
        assert_eq!(wanted(&Postgres, &[upsert]), ["INSERT t", "UPDATE t"]);
        let upsert = "INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = 1";
        assert_eq!(wanted(&Mysql, &[upsert]), ["INSERT t", "UPDATE t"]);
        let merge = "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED AND u.b THEN DELETE \
                     WHEN MATCHED THEN UPDATE SET b = 1 WHEN NOT MATCHED THEN INSERT VALUES (1)";
        let found = wanted(&Postgres, &[merge]);
        for right in ["INSERT t", "UPDATE t", "DELETE t"] {
            assert!(found.iter().any(|one| one == right), "{found:?}");
        }
        let renamed = ["ALTER a", "DROP a", "CREATE -"];
        assert_eq!(wanted(&Mysql, &["RENAME TABLE a TO b"]), renamed);
        let twice = ["CREATE TABLE a (id int)", "CREATE TABLE b (id int)"];
        assert_eq!(wanted(&Postgres, &twice), ["CREATE -"], "each once");
    }

    #[test]
    fn what_is_missing_is_said_with_its_step_and_its_grant() {
        let mut wants = Wants::default();
        wants.statement(
            "fill",
            &Postgres.classify("UPDATE t SET a = 1", &LexMode::default()),
        );
        let mut rights = Rights::default();
        assert_eq!(check(&wants.0, &rights).outcome, CheckOutcome::Passed);
        rights.lacking.push(Lacking {
            at: 0,
            grant: "GRANT UPDATE ON t TO your_user;".into(),
        });
        let failed = check(&wants.0, &rights);
        assert_eq!(failed.outcome, CheckOutcome::Failed);
        assert_eq!(
            failed.message,
            "rights are missing: UPDATE on t (step `fill`)"
        );
        assert!(failed.help.unwrap().contains("GRANT UPDATE ON t"));
        let mut journal = Wants::default();
        journal.journal(None);
        let failed = check(&journal.0, &rights).message;
        assert_eq!(failed, "rights are missing: CREATE (the journal's tables)");
        rights.unknown = Some("roles".into());
        assert_eq!(check(&wants.0, &rights).outcome, CheckOutcome::NotRun);
    }
}
