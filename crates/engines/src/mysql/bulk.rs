//! Streaming rows out of MySQL and MariaDB.

use super::session::MysqlSession;
use super::values::{Shape, plain, read, shape, spell};
use crate::scan::{RowVisitor, ShortTexts, batches, emptied};
use crate::{Batch, Cell, DbError, RowSource};
use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{BinaryProtocol, QueryResult, Row};

/// Rows per batch, and bytes per batch: whichever is reached first. The driver holds one row beside it.
const ROWS_MAX: usize = 4_096;
const BYTES_MAX: usize = 1 << 20;

struct Stream<'a> {
    /// `None` once the last row is read.
    rows: Option<QueryResult<'a, 'static, BinaryProtocol>>,
    unseen: &'a mut bool,
    columns: Vec<String>,
    shapes: Vec<Shape>,
    /// The next batch, with the room that the last one took.
    empty: Batch,
}

/// Starts streaming a query, in the binary protocol: doubles and floats are exact there.
pub(super) async fn start<'a>(
    session: &'a mut MysqlSession,
    sql: &str,
) -> Result<Box<dyn RowSource + 'a>, DbError> {
    Ok(Box::new(open(session, sql).await?))
}

async fn open<'a>(session: &'a mut MysqlSession, sql: &str) -> Result<Stream<'a>, DbError> {
    session.ready().await?;
    let statement = session.parts()?.0.prep(sql).await;
    let statement = session.finished(statement, sql).await?;
    let columns: Vec<String> = statement
        .columns()
        .iter()
        .map(|column| column.name_str().into_owned())
        .collect();
    session.ready().await?;
    // Errors while rows arrive are the stream's own; what a cancel leaves behind is drained by the next statement.
    let (conn, unseen) = session.parts()?;
    let begun = conn.exec_iter(statement, ()).await;
    *unseen = false;
    let rows = begun.map_err(|error| super::session::db_error(&error))?;
    Ok(Stream {
        shapes: rows.columns_ref().iter().map(shape).collect(),
        rows: Some(rows),
        unseen,
        empty: Batch::new(columns.len()),
        columns,
    })
}

/// Hands the rows of a query to a visitor, each as the driver has it.
pub(super) async fn scan(
    session: &mut MysqlSession,
    sql: &str,
    mut visitor: Box<dyn RowVisitor>,
) -> Result<Box<dyn RowVisitor>, DbError> {
    let mut stream = open(session, sql).await?;
    if visitor.apart() {
        return batches(Box::new(stream), visitor).await;
    }
    let mut row = Spelled::default();
    let mut room: Vec<Cell<'static>> = vec![];
    let mut count = 0_usize;
    while let Some(native) = stream.next_row().await? {
        let mut cells = emptied(room);
        row.cells(&stream.shapes, &native, &mut cells);
        let flow = visitor.row(&cells);
        room = emptied(cells);
        if flow.is_break() {
            break;
        }
        count += 1;
        if count.is_multiple_of(ROWS_MAX) {
            // The driver need not wait while there is something to read, and others want to be heard.
            tokio::task::yield_now().await;
        }
    }
    Ok(visitor)
}

/// What of a row has to be spelled or looked through before it is cells.
#[derive(Default)]
struct Spelled {
    text: String,
    /// Where the text of each column ends that was spelled.
    ends: Vec<usize>,
    short: ShortTexts,
}

impl Spelled {
    fn cells<'c>(&'c mut self, shapes: &[Shape], native: &'c Row, out: &mut Vec<Cell<'c>>) {
        use mysql_async::Value;
        self.text.clear();
        self.ends.clear();
        self.short.clear();
        let values = |at: usize| native.as_ref(at).unwrap_or(&Value::NULL);
        for (at, shape) in shapes.iter().enumerate() {
            match values(at) {
                Value::Bytes(bytes) if *shape == Shape::Text => self.short.take(bytes),
                value if spell(*shape, value, &mut self.text) => self.ends.push(self.text.len()),
                _ => {}
            }
        }
        let mut texts = self.short.looked_through();
        let (mut from, mut ends) = (0, self.ends.iter());
        for (at, shape) in shapes.iter().enumerate() {
            out.push(match values(at) {
                Value::Bytes(bytes) if *shape == Shape::Text => texts.cell(bytes),
                Value::Date(..) | Value::Time(..) => {
                    let end = ends.next().copied().unwrap_or(from);
                    let text = &self.text[from..end];
                    from = end;
                    Cell::Text(text)
                }
                value => plain(*shape, value),
            });
        }
    }
}

impl Stream<'_> {
    /// The next row; `None`: there are no more.
    async fn next_row(&mut self) -> Result<Option<Row>, DbError> {
        let Some(rows) = &mut self.rows else {
            return Ok(None);
        };
        *self.unseen = true;
        let next = rows.next().await;
        *self.unseen = false;
        if !matches!(next, Ok(Some(_))) {
            self.rows = None;
        }
        next.map_err(|error| super::session::db_error(&error))
    }
}

#[async_trait]
impl RowSource for Stream<'_> {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    async fn next(&mut self) -> Result<Option<Batch>, DbError> {
        let mut batch = std::mem::take(&mut self.empty);
        let mut scratch = String::new();
        while batch.len() < ROWS_MAX && batch.bytes() < BYTES_MAX {
            let Some(row) = self.next_row().await? else {
                break;
            };
            for (at, shape) in self.shapes.iter().enumerate() {
                let value = row.as_ref(at).unwrap_or(&mysql_async::Value::NULL);
                batch.push(read(*shape, value, &mut scratch));
            }
        }
        self.empty = batch.likewise();
        Ok((!batch.is_empty()).then_some(batch))
    }
}
