//! Integrity rules: what violates them (`check`), and putting that right (`clean`).
//!
//! A check reads from one snapshot, streaming, by a session that cannot write. A cleaning works in batches, each a
//! transaction that also writes the images of what it removes and changes and the journal's records of them: killed anywhere,
//! what was done can be taken back, and the rest is found anew by the next one.

mod advice;
mod book;
mod clean;
mod dates;
mod ground;
mod groups;
mod image;
mod kin;
mod look;
mod marks;
mod moves;
mod prepare;
mod replace;
mod report;
mod shelf;
mod sweep;
mod tidy;
mod undo;
mod verb;

pub use clean::{clean_unit, dry_run};
pub use look::{Checked, Looked, check, look};
pub use report::{Ask, Cleaned, Outcome, PerTable};
pub use undo::{Undone, undo_unit};
pub use verb::{Done, TakenBack, clean, take_back};

use dunlin_core::failure::Failure;
use dunlin_core::finding::Finding;
use dunlin_core::rules::Rule;
use dunlin_core::source::{DatabaseConfig, Project};

/// The rules of a project that are about a database, or those of these names; what is wrong with any of them is said at
/// once.
///
/// # Errors
/// Findings: rules that cannot be read, names that no rule has, placeholders that are not declared.
pub fn chosen(
    project: &Project,
    database: &DatabaseConfig,
    names: &[String],
) -> Result<Vec<Rule>, Vec<Finding>> {
    let all = names.is_empty() || names.iter().any(|name| name == "*");
    let default = project.select(None).map(|config| config.name.clone());
    let default = default.unwrap_or_else(|_| database.name.clone());
    let (mut rules, mut findings) = (vec![], project.faults_under("/rule"));
    for name in names {
        let known: Vec<&str> = project
            .file
            .rule
            .iter()
            .map(|rule| rule.id.as_str())
            .collect();
        if name != "*" && !known.contains(&name.as_str()) {
            let mut finding = Finding::error(
                "unknown-name",
                dunlin_core::finding::Place::object(name),
                format!("there is no rule `{name}`"),
            );
            finding.help = dunlin_core::source::nearest::did_you_mean(name, &known);
            findings.push(finding);
        }
    }
    for (at, table) in project.file.rule.iter().enumerate() {
        let named = names.contains(&table.id);
        if !named && !all {
            continue;
        }
        let Ok(rule) = dunlin_core::rules::read(table) else {
            continue;
        };
        let own = rule.database.as_deref().unwrap_or(&default);
        if own != database.name {
            // One that was asked for by name and is about another database must not pass in silence.
            if named {
                findings.push(elsewhere(&rule, own, database));
            }
            continue;
        }
        match rule.filled(&database.placeholders) {
            Ok(rule) => rules.push(rule),
            Err(name) => {
                let place = dunlin_core::finding::Place::object(format!("rule {}", rule.id));
                let message = format!(
                    "`{{{name}}}` is not declared as a placeholder (rule {})",
                    at + 1
                );
                findings.push(Finding::error("placeholder-unknown", place, message));
            }
        }
    }
    if findings.is_empty() {
        Ok(rules)
    } else {
        Err(findings)
    }
}

fn elsewhere(rule: &Rule, own: &str, database: &DatabaseConfig) -> Finding {
    let place = dunlin_core::finding::Place::object(format!("rule {}", rule.id));
    let message = format!(
        "rule `{}` is about the database `{own}`, and `{}` is chosen",
        rule.id, database.name
    );
    Finding::error("unknown-name", place, message).help(format!("`-d {own}`"))
}

/// A rule that cannot be asked: nothing was touched.
fn not_askable(rule: &str, why: impl std::fmt::Display) -> Failure {
    Failure::refused("rule-not-askable", format!("rule `{rule}`: {why}"))
}
