//! What is said of the indexes of tables that are to be tidied, from the catalog alone.

use crate::finding::{Finding, Place};
use crate::schema::{Index, Table};

/// Indexes that another one makes superfluous, and foreign keys that no index serves.
pub fn of_indexes(table: &Table) -> Vec<Finding> {
    let mut found = vec![];
    for index in &table.indexes {
        if let Some(other) = covering(table, index) {
            let message = format!(
                "index {} of {} is superfluous: {other} begins with the same columns and finds the same rows",
                index.name,
                table.label()
            );
            found.push(
                Finding::info("index-redundant", Place::object(table.label()), message)
                    .help("every write pays for it; drop it in a migration"),
            );
        }
    }
    for key in &table.foreign_keys {
        if served(table, &key.columns) {
            continue;
        }
        let message = format!(
            "no index of {} begins with {}, which refers to {}: each DELETE there reads the whole table",
            table.label(),
            key.columns.join(", "),
            key.references
        );
        found.push(
            Finding::info("index-missing", Place::object(table.label()), message)
                .help("build one in a migration, or by a step `index`"),
        );
    }
    found
}

/// Whether the index is plain: over whole columns, of the usual kind, for all rows.
fn plain(index: &Index) -> bool {
    let whole = |part: &crate::schema::IndexPart| !part.expression && part.length.is_none();
    index.method.is_none()
        && index.predicate.is_none()
        && index.attributes.is_none()
        && index.parts.iter().all(whole)
}

/// The key or index that makes an index superfluous.
fn covering(table: &Table, index: &Index) -> Option<String> {
    if index.unique || !plain(index) {
        return None;
    }
    let columns: Vec<&str> = index.parts.iter().map(|part| part.what.as_str()).collect();
    let ascending = index
        .parts
        .iter()
        .all(|part| !part.descending && part.collation.is_none());
    let key = table.keys.iter().find(|key| {
        ascending
            && key.clause.is_none()
            && key
                .columns
                .iter()
                .map(String::as_str)
                .take(columns.len())
                .eq(columns.iter().copied())
    });
    if let Some(key) = key {
        return Some(match (&key.name, key.primary) {
            (_, true) => "the primary key".to_owned(),
            (Some(name), _) => format!("the key {name}"),
            (None, _) => format!("the key ({})", key.columns.join(", ")),
        });
    }
    let begins = |other: &&Index| {
        let same = other.parts.len() == index.parts.len();
        plain(other)
            && other.name != index.name
            && other.parts.starts_with(&index.parts)
            // Of two that are the same, the one that comes later by name is said to be too many.
            && (!same || other.unique || other.name < index.name)
    };
    let other = table.indexes.iter().find(begins)?;
    Some(format!("index {}", other.name))
}

/// Whether rows are found by these columns: they are the first of a key or index, in whatever order.
fn served(table: &Table, columns: &[String]) -> bool {
    let first = |names: Vec<&str>| {
        names.len() >= columns.len()
            && columns
                .iter()
                .all(|column| names[..columns.len()].contains(&column.as_str()))
    };
    let by_key = table
        .keys
        .iter()
        .any(|key| first(key.columns.iter().map(String::as_str).collect()));
    let by_index = table
        .indexes
        .iter()
        .filter(|index| index.predicate.is_none())
        .any(|index| first(index.parts.iter().map(|part| part.what.as_str()).collect()));
    by_key || by_index
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::schema::{ForeignKey, IndexPart, Key};

    fn index(name: &str, columns: &[&str], unique: bool) -> Index {
        Index {
            name: name.into(),
            parts: columns
                .iter()
                .map(|name| IndexPart::column(*name))
                .collect(),
            unique,
            method: None,
            predicate: None,
            attributes: None,
            comment: None,
            definition: None,
            ..Index::default()
        }
    }

    fn table(indexes: Vec<Index>) -> Table {
        Table {
            name: "t".into(),
            keys: vec![Key {
                name: None,
                primary: true,
                columns: vec!["id".into(), "part".into()],
                clause: None,
                ..Key::default()
            }],
            indexes,
            ..Table::default()
        }
    }

    fn said(table: &Table) -> Vec<String> {
        let found = of_indexes(table);
        found
            .iter()
            .map(|one| format!("{} {}", one.code, one.message.split(':').next().unwrap()))
            .collect()
    }

    #[test]
    fn an_index_that_another_begins_with_is_superfluous() {
        let t = table(vec![
            index("a", &["x"], false),
            index("b", &["x", "y"], false),
        ]);
        assert_eq!(said(&t), ["index-redundant index a of t is superfluous"]);
        let t = table(vec![
            index("a", &["x", "y"], false),
            index("b", &["x", "y"], false),
        ]);
        assert_eq!(said(&t), ["index-redundant index b of t is superfluous"]);
        let t = table(vec![index("a", &["id"], false)]);
        assert_eq!(said(&t), ["index-redundant index a of t is superfluous"]);
    }

    #[test]
    fn an_index_that_does_more_is_not() {
        let mut partial = index("b", &["x", "y"], false);
        partial.predicate = Some("y > 0".into());
        let mut prefix = index("c", &["x", "z"], false);
        prefix.parts[0].length = Some(10);
        for other in [partial, prefix, index("d", &["y", "x"], false)] {
            let t = table(vec![index("a", &["x"], false), other]);
            assert_eq!(said(&t), Vec::<String>::new());
        }
        let t = table(vec![
            index("a", &["x"], true),
            index("b", &["x", "y"], false),
        ]);
        assert_eq!(said(&t), Vec::<String>::new(), "a unique one refuses rows");
    }

    #[test]
    fn a_foreign_key_without_an_index_is_said() {
        let mut t = table(vec![]);
        t.foreign_keys = vec![ForeignKey {
            columns: vec!["x".into()],
            references: "p".into(),
            ..ForeignKey::default()
        }];
        assert_eq!(said(&t).len(), 1);
        t.indexes = vec![index("a", &["y", "x"], false)];
        assert_eq!(said(&t).len(), 1);
        t.indexes = vec![index("a", &["x", "y"], false)];
        assert_eq!(said(&t), Vec::<String>::new());
    }
}
