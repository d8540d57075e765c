//! Each judgement on both sides of its border, and what it says to do.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::dialect::preflight::OpenTransaction;
use crate::failure::ErrorClass;
use crate::journal::plan::{PhaseHistory, PhaseState, PlanHistory};
use crate::plan::risk::tests::{by_hand, phase, plan, step};
use crate::source::grammar::apps::PluginTable;
use crate::source::grammar::plan::{Gate, TeamTable};
use crate::source::plan::{PlanDoc, StepSpec, UndoSpec};
use std::collections::BTreeMap;

fn holds(checked: &Checked, outcome: CheckOutcome, words: &[&str]) {
    assert_eq!(checked.outcome, outcome, "{checked:?}");
    let help = checked.help.clone().unwrap_or_default();
    for word in words {
        let said = checked.message.contains(word) || help.contains(word);
        assert!(said, "no `{word}` in {checked:?}");
    }
    let must_act = matches!(outcome, CheckOutcome::Failed | CheckOutcome::Warned);
    assert_eq!(must_act, checked.finding().is_some(), "{checked:?}");
    assert!(
        !must_act || !help.is_empty(),
        "nothing is said to do: {checked:?}"
    );
}

// ---- plugins

fn plugin(id: &str, after: &[&str]) -> PluginTable {
    PluginTable {
        id: id.into(),
        after: after.iter().map(|id| (*id).to_owned()).collect(),
        setting: None,
        exec: None,
        options: BTreeMap::new(),
        database: None,
    }
}

fn switches(switched: &[(&str, bool)]) -> PlanDoc {
    let steps = switched.iter().enumerate().map(|(at, (id, on))| {
        let kind = StepSpec::Plugin {
            id: (*id).to_owned(),
            on: *on,
        };
        step(&format!("s{at}"), kind)
    });
    plan(vec![phase("one", steps.collect())])
}

fn on(known: &[(&str, bool)]) -> BTreeMap<String, bool> {
    let known = known.iter();
    known.map(|(id, on)| ((*id).to_owned(), *on)).collect()
}

#[test]
fn plugins_are_switched_after_those_they_build_on() {
    let tables = [plugin("base", &[]), plugin("top", &["base"])];
    let check = |switched: &[(&str, bool)], known: &[(&str, bool)]| {
        plugins::check(&switches(switched), &tables, &on(known), |_| true)
    };
    let off = [("base", false), ("top", false)];
    holds(
        &check(&[], &off),
        CheckOutcome::Passed,
        &["no plugin is switched"],
    );
    let both = [("base", true), ("top", true)];
    holds(&check(&both, &off), CheckOutcome::Passed, &["2 switches"]);
    let wrong_way = [("top", true), ("base", true)];
    holds(
        &check(&wrong_way, &off),
        CheckOutcome::Failed,
        &["step `s0` switches `top` on, and `base`", "order"],
    );
    holds(
        &check(&[("top", true)], &[("base", true)]),
        CheckOutcome::Passed,
        &["1 switch "],
    );
    holds(
        &check(&[("top", true)], &[]),
        CheckOutcome::Warned,
        &["whether `base` is on, which `top` needs"],
    );
    holds(
        &check(&[("base", false)], &[("base", true), ("top", true)]),
        CheckOutcome::Failed,
        &["switches `base` off, and `top` is on, which needs it"],
    );
    let down = [("top", false), ("base", false)];
    holds(
        &check(&down, &[("base", true), ("top", true)]),
        CheckOutcome::Passed,
        &[],
    );
    holds(
        &check(&[("nobody", true)], &off),
        CheckOutcome::Failed,
        &["there is no plugin `nobody`"],
    );
}

#[test]
fn plugins_of_phases_that_are_done_do_not_count() {
    let tables = [plugin("base", &[]), plugin("top", &["base"])];
    let doc = switches(&[("top", true)]);
    let off = on(&[("base", false)]);
    holds(
        &plugins::check(&doc, &tables, &off, |_| true),
        CheckOutcome::Failed,
        &[],
    );
    holds(
        &plugins::check(&doc, &tables, &off, |_| false),
        CheckOutcome::Passed,
        &[],
    );
}

#[test]
fn plugins_that_wait_for_each_other_are_named_in_their_circle() {
    let circle = [
        plugin("a", &["b"]),
        plugin("b", &["c"]),
        plugin("c", &["a"]),
    ];
    holds(
        &plugins::check(&switches(&[]), &circle, &on(&[]), |_| true),
        CheckOutcome::Failed,
        &["a after b after c after a", "take one `after` out"],
    );
    let own = [plugin("a", &["a"])];
    holds(
        &plugins::check(&switches(&[]), &own, &on(&[]), |_| true),
        CheckOutcome::Failed,
        &["a after a"],
    );
    // Two ways to the same plugin are no circle.
    let both = [
        plugin("a", &["b", "c"]),
        plugin("b", &["d"]),
        plugin("c", &["d"]),
        plugin("d", &[]),
    ];
    holds(
        &plugins::check(&switches(&[]), &both, &on(&[]), |_| true),
        CheckOutcome::Passed,
        &[],
    );
}

// ---- migrations

#[test]
fn migrations_are_applied_and_unchanged_or_a_step_applies_them() {
    let plain = plan(vec![phase("one", vec![by_hand("look")])]);
    let migrates = plan(vec![phase(
        "one",
        vec![step("up", StepSpec::Migrate(None))],
    )]);
    let pending = ["003".to_owned(), "004".to_owned()];
    holds(
        &migrations::check(&plain, &[], &[], 2),
        CheckOutcome::Passed,
        &["2 migrations applied"],
    );
    holds(
        &migrations::check(&plain, &[], &pending, 2),
        CheckOutcome::Warned,
        &["2 pending", "003, 004", "dunlin up"],
    );
    holds(
        &migrations::check(&migrates, &[], &pending, 1),
        CheckOutcome::Passed,
        &["1 migration applied", "2 pending"],
    );
    let edited = Finding::error("changed-script", Place::default(), "002 was edited");
    holds(
        &migrations::check(&plain, std::slice::from_ref(&edited), &[], 2),
        CheckOutcome::Failed,
        &["002 was edited", "dunlin repair"],
    );
    let advised = edited.help("put it back");
    let other = Finding::error("missing-script", Place::default(), "001 is gone");
    holds(
        &migrations::check(&migrates, &[other, advised], &[], 2),
        CheckOutcome::Failed,
        &["001 is gone; 002 was edited", "put it back"],
    );
    let comment = Finding::warning("changed-comments", Place::default(), "a comment");
    holds(
        &migrations::check(&plain, &[comment], &[], 2),
        CheckOutcome::Passed,
        &[],
    );
}

// ---- what stands half way

fn history(state: PhaseState) -> PlanHistory {
    let one = PhaseHistory {
        state,
        ..PhaseHistory::default()
    };
    PlanHistory {
        phases: [("one".to_owned(), one)].into(),
        ..PlanHistory::default()
    }
}

#[test]
fn what_began_and_has_no_end_is_told() {
    let doc = plan(vec![phase("one", vec![by_hand("look")])]);
    let check = |doubts: &[&str], half: &[&str], state| {
        let owned = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        in_doubt::check(&doc, &owned(doubts), &owned(half), &history(state))
    };
    for fine in [
        PhaseState::Pending,
        PhaseState::Waiting,
        PhaseState::Done,
        PhaseState::Undone,
    ] {
        holds(
            &check(&[], &[], fine),
            CheckOutcome::Passed,
            &["nothing stands half way"],
        );
    }
    for open in [PhaseState::Running, PhaseState::Failed] {
        holds(
            &check(&[], &[], open),
            CheckOutcome::Warned,
            &["phase `one`", "dunlin run", "dunlin rollback"],
        );
    }
    holds(
        &check(&[], &[], PhaseState::InDoubt),
        CheckOutcome::Failed,
        &["these phases ended: one", "dunlin confirm"],
    );
    holds(
        &check(&["007"], &["008"], PhaseState::Done),
        CheckOutcome::Failed,
        &["007", "repair --settle"],
    );
    holds(
        &check(&[], &["008"], PhaseState::Done),
        CheckOutcome::Failed,
        &["half way: 008", "dunlin up"],
    );
}

// ---- ways back

#[test]
fn a_step_without_a_way_back_is_named_where_it_stands() {
    let [fine] = undo::check(&[], &["later".into()], 3).try_into().unwrap();
    holds(
        &fine,
        CheckOutcome::Passed,
        &["3 steps", "known when its turn comes: later"],
    );
    let place = Place {
        line: Some(7),
        ..Place::default()
    };
    let without = Finding::error(undo::CODE, place.clone(), "nothing takes it back");
    let other = Finding::error("object-missing", Place::default(), "no table t").help("make t");
    let refused = [("a".to_owned(), without), ("b".to_owned(), other)];
    let found = undo::check(&refused, &[], 1);
    let [first, second] = found.as_slice() else {
        unreachable!("{found:?}");
    };
    holds(
        first,
        CheckOutcome::Failed,
        &["step `a`: nothing takes it back", "state `undo`"],
    );
    assert_eq!((first.id.as_str(), &first.place), ("undo", &place));
    holds(
        second,
        CheckOutcome::Failed,
        &["step `b`: no table t", "make t"],
    );
    assert_eq!(
        (second.id.as_str(), second.code),
        ("steps", "object-missing")
    );
}

// ---- backups

#[test]
fn a_backup_needs_a_folder_and_says_who_makes_it() {
    let means = backup::Means {
        is_asked: true,
        checkpoints: false,
        folder: "backups".into(),
        writable: Ok(()),
        tools: vec!["pg_dump".into()],
        tool: Some("pg_dump".into()),
    };
    holds(
        &backup::check(&means),
        CheckOutcome::Passed,
        &["by pg_dump, into `backups`"],
    );
    let no_tool = backup::Means {
        tool: None,
        ..means.clone()
    };
    holds(
        &backup::check(&no_tool),
        CheckOutcome::Warned,
        &["none of pg_dump is installed"],
    );
    let no_need = backup::Means {
        tools: vec![],
        ..no_tool.clone()
    };
    holds(
        &backup::check(&no_need),
        CheckOutcome::Passed,
        &["into `backups`"],
    );
    let shut = backup::Means {
        writable: Err("read-only".into()),
        ..means
    };
    holds(
        &backup::check(&shut),
        CheckOutcome::Failed,
        &["`backups`: read-only", "backup_dir"],
    );
    let checkpoints = backup::Means {
        is_asked: false,
        checkpoints: true,
        ..shut.clone()
    };
    holds(
        &backup::check(&checkpoints),
        CheckOutcome::Failed,
        &["no checkpoint", "`backups`: read-only"],
    );
    let not_asked = backup::Means {
        is_asked: false,
        ..shut
    };
    holds(
        &backup::check(&not_asked),
        CheckOutcome::Passed,
        &["no phase asks"],
    );
}

// ---- checks that can be evaluated

fn tried(id: &str, is_next: bool, error: Option<ErrorClass>) -> evaluable::Tried {
    evaluable::Tried {
        id: id.into(),
        is_next,
        error: error.map(|class| (class, "said the server".to_owned())),
        place: Place::default(),
    }
}

#[test]
fn sql_of_checks_is_tried_and_what_is_made_later_may_be_missing() {
    let of = |class, is_next| {
        let found = evaluable::check(&[
            tried("fine", true, None),
            tried("this", is_next, Some(class)),
        ]);
        let [only] = found.try_into().unwrap();
        only
    };
    for class in [
        ErrorClass::Syntax,
        ErrorClass::PermissionDenied,
        ErrorClass::TypeMismatch,
    ] {
        for is_next in [true, false] {
            holds(
                &of(class, is_next),
                CheckOutcome::Failed,
                &["check `this`", "said the server", "mend its SQL"],
            );
        }
    }
    holds(
        &of(ErrorClass::ObjectMissing, true),
        CheckOutcome::Failed,
        &["check `this`"],
    );
    holds(
        &of(ErrorClass::ObjectMissing, false),
        CheckOutcome::Passed,
        &["1 check can be evaluated", "not there yet: this"],
    );
    holds(
        &of(ErrorClass::Unique, true),
        CheckOutcome::Passed,
        &["2 checks"],
    );
}

// ---- gates

#[test]
fn gates_that_nobody_can_open_are_told() {
    let role = |role: &str| TeamTable {
        role: role.into(),
        when: None,
    };
    let doc = |change: &dyn Fn(&mut PlanDoc)| {
        let mut doc = plan(vec![phase("one", vec![by_hand("look")])]);
        doc.phases[0].gate = Gate::Approve;
        doc.phases[0].approvers = vec!["DBA".into()];
        doc.team = vec![role("dba")];
        change(&mut doc);
        gates::check(&doc)
    };
    let one = |change: &dyn Fn(&mut PlanDoc)| {
        let [only] = doc(change).try_into().unwrap();
        only
    };
    holds(
        &one(&|_| {}),
        CheckOutcome::Passed,
        &["1 gate can be opened"],
    );
    holds(&one(&|doc| doc.team.clear()), CheckOutcome::Passed, &[]);
    holds(
        &one(&|doc| doc.phases[0].approvers = vec!["lawyer".into()]),
        CheckOutcome::Warned,
        &["phase `one`", "`lawyer` must approve", "team"],
    );
    let opens_by_itself = |doc: &mut PlanDoc| doc.phases[0].gate = Gate::Auto;
    holds(
        &one(&opens_by_itself),
        CheckOutcome::Warned,
        &["opens by itself", "gate = \"approve\""],
    );
    let reviewed =
        |doc: &mut PlanDoc| (doc.phases[0].gate, doc.phases[0].review) = (Gate::Auto, true);
    holds(&one(&reviewed), CheckOutcome::Passed, &["no phase waits"]);
    let for_good = |doc: &mut PlanDoc| {
        doc.phases[0].approvers.clear();
        doc.phases[0].gate = Gate::Auto;
        doc.phases[0].steps[0].undo = UndoSpec::Impossible("rows are gone".into());
    };
    holds(
        &one(&for_good),
        CheckOutcome::Warned,
        &["cannot be taken back", "--accept"],
    );
}

// ---- other people's transactions, and the database itself

#[test]
fn open_transactions_are_told_with_who_since_when_and_what() {
    let open = [OpenTransaction {
        session: "42".into(),
        user: "bot (nightly)".into(),
        seconds: 90,
        since: "2026-01-05T02:00:00Z".into(),
        what: "idle in transaction: UPDATE t".into(),
    }];
    holds(
        &transactions::check(Ok(Some(&[]))),
        CheckOutcome::Passed,
        &["no transaction"],
    );
    holds(
        &transactions::check(Ok(Some(&open))),
        CheckOutcome::Warned,
        &[
            "session 42 of bot (nightly)",
            "90 s",
            "since 2026-01-05T02:00:00Z",
            "UPDATE t",
            "kill_blockers",
        ],
    );
    holds(
        &transactions::check(Ok(None)),
        CheckOutcome::NotRun,
        &["no list"],
    );
    holds(
        &transactions::check(Err("not yours")),
        CheckOutcome::NotRun,
        &["not yours"],
    );
}

#[test]
fn a_database_that_is_silent_or_unwell_is_refused() {
    holds(
        &connection::answers("sqlite", "3.50"),
        CheckOutcome::Passed,
        &["sqlite 3.50 answers"],
    );
    let silent = connection::silent("login-refused", "no such user", None);
    holds(
        &silent,
        CheckOutcome::Failed,
        &["no such user", "the server runs"],
    );
    let silent = connection::silent("login-refused", "no such user", Some("ask Ada"));
    holds(&silent, CheckOutcome::Failed, &["ask Ada"]);
    holds(&connection::health(Ok(&[])), CheckOutcome::Passed, &[]);
    let troubles = ["page 7 is torn".to_owned(), "index i is short".to_owned()];
    holds(
        &connection::health(Ok(&troubles)),
        CheckOutcome::Failed,
        &["page 7 is torn; index i is short"],
    );
    holds(
        &connection::health(Err("too long")),
        CheckOutcome::NotRun,
        &["too long"],
    );
}

// ---- the way to run

#[test]
fn nothing_is_cleared_over_an_error() {
    let phase = || crate::plan::Phase {
        id: "one".into(),
        steps: vec![],
    };
    let warning = Finding::warning("lock-writes", Place::default(), "it waits");
    let error = Finding::error("syntax", Place::default(), "no");
    let cleared = check(phase(), vec![warning.clone()]).unwrap();
    assert_eq!(cleared.findings(), std::slice::from_ref(&warning));
    assert_eq!(check(phase(), vec![warning, error]).unwrap_err().len(), 2);
}
