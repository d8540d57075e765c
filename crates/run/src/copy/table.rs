//! Tables on their way: each in one transaction with the record that it is done, several at once where the ends allow.

use super::ends::Readers;
use super::ledger::{self, Done};
use super::rows::{self, Stopped, Tally, Way};
use super::{Copying, Existing, What};
use crate::trouble;
use dunlin_core::copy::Digest;
use dunlin_core::copy::plan::TablePlan;
use dunlin_core::dialect::catalog::Part;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::journal;
use dunlin_core::schema::render::table_order;
use dunlin_core::schema::{Table, label};
use dunlin_engines::{DbError, Session};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often progress is told.
const TOLD: Duration = Duration::from_millis(500);

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
        let known = self.still_true(readers).await?;
        let plans = &self.looked.plan.tables;
        let done: Vec<Arc<AtomicU64>> = plans.iter().map(|_| Arc::default()).collect();
        let order = self.order(&known);
        let queue = Mutex::new(order.into_iter().collect::<VecDeque<usize>>());
        let finished: Mutex<BTreeMap<usize, Tally>> = Mutex::new(BTreeMap::new());
        let writers = self.writers(readers.count()).await?;
        let this = &*self;
        let mut works = vec![];
        for (reader, mut writer) in readers.all().iter_mut().zip(writers) {
            let (queue, finished, done) = (&queue, &finished, &done);
            works.push(async move {
                let dialect = writer.dialect();
                for sql in dialect
                    .change()
                    .quiet()
                    .iter()
                    .chain(dialect.bulk().swift())
                {
                    let set = writer.execute(sql).await;
                    set.map_err(|error| ledger::failure(this.to, &error, "cannot prepare"))?;
                }
                loop {
                    let next = queue
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .pop_front();
                    let Some(at) = next else { break };
                    let tally = this
                        .table(at, &mut **reader, &mut *writer, &done[at])
                        .await?;
                    let mut finished = finished.lock().unwrap_or_else(PoisonError::into_inner);
                    finished.insert(at, tally);
                }
                writer.close().await;
                Ok::<(), Failure>(())
            });
        }
        let all = futures_util::future::try_join_all(works);
        tokio::pin!(all);
        let mut ticks = tokio::time::interval(TOLD);
        loop {
            tokio::select! {
                ended = &mut all => {
                    ended?;
                    break;
                }
                _ = ticks.tick() => tell(this, &done, sink),
            }
        }
        tell(this, &done, sink);
        let mut finished =
            std::mem::take(&mut *finished.lock().unwrap_or_else(PoisonError::into_inner));
        let tally = |(at, known): (usize, Option<Tally>)| {
            known.or_else(|| finished.remove(&at)).unwrap_or_default()
        };
        Ok(known.into_iter().enumerate().map(tally).collect())
    }

    /// The tables that are to be done: the largest first, so that no session is left with it at the end. Into tables that
    /// are there, as their foreign keys want it.
    fn order(&self, known: &[Option<Tally>]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..known.len()).filter(|at| known[*at].is_none()).collect();
        if self.job.existing.is_none() {
            let size = |at: usize| self.looked.sizes[at];
            order.sort_by_key(|at| std::cmp::Reverse((size(*at).bytes, size(*at).rows)));
            return order;
        }
        let parents_first = table_order(&self.looked.source);
        let place = |at: usize| {
            let (schema, name) = &self.looked.plan.tables[at].source;
            let tables = &self.looked.source.tables;
            let is = |table: &Table| table.name == *name && table.schema == *schema;
            parents_first.iter().position(|of| is(&tables[*of]))
        };
        order.sort_by_key(|at| place(*at));
        order
    }

    /// Sessions that write: one, where the engine has one writer or tables that are there want an order.
    async fn writers(&self, wanted: usize) -> Result<Vec<Box<dyn Session>>, Failure> {
        let most = match self.job.existing {
            Some(_) => 1,
            None => self.sessions(),
        };
        let mut writers = vec![];
        for _ in 0..wanted.min(most) {
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
        for sql in &self.stages.before {
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
            let agrees = same.read == tally.read && same.digest == tally.digest;
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
            let detail = serde_json::to_value(done).unwrap_or_default();
            let record = ledger::record(journal::Event::Undone, "table", &self.hash, detail);
            let written = self.pen.append(self.to, &mut *self.work, &[record]).await;
            written
                .map_err(|error| ledger::failure(self.to, &error, "cannot write the journal"))?;
            known.push(None);
        }
        Ok(known)
    }

    /// Reads a table as a copy would, and loads nothing: what its tally would be now.
    async fn read_only(&self, at: usize, reader: &mut dyn Session) -> Result<Tally, Failure> {
        let plan = &self.looked.plan.tables[at];
        let policies = Arc::new(self.job.policies.clone());
        // Rejects of a table that is done were written then.
        let nowhere = Arc::new(super::rejects::Rejects::nowhere());
        let done = Arc::default();
        let way = self.way(at, &policies, &nowhere, &done);
        let bound = rows::source(plan, self.looked.own_rows[at]);
        let stopped = |stopped| self.stopped(plan, stopped);
        let select = reader.dialect().rows().select(&bound);
        let mut source = reader
            .stream(&select)
            .await
            .map_err(|error| stopped(Stopped::Source(error)))?;
        rows::look_only(&way, &mut *source).await.map_err(stopped)
    }

    fn way<'w>(
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
        }
    }

    /// One table: made, filled, recorded.
    async fn table(
        &self,
        at: usize,
        reader: &mut dyn Session,
        writer: &mut dyn Session,
        done: &Arc<AtomicU64>,
    ) -> Result<Tally, Failure> {
        let outcome = self.fill(at, reader, writer, done).await;
        if outcome.is_err() {
            // What of the table was written goes with its transaction.
            let _ = writer.rollback().await;
        }
        outcome
    }

    async fn fill(
        &self,
        at: usize,
        reader: &mut dyn Session,
        writer: &mut dyn Session,
        done: &Arc<AtomicU64>,
    ) -> Result<Tally, Failure> {
        let plan = &self.looked.plan.tables[at];
        let wrong = |error: &DbError| {
            let doing = format!("table {} could not be made", plan.target.1);
            ledger::failure(self.to, error, &doing)
        };
        let fresh = self.make(plan, writer).await?;
        let mut tally = Tally::default();
        if self.job.what != What::Schema {
            let policies = Arc::new(self.job.policies.clone());
            let way = self.way(at, &policies, &self.rejects, done);
            let bound = rows::source(plan, self.looked.own_rows[at]);
            let dialect = writer.dialect();
            let target = rows::load_table(plan);
            let encoder = dialect.bulk().encoder(&target).map_err(|sentence| {
                Failure::refused(
                    "column-not-loadable",
                    format!("{}: {sentence}", target.name),
                )
            })?;
            let load = dialect.bulk().load(&target, fresh);
            let before = if fresh || self.job.existing != Some(Existing::Append) {
                Digest::default()
            } else {
                let there = super::prove::digest(writer, &rows::target(plan)).await;
                there.map_err(|error| wrong(&error))?
            };
            let stopped = |stopped| self.stopped(plan, stopped);
            let select = reader.dialect().rows().select(&bound);
            let mut source = reader
                .stream(&select)
                .await
                .map_err(|error| stopped(Stopped::Source(error)))?;
            let sink = writer
                .load(&load, target.columns.len())
                .await
                .map_err(|error| stopped(Stopped::Target(error)))?;
            tally = rows::carry(&way, &mut *source, sink, encoder)
                .await
                .map_err(stopped)?;
            tally.before = before;
        }
        let detail = serde_json::to_value(Done::of(plan, &tally)).unwrap_or_default();
        let record = ledger::record(journal::Event::Done, "table", &self.hash, detail);
        ledger::commit(self.to, writer, &self.pen, record).await?;
        Ok(tally)
    }

    /// Begins the table's transaction with the table in it. Gives whether the table was made in this very transaction.
    async fn make(&self, plan: &TablePlan, writer: &mut dyn Session) -> Result<bool, Failure> {
        let wrong = |error: DbError| {
            let doing = format!("table {} could not be made", plan.target.1);
            ledger::failure(self.to, &error, &doing)
        };
        let catalog = &self.looked.plan.catalog;
        let place = catalog
            .tables
            .iter()
            .position(|table| table.name == plan.target.1 && table.schema == plan.target.0);
        let transactional = writer.caps().transactional_ddl;
        let Some(place) = place.filter(|_| self.job.what != What::Data) else {
            // It is there, and keeps its shape.
            writer.begin().await.map_err(wrong)?;
            if self.job.existing == Some(Existing::Replace) {
                let clear = writer.dialect().change().clear(&rows::target(plan));
                writer.execute(&clear).await.map_err(wrong)?;
            }
            return Ok(false);
        };
        if transactional {
            writer.begin().await.map_err(wrong)?;
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

    async fn is_there(&self, table: &Table, session: &mut dyn Session) -> Result<bool, DbError> {
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

    fn stopped(&self, plan: &TablePlan, stopped: Stopped) -> Failure {
        let table = label(plan.source.0.as_deref(), &plan.source.1);
        let mut failure = match stopped {
            Stopped::Source(error) => self.from.redact(trouble::failed(
                &error,
                &format!("{table} cannot be read on"),
            )),
            Stopped::Target(error) => ledger::failure(
                self.to,
                &error,
                &format!("the target took no more of {table}"),
            ),
            Stopped::Value(failure) => *failure,
        };
        failure
            .undone
            .push(format!("the rows of {table} that were on their way"));
        failure
            .hints
            .push("tables that are done stay; the same command with `--resume` goes on".into());
        failure
    }
}

fn tell(copying: &Copying<'_>, done: &[Arc<AtomicU64>], sink: &mut dyn Sink) {
    let total: u64 = copying.looked.sizes.iter().map(|size| size.rows).sum();
    let done: u64 = done.iter().map(|rows| rows.load(Ordering::Relaxed)).sum();
    if done > 0 {
        sink.event(&Event::Progress {
            what: "copying".into(),
            done,
            total: (total >= done).then_some(total),
            unit: "rows".into(),
        });
    }
}
