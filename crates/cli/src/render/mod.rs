//! What is shown: tables, findings, failures, progress, JSON. Meaning never depends on colour.

pub mod copy;
pub mod events;
pub mod failure;
pub mod findings;
pub mod json;
mod pace;
pub mod plan;
pub mod plan_show;
pub mod table;

use std::io::Write as _;

/// Writes to standard error. Who closed it (a `head` that has seen enough, a terminal that went away) wants no more of it,
/// and that must not end a run half way: `eprint!` would.
pub fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
