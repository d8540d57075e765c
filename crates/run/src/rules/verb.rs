//! `clean` as a verb: under the lease, recorded as a run, with an id by which it is taken back.

use super::clean::{Unit, clean_unit};
use super::report::{Ask, Outcome};
use super::undo::{Undone, undo_unit};
use crate::control::Control;
use crate::executor::Runner;
use crate::world::World;
use crate::{lease, trouble};
use dunlin_core::event::Sink;
use dunlin_core::failure::Failure;
use dunlin_core::journal::{self, Record, Writing};
use dunlin_engines::{Purpose, Session};

/// What the journal calls a cleaning.
const CLEAN: &str = "clean";

/// What came of `clean`.
#[derive(Debug)]
pub struct Done {
    /// Its id; `None`: there was nothing to take back.
    pub id: Option<String>,
    /// Rule by rule.
    pub outcome: Outcome,
    /// What stopped it.
    pub failure: Option<Failure>,
}

/// What came of taking one back.
#[derive(Debug)]
pub struct TakenBack {
    /// Its id.
    pub id: String,
    /// What was done.
    pub undone: Undone,
}

/// The name of a cleaning's records.
fn unit_of(id: &str) -> String {
    format!("{CLEAN}/{id}")
}

/// The cleanings that the journal knows, oldest first.
async fn known(world: &World, session: &mut dyn Session) -> Result<Vec<String>, Failure> {
    let rows = session.query(&world.sql.read_runs, &[]).await;
    let rows = rows.map_err(|error| trouble::refused(&error, "the journal cannot be read"))?;
    let records = rows.iter().filter_map(Record::read);
    let began = records.filter(|record| record.event == journal::Event::Began);
    let mut ids: Vec<String> = vec![];
    for record in began {
        let detail: serde_json::Value = record.detail();
        if let Some(id) = detail[CLEAN].as_str()
            && !ids.iter().any(|known| known == id)
        {
            ids.push(id.to_owned());
        }
    }
    Ok(ids)
}

/// Opens a run under the lease.
async fn open<'w>(
    world: &'w World,
    wait: bool,
    sink: &'w mut dyn Sink,
    mut control: Control,
) -> Result<Runner<'w>, Failure> {
    let (held, work) = lease::acquire(world, Purpose::Tool, wait, sink, &mut control).await?;
    Ok(Runner::new(world, work, held, sink, control))
}

async fn close(runner: Runner<'_>) {
    let Runner { lease, work, .. } = runner;
    lease.release().await;
    work.close().await;
}

async fn say(
    runner: &mut Runner<'_>,
    event: journal::Event,
    what: &str,
    id: &str,
    rows: u64,
) -> Result<(), Failure> {
    let detail =
        serde_json::json!({ "what": what, "by": runner.world.who, CLEAN: id, "rows": rows });
    let pen = runner.pen.clone();
    let record = [Writing::run(event, detail)];
    let written = pen.append(runner.world, &mut *runner.work, &record).await;
    written.map_err(|error| runner.trouble(&error, "the journal could not be written"))
}

/// Cleans by rules. A cleaning that was killed half way goes on under its id: its batches stand, and what is left to do
/// is found anew.
///
/// # Errors
/// What keeps it from beginning; what stops it later is given with what was done.
pub async fn clean(
    world: &World,
    ask: &Ask<'_>,
    wait: bool,
    sink: &mut dyn Sink,
    control: Control,
) -> Result<Done, Failure> {
    let mut runner = open(world, wait, sink, control)
        .await
        .map_err(|failure| world.redact(failure))?;
    let outcome = cleaned(&mut runner, ask).await;
    close(runner).await;
    outcome.map_err(|failure| world.redact(failure))
}

async fn cleaned(runner: &mut Runner<'_>, ask: &Ask<'_>) -> Result<Done, Failure> {
    let id = match unfinished(runner).await? {
        Some(id) => id,
        None => runner.pen.run.clone(),
    };
    let unit = unit_of(&id);
    say(runner, journal::Event::Began, CLEAN, &id, 0).await?;
    let (outcome, ended) = clean_unit(runner, &unit, ask).await;
    let _ = runner.work.rollback().await;
    let stands = !Unit::read(runner, &unit)
        .await
        .map(|unit| unit.state.standing.is_empty())
        .unwrap_or(true);
    let event = match ended {
        Ok(()) => journal::Event::Ended,
        Err(_) => journal::Event::Failed,
    };
    let said = say(runner, event, CLEAN, &id, outcome.rows()).await;
    Ok(Done {
        id: stands.then_some(id),
        outcome,
        failure: ended
            .err()
            .or(said.err())
            .map(|failure| runner.world.redact(failure)),
    })
}

/// A cleaning that began and did not come to its end.
async fn unfinished(runner: &mut Runner<'_>) -> Result<Option<String>, Failure> {
    let Some(id) = known(runner.world, &mut *runner.work).await?.pop() else {
        return Ok(None);
    };
    let unit = unit_of(&id);
    let unit = Unit::read(runner, &unit).await?;
    Ok((unit.state.began && !unit.state.ended).then_some(id))
}

/// Takes a cleaning back: the one with this id, or the newest that stands (`newest`).
///
/// # Errors
/// There is none, or its tables have changed their shape.
pub async fn take_back(
    world: &World,
    id: &str,
    wait: bool,
    sink: &mut dyn Sink,
    control: Control,
) -> Result<TakenBack, Failure> {
    let mut runner = open(world, wait, sink, control)
        .await
        .map_err(|failure| world.redact(failure))?;
    let outcome = taken_back(&mut runner, id).await;
    close(runner).await;
    outcome.map_err(|failure| world.redact(failure))
}

async fn taken_back(runner: &mut Runner<'_>, asked: &str) -> Result<TakenBack, Failure> {
    let mut found = None;
    for id in known(runner.world, &mut *runner.work)
        .await?
        .into_iter()
        .rev()
    {
        if asked != "newest" && asked != id {
            continue;
        }
        let unit = unit_of(&id);
        let unit = Unit::read(runner, &unit).await?;
        if !unit.state.standing.is_empty() {
            found = Some(id);
            break;
        }
    }
    let Some(id) = found else {
        let message = match asked {
            "newest" => "no cleaning stands that could be taken back".to_owned(),
            id => format!("no cleaning `{id}` stands"),
        };
        let failure = Failure::refused("nothing-to-undo", message);
        return Err(failure.hint("`dunlin runs` shows what was run on this database"));
    };
    let unit = unit_of(&id);
    // Not under the key that names a cleaning: this is none.
    let what = format!("undo of clean {id}");
    runner.begin(&what);
    let undone = undo_unit(runner, &unit).await;
    let record = match &undone {
        Ok(undone) => Writing::run(
            journal::Event::Ended,
            serde_json::json!({ "what": what, "rows": undone.rows }),
        ),
        Err(failure) => Writing::run(
            journal::Event::Failed,
            serde_json::json!({ "what": what, "error": failure.message }),
        ),
    };
    runner.pending.push(record);
    let written = runner.flush().await;
    let undone = undone?;
    written.map_err(|error| runner.trouble(&error, "the journal could not be written"))?;
    Ok(TakenBack { id, undone })
}
