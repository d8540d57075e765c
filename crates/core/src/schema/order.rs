//! Tables in the order in which they and their rows can come: what is referred to before what refers, and what is inherited
//! from before its heirs.
//!
//! Where foreign keys form a circle there is no such order. Its tables then stand together, those first that can do with
//! NULL, and the keys that look ahead are named: their rows refer to rows that are not there yet.

use super::render::heirs_of;
use super::{ForeignKey, Table};
use std::collections::{BTreeMap, BTreeSet};

/// A foreign key among the tables: the table that refers, and the key's place among its foreign keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyAt {
    /// The table, as its place in the list that was given.
    pub table: usize,
    /// The key, as its place in [`Table::foreign_keys`].
    pub key: usize,
}

/// Tables in foreign-key order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ordered {
    /// All tables as places in the list that was given: parents before children, else as they were given.
    pub order: Vec<usize>,
    /// Tables that refer to one another in a circle, each circle in the order in which its tables stand.
    pub cycles: Vec<Vec<usize>>,
    /// Keys whose parent comes later, or is the table itself: to be put off until the rows are there.
    pub ahead: Vec<KeyAt>,
}

/// The table that a key refers to, as its place in the list: by its exact name, else by the only one that differs in case
/// alone (engines that take names so keep the key as it was written).
pub fn parent(tables: &[Table], key: &ForeignKey) -> Option<usize> {
    Names::of(tables).parent(key)
}

/// The same of many keys: names are put in order once.
pub fn parents(tables: &[Table]) -> impl Fn(&ForeignKey) -> Option<usize> {
    let names = Names::of(tables);
    move |key| names.parent(key)
}

struct Names<'a> {
    exact: BTreeMap<(Option<&'a str>, &'a str), usize>,
    loose: BTreeMap<(Option<&'a str>, String), Vec<usize>>,
}

impl<'a> Names<'a> {
    fn of(tables: &'a [Table]) -> Self {
        let (mut exact, mut loose) = (BTreeMap::new(), BTreeMap::<_, Vec<usize>>::new());
        for (at, table) in tables.iter().enumerate() {
            let schema = table.schema.as_deref();
            exact.insert((schema, table.name.as_str()), at);
            let name = table.name.to_lowercase();
            loose.entry((schema, name)).or_default().push(at);
        }
        Names { exact, loose }
    }

    fn parent(&self, key: &ForeignKey) -> Option<usize> {
        let schema = key.references_schema.as_deref();
        let exact = self.exact.get(&(schema, key.references.as_str())).copied();
        exact.or_else(|| {
            let name = key.references.to_lowercase();
            match self.loose.get(&(schema, name)).map(Vec::as_slice) {
                Some([at]) => Some(*at),
                _ => None,
            }
        })
    }
}

/// Brings tables into foreign-key order. Keys to tables that are not in the list do not count.
pub fn order(tables: &[Table]) -> Ordered {
    let names = Names::of(tables);
    let labels: BTreeMap<String, usize> = tables
        .iter()
        .enumerate()
        .map(|(at, table)| (table.label(), at))
        .collect();
    let mut parents: Vec<Vec<(Option<usize>, usize)>> = vec![vec![]; tables.len()];
    for (at, table) in tables.iter().enumerate() {
        for (key, foreign) in table.foreign_keys.iter().enumerate() {
            parents[at].extend(names.parent(foreign).map(|parent| (Some(key), parent)));
        }
        let heirs = heirs_of(table).into_iter();
        parents[at].extend(heirs.filter_map(|parent| Some((None, *labels.get(&parent)?))));
    }
    let circles = circles(&parents);
    let mut of = vec![0; tables.len()];
    for (number, circle) in circles.iter().enumerate() {
        for member in circle {
            of[*member] = number;
        }
    }
    let mut ordered = Ordered::default();
    for number in sorted(&circles, &of, &parents) {
        let members = within(tables, &circles[number], &parents);
        if members.len() > 1 {
            ordered.cycles.push(members.clone());
        }
        ordered.order.extend(members);
    }
    let mut place = vec![0; tables.len()];
    for (at, table) in ordered.order.iter().enumerate() {
        place[*table] = at;
    }
    for (table, keys) in parents.iter().enumerate() {
        let ahead = keys.iter().filter(|(_, to)| place[*to] >= place[table]);
        ordered
            .ahead
            .extend(ahead.filter_map(|(key, _)| key.map(|key| KeyAt { table, key })));
    }
    ordered
}

/// Groups of tables that reach one another (most are of one table), each in the order given. Two walks with stacks of
/// their own: a chain of ten thousand tables is no reason to run out of stack.
fn circles(parents: &[Vec<(Option<usize>, usize)>]) -> Vec<Vec<usize>> {
    let mut children: Vec<Vec<usize>> = vec![vec![]; parents.len()];
    for (child, keys) in parents.iter().enumerate() {
        for (_, parent) in keys {
            children[*parent].push(child);
        }
    }
    let mut seen = vec![false; parents.len()];
    let mut finished = vec![];
    for start in 0..parents.len() {
        let mut stack = vec![(start, 0)];
        if std::mem::replace(&mut seen[start], true) {
            continue;
        }
        while let Some((node, next)) = stack.last_mut() {
            match parents[*node].get(*next) {
                Some((_, parent)) => {
                    *next += 1;
                    if !std::mem::replace(&mut seen[*parent], true) {
                        stack.push((*parent, 0));
                    }
                }
                None => {
                    finished.push(*node);
                    stack.pop();
                }
            }
        }
    }
    let mut groups = vec![];
    seen.fill(false);
    for start in finished.into_iter().rev() {
        if std::mem::replace(&mut seen[start], true) {
            continue;
        }
        let (mut group, mut stack) = (vec![], vec![start]);
        while let Some(node) = stack.pop() {
            group.push(node);
            for child in &children[node] {
                if !std::mem::replace(&mut seen[*child], true) {
                    stack.push(*child);
                }
            }
        }
        group.sort_unstable();
        groups.push(group);
    }
    groups
}

/// The groups, parents first, else by their first table.
fn sorted(
    circles: &[Vec<usize>],
    of: &[usize],
    parents: &[Vec<(Option<usize>, usize)>],
) -> impl Iterator<Item = usize> {
    let mut open: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); circles.len()];
    let mut children: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); circles.len()];
    for (child, keys) in parents.iter().enumerate() {
        for (_, parent) in keys {
            if of[*parent] != of[child] {
                open[of[child]].insert(of[*parent]);
                children[of[*parent]].insert(of[child]);
            }
        }
    }
    let first: Vec<usize> = circles.iter().map(|circle| circle[0]).collect();
    let ready = (0..circles.len()).filter(|group| open[*group].is_empty());
    let mut ready: BTreeSet<(usize, usize)> = ready.map(|group| (first[group], group)).collect();
    std::iter::from_fn(move || {
        let (_, group) = ready.pop_first()?;
        for child in &children[group] {
            open[*child].remove(&group);
            if open[*child].is_empty() {
                ready.insert((first[*child], *child));
            }
        }
        Some(group)
    })
}

/// The tables of a circle: always the one next that looks ahead with the fewest keys that cannot be NULL.
fn within(
    tables: &[Table],
    circle: &[usize],
    parents: &[Vec<(Option<usize>, usize)>],
) -> Vec<usize> {
    let mut left: BTreeSet<usize> = circle.iter().copied().collect();
    let mut placed = vec![];
    let cost = |table: usize, left: &BTreeSet<usize>| {
        let (mut hard, mut soft) = (0, 0);
        for (key, parent) in &parents[table] {
            if *parent == table || !left.contains(parent) {
                continue;
            }
            let key = key.map(|key| &tables[table].foreign_keys[key]);
            if key.is_some_and(|key| may_be_null(&tables[table], key)) {
                soft += 1;
            } else {
                hard += 1;
            }
        }
        (hard, soft, table)
    };
    while let Some(next) = left.iter().copied().min_by_key(|at| cost(*at, &left)) {
        left.remove(&next);
        placed.push(next);
    }
    placed
}

fn may_be_null(table: &Table, key: &ForeignKey) -> bool {
    key.columns
        .iter()
        .any(|name| table.column(name).is_some_and(|column| column.nullable))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::schema::{Column, NeutralType};

    /// A table that refers to others; `?` behind a name: the key may be NULL.
    fn table(name: &str, refers: &[&str]) -> Table {
        let column = |to: &str| Column {
            name: format!("{}_id", to.trim_end_matches('?')),
            native: String::new(),
            neutral: NeutralType::Int,
            nullable: to.ends_with('?'),
            default: None,
            generated: None,
            identity: None,
            counting: vec![],
            on_update: None,
            collation: None,
            attributes: None,
            comment: None,
        };
        let key = |to: &&str| ForeignKey {
            name: None,
            columns: vec![column(to).name],
            references_schema: None,
            references: to.trim_end_matches('?').to_owned(),
            references_columns: vec![],
            on_delete: None,
            on_update: None,
            attributes: None,
            ..ForeignKey::default()
        };
        Table {
            name: name.into(),
            columns: refers.iter().map(|to| column(to)).collect(),
            foreign_keys: refers.iter().map(key).collect(),
            ..Table::default()
        }
    }

    fn named(tables: &[Table]) -> (Vec<&str>, Vec<Vec<&str>>, usize) {
        let ordered = order(tables);
        let name = |at: &usize| tables[*at].name.as_str();
        let cycles = ordered.cycles.iter();
        (
            ordered.order.iter().map(name).collect(),
            cycles
                .map(|cycle| cycle.iter().map(name).collect())
                .collect(),
            ordered.ahead.len(),
        )
    }

    #[test]
    fn parents_come_first_and_what_is_free_stays_where_it_was() {
        let tables = [
            table("lines", &["orders", "goods"]),
            table("alone", &[]),
            table("orders", &["people"]),
            table("people", &[]),
            table("goods", &["elsewhere"]),
        ];
        let (order, cycles, ahead) = named(&tables);
        assert_eq!(order, ["alone", "people", "orders", "goods", "lines"]);
        assert_eq!((cycles.len(), ahead), (0, 0));
    }

    #[test]
    fn a_table_that_refers_to_itself_looks_ahead_and_is_no_circle() {
        let tables = [table("tree", &["tree?"]), table("a", &["TREE"])];
        let (order, cycles, ahead) = named(&tables);
        assert_eq!((order, cycles.len(), ahead), (vec!["tree", "a"], 0, 1));
    }

    #[test]
    fn of_a_circle_those_come_first_that_can_do_with_null() {
        let tables = [
            table("child", &["a"]),
            table("a", &["b"]),
            table("b", &["c?"]),
            table("c", &["a"]),
            table("root", &[]),
        ];
        let (order, cycles, ahead) = named(&tables);
        assert_eq!(order, ["b", "a", "c", "child", "root"]);
        assert_eq!(cycles, [vec!["b", "a", "c"]]);
        assert_eq!(ahead, 1);
    }

    #[test]
    fn a_long_chain_and_many_tables_are_no_trouble() {
        let name = |n: usize| format!("t{n}");
        let tables: Vec<Table> = (0..20_000)
            .map(|n| table(&name(n), &[name(n + 1).as_str()]))
            .collect();
        let ordered = order(&tables);
        assert_eq!(ordered.order.first(), Some(&19_999));
        assert_eq!(ordered.order.last(), Some(&0));
    }
}
