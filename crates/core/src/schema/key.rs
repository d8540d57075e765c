//! The key by which a table's rows are told apart.

use super::{Index, Table};

/// The columns of a table's key: its primary key, or else a unique one of which no column may be NULL. `None`: it has
/// none, and a row cannot be found again.
pub fn of(table: &Table) -> Option<Vec<String>> {
    // A prefix in brackets is no whole column.
    let plain = |columns: &[String]| {
        !columns.is_empty() && columns.iter().all(|name| table.column(name).is_some())
    };
    let full = |columns: &[String]| {
        plain(columns)
            && columns
                .iter()
                .all(|name| table.column(name).is_some_and(|column| !column.nullable))
    };
    let primary = table
        .keys
        .iter()
        .find(|key| key.primary && plain(&key.columns));
    if let Some(key) = primary {
        return Some(key.columns.clone());
    }
    let unique = table.keys.iter().find(|key| full(&key.columns));
    if let Some(key) = unique {
        return Some(key.columns.clone());
    }
    let indexes = table.indexes.iter().filter(|index| index.unique);
    indexes.filter_map(whole).find(|columns| full(columns))
}

/// The columns of an index that is over whole columns and all rows.
fn whole(index: &Index) -> Option<Vec<String>> {
    let whole = index.predicate.is_none()
        && index
            .parts
            .iter()
            .all(|part| !part.expression && part.length.is_none());
    whole.then(|| index.parts.iter().map(|part| part.what.clone()).collect())
}
