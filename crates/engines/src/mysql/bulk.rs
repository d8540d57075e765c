//! Streaming rows out of MySQL and MariaDB.

use super::session::MysqlSession;
use super::values::{Shape, read, shape};
use crate::{Batch, DbError, RowSource};
use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{BinaryProtocol, QueryResult};

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
    session.ready().await?;
    let statement = session.parts()?.0.prep(sql).await;
    let statement = session.finished(statement).await?;
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
    Ok(Box::new(Stream {
        shapes: rows.columns_ref().iter().map(shape).collect(),
        rows: Some(rows),
        unseen,
        empty: Batch::new(columns.len()),
        columns,
    }))
}

#[async_trait]
impl RowSource for Stream<'_> {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    async fn next(&mut self) -> Result<Option<Batch>, DbError> {
        let Some(rows) = &mut self.rows else {
            return Ok(None);
        };
        let mut batch = std::mem::take(&mut self.empty);
        let mut scratch = String::new();
        while batch.len() < ROWS_MAX && batch.bytes() < BYTES_MAX {
            *self.unseen = true;
            let next = rows.next().await;
            *self.unseen = false;
            let row = match next {
                Ok(row) => row,
                Err(error) => {
                    self.rows = None;
                    return Err(super::session::db_error(&error));
                }
            };
            let Some(row) = row else {
                self.rows = None;
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
