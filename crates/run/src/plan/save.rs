//! What is saved: before a phase the tables that it touches, and in a step the tables that it names.

use super::Walk;
use super::notes;
use crate::checkpoint::{self, Chosen, Configuration};
use dunlin_core::dialect::Dialect;
use dunlin_core::event::Event;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::Direction;
use dunlin_core::plan::steps::Inverse;
use dunlin_core::source::Project;
use dunlin_core::source::grammar::steps::CheckpointStep;
use dunlin_core::source::plan::{PhaseDoc, StepDoc, StepSpec};
use dunlin_core::sql::{self, LexMode};
use std::collections::BTreeSet;

/// `[configuration]` of the project.
pub fn configuration(project: &Project) -> Configuration {
    let written = project.file.configuration.clone().unwrap_or_default();
    Configuration {
        root: project.root.clone(),
        files: written.files.into_iter().map(|file| file.0).collect(),
        tables: written.tables,
    }
}

/// Makes a checkpoint of the tables that the phase touches and that are there. Gives its id; `None`: it touches none.
pub async fn checkpoint(
    walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
) -> Result<Option<String>, Failure> {
    let tables = touched(walk, phase).await?;
    let configuration = configuration(walk.ask.project);
    if tables.is_empty() && configuration.files.is_empty() && configuration.tables.is_empty() {
        return Ok(None);
    }
    let name = format!("before-{}", phase.id);
    let made = make(walk, &name, tables, configuration).await;
    let made = made.map_err(|mut failure| {
        failure.class = FailureClass::Refused;
        failure.message = format!(
            "phase `{}` did not begin, for the checkpoint before it failed: {}",
            phase.id, failure.message
        );
        failure
    })?;
    Ok(Some(made))
}

/// A step that saves tables.
pub async fn step(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    spec: &CheckpointStep,
) -> Result<(), Failure> {
    if walk.history.flight(key).is_none() {
        // A checkpoint changes nothing that could be taken back; the file stays.
        let undo = Inverse::Nothing("a checkpoint changes nothing".into());
        notes::lowered(walk, doc, key, undo);
        notes::begin(walk, doc, key, Direction::Up).await?;
    }
    let configuration = configuration(walk.ask.project);
    match make(walk, &spec.name, spec.tables.clone(), configuration).await {
        Ok(_) => {
            notes::end(walk, doc, key, Direction::Up, 0, None);
            walk.flush().await
        }
        Err(mut failure) => {
            failure.class = FailureClass::Failed;
            notes::failed(walk, doc, key, Direction::Up, &failure, true).await;
            Err(failure)
        }
    }
}

async fn make(
    walk: &mut Walk<'_, '_>,
    name: &str,
    tables: Vec<String>,
    configuration: Configuration,
) -> Result<String, Failure> {
    walk.flush().await?;
    let chosen = Chosen {
        tables,
        configuration,
        ..Chosen::default()
    };
    let world = walk.runner.world;
    let made = checkpoint::create(world, name, &chosen, walk.runner.sink).await?;
    walk.runner.sink.event(&Event::Note {
        message: format!("checkpoint {} ({})", made.name, made.path.display()),
    });
    Ok(made.id.clone())
}

/// The names of the tables that a phase's steps touch, as far as their text tells, in lower case.
pub(super) fn named(phase: &PhaseDoc, dialect: &dyn Dialect, lex: &LexMode) -> BTreeSet<String> {
    let mut named: BTreeSet<String> = BTreeSet::new();
    for doc in &phase.steps {
        match &doc.kind {
            StepSpec::AddColumns(add) => drop(named.insert(add.table.to_lowercase())),
            StepSpec::Backfill(fill) => drop(named.insert(fill.table.to_lowercase())),
            StepSpec::Require(require) => drop(named.insert(require.table.to_lowercase())),
            StepSpec::Settings(settings) => drop(named.insert(settings.table.to_lowercase())),
            StepSpec::Sql(sql) => {
                let (pieces, _) = sql::split(&sql.text, &dialect.lex_rules(lex));
                for piece in pieces {
                    if let sql::PieceKind::Statement(span) = piece.kind {
                        let class = dialect.classify(&sql.text[span], lex);
                        let names = class.touches.into_iter();
                        named.extend(
                            names.map(|object| object.parent.unwrap_or(object.name).to_lowercase()),
                        );
                    }
                }
            }
            _ => {}
        }
    }
    named
}

/// The tables that a phase's steps touch and that are there.
async fn touched(walk: &mut Walk<'_, '_>, phase: &PhaseDoc) -> Result<Vec<String>, Failure> {
    let work = &mut *walk.runner.work;
    let named = named(phase, work.dialect(), work.lex_mode());
    let looking = |error| crate::trouble::refused(&error, "cannot look at what is there");
    let catalog = crate::observe::whole(work).await.map_err(looking)?;
    let there = catalog.tables.iter().filter(|table| {
        named.contains(&table.name.to_lowercase()) || named.contains(&table.label().to_lowercase())
    });
    Ok(there.map(|table| table.label()).collect())
}
