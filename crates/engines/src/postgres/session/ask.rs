//! Queries of Dunlin's own, which are not worth preparing.

use super::{PostgresSession, Rows};
use crate::DbError;
use crate::postgres::values::{Bound, type_of, value};
use dunlin_core::value::{Row, Value};
use futures_util::TryStreamExt;
use tokio_postgres::Row as NativeRow;

impl PostgresSession {
    /// Starts a query that is not prepared: one trip, and columns of built-in types only.
    pub(super) async fn typed_rows(
        &mut self,
        sql: &str,
        params: &[Value],
    ) -> Result<Rows, tokio_postgres::Error> {
        let typed = params.iter().map(|param| (Bound(param), type_of(param)));
        let mut stream = Box::pin(self.client.query_typed_raw(sql, typed).await?);
        let first = stream.try_next().await?;
        // Without a description there is only the first row to tell the columns.
        let columns = first.as_ref().map(NativeRow::columns).unwrap_or_default();
        let mut rows = Rows::new(columns, stream, first.clone());
        if first.is_none() {
            rows.stream = None;
        }
        Ok(rows)
    }

    /// All rows of a result, and its end.
    pub(super) async fn all_of(&mut self, mut rows: Rows, sql: &str) -> Result<Vec<Row>, DbError> {
        let mut all = vec![];
        let mut scratch = String::new();
        loop {
            match rows.next().await {
                Ok(None) => return self.finished(Ok(all), sql).await,
                Err(error) => return self.finished(Err(error), sql).await,
                Ok(Some(row)) => {
                    let mut values = Row::with_capacity(rows.columns.len());
                    rows.cells(&row, &mut scratch, |cell| values.push(value(cell)))?;
                    all.push(values);
                }
            }
        }
    }
}
