//! `up --dry-run`: the exact SQL, what it does to others, how long it may take and where that figure comes from.

use super::Answer;
use crate::context::Context;
use crate::render::table::{bytes, duration};
use dunlin::preview::{Preview, Shown};
use dunlin::up::Goal;
use dunlin_core::facts::TableSize;
use dunlin_core::plan::lower::Mode;
use serde_json::{Value, json};

/// Shows a plan; touches nothing. `create`: what would run on a database that is not there yet.
pub async fn show(context: &Context, goal: &Goal, create: bool) -> Result<Answer, Answer> {
    let world = &context.world;
    let mut text = String::new();
    let mut seen = dunlin::preview::preview(world, &context.migrations, goal).await;
    if create && matches!(&seen, Err(failure) if failure.code == "database-missing") {
        let shown = world.redactor.apply(&world.engine.describe());
        text.push_str(&format!("-- {shown} would be made first\n\n"));
        let world = world.before_creation().map_err(Answer::from)?;
        seen = dunlin::preview::preview(&world, &context.migrations, goal).await;
    }
    let preview = seen.map_err(|failure| Answer::from(world.redact(failure)))?;
    let steps: Vec<Value> = preview
        .steps
        .iter()
        .map(|shown| step(&preview, shown, &mut text))
        .collect();
    text.push_str(if preview.steps.is_empty() {
        "-- nothing to do\n"
    } else {
        "-- dry run: nothing has been touched\n"
    });
    let mut findings = context.findings.clone();
    findings.extend(preview.findings);
    let data = json!({ "applied": [], "backup": null, "dry_run": true, "plan": steps });
    Ok(Answer {
        told: vec![],
        ended: None,
        data,
        findings,
        failure: preview.failure,
        text,
    })
}

/// Writes one migration, and gives it as JSON.
fn step(preview: &Preview, shown: &Shown, text: &mut String) -> Value {
    let migration = shown.step.migration();
    let by_author = migration
        .estimate
        .map(|estimate| u64::try_from(estimate.as_millis()).unwrap_or(u64::MAX));
    let (estimate_ms, source) = match (by_author, shown.estimate_ms) {
        (Some(ms), _) => (Some(ms), "the script's header"),
        (None, Some(ms)) => (Some(ms), "its statements together"),
        (None, None) => (None, "none"),
    };
    let about = match estimate_ms {
        Some(ms) => format!("about {}, from {source}", duration(ms)),
        None => "no estimate: not every statement has one".to_owned(),
    };
    text.push_str(&format!(
        "-- {} {}  ({about})\n",
        migration.version, migration.name
    ));
    let mut statements = vec![];
    for block in &shown.lowered.blocks {
        for at in block.statements.clone() {
            statements.push(statement(preview, shown, at, how(block.mode), text));
        }
    }
    text.push('\n');
    json!({
        "version": migration.version.0, "name": migration.name, "file": shown.script.file,
        "estimate_ms": estimate_ms, "estimate_source": source, "statements": statements,
    })
}

/// How a block is run.
fn how(mode: Mode) -> &'static str {
    match mode {
        Mode::Together => "in a transaction with its record",
        Mode::Alone => "by itself, its beginning recorded first",
        Mode::Session => "session setting, replayed on resume",
    }
}

/// Writes one statement, and gives it as JSON.
fn statement(preview: &Preview, shown: &Shown, at: usize, how: &str, text: &mut String) -> Value {
    let (statement, class) = (&shown.script.statements[at], &shown.lowered.classes[at]);
    let (estimate_ms, source) = preview.estimate(class);
    let about = match estimate_ms {
        Some(0) => format!("; at once: {source}"),
        Some(ms) => format!("; about {}: {source}", duration(ms)),
        None => format!("; no estimate: {source}"),
    };
    text.push_str(&format!(
        "-- {}:{} {how}{about}\n",
        shown.script.file, statement.line
    ));
    for size in preview.sizes_of(class) {
        text.push_str(&format!("--   {}\n", table_line(size)));
    }
    for hazard in &class.hazards {
        text.push_str(&format!("--   {}: {}\n", hazard.code, hazard.message));
    }
    text.push_str(&format!("{};\n", statement.sql.trim_end()));
    let hazards: Vec<_> = class
        .hazards
        .iter()
        .map(|hazard| json!({ "code": hazard.code, "message": hazard.message }))
        .collect();
    json!({
        "sql": &*statement.sql, "line": statement.line, "how": how, "hazards": hazards,
        "estimate_ms": estimate_ms, "estimate_source": source,
    })
}

fn table_line(size: &TableSize) -> String {
    let rows = size.rows.map_or_else(
        || "rows not known".to_owned(),
        |rows| format!("about {rows} rows"),
    );
    let bytes = size
        .bytes
        .map(|n| format!(", {}", bytes(n)))
        .unwrap_or_default();
    format!("{}: {rows}{bytes}", size.name)
}
