//! What constraints, indexes and triggers are not made with: comments, marks, where and how their indexes are stored.

use super::ddl::{self, qualified, quote};
use crate::dialect::catalog::{some, text};
use crate::dialect::postgres::dml::literal;
use crate::schema::{Beside, Table};
use crate::value::Row;
use serde::Deserialize;

/// How an index is stored, and its marks.
#[derive(Default, Deserialize)]
struct Stored {
    comment: Option<String>,
    with: Option<String>,
    tablespace: Option<String>,
    clustered: bool,
    replica: bool,
    /// Column and target.
    statistics: Option<Vec<(i64, i64)>>,
}

/// What [`Stored`] is read from. `oid`: the index.
pub(super) fn stored(oid: &str) -> String {
    format!(
        "(SELECT json_build_object('comment', obj_description(sx.oid, 'pg_class'), 'with', array_to_string(sx.reloptions, \
         ', '), 'tablespace', (SELECT quote_ident(ts.spcname) FROM pg_tablespace ts WHERE ts.oid = sx.reltablespace), \
         'clustered', si.indisclustered, 'replica', si.indisreplident, 'statistics', (SELECT json_agg(json_build_array( \
         sa.attnum, sa.attstattarget) ORDER BY sa.attnum) FROM pg_attribute sa WHERE sa.attrelid = sx.oid AND \
         sa.attstattarget >= 0)) FROM pg_class sx JOIN pg_index si ON si.indexrelid = sx.oid WHERE sx.oid = {oid})::text"
    )
}

fn read(row: &Row, at: usize) -> Stored {
    serde_json::from_str(&text(row, at)).unwrap_or_default()
}

fn comment(on: &str, comment: Option<String>) -> Option<String> {
    let comment = literal(&comment?);
    Some(format!("COMMENT ON {on} IS {comment}"))
}

/// Marks of an index that its table has.
fn marks(table: &Table, index: &str, stored: &Stored) -> Vec<String> {
    let of = qualified(table.schema.as_deref(), &table.name);
    let name = qualified(table.schema.as_deref(), index);
    let statistics = stored.statistics.iter().flatten().map(|(column, target)| {
        format!("ALTER INDEX {name} ALTER COLUMN {column} SET STATISTICS {target}")
    });
    let clustered = format!("ALTER TABLE {of} CLUSTER ON {}", quote(index));
    let replica = format!(
        "ALTER TABLE {of} REPLICA IDENTITY USING INDEX {}",
        quote(index)
    );
    let marks = [(stored.clustered, clustered), (stored.replica, replica)];
    let marks = marks
        .into_iter()
        .filter_map(|(is, mark)| is.then_some(mark));
    statistics.chain(marks).collect()
}

pub(super) fn of_constraint(table: &Table, row: &Row) -> Beside {
    let name = text(row, 2);
    let of = qualified(table.schema.as_deref(), &table.name);
    let on = format!("CONSTRAINT {} ON {of}", quote(&name));
    let mut beside = Beside {
        statements: comment(&on, some(row, 16)).into_iter().collect(),
        ..Beside::default()
    };
    if some(row, 17).is_some() {
        let stored = read(row, 17);
        let index = qualified(table.schema.as_deref(), &name);
        let marks = marks(table, &name, &stored);
        let said = comment(&format!("INDEX {index}"), stored.comment);
        beside.statements.extend(said.into_iter().chain(marks));
        beside.with = stored.with;
        beside.tablespace = stored.tablespace;
    }
    beside
}

/// Its comment and its storage parameters stand with the index itself.
pub(super) fn of_index(table: &Table, name: &str, row: &Row) -> Beside {
    let stored = read(row, 10);
    Beside {
        with: None,
        statements: marks(table, name, &stored),
        tablespace: stored.tablespace,
    }
}

pub(super) fn of_trigger(row: &Row) -> Beside {
    let relation = ddl::qualified(some(row, 0).as_deref(), &text(row, 1));
    let on = format!("TRIGGER {} ON {relation}", quote(&text(row, 2)));
    Beside {
        statements: comment(&on, some(row, 5)).into_iter().collect(),
        ..Beside::default()
    }
}
