//! Constraints for tables in use: each is added without looking at rows, then proved while others go on.

use super::ddl::{self, qualified, quote};
use super::steps::Steps;
use crate::dialect::catalog::{CatalogDialect, Part};
use crate::dialect::steps::{Demands, Move, StepDialect, moves};
use crate::schema::{Check, ForeignKey, Key, Table};

/// The statements that make a table meet demands, and those that take them back.
pub fn statements(table: &Table, demands: &Demands<'_>) -> Result<Vec<Move>, String> {
    let name_of_table = qualified(table.schema.as_deref(), &table.name);
    let alter = format!("ALTER TABLE {name_of_table}");
    let mut all = vec![];
    for column in &demands.not_null {
        let name = quote(&column.name);
        // A CHECK that is proved spares SET NOT NULL its look at every row under a lock against everyone.
        let proof = quote(super::lex::cut(
            &format!("dunlin_{}_not_null", column.name),
            super::lex::NAME_MAX,
        ));
        all.extend([
            Move::new(
                format!("{alter} ADD CONSTRAINT {proof} CHECK ({name} IS NOT NULL) NOT VALID"),
                vec![format!("{alter} DROP CONSTRAINT IF EXISTS {proof}")],
            ),
            Move::new(format!("{alter} VALIDATE CONSTRAINT {proof}"), vec![]),
            Move::new(
                format!("{alter} ALTER COLUMN {name} SET NOT NULL"),
                vec![format!("{alter} ALTER COLUMN {name} DROP NOT NULL")],
            ),
            Move::new(format!("{alter} DROP CONSTRAINT {proof}"), vec![]),
        ]);
    }
    for key in &demands.unique {
        let new = Key {
            name: Some(key.name.clone()),
            primary: false,
            columns: key.columns.clone(),
            clause: None,
            ..Key::default()
        };
        let name = quote(&key.name);
        let drop = format!("{alter} DROP CONSTRAINT {name}");
        let mut steps = moves(add_key(table, &new)?, vec![drop]);
        if let [index, _] = steps.as_mut_slice() {
            // It is the constraint's own afterwards, and goes with it.
            let index_name = qualified(table.schema.as_deref(), &key.name);
            index.back = vec![format!("DROP INDEX CONCURRENTLY IF EXISTS {index_name}")];
        }
        all.extend(steps);
    }
    for key in &demands.foreign_keys {
        let drop = ddl::drop(Part::ForeignKey(table, key))?;
        all.extend(taken_back_first(add_foreign_key(table, key)?, drop));
    }
    for check in &demands.checks {
        let drop = ddl::drop(Part::Check(table, check))?;
        all.extend(taken_back_first(add_check(table, check)?, drop));
    }
    for part in &demands.drops {
        let (up, back) = match part {
            Part::Index(_, _, index) => (
                Steps.drop_index(table, &index.name),
                Steps.add_known_index(table, index)?,
            ),
            part => (
                super::catalog::Catalogs.drop(*part)?,
                add_back(table, *part)?,
            ),
        };
        all.extend(moves(up, back));
    }
    Ok(all)
}

/// Statements of which the first one has the effect: the others only prove it.
fn taken_back_first(statements: Vec<String>, back: Vec<String>) -> Vec<Move> {
    let mut moves = moves(statements, vec![]);
    if let Some(first) = moves.first_mut() {
        first.back = back;
    }
    moves
}

/// A constraint that was there, as it was, without keeping others waiting.
fn add_back(table: &Table, part: Part<'_>) -> Result<Vec<String>, String> {
    match part {
        Part::Key(_, key) => add_key(table, key),
        Part::ForeignKey(_, key) => add_foreign_key(table, key),
        Part::Check(_, check) => add_check(table, check),
        part => ddl::again(part),
    }
}

fn is_partitioned(table: &Table) -> bool {
    table.options.contains_key("partition_by")
}

/// A unique index is built beside the rows' readers and writers, and the constraint takes it over.
fn add_key(table: &Table, key: &Key) -> Result<Vec<String>, String> {
    let own = ddl::clause(Part::Key(table, key));
    let name = key.name.as_deref().filter(|_| !is_partitioned(table));
    let head = if key.primary { "PRIMARY KEY" } else { "UNIQUE" };
    // `UNIQUE [NULLS NOT DISTINCT] (columns) [INCLUDE (…)] [DEFERRABLE [INITIALLY DEFERRED]]`
    let clause = name.and_then(|name| {
        let from = own.find(&format!("{head} "))? + head.len() + 1;
        own.get(from..).map(|rest| (name, rest))
    });
    let Some((name, rest)) = clause else {
        return ddl::again(Part::Key(table, key));
    };
    let (body, deferred) = match rest.find(" DEFERRABLE") {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    // In the index's grammar this stands behind the columns.
    let (body, nulls) = match body.strip_prefix("NULLS NOT DISTINCT ") {
        Some(body) => (body, " NULLS NOT DISTINCT"),
        None => (body, ""),
    };
    let beside = &key.beside;
    let with = beside.with.iter().map(|with| format!(" WITH ({with})"));
    let place = beside.tablespace.iter();
    let place = place.map(|place| format!(" TABLESPACE {place}"));
    let stored: String = with.chain(place).collect();
    let table = qualified(table.schema.as_deref(), &table.name);
    let name = quote(name);
    let mut statements = vec![
        format!("CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} {body}{nulls}{stored}"),
        format!("ALTER TABLE {table} ADD CONSTRAINT {name} {head} USING INDEX {name}{deferred}"),
    ];
    statements.extend(beside.statements.iter().cloned());
    Ok(statements)
}

/// Adds a constraint without a look at the rows, then looks at them. What it has beside itself comes last.
fn proved_later(table: &Table, add: Vec<String>, name: Option<&str>) -> Vec<String> {
    let (Some(name), Some((one, beside))) = (name, add.split_first()) else {
        return add;
    };
    if one.ends_with(" NOT VALID") {
        return add;
    }
    let table = qualified(table.schema.as_deref(), &table.name);
    let mut statements = vec![
        format!("{one} NOT VALID"),
        format!("ALTER TABLE {table} VALIDATE CONSTRAINT {}", quote(name)),
    ];
    statements.extend_from_slice(beside);
    statements
}

fn add_foreign_key(table: &Table, key: &ForeignKey) -> Result<Vec<String>, String> {
    let add = ddl::again(Part::ForeignKey(table, key))?;
    // Not every version takes NOT VALID here.
    if is_partitioned(table) {
        return Ok(add);
    }
    Ok(proved_later(table, add, key.name.as_deref()))
}

fn add_check(table: &Table, check: &Check) -> Result<Vec<String>, String> {
    let add = ddl::again(Part::Check(table, check))?;
    if !check.clause.starts_with("CHECK") {
        return Ok(add);
    }
    Ok(proved_later(table, add, check.name.as_deref()))
}
