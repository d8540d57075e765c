//! What is saved before a phase: a checkpoint of the tables that it touches.

use super::Walk;
use dunlin_core::failure::Failure;
use dunlin_core::source::plan::PhaseDoc;

/// Makes a checkpoint of the tables that the phase touches. Gives its id.
pub async fn checkpoint(
    _walk: &mut Walk<'_, '_>,
    phase: &PhaseDoc,
) -> Result<Option<String>, Failure> {
    let message = format!(
        "phase `{}`: checkpoints before a phase come with a later version",
        phase.id
    );
    Err(Failure::refused("comes-later", message).at(phase.place.clone()))
}
