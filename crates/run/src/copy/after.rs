//! What comes when the rows are there: keys, indexes, checks and foreign keys; counters; and at the very end what runs by
//! itself.

use super::bite::Counted;
use super::early::Joins;
use super::rows::Tally;
use super::{Copied, Copying, What, ledger};
use crate::control::{Control, Stop};
use crate::trouble;
use dunlin_core::copy::plan::{NotCarried, TablePlan};
use dunlin_core::copy::policy::Hazard;
use dunlin_core::copy::stages::{Made, Of};
use dunlin_core::dialect::landing::largest;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::finding::{Finding, Place};
use dunlin_core::journal;
use dunlin_core::value::{Query, Value};
use dunlin_engines::{Cancel, DbError, Session};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an index waits for others to look away from rows that were set aside for it, and how often it is tried.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(250);
const STILL_SEEN: &str = "the rows are set aside, and the index cannot be made while a transaction of another session may still look \
    at them: end it, then `--resume`";

/// From how many rows on it pays to open sessions for taking statistics.
const MANY: u64 = 100_000;

pub(super) fn pressed(control: &Control) -> Result<(), Failure> {
    if control.asked() == Stop::No {
        return Ok(());
    }
    Err(super::interrupted(
        "interrupted: all rows are in the target, and not all keys and indexes are made",
    ))
}

/// Waits for a statement that may take hours, unless it is to be cancelled.
pub(super) async fn until_pressed<T>(
    canceller: &dyn Cancel,
    control: &Control,
    running: impl Future<Output = Result<T, DbError>>,
) -> Result<T, DbError> {
    let mut control = control.clone();
    tokio::pin!(running);
    tokio::select! {
        done = &mut running => return done,
        () = control.until(Stop::Now) => {}
    }
    // Where the cancel does not arrive, the statement's own end is all there is to wait for.
    let _ = canceller.cancel().await;
    running.await
}

impl Copying<'_> {
    /// Makes keys, indexes and checks, table by table on as many sessions as there are tables' worth of; then foreign keys.
    /// Gives what there is to say of rows that break them and stay.
    pub(super) async fn after(
        &mut self,
        reader: &mut dyn Session,
        tallies: &mut Vec<Tally>,
        sink: &mut dyn Sink,
        control: &mut Control,
    ) -> Result<Vec<Finding>, Failure> {
        if self.job.what == What::Data {
            return Ok(vec![]);
        }
        let as_is = reader.caps().engine.family() == self.work.caps().engine.family();
        let stages = self.stages;
        let own = |made: &Made| made.table.is_some() && !matches!(made.of, Of::ForeignKey(_));
        let missing = |made: &&Made| !self.early.has_made(made);
        let mut groups: BTreeMap<Option<usize>, Vec<&Made>> = BTreeMap::new();
        for made in stages.after.iter().filter(missing).filter(|made| own(made)) {
            groups.entry(made.table).or_default().push(made);
        }
        if !groups.is_empty() {
            sink.event(&Event::Note {
                message: format!("making keys and indexes of {} tables", groups.len()),
            });
        }
        self.groups(groups, reader, tallies, control).await?;
        self.without_orphans(tallies, sink).await?;
        let left = self.orphans_that_stay(as_is).await?;
        let missing = |made: &&Made| !self.early.has_made(made);
        let across = stages.after.iter().filter(missing);
        let across: Vec<&Made> = across.filter(|made| !own(made)).collect();
        if across.is_empty() {
            return Ok(left);
        }
        let mut session = self.another().await?;
        for made in across {
            pressed(control)?;
            if self.stands(made, &mut *session).await? {
                self.made(made, &mut *session).await?;
                continue;
            }
            if !self.proven_key(made, &mut *session, control).await? {
                self.make_one(made, &mut *session, control).await?;
            }
        }
        session.close().await;
        Ok(left)
    }

    /// Makes what tables have of their own, several tables at once.
    async fn groups(
        &self,
        groups: BTreeMap<Option<usize>, Vec<&Made>>,
        reader: &mut dyn Session,
        tallies: &mut Vec<Tally>,
        control: &Control,
    ) -> Result<(), Failure> {
        let sessions = self.sessions().min(groups.len());
        // Tables of which something is still to be made.
        let open = groups
            .values()
            .filter_map(|group| self.planned(group.first()?));
        let open: Mutex<BTreeSet<usize>> = Mutex::new(open.collect());
        let joins = self.joins();
        let queue = Mutex::new(self.longest_first(groups.into_values().collect(), &joins));
        let kept = Mutex::new(std::mem::take(tallies));
        // Groups with a key that its rows break, and whose engine does not show which of them came first.
        let broken = Mutex::new(vec![]);
        let this = self;
        let mut works = vec![];
        for _ in 0..sessions {
            let (queue, control, kept, broken, open) = (&queue, control, &kept, &broken, &open);
            let joins = &joins;
            works.push(async move {
                let mut session = this.another().await?;
                let dialect = session.dialect();
                for sql in dialect
                    .bulk()
                    .swift()
                    .iter()
                    .chain(dialect.landing().builds())
                {
                    // A setting that this user may not change only makes it slower.
                    let _ = session.execute(sql).await;
                }
                loop {
                    let next = queue
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .pop_front();
                    let Some(group) = next else { break };
                    let at = group.first().and_then(|made| this.planned(made));
                    let group = this.at_once(&group, &mut *session, control).await?;
                    for (number, made) in group.iter().enumerate() {
                        pressed(control)?;
                        if !this.make_own(made, &mut *session, kept, control).await? {
                            let rest = group[number..].to_vec();
                            lock(broken).push(rest);
                            break;
                        }
                    }
                    lock(open).retain(|open| Some(*open) != at);
                }
                let ready = |at: usize| !lock(open).contains(&at);
                this.join_and_settle(joins, ready, &mut *session, control)
                    .await?;
                session.close().await;
                Ok::<(), Failure>(())
            });
        }
        futures_util::future::try_join_all(works).await?;
        *tallies = kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        for group in broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
            self.once_more(&group, reader, tallies, control).await?;
        }
        Ok(())
    }

    /// First what takes longest, so that no session is left alone with it at the end.
    fn longest_first<'m>(
        &self,
        mut groups: Vec<Vec<&'m Made>>,
        joins: &Joins<'_>,
    ) -> VecDeque<Vec<&'m Made>> {
        let toil = |group: &[&Made]| {
            let at = group.first().and_then(|made| self.planned(made));
            at.map_or(0, |at| self.toil(at, group.iter().copied(), joins))
        };
        groups.sort_by_cached_key(|group| std::cmp::Reverse(toil(group)));
        groups.into()
    }

    /// Loads a table again, each key once, and makes what is left of its own.
    async fn once_more(
        &self,
        group: &[&Made],
        reader: &mut dyn Session,
        tallies: &mut [Tally],
        control: &Control,
    ) -> Result<(), Failure> {
        let Some(at) = group.first().and_then(|made| self.planned(made)) else {
            return Ok(());
        };
        tallies[at] = self.again(at, reader).await?;
        let mut session = self.another().await?;
        for made in group {
            pressed(control)?;
            self.make_one(made, &mut *session, control).await?;
        }
        session.close().await;
        Ok(())
    }

    /// The place in the plan of the table that something belongs to.
    pub(super) fn planned(&self, made: &Made) -> Option<usize> {
        let table = &self.looked.plan.catalog.tables[made.table?];
        let is = |plan: &TablePlan| plan.target.0 == table.schema && plan.target.1 == table.name;
        self.looked.plan.tables.iter().position(is)
    }

    /// Makes a key, an index or a check of one table. Rows for which it cannot be made are taken out, where the policy says so
    /// and the engine shows which they are. `false`: it does not show which came first.
    async fn make_own(
        &self,
        made: &Made,
        session: &mut dyn Session,
        tallies: &Mutex<Vec<Tally>>,
        control: &Control,
    ) -> Result<bool, Failure> {
        let name = ledger::made(&made.what);
        if self.history.made.contains(&name) {
            return Ok(true);
        }
        let at = self.planned(made);
        let began = Instant::now();
        loop {
            let Err(error) = self.try_one(made, session, control).await else {
                return self.made(made, session).await.map(|()| true);
            };
            let _ = session.rollback().await;
            if error.class == ErrorClass::Cancelled {
                pressed(control)?;
            }
            let hazard = at.and_then(|at| Some((at, self.set_aside_for(made, at, &error)?)));
            let Some((at, hazard)) = hazard else {
                return Err(self.not_made(made, &error, session).await);
            };
            let mut tally = lock(tallies)[at].clone();
            if self.without(hazard, made, at, session, &mut tally).await? {
                lock(tallies)[at] = tally;
                continue;
            }
            // Loaded so once, it would be no other a second time.
            if hazard == Hazard::DuplicateKey && !tally.once {
                return Ok(false);
            }
            // An index is made of rows, too, that went and that somebody's transaction may still look at.
            let seen = hazard == Hazard::TooLong && tally.removed.rows > 0;
            if seen && began.elapsed() < PATIENCE {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let failure = self.not_made(made, &error, session).await;
            return Err(match seen {
                true => failure.hint(STILL_SEEN),
                false => failure,
            });
        }
    }

    async fn make_one(
        &self,
        made: &Made,
        session: &mut dyn Session,
        control: &Control,
    ) -> Result<(), Failure> {
        let name = ledger::made(&made.what);
        if self.history.made.contains(&name) {
            return Ok(());
        }
        let outcome = self.try_one(made, session, control).await;
        if let Err(error) = outcome {
            let _ = session.rollback().await;
            if error.class == ErrorClass::Cancelled {
                pressed(control)?;
            }
            return Err(self.not_made(made, &error, session).await);
        }
        self.made(made, session).await
    }

    /// Records what was made, in its transaction.
    pub(super) async fn made(&self, made: &Made, session: &mut dyn Session) -> Result<(), Failure> {
        let name = ledger::made(&made.what);
        let detail = serde_json::json!({ "made": made.what });
        let record = ledger::record(journal::Event::Done, &name, &self.hash, detail);
        if session.in_transaction() {
            return ledger::commit(self.to, session, &self.pen, record).await;
        }
        let written = self.pen.append(self.to, session, &[record]).await;
        written.map_err(|error| ledger::failure(self.to, &error, "cannot write the journal"))
    }

    pub(super) async fn try_one(
        &self,
        made: &Made,
        session: &mut dyn Session,
        control: &Control,
    ) -> Result<(), DbError> {
        let transactional = session.caps().transactional_ddl;
        if transactional {
            session.begin().await?;
        }
        self.run_all(made, session, control).await
    }

    pub(super) async fn run_all(
        &self,
        made: &Made,
        session: &mut dyn Session,
        control: &Control,
    ) -> Result<(), DbError> {
        let transactional = session.caps().transactional_ddl;
        let canceller = session.canceller();
        for sql in &made.sql {
            match until_pressed(&*canceller, control, session.execute(sql)).await {
                Ok(_) => {}
                // A run that died after it and before its record has made it.
                Err(error)
                    if !transactional
                        && self.history.goes_on()
                        && error.class == ErrorClass::ObjectExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A key or foreign key that the rows break is a hazard of the rows.
    pub(super) async fn not_made(
        &self,
        made: &Made,
        error: &DbError,
        session: &mut dyn Session,
    ) -> Failure {
        let mut failure = self.broken(made, error, session).await;
        failure
            .done
            .push("all rows are in the target; `--resume` goes on from here".into());
        failure
    }

    /// Gives counters the values that they have in the source, and never less than what the rows need.
    pub(super) async fn counters(&mut self, reader: &mut dyn Session) -> Result<(), Failure> {
        let (from, to) = (self.from, self.to);
        let unread = |error: &DbError| {
            from.redact(trouble::failed(
                error,
                "a counter of the source cannot be read",
            ))
        };
        let unset = |error: &DbError| ledger::failure(to, error, "a counter cannot be set");
        let looked = self.looked;
        for plan in &looked.plan.tables {
            for counter in &plan.counters {
                let source = plan
                    .columns
                    .iter()
                    .find(|column| column.target == counter.column)
                    .map_or(counter.column.as_str(), |column| column.source.as_str());
                let landing = reader.dialect().landing();
                let query = landing.next_number(plan.source.0.as_deref(), &plan.source.1, source);
                let next = match query {
                    Some(query) => number(reader, &query).await.map_err(|e| unread(&e))?,
                    None => None,
                };
                let (schema, table) = (plan.target.0.as_deref(), plan.target.1.as_str());
                let dialect = to.dialect();
                let most = largest(dialect, schema, table, &counter.column);
                let most = number(&mut *self.work, &most)
                    .await
                    .map_err(|e| unset(&e))?;
                let last = next
                    .map_or(0, |next| next.saturating_sub(1))
                    .max(most.unwrap_or(0));
                let set = dialect
                    .landing()
                    .set_counter(schema, table, &counter.column, last);
                for query in set {
                    match self.work.query(&query.sql, &query.params).await {
                        Ok(_) => {}
                        // Nothing numbers rows here but the rows themselves.
                        Err(error) if error.class == ErrorClass::ObjectMissing => {}
                        Err(error) => return Err(unset(&error)),
                    }
                }
                self.counted.push(Counted {
                    schema: plan.target.0.clone(),
                    table: plan.target.1.clone(),
                    column: counter.column.clone(),
                    last,
                    next,
                });
            }
        }
        self.sequences(reader).await
    }

    /// Sequences that stand for themselves, like to like.
    async fn sequences(&mut self, reader: &mut dyn Session) -> Result<(), Failure> {
        let family = |caps: &dunlin_core::dialect::Caps| caps.engine.family();
        let alike = family(reader.caps()) == family(self.work.caps());
        let Some(query) = reader.dialect().catalog().counters().filter(|_| alike) else {
            return Ok(());
        };
        let rows = reader.query(query, &[]).await.map_err(|error| {
            self.from.redact(trouble::failed(
                &error,
                "the source's sequences cannot be read",
            ))
        })?;
        for row in &rows {
            let Some(sql) = row.first().and_then(Value::as_str) else {
                continue;
            };
            match self.work.execute(sql).await {
                Ok(_) => self.set_sequences.push(sql.to_owned()),
                // Of a table that is not copied, or is called otherwise: its counter was set by its column.
                Err(error) if error.class == ErrorClass::ObjectMissing => {}
                Err(error) => {
                    return Err(ledger::failure(self.to, &error, "a sequence cannot be set"));
                }
            }
        }
        Ok(())
    }

    /// Views, routines, triggers: what the target does not take is named.
    pub(super) async fn last(&mut self, copied: &mut Copied) -> Result<(), Failure> {
        self.settle().await?;
        if self.job.what == What::Data {
            return Ok(());
        }
        if copied.equal == Some(false) && !self.stages.last.is_empty() {
            copied.findings.push(Finding::warning(
                "left-off",
                Place::default(),
                "views, routines and triggers were not made: the rows are not proven",
            ));
            return Ok(());
        }
        let stages = self.stages;
        for made in &stages.last {
            let name = ledger::made(&made.what);
            if self.history.made.contains(&name) {
                continue;
            }
            if let Err(error) = self.try_here(made).await {
                let _ = self.work.rollback().await;
                if error.class.is_lost() {
                    return Err(ledger::failure(self.to, &error, "the connection was lost"));
                }
                copied.not_carried.push(NotCarried {
                    object: made.what.clone(),
                    why: format!("the target refuses it: {}", error.message),
                    text: Some(made.sql.join(";\n")),
                });
                continue;
            }
            let detail = serde_json::json!({ "made": made.what });
            let record = ledger::record(journal::Event::Done, &name, &self.hash, detail);
            if self.work.in_transaction() {
                ledger::commit(self.to, &mut *self.work, &self.pen, record).await?;
            } else {
                let written = self.pen.append(self.to, &mut *self.work, &[record]).await;
                written.map_err(|e| ledger::failure(self.to, &e, "cannot write the journal"))?;
            }
        }
        Ok(())
    }

    /// Has the engine take its statistics, of several large tables at once.
    async fn settle(&mut self) -> Result<(), Failure> {
        let left = self.order().into_iter();
        let left = left.filter(|at| !self.early.has_settled(*at));
        let statements: VecDeque<String> = left.filter_map(|at| self.settle_one(at)).collect();
        if statements.is_empty() {
            return Ok(());
        }
        let rows: u64 = self.looked.sizes.iter().map(|size| size.rows).sum();
        let more = if rows < MANY { 1 } else { self.sessions() };
        let mut others = vec![];
        for _ in 1..more.min(statements.len()) {
            others.push(self.another().await?);
        }
        let queue = Mutex::new(statements);
        let next = || lock(&queue).pop_front();
        let all = others.iter_mut().chain(std::iter::once(&mut self.work));
        let works = all.map(async |session| {
            while let Some(sql) = next() {
                // Statistics come by themselves too, later.
                let _ = session.execute(&sql).await;
            }
        });
        futures_util::future::join_all(works).await;
        for session in others {
            session.close().await;
        }
        Ok(())
    }

    /// The statement for the statistics of one table of the plan.
    pub(super) fn settle_one(&self, at: usize) -> Option<String> {
        let dialect = self.to.dialect();
        let (schema, table) = &self.looked.plan.tables[at].target;
        let name = dialect.change().table(schema.as_deref(), table);
        dialect.landing().settle(&name)
    }

    async fn try_here(&mut self, made: &Made) -> Result<(), DbError> {
        let transactional = self.work.caps().transactional_ddl;
        if transactional {
            self.work.begin().await?;
        }
        for sql in &made.sql {
            self.work.execute(sql).await?;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number in the last column of the only row; `None`: no row, or NULL.
async fn number(session: &mut dyn Session, query: &Query) -> Result<Option<i64>, DbError> {
    let rows = match session.query(&query.sql, &query.params).await {
        Ok(rows) => rows,
        // An engine makes its table of counters with the first of them.
        Err(error) if error.class == ErrorClass::ObjectMissing => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(rows.first().and_then(|row| row.last()?.as_i64()))
}
