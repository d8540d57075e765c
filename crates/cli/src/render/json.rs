//! The one JSON object of a command.

use crate::commands::Answer;

/// The envelope: one shape whether it went well or not.
pub fn envelope(command: &str, answer: &Answer) -> String {
    let outcome = answer.outcome();
    let object = serde_json::json!({
        "dunlin": env!("CARGO_PKG_VERSION"),
        "command": command,
        "outcome": outcome,
        "exit_code": outcome.code(),
        "data": answer.data,
        "findings": answer.findings,
        "failure": answer.failure,
    });
    serde_json::to_string_pretty(&object).unwrap_or_default()
}
