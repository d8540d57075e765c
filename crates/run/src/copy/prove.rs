//! The proof: every row is read again from the target, in new sessions, and compared with what was read from the source.

use super::rows::{self, Tally};
use super::{Copied, Copying, ledger};
use crate::digest::{begin_snapshot, end_snapshot};
use dunlin_core::copy::reading::Bound;
use dunlin_core::copy::{Digest, RowHasher};
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::Failure;
use dunlin_core::finding::{Finding, Place};
use dunlin_engines::{DbError, Session};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// The digest of one table as its session sees it now.
pub async fn digest(session: &mut dyn Session, table: &Bound) -> Result<Digest, DbError> {
    let rows = session.dialect().rows();
    let mut hasher = RowHasher::new(table.types(), rows.typing());
    let select = rows.select(table);
    let mut stream = session.stream(&select).await?;
    // One batch is hashed while the next is read.
    let mut hashing: Option<tokio::task::JoinHandle<RowHasher>> = None;
    let mut idle = Some(hasher);
    while let Some(batch) = stream.next().await? {
        if let Some(work) = hashing.take() {
            idle = Some(joined(work).await);
        }
        if let Some(mut hasher) = idle.take() {
            hashing = Some(tokio::task::spawn_blocking(move || {
                for row in 0..batch.len() {
                    hasher.row(batch.row(row));
                }
                hasher
            }));
        }
    }
    hasher = match (hashing, idle) {
        (Some(work), _) => joined(work).await,
        (None, Some(hasher)) => hasher,
        (None, None) => RowHasher::new(table.types(), rows.typing()),
    };
    Ok(hasher.digest())
}

async fn joined(work: tokio::task::JoinHandle<RowHasher>) -> RowHasher {
    match work.await {
        Ok(hasher) => hasher,
        Err(broken) => std::panic::resume_unwind(broken.into_panic()),
    }
}

impl Copying<'_> {
    /// Reads every table again and compares.
    pub(super) async fn prove(
        &self,
        tallies: &[Tally],
        copied: &mut Copied,
        sink: &mut dyn Sink,
    ) -> Result<(), Failure> {
        sink.event(&Event::Note {
            message: "reading every row again".into(),
        });
        let found = self.digests().await?;
        let mut all = true;
        for ((line, tally), found) in copied.tables.iter_mut().zip(tallies).zip(&found) {
            // Of rows that were there before, only what was added counts.
            let added = Digest {
                rows: found.rows.wrapping_sub(tally.before.rows),
                sum: found.sum.wrapping_sub(tally.before.sum),
            };
            line.rows_target = added.rows;
            line.digest_target = Some(added.hex());
            let wanted = tally.left();
            line.equal = Some(added == wanted);
            if added != wanted {
                all = false;
                copied.findings.push(
                    Finding::error(
                        "rows-differ",
                        Place::object(line.table.clone()),
                        format!(
                            "{}: {} rows were sent and {} are there; their contents differ",
                            line.table, wanted.rows, added.rows
                        ),
                    )
                    .help("`dunlin verify FROM TO` names the rows and columns; a trigger or rule of the target may change rows as they come"),
                );
            }
        }
        copied.equal = Some(all);
        Ok(())
    }

    async fn digests(&self) -> Result<Vec<Digest>, Failure> {
        let plans = &self.looked.plan.tables;
        let wrong =
            |error: &DbError| ledger::failure(self.to, error, "the target cannot be read again");
        let queue = Mutex::new((0..plans.len()).collect::<VecDeque<usize>>());
        let found = Mutex::new(vec![Digest::default(); plans.len()]);
        let mut works = vec![];
        for _ in 0..super::jobs(self.job).min(plans.len()) {
            let (queue, found) = (&queue, &found);
            works.push(async move {
                let session = self.to.engine.open(dunlin_engines::Purpose::Read).await;
                let mut session = session.map_err(|error| wrong(&error))?;
                begin_snapshot(&mut *session)
                    .await
                    .map_err(|error| wrong(&error))?;
                loop {
                    let next = queue
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .pop_front();
                    let Some(at) = next else { break };
                    let table = rows::target(&plans[at]);
                    let digest = digest(&mut *session, &table)
                        .await
                        .map_err(|error| wrong(&error))?;
                    found.lock().unwrap_or_else(PoisonError::into_inner)[at] = digest;
                }
                let _ = end_snapshot(&mut *session).await;
                session.close().await;
                Ok::<(), Failure>(())
            });
        }
        futures_util::future::try_join_all(works).await?;
        Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}
