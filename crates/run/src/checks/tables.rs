//! Tables, columns and keys by the names that people write.

use dunlin_core::schema::{Catalog, Table, label};

/// A thing by its name: exactly so, or the only one that differs in case alone.
pub(super) fn by_name<'a, T>(
    things: &'a [T],
    name: &str,
    of: impl Fn(&T) -> String,
) -> Option<&'a T> {
    if let Some(found) = things.iter().find(|thing| of(thing) == name) {
        return Some(found);
    }
    let mut alike = things
        .iter()
        .filter(|thing| of(thing).eq_ignore_ascii_case(name));
    match (alike.next(), alike.next()) {
        (Some(found), None) => Some(found),
        _ => None,
    }
}

/// The table of this name. The error is a sentence.
pub(super) fn find_table<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Table, String> {
    by_name(&catalog.tables, name, Table::label)
        .or_else(|| {
            by_name(&catalog.tables, name, |table| {
                label(
                    Some(table.schema.as_deref().unwrap_or("public")),
                    &table.name,
                )
            })
        })
        .ok_or_else(|| format!("there is no table {name}"))
}

/// Column names without the length of a prefix.
fn plain(columns: &[String]) -> Option<Vec<String>> {
    columns
        .iter()
        .map(|column| (!column.contains('(')).then(|| column.clone()))
        .collect()
}

/// The columns by which a row is known: the primary key, else a unique key whose columns are never NULL; empty: none.
pub(super) fn key_of(table: &Table) -> Vec<String> {
    let filled = |columns: &[String]| {
        let there = |name: &String| table.column(name).is_some_and(|column| !column.nullable);
        !columns.is_empty() && columns.iter().all(there)
    };
    if let Some(primary) = table.keys.iter().find(|key| key.primary)
        && let Some(columns) = plain(&primary.columns)
    {
        return columns;
    }
    let keys = table.keys.iter().filter_map(|key| plain(&key.columns));
    let whole = table.indexes.iter().filter(|index| {
        let simple =
            |part: &dunlin_core::schema::IndexPart| !part.expression && part.length.is_none();
        index.unique && index.predicate.is_none() && index.parts.iter().all(simple)
    });
    let indexes = whole.map(|index| {
        let names = index.parts.iter().map(|part| part.what.clone());
        names.collect::<Vec<_>>()
    });
    keys.chain(indexes)
        .find(|key| filled(key))
        .unwrap_or_default()
}

/// The one column of a table's key. The error is a sentence.
pub(super) fn single_key(table: &Table) -> Result<String, String> {
    match key_of(table).as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(format!("{} has no key", table.label())),
        several => Err(format!(
            "the key of {} has several columns ({}): none of them is the highest",
            table.label(),
            several.join(", ")
        )),
    }
}
