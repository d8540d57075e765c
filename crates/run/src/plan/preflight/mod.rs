//! `plan check`: everything that must hold before a plan begins, asked of the server and of this machine, all at once.
//! Nothing is written. What is judged stands in `dunlin_core::preflight`, one file for each thing.

mod copies;
pub(super) mod disk;
mod phase;
mod requires;
mod room;
mod undos;

pub use phase::{Ready, for_run};
pub(super) use requires::newest_backup;

use super::look::{self, Ground, StepLook};
use super::{Ask, home, show, state, unchanged};
use crate::journal_store;
use crate::observe;
use crate::up;
use crate::world::World;
use disk as disks;
use dunlin_core::dialect::preflight::{OpenTransaction, Rights, read_transaction};
use dunlin_core::failure::Failure;
use dunlin_core::journal::plan::PhaseState;
use dunlin_core::journal::{History, UnitState};
use dunlin_core::plan::select::compare;
use dunlin_core::preflight::rights::{self, Wants};
use dunlin_core::preflight::{
    Checked, clock, connection, evaluable, gates, in_doubt, migrations, plugins,
    requires as required, transactions, undo,
};
use dunlin_core::source::Project;
use dunlin_core::source::grammar::checks::When;
use dunlin_core::source::plan::requires::Required;
use dunlin_core::source::plan::{CheckDoc, CheckSpec, PhaseDoc, PlanDoc, StepSpec};
use dunlin_core::sql::words::Words;
use dunlin_core::value::Row;
use dunlin_engines::{Purpose, Session};
use requires::{Asking, on_path, plain};
use room::{of_backup_disk, of_backups, of_data_disk};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long looking at the health of a whole database may take.
const HEALTH: Duration = Duration::from_secs(30);

/// What is looked at, with what was seen once for all.
struct Scene<'a> {
    world: &'a World,
    project: &'a Project,
    doc: &'a PlanDoc,
    ground: &'a Ground<'a>,
    looks: BTreeMap<String, StepLook>,
    /// The phases that are still to come, by name.
    ahead: Vec<&'a PhaseDoc>,
}

/// Looks at everything.
pub async fn check(world: &World, ask: &Ask<'_>) -> Vec<Checked> {
    let mut session = match world.open(Purpose::Read).await {
        Ok(session) => session,
        Err(failure) => {
            let help = failure.hints.first().map(String::as_str);
            let mut found = vec![connection::silent(failure.code, &failure.message, help)];
            found.extend(without_database(ask.doc));
            return found;
        }
    };
    let (project, doc) = (ask.project, ask.doc);
    let ground = show::ground(world, project, doc, ask.migrations, &mut *session).await;
    let found = match ground {
        Err(failure) => {
            let help = failure.hints.first().map(String::as_str);
            vec![connection::silent(failure.code, &failure.message, help)]
        }
        Ok(ground) => {
            let looks = look::steps(&ground, doc, None, Some(&mut *session)).await;
            let ahead = doc.phases.iter();
            let ahead =
                ahead.filter(|phase| ground.history.phase(&phase.id).state != PhaseState::Done);
            let scene = Scene {
                world,
                project,
                doc,
                ahead: ahead.collect(),
                looks,
                ground: &ground,
            };
            everything(&scene, ask, &mut *session).await
        }
    };
    session.close().await;
    found.into_iter().map(|one| redacted(world, one)).collect()
}

/// What can be said of a plan without its database.
fn without_database(doc: &PlanDoc) -> Vec<Checked> {
    let mut found = kinds(&doc.phases.iter().collect::<Vec<_>>());
    found.extend(gates::check(doc));
    found
}

/// Masks secrets, and puts the user's name where a statement could not know it.
fn redacted(world: &World, mut one: Checked) -> Checked {
    let mut failure = Failure::refused(one.code, one.message.clone());
    failure.hints.extend(one.help.clone());
    let failure = world.redact(failure);
    one.message = failure.message;
    one.help = failure.hints.into_iter().next();
    one
}

async fn everything(scene: &Scene<'_>, ask: &Ask<'_>, session: &mut dyn Session) -> Vec<Checked> {
    let caps = session.caps();
    let mut found = vec![connection::answers(
        &caps.engine.to_string(),
        &caps.version_text,
    )];
    let (health, troubles) = state::health(session, HEALTH).await;
    found.push(match health {
        "unknown" => connection::health(Err(&troubles.join("; "))),
        _ => connection::health(Ok(&troubles)),
    });
    found.push(match unchanged(scene.doc, &scene.ground.history) {
        Ok(()) => Checked::passed(
            "plan",
            "changed-plan",
            "phases that have begun are as they were",
        ),
        Err(failure) => Checked::failed("plan", "changed-plan", failure.message)
            .help(failure.hints.first().cloned().unwrap_or_default()),
    });
    found.extend(kinds(&scene.ahead));
    let journal = journal_store::read(scene.world, session).await;
    let makes_journal = journal.is_ok_and(|journal| !journal.exists);
    found.push(of_rights(scene, session, makes_journal).await);
    found.extend(of_backup_disk(scene, session).await);
    found.push(of_data_disk(scene, session).await);
    found.push(of_transactions(session).await);
    if session
        .dialect()
        .preflight()
        .blockers(session.caps(), 0, &[])
        .is_none()
    {
        let steps = scene.ahead.iter().flat_map(|phase| &phase.steps);
        let ending = steps.filter(|step| step.kill_blockers.is_some());
        let ending: Vec<&str> = ending.map(|step| step.id.as_str()).collect();
        found.extend(transactions::nobody_to_end(&ending));
    }
    found.extend(of_requirements(scene, session).await);
    found.push(of_plugins(scene, session).await);
    found.extend(copies::check(scene).await);
    found.extend(of_history(scene, ask, session).await);
    found.extend(of_steps(scene, |_, _| true));
    found.extend(undos::of_unasked(scene, session));
    found.extend(undos::of_alone(scene, session).await);
    found.extend(of_archives(scene));
    found.push(of_backups(scene));
    found.extend(of_checks(scene, session).await);
    found.push(of_clock(session).await);
    found.extend(gates::check(scene.doc));
    found
}

/// Kinds of steps and checks that this version cannot run.
fn kinds(ahead: &[&PhaseDoc]) -> Vec<Checked> {
    let mut found = vec![];
    let mut later = |what: String, place| {
        let message = format!("{what} come with a later version");
        let checked = Checked::failed("kinds", "comes-later", message);
        found.push(checked.help("take it out of the plan until then").at(place));
    };
    for phase in ahead {
        for step in &phase.steps {
            if let StepSpec::Later(kind) = step.kind {
                later(
                    format!("step `{}`: steps of the kind `{kind}`", step.id),
                    &step.place,
                );
            }
        }
        for check in checks_of(phase) {
            if matches!(check.kind, CheckSpec::Compare(_)) {
                let kind = check.kind.kind();
                later(
                    format!("check `{}`: checks of the kind `{kind}`", check.id),
                    &check.place,
                );
            }
        }
    }
    found
}

fn checks_of(phase: &PhaseDoc) -> impl Iterator<Item = &CheckDoc> {
    let own = phase.steps.iter().flat_map(|step| &step.checks);
    phase.checks.iter().chain(own)
}

/// `makes_journal`: its tables are not there yet.
async fn of_rights(scene: &Scene<'_>, session: &mut dyn Session, makes_journal: bool) -> Checked {
    let mut wants = Wants::default();
    let rules = scene.ground.dialect.lex_rules(&scene.ground.lex);
    for step in scene.ahead.iter().flat_map(|phase| &phase.steps) {
        let Some(look) = scene.looks.get(&step.id).filter(|look| !look.is_done) else {
            continue;
        };
        wants.step(step);
        for one in look.up.iter().chain(&look.undo) {
            wants.statement(&step.id, &one.class);
            wants.branches(&step.id, &one.class, &Words::read(&one.sql, &rules));
        }
    }
    if let Some(file) = scene.world.engine.file() {
        return of_file(file);
    }
    if makes_journal {
        wants.journal(scene.world.config.journal_schema.as_deref());
    }
    let asked = session.dialect().preflight();
    let Some(query) = asked.rights(&wants.0, session.caps()) else {
        return rights::check(&wants.0, &Rights::default());
    };
    match observe::bounded(session, &query, PATIENCE).await {
        Ok(rows) => {
            let database = scene.world.engine.database();
            rights::check(&wants.0, &asked.read_rights(&wants.0, &rows, &database))
        }
        Err(error) => Checked::not_run(
            "rights",
            rights::CODE,
            format!("the rights cannot be asked: {}", error.message),
        ),
    }
}

/// The rights of a database that is a file: it and its folder are written.
fn of_file(file: &std::path::Path) -> Checked {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => std::path::Path::new("."),
    };
    let may = disks::may_write(file).and_then(|()| disks::may_write(folder));
    match may {
        Ok(()) => Checked::passed(
            "rights",
            rights::CODE,
            "the file and its folder may be written",
        ),
        Err(why) => Checked::failed(
            "rights",
            rights::CODE,
            format!("the database may not be written: {why}"),
        )
        .help("give this user the right to write the file and its folder"),
    }
}

async fn of_transactions(session: &mut dyn Session) -> Checked {
    let asked = session.dialect().preflight();
    let mut failed = None;
    for query in asked.transactions(transactions::OLD_SECONDS) {
        match observe::bounded(session, &query, PATIENCE).await {
            Ok(rows) => return open_transactions(&rows),
            // What the usual way fails by says more than what the way around it does.
            Err(error) => failed = failed.or(Some(error.message)),
        }
    }
    match failed {
        Some(why) => transactions::check(Err(&why)),
        None => transactions::check(Ok(None)),
    }
}

fn open_transactions(rows: &[Row]) -> Checked {
    let open: Vec<OpenTransaction> = rows.iter().filter_map(read_transaction).collect();
    if open.is_empty() && !rows.is_empty() {
        return transactions::check(Err("this user may not look at the sessions of others"));
    }
    transactions::check(Ok(Some(&open)))
}

async fn of_requirements(scene: &Scene<'_>, session: &mut dyn Session) -> Vec<Checked> {
    let asking = Asking {
        world: scene.world,
        project: scene.project,
        doc: scene.doc,
        ground: scene.ground,
    };
    let mut checked = vec![];
    let history = &scene.ground.history;
    let has_begun = scene
        .doc
        .phases
        .iter()
        .any(|phase| history.phase(&phase.id).state.stands());
    for requirement in &scene.doc.requires {
        // The plan's own steps may have changed these since.
        let once = matches!(
            requirement.kind,
            Required::Setting { .. } | Required::Plugin(_)
        );
        if once && has_begun {
            let id = format!("requires:{requirement}");
            let why = "it was asked for when the plan began";
            checked.push(Checked::not_run(&id, required::CODE, why));
            continue;
        }
        let found = requires::find(&asking, session, &requirement.kind).await;
        let install = match &requirement.kind {
            Required::Extension { name, .. } => Some(session.dialect().preflight().install(name)),
            _ => None,
        };
        checked.push(required::check(requirement, &found, install.as_deref()));
    }
    checked
}

async fn of_plugins(scene: &Scene<'_>, session: &mut dyn Session) -> Checked {
    let tables = &scene.project.file.plugin;
    let steps = scene.ahead.iter().flat_map(|phase| &phase.steps);
    let switches = steps
        .filter(|step| matches!(step.kind, StepSpec::Plugin { .. }))
        .count();
    let mut on = BTreeMap::new();
    if switches > 0 {
        let mut readers = state::Readers::new(scene.world, scene.project, session);
        for plugin in tables {
            if let Ok(is_on) = readers.plugin(plugin).await {
                on.insert(plugin.id.clone(), is_on);
            }
        }
        readers.close().await;
    }
    let ahead = |id: &str| scene.ahead.iter().any(|phase| phase.id == id);
    plugins::check(scene.doc, tables, &on, ahead)
}

async fn of_history(scene: &Scene<'_>, ask: &Ask<'_>, session: &mut dyn Session) -> Vec<Checked> {
    let read = journal_store::read(scene.world, session).await;
    let history = match read {
        Ok(history) => history,
        Err(failure) => {
            let message = format!("the journal cannot be read: {}", failure.message);
            let help = failure.hints.first().cloned().unwrap_or_default();
            return vec![Checked::failed("migrations", failure.code, message).help(help)];
        }
    };
    let compared = compare(ask.migrations, &history);
    let pending: Vec<String> = ask
        .migrations
        .iter()
        .filter(|migration| !history.is_applied(&migration.version))
        .map(|migration| migration.version.0.clone())
        .collect();
    let applied = history.applied().count();
    let doubts = up::in_doubt(scene.world, session, &history).await;
    let doubts = doubts.unwrap_or_default();
    vec![
        migrations::check(scene.doc, &compared, &pending, applied),
        in_doubt::check(
            scene.doc,
            &doubts,
            &half_way(&history),
            &scene.ground.history,
        ),
    ]
}

fn half_way(history: &History) -> Vec<String> {
    let units = history.units.iter();
    units
        .filter(|(_, state)| matches!(state, UnitState::InFlight(_)))
        .map(|(version, _)| version.0.clone())
        .collect()
}

/// What lowering says of the steps ahead. `counts`: which findings, by step and code.
fn of_steps(scene: &Scene<'_>, counts: impl Fn(&str, &str) -> bool) -> Vec<Checked> {
    let (mut refused, mut unseen, mut seen) = (vec![], vec![], 0);
    for step in scene.ahead.iter().flat_map(|phase| &phase.steps) {
        let Some(look) = scene.looks.get(&step.id) else {
            continue;
        };
        let own = look
            .refused
            .iter()
            .filter(|finding| counts(&step.id, finding.code));
        refused.extend(own.map(|finding| (step.id.clone(), finding.clone())));
        match (&look.unknown, &step.kind) {
            (_, StepSpec::Later(_)) => {}
            _ if look.is_done => {}
            (Some(_), _) => unseen.push(step.id.clone()),
            (None, _) => seen += 1,
        }
    }
    undo::check(&refused, &unseen, seen)
}

/// What undos have archived and no step of the plan brings home.
fn of_archives(scene: &Scene<'_>) -> Vec<Checked> {
    let found = home::homeless(scene.doc, &scene.ground.history.archives).into_iter();
    let found = found.map(|found| {
        let help = found.help.unwrap_or_default();
        Checked::warned("archives", found.code, found.message).help(help)
    });
    found.collect()
}

/// The SQL of a check, without marks: any key will do to ask whether it can be evaluated.
fn sql_of(check: &CheckDoc) -> Option<&str> {
    match &check.kind {
        CheckSpec::Sql { sql, .. } | CheckSpec::Unchanged(sql) | CheckSpec::Accepts(sql) => {
            Some(&sql.text)
        }
        CheckSpec::Refuses(refuses) => Some(&refuses.sql),
        CheckSpec::Speed(speed) => Some(&speed.sql),
        CheckSpec::Explain(explain) => Some(&explain.sql),
        _ => None,
    }
}

fn without_marks(sql: &str) -> String {
    let mut out = String::new();
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once("{mark:") {
        let Some((_, behind)) = after.split_once('}') else {
            break;
        };
        out.push_str(before);
        out.push_str("NULL");
        rest = behind;
    }
    out.push_str(rest);
    out
}

async fn of_checks(scene: &Scene<'_>, session: &mut dyn Session) -> Vec<Checked> {
    let mut tried = vec![];
    let next = scene.ahead.first().map(|phase| phase.id.as_str());
    for phase in &scene.ahead {
        for check in checks_of(phase) {
            let Some(sql) = sql_of(check) else { continue };
            let sql = without_marks(sql.trim().trim_end_matches(';'));
            let explain = session.dialect().checks().explain(&sql);
            let asked = observe::bounded(session, &plain(&explain), PATIENCE).await;
            let before = matches!(check.when, When::Before | When::Both);
            let of_phase = phase.checks.iter().any(|own| own.id == check.id);
            tried.push(evaluable::Tried {
                id: check.id.clone(),
                is_next: before && of_phase && next == Some(phase.id.as_str()),
                error: asked.err().map(|error| (error.class, error.message)),
                place: check.place.clone(),
            });
        }
    }
    evaluable::check(&tried)
}

/// Milliseconds of this machine's clock: the real one, for the server has no other.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

async fn of_clock(session: &mut dyn Session) -> Checked {
    let Some(sql) = session.dialect().preflight().clock() else {
        return clock::check(None, 0, 0);
    };
    let before = now_ms();
    let asked = observe::bounded(session, &plain(sql), PATIENCE).await;
    let after = now_ms();
    match asked {
        Ok(rows) => match rows.first().and_then(|row| row.first()?.as_i64()) {
            Some(server) => clock::check(Some(server), before, after),
            None => Checked::not_run("clock", clock::CODE, "the server does not tell its time"),
        },
        Err(error) => Checked::not_run("clock", clock::CODE, error.message),
    }
}
