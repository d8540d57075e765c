//! Fault injection around SQLite, for tests. Not a fifth engine: it counts every call of a session, dies at the one it is
//! told to, before or after its effect, and has a mode in which DDL commits by itself, as on some servers.

mod dialect;

use crate::sqlite::connect::SqliteEngine;
use crate::{Cancel, DbError, Engine, Purpose, RowSink, RowSource, Session, Settings};
use async_trait::async_trait;
use dialect::{AUTO_COMMIT, PLAIN};
use dunlin_core::dialect::{Caps, Dialect};
use dunlin_core::failure::ErrorClass;
use dunlin_core::redact::SecretUrl;
use dunlin_core::sql::{LexMode, TxUse};
use dunlin_core::value::{Row, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// When a simulated world dies. Shared by all sessions of one [`SimEngine`].
#[derive(Debug, Default)]
pub struct Faults {
    calls: AtomicUsize,
    die_at: AtomicUsize,
    after_effect: AtomicBool,
    dead: AtomicBool,
}

impl Faults {
    /// Dies at call `at` (from 1), after its effect or before it. 0: never.
    pub fn die_at(&self, at: usize, after_effect: bool) {
        self.calls.store(0, Ordering::SeqCst);
        self.die_at.store(at, Ordering::SeqCst);
        self.after_effect.store(after_effect, Ordering::SeqCst);
        self.dead.store(false, Ordering::SeqCst);
    }

    /// How many calls were made since.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Whether it has died.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    fn gone() -> DbError {
        DbError::new(ErrorClass::ConnectionLost, "the simulated world has died")
    }

    /// Counts a call; gives whether it is the one to die after.
    fn call(&self) -> Result<bool, DbError> {
        if self.is_dead() {
            return Err(Self::gone());
        }
        let now = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if now != self.die_at.load(Ordering::SeqCst) {
            return Ok(false);
        }
        if self.after_effect.load(Ordering::SeqCst) {
            return Ok(true);
        }
        self.dead.store(true, Ordering::SeqCst);
        Err(Self::gone())
    }

    fn die(&self) -> DbError {
        self.dead.store(true, Ordering::SeqCst);
        Self::gone()
    }
}

/// SQLite with faults.
#[derive(Debug)]
pub struct SimEngine {
    inner: SqliteEngine,
    faults: Arc<Faults>,
    ddl_commits: bool,
}

impl SimEngine {
    /// An engine over a SQLite URL. `ddl_commits`: DDL commits by itself.
    pub fn new(
        url: &SecretUrl,
        settings: Settings,
        faults: Arc<Faults>,
        ddl_commits: bool,
    ) -> Result<Self, DbError> {
        Ok(SimEngine {
            inner: SqliteEngine::new(url, settings)?,
            faults,
            ddl_commits,
        })
    }
}

#[async_trait]
impl Engine for SimEngine {
    fn dialect(&self) -> &'static dyn Dialect {
        if self.ddl_commits {
            &AUTO_COMMIT
        } else {
            &PLAIN
        }
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
    fn database(&self) -> String {
        self.inner.database()
    }
    async fn open(&self, purpose: Purpose) -> Result<Box<dyn Session>, DbError> {
        if self.faults.is_dead() {
            return Err(Faults::gone());
        }
        let inner = self.inner.open(purpose).await?;
        let dialect = self.dialect();
        let caps = dialect.caps(&inner.caps().version_text);
        Ok(Box::new(SimSession {
            inner,
            faults: Arc::clone(&self.faults),
            dialect,
            caps,
        }))
    }
    async fn create_database(&self) -> Result<(), DbError> {
        self.inner.create_database().await
    }
    async fn create_scratch(&self) -> Result<(), DbError> {
        self.inner.create_scratch().await
    }
    async fn siblings(&self) -> Result<Vec<String>, DbError> {
        self.inner.siblings().await
    }
    async fn drop_database(&self) -> Result<(), DbError> {
        self.inner.drop_database().await
    }
    fn sibling(&self, database: &str) -> Result<Box<dyn Engine>, DbError> {
        self.inner.sibling(database)
    }
    async fn dump(
        &self,
        snapshot: Option<&str>,
        only: &[String],
        to: &std::path::Path,
    ) -> Result<crate::dump::Dumped, DbError> {
        self.inner.dump(snapshot, only, to).await
    }
    async fn load(&self, from: &std::path::Path, over: bool) -> Result<(), DbError> {
        self.inner.load(from, over).await
    }
    fn file(&self) -> Option<&std::path::Path> {
        self.inner.file()
    }
    fn secrets(&self) -> Vec<String> {
        self.inner.secrets()
    }
}

struct SimSession {
    inner: Box<dyn Session>,
    faults: Arc<Faults>,
    dialect: &'static dyn Dialect,
    caps: Caps,
}

impl SimSession {
    /// As a server whose DDL commits by itself: what is open is committed first.
    async fn commits_itself(&mut self, sql: &str) -> Result<(), DbError> {
        let class = self.dialect.classify(sql, &LexMode::default());
        if class.tx == TxUse::CommitsItself && self.inner.in_transaction() {
            self.inner.commit().await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Session for SimSession {
    fn caps(&self) -> &Caps {
        &self.caps
    }
    fn dialect(&self) -> &'static dyn Dialect {
        self.dialect
    }
    fn lex_mode(&self) -> &LexMode {
        self.inner.lex_mode()
    }
    async fn execute(&mut self, sql: &str) -> Result<u64, DbError> {
        let dies = self.faults.call()?;
        self.commits_itself(sql).await?;
        let rows = self.inner.execute(sql).await?;
        if dies {
            Err(self.faults.die())
        } else {
            Ok(rows)
        }
    }
    async fn execute_with(&mut self, sql: &str, params: &[Value]) -> Result<u64, DbError> {
        let dies = self.faults.call()?;
        let rows = self.inner.execute_with(sql, params).await?;
        if dies {
            Err(self.faults.die())
        } else {
            Ok(rows)
        }
    }
    async fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, DbError> {
        let dies = self.faults.call()?;
        let rows = self.inner.query(sql, params).await?;
        if dies {
            Err(self.faults.die())
        } else {
            Ok(rows)
        }
    }
    async fn copy_in(&mut self, sql: &str, data: &str) -> Result<u64, DbError> {
        self.inner.copy_in(sql, data).await
    }
    async fn begin(&mut self) -> Result<(), DbError> {
        let dies = self.faults.call()?;
        self.inner.begin().await?;
        if dies { Err(self.faults.die()) } else { Ok(()) }
    }
    async fn commit(&mut self) -> Result<(), DbError> {
        let dies = self.faults.call()?;
        self.inner.commit().await?;
        if dies { Err(self.faults.die()) } else { Ok(()) }
    }
    async fn rollback(&mut self) -> Result<(), DbError> {
        if self.faults.is_dead() {
            return Err(Faults::gone());
        }
        self.inner.rollback().await
    }
    fn in_transaction(&self) -> bool {
        self.inner.in_transaction()
    }
    fn canceller(&self) -> Box<dyn Cancel> {
        self.inner.canceller()
    }
    async fn stream(&mut self, sql: &str) -> Result<Box<dyn RowSource + '_>, DbError> {
        self.inner.stream(sql).await
    }
    async fn load(&mut self, sql: &str, columns: usize) -> Result<Box<dyn RowSink + '_>, DbError> {
        let dies = self.faults.call()?;
        let inner = self.inner.load(sql, columns).await?;
        if dies {
            return Err(self.faults.die());
        }
        let faults = Arc::clone(&self.faults);
        Ok(Box::new(SimSink { inner, faults }))
    }
    async fn close(self: Box<Self>) {
        self.inner.close().await;
    }
}

/// A load whose every call counts.
struct SimSink<'a> {
    inner: Box<dyn RowSink + 'a>,
    faults: Arc<Faults>,
}

#[async_trait]
impl RowSink for SimSink<'_> {
    async fn send(&mut self, bytes: Vec<u8>) -> Result<(), DbError> {
        let dies = self.faults.call()?;
        self.inner.send(bytes).await?;
        if dies { Err(self.faults.die()) } else { Ok(()) }
    }
    async fn finish(self: Box<Self>) -> Result<u64, DbError> {
        let dies = self.faults.call()?;
        let rows = self.inner.finish().await?;
        if dies {
            Err(self.faults.die())
        } else {
            Ok(rows)
        }
    }
}
