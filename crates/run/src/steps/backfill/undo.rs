//! Taking a backfill back: where a row still holds what a batch left, it gets what it held before.

use super::image::Image;
use super::{CHUNK, Tries, Work, Wrong, commit, keyed, places, spelled};
use crate::executor::Runner;
use crate::trouble;
use dunlin_core::backfill::chunk::{self, Detail, KEYS_SHOWN};
use dunlin_core::dialect::catalog::Part;
use dunlin_core::event::Event;
use dunlin_core::failure::Failure;
use dunlin_core::journal;
use dunlin_core::source::grammar::steps::Backfill;
use dunlin_core::value::{Row, Value};
use dunlin_engines::DbError;
use std::collections::BTreeMap;

/// What the undo of a backfill did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undone {
    /// Rows that hold again what they held.
    pub rows: u64,
    /// Rows that others have changed or removed since, and that were left alone.
    pub left: u64,
    /// The first of their keys.
    pub keys: Vec<String>,
    /// Rows among the first in which a trigger of the table has written something else at once.
    pub bent: u64,
}

/// Takes the batches of a step back, from the last to the first, or goes on with that.
///
/// # Errors
/// What stops it leaves whole batches taken back, recorded; asked again it goes on.
pub async fn undo(runner: &mut Runner<'_>, unit: &str, spec: &Backfill) -> Result<Undone, Failure> {
    let work = Work::open(runner, unit, spec).await?;
    let flushed = runner.flush().await;
    flushed.map_err(|error| runner.trouble(&error, "the journal could not be written"))?;
    // New rows first: nothing is filled any more while the old ones are emptied.
    stop_filling(runner, &work).await?;
    let mut undone = Undone {
        rows: work.state.undone,
        left: work.state.left,
        keys: work.state.keys.clone(),
        bent: 0,
    };
    for (number, _) in work.state.standing.iter().rev() {
        runner.may_go_on()?;
        let mut tries = Tries::default();
        let done = loop {
            match batch(runner, &work, *number).await {
                Ok(done) => break done,
                Err(wrong) => tries.again(runner, wrong).await?,
            }
        };
        undone.rows += done.rows;
        undone.left += done.left;
        undone.bent += done.bent;
        undone.keys.extend(done.keys);
        undone.keys.truncate(KEYS_SHOWN);
        runner.sink.event(&Event::Progress {
            what: format!("taking the backfill of {} back", work.table.label()),
            done: undone.rows,
            total: None,
            unit: "rows".into(),
        });
    }
    if undone.bent > 0 {
        let message = format!(
            "{} rows of {} were given back what they held, and do not hold all of it: a trigger of the table writes into them",
            undone.bent,
            work.table.label()
        );
        runner.sink.event(&Event::Note { message });
    }
    if work.state.defaults.is_some() {
        let ended = chunk::record(journal::Event::Undone, unit, None, Detail::default());
        let pen = runner.pen.clone();
        let written = pen.append(runner.world, &mut *runner.work, &[ended]).await;
        written.map_err(|error| runner.trouble(&error, "the journal could not be written"))?;
    }
    Ok(undone)
}

async fn stop_filling(runner: &mut Runner<'_>, work: &Work<'_>) -> Result<(), Failure> {
    let dialect = runner.work.dialect();
    let schema = work.table.schema.as_deref();
    let mut triggers = work.table.triggers.iter();
    let mut statements = vec![];
    if triggers.any(|trigger| trigger.name == work.trigger) {
        statements = dialect
            .change()
            .unfill(schema, &work.table.name, &work.trigger);
    }
    for (name, default) in work.state.defaults.iter().flatten() {
        let Some(now) = work.table.column(name) else {
            continue;
        };
        let mut before = now.clone();
        before.default.clone_from(default);
        if before.default == now.default {
            continue;
        }
        let (from, to) = (
            Part::Column(&work.table, now),
            Part::Column(&work.table, &before),
        );
        let changed = dialect.catalog().change(from, to);
        statements.extend(changed.map_err(|why| Failure::refused("backfill-set", why))?);
    }
    for sql in statements {
        let done = runner.work.execute(&sql).await;
        done.map_err(|error| trouble::failed(&error, "new rows could not be left alone again"))?;
    }
    Ok(())
}

async fn batch(runner: &mut Runner<'_>, work: &Work<'_>, number: i64) -> Result<Undone, Wrong> {
    runner.work.begin().await?;
    let image = work.image(runner, number).await?;
    let (key, columns) = (
        places(&work.bound, &image.key),
        places(&work.bound, &image.columns),
    );
    if key.len() != image.key.len() || columns.len() != image.columns.len() {
        let message = format!(
            "columns of {} that were filled are gone",
            work.table.label()
        );
        return Err(Failure::refused("object-missing", message).into());
    }
    let keys: Vec<Vec<Value>> = image.rows.iter().map(|row| row.key.clone()).collect();
    let now = keyed(&mut *runner.work, work, &key, &columns, &keys, None).await?;
    let now = by_key(now, key.len());
    let (mut done, groups) = sort(&image, &now);
    put(runner, work, &key, &columns, groups).await?;
    if !work.table.triggers.is_empty() {
        let then = keyed(&mut *runner.work, work, &key, &columns, &keys, None).await?;
        done.bent = bent(&image, &now, &by_key(then, key.len()));
    }
    let detail = Detail {
        rows: done.rows,
        left: done.left,
        keys: done.keys.clone(),
        ..Detail::default()
    };
    let record = chunk::record(journal::Event::Undone, work.unit, Some(number), detail);
    commit(runner, record).await?;
    Ok(done)
}

/// Values of rows by their keys, which come first.
fn by_key(rows: Vec<Row>, width: usize) -> Values {
    let rows = rows.into_iter();
    rows.map(|row| (spelled(&row[..width]), row[width..].to_vec()))
        .collect()
}

/// How many rows that were what the batch had left are not as they were before it, now that they were given that back.
fn bent(image: &Image, now: &Values, then: &Values) -> u64 {
    let of = |values: &Values, key: &str| values.get(key).map(|values| spelled(values));
    let bent = image.rows.iter().filter(|row| {
        let key = spelled(&row.key);
        of(now, &key) == Some(spelled(&row.new)) && of(then, &key) != Some(spelled(&row.old))
    });
    bent.count() as u64
}

/// What rows hold, by their keys.
type Values = BTreeMap<String, Vec<Value>>;

/// Old values, and the keys of the rows that get them: most rows of a batch held the same.
type Groups = BTreeMap<String, (Vec<Value>, Vec<Vec<Value>>)>;

fn sort(image: &Image, now: &Values) -> (Undone, Groups) {
    let (mut done, mut groups) = (Undone::default(), Groups::new());
    for row in &image.rows {
        let there = now.get(&spelled(&row.key));
        // Compared as spelled, for a number that is none equals nothing.
        if there.is_some_and(|there| spelled(there) == spelled(&row.new)) {
            done.rows += 1;
            let group = groups.entry(spelled(&row.old));
            let (_, keys) = group.or_insert_with(|| (row.old.clone(), vec![]));
            keys.push(row.key.clone());
        } else {
            done.left += 1;
            if done.keys.len() < KEYS_SHOWN {
                let parts = image.key.iter().zip(&row.key);
                let shown: Vec<String> = parts
                    .map(|(name, value)| format!("{name} = {}", value.shown()))
                    .collect();
                done.keys.push(shown.join(", "));
            }
        }
    }
    (done, groups)
}

async fn put(
    runner: &mut Runner<'_>,
    work: &Work<'_>,
    key: &[usize],
    columns: &[usize],
    groups: Groups,
) -> Result<(), DbError> {
    let change = runner.work.dialect().change();
    let (before, after): (&[&str], &[&str]) = if work.zoned(columns) {
        change.reading()
    } else {
        (&[], &[])
    };
    for sql in before {
        runner.work.execute(sql).await?;
    }
    let session = &mut *runner.work;
    let write = async {
        for (values, keys) in groups.into_values() {
            for part in keys.chunks(CHUNK) {
                let query = change.put(&work.bound, key, columns, &values, part);
                session.execute_with(&query.sql, &query.params).await?;
            }
        }
        Ok(())
    };
    let written = write.await;
    for sql in after {
        // Also after an error: the session is somebody's script's.
        let put_back = runner.work.execute(sql).await;
        if written.is_ok() {
            put_back?;
        }
    }
    written
}
