//! The proof: every row is read again from the target, in new sessions, and compared with what was read from the source.

use super::rows::{self, Tally};
use super::{Copied, Copying, ledger};
use crate::digest::{begin_snapshot, digest_in_silence, end_snapshot};
use dunlin_core::copy::Digest;
use dunlin_core::copy::reading::Bound;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{ErrorClass, Failure};
use dunlin_core::finding::{Finding, Place};
use dunlin_engines::{DbError, Purpose, Session};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

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
        let wrong =
            |error: &DbError| ledger::failure(self.to, error, "the target cannot be read again");
        let plans = &self.looked.plan.tables;
        let tables: Arc<Vec<Bound>> = Arc::new(plans.iter().map(rows::target).collect());
        // The slowest first, so that no session is left alone with it at the end.
        let queue = Arc::new(Mutex::new(
            self.order().into_iter().collect::<VecDeque<_>>(),
        ));
        let mut found = vec![Digest::default(); plans.len()];
        let mut works = vec![];
        for _ in 0..super::jobs(self.job).min(plans.len()) {
            let engine = Arc::clone(&self.to.engine);
            let (tables, queue) = (Arc::clone(&tables), Arc::clone(&queue));
            works.push(alone(async move {
                let mut session = engine.open(Purpose::Read).await?;
                let digests = digests_of(&mut *session, &tables, &queue).await;
                session.close().await;
                digests
            }));
        }
        let done = futures_util::future::try_join_all(works).await;
        for (at, digest) in done.map_err(|error| wrong(&error))?.into_iter().flatten() {
            found[at] = digest;
        }
        Ok(found)
    }
}

/// Does work that opens a session of its own on a thread of its own: the session's driver and who takes its rows then hand
/// over to each other without waking a thread, which for rows by the million is most of what it costs.
async fn alone<T: Send + 'static>(
    work: impl Future<Output = Result<T, DbError>> + Send + 'static,
) -> Result<T, DbError> {
    let none = |error: &dyn std::fmt::Display| {
        DbError::new(ErrorClass::Other, format!("no thread to read on: {error}"))
    };
    let (answer, answered) = oneshot::channel();
    let (wanted, given_up) = oneshot::channel::<()>();
    let thread = std::thread::Builder::new().name("dunlin-proof".into());
    let spawned = thread.spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let done = match runtime {
            Ok(runtime) => runtime.block_on(async {
                tokio::select! {
                    done = work => Some(done),
                    // Who asked has gone: no more rows are taken.
                    _ = given_up => None,
                }
            }),
            Err(error) => Some(Err(none(&error))),
        };
        if let Some(done) = done {
            let _ = answer.send(done);
        }
    });
    spawned.map_err(|error| none(&error))?;
    let done = answered.await;
    drop(wanted);
    done.unwrap_or_else(|_| Err(none(&"it ended before its work did")))
}

/// The digests of the tables that are left in the queue, one after the other, in a transaction that sees one state.
async fn digests_of(
    session: &mut dyn Session,
    tables: &[Bound],
    queue: &Mutex<VecDeque<usize>>,
) -> Result<Vec<(usize, Digest)>, DbError> {
    begin_snapshot(session).await?;
    let mut found = vec![];
    let next = || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.pop_front()
    };
    while let Some(at) = next() {
        found.push((at, digest_in_silence(session, &tables[at]).await?));
    }
    let _ = end_snapshot(session).await;
    Ok(found)
}
