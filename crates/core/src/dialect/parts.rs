//! Reading a table in parts, each the rows between two places: several sessions read one table at once, and a copy that died
//! goes on inside it.

use super::RowsDialect;
use crate::copy::parts::Part;
use crate::copy::reading::Bound;

/// A query for the least and the largest place. Two queries in one, since engines look up one end of an index at a time.
pub fn places(rows: &dyn RowsDialect, table: &Bound, place: &str) -> String {
    let from = rows.from(table);
    format!("SELECT (SELECT min({place}) {from}), (SELECT max({place}) {from})")
}

/// The query for the rows of one part.
pub fn select_part(rows: &dyn RowsDialect, table: &Bound, place: &str, part: Part) -> String {
    let mut bounds = vec![];
    if let Some(from) = part.from {
        bounds.push(format!("{place} >= {from}"));
    }
    if let Some(upto) = part.upto {
        bounds.push(format!("{place} < {upto}"));
    }
    let all = rows.select(table);
    if bounds.is_empty() {
        return all;
    }
    format!("{all} WHERE {}", bounds.join(" AND "))
}

/// The query for some rows, whichever come first: a sample.
pub fn select_some(rows: &dyn RowsDialect, table: &Bound, count: u64) -> String {
    format!("{} LIMIT {count}", rows.select(table))
}
