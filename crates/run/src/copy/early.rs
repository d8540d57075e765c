//! What a session does that has nothing left to do while others have: one without a table to fill makes keys and indexes of
//! tables that are through, beside the rows of the others; one without an index to make adds foreign keys between tables that
//! have theirs, and takes statistics.
//!
//! Nothing is decided here. What cannot be made so early is left for its own time, where it is tried again and why is said; and
//! where a policy may set rows aside for a key, or take those out that refer to nothing, nothing is made early at all.

use super::after::{pressed, until_pressed};
use super::short::fails;
use super::{Copying, What, ledger};
use crate::control::Control;
use dunlin_core::copy::stages::{Made, Of};
use dunlin_core::failure::Failure;
use dunlin_core::schema::NeutralType;
use dunlin_core::schema::order::parents;
use dunlin_engines::{Cancel, Session};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a server is asked to end what nobody waits for any more.
const PATIENCE: Duration = Duration::from_secs(1);

/// What putting a text into an index takes, and looking a row of a foreign key up, where putting a number there takes 1: some
/// 1.4 µs, 0.8 and 0.45 (PostgreSQL 18, the tables of `cargo x bench copy`).
const ENTRY_WIDE: u64 = 3;
const LOOK: u64 = 2;

/// What was done before its time.
#[derive(Default)]
pub(super) struct Early {
    /// The names of what is made.
    made: Mutex<BTreeSet<String>>,
    /// Tables whose statistics were taken, as in the plan.
    settled: Mutex<BTreeSet<usize>>,
    /// The names of foreign keys that were tried.
    tried: Mutex<BTreeSet<String>>,
    /// Tables whose statistics are being taken, or that a foreign key is being added between: both want them to themselves.
    busy: Mutex<BTreeSet<usize>>,
    /// What ends a statement that is under way.
    under_way: Mutex<Vec<Box<dyn Cancel>>>,
    /// When the last table was through.
    filled: Mutex<Option<Instant>>,
    /// Nobody wants any more of it.
    over: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Early {
    /// A table is through.
    pub(super) fn is_through(&self) {
        *lock(&self.filled) = Some(Instant::now());
    }

    /// When the last one was.
    pub(super) fn filled(&self) -> Option<Instant> {
        *lock(&self.filled)
    }

    /// Whether a thing is made already.
    pub(super) fn has_made(&self, made: &Made) -> bool {
        lock(&self.made).contains(&made.what)
    }

    /// Whether a table's statistics are taken already.
    pub(super) fn has_settled(&self, at: usize) -> bool {
        lock(&self.settled).contains(&at)
    }

    /// Takes tables for itself, unless somebody has one of them.
    fn occupy(&self, tables: &[usize]) -> bool {
        let mut busy = lock(&self.busy);
        let free = tables.iter().all(|at| !busy.contains(at));
        if free {
            busy.extend(tables);
        }
        free
    }

    fn leave(&self, tables: &[usize]) {
        lock(&self.busy).retain(|at| !tables.contains(at));
    }

    /// Ends what is under way: whoever asked for it is gone, and the server would go on by itself.
    pub(super) async fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        let all = std::mem::take(&mut *lock(&self.under_way));
        for one in all {
            // A server that does not answer has nothing under way, or nobody to tell.
            let _ = tokio::time::timeout(PATIENCE, one.cancel()).await;
        }
    }
}

/// What there is to make of tables that are through, each table's by one session.
pub(super) struct Groups<'m> {
    waiting: Mutex<BTreeMap<usize, VecDeque<&'m Made>>>,
    /// Tables of which something is still to be made.
    open: Mutex<BTreeSet<usize>>,
    joins: Joins<'m>,
}

/// Foreign keys that may be added before all tables are through.
#[derive(Default)]
pub(super) struct Joins<'m> {
    /// Those that were not tried yet, each with its table and the one that it refers to, as in the plan.
    keys: Mutex<Vec<(&'m Made, [usize; 2])>>,
    /// What looking at their rows takes, by the tables that they wait for.
    looks: BTreeMap<usize, u64>,
}

impl Copying<'_> {
    /// Whether anything may be done before its time.
    pub(super) fn may_be_early(&self) -> bool {
        self.looked.to.transactional_ddl
            && self.sessions() > 1
            && self.job.what == What::All
            && self.job.existing.is_none()
            && fails(&self.job.policies)
    }

    /// What tables have of their own, by their places in the plan.
    pub(super) fn early_groups(&self) -> Groups<'_> {
        let mut groups: BTreeMap<usize, VecDeque<&Made>> = BTreeMap::new();
        if self.may_be_early() {
            for made in &self.stages.after {
                // What was made with its family has keys that are its family's, too.
                let alone = made
                    .table
                    .is_some_and(|at| !self.stages.early.contains(&at));
                let own = alone && !matches!(made.of, Of::ForeignKey(_));
                if let Some(at) = self.planned(made).filter(|_| own) {
                    groups.entry(at).or_default().push_back(made);
                }
            }
        }
        Groups {
            open: Mutex::new(groups.keys().copied().collect()),
            waiting: Mutex::new(groups),
            joins: self.joins(),
        }
    }

    /// Makes what there is to make of tables that are through, as long as there is some, and takes their statistics.
    /// `through`: whether a table is.
    pub(super) async fn make_early(
        &self,
        groups: &Groups<'_>,
        through: impl Fn(usize) -> bool,
        session: &mut dyn Session,
    ) -> Result<(), Failure> {
        let joins = &groups.joins;
        let take = || {
            let mut groups = lock(&groups.waiting);
            let ready = groups.keys().copied().filter(|at| through(*at));
            let toil = |at: &usize| self.toil(*at, groups[at].iter().copied(), joins);
            let most = ready.max_by_key(toil);
            most.and_then(|at| groups.remove_entry(&at))
        };
        if !self.may_be_early() {
            return Ok(());
        }
        lock(&self.early.under_way).push(session.canceller());
        while let Some((at, group)) = take() {
            if self.make_group(group, session).await? {
                lock(&groups.open).remove(&at);
            }
        }
        let ready = |at: usize| through(at) && !lock(&groups.open).contains(&at);
        self.join_and_settle(joins, ready, session, &Control::free())
            .await
    }

    /// `false`: something of it could not be made, or nobody wants it any more.
    async fn make_group(
        &self,
        group: VecDeque<&Made>,
        session: &mut dyn Session,
    ) -> Result<bool, Failure> {
        for made in group {
            if self.early.over.load(Ordering::Relaxed) || self.is_broken() {
                return Ok(false);
            }
            if self.history.made.contains(&ledger::made(&made.what)) {
                continue;
            }
            if self.try_one(made, session, &Control::free()).await.is_err() {
                // Its own time says why; and what of this table comes after it waits for that.
                let _ = session.rollback().await;
                return Ok(false);
            }
            self.made(made, session).await?;
            lock(&self.early.made).insert(made.what.clone());
        }
        Ok(true)
    }

    /// The foreign keys between tables of this copy that were made each by itself.
    pub(super) fn joins(&self) -> Joins<'_> {
        let tables = &self.looked.plan.catalog.tables;
        let parent = parents(tables);
        let plans = self.looked.plan.tables.iter().enumerate();
        let plans = plans.map(|(at, plan)| ((&plan.target.0, &plan.target.1), at));
        let plans: BTreeMap<_, usize> = plans.collect();
        let planned = |place: usize| {
            let alone = !self.stages.early.contains(&place);
            let table = &tables[place];
            let found = plans.get(&(&table.schema, &table.name));
            found.copied().filter(|_| alone)
        };
        let ends = |made: &Made| {
            let Of::ForeignKey(number) = made.of else {
                return None;
            };
            let child = made.table?;
            let parent = parent(tables[child].foreign_keys.get(number)?)?;
            Some([planned(child)?, planned(parent)?])
        };
        let made: BTreeSet<&String> = self.history.made.iter().collect();
        let tried = lock(&self.early.tried);
        let fresh =
            |key: &Made| !tried.contains(&key.what) && !made.contains(&ledger::made(&key.what));
        let (mut joins, mut keys) = (Joins::default(), vec![]);
        for made in self.stages.after.iter() {
            if let Some(ends) = ends(made).filter(|_| fresh(made)) {
                let look = self.looked.sizes[ends[0]].rows.saturating_mul(LOOK);
                for at in BTreeSet::from(ends) {
                    let more = joins.looks.entry(at).or_default();
                    *more = look.saturating_add(*more);
                }
                keys.push((made, ends));
            }
        }
        joins.keys = Mutex::new(keys);
        joins
    }

    /// What making things of a table takes, against others: entries to be put in order, and what waits for them.
    pub(super) fn toil<'m>(
        &self,
        at: usize,
        things: impl Iterator<Item = &'m Made>,
        joins: &Joins<'_>,
    ) -> u64 {
        let each: u64 = things.map(|made| self.entry(made)).sum();
        let entries = self.looked.sizes[at].rows.saturating_mul(each);
        entries.saturating_add(joins.looks.get(&at).copied().unwrap_or_default())
    }

    /// What an entry takes, by what it is put in order by first.
    fn entry(&self, made: &Made) -> u64 {
        let table = made.table.map(|at| &self.looked.plan.catalog.tables[at]);
        let first = table.and_then(|table| {
            let name = match made.of {
                Of::Key(number) => table.keys.get(number)?.columns.first()?,
                Of::Index(number) => &table.indexes.get(number)?.parts.first()?.what,
                _ => return None,
            };
            table.column(name)
        });
        match first.map(|column| &column.neutral) {
            Some(NeutralType::Text | NeutralType::Bytes | NeutralType::Decimal) | None => {
                ENTRY_WIDE
            }
            Some(_) => 1,
        }
    }

    /// Adds foreign keys between tables that have all else, and takes statistics of others meanwhile, as long as there is
    /// something to do. `ready`: whether nothing more is to be made of a table but foreign keys.
    pub(super) async fn join_and_settle(
        &self,
        joins: &Joins<'_>,
        ready: impl Fn(usize) -> bool,
        session: &mut dyn Session,
        control: &Control,
    ) -> Result<(), Failure> {
        while self.may_be_early() && !self.is_broken() && !self.early.over.load(Ordering::Relaxed) {
            if let Some((made, ends)) = self.next_key(joins, &ready) {
                let added = self.join(made, session, control).await;
                self.early.leave(&ends);
                added?;
            } else if let Some(at) = self.next_to_settle(&ready) {
                if let Some(sql) = self.settle_one(at) {
                    // Statistics come by themselves too, later.
                    let canceller = session.canceller();
                    let _ = until_pressed(&*canceller, control, session.execute(&sql)).await;
                }
                self.early.leave(&[at]);
            } else {
                break;
            }
            pressed(control)?;
        }
        Ok(())
    }

    /// A foreign key that can be added now; its tables are taken for it.
    fn next_key<'m>(
        &self,
        joins: &Joins<'m>,
        ready: impl Fn(usize) -> bool,
    ) -> Option<(&'m Made, [usize; 2])> {
        let mut keys = lock(&joins.keys);
        let next = keys
            .iter()
            .position(|(_, ends)| ends.iter().all(|at| ready(*at)) && self.early.occupy(ends));
        let (made, ends) = keys.remove(next?);
        lock(&self.early.tried).insert(made.what.clone());
        Some((made, ends))
    }

    /// The widest table without statistics that they can be taken of now; it is taken for that.
    fn next_to_settle(&self, ready: impl Fn(usize) -> bool) -> Option<usize> {
        let mut settled = lock(&self.early.settled);
        let wide = |at: &usize| std::cmp::Reverse(self.looked.sizes[*at].width());
        let mut left: Vec<usize> = (0..self.looked.sizes.len())
            .filter(|at| !settled.contains(at) && ready(*at))
            .collect();
        left.sort_by_key(wide);
        let at = left.into_iter().find(|at| self.early.occupy(&[*at]))?;
        settled.insert(at);
        Some(at)
    }

    /// Adds a foreign key. What its rows break has its own time, which says why.
    async fn join(
        &self,
        made: &Made,
        session: &mut dyn Session,
        control: &Control,
    ) -> Result<(), Failure> {
        if self.try_one(made, session, control).await.is_err() {
            let _ = session.rollback().await;
            return Ok(());
        }
        self.made(made, session).await?;
        lock(&self.early.made).insert(made.what.clone());
        Ok(())
    }
}
