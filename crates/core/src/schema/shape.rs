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
//! Either way the second table comes out of the catalog by its generated name, and [`same_shape`] gets both.

use super::diff::{Difference, DifferenceKind, diff};
use super::{Catalog, Table};
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
