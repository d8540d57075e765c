//! Constraints for tables in use. A column is given its whole definition anew; what else there is goes in by parts, so
//! that each takes the mildest lock that the server has for it.

use super::ddl::{self, quote};
use super::shown;
use super::steps::{Steps, online};
use crate::dialect::catalog::Part;
use crate::dialect::steps::{Demands, Move, NewIndex, StepDialect, moves};
use crate::dialect::{Caps, EngineKind};
use crate::schema::{Column, ForeignKey, Index, Table};
use crate::sql::LexMode;

/// The statements that make a table meet demands, and those that take them back.
pub fn statements(
    caps: &Caps,
    mode: &LexMode,
    table: &Table,
    demands: &Demands<'_>,
) -> Result<Vec<Move>, String> {
    let alter = format!("ALTER TABLE {}", quote(&table.name));
    let mut all = vec![];
    if !demands.not_null.is_empty() {
        let not_null = |column: &&Column| Column {
            nullable: false,
            ..(*column).clone()
        };
        let strict: Vec<Column> = demands.not_null.iter().map(not_null).collect();
        // Where NULLs may be turned into something else in silence, the server only copies.
        let refuses_null = mode.sql_mode.is_empty() || mode.sql_mode.contains("STRICT_");
        let online = rebuilds_online(caps, table);
        let how = if refuses_null { online } else { "" };
        let back = modify(table, demands.not_null.iter().copied());
        all.push(Move::new(
            format!("{alter} {}{how}", modify(table, strict.iter())),
            vec![format!("{alter} {back}{online}")],
        ));
    }
    for key in &demands.unique {
        let index = new_index(&key.name, &key.columns, true);
        let up = Steps.add_index(caps, table, &index);
        all.extend(moves(up, Steps.drop_index(table, &key.name)));
    }
    for (at, key) in demands.foreign_keys.iter().enumerate() {
        all.extend(foreign_key(caps, table, demands, at, key)?);
    }
    let checks = match caps.engine {
        EngineKind::Mariadb => (10, 2, 1),
        _ => (8, 0, 16),
    };
    for check in &demands.checks {
        if caps.version < checks {
            return Err(format!(
                "{} {} takes no CHECK",
                caps.engine, caps.version_text
            ));
        }
        let part = Part::Check(table, check);
        all.extend(moves(ddl::create(part)?, ddl::drop(part)?));
    }
    for part in &demands.drops {
        let mut back = match part {
            Part::Index(_, _, index) => Steps.add_known_index(table, index)?,
            part => ddl::create(*part)?,
        };
        // The catalog does not say all of it: a parser, how it is kept, what an index of a primary key is made with.
        let shown = demands.shown.as_deref();
        if let Some(own) = shown.and_then(|shown| shown::clause_of(shown, *part)) {
            let known = ddl::clause(*part);
            for sql in &mut back {
                *sql = sql.replacen(&known, &own, 1);
            }
        }
        all.extend(moves(ddl::drop(*part)?, back));
    }
    Ok(all)
}

fn new_index(name: &str, columns: &[String], unique: bool) -> NewIndex {
    NewIndex {
        name: name.to_owned(),
        parts: columns.iter().map(|column| quote(column)).collect(),
        unique,
        only: None,
    }
}

/// What is demanded of a column's new definition, where the table can be rebuilt while others write: computed columns,
/// and on one of the servers checks, make it a copy.
fn rebuilds_online(caps: &Caps, table: &Table) -> &'static str {
    let checked = !table.checks.is_empty()
        || table.columns.iter().any(|column| {
            let attributes = column.attributes.as_deref().unwrap_or_default();
            attributes.contains("CHECK") || column.native == "json"
        });
    let computed = table
        .columns
        .iter()
        .any(|column| column.generated.is_some());
    if computed || (checked && caps.engine == EngineKind::Mariadb) {
        ""
    } else {
        online(table)
    }
}

fn modify<'c>(table: &Table, columns: impl Iterator<Item = &'c Column>) -> String {
    let each: Vec<String> = columns
        .map(|column| format!("MODIFY COLUMN {}", ddl::clause(Part::Column(table, column))))
        .collect();
    each.join(", ")
}

/// A foreign key, and the index that it needs: the server would make one of its own and leave it behind.
fn foreign_key(
    caps: &Caps,
    table: &Table,
    demands: &Demands<'_>,
    at: usize,
    key: &ForeignKey,
) -> Result<Vec<Move>, String> {
    let leads = |columns: &[String]| {
        columns.len() >= key.columns.len() && columns[..key.columns.len()] == key.columns[..]
    };
    let covered = table
        .indexes
        .iter()
        .any(|index| leads(&whole_columns(index)))
        || table.keys.iter().any(|key| leads(&key.columns))
        || demands.unique.iter().any(|key| leads(&key.columns))
        || demands.foreign_keys[..at]
            .iter()
            .any(|other| leads(&other.columns));
    let name = key.name.clone().unwrap_or_default();
    let mut all = vec![];
    if !covered {
        let up = Steps.add_index(caps, table, &new_index(&name, &key.columns, false));
        all.extend(moves(up, Steps.drop_index(table, &name)));
    }
    let part = Part::ForeignKey(table, key);
    all.extend(moves(ddl::create(part)?, ddl::drop(part)?));
    Ok(all)
}

/// The columns of an index up to the first part that is none.
fn whole_columns(index: &Index) -> Vec<String> {
    index
        .parts
        .iter()
        .map_while(|part| (!part.expression && part.length.is_none()).then(|| part.what.clone()))
        .collect()
}

/// Statements that keep an index which the server made for a foreign key: it takes it away in silence as soon as
/// another one serves as well, and misses it when that one goes. `parts`: those of the other one, rendered.
pub fn keep_own_indexes(table: &Table, parts: &[String]) -> Vec<String> {
    let serves = |key: &&ForeignKey| {
        let columns = key.columns.iter().map(|column| quote(column));
        parts.len() >= key.columns.len() && columns.zip(parts).all(|(column, part)| column == *part)
    };
    let own = |key: &ForeignKey| {
        table.indexes.iter().find(|index| {
            Some(&index.name) == key.name.as_ref()
                && !index.unique
                && whole_columns(index) == key.columns
        })
    };
    let anew = |index: &Index| {
        format!(
            "ALTER TABLE {} DROP INDEX {}, ADD {}{}",
            quote(&table.name),
            quote(&index.name),
            ddl::clause(Part::Index(None, &table.name, index)),
            online(table)
        )
    };
    let keys = table.foreign_keys.iter().filter(serves);
    keys.filter_map(own).map(anew).collect()
}
