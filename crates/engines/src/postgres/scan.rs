//! Rows of a table at the speed of `COPY … TO STDOUT` in binary form: one message a row, read where it lies.

use super::session::PostgresSession;
use super::values::Reader;
use crate::scan::{RowVisitor, ShortTexts, batches, emptied};
use crate::{Batch, Cell, DbError, RowSource};
use async_trait::async_trait;
use bytes::Bytes;
use dunlin_core::failure::ErrorClass;
use futures_util::TryStreamExt;
use std::ops::Range;
use std::pin::Pin;
use tokio_postgres::CopyOutStream;

/// What the binary form begins with, before flags and the length of an extension.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Rows per batch, and bytes per batch, where rows go on in batches.
const ROWS_MAX: usize = 4_096;
const BYTES_MAX: usize = 1 << 20;

/// Hands the rows of a SELECT to a visitor.
pub(super) async fn scan(
    session: &mut PostgresSession,
    sql: &str,
    mut visitor: Box<dyn RowVisitor>,
) -> Result<Box<dyn RowVisitor>, DbError> {
    if session.is_pooled() {
        // What is prepared there may be gone with the next trip.
        return batches(super::bulk::start(session, sql).await?, visitor).await;
    }
    let mut copied = Copied::start(session, sql).await?;
    if visitor.apart() {
        return batches(Box::new(copied), visitor).await;
    }
    let mut row = Fields::default();
    let mut room: Vec<Cell<'static>> = vec![];
    while let Some(message) = copied.next_row(&mut row).await? {
        let mut cells = emptied(room);
        row.cells(&copied.readers, &message, &mut cells)?;
        let flow = visitor.row(&cells);
        room = emptied(cells);
        if flow.is_break() {
            break;
        }
    }
    Ok(visitor)
}

/// A COPY under way. Dropped before its end, the driver reads what is still to come and throws it away.
struct Copied<'a> {
    session: &'a mut PostgresSession,
    stream: Pin<Box<CopyOutStream>>,
    readers: Vec<Reader>,
    columns: Vec<String>,
    sql: String,
    /// The header has been read.
    begun: bool,
    ended: bool,
    row: Fields,
    empty: Batch,
}

/// Where the values of a row lie in its message.
#[derive(Default)]
struct Fields {
    places: Vec<Place>,
    /// The texts of values that have to be spelled.
    spelled: String,
    short: ShortTexts,
}

enum Place {
    Null,
    Raw(Range<usize>),
    Spelled(Range<usize>),
}

impl<'a> Copied<'a> {
    async fn start(session: &'a mut PostgresSession, sql: &str) -> Result<Copied<'a>, DbError> {
        session.ready().await?;
        let begun = async {
            let statement = session.client().prepare(sql).await?;
            let copy = format!("COPY ({sql}) TO STDOUT (FORMAT binary)");
            let stream = session.client().copy_out(&copy).await?;
            Ok((statement, stream))
        }
        .await;
        let (statement, stream) = match begun {
            Ok(begun) => begun,
            Err(error) => return session.finished(Err(error), sql).await,
        };
        let readers: Vec<Reader> = statement.columns().iter().map(Reader::new).collect();
        let columns: Vec<String> = readers.iter().map(|reader| reader.name().into()).collect();
        Ok(Copied {
            session,
            stream: Box::pin(stream),
            empty: Batch::new(columns.len()),
            readers,
            columns,
            sql: sql.to_owned(),
            begun: false,
            ended: false,
            row: Fields::default(),
        })
    }

    /// The message with the next row, whose values' places go into `row`. `None`: there are no more.
    async fn next_row(&mut self, row: &mut Fields) -> Result<Option<Bytes>, DbError> {
        if self.ended {
            return Ok(None);
        }
        loop {
            let message = match self.stream.try_next().await {
                Ok(Some(message)) => message,
                Ok(None) => {
                    self.ended = true;
                    self.session.finished(Ok(()), &self.sql).await?;
                    return Ok(None);
                }
                Err(error) => {
                    self.ended = true;
                    return self.session.finished(Err(error), &self.sql).await;
                }
            };
            let rest = if self.begun {
                0
            } else {
                self.begun = true;
                header(&message).ok_or_else(broken)?
            };
            // The header may come alone; after the last row there is a count of −1.
            if rest < message.len() && row.find(&self.readers, &message, rest)? {
                return Ok(Some(message));
            }
        }
    }
}

/// The server sent what is not COPY's binary form.
fn broken() -> DbError {
    let message = "the server's answer to a COPY is not in the binary form that was asked for";
    DbError::new(ErrorClass::Other, message)
}

/// How long the header is.
fn header(message: &[u8]) -> Option<usize> {
    let rest = message.strip_prefix(SIGNATURE)?;
    let extension = u32::from_be_bytes(rest.get(4..8)?.try_into().ok()?);
    let end = SIGNATURE.len() + 8 + usize::try_from(extension).ok()?;
    (end <= message.len()).then_some(end)
}

impl Fields {
    /// Finds the values of the row that begins at a byte of a message, which holds it whole and nothing after it. `false`:
    /// it is the end of all rows.
    fn find(&mut self, readers: &[Reader], message: &[u8], at: usize) -> Result<bool, DbError> {
        self.places.clear();
        self.spelled.clear();
        self.short.clear();
        let (count, mut rest) = message[at..].split_first_chunk().ok_or_else(broken)?;
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            return Ok(false);
        }
        if usize::try_from(count).ok() != Some(readers.len()) {
            return Err(broken());
        }
        for reader in readers {
            let (len, after) = rest.split_first_chunk().ok_or_else(broken)?;
            // -1: NULL.
            let Ok(len) = usize::try_from(i32::from_be_bytes(*len)) else {
                self.places.push(Place::Null);
                rest = after;
                continue;
            };
            let (raw, after) = after.split_at_checked(len).ok_or_else(broken)?;
            if reader.spells() {
                let from = self.spelled.len();
                reader.spell(raw, &mut self.spelled)?;
                self.places.push(Place::Spelled(from..self.spelled.len()));
            } else {
                if reader.is_text() {
                    self.short.take(raw);
                }
                let to = message.len() - after.len();
                self.places.push(Place::Raw(to - len..to));
            }
            rest = after;
        }
        Ok(true)
    }

    /// The cells of the row.
    fn cells<'c>(
        &'c mut self,
        readers: &[Reader],
        message: &'c [u8],
        out: &mut Vec<Cell<'c>>,
    ) -> Result<(), DbError> {
        let mut texts = self.short.looked_through();
        for (place, reader) in self.places.iter().zip(readers) {
            out.push(match place {
                Place::Null => Cell::Null,
                Place::Raw(range) if reader.is_text() => texts.cell(&message[range.clone()]),
                Place::Raw(range) => reader.plain(&message[range.clone()])?,
                Place::Spelled(range) => Cell::Text(&self.spelled[range.clone()]),
            });
        }
        Ok(())
    }
}

#[async_trait]
impl RowSource for Copied<'_> {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    async fn next(&mut self) -> Result<Option<Batch>, DbError> {
        let mut batch = std::mem::take(&mut self.empty);
        let mut row = std::mem::take(&mut self.row);
        let mut room: Vec<Cell<'static>> = vec![];
        while batch.len() < ROWS_MAX && batch.bytes() < BYTES_MAX {
            let Some(message) = self.next_row(&mut row).await? else {
                break;
            };
            let mut cells = emptied(room);
            row.cells(&self.readers, &message, &mut cells)?;
            cells.iter().for_each(|cell| batch.push(*cell));
            room = emptied(cells);
        }
        self.row = row;
        self.empty = batch.likewise();
        Ok((!batch.is_empty()).then_some(batch))
    }
}
