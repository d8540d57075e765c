//! Tables on their way: each in one transaction with the record that it is done, several at once where the ends allow.

use super::ends::Readers;
use super::ledger::{self, Done};
use super::once::Sieve;
use super::rows::{self, Source, Stopped, Tally, Way};
use super::works::works_of;
use super::{Copying, Existing, What, broken};
use crate::digest::digest_in_silence;
use crate::trouble;
use dunlin_core::copy::Digest;
use dunlin_core::copy::plan::TablePlan;
use dunlin_core::copy::policy::Hazard;
use dunlin_core::dialect::catalog::Part;
use dunlin_core::event::Sink;
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::journal;
use dunlin_core::schema::{Table, label};
use dunlin_engines::{DbError, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// On what a table's rows are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// The table is made, where it is not one that is there.
    New,
    /// It is there, and holds what may stay.
    There,
    /// It is there, and its rows go first.
    Clear,
}

/// What rows go through: a session that reads, one that writes, and a count of those that went.
pub(super) struct Pipe<'p> {
    pub(super) reader: &'p mut dyn Session,
    pub(super) writer: &'p mut dyn Session,
    pub(super) done: &'p Arc<AtomicU64>,
}

impl Pipe<'_> {
    /// An outcome; of what failed, what was written goes.
    pub(super) async fn ended<T>(&mut self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        if outcome.is_err() {
            let _ = self.writer.rollback().await;
        }
        outcome
    }
}

impl Copying<'_> {
    /// Makes what tables need, and moves the rows of all of them. Gives their tallies as in the plan.
    pub(super) async fn carry_all(
        &mut self,
        readers: &mut Readers,
        sink: &mut dyn Sink,
    ) -> Result<Vec<Tally>, Failure> {
        if self.job.what != What::Data {
            self.ground().await?;
        }
        let mut known = self.still_true(readers).await?;
        self.related(&mut known, readers.lead(), sink).await?;
        let mut writers = self.writers(readers.count()).await?;
        for writer in &mut writers {
            self.prepared(&mut **writer).await?;
        }
        let parted = self.parted(&known, readers, &mut *writers[0]).await?;
        let left = (0..known.len()).filter(|at| known[*at].is_none());
        let works = works_of(left, &parted, |at| self.looked.sizes[at].cost());
        let mut finished = self
            .work_off(works, &parted, readers, writers, sink)
            .await?;
        self.parts_done(parted, &mut finished).await?;
        let tally = |(at, known): (usize, Option<Tally>)| {
            known.or_else(|| finished.remove(&at)).unwrap_or_default()
        };
        Ok(known.into_iter().enumerate().map(tally).collect())
    }

    /// The tables, those first that take longest.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.looked.sizes.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(self.looked.sizes[*at].cost()));
        order
    }

    /// Sessions that write: one, where the engine has one writer.
    async fn writers(&self, wanted: usize) -> Result<Vec<Box<dyn Session>>, Failure> {
        let mut writers = vec![];
        for _ in 0..wanted.min(self.sessions()) {
            writers.push(self.another().await?);
        }
        Ok(writers)
    }

    /// Schemas, types, sequences: what tables need.
    async fn ground(&mut self) -> Result<(), Failure> {
        let name = ledger::made("ground");
        if self.history.made.contains(&name) {
            return Ok(());
        }
        let to = self.to;
        let wrong = |error: &DbError| ledger::failure(to, error, "cannot make what tables need");
        let transactional = self.work.caps().transactional_ddl;
        if transactional {
            self.work.begin().await.map_err(|error| wrong(&error))?;
        }
        let early = &self.stages.early;
        let tables = early.iter().flat_map(|place| &self.stages.tables[*place]);
        for sql in self.stages.before.iter().chain(tables) {
            match self.work.execute(sql).await {
                Ok(_) => {}
                // Without transactions a run that died may have made it.
                Err(error) if !transactional && error.class == ErrorClass::ObjectExists => {}
                Err(error) => {
                    let _ = self.work.rollback().await;
                    return Err(wrong(&error));
                }
            }
        }
        let record = ledger::record(
            journal::Event::Done,
            &name,
            &self.hash,
            serde_json::json!({}),
        );
        if transactional {
            return ledger::commit(self.to, &mut *self.work, &self.pen, record).await;
        }
        let written = self.pen.append(self.to, &mut *self.work, &[record]).await;
        written.map_err(|error| wrong(&error))
    }

    /// Of tables that a run before this one has done: whether the source still holds the same rows. Others are done anew.
    async fn still_true(&mut self, readers: &mut Readers) -> Result<Vec<Option<Tally>>, Failure> {
        let mut known = vec![];
        for (at, plan) in self.looked.plan.tables.iter().enumerate() {
            let name = label(plan.source.0.as_deref(), &plan.source.1);
            let Some(done) = self.history.tables.get(&name) else {
                known.push(None);
                continue;
            };
            let tally = done.tally();
            let same = self.read_only(at, readers.lead()).await?;
            let then = match tally.once {
                true => tally.whole,
                false => tally.digest,
            };
            let agrees = same.read == tally.read && same.digest == then;
            if agrees {
                known.push(Some(tally));
                continue;
            }
            if !self.history.open {
                // The target may have been at work since: what was written there is nobody's to drop.
                let message = format!(
                    "the copy had come to its end, and {name} has changed in the source since: its table in the target is \
                     left as it is"
                );
                return Err(Failure::refused("copy-changed", message)
                    .hint("`dunlin verify` shows what differs; empty the target to copy anew"));
            }
            if self.job.existing == Some(Existing::Append) && self.place(plan).is_none() {
                let message = format!(
                    "the rows of {name} were added, and it has changed in the source since: added once more, they would be \
                     there twice"
                );
                return Err(Failure::refused("copy-changed", message)
                    .hint("`dunlin verify --repair` makes the target's rows those of the source"));
            }
            let detail = serde_json::to_value(done).unwrap_or_default();
            self.rejects
                .strike(|line| line["table"] == name.as_str())
                .map_err(|f| *f)?;
            self.undone(at, detail).await?;
            known.push(None);
        }
        Ok(known)
    }

    pub(super) fn way<'w>(
        &'w self,
        at: usize,
        policies: &'w Arc<dunlin_core::copy::policy::Policies>,
        rejects: &'w Arc<super::rejects::Rejects>,
        done: &'w Arc<AtomicU64>,
    ) -> Way<'w> {
        Way {
            plan: &self.looked.plan.tables[at],
            policies,
            rejects,
            key: &self.looked.keys[at],
            typing: self.to.dialect().rows().typing(),
            done,
            granted: self.looked.granted[at]
                .as_ref()
                .map(|granted| (granted, &self.broken)),
        }
    }

    /// One table: made, filled, recorded.
    pub(super) async fn table(&self, at: usize, pipe: &mut Pipe<'_>) -> Result<Tally, Failure> {
        let plan = &self.looked.plan.tables[at];
        let filled = self.fill(at, pipe, Ground::New, None).await;
        let failure = match pipe.ended(filled).await {
            Ok(tally) => return Ok(tally),
            Err(failure) => failure,
        };
        if failure.code != Hazard::DuplicateKey.code() {
            return Err(failure);
        }
        if !self.sets_aside(plan) {
            return Err(self.named(at, failure, pipe).await);
        }
        // A key that is made with the table: of rows that have it twice the first goes over, and the others are written down.
        let name = label(plan.source.0.as_deref(), &plan.source.1);
        self.rejects
            .strike(|line| line["table"] == name.as_str())
            .map_err(|f| *f)?;
        pipe.done.store(0, Ordering::Relaxed);
        let made = !pipe.writer.caps().transactional_ddl && self.job.existing.is_none();
        let ground = if made { Ground::There } else { Ground::New };
        self.fill_once(at, pipe, ground).await
    }

    /// A session that loads.
    pub(super) async fn prepared(&self, writer: &mut dyn Session) -> Result<(), Failure> {
        let dialect = writer.dialect();
        let quiet = dialect.change().quiet().iter();
        for sql in quiet.chain(dialect.bulk().swift()) {
            let set = writer.execute(sql).await;
            set.map_err(|error| ledger::failure(self.to, &error, "cannot prepare"))?;
        }
        Ok(())
    }

    /// The place of a table in the catalog of what is made. `None`: it is there.
    pub(super) fn place(&self, plan: &TablePlan) -> Option<usize> {
        let tables = &self.looked.plan.catalog.tables;
        tables
            .iter()
            .position(|table| table.name == plan.target.1 && table.schema == plan.target.0)
    }

    /// A table and its record in one transaction. `sieve`: what lets each key through once.
    pub(super) async fn fill(
        &self,
        at: usize,
        pipe: &mut Pipe<'_>,
        ground: Ground,
        sieve: Option<Sieve>,
    ) -> Result<Tally, Failure> {
        let plan = &self.looked.plan.tables[at];
        let fresh = self.make(plan, pipe.writer, ground).await?;
        let tally = self.pour(at, pipe, fresh, sieve).await?;
        let detail = serde_json::to_value(Done::of(plan, &tally)).unwrap_or_default();
        let record = ledger::record(journal::Event::Done, "table", &self.hash, detail);
        self.rejects.sync().map_err(|f| *f)?;
        ledger::commit(self.to, pipe.writer, &self.pen, record).await?;
        Ok(tally)
    }

    /// All rows of a table, into the open transaction. `fresh`: it was made in it.
    pub(super) async fn pour(
        &self,
        at: usize,
        pipe: &mut Pipe<'_>,
        fresh: bool,
        sieve: Option<Sieve>,
    ) -> Result<Tally, Failure> {
        let plan = &self.looked.plan.tables[at];
        let wrong = |error: &DbError| {
            let doing = format!("rows of {} cannot be read", plan.target.1);
            ledger::failure(self.to, error, &doing)
        };
        let once = sieve.is_some();
        let mut tally = Tally::default();
        if self.job.what != What::Schema {
            let before = if fresh || self.job.existing != Some(Existing::Append) {
                Digest::default()
            } else {
                let there = digest_in_silence(pipe.writer, &rows::target(plan)).await;
                there.map_err(|error| wrong(&error))?
            };
            // Of rows with one key the first stays that the source gives by itself.
            let select = match once {
                true => self.select(at),
                false => self.select_quickly(at),
            };
            tally = self.load(at, &select, pipe, fresh, sieve).await?;
            (tally.before, tally.once) = (before, once);
        }
        Ok(tally)
    }

    /// The query for all rows of a table of the source.
    pub(super) fn select(&self, at: usize) -> String {
        let bound = rows::source(&self.looked.plan.tables[at], self.looked.own_rows[at]);
        self.from.dialect().rows().select(&bound)
    }

    /// Moves the rows of a query into a table, in the writer's transaction. `fresh`: which made the table.
    pub(super) async fn load(
        &self,
        at: usize,
        select: &str,
        pipe: &mut Pipe<'_>,
        fresh: bool,
        sieve: Option<Sieve>,
    ) -> Result<Tally, Failure> {
        let plan = &self.looked.plan.tables[at];
        let policies = Arc::new(self.job.policies.clone());
        let way = self.way(at, &policies, &self.rejects, pipe.done);
        let bulk = pipe.writer.dialect().bulk();
        let target = rows::load_table(plan);
        let encoder = bulk.encoder(&target).map_err(|sentence| {
            let message = format!("{}: {sentence}", target.name);
            Failure::refused("column-not-loadable", message)
        })?;
        let stopped = |stopped| self.stopped(plan, stopped);
        // Rows of a partitioned table lie in tables of their own.
        let frozen = fresh && self.looked.own_rows[at];
        let sink = pipe
            .writer
            .load(&bulk.load(&target, frozen), target.columns.len())
            .await
            .map_err(|error| stopped(Stopped::Target(error)))?;
        let source = Source {
            session: &mut *pipe.reader,
            select,
        };
        let carried = rows::carry(&way, source, sink, encoder, sieve).await;
        carried.map(|(tally, _)| tally).map_err(stopped)
    }

    /// Begins the table's transaction with the table in it. Gives whether the table was made in this very transaction.
    pub(super) async fn make(
        &self,
        plan: &TablePlan,
        writer: &mut dyn Session,
        ground: Ground,
    ) -> Result<bool, Failure> {
        let wrong = |error: DbError| {
            let doing = format!("table {} could not be made", plan.target.1);
            ledger::failure(self.to, &error, &doing)
        };
        let catalog = &self.looked.plan.catalog;
        let transactional = writer.caps().transactional_ddl;
        let made = |_: &usize| self.job.what != What::Data && ground == Ground::New;
        let Some(place) = self.place(plan).filter(made) else {
            // It is there, and keeps its shape.
            writer.begin().await.map_err(wrong)?;
            let replaced = self.job.existing == Some(Existing::Replace);
            if replaced || ground == Ground::Clear {
                let clear = writer.dialect().change().clear(&rows::target(plan));
                writer.execute(&clear).await.map_err(wrong)?;
            }
            return Ok(false);
        };
        if transactional {
            writer.begin().await.map_err(wrong)?;
        }
        if self.stages.early.contains(&place) {
            // It was made with its family; what a run before this one left in it was ours.
            if self.history.goes_on() {
                let clear = writer.dialect().change().clear(&rows::target(plan));
                writer.execute(&clear).await.map_err(wrong)?;
            }
            return Ok(false);
        }
        if self.history.goes_on() {
            // A run before this one may have made it, and not come to its end with it. What it held was ours.
            let drop = writer
                .dialect()
                .catalog()
                .drop(Part::Table(&catalog.tables[place]));
            if self
                .is_there(&catalog.tables[place], writer)
                .await
                .map_err(wrong)?
            {
                for sql in drop.unwrap_or_default() {
                    writer.execute(&sql).await.map_err(wrong)?;
                }
            }
        }
        for sql in &self.stages.tables[place] {
            writer.execute(sql).await.map_err(wrong)?;
        }
        if !transactional {
            writer.begin().await.map_err(wrong)?;
        }
        Ok(transactional)
    }

    pub(super) async fn is_there(
        &self,
        table: &Table,
        session: &mut dyn Session,
    ) -> Result<bool, DbError> {
        let schema = table.schema.as_deref();
        let schemas: Vec<&str> = schema
            .into_iter()
            .chain(
                session
                    .caps()
                    .default_schema
                    .as_deref()
                    .filter(|_| schema.is_none()),
            )
            .collect::<Vec<_>>();
        let lower = table.name.to_lowercase();
        let query = session.dialect().columns_of(&schemas, &[&lower]);
        let rows = session.query(&query.sql, &query.params).await?;
        Ok(rows
            .iter()
            .any(|row| row.get(1).and_then(|name| name.as_str()) == Some(table.name.as_str())))
    }

    pub(super) fn stopped(&self, plan: &TablePlan, stopped: Stopped) -> Failure {
        let table = label(plan.source.0.as_deref(), &plan.source.1);
        let mut failure = match stopped {
            Stopped::Source(error) => self.from.redact(trouble::failed(
                &error,
                &format!("{table} cannot be read on"),
            )),
            Stopped::Target(error) => {
                let doing = format!("the target took no more of {table}");
                let mut failure = ledger::failure(self.to, &error, &doing);
                if error.class == ErrorClass::ForeignKey {
                    failure.code = Hazard::Orphan.code();
                    failure.hints.push(broken::hint(Hazard::Orphan));
                }
                if error.class == ErrorClass::Unique {
                    failure.code = Hazard::DuplicateKey.code();
                    failure.hints.push(broken::hint(Hazard::DuplicateKey));
                }
                failure
            }
            Stopped::Value(failure) => *failure,
        };
        failure
            .undone
            .push(format!("the rows of {table} that were on their way"));
        failure
            .hints
            .push("what is done stays; the same command with `--resume` goes on".into());
        failure
    }
}
