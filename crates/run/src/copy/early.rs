//! What a session does that has nothing left to do while others have: one without a table to fill makes keys and indexes of
//! tables that are through, beside the rows of the others; one without an index to make takes the statistics of tables that
//! have theirs.
//!
//! Nothing is decided here. What cannot be made so early is left for its own time, where it is tried again and why is said; and
//! where a policy may set rows aside for a key, or take those out that refer to nothing, nothing is made early at all.

use super::after::until_pressed;
use super::short::fails;
use super::{Copying, What, ledger};
use crate::control::Control;
use dunlin_core::copy::stages::{Made, Of};
use dunlin_core::failure::Failure;
use dunlin_engines::{Cancel, Session};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a server is asked to end what nobody waits for any more.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was done before its time.
#[derive(Default)]
pub(super) struct Early {
    /// The names of what is made.
    made: Mutex<BTreeSet<String>>,
    /// Tables whose statistics were taken, as in the plan.
    settled: Mutex<BTreeSet<usize>>,
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
        let take = || {
            let mut groups = lock(&groups.waiting);
            let ready = groups.keys().copied().filter(|at| through(*at));
            let rows = |at: &usize| self.looked.sizes[*at].rows;
            let most = ready.max_by_key(|at| rows(at).saturating_mul(groups[at].len() as u64));
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
        self.settle_early(ready, session, &Control::free()).await;
        Ok(())
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

    /// Takes the statistics of tables that nothing more will be made of but foreign keys. `ready`: whether a table is one.
    pub(super) async fn settle_early(
        &self,
        ready: impl Fn(usize) -> bool,
        session: &mut dyn Session,
        control: &Control,
    ) {
        if !self.may_be_early() {
            return;
        }
        let next = || {
            if self.is_broken() {
                return None;
            }
            let mut settled = lock(&self.early.settled);
            let wide = |at: &usize| self.looked.sizes[*at].width();
            let left =
                (0..self.looked.sizes.len()).filter(|at| !settled.contains(at) && ready(*at));
            let at = left.max_by_key(wide)?;
            settled.insert(at);
            Some(at)
        };
        while let Some(at) = next() {
            let Some(sql) = self.settle_one(at) else {
                continue;
            };
            // Statistics come by themselves too, later.
            let canceller = session.canceller();
            let _ = until_pressed(&*canceller, control, session.execute(&sql)).await;
        }
    }
}
