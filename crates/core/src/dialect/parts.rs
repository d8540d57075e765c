//! Reading a table in parts, each the rows between two places: several sessions read one table at once, and a copy that died
//! goes on inside it.

use super::RowsDialect;
use crate::copy::parts::Part;
use crate::copy::reading::{Bound, ColumnShape};

/// A query for the least and the largest place. Two queries in one, since engines look up one end of an index at a time.
pub fn places(rows: &dyn RowsDialect, table: &Bound, place: &str) -> String {
    let from = rows.from(table);
    format!("SELECT (SELECT min({place}) {from}), (SELECT max({place}) {from})")
}

/// The query for the number of its rows.
pub fn count(rows: &dyn RowsDialect, table: &Bound) -> String {
    format!("SELECT count(*) {}", rows.from(table))
}

/// The query for its last rows, by their places.
pub fn select_last(rows: &dyn RowsDialect, table: &Bound, place: &str, count: u64) -> String {
    format!("{} ORDER BY {place} DESC LIMIT {count}", rows.select(table))
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

/// A query for a key by its first column, quoted: the one `width` rows behind `last` (`None`: behind the first), or with 0
/// the next other one. `None`: the source is not read by keys. `last` is a literal.
pub fn next_cut(
    rows: &dyn RowsDialect,
    table: &Bound,
    key: &str,
    last: Option<&str>,
    width: u64,
) -> Option<String> {
    let beyond = if width == 0 { ">" } else { ">=" };
    let only = last.map_or(String::new(), |last| {
        format!(" WHERE {key} {beyond} {last}")
    });
    let all = format!("SELECT {key} {}{only}", rows.from(table));
    let ordered = rows.ordered(&all, &[key.to_owned()])?;
    Some(format!("{ordered} LIMIT 1 OFFSET {width}"))
}

/// A query for a row without a key, which no stretch of keys holds.
pub fn keyless(rows: &dyn RowsDialect, table: &Bound, key: &str) -> String {
    format!("SELECT 1 {} WHERE {key} IS NULL LIMIT 1", rows.from(table))
}

/// The queries for the rows between keys, given as literals of its first column: what lies before the first, between, and
/// behind the last. Each in the key's order, where the source is read in it.
pub fn select_cut(
    rows: &dyn RowsDialect,
    table: &Bound,
    key: &[String],
    cuts: &[String],
) -> Vec<String> {
    let all = rows.select(table);
    let Some(first) = key.first() else {
        return vec![all];
    };
    let from = std::iter::once(None).chain(cuts.iter().map(Some));
    let upto = cuts.iter().map(Some).chain(std::iter::once(None));
    let select = |(from, upto): (Option<&String>, Option<&String>)| {
        let from = from.map(|from| format!("{first} >= {from}"));
        let upto = upto.map(|upto| format!("{first} < {upto}"));
        let bounds: Vec<String> = from.into_iter().chain(upto).collect();
        let only = match bounds.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", bounds.join(" AND ")),
        };
        let select = format!("{all}{only}");
        rows.ordered(&select, key).unwrap_or(select)
    };
    from.zip(upto).map(select).collect()
}

/// Stretches of whole numbers, each from its first one on and below its last; `None`: without an end.
pub type Stretch = (Option<i128>, Option<i128>);

/// The queries for the rows whose column, quoted, lies in these stretches.
pub fn select_stretches(
    rows: &dyn RowsDialect,
    table: &Bound,
    column: &str,
    stretches: &[Stretch],
) -> Vec<String> {
    let all = rows.select(table);
    let select = |(from, below): &Stretch| {
        let from = from.map(|from| format!("{column} >= {from}"));
        let below = below.map(|below| format!("{column} < {below}"));
        let bounds: Vec<String> = from.into_iter().chain(below).collect();
        match bounds.is_empty() {
            true => all.clone(),
            false => format!("{all} WHERE {}", bounds.join(" AND ")),
        }
    };
    stretches.iter().map(select).collect()
}

/// The query for the rows whose column ends in one of these, which hold no quotes and no backslashes: never fewer than
/// these. `None`: the engine does not say how texts end.
pub fn select_endings(
    rows: &dyn RowsDialect,
    table: &Bound,
    column: &ColumnShape,
    endings: &[&str],
    chars: usize,
) -> Option<String> {
    let ending = rows.ending(column, chars)?;
    let list: Vec<String> = endings.iter().map(|text| format!("'{text}'")).collect();
    let all = rows.select(table);
    Some(format!("{all} WHERE {ending} IN ({})", list.join(", ")))
}

/// The query for some rows, whichever come first: a sample.
pub fn select_some(rows: &dyn RowsDialect, table: &Bound, count: u64) -> String {
    format!("{} LIMIT {count}", rows.select(table))
}
