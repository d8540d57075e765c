//! What every room must answer about copies between engines: what a column of its own holds, and how it spells what a
//! column of another engine held.

use super::Caps;
use crate::copy::Epoch;
use crate::copy::plan::{Bounds, NotCarried};
use crate::copy::profile::ColumnProfile;
use crate::copy::translate::expr::{Function, Now, Style};
use crate::copy::translate::kind::{Fold, Kind};
use crate::finding::{Finding, Place};
use crate::schema::{Catalog, Column, IndexPart, NamedType, NeutralType, Routine, Table, Trigger};

/// A column of the source, with what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Everything.
    pub catalog: &'a Catalog,
    /// Its table.
    pub table: &'a Table,
    /// It.
    pub column: &'a Column,
    /// What it really holds.
    pub profile: Option<&'a ColumnProfile>,
    /// The source's server.
    pub caps: &'a Caps,
}

/// What a column holds, decided by evidence.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// What.
    pub kind: Kind,
    /// How its cells are read.
    pub read: NeutralType,
    /// Why, for people.
    pub why: String,
    /// What changes in class or spelling.
    pub word: Option<&'static str>,
    /// How many values do not fit.
    pub misfits: u64,
    /// What its numbers count, in a column of times.
    pub epoch: Option<Epoch>,
    /// A code and a sentence where people should know of the choice.
    pub finding: Option<(&'static str, String)>,
}

impl Chosen {
    /// A choice without surprises.
    pub fn new(kind: Kind, read: NeutralType, why: impl Into<String>) -> Self {
        Chosen {
            kind,
            read,
            why: why.into(),
            word: None,
            misfits: 0,
            epoch: None,
            finding: None,
        }
    }

    /// The same with a word for what changes.
    #[must_use]
    pub fn word(mut self, word: &'static str) -> Self {
        self.word = Some(word);
        self
    }
}

/// What the target must know to spell a kind.
#[derive(Debug, Clone, Copy)]
pub struct Wants<'a> {
    /// The target's server.
    pub caps: &'a Caps,
    /// What the column holds.
    pub profile: Option<&'a ColumnProfile>,
    /// Keys and indexes are over it.
    pub keyed: bool,
    /// A row is numbered by it.
    pub counter: bool,
    /// It is computed from others.
    pub generated: bool,
    /// Whether case, accents or spaces count in its comparisons.
    pub fold: &'a Fold,
    /// Table and column of the target, for naming a type.
    pub place: (&'a str, &'a str),
}

/// A kind in the target's words.
#[derive(Debug, Clone, Default)]
pub struct Spelled {
    /// The type, spelled as the engine itself shows it.
    pub native: String,
    /// What its values are; `None`: text.
    pub ty: Option<NeutralType>,
    /// What it holds.
    pub bounds: Bounds,
    /// Its collation, where it needs one of its own.
    pub collation: Option<String>,
    /// What changes in spelling.
    pub word: Option<&'static str>,
    /// Types and collations that must be there first.
    pub named: Vec<NamedType>,
    /// A check that holds its values to what the source allowed, over the column's quoted name.
    pub check: Option<String>,
}

impl Spelled {
    /// A plain spelling.
    pub fn new(native: impl Into<String>, ty: NeutralType) -> Self {
        Spelled {
            native: native.into(),
            ty: Some(ty),
            ..Spelled::default()
        }
    }
}

/// How names are told apart, and how many of things there may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest name.
    pub name_max: usize,
    /// Counted in bytes, and not in characters.
    pub name_bytes: bool,
    /// Names that differ only in case are one name.
    pub fold_case: bool,
    /// Names of indexes belong to their table, and not to the schema (with the names of tables).
    pub index_of_table: bool,
    /// Names of checks belong to their table.
    pub check_of_table: bool,
    /// Names of foreign keys belong to their table.
    pub foreign_of_table: bool,
    /// The most columns of a table.
    pub columns: usize,
    /// Schemas are kept.
    pub schemas: bool,
    /// Columns may be computed when they are read.
    pub virtual_columns: bool,
    /// Columns may be computed of such as are computed themselves.
    pub computed_of_computed: bool,
    /// Columns may be computed of one that numbers its rows.
    pub computed_of_counters: bool,
    /// Values are held to the lengths and ranges of their columns' types.
    pub binds: bool,
}

/// What the hooks of a room have to say beside what they make.
#[derive(Debug, Default)]
pub struct Notes {
    /// Findings.
    pub findings: Vec<Finding>,
    /// What is not in the target.
    pub lacks: Vec<NotCarried>,
}

impl Notes {
    /// Says that a computed column is stored where it was computed on reading.
    pub fn stored(&mut self, table: &str, column: &str) {
        self.findings.push(Finding::info(
            "generated-stored",
            Place::object(format!("{table}.{column}")),
            format!("column {column} of {table} is stored: the target computes none on reading"),
        ));
    }

    /// Lists something that is not carried, with its text.
    pub fn lack(
        &mut self,
        object: impl Into<String>,
        why: impl Into<String>,
        text: Option<String>,
    ) {
        self.lacks.push(NotCarried {
            object: object.into(),
            why: why.into(),
            text,
        });
    }
}

/// A call of a function by the name that it has in every engine. `None`: it has no such name.
pub(super) fn call(function: Function, arguments: &str) -> Option<String> {
    let name = match function {
        Function::Lower(_) => "lower",
        Function::Upper(_) => "upper",
        Function::Abs => "abs",
        Function::Coalesce => "coalesce",
        Function::NullIf => "nullif",
        Function::Round => "round",
        Function::Substr => "substr",
        Function::Trim => "trim",
        Function::TrimLeft => "ltrim",
        Function::TrimRight => "rtrim",
        Function::Replace => "replace",
        Function::Count => "count",
        Function::Sum => "sum",
        Function::Min => "min",
        Function::Max => "max",
        Function::Average => "avg",
        _ => return None,
    };
    Some(format!("{name}({arguments})"))
}

/// The function that every engine knows by this name.
pub(super) fn known_as(name: &str) -> Option<Function> {
    Some(match name {
        "abs" => Function::Abs,
        "coalesce" => Function::Coalesce,
        "nullif" => Function::NullIf,
        "round" => Function::Round,
        "substr" => Function::Substr,
        "ltrim" => Function::TrimLeft,
        "rtrim" => Function::TrimRight,
        "replace" => Function::Replace,
        "count" => Function::Count,
        "sum" => Function::Sum,
        "min" => Function::Min,
        "max" => Function::Max,
        "avg" => Function::Average,
        _ => return None,
    })
}

/// What stands behind the pattern of a LIKE in an engine where a backslash escapes unless something else is said.
pub(super) fn escape(pattern: &str, escape: Option<char>, literal: fn(&str) -> String) -> String {
    match escape {
        Some('\\') => String::new(),
        None if !pattern.contains('\\') => String::new(),
        None => " ESCAPE ''".into(),
        Some(escape) => format!(" ESCAPE {}", literal(&escape.to_string())),
    }
}

/// What a room answers about copies.
pub trait CopyDialect: Send + Sync + std::fmt::Debug {
    /// As a source: what a column holds.
    fn kind_of(&self, of: &Source<'_>) -> Chosen;
    /// As a source: whether the column's declared type alone decides what it holds, where all values are such as
    /// [`crate::copy::guess`] asks of them.
    fn takes_for_granted(&self, table: &Table, column: &Column) -> bool;
    /// As a target: whether lengths and ranges of the values decide how a kind is spelled.
    fn measures(&self) -> bool;
    /// As a target: a type that somebody asks for by any of its names, as the engine itself shows it. An error: there is none
    /// of that name, but these.
    fn proper(&self, native: &str) -> Result<String, &'static [&'static str]>;
    /// As a target: the kind of a type that somebody asks for by name, and what cells of it are.
    fn forced(&self, native: &str) -> (Kind, NeutralType);
    /// As a source: what a column's collation takes for equal.
    fn fold(&self, table: &Table, column: &Column) -> Fold;
    /// As a source: what a collation of an index's part takes for equal.
    fn fold_named(&self, collation: &str) -> Fold;
    /// As a source: whether a column numbers the rows by itself, and whether it refuses numbers that are given.
    fn counter(&self, catalog: &Catalog, table: &Table, column: &Column) -> Option<bool>;
    /// As a source: why a table is not carried, where it is none of its own.
    fn left_out(&self, catalog: &Catalog, table: &Table) -> Option<&'static str>;
    /// As a source: what a function of an expression means.
    fn function(&self, name: &str) -> Option<Function>;
    /// As a source: what the present moment and chance are called, as a whole expression in one spelling (lower case,
    /// no spaces).
    fn now(&self, spelled: &str) -> Option<Now>;
    /// As a source and a target: how expressions are spelled.
    fn style(&self) -> &'static Style;
    /// As a target: a kind in its words.
    fn spell(&self, kind: &Kind, wants: &Wants<'_>) -> Spelled;
    /// As a target: what a unique index is over, so that a column bites as its source folds; with a collation that must be
    /// there first. `None`: the column's own collation does it.
    fn fold_part(&self, column: &str, fold: &Fold) -> Option<(IndexPart, Option<NamedType>)>;
    /// As a target: whether its nearest collation folds the letters A to Z alone, where this one folds others too.
    fn folds_less(&self, _fold: &Fold) -> bool {
        false
    }
    /// As a target: whether its nearest collation folds letters beyond A to Z, where this one folds these alone.
    fn folds_more(&self, _fold: &Fold) -> bool {
        false
    }
    /// As a target: a column in an index that folds otherwise than the column does. `None`: an index has no say in that.
    fn own_part(&self, column: &str, fold: &Fold) -> Option<IndexPart> {
        let _ = fold;
        Some(IndexPart::column(column))
    }
    /// As a target: the present moment or chance, as a default of a column of this kind.
    fn write_now(&self, now: Now, kind: &Kind, caps: &Caps) -> Option<String>;
    /// As a target: a default as its clause wants it, for a column of this native type.
    fn wrap_default(&self, text: String, _native: &str) -> String {
        text
    }
    /// As a target: the statement that makes a view of a query, given from behind its SELECT on.
    fn view(&self, name: &str, query: &str) -> String {
        let name = (self.style().quote)(name);
        format!("CREATE VIEW {name} AS\nSELECT {query}")
    }
    /// As a target: what sets a column whenever its row changes, for an engine whose columns do not do it by themselves:
    /// a function and a trigger. `None`: there is no such thing.
    fn touch(&self, _table: &Table, _column: &str, _now: &str) -> Option<(Routine, Trigger)> {
        None
    }
    /// As a target: what is allowed.
    fn limits(&self) -> Limits;
    /// As a target: the words of a column that numbers rows.
    fn numbers(&self, always: bool) -> &'static str;
    /// As a target: gives a catalog of neutral parts the form that its renderer wants (texts of tables and indexes,
    /// unique keys as indexes, options).
    fn finish(&self, catalog: &mut Catalog, caps: &Caps, notes: &mut Notes);
    /// The same engine, or a close relative: what must change in a catalog that goes over as it is.
    fn adapt(&self, catalog: &mut Catalog, from: &Caps, to: &Caps, notes: &mut Notes);
}
