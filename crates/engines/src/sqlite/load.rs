//! Loading rows into SQLite: the connection's thread takes the encoder's form apart and binds it to one INSERT.

use super::session::{SqliteSession, db_error};
use crate::{DbError, RowSink};
use async_trait::async_trait;
use dunlin_core::dialect::sqlite::bulk;
use dunlin_core::failure::ErrorClass;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Statement};
use std::sync::atomic::Ordering;
use tokio::sync::{mpsc, oneshot};

/// What the thread is told.
enum Told {
    Rows(Vec<u8>),
    /// There are no more, and the load is wanted.
    End,
}

struct Load {
    rows: mpsc::Sender<Told>,
    /// What became of it; there is an answer only where it ended.
    outcome: oneshot::Receiver<Result<u64, DbError>>,
}

/// Begins a load. Two pieces wait at most.
pub(super) async fn start<'a>(
    session: &'a mut SqliteSession,
    sql: &str,
    columns: usize,
) -> Result<Box<dyn RowSink + 'a>, DbError> {
    let (rows, inbox) = mpsc::channel(2);
    let (answer, outcome) = oneshot::channel();
    let (ready, begun) = oneshot::channel();
    let sql = sql.to_owned();
    let in_transaction = session.mark();
    session.send(Box::new(move |connection| {
        let outcome = load(connection, &sql, columns, ready, inbox);
        // Told before the answer, so that who has the answer also sees the state after it.
        in_transaction.store(!connection.is_autocommit(), Ordering::Release);
        let _ = answer.send(outcome);
    }))?;
    let mut load = Load { rows, outcome };
    if begun.await.is_err() {
        return Err(load.ended().await);
    }
    Ok(Box::new(load))
}

impl Load {
    /// Why the thread listens no more.
    async fn ended(&mut self) -> DbError {
        let gone = || {
            let message = "the load into SQLite ended before its rows did";
            DbError::new(ErrorClass::ConnectionLost, message)
        };
        match (&mut self.outcome).await {
            Ok(Err(error)) => error,
            Ok(Ok(_)) | Err(_) => gone(),
        }
    }
}

#[async_trait]
impl RowSink for Load {
    async fn send(&mut self, bytes: Vec<u8>) -> Result<(), DbError> {
        match self.rows.send(Told::Rows(bytes)).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.ended().await),
        }
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, DbError> {
        if self.rows.send(Told::End).await.is_err() {
            return Err(self.ended().await);
        }
        let Load { outcome, .. } = *self;
        outcome.await.unwrap_or_else(|_| {
            Err(DbError::new(
                ErrorClass::ConnectionLost,
                "the thread of the SQLite connection ended",
            ))
        })
    }
}

/// A load, whole or not at all: a savepoint holds it together, also where no transaction is open.
fn load(
    connection: &Connection,
    sql: &str,
    columns: usize,
    ready: oneshot::Sender<()>,
    inbox: mpsc::Receiver<Told>,
) -> Result<u64, DbError> {
    let native = |error: rusqlite::Error| db_error(&error);
    connection
        .execute_batch("SAVEPOINT dunlin_load")
        .map_err(native)?;
    let taken = connection
        .prepare(sql)
        .map_err(native)
        .and_then(|mut insert| {
            let _ = ready.send(());
            take(&mut insert, columns, inbox)
        });
    match taken {
        Ok(Some(rows)) => {
            let released = connection.execute_batch("RELEASE dunlin_load");
            if let Err(error) = released {
                undo(connection);
                return Err(native(error));
            }
            Ok(rows)
        }
        Ok(None) => {
            undo(connection);
            Ok(0)
        }
        Err(error) => {
            undo(connection);
            Err(error)
        }
    }
}

/// Takes a load back. Where the engine has rolled everything back by itself (a full disk) there is nothing to take back.
fn undo(connection: &Connection) {
    let _ = connection.execute_batch("ROLLBACK TO dunlin_load; RELEASE dunlin_load");
}

/// Takes rows until the end is told; `None` where nobody tells it.
fn take(
    insert: &mut Statement<'_>,
    columns: usize,
    mut inbox: mpsc::Receiver<Told>,
) -> Result<Option<u64>, DbError> {
    let mut taken = 0;
    // The beginning of a row whose rest is in the next piece.
    let mut begun: Vec<u8> = vec![];
    while let Some(told) = inbox.blocking_recv() {
        let Told::Rows(bytes) = told else {
            if begun.is_empty() {
                return Ok(Some(taken));
            }
            return Err(broken());
        };
        let bytes = if begun.is_empty() {
            bytes
        } else {
            begun.extend_from_slice(&bytes);
            std::mem::take(&mut begun)
        };
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let Some(after) = bind(insert, columns, rest)? else {
                break;
            };
            insert
                .raw_execute()
                .map_err(|error| in_row(&error, taken + 1))?;
            taken += 1;
            rest = after;
        }
        let done = bytes.len() - rest.len();
        if done == 0 {
            // One long row in many pieces: not copied for each of them.
            begun = bytes;
        } else if done < bytes.len() {
            begun = bytes[done..].to_vec();
        }
    }
    Ok(None)
}

fn in_row(error: &rusqlite::Error, row: u64) -> DbError {
    let mut error = db_error(error);
    let place = format!("row {row} of the load");
    error.hint = Some(match error.hint {
        Some(hint) => format!("{hint}; {place}"),
        None => place,
    });
    error
}

fn broken() -> DbError {
    DbError::new(ErrorClass::Data, "a row of the load is not whole")
}

/// Binds a row's cells; gives what is behind it, `None` where its end is not there yet.
fn bind<'b>(
    insert: &mut Statement<'_>,
    columns: usize,
    bytes: &'b [u8],
) -> Result<Option<&'b [u8]>, DbError> {
    let mut rest = bytes;
    for column in 1..=columns {
        let Some((value, after)) = cell(rest)? else {
            return Ok(None);
        };
        insert
            .raw_bind_parameter(column, ToSqlOutput::Borrowed(value))
            .map_err(|error| db_error(&error))?;
        rest = after;
    }
    Ok(Some(rest))
}

/// What was read, and what is behind it; `None` where its end is not there yet.
type Cut<'b, T> = Result<Option<(T, &'b [u8])>, DbError>;

/// One cell and what is behind it, as `dialect::sqlite::bulk` wrote it.
fn cell(bytes: &[u8]) -> Cut<'_, ValueRef<'_>> {
    let Some((tag, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    Ok(match *tag {
        bulk::NULL => Some((ValueRef::Null, rest)),
        bulk::INT => rest
            .split_first_chunk()
            .map(|(eight, rest)| (ValueRef::Integer(i64::from_le_bytes(*eight)), rest)),
        bulk::REAL => rest
            .split_first_chunk()
            .map(|(eight, rest)| (ValueRef::Real(f64::from_le_bytes(*eight)), rest)),
        bulk::TEXT => payload(rest)?.map(|(text, rest)| (ValueRef::Text(text), rest)),
        bulk::BYTES => payload(rest)?.map(|(bytes, rest)| (ValueRef::Blob(bytes), rest)),
        _ => return Err(broken()),
    })
}

fn payload(bytes: &[u8]) -> Cut<'_, &[u8]> {
    let (mut len, mut shift) = (0_usize, 0);
    for (at, byte) in bytes.iter().enumerate() {
        len |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(bytes[at + 1..].split_at_checked(len));
        }
        shift += 7;
        if shift > 28 {
            return Err(broken());
        }
    }
    Ok(None)
}
