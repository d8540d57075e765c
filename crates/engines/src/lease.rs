//! The lease's lock: session locks where the engine has them, a sidecar file where the database is a file.
//!
//! Two locks, see DESIGN invariant 9. `lease` is held by an idle session of its own (or by the file), so the server
//! notices at once when its holder dies, even while the holder's last statement still runs. `work` is held by the
//! session that writes; whoever gets it knows by that alone that the predecessor's session, and with it every
//! statement it had in flight, is gone. Nothing here ever waits inside a statement: locks are tried, and tried again.

use crate::{DbError, Engine, Purpose, Session};
use async_trait::async_trait;
use dunlin_core::dialect::{JournalNames, LeaseSql};
use dunlin_core::failure::ErrorClass;
use dunlin_core::value::Value;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Who holds the lease, as the lease itself says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Person, host and process.
    pub who: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// How old the last sign of life is, by the clock of the database's side.
    pub beat_age: Duration,
    /// The session that holds the lock, as the server numbers it; empty where nobody does or it is a file.
    pub session: String,
    /// Whether the lock is really held now: a row without a lock is what a dead holder left behind.
    pub held: bool,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, since {}", self.who, self.since)
    }
}

/// After how long without a beat a holder whose session still stands counts as stopped. Tests shorten it by
/// `DUNLIN_TEST_LEASE_TTL_MS`; nothing else reads that variable.
pub fn ttl() -> Duration {
    static TTL: OnceLock<Duration> = OnceLock::new();
    *TTL.get_or_init(|| {
        std::env::var("DUNLIN_TEST_LEASE_TTL_MS")
            .ok()
            .and_then(|text| text.parse().ok())
            .map_or(dunlin_core::limits::LEASE_TTL, Duration::from_millis)
    })
}

/// Says whether the lock is still ours.
pub type Witness = Arc<dyn Fn() -> bool + Send + Sync>;

/// What a try to take the work lock gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// This session has it: no predecessor is left.
    Taken,
    /// A predecessor's session still stands; it was told to end.
    Ending(String),
    /// A predecessor's session still stands and this user may not end it.
    MayNotEnd(String, DbError),
}

/// The lock behind the lease.
#[async_trait]
pub trait LeaseLock: Send {
    /// Tries to take the lease's lock, without waiting.
    async fn try_take(&mut self) -> Result<bool, DbError>;
    /// Tries to take the work lock for the session that will write; tells a predecessor's session to end.
    async fn try_work(&mut self, work: &mut dyn Session) -> Result<Work, DbError>;
    /// Who holds the lease (or last held it and left no note of its end).
    async fn holder(&mut self) -> Result<Option<Holder>, DbError>;
    /// Writes down who holds it now.
    async fn announce(&mut self, token: i64, who: &str, since: &str) -> Result<(), DbError>;
    /// A quick look, without the server, whether the lock was taken away: where the lock is a file, whoever wakes from
    /// a stop must know before the next beat. `None` where losing the lock ends the sessions by itself.
    fn witness(&self) -> Option<Witness>;
    /// Says that the holder lives. An error, or a lock that is no longer ours, means: the lease is lost.
    async fn beat(&mut self, token: i64) -> Result<(), DbError>;
    /// Takes the lock away from a holder that stopped beating: ends its session, or sets its file aside. `force`: from
    /// a living one too.
    async fn break_stopped(&mut self, force: bool) -> Result<(), DbError>;
    /// Clears the note that says who holds it, where nobody does.
    async fn clear_note(&mut self) -> Result<(), DbError>;
    /// Gives the lease back.
    async fn release(&mut self, token: i64) -> Result<(), DbError>;
}

/// The lock of an engine's lease. Opens the lease session where there is one.
pub async fn lock(
    engine: &dyn Engine,
    names: &JournalNames,
) -> Result<Box<dyn LeaseLock>, DbError> {
    match (engine.dialect().lease(names), engine.file()) {
        (Some(sql), _) => {
            let session = engine.open(Purpose::Lease).await?;
            Ok(Box::new(SessionLock { session, sql }))
        }
        (None, Some(path)) => Ok(Box::new(FileLock::new(path))),
        (None, None) => Ok(Box::new(PrivateLock)),
    }
}

/// Whether a transaction pooler stands between: two sessions of ours are one of the server's.
pub async fn is_pooled(engine: &dyn Engine, names: &JournalNames) -> Result<bool, DbError> {
    let Some(sql) = engine.dialect().lease(names) else {
        return Ok(false);
    };
    let mut first = engine.open(Purpose::Read).await?;
    let mut second = engine.open(Purpose::Read).await?;
    let ids = (
        first.ask(&sql.own_session, &[]).await,
        second.ask(&sql.own_session, &[]).await,
    );
    first.close().await;
    second.close().await;
    Ok(ids.0? == ids.1?)
}

/// Who holds the lease, asked by a session that only reads.
pub async fn look(
    engine: &dyn Engine,
    names: &JournalNames,
    session: &mut dyn Session,
) -> Option<Holder> {
    match (engine.dialect().lease(names), engine.file()) {
        (Some(sql), _) => read_holder(session, &sql).await.ok().flatten(),
        (None, Some(path)) => FileLock::new(path).look(),
        (None, None) => None,
    }
}

async fn read_holder(session: &mut dyn Session, sql: &LeaseSql) -> Result<Option<Holder>, DbError> {
    let rows = match session.ask(&sql.read, &[]).await {
        Err(error) if error.class == ErrorClass::ObjectMissing => return Ok(None),
        rows => rows?,
    };
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let text = |at: usize| {
        row.get(at)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let age = row
        .get(2)
        .and_then(Value::as_i64)
        .and_then(|ms| u64::try_from(ms).ok())
        .unwrap_or(0);
    let holder = holder_of(session, sql, "lease").await?;
    Ok(Some(Holder {
        who: text(0),
        since: text(1),
        beat_age: Duration::from_millis(age),
        held: holder.is_some(),
        session: holder.unwrap_or_default(),
    }))
}

async fn holder_of(
    session: &mut dyn Session,
    sql: &LeaseSql,
    lock: &str,
) -> Result<Option<String>, DbError> {
    let rows = session
        .ask(&sql.lock_holder, &[lock_key(sql, lock)])
        .await?;
    Ok(rows
        .first()
        .and_then(|row| row.first())
        .and_then(Value::as_str)
        .map(str::to_owned))
}

fn lock_key(sql: &LeaseSql, lock: &str) -> Value {
    Value::Text(format!("{}:{lock}", sql.key))
}

/// Takes the work lock for a fresh session of the same runner, which has just closed the one that held it.
pub async fn take_work(names: &JournalNames, work: &mut dyn Session) -> Result<bool, DbError> {
    match work.dialect().lease(names) {
        Some(sql) => try_lock(work, &sql, "work").await,
        None => Ok(true),
    }
}

async fn try_lock(session: &mut dyn Session, sql: &LeaseSql, lock: &str) -> Result<bool, DbError> {
    let rows = session.ask(&sql.lock_try, &[lock_key(sql, lock)]).await?;
    Ok(rows
        .first()
        .and_then(|row| row.first())
        .and_then(Value::as_bool)
        .unwrap_or(false))
}

struct SessionLock {
    session: Box<dyn Session>,
    sql: LeaseSql,
}

impl SessionLock {
    /// Tells the server to end the session that holds a lock.
    async fn end_holder(
        &mut self,
        lock: &str,
    ) -> Result<Option<(String, Result<(), DbError>)>, DbError> {
        let Some(id) = holder_of(&mut *self.session, &self.sql, lock).await? else {
            return Ok(None);
        };
        let Some(statement) = self.sql.end(&id) else {
            return Ok(None);
        };
        let ended = match self.session.execute(&statement).await {
            // It ended by itself in between.
            Err(error) if error.class == ErrorClass::ObjectMissing => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        };
        Ok(Some((id, ended)))
    }
}

#[async_trait]
impl LeaseLock for SessionLock {
    async fn try_take(&mut self) -> Result<bool, DbError> {
        try_lock(&mut *self.session, &self.sql, "lease").await
    }

    async fn try_work(&mut self, work: &mut dyn Session) -> Result<Work, DbError> {
        let own =
            |rows: Vec<dunlin_core::value::Row>| rows.first().and_then(|row| row.first()).cloned();
        let of_lease = own(self.session.ask(&self.sql.own_session, &[]).await?);
        let of_work = own(work.ask(&self.sql.own_session, &[]).await?);
        if of_lease == of_work {
            let mut error = DbError::new(
                ErrorClass::Unreachable,
                "the URL leads through a transaction pooler: two sessions share one server connection",
            );
            error.code = "pooler".into();
            error.hint =
                Some("give the way around it as `direct_url`, and set `pooler = true`".into());
            return Err(error);
        }
        if try_lock(work, &self.sql, "work").await? {
            return Ok(Work::Taken);
        }
        match self.end_holder("work").await? {
            None => Ok(Work::Ending("ended just now".into())),
            Some((id, Ok(()))) => Ok(Work::Ending(format!("session {id}"))),
            Some((id, Err(error))) => Ok(Work::MayNotEnd(format!("session {id}"), error)),
        }
    }

    async fn holder(&mut self) -> Result<Option<Holder>, DbError> {
        read_holder(&mut *self.session, &self.sql).await
    }

    async fn announce(&mut self, token: i64, who: &str, since: &str) -> Result<(), DbError> {
        for statement in &self.sql.write {
            self.session
                .execute_with(statement, &[token.into(), who.into(), since.into()])
                .await?;
        }
        Ok(())
    }

    fn witness(&self) -> Option<Witness> {
        None
    }

    async fn beat(&mut self, token: i64) -> Result<(), DbError> {
        match self
            .session
            .execute_with(&self.sql.beat, &[token.into()])
            .await?
        {
            0 => Err(DbError::new(
                ErrorClass::ConnectionLost,
                "another runner took the lease",
            )),
            _ => Ok(()),
        }
    }

    async fn clear_note(&mut self) -> Result<(), DbError> {
        self.session.execute(&self.sql.clear_any).await.map(|_| ())
    }

    async fn break_stopped(&mut self, _force: bool) -> Result<(), DbError> {
        match self.end_holder("lease").await? {
            Some((_, Err(error))) => Err(error),
            _ => Ok(()),
        }
    }

    async fn release(&mut self, token: i64) -> Result<(), DbError> {
        self.session
            .execute_with(&self.sql.clear, &[token.into()])
            .await?;
        self.session
            .ask(&self.sql.lock_release, &[lock_key(&self.sql, "lease")])
            .await?;
        Ok(())
    }
}

/// A lock on a sidecar file. The operating system frees it when its process dies. The file's modification time is the
/// beat. A holder that was stopped (and so cannot die) is succeeded by setting its file aside: the fence in the
/// database then keeps it from writing when it wakes.
struct FileLock {
    path: PathBuf,
    file: Option<File>,
}

impl FileLock {
    fn new(database: &Path) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push(LOCK_SUFFIX);
        FileLock {
            path: PathBuf::from(name),
            file: None,
        }
    }

    fn error(&self, error: &std::io::Error) -> DbError {
        let class = match error.kind() {
            std::io::ErrorKind::PermissionDenied => ErrorClass::PermissionDenied,
            std::io::ErrorKind::StorageFull => ErrorClass::DiskFull,
            std::io::ErrorKind::ReadOnlyFilesystem => ErrorClass::ReadOnly,
            _ => ErrorClass::Other,
        };
        let mut found = DbError::new(
            class,
            format!(
                "the lock file `{}` cannot be opened: {error}",
                self.path.display()
            ),
        );
        found.hint = Some(
            "Dunlin keeps its lock in a file beside the database; the folder must be writable"
                .into(),
        );
        found
    }

    /// Whether the open file is still the one at the path.
    fn is_current(&self, file: &File) -> bool {
        match (file.metadata(), std::fs::metadata(&self.path)) {
            (Ok(ours), Ok(there)) => same_file(&ours, &there),
            _ => false,
        }
    }

    fn read(&self) -> Option<Holder> {
        let file = File::open(&self.path).ok()?;
        let mut text = String::new();
        (&file).take(4_096).read_to_string(&mut text).ok()?;
        let (since, who) = text.trim_end().split_once('\n')?;
        let age = file
            .metadata()
            .and_then(|meta| meta.modified())
            .ok()?
            .elapsed()
            .unwrap_or_default();
        Some(Holder {
            who: who.to_owned(),
            since: since.to_owned(),
            beat_age: age,
            held: true,
            session: String::new(),
        })
    }

    /// As `read`, and whether the lock is held: tried shared, so that a look never takes the lock from a runner.
    fn look(&self) -> Option<Holder> {
        let mut holder = self.read()?;
        let file = File::open(&self.path).ok()?;
        holder.held = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        Some(holder)
    }
}

#[cfg(unix)]
fn same_file(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}
#[cfg(not(unix))]
fn same_file(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    a.created().ok() == b.created().ok()
}

#[async_trait]
impl LeaseLock for FileLock {
    async fn try_take(&mut self) -> Result<bool, DbError> {
        if self.file.as_ref().is_some_and(|file| self.is_current(file)) {
            return Ok(true);
        }
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.path);
        let file = opened.map_err(|error| self.error(&error))?;
        match file.try_lock() {
            // Set aside, or removed, between opening and locking: not the lock any more.
            Ok(()) if !self.is_current(&file) => Ok(false),
            Ok(()) => {
                // What a dead holder left here must not be taken for ours: its last beat may be long ago.
                file.set_len(0)
                    .and_then(|()| file.set_modified(std::time::SystemTime::now()))
                    .map_err(|error| self.error(&error))?;
                self.file = Some(file);
                Ok(true)
            }
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(self.error(&error)),
        }
    }

    async fn try_work(&mut self, _work: &mut dyn Session) -> Result<Work, DbError> {
        // The database file's own lock tells writers apart, and the fence is asked inside every transaction.
        Ok(Work::Taken)
    }

    async fn holder(&mut self) -> Result<Option<Holder>, DbError> {
        Ok(match &self.file {
            Some(_) => self.read(),
            None => self.look(),
        })
    }

    async fn announce(&mut self, _token: i64, who: &str, since: &str) -> Result<(), DbError> {
        let Some(mut file) = self.file.as_ref() else {
            return Ok(());
        };
        let text = format!("{since}\n{who}\n");
        let write = |file: &mut &File| -> std::io::Result<()> {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(text.as_bytes())
        };
        write(&mut file).map_err(|error| self.error(&error))
    }

    fn witness(&self) -> Option<Witness> {
        // The file stays open as long as it is ours, so nothing else gets its number.
        let ours = self.file.as_ref()?.metadata().ok()?;
        let path = self.path.clone();
        Some(Arc::new(move || {
            std::fs::metadata(&path).is_ok_and(|there| same_file(&ours, &there))
        }))
    }

    async fn beat(&mut self, _token: i64) -> Result<(), DbError> {
        let lost = || DbError::new(ErrorClass::ConnectionLost, "another runner took the lease");
        let file = self.file.as_ref().ok_or_else(lost)?;
        if !self.is_current(file) {
            return Err(lost());
        }
        file.set_modified(std::time::SystemTime::now())
            .map_err(|error| self.error(&error))
    }

    async fn clear_note(&mut self) -> Result<(), DbError> {
        if self.try_take().await? {
            self.release(0).await?;
        }
        Ok(())
    }

    async fn break_stopped(&mut self, force: bool) -> Result<(), DbError> {
        // Two waiters may both find the holder stopped. A lock on a second file lets one of them act at a time, and the
        // other then finds a fresh file and waits on.
        let mut guard_path = self.path.clone().into_os_string();
        guard_path.push("-break");
        let guard = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&guard_path);
        let guard = guard.map_err(|error| self.error(&error))?;
        if guard.try_lock().is_err() {
            return Ok(());
        }
        let still = self
            .look()
            .is_some_and(|holder| holder.held && (force || holder.beat_age > ttl()));
        if still {
            std::fs::remove_file(&self.path).map_err(|error| self.error(&error))?;
        }
        let _ = std::fs::remove_file(&guard_path);
        Ok(())
    }

    async fn release(&mut self, _token: i64) -> Result<(), DbError> {
        if let Some(file) = self.file.take() {
            // Emptied, not removed: removing would let a waiter lock a file that is no longer at its path.
            let _ = file.set_len(0);
            let _ = file.unlock();
        }
        Ok(())
    }
}

/// A database in memory has one user by nature.
struct PrivateLock;

#[async_trait]
impl LeaseLock for PrivateLock {
    async fn try_take(&mut self) -> Result<bool, DbError> {
        Ok(true)
    }
    async fn try_work(&mut self, _work: &mut dyn Session) -> Result<Work, DbError> {
        Ok(Work::Taken)
    }
    async fn holder(&mut self) -> Result<Option<Holder>, DbError> {
        Ok(None)
    }
    async fn announce(&mut self, _token: i64, _who: &str, _since: &str) -> Result<(), DbError> {
        Ok(())
    }
    fn witness(&self) -> Option<Witness> {
        None
    }
    async fn beat(&mut self, _token: i64) -> Result<(), DbError> {
        Ok(())
    }
    async fn break_stopped(&mut self, _force: bool) -> Result<(), DbError> {
        Ok(())
    }
    async fn clear_note(&mut self) -> Result<(), DbError> {
        Ok(())
    }
    async fn release(&mut self, _token: i64) -> Result<(), DbError> {
        Ok(())
    }
}

/// What the name of the lock's sidecar file ends in.
pub const LOCK_SUFFIX: &str = "-dunlin-lock";
