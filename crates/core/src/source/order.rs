//! What migrations require of each other.

use super::folder::Requires;
use super::{Migration, Version};
use crate::finding::{Finding, Place};
use std::collections::{BTreeMap, BTreeSet};

/// Writes the requirements into the migrations and says which cannot be met: unknown ones, later ones, circles.
/// Versions whose scripts cannot be read are there all the same.
pub(super) fn check_requirements(
    migrations: &mut [Migration],
    required: Vec<Requires>,
    unreadable: &[Version],
    findings: &mut Vec<Finding>,
) {
    let versions: BTreeMap<Version, usize> = migrations
        .iter()
        .enumerate()
        .map(|(at, migration)| (migration.version.clone(), at))
        .collect();
    let mut edges: Vec<Vec<usize>> = vec![vec![]; migrations.len()];
    let mut upward: Vec<(usize, usize, Place)> = vec![];
    for (at, requires) in required.into_iter().enumerate() {
        for (version, place) in requires {
            match versions.get(&version) {
                None if unreadable.contains(&version) => {}
                None => findings.push(unknown(&version, place, migrations)),
                Some(to) => {
                    if !edges[at].contains(to) {
                        edges[at].push(*to);
                        if *to >= at {
                            upward.push((at, *to, place));
                        }
                    }
                    // The version as the folder writes it, so that it compares and reads alike.
                    let known = migrations[*to].version.clone();
                    if !migrations[at].requires.contains(&known) {
                        migrations[at].requires.push(known);
                    }
                }
            }
        }
    }
    check_upward(migrations, &edges, upward, findings);
}

fn check_upward(
    migrations: &[Migration],
    edges: &[Vec<usize>],
    upward: Vec<(usize, usize, Place)>,
    findings: &mut Vec<Finding>,
) {
    // Every circle holds an edge to a later version, so only from those is searched.
    let mut seen: BTreeSet<Vec<usize>> = BTreeSet::new();
    for (from, to, place) in upward {
        let name = |at: usize| migrations[at].version.to_string();
        match path(edges, to, from) {
            Some(way) => {
                let mut members = way.clone();
                members.sort_unstable();
                if !seen.insert(members) {
                    continue;
                }
                let circle = std::iter::once(from)
                    .chain(way)
                    .map(name)
                    .collect::<Vec<_>>()
                    .join(" → ");
                let message = if from == to {
                    format!("version {} requires itself", name(from))
                } else {
                    format!("these versions require each other: {circle}")
                };
                findings.push(
                    Finding::error("requires-cycle", place, message)
                        .help("take one of the `requires` out"),
                );
            }
            None => {
                let message = format!(
                    "version {} requires {}, which comes after it",
                    name(from),
                    name(to)
                );
                findings.push(
                    Finding::error("requires-later", place, message)
                        .help("migrations are applied in the order of their versions"),
                );
            }
        }
    }
}

fn unknown(version: &Version, place: Place, migrations: &[Migration]) -> Finding {
    let message = format!("version {version} is required and not there");
    let known: Vec<String> = migrations
        .iter()
        .map(|migration| format!("`{}`", migration.version))
        .collect();
    let mut finding = Finding::error("unknown-requirement", place, message);
    // Numbers are all near each other: a guess would mislead, a short list helps.
    finding.help = (!known.is_empty() && known.len() <= 16)
        .then(|| format!("the folder has {}", known.join(", ")));
    finding
}

/// A way along the edges, both ends in it.
fn path(edges: &[Vec<usize>], from: usize, to: usize) -> Option<Vec<usize>> {
    let mut came: Vec<Option<usize>> = vec![None; edges.len()];
    let mut open = vec![from];
    let mut known = vec![false; edges.len()];
    known[from] = true;
    while let Some(at) = open.pop() {
        if at == to {
            let mut way = vec![at];
            let mut step = at;
            while let Some(before) = came[step] {
                way.push(before);
                step = before;
            }
            way.reverse();
            return Some(way);
        }
        for next in &edges[at] {
            if !known[*next] {
                known[*next] = true;
                came[*next] = Some(at);
                open.push(*next);
            }
        }
    }
    None
}
