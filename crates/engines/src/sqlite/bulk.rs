//! Streaming rows out of SQLite: the connection's thread reads and fills batches, at most two of which wait.

use super::session::{SqliteSession, db_error, gone};
use crate::scan::{RowVisitor, ShortTexts, Texts, Wanted, emptied};
use crate::{Batch, Cell, DbError, RowSource};
use async_trait::async_trait;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use tokio::sync::{mpsc, oneshot};

/// Rows per batch, and bytes per batch: whichever is reached first. 256 KiB keeps two waiting batches and the ones in
/// work near the processor's cache, and under 1 MiB unless one value is larger.
const ROWS_MAX: usize = 1_024;
const BYTES_MAX: usize = 1 << 18;

struct Stream {
    columns: Vec<String>,
    /// `None` after the last batch: a thread that is gone has not come to the end of all rows.
    batches: mpsc::Receiver<Result<Option<Batch>, DbError>>,
    ended: bool,
}

/// Starts streaming a query.
pub(super) async fn start<'a>(
    session: &'a mut SqliteSession,
    sql: &str,
) -> Result<Box<dyn RowSource + 'a>, DbError> {
    let (sender, batches) = mpsc::channel(2);
    let (head, columns) = oneshot::channel();
    let sql = sql.to_owned();
    session.send(Box::new(move |connection| {
        let failed = sender.clone();
        let end = pump(connection, &sql, head, &sender).map(|()| None);
        let _ = failed.blocking_send(end.map_err(|error| db_error(&error)));
    }))?;
    match columns.await {
        Ok(columns) => Ok(Box::new(Stream {
            columns,
            batches,
            ended: false,
        })),
        Err(_) => {
            let mut stream = Stream {
                columns: vec![],
                batches,
                ended: false,
            };
            match stream.next().await {
                Err(error) => Err(error),
                Ok(_) => Ok(Box::new(stream)),
            }
        }
    }
}

fn pump(
    connection: &Connection,
    sql: &str,
    head: oneshot::Sender<Vec<String>>,
    sender: &mpsc::Sender<Result<Option<Batch>, DbError>>,
) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare(sql)?;
    let width = statement.column_count();
    let names = statement.column_names().map(str::to_owned).collect();
    let _ = head.send(names);
    let mut rows = statement.query([])?;
    let mut batch = Batch::new(width);
    let (mut room, mut short): (Vec<ValueRef<'static>>, _) = (vec![], ShortTexts::default());
    while let Some(row) = rows.next()? {
        let mut values = emptied(room);
        let mut texts = values_of(row, width, &mut values, &mut short)?;
        for value in &values {
            batch.push(cell(*value, &mut texts));
        }
        room = emptied(values);
        if batch.len() >= ROWS_MAX || batch.bytes() >= BYTES_MAX {
            let next = batch.likewise();
            let full = std::mem::replace(&mut batch, next);
            if sender.blocking_send(Ok(Some(full))).is_err() {
                return Ok(()); // nobody listens any more
            }
        }
    }
    if !batch.is_empty() {
        let _ = sender.blocking_send(Ok(Some(batch)));
    }
    Ok(())
}

/// The values of a row, and its texts.
fn values_of<'v>(
    row: &'v Row<'_>,
    width: usize,
    values: &mut Vec<ValueRef<'v>>,
    short: &'v mut ShortTexts,
) -> Result<Texts<'v>, rusqlite::Error> {
    short.clear();
    for at in 0..width {
        let value = row.get_ref(at)?;
        if let ValueRef::Text(text) = value {
            short.take(text);
        }
        values.push(value);
    }
    Ok(short.looked_through())
}

fn cell<'v>(value: ValueRef<'v>, texts: &mut Texts<'v>) -> Cell<'v> {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(n) => Cell::Int(n),
        ValueRef::Real(f) => Cell::Float(f),
        ValueRef::Text(text) => texts.cell(text),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes),
    }
}

/// Hands the rows of a query to a visitor on the connection's thread: their cells are the library's own, and nothing is
/// copied.
pub(super) async fn scan(
    session: &mut SqliteSession,
    sql: &str,
    mut visitor: Box<dyn RowVisitor>,
) -> Result<Box<dyn RowVisitor>, DbError> {
    let sql = sql.to_owned();
    // Of a future that is dropped nobody takes the answer, and the thread would read on to the end.
    let wanted = Wanted::default();
    let ours = wanted.ask();
    let scanned = session.with(move |connection| {
        let mut statement = connection.prepare(&sql)?;
        let width = statement.column_count();
        let mut rows = statement.query([])?;
        let mut room: Vec<Cell<'static>> = Vec::with_capacity(width);
        let mut value_room: Vec<ValueRef<'static>> = Vec::with_capacity(width);
        let mut short = ShortTexts::default();
        while let Some(row) = rows.next()? {
            let mut values = emptied(value_room);
            let mut texts = values_of(row, width, &mut values, &mut short)?;
            let mut cells = emptied(room);
            cells.extend(values.iter().map(|value| cell(*value, &mut texts)));
            let flow = visitor.row(&cells);
            room = emptied(cells);
            value_room = emptied(values);
            if flow.is_break() || !ours.is_wanted() {
                break;
            }
        }
        Ok(visitor)
    });
    scanned.await
}

#[async_trait]
impl RowSource for Stream {
    fn columns(&self) -> &[String] {
        &self.columns
    }
    async fn next(&mut self) -> Result<Option<Batch>, DbError> {
        if self.ended {
            return Ok(None);
        }
        let next = match self.batches.recv().await {
            Some(next) => next,
            None => Err(gone()),
        };
        self.ended = !matches!(next, Ok(Some(_)));
        next
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Some rows that came, and then nothing more: with the word that this was all, or without it.
    async fn came(end: Option<Result<Option<Batch>, DbError>>) -> Vec<Result<bool, String>> {
        let (sender, batches) = mpsc::channel(3);
        sender.send(Ok(Some(Batch::new(1)))).await.unwrap();
        if let Some(end) = end {
            sender.send(end).await.unwrap();
        }
        drop(sender);
        let mut stream = Stream {
            columns: vec!["v".into()],
            batches,
            ended: false,
        };
        let mut found = vec![];
        for _ in 0..3 {
            let next = stream.next().await;
            found.push(
                next.map(|batch| batch.is_some())
                    .map_err(|error| error.message),
            );
        }
        found
    }

    #[tokio::test]
    async fn rows_of_a_thread_that_is_gone_are_not_all_rows() {
        let whole = came(Some(Ok(None))).await;
        assert_eq!(whole, [Ok(true), Ok(false), Ok(false)]);
        let cut = came(None).await;
        assert!(cut[0] == Ok(true) && cut[1].is_err(), "{cut:?}");
    }
}
