//! `up` and `down`.

use super::Answer;
use crate::args::{Down, Format, Global, Up};
use crate::context::{self, Context, unbroken};
use crate::render::events::Screen;
use crate::render::table::{self, count, duration};
use dunlin::control::{self, Control};
use dunlin::up::{Ahead, Goal, Options, Report};
use dunlin_core::failure::Failure;
use dunlin_core::plan::select::{DownGoal, UpGoal};
use dunlin_core::source::Version;
use std::time::Instant;

/// `up`.
pub async fn up(global: &Global, up: &Up) -> Result<Answer, Answer> {
    let opened = context::open(global)?;
    // A dry run touches nothing: it does not make the database either.
    let create = up.create && !up.dry_run;
    // What is made first cannot be looked at before, and a dry run has its own way of looking.
    let (context, ahead) = if up.create || up.dry_run {
        (opened.context(global, create)?, None)
    } else {
        let (context, ahead) = opened.context_and_ahead(global).await?;
        (context, Some(ahead))
    };
    if create {
        let made = context.world.engine.create_database().await;
        made.map_err(|error| {
            context
                .world
                .redact(dunlin::trouble::refused(&error, "cannot make the database"))
        })?;
    }
    let goal = Goal::Up(UpGoal {
        to: up.to.clone().map(Version),
        out_of_order: context.world.config.out_of_order,
    });
    if up.dry_run {
        return super::dry_run::show(&context, &goal, up.create).await;
    }
    let options = Options {
        wait_for_lease: !global.no_wait,
        one_transaction: up.one_transaction,
        no_backup: up.no_backup,
    };
    run(global, context, ahead, goal, options).await
}

/// `down`.
pub async fn down(global: &Global, down: &Down) -> Result<Answer, Answer> {
    let (context, ahead) = context::open(global)?.context_and_ahead(global).await?;
    let goal = Goal::Down(match (&down.to, &down.only, down.steps) {
        (Some(to), _, _) => DownGoal::To(Version(to.clone())),
        (_, Some(only), _) => DownGoal::Only(Version(only.clone())),
        (_, _, steps) => DownGoal::Steps(steps.unwrap_or(1)),
    });
    run(
        global,
        context,
        Some(ahead),
        goal,
        Options {
            wait_for_lease: !global.no_wait,
            ..Options::default()
        },
    )
    .await
}

async fn run(
    global: &Global,
    context: Context,
    ahead: Option<Ahead>,
    goal: Goal,
    options: Options,
) -> Result<Answer, Answer> {
    let mut screen = screen(global, &context)?;
    let control = listen();
    let started = Instant::now();
    let mut ahead = match ahead {
        Some(ahead) => ahead,
        None => Ahead::look(&context.world).await,
    };
    let idle = ahead.is_idle(&context.migrations, &goal);
    let running = async move {
        let (world, migrations) = (&context.world, &context.migrations);
        let report = dunlin::up::run_after(
            ahead,
            world,
            migrations,
            &goal,
            &options,
            &mut screen,
            control,
        )
        .await;
        (report, context, goal, screen)
    };
    // Work goes on the threads of a runtime, where the connections' drivers run too: they need not wake each other up for
    // each word that is spoken with the server, and whatever one of them is busy with, the lease beats on the other.
    let (report, context, goal, mut screen) = match (idle, crate::workers()) {
        (false, Some(workers)) => unbroken(workers.spawn(running).await),
        _ => running.await,
    };
    screen.finish();
    if report.failure.is_none() && !report.steps.is_empty() {
        super::status::update_manifest(&context).await?;
    }
    let mut answer = answer(&context, &goal, report, started);
    answer.findings.extend_from_slice(&context.findings);
    answer.findings.rotate_right(context.findings.len());
    answer.told = screen.told().to_vec();
    // The process is about to end: taking a thousand scripts apart before is time that nobody has asked for.
    std::mem::forget(context);
    Ok(answer)
}

/// The screen of a run, with the files that it also writes.
pub fn screen(global: &Global, context: &Context) -> Result<Screen, Answer> {
    let lines = match &global.events {
        None => None,
        Some(target) => Some(Screen::lines_to(target).map_err(|error| {
            Answer::from(Failure::usage(
                "events",
                format!("--events {target}: {error}"),
            ))
        })?),
    };
    let log = context.project.log.as_ref().and_then(|path| {
        // Best effort: a log that cannot be written never keeps a migration from running.
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .ok()?;
        Some((
            file,
            context
                .project
                .name
                .clone()
                .unwrap_or_else(|| context.world.config.name.clone()),
        ))
    });
    let quiet = global.quiet || global.format == Format::Json;
    let screen = Screen::new(
        quiet,
        global.verbose,
        lines,
        log,
        context.world.redactor.clone(),
        context.world.clock,
    );
    Ok(screen.colored(super::colored(global)))
}

/// The screen of something that runs without scripts.
pub fn plain_screen(global: &Global, world: &dunlin::world::World) -> Screen {
    let quiet = global.quiet || global.format == Format::Json;
    Screen::new(
        quiet,
        global.verbose,
        None,
        None,
        world.redactor.clone(),
        world.clock,
    )
}

/// Ctrl-C once: stop after the statement in flight; twice: cancel it. SIGTERM counts as the first.
pub fn listen() -> Control {
    let (handle, control) = control::pair();
    tokio::spawn(async move {
        let mut terminate =
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(stream) => stream,
                Err(_) => return,
            };
        loop {
            tokio::select! {
                pressed = tokio::signal::ctrl_c() => if pressed.is_err() { return },
                _ = terminate.recv() => {}
            }
            match handle.press() {
                control::Stop::Soon => {
                    crate::render::say("stopping after this statement; once more cancels it\n");
                }
                _ => crate::render::say("cancelling the statement\n"),
            }
        }
    });
    control
}

fn answer(context: &Context, goal: &Goal, report: Report, started: Instant) -> Answer {
    let what = goal.what();
    let key = if what == "up" { "applied" } else { "undone" };
    let mut data = serde_json::json!({ "backup": report.backup });
    data[key] = serde_json::to_value(&report.steps).unwrap_or_default();
    if let Some(run) = &report.run {
        data["run"] = run.clone().into();
    }
    let shown = context
        .world
        .redactor
        .apply(&context.world.engine.describe());
    let mut text = String::new();
    if !report.steps.is_empty() {
        let verb = if what == "up" { "Applied" } else { "Took back" };
        let preposition = if what == "up" { "to" } else { "from" };
        let took = duration(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        text.push_str(&format!(
            "{verb} {} {preposition} {shown} in {took}\n",
            count(report.steps.len(), "migration")
        ));
        let rows = report.steps.iter().map(|step| {
            vec![
                step.version.clone(),
                step.name.clone(),
                duration(step.duration_ms),
            ]
        });
        text.push_str(&table::render(
            &["version", "name", "took"],
            rows.collect(),
            &[2],
        ));
    } else if report.failure.is_none() {
        let findings = report.findings.iter();
        let left = findings.filter(|it| it.code == "out-of-order").count();
        text = match goal {
            Goal::Up(_) if context.migrations.is_empty() => format!(
                "Nothing to do: the folder `{}` holds no scripts\n",
                context::shown(&context.world.config.migrations)
            ),
            Goal::Up(_) if left > 0 => format!(
                "Nothing to do: {shown} is up to date, but for {} out of order\n",
                count(left, "migration")
            ),
            // More may be pending above it; only what was asked for is claimed.
            Goal::Up(UpGoal { to: Some(to), .. }) => {
                format!("Nothing to do: {shown} has everything up to {to}\n")
            }
            Goal::Up(_) => format!("Nothing to do: {shown} is up to date\n"),
            Goal::Down(_) => format!("Nothing to do: nothing is applied to {shown}\n"),
        };
    }
    if let Some(path) = &report.backup {
        text.push_str(&format!("Backup: {path}\n"));
    }
    Answer {
        ended: None,
        data,
        findings: report.findings,
        failure: report.failure,
        text,
        told: vec![],
    }
}
