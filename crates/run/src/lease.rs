//! The lease: taking it, keeping it alive, losing it, giving it back (invariant 9).

use crate::control::{Control, Stop};
use crate::journal_store;
use crate::trouble;
use crate::world::World;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::limits;
use dunlin_engines::lease::{LeaseLock, Work};
use dunlin_engines::{Cancel, Session};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

/// The lease, held. Dropping it without [`Lease::release`] leaves its end to the server or the operating system, as a
/// crash would.
pub struct Lease {
    /// The fencing token.
    pub token: i64,
    lost: watch::Receiver<bool>,
    stop: watch::Sender<bool>,
    beat: JoinHandle<()>,
    cancel: Arc<Mutex<Box<dyn Cancel>>>,
}

impl Lease {
    /// Whether another runner has taken it.
    pub fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Names the session whose statement is cancelled when the lease is lost: the runner opened a fresh one.
    pub async fn watch_over(&self, cancel: Box<dyn Cancel>) {
        *self.cancel.lock().await = cancel;
    }

    /// Gives it back.
    pub async fn release(self) {
        self.stop.send_replace(true);
        let _ = self.beat.await;
    }
}

/// How often a waiter says whom it waits for.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// Takes the lease for the session that will write. `wait`: wait for another runner, else leave with "locked".
pub async fn acquire(
    world: &World,
    work: &mut dyn Session,
    wait: bool,
    sink: &mut dyn Sink,
    control: &mut Control,
) -> Result<Lease, Failure> {
    let refused = |error: &dunlin_engines::DbError| {
        world.redact(trouble::refused(error, "cannot take the lease"))
    };
    let mut lock = dunlin_engines::lease::lock(&*world.engine, &world.names)
        .await
        .map_err(|error| refused(&error))?;
    take(world, &mut *lock, wait, sink, control).await?;
    succeed(world, &mut *lock, work, sink, control).await?;
    let old = journal_store::ensure(world, work).await?;
    let token = old + 1;
    let raised = work
        .execute_with(&world.sql.fence_raise, &[token.into(), old.into()])
        .await;
    match raised {
        Ok(1) => {}
        Ok(_) => {
            return Err(locked(
                "another runner took the lease at the same moment",
                None,
            ));
        }
        Err(error) if matches!(error.class, ErrorClass::Busy | ErrorClass::LockTimeout) => {
            return Err(locked(
                "another writer holds the database and does not let go",
                None,
            ));
        }
        Err(error) => return Err(refused(&error)),
    }
    let who = format!("{} (process {})", world.who, std::process::id());
    lock.announce(token, &who, &world.clock.stamp())
        .await
        .map_err(|error| refused(&error))?;
    sink.event(&Event::LeaseTaken { token });
    Ok(keep(lock, token, work.canceller()))
}

fn locked(message: &str, holder: Option<&str>) -> Failure {
    let message = holder.map_or_else(
        || message.to_owned(),
        |holder| format!("{message}: {holder}"),
    );
    Failure::new(FailureClass::Locked, "locked", message)
        .hint("`dunlin unlock` shows the holder; run again when it is through")
}

async fn take(
    world: &World,
    lock: &mut dyn LeaseLock,
    wait: bool,
    sink: &mut dyn Sink,
    control: &mut Control,
) -> Result<(), Failure> {
    let refused = |error: &dunlin_engines::DbError| {
        world.redact(trouble::refused(error, "cannot take the lease"))
    };
    let started = Instant::now();
    let mut said: Option<Instant> = None;
    loop {
        if lock.try_take().await.map_err(|error| refused(&error))? {
            return Ok(());
        }
        let holder = lock.holder().await.map_err(|error| refused(&error))?;
        let shown = holder.as_ref().map_or_else(
            || "a runner that has not said its name yet".to_owned(),
            |holder| format!("{}, since {}", holder.who, holder.since),
        );
        if holder
            .as_ref()
            .is_some_and(|holder| holder.held && holder.beat_age > limits::LEASE_TTL)
        {
            // It holds the lock and gives no sign of life: stopped, or cut off. Its place is taken.
            lock.break_stopped(false).await.map_err(|error| {
                locked(
                    &format!(
                        "the holder has stopped, and ending its session needs a right ({})",
                        error.message
                    ),
                    Some(&shown),
                )
            })?;
        } else if !wait {
            return Err(locked("another runner is at work", Some(&shown)));
        }
        if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
            let waited_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            sink.event(&Event::LeaseWaiting {
                holder: shown,
                waited_ms,
            });
            said = Some(Instant::now());
        }
        tokio::select! {
            () = tokio::time::sleep(limits::LEASE_POLL) => {}
            () = control.until(Stop::Soon) => {
                return Err(Failure::new(FailureClass::Interrupted, "interrupted", "interrupted while waiting; nothing was touched"));
            }
        }
    }
}

/// Makes sure that no session of a predecessor is left: only then may anything be probed.
async fn succeed(
    world: &World,
    lock: &mut dyn LeaseLock,
    work: &mut dyn Session,
    sink: &mut dyn Sink,
    control: &mut Control,
) -> Result<(), Failure> {
    let started = Instant::now();
    let mut said = false;
    loop {
        let state = lock
            .try_work(work)
            .await
            .map_err(|error| world.redact(trouble::refused(&error, "cannot take the lease")))?;
        match state {
            Work::Taken => return Ok(()),
            Work::MayNotEnd(who, error) => {
                let message = format!(
                    "a statement of a dead runner still runs ({who}), and ending it needs a right: {}",
                    error.message
                );
                let mut failure = locked(&message, None);
                failure.hints.extend(error.hint);
                return Err(failure);
            }
            Work::Ending(who) if !said => {
                sink.event(&Event::PredecessorEnding { holder: who });
                said = true;
            }
            Work::Ending(_) => {}
        }
        if started.elapsed() > limits::END_SESSION_PATIENCE {
            return Err(locked("the session of a dead runner does not end", None));
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
            () = control.until(Stop::Soon) => {
                return Err(Failure::new(FailureClass::Interrupted, "interrupted", "interrupted while waiting; nothing was touched"));
            }
        }
    }
}

/// Beats every second; a beat that fails means the lease is lost, and the work session's statement is cancelled.
fn keep(mut lock: Box<dyn LeaseLock>, token: i64, cancel: Box<dyn Cancel>) -> Lease {
    let (lost_sender, lost) = watch::channel(false);
    let (stop, mut stopped) = watch::channel(false);
    let cancel = Arc::new(Mutex::new(cancel));
    let over = Arc::clone(&cancel);
    let beat = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(limits::LEASE_BEAT);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stopped.changed() => break,
                _ = ticks.tick() => {
                    if lock.beat(token).await.is_err() {
                        lost_sender.send_replace(true);
                        let _ = over.lock().await.cancel().await;
                        return;
                    }
                }
            }
        }
        let _ = lock.release(token).await;
    });
    Lease {
        token,
        lost,
        stop,
        beat,
        cancel,
    }
}
