//! Each border of the risk, on both sides.

use super::*;
use crate::finding::Place;
use crate::source::Secrets;
use crate::source::grammar::plan::{Gate, PlanOnFailure};
use crate::source::grammar::steps::Manual;

pub(crate) fn step(id: &str, kind: StepSpec) -> StepDoc {
    StepDoc {
        id: id.into(),
        title: id.into(),
        label: None,
        critical: true,
        needs: vec![],
        kill_blockers: None,
        window: None,
        risk: None,
        estimate: None,
        kind,
        undo: UndoSpec::Derive,
        checks: vec![],
        hash: String::new(),
        place: Place::default(),
    }
}

pub(crate) fn by_hand(id: &str) -> StepDoc {
    let manual = Manual {
        what: "look".into(),
        by: None,
    };
    step(id, StepSpec::Manual(manual))
}

pub(crate) fn phase(id: &str, steps: Vec<StepDoc>) -> PhaseDoc {
    PhaseDoc {
        id: id.into(),
        title: id.into(),
        version: None,
        objectives: vec![],
        risk: None,
        duration: None,
        needs: vec![],
        gate: Gate::Auto,
        approvers: vec![],
        go: vec![],
        review: false,
        backup: PhaseBackup::None,
        window: None,
        checks: vec![],
        steps,
        hash: String::new(),
        place: Place::default(),
    }
}

pub(crate) fn plan(phases: Vec<PhaseDoc>) -> PlanDoc {
    PlanDoc {
        file: "a.plan.toml".into(),
        name: "a".into(),
        database: None,
        on_failure: PlanOnFailure::UndoPhase,
        requires: vec![],
        window: None,
        starts: None,
        team: vec![],
        watch: None,
        phases,
        secrets: Secrets::default(),
    }
}

fn one(step: StepDoc) -> PlanDoc {
    plan(vec![phase("one", vec![step])])
}

fn small() -> Observed {
    Observed {
        bytes: Some(1),
        ..Observed::default()
    }
}

fn kinds(doc: &PlanDoc, observed: &Observed) -> Vec<&'static str> {
    let risk = assess(doc, observed);
    risk.whole
        .reasons
        .iter()
        .map(|reason| reason.kind)
        .collect()
}

fn seen(code: &'static str, rows: Option<u64>, bytes: Option<u64>) -> Observed {
    let heavy = Heavy {
        code,
        table: "messages".into(),
        rows,
        bytes,
    };
    let step = StepSeen {
        heavy: vec![heavy],
        ..StepSeen::default()
    };
    Observed {
        steps: [("s".to_owned(), step)].into(),
        ..small()
    }
}

#[test]
fn nothing_to_say_is_low() {
    let risk = assess(&one(by_hand("s")), &small());
    assert_eq!(
        (risk.whole.level, risk.whole.reasons.len()),
        (Level::Low, 0)
    );
    assert_eq!(risk.phases["one"].level, Level::Low);
    assert!(risk.unknown.is_empty(), "{risk:?}");
}

#[test]
fn more_than_two_phases() {
    let of = |count: usize| {
        let phases =
            (0..count).map(|at| phase(&format!("p{at}"), vec![by_hand(&format!("s{at}"))]));
        plan(phases.collect())
    };
    assert_eq!(kinds(&of(2), &small()), Vec::<&str>::new());
    assert_eq!(kinds(&of(3), &small()), ["many_phases"]);
    assert_eq!(assess(&of(3), &small()).whole.level, Level::Medium);
}

#[test]
fn more_than_two_plugins_to_switch_on() {
    let of = |ids: &[&str], on: bool| {
        let steps = ids.iter().map(|id| {
            let id = (*id).to_owned();
            step(&id.clone(), StepSpec::Plugin { id, on })
        });
        plan(vec![phase("one", steps.collect())])
    };
    let three = of(&["a", "b", "c"], true);
    assert_eq!(kinds(&of(&["a", "b"], true), &small()), Vec::<&str>::new());
    assert_eq!(kinds(&three, &small()), ["many_plugins"]);
    assert_eq!(assess(&three, &small()).whole.level, Level::Medium);
    assert_eq!(
        kinds(&of(&["a", "b", "c"], false), &small()),
        Vec::<&str>::new(),
        "off is no risk"
    );
    let is = |on: bool| Observed {
        plugins: [("a".to_owned(), on)].into(),
        ..small()
    };
    assert_eq!(
        kinds(&three, &is(true)),
        Vec::<&str>::new(),
        "one is on already"
    );
    assert_eq!(kinds(&three, &is(false)), ["many_plugins"]);
}

#[test]
fn over_one_gigabyte() {
    let of = |bytes: u64| Observed {
        bytes: Some(bytes),
        ..Observed::default()
    };
    let doc = one(by_hand("s"));
    assert_eq!(kinds(&doc, &of(1_000_000_000)), Vec::<&str>::new());
    assert_eq!(kinds(&doc, &of(1_000_000_001)), ["large_database"]);
    assert_eq!(assess(&doc, &of(1_000_000_001)).whole.level, Level::Medium);
    let unknown = assess(&doc, &Observed::default());
    assert_eq!(unknown.whole.level, Level::Low);
    assert_eq!(
        unknown.unknown.len(),
        1,
        "what nobody knows is said: {unknown:?}"
    );
}

#[test]
fn a_metric_over_or_under_its_bound() {
    let doc = one(by_hand("s"));
    let of = |value: Option<f64>, above: Option<f64>, below: Option<f64>, risk: Option<Level>| {
        let metric = MetricTable {
            id: "avg-search-ms".into(),
            sql: String::new(),
            warn_above: above,
            warn_below: below,
            risk,
            mitigation: Some("Optimise searches".into()),
            database: None,
        };
        Observed {
            metrics: vec![(metric, value)],
            ..small()
        }
    };
    let high = Some(Level::High);
    for (value, above, below, expected) in [
        (1000.0, Some(1000.0), None, None),
        (
            1000.1,
            Some(1000.0),
            None,
            Some("`avg-search-ms` is 1000.1, above its bound of 1000"),
        ),
        (0.9, None, Some(0.9), None),
        (
            0.89,
            None,
            Some(0.9),
            Some("`avg-search-ms` is 0.89, below its bound of 0.9"),
        ),
        (5.0, None, None, None),
    ] {
        let risk = assess(&doc, &of(Some(value), above, below, high)).whole;
        let said = risk
            .reasons
            .first()
            .map(|reason| reason.description.as_str());
        assert_eq!(said, expected, "{value}");
        if let Some(reason) = risk.reasons.first() {
            assert_eq!(
                (reason.level, reason.mitigation.as_str()),
                (Level::High, "Optimise searches")
            );
        }
    }
    let plain = assess(&doc, &of(Some(2.0), Some(1.0), None, None));
    assert_eq!(plain.whole.level, Level::Medium, "where it does not say");
    let none = assess(&doc, &of(None, Some(1.0), None, high));
    assert_eq!((none.whole.level, none.unknown.len()), (Level::Low, 1));
}

#[test]
fn a_large_table_under_a_blocking_lock() {
    let doc = one(by_hand("s"));
    for code in BLOCKING {
        assert_eq!(
            kinds(&doc, &seen(code, Some(LARGE_TABLE_ROWS), None)),
            ["large_table"],
            "{code}"
        );
        assert_eq!(
            kinds(&doc, &seen(code, Some(LARGE_TABLE_ROWS - 1), None)),
            Vec::<&str>::new()
        );
        assert_eq!(
            kinds(&doc, &seen(code, None, Some(LARGE_TABLE_BYTES))),
            ["large_table"]
        );
        assert_eq!(
            kinds(&doc, &seen(code, Some(1), Some(LARGE_TABLE_BYTES - 1))),
            Vec::<&str>::new()
        );
    }
    let quiet = seen("index-may-stay-invalid", Some(LARGE_TABLE_ROWS), None);
    assert_eq!(
        kinds(&doc, &quiet),
        Vec::<&str>::new(),
        "nobody waits for it"
    );
    let risk = assess(&doc, &seen("table-rewrite", Some(LARGE_TABLE_ROWS), None));
    assert_eq!(
        (
            risk.whole.level,
            risk.phases["one"].level,
            risk.steps["s"].level
        ),
        (Level::High, Level::High, Level::High)
    );
    let unknown = assess(&doc, &seen("table-rewrite", None, None));
    assert_eq!(
        (unknown.whole.level, unknown.unknown.len()),
        (Level::Low, 1)
    );
}

#[test]
fn another_engine_and_no_way_back_are_high() {
    let copy = one(step("s", StepSpec::Copy(Box::default())));
    assert_eq!(kinds(&copy, &small()), ["change_of_engine"]);
    assert_eq!(assess(&copy, &small()).whole.level, Level::High);
    let export = one(step("s", StepSpec::Export(Box::default())));
    assert_eq!(kinds(&export, &small()), Vec::<&str>::new());

    let mut gone = by_hand("s");
    gone.undo = UndoSpec::Impossible("the mails are sent".into());
    let risk = assess(&one(gone), &small());
    assert_eq!(risk.whole.level, Level::High);
    assert!(
        risk.whole.reasons[0]
            .description
            .contains("the mails are sent")
    );
    let mut none = by_hand("s");
    none.undo = UndoSpec::None("it only looks".into());
    assert_eq!(kinds(&one(none), &small()), Vec::<&str>::new());

    let mut observed = small();
    let found = StepSeen {
        irreversible: Some("migration 007 drops a column".into()),
        ..StepSeen::default()
    };
    observed.steps.insert("s".into(), found);
    assert_eq!(kinds(&one(by_hand("s")), &observed), ["irreversible"]);
}

#[test]
fn what_is_declared_is_raised_and_never_lowered() {
    let declared = |of_phase: Option<Level>, of_step: Option<Level>, kind: StepSpec| {
        let mut step = step("s", kind);
        step.risk = of_step;
        let mut phase = phase("one", vec![step]);
        phase.risk = of_phase;
        let risk = assess(&plan(vec![phase]), &small());
        (
            risk.whole.level,
            risk.phases["one"].level,
            risk.steps["s"].level,
        )
    };
    let export = || StepSpec::Export(Box::default());
    let low = Some(Level::Low);
    assert_eq!(
        declared(low, low, export()),
        (Level::Low, Level::Low, Level::Low)
    );
    assert_eq!(
        declared(low, low, StepSpec::Copy(Box::default())),
        (Level::High, Level::High, Level::High),
        "low by word, high by what it does"
    );
    assert_eq!(
        declared(Some(Level::Critical), None, StepSpec::Copy(Box::default())),
        (Level::Critical, Level::Critical, Level::High),
        "a higher word stays"
    );
    assert_eq!(
        declared(None, Some(Level::Medium), export()),
        (Level::Medium, Level::Medium, Level::Medium)
    );
}

#[test]
fn recommendations_name_what_the_plan_sees_to() {
    let words = |doc: &PlanDoc| assess(doc, &small()).recommendations.join("\n");
    let low = words(&one(by_hand("s")));
    for word in ["Window", "Rehearsal", "Backup"] {
        assert!(low.contains(word), "{low}");
    }
    let mut doc = one(step("s", StepSpec::Copy(Box::default())));
    let high = words(&doc);
    for word in ["Test on a copy", "Support at hand", "backup create"] {
        assert!(high.contains(word), "{high}");
    }
    doc.phases[0].backup = PhaseBackup::Database;
    assert!(words(&doc).contains("the plan asks for one"));
}
