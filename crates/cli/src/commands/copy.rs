//! `copy`: a whole migration between databases.

use super::Answer;
use super::digest::world;
use super::run::{listen, plain_screen};
use crate::args::{Copy, Global, IntoExisting};
use crate::context::{self, Opened};
use crate::render::copy as render;
use dunlin::copy::{self as run, Existing, Job, What};
use dunlin::world::World;
use dunlin_core::copy::cast::Casts;
use dunlin_core::copy::parts::Sizing;
use dunlin_core::copy::policy::{Policies, Policy};
use dunlin_core::exit::Outcome;
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_engines::Purpose;
use std::path::Path;

/// `copy`.
pub async fn copy(global: &Global, asked: &Copy) -> Result<Answer, Answer> {
    if asked.live {
        let message = "`--live` comes later: this version copies a state of the source, and changes made meanwhile are not followed";
        return Err(Failure::usage("comes-later", message).into());
    }
    let job = job(global, asked)?;
    let opened = context::open(global)?;
    let from = end(&opened, global, &asked.from)?;
    let to = end(&opened, global, &asked.to)?;
    if from.is_same(&to) {
        let message = "source and target are the same database";
        return Err(Failure::refused("same-database", message).into());
    }
    let mut screen = plain_screen(global, &to);
    if asked.dry_run {
        let before = before_creation(&to).await?;
        let looked = run::dry(&from, before.as_ref().unwrap_or(&to), &job, &mut screen).await;
        screen.finish();
        let looked = looked.map_err(|failure| redact(&from, &to, failure))?;
        let refused = dunlin_core::finding::any_error(&looked.findings);
        let mut answer = Answer::done(render::plan(&looked), render::plan_json(&looked));
        answer.ended = refused.then_some(Outcome::Refused);
        return Ok(answer.with(looked.findings));
    }
    make_file(&to).await?;
    let copied = run::copy(&from, &to, &job, &mut screen, listen()).await;
    screen.finish();
    let copied = copied.map_err(|failure| redact(&from, &to, failure))?;
    let mut answer = Answer::done(render::copied(&copied), render::copied_json(&copied));
    answer.ended = match copied.equal {
        Some(false) => Some(Outcome::Mismatch),
        _ if copied.toothless() => Some(Outcome::Mismatch),
        _ if copied.rejected() > 0 => Some(Outcome::Partial),
        _ => None,
    };
    Ok(answer.with(copied.findings))
}

fn redact(from: &World, to: &World, failure: Failure) -> Answer {
    from.redact(to.redact(failure)).into()
}

/// The world of one end: a name of the project file, or a URL.
pub fn end(opened: &Opened, global: &Global, named: &str) -> Result<World, Answer> {
    if !named.contains(':') && !opened.project.databases.iter().any(|db| db.name == named) {
        let message = format!("`{named}` is neither a database of the project file nor a URL");
        return Err(Failure::usage("unknown-database", message).into());
    }
    world(opened, global, Some(named))
}

/// A database that is a file is made where it is missing: whoever copies into it wants it.
async fn make_file(to: &World) -> Result<(), Answer> {
    if to.engine.file().is_none() {
        return Ok(());
    }
    let made = to.engine.create_database().await;
    made.map_err(|error| {
        to.redact(dunlin::trouble::refused(&error, "cannot make the target"))
            .into()
    })
}

/// The world to look at where the target is a file that is not there yet.
async fn before_creation(to: &World) -> Result<Option<World>, Answer> {
    if to.engine.file().is_none() {
        return Ok(None);
    }
    match to.engine.open(Purpose::Read).await {
        Ok(session) => {
            session.close().await;
            Ok(None)
        }
        Err(error) if error.class == ErrorClass::DatabaseMissing => Ok(Some(to.before_creation()?)),
        // Said by the look itself, with its hints.
        Err(_) => Ok(None),
    }
}

/// What a person decides of tables and columns, where a file says it.
pub fn casts(file: Option<&Path>) -> Result<Casts, Answer> {
    let Some(path) = file else {
        return Ok(Casts::default());
    };
    let shown = context::shown(path);
    let text = std::fs::read_to_string(path).map_err(|error| {
        Answer::from(Failure::usage("cast-file", format!("`{shown}`: {error}")))
    })?;
    Casts::parse(&text, &shown).map_err(Answer::unreadable)
}

fn job(global: &Global, asked: &Copy) -> Result<Job, Answer> {
    let usage = |message: String| Answer::from(Failure::usage("usage", message));
    let mut policies = Policies {
        default: Policy::by_name(&asked.on_error).ok_or_else(|| {
            usage(format!(
                "--on-error {}: fail, reject or coerce",
                asked.on_error
            ))
        })?,
        ..Policies::default()
    };
    for text in &asked.policy {
        policies
            .take(text)
            .map_err(|sentence| usage(format!("--policy {sentence}")))?;
    }
    let casts = casts(asked.cast.as_deref())?;
    casts.decide(&mut policies);
    Ok(Job {
        tables: asked.tables.clone(),
        exclude: asked.exclude.clone(),
        jobs: asked.jobs,
        what: match (asked.schema_only, asked.data_only) {
            (true, _) => What::Schema,
            (_, true) => What::Data,
            _ => What::All,
        },
        casts,
        policies,
        rejects: asked.rejects.clone(),
        resume: asked.resume,
        verify: !asked.no_verify,
        existing: match (asked.into_existing, asked.data_only) {
            (Some(IntoExisting::Append), _) => Some(Existing::Append),
            (Some(IntoExisting::Replace), _) => Some(Existing::Replace),
            (None, true) => Some(Existing::Append),
            (None, false) => None,
        },
        compares: false,
        wait: !global.no_wait,
        step: None,
        large: large(),
    })
}

/// From when on tables are copied in parts. A test tries it with small ones.
fn large() -> Sizing {
    let rows = std::env::var("DUNLIN_TEST_LARGE").ok();
    let rows = rows.and_then(|rows| rows.parse().ok());
    rows.map_or_else(Sizing::default, |rows| Sizing {
        rows,
        times: 1,
        ..Sizing::default()
    })
}
