//! Plans: what a run will do, step by step, and how a step is lowered to blocks of statements.
//!
//! A plan is made purely from documents, history and a goal; making it again under the lease must give the same, or a
//! remainder of it. Steps are named by content: a version and the hash of its script.

pub mod alone;
pub mod delete;
pub mod estimate;
pub mod evidence;
pub mod gate;
mod insert;
pub mod inverse;
mod joined;
pub mod lower;
pub mod over;
pub mod point;
pub mod risk;
pub mod schedule;
pub mod select;
pub mod steps;
pub mod unasked;
mod updated;
mod upsert;

use crate::journal::Direction;
use crate::source::{Migration, Script};
use std::sync::Arc;

/// What a run will do.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Its phases; migrations have one.
    pub phases: Vec<Phase>,
}

/// Ordered steps between two sets of checks.
#[derive(Debug, Clone)]
pub struct Phase {
    /// Its name.
    pub id: String,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    /// The migration's version.
    pub id: String,
    /// The hash of what it will run.
    pub hash: String,
    /// What it does.
    pub kind: StepKind,
}

/// The kinds of steps.
#[derive(Debug, Clone)]
pub enum StepKind {
    /// Runs one migration's script, up or down.
    Migrate {
        /// The migration.
        migration: Arc<Migration>,
        /// Which way.
        direction: Direction,
    },
}

impl Step {
    /// A step that runs a migration.
    pub fn migrate(migration: &Arc<Migration>, direction: Direction) -> Self {
        let script = if direction == Direction::Up {
            Some(&migration.up)
        } else {
            migration.undo.as_ref()
        };
        Step {
            id: migration.version.0.clone(),
            hash: script
                .map(|script| script.fingerprint.meaning.clone())
                .unwrap_or_default(),
            kind: StepKind::Migrate {
                migration: Arc::clone(migration),
                direction,
            },
        }
    }

    /// The script that it runs.
    pub fn script(&self) -> Option<&Script> {
        let StepKind::Migrate {
            migration,
            direction,
        } = &self.kind;
        if *direction == Direction::Up {
            Some(&migration.up)
        } else {
            migration.undo.as_ref()
        }
    }

    /// The migration.
    pub fn migration(&self) -> &Arc<Migration> {
        let StepKind::Migrate { migration, .. } = &self.kind;
        migration
    }

    /// Which way.
    pub fn direction(&self) -> Direction {
        let StepKind::Migrate { direction, .. } = &self.kind;
        *direction
    }
}

impl Plan {
    /// A plan of one phase.
    pub fn of(id: &str, steps: Vec<Step>) -> Self {
        Plan {
            phases: vec![Phase {
                id: id.into(),
                steps,
            }],
        }
    }

    /// All steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.phases.iter().flat_map(|phase| &phase.steps)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps().next().is_none()
    }

    /// Whether this plan, made later, is what `shown` said or a remainder of it: what others did meanwhile is done, and
    /// nothing is in it that was not shown (invariant 4).
    pub fn is_remainder_of(&self, shown: &Plan) -> bool {
        let mut left = shown.steps();
        self.steps().all(|step| {
            left.any(|other| {
                other.id == step.id
                    && other.hash == step.hash
                    && other.direction() == step.direction()
            })
        })
    }
}
