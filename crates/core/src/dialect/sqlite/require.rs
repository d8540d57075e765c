//! Constraints: a unique one is an index, which needs no more; all others stand in the table's text, and the table is
//! rebuilt under another.

use super::ddl;
use super::rebuild::{Edits, edited, rebuild};
use super::steps::Steps;
use crate::dialect::Caps;
use crate::dialect::catalog::Part;
use crate::dialect::steps::{Demands, Move, NewIndex, StepDialect, moves};
use crate::schema::{Catalog, Index, Table};

/// The statements that make a table meet demands, and those that take them back.
pub fn statements(
    caps: &Caps,
    catalog: &Catalog,
    table: &Table,
    demands: &Demands<'_>,
) -> Result<Vec<Move>, String> {
    let (edits, dropped) = texts(table, demands)?;
    let mut made: Vec<Index> = vec![];
    for key in &demands.unique {
        let parts = key.columns.iter().map(|column| ddl::quote(column));
        let index = NewIndex {
            name: key.name.clone(),
            parts: parts.collect(),
            unique: true,
            only: None,
        };
        made.push(Index {
            name: key.name.clone(),
            definition: Steps.add_index(caps, table, &index).into_iter().next(),
            ..Index::default()
        });
    }
    let mut all = vec![];
    if edits.is_empty() {
        for index in &made {
            let up = index.definition.iter().cloned().collect();
            all.extend(moves(up, Steps.drop_index(table, &index.name)));
        }
    } else {
        let old = table.definition.as_deref();
        let old = old.ok_or("the table's text is not known")?;
        let new = edited(old, &edits)?;
        let mut with_new = table.clone();
        with_new.indexes.extend(made);
        // The table that comes back has the indexes that were there, and no others.
        let back = rebuild(catalog, table, old)?;
        all.extend(moves(rebuild(catalog, &with_new, &new)?, back));
    }
    for index in dropped {
        let back = Steps.add_known_index(table, index)?;
        all.extend(moves(Steps.drop_index(table, &index.name), back));
    }
    Ok(all)
}

/// What changes in the table's text, and the indexes that go.
fn texts<'a>(table: &Table, demands: &Demands<'a>) -> Result<(Edits, Vec<&'a Index>), String> {
    let mut edits = Edits {
        not_null: demands
            .not_null
            .iter()
            .map(|column| column.name.clone())
            .collect(),
        ..Edits::default()
    };
    for key in &demands.foreign_keys {
        let name = key.name.as_deref().unwrap_or_default();
        let clause = ddl::clause(Part::ForeignKey(table, key));
        edits
            .add
            .push(format!("CONSTRAINT {} {clause}", ddl::quote(name)));
    }
    edits.add.extend(
        demands
            .checks
            .iter()
            .map(|check| ddl::clause(Part::Check(table, check))),
    );
    let mut dropped: Vec<&'a Index> = vec![];
    for part in &demands.drops {
        match part {
            Part::Index(_, _, index) => dropped.push(index),
            Part::Key(_, key) if !key.primary && key.name.is_none() => {
                edits.drop_unique.push(key.columns.clone());
            }
            Part::Key(_, key) => edits.drop_named.extend(key.name.clone()),
            Part::ForeignKey(_, key) => edits.drop_named.extend(key.name.clone()),
            Part::Check(_, check) => edits.drop_named.extend(check.name.clone()),
            _ => return Err("only constraints and indexes can go".into()),
        }
    }
    edits.drop_named.extend(demands.drop_named.iter().cloned());
    Ok((edits, dropped))
}
