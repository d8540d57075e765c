//! `plan show` for people: a hundred columns, most important first, nothing that only colour tells.

use super::table::{bytes, count, duration};
use dunlin::plan::state::{PluginState, State};
use dunlin::plan::view::{
    ArchiveView, CheckView, GateView, HazardView, PhaseView, PlanView, StepView,
};
use dunlin_core::journal::plan::{PhaseState, StepState};
use dunlin_core::plan::estimate::Estimate;
use dunlin_core::plan::risk::{Level, Reason, word};
use dunlin_core::plan::schedule::WEEKEND;
use dunlin_core::source::grammar::checks::{CheckSeverity, When};
use dunlin_core::source::grammar::plan::{Gate, PhaseBackup, PlanOnFailure};

/// The width of the page.
const WIDTH: usize = 100;

/// How wide the words before the text are.
const LABEL: usize = 12;

/// How many lines a statement gets; the whole of it stands in the file and in JSON.
const SQL_LINES: usize = 3;

/// A page under way.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A word and what it says, wrapped beside it.
    fn said(&mut self, indent: usize, label: &str, text: &str) {
        let hang = indent + LABEL;
        for (at, line) in wrapped(text, WIDTH.saturating_sub(hang)).iter().enumerate() {
            let before = match at {
                0 => format!("{}{}", " ".repeat(indent), pad(label, LABEL)),
                _ => " ".repeat(hang),
            };
            self.line(&format!("{before}{line}"));
        }
    }

    /// A statement, as one text of a few lines.
    fn sql(&mut self, hang: usize, sql: &str) {
        let whole = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut lines = wrapped(&format!("{whole};"), WIDTH.saturating_sub(hang + 2));
        if lines.len() > SQL_LINES {
            lines.truncate(SQL_LINES);
            if let Some(last) = lines.last_mut() {
                last.push_str(" …");
            }
        }
        for (at, line) in lines.iter().enumerate() {
            let more = if at == 0 { "" } else { "  " };
            self.line(&format!("{}{more}{line}", " ".repeat(hang)));
        }
    }
}

/// Lines of words, none wider than `width` unless one word is.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut at = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if at > 0 && at + 1 + length > width {
            lines.push(String::new());
            at = 0;
        }
        if let Some(line) = lines.last_mut() {
            if at > 0 {
                line.push(' ');
                at += 1;
            }
            line.push_str(word);
            at += length;
        }
    }
    lines
}

fn pad(text: &str, width: usize) -> String {
    let length = text.chars().count();
    format!("{text}{}", " ".repeat(width.saturating_sub(length)))
}

/// A plan as a page.
pub fn page(view: &PlanView) -> String {
    let mut page = Page::default();
    let steps = view.phases.iter().map(|phase| phase.steps.len()).sum();
    page.line(&format!(
        "{} ({}): {}, {}",
        view.name,
        view.file,
        count(view.phases.len(), "phase"),
        count(steps, "step")
    ));
    page.said(2, "fails", on_failure(view.on_failure));
    where_we_are(&mut page, &view.current_state, view.unreachable.as_deref());
    risk(&mut page, view);
    times(&mut page, view);
    around(&mut page, view);
    for (at, phase) in view.phases.iter().enumerate() {
        of_phase(&mut page, at + 1, phase);
    }
    back(&mut page, view);
    page.text
}

fn on_failure(policy: PlanOnFailure) -> &'static str {
    match policy {
        PlanOnFailure::Stop => "where something fails, everything stands as it is",
        PlanOnFailure::UndoPhase => "where something fails, its phase is taken back",
        PlanOnFailure::UndoPlan => "where something fails, every phase is taken back, newest first",
    }
}

fn where_we_are(page: &mut Page, state: &State, unreachable: Option<&str>) {
    page.blank();
    page.line("Where we are");
    if let Some(why) = unreachable {
        page.said(
            2,
            "database",
            &format!("not known, for nobody answered: {why}"),
        );
        page.said(
            2,
            "",
            "rows, rights and what is there are told as soon as it answers",
        );
        return;
    }
    let engine = state.engine.as_deref().unwrap_or("unknown");
    let version = state.engine_version.as_deref().unwrap_or_default();
    let size = state.bytes.map_or("size not known".to_owned(), bytes);
    page.said(
        2,
        "database",
        &format!("{engine} {version}, {size}, health {}", state.health),
    );
    if state.health != "ok" && !state.troubles.is_empty() {
        page.said(2, "", &state.troubles.join("; "));
    }
    if let Some(why) = &state.awaits {
        page.said(2, "its rows", why);
    }
    for (label, value) in [("version", &state.version), ("entries", &state.entries)] {
        if let Some(value) = value {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            page.said(2, label, &text);
        }
    }
    figures(page, state);
    for error in &state.errors {
        page.said(2, "unanswered", error);
    }
}

/// Plugins and figures.
fn figures(page: &mut Page, state: &State) {
    // What waits for a copy is said once.
    let waits = |error: &Option<String>| error.is_some() && *error == state.awaits;
    let plugins: Vec<&PluginState> = state
        .plugins
        .iter()
        .filter(|plugin| !waits(&plugin.error))
        .collect();
    if !plugins.is_empty() {
        let shown: Vec<String> = plugins
            .iter()
            .map(|plugin| match (plugin.on, &plugin.error) {
                (Some(true), _) => format!("{} on", plugin.id),
                (Some(false), _) => format!("{} off", plugin.id),
                (None, Some(why)) => format!("{} not known ({why})", plugin.id),
                (None, None) => format!("{} not known", plugin.id),
            })
            .collect();
        page.said(2, "plugins", &shown.join(", "));
    }
    for metric in state.metrics.iter().filter(|metric| !waits(&metric.error)) {
        let value = metric
            .value
            .map_or("not known".to_owned(), |value| value.to_string());
        let bound = match (metric.warn_above, metric.warn_below) {
            (Some(bound), _) => format!(", bound {bound}"),
            (None, Some(bound)) => format!(", at least {bound}"),
            (None, None) => String::new(),
        };
        let beyond = if metric.exceeded { ": beyond it" } else { "" };
        page.said(
            2,
            "metric",
            &format!("{} = {value}{bound}{beyond}", metric.id),
        );
    }
}

fn risk(page: &mut Page, view: &PlanView) {
    page.blank();
    page.line(&format!("Risk: {}", word(view.risk.level)));
    for reason in &view.risk.reasons {
        of_reason(page, 2, reason);
    }
    for unknown in &view.unknown {
        page.said(2, "not known", unknown);
    }
    for advice in &view.recommendations {
        page.said(2, "advice", advice);
    }
}

fn of_reason(page: &mut Page, indent: usize, reason: &Reason) {
    page.said(indent, word(reason.level), &reason.description);
    page.said(indent, "", &format!("→ {}", reason.mitigation));
}

/// `about 3.2 s, 20 % more or less: source`.
fn estimate(estimate: &Estimate) -> String {
    let Some(ms) = estimate.ms else {
        return format!("not known: {}", estimate.source);
    };
    let off = match estimate.error {
        Some(error) if error >= 1.0 => format!(", up to {:.0} times as long", 1.0 + error),
        Some(error) if error > 0.0 && ms > 1 => format!(", {:.0} % more or less", error * 100.0),
        _ => String::new(),
    };
    if ms == 0 {
        return format!("at once: {}", estimate.source);
    }
    format!("about {}{off}: {}", duration(ms), estimate.source)
}

fn times(page: &mut Page, view: &PlanView) {
    page.blank();
    page.line("Time");
    page.said(2, "forward", &estimate(&view.estimate));
    page.said(2, "back", &estimate(&view.undo_estimate));
    let Some(schedule) = &view.schedule else {
        return;
    };
    let days = match (&schedule.starts, &schedule.ends) {
        (Some(from), Some(to)) => format!("{}, {from} to {to}", working_days(schedule.days)),
        (Some(from), None) => format!("{} from {from}", working_days(schedule.days)),
        _ => format!("{}; `starts` says from when", working_days(schedule.days)),
    };
    page.said(2, "planned", &format!("{days} ({WEEKEND})"));
    if !schedule.unplanned.is_empty() {
        page.said(
            2,
            "",
            &format!(
                "without a planned duration: {}",
                schedule.unplanned.join(", ")
            ),
        );
    }
}

fn working_days(days: f64) -> String {
    match days {
        1.0 => "1 working day".to_owned(),
        days => format!("{days} working days"),
    }
}

fn around(page: &mut Page, view: &PlanView) {
    let nothing = view.requirements.is_empty() && view.team.is_empty() && view.window.is_none();
    if nothing {
        return;
    }
    page.blank();
    page.line("What it needs");
    for requirement in &view.requirements {
        page.said(2, "requires", requirement);
    }
    for one in &view.team {
        let when = one.when.as_deref().unwrap_or("all phases");
        page.said(2, "team", &format!("{}: {when}", one.role));
    }
    if let Some(window) = &view.window {
        page.said(
            2,
            "window",
            &format!("{window}: outside of it nothing new begins"),
        );
    }
}

fn of_phase(page: &mut Page, number: usize, phase: &PhaseView) {
    page.blank();
    let version = phase
        .version
        .map_or_else(String::new, |version| format!(", to version {version}"));
    page.line(&format!(
        "Phase {number}  {}: {}{version}  [{}]",
        phase.id,
        phase.title,
        phase.state.name().replace('_', " ")
    ));
    for objective in &phase.objectives {
        page.said(2, "for", objective);
    }
    if !phase.needs.is_empty() {
        page.said(2, "needs", &phase.needs.join(", "));
    }
    page.said(2, "risk", word(phase.risk));
    for reason in phase
        .reasons
        .iter()
        .filter(|reason| reason.level > Level::Low)
    {
        page.said(
            2,
            "",
            &format!("{}: {}", word(reason.level), reason.description),
        );
    }
    gate(page, &phase.gate, phase.state);
    match phase.backup {
        PhaseBackup::None => {}
        PhaseBackup::Checkpoint => {
            page.said(2, "backup", "a checkpoint of the tables that it touches")
        }
        PhaseBackup::Database => {
            page.said(2, "backup", "the whole database, verified by restoring it");
        }
    }
    if let Some(window) = &phase.window {
        page.said(2, "window", window);
    }
    if let Some(planned) = &phase.planned
        && let Some(days) = planned.days
    {
        let when = match (&planned.from, &planned.to) {
            (Some(from), Some(to)) if from == to => format!(" on {from}"),
            (Some(from), Some(to)) => format!(" from {from} to {to}"),
            _ => String::new(),
        };
        page.said(2, "planned", &format!("{}{when}", working_days(days)));
    }
    match phase.duration_ms {
        Some(took) => page.said(2, "took", &duration(took)),
        None => page.said(2, "time", &estimate(&phase.estimate)),
    }
    checks(page, 2, &phase.checks);
    for step in &phase.steps {
        of_step(page, step);
    }
}

fn gate(page: &mut Page, gate: &GateView, state: PhaseState) {
    if gate.kind == Gate::Approve {
        let who = match gate.approvers.as_slice() {
            [] => "anybody approves".to_owned(),
            [one] => format!("{one} approves"),
            many => format!("{} approve, each by another person", many.join(", ")),
        };
        page.said(2, "gate", &who);
        for point in &gate.points {
            page.said(2, "", &format!("confirms: {point}"));
        }
        for point in &gate.state.computed {
            let mark = match point.met {
                Some(true) => "✓",
                Some(false) => "✗",
                None => "○",
            };
            page.said(2, "", &format!("{mark} {}", point.said()));
        }
    }
    if !gate.accept.is_empty() {
        page.said(
            2,
            "accept",
            &format!(
                "cannot be taken back, accepted by name: {}",
                gate.accept.join(", ")
            ),
        );
    }
    if gate.review {
        page.said(2, "review", "a second approval after the phase");
    }
    let unsaid: Vec<&str> = gate.state.unsaid().map(String::as_str).collect();
    if !unsaid.is_empty() && !matches!(state, PhaseState::Running) {
        page.said(2, "open", &format!("still lacks {}", unsaid.join("; ")));
    }
    if let Some(rejected) = &gate.state.rejected {
        page.said(2, "refused", rejected);
    }
}

fn checks(page: &mut Page, indent: usize, checks: &[CheckView]) {
    for (when, label) in [
        (When::Before, "before"),
        (When::Both, "both"),
        (When::After, "after"),
    ] {
        let of: Vec<String> = checks
            .iter()
            .filter(|check| check.when == when)
            .map(|check| {
                let warning = match check.severity {
                    CheckSeverity::Error => "",
                    CheckSeverity::Warning => ", a warning",
                };
                format!("{} ({}{warning})", check.id, check.kind)
            })
            .collect();
        if !of.is_empty() {
            page.said(indent, &format!("{label}:"), &of.join(", "));
        }
    }
}

fn of_step(page: &mut Page, step: &StepView) {
    page.blank();
    let label = step.label.and_then(|label| {
        serde_json::to_value(label)
            .ok()
            .and_then(|value| value.as_str().map(|text| format!(", {text}")))
    });
    let critical = if step.critical {
        "critical"
    } else {
        "not critical"
    };
    let state = match step.state {
        StepState::Pending => String::new(),
        other => {
            let word = serde_json::to_value(other).unwrap_or_default();
            format!(
                "  [{}]",
                word.as_str().unwrap_or_default().replace('_', " ")
            )
        }
    };
    page.line(&format!(
        "  - {}  ({}{}, {critical}){state}",
        step.id,
        step.kind,
        label.unwrap_or_default()
    ));
    if step.title != step.id {
        page.said(4, "", &step.title);
    }
    for statement in &step.statements {
        page.sql(4 + LABEL, statement);
    }
    for hazard in &step.hazards {
        page.said(4, "hazard", &of_hazard(hazard));
    }
    for refused in &step.refused {
        page.said(
            4,
            "refused",
            &format!("{}: {}", refused.code, refused.message),
        );
        if let Some(help) = &refused.help {
            page.said(4, "", &format!("→ {help}"));
        }
    }
    if let Some(unknown) = &step.unknown {
        page.said(4, "not known", unknown);
    }
    if step.risk > Level::Low {
        page.said(4, "risk", word(step.risk));
    }
    page.said(4, "time", &estimate(&step.estimate));
    page.said(4, "back", &step.undo.text);
    for statement in &step.undo.statements {
        page.sql(4 + LABEL, statement);
    }
    if !matches!(step.undo.kind, "impossible" | "none") {
        page.said(4, "", &estimate(&step.undo_estimate));
    }
    for waits in &step.waiting_archives {
        page.said(4, "waits", &of_archive(waits));
    }
    checks(page, 4, &step.checks);
}

fn of_archive(waits: &ArchiveView) -> String {
    format!(
        "{}, archived {} in checkpoint {}, to come home when it runs again",
        waits.parts.join(", "),
        waits.at,
        waits.checkpoint
    )
}

fn of_hazard(hazard: &HazardView) -> String {
    let rows = match (&hazard.table, hazard.rows) {
        (Some(table), Some(rows)) => format!(" ({table}: about {rows} rows)"),
        _ => String::new(),
    };
    format!("{}: {}{rows}", hazard.code, hazard.message)
}

fn back(page: &mut Page, view: &PlanView) {
    page.blank();
    page.line("The way back (`dunlin rollback`), in this order");
    let mut phase = "";
    for one in &view.rollback_plan {
        if phase != one.phase {
            phase = &one.phase;
            page.line(&format!("  phase {phase}"));
        }
        page.said(4, "", &format!("{}: {}", one.step, one.undo));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_page_unless_one_word_is() {
        let mut page = Page::default();
        page.said(4, "risk", &"words ".repeat(60));
        page.sql(16, &format!("UPDATE t SET a = {}", "1 + ".repeat(200)));
        page.said(2, "", &"x".repeat(150));
        let widths: Vec<usize> = page.text.lines().map(|line| line.chars().count()).collect();
        assert!(
            widths[..widths.len() - 1]
                .iter()
                .all(|width| *width <= WIDTH + 2),
            "{widths:?}"
        );
        assert!(
            page.text.contains(" …"),
            "a long statement is cut and says so"
        );
    }
}
