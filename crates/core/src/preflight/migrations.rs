//! Whether the migrations that the plan builds on are applied, and are what they were.

use super::{Checked, count};
use crate::finding::{Finding, Severity};
use crate::source::plan::{PlanDoc, StepSpec};

/// The code of its page.
pub const CODE: &str = "migrations-not-in-order";

/// Judges: what comparing folder and journal found, and the versions that are pending.
pub fn check(doc: &PlanDoc, findings: &[Finding], pending: &[String], applied: usize) -> Checked {
    let id = "migrations";
    let grave: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .collect();
    if !grave.is_empty() {
        let said: Vec<&str> = grave
            .iter()
            .map(|finding| finding.message.as_str())
            .collect();
        let help = grave.iter().find_map(|finding| finding.help.clone());
        return Checked::failed(id, CODE, said.join("; ")).help(help.unwrap_or_else(|| {
            "`dunlin status` shows them; `dunlin repair` settles what is meant".into()
        }));
    }
    let migrates = doc
        .steps()
        .any(|(_, step)| matches!(step.kind, StepSpec::Migrate(_)));
    if !pending.is_empty() && !migrates {
        let message = format!(
            "{} pending, and no step of the plan applies them: {}",
            pending.len(),
            pending.join(", ")
        );
        return Checked::warned(id, CODE, message)
            .help("`dunlin up` first, or a step `migrate = { to = \"latest\" }`");
    }
    let mut message = format!("{} applied and unchanged", count(applied, "migration"));
    if !pending.is_empty() {
        message.push_str(&format!(", {} pending", pending.len()));
    }
    Checked::passed(id, CODE, message)
}
