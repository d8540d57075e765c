//! `schema`, `drop-all`, `support`: the catalog shown, what is ours dropped, and all of it for a bug report.

use super::Answer;
use super::run::{listen, plain_screen};
use crate::args::{Global, SchemaForm};
use crate::context;
use dunlin::inspect;
use dunlin_core::exit::Outcome;
use dunlin_core::failure::Failure;
use dunlin_core::schema::render;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Writes a file beside its place and renames it: a full disk leaves no half of it.
pub fn save(path: &Path, text: &str) -> Result<(), Answer> {
    let shown = context::shown(path);
    let failed = |error: std::io::Error| {
        Answer::from(Failure::usage(
            "file-unwritable",
            format!("`{shown}` cannot be written: {error}"),
        ))
    };
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    std::fs::write(&name, text).map_err(failed)?;
    std::fs::rename(&name, path).map_err(failed)
}

/// `schema`.
pub async fn schema(
    global: &Global,
    output: Option<&Path>,
    form: SchemaForm,
) -> Result<Answer, Answer> {
    let world = context::open(global)?.world(global, false)?;
    let seen = inspect::schema(&world)
        .await
        .map_err(|failure| world.redact(failure))?;
    let dialect = world.dialect();
    let text = match form {
        SchemaForm::Sql => render::script(&render::dump(&seen.catalog, dialect), dialect),
        SchemaForm::Json => render::json(&seen.catalog, &seen.sizes),
        SchemaForm::Md => render::markdown(&seen.catalog, &seen.sizes, dialect),
    };
    let data = serde_json::json!({ "catalog": seen.catalog, "sizes": seen.sizes, "file": output.map(context::shown) });
    match output {
        Some(path) => {
            save(path, &text)?;
            Ok(Answer::done(
                format!("wrote {}\n", context::shown(path)),
                data,
            ))
        }
        None => Ok(Answer::done(text, data)),
    }
}

/// `drift`.
pub async fn drift(global: &Global, rebuild: bool) -> Result<Answer, Answer> {
    let (world, found, findings) = if rebuild {
        let context = context::open(global)?.context(global, false)?;
        let found = inspect::drift_rebuild(&context.world, &context.migrations).await;
        (context.world, found, context.findings)
    } else {
        let world = Arc::new(context::open(global)?.world(global, false)?);
        let found = inspect::drift(&world).await;
        (world, found, vec![])
    };
    let found = found.map_err(|failure| world.redact(failure))?;
    let what = if rebuild {
        "what the migrations make"
    } else {
        "the catalog recorded at the last run's end"
    };
    let shown = world.redactor.apply(&world.engine.describe());
    let mut text = if found.differences.is_empty() {
        format!("No drift: {shown} is as {what}\n")
    } else {
        format!(
            "{} between {shown} and {what}:\n",
            crate::render::table::count(found.differences.len(), "difference")
        )
    };
    for difference in &found.differences {
        let kind = serde_json::to_value(difference.kind).ok();
        let kind = kind
            .as_ref()
            .and_then(|kind| kind.as_str())
            .unwrap_or_default()
            .to_owned();
        let _ = writeln!(text, "\n{kind} {}", difference.object);
        for (word, value) in [
            ("expected", &difference.expected),
            ("actual", &difference.actual),
        ] {
            if let Some(value) = value {
                let _ = writeln!(text, "  {word}: {}", value.replace('\n', "\n    "));
            }
        }
        let _ = writeln!(
            text,
            "  fix: {}",
            difference.fix.to_string().replace('\n', "\n    ")
        );
    }
    for note in &found.notes {
        let _ = writeln!(text, "\nnote: {note}");
    }
    let ended = (!found.differences.is_empty()).then_some(Outcome::Mismatch);
    let data = serde_json::json!({ "differences": found.differences, "notes": found.notes });
    Ok(Answer {
        told: vec![],
        ended,
        data,
        findings,
        failure: None,
        text,
    })
}

/// `drop-all`.
pub async fn drop_all(global: &Global, confirm: &str, everything: bool) -> Result<Answer, Answer> {
    let world = context::open(global)?.world(global, false)?;
    let name = world.engine.database();
    if confirm != name && confirm != world.config.name {
        return Err(Failure::usage(
            "not-confirmed",
            format!("`--confirm {confirm}` does not name this database"),
        )
        .hint(format!("it is `{name}`"))
        .into());
    }
    let mut screen = plain_screen(global, &world);
    let result =
        dunlin::drop_all::drop_all(&world, everything, !global.no_wait, &mut screen, listen())
            .await;
    screen.finish();
    let dropped = result.map_err(|failure| world.redact(failure))?;
    let mut text: String = dropped
        .iter()
        .map(|object| format!("dropped {object}\n"))
        .collect();
    if dropped.is_empty() {
        text = "Nothing to drop: nothing of ours is there\n".into();
    }
    Ok(Answer::done(
        text,
        serde_json::json!({ "changed": dropped, "lease": null }),
    ))
}

/// `support`.
pub async fn support(global: &Global, output: &Path) -> Result<Answer, Answer> {
    let opened = context::open(global)?;
    let log = opened.project.log.clone();
    let context = opened.context(global, false)?;
    let world = &context.world;
    let mut text = format!(
        "# Support report\n\n- dunlin {}\n- {} {}\n- database {}\n- written {}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
        world.engine.describe(),
        world.clock.stamp(),
    );
    // Whatever can be had goes in; what cannot says why, and the report is still written.
    match dunlin::status::status(world, &context.migrations).await {
        Ok(status) => {
            let json = serde_json::to_string_pretty(&status.migrations).unwrap_or_default();
            let _ = write!(text, "\n## Migrations\n\n```json\n{json}\n```\n");
        }
        Err(failure) => {
            let _ = write!(text, "\n## Migrations\n\nnot to be had: {failure}\n");
        }
    }
    match dunlin::journal_store::tail(world, 200).await {
        Ok(lines) => {
            let _ = write!(
                text,
                "\n## Journal (newest 200)\n\n```\n{}\n```\n",
                lines.join("\n")
            );
        }
        Err(failure) => {
            let _ = write!(text, "\n## Journal\n\nnot to be had: {failure}\n");
        }
    }
    match inspect::schema(world).await {
        Ok(seen) => {
            let _ = write!(
                text,
                "\n{}\n",
                render::markdown(&seen.catalog, &seen.sizes, world.dialect())
            );
        }
        Err(failure) => {
            let _ = write!(text, "\n## Catalog\n\nnot to be had: {failure}\n");
        }
    }
    if let Some(lines) = log.and_then(|path| std::fs::read_to_string(path).ok()) {
        let lines: Vec<&str> = lines.lines().collect();
        let from = lines.len().saturating_sub(200);
        let _ = write!(
            text,
            "\n## Log (newest 200 lines)\n\n```\n{}\n```\n",
            lines[from..].join("\n")
        );
    }
    save(output, &world.redactor.apply(&text))?;
    let shown = context::shown(output);
    Ok(Answer::done(
        format!("wrote {shown}\n"),
        serde_json::json!({ "file": shown }),
    )
    .with(context.findings))
}
