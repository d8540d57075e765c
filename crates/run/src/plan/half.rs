//! A step without statements (a command, a request, a checkpoint) that stands half way when its phase is taken back:
//! whether it took effect is found out first, by the same rules as on the way forward.

use super::Walk;
use super::{ask_http, step};
use dunlin_core::failure::Failure;
use dunlin_core::plan::steps::{Inverse, Operations};
use dunlin_core::source::plan::{StepDoc, StepSpec};

/// Whether there is something to be taken back. What its author allows to be repeated is repeated, to be sure of it; what
/// nobody can tell is in doubt.
pub async fn took_effect(
    walk: &mut Walk<'_, '_>,
    doc: &StepDoc,
    key: &str,
    operations: &Operations,
) -> Result<bool, Failure> {
    // Where nothing is to be undone it is all the same.
    if matches!(operations.undo, Inverse::Nothing(_)) {
        return Ok(false);
    }
    match &doc.kind {
        StepSpec::Exec(exec) => {
            if step::settled(walk, doc, key, exec).await? {
                return Ok(true);
            }
            if exec.probe.is_some() || !exec.rerunnable {
                return Ok(false);
            }
            step::command(walk, doc, key, exec, operations.undo.clone()).await?;
            Ok(true)
        }
        StepSpec::Plugin { id, on } => {
            if let Some((exec, undo)) = step::commands_of(walk, id, *on) {
                step::command(walk, doc, key, &exec, undo).await?;
            }
            Ok(true)
        }
        StepSpec::Http(http) => {
            if ask_http::settled(walk, doc, key, http).await? {
                return Ok(true);
            }
            if http.probe.is_some() || !http.rerunnable {
                return Ok(false);
            }
            ask_http::send(walk, doc, key, http).await?;
            Ok(true)
        }
        // Its end stands in the same commit as its rows.
        StepSpec::Import(_) => Ok(false),
        // Of what it began, what its author has written for it takes back whatever is there.
        StepSpec::Copy(_) | StepSpec::Export(_) => Ok(true),
        _ => Err(step::in_doubt(walk, doc)),
    }
}
