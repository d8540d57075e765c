//! One PostgreSQL connection.

mod ask;
mod whole;

use super::bulk;
use super::cancel::{Canceller, Route};
use super::errors::COPY_WITHOUT_DATA;
pub(super) use super::errors::db_error;
use super::rows::Rows;
use super::text::{Step, reads, words};
use super::values::{Bound, type_of};
use crate::gate::Gate;
use crate::scan::RowVisitor;
use crate::{Cancel, DbError, Halted, RowSink, RowSource, Session, Whole, step_by_step};
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
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, SimpleQueryMessage, Statement};

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
    /// Behind a transaction pooler: what begins each transaction and pins what the startup packet could not.
    pub(super) local_pins: Option<String>,
    /// For people's scripts, whose statements must go as plain text.
    pub(super) script: bool,
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
    /// Statements of records that were used before, and whether each is prepared on the server.
    records: Vec<(String, bool)>,
    in_transaction: bool,
    /// A statement of the open transaction failed: the server will turn COMMIT into ROLLBACK without an error.
    aborted: bool,
    local_pins: Option<String>,
    script: bool,
    /// The open transaction was begun by us for one statement, to pin its surroundings.
    own_transaction: bool,
    /// A statement was begun and its end was not seen (its future was dropped).
    unseen: bool,
}

/// A prepared statement with the types it was prepared for.
struct Kept {
    types: Vec<Type>,
    statement: Option<Statement>,
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
            records: vec![],
            in_transaction: false,
            aborted: false,
            local_pins: start.local_pins,
            script: start.script,
            own_transaction: false,
            unseen: false,
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn failed(&self, error: &tokio_postgres::Error, sql: &str) -> DbError {
        db_error(error, sql, self.end.get().map(String::as_str))
    }

    /// Whether a pooler gives it another connection for each transaction.
    pub(super) fn is_pooled(&self) -> bool {
        self.local_pins.is_some()
    }

    /// Before each statement: a late cancel is drained, and what a dropped future left behind is looked at.
    pub(super) async fn ready(&mut self) -> Result<(), DbError> {
        self.settle().await?;
        if let (Some(pins), false) = (&self.local_pins, self.in_transaction) {
            let begun = self.client.batch_execute(pins).await;
            begun.map_err(|error| self.failed(&error, ""))?;
            self.own_transaction = true;
        }
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), DbError> {
        let drain = self.gate.must_drain().await;
        if self.own_transaction {
            // A stream that was left in the middle.
            self.end_own("ROLLBACK").await?;
        } else if drain || self.unseen {
            self.drain().await?;
        }
        self.unseen = true;
        Ok(())
    }

    async fn end_own(&mut self, sql: &str) -> Result<(), DbError> {
        self.own_transaction = false;
        let ended = self.client.batch_execute(sql).await;
        ended.map_err(|error| self.failed(&error, ""))
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
        if self.own_transaction {
            let ended = self
                .end_own(if outcome.is_ok() {
                    "COMMIT"
                } else {
                    "ROLLBACK"
                })
                .await;
            if outcome.is_ok() {
                ended?;
            }
        }
        outcome.map_err(|error| {
            let error = self.failed(&error, sql);
            if error.code == COPY_WITHOUT_DATA {
                // The driver cannot leave this state, and the server would hold its locks for ever.
                let _ = self.end.set("a COPY came without its data".into());
                self.task.abort();
            }
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

    /// The statement for this text and these types. The first use of a text without rows goes without a name (one round
    /// trip); from the second on it is prepared and kept.
    async fn statement(
        &mut self,
        sql: &str,
        params: &[Value],
        eager: bool,
    ) -> Result<Option<Statement>, tokio_postgres::Error> {
        let fits = |kept: &Kept| {
            kept.types.len() == params.len()
                && kept
                    .types
                    .iter()
                    .zip(params)
                    .all(|(ty, param)| param.is_null() || *ty == type_of(param))
        };
        if !self.statements.contains_key(sql) && self.statements.len() >= STATEMENTS_MAX {
            self.statements.clear();
        }
        let variants = self.statements.entry(sql.to_owned()).or_default();
        let at = match variants.iter().position(fits) {
            Some(at) => at,
            None => {
                let types = params.iter().map(type_of).collect();
                variants.push(Kept {
                    types,
                    statement: None,
                });
                if !eager {
                    return Ok(None);
                }
                variants.len() - 1
            }
        };
        let kept = &mut variants[at];
        if kept.statement.is_none() {
            kept.statement = Some(self.client.prepare_typed(sql, &kept.types).await?);
        }
        Ok(kept.statement.clone())
    }

    /// Prepared statements with result rows do not outlive a change of the tables they read.
    fn forget_results(&mut self, sql: &str) {
        let changes = words(sql).next().is_some_and(|word| {
            ["ALTER", "DROP", "CREATE", "DO", "CALL"]
                .iter()
                .any(|verb| word.eq_ignore_ascii_case(verb))
        });
        if changes {
            let rowless = |kept: &Kept| {
                kept.statement
                    .as_ref()
                    .is_none_or(|statement| statement.columns().is_empty())
            };
            self.statements
                .retain(|_, variants| variants.iter().all(rowless));
        }
    }

    /// Starts a query. It is prepared first: the driver may have to look types up, which it cannot do while rows are on
    /// their way. A pooler has no place for prepared statements; there the types must be the built-in ones.
    pub(super) async fn rows_of(
        &mut self,
        sql: &str,
        params: &[Value],
        keep: bool,
    ) -> Result<Rows, DbError> {
        let mut again = keep && !self.in_transaction;
        loop {
            let error = match self.start_rows(sql, params, keep).await {
                Ok(rows) => return Ok(rows),
                Err(error) => error,
            };
            // Another session changed the table since the statement was prepared.
            let stale = error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED)
                && self.statements.remove(sql).is_some();
            if !(stale && std::mem::take(&mut again)) {
                return self.finished(Err(error), sql).await;
            }
        }
    }

    async fn start_rows(
        &mut self,
        sql: &str,
        params: &[Value],
        keep: bool,
    ) -> Result<Rows, tokio_postgres::Error> {
        if self.local_pins.is_some() {
            return self.typed_rows(sql, params).await;
        }
        let kept = if keep {
            self.statement(sql, params, true).await?
        } else {
            None
        };
        let statement = match kept {
            Some(statement) => statement,
            None => {
                let types: Vec<Type> = params.iter().map(type_of).collect();
                self.client.prepare_typed(sql, &types).await?
            }
        };
        let stream = self
            .client
            .query_raw(&statement, params.iter().map(Bound))
            .await?;
        Ok(Rows::new(statement.columns(), Box::pin(stream), None))
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

    /// Sends a statement with its values, as the kept one where there is one.
    async fn send_bound(
        &self,
        sql: &str,
        statement: Option<&Statement>,
        params: &[Value],
    ) -> Result<u64, tokio_postgres::Error> {
        if let Some(statement) = statement {
            let values = params.iter().map(Bound);
            return self.client.execute_raw(statement, values).await;
        }
        let bound: Vec<Bound<'_>> = params.iter().map(Bound).collect();
        let typed: Vec<(&(dyn ToSql + Sync), Type)> = bound
            .iter()
            .zip(params)
            .map(|(bound, param)| (bound as &(dyn ToSql + Sync), type_of(param)))
            .collect();
        self.client.execute_typed(sql, &typed).await
    }

    /// Runs a text and follows what it does to the transaction.
    async fn run(&mut self, sql: &str) -> Result<u64, DbError> {
        let step = Step::of(sql);
        match step {
            Step::Begin => self.settle().await?,
            _ => self.ready().await?,
        }
        let reads = reads(sql);
        let was_aborted = self.aborted;
        self.forget_results(sql);
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
        // Scripts are cut into statements by the splitter; any other text that could hold a second statement goes by
        // the protocol that takes exactly one.
        if self.script || !sql.trim_end_matches([';', ' ', '\n']).contains(';') {
            self.run(sql).await
        } else {
            self.execute_with(sql, &[]).await
        }
    }

    async fn execute_with(&mut self, sql: &str, params: &[Value]) -> Result<u64, DbError> {
        self.ready().await?;
        let outcome = async {
            let statement = self.statement(sql, params, false).await?;
            self.send_bound(sql, statement.as_ref(), params).await
        }
        .await;
        let changed = self.finished(outcome, sql).await?;
        Ok(if reads(sql) { 0 } else { changed })
    }

    async fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, DbError> {
        self.ready().await?;
        let rows = self.rows_of(sql, params, true).await?;
        self.all_of(rows, sql).await
    }

    async fn ask(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, DbError> {
        self.ready().await?;
        match self.typed_rows(sql, params).await {
            Ok(rows) => self.all_of(rows, sql).await,
            Err(error) => self.finished(Err(error), sql).await,
        }
    }

    async fn copy_in(&mut self, sql: &str, data: &str) -> Result<u64, DbError> {
        bulk::copy_in(self, sql, data).await
    }

    async fn begin(&mut self) -> Result<(), DbError> {
        let text = self.local_pins.clone().unwrap_or_else(|| "BEGIN".into());
        self.run(&text).await.map(|_| ())
    }

    async fn begin_with(&mut self, sql: &str) -> Result<u64, DbError> {
        if self.local_pins.is_some() || self.in_transaction || Step::of(sql) != Step::Other {
            self.begin().await?;
            return self.execute(sql).await;
        }
        self.together(sql).await
    }

    async fn record_and_commit(&mut self, sql: &str, params: &[Value]) -> Result<(), Halted> {
        if self.local_pins.is_some() || !self.in_transaction || self.aborted {
            let recorded = self.execute_with(sql, params).await;
            recorded.map_err(Halted::Record)?;
            return self.commit().await.map_err(Halted::After);
        }
        self.record_with_commit(sql, params).await
    }

    async fn whole(&mut self, whole: Whole<'_>) -> Result<u64, Halted> {
        match self.on_one_trip(&whole).await {
            Some(outcome) => outcome,
            None => step_by_step(self, &whole).await,
        }
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

    async fn scan(
        &mut self,
        sql: &str,
        visitor: Box<dyn RowVisitor>,
    ) -> Result<Box<dyn RowVisitor>, DbError> {
        super::scan::scan(self, sql, visitor).await
    }

    async fn load(&mut self, sql: &str, _columns: usize) -> Result<Box<dyn RowSink + '_>, DbError> {
        bulk::load(self, sql).await
    }

    async fn close(self: Box<Self>) {
        let PostgresSession { client, task, .. } = *self;
        drop(client);
        let _ = tokio::time::timeout(CLOSE_PATIENCE, task).await;
    }
}
