//! `repair`, `unlock`, `reset`, `baseline`: the record, looked at and mended.

use super::Answer;
use super::run::{listen, screen};
use super::status::lease_json;
use crate::args::{Global, Repair};
use crate::context::{self, Context};
use dunlin::admin;
use dunlin_core::failure::Failure;
use dunlin_core::plan::select::State;
use dunlin_core::source::Version;

fn changed(
    context: Context,
    result: Result<Vec<String>, Failure>,
    nothing: &str,
) -> Result<Answer, Answer> {
    let lines = result.map_err(|failure| context.world.redact(failure))?;
    let text = if lines.is_empty() {
        format!("{nothing}\n")
    } else {
        lines.iter().map(|line| format!("{line}\n")).collect()
    };
    Ok(
        Answer::done(text, serde_json::json!({ "changed": lines, "lease": null }))
            .with(context.findings),
    )
}

/// `repair`.
pub async fn repair(global: &Global, ask: &Repair) -> Result<Answer, Answer> {
    let settle = match ask.settle.as_slice() {
        [] => None,
        [version, word] if word == "done" => Some((Version(version.clone()), true)),
        [version, word] if word == "not-done" => Some((Version(version.clone()), false)),
        [_, word, ..] => {
            return Err(Failure::usage(
                "usage",
                format!("--settle V done|not-done: `{word}` is neither"),
            )
            .into());
        }
        [_] => {
            return Err(Failure::usage(
                "usage",
                "--settle needs a version and `done` or `not-done`",
            )
            .into());
        }
    };
    let context = context::open(global)?.context(global, false)?;
    if ask.accept.is_empty() && settle.is_none() {
        return overview(context).await;
    }
    let repair = admin::Repair {
        accept: ask.accept.iter().cloned().map(Version).collect(),
        settle,
        why: ask.why.clone(),
        wait: !global.no_wait,
    };
    let mut screen = screen(global, &context)?;
    let result = admin::repair(
        &context.world,
        &context.migrations,
        &repair,
        &mut screen,
        listen(),
    )
    .await;
    screen.finish();
    changed(
        context,
        result,
        "Nothing to repair: the record is as the scripts are",
    )
}

async fn overview(context: Context) -> Result<Answer, Answer> {
    let status = dunlin::status::status(&context.world, &context.migrations)
        .await
        .map_err(|failure| context.world.redact(failure))?;
    let mut text = String::new();
    for line in &status.migrations {
        let advice = match line.state {
            State::Changed => format!("dunlin repair --accept {}", line.version),
            State::InDoubt => format!("dunlin repair --settle {} done|not-done", line.version),
            State::Failed => format!(
                "dunlin up (tries again), or dunlin repair --settle {} done|not-done",
                line.version
            ),
            _ => continue,
        };
        text.push_str(&format!("{} {}: {advice}\n", line.version, line.name));
    }
    if text.is_empty() {
        text.push_str("Nothing to repair\n");
    }
    Ok(
        Answer::done(text, serde_json::json!({ "changed": [], "lease": null }))
            .with(context.findings),
    )
}

/// `unlock`.
pub async fn unlock(global: &Global, force: bool) -> Result<Answer, Answer> {
    let world = context::open(global)?.world(global, false)?;
    let unlocked = admin::unlock(&world, force)
        .await
        .map_err(|failure| world.redact(failure))?;
    let text = match (&unlocked.holder, unlocked.changed.as_slice()) {
        (None, _) => "Nobody holds the lease\n".to_owned(),
        (Some(_), lines) => lines.iter().map(|line| format!("{line}\n")).collect(),
    };
    let data = serde_json::json!({ "changed": unlocked.changed, "lease": unlocked.holder.as_ref().map(lease_json) });
    Ok(Answer::done(text, data))
}

/// `reset`.
pub async fn reset(global: &Global, to: &str) -> Result<Answer, Answer> {
    let context = context::open(global)?.context(global, false)?;
    let mut screen = screen(global, &context)?;
    let to = Version(to.to_owned());
    let result = admin::reset(
        &context.world,
        &context.migrations,
        &to,
        !global.no_wait,
        &mut screen,
        listen(),
    )
    .await;
    screen.finish();
    changed(
        context,
        result,
        "Nothing to change: the record is there already",
    )
}

/// `baseline`.
pub async fn baseline(global: &Global, version: &str) -> Result<Answer, Answer> {
    let context = context::open(global)?.context(global, false)?;
    let mut screen = screen(global, &context)?;
    let at = Version(version.to_owned());
    let result = admin::baseline(
        &context.world,
        &context.migrations,
        &at,
        !global.no_wait,
        &mut screen,
        listen(),
    )
    .await;
    screen.finish();
    changed(context, result, "Nothing to change")
}
