//! The lease: taking it, keeping it alive, losing it, giving it back (invariant 9).

use crate::control::{Control, Stop};
use crate::journal_store;
use crate::trouble;
use crate::world::World;
use dunlin_core::event::{Event, Sink};
use dunlin_core::failure::{ErrorClass, Failure, FailureClass};
use dunlin_core::journal::History;
use dunlin_core::limits;
use dunlin_engines::lease::{Holder, LeaseLock, Witness, Work};
use dunlin_engines::{Cancel, DbError, Purpose, Session};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

/// The lease, held. Dropping it without [`Lease::release`] leaves its end to the server or the operating system, as a
/// crash would.
pub struct Lease {
    /// The fencing token.
    pub token: i64,
    witness: Option<Witness>,
    ours: Witness,
    stop: watch::Sender<bool>,
    beat: JoinHandle<()>,
    cancel: Arc<Mutex<Box<dyn Cancel>>>,
}

impl Lease {
    /// Whether another runner has taken it, or the connection that held it is gone.
    pub fn is_lost(&self) -> bool {
        !(self.ours)()
    }

    /// Says at any moment, and on any thread, whether the lease is still held.
    pub fn ours(&self) -> Witness {
        Arc::clone(&self.ours)
    }

    /// Whether another runner has certainly taken it: its file is no longer ours. Elsewhere the fence tells.
    pub fn is_taken(&self) -> bool {
        self.witness
            .as_ref()
            .is_some_and(|still_ours| !still_ours())
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

/// How soon it says so again where it is somebody else meanwhile.
const SAY_ANOTHER: Duration = Duration::from_millis(500);

/// How long a holder must be seen without a sign of life before its place is taken, however old its last beat is: who
/// has taken the lock a moment ago may not have come to write that down.
const STOPPED_FOR: Duration = Duration::from_secs(3);

/// Takes the lease, and opens the session that will write. `wait`: wait for another runner, else leave with "locked".
/// A waiter has one connection and no more.
pub async fn acquire(
    world: &World,
    purpose: Purpose,
    wait: bool,
    sink: &mut dyn Sink,
    control: &mut Control,
) -> Result<(Lease, Box<dyn Session>), Failure> {
    let refused = |error: &DbError| world.redact(trouble::refused(error, "cannot take the lease"));
    let mut lock = dunlin_engines::lease::lock(&*world.engine, &world.names)
        .await
        .map_err(|error| refused(&error))?;
    let mut waiting = Waiting::new(wait);
    take(world, &mut *lock, &mut waiting, sink, control).await?;
    let mut token = NO_TOKEN;
    let place = Place {
        purpose,
        token: &mut token,
        waiting: &mut waiting,
    };
    match settle_in(world, &mut *lock, place, sink, control).await {
        Ok(work) => Ok((keep(lock, token, work.canceller()), work)),
        // Stopped here for too long, and woken: somebody else has the place, and has ended our sessions.
        Err(failure)
            if failure.code == "connection-lost" && is_taken(world, &mut *lock, token).await =>
        {
            Err(journal_store::fenced())
        }
        Err(failure) => Err(failure),
    }
}

/// What [`settle_in`] works with.
struct Place<'a> {
    purpose: Purpose,
    token: &'a mut i64,
    waiting: &'a mut Waiting,
}

/// Makes the place that has been taken one's own: opens the session that will write, ends what a predecessor left, and
/// raises the fence. Gives that session.
async fn settle_in(
    world: &World,
    lock: &mut dyn LeaseLock,
    place: Place<'_>,
    sink: &mut dyn Sink,
    control: &mut Control,
) -> Result<Box<dyn Session>, Failure> {
    let refused = |error: &DbError| world.redact(trouble::refused(error, "cannot take the lease"));
    let who = format!("{} (process {})", world.who, std::process::id());
    let since = world.clock.stamp();
    match lock.announce(NO_TOKEN, &who, &since).await {
        // The first runner ever has nowhere to write it down yet.
        Err(error) if error.class == ErrorClass::ObjectMissing => {}
        outcome => outcome.map_err(|error| refused(&error))?,
    }
    let mut work = world.open(place.purpose).await?;
    succeed(world, lock, &mut *work, sink, control).await?;
    end_tools(place.purpose, &mut *work)
        .await
        .map_err(|error| refused(&error))?;
    let token = raise(world, lock, &mut *work, place.waiting, sink, control).await?;
    *place.token = token;
    let mut announced = lock.announce(token, &who, &since).await;
    if matches!(&announced, Err(error) if error.class == ErrorClass::ObjectMissing) {
        // A restore died while it made or dropped the journal's tables.
        for statement in &world.sql.create {
            let made = work.execute(statement).await;
            made.map_err(|error| refused(&error))?;
        }
        announced = lock.announce(token, &who, &since).await;
    }
    announced.map_err(|error| refused(&error))?;
    sink.event(&Event::LeaseTaken { token });
    adopt(world, &mut *work, sink)
        .await
        .map_err(|error| refused(&error))?;
    Ok(work)
}

/// Whether somebody else has the place of a runner whose connection was lost while it settled in.
async fn is_taken(world: &World, lock: &mut dyn LeaseLock, token: i64) -> bool {
    if token != NO_TOKEN {
        return is_succeeded(world, token).await;
    }
    // The lock went with its session; whoever holds it now is another.
    let lost = lock.holder().await.is_err();
    let look = async {
        let mut session = world.engine.open(Purpose::Read).await.ok()?;
        let found = dunlin_engines::lease::look(&*world.engine, &world.names, &mut *session).await;
        session.close().await;
        found
    };
    lost && look.await.is_some_and(|holder| holder.held)
}

/// Whether the fence was raised by somebody else, as a new session sees it.
pub(crate) async fn is_succeeded(world: &World, token: i64) -> bool {
    let look = async {
        let mut session = world.engine.open(Purpose::Read).await.ok()?;
        let rows = session.ask(&world.sql.fence_read, &[]).await.ok()?;
        rows.first()?.first()?.as_i64()
    };
    let found = tokio::time::timeout(Duration::from_secs(5), look).await;
    found.ok().flatten().is_some_and(|now| now > token)
}

/// Ends the tools that a killed restore left at work: no living runner has any while the lease is ours. Whoever runs
/// scripts has found the restore's mark before.
async fn end_tools(purpose: Purpose, work: &mut dyn Session) -> Result<(), DbError> {
    let statement = work.dialect().catalog().end_tools();
    match statement.filter(|_| purpose == Purpose::Tool) {
        Some(statement) => work.execute(statement).await.map(|_| ()),
        None => Ok(()),
    }
}

/// Reads the journal for a run that is about to be planned. A file whose writer commits, or was stopped while it did,
/// cannot even be read meanwhile: that is waiting for another runner, too.
pub async fn read_journal(
    world: &World,
    reader: &mut dyn Session,
    wait: bool,
    sink: &mut dyn Sink,
    control: &mut Control,
) -> Result<History, Failure> {
    let mut waiting = Waiting::new(wait);
    loop {
        match journal_store::read(world, reader).await {
            Err(failure) if failure.code == "lock-timeout" => {}
            outcome => return outcome,
        }
        let holder = dunlin_engines::lease::look(&*world.engine, &world.names, reader).await;
        let shown = holder
            .filter(|holder| holder.held)
            .map_or_else(|| "another writer".to_owned(), |holder| holder.to_string())
            + KEEPS_IT;
        waiting.may_go_on("another runner is at work", Some(&shown))?;
        waiting.pause(&shown, sink, control).await?;
    }
}

/// What is said of a writer that lets nobody at its file.
const KEEPS_IT: &str = ", which keeps the database locked";

/// The first run on a clone makes the journal the clone's own.
async fn adopt(world: &World, work: &mut dyn Session, sink: &mut dyn Sink) -> Result<(), DbError> {
    if let Some(own) = journal_store::clone_identity(world, work).await? {
        work.execute_with(&world.sql.fence_identity, &[own.into()])
            .await?;
        sink.event(&Event::Note {
            message: "this database is a copy of another: its journal holds here too, the other's lease does not"
                .into(),
        });
    }
    Ok(())
}

/// Who holds the lease, or left it behind. What a clone brought along of its original's is nobody's here.
pub async fn holder(world: &World, session: &mut dyn Session) -> Option<Holder> {
    let found = dunlin_engines::lease::look(&*world.engine, &world.names, session).await?;
    let copied = !found.held
        && journal_store::clone_identity(world, session)
            .await
            .is_ok_and(|own| own.is_some());
    (!copied).then_some(found)
}

/// Under which a holder beats before it has a token.
const NO_TOKEN: i64 = 0;

/// Makes the journal where it is missing, and raises the fence: whoever held the lease before writes nothing more.
async fn raise(
    world: &World,
    lock: &mut dyn LeaseLock,
    work: &mut dyn Session,
    waiting: &mut Waiting,
    sink: &mut dyn Sink,
    control: &mut Control,
) -> Result<i64, Failure> {
    loop {
        let raised = match journal_store::ensure(world, work).await {
            Ok(old) => work
                .execute_with(&world.sql.fence_raise, &[(old + 1).into(), old.into()])
                .await
                .map(|rows| (rows == 1).then_some(old + 1)),
            Err(error) => Err(error),
        };
        match raised {
            Ok(Some(token)) => return Ok(token),
            Ok(None) => {
                let message = "another runner took the lease at the same moment";
                return Err(locked(message, None));
            }
            // A file has one writer at a time, and this one is no runner of ours, or a runner that was stopped.
            Err(error) if matches!(error.class, ErrorClass::Busy | ErrorClass::LockTimeout) => {
                let message = "another writer holds the database and does not let go";
                waiting.may_go_on(message, None)?;
                waiting
                    .pause(&format!("another writer{KEEPS_IT}"), sink, control)
                    .await?;
                let _ = lock.beat(NO_TOKEN).await;
            }
            Err(error) => {
                let doing = format!(
                    "cannot make the journal's tables in {}",
                    world.engine.describe()
                );
                return Err(world.redact(trouble::refused(&error, &doing)));
            }
        }
    }
}

/// How a runner waits for another.
struct Waiting {
    wait: bool,
    since: Instant,
    said: Option<(String, Instant)>,
}

impl Waiting {
    fn new(wait: bool) -> Self {
        Waiting {
            wait,
            since: Instant::now(),
            said: None,
        }
    }

    fn may_go_on(&self, message: &str, holder: Option<&str>) -> Result<(), Failure> {
        if self.wait {
            Ok(())
        } else {
            Err(locked(message, holder))
        }
    }

    /// Says now and then whom it waits for, and waits a moment.
    async fn pause(
        &mut self,
        holder: &str,
        sink: &mut dyn Sink,
        control: &mut Control,
    ) -> Result<(), Failure> {
        let due = self.said.as_ref().is_none_or(|(whom, at)| {
            let pause = if whom == holder {
                SAY_EVERY
            } else {
                SAY_ANOTHER
            };
            at.elapsed() >= pause
        });
        if due {
            let waited_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            sink.event(&Event::LeaseWaiting {
                holder: holder.to_owned(),
                waited_ms,
            });
            self.said = Some((holder.to_owned(), Instant::now()));
        }
        tokio::select! {
            () = tokio::time::sleep(limits::LEASE_POLL) => Ok(()),
            () = control.until(Stop::Soon) => Err(interrupted()),
        }
    }
}

fn interrupted() -> Failure {
    let message = "interrupted while waiting; nothing was touched";
    Failure::new(FailureClass::Interrupted, "interrupted", message)
}

pub(crate) fn locked(message: &str, holder: Option<&str>) -> Failure {
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
    waiting: &mut Waiting,
    sink: &mut dyn Sink,
    control: &mut Control,
) -> Result<(), Failure> {
    let refused = |error: &DbError| world.redact(trouble::refused(error, "cannot take the lease"));
    // The session whose last beat is too old, and since when it is watched.
    let mut stopped: Option<(String, Instant)> = None;
    loop {
        if lock.try_take().await.map_err(|error| refused(&error))? {
            return Ok(());
        }
        let holder = lock.holder().await.map_err(|error| refused(&error))?;
        let shown = holder.as_ref().map_or_else(
            || "a runner that has not said its name yet".to_owned(),
            ToString::to_string,
        );
        let ttl = dunlin_engines::lease::ttl();
        stopped = match (holder, stopped) {
            (Some(holder), before) if holder.held && holder.beat_age > ttl => match before {
                Some((session, since)) if session == holder.session => Some((session, since)),
                _ => Some((holder.session, Instant::now())),
            },
            _ => None,
        };
        match &stopped {
            Some((_, since)) if since.elapsed() > STOPPED_FOR.min(ttl) => {
                // It holds the lock and gives no sign of life: stopped, or cut off. Its place is taken.
                lock.break_stopped(false)
                    .await
                    .map_err(|error| may_not_break(&error, &shown))?;
                stopped = None;
            }
            Some(_) => {}
            None => waiting.may_go_on("another runner is at work", Some(&shown))?,
        }
        waiting.pause(&shown, sink, control).await?;
    }
}

fn may_not_break(error: &DbError, holder: &str) -> Failure {
    let message = format!(
        "the holder has stopped, and ending its session needs a right ({})",
        error.message
    );
    let mut failure = locked(&message, Some(holder));
    failure.hints.extend(error.hint.clone());
    failure
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
        // Others must not take this for a holder that has stopped. Where the journal is new there is nothing to beat.
        let _ = lock.beat(NO_TOKEN).await;
        if started.elapsed() > limits::END_SESSION_PATIENCE {
            return Err(locked("the session of a dead runner does not end", None));
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
            () = control.until(Stop::Soon) => return Err(interrupted()),
        }
    }
}

/// Beats every second; a beat that fails means the lease is lost, and the work session's statement is cancelled.
fn keep(mut lock: Box<dyn LeaseLock>, token: i64, cancel: Box<dyn Cancel>) -> Lease {
    let (lost_sender, lost) = watch::channel(false);
    let (stop, mut stopped) = watch::channel(false);
    let cancel = Arc::new(Mutex::new(cancel));
    let over = Arc::clone(&cancel);
    let witness = lock.witness();
    let seen = witness.clone();
    let ours: Witness =
        Arc::new(move || !*lost.borrow() && seen.as_ref().is_none_or(|still_ours| still_ours()));
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
        witness,
        ours,
        stop,
        beat,
        cancel,
    }
}
