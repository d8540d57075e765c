//! What every room must answer about catalogs: the queries that read one, and the statements that make, drop and change
//! its parts.

use super::Caps;
use crate::schema::{
    Beside, Catalog, Check, Column, Event, Extension, ForeignKey, Index, Key, NamedType, Routine,
    Rule, Sequence, Table, Trigger, View,
};
use crate::value::{Query, Row};

/// A part of a catalog. Parts of a table come with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part<'a> {
    /// A table with all that belongs to it; without triggers, and without foreign keys where
    /// [`CatalogDialect::foreign_keys_inline`] is false.
    Table(&'a Table),
    /// The options of a table, and its comment.
    Options(&'a Table),
    /// A column.
    Column(&'a Table, &'a Column),
    /// A primary key or unique constraint.
    Key(&'a Table, &'a Key),
    /// An index of a table or of a materialized view (schema, relation).
    Index(Option<&'a str>, &'a str, &'a Index),
    /// A foreign key.
    ForeignKey(&'a Table, &'a ForeignKey),
    /// A check constraint.
    Check(&'a Table, &'a Check),
    /// A trigger (schema, relation).
    Trigger(Option<&'a str>, &'a str, &'a Trigger),
    /// A policy or rule.
    Rule(&'a Table, &'a Rule),
    /// A view.
    View(&'a View),
    /// A function or procedure.
    Routine(&'a Routine),
    /// A sequence.
    Sequence(&'a Sequence),
    /// A type or domain.
    Type(&'a NamedType),
    /// A scheduled event.
    Event(&'a Event),
    /// An extension.
    Extension(&'a Extension),
}

impl<'a> Part<'a> {
    /// What it is not made with.
    pub fn beside(self) -> Option<&'a Beside> {
        match self {
            Part::Key(_, key) => Some(&key.beside),
            Part::Index(_, _, index) => Some(&index.beside),
            Part::ForeignKey(_, key) => Some(&key.beside),
            Part::Check(_, check) => Some(&check.beside),
            Part::Trigger(_, _, trigger) => Some(&trigger.beside),
            _ => None,
        }
    }
}

/// Statements, or a sentence why there are none.
pub type Rendered = Result<Vec<String>, String>;

/// Locks on tables. Taken within a transaction where the engine's DDL is transactional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hold {
    /// Statements that take them.
    pub take: Vec<String>,
    /// Statements that give them back, where neither the end of the transaction nor that of the session is to do it.
    pub free: Vec<String>,
    /// The tables.
    pub tables: Vec<String>,
}

impl Hold {
    /// Whether a table is locked.
    pub fn covers(&self, table: &str) -> bool {
        self.tables.iter().any(|held| held == table)
    }
}

/// Reading catalogs, and rendering their parts.
pub trait CatalogDialect: Send + Sync + std::fmt::Debug {
    /// Queries whose answers [`CatalogDialect::read`] takes, in this order. Their number does not depend on what the
    /// database holds. They want a session of Dunlin's own, whose settings are pinned.
    fn queries(&self, caps: &Caps) -> Vec<Query>;
    /// A setting for the transaction in which a whole catalog is read, where one is worth its while.
    fn setting(&self) -> Option<&'static str> {
        None
    }
    /// The catalog from the answers. What was not understood is left out; nothing panics.
    fn read(&self, caps: &Caps, answers: &[Vec<Row>]) -> Catalog;
    /// What there is in a database that no catalog shows: each as what it is and how it is made or what it says.
    fn beyond(&self) -> Option<Query> {
        None
    }
    /// A query for the statement that makes a part, where the server shows it more exactly than the catalog does.
    fn show(&self, part: Part<'_>) -> Option<Query>;
    /// The statement, out of the rows of [`CatalogDialect::show`].
    fn read_show(&self, part: Part<'_>, rows: &[Row]) -> Option<String>;
    /// How a table is cut into partitions, out of the statement that makes it, where the catalog does not say it.
    fn partitions(&self, _table: &Table, _statement: &str) -> Option<String> {
        None
    }
    /// A text that the server tells, in a form that stays the same when it is dumped, loaded and told again.
    fn reloaded(&self, text: &str) -> String;
    /// Whether an index is what an interrupted build has left.
    fn is_unfinished(&self, index: &Index) -> bool;
    /// Whether a name of a key, check or foreign key of this table looks as if the engine had made it.
    fn auto_named(&self, table: &str, name: &str) -> bool;
    /// Whether [`Part::Table`] is made with its foreign keys.
    fn foreign_keys_inline(&self) -> bool;
    /// The part in one clause, for people: what is expected, what is there.
    fn clause(&self, part: Part<'_>) -> String;
    /// The statements that make a part.
    fn create(&self, part: Part<'_>) -> Rendered;
    /// The statements that give back a part that was taken away here: as it is made, and what it is not made with.
    fn again(&self, part: Part<'_>) -> Rendered {
        self.create(part)
    }
    /// The statements that drop a part.
    fn drop(&self, part: Part<'_>) -> Rendered;
    /// The statements that turn `from` into `to`, two states of the same part.
    fn change(&self, from: Part<'_>, to: Part<'_>) -> Rendered;
    /// Statements that rebuild a table as `to` with the rows of `from`, where single changes cannot be rendered.
    fn rebuild(&self, from: &Table, to: &Table) -> Option<Vec<String>>;
    /// The statement that makes a schema where it is missing; `None`: there is only one.
    fn create_schema(&self, name: &str) -> Option<String>;
    /// A default without what only follows from the table's name, for comparing the shapes of two tables.
    fn shape_default(&self, default: &str) -> String;
    /// A query for the defaults of the database that its tables take when they are made; `None`: it has none that
    /// could be changed later.
    fn defaults(&self) -> Option<Query>;
    /// Statements that give them to another database, out of the row of [`CatalogDialect::defaults`].
    fn take_defaults(&self, row: &Row) -> Vec<String>;
    /// What a dump begins with, so that its statements work in their order.
    fn dump_begin(&self) -> &'static [&'static str];
    /// What it ends with.
    fn dump_end(&self) -> &'static [&'static str];
    /// A query whose rows are statements that give counters the values that they have now, for a database that was made
    /// anew and filled. `None`: rows bring their counters along.
    fn counters(&self) -> Option<&'static str>;
    /// What keeps everybody else from writing into these tables (schema, name) while they are compared and dropped.
    fn hold(&self, tables: &[(Option<&str>, &str)]) -> Hold;
    /// A statement that ends what a killed restore left at work in this database: a tool's session outlives the runner
    /// that started it. `None`: restores have no tool here.
    fn end_tools(&self) -> Option<&'static str> {
        None
    }
    /// Statements that begin, release and take back a part of a transaction, where one statement that fails would end
    /// the transaction or leave a half of it; `None`: DDL knows no transactions here.
    fn part(&self) -> Option<[&'static str; 3]>;
    /// After [`CatalogDialect::dump_begin`] a table still cannot be dropped while another refers to it.
    fn keys_hold_tables(&self) -> bool;
}

/// Schema, name: the text of a cell, or an empty text.
pub(super) fn text(row: &Row, at: usize) -> String {
    row.get(at)
        .and_then(|value| value.as_str())
        .unwrap_or_default()
        .to_owned()
}

/// The text of a cell that may be NULL; an empty text counts as none.
pub(super) fn some(row: &Row, at: usize) -> Option<String> {
    row.get(at)
        .and_then(|value| value.as_str())
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// The truth of a cell.
pub(super) fn truth(row: &Row, at: usize) -> bool {
    row.get(at)
        .and_then(crate::value::Value::as_bool)
        .unwrap_or(false)
}

/// The number of a cell.
pub(super) fn number(row: &Row, at: usize) -> Option<i64> {
    row.get(at).and_then(crate::value::Value::as_i64)
}

/// A list of texts out of a cell with a JSON array.
pub(super) fn list(row: &Row, at: usize) -> Vec<String> {
    row.get(at)
        .and_then(|value| value.as_str())
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}
