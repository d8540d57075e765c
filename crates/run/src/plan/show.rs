//! `plan show`: what a plan will do, how risky that is and why, how long it may take, and what each step's way back is.
//! Before anybody answers it shows what the file tells, and says what is not known.

use super::look::{self, Ground, StepLook};
use super::state::{self, State};
use super::view::{
    ArchiveView, BackView, CheckView, GateView, HazardView, PhaseView, PlanView, RiskView,
    StepView, UndoView,
};
use super::{estimate, gates, moving, store};
use crate::journal_store;
use crate::observe;
use crate::world::World;
use dunlin_core::dialect::Dialect;
use dunlin_core::failure::Failure;
use dunlin_core::journal::archive::{Archive, Part};
use dunlin_core::journal::plan::{PhaseState, PlanHistory, StepState, step_key};
use dunlin_core::plan::estimate::{Estimate, Rates};
use dunlin_core::plan::gate::{self, GateState};
use dunlin_core::plan::risk::{self, Level, Observed, PlanRisk};
use dunlin_core::plan::schedule::{self, Schedule};
use dunlin_core::plan::steps::Inverse;
use dunlin_core::schema::Catalog;
use dunlin_core::source::plan::{CheckDoc, PhaseDoc, PlanDoc, StepDoc, StepSpec, UndoSpec};
use dunlin_core::source::{Migration, Project};
use dunlin_core::sql::LexMode;
use dunlin_engines::{Purpose, Session};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Shows a plan. Opens one session that cannot write, and does without where nobody answers.
pub async fn show(
    world: &World,
    project: &Project,
    doc: &PlanDoc,
    migrations: &[Arc<Migration>],
) -> PlanView {
    match world.open(Purpose::Read).await {
        Ok(mut session) => {
            let seen = connected(world, project, doc, migrations, &mut *session).await;
            session.close().await;
            seen.unwrap_or_else(|failure| {
                let ground = empty(world.dialect(), project, migrations);
                let state = State::unreachable(project, &failure.message);
                let looks = BTreeMap::new();
                view(doc, &ground, &looks, state, &Rates::by_rule_of_thumb())
            })
        }
        Err(failure) => unconnected(world, project, doc, migrations, &failure).await,
    }
}

/// Shows a plan whose database has no address: which engine it is for is not known either, so its SQL is not read.
pub fn without_address(project: &Project, doc: &PlanDoc, why: &str) -> PlanView {
    // Nothing is classified: any dialect will do.
    let [dialect, ..] = dunlin_core::dialect::all();
    let ground = empty(dialect, project, &[]);
    let state = State::unreachable(project, why);
    view(
        doc,
        &ground,
        &BTreeMap::new(),
        state,
        &Rates::by_rule_of_thumb(),
    )
}

/// What is known where nobody answers.
async fn unconnected(
    world: &World,
    project: &Project,
    doc: &PlanDoc,
    migrations: &[Arc<Migration>],
    failure: &Failure,
) -> PlanView {
    let ground = empty(world.dialect(), project, migrations);
    let looks = look::steps(&ground, doc, None, None).await;
    let state = State::unreachable(project, &failure.message);
    view(doc, &ground, &looks, state, &Rates::by_rule_of_thumb())
}

/// The ground of a plan whose server does not answer.
fn empty<'a>(
    dialect: &'static dyn Dialect,
    project: &'a Project,
    migrations: &'a [Arc<Migration>],
) -> Ground<'a> {
    Ground {
        dialect,
        caps: dialect.caps(""),
        lex: LexMode::default(),
        catalog: Catalog::default(),
        sizes: vec![],
        plugins: &project.file.plugin,
        migrations,
        applied: vec![],
        history: PlanHistory::default(),
        is_connected: false,
    }
}

/// The ground of a plan as the server has it now: catalog, sizes, history.
pub async fn ground<'a>(
    world: &World,
    project: &'a Project,
    doc: &PlanDoc,
    migrations: &'a [Arc<Migration>],
    session: &mut dyn Session,
) -> Result<Ground<'a>, Failure> {
    let history = store::read(world, session, &doc.name).await?;
    ground_of(world, (project, migrations), history, session).await
}

/// As [`ground`], where the history is known.
pub async fn ground_of<'a>(
    world: &World,
    (project, migrations): (&'a Project, &'a [Arc<Migration>]),
    history: PlanHistory,
    session: &mut dyn Session,
) -> Result<Ground<'a>, Failure> {
    let looking = |error| {
        world.redact(crate::trouble::refused(
            &error,
            "cannot look at the database",
        ))
    };
    let catalog = observe::whole(session).await.map_err(looking)?;
    let dialect = session.dialect();
    let query = dialect.table_sizes();
    // Estimates do without, where they may not be seen.
    let rows = session.ask(&query.sql, &query.params).await;
    let rows = rows.unwrap_or_default();
    let sizes = rows.iter().filter_map(|row| dialect.read_table_size(row));
    let sizes = sizes.collect();
    let units = journal_store::read(world, session).await?;
    Ok(Ground {
        dialect,
        caps: session.caps().clone(),
        lex: session.lex_mode().clone(),
        catalog,
        sizes,
        plugins: &project.file.plugin,
        migrations,
        applied: units
            .applied()
            .map(|(version, _)| version.clone())
            .collect(),
        history,
        is_connected: true,
    })
}

async fn connected(
    world: &World,
    project: &Project,
    doc: &PlanDoc,
    migrations: &[Arc<Migration>],
    session: &mut dyn Session,
) -> Result<PlanView, Failure> {
    let ground = ground(world, project, doc, migrations, session).await?;
    let looks = look::steps(&ground, doc, None, Some(&mut *session)).await;
    let rates = estimate::calibrate(session, &ground, &looks, doc).await;
    let sizes = ground.sizes.iter().map(|size| size.bytes).sum();
    let awaits = awaits(world, project, doc, &ground.history);
    let state = state::observe(world, project, session, sizes, awaits).await;
    let mut shown = view(doc, &ground, &looks, state, &rates);
    let watch = gates::answering(world, doc).await;
    for (phase, one) in doc.phases.iter().zip(&mut shown.phases) {
        if !one.state.stands() {
            let state = &mut one.gate.state;
            gates::look_up(world, doc, phase, &ground.history, watch.clone(), state);
        }
    }
    Ok(shown)
}

/// Why nothing is known of the plan's own database yet: it is empty until a step of the plan copies another one into it.
fn awaits(
    world: &World,
    project: &Project,
    doc: &PlanDoc,
    history: &PlanHistory,
) -> Option<String> {
    let fills = |phase: &PhaseDoc, step: &StepDoc| {
        let StepSpec::Copy(spec) = &step.kind else {
            return false;
        };
        let is_done = history.step(&step_key(&doc.name, &phase.id, &step.id)) == StepState::Done;
        let ends = moving::ends(world, project, step, spec);
        !is_done && ends.is_ok_and(|(_, to)| to.is_same(world))
    };
    let (_, step) = doc.steps().find(|(phase, step)| fills(phase, step))?;
    Some(format!(
        "unknown until the copy has run (step `{}`)",
        step.id
    ))
}

fn unknown(risk: &PlanRisk, state: &State) -> Vec<String> {
    let waits = state.awaits.as_ref();
    let waits = waits.map(|why| format!("what the database holds then: {why}"));
    risk.unknown.iter().cloned().chain(waits).collect()
}

fn view(
    doc: &PlanDoc,
    ground: &Ground<'_>,
    looks: &BTreeMap<String, StepLook>,
    state: State,
    rates: &Rates,
) -> PlanView {
    let observed = Observed {
        bytes: state.bytes,
        metrics: state.figures(),
        plugins: state.plugins_on(),
        steps: looks
            .iter()
            .map(|(id, look)| (id.clone(), look.seen(ground)))
            .collect(),
    };
    let risk = risk::assess(doc, &observed);
    let schedule = schedule::schedule(doc);
    let phases: Vec<PhaseView> = doc
        .phases
        .iter()
        .map(|phase| of_phase(doc, phase, ground, looks, &risk, rates, schedule.as_ref()))
        .collect();
    let forward = Estimate::sum(
        phases
            .iter()
            .flat_map(|phase| &phase.steps)
            .map(|step| (step.id.as_str(), &step.estimate)),
        "steps",
    );
    let back = Estimate::sum(
        phases
            .iter()
            .flat_map(|phase| &phase.steps)
            .map(|step| (step.id.as_str(), &step.undo_estimate)),
        "steps",
    );
    let rollback_plan = phases.iter().rev().flat_map(|phase| {
        phase.steps.iter().rev().map(|step| BackView {
            phase: phase.id.clone(),
            step: step.id.clone(),
            undo: step.undo.text.clone(),
        })
    });
    PlanView {
        name: doc.name.clone(),
        file: doc.file.clone(),
        on_failure: doc.on_failure,
        risk: RiskView {
            level: risk.whole.level,
            reasons: risk.whole.reasons.clone(),
        },
        recommendations: risk.recommendations.clone(),
        unknown: unknown(&risk, &state),
        estimate_ms: forward.ms,
        undo_estimate_ms: back.ms,
        estimate: forward,
        undo_estimate: back,
        rollback_plan: rollback_plan.collect(),
        phases,
        requirements: doc.requires.iter().map(ToString::to_string).collect(),
        unreachable: (!ground.is_connected).then(|| state.troubles.join("; ")),
        current_state: state,
        schedule,
        team: doc.team.clone(),
        window: doc.window.as_ref().map(ToString::to_string),
    }
}

fn of_phase(
    doc: &PlanDoc,
    phase: &PhaseDoc,
    ground: &Ground<'_>,
    looks: &BTreeMap<String, StepLook>,
    risk: &PlanRisk,
    rates: &Rates,
    schedule: Option<&Schedule>,
) -> PhaseView {
    let history = ground.history.phase(&phase.id);
    let steps: Vec<StepView> = phase
        .steps
        .iter()
        .map(|step| {
            let key = step_key(&doc.name, &phase.id, &step.id);
            let state = ground.history.step(&key);
            let seen = of_step(step, state, looks.get(&step.id), ground, risk, rates);
            StepView {
                waiting_archives: waiting(ground, &key),
                ..seen
            }
        })
        .collect();
    let sum = |of: fn(&StepView) -> &Estimate| {
        Estimate::sum(
            steps.iter().map(|step| (step.id.as_str(), of(step))),
            "steps",
        )
    };
    let (forward, back) = (sum(|step| &step.estimate), sum(|step| &step.undo_estimate));
    let assessed = risk.phases.get(&phase.id);
    PhaseView {
        id: phase.id.clone(),
        title: phase.title.clone(),
        version: phase.version,
        objectives: phase.objectives.clone(),
        needs: phase.needs.clone(),
        state: history.state,
        risk: assessed.map_or(Level::Low, |one| one.level),
        reasons: assessed.map_or_else(Vec::new, |one| one.reasons.clone()),
        estimate_ms: forward.ms,
        undo_estimate_ms: back.ms,
        estimate: forward,
        duration_ms: history.duration_ms,
        planned: schedule.and_then(|schedule| {
            let mut planned = schedule.phases.iter();
            planned.find(|planned| planned.phase == phase.id).cloned()
        }),
        gate: of_gate(phase, ground),
        backup: phase.backup,
        window: phase.window.as_ref().map(ToString::to_string),
        checks: phase.checks.iter().map(of_check).collect(),
        steps,
    }
}

fn waiting(ground: &Ground<'_>, key: &str) -> Vec<ArchiveView> {
    let view = |archive: &Archive| ArchiveView {
        checkpoint: archive.archived.checkpoint.clone(),
        file: archive.archived.file.clone(),
        at: archive.at.clone(),
        parts: archive.archived.parts.iter().map(Part::shown).collect(),
    };
    ground.history.archives.waiting(key).map(view).collect()
}

fn of_gate(phase: &PhaseDoc, ground: &Ground<'_>) -> GateView {
    let said = |review| ground.history.approvals(&phase.id, &phase.hash, review);
    let state = match ground.history.phase(&phase.id).state {
        PhaseState::Done if phase.review => gate::review(phase, &said(true)),
        state if state.stands() => GateState {
            open: true,
            ..GateState::default()
        },
        _ => gate::before(phase, &said(false)),
    };
    let impossible = phase.steps.iter();
    let impossible = impossible.filter(|step| matches!(step.undo, UndoSpec::Impossible(_)));
    GateView {
        kind: phase.gate,
        approvers: phase.approvers.clone(),
        points: phase.go.clone(),
        accept: impossible.map(|step| step.id.clone()).collect(),
        review: phase.review,
        state,
    }
}

fn of_check(check: &CheckDoc) -> CheckView {
    CheckView {
        id: check.id.clone(),
        kind: check.kind.kind(),
        when: check.when,
        severity: check.severity,
    }
}

fn of_step(
    step: &StepDoc,
    state: StepState,
    look: Option<&StepLook>,
    ground: &Ground<'_>,
    risk: &PlanRisk,
    rates: &Rates,
) -> StepView {
    let (forward, back) = estimate::of_step(step, look, ground, rates);
    let texts = |of: fn(&StepLook) -> &Vec<look::Classed>| {
        let list = look.map_or(&[][..], |look| of(look).as_slice());
        list.iter().map(|one| one.sql.clone()).collect::<Vec<_>>()
    };
    StepView {
        id: step.id.clone(),
        title: step.title.clone(),
        kind: step.kind.kind(),
        label: step.label,
        critical: step.critical,
        needs: step.needs.clone(),
        state,
        risk: risk.steps.get(&step.id).map_or(Level::Low, |one| one.level),
        undo: UndoView {
            statements: texts(|look| &look.undo),
            ..of_undo(step, look)
        },
        waiting_archives: vec![],
        hazards: look.map_or_else(Vec::new, |look| hazards(look, ground)),
        statements: texts(|look| &look.up),
        estimate_ms: forward.ms,
        undo_estimate_ms: back.ms,
        estimate: forward,
        undo_estimate: back,
        checks: step.checks.iter().map(of_check).collect(),
        refused: look.map_or_else(Vec::new, |look| look.refused.clone()),
        unknown: look.and_then(|look| look.unknown.clone()),
    }
}

/// What a step's statements do to others, each once.
pub fn hazards(look: &StepLook, ground: &Ground<'_>) -> Vec<HazardView> {
    let mut found: Vec<HazardView> = vec![];
    for one in &look.up {
        let table = one.class.touches.first();
        let table = table.map(|object| object.parent.as_deref().unwrap_or(&object.name));
        for hazard in &one.class.hazards {
            let seen = HazardView {
                code: hazard.code,
                message: hazard.message.clone(),
                table: table.map(str::to_owned),
                rows: table.and_then(|table| ground.size_of(table)?.rows),
            };
            if !found.contains(&seen) {
                found.push(seen);
            }
        }
    }
    found
}

fn of_undo(step: &StepDoc, look: Option<&StepLook>) -> UndoView {
    let file = step.place.file.as_deref().unwrap_or_default();
    let (kind, text) = match &step.undo {
        UndoSpec::Derive => ("derive", derived(step, look)),
        UndoSpec::Sql(sql) if sql.file == file => {
            ("sql", "runs the SQL that the step states".into())
        }
        UndoSpec::Sql(sql) => ("sql", format!("runs {}", sql.file)),
        UndoSpec::Restore => (
            "restore",
            "brings the rows back from the checkpoint made before it, merged by key".into(),
        ),
        UndoSpec::Exec(command) => ("exec", format!("runs `{command}`")),
        UndoSpec::Impossible(why) => ("impossible", format!("cannot be taken back: {why}")),
        UndoSpec::None(why) => ("none", format!("nothing is to be taken back: {why}")),
    };
    UndoView {
        kind,
        text,
        statements: vec![],
    }
}

fn derived(step: &StepDoc, look: Option<&StepLook>) -> String {
    let inverse = look.and_then(|look| look.inverse.as_ref());
    match (&step.kind, inverse) {
        (_, Some(Inverse::Migrations(versions))) if versions.is_empty() => {
            "no migration is pending: nothing to take back".into()
        }
        (_, Some(Inverse::Migrations(versions))) => {
            format!("takes back the migrations {}", versions.join(", "))
        }
        (StepSpec::Backfill(_), _) => {
            "puts back the values of each batch, where a row still holds what the step left".into()
        }
        (StepSpec::Clean(_), _) => {
            "brings back what its batches removed and changed, where nobody wrote to it since"
                .into()
        }
        (StepSpec::Settings(_), _) => {
            "restores the values that were there, deletes the rows that it inserted".into()
        }
        (StepSpec::Plugin { id, on }, _) => match on {
            true => format!("switches `{id}` off again, its options as they were"),
            false => format!("switches `{id}` on again, its options as they were"),
        },
        (StepSpec::Require(_), _) => {
            "drops what it added, brings back the constraints that were there".into()
        }
        (StepSpec::Copy(spec), _) => format!(
            "empties {} again, which the copy finds empty, where nobody wrote to it since",
            match spec.to.0.contains(':') {
                true => "the target",
                false => spec.to.0.as_str(),
            }
        ),
        (StepSpec::Export(_), _) => "nothing is to be taken back: it only reads".into(),
        (StepSpec::Import(_), _) => {
            "removes the rows that it brought, where nobody wrote to them since".into()
        }
        (StepSpec::Checkpoint(_), _) => "nothing is to be taken back: it only saves".into(),
        (_, Some(Inverse::Statements(statements))) if !statements.is_empty() => {
            "runs the inverse of what it did".into()
        }
        (StepSpec::Later(_), _) => "comes with a later version".into(),
        _ => "runs the inverse of what it did, known when its turn comes".into(),
    }
}
