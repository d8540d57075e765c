//! Whether the gates can be opened by those who are named.

use super::{Checked, count};
use crate::source::grammar::plan::Gate;
use crate::source::plan::{PlanDoc, UndoSpec};

/// The code of its page.
pub const CODE: &str = "gate-impossible";

/// Judges every phase.
pub fn check(doc: &PlanDoc) -> Vec<Checked> {
    let mut found = vec![];
    let mut gates = 0;
    for phase in &doc.phases {
        let mut warn = |message: String, help: &str| {
            let message = format!("phase `{}`: {message}", phase.id);
            found.push(
                Checked::warned("gates", CODE, message)
                    .help(help)
                    .at(&phase.place),
            );
        };
        let asked = !phase.approvers.is_empty() || !phase.go.is_empty();
        if phase.gate == Gate::Auto && asked && !phase.review {
            warn(
                "approvers or points are named, and its gate opens by itself".into(),
                "write `gate = \"approve\"`, or take them out",
            );
        }
        if phase.gate == Gate::Approve {
            gates += 1;
        }
        let team = |role: &&String| {
            !doc.team.is_empty()
                && !doc
                    .team
                    .iter()
                    .any(|one| one.role.eq_ignore_ascii_case(role))
        };
        for role in phase.approvers.iter().filter(team) {
            warn(
                format!("`{role}` must approve and is not in the team"),
                "add the role to `team`, or name one that is there",
            );
        }
        let impossible = phase
            .steps
            .iter()
            .filter(|step| matches!(step.undo, UndoSpec::Impossible(_)));
        if phase.gate == Gate::Auto && impossible.count() > 0 {
            warn(
                "a step cannot be taken back, and no gate asks for a person's word".into(),
                "the run will stop there until `dunlin approve --accept STEP`; `gate = \"approve\"` says so beforehand",
            );
        }
    }
    if found.is_empty() {
        found.push(Checked::passed(
            "gates",
            CODE,
            match gates {
                0 => "no phase waits at a gate".to_owned(),
                _ => format!(
                    "{} can be opened by those who are named",
                    count(gates, "gate")
                ),
            },
        ));
    }
    found
}
