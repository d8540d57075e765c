//! What there is to do, handed out to the sessions one by one, and progress told meanwhile.

use super::ends::Readers;
use super::parts::Parted;
use super::rows::Tally;
use super::short::begins_again;
use super::table::Pipe;
use super::{Copying, jobs};
use crate::trouble;
use dunlin_core::dialect::landing::Inline;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::Failure;
use dunlin_engines::{Purpose, Session};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often progress is told.
const TOLD: Duration = Duration::from_millis(500);

/// What a session does at a time: a table, or one part of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    at: usize,
    part: Option<usize>,
}

/// What is to be done of some tables: first what takes longest, so that no session is left alone with it at the end.
pub(super) fn works_of(
    tables: impl Iterator<Item = usize>,
    parted: &BTreeMap<usize, Parted>,
    cost: impl Fn(usize) -> u64,
) -> VecDeque<Work> {
    let mut works: Vec<(u64, Work)> = vec![];
    for at in tables {
        match parted.get(&at) {
            None => works.push((cost(at), Work { at, part: None })),
            Some(parted) => {
                let each = cost(at) / parted.count();
                let left = parted.left().map(Some);
                works.extend(left.map(|part| (each, Work { at, part })));
            }
        }
    }
    works.sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
    works.into_iter().map(|(_, work)| work).collect()
}

impl Copying<'_> {
    /// How many sessions may write at once: one, where the engine has one writer.
    pub(crate) fn sessions(&self) -> usize {
        match self.to.dialect().landing().inline() {
            Inline::Everything => 1,
            _ => jobs(self.job),
        }
    }

    /// A session that writes to the target beside the first.
    pub(crate) async fn another(&self) -> Result<Box<dyn Session>, Failure> {
        let session = self.to.engine.open(Purpose::Tool).await;
        session.map_err(|error| {
            self.to
                .redact(trouble::failed(&error, "cannot open another session"))
        })
    }

    /// Does all that is to be done, each session one thing at a time. Gives what became of each table's rows.
    pub(super) async fn work_off(
        &self,
        works: VecDeque<Work>,
        parted: &BTreeMap<usize, Parted>,
        readers: &mut Readers,
        writers: Vec<Box<dyn Session>>,
        sink: &mut dyn Sink,
    ) -> Result<BTreeMap<usize, Tally>, Failure> {
        let plans = &self.looked.plan.tables;
        let done: Vec<Arc<AtomicU64>> = plans.iter().map(|_| Arc::default()).collect();
        let queue = Mutex::new(works);
        let finished: Mutex<BTreeMap<usize, Tally>> = Mutex::new(BTreeMap::new());
        let groups = self.early_groups();
        let mut works = vec![];
        for (reader, mut writer) in readers.all().iter_mut().zip(writers) {
            let (queue, finished, done, groups) = (&queue, &finished, &done, &groups);
            works.push(async move {
                // Of a copy that begins again everybody stops, and takes back what is not done.
                while !self.is_broken() {
                    let next = queue
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .pop_front();
                    let Some(Work { at, part }) = next else {
                        // Of a table in parts nobody knows here whether all are through.
                        let through = |at: usize| {
                            let finished = finished.lock().unwrap_or_else(PoisonError::into_inner);
                            finished.contains_key(&at) && !parted.contains_key(&at)
                        };
                        self.make_early(groups, through, &mut *writer).await?;
                        break;
                    };
                    let mut pipe = Pipe {
                        reader: &mut **reader,
                        writer: &mut *writer,
                        done: &done[at],
                    };
                    let tally = match part.zip(parted.get(&at)) {
                        Some((part, parted)) => self.part(at, parted, part, &mut pipe).await,
                        None => self.table(at, &mut pipe).await,
                    };
                    if tally.is_err() && self.is_broken() {
                        break;
                    }
                    let mut finished = finished.lock().unwrap_or_else(PoisonError::into_inner);
                    finished.entry(at).or_default().add(tally?);
                    self.early.is_through();
                }
                writer.close().await;
                Ok::<(), Failure>(())
            });
        }
        let all = futures_util::future::try_join_all(works);
        ticking(self, all, &done, sink).await?;
        if self.is_broken() {
            return Err(begins_again());
        }
        Ok(std::mem::take(
            &mut *finished.lock().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

/// Waits for work, and tells how far it is meanwhile.
pub(super) async fn ticking<T>(
    copying: &Copying<'_>,
    work: impl Future<Output = Result<T, Failure>>,
    done: &[Arc<AtomicU64>],
    sink: &mut dyn Sink,
) -> Result<T, Failure> {
    tokio::pin!(work);
    let mut ticks = tokio::time::interval(TOLD);
    let ended = loop {
        tokio::select! {
            ended = &mut work => break ended?,
            _ = ticks.tick() => tell(copying, done, sink),
        }
    };
    tell(copying, done, sink);
    Ok(ended)
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
