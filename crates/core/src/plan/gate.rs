//! The gate before a phase, and the review after it: who must approve, which points must be confirmed, what is missing.

use crate::journal::plan::{Approval, PhaseState, PlanHistory, Said};
use crate::plan::evidence::CheckOutcome;
use crate::plan::point::{Computed, Point};
use crate::source::grammar::plan::Gate;
use crate::source::plan::{PhaseDoc, UndoSpec};
use serde::Serialize;

/// A gate as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GateState {
    /// Nothing keeps the phase from beginning.
    pub open: bool,
    /// What is still missing, each a sentence.
    pub missing: Vec<String>,
    /// Who refused, and why.
    pub rejected: Option<String>,
    /// The points that nobody confirms, as they were looked up.
    pub computed: Vec<Computed>,
}

impl GateState {
    /// Adds a point that was looked up: one that does not hold keeps the gate closed.
    pub fn add(&mut self, computed: Computed) {
        if computed.met == Some(false) {
            self.open = false;
            // What cannot be taken back is asked for by name already.
            if computed.point != Point::Rollback.name() {
                self.missing.push(computed.said());
            }
        }
        self.computed.push(computed);
    }

    /// What people have still to say.
    pub fn unsaid(&self) -> impl Iterator<Item = &String> {
        let looked_up: Vec<String> = self.computed.iter().map(Computed::said).collect();
        let missing = self.missing.iter();
        missing.filter(move |missing| !looked_up.contains(missing))
    }
}

/// Whether the phases that one needs are done, what their checks found, and whether their reviews were passed.
pub fn validated(phase: &PhaseDoc, before: &[&PhaseDoc], history: &PlanHistory) -> Computed {
    let of = |met, found: String| Computed::new(Point::Validated, Some(met), found);
    if phase.needs.is_empty() {
        return of(true, "no phase is before it".into());
    }
    let mut found = vec![];
    for need in &phase.needs {
        let was = history.phase(need);
        if was.state != PhaseState::Done {
            return of(false, format!("phase `{need}` is {}", was.state.name()));
        }
        let doc = before.iter().find(|doc| doc.id == *need);
        let reviewed = |doc: &&&PhaseDoc| {
            let said = history.approvals(need, &doc.hash, true);
            review(doc, &said).open
        };
        if !doc.is_none_or(|doc| reviewed(&doc)) {
            return of(false, format!("phase `{need}` waits for its review"));
        }
        let checks = was.evidence.iter().filter(|one| one.when != "before");
        let (passed, others): (Vec<_>, Vec<_>) =
            checks.partition(|one| one.outcome == CheckOutcome::Passed);
        let warned = match others.len() {
            0 => String::new(),
            n => format!(", {n} as warnings"),
        };
        found.push(match passed.len() + others.len() {
            0 => format!("phase `{need}` is done, it has no checks"),
            n => format!(
                "phase `{need}` is done, {} of {n} checks passed{warned}",
                passed.len()
            ),
        });
    }
    of(true, found.join("; "))
}

/// Whether each step of a phase has a way back: derived, written, or a person's word that there is none.
pub fn rollback_ready(phase: &PhaseDoc, said: &[&Said]) -> Computed {
    let impossible = phase
        .steps
        .iter()
        .filter(|step| matches!(step.undo, UndoSpec::Impossible(_)));
    let (all, impossible) = (phase.steps.len(), impossible.count());
    if !unaccepted(phase, said).is_empty() {
        let found =
            format!("{impossible} of {all} steps cannot be taken back, which nobody has accepted");
        return Computed::new(Point::Rollback, Some(false), found);
    }
    let found = match impossible {
        0 => format!("each of its steps has a way back ({all})"),
        n => format!(
            "{} of {all} steps have a way back, {n} accepted without",
            all - n
        ),
    };
    Computed::new(Point::Rollback, Some(true), found)
}

/// What an approval lacks where no role is asked for.
const ANYBODY: &str = "an approval";

/// How a phase's gate stands, by what was said that still counts.
pub fn before(phase: &PhaseDoc, said: &[&Said]) -> GateState {
    if phase.gate == Gate::Auto {
        // What cannot be undone is accepted by a person, whatever the gate says.
        let missing = unaccepted(phase, said);
        return GateState {
            open: missing.is_empty(),
            missing,
            rejected: rejection(said),
            computed: vec![],
        };
    }
    let mut missing = approvals(&phase.approvers, said);
    for point in &phase.go {
        let confirmed = said.iter().any(|said| {
            let words = |text: &str| text.trim().to_lowercase();
            !said.approval.reject
                && said
                    .approval
                    .confirm
                    .iter()
                    .any(|own| words(own) == words(point))
        });
        if !confirmed {
            missing.push(format!("the point \"{point}\", confirmed by a person"));
        }
    }
    missing.extend(unaccepted(phase, said));
    state(missing, said)
}

/// How the review after a phase stands.
pub fn review(phase: &PhaseDoc, said: &[&Said]) -> GateState {
    if !phase.review {
        return GateState {
            open: true,
            ..GateState::default()
        };
    }
    state(approvals(&phase.approvers, said), said)
}

fn state(missing: Vec<String>, said: &[&Said]) -> GateState {
    let rejected = rejection(said);
    GateState {
        open: missing.is_empty() && rejected.is_none(),
        missing,
        rejected,
        computed: vec![],
    }
}

/// The newest word of each person counts: who refused may approve later, and the other way round.
fn newest<'s>(said: &'s [&'s Said]) -> impl Iterator<Item = &'s Said> {
    said.iter().enumerate().filter_map(|(at, one)| {
        let mut later = said[at + 1..].iter();
        let later = later.any(|later| takes_the_place_of(&later.approval, &one.approval));
        (!later).then_some(*one)
    })
}

/// Whether a later word stands for an earlier one: the same person's, in the same role. A refusal needs no role, so that a
/// word without one is of the person in all of theirs.
fn takes_the_place_of(later: &Approval, earlier: &Approval) -> bool {
    let either = later.role.is_none() || earlier.role.is_none();
    same_person(&later.by, &earlier.by) && (either || later.role == earlier.role)
}

/// Whether somebody says what their newest word has said already.
pub fn said_already(said: &[&Said], approval: &Approval) -> bool {
    let mut own = newest(said).filter(|one| takes_the_place_of(approval, &one.approval));
    own.any(|one| {
        let as_if = Approval {
            by: one.approval.by.clone(),
            user: one.approval.user.clone(),
            os: one.approval.os.clone(),
            ..approval.clone()
        };
        one.approval == as_if
    })
}

fn rejection(said: &[&Said]) -> Option<String> {
    newest(said).find(|said| said.approval.reject).map(|said| {
        let why = said
            .approval
            .note
            .as_deref()
            .map_or_else(String::new, |note| format!(": {note}"));
        format!("{} refused{why}", said.approval.by)
    })
}

fn same_person(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

/// The roles that lack an approval. One person counts for one role: the roles are matched to different people.
fn approvals(roles: &[String], said: &[&Said]) -> Vec<String> {
    let given: Vec<&Said> = newest(said).filter(|said| !said.approval.reject).collect();
    if roles.is_empty() {
        return match given.is_empty() {
            true => vec![ANYBODY.into()],
            false => vec![],
        };
    }
    let mut people: Vec<Option<String>> = vec![None; roles.len()];
    for (at, _) in roles.iter().enumerate() {
        let mut seen = vec![];
        assign(at, roles, &given, &mut people, &mut seen);
    }
    let unmet = roles.iter().zip(&people).filter(|(_, who)| who.is_none());
    unmet
        .map(|(role, _)| {
            let by_same = given
                .iter()
                .any(|said| said.approval.role.as_deref() == Some(role));
            match by_same {
                true => format!("the approval of {role} by another person than the other roles'"),
                false => format!("the approval of {role}"),
            }
        })
        .collect()
}

/// Finds somebody for a role, moving others on where they can serve another role (an augmenting path).
fn assign(
    role: usize,
    roles: &[String],
    given: &[&Said],
    people: &mut Vec<Option<String>>,
    seen: &mut Vec<String>,
) -> bool {
    let candidates = given
        .iter()
        .filter(|said| said.approval.role.as_deref() == Some(roles[role].as_str()))
        .map(|said| said.approval.by.trim().to_lowercase());
    for person in candidates {
        if seen.contains(&person) {
            continue;
        }
        seen.push(person.clone());
        let held = people
            .iter()
            .position(|who| who.as_deref() == Some(person.as_str()));
        if held.is_none_or(|other| assign(other, roles, given, people, seen)) {
            people[role] = Some(person);
            return true;
        }
    }
    false
}

/// Steps whose undo is impossible and which nobody has accepted by name.
fn unaccepted(phase: &PhaseDoc, said: &[&Said]) -> Vec<String> {
    let accepted = |id: &str| {
        said.iter()
            .any(|said| !said.approval.reject && said.approval.accept.iter().any(|own| own == id))
    };
    let impossible = phase
        .steps
        .iter()
        .filter(|step| matches!(step.undo, UndoSpec::Impossible(_)) && !accepted(&step.id));
    impossible
        .map(|step| {
            format!(
                "the acceptance of step `{}`, which cannot be undone (`--accept {}`)",
                step.id, step.id
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::finding::Place;
    use crate::journal::plan::PhaseHistory;
    use crate::plan::evidence::Evidence;
    use crate::source::grammar::plan::PhaseBackup;

    fn phase(approvers: &[&str], go: &[&str]) -> PhaseDoc {
        PhaseDoc {
            id: "one".into(),
            title: "One".into(),
            version: None,
            objectives: vec![],
            risk: None,
            duration: None,
            needs: vec![],
            gate: Gate::Approve,
            approvers: approvers.iter().map(|role| (*role).to_owned()).collect(),
            go: go.iter().map(|point| (*point).to_owned()).collect(),
            review: false,
            backup: PhaseBackup::None,
            window: None,
            checks: vec![],
            steps: vec![],
            hash: "h".into(),
            place: Place::default(),
        }
    }

    fn said(id: i64, by: &str, role: Option<&str>) -> Said {
        Said {
            id,
            at: String::new(),
            phase: "one".into(),
            hash: "h".into(),
            approval: Approval {
                by: by.into(),
                role: role.map(str::to_owned),
                ..Approval::default()
            },
        }
    }

    #[test]
    fn every_role_by_another_person() {
        let phase = phase(&["dba", "lead"], &[]);
        let (ann, bob) = (said(1, "Ann", Some("dba")), said(2, "Bob", Some("lead")));
        let ann_as_lead = said(3, "ann ", Some("lead"));
        assert!(before(&phase, &[&ann, &bob]).open);
        assert_eq!(before(&phase, &[&ann]).missing, ["the approval of lead"]);
        let twice = before(&phase, &[&ann, &ann_as_lead]);
        assert!(!twice.open);
        assert_eq!(twice.missing.len(), 1);
        // Who could be either is given the role that is left.
        let bob_as_dba = said(4, "Bob", Some("dba"));
        assert!(before(&phase, &[&ann, &ann_as_lead, &bob_as_dba]).open);
    }

    #[test]
    fn points_refusals_and_nobody() {
        let phase = phase(&[], &["team available"]);
        assert_eq!(before(&phase, &[]).missing.len(), 2);
        let mut yes = said(1, "Ann", None);
        yes.approval.confirm = vec!["Team available".into()];
        assert!(before(&phase, &[&yes]).open);
        let mut no = said(2, "Bob", None);
        no.approval.reject = true;
        no.approval.note = Some("not tonight".into());
        let refused = before(&phase, &[&yes, &no]);
        assert!(!refused.open);
        assert_eq!(
            refused.rejected.as_deref(),
            Some("Bob refused: not tonight")
        );
        // The newest word of a person counts.
        let again = said(3, "Bob", None);
        assert!(before(&phase, &[&yes, &no, &again]).open);
    }

    #[test]
    fn who_refused_without_a_role_approves_in_one_later() {
        let phase = phase(&["dba", "lead"], &[]);
        let (ann, bob) = (said(1, "Ann", Some("dba")), said(3, "ŞULE", Some("lead")));
        let mut no = said(2, "Şule", None);
        no.approval.reject = true;
        assert!(!before(&phase, &[&ann, &no]).open);
        assert!(before(&phase, &[&ann, &no, &bob]).open);
        // The other way round: she approved, refused, and approves again.
        let mut later = said(4, "Şule", None);
        later.approval.reject = true;
        let again = said(5, "Şule", Some("lead"));
        assert!(!before(&phase, &[&ann, &bob, &later]).open);
        assert!(!said_already(&[&ann, &bob, &later], &again.approval));
        assert!(before(&phase, &[&ann, &bob, &later, &again]).open);
        assert!(said_already(&[&ann, &bob, &later, &again], &again.approval));
        // Another role is another word.
        let as_dba = said(6, "Şule", Some("dba"));
        assert!(!said_already(&[&ann, &again], &as_dba.approval));
    }

    fn history(state: PhaseState, outcomes: &[CheckOutcome]) -> PlanHistory {
        let mut history = PlanHistory::default();
        let evidence = outcomes.iter().map(|outcome| Evidence {
            id: "c".into(),
            when: "after".into(),
            outcome: *outcome,
            expected: String::new(),
            observed: String::new(),
            at: String::new(),
            duration_ms: 0,
        });
        let was = PhaseHistory {
            state,
            evidence: evidence.collect(),
            ..PhaseHistory::default()
        };
        history.phases.insert("one".into(), was);
        history
    }

    #[test]
    fn a_phase_is_validated_when_it_is_done_and_reviewed() {
        let one = phase(&[], &[]);
        let mut two = phase(&[], &[]);
        two.id = "two".into();
        assert_eq!(
            validated(&two, &[&one], &PlanHistory::default()).met,
            Some(true)
        );
        two.needs = vec!["one".into()];
        for (state, met) in [
            (PhaseState::Pending, false),
            (PhaseState::Running, false),
            (PhaseState::Failed, false),
            (PhaseState::Undone, false),
            (PhaseState::Done, true),
        ] {
            let found = validated(&two, &[&one], &history(state, &[]));
            assert_eq!(found.met, Some(met), "{state:?}: {}", found.found);
        }
        let outcomes = [CheckOutcome::Passed, CheckOutcome::Warned];
        let done = history(PhaseState::Done, &outcomes);
        let found = validated(&two, &[&one], &done).found;
        assert_eq!(
            found,
            "phase `one` is done, 1 of 2 checks passed, 1 as warnings"
        );
        let reviewed = PhaseDoc {
            review: true,
            ..one
        };
        let found = validated(&two, &[&reviewed], &done);
        assert_eq!(found.met, Some(false), "{}", found.found);
        let mut done = done;
        let mut yes = said(1, "Ann", None);
        yes.approval.review = true;
        done.said.push(yes);
        assert_eq!(validated(&two, &[&reviewed], &done).met, Some(true));
    }

    #[test]
    fn a_point_that_does_not_hold_keeps_a_gate_closed() {
        let mut state = GateState {
            open: true,
            ..GateState::default()
        };
        state.add(Computed::new(Point::Backup, None, "not asked for"));
        state.add(Computed::new(Point::Watch, Some(true), "it answers"));
        assert!(state.open && state.missing.is_empty());
        state.missing.push("the approval of dba".into());
        state.add(Computed::new(
            Point::Validated,
            Some(false),
            "phase `one` is failed",
        ));
        assert!(!state.open);
        let unsaid: Vec<&String> = state.unsaid().collect();
        assert_eq!(unsaid, ["the approval of dba"]);
        assert_eq!(
            state.missing[1],
            "previous phase validated: phase `one` is failed"
        );
    }
}
