//! What phases and steps need of each other: an order that fulfils it and otherwise is that of the file.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// One phase or step: its name, and what it says that it needs.
pub(super) struct Node<'a> {
    pub id: &'a str,
    /// `None`: the one before it.
    pub needs: Option<&'a [String]>,
}

/// What [`arrange`] found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arranged {
    /// All nodes, each once, in an order that fulfils every need that can be fulfilled.
    pub order: Vec<usize>,
    /// What each node needs, without doubles, in the order in which it was said.
    pub needs: Vec<Vec<usize>>,
    /// Needs that name nothing: the node, and which of its needs.
    pub unknown: Vec<(usize, usize)>,
    /// Circles: each from the first of its nodes in the file, along what needs what.
    pub circles: Vec<Vec<usize>>,
}

/// Sorts nodes so that each comes after what it needs. Among those that may come next the first of the file does, so an
/// order that fulfils its needs already stays as it is.
pub(super) fn arrange(nodes: &[Node<'_>]) -> Arranged {
    let mut out = Arranged::default();
    let mut by_name: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, node) in nodes.iter().enumerate() {
        // Of two of one name the first is meant; that there are two is said elsewhere.
        by_name.entry(node.id).or_insert(at);
    }
    for (at, node) in nodes.iter().enumerate() {
        let mut needed = vec![];
        match node.needs {
            None => needed.extend(at.checked_sub(1)),
            Some(names) => {
                for (which, name) in names.iter().enumerate() {
                    match by_name.get(name.as_str()) {
                        None => out.unknown.push((at, which)),
                        Some(known) if needed.contains(known) => {}
                        Some(known) => needed.push(*known),
                    }
                }
            }
        }
        out.needs.push(needed);
    }
    let mut waits: Vec<usize> = out.needs.iter().map(Vec::len).collect();
    let mut wanted_by: Vec<Vec<usize>> = vec![vec![]; nodes.len()];
    for (at, needed) in out.needs.iter().enumerate() {
        needed.iter().for_each(|need| wanted_by[*need].push(at));
    }
    let mut placed = vec![false; nodes.len()];
    let mut ready: BinaryHeap<Reverse<usize>> = (0..nodes.len())
        .filter(|at| waits[*at] == 0)
        .map(Reverse)
        .collect();
    while out.order.len() < nodes.len() {
        let Some(Reverse(next)) = ready.pop() else {
            // Whatever is left waits for a circle. It is named, and counts as fulfilled, so that others are found too.
            let circle = circle(&out.needs, &placed);
            let Some(first) = circle.first().copied() else {
                break;
            };
            out.circles.push(circle);
            ready.push(Reverse(first));
            continue;
        };
        if std::mem::replace(&mut placed[next], true) {
            continue;
        }
        out.order.push(next);
        for after in &wanted_by[next] {
            waits[*after] = waits[*after].saturating_sub(1);
            if waits[*after] == 0 && !placed[*after] {
                ready.push(Reverse(*after));
            }
        }
    }
    out
}

/// A circle among what is not placed: every one of those needs another of them, so walking along ends in one.
fn circle(needs: &[Vec<usize>], placed: &[bool]) -> Vec<usize> {
    let mut way: Vec<usize> = vec![];
    let mut seen_at: BTreeMap<usize, usize> = BTreeMap::new();
    let mut at = placed.iter().position(|placed| !placed);
    while let Some(node) = at {
        if let Some(from) = seen_at.get(&node) {
            let mut circle = way.split_off(*from);
            let first = circle.iter().enumerate().min_by_key(|(_, node)| **node);
            let first = first.map_or(0, |(at, _)| at);
            circle.rotate_left(first);
            return circle;
        }
        seen_at.insert(node, way.len());
        way.push(node);
        at = needs[node].iter().copied().find(|need| !placed[*need]);
    }
    vec![]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn of(nodes: &[(&str, Option<&[&str]>)]) -> Arranged {
        let owned: Vec<Option<Vec<String>>> = nodes
            .iter()
            .map(|(_, needs)| {
                needs.map(|needs| needs.iter().map(|need| (*need).to_owned()).collect())
            })
            .collect();
        let nodes: Vec<Node<'_>> = nodes
            .iter()
            .zip(&owned)
            .map(|((id, _), needs)| Node {
                id,
                needs: needs.as_deref(),
            })
            .collect();
        arrange(&nodes)
    }

    #[test]
    fn what_is_needed_comes_first() {
        let found = of(&[
            ("a", Some(&["c"])),
            ("b", Some(&[])),
            ("c", Some(&[])),
            ("d", None),
        ]);
        assert_eq!(found.order, [1, 2, 0, 3]);
        assert_eq!(found.needs, [vec![2], vec![], vec![], vec![2]]);
        assert_eq!((found.unknown, found.circles), (vec![], vec![]));
    }

    #[test]
    fn circles_and_unknown_names_are_all_found() {
        let found = of(&[
            ("a", Some(&["b", "x"])),
            ("b", Some(&["c"])),
            ("c", Some(&["a", "c"])),
            ("d", Some(&["d"])),
            ("e", Some(&["d", "y"])),
        ]);
        assert_eq!(found.circles, [vec![0, 1, 2], vec![2], vec![3]]);
        assert_eq!(found.unknown, [(0, 1), (4, 1)]);
        assert_eq!(found.order.len(), 5);
    }

    proptest! {
        #[test]
        fn the_order_is_complete_fulfils_the_needs_and_is_stable(
            needs in proptest::collection::vec(
                proptest::option::of(proptest::collection::vec(0_usize..14, 0..4)), 0..14)
        ) {
            let ids: Vec<String> = (0..needs.len()).map(|at| format!("n{at}")).collect();
            let named: Vec<Option<Vec<String>>> = needs.iter()
                .map(|needs| needs.as_ref().map(|needs| needs.iter().map(|at| format!("n{at}")).collect()))
                .collect();
            let nodes: Vec<Node<'_>> = ids.iter().zip(&named)
                .map(|(id, needs)| Node { id, needs: needs.as_deref() }).collect();
            let found = arrange(&nodes);
            let mut sorted = found.order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..needs.len()).collect::<Vec<_>>());
            if found.circles.is_empty() {
                let place = |node: usize| found.order.iter().position(|at| *at == node).unwrap();
                for (node, needed) in found.needs.iter().enumerate() {
                    prop_assert!(needed.iter().all(|need| place(*need) < place(node)));
                }
                // Stable: whoever comes right after a later one of the file had to wait for it, or for what waited.
                for pair in found.order.windows(2) {
                    let free = !found.needs[pair[1]].contains(&pair[0]);
                    prop_assert!(!(free && pair[1] < pair[0]), "{:?} {:?}", pair, found);
                }
            } else {
                for circle in &found.circles {
                    for (at, node) in circle.iter().enumerate() {
                        let next = circle[(at + 1) % circle.len()];
                        prop_assert!(found.needs[*node].contains(&next));
                    }
                }
            }
        }
    }
}
