//! One PostgreSQL connection.

use super::bulk;
use super::cancel::{Canceller, Route};
use super::values::{Bound, Raw, read, type_of, value};
use crate::gate::Gate;
use crate::{Cancel, DbError, RowSource, Session};
use async_trait::async_trait;
use dunlin_core::dialect::postgres::Postgres;
use dunlin_core::dialect::{Caps, Dialect};
use dunlin_core::failure::ErrorClass;
use dunlin_core::sql::LexMode;
use dunlin_core::value::{Row, Value};
use futures_util::TryStreamExt;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, RowStream, SimpleQueryMessage, Statement};

/// How many prepared statements are kept. Dunlin's own statements are some dozens.
const STATEMENTS_MAX: usize = 64;

/// How long a polite end may take.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// What is known when a connection stands.
pub(super) struct Start {
    pub(super) version: String,
    pub(super) plain_backslashes: bool,
    pub(super) route: Route,
    /// Why the connection ended, once it has.
    pub(super) end: Arc<OnceLock<String>>,
}

/// One PostgreSQL connection.
pub struct PostgresSession {
    client: Client,
    task: JoinHandle<()>,
    caps: Caps,
    lex_mode: LexMode,
    route: Route,
    end: Arc<OnceLock<String>>,
    gate: Arc<Gate>,
    statements: HashMap<String, Vec<Kept>>,
    in_transaction: bool,
    /// A statement of the open transaction failed: the server will turn COMMIT into ROLLBACK without an error.
    aborted: bool,
    /// A statement was begun and its end was not seen (its future was dropped).
    unseen: bool,
}

/// A prepared statement with the types it was prepared for.
struct Kept {
    types: Vec<Type>,
    statement: Option<Statement>,
}

/// A result on its way.
pub(super) struct Rows {
    pub(super) stream: RowStream,
    pub(super) columns: Vec<String>,
    pub(super) types: Vec<Type>,
}

/// An error of the driver or server, classed. `end` is why the connection ended, where that is known.
pub(super) fn db_error(error: &tokio_postgres::Error, sql: &str, end: Option<&str>) -> DbError {
    let Some(native) = error.as_db_error() else {
        return driver_error(error, end);
    };
    let code = native.code().code().to_owned();
    let position = match native.position() {
        Some(ErrorPosition::Original(at)) => byte_offset(sql, *at),
        _ => None,
    };
    let own = Postgres.error_hint(&code, native.message());
    let hint = [native.detail(), native.hint(), own.as_deref()]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("; ");
    DbError {
        class: Postgres.error_class(&code, native.message()),
        code,
        message: native.message().to_owned(),
        position,
        hint: (!hint.is_empty()).then_some(hint),
    }
}

fn driver_error(error: &tokio_postgres::Error, end: Option<&str>) -> DbError {
    use std::error::Error;
    let cause = error
        .source()
        .map(|cause| format!(": {cause}"))
        .unwrap_or_default();
    let text = format!("{error}{cause}");
    let io = error
        .source()
        .is_some_and(|cause| cause.is::<std::io::Error>());
    if error.is_closed() || io {
        let why = end.map_or(text, str::to_owned);
        return DbError::new(
            ErrorClass::ConnectionLost,
            format!("the connection to the server was lost: {why}"),
        );
    }
    let class = if text.contains("password") || text.contains("authentication") {
        ErrorClass::AuthFailed
    } else {
        ErrorClass::Other
    };
    DbError::new(class, text)
}

/// The server counts characters from 1.
fn byte_offset(sql: &str, position: u32) -> Option<usize> {
    let index = usize::try_from(position).ok()?.checked_sub(1)?;
    sql.char_indices()
        .map(|(at, _)| at)
        .chain([sql.len()])
        .nth(index)
}

impl PostgresSession {
    pub(super) fn new(client: Client, task: JoinHandle<()>, start: Start) -> Self {
        PostgresSession {
            client,
            task,
            caps: Postgres.caps(&start.version),
            lex_mode: LexMode {
                plain_backslashes: start.plain_backslashes,
                ..LexMode::default()
            },
            route: start.route,
            end: start.end,
            gate: Gate::new(),
            statements: HashMap::new(),
            in_transaction: false,
            aborted: false,
            unseen: false,
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn failed(&self, error: &tokio_postgres::Error, sql: &str) -> DbError {
        db_error(error, sql, self.end.get().map(String::as_str))
    }

    /// Before each statement: a late cancel is drained, and what a dropped future left behind is looked at.
    pub(super) async fn ready(&mut self) -> Result<(), DbError> {
        let drain = self.gate.must_drain().await;
        if drain || self.unseen {
            self.drain().await?;
        }
        self.unseen = true;
        Ok(())
    }

    /// After each statement.
    pub(super) async fn finished<T>(
        &mut self,
        outcome: Result<T, tokio_postgres::Error>,
        sql: &str,
    ) -> Result<T, DbError> {
        self.unseen = false;
        if self.gate.must_drain().await {
            let drained = self.drain().await;
            if outcome.is_ok() {
                drained?;
            }
        }
        outcome.map_err(|error| {
            let error = self.failed(&error, sql);
            self.aborted |= self.in_transaction;
            if error.class == ErrorClass::ConnectionLost {
                self.in_transaction = false;
            }
            error
        })
    }

    /// Sends something that a late cancel may hit, and learns whether the transaction stands.
    async fn drain(&mut self) -> Result<(), DbError> {
        for _ in 0..3 {
            match self
                .client
                .batch_execute("SELECT 1")
                .await
                .map_err(|error| self.failed(&error, ""))
            {
                Ok(()) => return Ok(()),
                Err(error) if error.class == ErrorClass::Cancelled => {
                    self.aborted |= self.in_transaction;
                }
                // The transaction had failed already: the statement reached the server, so nothing is under way.
                Err(error) if error.code == "25P02" => {
                    self.aborted = true;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The statement for this text and these types. The first use of a text goes without a name (one round trip for
    /// writes); from the second on it is prepared and kept.
    async fn statement(
        &mut self,
        sql: &str,
        params: &[Value],
        eager: bool,
    ) -> Result<Option<Statement>, tokio_postgres::Error> {
        let fits = |kept: &&mut Kept| {
            kept.types.len() == params.len()
                && kept
                    .types
                    .iter()
                    .zip(params)
                    .all(|(ty, param)| param.is_null() || *ty == type_of(param))
        };
        let types: Vec<Type> = params.iter().map(type_of).collect();
        if !self.statements.contains_key(sql) && self.statements.len() >= STATEMENTS_MAX {
            self.statements.clear();
        }
        let variants = self.statements.entry(sql.to_owned()).or_default();
        match variants.iter_mut().find(fits) {
            Some(Kept {
                statement: Some(statement),
                ..
            }) => Ok(Some(statement.clone())),
            Some(kept) => {
                let statement = self.client.prepare_typed(sql, &kept.types).await?;
                kept.statement = Some(statement.clone());
                Ok(Some(statement))
            }
            None if eager => {
                let statement = self.client.prepare_typed(sql, &types).await?;
                variants.push(Kept {
                    types,
                    statement: Some(statement.clone()),
                });
                Ok(Some(statement))
            }
            None => {
                variants.push(Kept {
                    types,
                    statement: None,
                });
                Ok(None)
            }
        }
    }

    /// Starts a query. It is always prepared first: the driver may have to look types up, which it cannot do while
    /// rows are on their way.
    pub(super) async fn rows_of(&mut self, sql: &str, params: &[Value]) -> Result<Rows, DbError> {
        let started = async {
            let statement = match self.statement(sql, params, true).await? {
                Some(statement) => statement,
                None => self.client.prepare(sql).await?,
            };
            let stream = self
                .client
                .query_raw(&statement, params.iter().map(Bound))
                .await?;
            let columns = statement.columns();
            Ok(Rows {
                stream,
                columns: columns
                    .iter()
                    .map(|column| column.name().to_owned())
                    .collect(),
                types: columns
                    .iter()
                    .map(|column| column.type_().clone())
                    .collect(),
            })
        }
        .await;
        match started {
            Ok(rows) => Ok(rows),
            Err(error) => self.finished(Err(error), sql).await,
        }
    }

    async fn simple(&mut self, sql: &str) -> Result<u64, tokio_postgres::Error> {
        let mut messages = std::pin::pin!(self.client.simple_query_raw(sql).await?);
        let mut changed = 0;
        while let Some(message) = messages.try_next().await? {
            if let SimpleQueryMessage::CommandComplete(rows) = message {
                changed = rows;
            }
        }
        Ok(changed)
    }

    /// Runs a text and follows what it does to the transaction.
    async fn run(&mut self, sql: &str) -> Result<u64, DbError> {
        self.ready().await?;
        let step = Step::of(sql);
        let reads = reads(sql);
        let was_aborted = self.aborted;
        let outcome = self.simple(sql).await;
        let outcome = self.finished(outcome, sql).await;
        if outcome.is_ok() {
            match step {
                Step::Begin => (self.in_transaction, self.aborted) = (true, false),
                Step::Commit | Step::Rollback => {
                    (self.in_transaction, self.aborted) = (false, false);
                }
                Step::Chain => self.aborted = false,
                Step::RollbackTo => self.aborted = false,
                Step::Other => {}
            }
            if step == Step::Commit && was_aborted {
                let mut error = DbError::new(
                    ErrorClass::Other,
                    "the transaction had failed before, so the server rolled it back in place of committing it",
                );
                error.code = "25P02".into();
                return Err(error);
            }
        } else if step == Step::Commit {
            // A deferred constraint failed: the server has rolled the transaction back.
            (self.in_transaction, self.aborted) = (false, false);
        }
        outcome.map(|changed| if reads { 0 } else { changed })
    }
}

/// Whether the count that the server gives is one of rows read.
fn reads(sql: &str) -> bool {
    words(sql).next().is_some_and(|word| {
        ["SELECT", "VALUES", "TABLE", "SHOW", "FETCH", "MOVE"]
            .iter()
            .any(|verb| word.eq_ignore_ascii_case(verb))
    })
}

/// What a statement does to the transaction that the session is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin,
    Commit,
    Rollback,
    RollbackTo,
    Chain,
    Other,
}

impl Step {
    fn of(sql: &str) -> Step {
        let words: Vec<String> = words(sql).take(6).map(str::to_ascii_uppercase).collect();
        let word = |at: usize| words.get(at).map_or("", String::as_str);
        let chain = words
            .windows(2)
            .any(|pair| pair[0] == "AND" && pair[1] == "CHAIN");
        match word(0) {
            "BEGIN" => Step::Begin,
            "START" if word(1) == "TRANSACTION" => Step::Begin,
            "COMMIT" | "END" | "ROLLBACK" if word(1) == "PREPARED" => Step::Other,
            "COMMIT" | "END" | "ROLLBACK" | "ABORT" if chain => Step::Chain,
            "COMMIT" | "END" => Step::Commit,
            "PREPARE" if word(1) == "TRANSACTION" => Step::Commit,
            "ROLLBACK" if words.iter().any(|word| word == "TO") => Step::RollbackTo,
            "ROLLBACK" | "ABORT" => Step::Rollback,
            _ => Step::Other,
        }
    }
}

/// The first words of a statement, comments before them skipped.
fn words(sql: &str) -> impl Iterator<Item = &str> {
    let mut rest = sql.trim_start();
    loop {
        let after = if rest.starts_with("--") {
            rest.split_once('\n').map(|(_, rest)| rest)
        } else if rest.starts_with("/*") {
            rest.split_once("*/").map(|(_, rest)| rest)
        } else {
            break;
        };
        rest = after.unwrap_or_default().trim_start();
    }
    rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

#[async_trait]
impl Session for PostgresSession {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Postgres
    }

    fn lex_mode(&self) -> &LexMode {
        &self.lex_mode
    }

    async fn execute(&mut self, sql: &str) -> Result<u64, DbError> {
        self.run(sql).await
    }

    async fn execute_with(&mut self, sql: &str, params: &[Value]) -> Result<u64, DbError> {
        self.ready().await?;
        let outcome = async {
            match self.statement(sql, params, false).await? {
                Some(statement) => {
                    self.client
                        .execute_raw(&statement, params.iter().map(Bound))
                        .await
                }
                None => {
                    let bound: Vec<Bound<'_>> = params.iter().map(Bound).collect();
                    let typed: Vec<(&(dyn ToSql + Sync), Type)> = bound
                        .iter()
                        .zip(params)
                        .map(|(bound, param)| (bound as &(dyn ToSql + Sync), type_of(param)))
                        .collect();
                    self.client.execute_typed(sql, &typed).await
                }
            }
        }
        .await;
        let changed = self.finished(outcome, sql).await?;
        Ok(if reads(sql) { 0 } else { changed })
    }

    async fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, DbError> {
        self.ready().await?;
        let rows = self.rows_of(sql, params).await?;
        let mut stream = std::pin::pin!(rows.stream);
        let mut all = vec![];
        let mut scratch = String::new();
        loop {
            match stream.try_next().await {
                Ok(None) => break,
                Err(error) => return self.finished(Err(error), sql).await,
                Ok(Some(row)) => {
                    let cells = rows.types.iter().enumerate().map(|(at, ty)| {
                        let raw: Option<Raw<'_>> =
                            row.try_get(at).map_err(|error| self.failed(&error, sql))?;
                        raw.map_or(Ok(Value::Null), |Raw(raw)| {
                            read(ty, &rows.columns[at], raw, &mut scratch).map(value)
                        })
                    });
                    all.push(cells.collect::<Result<Row, DbError>>()?);
                }
            }
        }
        self.finished(Ok(all), sql).await
    }

    async fn copy_in(&mut self, sql: &str, data: &str) -> Result<u64, DbError> {
        bulk::copy_in(self, sql, data).await
    }

    async fn begin(&mut self) -> Result<(), DbError> {
        self.run("BEGIN").await.map(|_| ())
    }

    async fn commit(&mut self) -> Result<(), DbError> {
        self.run("COMMIT").await.map(|_| ())
    }

    async fn rollback(&mut self) -> Result<(), DbError> {
        if !self.in_transaction && !self.unseen {
            return Ok(());
        }
        self.run("ROLLBACK").await.map(|_| ())
    }

    fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    fn canceller(&self) -> Box<dyn Cancel> {
        Box::new(Canceller {
            token: self.client.cancel_token(),
            route: self.route.clone(),
            gate: Arc::clone(&self.gate),
        })
    }

    async fn stream(&mut self, sql: &str) -> Result<Box<dyn RowSource + '_>, DbError> {
        bulk::start(self, sql).await
    }

    async fn close(self: Box<Self>) {
        let PostgresSession { client, task, .. } = *self;
        drop(client);
        let _ = tokio::time::timeout(CLOSE_PATIENCE, task).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_does_to_the_transaction_is_seen() {
        for (sql, expected) in [
            ("BEGIN", Step::Begin),
            ("/* a */ -- b\n start transaction read only", Step::Begin),
            ("COMMIT;", Step::Commit),
            ("commit and chain", Step::Chain),
            ("COMMIT PREPARED 'x'", Step::Other),
            ("ROLLBACK TO SAVEPOINT a", Step::RollbackTo),
            ("ABORT", Step::Rollback),
            ("SELECT 'COMMIT'", Step::Other),
        ] {
            assert_eq!(Step::of(sql), expected, "{sql}");
        }
    }

    #[test]
    fn positions_count_characters() {
        assert_eq!(byte_offset("SELEC 1", 1), Some(0));
        assert_eq!(byte_offset("'é' x", 5), Some(5));
        assert_eq!(byte_offset("x", 9), None);
    }
}
