//! Rows of a target that are written over, added and removed by their key: in batches, each in one transaction with its
//! record, and what was there is on the disk before it commits.

use super::giving::{Giving, Load, TOGETHER, loading};
use super::ledger;
use super::pair::Pair;
use super::repair::Repaired;
use crate::backup::archive::cell_of;
use crate::backup::{private_file, unwritable};
use crate::control::{Control, Stop};
use crate::journal_store::{self, Pen};
use crate::trouble;
use crate::world::World;
use dunlin_core::bulk::ndjson::Lines;
use dunlin_core::copy::reading::Bound;
use dunlin_core::dialect::mend::Mend;
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::journal::{self, Writing};
use dunlin_core::schema::Catalog;
use dunlin_core::value::{Row, Value};
use dunlin_engines::{DbError, Halted, Session};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// How many rows that something stands in the way of are tried one by one in a round: what stands in the way of a
/// thousand stands in the way of all.
const TRIED: u64 = 1_000;

/// The file of what was there: rows as an export writes them, made with the first of them.
#[derive(Debug)]
pub(super) struct Image {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Image {
    pub(super) fn new(path: PathBuf) -> Image {
        Image { path, file: None }
    }

    /// Writes rows of a table down, and brings them to the disk.
    pub(super) fn keep(&mut self, table: &Bound, rows: &[Row]) -> Result<(), Failure> {
        if rows.is_empty() {
            return Ok(());
        }
        let label = table.label();
        let names = table
            .columns
            .iter()
            .map(|column| column.shape.name.as_str());
        let lines = Lines::new(Some(&label), names);
        let mut out = vec![];
        for row in rows {
            lines.row(row.iter().map(cell_of), &mut out);
        }
        let path = &self.path;
        let wrong = |error: std::io::Error| unwritable(path, &error);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::new(private_file(path).map_err(wrong)?)),
        };
        file.write_all(&out).map_err(wrong)?;
        file.flush().map_err(wrong)?;
        file.get_ref().sync_data().map_err(wrong)
    }

    /// Its path, where anything was written.
    pub(super) fn close(self) -> Option<PathBuf> {
        self.file.map(|_| self.path)
    }
}

/// What stopped a batch.
pub(super) enum Stopped {
    /// One of its rows, or what refers to it.
    Rows(DbError),
    /// Anything else: the end of the repair.
    All(Box<Failure>),
}

/// Rows of one transaction.
#[derive(Clone, Copy)]
enum Batch<'b> {
    /// Encoded rows that are written over those of the target, or added.
    Give(&'b Mend<'b>, &'b Load, &'b [Vec<u8>]),
    /// Keys of rows that are removed.
    Take(&'b [Vec<Value>]),
}

impl<'b> Batch<'b> {
    fn len(&self) -> usize {
        match self {
            Batch::Give(_, _, rows) => rows.len(),
            Batch::Take(keys) => keys.len(),
        }
    }

    /// The latter half and the former one.
    fn halves(self) -> [Batch<'b>; 2] {
        let middle = self.len() / 2;
        match self {
            Batch::Give(mend, load, rows) => {
                let (former, latter) = rows.split_at(middle);
                [latter, former].map(|rows| Batch::Give(mend, load, rows))
            }
            Batch::Take(keys) => {
                let (former, latter) = keys.split_at(middle);
                [latter, former].map(Batch::Take)
            }
        }
    }
}

pub(super) fn unread(error: DbError) -> Failure {
    trouble::failed(&error, "the source cannot be read")
}

/// Mends rows.
pub(super) struct Mending<'m> {
    pub(super) to: &'m World,
    pub(super) pen: Pen,
    pub(super) work: Box<dyn Session>,
    pub(super) image: Image,
    /// The target, for what refers to what.
    pub(super) there: &'m Catalog,
    /// The same with all their columns.
    pub(super) bounds: Vec<Bound>,
    /// Of tables with rows that could not be mended in this round: how many, and why the last of them.
    pub(super) in_the_way: BTreeMap<String, (u64, String)>,
    pub(super) control: &'m Control,
}

impl Mending<'_> {
    /// What its session is set to: rows come exactly, what a column cannot hold is refused, and foreign keys bite.
    pub(super) async fn prepare(&mut self) -> Result<(), Failure> {
        let change = self.work.dialect().change();
        let set = [change.quiet(), change.strictly(), change.keys_on()];
        for sql in set.concat() {
            let set = self.work.execute(sql).await;
            set.map_err(|error| trouble::refused(&error, "cannot prepare"))?;
        }
        Ok(())
    }

    pub(super) fn pressed(&self) -> Result<(), Failure> {
        if self.control.asked() == Stop::No {
            return Ok(());
        }
        let message = "interrupted: the batches that are done stay";
        Err(Failure::new(
            FailureClass::Interrupted,
            "interrupted",
            message,
        ))
    }

    /// Writes rows of the source over those of the target, and adds those that it lacks.
    pub(super) async fn give(
        &mut self,
        pair: &Pair<'_>,
        give: &BTreeSet<u128>,
        reader: &mut dyn Session,
        done: &mut Repaired,
    ) -> Result<(), Failure> {
        let dialect = self.work.dialect();
        let mend = Mend {
            dialect,
            table: &pair.target,
            key: &pair.key,
        };
        let (load, encoder) = loading(pair, &mend)?;
        for sql in mend.make() {
            let made = self.work.execute(&sql).await;
            made.map_err(|error| self.failed(&error))?;
        }
        let mut giving = Giving::new(pair, give, encoder, reader)
            .await
            .map_err(unread)?;
        while let Some(rows) = giving.next().await.map_err(unread)? {
            self.mend(pair, Batch::Give(&mend, &load, &rows), done)
                .await?;
        }
        for why in std::mem::take(&mut giving.unfit) {
            self.stands(pair, &why);
        }
        Ok(())
    }

    pub(super) fn failed(&self, error: &DbError) -> Failure {
        ledger::failure(self.to, error, "the target takes no repair")
    }

    fn stands(&mut self, pair: &Pair<'_>, why: &str) {
        let label = pair.target.label();
        let (rows, last) = self.in_the_way.entry(label).or_default();
        *rows += 1;
        why.clone_into(last);
    }

    fn tried_enough(&self, pair: &Pair<'_>) -> bool {
        let label = pair.target.label();
        let rows = self.in_the_way.get(&label).map(|(rows, _)| *rows);
        rows.is_some_and(|rows| rows >= TRIED)
    }

    /// A batch; where one of its rows is refused, its halves.
    async fn mend(
        &mut self,
        pair: &Pair<'_>,
        all: Batch<'_>,
        done: &mut Repaired,
    ) -> Result<(), Failure> {
        let mut waiting = vec![all];
        while let Some(part) = waiting.pop() {
            if part.len() == 0 || self.tried_enough(pair) {
                continue;
            }
            self.pressed()?;
            let mended = match part {
                Batch::Give(mend, load, rows) => self.put(mend, load, rows).await,
                Batch::Take(keys) => self.remove(pair, keys).await,
            };
            let stopped = match mended {
                Ok(mended) => {
                    done.add(mended);
                    continue;
                }
                Err(stopped) => stopped,
            };
            let _ = self.work.rollback().await;
            match stopped {
                Stopped::All(failure) => return Err(*failure),
                Stopped::Rows(error) if part.len() == 1 => self.stands(pair, &error.message),
                Stopped::Rows(_) => waiting.extend(part.halves()),
            }
        }
        Ok(())
    }

    pub(super) fn stopped(&self, error: DbError) -> Stopped {
        use ErrorClass::{Check, Data, ForeignKey, NotNull, Other, TypeMismatch, Unique};
        let of_a_row = matches!(
            error.class,
            Unique | ForeignKey | NotNull | Check | TypeMismatch | Data | Other
        );
        if of_a_row && !journal_store::is_fenced(&error) {
            return Stopped::Rows(error);
        }
        Stopped::All(Box::new(self.failed(&error)))
    }

    /// One transaction: rows written over, and rows added.
    async fn put(
        &mut self,
        mend: &Mend<'_>,
        load: &Load,
        rows: &[Vec<u8>],
    ) -> Result<Repaired, Stopped> {
        self.begin().await?;
        let clear = mend.clear();
        let cleared = self.work.execute(&clear).await;
        cleared.map_err(|error| self.stopped(error))?;
        let loaded = load.send(&mut *self.work, rows).await;
        loaded.map_err(|error| self.stopped(error))?;
        let there = self.work.query(&mend.written_over(), &[]).await;
        let there = there.map_err(|error| self.stopped(error))?;
        if let Some(update) = mend.update() {
            let updated = self.work.execute(&update).await;
            updated.map_err(|error| self.stopped(error))?;
        }
        let inserted = self.work.execute(&mend.insert()).await;
        let done = Repaired {
            inserted: inserted.map_err(|error| self.stopped(error))?,
            updated: there.len() as u64,
            deleted: 0,
        };
        self.commit(mend.table, &there, done).await?;
        Ok(done)
    }

    pub(super) async fn begin(&mut self) -> Result<(), Stopped> {
        let begun = self.work.begin().await;
        begun.map_err(|error| self.stopped(error))?;
        for sql in self.work.dialect().change().pins() {
            let set = self.work.execute(sql).await;
            set.map_err(|error| self.stopped(error))?;
        }
        Ok(())
    }

    /// Keeps what was there, and commits with the record.
    async fn commit(
        &mut self,
        table: &Bound,
        there: &[Row],
        done: Repaired,
    ) -> Result<(), Stopped> {
        let kept = self.image.keep(table, there);
        kept.map_err(|failure| Stopped::All(Box::new(failure)))?;
        self.record(&[(table, done)]).await
    }

    /// Commits with a record for each table.
    pub(super) async fn record(&mut self, done: &[(&Bound, Repaired)]) -> Result<(), Stopped> {
        let record = |(table, done): &(&Bound, Repaired)| {
            let detail = serde_json::json!({
                "what": "verify --repair", "table": table.label(), "inserted": done.inserted, "updated": done.updated,
                "deleted": done.deleted,
            });
            Writing::run(journal::Event::Settled, detail)
        };
        let records: Vec<Writing> = done.iter().map(record).collect();
        let to = self.to;
        let done = self
            .pen
            .append_and_commit(to, &mut *self.work, &records)
            .await;
        done.map_err(|halted| match halted {
            // What was put off to the end of the transaction: a foreign key.
            Halted::After(error) => self.stopped(error),
            halted => Stopped::All(Box::new(self.failed(&halted.into_error()))),
        })
    }

    /// Removes rows that only the target has, unless something refers to them that stays.
    pub(super) async fn take(
        &mut self,
        pair: &Pair<'_>,
        keys: &[Vec<Value>],
        done: &mut Repaired,
    ) -> Result<(), Failure> {
        for keys in keys.chunks(TOGETHER) {
            self.mend(pair, Batch::Take(keys), done).await?;
        }
        Ok(())
    }

    /// One transaction: rows removed.
    async fn remove(&mut self, pair: &Pair<'_>, keys: &[Vec<Value>]) -> Result<Repaired, Stopped> {
        self.begin().await?;
        let change = self.work.dialect().change();
        let table = &pair.target;
        let all: Vec<usize> = (0..table.columns.len()).collect();
        let query = change.keyed(table, &pair.key, &all, keys, None, true);
        let there = self.work.query(&query.sql, &query.params).await;
        let there = there.map_err(|error| self.stopped(error))?;
        let referred = self.referred(pair, &there).await;
        if let Some(child) = referred.map_err(|error| self.stopped(error))? {
            let message =
                format!("rows of {child} refer to it, and would go with it or be in the way");
            return Err(Stopped::Rows(DbError::new(ErrorClass::ForeignKey, message)));
        }
        let query = change.remove(table, &pair.key, keys);
        let removed = self.work.execute_with(&query.sql, &query.params).await;
        removed.map_err(|error| self.stopped(error))?;
        let done = Repaired {
            deleted: there.len() as u64,
            ..Repaired::default()
        };
        self.commit(table, &there, done).await?;
        Ok(done)
    }

    /// A table with rows that refer to these, and do not go themselves. Also where its foreign key would let them go with
    /// these: a repair removes nothing that nobody compared.
    async fn referred(&mut self, pair: &Pair<'_>, rows: &[Row]) -> Result<Option<String>, DbError> {
        let own = &pair.target;
        let place = |bound: &Bound, name: &String| {
            let mut columns = bound.columns.iter();
            columns.position(|column| column.shape.name == *name)
        };
        let going: BTreeSet<String> = rows.iter().map(|row| shown(row, &pair.key)).collect();
        for child in &self.there.tables {
            for key in &child.foreign_keys {
                if key.references != own.table || key.references_schema != own.schema {
                    continue;
                }
                let parent = self.there.table(own.schema.as_deref(), &own.table);
                let referred =
                    parent.and_then(|parent| dunlin_core::bulk::choose::references(key, parent));
                let bound = self
                    .bounds
                    .iter()
                    .find(|bound| bound.table == child.name && bound.schema == child.schema);
                let (Some(referred), Some(bound)) = (referred, bound) else {
                    continue;
                };
                let at: Option<Vec<usize>> = referred.iter().map(|name| place(own, name)).collect();
                let by: Option<Vec<usize>> =
                    key.columns.iter().map(|name| place(bound, name)).collect();
                let (Some(at), Some(by)) = (at, by) else {
                    continue;
                };
                let value = |row: &Row| at.iter().map(|at| row[*at].clone()).collect::<Vec<_>>();
                let values: Vec<Vec<Value>> = rows.iter().map(value).collect();
                let values: Vec<Vec<Value>> = values
                    .into_iter()
                    .filter(|values| !values.contains(&Value::Null))
                    .collect();
                if values.is_empty() {
                    continue;
                }
                // Of the same table: rows that go themselves do not count.
                let same = child.name == own.table && child.schema == own.schema;
                let known: Option<Vec<usize>> = pair
                    .key
                    .iter()
                    .map(|at| place(bound, &own.columns[*at].shape.name))
                    .collect();
                let wanted = known.filter(|_| same);
                let columns = wanted.as_ref().unwrap_or(&by);
                let change = self.work.dialect().change();
                let query = change.keyed(bound, &by, columns, &values, None, false);
                let found = self.work.query(&query.sql, &query.params).await?;
                let all: Vec<usize> = (0..columns.len()).collect();
                let stays = |row: &Row| !same || !going.contains(&shown(row, &all));
                if found.iter().any(stays) {
                    return Ok(Some(child.label()));
                }
            }
        }
        Ok(None)
    }

    /// Raises counters to the greatest number that came.
    pub(super) async fn counters(
        &mut self,
        pairs: &BTreeMap<usize, Pair<'_>>,
        done: &BTreeMap<usize, Repaired>,
    ) -> Result<(), Failure> {
        let to = self.to;
        let wrong = |error: DbError| ledger::failure(to, &error, "a counter could not be raised");
        let change = self.work.dialect().change();
        for (at, pair) in pairs {
            if done.get(at).is_none_or(|done| done.inserted == 0) {
                continue;
            }
            let table = &pair.target;
            let schema = table.schema.as_deref();
            let Some(query) = change.numbered(schema, &table.table) else {
                continue;
            };
            let found = self.work.query(&query.sql, &query.params).await;
            for row in found.map_err(wrong)? {
                let text = |at: usize| row.get(at).and_then(Value::as_str);
                let (Some(counter), Some(column)) = (text(0), text(1)) else {
                    continue;
                };
                let last = row.get(2).and_then(Value::as_i64);
                let top = self.work.query(&change.greatest(table, column), &[]).await;
                let top = top.map_err(wrong)?;
                let top = top.first().and_then(|row| row.first()?.as_i64());
                let behind = |top: &i64| *top > 0 && last.is_none_or(|last| last < *top);
                let Some(top) = top.filter(behind) else {
                    continue;
                };
                for query in change.raise(schema, &table.table, counter, top) {
                    let raised = self.work.execute_with(&query.sql, &query.params).await;
                    raised.map_err(wrong)?;
                }
            }
        }
        Ok(())
    }
}

/// A key as a text, to be told from others.
fn shown(row: &Row, key: &[usize]) -> String {
    let parts: Vec<String> = key.iter().map(|at| row[*at].shown()).collect();
    parts.join("\u{1f}")
}
