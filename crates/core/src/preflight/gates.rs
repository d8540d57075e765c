//! Whether the gates can be opened by those who are named.

use super::{Checked, count};
use crate::source::grammar::plan::{Gate, WatchTable};
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
    found.extend(doc.watch.as_ref().and_then(not_measured));
    found
}

/// What `[watch]` asks for and is not measured: said, so that nobody counts on it.
fn not_measured(watch: &WatchTable) -> Option<Checked> {
    let asked = [
        ("probe", watch.probe.is_some()),
        ("every", watch.every.is_some()),
        ("max_latency", watch.max_latency.is_some()),
        ("give_up_after", watch.give_up_after.is_some()),
    ];
    let names = asked.iter().filter(|(_, is_asked)| *is_asked);
    let names: Vec<&str> = names.map(|(name, _)| *name).collect();
    if names.is_empty() {
        return None;
    }
    let message = format!(
        "`[watch]`: the latency of others is not measured yet, so {} does nothing; `min_free_disk` does",
        names.join(", ")
    );
    let found = Checked::warned("watch", "comes-later", message);
    Some(found.help("bound what a step does to others by `lock_timeout`, and by `pause` and `window` of backfills"))
}

#[cfg(test)]
mod tests {
    use super::{WatchTable, not_measured};
    use crate::plan::evidence::CheckOutcome;
    use crate::source::duration::DurationText;
    use std::time::Duration;

    #[test]
    fn what_is_not_measured_is_said() {
        let disk = WatchTable {
            min_free_disk: Some("2GB".into()),
            ..WatchTable::default()
        };
        assert!(not_measured(&disk).is_none());
        let latency = WatchTable {
            max_latency: Some(DurationText(Duration::from_millis(250))),
            ..disk
        };
        let said = not_measured(&latency).map(|one| (one.outcome, one.message));
        let is_said = |(outcome, message): (_, String)| {
            outcome == CheckOutcome::Warned && message.contains("so max_latency does nothing")
        };
        assert!(said.is_some_and(is_said));
    }
}
