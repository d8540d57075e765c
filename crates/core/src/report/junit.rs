//! A plan's report as JUnit XML: a suite for each phase, a case for each step and each check.

use super::markdown::name;
use super::{PhaseReport, Report};
use crate::journal::plan::StepState;
use crate::plan::evidence::CheckOutcome;
use std::fmt::Write;

/// The report as JUnit XML.
pub fn render(report: &Report) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "<testsuites name=\"{}\">", escape(&report.plan));
    for phase in &report.phases {
        suite(&mut text, phase);
    }
    text.push_str("</testsuites>\n");
    text
}

fn suite(text: &mut String, phase: &PhaseReport) {
    let failing = phase.steps.iter().filter(|step| is_bad(step.state)).count()
        + phase
            .checks
            .iter()
            .filter(|check| check.outcome == CheckOutcome::Failed)
            .count();
    let skipped = phase
        .steps
        .iter()
        .filter(|step| is_open(step.state))
        .count()
        + phase
            .checks
            .iter()
            .filter(|check| check.outcome == CheckOutcome::NotRun)
            .count();
    let _ = writeln!(
        text,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failing}\" skipped=\"{skipped}\" time=\"{}\">",
        escape(&phase.id),
        phase.steps.len() + phase.checks.len(),
        seconds(phase.duration_ms)
    );
    for step in &phase.steps {
        let body = if is_bad(step.state) {
            let why = step.error.as_deref().unwrap_or("failed");
            format!("<failure message=\"{}\"/>", escape(why))
        } else if is_open(step.state) {
            format!("<skipped message=\"{}\"/>", name(&step.state))
        } else {
            String::new()
        };
        case(text, &phase.id, &step.id, step.duration_ms, &body);
    }
    for check in &phase.checks {
        let body = match check.outcome {
            CheckOutcome::Passed | CheckOutcome::Warned => String::new(),
            CheckOutcome::NotRun => "<skipped message=\"not run\"/>".to_owned(),
            CheckOutcome::Failed => format!(
                "<failure message=\"expected {}, observed {}\"/>",
                escape(&check.expected),
                escape(&check.observed)
            ),
        };
        let id = format!("{} ({})", check.id, check.when);
        case(text, &phase.id, &id, check.duration_ms, &body);
    }
    text.push_str("  </testsuite>\n");
}

fn is_bad(state: StepState) -> bool {
    matches!(state, StepState::Failed | StepState::InDoubt)
}

fn is_open(state: StepState) -> bool {
    !is_bad(state) && !matches!(state, StepState::Done | StepState::Warned)
}

fn case(text: &mut String, phase: &str, id: &str, ms: Option<u64>, body: &str) {
    let _ = writeln!(
        text,
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{}\">{body}</testcase>",
        escape(phase),
        escape(id),
        seconds(ms)
    );
}

fn seconds(ms: Option<u64>) -> String {
    format!("{:.3}", ms.unwrap_or(0) as f64 / 1_000.0)
}

/// A text for an attribute or a text of XML. Characters that XML 1.0 does not know become U+FFFD.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' => safe.push_str("&#10;"),
            '\t' | '\r' => safe.push(' '),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => safe.push('\u{FFFD}'),
            c => safe.push(c),
        }
    }
    safe
}
