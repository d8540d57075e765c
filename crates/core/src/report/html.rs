//! A plan's report as one HTML page that needs nothing else: readable on a phone, printable, titles in either direction.

use super::junit::escape;
use super::markdown::{name, took};
use super::{PhaseReport, Report};
use crate::journal::plan::{PhaseState, StepState};
use crate::plan::evidence::CheckOutcome;
use std::fmt::Write;

/// The page's style: light and dark, narrow and wide, on paper.
const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c2024;--soft:#60646c;--line:#d9dce1;--page:#fff;--good:#18794e;--bad:#c62a2f;--warn:#946800;--calm:#5b5bd6}
@media(prefers-color-scheme:dark){:root{--ink:#edeef0;--soft:#a5a9b1;--line:#363a3f;--page:#18191b;--good:#3dd68c;--bad:#ff9592;--warn:#ffca16;--calm:#9d9dff}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:60rem;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page)}
h1{margin:0 0 .2rem;font-size:1.7rem;line-height:1.2}h2{margin:2.5rem 0 .3rem;font-size:1.25rem}h1,h2,td:first-child{overflow-wrap:anywhere}td:first-child{min-width:6rem}
.sub{color:var(--soft);margin:0 0 1.5rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.92rem;margin:.6rem 0}
th,td{text-align:start;padding:.35rem .6rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;color:var(--soft);white-space:nowrap}td.n,th.n{text-align:end;white-space:nowrap;font-variant-numeric:tabular-nums}
.state{white-space:nowrap;font-weight:600}.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}.calm{color:var(--calm)}.soft{color:var(--soft)}
ul.checks{list-style:none;padding:0;margin:.6rem 0}ul.checks li{padding:.3rem 0 .3rem 1.7rem;position:relative;border-bottom:1px solid var(--line)}
ul.checks li>b:first-child{position:absolute;inset-inline-start:0}
.evidence{display:block;color:var(--soft);font-size:.88rem;overflow-wrap:anywhere}
.error{border-inline-start:3px solid var(--bad);padding:.3rem .8rem;margin:.6rem 0;overflow-wrap:anywhere}
.bar{height:.5rem;border-radius:.25rem;background:var(--line);min-width:6rem;position:relative;overflow:hidden}
.bar i{position:absolute;inset-block:0;border-radius:.25rem;background:var(--calm)}.bar i.done{background:var(--good)}
.bar{margin:.45rem 0 .15rem}.plan{font-size:.88rem;color:var(--soft);white-space:nowrap}
@media(max-width:46rem){body{padding-top:1rem}
table.cards,table.cards tbody{display:block}table.cards tr{display:grid;grid-template-columns:1fr 1fr;column-gap:1rem;padding:.6rem 0;border-bottom:1px solid var(--line)}
table.cards tr:has(th){display:none}table.cards td{display:block;border:0;padding:.1rem 0;text-align:start;overflow-wrap:anywhere;white-space:normal}
table.cards td:empty{display:none}table.cards td:first-child,table.cards td:has(.bar){grid-column:1/-1}table.cards td:first-child{font-weight:600}
table.cards td[data-l]::before{content:attr(data-l) \" \";color:var(--soft);font-weight:400}}
@media print{body{max-width:none;padding:0}h2{break-after:avoid}tr,li{break-inside:avoid}}
";

/// The report as a page.
pub fn render(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1 dir=\"auto\">{title}</h1>\n\
         <p class=\"sub\"><bdi>{}</bdi>, as of {}</p>\n",
        escape(&report.database),
        when(&report.made_at),
        title = escape(&report.plan)
    );
    timeline(&mut page, report);
    for phase in &report.phases {
        of_phase(&mut page, phase);
    }
    said(&mut page, report);
    runs(&mut page, report);
    page.push_str("</body>\n</html>\n");
    page
}

/// `2026-01-02 03:04:05 UTC`.
fn when(stamp: &str) -> String {
    let text = stamp.replacen('T', " ", 1);
    let text = text
        .split('.')
        .next()
        .unwrap_or(&text)
        .trim_end_matches('Z');
    escape(&format!("{text} UTC"))
}

fn tone(state: PhaseState) -> &'static str {
    match state {
        PhaseState::Done => "good",
        PhaseState::Failed | PhaseState::InDoubt => "bad",
        PhaseState::Waiting | PhaseState::Undone => "warn",
        PhaseState::Running => "calm",
        PhaseState::Pending => "soft",
    }
}

/// Planned against actual: where each phase lies in the sum of the planned days, when it really was, and how long it was
/// expected to take when it began beside how long it took.
fn timeline(page: &mut String, report: &Report) {
    let days = report.phases.iter().filter_map(|phase| phase.planned_days);
    let all: f64 = days.sum();
    page.push_str(
        "<div class=\"scroll\"><table class=\"cards\">\n<tr><th>Phase</th><th>State</th><th>Risk</th><th>Planned</th>\
         <th>Began (UTC)</th><th>Ended (UTC)</th><th class=\"n\">Expected</th><th class=\"n\">Took</th></tr>\n",
    );
    let mut before = 0.0;
    for phase in &report.phases {
        let _ = writeln!(
            page,
            "<tr><td dir=\"auto\"><a href=\"#{id}\">{}</a></td><td class=\"state {}\">{}</td><td data-l=\"Risk\">{}</td>\
             <td>{}</td><td data-l=\"Began\">{}</td><td data-l=\"Ended\">{}</td>\
             <td class=\"n\" data-l=\"Expected\">{}</td><td class=\"n\" data-l=\"Took\">{}</td></tr>",
            escape(&phase.title),
            tone(phase.state),
            phase.state.name().replace('_', " "),
            phase.risk.map_or_else(String::new, |risk| name(&risk)),
            planned(phase, before, all),
            phase.began_at.as_deref().map_or_else(String::new, moment),
            phase.ended_at.as_deref().map_or_else(String::new, moment),
            took(phase.predicted_ms),
            took(phase.duration_ms),
            id = escape(&phase.id),
        );
        before += phase.planned_days.unwrap_or(0.0);
    }
    page.push_str("</table></div>\n");
}

/// The bar of a phase in the sum of the planned days, and its days.
fn planned(phase: &PhaseReport, before: f64, all: f64) -> String {
    let Some(days) = phase.planned_days.filter(|_| all > 0.0) else {
        return String::new();
    };
    let done = if phase.state == PhaseState::Done {
        "done"
    } else {
        ""
    };
    format!(
        "<div class=\"bar\"><i class=\"{done}\" style=\"inset-inline-start:{:.1}%;width:{:.1}%\"></i></div><span class=\"plan\">{}</span>",
        (100.0 * before / all).min(99.0),
        (100.0 * days / all).max(1.0),
        escape(&super::markdown::planned(phase))
    )
}

/// `2026-01-02 03:04:05`, under a heading that says UTC.
fn moment(stamp: &str) -> String {
    when(stamp).trim_end_matches(" UTC").to_owned()
}

fn of_phase(page: &mut String, phase: &PhaseReport) {
    let _ = writeln!(
        page,
        "<h2 id=\"{}\" dir=\"auto\">{} <span class=\"state {}\">{}</span></h2>",
        escape(&phase.id),
        escape(&phase.title),
        tone(phase.state),
        phase.state.name().replace('_', " ")
    );
    if !phase.objectives.is_empty() {
        let items = phase
            .objectives
            .iter()
            .map(|text| format!("<li dir=\"auto\">{}</li>", escape(text)));
        let _ = writeln!(page, "<ul>{}</ul>", items.collect::<String>());
    }
    if !phase.error.is_empty() {
        let _ = writeln!(
            page,
            "<p class=\"error\" dir=\"auto\">{}</p>",
            escape(&phase.error)
        );
    }
    if let Some(saved) = &phase.saved {
        let _ = writeln!(
            page,
            "<p class=\"soft\">Saved before it: <bdi>{}</bdi></p>",
            escape(saved)
        );
    }
    points(page, phase);
    page.push_str(
        "<div class=\"scroll\"><table>\n<tr><th>Step</th><th>Kind</th><th>State</th><th class=\"n\">Rows</th><th class=\"n\">Took</th></tr>\n",
    );
    for step in &phase.steps {
        let tone = match step.state {
            StepState::Done => "good",
            StepState::Failed | StepState::InDoubt => "bad",
            StepState::Warned | StepState::Undone | StepState::Waiting => "warn",
            _ => "soft",
        };
        let error = step.error.as_deref().map_or_else(String::new, |error| {
            format!(
                "<span class=\"evidence\" dir=\"auto\">{}</span>",
                escape(error)
            )
        });
        let archived = step.archived.iter().map(|said| {
            let said = escape(said);
            format!("<span class=\"evidence\" dir=\"auto\">{said}</span>")
        });
        let error = archived.fold(error, |text, said| text + &said);
        let _ = writeln!(
            page,
            "<tr><td dir=\"auto\">{}{error}</td><td>{}</td><td class=\"state {tone}\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            escape(&step.title),
            step.kind,
            name(&step.state),
            step.rows.map_or_else(String::new, |rows| rows.to_string()),
            took(step.duration_ms)
        );
    }
    page.push_str("</table></div>\n");
    checks(page, phase);
}

/// What was looked up at its gate, as a checklist.
fn points(page: &mut String, phase: &PhaseReport) {
    if phase.computed.is_empty() {
        return;
    }
    page.push_str("<ul class=\"checks\" aria-label=\"looked up at its gate\">\n");
    for point in &phase.computed {
        let (mark, tone, word) = match point.met {
            Some(true) => ("✓", "good", "holds"),
            Some(false) => ("✗", "bad", "does not hold"),
            None => ("○", "soft", "not asked"),
        };
        let _ = writeln!(
            page,
            "<li><b class=\"{tone}\" aria-label=\"{word}\">{mark}</b><bdi>{}</bdi> <span class=\"soft\">gate</span><span class=\"evidence\" dir=\"auto\">{}</span></li>",
            escape(&point.point),
            escape(&point.found)
        );
    }
    page.push_str("</ul>\n");
}

/// The checks as a checklist, each with its evidence.
fn checks(page: &mut String, phase: &PhaseReport) {
    if phase.checks.is_empty() {
        return;
    }
    page.push_str("<ul class=\"checks\">\n");
    for check in &phase.checks {
        let (mark, tone) = match check.outcome {
            CheckOutcome::Passed => ("✓", "good"),
            CheckOutcome::Failed => ("✗", "bad"),
            CheckOutcome::Warned => ("!", "warn"),
            CheckOutcome::NotRun => ("○", "soft"),
        };
        let evidence = match check.outcome {
            CheckOutcome::NotRun => "not run".to_owned(),
            _ => format!(
                "expected {}; observed {}; {}, {}",
                escape(&check.expected),
                escape(&check.observed),
                check.at.as_deref().map_or_else(String::new, when),
                took(check.duration_ms)
            ),
        };
        let _ = writeln!(
            page,
            "<li><b class=\"{tone}\" aria-label=\"{}\">{mark}</b><bdi>{}</bdi> <span class=\"soft\">{}</span><span class=\"evidence\" dir=\"auto\">{evidence}</span></li>",
            name(&check.outcome),
            escape(&check.id),
            escape(&check.when)
        );
    }
    page.push_str("</ul>\n");
}

fn said(page: &mut String, report: &Report) {
    if report.approvals.is_empty() {
        return;
    }
    page.push_str("<h2>What people said</h2>\n<div class=\"scroll\"><table class=\"cards\">\n<tr><th>When</th><th>Who</th><th>As</th><th>Phase</th><th>What</th><th>Note</th></tr>\n");
    for approval in &report.approvals {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td dir=\"auto\">{}</td><td data-l=\"as\">{}</td><td data-l=\"phase\">{}</td><td>{}</td><td dir=\"auto\">{}</td></tr>",
            when(&approval.at),
            escape(&approval.said.by),
            escape(approval.said.role.as_deref().unwrap_or_default()),
            escape(&approval.phase),
            approval.word(),
            escape(&approval.beside())
        );
    }
    page.push_str("</table></div>\n");
}

fn runs(page: &mut String, report: &Report) {
    page.push_str("<h2>Runs</h2>\n<div class=\"scroll\"><table class=\"cards\">\n<tr><th>Run</th><th>What</th><th>Outcome</th><th>Began</th><th class=\"n\">Took</th><th>By</th></tr>\n");
    for run in &report.runs {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td dir=\"auto\">{}</td><td>{}</td><td data-l=\"Began\">{}</td><td class=\"n\" data-l=\"Took\">{}</td><td dir=\"auto\" data-l=\"By\">{}</td></tr>",
            escape(&run.run),
            escape(&run.what),
            escape(run.outcome.as_deref().unwrap_or("no end")),
            when(&run.started_at),
            took(run.duration_ms),
            escape(&run.by)
        );
    }
    page.push_str("</table></div>\n");
}
