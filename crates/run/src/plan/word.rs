//! What people say beside a run: approvals, confirmations, pause, resume, abort. None of it needs the lease.

use super::{Waiting, gates, store};
use crate::journal_store;
use crate::world::World;
use dunlin_core::failure::Failure;
use dunlin_core::journal::plan::{
    Approval, Confirmation, PhaseState, PlanHistory, phase_key, plan_key, step_key,
};
use dunlin_core::journal::{BlockDetail, Event, Writing};
use dunlin_core::plan::gate::{self, GateState};
use dunlin_core::source::grammar::checks::When;
use dunlin_core::source::plan::{CheckSpec, PhaseDoc, PlanDoc, StepDoc, StepSpec, UndoSpec};
use dunlin_engines::Purpose;

impl Waiting {
    /// For one word of a person.
    pub(super) fn word(phase: &str, id: &str, missing: String) -> Waiting {
        Waiting {
            phase: phase.into(),
            missing: vec![missing],
            confirm: vec![id.into()],
            gate: false,
        }
    }
}

/// The plan's history, by a session that only reads.
pub async fn history(world: &World, doc: &PlanDoc) -> Result<PlanHistory, Failure> {
    let mut reader = world.open(Purpose::Read).await?;
    let history = store::read(world, &mut *reader, &doc.name).await;
    reader.close().await;
    history
}

/// Records a person's word at a phase's gate, or at its review where the phase is done. Gives how the gate stands now.
pub async fn approve(
    world: &World,
    doc: &PlanDoc,
    phase: &str,
    mut approval: Approval,
) -> Result<GateState, Failure> {
    let Some(found) = doc.phase(phase) else {
        return Err(super::unknown_phase(doc, phase));
    };
    if approval.by.trim().is_empty() {
        return Err(Failure::usage(
            "usage",
            "`--by` needs a name: who approves?",
        ));
    }
    let before = history(world, doc).await?;
    let state = before.phase(phase).state;
    approval.review = state == PhaseState::Done;
    if approval.review && !found.review {
        let message = format!("phase `{phase}` is done, and the plan asks for no review of it");
        return Err(Failure::refused("gate-passed", message));
    }
    if state.stands() && !approval.review {
        let message = format!("phase `{phase}` has begun already: its gate was open");
        return Err(Failure::refused("gate-passed", message));
    }
    understood(found, &approval)?;
    let said = before.approvals(&found.id, &found.hash, approval.review);
    if gate::said_already(&said, &approval) {
        let message = format!("{} has said so already", approval.by);
        return Err(Failure::refused("approved-twice", message));
    }
    approval.user = store::database_user(world);
    approval.os = world.who.clone();
    let detail = crate::steps::migrate::json(&approval);
    let key = phase_key(&doc.name, phase);
    store::say(
        world,
        &[Writing::unit(Event::Approved, &key, &found.hash, detail)],
    )
    .await?;
    let after = history(world, doc).await?;
    if approval.review {
        let said = after.approvals(phase, &found.hash, true);
        return Ok(gate::review(found, &said));
    }
    Ok(gates::before(world, doc, found, &after).await)
}

/// Whether the words of an approval mean something at this gate.
fn understood(found: &PhaseDoc, approval: &Approval) -> Result<(), Failure> {
    let id = &found.id;
    if let Some(role) = &approval.role
        && !found.approvers.is_empty()
        && !found.approvers.contains(role)
    {
        let message = format!("phase `{id}` asks for no approval of {role}");
        return Err(Failure::usage("unknown-role", message)
            .hint(format!("its approvers: {}", found.approvers.join(", "))));
    }
    if approval.role.is_none() && !found.approvers.is_empty() && !approval.reject {
        let message = "in which role? `--as ROLE` says so";
        return Err(Failure::usage("unknown-role", message).hint(format!(
            "approvers of phase `{id}`: {}",
            found.approvers.join(", ")
        )));
    }
    for point in &approval.confirm {
        let known = |own: &&String| own.trim().eq_ignore_ascii_case(point.trim());
        if !found.go.iter().any(|own| known(&own)) {
            return Err(Failure::usage(
                "unknown-point",
                format!("phase `{id}` has no point \"{point}\""),
            )
            .hint(format!("its points: {}", found.go.join(", "))));
        }
    }
    for step in &approval.accept {
        let known = found.steps.iter().find(|own| own.id == *step);
        if !known.is_some_and(|own| matches!(own.undo, UndoSpec::Impossible(_))) {
            let message = format!("phase `{id}` has no step `{step}` whose undo is impossible");
            return Err(Failure::usage("unknown-step", message));
        }
    }
    Ok(())
}

/// Records that a manual step was done, that a check was answered, or how a step in doubt (or the statement of one) came
/// out. Gives the phase.
pub async fn confirm(
    world: &World,
    doc: &PlanDoc,
    mut word: Confirmation,
) -> Result<String, Failure> {
    if word.by.trim().is_empty() {
        return Err(Failure::usage("usage", "`--by` needs a name: who says so?"));
    }
    let asks = |check: &&dunlin_core::source::plan::CheckDoc| {
        check.id == word.id && matches!(check.kind, CheckSpec::Ask(_))
    };
    let outside = |step: &StepDoc| matches!(step.kind, StepSpec::Exec(_) | StepSpec::Http(_));
    let phase = doc.phases.iter().find(|phase| {
        let own = phase.steps.iter().flat_map(|step| &step.checks);
        let manual = |step: &StepDoc| matches!(step.kind, StepSpec::Manual(_));
        let mut steps = phase.steps.iter();
        phase.checks.iter().chain(own).any(|check| asks(&check))
            || steps.any(|step| step.id == word.id && (manual(step) || outside(step)))
    });
    let Some(phase) = phase else {
        return settle(world, doc, &word).await;
    };
    let before = history(world, doc).await?;
    let mut steps = phase.steps.iter();
    if let Some(step) = steps.find(|step| step.id == word.id && outside(step)) {
        let key = step_key(&doc.name, &phase.id, &step.id);
        if before.flight(&key).is_none() {
            return Err(nothing_to_settle(step));
        }
    }
    is_asked(&before, phase, &word)?;
    word.os = world.who.clone();
    let detail = crate::steps::migrate::json(&word);
    let record = Writing::unit(Event::Confirmed, &plan_key(&doc.name), &phase.hash, detail);
    store::say(world, &[record]).await?;
    Ok(phase.id.clone())
}

/// Whether a word can be meant already. Of a phase that has not begun nothing is asked but the questions before it, and
/// those when what it needs is done: a word from before would count for what nobody has seen.
fn is_asked(history: &PlanHistory, phase: &PhaseDoc, word: &Confirmation) -> Result<(), Failure> {
    let done = |need: &String| history.phase(need).state == PhaseState::Done;
    let own = phase.checks.iter().find(|check| check.id == word.id);
    let is_next =
        own.is_some_and(|check| check.when != When::After) && phase.needs.iter().all(done);
    if is_next || history.phase(&phase.id).state.stands() {
        return Ok(());
    }
    let message = format!(
        "`{}` cannot be confirmed yet: phase `{}` has not begun",
        word.id, phase.id
    );
    Err(Failure::refused("phase-not-begun", message)
        .hint("`dunlin run` stops with exit 3 where it is asked for: confirm it from then on"))
}

/// Settles a statement of a step whose end is not known, by a person's word. Gives the phase.
async fn settle(world: &World, doc: &PlanDoc, word: &Confirmation) -> Result<String, Failure> {
    let found = doc.phases.iter().find_map(|phase| {
        let step = phase.steps.iter().find(|step| step.id == word.id)?;
        Some((phase, step))
    });
    let Some((phase, step)) = found else {
        let message = format!(
            "the plan \"{}\" has no manual step and no asked check `{}`",
            doc.name, word.id
        );
        return Err(Failure::usage("unknown-step", message));
    };
    let key = step_key(&doc.name, &phase.id, &step.id);
    let mut reader = world.open(Purpose::Read).await?;
    let open = async {
        let history = store::read(world, &mut *reader, &doc.name).await?;
        let Some(flight) = history.flight(&key) else {
            return Ok(None);
        };
        let blocks = journal_store::blocks(world, &mut *reader, &key, flight).await?;
        Ok(blocks.into_iter().find(|block| !block.done))
    };
    let open: Result<_, Failure> = open.await;
    reader.close().await;
    let Some(block) = open? else {
        return Err(nothing_to_settle(step));
    };
    let why = match &word.note {
        Some(note) => format!("{} said so: {note}", word.by),
        None => format!("{} said so", word.by),
    };
    let detail = BlockDetail {
        to: if word.no { "not_done" } else { "done" }.into(),
        why,
        ..BlockDetail::default()
    };
    let detail = crate::steps::migrate::json(&detail);
    let record = Writing::block(Event::Settled, &key, block.index, &block.hash, detail);
    store::say(world, &[record]).await?;
    Ok(phase.id.clone())
}

fn nothing_to_settle(step: &StepDoc) -> Failure {
    let message = format!(
        "step `{}` is not in doubt: there is nothing to settle",
        step.id
    );
    Failure::refused("nothing-to-settle", message)
}

/// Asks the plan's runner to pause, to go on, or to stop.
pub async fn order(world: &World, doc: &PlanDoc, order: Event) -> Result<PlanHistory, Failure> {
    let before = history(world, doc).await?;
    if before.last_id == 0 {
        let message = format!(
            "the plan \"{}\" has not been run on this database",
            doc.name
        );
        return Err(Failure::refused("plan-not-begun", message));
    }
    let detail = serde_json::json!({ "by": world.who });
    store::say(
        world,
        &[Writing::unit(order, &plan_key(&doc.name), "", detail)],
    )
    .await?;
    Ok(before)
}
