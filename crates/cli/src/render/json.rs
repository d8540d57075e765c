//! The one JSON object of a command.

use crate::commands::Answer;
use dunlin_core::redact::Redactor;

/// The envelope: one shape whether it went well or not, every text of it behind the veil.
pub fn envelope(command: &str, answer: &Answer, veil: &Redactor) -> String {
    let outcome = answer.outcome();
    let mut data = answer.data.clone();
    if let (Some(data), Some(needed)) = (data.as_object_mut(), needed(command).as_object()) {
        for (key, empty) in needed {
            data.entry(key.clone()).or_insert_with(|| empty.clone());
        }
    }
    let mut object = serde_json::json!({
        "dunlin": env!("CARGO_PKG_VERSION"),
        "command": command,
        "outcome": outcome,
        "exit_code": outcome.code(),
        "data": data,
        "findings": answer.findings,
        "failure": answer.failure,
    });
    veil.apply_json(&mut object);
    serde_json::to_string_pretty(&object).unwrap_or_default()
}

/// What `data` holds in any case: who reads it need not ask first whether the command came far enough to say it.
fn needed(command: &str) -> serde_json::Value {
    match command {
        "up" => serde_json::json!({ "applied": [], "backup": null }),
        "down" => serde_json::json!({ "undone": [], "backup": null }),
        "status" => serde_json::json!({ "current": null, "migrations": [], "lease": null }),
        "repair" | "reset" | "baseline" | "unlock" => {
            serde_json::json!({ "changed": [], "lease": null })
        }
        "drift" => serde_json::json!({ "differences": [] }),
        "check" => serde_json::json!({ "rules": [], "valid": null, "summary": null }),
        "clean" => serde_json::json!({ "rules": [] }),
        "digest" => serde_json::json!({ "reading": null, "tables": [] }),
        "copy" | "verify" => serde_json::json!({
            "tables": [], "equal": null, "lossy": [], "not_carried": [],
        }),
        "export" | "import" => serde_json::json!({ "tables": [], "rejects": null }),
        "backup" | "checkpoint" => serde_json::json!({ "items": [] }),
        "run" | "rollback" => serde_json::json!({ "run": null, "phases": [] }),
        "plan show" => serde_json::json!({
            "risk": null, "recommendations": [], "estimate_ms": null, "undo_estimate_ms": null, "phases": [],
            "requirements": [], "rollback_plan": [], "current_state": null,
        }),
        "plan check" => serde_json::json!({ "checks": [] }),
        "approve" | "confirm" => serde_json::json!({ "phase": null, "open": false, "missing": [] }),
        "runs" => serde_json::json!({ "runs": [] }),
        _ => serde_json::json!({}),
    }
}
