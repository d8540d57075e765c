//! The gates of phases: what people have said, and what is looked up beside it.

use super::Waiting;
use super::preflight::{disk, newest_backup};
use crate::http::Request;
use crate::observe;
use crate::world::World;
use dunlin_core::journal::plan::{PhaseState, PlanHistory, Said};
use dunlin_core::plan::gate::{self, GateState};
use dunlin_core::plan::point::{Computed, Point};
use dunlin_core::preflight::requires::Found;
use dunlin_core::source::grammar::plan::{Gate, PhaseBackup, WatchProbe, WatchTable};
use dunlin_core::source::plan::requires::parse_bytes;
use dunlin_core::source::plan::{PhaseDoc, PlanDoc};
use dunlin_core::value::Query;
use dunlin_engines::{Purpose, Session};
use std::time::{Duration, Instant};

/// How often what `[watch]` probes is asked at a gate, and how many answers may be late: three of five are too many.
const ASKED: usize = 5;
const LATE_MOST: usize = 2;

/// How long an answer may take where `[watch] max_latency` is not stated.
const LATENCY: Duration = Duration::from_millis(250);

/// How long one question may take at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// The first phase that is not done, with its gate; no lease is needed to find that it is closed.
pub async fn next(
    world: &World,
    doc: &PlanDoc,
    phases: &[&PhaseDoc],
    history: &PlanHistory,
) -> Option<Waiting> {
    for phase in phases {
        let was = history.phase(&phase.id);
        if was.state == PhaseState::Done {
            if let Some(waiting) = review(phase, history) {
                return Some(waiting);
            }
            continue;
        }
        if was.state.stands() {
            return None;
        }
        let state = before(world, doc, phase, history).await;
        return closed(phase, state);
    }
    None
}

/// Whether a phase that is done waits for its review.
pub fn review(phase: &PhaseDoc, history: &PlanHistory) -> Option<Waiting> {
    let said = history.approvals(&phase.id, &phase.hash, true);
    closed(phase, gate::review(phase, &said))
}

/// What a phase waits for, where its gate is closed.
pub fn closed(phase: &PhaseDoc, state: GateState) -> Option<Waiting> {
    if state.open {
        return None;
    }
    // What can only be looked up opens by no word.
    let gate = state.rejected.is_some() || state.unsaid().next().is_some();
    let mut missing = state.missing;
    missing.extend(state.rejected);
    Some(Waiting {
        phase: phase.id.clone(),
        missing,
        confirm: vec![],
        gate,
    })
}

/// How a phase's gate stands now.
pub async fn before(
    world: &World,
    doc: &PlanDoc,
    phase: &PhaseDoc,
    history: &PlanHistory,
) -> GateState {
    let said = history.approvals(&phase.id, &phase.hash, false);
    let mut state = gate::before(phase, &said);
    if phase.gate == Gate::Approve {
        let watch = answering(world, doc).await;
        look_up(world, doc, phase, history, watch, &mut state);
    }
    state
}

/// Adds the points that nobody confirms, for they can be looked up. `watch`: what [`answering`] found.
pub fn look_up(
    world: &World,
    doc: &PlanDoc,
    phase: &PhaseDoc,
    history: &PlanHistory,
    watch: Option<Computed>,
    state: &mut GateState,
) {
    if phase.gate != Gate::Approve {
        return;
    }
    let all: Vec<&PhaseDoc> = doc.phases.iter().collect();
    let said: Vec<&Said> = history.approvals(&phase.id, &phase.hash, false);
    state.add(gate::validated(phase, &all, history));
    state.add(backup(world, phase));
    state.add(gate::rollback_ready(phase, &said));
    if let Some(watch) = watch {
        state.add(watch);
    }
}

/// A verified backup that is recent, where the project says what that is. A phase that makes one itself begins with it.
fn backup(world: &World, phase: &PhaseDoc) -> Computed {
    let of = |met, found: String| Computed::new(Point::Backup, met, found);
    if phase.backup == PhaseBackup::Database {
        return of(
            Some(true),
            "the phase begins with one, and verifies it".into(),
        );
    }
    let Some(most) = world.config.backup_max_age else {
        return of(
            None,
            "not asked for, as `backup_max_age` is not stated".into(),
        );
    };
    let why = match newest_backup(world) {
        Found::Aged(age) if age <= most.as_secs() => {
            return of(
                Some(true),
                format!("the newest is {} min old", age.div_ceil(60)),
            );
        }
        Found::Aged(_) => "the newest verified one is older".to_owned(),
        Found::Missing(why) | Found::Unknown(why) => why,
        Found::There(_) | Found::Free(_) | Found::Later(_) => return of(None, String::new()),
    };
    let hours = most.as_secs().div_ceil(3_600);
    let found = format!(
        "a verified backup of the last {hours} h: {why} (`dunlin backup create`, then `dunlin backup verify`)"
    );
    of(Some(false), found)
}

/// Whether what `[watch]` looks at can be asked, and answers as it must. `None`: the plan watches nothing.
pub async fn answering(world: &World, doc: &PlanDoc) -> Option<Computed> {
    let watch = doc.watch.as_ref()?;
    let of = |met, found: String| Some(Computed::new(Point::Watch, met, found));
    let mut session = match world.open(Purpose::Read).await {
        Ok(session) => session,
        Err(failure) => return of(Some(false), failure.message),
    };
    let found = watched(world, watch, &mut *session).await;
    session.close().await;
    let (met, found): (Vec<Option<bool>>, Vec<String>) = found.into_iter().unzip();
    let met = match met.as_slice() {
        all if all.contains(&Some(false)) => Some(false),
        all if all.contains(&Some(true)) => Some(true),
        _ => None,
    };
    of(met, world.redactor.apply(&found.join("; ")))
}

/// Each thing that is watched, with whether it answers; `None`: nobody can tell from here.
async fn watched(
    world: &World,
    watch: &WatchTable,
    session: &mut dyn Session,
) -> Vec<(Option<bool>, String)> {
    let mut found = vec![];
    let least = watch.min_free_disk.as_deref();
    if let Some(least) = least.and_then(|text| parse_bytes(text).ok()) {
        found.push(match disk::of_data(world, session).await {
            Err(why) => (None, format!("free disk: {why}")),
            Ok(folder) => match disk::free(&folder) {
                Err(why) => (Some(false), format!("free disk: {why}")),
                Ok(free) => (
                    Some(free >= least),
                    format!(
                        "{} MB are free, `min_free_disk` asks for {} MB",
                        free / 1_000_000,
                        least / 1_000_000
                    ),
                ),
            },
        });
    }
    let most = watch.max_latency.map_or(LATENCY, |most| most.0);
    match &watch.probe {
        Some(probe @ (WatchProbe::Sql(_) | WatchProbe::Http(_))) => {
            found.push(probed(probe, most, session).await);
        }
        Some(WatchProbe::Default(_)) | None => {}
    }
    if found.is_empty() {
        found.push((Some(true), "the database answers".into()));
    }
    found
}

/// Asks the probe a few times: an error, or three late answers of five, and it does not answer.
async fn probed(
    probe: &WatchProbe,
    most: Duration,
    session: &mut dyn Session,
) -> (Option<bool>, String) {
    let mut slowest = Duration::ZERO;
    let (mut late, mut asked) = (0, 0);
    while asked < ASKED && late <= LATE_MOST {
        asked += 1;
        let started = Instant::now();
        if let Err(why) = ask(probe, session).await {
            return (Some(false), format!("the probe fails: {why}"));
        }
        let took = started.elapsed();
        slowest = slowest.max(took);
        late += usize::from(took > most);
    }
    let found = format!(
        "the probe answers within {} ms, {late} of {asked} times later than {} ms",
        slowest.as_millis(),
        most.as_millis()
    );
    (Some(late <= LATE_MOST), found)
}

async fn ask(probe: &WatchProbe, session: &mut dyn Session) -> Result<(), String> {
    match probe {
        WatchProbe::Default(_) => Ok(()),
        WatchProbe::Sql(query) => {
            let query = Query::new(&query.sql, vec![]);
            let rows = observe::bounded(session, &query, PATIENCE).await;
            rows.map(drop).map_err(|error| error.message)
        }
        WatchProbe::Http(watch) => {
            let http = &watch.http;
            let stated = Request::stated(
                http.method.as_deref(),
                &http.url,
                &http.headers,
                http.json.as_ref(),
            );
            let timeout = http.timeout.map_or(PATIENCE, |timeout| timeout.0);
            let answer = Request { timeout, ..stated }.send().await?;
            match (200..300).contains(&answer.status) {
                true => Ok(()),
                false => Err(format!("it answers with {}", answer.status)),
            }
        }
    }
}
