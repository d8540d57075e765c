//! A SQLite connection on a thread of its own. The session sends closures and waits for their answers, so the async
//! side never blocks; dropping the session ends the thread.

use super::together::together;
use crate::lease::Witness;
use crate::scan::RowVisitor;
use crate::{
    Cancel, DbError, Did, Halted, RowSink, RowSource, Session, Together, Took, Whole, not_ours,
};
use async_trait::async_trait;
use dunlin_core::dialect::{Caps, Dialect, sqlite::Sqlite};
use dunlin_core::failure::ErrorClass;
use dunlin_core::redact::about;
use dunlin_core::sql::LexMode;
use dunlin_core::value::{Row, Value};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, InterruptHandle};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// One SQLite connection.
pub struct SqliteSession {
    jobs: mpsc::Sender<Job>,
    interrupt: Arc<InterruptHandle>,
    in_transaction: Arc<AtomicBool>,
    caps: Caps,
    lex_mode: LexMode,
}

/// An error of SQLite, classed.
pub(crate) fn db_error(error: &rusqlite::Error) -> DbError {
    let (code, message, position) = match error {
        rusqlite::Error::SqliteFailure(native, message) => (
            native.extended_code.to_string(),
            message.clone().unwrap_or_else(|| error.to_string()),
            None,
        ),
        rusqlite::Error::SqlInputError {
            error: native,
            msg,
            sql,
            offset,
        } => (
            native.extended_code.to_string(),
            about(sql, msg, true),
            usize::try_from(*offset).ok(),
        ),
        other => (String::new(), other.to_string(), None),
    };
    let class = Sqlite.error_class(&code, &message);
    let hint = Sqlite.error_hint(&code, &message);
    DbError {
        class,
        code,
        message,
        position,
        hint,
    }
}

pub(super) fn gone() -> DbError {
    DbError::new(
        ErrorClass::ConnectionLost,
        "the thread of the SQLite connection ended",
    )
}

impl SqliteSession {
    /// Starts the thread and opens the connection on it.
    pub async fn start(
        open: impl FnOnce() -> Result<Connection, DbError> + Send + 'static,
    ) -> Result<Self, DbError> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (opened, ready) = oneshot::channel();
        let in_transaction = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&in_transaction);
        let work = move || {
            let mut connection = match open() {
                Ok(connection) => connection,
                Err(error) => {
                    let _ = opened.send(Err(error));
                    return;
                }
            };
            if opened.send(Ok(connection.get_interrupt_handle())).is_err() {
                return;
            }
            while let Some(job) = next(&inbox) {
                job(&mut connection);
                flag.store(!connection.is_autocommit(), Ordering::Release);
            }
        };
        std::thread::Builder::new()
            .name("dunlin-sqlite".into())
            .spawn(work)
            .map_err(|error| {
                DbError::new(ErrorClass::Other, format!("no thread for SQLite: {error}"))
            })?;
        let interrupt = ready.await.map_err(|_| gone())??;
        Ok(SqliteSession {
            jobs,
            interrupt: Arc::new(interrupt),
            in_transaction,
            caps: Sqlite.caps(rusqlite::version()),
            lex_mode: LexMode::default(),
        })
    }

    /// Runs a closure on the connection's thread.
    pub async fn with<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, DbError> {
        let (answer, result) = oneshot::channel();
        let flag = Arc::clone(&self.in_transaction);
        let work: Job = Box::new(move |connection| {
            let outcome = job(connection);
            // Told before the answer, so that who has the answer also sees the state after it.
            flag.store(!connection.is_autocommit(), Ordering::Release);
            let _ = answer.send(outcome);
        });
        self.jobs.send(work).map_err(|_| gone())?;
        result
            .await
            .map_err(|_| gone())?
            .map_err(|error| db_error(&error))
    }

    pub(super) fn send(&self, job: Job) -> Result<(), DbError> {
        self.jobs.send(job).map_err(|_| gone())
    }

    /// The mark that says whether a transaction is open.
    pub(super) fn mark(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.in_transaction)
    }
}

/// How long the connection's thread stays awake for the next job: many small transactions follow each other within less,
/// and to be woken costs as much as some of them take. Whoever else wants the core has it meanwhile.
const AWAKE: Duration = Duration::from_micros(100);

/// The next job; `None` where the session is gone.
fn next(inbox: &mpsc::Receiver<Job>) -> Option<Job> {
    let began = Instant::now();
    while began.elapsed() < AWAKE {
        match inbox.try_recv() {
            Err(mpsc::TryRecvError::Empty) => std::thread::yield_now(),
            outcome => return outcome.ok(),
        }
    }
    inbox.recv().ok()
}

struct Bound<'a>(&'a Value);
impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Bool(b) => ValueRef::Integer(i64::from(*b)),
            Value::Int(n) => ValueRef::Integer(*n),
            Value::UInt(n) => match i64::try_from(*n) {
                Ok(n) => ValueRef::Integer(n),
                Err(_) => {
                    return Err(rusqlite::Error::ToSqlConversionFailure(
                        "an integer above 2^63-1".into(),
                    ));
                }
            },
            Value::Float(f) => ValueRef::Real(*f),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn value_of(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Int(n),
        ValueRef::Real(f) => Value::Float(f),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

/// Runs one statement to its end and gives the rows it changed. `sqlite3_changes` keeps the count of an earlier
/// statement when this one changed nothing, hence the look at the total.
pub(super) fn run(
    connection: &Connection,
    sql: &str,
    params: &[Value],
) -> Result<u64, rusqlite::Error> {
    let before = connection.total_changes();
    {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(params.iter().map(Bound)))?;
        while rows.next()?.is_some() {}
    }
    // What a module writes for itself when its table is made is nobody's rows.
    let made = sql.split_whitespace().take(2).map(str::to_uppercase);
    let module = made.eq(["CREATE", "VIRTUAL"]);
    Ok(if connection.total_changes() > before && !module {
        connection.changes()
    } else {
        0
    })
}

/// Runs one of Dunlin's own statements, prepared once and kept.
pub(super) fn write(
    connection: &Connection,
    sql: &str,
    params: &[Value],
) -> Result<usize, rusqlite::Error> {
    connection
        .prepare_cached(sql)?
        .execute(rusqlite::params_from_iter(params.iter().map(Bound)))
}

/// Begins a transaction that takes the file's write lock.
pub(super) fn begin(connection: &Connection) -> Result<(), rusqlite::Error> {
    let begin = |sql| connection.prepare_cached(sql)?.execute([]).map(|_| ());
    match begin("BEGIN IMMEDIATE") {
        // A connection that can only read has no write intent to declare.
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ReadOnly) => {
            begin("BEGIN")
        }
        outcome => outcome,
    }
}

/// A record's values, as they go to the connection's thread.
struct Record {
    sql: String,
    params: Vec<Value>,
    took: Option<Took>,
}

/// A whole transaction on the connection's thread. What fails is told; the transaction is left to be rolled back.
fn whole(
    connection: &Connection,
    sql: &str,
    mut record: Record,
    may_commit: Option<Witness>,
) -> Result<u64, Halted> {
    let began = Instant::now();
    let statement = |error: rusqlite::Error| Halted::Statement(db_error(&error));
    begin(connection).map_err(statement)?;
    let rows = run(connection, sql, &[]).map_err(statement)?;
    if may_commit.is_some_and(|ours| !ours()) {
        return Err(Halted::Record(not_ours()));
    }
    if let Some(took) = record.took {
        took.fill_in(&mut record.params, began);
    }
    record_and_commit(connection, &record.sql, &record.params)?;
    Ok(rows)
}

fn record_and_commit(connection: &Connection, sql: &str, params: &[Value]) -> Result<(), Halted> {
    write(connection, sql, params).map_err(|error| Halted::Record(db_error(&error)))?;
    let committed = connection
        .prepare_cached("COMMIT")
        .and_then(|mut commit| commit.execute([]));
    let committed = committed.map(|_| ());
    committed.map_err(|error| Halted::After(db_error(&error)))
}

#[async_trait]
impl Session for SqliteSession {
    fn caps(&self) -> &Caps {
        &self.caps
    }
    fn dialect(&self) -> &'static dyn Dialect {
        &Sqlite
    }
    fn lex_mode(&self) -> &LexMode {
        &self.lex_mode
    }
    async fn execute(&mut self, sql: &str) -> Result<u64, DbError> {
        let sql = sql.to_owned();
        self.with(move |connection| run(connection, &sql, &[]))
            .await
    }
    async fn execute_with(&mut self, sql: &str, params: &[Value]) -> Result<u64, DbError> {
        let (sql, params) = (sql.to_owned(), params.to_vec());
        self.with(move |connection| write(connection, &sql, &params))
            .await
            .map(|changed| changed as u64)
    }
    async fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, DbError> {
        let (sql, params) = (sql.to_owned(), params.to_vec());
        self.with(move |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let width = statement.column_count();
            let mut rows = statement.query(rusqlite::params_from_iter(params.iter().map(Bound)))?;
            let mut out = vec![];
            while let Some(row) = rows.next()? {
                out.push(
                    (0..width)
                        .map(|at| row.get_ref(at).map(value_of))
                        .collect::<Result<Row, _>>()?,
                );
            }
            Ok(out)
        })
        .await
    }
    async fn copy_in(&mut self, _sql: &str, _data: &str) -> Result<u64, DbError> {
        Err(DbError::new(
            ErrorClass::Syntax,
            "SQLite has no COPY … FROM stdin",
        ))
    }
    async fn begin(&mut self) -> Result<(), DbError> {
        self.with(|connection| begin(connection)).await
    }
    async fn begin_with(&mut self, sql: &str) -> Result<u64, DbError> {
        let sql = sql.to_owned();
        self.with(move |connection| {
            begin(connection)?;
            run(connection, &sql, &[])
        })
        .await
    }
    async fn record_and_commit(&mut self, sql: &str, params: &[Value]) -> Result<(), Halted> {
        let (sql, params) = (sql.to_owned(), params.to_vec());
        let outcome = self.with(move |connection| Ok(record_and_commit(connection, &sql, &params)));
        // The thread is gone in the middle: what became of it is for the journal to tell.
        outcome.await.map_err(Halted::After)?
    }
    async fn whole(&mut self, asked: Whole<'_>) -> Result<u64, Halted> {
        let sql = asked.sql.to_owned();
        let record = Record {
            sql: asked.record.to_owned(),
            params: asked.params.to_vec(),
            took: asked.took,
        };
        let may_commit = asked.may_commit.cloned();
        let outcome = self.with(move |connection| Ok(whole(connection, &sql, record, may_commit)));
        // The thread is gone in the middle: what became of it is for the journal to tell.
        outcome.await.map_err(Halted::After)?
    }
    fn takes_together(&self) -> bool {
        true
    }
    async fn together(&mut self, asked: Together) -> Result<Vec<Vec<Did>>, DbError> {
        let outcome = self.with(move |connection| Ok(together(connection, asked)));
        outcome.await?
    }
    async fn commit(&mut self) -> Result<(), DbError> {
        self.with(|connection| connection.execute_batch("COMMIT"))
            .await
    }
    async fn rollback(&mut self) -> Result<(), DbError> {
        self.with(|connection| {
            if connection.is_autocommit() {
                Ok(())
            } else {
                connection.execute_batch("ROLLBACK")
            }
        })
        .await
    }
    fn in_transaction(&self) -> bool {
        self.in_transaction.load(Ordering::Acquire)
    }
    fn canceller(&self) -> Box<dyn Cancel> {
        Box::new(Interrupt(Arc::clone(&self.interrupt)))
    }
    async fn stream(&mut self, sql: &str) -> Result<Box<dyn RowSource + '_>, DbError> {
        super::bulk::start(self, sql).await
    }
    async fn scan(
        &mut self,
        sql: &str,
        visitor: Box<dyn RowVisitor>,
    ) -> Result<Box<dyn RowVisitor>, DbError> {
        super::bulk::scan(self, sql, visitor).await
    }
    async fn load(&mut self, sql: &str, columns: usize) -> Result<Box<dyn RowSink + '_>, DbError> {
        super::load::start(self, sql, columns).await
    }
    async fn overwrite(&mut self, from: &std::path::Path) -> Result<(), DbError> {
        let from = from.to_path_buf();
        self.with(move |here| super::dump::copy(&super::dump::open(&from)?, here))
            .await
    }
    async fn close(self: Box<Self>) {
        // A last job, answered: when it is, everything before it is through.
        let _ = self.with(|connection| connection.cache_flush()).await;
    }
}

struct Interrupt(Arc<InterruptHandle>);

#[async_trait]
impl Cancel for Interrupt {
    async fn cancel(&self) -> Result<(), DbError> {
        self.0.interrupt();
        Ok(())
    }
}
