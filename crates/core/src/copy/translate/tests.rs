//! Rows of the hard-case tables that concern types and DDL, by their ids.

use super::{Evidence, plan};
use crate::copy::Cell;
use crate::copy::Epoch;
use crate::copy::cast::Casts;
use crate::copy::plan::{ColumnPlan, CopyPlan};
use crate::copy::profile::{ColumnProfile, Profiler};
use crate::dialect::{Caps, Dialect, mysql::Mysql, of_engine, postgres::Postgres, sqlite::Sqlite};
use crate::finding::Finding;
use crate::schema::{Catalog, Column, ForeignKey, Key, Table};

use Cell::{Bytes, Float, Int, Null, Text};

mod granted;
mod keys;
mod others;
mod sqlite_types;

fn sqlite() -> Caps {
    Sqlite.caps("3.45.0")
}

fn postgres() -> Caps {
    Postgres.caps("15.8")
}

fn mysql() -> Caps {
    Mysql.caps("8.0.36")
}

fn mariadb() -> Caps {
    Mysql.caps("10.11.6-MariaDB")
}

/// A column as the engine's own reading would give it.
fn column(engine: &Caps, name: &str, native: &str) -> Column {
    Column {
        name: name.into(),
        native: native.into(),
        neutral: of_engine(engine.engine).rows().neutral(native, ""),
        nullable: true,
        default: None,
        generated: None,
        identity: None,
        counting: vec![],
        on_update: None,
        collation: None,
        attributes: None,
        comment: None,
    }
}

fn one(engine: &Caps, column: Column) -> Catalog {
    let mut catalog = Catalog::new(engine.engine.to_string());
    catalog.tables.push(Table {
        name: "t".into(),
        columns: vec![column],
        ..Table::default()
    });
    catalog
}

fn profile(column: &Column, cells: &[Cell<'_>]) -> ColumnProfile {
    let mut profiler = Profiler::new(column.neutral.clone());
    for cell in cells {
        profiler.take(*cell);
    }
    profiler.finish()
}

/// The plan of a table of one column with these values.
fn single(from: &Caps, to: &Caps, column: Column, cells: &[Cell<'_>]) -> (CopyPlan, Vec<Finding>) {
    let mut evidence = Evidence::default();
    let profile = profile(&column, cells);
    evidence.tables.insert((None, "t".into()), vec![profile]);
    plan(&one(from, column), from, to, &evidence, &Casts::default())
}

/// How a column goes over, declared so and with these values.
fn goes(from: &Caps, to: &Caps, native: &str, cells: &[Cell<'_>]) -> ColumnPlan {
    let (plan, _) = single(from, to, column(from, "c", native), cells);
    plan.tables[0].columns[0].clone()
}

/// The same from SQLite to PostgreSQL: the type, and the word.
fn becomes(native: &str, cells: &[Cell<'_>]) -> (String, Option<&'static str>, u64) {
    let plan = goes(&sqlite(), &postgres(), native, cells);
    (plan.target_native, plan.kind, plan.misfits)
}

fn type_of(native: &str, cells: &[Cell<'_>]) -> String {
    becomes(native, cells).0
}

/// A table with a primary key over its first column.
fn keyed(engine: &Caps, native: &str) -> Catalog {
    let mut catalog = one(engine, column(engine, "c", native));
    catalog.tables[0].keys.push(Key {
        name: None,
        primary: true,
        columns: vec!["c".into()],
        clause: None,
        ..Key::default()
    });
    catalog
}

fn without_evidence(catalog: &Catalog, from: &Caps, to: &Caps) -> (CopyPlan, Vec<Finding>) {
    plan(catalog, from, to, &Evidence::default(), &Casts::default())
}
