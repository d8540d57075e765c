//! Backfills: columns of many rows are filled in batches along the table's key, each batch one transaction that also
//! writes what it changed (see [`image`]) and the journal's record of it. Killed anywhere, it goes on after the last
//! batch that the journal knows.

mod image;
mod tries;
mod undo;

use tries::{Tries, watched};
pub use undo::{Undone, undo};

use crate::control::Control;
use crate::executor::Runner;
use crate::journal_store;
use crate::plan::rest::Rest;
use crate::steps::backfill::image::{Image, ImageRow};
use crate::{digest, observe, trouble};
use dunlin_core::backfill::chunk::{self, Detail, State};
use dunlin_core::backfill::{Pace, Task};
use dunlin_core::copy::reading::{Bound, Reading};
use dunlin_core::dialect::catalog::Part;
use dunlin_core::dialect::change::Filling;
use dunlin_core::event::Event;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::{self, Record};
use dunlin_core::schema::{NeutralType, Table};
use dunlin_core::source::duration::parse_duration;
use dunlin_core::source::grammar::steps::{Backfill, NewRows, NumberOrAuto};
use dunlin_core::source::plan::window::Window;
use dunlin_core::value::{Row, Value};
use dunlin_engines::{DbError, Halted, Session};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Keys in one statement: long enough that trips do not count, short enough for every engine's limit of values.
const CHUNK: usize = 500;

/// What went wrong with a batch.
enum Wrong {
    /// A statement; whether it is tried again says its class.
    Said(DbError),
    /// What is not tried again.
    Final(Box<Failure>),
}

impl From<DbError> for Wrong {
    fn from(error: DbError) -> Wrong {
        Wrong::Said(error)
    }
}

impl From<Failure> for Wrong {
    fn from(failure: Failure) -> Wrong {
        Wrong::Final(Box::new(failure))
    }
}

fn failed(error: &DbError) -> Failure {
    trouble::failed(error, "the backfill stopped at a batch")
}

/// A backfill under way.
struct Work<'s> {
    unit: &'s str,
    spec: &'s Backfill,
    table: Table,
    /// The table with all columns.
    bound: Bound,
    state: State,
    /// The trigger that fills new rows.
    trigger: String,
}

/// Places of columns.
fn places(bound: &Bound, names: &[String]) -> Vec<usize> {
    let place = |name: &String| {
        let mut columns = bound.columns.iter();
        columns.position(|column| column.shape.name == *name)
    };
    names.iter().filter_map(place).collect()
}

impl<'s> Work<'s> {
    async fn open(
        runner: &mut Runner<'_>,
        unit: &'s str,
        spec: &'s Backfill,
    ) -> Result<Work<'s>, Failure> {
        let refused = |error: &DbError| trouble::refused(error, "the backfill cannot begin");
        let work = &mut *runner.work;
        let whole = observe::whole(work)
            .await
            .map_err(|error| refused(&error))?;
        let named = |table: &&Table| table.label().eq_ignore_ascii_case(&spec.table);
        let Some(table) = whole.tables.iter().find(named).cloned() else {
            let message = format!("there is no table {} to fill", spec.table);
            return Err(Failure::refused("object-missing", message));
        };
        let shapes = digest::shapes(work)
            .await
            .map_err(|error| refused(&error))?;
        let mut all = Reading::derive(&shapes).1.into_iter();
        let found = all.find(|bound| bound.table == table.name && bound.schema == table.schema);
        let Some(bound) = found else {
            let message = format!("{} has no rows of its own", spec.table);
            return Err(Failure::refused("object-missing", message));
        };
        let rows = work
            .query(&runner.world.sql.read_unit, &[unit.into()])
            .await;
        let rows = rows.map_err(|error| refused(&error))?;
        let records: Vec<Record> = rows.iter().filter_map(Record::read).collect();
        let mut hasher = dunlin_core::hash::Hasher::new();
        hasher.part(unit.as_bytes());
        hasher.part(table.label().as_bytes());
        let trigger = format!("{}fill_{}", runner.world.names.prefix, &hasher.hex()[..12]);
        Ok(Work {
            unit,
            spec,
            table,
            bound,
            state: State::fold(&records),
            trigger,
        })
    }

    /// The columns of the task within the table.
    fn task(&self, runner: &Runner<'_>) -> Result<Task, Failure> {
        let rules = runner.work.dialect().lex_rules(runner.work.lex_mode());
        Task::read(self.spec, &self.table, &rules, &self.trigger).map_err(|findings| {
            let first = findings.first();
            let message = findings.iter().map(|finding| finding.message.clone());
            let message = message.collect::<Vec<_>>().join("; ");
            let failure =
                Failure::refused(first.map_or("backfill-set", |first| first.code), message);
            match first.and_then(|first| first.help.clone()) {
                Some(help) => failure.hint(help),
                None => failure,
            }
        })
    }

    /// Whether sessions of different time zones see different values of what is read.
    fn zoned(&self, columns: &[usize]) -> bool {
        columns
            .iter()
            .any(|at| self.bound.columns[*at].ty == NeutralType::TimestampTz)
    }

    /// The image of a batch.
    async fn image(&self, runner: &mut Runner<'_>, batch: i64) -> Result<Image, Wrong> {
        let sql = &runner.world.sql.undo.read;
        let rows = runner
            .work
            .query(sql, &[self.unit.into(), batch.into()])
            .await?;
        let lost = |why: String| {
            let message = format!("the undo image of batch {batch} of `{}` {why}", self.unit);
            Failure::new(FailureClass::Failed, "backfill-image", message)
        };
        match rows.first().and_then(|row| row.first()) {
            Some(Value::Bytes(bytes)) => Image::unpack(bytes)
                .map_err(|error| lost(format!("cannot be read: {error}")).into()),
            _ => Err(lost("is not there".into()).into()),
        }
    }
}

/// Reads the rows with these keys, locked: key columns first, then the others.
async fn keyed(
    session: &mut dyn Session,
    work: &Work<'_>,
    key: &[usize],
    columns: &[usize],
    keys: &[Vec<Value>],
    only: Option<&str>,
) -> Result<Vec<Row>, DbError> {
    let change = session.dialect().change();
    let all: Vec<usize> = key.iter().chain(columns).copied().collect();
    let (before, after): (&[&str], &[&str]) = if work.zoned(&all) {
        change.reading()
    } else {
        (&[], &[])
    };
    for sql in before {
        session.execute(sql).await?;
    }
    let read = async {
        let mut rows = vec![];
        for part in keys.chunks(CHUNK) {
            let query = change.keyed(&work.bound, key, &all, part, only, true);
            rows.extend(session.query(&query.sql, &query.params).await?);
        }
        Ok(rows)
    };
    let rows = read.await;
    for sql in after {
        // Also after an error: the session is somebody's script's.
        let put_back = session.execute(sql).await;
        if rows.is_ok() {
            put_back?;
        }
    }
    rows
}

/// Fills the rows of a step, or goes on with it. Gives how many rows its batches have changed.
///
/// # Errors
/// A table without a key and assignments that cannot be done in batches are refused before anything is touched. What
/// stops it later leaves whole batches behind, recorded.
pub async fn run(runner: &mut Runner<'_>, unit: &str, spec: &Backfill) -> Result<u64, Failure> {
    run_resting(runner, unit, spec, None).await
}

/// As [`run`]; between two batches it rests where a plan has a reason for that.
///
/// # Errors
/// As [`run`].
pub async fn run_resting(
    runner: &mut Runner<'_>,
    unit: &str,
    spec: &Backfill,
    mut resting: Option<(&mut Rest, &[&Window])>,
) -> Result<u64, Failure> {
    let mut work = Work::open(runner, unit, spec).await?;
    let task = work.task(runner)?;
    let key = places(&work.bound, &task.key);
    no_null_keys(runner, &work, &task, &key).await?;
    let mut pace = pace(spec)?;
    begin(runner, &mut work, &task, &key).await?;
    let total = estimate(runner, &work).await;
    let mut rows = work.state.rows();
    let mut last = match work.state.resume {
        Some(batch) => Some(work.image(runner, batch).await.map_err(told)?.last),
        None => None,
    };
    loop {
        match &mut resting {
            Some((rest, windows)) => rest.here(runner, windows).await?,
            None => runner.may_go_on()?,
        }
        let page = {
            let change = runner.work.dialect().change();
            let only = spec.only.as_deref();
            change.page(&work.bound, &key, last.as_deref(), only, pace.size())
        };
        let found = runner.work.query(&page.sql, &page.params).await;
        let keys = found.map_err(|error| failed(&error))?;
        let Some(end) = keys.last().cloned() else {
            break;
        };
        let started = Instant::now();
        let done = batch(runner, &mut work, &task, &keys, &mut pace).await?;
        pace.note(keys.len(), done.1, started.elapsed());
        rows += done.0;
        last = Some(end);
        runner.sink.event(&Event::Progress {
            what: format!("backfill of {}", work.table.label()),
            done: rows,
            total,
            unit: "rows".into(),
        });
        rest(runner.control.clone(), pace.pause()).await;
    }
    Ok(rows)
}

fn told(wrong: Wrong) -> Failure {
    match wrong {
        Wrong::Said(error) => failed(&error),
        Wrong::Final(failure) => *failure,
    }
}

/// A pause that ends where somebody wants the run to stop.
async fn rest(mut control: Control, pause: Duration) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = control.until(crate::control::Stop::Soon) => {}
    }
}

fn pace(spec: &Backfill) -> Result<Pace, Failure> {
    let batch = match &spec.batch {
        Some(NumberOrAuto::Number(rows)) => Some(usize::try_from(*rows).unwrap_or(usize::MAX)),
        _ => None,
    };
    let pause = match spec.pause.as_deref() {
        None | Some("auto") => None,
        Some(text) => Some(parse_duration(text).map_err(|why| {
            Failure::usage("bad-duration", format!("`pause = \"{text}\"`: {why}"))
        })?),
    };
    Ok(Pace::new(batch, pause))
}

/// A key that may be NULL does not find the rows where it is.
async fn no_null_keys(
    runner: &mut Runner<'_>,
    work: &Work<'_>,
    task: &Task,
    key: &[usize],
) -> Result<(), Failure> {
    let nullable = |name: &&String| {
        work.table
            .column(name)
            .is_some_and(|column| column.nullable)
    };
    for name in task.key.iter().filter(nullable) {
        let change = runner.work.dialect().change();
        let only = format!("{} IS NULL", change.quote(name));
        let query = change.page(&work.bound, key, None, Some(&only), 1);
        let rows = runner.work.query(&query.sql, &query.params).await;
        if !rows.map_err(|error| failed(&error))?.is_empty() {
            let message = format!(
                "rows of {} have no `{name}`, so its key does not find them",
                work.table.label()
            );
            return Err(
                Failure::refused("no-unique-key", message).hint("give these rows a key first")
            );
        }
    }
    Ok(())
}

async fn estimate(runner: &mut Runner<'_>, work: &Work<'_>) -> Option<u64> {
    let dialect = runner.work.dialect();
    let query = dialect.table_sizes();
    let rows = runner.work.query(&query.sql, &query.params).await.ok()?;
    let mut sizes = rows.iter().filter_map(|row| dialect.read_table_size(row));
    let default = runner.work.caps().default_schema.clone();
    let found = sizes.find(|size| {
        let schema = size
            .schema
            .clone()
            .filter(|schema| default.as_ref() != Some(schema));
        size.name == work.table.name && schema == work.table.schema
    });
    found.and_then(|size| size.rows)
}

/// Before the first batch: the table of images, the record of what is begun, and what gives new rows their values.
async fn begin(
    runner: &mut Runner<'_>,
    work: &mut Work<'_>,
    task: &Task,
    key: &[usize],
) -> Result<(), Failure> {
    let refused = |error: &DbError| trouble::refused(error, "the backfill cannot begin");
    let flushed = runner.flush().await;
    flushed.map_err(|error| runner.trouble(&error, "the journal could not be written"))?;
    let create = runner.world.sql.undo.create.clone();
    let made = runner.work.execute(&create).await;
    made.map_err(|error| refused(&error))?;
    if work.state.defaults.is_none() {
        let mut defaults = BTreeMap::new();
        if work.spec.new_rows == Some(NewRows::Default) {
            for one in &task.assigned {
                let column = work.table.column(&one.column);
                let old = column.and_then(|column| column.default.clone());
                defaults.insert(one.column.clone(), old);
            }
        }
        let detail = Detail {
            defaults: defaults.clone(),
            ..Detail::default()
        };
        let record = chunk::record(journal::Event::Began, work.unit, None, detail);
        let pen = runner.pen.clone();
        let written = pen.append(runner.world, &mut *runner.work, &[record]).await;
        written.map_err(|error| runner.trouble(&error, "the journal could not be written"))?;
        work.state.defaults = Some(defaults);
    }
    for sql in new_rows(runner, work, task, key)? {
        let done = runner.work.execute(&sql).await;
        done.map_err(|error| refused(&error))?;
    }
    Ok(())
}

/// The statements that give new rows their values; none where that is done already.
fn new_rows(
    runner: &Runner<'_>,
    work: &Work<'_>,
    task: &Task,
    key: &[usize],
) -> Result<Vec<String>, Failure> {
    let wrong = |why: String| {
        Failure::refused("backfill-set", format!("{}: {why}", work.table.label()))
            .hint("`new_rows = \"trigger\"` works on every engine")
    };
    let dialect = runner.work.dialect();
    match work.spec.new_rows.unwrap_or_default() {
        NewRows::None => Ok(vec![]),
        NewRows::Trigger => {
            let mut triggers = work.table.triggers.iter();
            if triggers.any(|trigger| trigger.name == work.trigger) {
                return Ok(vec![]);
            }
            let assigned: Vec<(usize, String)> = task
                .assigned
                .iter()
                .flat_map(|one| {
                    let place = places(&work.bound, std::slice::from_ref(&one.column));
                    place.into_iter().map(|at| (at, one.expression.clone()))
                })
                .collect();
            let filling = Filling {
                name: &work.trigger,
                table: &work.bound,
                key,
                assigned: &assigned,
                only: work.spec.only.as_deref(),
            };
            dialect.change().fill(&filling).map_err(wrong)
        }
        NewRows::Default => {
            let mut statements = vec![];
            for one in &task.assigned {
                let Some(old) = work.table.column(&one.column) else {
                    continue;
                };
                let mut new = old.clone();
                new.default = Some(one.expression.clone());
                let (from, to) = (
                    Part::Column(&work.table, old),
                    Part::Column(&work.table, &new),
                );
                if old.default != new.default {
                    statements.extend(dialect.catalog().change(from, to).map_err(wrong)?);
                }
            }
            Ok(statements)
        }
    }
}

/// One batch, tried again after a deadlock or where a lock was not had. Gives rows and bytes.
async fn batch(
    runner: &mut Runner<'_>,
    work: &mut Work<'_>,
    task: &Task,
    keys: &[Row],
    pace: &mut Pace,
) -> Result<(u64, usize), Failure> {
    let mut tries = Tries::default();
    loop {
        match watched(runner, work, task, keys).await {
            Ok(done) => {
                if done.0 > 0 {
                    work.state.next += 1;
                }
                return Ok(done);
            }
            Err(wrong) => {
                pace.retreat();
                tries.again(runner, wrong).await?;
            }
        }
    }
}

async fn try_batch(
    runner: &mut Runner<'_>,
    work: &Work<'_>,
    task: &Task,
    page: &[Row],
) -> Result<(u64, usize), Wrong> {
    let (key, kept) = (
        places(&work.bound, &task.key),
        places(&work.bound, &task.kept),
    );
    runner.work.begin().await?;
    let only = work.spec.only.as_deref();
    let old = keyed(&mut *runner.work, work, &key, &kept, page, only).await?;
    if old.is_empty() {
        runner.work.rollback().await?;
        return Ok((0, 0));
    }
    let keys: Vec<Row> = old.iter().map(|row| row[..key.len()].to_vec()).collect();
    let change = runner.work.dialect().change();
    for part in keys.chunks(CHUNK) {
        let query = change.update(&work.bound, &key, &work.spec.set, part);
        runner.work.execute_with(&query.sql, &query.params).await?;
    }
    let new = keyed(&mut *runner.work, work, &key, &kept, &keys, None).await?;
    let mut after: BTreeMap<String, Row> = new
        .into_iter()
        .map(|row| (spelled(&row[..key.len()]), row))
        .collect();
    let mut image = Image {
        key: task.key.clone(),
        columns: task.kept.clone(),
        last: page.last().cloned().unwrap_or_default(),
        rows: vec![],
    };
    for row in old {
        // A row that a trigger took away meanwhile has nothing that could be put back.
        let Some(now) = after.remove(&spelled(&row[..key.len()])) else {
            continue;
        };
        image.rows.push(ImageRow {
            key: row[..key.len()].to_vec(),
            old: row[key.len()..].to_vec(),
            new: now[key.len()..].to_vec(),
        });
    }
    let packed = image
        .pack()
        .map_err(|error| Failure::new(FailureClass::Failed, "backfill-image", error.to_string()))?;
    let (run, number) = (runner.pen.run.clone(), work.state.next);
    let params = [
        run.into(),
        work.unit.into(),
        number.into(),
        Value::Bytes(packed),
    ];
    let append = &runner.world.sql.undo.append;
    runner.work.execute_with(append, &params).await?;
    let rows = image.rows.len() as u64;
    let detail = Detail {
        rows,
        ..Detail::default()
    };
    commit(
        runner,
        chunk::record(journal::Event::Done, work.unit, Some(number), detail),
    )
    .await?;
    Ok((rows, image.bytes()))
}

/// A key as a text that tells it apart from others.
fn spelled(key: &[Value]) -> String {
    format!("{key:?}")
}

/// Writes a record and commits with it.
async fn commit(
    runner: &mut Runner<'_>,
    record: dunlin_core::journal::Writing,
) -> Result<(), Wrong> {
    let pen = runner.pen.clone();
    let ended = pen
        .append_and_commit(runner.world, &mut *runner.work, &[record])
        .await;
    ended.map_err(|halted| match halted {
        Halted::Record(error) if journal_store::is_fenced(&error) => journal_store::fenced().into(),
        halted => Wrong::Said(halted.into_error()),
    })
}
