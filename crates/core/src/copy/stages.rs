//! In which order a copy's target is made: what tables need, the bare tables, and when their rows are there what makes
//! them slow or refuses rows: keys, indexes, checks, foreign keys; last what runs by itself.

use crate::dialect::Dialect;
use crate::dialect::catalog::Part;
use crate::dialect::landing::Inline;
use crate::schema::render::{called_by_tables, dump, families, table_order, view_order};
use crate::schema::{Catalog, Key, Table};
use std::collections::{BTreeMap, BTreeSet};

/// Statements that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// What they make, for people: `index orders.by_date`. No two of a target are called the same.
    pub what: String,
    /// The table that it belongs to, as its place in the catalog.
    pub table: Option<usize>,
    /// What it is of the table.
    pub of: Of,
    /// The statements.
    pub sql: Vec<String>,
}

/// What is made of a table, as its place among the table's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Of {
    /// A primary or unique key.
    Key(usize),
    /// An index.
    Index(usize),
    /// A foreign key.
    ForeignKey(usize),
    /// Anything else.
    #[default]
    Other,
}

/// The statements of a whole target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stages {
    /// Schemas, extensions, types, sequences, functions that tables call.
    pub before: Vec<String>,
    /// The bare tables, each as it stands in the catalog.
    pub tables: Vec<Vec<String>>,
    /// The places of those that are made before all others, in this order: tables of a family want each other.
    pub early: Vec<usize>,
    /// Keys, indexes, checks, foreign keys, in an order in which they work.
    pub after: Vec<Made>,
    /// Views, routines, triggers, rules, events: when the rows are proven.
    pub last: Vec<Made>,
    /// What could not be rendered, each a sentence.
    pub lacks: Vec<String>,
}

/// The stages of a catalog.
pub fn stages(catalog: &Catalog, dialect: &dyn Dialect) -> Stages {
    let inline = dialect.landing().inline();
    let mut stages = Stages::default();
    let mut ground = catalog.clone();
    ground.tables.clear();
    ground.views.clear();
    ground.events.clear();
    let called = called_by_tables(catalog, dialect);
    ground
        .routines
        .retain(|routine| called.contains(&routine.name));
    for sequence in &mut ground.sequences {
        sequence.owned_by = None;
    }
    let parts = dialect.catalog();
    let frame: BTreeSet<&str> = parts
        .dump_begin()
        .iter()
        .chain(parts.dump_end())
        .copied()
        .collect();
    let made = dump(&ground, dialect);
    let schemas: BTreeSet<&str> = catalog
        .tables
        .iter()
        .filter_map(|table| table.schema.as_deref())
        .chain(
            catalog
                .views
                .iter()
                .filter_map(|view| view.schema.as_deref()),
        )
        .collect();
    let schemas = schemas.iter().filter_map(|name| parts.create_schema(name));
    let rest = made
        .statements
        .into_iter()
        .filter(|sql| !frame.contains(sql.as_str()));
    stages.before.extend(schemas.chain(rest));
    stages.before.dedup();
    stages.lacks.extend(made.lacks);
    for table in &catalog.tables {
        match parts.create(Part::Table(&bare(table, inline))) {
            Ok(sql) => stages.tables.push(sql),
            Err(sentence) => {
                stages.tables.push(vec![]);
                stages
                    .lacks
                    .push(format!("table {}: {sentence}", table.label()));
            }
        }
    }
    let families = families(catalog);
    stages.early = table_order(catalog);
    stages.early.retain(|at| families.contains(at));
    after(catalog, dialect, inline, &mut stages);
    last(catalog, dialect, &called, &mut stages);
    tell_apart(stages.after.iter_mut().chain(&mut stages.last));
    stages
}

/// What the so-manieth of several things is called that would have one name: two foreign keys with the same columns to one
/// table, a function that is overloaded.
pub fn twin(what: &str, number: usize) -> String {
    match number {
        1 => what.to_owned(),
        number => format!("{what}, number {number}"),
    }
}

fn tell_apart<'m>(all: impl Iterator<Item = &'m mut Made>) {
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for made in all {
        let number = known.entry(made.what.clone()).or_default();
        *number += 1;
        made.what = twin(&made.what, *number);
    }
}

/// Whether a key must be made with its table.
fn key_inline(table: &Table, key: &Key, inline: Inline) -> bool {
    match inline {
        Inline::Nothing => false,
        Inline::Primary => key.primary || counted(table, key.columns.first()),
        Inline::Everything => true,
    }
}

/// Whether this column numbers rows by itself: some engines want an index on it from the beginning.
fn counted(table: &Table, column: Option<&String>) -> bool {
    column
        .and_then(|name| table.column(name))
        .is_some_and(|column| column.identity.is_some())
}

fn index_inline(table: &Table, at: usize, inline: Inline) -> bool {
    let index = &table.indexes[at];
    let first = index.parts.first().map(|part| &part.what);
    inline == Inline::Primary && counted(table, first)
}

/// The table as it is made before its rows.
fn bare(table: &Table, inline: Inline) -> Table {
    let mut bare = table.clone();
    bare.keys.retain(|key| key_inline(table, key, inline));
    let mut at = 0;
    bare.indexes.retain(|_| {
        at += 1;
        index_inline(table, at - 1, inline)
    });
    if inline != Inline::Everything {
        bare.foreign_keys.clear();
    }
    if inline == Inline::Nothing {
        bare.checks.clear();
    }
    bare.triggers.clear();
    bare.rules.clear();
    bare
}

fn after(catalog: &Catalog, dialect: &dyn Dialect, inline: Inline, stages: &mut Stages) {
    let parts = dialect.catalog();
    let mut put = |what: String, table: usize, of: Of, part: Part<'_>| match parts.create(part) {
        Ok(sql) if sql.is_empty() => {}
        Ok(sql) => stages.after.push(Made {
            what,
            table: Some(table),
            of,
            sql,
        }),
        Err(sentence) => stages.lacks.push(format!("{what}: {sentence}")),
    };
    // Primary keys first: foreign keys of all tables want them, and so do the servers' own planners.
    for (at, table) in catalog.tables.iter().enumerate() {
        let label = table.label();
        for (number, key) in table.keys.iter().enumerate() {
            if key_inline(table, key, inline) {
                continue;
            }
            let word = if key.primary {
                "primary key"
            } else {
                "unique key"
            };
            let what = format!("{word} of {label} ({})", key.columns.join(", "));
            put(what, at, Of::Key(number), Part::Key(table, key));
        }
        for (number, index) in table.indexes.iter().enumerate() {
            if !index_inline(table, number, inline) {
                let what = format!("index {label}.{}", index.name);
                let part = Part::Index(table.schema.as_deref(), &table.name, index);
                put(what, at, Of::Index(number), part);
            }
        }
        if inline == Inline::Nothing {
            for check in &table.checks {
                let name = check.name.as_deref().unwrap_or(&check.clause);
                put(
                    format!("check {name} of {label}"),
                    at,
                    Of::Other,
                    Part::Check(table, check),
                );
            }
        }
    }
    if inline != Inline::Everything {
        for (at, table) in catalog.tables.iter().enumerate() {
            for (number, key) in table.foreign_keys.iter().enumerate() {
                let columns = key.columns.join(", ");
                let what = format!(
                    "foreign key of {} ({columns}) to {}",
                    table.label(),
                    key.references
                );
                put(
                    what,
                    at,
                    Of::ForeignKey(number),
                    Part::ForeignKey(table, key),
                );
            }
        }
    }
    owners(catalog, dialect, stages);
}

/// Sequences that belong to a column.
fn owners(catalog: &Catalog, dialect: &dyn Dialect, stages: &mut Stages) {
    let parts = dialect.catalog();
    for sequence in catalog.sequences.iter().filter(|s| s.owned_by.is_some()) {
        let free = crate::schema::Sequence {
            owned_by: None,
            ..sequence.clone()
        };
        let changed = parts.change(Part::Sequence(&free), Part::Sequence(sequence));
        match changed {
            Ok(sql) => stages.after.push(Made {
                what: format!("owner of sequence {}", sequence.name),
                table: None,
                of: Of::Other,
                sql,
            }),
            Err(sentence) => stages.lacks.push(sentence),
        }
    }
}

fn last(catalog: &Catalog, dialect: &dyn Dialect, called: &BTreeSet<String>, stages: &mut Stages) {
    let parts = dialect.catalog();
    let mut put = |what: String, part: Part<'_>| match parts.create(part) {
        Ok(sql) => stages.last.push(Made {
            what,
            table: None,
            of: Of::Other,
            sql,
        }),
        Err(sentence) => stages.lacks.push(format!("{what}: {sentence}")),
    };
    let later = catalog
        .routines
        .iter()
        .filter(|routine| !called.contains(&routine.name));
    for routine in later {
        put(
            format!("{} {}", routine.kind.to_lowercase(), routine.name),
            Part::Routine(routine),
        );
    }
    for at in view_order(catalog, dialect) {
        let view = &catalog.views[at];
        put(format!("view {}", view.name), Part::View(view));
    }
    for at in table_order(catalog) {
        let table = &catalog.tables[at];
        let schema = table.schema.as_deref();
        for trigger in &table.triggers {
            let what = format!("trigger {} of {}", trigger.name, table.label());
            put(what, Part::Trigger(schema, &table.name, trigger));
        }
        for rule in &table.rules {
            let what = format!("{} {}", rule.kind.to_lowercase(), rule.name);
            put(what, Part::Rule(table, rule));
        }
    }
    for view in &catalog.views {
        for trigger in &view.triggers {
            let what = format!("trigger {} of {}", trigger.name, view.name);
            put(
                what,
                Part::Trigger(view.schema.as_deref(), &view.name, trigger),
            );
        }
    }
    for event in &catalog.events {
        put(format!("event {}", event.name), Part::Event(event));
    }
}
