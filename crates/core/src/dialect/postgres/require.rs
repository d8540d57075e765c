//! Constraints for tables in use: each is added without looking at rows, then proved while others go on.

use super::ddl::{self, qualified, quote};
use crate::dialect::catalog::{CatalogDialect, Part};
use crate::dialect::steps::{Demands, StepDialect, ThereAndBack};
use crate::schema::{Check, ForeignKey, Key, Table};

/// The statements that make a table meet demands, and those that take them back.
pub fn statements(table: &Table, demands: &Demands<'_>) -> Result<ThereAndBack, String> {
    let alter = format!(
        "ALTER TABLE {}",
        qualified(table.schema.as_deref(), &table.name)
    );
    let (mut up, mut undo) = (vec![], vec![]);
    for column in &demands.not_null {
        let name = quote(&column.name);
        // A CHECK that is proved spares SET NOT NULL its look at every row under a lock against everyone.
        let proof = quote(super::lex::cut(
            &format!("dunlin_{}_not_null", column.name),
            super::lex::NAME_MAX,
        ));
        up.extend([
            format!("{alter} ADD CONSTRAINT {proof} CHECK ({name} IS NOT NULL) NOT VALID"),
            format!("{alter} VALIDATE CONSTRAINT {proof}"),
            format!("{alter} ALTER COLUMN {name} SET NOT NULL"),
            format!("{alter} DROP CONSTRAINT {proof}"),
        ]);
        undo.push(format!("{alter} ALTER COLUMN {name} DROP NOT NULL"));
    }
    for key in &demands.unique {
        let new = Key {
            name: Some(key.name.clone()),
            primary: false,
            columns: key.columns.clone(),
            clause: None,
        };
        up.extend(add_key(table, &new)?);
        undo.push(format!("{alter} DROP CONSTRAINT {}", quote(&key.name)));
    }
    for key in &demands.foreign_keys {
        up.extend(add_foreign_key(table, key)?);
        undo.extend(ddl::drop(Part::ForeignKey(table, key))?);
    }
    for check in &demands.checks {
        up.extend(add_check(table, check)?);
        undo.extend(ddl::drop(Part::Check(table, check))?);
    }
    for part in &demands.drops {
        match part {
            Part::Index(_, _, index) => {
                up.extend(super::steps::Steps.drop_index(table, &index.name));
                let back = super::steps::Steps.add_known_index(table, index)?;
                undo.extend(back.into_iter().rev());
            }
            part => {
                up.extend(super::catalog::Catalogs.drop(*part)?);
                // Each group of statements is turned round with the rest, so it goes in turned round.
                undo.extend(add_back(table, *part)?.into_iter().rev());
            }
        }
    }
    undo.reverse();
    Ok((up, undo))
}

/// A constraint that was there, as it was, without keeping others waiting.
fn add_back(table: &Table, part: Part<'_>) -> Result<Vec<String>, String> {
    match part {
        Part::Key(_, key) => add_key(table, key),
        Part::ForeignKey(_, key) => add_foreign_key(table, key),
        Part::Check(_, check) => add_check(table, check),
        part => ddl::create(part),
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
        return ddl::create(Part::Key(table, key));
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
    let table = qualified(table.schema.as_deref(), &table.name);
    let name = quote(name);
    Ok(vec![
        format!("CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} {body}{nulls}"),
        format!("ALTER TABLE {table} ADD CONSTRAINT {name} {head} USING INDEX {name}{deferred}"),
    ])
}

/// Adds a constraint without a look at the rows, then looks at them.
fn proved_later(table: &Table, add: Vec<String>, name: Option<&str>) -> Vec<String> {
    let (Some(name), [one]) = (name, add.as_slice()) else {
        return add;
    };
    if one.ends_with(" NOT VALID") {
        return add;
    }
    let table = qualified(table.schema.as_deref(), &table.name);
    vec![
        format!("{one} NOT VALID"),
        format!("ALTER TABLE {table} VALIDATE CONSTRAINT {}", quote(name)),
    ]
}

fn add_foreign_key(table: &Table, key: &ForeignKey) -> Result<Vec<String>, String> {
    let add = ddl::create(Part::ForeignKey(table, key))?;
    // Not every version takes NOT VALID here.
    if is_partitioned(table) {
        return Ok(add);
    }
    Ok(proved_later(table, add, key.name.as_deref()))
}

fn add_check(table: &Table, check: &Check) -> Result<Vec<String>, String> {
    let add = ddl::create(Part::Check(table, check))?;
    if !check.clause.starts_with("CHECK") {
        return Ok(add);
    }
    Ok(proved_later(table, add, check.name.as_deref()))
}
