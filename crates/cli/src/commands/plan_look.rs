//! `plan show`, `plan check`: looking at a plan before anything is done.

use super::Answer;
use super::plan::{ask, find, open};
use crate::args::Global;
use crate::context;
use crate::render::plan_show;
use crate::render::table::count;
use dunlin::plan::{self as plans, preflight, show as shown};
use dunlin_core::failure::Failure;
use dunlin_core::plan::evidence::CheckOutcome;
use dunlin_core::preflight::Checked;
use serde_json::json;
use std::path::Path;

/// `plan show`.
pub async fn show(global: &Global, plan: &Path) -> Result<Answer, Answer> {
    let (view, findings) = match open(global, plan) {
        Ok(opened) => {
            let context = opened.context;
            let (world, project) = (&context.world, &context.project);
            let view = shown::show(world, project, &opened.doc, &context.migrations).await;
            (view, context.findings)
        }
        Err(answer) => without_address(global, plan, answer)?,
    };
    let data = serde_json::to_value(&view).unwrap_or_default();
    let mut answer = Answer::done(plan_show::page(&view), data);
    answer.findings = findings;
    Ok(answer)
}

/// A plan whose database has no address yet: what its file tells is shown all the same.
fn without_address(
    global: &Global,
    plan: &Path,
    answer: Answer,
) -> Result<(plans::view::PlanView, Vec<dunlin_core::finding::Finding>), Answer> {
    let code = answer.failure.as_ref().map(|failure| failure.code);
    let is_address = matches!(
        code,
        Some("no-url" | "missing-variable" | "unknown-database")
    );
    let Some(why) = answer.failure.as_ref().filter(|_| is_address) else {
        return Err(answer);
    };
    let why = why.message.clone();
    let opened = context::open(global)?;
    let path = find(&opened.project.root, plan)?;
    let named = global.database.clone();
    let named = named.or(plans::load::database(&path).map_err(Answer::unreadable)?);
    let config = match &named {
        Some(name) => opened
            .project
            .databases
            .iter()
            .find(|one| one.name == *name),
        None => opened.project.databases.first(),
    };
    let Some(config) = config else {
        return Err(answer);
    };
    let read = plans::load::load(&path, &opened.project, config);
    let (doc, mut findings) = read.map_err(Answer::unreadable)?;
    findings.extend(opened.findings);
    Ok((
        shown::without_address(&opened.project, &doc, &why),
        findings,
    ))
}

/// `plan check`.
pub async fn check(global: &Global, plan: &Path) -> Result<Answer, Answer> {
    let opened = open(global, plan)?;
    let checks = preflight::check(&opened.context.world, &ask(global, &opened)).await;
    let mut answer = Answer::done(page(&checks), json!({ "checks": checks }));
    answer.findings = opened.context.findings;
    let failed: Vec<&Checked> = checks
        .iter()
        .filter(|one| one.outcome == CheckOutcome::Failed)
        .collect();
    if let Some(first) = failed.first() {
        let (code, message) = match failed.len() {
            1 => (
                first.code,
                format!(
                    "the plan \"{}\" cannot begin: {}",
                    opened.doc.name, first.message
                ),
            ),
            many => (
                "preflight",
                format!(
                    "the plan \"{}\" cannot begin: {} of its checks failed",
                    opened.doc.name, many
                ),
            ),
        };
        let mut failure = Failure::refused(code, message);
        failure.hints = failed
            .iter()
            .filter_map(|one| Some(format!("{}: {}", one.id, one.help.as_ref()?)))
            .collect();
        answer.failure = Some(failure);
    }
    Ok(answer)
}

/// What was looked at, each on a line of its own with what to do below it.
fn page(checks: &[Checked]) -> String {
    let mut text = String::new();
    for one in checks {
        let mark = match one.outcome {
            CheckOutcome::Passed => "✓",
            CheckOutcome::Failed => "✗ failed:",
            CheckOutcome::Warned => "! warning:",
            CheckOutcome::NotRun => "· not known:",
        };
        text.push_str(&format!("{mark} {}: {}\n", one.id, one.message));
        if let Some(help) = &one.help {
            text.push_str(&format!("    → {help}\n"));
        }
    }
    let of = |outcome: CheckOutcome| checks.iter().filter(|one| one.outcome == outcome).count();
    let failed = of(CheckOutcome::Failed);
    text.push_str(&format!(
        "\n{}: {} passed, {failed} failed, {}, {} not known\n",
        count(checks.len(), "check"),
        of(CheckOutcome::Passed),
        count(of(CheckOutcome::Warned), "warning"),
        of(CheckOutcome::NotRun),
    ));
    text
}
