//! Whether something began once and has no end that anybody knows.

use super::Checked;
use crate::journal::plan::{PhaseState, PlanHistory};
use crate::source::plan::PlanDoc;

/// The code of its page.
pub const CODE: &str = "half-way";

/// Judges: migrations in doubt, migrations half way, and the plan's own history.
pub fn check(
    doc: &PlanDoc,
    doubts: &[String],
    half_way: &[String],
    history: &PlanHistory,
) -> Checked {
    let id = "in-doubt";
    if !doubts.is_empty() {
        return Checked::failed(
            id,
            "in-doubt",
            format!("nobody knows how these ended: {}", doubts.join(", ")),
        )
        .help("look, and say it: `dunlin repair --settle VERSION done` or `not-done`");
    }
    if !half_way.is_empty() {
        return Checked::failed(
            id,
            CODE,
            format!("migrations stand half way: {}", half_way.join(", ")),
        )
        .help("`dunlin up` goes on with them; `dunlin status` says more");
    }
    let lost: Vec<&str> = doc
        .phases
        .iter()
        .filter(|phase| history.phase(&phase.id).state == PhaseState::InDoubt)
        .map(|phase| phase.id.as_str())
        .collect();
    if !lost.is_empty() {
        return Checked::failed(
            id,
            "in-doubt",
            format!("nobody knows how these phases ended: {}", lost.join(", ")),
        )
        .help("`dunlin run` says what to look at; `dunlin confirm` settles it");
    }
    let open = doc.phases.iter().find(|phase| {
        matches!(
            history.phase(&phase.id).state,
            PhaseState::Running | PhaseState::Failed
        )
    });
    match open {
        Some(phase) => {
            let message = format!("phase `{}` has begun and is not done", phase.id);
            Checked::warned(id, CODE, message)
                .help("`dunlin run` goes on with it, `dunlin rollback` takes it back")
        }
        None => Checked::passed(id, CODE, "nothing stands half way"),
    }
}
