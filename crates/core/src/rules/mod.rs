//! Integrity rules: what a `[[rule]]` says once it is read, the instants that its dates mean, what the journal says of
//! its cleaning. Pure; the SQL stands in each engine's `rules.rs`, the walking in `run/src/rules/`.

pub mod advice;
pub mod chunk;
pub mod instant;

use crate::plan::steps::said_key;
use crate::source::expand::fill;
use crate::source::grammar::data::{Clean, Keep, OnChildren, Orphans, RuleSeverity, RuleTable};
use std::collections::BTreeMap;
use std::time::Duration;

/// A rule of exactly one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name.
    pub id: String,
    /// What it is about.
    pub description: String,
    /// How much a violation weighs.
    pub severity: RuleSeverity,
    /// The database that it is about; `None`: the default one.
    pub database: Option<String>,
    /// What it asks.
    pub kind: Kind,
    /// What `clean` does.
    pub act: Act,
    /// What happens to rows that refer to a row that goes.
    pub children: Option<OnChildren>,
}

/// Columns of another table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The table.
    pub table: String,
    /// Its columns; empty: its primary key.
    pub columns: Vec<String>,
}

/// What a rule asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Rows whose parent is not there.
    Orphans {
        /// The table.
        table: String,
        /// Its columns.
        columns: Vec<String>,
        /// What they refer to.
        parent: Parent,
    },
    /// Rows that lack something.
    Required {
        /// The table.
        table: String,
        /// Columns that must hold something.
        columns: Vec<String>,
        /// An empty text is nothing.
        empty: bool,
    },
    /// Rows that are there twice.
    Unique {
        /// The table.
        table: String,
        /// The columns; NULL equals NULL.
        columns: Vec<String>,
        /// Which one stays.
        keep: Keep,
        /// The instant that decides; ties, and everything without it, by key.
        by: Option<String>,
    },
    /// Rows that are to be put away.
    Archive {
        /// The table.
        table: String,
        /// Where they go.
        to: To,
        /// Which rows.
        only: Option<String>,
        /// How old they must be, by which column.
        older: Option<(Duration, String)>,
    },
    /// Rows whose owner differs from that of the row they belong to.
    SameOwner {
        /// The table.
        table: String,
        /// The column of the owner, in both tables.
        column: String,
        /// The way to the other row.
        via: Vec<String>,
        /// Where it leads.
        parent: Parent,
    },
    /// A query that must give no rows; as written.
    Sql(String),
    /// Tables to be tidied.
    Optimize(Vec<String>),
}

/// Where archived rows go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// They stay, and are marked.
    Set(String),
    /// Into a table.
    Table(String),
    /// Into a file, a line of JSON each.
    File(String),
}

/// What `clean` does about a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Nothing,
    /// Removes the rows.
    Delete,
    /// Removes all but one of each group.
    Duplicates,
    /// Puts the rows away.
    Archive,
    /// Tidies tables.
    Optimize,
}

impl Kind {
    /// The kind as the file spells it.
    pub const fn name(&self) -> &'static str {
        match self {
            Kind::Orphans { .. } => "orphans",
            Kind::Required { .. } => "required",
            Kind::Unique { .. } => "unique",
            Kind::Archive { .. } => "archive",
            Kind::SameOwner { .. } => "same_owner",
            Kind::Sql(_) => "sql",
            Kind::Optimize(_) => "optimize",
        }
    }

    /// The table that it is about, where it is one.
    pub fn table(&self) -> Option<&str> {
        match self {
            Kind::Orphans { table, .. }
            | Kind::Required { table, .. }
            | Kind::Unique { table, .. }
            | Kind::Archive { table, .. }
            | Kind::SameOwner { table, .. } => Some(table),
            Kind::Sql(_) => None,
            Kind::Optimize(tables) => tables.first().map(String::as_str),
        }
    }
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, as a JSON pointer below the rule.
    pub at: &'static str,
    /// The code.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// Reads a rule.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(table: &RuleTable) -> Result<Rule, Vec<Fault>> {
    let mut faults = vec![];
    let kind = kind(table, &mut faults);
    if table.id.trim().is_empty() {
        faults.push(bad("/id", "a rule needs a name".into(), None));
    }
    let act = kind.as_ref().map(|kind| act(table, kind, &mut faults));
    match (kind, act, faults.is_empty()) {
        (Some(kind), Some(act), true) => Ok(Rule {
            id: table.id.clone(),
            description: table.description.clone().unwrap_or_default(),
            severity: table.severity.unwrap_or(RuleSeverity::Error),
            database: table.database.clone(),
            kind,
            act,
            children: table.on_children,
        }),
        _ => Err(faults),
    }
}

fn bad(at: &'static str, message: String, help: Option<&str>) -> Fault {
    Fault {
        at,
        code: "bad-rule",
        message,
        help: help.map(str::to_owned),
    }
}

/// Names that may not be empty, and columns that may not stand there twice.
fn named(at: &'static str, table: &str, columns: &[String], faults: &mut Vec<Fault>) {
    if table.trim().is_empty() {
        faults.push(bad(at, "the table has no name".into(), None));
    }
    if columns.is_empty() || columns.iter().any(|column| column.trim().is_empty()) {
        faults.push(bad(at, "`columns` must name columns".into(), None));
    }
    for (number, column) in columns.iter().enumerate() {
        if columns[..number].contains(column) {
            faults.push(bad(at, format!("`{column}` is named twice"), None));
        }
    }
}

/// `columns -> table(columns)`, of as many columns on both sides.
fn reference(
    at: &'static str,
    text: &str,
    faults: &mut Vec<Fault>,
) -> Option<(Vec<String>, Parent)> {
    let own = |list: &[&str]| {
        list.iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    let said = said_key::read(text).filter(|said| {
        said.on_delete.is_none() && said.on_update.is_none() && said.attributes.is_none()
    });
    let Some(said) = said else {
        let message = format!("`{text}` says no table and columns");
        faults.push(bad(at, message, Some("it looks like `kb_entries(id)`")));
        return None;
    };
    let parent = Parent {
        table: said.table.to_owned(),
        columns: said.others.as_deref().map(own).unwrap_or_default(),
    };
    let columns = own(&said.columns);
    if !parent.columns.is_empty() && parent.columns.len() != columns.len() {
        let message = format!(
            "{} columns cannot refer to {}",
            columns.len(),
            parent.columns.len()
        );
        faults.push(bad(at, message, None));
        return None;
    }
    Some((columns, parent))
}

fn kind(table: &RuleTable, faults: &mut Vec<Fault>) -> Option<Kind> {
    let given = [
        table.orphans.is_some(),
        table.required.is_some(),
        table.unique.is_some(),
        table.archive.is_some(),
        table.same_owner.is_some(),
        table.sql.is_some(),
        table.optimize.is_some(),
    ];
    if given.iter().filter(|given| **given).count() != 1 {
        let help = "`orphans`, `required`, `unique`, `archive`, `same_owner`, `sql` or `optimize`";
        let message = format!("rule `{}` must be of exactly one kind", table.id);
        faults.push(bad("", message, Some(help)));
        return None;
    }
    if let Some(orphans) = &table.orphans {
        return self::orphans(orphans, faults);
    }
    if let Some(required) = &table.required {
        named("/required", &required.table, &required.columns, faults);
        return Some(Kind::Required {
            table: required.table.clone(),
            columns: required.columns.clone(),
            empty: required.empty_counts,
        });
    }
    if let Some(unique) = &table.unique {
        named("/unique", &unique.table, &unique.columns, faults);
        return Some(Kind::Unique {
            table: unique.table.clone(),
            columns: unique.columns.clone(),
            keep: unique.keep.unwrap_or(Keep::Oldest),
            by: unique.by.clone(),
        });
    }
    if let Some(same) = &table.same_owner {
        named(
            "/same_owner",
            &same.table,
            std::slice::from_ref(&same.column),
            faults,
        );
        let (via, parent) = reference("/same_owner/via", &same.via, faults)?;
        return Some(Kind::SameOwner {
            table: same.table.clone(),
            column: same.column.clone(),
            via,
            parent,
        });
    }
    if let Some(sql) = &table.sql {
        if sql.trim().is_empty() {
            faults.push(bad("/sql", "the query is empty".into(), None));
        }
        return Some(Kind::Sql(sql.clone()));
    }
    if let Some(optimize) = &table.optimize {
        named("/optimize", "x", &optimize.tables, faults);
        return Some(Kind::Optimize(optimize.tables.clone()));
    }
    archive(table, faults)
}

fn orphans(orphans: &Orphans, faults: &mut Vec<Fault>) -> Option<Kind> {
    named("/orphans", &orphans.table, &orphans.columns, faults);
    if orphans.in_fleet.is_some() {
        faults.push(Fault {
            at: "/orphans/in_fleet",
            code: "comes-later",
            message:
                "parents in the databases of a fleet's tenants come with a later version of Dunlin"
                    .into(),
            help: Some("leave `in_fleet` out where the parent is in the same database".into()),
        });
    }
    let text = format!(
        "{} -> {}",
        vec!["x"; orphans.columns.len().max(1)].join(","),
        orphans.references
    );
    let (_, parent) = reference("/orphans/references", &text, faults)?;
    Some(Kind::Orphans {
        table: orphans.table.clone(),
        columns: orphans.columns.clone(),
        parent,
    })
}

fn archive(table: &RuleTable, faults: &mut Vec<Fault>) -> Option<Kind> {
    let archive = table.archive.as_ref()?;
    let file = archive.to_file.as_ref().map(|file| file.0.clone());
    let to = match (&archive.set, &archive.to_table, file) {
        (Some(set), None, None) => To::Set(set.clone()),
        (None, Some(to), None) => To::Table(to.clone()),
        (None, None, Some(file)) => To::File(file),
        _ => {
            let message = "an archive needs exactly one of `set`, `to_table`, `to_file`".into();
            faults.push(bad("/archive", message, None));
            return None;
        }
    };
    named("/archive", &archive.table, &["x".into()], faults);
    let (To::Set(text) | To::Table(text) | To::File(text)) = &to;
    if text.trim().is_empty() {
        faults.push(bad("/archive", "where rows go is empty".into(), None));
    }
    if to == To::Table(archive.table.clone()) {
        faults.push(bad(
            "/archive/to_table",
            "rows cannot move to their own table".into(),
            None,
        ));
    }
    let older = match (archive.older_than, &archive.by) {
        (Some(age), Some(by)) => Some((age.0, by.clone())),
        (None, None) => None,
        _ => {
            let message = "`older_than` and `by` belong together".into();
            faults.push(bad(
                "/archive",
                message,
                Some("`by` names the column of the date"),
            ));
            None
        }
    };
    if older.is_none() && archive.filter.is_none() {
        let message = "an archive of every row is none".into();
        faults.push(bad(
            "/archive",
            message,
            Some("say which rows: `where`, or `older_than` with `by`"),
        ));
    }
    Some(Kind::Archive {
        table: archive.table.clone(),
        to,
        only: archive.filter.clone(),
        older,
    })
}

fn act(table: &RuleTable, kind: &Kind, faults: &mut Vec<Fault>) -> Act {
    let wrong = |word: &str| {
        let help = match kind {
            Kind::Unique { .. } => "it is `delete-duplicates` or `none`",
            Kind::Sql(_) => "a query does not say which rows of which table go: it is `none`",
            Kind::Archive { .. } | Kind::Optimize(_) => {
                "it does what it says by itself; `none` keeps it from that"
            }
            _ => "it is `delete` or `none`",
        };
        bad(
            "/clean",
            format!(
                "`clean = \"{word}\"` does not fit a rule of the kind `{}`",
                kind.name()
            ),
            Some(help),
        )
    };
    let act = match (table.clean, kind) {
        (Some(Clean::None), _) => Act::Nothing,
        (None, Kind::Archive { .. }) => Act::Archive,
        (None, Kind::Optimize(_)) => Act::Optimize,
        (None, _) => Act::Nothing,
        (Some(Clean::DeleteDuplicates), Kind::Unique { .. }) => Act::Duplicates,
        (
            Some(Clean::Delete),
            Kind::Orphans { .. } | Kind::Required { .. } | Kind::SameOwner { .. },
        ) => Act::Delete,
        (Some(Clean::Delete), _) => {
            faults.push(wrong("delete"));
            Act::Nothing
        }
        (Some(Clean::DeleteDuplicates), _) => {
            faults.push(wrong("delete-duplicates"));
            Act::Nothing
        }
    };
    if table.on_children == Some(OnChildren::Repoint) && !matches!(kind, Kind::Unique { .. }) {
        let message = "only children of duplicates have a row that they can be given to".into();
        faults.push(bad(
            "/on_children",
            message,
            Some("`on_children = \"delete\"`"),
        ));
    }
    act
}

impl Rule {
    /// The same rule with placeholders filled into names. The error names the placeholder that is not declared.
    ///
    /// # Errors
    /// The name of a placeholder that is not declared.
    pub fn filled(&self, placeholders: &BTreeMap<String, String>) -> Result<Rule, String> {
        let mut rule = self.clone();
        let put = |text: &mut String| -> Result<(), String> {
            *text = fill(text, placeholders)?;
            Ok(())
        };
        let of_parent = |parent: &mut Parent| put(&mut parent.table);
        match &mut rule.kind {
            Kind::Orphans { table, parent, .. } | Kind::SameOwner { table, parent, .. } => {
                put(table)?;
                of_parent(parent)?;
            }
            Kind::Required { table, .. } | Kind::Unique { table, .. } => put(table)?,
            Kind::Archive {
                table, to, only, ..
            } => {
                put(table)?;
                if let To::Table(to) | To::Set(to) = to {
                    put(to)?;
                }
                only.as_mut().map_or(Ok(()), put)?;
            }
            Kind::Sql(_) => {}
            Kind::Optimize(tables) => tables.iter_mut().try_for_each(put)?,
        }
        Ok(rule)
    }
}

#[cfg(test)]
mod tests;
