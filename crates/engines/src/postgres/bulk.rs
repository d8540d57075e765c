//! Streaming rows out of PostgreSQL, and `COPY … FROM stdin` into it.

use super::rows::Rows;
use super::session::PostgresSession;
use crate::{Batch, DbError, RowSink, RowSource};
use async_trait::async_trait;
use bytes::Bytes;
use dunlin_core::failure::ErrorClass;
use futures_util::SinkExt;
use std::pin::Pin;
use tokio_postgres::CopyInSink;

/// Rows per batch, and bytes per batch: whichever is reached first. The driver holds two reads of the socket beside it;
/// beyond that the server waits.
const ROWS_MAX: usize = 4_096;
const BYTES_MAX: usize = 1 << 20;

/// Pieces in which COPY's data is sent.
const COPY_PIECE: usize = 64 << 10;

/// Pieces in which a load is sent.
const LOAD_PIECE: usize = 256 << 10;

struct Stream<'a> {
    session: &'a mut PostgresSession,
    rows: Rows,
    sql: String,
    ended: bool,
    /// The next batch, with the room that the last one took.
    empty: Batch,
}

/// Starts streaming a query. Columns come in the driver's binary form, so floats are exact; types without one that is
/// understood (intervals, arrays, ranges, geometry, extensions' types) are an error that asks for a cast to text.
pub(super) async fn start<'a>(
    session: &'a mut PostgresSession,
    sql: &str,
) -> Result<Box<dyn RowSource + 'a>, DbError> {
    session.ready().await?;
    let rows = session.rows_of(sql, &[], false).await?;
    let sql = sql.to_owned();
    Ok(Box::new(Stream {
        session,
        empty: Batch::new(rows.columns.len()),
        rows,
        sql,
        ended: false,
    }))
}

#[async_trait]
impl RowSource for Stream<'_> {
    fn columns(&self) -> &[String] {
        &self.rows.columns
    }

    async fn next(&mut self) -> Result<Option<Batch>, DbError> {
        if self.ended {
            return Ok(None);
        }
        let mut batch = std::mem::take(&mut self.empty);
        let mut scratch = String::new();
        while batch.len() < ROWS_MAX && batch.bytes() < BYTES_MAX {
            match self.rows.next().await {
                Ok(Some(row)) => self
                    .rows
                    .cells(&row, &mut scratch, |cell| batch.push(cell))?,
                Ok(None) => {
                    self.ended = true;
                    self.session.finished(Ok(()), &self.sql).await?;
                    break;
                }
                Err(error) => {
                    self.ended = true;
                    self.session.finished(Err(error), &self.sql).await?;
                }
            }
        }
        self.empty = batch.likewise();
        Ok((!batch.is_empty()).then_some(batch))
    }
}

/// Sends `COPY … FROM stdin` and its data.
pub(super) async fn copy_in(
    session: &mut PostgresSession,
    sql: &str,
    data: &str,
) -> Result<u64, DbError> {
    session.ready().await?;
    let copied = async {
        let mut sink = Box::pin(session.client().copy_in::<_, Bytes>(sql).await?);
        let mut rest = data.as_bytes();
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(rest.len().min(COPY_PIECE));
            // The server may refuse a line while more are on their way: `finish` then says why.
            if sink.send(Bytes::copy_from_slice(piece)).await.is_err() {
                break;
            }
            rest = later;
        }
        sink.as_mut().finish().await
    }
    .await;
    session.finished(copied, sql).await
}

/// A COPY under way. Dropped, the driver tells the server that it failed, and the next statement looks at what it left.
struct Load<'a> {
    session: &'a mut PostgresSession,
    sink: Pin<Box<CopyInSink<Bytes>>>,
    sql: String,
}

/// Begins a load.
pub(super) async fn load<'a>(
    session: &'a mut PostgresSession,
    sql: &str,
) -> Result<Box<dyn RowSink + 'a>, DbError> {
    session.ready().await?;
    let begun = session.client().copy_in::<_, Bytes>(sql).await;
    let sink = match begun {
        Ok(sink) => Box::pin(sink),
        Err(error) => return Err(ended(session, error, sql).await),
    };
    let sql = sql.to_owned();
    Ok(Box::new(Load { session, sink, sql }))
}

#[async_trait]
impl RowSink for Load<'_> {
    async fn send(&mut self, bytes: Vec<u8>) -> Result<(), DbError> {
        let mut rest = Bytes::from(bytes);
        while !rest.is_empty() {
            // In pieces, for the driver makes a copy of each.
            let piece = rest.split_to(rest.len().min(LOAD_PIECE));
            if let Err(error) = self.sink.send(piece).await {
                return Err(ended(self.session, error, &self.sql).await);
            }
        }
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<u64, DbError> {
        let Load {
            session,
            mut sink,
            sql,
        } = *self;
        let copied = sink.as_mut().finish().await;
        session.finished(copied, &sql).await
    }
}

/// After a statement that failed.
async fn ended(session: &mut PostgresSession, error: tokio_postgres::Error, sql: &str) -> DbError {
    match session.finished::<()>(Err(error), sql).await {
        Err(error) => error,
        Ok(()) => DbError::new(ErrorClass::Other, "the load ended before its rows did"),
    }
}
