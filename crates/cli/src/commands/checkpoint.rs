//! `checkpoint create|list|restore|drop`.

use super::Answer;
use super::run::{listen, plain_screen};
use crate::args::{CheckpointVerb, Global};
use crate::context;
use crate::render::table::{self, bytes, duration};
use dunlin::checkpoint::{self, Checkpoint, Chosen, Configuration};
use dunlin::world::World;
use dunlin_core::finding::{Finding, Place};
use dunlin_core::source::Project;

/// `checkpoint …`.
pub async fn checkpoint(global: &Global, verb: CheckpointVerb) -> Result<Answer, Answer> {
    let opened = context::open(global)?;
    let configuration = configuration(&opened.project);
    let world = opened.world(global, false)?;
    match verb {
        CheckpointVerb::Create { name, tables } => {
            let chosen = Chosen {
                tables,
                configuration,
                ..Chosen::default()
            };
            create(global, &world, &name, &chosen).await
        }
        CheckpointVerb::List => Ok(list(&world)),
        CheckpointVerb::Restore { name } => restore(global, &world, &name, &configuration).await,
        CheckpointVerb::Drop { name } => {
            let found = checkpoint::find(&world, &name)?;
            let dropped = dunlin::plan::archive::drop_checkpoint(&world, &found).await;
            dropped.map_err(|failure| world.redact(failure))?;
            let text = format!("removed {} ({})\n", found.name, found.id);
            Ok(Answer::done(text, items(&checkpoint::list(&world).0)))
        }
    }
}

/// `[configuration]` of the project.
fn configuration(project: &Project) -> Configuration {
    let table = project.file.configuration.clone().unwrap_or_default();
    Configuration {
        root: project.root.clone(),
        files: table.files.into_iter().map(|file| file.0).collect(),
        tables: table.tables,
    }
}

async fn create(
    global: &Global,
    world: &World,
    name: &str,
    chosen: &Chosen,
) -> Result<Answer, Answer> {
    let mut screen = plain_screen(global, world);
    let result = checkpoint::create(world, name, chosen, &mut screen).await;
    screen.finish();
    let made = result.map_err(|failure| world.redact(failure))?;
    let text = format!(
        "{} ({}, {}, {} rows, {}, {})\n",
        made.name,
        made.id,
        table::count(made.tables.len(), "table"),
        made.rows(),
        bytes(made.bytes),
        duration(made.duration_ms)
    );
    Ok(Answer::done(text, items(&[made])))
}

fn list(world: &World) -> Answer {
    let (found, wrong) = checkpoint::list(world);
    let text = if found.is_empty() {
        format!(
            "No checkpoints of {} in {}\n",
            world.engine.database(),
            context::shown(&checkpoint::folder(world))
        )
    } else {
        listing(&found)
    };
    let findings = wrong
        .into_iter()
        .map(|failure| Finding::warning(failure.code, Place::default(), failure.message));
    Answer::done(text, items(&found)).with(findings.collect())
}

async fn restore(
    global: &Global,
    world: &World,
    name: &str,
    configuration: &Configuration,
) -> Result<Answer, Answer> {
    let found = checkpoint::find(world, name)?;
    let mut screen = plain_screen(global, world);
    let wait = !global.no_wait;
    let result =
        checkpoint::restore(world, &found, configuration, wait, &mut screen, listen()).await;
    screen.finish();
    let restored = result.map_err(|failure| world.redact(failure))?;
    let mut text = format!(
        "restored {} of {}: {} rows of {}; every digest is as it was\n",
        found.name,
        found.created_at,
        restored.rows,
        table::count(found.tables.len(), "table")
    );
    for file in &restored.files {
        text.push_str(&format!("  and the file {file}\n"));
    }
    text.push_str(&format!(
        "what was there before: dunlin checkpoint restore {}\n",
        restored.before.id
    ));
    let mut data = items(&[found]);
    data["before"] = item(&restored.before);
    data["rows"] = restored.rows.into();
    data["files"] = restored.files.into();
    Ok(Answer::done(text, data))
}

fn item(checkpoint: &Checkpoint) -> serde_json::Value {
    serde_json::json!({
        "id": checkpoint.id, "name": checkpoint.name, "path": context::shown(&checkpoint.path),
        "created_at": checkpoint.created_at, "bytes": checkpoint.bytes, "verified": checkpoint.verified,
        "tables": checkpoint.tables, "files": checkpoint.files,
    })
}

fn items(checkpoints: &[Checkpoint]) -> serde_json::Value {
    let list: Vec<_> = checkpoints.iter().map(item).collect();
    serde_json::json!({ "items": list })
}

fn listing(checkpoints: &[Checkpoint]) -> String {
    let rows = checkpoints.iter().map(|checkpoint| {
        vec![
            checkpoint.name.clone(),
            checkpoint.id.clone(),
            checkpoint
                .created_at
                .get(..19)
                .unwrap_or_default()
                .replace('T', " "),
            bytes(checkpoint.bytes),
            checkpoint.tables.len().to_string(),
            checkpoint.rows().to_string(),
        ]
    });
    table::render(
        &["name", "id", "made at", "size", "tables", "rows"],
        rows.collect(),
        &[3, 4, 5],
    )
}
