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
