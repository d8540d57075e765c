//! Whether a table has the shape that a statement would have given it.
//!
//! `CREATE TABLE IF NOT EXISTS` passes in silence where a table of that name is there already. To compare, the runner
//! needs the table that the statement would have made:
//!
//! - SQLite and PostgreSQL (DDL in transactions): begin, run [`super::rename::scratch_create`] of the statement under a
//!   generated name, read the catalog inside of the transaction, roll back;
//! - MySQL and MariaDB: run it under the name `dunlin_shape_<hash>`, read the catalog, drop the table. A table of that
//!   name left behind by a killed run is dropped first: nobody else makes such names.
//!
//! The same for `CREATE INDEX` and `ADD COLUMN`: tried on an empty copy of the table ([`bare_copy`]).
//!
//! Either way the second table comes out of the catalog by its generated name, and [`same_shape`] gets both.

use super::diff::{Difference, DifferenceKind, diff};
use super::{Catalog, Column, Index, Table};
use crate::dialect::Dialect;
use crate::sql::ObjectKind;

/// The beginning of the names of scratch tables.
pub const SCRATCH_PREFIX: &str = "dunlin_shape_";

/// Compares the table that is there (`actual`) with the one that a statement would have made (`expected`), whatever
/// their names and those of their constraints. Columns, keys, checks and foreign keys count in both directions; indexes
/// only where they are missing, for later statements may have added more; triggers, policies and comments do not count.
pub fn same_shape(expected: &Table, actual: &Table, dialect: &dyn Dialect) -> Vec<Difference> {
    let bare = |table: &Table| shape(table, &expected.name, actual, dialect);
    let mut want = Catalog::new("");
    want.tables = vec![bare(expected)];
    let mut is = Catalog::new("");
    is.tables = vec![bare(actual)];
    diff(&want, &is, dialect)
        .into_iter()
        .filter(|difference| {
            !(difference.kind == DifferenceKind::Extra
                && difference.object.kind == ObjectKind::Index)
        })
        .collect()
}

/// An empty table with the columns of another and nothing else: what an index or a new column can be tried on.
/// Columns named in `without` are left out.
pub fn bare_copy(actual: &Table, name: &str, without: &[String]) -> Table {
    let columns = actual
        .columns
        .iter()
        .filter(|column| !without.contains(&column.name))
        .map(|column| Column {
            nullable: true,
            default: None,
            generated: None,
            identity: None,
            counting: vec![],
            on_update: None,
            attributes: None,
            comment: None,
            ..column.clone()
        });
    Table {
        schema: actual.schema.clone(),
        name: name.to_owned(),
        columns: columns.collect(),
        options: actual.options.clone(),
        ..Table::default()
    }
}

/// Compares an index that is there with the one that a statement would have made on a [`bare_copy`] of its table.
pub fn same_index(expected: &Index, actual: &Index, dialect: &dyn Dialect) -> Vec<Difference> {
    let holding = |index: &Index| Table {
        name: "table".into(),
        indexes: vec![Index {
            name: actual.name.clone(),
            comment: None,
            definition: None,
            ..index.clone()
        }],
        ..Table::default()
    };
    compare(holding(expected), holding(actual), dialect)
}

/// As [`same_index`] for a column.
pub fn same_column(expected: &Column, actual: &Column, dialect: &dyn Dialect) -> Vec<Difference> {
    let holding = |column: &Column| Table {
        name: "table".into(),
        columns: vec![Column {
            comment: None,
            ..column.clone()
        }],
        ..Table::default()
    };
    compare(holding(expected), holding(actual), dialect)
}

fn compare(expected: Table, actual: Table, dialect: &dyn Dialect) -> Vec<Difference> {
    let (mut want, mut is) = (Catalog::new(""), Catalog::new(""));
    want.tables = vec![expected];
    is.tables = vec![actual];
    diff(&want, &is, dialect)
}

/// A table without names that follow from its own, under the name of the table that is there.
fn shape(table: &Table, scratch: &str, actual: &Table, dialect: &dyn Dialect) -> Table {
    let mut bare = table.clone();
    bare.schema.clone_from(&actual.schema);
    bare.name.clone_from(&actual.name);
    bare.comment = None;
    bare.definition = None;
    bare.triggers.clear();
    bare.rules.clear();
    for column in &mut bare.columns {
        column.comment = None;
        column.default = column
            .default
            .take()
            .map(|default| dialect.catalog().shape_default(&default));
    }
    for key in &mut bare.keys {
        key.name = None;
    }
    for check in &mut bare.checks {
        check.name = None;
    }
    for key in &mut bare.foreign_keys {
        key.name = None;
        if key.references == scratch {
            key.references.clone_from(&actual.name);
        }
    }
    bare
}
