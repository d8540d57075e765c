//! A catalog as people and programs want it: DDL that makes it again, JSON, Markdown.

use super::diff::mentions;
use super::{Catalog, Table, label};
use crate::dialect::Dialect;
use crate::dialect::catalog::{Part, Rendered};
use crate::facts::TableSize;
use crate::sql::LexMode;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// DDL that makes a catalog again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dump {
    /// The statements, in an order in which they work.
    pub statements: Vec<String>,
    /// What could not be rendered, each a sentence.
    pub lacks: Vec<String>,
}

impl Dump {
    fn put(&mut self, rendered: Rendered) {
        match rendered {
            Ok(statements) => self.statements.extend(statements),
            Err(sentence) => self.lacks.push(sentence),
        }
    }

    /// Types, sequences, and the functions that tables call: their names.
    fn before_tables(&mut self, catalog: &Catalog, dialect: &dyn Dialect) -> BTreeSet<String> {
        let parts = dialect.catalog();
        // Functions that tables call go first; the others may name tables in their arguments.
        let called = called_by_tables(catalog, dialect);
        let calling: BTreeSet<String> = called.iter().map(|name| name.to_lowercase()).collect();
        let types = type_order(catalog, dialect).into_iter();
        let types = types.map(|at| &catalog.types[at]);
        let (late, early): (Vec<_>, Vec<_>) =
            types.partition(|named| mentions(&named.definition, &calling, dialect));
        for named in early {
            self.put(parts.create(Part::Type(named)));
        }
        for sequence in &catalog.sequences {
            self.put(parts.create(Part::Sequence(sequence)));
        }
        for routine in catalog
            .routines
            .iter()
            .filter(|routine| called.contains(&routine.name))
        {
            self.put(parts.create(Part::Routine(routine)));
        }
        for named in late {
            self.put(parts.create(Part::Type(named)));
        }
        called
    }
}

/// The places of the tables, each after those that it refers to (as far as circles allow).
pub fn table_order(catalog: &Catalog) -> Vec<usize> {
    super::order::order(&catalog.tables).order
}

/// The labels of the tables that a table inherits from, or is a partition of.
pub fn heirs_of(table: &Table) -> Vec<String> {
    let parents = table.options.get("inherits").map(String::as_str);
    let parents = parents.unwrap_or_default().split(", ");
    parents
        .filter(|parent| !parent.is_empty())
        .map(|parent| parent.replace('"', ""))
        .collect()
}

/// The tables of families, as places: those that inherit from others, or are parts of them, and those others.
pub fn families(catalog: &Catalog) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    for (at, table) in catalog.tables.iter().enumerate() {
        for parent in heirs_of(table) {
            let is = |other: &Table| other.label() == parent;
            let place = catalog.tables.iter().position(is);
            found.extend(place.map(|place| [at, place]).into_iter().flatten());
        }
    }
    found
}

/// The places of the views, each after those that it reads.
pub fn view_order(catalog: &Catalog, dialect: &dyn Dialect) -> Vec<usize> {
    let views = catalog.views.iter();
    let views = views.map(|view| (view.name.as_str(), view.definition.as_str()));
    by_words(&views.collect::<Vec<_>>(), dialect)
}

/// The places of the types, each after those that it is made of.
pub fn type_order(catalog: &Catalog, dialect: &dyn Dialect) -> Vec<usize> {
    let types = catalog.types.iter();
    let types = types.map(|named| (named.name.as_str(), named.definition.as_str()));
    by_words(&types.collect::<Vec<_>>(), dialect)
}

/// The places of things, by name and text: each after those whose names its text says.
fn by_words(things: &[(&str, &str)], dialect: &dyn Dialect) -> Vec<usize> {
    let mut names: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, (name, _)) in things.iter().enumerate() {
        names.entry(name.to_lowercase()).or_default().push(at);
    }
    order(things.len(), |at| {
        let words = super::text::words(things[at].1, dialect);
        let named = names.iter().filter(|(name, _)| words.contains(*name));
        let places = named.flat_map(|(_, places)| places.iter().copied());
        places.filter(|other| *other != at).collect()
    })
}

/// A stable topological order; a circle is cut where it is met.
fn order(count: usize, needs: impl Fn(usize) -> Vec<usize>) -> Vec<usize> {
    let needs: Vec<Vec<usize>> = (0..count).map(needs).collect();
    let mut state = vec![0_u8; count];
    let mut out = Vec::with_capacity(count);
    for root in 0..count {
        // A stack of (node, next need) instead of recursion: a chain may be as long as there are tables.
        let mut stack = vec![(root, 0)];
        while let Some((node, next)) = stack.pop() {
            if next == 0 {
                if state[node] != 0 {
                    continue;
                }
                state[node] = 1;
            }
            match needs[node].get(next) {
                Some(&need) => {
                    stack.push((node, next + 1));
                    if state[need] == 0 {
                        stack.push((need, 0));
                    }
                }
                None => {
                    state[node] = 2;
                    out.push(node);
                }
            }
        }
    }
    out
}

/// The statements that make a catalog in an empty database.
pub fn dump(catalog: &Catalog, dialect: &dyn Dialect) -> Dump {
    let parts = dialect.catalog();
    let mut dump = Dump::default();
    dump.statements
        .extend(parts.dump_begin().iter().map(|sql| (*sql).to_owned()));
    for schema in schemas(catalog) {
        dump.statements.extend(parts.create_schema(&schema));
    }
    for extension in &catalog.extensions {
        dump.put(parts.create(Part::Extension(extension)));
    }
    let called = dump.before_tables(catalog, dialect);
    let tables: Vec<&Table> = table_order(catalog)
        .into_iter()
        .map(|at| &catalog.tables[at])
        .collect();
    for table in &tables {
        dump.put(parts.create(Part::Table(table)));
    }
    for sequence in catalog
        .sequences
        .iter()
        .filter(|sequence| sequence.owned_by.is_some())
    {
        let free = super::Sequence {
            owned_by: None,
            ..sequence.clone()
        };
        dump.put(parts.change(Part::Sequence(&free), Part::Sequence(sequence)));
    }
    if !parts.foreign_keys_inline() {
        for table in &tables {
            for key in &table.foreign_keys {
                dump.put(parts.create(Part::ForeignKey(table, key)));
            }
        }
    }
    for routine in catalog
        .routines
        .iter()
        .filter(|routine| !called.contains(&routine.name))
    {
        dump.put(parts.create(Part::Routine(routine)));
    }
    for at in view_order(catalog, dialect) {
        dump.put(parts.create(Part::View(&catalog.views[at])));
    }
    for table in &tables {
        for trigger in &table.triggers {
            dump.put(parts.create(Part::Trigger(table.schema.as_deref(), &table.name, trigger)));
        }
        for rule in &table.rules {
            dump.put(parts.create(Part::Rule(table, rule)));
        }
    }
    for view in &catalog.views {
        for trigger in &view.triggers {
            dump.put(parts.create(Part::Trigger(view.schema.as_deref(), &view.name, trigger)));
        }
    }
    for event in &catalog.events {
        dump.put(parts.create(Part::Event(event)));
    }
    dump.statements
        .extend(parts.dump_end().iter().map(|sql| (*sql).to_owned()));
    dump.lacks.extend(
        catalog
            .unseen
            .iter()
            .map(|what| format!("{what}: not visible with this user's rights")),
    );
    dump
}

/// The schemas that must be there, the default one left out.
fn schemas(catalog: &Catalog) -> BTreeSet<String> {
    let tables = catalog
        .tables
        .iter()
        .filter_map(|table| table.schema.clone());
    let views = catalog.views.iter().filter_map(|view| view.schema.clone());
    let routines = catalog
        .routines
        .iter()
        .filter_map(|routine| routine.schema.clone());
    let sequences = catalog
        .sequences
        .iter()
        .filter_map(|sequence| sequence.schema.clone());
    let types = catalog
        .types
        .iter()
        .filter_map(|named| named.schema.clone());
    tables
        .chain(views)
        .chain(routines)
        .chain(sequences)
        .chain(types)
        .collect()
}

/// The names of functions that tables call: in defaults, checks, computed columns, indexes and types.
pub(crate) fn called_by_tables(catalog: &Catalog, dialect: &dyn Dialect) -> BTreeSet<String> {
    let mut texts = String::new();
    for table in &catalog.tables {
        for column in &table.columns {
            let generated = column
                .generated
                .as_ref()
                .map(|generated| generated.expression.as_str());
            for text in [column.default.as_deref(), generated].into_iter().flatten() {
                let _ = writeln!(texts, "{text}");
            }
        }
        for check in &table.checks {
            let _ = writeln!(texts, "{}", check.clause);
        }
        for index in &table.indexes {
            let _ = writeln!(texts, "{}", index.attributes.as_deref().unwrap_or_default());
        }
    }
    for named in &catalog.types {
        let _ = writeln!(texts, "{}", named.definition);
    }
    catalog
        .routines
        .iter()
        .map(|routine| routine.name.clone())
        .filter(|name| mentions(&texts, &BTreeSet::from([name.to_lowercase()]), dialect))
        .collect()
}

/// Statements as a script that the engine's own client and Dunlin read alike.
pub fn script(dump: &Dump, dialect: &dyn Dialect) -> String {
    let client = dialect.lex_rules(&LexMode::default()).delimiter_command;
    let mut out = String::new();
    for lack in &dump.lacks {
        let _ = writeln!(out, "-- lacks: {}", lack.replace('\n', " "));
    }
    for statement in &dump.statements {
        let statement = statement.trim_end().trim_end_matches(';');
        if client && statement.contains(';') {
            let _ = writeln!(out, "DELIMITER ;;\n{statement} ;;\nDELIMITER ;\n");
        } else {
            let _ = writeln!(out, "{statement};\n");
        }
    }
    out
}

/// The catalog with sizes, for programs.
pub fn json(catalog: &Catalog, sizes: &[TableSize]) -> String {
    #[derive(Serialize)]
    struct Sized<'a> {
        #[serde(flatten)]
        catalog: &'a Catalog,
        sizes: &'a [TableSize],
    }
    serde_json::to_string_pretty(&Sized { catalog, sizes }).unwrap_or_default()
}

/// The catalog with sizes, for reading.
pub fn markdown(catalog: &Catalog, sizes: &[TableSize], dialect: &dyn Dialect) -> String {
    let parts = dialect.catalog();
    let mut out = format!("# Schema ({})\n", catalog.engine);
    let size_of = |table: &Table| {
        sizes.iter().find(|size| {
            let schema = size.schema.as_deref().filter(|schema| *schema != "public");
            size.name == table.name && schema == table.schema.as_deref()
        })
    };
    if !catalog.tables.is_empty() {
        out.push_str("\n| table | columns | rows (estimated) | bytes |\n|---|---:|---:|---:|\n");
    }
    for table in &catalog.tables {
        let number = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
        let size = size_of(table);
        let rows = number(size.and_then(|size| size.rows));
        let bytes = number(size.and_then(|size| size.bytes));
        let _ = writeln!(
            out,
            "| {} | {} | {rows} | {bytes} |",
            cell(&table.label()),
            table.columns.len()
        );
    }
    for table in &catalog.tables {
        let _ = writeln!(out, "\n## {}\n", cell(&table.label()));
        if let Some(comment) = &table.comment {
            let _ = writeln!(out, "{}\n", cell(comment));
        }
        out.push_str("| column | type | null | default | comment |\n|---|---|---|---|---|\n");
        for column in &table.columns {
            let computed = column
                .generated
                .as_ref()
                .map(|generated| format!("= {}", generated.expression));
            let default = computed
                .or_else(|| column.default.clone())
                .or_else(|| column.identity.clone());
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} |",
                cell(&column.name),
                cell(&column.native),
                if column.nullable { "yes" } else { "no" },
                cell(default.as_deref().unwrap_or_default()),
                cell(column.comment.as_deref().unwrap_or_default())
            );
        }
        let mut lines: Vec<String> = table
            .keys
            .iter()
            .map(|key| parts.clause(Part::Key(table, key)))
            .collect();
        let schema = table.schema.as_deref();
        lines.extend(
            table
                .indexes
                .iter()
                .map(|index| parts.clause(Part::Index(schema, &table.name, index))),
        );
        lines.extend(
            table
                .foreign_keys
                .iter()
                .map(|key| parts.clause(Part::ForeignKey(table, key))),
        );
        lines.extend(
            table
                .checks
                .iter()
                .map(|check| parts.clause(Part::Check(table, check))),
        );
        lines.extend(
            table
                .triggers
                .iter()
                .map(|trigger| format!("TRIGGER {}", trigger.name)),
        );
        if !lines.is_empty() {
            out.push('\n');
        }
        for line in lines {
            let _ = writeln!(
                out,
                "- `{}`",
                line.replace('\n', " ").replace('`', "\u{2019}")
            );
        }
    }
    lists(&mut out, catalog);
    out
}

fn lists(out: &mut String, catalog: &Catalog) {
    let views = catalog
        .views
        .iter()
        .map(|view| label(view.schema.as_deref(), &view.name))
        .collect();
    let routines = catalog
        .routines
        .iter()
        .map(|routine| {
            format!(
                "{} {}",
                routine.kind.to_lowercase(),
                label(routine.schema.as_deref(), &routine.name)
            )
        })
        .collect();
    let types = catalog
        .types
        .iter()
        .map(|named| named.definition.replace('\n', " "))
        .collect();
    let sequences = catalog
        .sequences
        .iter()
        .map(|item| label(item.schema.as_deref(), &item.name))
        .collect();
    let events = catalog
        .events
        .iter()
        .map(|event| event.name.clone())
        .collect();
    let lists: [(&str, Vec<String>); 5] = [
        ("Views", views),
        ("Routines", routines),
        ("Types", types),
        ("Sequences", sequences),
        ("Events", events),
    ];
    for (title, names) in lists {
        if names.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n## {title}\n");
        for name in names {
            let _ = writeln!(out, "- {}", cell(&name));
        }
    }
}

/// A text inside of a table's cell.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}
