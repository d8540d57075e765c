//! Whether each step has a way back.

use super::{Checked, count};
use crate::finding::Finding;

/// The code of its page.
pub const CODE: &str = "no-inverse";

/// Judges: what lowering found of steps, by name, and the steps that could not be looked at yet.
pub fn check(refused: &[(String, Finding)], unseen: &[String], seen: usize) -> Vec<Checked> {
    let mut found: Vec<Checked> = vec![];
    for (step, finding) in refused {
        // Named with its place, so that each is found where it stands.
        let message = format!("step `{step}`: {}", finding.message);
        let help = finding.help.clone();
        let help = help.unwrap_or_else(|| "state `undo` in the step".into());
        let id = match finding.code {
            CODE => "undo",
            _ => "steps",
        };
        found.push(
            Checked::failed(id, finding.code, message)
                .help(help)
                .at(&finding.place),
        );
    }
    if found.is_empty() {
        let mut message = format!(
            "nothing speaks against {}, way back included",
            count(seen, "step")
        );
        if !unseen.is_empty() {
            message.push_str(&format!(
                "; known when its turn comes: {}",
                unseen.join(", ")
            ));
        }
        found.push(Checked::passed("undo", CODE, message));
    }
    found
}

/// The code of what an undo takes away unasked.
pub const UNASKED: &str = "undo-not-asked";

/// Names the statements of undos, by step, of which it cannot be asked beforehand which rows they take away.
pub fn unasked(statements: &[(String, String)]) -> Option<Checked> {
    if statements.is_empty() {
        return None;
    }
    let told = statements
        .iter()
        .map(|(step, head)| format!("`{head}` of step `{step}`"));
    let message = format!(
        "which rows an undo takes away cannot be asked before it does: {}",
        told.collect::<Vec<_>>().join(", ")
    );
    let help = "rows that others have written by then go with the step's own, unasked and unsaved; write it as `DELETE FROM table \
                WHERE …` of one table, its condition without that table's name in a part of its own, or `undo = \"restore\"`";
    Some(Checked::warned("undo-asked", UNASKED, message).help(help))
}
