//! Sessions and row streams: the only place that talks to database drivers.
//!
//! An [`Engine`] is an address; it opens [`Session`]s. What SQL is sent is decided above; what native errors mean is
//! asked of the dialect. Each engine's folder has the same file names.

mod address;
pub mod dump;
mod gate;
pub mod lease;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod scan;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod tls;
pub mod wait;

pub use address::user;
use async_trait::async_trait;
pub use dunlin_core::copy::Cell;
use dunlin_core::dialect::{Caps, Dialect};
use dunlin_core::failure::ErrorClass;
use dunlin_core::redact::SecretUrl;
use dunlin_core::value::{Row, Value};
use std::time::{Duration, Instant};
pub use tls::system_roots;

/// An error of a driver or server, already classed and free of secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DbError {
    /// What kind of trouble.
    pub class: ErrorClass,
    /// The native code (SQLSTATE, errno, extended result code), empty where there is none.
    pub code: String,
    /// The server's sentence.
    pub message: String,
    /// The byte offset within the statement that the server points at, where it does.
    pub position: Option<usize>,
    /// The server's detail and hint, or ours.
    pub hint: Option<String>,
}

impl DbError {
    /// An error of ours.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        DbError {
            class,
            code: String::new(),
            message: message.into(),
            position: None,
            hint: None,
        }
    }
}

/// What a session is for. It decides what is pinned when it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Runs people's scripts: keeps the server's defaults, records what changes lexing, runs the prelude.
    Script,
    /// Runs Dunlin's own statements: UTC, utf8mb4, strict mode, `row_security = off`, fixed `search_path`.
    Tool,
    /// As [`Purpose::Tool`], and cannot write: the server or the library refuses.
    Read,
    /// Holds the lease and nothing else.
    Lease,
}

/// Settings of an engine beside its URL.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Statements for every script session.
    pub prelude: Vec<String>,
    /// MySQL/MariaDB: pinned for script sessions where not empty.
    pub sql_mode: String,
    /// Bound on lock waits; zero: the server's own.
    pub lock_timeout: Duration,
    /// Bound on statements; zero: none.
    pub statement_timeout: Duration,
    /// Make the database (SQLite: the file) where it is missing.
    pub create: bool,
    /// Where relative paths of a URL begin (SQLite files, certificates); `None`: the working folder.
    pub base_dir: Option<std::path::PathBuf>,
}

/// Where things that were sent together stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Halted {
    /// The statement before the record failed: neither is there when the transaction has been rolled back.
    #[error("{0}")]
    Statement(DbError),
    /// The record was not written, and what was to follow did not happen.
    #[error("{0}")]
    Record(DbError),
    /// The record was written (within the transaction, where one is open), and what followed failed.
    #[error("{0}")]
    After(DbError),
}

impl Halted {
    /// The error, wherever it stopped.
    pub fn into_error(self) -> DbError {
        let (Halted::Statement(error) | Halted::Record(error) | Halted::After(error)) = self;
        error
    }
}

/// Where the time that a statement took is to stand in its record: in a text, between two halves of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Took {
    /// The parameter that is that text.
    pub param: usize,
    /// The byte at which the number belongs.
    pub at: usize,
    /// Milliseconds to be added to those of the statement.
    pub plus: u64,
}

impl Took {
    fn fill_in(self, params: &mut [Value], began: Instant) {
        if let Some(Value::Text(text)) = params.get_mut(self.param)
            && text.is_char_boundary(self.at)
        {
            let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            text.insert_str(self.at, &ms.saturating_add(self.plus).to_string());
        }
    }
}

/// A transaction of one statement and the record of it.
#[derive(Clone, Copy)]
pub struct Whole<'w> {
    /// The statement: one, and none that begins or ends a transaction.
    pub sql: &'w str,
    /// The record's statement.
    pub record: &'w str,
    /// Its values.
    pub params: &'w [Value],
    /// Where the milliseconds since BEGIN are to stand in them.
    pub took: Option<Took>,
    /// Whether it may still be committed, where the record itself does not find that out.
    pub may_commit: Option<&'w lease::Witness>,
}

impl Whole<'_> {
    /// The record's values, with the time filled in.
    fn params_after(&self, began: Instant) -> Vec<Value> {
        let mut params = self.params.to_vec();
        if let Some(took) = self.took {
            took.fill_in(&mut params, began);
        }
        params
    }

    fn is_ours(&self) -> bool {
        self.may_commit.is_none_or(|ours| ours())
    }
}

/// Some statements and the record of them, as a part of a [`Together`].
#[derive(Debug, Clone)]
pub struct Part {
    /// The statements: none that begins or ends a transaction.
    pub statements: Vec<String>,
    /// The record's statement.
    pub record: String,
    /// Its values.
    pub params: Vec<Value>,
    /// Where the milliseconds since the part began are to stand in them.
    pub took: Option<Took>,
}

/// Parts that may share a transaction, in their order.
pub struct Together {
    /// The parts.
    pub parts: Vec<Part>,
    /// Whether they may still be committed.
    pub may_commit: lease::Witness,
    /// After this time no further part begins, and what is there is committed.
    pub within: Duration,
}

/// What a statement of a [`Part`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Did {
    /// Rows that it changed.
    pub rows: u64,
    /// Milliseconds that it took.
    pub duration_ms: u64,
}

/// The error of a commit that was not to be: the lease is another's.
fn not_ours() -> DbError {
    DbError::new(ErrorClass::NotNull, "the lease was lost")
}

/// A [`Whole`] in its parts.
async fn step_by_step(
    session: &mut (impl Session + ?Sized),
    whole: &Whole<'_>,
) -> Result<u64, Halted> {
    let began = Instant::now();
    let rows = session.begin_with(whole.sql).await;
    let rows = rows.map_err(Halted::Statement)?;
    if !whole.is_ours() {
        return Err(Halted::Record(not_ours()));
    }
    let params = whole.params_after(began);
    session.record_and_commit(whole.record, &params).await?;
    Ok(rows)
}

/// An address that opens sessions.
#[async_trait]
pub trait Engine: Send + Sync + std::fmt::Debug {
    /// The dialect.
    fn dialect(&self) -> &'static dyn Dialect;
    /// The URL with its secrets masked.
    fn describe(&self) -> String;
    /// The user of the URL as a `GRANT` names it, where the engine has users.
    fn user(&self) -> Option<String> {
        None
    }
    /// The name of the database: as the server knows it, or the file's stem.
    fn database(&self) -> String;
    /// Opens a session. A missing database is [`ErrorClass::DatabaseMissing`].
    async fn open(&self, purpose: Purpose) -> Result<Box<dyn Session>, DbError>;
    /// Makes the database of the URL. Succeeds where it is there already.
    async fn create_database(&self) -> Result<(), DbError>;
    /// Makes the database of the URL, which must not be there yet: [`ErrorClass::ObjectExists`] where it is. For scratch
    /// databases, which must be nobody else's.
    async fn create_scratch(&self) -> Result<(), DbError>;
    /// The names of the databases beside this one, as [`Engine::sibling`] takes them.
    async fn siblings(&self) -> Result<Vec<String>, DbError>;
    /// Drops the database of the URL: only ever called on scratch databases of our own making.
    async fn drop_database(&self) -> Result<(), DbError>;
    /// The same server, another database (SQLite: another file in the same folder).
    fn sibling(&self, database: &str) -> Result<Box<dyn Engine>, DbError>;
    /// The same server where this database is not made yet: a database that is always there, or an empty one in memory.
    /// For looking only.
    fn before_creation(&self) -> Result<Box<dyn Engine>, DbError> {
        self.sibling("information_schema")
    }
    /// Writes the whole database into a file, from the snapshot that a session exported where the engine has such.
    /// `only`: the tables and views whose statements are wanted, where the tool writes objects and no rows; empty: all.
    async fn dump(
        &self,
        snapshot: Option<&str>,
        only: &[String],
        to: &std::path::Path,
    ) -> Result<dump::Dumped, DbError>;
    /// Brings what [`Engine::dump`] wrote into this database, which must be empty. `over`: it was this database that was
    /// emptied, and what of it could not be dropped before (schemas, large objects, operators) is replaced.
    async fn load(&self, from: &std::path::Path, over: bool) -> Result<(), DbError>;
    /// The path of the database file, for engines whose lock is a file beside it.
    fn file(&self) -> Option<&std::path::Path>;
    /// The secrets of this address, for the redacting filter.
    fn secrets(&self) -> Vec<String>;
}

/// One connection.
#[async_trait]
pub trait Session: Send + Sync {
    /// What the server can do.
    fn caps(&self) -> &Caps;
    /// The dialect.
    fn dialect(&self) -> &'static dyn Dialect;
    /// What changes lexing in this session, as found when it opened.
    fn lex_mode(&self) -> &dunlin_core::sql::LexMode;
    /// Runs one statement as text, as it is; gives the rows it changed (0 where the server does not say). Result rows,
    /// if any, are read and thrown away.
    async fn execute(&mut self, sql: &str) -> Result<u64, DbError>;
    /// Runs one statement with bound values; prepared once and kept where the driver can.
    async fn execute_with(&mut self, sql: &str, params: &[Value]) -> Result<u64, DbError>;
    /// Runs one query with bound values and gives all rows: for the control plane only (at most some thousand rows).
    async fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, DbError>;
    /// As [`Session::query`], for queries of Dunlin's own, whose columns are of built-in types: nothing is kept prepared,
    /// and it is one trip where the protocol has such.
    async fn ask(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, DbError> {
        self.query(sql, params).await
    }
    /// Runs `COPY … FROM stdin` with its data (text form). Engines without it answer [`ErrorClass::Syntax`].
    async fn copy_in(&mut self, sql: &str, data: &str) -> Result<u64, DbError>;
    /// Begins a transaction that takes write intent where the engine has such a thing.
    async fn begin(&mut self) -> Result<(), DbError>;
    /// Commits. [`ErrorClass::ConnectionLost`] here means: unknown; the journal is asked, never a retry.
    async fn commit(&mut self) -> Result<(), DbError>;
    /// Begins a transaction and runs its first statement. One trip where the protocol lets both go together; a BEGIN
    /// that fails keeps the statement from running.
    async fn begin_with(&mut self, sql: &str) -> Result<u64, DbError> {
        self.begin().await?;
        self.execute(sql).await
    }
    /// Writes a record (as [`Session::execute_with`] does) and commits. One trip where the protocol lets both go
    /// together; a record that fails keeps the commit from happening, and leaves the transaction to be rolled back.
    async fn record_and_commit(&mut self, sql: &str, params: &[Value]) -> Result<(), Halted> {
        let recorded = self.execute_with(sql, params).await;
        recorded.map_err(Halted::Record)?;
        self.commit().await.map_err(Halted::After)
    }
    /// A whole transaction: BEGIN, a statement, its record, COMMIT; gives the rows that the statement changed. Stops where
    /// one of them fails, and leaves the transaction to be rolled back. One trip where the server takes all four as one
    /// text: then a connection that is lost on the way is [`Halted::After`], for nobody knows how far it came.
    async fn whole(&mut self, whole: Whole<'_>) -> Result<u64, Halted> {
        step_by_step(self, &whole).await
    }
    /// Whether [`Session::together`] is worth asking: there is one writer at a time anyway, and each commit costs it much.
    fn takes_together(&self) -> bool {
        false
    }
    /// Runs parts in one transaction and commits it: the first ones, as many as began in time. Gives what the statements of
    /// each did; nothing where parts of this database must be committed one by one. Where it fails none of them is there
    /// when the transaction has been rolled back.
    async fn together(&mut self, _asked: Together) -> Result<Vec<Vec<Did>>, DbError> {
        Ok(vec![])
    }
    /// Writes a record, commits it, and then runs a statement that commits by itself: outside of a transaction only. A
    /// record that fails keeps the statement from running. One trip where the server itself sees to that.
    async fn record_then(
        &mut self,
        record: &str,
        params: &[Value],
        sql: &str,
    ) -> Result<u64, Halted> {
        let recorded = self.execute_with(record, params).await;
        recorded.map_err(Halted::Record)?;
        self.execute(sql).await.map_err(Halted::After)
    }
    /// Rolls back; harmless where there is no transaction.
    async fn rollback(&mut self) -> Result<(), DbError>;
    /// Whether a transaction is open, as far as the session knows.
    fn in_transaction(&self) -> bool;
    /// A handle that cancels what this session runs, usable from another task.
    fn canceller(&self) -> Box<dyn Cancel>;
    /// Streams the rows of a query, batch by batch, in bounded memory (digests, backups).
    async fn stream(&mut self, sql: &str) -> Result<Box<dyn RowSource + '_>, DbError>;
    /// Hands each row of a query to a visitor: see [`scan::scan`], which is what is called.
    async fn scan(
        &mut self,
        sql: &str,
        visitor: Box<dyn scan::RowVisitor>,
    ) -> Result<Box<dyn scan::RowVisitor>, DbError> {
        scan::batches(self.stream(sql).await?, visitor).await
    }
    /// Begins a load: `sql` is the statement of the dialect's `bulk`, what is sent afterwards is what its encoder wrote.
    /// A load is taken whole or not at all, also outside of a transaction; within one, a load that failed or was dropped
    /// leaves the transaction to be rolled back.
    async fn load(&mut self, sql: &str, columns: usize) -> Result<Box<dyn RowSink + '_>, DbError>;
    /// Copies a database's file over the one of this session, which may keep it locked; where databases are files.
    async fn overwrite(&mut self, _from: &std::path::Path) -> Result<(), DbError> {
        let message = "this engine's databases are no files";
        Err(DbError::new(ErrorClass::Other, message))
    }
    /// Ends the session politely.
    async fn close(self: Box<Self>);
}

/// Cancels a running statement of one session.
#[async_trait]
pub trait Cancel: Send + Sync {
    /// Asks the server to cancel. After it the session must be drained before anything is journalled (invariant 16).
    async fn cancel(&self) -> Result<(), DbError>;
}

/// Rows on their way, some thousands at a time.
#[async_trait]
pub trait RowSource: Send {
    /// The names of the columns.
    fn columns(&self) -> &[String];
    /// The next batch, or `None` at the end.
    async fn next(&mut self) -> Result<Option<Batch>, DbError>;
}

/// A load under way. Dropped without [`RowSink::finish`] it is given up.
#[async_trait]
pub trait RowSink: Send {
    /// Takes the next bytes; waits while the engine is behind. Rows may be cut anywhere. An error ends the load; not every
    /// engine tells before the end.
    async fn send(&mut self, bytes: Vec<u8>) -> Result<(), DbError>;
    /// Ends the load and gives how many rows it took.
    async fn finish(self: Box<Self>) -> Result<u64, DbError>;
}

/// The most room that a batch is made with.
const ROOM_MAX: usize = 2 << 20;

/// Some rows in two arenas, one of texts and one of bytes: no allocation per cell, and a text once known to be UTF-8 is
/// not looked through again each time that it is read.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    width: usize,
    texts: String,
    arena: Vec<u8>,
    cells: Vec<Slot>,
}

#[derive(Debug, Clone, Copy)]
enum Slot {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Float32(f32),
    Text(usize, usize),
    BadText(usize, usize),
    Bytes(usize, usize),
}

impl Batch {
    /// An empty batch for rows of `width` columns.
    pub fn new(width: usize) -> Self {
        Batch {
            width,
            ..Batch::default()
        }
    }

    /// An empty batch with room for as much as this one holds, and at most for [`ROOM_MAX`] of texts and of bytes: one
    /// long value is not a reason to expect another.
    pub fn likewise(&self) -> Self {
        let room = |len: usize| (len + len / 8).min(ROOM_MAX);
        Batch {
            width: self.width,
            texts: String::with_capacity(room(self.texts.len())),
            arena: Vec::with_capacity(room(self.arena.len())),
            cells: Vec::with_capacity(self.cells.len()),
        }
    }

    /// Adds the next cell, row by row, left to right.
    pub fn push(&mut self, cell: Cell<'_>) {
        let (start, from) = (self.texts.len(), self.arena.len());
        self.cells.push(match cell {
            Cell::Null => Slot::Null,
            Cell::Bool(b) => Slot::Bool(b),
            Cell::Int(n) => Slot::Int(n),
            Cell::UInt(n) => Slot::UInt(n),
            Cell::Float(f) => Slot::Float(f),
            Cell::Float32(f) => Slot::Float32(f),
            Cell::Text(text) => {
                self.texts.push_str(text);
                Slot::Text(start, text.len())
            }
            Cell::BadText(bytes) => {
                self.arena.extend_from_slice(bytes);
                Slot::BadText(from, bytes.len())
            }
            Cell::Bytes(bytes) => {
                self.arena.extend_from_slice(bytes);
                Slot::Bytes(from, bytes.len())
            }
        });
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.cells.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// How many bytes the texts and blobs take.
    pub fn bytes(&self) -> usize {
        self.texts.len() + self.arena.len()
    }

    /// The cells of one row.
    pub fn row(&self, index: usize) -> impl Iterator<Item = Cell<'_>> {
        self.cells[index * self.width..(index + 1) * self.width]
            .iter()
            .map(|slot| match *slot {
                Slot::Null => Cell::Null,
                Slot::Bool(b) => Cell::Bool(b),
                Slot::Int(n) => Cell::Int(n),
                Slot::UInt(n) => Cell::UInt(n),
                Slot::Float(f) => Cell::Float(f),
                Slot::Float32(f) => Cell::Float32(f),
                Slot::Text(from, len) => Cell::Text(&self.texts[from..from + len]),
                Slot::BadText(from, len) => Cell::BadText(&self.arena[from..from + len]),
                Slot::Bytes(from, len) => Cell::Bytes(&self.arena[from..from + len]),
            })
    }
}

/// The names of a server's databases, by a session that is closed then.
#[cfg(any(feature = "postgres", feature = "mysql"))]
async fn names_of_databases(mut session: Box<dyn Session>) -> Result<Vec<String>, DbError> {
    let Some(query) = session.dialect().rows().databases() else {
        return Ok(vec![]);
    };
    let rows = session.query(query, &[]).await;
    session.close().await;
    let name = |row: &Row| row.first().and_then(Value::as_str).map(str::to_owned);
    Ok(rows?.iter().filter_map(name).collect())
}

/// A database that is a file, whatever its name is. `create`: make it where it is missing.
pub fn file_database(path: &std::path::Path, create: bool) -> Result<Box<dyn Engine>, DbError> {
    #[cfg(feature = "sqlite")]
    {
        let settings = Settings {
            create,
            ..Settings::default()
        };
        Ok(Box::new(sqlite::connect::SqliteEngine::of_file(
            path, settings,
        )))
    }
    #[cfg(not(feature = "sqlite"))]
    {
        let _ = (path, create);
        let message = "this build has no engine whose databases are files";
        Err(DbError::new(ErrorClass::Other, message))
    }
}

/// The engine of a URL. An unknown scheme is an error that names the known ones.
pub fn open(url: &SecretUrl, settings: Settings) -> Result<Box<dyn Engine>, DbError> {
    // People paste what a Java service is configured with.
    if let Some(plain) = url.expose().strip_prefix("jdbc:") {
        return open(&SecretUrl::new(plain), settings);
    }
    let scheme = url
        .expose()
        .split(':')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let has = |dialect: &dyn Dialect| dialect.schemes().contains(&scheme.as_str());
    #[cfg(feature = "sqlite")]
    if has(&dunlin_core::dialect::sqlite::Sqlite) {
        return Ok(Box::new(sqlite::connect::SqliteEngine::new(url, settings)?));
    }
    #[cfg(feature = "postgres")]
    if has(&dunlin_core::dialect::postgres::Postgres) {
        return Ok(Box::new(postgres::connect::PostgresEngine::new(
            url, settings,
        )?));
    }
    #[cfg(feature = "mysql")]
    if has(&dunlin_core::dialect::mysql::Mysql) {
        return Ok(Box::new(mysql::connect::MysqlEngine::new(url, settings)?));
    }
    let known: Vec<_> = dunlin_core::dialect::all()
        .iter()
        .flat_map(|dialect| dialect.schemes())
        .copied()
        .collect();
    Err(DbError::new(
        ErrorClass::Unreachable,
        format!(
            "`{scheme}` is not an engine that Dunlin knows; it knows {}",
            known.join(", ")
        ),
    ))
}
