//! What a backfill is to do, read from its step and the table's catalog.

use crate::finding::{Finding, Place};
use crate::schema::{Table, key};
use crate::source::grammar::steps::{Backfill, NewRows};
use crate::sql::words::{Tok, Words, by_commas, unquoted};
use crate::sql::{LexRules, TokenKind};

/// A column and what it is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The column, as the catalog spells it.
    pub column: String,
    /// The expression.
    pub expression: String,
    /// It is one literal, and so may be a default.
    pub literal: bool,
}

/// A backfill of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The columns of the key by which rows are walked through.
    pub key: Vec<String>,
    /// What is set.
    pub assigned: Vec<Assigned>,
    /// Columns whose values an undo record keeps: those that are set, those that the server sets on an update, and
    /// where triggers may set others, all.
    pub kept: Vec<String>,
}

impl Task {
    /// Reads the step. `own`: the name of the trigger that the backfill itself made.
    ///
    /// # Errors
    /// Findings of severity error: a table without a key, a column that is not there or is part of the key, assignments
    /// that cannot be read, a default that is no literal.
    pub fn read(
        step: &Backfill,
        table: &Table,
        rules: &LexRules,
        own: &str,
    ) -> Result<Task, Vec<Finding>> {
        let place = || Place::object(table.label());
        let mut findings = vec![];
        let key = key::of(table).unwrap_or_default();
        if key.is_empty() {
            let message = format!(
                "{} has neither a primary key nor a unique one without NULLs, so its rows cannot be walked through in \
                 batches, nor found again for the undo",
                table.label()
            );
            findings
                .push(Finding::error("no-unique-key", place(), message).help(
                    "give the table a primary key first, or change the rows in a `sql` step",
                ));
        }
        let assigned = assignments(&step.set, table, rules).unwrap_or_else(|why| {
            findings.push(Finding::error("backfill-set", place(), why));
            vec![]
        });
        for one in &assigned {
            let known = table.column(&one.column);
            if key.contains(&one.column) {
                let message = format!(
                    "`{}` is part of the key that rows are walked by",
                    one.column
                );
                findings.push(Finding::error("backfill-set", place(), message));
            }
            if known.is_some_and(|column| column.generated.is_some()) {
                let message = format!("`{}` is computed by the server", one.column);
                findings.push(Finding::error("backfill-set", place(), message));
            }
            if step.new_rows == Some(NewRows::Default) && !one.literal {
                let message = format!(
                    "`{}` is no literal, so it cannot be the default of `{}`",
                    one.expression, one.column
                );
                findings.push(
                    Finding::error("backfill-set", place(), message)
                        .help("`new_rows = \"trigger\"` takes any expression"),
                );
            }
        }
        if findings.is_empty() {
            let kept = kept(table, &key, &assigned, own);
            Ok(Task {
                key,
                assigned,
                kept,
            })
        } else {
            Err(findings)
        }
    }
}

fn kept(table: &Table, key: &[String], assigned: &[Assigned], own: &str) -> Vec<String> {
    let others = table.triggers.iter().any(|trigger| trigger.name != own);
    let columns = table.columns.iter().filter(|column| {
        column.generated.is_none()
            && !key.contains(&column.name)
            && (others
                || column.on_update.is_some()
                || assigned.iter().any(|one| one.column == column.name))
    });
    columns.map(|column| column.name.clone()).collect()
}

/// Reads `a = 1, "b" = upper(c)`.
///
/// # Errors
/// A sentence.
pub fn assignments(set: &str, table: &Table, rules: &LexRules) -> Result<Vec<Assigned>, String> {
    let words = Words::read(set, rules);
    let mut found: Vec<Assigned> = vec![];
    for part in by_commas(&words.toks) {
        let [name, equals, value @ ..] = part else {
            return Err(format!("`{set}` is no list of `column = value`"));
        };
        let (Some(first), Some(last)) = (value.first(), value.last()) else {
            return Err(format!("`{}` is given no value", name.text));
        };
        if !name.is_name() || !equals.op("=") {
            return Err(format!("`{set}` is no list of `column = value`"));
        }
        let spelled = unquoted(name, |text, _| text.to_owned());
        let column = table
            .column(&spelled)
            .or_else(|| {
                let same =
                    |column: &&crate::schema::Column| column.name.eq_ignore_ascii_case(&spelled);
                table.columns.iter().find(same)
            })
            .ok_or_else(|| format!("{} has no column `{spelled}`", table.label()))?;
        if found.iter().any(|one| one.column == column.name) {
            return Err(format!("`{}` is set twice", column.name));
        }
        found.push(Assigned {
            column: column.name.clone(),
            expression: set[first.start..last.end()].to_owned(),
            literal: literal(value),
        });
    }
    Ok(found)
}

fn literal(value: &[Tok<'_>]) -> bool {
    match value {
        [one] => {
            matches!(one.kind, TokenKind::Text | TokenKind::Number)
                || one.is_any(&["true", "false", "null"])
        }
        [sign, number] => (sign.op("-") || sign.op("+")) && number.kind == TokenKind::Number,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::dialect::{Dialect, postgres::Postgres};
    use crate::schema::{Column, Key, NeutralType, Trigger};
    use crate::sql::LexMode;

    fn table() -> Table {
        let column = |name: &str, nullable| Column {
            name: name.into(),
            native: "bigint".into(),
            neutral: NeutralType::Int,
            nullable,
            default: None,
            generated: None,
            identity: None,
            counting: vec![],
            on_update: (name == "changed").then(|| "now".into()),
            collation: None,
            attributes: None,
            comment: None,
        };
        Table {
            name: "contacts".into(),
            columns: vec![
                column("id", false),
                column("user_id", true),
                column("Odd \"Name", true),
                column("changed", true),
                column("other", true),
            ],
            keys: vec![Key {
                name: None,
                primary: true,
                columns: vec!["id".into()],
                clause: None,
                ..Key::default()
            }],
            ..Table::default()
        }
    }

    fn read(set: &str, table: &Table, new_rows: NewRows) -> Result<Task, Vec<String>> {
        let step = Backfill {
            table: "contacts".into(),
            set: set.into(),
            only: None,
            batch: None,
            pause: None,
            new_rows: Some(new_rows),
            window: None,
        };
        let rules = Postgres.lex_rules(&LexMode::default());
        Task::read(&step, table, &rules, "own")
            .map_err(|findings| findings.into_iter().map(|found| found.message).collect())
    }

    #[test]
    fn assignments_are_read_with_the_columns_that_an_update_changes() {
        let set = "USER_ID = coalesce(other, (1)), \"Odd \"\"Name\" = 'a, b = c'";
        let task = read(set, &table(), NewRows::Trigger).unwrap();
        assert_eq!(task.key, ["id"]);
        assert_eq!(task.kept, ["user_id", "Odd \"Name", "changed"]);
        let shown: Vec<_> = task
            .assigned
            .iter()
            .map(|one| (one.column.as_str(), one.expression.as_str(), one.literal))
            .collect();
        assert_eq!(
            shown,
            [
                ("user_id", "coalesce(other, (1))", false),
                ("Odd \"Name", "'a, b = c'", true)
            ]
        );
        let mut table = table();
        for name in ["own", "others"] {
            table.triggers.push(Trigger {
                name: name.into(),
                definition: String::new(),
                disabled: None,
                ..Trigger::default()
            });
            let kept = read("user_id = -1", &table, NewRows::Default).unwrap().kept;
            assert_eq!(kept.len(), if name == "own" { 2 } else { 4 }, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_done_in_batches_is_refused() {
        for (set, why) in [
            ("id = 2", "part of the key"),
            ("nothing = 2", "no column `nothing`"),
            ("user_id = 1, user_id = 2", "set twice"),
            ("user_id", "no list"),
            ("user_id =", "no value"),
            ("", "no list"),
            ("user_id + 1 = 2", "no list"),
        ] {
            let found = read(set, &table(), NewRows::None).unwrap_err().join("; ");
            assert!(found.contains(why), "{set}: {found}");
        }
        let found = read("user_id = other", &table(), NewRows::Default).unwrap_err();
        assert!(found[0].contains("no literal"), "{found:?}");
        let mut bare = table();
        bare.keys.clear();
        let found = read("user_id = 1", &bare, NewRows::None).unwrap_err();
        assert!(found[0].contains("neither a primary key"), "{found:?}");
    }
}
