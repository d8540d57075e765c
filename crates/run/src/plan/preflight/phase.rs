//! What must hold when one phase begins.

use super::room::{least_room, of_backup_disk, of_backups, of_data_disk, rewritten};
use super::{Scene, of_plugins, of_requirements, of_rights, of_steps, redacted};
use crate::executor::Runner;
use crate::plan::look::{self, Ground};
use crate::plan::{Ask, estimate, show};
use crate::world::World;
use dunlin_core::failure::Failure;
use dunlin_core::finding::Finding;
use dunlin_core::journal::plan::PlanHistory;
use dunlin_core::plan::evidence::CheckOutcome;
use dunlin_core::preflight::{Checked, undo};
use dunlin_core::source::plan::PhaseDoc;
use dunlin_engines::{Purpose, Session};

/// A phase that may begin.
#[derive(Debug, Clone, Default)]
pub struct Ready {
    /// What is to be said beside.
    pub findings: Vec<Finding>,
    /// How long it may take: stands beside how long it took, afterwards.
    pub predicted_ms: Option<u64>,
}

/// What must hold when a phase begins; nothing of it has been touched yet. Gives what is to be said beside, or refuses.
///
/// Most of what it asks is about tables. Where no step of the phase names one, nothing is asked of the server for them,
/// and what is left (`requires`, room on disks) by the session that is there.
pub async fn for_run(
    runner: &mut Runner<'_>,
    ask: &Ask<'_>,
    phase: &PhaseDoc,
    history: &PlanHistory,
) -> Result<Ready, Failure> {
    let world = runner.world;
    let work = &mut *runner.work;
    let bare = look::unread(ask, work, history);
    let looks = look::steps(&bare, ask.doc, Some(&phase.id), None).await;
    let is_bare = phase.steps.iter().all(|step| {
        let look = looks.get(&step.id);
        look.is_some_and(|look| look.is_done || look.names_nothing()) && !bare.looks(step)
    });
    if is_bare {
        return ready(world, ask, phase, &bare, work).await;
    }
    let mut session = world.open(Purpose::Read).await?;
    let ready = async {
        let of = (ask.project, ask.migrations);
        let ground = show::ground_of(world, of, history.clone(), &mut *session).await?;
        ready(world, ask, phase, &ground, &mut *session).await
    };
    let ready = ready.await;
    session.close().await;
    ready
}

async fn ready(
    world: &World,
    ask: &Ask<'_>,
    phase: &PhaseDoc,
    ground: &Ground<'_>,
    session: &mut dyn Session,
) -> Result<Ready, Failure> {
    let (project, doc) = (ask.project, ask.doc);
    let scene = Scene {
        world,
        project,
        doc,
        ahead: vec![phase],
        looks: look::steps(ground, doc, Some(&phase.id), Some(session)).await,
        ground,
    };
    let mut found = vec![of_rights(&scene, session, false).await];
    found.extend(of_backup_disk(&scene, session).await);
    if least_room(scene.doc) > 0 || rewritten(&scene).is_some() {
        found.push(of_data_disk(&scene, session).await);
    }
    found.extend(of_requirements(&scene, session).await);
    found.push(of_plugins(&scene, session).await);
    found.extend(of_steps(&scene, |_, code| {
        [undo::CODE, "no-unique-key"].contains(&code)
    }));
    found.push(of_backups(&scene));
    let found = found.into_iter().map(|one| redacted(world, one));
    let findings = verdict(phase, found.collect())?;
    let rates = estimate::calibrate(session, ground, &scene.looks, doc).await;
    Ok(Ready {
        findings,
        predicted_ms: estimate::of_phase(phase, &scene.looks, ground, &rates).ms,
    })
}

/// What was found as one failure, where something must hold and does not.
fn verdict(phase: &PhaseDoc, found: Vec<Checked>) -> Result<Vec<Finding>, Failure> {
    let failed: Vec<&Checked> = found
        .iter()
        .filter(|one| one.outcome == CheckOutcome::Failed)
        .collect();
    let [first, rest @ ..] = failed.as_slice() else {
        return Ok(found.iter().filter_map(Checked::finding).collect());
    };
    let more = match rest.len() {
        0 => String::new(),
        n => format!(" (and {n} more)"),
    };
    let code = if rest.is_empty() {
        first.code
    } else {
        "preflight"
    };
    let shown = |one: &Checked| match one.id.strip_prefix("requires:") {
        Some(required) => format!("`{required}` is required: {}", one.message),
        None => one.message.clone(),
    };
    let message = format!("phase `{}` did not begin: {}{more}", phase.id, shown(first));
    let mut failure = Failure::refused(code, message).at(phase.place.clone());
    failure.hints.extend(first.help.clone());
    for one in rest {
        let help = one
            .help
            .as_deref()
            .map_or_else(String::new, |help| format!(": {help}"));
        failure.hints.push(format!("{}{help}", shown(one)));
    }
    Err(failure.hint("`dunlin plan check` looks at everything at once"))
}
