//! The gates of phases: what people have said, and what is looked up beside it.

use super::Waiting;
use super::preflight::newest_backup;
use crate::world::World;
use dunlin_core::journal::plan::{PhaseState, PlanHistory, Said};
use dunlin_core::plan::gate::{self, GateState};
use dunlin_core::preflight::requires::Found;
use dunlin_core::source::grammar::plan::{Gate, PhaseBackup};
use dunlin_core::source::plan::PhaseDoc;

/// The first phase that is not done, with its gate; no lease is needed to find that it is closed.
pub fn next(world: &World, phases: &[&PhaseDoc], history: &PlanHistory) -> Option<Waiting> {
    for phase in phases {
        let was = history.phase(&phase.id);
        if was.state == PhaseState::Done {
            if let Some(waiting) = review(phase, history) {
                return Some(waiting);
            }
            continue;
        }
        if was.state.stands() {
            return None;
        }
        return gate(world, phase, history);
    }
    None
}

/// Whether a phase waits at its gate.
pub fn gate(world: &World, phase: &PhaseDoc, history: &PlanHistory) -> Option<Waiting> {
    let said = history.approvals(&phase.id, &phase.hash, false);
    closed(phase, before(world, phase, &said))
}

/// Whether a phase that is done waits for its review.
pub fn review(phase: &PhaseDoc, history: &PlanHistory) -> Option<Waiting> {
    let said = history.approvals(&phase.id, &phase.hash, true);
    closed(phase, gate::review(phase, &said))
}

fn closed(phase: &PhaseDoc, state: gate::GateState) -> Option<Waiting> {
    if state.open {
        return None;
    }
    let mut missing = state.missing;
    missing.extend(state.rejected);
    Some(Waiting {
        phase: phase.id.clone(),
        missing,
        confirm: vec![],
        gate: true,
    })
}

/// How a phase's gate stands now.
pub fn before(world: &World, phase: &PhaseDoc, said: &[&Said]) -> GateState {
    let mut state = gate::before(phase, said);
    look_up(world, phase, &mut state);
    state
}

/// Adds the point that nobody confirms, for it can be looked up: a verified backup that is recent, where the project says what
/// that is. A phase that makes one itself begins with it.
pub fn look_up(world: &World, phase: &PhaseDoc, state: &mut GateState) {
    let asked = phase.gate == Gate::Approve && phase.backup != PhaseBackup::Database;
    let Some(most) = world.config.backup_max_age.filter(|_| asked) else {
        return;
    };
    let why = match newest_backup(world) {
        Found::Aged(age) if age <= most.as_secs() => return,
        Found::Aged(_) => "the newest verified one is older".to_owned(),
        Found::Missing(why) | Found::Unknown(why) => why,
        Found::There(_) | Found::Free(_) | Found::Later(_) => return,
    };
    let hours = most.as_secs().div_ceil(3_600);
    state.open = false;
    state.missing.push(format!(
        "a verified backup of the last {hours} h: {why} (`dunlin backup create`, then `dunlin backup verify`)"
    ));
}
