//! Lowering a plan's step: from the facts of the moment to statements and their inverse. Pure; what it made is
//! journalled when the step begins, and a resumed step goes on with what stands there.

pub mod add_columns;
pub mod index;
pub mod plugin;
pub mod require;
pub mod settings;
pub mod sql;
pub mod veil;

mod kept;
mod known;
pub(crate) mod said_key;
#[cfg(test)]
mod tests;
mod violations;

use super::inverse::{Stated, comes_back, is_harmless};
use crate::dialect::steps::Move;
use crate::dialect::{Caps, Dialect};
use crate::finding::{Finding, Severity};
use crate::schema::Catalog;
use crate::source::grammar::apps::PluginTable;
use crate::source::plan::{StepDoc, StepSpec, UndoSpec};
use crate::sql::change::Change;
use crate::sql::{LexMode, ObjectRef, StatementClass};
use crate::value::{Query, Row};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is known when a step's turn comes.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The dialect.
    pub dialect: &'static dyn Dialect,
    /// What the server can do.
    pub caps: &'a Caps,
    /// What changes lexing in script sessions.
    pub lex: &'a LexMode,
    /// The catalog of everything that is there.
    pub catalog: &'a Catalog,
    /// The plugins of `dunlin.toml`.
    pub plugins: &'a [PluginTable],
}

/// A step as statements.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Operations {
    /// What it does, in order. Empty: nothing is to be done (any more).
    pub up: Vec<String>,
    /// What takes each statement of `up` back, should the step end half way; where the inverse was derived.
    pub back: Vec<Vec<String>>,
    /// Of each statement of `up`, a query that gives a row while what it writes over is as it was found; where rows are
    /// written that were looked at before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub still: Vec<String>,
    /// How it is taken back.
    pub undo: Inverse,
    /// Each statement commits by itself, in both directions: what one locks is free before the next.
    pub apart: bool,
    /// Where others may write later what the undo would meet.
    pub later: Vec<Later>,
    /// The tables that are kept before it, for an undo that merges their rows back.
    pub kept: Vec<String>,
    /// Foreign keys that it adds, for which the server may make an index that stays when they are dropped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<ObjectRef>,
    /// What is to be said before it runs; a finding of severity error refuses the step.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// Writes of others that an undo would meet, to be asked for before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Later {
    /// What was written, for people: `setting_value of system_settings (ai_enabled)`.
    pub what: String,
    /// A query: each row that it gives is the key of a row that no longer holds what the step wrote.
    pub sql: String,
    /// The undo takes the row away; otherwise it leaves it alone.
    pub destroys: bool,
    /// The table.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub table: String,
    /// The condition under which a row of it no longer holds what the step wrote.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub only: String,
    /// The condition tells of every column of the row.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
    /// A statement that takes the row away where it still is what the step wrote.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub own: String,
}

/// How a lowered step is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inverse {
    /// By these statements, in order.
    Statements(Vec<String>),
    /// By taking back these migrations, newest first.
    Migrations(Vec<String>),
    /// From the images of its batches.
    Images,
    /// From the checkpoint made before it, merged by key.
    Restore,
    /// By emptying the database that a copy has filled and had found empty.
    Emptied {
        /// What tells the copy from any other into that database.
        mark: String,
        /// By table, rows and digest of what it left; `None`: it did not come to its end.
        left: Option<BTreeMap<String, String>>,
    },
    /// By a command.
    Exec(String),
    /// Not at all, and why.
    Impossible(String),
    /// Nothing is to be undone, and why.
    Nothing(String),
}

impl Default for Inverse {
    fn default() -> Self {
        Inverse::Statements(vec![])
    }
}

impl Operations {
    /// Statements, each with what takes it back.
    pub fn of(moves: Vec<Move>) -> Self {
        let (up, back): (Vec<_>, Vec<_>) = moves.into_iter().map(|one| (one.up, one.back)).unzip();
        Operations {
            undo: Inverse::Statements(back.iter().rev().flatten().cloned().collect()),
            up,
            back,
            ..Operations::default()
        }
    }
}

/// Whether lowering a step looks into the catalog; one that was not read must be empty. Statements whose undo the author
/// wrote stand as they are, and so do those that leave nothing behind; what is done outside of the database has none.
pub fn looks(step: &StepDoc, facts: &Facts<'_>) -> bool {
    let text = match &step.kind {
        StepSpec::Sql(text) => text,
        StepSpec::Exec(_) | StepSpec::Http(_) | StepSpec::Manual(_) => {
            return matches!(step.undo, UndoSpec::Restore);
        }
        _ => return true,
    };
    let leaves = |stated: &Stated| {
        let class = facts.dialect.classify(&stated.sql, facts.lex);
        let counters = |sql: &str| facts.dialect.steps().moves_counters_only(sql, facts.lex);
        !is_harmless(&class) && !counters(&stated.sql)
    };
    let statements = sql::statements(text, facts);
    match step.undo {
        // Which tables are kept, the catalog tells.
        UndoSpec::Restore => true,
        UndoSpec::Derive => statements.is_ok_and(|all| all.iter().any(leaves)),
        _ => false,
    }
}

/// What must be asked of the database before a step of this kind can be lowered: the rows that would violate a
/// constraint, the previous values of settings rows. The answers go into [`lower`] in the same order. A step that cannot
/// be lowered anyway asks nothing.
pub fn asks(step: &StepDoc, facts: &Facts<'_>) -> Vec<Query> {
    match &step.kind {
        StepSpec::Index(index) => index::asks(step, index, facts),
        StepSpec::Require(require) => require::asks(step, require, facts),
        StepSpec::Settings(settings) => settings::asks(step, settings, facts),
        StepSpec::Plugin { id, on } => plugin::asks(step, id, *on, facts),
        _ => vec![],
    }
}

/// Lowers a step whose kind is SQL in the end (`sql`, `add_columns`, `index`, `require`, `settings`, `plugin` by a
/// settings row). Other kinds have runners of their own and give no statements.
pub fn lower(
    step: &StepDoc,
    facts: &Facts<'_>,
    answers: &[Vec<Row>],
) -> Result<Operations, Vec<Finding>> {
    let said = said(step, facts)?;
    let mut operations = match &step.kind {
        StepSpec::Sql(text) => sql::lower(text, facts, said.is_none())?,
        StepSpec::AddColumns(columns) => add_columns::lower(step, columns, facts)?,
        StepSpec::Index(index) => index::lower(step, index, facts, answers)?,
        StepSpec::Require(require) => require::lower(step, require, facts, answers)?,
        StepSpec::Settings(settings) => settings::lower(step, settings, facts, answers)?,
        StepSpec::Plugin { id, on } => plugin::lower(step, id, *on, facts, answers)?,
        _ => Operations::default(),
    };
    operations.findings.extend(nobody_to_end(step, facts));
    if let Some(said) = said {
        // An import keeps what it fills by itself.
        if said == Inverse::Restore && !matches!(step.kind, StepSpec::Import(_)) {
            operations.kept = kept::tables(step, &operations.up, facts)?;
            operations.back.clear();
        }
        operations.undo = said;
        operations.later.clear();
    }
    Ok(operations)
}

/// The undo that the author wrote; `None`: it is to be derived.
fn said(step: &StepDoc, facts: &Facts<'_>) -> Result<Option<Inverse>, Vec<Finding>> {
    Ok(Some(match &step.undo {
        UndoSpec::Derive => return Ok(None),
        UndoSpec::Sql(text) => {
            let statements = sql::statements(text, facts)?;
            Inverse::Statements(statements.into_iter().map(|stated| stated.sql).collect())
        }
        UndoSpec::Restore => Inverse::Restore,
        UndoSpec::Exec(command) => Inverse::Exec(command.clone()),
        UndoSpec::Impossible(why) => Inverse::Impossible(why.clone()),
        UndoSpec::None(why) => Inverse::Nothing(why.clone()),
    }))
}

/// What a statement of a lowered step does to others while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepHazard {
    /// Which statement of [`Operations::up`].
    pub statement: usize,
    /// A stable code with a page of its own.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
}

/// What the statements do to others, in their order: locks, scans, rewrites, lost data, each with its reason.
pub fn hazards(statements: &[String], facts: &Facts<'_>) -> Vec<StepHazard> {
    let classify = |sql: &String| facts.dialect.classify(sql, facts.lex);
    let classes: Vec<StatementClass> = statements.iter().map(classify).collect();
    let mut found = vec![];
    for (statement, class) in classes.iter().enumerate() {
        let (before, after) = (&statements[..statement], &classes[statement..]);
        for hazard in &class.hazards {
            let (mut code, mut message) = (hazard.code, hazard.message.clone());
            if code == "data-loss"
                && let Some(table) = comes_back(class, after)
            {
                code = "table-rewrite";
                message = format!("every row of {table} is written anew, and writers wait");
            }
            if code == "lock-table-scan" && is_proved(&statements[statement], before, facts) {
                continue;
            }
            found.push(StepHazard {
                statement,
                code,
                message,
            });
        }
    }
    found
}

/// Whether the statement demands of columns only what a check that was proved just before it says.
fn is_proved(sql: &str, before: &[String], facts: &Facts<'_>) -> bool {
    let ddl = |sql: &str| facts.dialect.steps().ddl(sql, facts.lex);
    let Some(own) = ddl(sql) else { return false };
    let proved = before.iter().any(|sql| {
        ddl(sql).is_some_and(|other| {
            other.table == own.table && other.changes == [Change::Quiet("VALIDATE")]
        })
    });
    let said = |column: &ObjectRef| {
        let condition = format!("{} IS NOT NULL", facts.dialect.quote(&column.name));
        before.iter().any(|sql| sql.contains(&condition))
    };
    proved
        && own.changes.iter().all(|change| match change {
            Change::SetNotNull(column) => said(column),
            _ => false,
        })
}

/// The rows that answer a question of [`asks`].
fn answer<'a>(
    step: &StepDoc,
    answers: &'a [Vec<Row>],
    at: usize,
) -> Result<&'a [Row], Vec<Finding>> {
    answers.get(at).map(Vec::as_slice).ok_or_else(|| {
        let message = "the database has not been asked what this step must know";
        vec![known::at_step("not-asked", step, message)]
    })
}

/// Why a text cannot stand in brackets as one expression; `None`: it can.
fn broken_expression(text: &str, facts: &Facts<'_>) -> Option<&'static str> {
    use crate::sql::{TokenKind, lex};
    let (tokens, faults) = lex(text, &facts.dialect.lex_rules(facts.lex));
    if !faults.is_empty() {
        return Some("holds a literal, name or comment that does not close");
    }
    let mut open = 0_i32;
    for token in &tokens {
        match (token.kind, token.text(text)) {
            (TokenKind::Delimiter, _) => return Some("holds a `;`"),
            (TokenKind::LineComment | TokenKind::Directive, _) => {
                return Some("holds a comment to the end of its line");
            }
            (TokenKind::Operator, "(") => open += 1,
            (TokenKind::Operator, ")") => open -= 1,
            _ => {}
        }
        if open < 0 {
            break;
        }
    }
    (open != 0).then_some("has brackets that do not close")
}

/// `kill_blockers` where there is nobody to be ended.
fn nobody_to_end(step: &StepDoc, facts: &Facts<'_>) -> Option<Finding> {
    let preflight = facts.dialect.preflight();
    if step.kill_blockers.is_none() || preflight.blockers(facts.caps, 0, &[]).is_some() {
        return None;
    }
    let message = format!(
        "step `{}`: `kill_blockers` does nothing here: the engine has no sessions that could be ended",
        step.id
    );
    let mut found = known::at_step("not-on-this-engine", step, message).help(
        "`lock_timeout` and `lock_patience` bound how long it waits for whoever writes to the file",
    );
    found.severity = Severity::Warning;
    Some(found)
}
