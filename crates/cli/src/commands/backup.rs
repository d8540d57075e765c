//! `backup create|list|verify|restore|prune`.

use super::Answer;
use super::run::plain_screen;
use crate::args::{BackupVerb, Global};
use crate::context;
use crate::render::table::{self, bytes, duration};
use dunlin::backup::{self, manifest::Manifest};
use dunlin::world::World;
use dunlin_core::failure::Failure;
use std::path::{Path, PathBuf};

/// `backup …`.
pub async fn backup(global: &Global, verb: BackupVerb) -> Result<Answer, Answer> {
    let world = context::open(global)?.world(global, false)?;
    let folder = world.config.backup_dir.clone();
    match verb {
        BackupVerb::Create { if_older_than } => {
            create(global, &world, if_older_than.as_deref()).await
        }
        BackupVerb::List => {
            let found = of_this(&world);
            let text = if found.is_empty() {
                format!(
                    "No backups of {} in {}\n",
                    world.engine.database(),
                    context::shown(&folder)
                )
            } else {
                listing(&found)
            };
            Ok(Answer::done(text, items(&folder, &found)))
        }
        BackupVerb::Verify { file } => {
            let (folder, manifest) = chosen(&world, file)?;
            let mut world = world;
            world.config.backup_dir = folder.clone();
            let mut screen = plain_screen(global, &world);
            let result = backup::verify(&world, &manifest, &mut screen).await;
            screen.finish();
            let (manifest, findings) = result.map_err(|failure| world.redact(failure))?;
            let how = manifest.verified.clone().unwrap_or_default();
            let text = format!(
                "{}: verified {how}\n",
                context::shown(&manifest.path(&folder))
            );
            Ok(Answer::done(text, items(&folder, &[manifest])).with(findings))
        }
        BackupVerb::Restore { file, replace } => {
            let (folder, manifest) = chosen(&world, Some(file))?;
            let mut screen = plain_screen(global, &world);
            let result = backup::restore(&world, &manifest, &folder, replace, &mut screen).await;
            screen.finish();
            result.map_err(|failure| world.redact(failure))?;
            let text = format!(
                "restored {} of {}; every digest is as it was\n",
                manifest.name, manifest.created_at
            );
            Ok(Answer::done(text, items(&folder, &[manifest])))
        }
        BackupVerb::Prune { keep } => {
            let keep = keep.unwrap_or(world.config.backup_keep) as usize;
            let gone = backup::prune(&world, keep)?;
            let text = if gone.is_empty() {
                format!(
                    "Nothing to prune: {} or fewer are there\n",
                    table::count(keep, "backup")
                )
            } else {
                gone.iter()
                    .map(|name| format!("removed {name}\n"))
                    .collect()
            };
            let mut data = items(&folder, &of_this(&world));
            data["removed"] = gone.into();
            Ok(Answer::done(text, data))
        }
    }
}

async fn create(
    global: &Global,
    world: &World,
    if_older_than: Option<&str>,
) -> Result<Answer, Answer> {
    let folder = world.config.backup_dir.clone();
    if let Some(text) = if_older_than {
        let bound = context::duration("--if-older-than", text)?;
        if let Some(newest) = of_this(world).into_iter().next() {
            let at: Option<jiff::Timestamp> = newest.created_at.parse().ok();
            let age = at.map(|at| world.clock.now().duration_since(at));
            if age.is_some_and(|age| age.unsigned_abs() < bound) {
                let text = format!(
                    "Nothing to do: the newest backup is of {}\n",
                    newest.created_at
                );
                return Ok(Answer::done(text, items(&folder, &[newest])));
            }
        }
    }
    let mut screen = plain_screen(global, world);
    let result = backup::create(world, &mut screen).await;
    screen.finish();
    let (manifest, findings) = result.map_err(|failure| world.redact(failure))?;
    let rows: u64 = manifest.tables.iter().map(|table| table.rows).sum();
    let mut text = format!(
        "{} ({}, {}, {rows} rows, {})\n",
        context::shown(&manifest.path(&folder)),
        bytes(manifest.bytes),
        table::count(manifest.tables.len(), "table"),
        duration(manifest.duration_ms)
    );
    for lack in &manifest.lacks {
        text.push_str(&format!("  lacks: {lack}\n"));
    }
    Ok(Answer::done(text, items(&folder, &[manifest])).with(findings))
}

fn of_this(world: &World) -> Vec<Manifest> {
    let database = world.engine.database();
    backup::list(&world.config.backup_dir)
        .into_iter()
        .filter(|manifest| manifest.database == database)
        .collect()
}

/// The backup of a path (either of its files), or the newest of this database.
fn chosen(world: &World, file: Option<PathBuf>) -> Result<(PathBuf, Manifest), Answer> {
    match file {
        Some(file) => {
            let folder = match file.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
                _ => PathBuf::from("."),
            };
            let manifest = Manifest::read(&file.with_extension("json"))?;
            Ok((folder, manifest))
        }
        None => {
            let folder = world.config.backup_dir.clone();
            let newest = of_this(world).into_iter().next();
            let missing = || {
                Failure::refused(
                    "no-backup",
                    format!("there is no backup of {} yet", world.engine.database()),
                )
            };
            let manifest =
                newest.ok_or_else(|| missing().hint("`dunlin backup create` makes one"))?;
            Ok((folder, manifest))
        }
    }
}

fn items(folder: &Path, manifests: &[Manifest]) -> serde_json::Value {
    let list: Vec<_> = manifests
        .iter()
        .map(|manifest| {
            serde_json::json!({
                "name": manifest.name, "path": context::shown(&manifest.path(folder)), "created_at": manifest.created_at,
                "bytes": manifest.bytes, "verified": manifest.verified, "tables": manifest.tables,
                "method": manifest.method, "tool": manifest.tool, "digest": manifest.digest, "lacks": manifest.lacks,
            })
        })
        .collect();
    serde_json::json!({ "items": list })
}

fn listing(manifests: &[Manifest]) -> String {
    let rows = manifests.iter().map(|manifest| {
        vec![
            manifest.name.clone(),
            manifest
                .created_at
                .get(..19)
                .unwrap_or_default()
                .replace('T', " "),
            bytes(manifest.bytes),
            manifest.tables.len().to_string(),
            manifest
                .verified
                .clone()
                .unwrap_or_else(|| "not verified".into()),
        ]
    });
    table::render(
        &["name", "made at", "size", "tables", "verified"],
        rows.collect(),
        &[2, 3],
    )
}
