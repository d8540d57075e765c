//! A plan's report as Markdown.

use super::{PhaseReport, Report};
use crate::plan::evidence::CheckOutcome;
use std::fmt::Write;

/// The report as Markdown.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "# {}\n\n{}, as of {}\n\n| phase | state | planned | began | expected | took |\n|---|---|---|---|--:|--:|\n",
        cell(&report.plan),
        cell(&report.database),
        report.made_at
    );
    for phase in &report.phases {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            cell(&phase.title),
            phase.state.name().replace('_', " "),
            planned(phase),
            phase.began_at.as_deref().unwrap_or_default(),
            took(phase.predicted_ms),
            took(phase.duration_ms)
        );
    }
    for phase in &report.phases {
        of_phase(&mut text, phase);
    }
    said(&mut text, report);
    runs(&mut text, report);
    text
}

/// `2 d, 2026-01-05 to 2026-01-06`; empty where nothing is planned.
pub(super) fn planned(phase: &PhaseReport) -> String {
    let Some(days) = phase.planned_days else {
        return String::new();
    };
    match (&phase.planned_from, &phase.planned_to) {
        (Some(from), Some(to)) if from != to => format!("{days} d, {from} to {to}"),
        (Some(from), _) => format!("{days} d, {from}"),
        _ => format!("{days} d"),
    }
}

fn of_phase(text: &mut String, phase: &PhaseReport) {
    let _ = write!(text, "\n## {}\n\n", cell(&phase.title));
    for objective in &phase.objectives {
        let _ = writeln!(text, "- {}", cell(objective));
    }
    if !phase.error.is_empty() {
        let _ = write!(text, "\n**{}**\n", cell(&phase.error));
    }
    if let Some(saved) = &phase.saved {
        let _ = write!(text, "\nSaved before it: {}\n", cell(saved));
    }
    if !phase.computed.is_empty() {
        text.push_str("\nLooked up at its gate:\n\n");
    }
    for point in &phase.computed {
        let mark = if point.met == Some(true) {
            "[x]"
        } else {
            "[ ]"
        };
        let _ = writeln!(text, "- {mark} {}", cell(&point.said()));
    }
    let _ = write!(
        text,
        "\n| step | kind | state | rows | took |\n|---|---|---|--:|--:|\n"
    );
    for step in &phase.steps {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            cell(&step.title),
            step.kind,
            name(&step.state),
            step.rows.map_or_else(String::new, |rows| rows.to_string()),
            took(step.duration_ms)
        );
    }
    for step in phase.steps.iter().filter(|step| !step.archived.is_empty()) {
        for archived in &step.archived {
            let _ = write!(text, "\n{}: {}\n", cell(&step.title), cell(archived));
        }
    }
    if !phase.checks.is_empty() {
        text.push('\n');
    }
    for check in &phase.checks {
        let mark = match check.outcome {
            CheckOutcome::Passed => "[x]",
            _ => "[ ]",
        };
        let _ = write!(
            text,
            "- {mark} {} ({}): {}",
            cell(&check.id),
            check.when,
            name(&check.outcome)
        );
        if check.outcome != CheckOutcome::NotRun {
            let _ = write!(
                text,
                "; expected {}, observed {}",
                cell(&check.expected),
                cell(&check.observed)
            );
        }
        text.push('\n');
    }
}

fn said(text: &mut String, report: &Report) {
    if !report.approvals.is_empty() {
        text.push_str("\n## What people said\n\n");
    }
    for approval in &report.approvals {
        let role = approval
            .said
            .role
            .as_deref()
            .map_or_else(String::new, |role| format!(" as {role}"));
        let note = match approval.beside() {
            beside if beside.is_empty() => beside,
            beside => format!(": {beside}"),
        };
        let _ = writeln!(
            text,
            "- {}: {} {} `{}`{role}{}",
            approval.at,
            cell(&approval.said.by),
            approval.word(),
            approval.phase,
            cell(&note)
        );
    }
}

fn runs(text: &mut String, report: &Report) {
    text.push_str(
        "\n## Runs\n\n| run | what | outcome | began | took | by |\n|---|---|---|---|--:|---|\n",
    );
    for run in &report.runs {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            run.run,
            cell(&run.what),
            run.outcome.as_deref().unwrap_or("no end"),
            run.started_at,
            took(run.duration_ms),
            cell(&run.by)
        );
    }
}

/// A text that cannot break out of a table's cell or begin markup.
fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => safe.push(' '),
            '|' | '*' | '_' | '`' | '[' | ']' | '<' | '>' | '\\' => {
                safe.push('\\');
                safe.push(c);
            }
            c => safe.push(c),
        }
    }
    safe
}

/// A state as JSON spells it, for people.
pub(super) fn name(state: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(state).unwrap_or_default();
    value.as_str().unwrap_or_default().replace('_', " ")
}

/// A duration for people; empty where there is none.
pub(super) fn took(ms: Option<u64>) -> String {
    match ms {
        None => String::new(),
        Some(ms @ 0..1_000) => format!("{ms} ms"),
        Some(ms @ 1_000..60_000) => format!("{:.1} s", ms as f64 / 1_000.0),
        Some(ms @ 60_000..3_600_000) => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
        Some(ms) => format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}
