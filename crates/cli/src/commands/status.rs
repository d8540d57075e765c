//! `status`, and the manifest that it can write back.

use super::Answer;
use crate::args::Global;
use crate::context::{self, Context};
use crate::render::table::{self, duration};
use dunlin::status::{Line, Status};
use dunlin_core::exit::Outcome;
use dunlin_core::failure::Failure;
use dunlin_core::plan::select::State;
use dunlin_core::source::ManifestPolicy;
use dunlin_engines::lease::Holder;

/// `status`.
pub async fn status(
    global: &Global,
    exit_code: bool,
    write_manifest: bool,
) -> Result<Answer, Answer> {
    let context = context::open(global)?.context(global, false)?;
    let status = dunlin::status::status(&context.world, &context.migrations)
        .await
        .map_err(|failure| context.world.redact(failure))?;
    if write_manifest {
        save_manifest(&context, &status)?;
    }
    let ended = match exit_code {
        false => None,
        true if status.any(State::InDoubt) => Some(Outcome::InDoubt),
        true if status.any(State::Changed) => Some(Outcome::Mismatch),
        true if status.any(State::Pending)
            || status.any(State::OutOfOrder)
            || status.any(State::Failed) =>
        {
            Some(Outcome::Pending)
        }
        true => None,
    };
    let data = serde_json::json!({
        "current": status.current,
        "migrations": status.migrations,
        "lease": status.lease.as_ref().map(lease_json),
    });
    let text = render(&context, &status);
    let mut findings = context.findings;
    findings.extend(status.findings);
    Ok(Answer {
        told: vec![],
        ended,
        data,
        findings,
        failure: None,
        text,
    })
}

/// The lease as JSON.
pub fn lease_json(holder: &Holder) -> serde_json::Value {
    serde_json::json!({
        "holder": holder.who, "since": holder.since, "alive": holder.held,
        "beat_age_ms": u64::try_from(holder.beat_age.as_millis()).unwrap_or(u64::MAX),
    })
}

fn render(context: &Context, status: &Status) -> String {
    let shown = context
        .world
        .redactor
        .apply(&context.world.engine.describe());
    if status.migrations.is_empty() {
        return format!(
            "{shown}: no migrations; the folder `{}` holds no scripts\n",
            context::shown(&context.world.config.migrations)
        );
    }
    let mut text = match &status.current {
        Some(version) => format!("{shown} is at {version}\n\n"),
        None => format!("{shown}: no migration is applied yet\n\n"),
    };
    let rows = status.migrations.iter().map(row).collect();
    text.push_str(&table::render(
        &["version", "name", "state", "applied at", "took", "by"],
        rows,
        &[4],
    ));
    for line in status.migrations.iter().filter(|line| line.note.is_some()) {
        text.push_str(&format!(
            "\n{}: {}\n",
            line.version,
            line.note.as_deref().unwrap_or_default()
        ));
    }
    if let Some(holder) = status
        .lease
        .as_ref()
        .filter(|holder| !holder.who.is_empty())
    {
        let how = if holder.held {
            "holds the lease"
        } else {
            "left its lease behind; it is dead, and the next run takes over"
        };
        text.push_str(&format!("\n{} {how}, since {}\n", holder.who, holder.since));
    }
    text
}

fn row(line: &Line) -> Vec<String> {
    let state = match line.state {
        State::Pending => "pending",
        State::Applied => "applied",
        State::Changed => "changed",
        State::Missing => "missing",
        State::Failed => "failed",
        State::InDoubt => "in doubt",
        State::OutOfOrder => "out of order",
    };
    vec![
        line.version.clone(),
        line.name.clone(),
        state.to_owned(),
        line.applied_at
            .as_deref()
            .map(short_time)
            .unwrap_or_default(),
        line.duration_ms.map(duration).unwrap_or_default(),
        line.by.clone().unwrap_or_default(),
    ]
}

/// `2026-11-21 01:02:03` of an RFC 3339 time: seconds are enough for people, and UTC is said in the guide.
fn short_time(text: &str) -> String {
    text.get(..19)
        .map_or_else(|| text.to_owned(), |text| text.replace('T', " "))
}

/// Writes the manifest after a run, where the settings say so.
pub async fn update_manifest(context: &Context) -> Result<(), Answer> {
    if context.world.config.manifest != ManifestPolicy::Write {
        return Ok(());
    }
    let status = dunlin::status::status(&context.world, &context.migrations)
        .await
        .map_err(|failure| context.world.redact(failure))?;
    save_manifest(context, &status)
}

fn save_manifest(context: &Context, status: &Status) -> Result<(), Answer> {
    let path = context.world.config.migrations.join("version.json");
    let old = std::fs::read_to_string(&path).ok();
    let lines: Vec<_> = status
        .migrations
        .iter()
        .map(|line| dunlin_core::source::manifest::AppliedLine {
            version: line.version.clone(),
            name: line.name.clone(),
            applied: matches!(line.state, State::Applied | State::Changed | State::Missing),
            applied_at: line.applied_at.clone(),
            checksum: line.checksum.clone(),
        })
        .collect();
    let text = dunlin_core::source::manifest::write_manifest(
        old.as_deref(),
        status.current.as_deref(),
        &lines,
    );
    let shown = context::shown(&path);
    let text = text.map_err(|why| {
        Failure::refused(
            "manifest-syntax",
            format!("`{shown}` is left as it is: {why}"),
        )
    })?;
    let failed = |error: std::io::Error| {
        Failure::refused(
            "manifest-unwritable",
            format!("`{shown}` cannot be written: {error}"),
        )
    };
    // Beside it first, then renamed: a full disk must not leave half a manifest.
    let temporary = path.with_extension("json.new");
    std::fs::write(&temporary, text).map_err(failed)?;
    std::fs::rename(&temporary, &path).map_err(failed)?;
    Ok(())
}
