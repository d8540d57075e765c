//! The neutral catalog: what tables, columns, keys, views and routines a database holds, and how two catalogs differ.
//!
//! Each dialect's `introspect` room fills it from a bounded number of queries. Texts are normalised there, so that two
//! databases made by the same statements on the same server have equal catalogs: counters, definers, the database's own
//! name and the spelling of display widths are left out or evened.

mod beside;
pub mod diff;
pub mod key;
pub mod lookup;
pub mod order;
pub mod reload;
pub mod rename;
pub mod render;
pub mod scope;
pub mod shape;
pub mod text;
pub mod types;

pub use beside::Beside;
pub use diff::{Difference, DifferenceKind, Fix, diff};
pub use scope::Scope;
pub use shape::same_shape;
pub use types::NeutralType;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format of a stored catalog. A catalog of another format is not compared: it says so.
pub const FORMAT: u32 = 1;

fn is_false(value: &bool) -> bool {
    !*value
}

/// Everything that a database holds, in a stable order (schema, name; columns as they stand).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// [`FORMAT`] when it was written.
    pub format: u32,
    /// The engine that it was read from.
    pub engine: String,
    /// Tables.
    #[serde(default)]
    pub tables: Vec<Table>,
    /// Views and materialized views.
    #[serde(default)]
    pub views: Vec<View>,
    /// Functions and procedures.
    #[serde(default)]
    pub routines: Vec<Routine>,
    /// Sequences that stand for themselves (those behind identity columns belong to their column).
    #[serde(default)]
    pub sequences: Vec<Sequence>,
    /// Enum types, domains and composite types.
    #[serde(default)]
    pub types: Vec<NamedType>,
    /// Scheduled events.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Extensions, for the types and functions that come from them.
    #[serde(default)]
    pub extensions: Vec<Extension>,
    /// What the session may not see, each a sentence: a comparison says so instead of "missing".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<String>,
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The schema, where it is not the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The primary key and unique constraints. Where the engine keeps unique constraints as indexes, they are there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Key>,
    /// Indexes that do not belong to a key, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<Index>,
    /// Foreign keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign_keys: Vec<ForeignKey>,
    /// Check constraints, and exclusion constraints (their text says which).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Triggers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
    /// Row-level policies and rewrite rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// What else the table is made with, by the engine's own words: storage engine, collation, `UNLOGGED`, `STRICT`,
    /// partitioning.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Its comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The statement that makes it, where the engine keeps or shows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as the engine spells it, normalised.
    pub native: String,
    /// What the type means.
    pub neutral: NeutralType,
    /// It may hold NULL.
    #[serde(default, skip_serializing_if = "is_false")]
    pub nullable: bool,
    /// Its default, as SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// How it is computed from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<Generated>,
    /// How it numbers rows by itself, in the engine's words: `AUTO_INCREMENT`, `ALWAYS`, `BY DEFAULT`, `AUTOINCREMENT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// How it counts where it is not one by one from one, in the engine's words: `INCREMENT BY 5`, `START WITH 100`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counting: Vec<String>,
    /// What an update sets it to (`ON UPDATE`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_update: Option<String>,
    /// The collation, where it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// Further attributes in the engine's words (`INVISIBLE`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<String>,
    /// Its comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// How a generated column is computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generated {
    /// The expression.
    pub expression: String,
    /// Stored in the row, and not computed when it is read.
    #[serde(default, skip_serializing_if = "is_false")]
    pub stored: bool,
}

/// A primary key or a unique constraint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The constraint's name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The primary key.
    #[serde(default, skip_serializing_if = "is_false")]
    pub primary: bool,
    /// The columns (with a prefix length in brackets where there is one).
    pub columns: Vec<String>,
    /// The whole clause in the engine's words, where columns do not say everything (`DEFERRABLE`, `INCLUDE`, DESC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clause: Option<String>,
    /// What it is not made with.
    #[serde(skip)]
    pub beside: Beside,
}

/// An index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// What it is over, in order.
    pub parts: Vec<IndexPart>,
    /// No two rows may have the same.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unique: bool,
    /// `btree`, `gin`, `FULLTEXT` …, where it is not the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The condition of a partial index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
    /// Further attributes in the engine's words (`INVISIBLE`, `INVALID`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<String>,
    /// Its comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The statement that makes it, where the engine keeps or shows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// What it is not made with.
    #[serde(skip)]
    pub beside: Beside,
}

/// A part of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexPart {
    /// The column's name, or an expression.
    pub what: String,
    /// It is an expression and no column.
    #[serde(default, skip_serializing_if = "is_false")]
    pub expression: bool,
    /// Descending.
    #[serde(default, skip_serializing_if = "is_false")]
    pub descending: bool,
    /// The length of a prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u32>,
    /// The collation or operator class, where it is not the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
}

impl IndexPart {
    /// A whole column, ascending, as the column itself compares.
    pub fn column(name: impl Into<String>) -> Self {
        IndexPart {
            what: name.into(),
            expression: false,
            descending: false,
            length: None,
            collation: None,
        }
    }
}

/// A foreign key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Its name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The columns.
    pub columns: Vec<String>,
    /// The schema of the table referred to, where it is not the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references_schema: Option<String>,
    /// The table referred to.
    pub references: String,
    /// Its columns; empty: its primary key.
    pub references_columns: Vec<String>,
    /// `CASCADE`, `SET NULL` …, `SET NULL (column)` where not all go; `NO ACTION` is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<String>,
    /// As [`ForeignKey::on_delete`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_update: Option<String>,
    /// What else its clause says (`DEFERRABLE INITIALLY DEFERRED`, `NOT VALID`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<String>,
    /// What it is not made with.
    #[serde(skip)]
    pub beside: Beside,
}

/// A check constraint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The whole clause: `CHECK (…)`, `EXCLUDE USING …`.
    pub clause: String,
    /// What it is not made with.
    #[serde(skip)]
    pub beside: Beside,
}

/// A trigger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// The statement that makes it.
    pub definition: String,
    /// It does not fire (or only on replicas), in the engine's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<String>,
    /// What it is not made with.
    #[serde(skip)]
    pub beside: Beside,
}

/// A row-level policy or a rewrite rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// `POLICY` or `RULE`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The statement that makes it.
    pub definition: String,
}

/// A view.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The schema, where it is not the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// It stores its rows.
    #[serde(default, skip_serializing_if = "is_false")]
    pub materialized: bool,
    /// The statement that makes it.
    pub definition: String,
    /// Indexes of a materialized view.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<Index>,
    /// Triggers of a view.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
    /// Its comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A function or procedure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routine {
    /// The schema, where it is not the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// The types of its arguments, where they are part of its identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// `FUNCTION`, `PROCEDURE`, `AGGREGATE`.
    pub kind: String,
    /// The statement that makes it; `None`: the engine does not show one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
}

/// A sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// The schema, where it is not the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// Its settings as a clause (`AS bigint INCREMENT BY 1 …`), without its present value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// The column that owns it, ready for `OWNED BY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<String>,
}

/// An enum type, a domain, a composite type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedType {
    /// The schema, where it is not the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// `TYPE` or `DOMAIN`.
    pub kind: String,
    /// The labels of an enum.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The statement that makes it.
    pub definition: String,
}

/// A scheduled event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// The statement that makes it (without the moment at which it was made).
    pub definition: String,
}

/// An extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A name as people see it: with the schema where it is not the default one.
pub fn label(schema: Option<&str>, name: &str) -> String {
    match schema {
        Some(schema) => format!("{schema}.{name}"),
        None => name.to_owned(),
    }
}

impl Table {
    /// The name as people see it.
    pub fn label(&self) -> String {
        label(self.schema.as_deref(), &self.name)
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl Catalog {
    /// An empty catalog of an engine.
    pub fn new(engine: impl Into<String>) -> Self {
        Catalog {
            format: FORMAT,
            engine: engine.into(),
            ..Catalog::default()
        }
    }

    /// The table of this name.
    pub fn table(&self, schema: Option<&str>, name: &str) -> Option<&Table> {
        self.tables
            .iter()
            .find(|table| table.name == name && table.schema.as_deref() == schema)
    }

    /// The text that the journal keeps.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Catalog::to_json`] wrote. The error is a sentence.
    pub fn from_json(text: &str) -> Result<Catalog, String> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let head: Head = serde_json::from_str(text)
            .map_err(|error| format!("the recorded catalog cannot be read: {error}"))?;
        if head.format != FORMAT {
            return Err(format!(
                "the recorded catalog has format {}, and this version compares format {FORMAT}; the next run records it anew",
                head.format
            ));
        }
        serde_json::from_str(text)
            .map_err(|error| format!("the recorded catalog cannot be read: {error}"))
    }

    /// Puts everything into the stable order.
    pub fn sort(&mut self) {
        fn by_name<T>(items: &mut [T], key: impl Fn(&T) -> (Option<String>, String)) {
            items.sort_by_cached_key(key);
        }
        by_name(&mut self.tables, |table| {
            (table.schema.clone(), table.name.clone())
        });
        by_name(&mut self.views, |view| {
            (view.schema.clone(), view.name.clone())
        });
        by_name(&mut self.routines, |routine| {
            (
                routine.schema.clone(),
                format!(
                    "{}({})",
                    routine.name,
                    routine.arguments.as_deref().unwrap_or("")
                ),
            )
        });
        by_name(&mut self.sequences, |sequence| {
            (sequence.schema.clone(), sequence.name.clone())
        });
        by_name(&mut self.types, |named| {
            (named.schema.clone(), named.name.clone())
        });
        self.events.sort_by(|a, b| a.name.cmp(&b.name));
        self.extensions.sort_by(|a, b| a.name.cmp(&b.name));
        for table in &mut self.tables {
            table.keys.sort_by(|a, b| {
                b.primary
                    .cmp(&a.primary)
                    .then_with(|| a.name.cmp(&b.name))
                    .then_with(|| a.columns.cmp(&b.columns))
            });
            table.indexes.sort_by(|a, b| a.name.cmp(&b.name));
            table
                .foreign_keys
                .sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.columns.cmp(&b.columns)));
            table
                .checks
                .sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.clause.cmp(&b.clause)));
            table.triggers.sort_by(|a, b| a.name.cmp(&b.name));
            table
                .rules
                .sort_by(|a, b| a.kind.cmp(&b.kind).then_with(|| a.name.cmp(&b.name)));
        }
        for view in &mut self.views {
            view.indexes.sort_by(|a, b| a.name.cmp(&b.name));
            view.triggers.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }
}
