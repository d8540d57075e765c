//! From a source's catalog to the target's, and a plan for every column: pure, decided by evidence, nothing in silence.
//!
//! A column's native type becomes a [`kind::Kind`] (the source's room reads it, with the profile of what the column
//! really holds), columns that refer to each other are given one kind, and the target's room spells it. Keys, indexes and
//! references are carried over as neutral parts; what is text in a catalog (checks, defaults, conditions, computed
//! columns, views) passes through [`expr`]. What has no equal is listed by name with its text.

mod columns;
pub mod expr;
mod keys;
pub mod kind;
mod loosened;
pub mod names;
mod same;
mod select;
mod texts;
mod unify;
mod views;

#[cfg(test)]
mod tests;

use super::cast::Casts;
use super::plan::{ColumnPlan, CopyPlan, CounterPlan, TablePlan};
use super::profile::ColumnProfile;
use crate::dialect::copy::{Chosen, CopyDialect, Limits, Notes, Spelled};
use crate::dialect::{Caps, Dialect, of_engine};
use crate::finding::{Finding, Place};
use crate::schema::{Catalog, Column, Table};
use kind::Fold;
use names::Names;
use std::collections::{BTreeMap, BTreeSet};
pub(crate) use texts::inside;

/// What columns really hold.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Profiles by schema and table, in the order of the catalog's columns. A table may be missing: its declared types
    /// decide then.
    pub tables: BTreeMap<(Option<String>, String), Vec<ColumnProfile>>,
}

impl Evidence {
    /// The profile of a table's column.
    pub fn of(&self, table: &Table, at: usize) -> Option<&ColumnProfile> {
        self.tables
            .get(&(table.schema.clone(), table.name.clone()))?
            .get(at)
    }
}

/// What a copy does: the target's catalog, and how every column goes over.
pub fn plan(
    source: &Catalog,
    from: &Caps,
    to: &Caps,
    evidence: &Evidence,
    casts: &Casts,
) -> (CopyPlan, Vec<Finding>) {
    let (read, write) = (of_engine(from.engine), of_engine(to.engine));
    let relatives = read.schemes() == write.schemes();
    let mut work = Work::new(source, from, to, evidence, casts, (read, write));
    work.unknown_casts();
    if relatives && casts.changes_nothing() {
        return work.same();
    }
    work.other()
}

/// A column on its way.
#[derive(Debug, Clone)]
struct Column2 {
    /// Its name there.
    name: String,
    /// What it holds.
    chosen: Chosen,
    /// What its comparisons take for equal.
    fold: Fold,
    /// It numbers rows: whether it refuses numbers that are given.
    counter: Option<bool>,
    /// Keys or indexes are over it.
    keyed: bool,
    /// A type that somebody asked for.
    forced: Option<String>,
    /// The words for it.
    spelled: Spelled,
    /// NULL may stand there.
    nullable: bool,
}

/// A table on its way.
#[derive(Debug, Clone)]
struct Table2 {
    /// Its place in the source.
    at: usize,
    schema: Option<String>,
    name: String,
    columns: Vec<Column2>,
}

/// Everything at hand.
struct Work<'a> {
    source: &'a Catalog,
    from: &'a Caps,
    to: &'a Caps,
    evidence: &'a Evidence,
    casts: &'a Casts,
    reader: &'a dyn Dialect,
    read: &'static dyn CopyDialect,
    write: &'static dyn CopyDialect,
    limits: Limits,
    /// Names of tables and, where they share one space with them, indexes.
    relations: Names,
    /// Names of checks and foreign keys.
    constraints: Names,
    tables: Vec<Table2>,
    target: Catalog,
    notes: Notes,
}

impl<'a> Work<'a> {
    fn new(
        source: &'a Catalog,
        from: &'a Caps,
        to: &'a Caps,
        evidence: &'a Evidence,
        casts: &'a Casts,
        (reader, writer): (&'static dyn Dialect, &'static dyn Dialect),
    ) -> Self {
        let limits = writer.copy().limits();
        let names = Names::new(limits.name_max, limits.name_bytes, limits.fold_case);
        Work {
            source,
            from,
            to,
            evidence,
            casts,
            reader,
            read: reader.copy(),
            write: writer.copy(),
            limits,
            relations: names.clone(),
            constraints: names,
            tables: vec![],
            target: Catalog::new(to.engine.to_string()),
            notes: Notes::default(),
        }
    }

    /// Casts that name nothing.
    fn unknown_casts(&mut self) {
        let tables: Vec<String> = self.source.tables.iter().map(Table::label).collect();
        let columns: Vec<String> = self
            .source
            .tables
            .iter()
            .flat_map(|table| {
                let label = table.label();
                table
                    .columns
                    .iter()
                    .map(move |column| format!("{label}.{}", column.name))
            })
            .collect();
        let wanted = [
            (
                self.casts.tables.keys().collect::<Vec<_>>(),
                &tables,
                "table",
            ),
            (self.casts.columns.keys().collect(), &columns, "column"),
        ];
        for (keys, known, word) in wanted {
            for key in keys.into_iter().filter(|key| !known.contains(*key)) {
                let names: Vec<&str> = known.iter().map(String::as_str).collect();
                let mut finding = Finding::error(
                    "cast-unknown",
                    Place::object(key),
                    format!("the cast of {key} names a {word} that is not in the source"),
                );
                finding.help = crate::source::nearest::nearest(key, names.iter().copied())
                    .map(|near| format!("did you mean `{near}`?"));
                self.notes.findings.push(finding);
            }
        }
    }

    /// Another engine: everything is spelled anew.
    fn other(mut self) -> (CopyPlan, Vec<Finding>) {
        self.take_tables();
        self.choose();
        self.unify();
        self.spell();
        for at in 0..self.tables.len() {
            let table = self.table(at);
            self.target.tables.push(table);
        }
        for at in 0..self.tables.len() {
            self.keys(at);
            self.indexes(at);
        }
        for at in 0..self.tables.len() {
            self.foreign_keys(at);
            self.left_behind(at);
            self.loosened(at);
        }
        self.views();
        self.objects();
        self.too_wide();
        let mut target = std::mem::take(&mut self.target);
        self.write.finish(&mut target, self.to, &mut self.notes);
        let tables = (0..self.tables.len())
            .map(|at| self.table_plan(at, &target))
            .collect();
        let plan = CopyPlan {
            catalog: target,
            tables,
            not_carried: self.notes.lacks,
        };
        (plan, self.notes.findings)
    }

    /// The tables that go over, with their names there.
    fn take_tables(&mut self) {
        for (at, table) in self.source.tables.iter().enumerate() {
            if let Some(why) = self.read.left_out(self.source, table) {
                self.notes.lack(
                    format!("table {}", table.label()),
                    why,
                    table.definition.clone(),
                );
                continue;
            }
            let label = table.label();
            let wanted = match self.casts.tables.get(&label) {
                Some(name) => name.clone(),
                // Where there are no schemas their names go before those of the tables.
                None if !self.limits.schemas => {
                    label.replacen('.', "_", usize::from(table.schema.is_some()))
                }
                None => table.name.clone(),
            };
            let schema = table.schema.clone().filter(|_| self.limits.schemas);
            let name = self
                .relations
                .take(schema.as_deref().unwrap_or_default(), &wanted);
            if name != wanted {
                self.renamed(&format!("table {label}"), &label, &name);
            } else if table.schema.is_some() && schema.is_none() {
                self.notes.findings.push(Finding::info(
                    "name-changed",
                    Place::object(&label),
                    format!("table {label} is called {name} there: the target has no schemas"),
                ));
            }
            self.tables.push(Table2 {
                at,
                schema,
                name,
                columns: vec![],
            });
        }
    }

    fn renamed(&mut self, what: &str, object: &str, name: &str) {
        self.notes.findings.push(Finding::warning(
            "name-changed",
            Place::object(object),
            format!("{what} is called {name} there: its own name is too long or taken"),
        ));
    }

    /// A table of more columns than the target takes: said before anything is done.
    fn too_wide(&mut self) {
        for table in &self.target.tables {
            let count = table.columns.len();
            if count > self.limits.columns {
                self.notes.findings.push(
                    Finding::error(
                        "too-many-columns",
                        Place::object(table.label()),
                        format!(
                            "table {} has {count} columns, and the target takes {} at most",
                            table.label(),
                            self.limits.columns
                        ),
                    )
                    .help("Leave the table out (`--exclude`), or split it at the source."),
                );
            }
        }
    }

    fn source_table(&self, at: usize) -> &'a Table {
        &self.source.tables[self.tables[at].at]
    }

    /// The place of the table of this name among those that go over.
    fn place(&self, schema: Option<&str>, name: &str) -> Option<usize> {
        let exact = self.tables.iter().position(|table| {
            let source = &self.source.tables[table.at];
            source.name == name && source.schema.as_deref() == schema
        });
        // Names may be written in another case where the source takes both for one.
        exact.or_else(|| {
            if !self.read.limits().fold_case {
                return None;
            }
            self.tables
                .iter()
                .position(|table| self.source.tables[table.at].name.eq_ignore_ascii_case(name))
        })
    }

    /// The place of a column of the source's table.
    fn column_place(&self, at: usize, name: &str) -> Option<usize> {
        let columns = &self.source_table(at).columns;
        let fold = self.read.limits().fold_case;
        columns
            .iter()
            .position(|column| column.name == name)
            .or_else(|| {
                columns
                    .iter()
                    .position(|column| fold && column.name.eq_ignore_ascii_case(name))
            })
    }

    fn table_plan(&self, at: usize, target: &Catalog) -> TablePlan {
        let source = self.source_table(at);
        let own = &self.tables[at];
        let made = target.table(own.schema.as_deref(), &own.name);
        let columns = source
            .columns
            .iter()
            .zip(&own.columns)
            .filter(|(_, to)| {
                let column = made.and_then(|made| made.column(&to.name));
                column.is_some_and(|column| column.generated.is_none())
            })
            .map(|(from, to)| column_plan(from, to, made))
            .collect();
        let counters = made
            .into_iter()
            .flat_map(|made| &made.columns)
            .filter(|column| column.identity.is_some())
            .map(|column| CounterPlan {
                column: column.name.clone(),
                next: None,
            })
            .collect();
        TablePlan {
            source: (source.schema.clone(), source.name.clone()),
            target: (own.schema.clone(), own.name.clone()),
            columns,
            counters,
            inherited: false,
        }
    }
}

fn column_plan(from: &Column, to: &Column2, made: Option<&Table>) -> ColumnPlan {
    let ty = to
        .spelled
        .ty
        .clone()
        .unwrap_or(crate::schema::NeutralType::Text);
    let native = made
        .and_then(|made| made.column(&to.name))
        .map_or_else(|| to.spelled.native.clone(), |column| column.native.clone());
    ColumnPlan {
        source: from.name.clone(),
        source_native: from.native.clone(),
        source_type: to.chosen.read.clone(),
        target: to.name.clone(),
        target_native: native,
        ty,
        bounds: to.spelled.bounds.clone(),
        nullable: to.nullable,
        epoch: to.chosen.epoch,
        as_is: false,
        why: to.chosen.why.clone(),
        kind: to.chosen.word.or(to.spelled.word),
        misfits: to.chosen.misfits,
    }
}

/// The names of columns in a set, for looking up.
fn set(columns: &[String]) -> BTreeSet<&str> {
    columns.iter().map(String::as_str).collect()
}
