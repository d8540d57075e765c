//! `up --dry-run`: the exact SQL, what it does to others, how long it may take and where that figure comes from.

use super::Answer;
use crate::context::Context;
use crate::render::table::{bytes, duration};
use dunlin::up::Goal;
use dunlin_core::facts::TableSize;
use dunlin_core::failure::Failure;
use dunlin_core::plan::lower::Mode;

/// Shows a plan; touches nothing.
pub async fn show(context: &Context, goal: &Goal) -> Result<Answer, Answer> {
    let preview = dunlin::preview::preview(&context.world, &context.migrations, goal)
        .await
        .map_err(Answer::from)?;
    let mut text = String::new();
    let mut steps = vec![];
    for step in &preview.steps {
        let migration = step.step.migration();
        text.push_str(&format!("-- {} {}", migration.version, migration.name));
        text.push_str(&match (migration.estimate, step.estimate_ms) {
            (Some(estimate), _) => format!(
                "  (about {}, says its author)\n",
                duration(u64::try_from(estimate.as_millis()).unwrap_or(0))
            ),
            (None, Some(ms)) => format!("  (about {}, from the tables' sizes)\n", duration(ms)),
            (None, None) => "  (no estimate: the sizes of its tables are not known)\n".to_owned(),
        });
        let mut statements = vec![];
        for block in &step.lowered.blocks {
            let how = match block.mode {
                Mode::Together => "in a transaction with its record",
                Mode::Alone => "by itself, its beginning recorded first",
                Mode::Session => "session setting, replayed on resume",
            };
            for at in block.statements.clone() {
                let (statement, class) = (&step.script.statements[at], &step.lowered.classes[at]);
                text.push_str(&format!(
                    "-- {}:{} {how}\n",
                    step.script.file, statement.line
                ));
                let sizes: Vec<&TableSize> = preview.sizes_of(class);
                for size in &sizes {
                    text.push_str(&format!("--   {}\n", table_line(size)));
                }
                for hazard in &class.hazards {
                    text.push_str(&format!("--   {}: {}\n", hazard.code, hazard.message));
                }
                text.push_str(&format!("{};\n", statement.sql.trim_end()));
                let hazards: Vec<_> = class
                    .hazards
                    .iter()
                    .map(|hazard| serde_json::json!({ "code": hazard.code, "message": hazard.message }))
                    .collect();
                let (estimate_ms, source) = preview.estimate(class);
                statements.push(serde_json::json!({
                    "sql": &*statement.sql, "line": statement.line, "how": how, "hazards": hazards,
                    "estimate_ms": estimate_ms, "estimate_source": source,
                }));
            }
        }
        text.push('\n');
        steps.push(serde_json::json!({
            "version": migration.version.0, "name": migration.name, "file": step.script.file,
            "estimate_ms": migration.estimate.map(|estimate| estimate.as_millis() as u64).or(step.estimate_ms),
            "estimate_source": if migration.estimate.is_some() { "the script's header" } else if step.estimate_ms.is_some() { "the tables' sizes" } else { "none" },
            "statements": statements,
        }));
    }
    if preview.steps.is_empty() {
        text.push_str("-- nothing to do\n");
    } else {
        text.push_str("-- dry run: nothing has been touched\n");
    }
    let mut findings = context.findings.clone();
    findings.extend(preview.findings);
    let failure: Option<Failure> = preview.failure;
    let data = serde_json::json!({ "applied": [], "backup": null, "dry_run": true, "plan": steps });
    Ok(Answer {
        ended: None,
        data,
        findings,
        failure,
        text,
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
