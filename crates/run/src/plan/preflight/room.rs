//! Room for what a plan writes beside its steps' own rows: backups, checkpoints, tables that are written anew.

use super::super::{save, state};
use super::disk as disks;
use super::{Scene, on_path};
use dunlin_core::preflight::disk::{self as room, Room};
use dunlin_core::preflight::{Checked, backup, count};
use dunlin_core::source::grammar::plan::PhaseBackup;
use dunlin_core::source::plan::requires::parse_bytes;
use dunlin_core::source::plan::{PlanDoc, StepDoc, StepSpec};
use dunlin_engines::Session;
use std::collections::BTreeSet;

/// Room for the backups and checkpoints that phases ask for. Both are compressed: what the server says of the size of
/// tables is the most that they take.
pub(super) async fn of_backup_disk(
    scene: &Scene<'_>,
    session: &mut dyn Session,
) -> Option<Checked> {
    let ahead = scene.ahead.iter();
    let whole = ahead.filter(|phase| phase.backup == PhaseBackup::Database);
    let whole = whole.count();
    let parts = checkpoints(scene);
    if whole == 0 && parts.is_empty() {
        return None;
    }
    let mut needed = parts.iter().copied().sum::<Option<u64>>();
    if whole > 0 {
        let bytes = match state::bytes(session).await {
            Some(bytes) => Some(bytes),
            None => scene.ground.sizes.iter().map(|size| size.bytes).sum(),
        };
        let all = bytes.map(|bytes| bytes.saturating_mul(whole as u64));
        needed = all
            .zip(needed)
            .map(|(all, parts)| all.saturating_add(parts));
    }
    let counted = [(whole, "backup"), (parts.len(), "checkpoint")];
    let counted = counted.iter().filter(|(n, _)| *n > 0);
    let what: Vec<String> = counted.map(|(n, what)| count(*n, what)).collect();
    let folder = &scene.world.config.backup_dir;
    Some(room::check(&Room {
        id: "disk-backup".into(),
        folder: folder.display().to_string(),
        what: what.join(" and "),
        needed,
        free: disks::free(folder),
        ..Room::default()
    }))
}

/// How much each checkpoint takes at most that phases and steps ahead make; `None`: not known.
fn checkpoints(scene: &Scene<'_>) -> Vec<Option<u64>> {
    let ground = scene.ground;
    let mut found = vec![];
    for phase in &scene.ahead {
        if phase.backup == PhaseBackup::Checkpoint {
            let named = save::named(phase, ground.dialect, &ground.lex);
            found.push(size(scene, &named));
        }
        let is_ahead =
            |step: &&StepDoc| scene.looks.get(&step.id).is_some_and(|look| !look.is_done);
        for step in phase.steps.iter().filter(is_ahead) {
            if let StepSpec::Checkpoint(spec) = &step.kind {
                let tables = spec.tables.iter();
                found.push(size(
                    scene,
                    &tables.map(|table| table.to_lowercase()).collect(),
                ));
            }
        }
    }
    found
}

/// The size of the tables with these names, as far as they are there.
fn size(scene: &Scene<'_>, named: &BTreeSet<String>) -> Option<u64> {
    let sizes = scene.ground.sizes.iter().filter(|size| {
        let name = size.name.to_lowercase();
        let whole = size.schema.as_ref();
        let whole = whole.map(|schema| format!("{}.{name}", schema.to_lowercase()));
        named.contains(&name) || whole.is_some_and(|whole| named.contains(&whole))
    });
    sizes.map(|size| size.bytes).sum()
}

/// The room that must be left where the database writes.
pub(super) fn least_room(doc: &PlanDoc) -> u64 {
    let watch = doc.watch.as_ref();
    let least = watch.and_then(|watch| watch.min_free_disk.as_deref());
    least.and_then(|text| parse_bytes(text).ok()).unwrap_or(0)
}

/// The largest table that a step writes anew beside itself, with its size: so much room that takes.
pub(super) fn rewritten(scene: &Scene<'_>) -> Option<(u64, String)> {
    let steps = scene.ahead.iter().flat_map(|phase| &phase.steps);
    let looks = steps.filter_map(|step| scene.looks.get(&step.id));
    let heavy = looks.flat_map(|look| look.seen(scene.ground).heavy);
    let anew = heavy.filter(|one| ["table-rewrite", "rebuild-loses-rows"].contains(&one.code));
    anew.filter_map(|one| Some((one.bytes?, one.table))).max()
}

/// Room where the database writes.
pub(super) async fn of_data_disk(scene: &Scene<'_>, session: &mut dyn Session) -> Checked {
    let least = least_room(scene.doc);
    let data = disks::of_data(scene.world, session).await;
    let (anew, what) = match rewritten(scene) {
        Some((bytes, table)) => (bytes, format!("the database (`{table}` is written anew)")),
        None => (0, "the database".to_owned()),
    };
    let needed = least.saturating_add(anew);
    room::check(&Room {
        id: "disk".into(),
        folder: data
            .as_ref()
            .map(|path| path.display().to_string())
            .unwrap_or_default(),
        what,
        needed: Some(needed).filter(|needed| *needed > 0),
        at_least: least,
        free: data.and_then(|path| disks::free(&path)),
    })
}

/// Whether what is saved before phases can be saved.
pub(super) fn of_backups(scene: &Scene<'_>) -> Checked {
    let folder = &scene.world.config.backup_dir;
    let tools = scene.ground.dialect.preflight().dump_tools();
    let asks = |backup| scene.ahead.iter().any(|phase| phase.backup == backup);
    let is_asked = asks(PhaseBackup::Database);
    let checkpoints = asks(PhaseBackup::Checkpoint);
    backup::check(&backup::Means {
        is_asked,
        checkpoints,
        folder: folder.display().to_string(),
        writable: match is_asked || checkpoints {
            true => disks::writable(folder),
            false => Ok(()),
        },
        tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
        tool: tools
            .iter()
            .find(|tool| on_path(tool).is_some())
            .map(|tool| (*tool).to_owned()),
    })
}
