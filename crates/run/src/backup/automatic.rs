//! `on_failure = "restore"`: the backup from before a run comes back when the run has failed.

use super::manifest::Manifest;
use super::{list, restore};
use crate::digest::{self, Scope};
use crate::executor::RunReport;
use crate::trouble;
use crate::world::World;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::foreign;
use dunlin_engines::Purpose;
use std::collections::BTreeSet;

/// Brings the backup back that was made for a failed run, where the run left anything, and nobody else has written in
/// the meantime as far as can be seen: every table that the run's scripts do not name is as it was backed up, and no
/// other runner came in between. What was done, or why it was not, stands in the failure. `own`: the tables that the
/// scripts change, in lower case; `token`: the fence's token of the run.
pub async fn after_failure(
    world: &World,
    path: &str,
    token: i64,
    own: &BTreeSet<String>,
    report: &mut RunReport,
    sink: &mut dyn Sink,
) {
    let Some(failure) = &mut report.failure else {
        return;
    };
    if failure.class != FailureClass::Failed || (failure.done.is_empty() && report.steps.is_empty())
    {
        return;
    }
    let what = format!("the whole run, by restoring {path}");
    sink.event(&Event::Undoing { what: what.clone() });
    match try_restore(world, path, token, own, sink).await {
        Ok(()) => {
            let done = std::mem::take(&mut failure.done);
            let steps = std::mem::take(&mut report.steps);
            let applied = steps
                .iter()
                .map(|step| format!("{} {}", step.version, step.name));
            failure.undone.extend(applied.chain(done));
            failure.undone.push(what);
        }
        Err(why) => {
            let why = world.redact(why);
            failure.hints.push(format!(
                "the backup from before this run, `{path}`, was not brought back: {}",
                why.message
            ));
            failure.hints.extend(why.hints);
            failure.hints.push(format!(
                "`dunlin backup restore {path} --replace` brings the whole database back to it: every migration of this \
                 run, and everything that others have written since, goes"
            ));
        }
    }
}

async fn try_restore(
    world: &World,
    path: &str,
    token: i64,
    own: &BTreeSet<String>,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let folder = &world.config.backup_dir;
    let manifest = list(folder)
        .into_iter()
        .find(|manifest| manifest.path(folder).display().to_string() == path)
        .ok_or_else(|| Failure::refused("no-backup", format!("there is no backup `{path}`")))?;
    manifest.check_file(folder)?;
    let written = written_by_others(world, &manifest, own, sink).await?;
    if !written.is_empty() {
        let message = format!("others have written since: {}", written.join(", "));
        return Err(Failure::refused("written-since", message));
    }
    restore::bring_back(world, &manifest, folder, true, Some(token), sink).await
}

/// The tables that the run does not name and that are not as they were backed up.
async fn written_by_others(
    world: &World,
    manifest: &Manifest,
    own: &BTreeSet<String>,
    sink: &mut dyn Sink,
) -> Result<Vec<String>, Failure> {
    let journal = foreign::own_names(&world.names);
    let mut session = world.open(Purpose::Read).await?;
    let found = digest::digest(&mut *session, &Scope::default(), None, sink).await;
    session.close().await;
    let found =
        found.map_err(|error| trouble::refused(&error, "the rows could not be compared"))?;
    let bare = |label: &str| label.rsplit('.').next().unwrap_or(label).to_lowercase();
    let others = manifest.tables.iter().filter(|table| {
        let name = bare(&table.table);
        !own.contains(&name) && !journal.iter().any(|ours| ours.to_lowercase() == name)
    });
    Ok(others
        .filter(|table| {
            let now = found.tables.iter().find(|now| now.table == table.table);
            !now.is_some_and(|now| now.agrees(table))
        })
        .map(|table| table.table.clone())
        .collect())
}
