//! Taking a cleaning back: its images from the last to the first, each row where nobody has written to it since.
//!
//! In one transaction in which no trigger fires, no foreign key acts and nobody else writes, as when a checkpoint's rows
//! are merged: what a cleaning took away may have referred to nothing.

use super::clean::Unit;
use super::ground::{Ground, Known};
use super::image::{Image, Op, Shape, unpack};
use super::shelf;
use super::sweep::CHUNK;
use crate::backup::archive::Putter;
use crate::checkpoint::quiet::{self, Quiet};
use crate::executor::Runner;
use crate::{journal_store, trouble};
use dunlin_core::copy::reading::Bound;
use dunlin_core::event::Event;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::journal::{self, Writing};
use dunlin_core::rules::chunk::{self, Detail, KEYS_SHOWN};
use dunlin_core::schema::Table;
use dunlin_core::value::{Row, Value};
use dunlin_engines::{DbError, Halted, Session};
use std::collections::{BTreeSet, HashMap, HashSet};

/// What the undo of a cleaning did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undone {
    /// Rows that are as they were.
    pub rows: u64,
    /// Rows that others have written to since, and that were left alone.
    pub left: u64,
    /// The first of their keys.
    pub keys: Vec<String>,
    /// What stands still, each a sentence.
    pub notes: Vec<String>,
}

fn refused(error: &DbError) -> Failure {
    trouble::refused(error, "the cleaning could not be taken back")
}

fn spelled(values: &[Value]) -> String {
    format!("{values:?}")
}

fn pick(row: &[Value], places: &[usize]) -> Vec<Value> {
    places.iter().map(|at| row[*at].clone()).collect()
}

/// Takes every standing batch of a cleaning back, in one transaction, with its records.
///
/// # Errors
/// Tables or columns that are gone; nothing is changed then.
pub async fn undo_unit(runner: &mut Runner<'_>, name: &str) -> Result<Undone, Failure> {
    let flushed = runner.flush().await;
    flushed.map_err(|error| runner.trouble(&error, "the journal could not be written"))?;
    let unit = Unit::read(runner, name).await?;
    if !unit.state.began {
        return Ok(Undone::default());
    }
    let (world, pen) = (runner.world, runner.pen.clone());
    quiet::mend(world, &mut *runner.work, &pen).await?;
    let ground = Ground::read(&mut *runner.work).await?;
    let touched = touched(runner, &unit, &ground).await?;
    let mut undone = Undone::default();
    if touched.is_empty() {
        unit.say(runner, journal::Event::Undone, Detail::default())
            .await?;
    } else {
        framed(runner, &unit, &ground, &touched, &mut undone).await?;
    }
    for part in &unit.state.files {
        if part.to > part.from && !shelf::cut(part) {
            undone.notes.push(format!(
                "`{}` was written to since, and still holds the rows that were moved into it",
                part.path
            ));
        }
    }
    for (schema, table) in &unit.state.made {
        drop_empty(runner, schema.as_deref(), table).await?;
    }
    Ok(undone)
}

/// The tables of all images.
async fn touched(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    ground: &Ground,
) -> Result<BTreeSet<usize>, Failure> {
    let mut found = BTreeSet::new();
    for (number, _) in &unit.state.standing {
        let image = image(runner, unit, *number).await?;
        for shape in &image.tables {
            found.insert(target(ground, shape)?.0);
        }
    }
    Ok(found)
}

async fn image(runner: &mut Runner<'_>, unit: &Unit<'_>, number: i64) -> Result<Image, Failure> {
    let sql = &runner.world.sql.undo.read;
    let rows = runner
        .work
        .query(sql, &[unit.name.into(), number.into()])
        .await;
    let rows = rows.map_err(|error| refused(&error))?;
    let lost = |why: String| {
        let message = format!("the undo image of batch {number} of `{}` {why}", unit.name);
        Failure::new(FailureClass::Failed, "clean-image", message)
    };
    match rows.first().and_then(|row| row.first()) {
        Some(Value::Bytes(bytes)) => {
            unpack(bytes).map_err(|error| lost(format!("cannot be read: {error}")))
        }
        _ => Err(lost("is not there".into())),
    }
}

/// A table of an image as it is now: its place, its columns in the image's order, its key.
fn target(ground: &Ground, shape: &Shape) -> Result<(usize, Bound, Vec<usize>), Failure> {
    let gone =
        |what: String| Failure::refused("object-missing", format!("{what} is not there any more"));
    let same =
        |known: &Known| known.bound.table == shape.name && known.bound.schema == shape.schema;
    let place = ground.tables.iter().position(same);
    let place = place.ok_or_else(|| gone(format!("table {}", shape.name)))?;
    let known = &ground.tables[place];
    let mut bound = known.bound.clone();
    bound.columns.clear();
    for name in &shape.columns {
        let column = known
            .bound
            .columns
            .iter()
            .find(|column| column.shape.name == *name);
        let column = column.ok_or_else(|| gone(format!("column {name} of {}", known.label())))?;
        bound.columns.push(column.clone());
    }
    let key = shape
        .key
        .iter()
        .filter_map(|name| shape.columns.iter().position(|column| column == name));
    let key = key.collect();
    Ok((place, bound, key))
}

async fn framed(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    ground: &Ground,
    touched: &BTreeSet<usize>,
    undone: &mut Undone,
) -> Result<(), Failure> {
    let (world, pen) = (runner.world, runner.pen.clone());
    let work = &mut *runner.work;
    let own: Vec<Table> = touched
        .iter()
        .map(|at| ground.tables[*at].table.clone())
        .collect();
    let quiet = Quiet::of(work, &ground.catalog, own).await?;
    let mut quiet = quiet.whatever_refers();
    let bounds: Vec<Bound> = touched
        .iter()
        .map(|at| ground.tables[*at].bound.clone())
        .collect();
    let begun = quiet.before(world, work, &pen).await;
    let outcome = match begun {
        Ok(()) => within(runner, unit, ground, &bounds, &mut quiet, undone).await,
        Err(failure) => Err(failure),
    };
    if outcome.is_err() {
        let _ = runner.work.rollback().await;
    }
    let after = quiet.after(world, &mut *runner.work, &pen).await;
    outcome?;
    after
}

async fn within(
    runner: &mut Runner<'_>,
    unit: &Unit<'_>,
    ground: &Ground,
    bounds: &[Bound],
    quiet: &mut Quiet,
    undone: &mut Undone,
) -> Result<(), Failure> {
    quiet.begin(&mut *runner.work, bounds).await?;
    quiet.open(&mut *runner.work).await?;
    let mut records = vec![];
    for (number, _) in unit.state.standing.iter().rev() {
        let image = image(runner, unit, *number).await?;
        let mut back = Back {
            ground,
            undone: Undone::default(),
        };
        back.image(&mut *runner.work, image).await?;
        let done = back.undone;
        let detail = Detail {
            changed: done.rows,
            left: done.left,
            keys: done.keys.clone(),
            ..Detail::default()
        };
        records.push(chunk::record(
            journal::Event::Undone,
            unit.name,
            Some(*number),
            detail,
        ));
        undone.rows += done.rows;
        undone.left += done.left;
        undone.keys.extend(done.keys);
        undone.keys.truncate(KEYS_SHOWN);
        runner.sink.event(&Event::Progress {
            what: "taking the cleaning back".into(),
            done: undone.rows,
            total: None,
            unit: "rows".into(),
        });
    }
    quiet.close(&mut *runner.work).await?;
    records.push(chunk::record(
        journal::Event::Undone,
        unit.name,
        None,
        Detail::default(),
    ));
    commit(runner, &records).await
}

async fn commit(runner: &mut Runner<'_>, records: &[Writing]) -> Result<(), Failure> {
    let pen = runner.pen.clone();
    let (most, last) = records
        .split_at(records.len().saturating_sub(1) / journal_store::CHUNK * journal_store::CHUNK);
    for part in most.chunks(journal_store::CHUNK) {
        let written = pen.append(runner.world, &mut *runner.work, part).await;
        written.map_err(|error| runner.trouble(&error, "the journal could not be written"))?;
    }
    let ended = pen
        .append_and_commit(runner.world, &mut *runner.work, last)
        .await;
    ended.map_err(|halted| match halted {
        Halted::Record(error) if journal_store::is_fenced(&error) => journal_store::fenced(),
        Halted::Record(error) | Halted::Statement(error) => refused(&error),
        Halted::After(error) => trouble::failed(&error, "the rows could not be committed"),
    })
}

/// Drops an archive that a cleaning made, where nothing is in it.
async fn drop_empty(
    runner: &mut Runner<'_>,
    schema: Option<&str>,
    table: &str,
) -> Result<(), Failure> {
    let work = &mut *runner.work;
    let dialect = work.dialect();
    let query = dialect.count_rows(schema, table);
    // One that is not there any more needs no dropping.
    let Ok(rows) = work.query(&query.sql, &query.params).await else {
        return Ok(());
    };
    if rows.first().and_then(|row| row.first()?.as_i64()) != Some(0) {
        return Ok(());
    }
    let gone = Table {
        schema: schema.map(str::to_owned),
        name: table.to_owned(),
        ..Table::default()
    };
    let drop = dialect
        .catalog()
        .drop(dunlin_core::dialect::catalog::Part::Table(&gone));
    for sql in drop.unwrap_or_default() {
        let dropped = work.execute(&sql).await;
        dropped.map_err(|error| refused(&error))?;
    }
    Ok(())
}

/// One image on its way back.
struct Back<'g> {
    ground: &'g Ground,
    undone: Undone,
}

impl Back<'_> {
    /// Runs of the same kind on the same table go together.
    async fn image(&mut self, work: &mut dyn Session, image: Image) -> Result<(), Failure> {
        let Image { tables, mut ops } = image;
        while let Some(last) = ops.last() {
            let (at, kind) = (last.table(), std::mem::discriminant(last));
            let from = ops
                .iter()
                .rposition(|op| op.table() != at || std::mem::discriminant(op) != kind)
                .map_or(0, |before| before + 1);
            let mut run = ops.split_off(from.max(ops.len().saturating_sub(CHUNK)));
            run.reverse();
            let (place, bound, key) = target(self.ground, &tables[at])?;
            let known = &self.ground.tables[place];
            match &run[0] {
                Op::Removed(..) => self.insert(work, known, &bound, &key, run).await?,
                Op::Changed(..) => self.restore(work, known, &bound, &key, run).await?,
                Op::Added(..) => {
                    let keys: Vec<Vec<Value>> = run
                        .into_iter()
                        .filter_map(|op| match op {
                            Op::Added(_, key) => Some(key),
                            _ => None,
                        })
                        .collect();
                    let query = work.dialect().change().remove(&bound, &key, &keys);
                    let done = work.execute_with(&query.sql, &query.params).await;
                    done.map_err(|error| refused(&error))?;
                }
            }
        }
        Ok(())
    }

    fn leave(&mut self, known: &Known, key: &[Value]) {
        self.undone.left += 1;
        if self.undone.keys.len() < KEYS_SHOWN {
            self.undone
                .keys
                .push(format!("{}: {}", known.label(), known.shown(key)));
        }
    }

    async fn by(
        &self,
        work: &mut dyn Session,
        bound: &Bound,
        places: &[usize],
        values: &[Vec<Value>],
    ) -> Result<Vec<Row>, Failure> {
        let all: Vec<usize> = (0..bound.columns.len()).collect();
        let mut rows = vec![];
        for part in values.chunks(CHUNK) {
            let query = work
                .dialect()
                .change()
                .keyed(bound, places, &all, part, None, false);
            let found = work.query(&query.sql, &query.params).await;
            rows.extend(found.map_err(|error| refused(&error))?);
        }
        Ok(rows)
    }

    /// Which of some rows could not be there: others have what must be theirs alone.
    async fn taken(
        &self,
        work: &mut dyn Session,
        known: &Known,
        bound: &Bound,
        key: &[usize],
        rows: &[&Row],
    ) -> Result<HashSet<String>, Failure> {
        let mut taken = HashSet::new();
        let place = |at: &usize| {
            let name = &known.bound.columns[*at].shape.name;
            bound
                .columns
                .iter()
                .position(|column| column.shape.name == *name)
        };
        let mut uniques: Vec<Vec<usize>> = known
            .uniques
            .iter()
            .filter_map(|unique| unique.iter().map(place).collect())
            .collect();
        uniques.push(key.to_vec());
        for unique in uniques {
            let wanted: HashMap<String, &Row> = rows
                .iter()
                .map(|row| (pick(row, &unique), *row))
                .filter(|(values, _)| !values.iter().any(Value::is_null))
                .map(|(values, row)| (spelled(&values), row))
                .collect();
            let values: Vec<Vec<Value>> = wanted.values().map(|row| pick(row, &unique)).collect();
            for there in self.by(work, bound, &unique, &values).await? {
                if let Some(row) = wanted.get(&spelled(&pick(&there, &unique))) {
                    taken.insert(spelled(&pick(row, key)));
                }
            }
        }
        Ok(taken)
    }

    /// Rows that were removed come back.
    async fn insert(
        &mut self,
        work: &mut dyn Session,
        known: &Known,
        bound: &Bound,
        key: &[usize],
        run: Vec<Op>,
    ) -> Result<(), Failure> {
        let rows: Vec<Row> = run
            .into_iter()
            .filter_map(|op| match op {
                Op::Removed(_, row) => Some(row),
                _ => None,
            })
            .collect();
        let taken = self
            .taken(work, known, bound, key, &rows.iter().collect::<Vec<_>>())
            .await?;
        let mut putter = Putter::new(work.dialect(), bound);
        for row in rows {
            let own = pick(&row, key);
            if taken.contains(&spelled(&own)) {
                self.leave(known, &own);
                continue;
            }
            putter.row(&row);
            putter.send(work).await.map_err(|error| refused(&error))?;
            self.undone.rows += 1;
        }
        putter.flush(work).await.map_err(|error| refused(&error))
    }

    /// Rows that were changed hold again what they held, where they still hold what the cleaning left.
    async fn restore(
        &mut self,
        work: &mut dyn Session,
        known: &Known,
        bound: &Bound,
        key: &[usize],
        run: Vec<Op>,
    ) -> Result<(), Failure> {
        let pairs: Vec<(Row, Row)> = run
            .into_iter()
            .filter_map(|op| match op {
                Op::Changed(_, before, after) => Some((before, after)),
                _ => None,
            })
            .collect();
        let keys: Vec<Vec<Value>> = pairs.iter().map(|(_, after)| pick(after, key)).collect();
        let now = self.by(work, bound, key, &keys).await?;
        let now: HashMap<String, Row> = now
            .into_iter()
            .map(|row| (spelled(&pick(&row, key)), row))
            .collect();
        for ((before, after), own) in pairs.into_iter().zip(keys) {
            // What the server sets on an update would move, were it not set as well.
            let moves = |at: &usize| {
                let name = &bound.columns[*at].shape.name;
                let column = known.table.column(name);
                before[*at] != after[*at] || column.is_some_and(|column| column.on_update.is_some())
            };
            let places: Vec<usize> = (0..bound.columns.len()).filter(moves).collect();
            let still = |row: &Row| {
                places.iter().all(|at| {
                    before[*at] == after[*at]
                        || spelled(&row[*at..=*at]) == spelled(&after[*at..=*at])
                })
            };
            if !now.get(&spelled(&own)).is_some_and(still) {
                self.leave(known, &own);
                continue;
            }
            let values = pick(&before, &places);
            let moved = pick(&before, key) != own;
            if moved
                && !self
                    .taken(work, known, bound, key, &[&before])
                    .await?
                    .is_empty()
            {
                self.leave(known, &own);
                continue;
            }
            self.undone.rows += 1;
            if places.is_empty() {
                continue;
            }
            let query = work
                .dialect()
                .change()
                .put(bound, key, &places, &values, &[own]);
            let done = work.execute_with(&query.sql, &query.params).await;
            done.map_err(|error| refused(&error))?;
        }
        Ok(())
    }
}
