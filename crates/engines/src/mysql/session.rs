//! One MySQL or MariaDB connection.

mod whole;

use super::bulk;
use super::cancel::Canceller;
use super::connect::MysqlEngine;
use super::load;
use super::values::{Shape, bound, is_long, read, shape, value, with_literals};
use crate::gate::Gate;
use crate::scan::RowVisitor;
use crate::{Cancel, DbError, Halted, Purpose, RowSink, RowSource, Session, Whole, step_by_step};
use async_trait::async_trait;
use dunlin_core::dialect::mysql::Mysql;
use dunlin_core::dialect::{Caps, Dialect};
use dunlin_core::failure::ErrorClass;
use dunlin_core::redact::about;
use dunlin_core::sql::LexMode;
use dunlin_core::value::{Row, Value};
use mysql_async::consts::StatusFlags;
use mysql_async::prelude::{Protocol, Queryable};
use mysql_async::{Conn, DriverError, IoError, Params, QueryResult};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// ER_UNSUPPORTED_PS: the statement is understood, and not by the prepared protocol.
const NOT_PREPARABLE: u16 = 1295;

/// How long a polite end may take.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// One MySQL or MariaDB connection.
pub struct MysqlSession {
    /// Away while a load has it.
    conn: Option<Conn>,
    /// Where it comes back from, and whether the load's own transaction is then to be taken back.
    away: Option<(oneshot::Receiver<Conn>, bool)>,
    id: u32,
    engine: MysqlEngine,
    purpose: Purpose,
    caps: Caps,
    lex_mode: LexMode,
    gate: Arc<Gate>,
    in_transaction: bool,
    /// A statement was begun and its end was not seen (its future was dropped). The driver would take the answer that
    /// is still to come for that of the next statement, so there is no next statement.
    unseen: bool,
}

/// An error of the driver or server, classed.
pub(super) fn db_error(error: &mysql_async::Error) -> DbError {
    match error {
        mysql_async::Error::Server(native) => {
            let code = native.code.to_string();
            DbError {
                class: Mysql.error_class(&code, &native.message),
                hint: Mysql.error_hint(&code, &native.message),
                code,
                message: native.message.clone(),
                position: None,
            }
        }
        mysql_async::Error::Io(IoError::Tls(tls)) => {
            DbError::new(ErrorClass::Tls, format!("TLS failed: {tls}"))
        }
        mysql_async::Error::Io(IoError::Io(io)) => DbError::new(
            ErrorClass::ConnectionLost,
            format!("the connection to the server was lost: {io}"),
        ),
        mysql_async::Error::Driver(DriverError::ConnectionClosed) => DbError::new(
            ErrorClass::ConnectionLost,
            "the connection to the server was lost",
        ),
        mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer) => DbError::new(
            ErrorClass::Tls,
            "the URL asks for an encrypted connection and the server offers none",
        ),
        mysql_async::Error::Driver(DriverError::PacketTooLarge) => DbError::new(
            ErrorClass::Data,
            "a packet is larger than the protocol allows (1 GB)",
        ),
        mysql_async::Error::Driver(
            DriverError::PacketOutOfOrder | DriverError::UnexpectedPacket { .. },
        ) => DbError::new(
            ErrorClass::ConnectionLost,
            "the server sent something that is not the protocol, so the connection was given up",
        ),
        mysql_async::Error::Driver(DriverError::UnknownAuthPlugin { name }) => DbError::new(
            ErrorClass::AuthFailed,
            format!("the account's way of logging in (`{name}`) is not known here"),
        ),
        other => DbError::new(ErrorClass::Other, other.to_string()),
    }
}

/// The rows of the first result as values, with whatever follows read and thrown away.
async fn all_rows<P: Protocol>(
    mut result: QueryResult<'_, 'static, P>,
) -> Result<Vec<Row>, mysql_async::Error> {
    let shapes: Vec<Shape> = result.columns_ref().iter().map(shape).collect();
    let mut all = vec![];
    let mut scratch = String::new();
    while let Some(row) = result.next().await? {
        let cells = shapes.iter().enumerate().map(|(at, shape)| {
            let native = row.as_ref(at).unwrap_or(&mysql_async::Value::NULL);
            value(read(*shape, native, &mut scratch))
        });
        all.push(cells.collect());
    }
    result.drop_result().await?;
    Ok(all)
}

impl MysqlSession {
    pub(super) fn new(
        conn: Conn,
        engine: MysqlEngine,
        purpose: Purpose,
        version: &str,
        sql_mode: &str,
    ) -> Self {
        MysqlSession {
            id: conn.id(),
            conn: Some(conn),
            away: None,
            engine,
            purpose,
            caps: Mysql.caps(version),
            lex_mode: LexMode {
                sql_mode: sql_mode.to_ascii_uppercase(),
                ..LexMode::default()
            },
            gate: Gate::new(),
            in_transaction: false,
            unseen: false,
        }
    }

    /// The connection, and the mark that stands while an answer is awaited.
    pub(super) fn parts(&mut self) -> Result<(&mut Conn, &mut bool), DbError> {
        match &mut self.conn {
            Some(conn) => Ok((conn, &mut self.unseen)),
            None => Err(db_error(&DriverError::ConnectionClosed.into())),
        }
    }

    /// The connection, which is here but while a load has it.
    fn conn(&mut self) -> Result<&mut Conn, mysql_async::Error> {
        let here = self.conn.as_mut();
        here.ok_or_else(|| DriverError::ConnectionClosed.into())
    }

    /// Hands the connection to a load, which gives it back there.
    pub(super) fn lend(&mut self, home: oneshot::Receiver<Conn>, own: bool) -> Option<Conn> {
        let conn = self.conn.take()?;
        self.away = Some((home, own));
        Some(conn)
    }

    /// Takes back what a load was lent. `wanted`: the load's own transaction is to stay.
    pub(super) async fn take_back(&mut self, wanted: bool) -> Result<(), DbError> {
        let Some((home, own)) = self.away.take() else {
            return Ok(());
        };
        self.conn = home.await.ok();
        self.unseen = false;
        self.look();
        if !own {
            return Ok(());
        }
        let end = if wanted { "COMMIT" } else { "ROLLBACK" };
        let ended = match self.conn() {
            Ok(conn) => conn.query_drop(end).await,
            Err(error) => Err(error),
        };
        self.look();
        ended.map_err(|error| db_error(&error))
    }

    /// Before each statement: a late cancel is drained.
    pub(super) async fn ready(&mut self) -> Result<(), DbError> {
        self.take_back(false).await?;
        if self.unseen {
            self.in_transaction = false;
            return Err(DbError::new(
                ErrorClass::ConnectionLost,
                "the connection was given up with a statement that nobody waited for",
            ));
        }
        self.unseen = true;
        if self.gate.must_drain().await {
            self.drain().await?;
        }
        Ok(())
    }

    /// After each statement.
    pub(super) async fn finished<T>(
        &mut self,
        outcome: Result<T, mysql_async::Error>,
        sql: &str,
    ) -> Result<T, DbError> {
        self.unseen = false;
        self.look();
        let outcome = outcome.map_err(|error| {
            let error = db_error(&error);
            DbError {
                message: about(sql, &error.message, error.class == ErrorClass::Syntax),
                ..error
            }
        });
        if let Err(error) = &outcome {
            match error.class {
                // These end the transaction on the server, not only the statement.
                ErrorClass::Deadlock | ErrorClass::ConnectionLost => self.in_transaction = false,
                _ => {}
            }
        }
        if self.gate.must_drain().await {
            let drained = self.drain().await;
            if outcome.is_ok() {
                drained?;
            }
        }
        outcome
    }

    /// The server says with each answer whether a transaction is open.
    fn look(&mut self) {
        if let Some(answer) = self.conn.as_ref().and_then(Conn::last_ok_packet) {
            self.in_transaction = answer
                .status_flags()
                .contains(StatusFlags::SERVER_STATUS_IN_TRANS);
        }
    }

    /// Sends something that a late cancel may hit.
    async fn drain(&mut self) -> Result<(), DbError> {
        for _ in 0..3 {
            let (conn, _) = self.parts()?;
            let drained = conn.query_drop("DO 0").await;
            match drained.map_err(|error| db_error(&error)) {
                Err(error) if error.class == ErrorClass::Cancelled => {}
                outcome => return outcome,
            }
        }
        Ok(())
    }

    async fn text(&mut self, sql: &str) -> Result<u64, mysql_async::Error> {
        let result = self.conn()?.query_iter(sql).await?;
        let changed = result.affected_rows();
        let reads = !result.columns_ref().is_empty();
        result.drop_result().await?;
        Ok(if reads { 0 } else { changed })
    }

    async fn prepared(&mut self, sql: &str, params: Params) -> Result<u64, mysql_async::Error> {
        let result = self.conn()?.exec_iter(sql, params).await?;
        let changed = result.affected_rows();
        let reads = !result.columns_ref().is_empty();
        result.drop_result().await?;
        Ok(if reads { 0 } else { changed })
    }

    /// A statement of ours without rows and one after it, in one text: the server leaves the second aside where the first
    /// fails. An error comes with whether the first had passed.
    async fn two(&mut self, text: &str) -> Result<u64, (bool, mysql_async::Error)> {
        let conn = self.conn().map_err(|error| (false, error))?;
        let opened = conn.query_iter(text).await;
        let mut result = opened.map_err(|error| (false, error))?;
        let second = async {
            // From the end of the first result to the beginning of the second.
            result.next().await?;
            let changed = result.affected_rows();
            let reads = !result.columns_ref().is_empty();
            result.drop_result().await?;
            Ok(if reads { 0 } else { changed })
        };
        second.await.map_err(|error| (true, error))
    }

    /// Sends a record and what follows it as one text, the record's values as literals.
    async fn record_and(
        &mut self,
        record: &str,
        params: &[Value],
        then: &str,
    ) -> Result<u64, Halted> {
        self.ready().await.map_err(Halted::Record)?;
        let text = format!("{};\n{then}", with_literals(record, params, None));
        let outcome = self.two(&text).await;
        let recorded = !matches!(outcome, Err((false, _)));
        let outcome = self
            .finished(outcome.map_err(|(_, error)| error), &text)
            .await;
        outcome.map_err(|error| {
            // Lost on the way: whether the first arrived, and the second after it, is for the journal to tell.
            if recorded || error.class == ErrorClass::ConnectionLost {
                Halted::After(error)
            } else {
                Halted::Record(error)
            }
        })
    }

    /// The driver always lets a text hold several statements. Scripts are cut into statements by the splitter; any
    /// other text that could hold a second one goes by the prepared protocol, which takes exactly one.
    fn may_be_text(&self, sql: &str) -> bool {
        self.purpose == Purpose::Script || !sql.trim_end_matches([';', ' ', '\n']).contains(';')
    }
}

#[async_trait]
impl Session for MysqlSession {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn dialect(&self) -> &'static dyn Dialect {
        &Mysql
    }

    fn lex_mode(&self) -> &LexMode {
        &self.lex_mode
    }

    async fn execute(&mut self, sql: &str) -> Result<u64, DbError> {
        self.ready().await?;
        let outcome = if self.may_be_text(sql) {
            self.text(sql).await
        } else {
            match self.prepared(sql, Params::Empty).await {
                // Parsed, so it is one statement; and one that the prepared protocol does not know (routines, triggers).
                Err(mysql_async::Error::Server(error)) if error.code == NOT_PREPARABLE => {
                    self.text(sql).await
                }
                outcome => outcome,
            }
        };
        self.finished(outcome, sql).await
    }

    async fn execute_with(&mut self, sql: &str, params: &[Value]) -> Result<u64, DbError> {
        self.ready().await?;
        let params = Params::Positional(params.iter().map(bound).collect());
        let outcome = self.prepared(sql, params).await;
        self.finished(outcome, sql).await
    }

    async fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, DbError> {
        self.ready().await?;
        // Without values a text costs one round trip where a prepared statement costs two.
        let as_text = params.is_empty() && self.may_be_text(sql);
        let (conn, _) = self.parts()?;
        let outcome = if as_text {
            match conn.query_iter(sql).await {
                Ok(result) => all_rows(result).await,
                Err(error) => Err(error),
            }
        } else {
            let params = match params {
                [] => Params::Empty,
                some => Params::Positional(some.iter().map(bound).collect()),
            };
            match conn.exec_iter(sql, params).await {
                Ok(result) => all_rows(result).await,
                Err(error) => Err(error),
            }
        };
        self.finished(outcome, sql).await
    }

    async fn ask(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, DbError> {
        if is_long(params) {
            return self.query(sql, params).await;
        }
        self.query(&with_literals(sql, params, None), &[]).await
    }

    async fn copy_in(&mut self, _sql: &str, _data: &str) -> Result<u64, DbError> {
        Err(DbError::new(
            ErrorClass::Syntax,
            "this engine has no COPY … FROM stdin; use INSERT or LOAD DATA",
        ))
    }

    async fn begin(&mut self) -> Result<(), DbError> {
        self.execute("START TRANSACTION").await.map(|_| ())
    }

    async fn begin_with(&mut self, sql: &str) -> Result<u64, DbError> {
        if !self.may_be_text(sql) || self.in_transaction {
            self.begin().await?;
            return self.execute(sql).await;
        }
        self.ready().await?;
        let outcome = self.two(&format!("START TRANSACTION;\n{sql}")).await;
        self.in_transaction = !matches!(outcome, Err((false, _)));
        self.finished(outcome.map_err(|(_, error)| error), sql)
            .await
    }

    async fn record_and_commit(&mut self, sql: &str, params: &[Value]) -> Result<(), Halted> {
        if is_long(params) {
            let recorded = self.execute_with(sql, params).await;
            recorded.map_err(Halted::Record)?;
            return self.commit().await.map_err(Halted::After);
        }
        self.record_and(sql, params, "COMMIT").await.map(|_| ())
    }

    async fn whole(&mut self, whole: Whole<'_>) -> Result<u64, Halted> {
        match self.on_one_trip(&whole).await {
            Some(outcome) => outcome,
            None => step_by_step(self, &whole).await,
        }
    }

    async fn record_then(
        &mut self,
        record: &str,
        params: &[Value],
        sql: &str,
    ) -> Result<u64, Halted> {
        if is_long(params) || self.in_transaction || !self.may_be_text(sql) {
            let recorded = self.execute_with(record, params).await;
            recorded.map_err(Halted::Record)?;
            return self.execute(sql).await.map_err(Halted::After);
        }
        self.record_and(record, params, sql).await
    }

    async fn commit(&mut self) -> Result<(), DbError> {
        self.execute("COMMIT").await.map(|_| ())
    }

    async fn rollback(&mut self) -> Result<(), DbError> {
        self.execute("ROLLBACK").await.map(|_| ())
    }

    fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    fn canceller(&self) -> Box<dyn Cancel> {
        Box::new(Canceller {
            engine: self.engine.clone(),
            id: self.id,
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
        bulk::scan(self, sql, visitor).await
    }

    async fn load(&mut self, sql: &str, _columns: usize) -> Result<Box<dyn RowSink + '_>, DbError> {
        load::start(self, sql).await
    }

    async fn close(self: Box<Self>) {
        if let Some(conn) = self.conn {
            let _ = tokio::time::timeout(CLOSE_PATIENCE, conn.disconnect()).await;
        }
    }
}
