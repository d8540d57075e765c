//! Which migrations a run takes, in which order, and what forbids it.

use super::{Plan, Step};
use crate::failure::{Failure, FailureClass};
use crate::finding::{Finding, Place};
use crate::journal::{Direction, History, UnitState};
use crate::source::{Migration, OutOfOrder, Version};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What `up` is asked for.
#[derive(Debug, Clone, Default)]
pub struct UpGoal {
    /// The last version to apply, inclusive.
    pub to: Option<Version>,
    /// What to do about versions below the newest applied one.
    pub out_of_order: OutOfOrder,
}

/// What `down` is asked for.
#[derive(Debug, Clone)]
pub enum DownGoal {
    /// The newest `n`.
    Steps(usize),
    /// Everything above this version.
    To(Version),
    /// Just this one.
    Only(Version),
}

/// The state of one version, for `status` and for planning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// In the folder, not applied.
    Pending,
    /// Applied as the folder has it.
    Applied,
    /// Applied, and the script's meaning has changed since.
    Changed,
    /// Applied, and the folder no longer has it.
    Missing,
    /// Failed, with something left of it or not; `up` tries again.
    Failed,
    /// Began, and its end is not known.
    InDoubt,
    /// Pending, below the newest applied one.
    OutOfOrder,
}

/// The state of a version in the light of folder and journal. `open` tells whether a block of it is in doubt.
pub fn state_of(
    version: &Version,
    migration: Option<&Migration>,
    history: &History,
    in_doubt: bool,
) -> State {
    let newest = history.applied().next_back().map(|(version, _)| version);
    match (history.units.get(version), migration) {
        (Some(UnitState::Applied(applied)), Some(migration)) => match &applied.fingerprint {
            Some(was)
                if was.version == migration.up.fingerprint.version
                    && was.meaning != migration.up.fingerprint.meaning =>
            {
                State::Changed
            }
            _ => State::Applied,
        },
        (Some(UnitState::Applied(_)), None) => State::Missing,
        (Some(UnitState::InFlight(_)), _) if in_doubt => State::InDoubt,
        (Some(UnitState::InFlight(flight)), _) if flight.error.is_some() => State::Failed,
        (Some(UnitState::Absent { failed: Some(_) }), Some(_)) => State::Failed,
        _ if newest.is_some_and(|newest| version < newest) => State::OutOfOrder,
        _ => State::Pending,
    }
}

fn missing_script(version: &Version, name: &str) -> Finding {
    let message = format!("{version} {name} is applied, and its script is not in the folder");
    let place = Place::object(version.to_string());
    Finding::warning("missing-script", place, message)
        .help("bring the file back, or take the version off the record with `dunlin reset`")
}

/// Findings about applied scripts that are not as they were: an edited one stops, an edited comment warns, a missing
/// one warns.
pub fn compare(migrations: &[Arc<Migration>], history: &History) -> Vec<Finding> {
    let mut findings = vec![];
    let by_version: BTreeMap<_, _> = migrations
        .iter()
        .map(|migration| (&migration.version, migration))
        .collect();
    for (version, applied) in history.applied() {
        let Some(migration) = by_version.get(version) else {
            findings.push(missing_script(version, &applied.name));
            continue;
        };
        let Some(was) = &applied.fingerprint else {
            continue;
        };
        let now = &migration.up.fingerprint;
        if was.version != now.version {
            continue; // another algorithm: the old row stays valid
        }
        if was.meaning != now.meaning {
            findings.push(
                Finding::error(
                    "changed-script",
                    Place::file(&migration.up.file),
                    format!("{version} {} was applied on {}, and its script has changed since", migration.name, applied.at),
                )
                .help(format!(
                    "put the script back as it was and write a new migration; or, if the change is right, accept it: \
                     `dunlin repair --accept {version}`"
                )),
            );
        } else if was.bytes != now.bytes {
            let message = format!(
                "comments or white space of {version} {} have changed since it was applied",
                migration.name
            );
            findings.push(Finding::warning(
                "changed-comments",
                Place::file(&migration.up.file),
                message,
            ));
        }
        if let (Some(was), Some(now)) = (
            &applied.undo_fingerprint,
            migration.undo.as_ref().map(|undo| &undo.fingerprint),
        ) && was.version == now.version
            && was.meaning != now.meaning
        {
            let message = format!(
                "the undo part of {version} {} has changed since it was applied",
                migration.name
            );
            findings.push(Finding::warning(
                "changed-undo",
                Place::file(&migration.up.file),
                message,
            ));
        }
    }
    findings
}

fn unknown_version(version: &Version, migrations: &[Arc<Migration>]) -> Failure {
    let near: Vec<_> = migrations
        .iter()
        .map(|migration| migration.version.0.clone())
        .collect();
    let known = if near.is_empty() {
        "the folder is empty".into()
    } else {
        format!("the folder has {}", near.join(", "))
    };
    Failure::usage(
        "unknown-version",
        format!("there is no migration {version}"),
    )
    .hint(known)
}

fn half_way(history: &History, wanted: Direction) -> Result<(), Failure> {
    for (version, flight) in history.in_flight() {
        if flight.direction != wanted {
            let (is, verb) = match flight.direction {
                Direction::Up => ("half applied", "up"),
                Direction::Down => ("half taken back", "down"),
            };
            return Err(Failure::refused(
                "half-way",
                format!("{version} is {is} since {}", flight.at),
            )
            .hint(format!("`dunlin {verb}` goes on where it stopped"))
            .hint(format!(
                "or settle it by your own word: `dunlin repair --settle {version} done|not-done`"
            )));
        }
    }
    Ok(())
}

/// What `up` will do.
pub fn up(
    migrations: &[Arc<Migration>],
    history: &History,
    goal: &UpGoal,
) -> Result<(Plan, Vec<Finding>), Failure> {
    if let Some(to) = &goal.to
        && !migrations.iter().any(|migration| migration.version == *to)
    {
        return Err(unknown_version(to, migrations));
    }
    half_way(history, Direction::Up)?;
    let mut findings = compare(migrations, history);
    let newest = history
        .applied()
        .next_back()
        .map(|(version, _)| version.clone());
    let mut taken: Vec<&Arc<Migration>> = vec![];
    for migration in migrations {
        let version = &migration.version;
        let in_flight = matches!(history.units.get(version), Some(UnitState::InFlight(_)));
        if history.is_applied(version)
            || goal
                .to
                .as_ref()
                .is_some_and(|to| version > to && !in_flight)
        {
            continue;
        }
        if !in_flight && newest.as_ref().is_some_and(|newest| version < newest) {
            let message = format!(
                "{version} {} is not applied, and the newer {} is",
                migration.name,
                newest.as_ref().map(|v| v.0.as_str()).unwrap_or_default()
            );
            let place = Place::file(&migration.up.file);
            match goal.out_of_order {
                OutOfOrder::Stop => {
                    findings.push(Finding::error("out-of-order", place, message).help(
                        "give it a higher version, or set `out_of_order = \"apply\"` (or \"warn\" to leave it pending)",
                    ));
                    continue;
                }
                OutOfOrder::Warn => {
                    findings.push(Finding::warning("out-of-order", place, message));
                    continue;
                }
                OutOfOrder::Apply => findings.push(Finding::info("out-of-order", place, message)),
            }
        }
        taken.push(migration);
    }
    // What stands half way goes first: nothing may be built on an unfinished step.
    taken.sort_by_key(|migration| {
        !matches!(
            history.units.get(&migration.version),
            Some(UnitState::InFlight(_))
        )
    });
    required(&taken, history, &mut findings);
    let steps = taken
        .into_iter()
        .map(|migration| Step::migrate(migration, Direction::Up))
        .collect();
    Ok((Plan::of("up", steps), findings))
}

fn required(taken: &[&Arc<Migration>], history: &History, findings: &mut Vec<Finding>) {
    let mut there: BTreeSet<&Version> = history.applied().map(|(version, _)| version).collect();
    for migration in taken {
        for needed in &migration.requires {
            if !there.contains(needed) {
                findings.push(
                    Finding::error(
                        "requires",
                        Place::file(&migration.up.file),
                        format!(
                            "{} {} requires {needed}, which is not applied",
                            migration.version, migration.name
                        ),
                    )
                    .help(format!("apply {needed} first; nothing has been touched")),
                );
            }
        }
        there.insert(&migration.version);
    }
}

/// What `down` will do.
pub fn down(
    migrations: &[Arc<Migration>],
    history: &History,
    goal: &DownGoal,
) -> Result<(Plan, Vec<Finding>), Failure> {
    half_way(history, Direction::Down)?;
    let in_flight: Vec<Version> = history
        .in_flight()
        .map(|(version, _)| version.clone())
        .collect();
    let mut standing: Vec<Version> = history
        .applied()
        .map(|(version, _)| version.clone())
        .collect();
    standing.extend(in_flight.iter().cloned());
    standing.sort();
    let mut chosen: Vec<Version> = match goal {
        DownGoal::Steps(n) => standing.iter().rev().take(*n).cloned().collect(),
        DownGoal::To(version) => {
            if !standing.contains(version) && !version.0.trim_start_matches('0').is_empty() {
                return Err(Failure::usage(
                    "unknown-version",
                    format!("{version} is not applied, so it cannot be kept"),
                )
                .hint("`--to 0` takes everything back"));
            }
            standing
                .iter()
                .rev()
                .filter(|other| *other > version)
                .cloned()
                .collect()
        }
        DownGoal::Only(version) => {
            if !standing.contains(version) {
                return Err(Failure::usage(
                    "unknown-version",
                    format!("{version} is not applied"),
                ));
            }
            vec![version.clone()]
        }
    };
    chosen.sort_by_key(|version| {
        (
            !in_flight.contains(version),
            std::cmp::Reverse(version.clone()),
        )
    });
    let findings = undoable(migrations, &chosen, &standing);
    let find = |version: &Version| {
        migrations
            .iter()
            .find(|migration| migration.version == *version)
    };
    let steps = chosen
        .iter()
        .filter_map(find)
        .map(|migration| Step::migrate(migration, Direction::Down))
        .collect();
    Ok((Plan::of("down", steps), findings))
}

/// Refuses before anything is touched: what has no way back, and what others that stay require.
fn undoable(
    migrations: &[Arc<Migration>],
    chosen: &[Version],
    standing: &[Version],
) -> Vec<Finding> {
    let mut findings = vec![];
    for version in chosen {
        let Some(migration) = migrations
            .iter()
            .find(|migration| migration.version == *version)
        else {
            let message = format!(
                "{version} is applied, and its script is not in the folder: it cannot be taken back"
            );
            findings.push(Finding::error(
                "missing-script",
                Place::object(version.to_string()),
                message,
            ));
            continue;
        };
        let place = Place::file(&migration.up.file);
        if let Some(why) = &migration.irreversible {
            let message = format!("{version} {} has no way back: {why}", migration.name);
            findings.push(
                Finding::error("irreversible", place, message)
                    .help("restore a backup, or write a new migration"),
            );
        } else if migration.undo.is_none() {
            let message = format!("{version} {} has no undo part", migration.name);
            let help = format!(
                "write `{version}_{}.undo.sql`, or a part below `-- dunlin:undo`",
                migration.name
            );
            findings.push(Finding::error("no-undo", place, message).help(help));
        }
        for other in standing.iter().filter(|other| !chosen.contains(other)) {
            let Some(needs) = migrations
                .iter()
                .find(|migration| migration.version == *other)
            else {
                continue;
            };
            if needs.requires.contains(version) {
                let message = format!("{other} {} is applied and requires {version}", needs.name);
                let help = format!("take {other} back first");
                findings.push(
                    Finding::error("required-by", Place::file(&needs.up.file), message).help(help),
                );
            }
        }
    }
    findings
}

/// The failure that findings amount to, where any of them stops: a changed script is a mismatch, the rest a refusal.
pub fn verdict(findings: &[Finding]) -> Result<(), Failure> {
    let errors: Vec<_> = findings
        .iter()
        .filter(|finding| finding.severity == crate::finding::Severity::Error)
        .collect();
    let Some(first) = errors.first() else {
        return Ok(());
    };
    let class = if errors
        .iter()
        .any(|finding| finding.code == "changed-script")
    {
        FailureClass::Mismatch
    } else {
        FailureClass::Refused
    };
    let lead = errors
        .iter()
        .find(|finding| finding.code == "changed-script")
        .unwrap_or(first);
    let more = match errors.len() {
        1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    let mut failure = Failure::new(
        class,
        lead.code,
        format!("{}{more}; nothing has been touched", lead.message),
    );
    failure.place = Some(lead.place.clone());
    failure.hints.extend(lead.help.clone());
    Err(failure)
}
