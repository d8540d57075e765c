//! Lowering a plan's step: from the facts of the moment to statements and their inverse. Pure; what it made is
//! journalled when the step begins, and a resumed step goes on with what stands there.

use crate::dialect::{Caps, Dialect};
use crate::finding::Finding;
use crate::schema::Catalog;
use crate::source::grammar::apps::PluginTable;
use crate::source::plan::StepDoc;
use crate::sql::LexMode;
use crate::value::{Query, Row};
use serde::{Deserialize, Serialize};

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
    /// How it is taken back.
    pub undo: Inverse,
    /// What is to be said before it runs; a finding of severity error refuses the step.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// How a lowered step is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inverse {
    /// By these statements, in order.
    Statements(Vec<String>),
    /// By taking back these migrations, newest first.
    Migrations(Vec<String>),
    /// From the checkpoint made before it, merged by key.
    Restore,
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

/// What must be asked of the database before a step of this kind can be lowered (previous values of settings rows); the
/// answers go into [`lower`] in the same order.
pub fn asks(_step: &StepDoc, _facts: &Facts<'_>) -> Vec<Query> {
    vec![]
}

/// Lowers a step whose kind is SQL in the end (`sql`, `add_columns`, `index`, `require`, `settings`, `plugin` by a
/// settings row). Other kinds have runners of their own and give no statements.
pub fn lower(
    step: &StepDoc,
    facts: &Facts<'_>,
    answers: &[Vec<Row>],
) -> Result<Operations, Vec<Finding>> {
    let _ = (step, facts, answers);
    Ok(Operations::default())
}
