//! A run that failed is taken back by the backup that was made before it: under `on_failure = "undo"` where inverses do
//! not do it and nobody else has written, under `"restore"` always but where others' tables were written to.

use super::manifest::Manifest;
use super::replay::{self, Seen};
use super::{create_verified, list, restore};
use crate::executor::{Ran, RunReport};
use crate::world::World;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::plan::Phase;
use dunlin_core::source::{OnFailure, Script};
use dunlin_core::sql::LexMode;
use std::collections::BTreeSet;

/// How often it is tried again where others write while their state is being saved.
const TRIES: u32 = 3;

/// A run that has ended.
pub struct Run<'r> {
    /// The backup from before it.
    pub path: String,
    /// The fence's token under which it worked.
    pub token: i64,
    /// What it was to do.
    pub phase: &'r Phase,
    /// How far it came.
    pub ran: Vec<Ran>,
    /// How its scripts are lexed.
    pub mode: LexMode,
}

impl Run<'_> {
    /// The script of a migration that ran.
    pub(super) fn script(&self, ran: &Ran) -> Option<&Script> {
        let mut steps = self.phase.steps.iter();
        steps
            .find(|step| step.migration().version == ran.version)
            .and_then(|step| step.script())
    }

    /// Whether the migration that failed left anything.
    fn stands(&self) -> bool {
        let done = self.ran.last().and_then(|ran| ran.done.as_ref());
        done.is_some_and(|done| !done.is_empty())
    }

    /// The tables that the scripts change, in lower case.
    fn own(&self) -> BTreeSet<String> {
        let classes = self.ran.iter().flat_map(|ran| &ran.lowered.classes);
        let touched = classes.flat_map(|class| &class.touches);
        touched
            .map(|object| {
                object
                    .parent
                    .as_ref()
                    .unwrap_or(&object.name)
                    .to_lowercase()
            })
            .collect()
    }
}

/// What came back, and what went for it.
struct Back {
    /// The backup of the state that was replaced.
    safety: String,
    /// What of the run's own tables others had written, or may have.
    others: Option<String>,
}

/// Brings the backup back that was made for a failed run, where the settings want it and it loses nothing that is not
/// saved. What was done, or why it was not, stands in the failure.
pub async fn after_failure(
    world: &World,
    run: &Run<'_>,
    report: &mut RunReport,
    sink: &mut dyn Sink,
) {
    let Some(failure) = &mut report.failure else {
        return;
    };
    let something = match world.config.on_failure {
        OnFailure::Stop => false,
        OnFailure::Undo => run.stands() && failure.code != "connection-lost",
        OnFailure::Restore => !failure.done.is_empty() || !report.steps.is_empty(),
    };
    if failure.class != FailureClass::Failed || !something {
        return;
    }
    let path = &run.path;
    let what = format!("the whole run, by restoring {path}");
    sink.event(&Event::Undoing { what: what.clone() });
    match try_restore(world, run, sink).await {
        Ok(back) => {
            let done = std::mem::take(&mut failure.done);
            let steps = std::mem::take(&mut report.steps);
            let applied = steps
                .iter()
                .map(|step| format!("{} {}", step.version, step.name));
            failure.undone.extend(applied.chain(done));
            failure.undone.push(what);
            failure.hints.extend(back.others);
            failure.hints.push(format!(
                "what was replaced is kept in the backup `{}`; mend the script and run again",
                back.safety
            ));
        }
        Err(why) => {
            let why = world.redact(why);
            failure.hints.push(format!(
                "the backup from before this run, `{path}`, was not brought back: {}",
                why.message
            ));
            failure.hints.extend(why.hints);
            failure.hints.push(
                "what was done stands: mend the script and run again, it goes on from there".into(),
            );
            failure.hints.push(format!(
                "`dunlin backup restore {path} --replace` brings the whole database back to it: every migration of this \
                 run, and everything that others have written since, goes"
            ));
        }
    }
}

async fn try_restore(world: &World, run: &Run<'_>, sink: &mut dyn Sink) -> Result<Back, Failure> {
    let folder = &world.config.backup_dir;
    let manifest = list(folder)
        .into_iter()
        .find(|manifest| manifest.path(folder).display().to_string() == run.path)
        .ok_or_else(|| {
            Failure::refused("no-backup", format!("there is no backup `{}`", run.path))
        })?;
    manifest.check_file(folder)?;
    let expected = replay::expected(world, &manifest, run, sink).await;
    for _ in 0..TRIES {
        let now = replay::look(world, &*world.engine, &manifest, sink).await?;
        let others = match world.config.on_failure {
            OnFailure::Restore => words_of_restore(run, &manifest, expected.as_ref(), &now)?,
            _ => nobody_wrote(world, expected.as_ref(), &now).map(|()| None)?,
        };
        let (safety, _) = create_verified(world, sink).await?;
        let unless = restore::Unless {
            token: run.token,
            seen: &now,
        };
        let back = match holds(&safety, &now) {
            true => restore::bring_back(world, &manifest, folder, true, Some(&unless), sink).await,
            false => Err(restore::written_meanwhile(&[])),
        };
        match back {
            Ok(()) => {
                let safety = safety.path(folder).display().to_string();
                return Ok(Back { safety, others });
            }
            // Nothing was touched: that state was replaced by nobody.
            Err(failure) if failure.code == "written-meanwhile" => safety.remove(folder)?,
            Err(failure) if failure.code == "restore-overtaken" => {
                safety.remove(folder)?;
                return Err(failure);
            }
            Err(failure) => {
                let safety = safety.path(folder).display().to_string();
                return Err(failure.hint(format!(
                    "what was there before is kept in the backup `{safety}`"
                )));
            }
        }
    }
    let message = "others write all the time, so no backup holds the state that would be replaced";
    Err(Failure::refused("written-since", message))
}

/// Whether a backup holds the rows that were seen.
fn holds(safety: &Manifest, seen: &Seen) -> bool {
    let held = |table: &crate::digest::TableDigest| {
        let found = safety.tables.iter().find(|it| it.table == table.table);
        found.is_some_and(|found| found.agrees(table))
    };
    seen.tables.iter().all(held)
}

/// `undo`: the database must hold what the backup and the run make, and nothing else.
fn nobody_wrote(
    world: &World,
    expected: Result<&Seen, &Failure>,
    now: &Seen,
) -> Result<(), Failure> {
    let differ = expected.map_err(Clone::clone)?.unlike(now, world);
    if differ.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the database is not what the backup and this run's own statements make: {}",
        differ.join(", ")
    );
    Err(Failure::refused("written-since", message).hint(
        "others have written meanwhile, or a script writes what is new each time (the hour, chance): that cannot be told \
         apart",
    ))
}

/// `restore`: tables that the run does not name must be as they were, or as the run makes them. Of its own tables it is
/// said which hold more.
fn words_of_restore(
    run: &Run<'_>,
    manifest: &Manifest,
    expected: Result<&Seen, &Failure>,
    now: &Seen,
) -> Result<Option<String>, Failure> {
    let own = run.own();
    let bare = |label: &str| label.rsplit('.').next().unwrap_or(label).to_lowercase();
    let names: BTreeSet<&str> = now
        .tables
        .iter()
        .chain(expected.map_or(&[][..], |seen| &seen.tables))
        .map(|table| table.table.as_str())
        .collect();
    let (mut others, mut ours) = (vec![], vec![]);
    for name in names {
        let there = now.table(name);
        let as_made = expected.ok().map(|seen| same(seen.table(name), there));
        let backed_up = manifest.tables.iter().find(|table| table.table == name);
        match own.contains(&bare(name)) {
            true if as_made == Some(false) => ours.push(name),
            false if as_made != Some(true) && !same(backed_up, there) => others.push(name),
            _ => {}
        }
    }
    if !others.is_empty() {
        let message = format!("others have written since: {}", others.join(", "));
        return Err(Failure::refused("written-since", message));
    }
    Ok(match expected {
        Err(why) => Some(format!(
            "whether others have written into the tables that the run changes is not known ({})",
            why.message
        )),
        Ok(_) if ours.is_empty() => None,
        Ok(_) => Some(format!(
            "these tables held other rows than the run alone would have made: {}",
            ours.join(", ")
        )),
    })
}

fn same(a: Option<&crate::digest::TableDigest>, b: Option<&crate::digest::TableDigest>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.agrees(b),
        (None, None) => true,
        _ => false,
    }
}
