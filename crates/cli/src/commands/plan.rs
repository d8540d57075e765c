//! `run`, `rollback`, and what people say beside a run: `approve`, `confirm`, `pause`, `resume`, `abort`.

use super::Answer;
use super::run::{listen, screen};
use crate::args::{Approve, Confirm, Global, Rollback, RunPlan};
use crate::context::{self, Context, unbroken};
use crate::render::events::Screen;
use crate::render::plan as render;
use dunlin::plan::{self as plans, Ask, Report};
use dunlin::world::{Opening, World};
use dunlin_core::exit::Outcome;
use dunlin_core::failure::Failure;
use dunlin_core::finding::any_error;
use dunlin_core::journal::Event;
use dunlin_core::journal::plan::{Approval, Confirmation};
use dunlin_core::source::plan::PlanDoc;
use dunlin_engines::Purpose;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a person orders from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// `pause`.
    Pause,
    /// `resume`.
    Resume,
    /// `abort`.
    Abort,
}

/// A plan with its world.
pub(super) struct Opened {
    /// The world and its migrations.
    pub context: Context,
    /// The plan.
    pub doc: PlanDoc,
    /// How the person named it.
    pub shown: String,
}

/// Reads a plan and opens the world of its database.
pub(super) fn open(global: &Global, plan: &Path) -> Result<Opened, Answer> {
    open_and(global, plan, |_| ()).map(|(opened, ())| opened)
}

/// The same, with something begun for the database before the plan is read.
fn open_and<T>(
    global: &Global,
    plan: &Path,
    begin: impl FnOnce(&Arc<World>) -> T,
) -> Result<(Opened, T), Answer> {
    let opened = context::open(global)?;
    let path = find(&opened.project.root, plan)?;
    let mut global = global.clone();
    if global.database.is_none() {
        global.database = plans::load::database(&path).map_err(Answer::unreadable)?;
    }
    let world = Arc::new(opened.world(&global, false)?);
    let begun = begin(&world);
    let read = plans::load::load(&path, &opened.project, &world.config);
    let (doc, findings) = read.map_err(Answer::unreadable)?;
    if any_error(&findings) {
        return Err(Answer::unreadable(findings));
    }
    let folder = &world.config.migrations;
    let scripts = match doc.runs_migrations() || folder.exists() {
        true => dunlin::folder::read(&world.config, &context::shown),
        // A plan of its own statements needs no folder of scripts.
        false => Ok((vec![], vec![])),
    };
    let mut context = opened.with_scripts(world, scripts)?;
    context.findings.extend(findings);
    let opened = Opened {
        context,
        doc,
        shown: plan.display().to_string(),
    };
    Ok((opened, begun))
}

/// A plan by its path, or by the name of its file beside `dunlin.toml`.
pub(super) fn find(root: &Path, plan: &Path) -> Result<PathBuf, Answer> {
    let named = PathBuf::from(format!("{}.plan.toml", plan.display()));
    let known = [
        plan.to_path_buf(),
        named.clone(),
        root.join(plan),
        root.join(&named),
        root.join("plans").join(&named),
    ];
    if let Some(found) = known.iter().find(|path| path.is_file()) {
        let here = std::env::current_dir().unwrap_or_default();
        return Ok(found.strip_prefix(&here).unwrap_or(found).to_path_buf());
    }
    let message = format!("there is no plan `{}`", plan.display());
    Err(Failure::usage("plan-missing", message)
        .hint("a plan is a file `NAME.plan.toml`; give its path, or NAME where it is beside dunlin.toml or in plans/")
        .into())
}

pub(super) fn ask<'a>(global: &Global, opened: &'a Opened) -> Ask<'a> {
    Ask {
        project: &opened.context.project,
        doc: &opened.doc,
        shown: opened.shown.clone(),
        migrations: &opened.context.migrations,
        until: None,
        from: None,
        to: None,
        wait_for_lease: !global.no_wait,
        discard_later: false,
        leave_archived: false,
    }
}

/// `run`.
pub async fn run(global: &Global, typed: RunPlan) -> Result<Answer, Answer> {
    // A plan takes as long to read as the server takes to let somebody in: it is read here, and the session opened on the
    // threads where the connections' drivers run. There the run goes on, for it need not wake a driver up for each word.
    let (opened, reader) = open_and(global, &typed.plan, |world| {
        world.begin_to_open(Purpose::Read)
    })?;
    let running = run_opened(global.clone(), typed, opened, reader);
    unbroken(tokio::spawn(running).await)
}

async fn run_opened(
    global: Global,
    typed: RunPlan,
    opened: Opened,
    reader: Opening,
) -> Result<Answer, Answer> {
    let mut screen = screen(&global, &opened.context)?;
    let ask = Ask {
        until: typed.until.clone(),
        from: typed.from,
        to: typed.to,
        leave_archived: typed.leave_archived,
        ..ask(&global, &opened)
    };
    let world = &opened.context.world;
    let mut report = plans::run(world, &ask, Some(reader), &mut screen, listen()).await;
    while let Some(waiting) = report.waiting.clone()
        && super::ask::may_ask(&global)
    {
        screen.finish();
        if !super::ask::at_gate(&opened, &waiting).await? {
            break;
        }
        report = plans::run(world, &ask, None, &mut screen, listen()).await;
    }
    tell(&opened, &report, "run", &mut screen).await;
    screen.finish();
    Ok(answer(&opened, report, screen.told(), "run"))
}

/// `rollback`.
pub async fn rollback(global: &Global, typed: &Rollback) -> Result<Answer, Answer> {
    let opened = open(global, &typed.plan)?;
    let mut screen = screen(global, &opened.context)?;
    if typed.emergency {
        return Ok(emergency(&opened, &mut screen).await);
    }
    let ask = Ask {
        until: typed.to.clone(),
        discard_later: typed.discard_later,
        ..ask(global, &opened)
    };
    let report = plans::rollback(&opened.context.world, &ask, &mut screen, listen()).await;
    tell(&opened, &report, "rollback", &mut screen).await;
    screen.finish();
    Ok(answer(&opened, report, screen.told(), "rollback"))
}

/// Tells whoever `[notify]` names.
async fn tell(opened: &Opened, report: &Report, verb: &str, screen: &mut Screen) {
    let plan = &opened.doc.name;
    let summary = match (&report.failure, &report.waiting) {
        (Some(failure), _) => format!("{verb} of \"{plan}\": {}", failure.message),
        (None, Some(waiting)) => format!("{verb} of \"{plan}\" waits at phase {}", waiting.phase),
        (None, None) => format!("{verb} of \"{plan}\" is done"),
    };
    let (world, project) = (&opened.context.world, &opened.context.project);
    dunlin::notify::after(world, project, report.outcome(), &summary, screen).await;
}

/// `rollback --emergency`.
async fn emergency(opened: &Opened, screen: &mut Screen) -> Answer {
    let world = &opened.context.world;
    let (project, doc) = (&opened.context.project, &opened.doc);
    let done = plans::emergency::run(world, project, doc, screen, listen()).await;
    let verb = "emergency rollback of";
    let (outcome, summary) = match &done.failure {
        Some(failure) => {
            let summary = format!("{verb} \"{}\": {}", doc.name, failure.message);
            (failure.class.outcome(), summary)
        }
        None => (Outcome::Done, format!("{verb} \"{}\" is done", doc.name)),
    };
    dunlin::notify::after(world, project, outcome, &summary, screen).await;
    screen.finish();
    let mut text = String::new();
    for stage in &done.stages {
        text.push_str(&format!(
            "{:<8} {:<8} {}\n",
            stage.stage, stage.outcome, stage.said
        ));
    }
    if !done.stages.is_empty() {
        text.push_str(&format!(
            "Written down in {}\n",
            context::shown(&done.record)
        ));
    }
    let data = json!({ "run": null, "phases": [], "stages": done.stages, "backup": done.backup, "record": done.record });
    let mut answer = Answer::done(text, data);
    answer.failure = done.failure;
    answer
}

fn answer(
    opened: &Opened,
    report: Report,
    told: &[dunlin_core::finding::Finding],
    verb: &str,
) -> Answer {
    let text = render::report(&opened.doc, &report, &opened.shown, verb);
    let mut data = json!({ "run": report.run, "phases": report.phases });
    if let Some(waiting) = &report.waiting {
        data["waiting"] = json!(waiting);
    }
    if verb == "rollback" {
        data["undone"] = json!(report.undone);
    }
    if !report.archived.is_empty() {
        data["archived"] = json!(report.archived);
    }
    if !report.home.is_empty() {
        data["home"] = json!(report.home);
    }
    let mut findings = opened.context.findings.clone();
    let ended = Some(report.outcome());
    findings.extend(report.findings);
    Answer {
        ended,
        data,
        findings,
        failure: report.failure,
        text,
        told: told.to_vec(),
    }
}

/// `approve`.
pub async fn approve(global: &Global, typed: Approve) -> Result<Answer, Answer> {
    let opened = open(global, &typed.plan)?;
    let phase = typed.phase;
    let approval = Approval {
        by: typed.by,
        role: typed.role,
        confirm: typed.confirm,
        accept: typed.accept,
        reject: typed.reject,
        note: typed.note,
        ..Approval::default()
    };
    let reject = approval.reject;
    let world = &opened.context.world;
    let gate = plans::word::approve(world, &opened.doc, &phase, approval).await;
    let gate = gate.map_err(|failure| world.redact(failure))?;
    let mut text = match (gate.open, reject) {
        (true, _) => format!("The gate of phase `{phase}` is open\n"),
        (false, true) => format!("Recorded: the gate of phase `{phase}` stays closed\n"),
        (false, false) => format!("Recorded; the gate of phase `{phase}` still lacks:\n"),
    };
    for missing in gate.missing.iter().chain(&gate.rejected) {
        text.push_str(&format!("  - {missing}\n"));
    }
    let data = json!({ "phase": phase, "open": gate.open, "missing": gate.missing, "rejected": gate.rejected, "computed": gate.computed });
    Ok(Answer::done(text, data))
}

/// `confirm`.
pub async fn confirm(global: &Global, typed: Confirm) -> Result<Answer, Answer> {
    let opened = open(global, &typed.plan)?;
    let world = &opened.context.world;
    let word = Confirmation {
        id: typed.what.clone(),
        by: typed.by,
        no: typed.no,
        note: typed.note,
        os: String::new(),
    };
    let phase = plans::word::confirm(world, &opened.doc, word).await;
    let phase = phase.map_err(|failure| world.redact(failure))?;
    let text = format!(
        "Recorded; `dunlin run {}` goes on with phase `{phase}`\n",
        opened.shown
    );
    let data = json!({ "phase": phase, "open": true, "missing": [] });
    Ok(Answer::done(text, data))
}

/// `pause`, `resume`, `abort`.
pub async fn order(global: &Global, plan: &Path, order: Order) -> Result<Answer, Answer> {
    let opened = open(global, plan)?;
    let world = &opened.context.world;
    let (event, said) = match order {
        Order::Pause => (Event::Paused, "its runner pauses before its next step"),
        Order::Resume => (Event::Resumed, "its runner goes on"),
        Order::Abort => (
            Event::Aborted,
            "its runner stops before its next step; nothing is undone",
        ),
    };
    let done = plans::word::order(world, &opened.doc, event).await;
    done.map_err(|failure| world.redact(failure))?;
    let text = format!("Recorded for the plan \"{}\": {said}\n", opened.doc.name);
    Ok(Answer::done(text, json!({ "plan": opened.doc.name })))
}
