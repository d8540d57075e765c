//! Plans for people: what a run came to.

use super::table::{count, duration};
use dunlin::plan::Report;
use dunlin_core::journal::plan::{PhaseState, StepState};
use dunlin_core::plan::evidence::CheckOutcome;
use dunlin_core::report::PhaseReport;
use dunlin_core::source::plan::PlanDoc;

/// How wide the names of steps and checks are.
const WIDTH: usize = 28;

/// What a run or rollback came to.
pub fn report(doc: &PlanDoc, report: &Report, shown: &str, verb: &str) -> String {
    let mut text = String::new();
    let nothing = report.run.is_none() && report.waiting.is_none() && report.failure.is_none();
    for phase in report.phases.iter().filter(|_| !nothing) {
        // What an earlier run did was shown by that one.
        let earlier = verb == "run" && Some(&phase.run) != report.run.as_ref();
        of_phase(&mut text, phase, earlier && phase.state == PhaseState::Done);
    }
    let done = report
        .phases
        .iter()
        .filter(|phase| phase.state == PhaseState::Done)
        .count();
    if let Some(waiting) = &report.waiting {
        text.push_str(&format!("\nPhase `{}` waits for\n", waiting.phase));
        for missing in &waiting.missing {
            text.push_str(&format!("  - {missing}\n"));
        }
        if waiting.gate {
            text.push_str(&format!(
                "`{}` opens it\n",
                approve(doc, &waiting.phase, shown)
            ));
        }
        return text;
    }
    if report.failure.is_some() {
        return text;
    }
    if !nothing {
        text.push('\n');
    }
    text.push_str(&match (verb, report.run.is_some()) {
        ("rollback", false) => "Nothing to take back\n".to_owned(),
        ("rollback", true) => format!("Taken back: {}\n", report.undone.join(", ")),
        (_, false) if report.chosen == 0 => format!(
            "Nothing to do: no phase of \"{}\" is chosen by these versions (`dunlin plan show {shown}` lists them)\n",
            doc.name
        ),
        (_, false) => format!(
            "Nothing to do: {} of \"{}\" are done\n",
            count(done, "phase"),
            doc.name
        ),
        (_, true) if done == doc.phases.len() => {
            format!("Done: all {} of \"{}\"\n", count(done, "phase"), doc.name)
        }
        (_, true) => format!(
            "Done so far: {done} of {}; `dunlin run {shown}` goes on\n",
            count(doc.phases.len(), "phase")
        ),
    });
    text
}

/// The command that opens a phase's gate, with what its approvers have to say.
fn approve(doc: &PlanDoc, phase: &str, shown: &str) -> String {
    let mut command = format!("dunlin approve {shown} {phase} --by NAME");
    if let Some(found) = doc.phase(phase) {
        if !found.approvers.is_empty() {
            command.push_str(" --as ROLE");
        }
        if !found.go.is_empty() {
            command.push_str(" --confirm POINT");
        }
    }
    command
}

fn of_phase(text: &mut String, phase: &PhaseReport, briefly: bool) {
    let took = phase
        .duration_ms
        .map_or_else(String::new, |ms| format!("  {}", duration(ms)));
    text.push_str(&format!(
        "{}  {}  {}{took}\n",
        mark(phase.state),
        pad(&phase.id, WIDTH),
        phase.state.name().replace('_', " "),
    ));
    if !phase.error.is_empty() {
        text.push_str(&format!("     {}\n", phase.error));
    }
    if briefly || matches!(phase.state, PhaseState::Pending | PhaseState::Waiting) {
        return;
    }
    for step in &phase.steps {
        let state = serde_json::to_value(step.state).unwrap_or_default();
        let state = state.as_str().unwrap_or_default().replace('_', " ");
        let took = step
            .duration_ms
            .map_or_else(String::new, |ms| format!("  {}", duration(ms)));
        let rows = match step.rows {
            Some(rows) if rows > 0 => {
                format!(
                    "  {}",
                    count(usize::try_from(rows).unwrap_or(usize::MAX), "row")
                )
            }
            _ => String::new(),
        };
        text.push_str(&format!(
            "   {}  {}  {state}{took}{rows}\n",
            of_step(step.state),
            pad(&step.id, WIDTH - 1)
        ));
        if let Some(error) = step
            .error
            .as_ref()
            .filter(|_| step.state != StepState::Undone)
        {
            text.push_str(&format!("        {error}\n"));
        }
    }
    for check in &phase.checks {
        let (mark, word) = match check.outcome {
            CheckOutcome::Passed => ("✓", "holds"),
            CheckOutcome::Failed => ("✗", "does not hold"),
            CheckOutcome::Warned => ("!", "does not hold (a warning)"),
            CheckOutcome::NotRun => continue,
        };
        let observed = match check.outcome {
            CheckOutcome::Passed => String::new(),
            _ => format!(": expected {}, observed {}", check.expected, check.observed),
        };
        text.push_str(&format!(
            "   {mark}  {}  {word} {}{observed}\n",
            pad(&check.id, WIDTH - 1),
            check.when
        ));
    }
}

/// Pads to a width in characters.
fn pad(text: &str, width: usize) -> String {
    let length = text.chars().count();
    format!("{text}{}", " ".repeat(width.saturating_sub(length)))
}

fn mark(state: PhaseState) -> &'static str {
    match state {
        PhaseState::Done => "✓",
        PhaseState::Failed | PhaseState::InDoubt => "✗",
        PhaseState::Running => "▸",
        PhaseState::Waiting => "…",
        PhaseState::Undone => "↶",
        PhaseState::Pending => "·",
    }
}

fn of_step(state: StepState) -> &'static str {
    match state {
        StepState::Done => "✓",
        StepState::Failed | StepState::InDoubt => "✗",
        StepState::Running => "▸",
        StepState::Waiting => "…",
        StepState::Undone => "↶",
        StepState::Warned => "!",
        StepState::Pending | StepState::Skipped => "·",
    }
}
