//! Which tables an export takes, and which rows of them: tables that refer to chosen rows come along with the rows that
//! do.

use crate::schema::order::{order, parent};
use crate::schema::{ForeignKey, Table};
use std::collections::BTreeSet;

/// A foreign key by which rows come along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tie {
    /// The columns that refer.
    pub columns: Vec<String>,
    /// The table referred to, as its place in the list that was given.
    pub parent: usize,
    /// Its columns.
    pub references: Vec<String>,
}

/// A table of an export.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pick {
    /// The table, as its place in the list that was given.
    pub table: usize,
    /// It came along and was not asked for.
    pub along: bool,
    /// Of each of these keys a row's value is NULL or that of a row that was taken.
    pub ties: Vec<Tie>,
    /// And one of them at least is not NULL.
    pub tied: bool,
    /// Columns whose values must be remembered of the rows that are taken: others refer to them.
    pub remember: Vec<Vec<String>>,
}

/// The columns that a key refers to.
pub fn references(key: &ForeignKey, parent: &Table) -> Option<Vec<String>> {
    if !key.references_columns.is_empty() {
        return Some(key.references_columns.clone());
    }
    let primary = parent.keys.iter().find(|key| key.primary)?;
    Some(primary.columns.clone())
}

/// Chooses. `listed`: the tables asked for, `None` for all; `filtered`: those of which rows are chosen by a condition.
/// The picks stand in foreign-key order. Keys that look ahead in a circle, and those of a table to itself, choose nothing.
pub fn choose(
    tables: &[Table],
    listed: Option<&BTreeSet<usize>>,
    filtered: &BTreeSet<usize>,
) -> Vec<Pick> {
    let ordered = order(tables);
    let ahead: BTreeSet<(usize, usize)> =
        ordered.ahead.iter().map(|at| (at.table, at.key)).collect();
    let ties = |table: usize| {
        let keys = tables[table].foreign_keys.iter().enumerate();
        let usable = keys.filter(|(at, _)| !ahead.contains(&(table, *at)));
        let tie = |(_, key): (usize, &ForeignKey)| {
            let parent = parent(tables, key)?;
            let references = references(key, &tables[parent])?;
            Some(Tie {
                columns: key.columns.clone(),
                parent,
                references,
            })
        };
        usable.filter_map(tie).collect::<Vec<_>>()
    };
    let (mut taken, mut along, mut limited) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for table in &ordered.order {
        let asked = listed.is_none_or(|listed| listed.contains(table));
        let ties = ties(*table);
        if asked {
            taken.insert(*table);
        } else if ties.iter().any(|tie| taken.contains(&tie.parent)) {
            taken.insert(*table);
            along.insert(*table);
        } else {
            continue;
        }
        let by_parent = ties.iter().any(|tie| limited.contains(&tie.parent));
        if filtered.contains(table) || along.contains(table) || by_parent {
            limited.insert(*table);
        }
    }
    let mut picks: Vec<Pick> = vec![];
    for table in ordered.order.iter().filter(|at| taken.contains(at)) {
        let came = along.contains(table);
        let counts =
            |tie: &Tie| limited.contains(&tie.parent) || (came && taken.contains(&tie.parent));
        let ties: Vec<Tie> = ties(*table).into_iter().filter(counts).collect();
        picks.push(Pick {
            table: *table,
            along: came,
            tied: !ties.is_empty() && !filtered.contains(table),
            ties,
            remember: vec![],
        });
    }
    let wanted: Vec<(usize, Vec<String>)> = picks
        .iter()
        .flat_map(|pick| &pick.ties)
        .map(|tie| (tie.parent, tie.references.clone()))
        .collect();
    for pick in &mut picks {
        let mine = wanted.iter().filter(|(parent, _)| *parent == pick.table);
        let mine: BTreeSet<Vec<String>> = mine.map(|(_, columns)| columns.clone()).collect();
        pick.remember = mine.into_iter().collect();
    }
    picks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Key;

    fn table(name: &str, parents: &[&str]) -> Table {
        Table {
            name: name.into(),
            keys: vec![Key {
                name: None,
                primary: true,
                columns: vec!["id".into()],
                clause: None,
                ..Key::default()
            }],
            foreign_keys: parents
                .iter()
                .map(|to| ForeignKey {
                    name: None,
                    columns: vec![format!("{to}_id")],
                    references_schema: None,
                    references: (*to).into(),
                    references_columns: vec![],
                    on_delete: None,
                    on_update: None,
                    attributes: None,
                    ..ForeignKey::default()
                })
                .collect(),
            ..Table::default()
        }
    }

    #[test]
    fn children_of_chosen_rows_come_along() {
        let tables = [
            table("tags", &["entries"]),
            table("entries", &["people"]),
            table("people", &[]),
            table("tag_notes", &["tags", "people"]),
            table("apart", &[]),
        ];
        let names = |picks: &[Pick]| -> Vec<String> {
            let name = |pick: &Pick| {
                let mark = match (pick.along, pick.tied) {
                    (true, true) => "+",
                    (false, true) => "<",
                    _ => "",
                };
                format!("{}{mark}{}", tables[pick.table].name, pick.ties.len())
            };
            picks.iter().map(name).collect()
        };
        let all = choose(&tables, None, &BTreeSet::new());
        assert_eq!(
            names(&all),
            ["people0", "entries0", "tags0", "tag_notes0", "apart0"]
        );
        let some = choose(&tables, Some(&BTreeSet::from([1])), &BTreeSet::from([1]));
        assert_eq!(names(&some), ["entries0", "tags+1", "tag_notes+1"]);
        assert_eq!(some[0].remember, [["id"]]);
        let whole = choose(&tables, Some(&BTreeSet::from([1])), &BTreeSet::new());
        assert_eq!(names(&whole), ["entries0", "tags+1", "tag_notes+1"]);
        let since = choose(&tables, None, &BTreeSet::from([1]));
        assert_eq!(
            names(&since),
            ["people0", "entries0", "tags<1", "tag_notes<1", "apart0"]
        );
        let both = choose(&tables, None, &BTreeSet::from([1, 0]));
        assert_eq!(
            names(&both),
            ["people0", "entries0", "tags1", "tag_notes<1", "apart0"]
        );
    }
}
