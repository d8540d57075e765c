//! Rows of a query on their way.

use super::values::{Raw, Reader};
use crate::{Cell, DbError};
use dunlin_core::failure::ErrorClass;
use futures_util::TryStreamExt;
use std::pin::Pin;
use tokio_postgres::{Column, Row as NativeRow, RowStream};

/// A result on its way.
pub(super) struct Rows {
    /// `None` after its end: the driver must not be asked again.
    pub(super) stream: Option<Pin<Box<RowStream>>>,
    first: Option<NativeRow>,
    pub(super) columns: Vec<String>,
    readers: Vec<Reader>,
}

impl Rows {
    pub(super) fn new(
        columns: &[Column],
        stream: Pin<Box<RowStream>>,
        first: Option<NativeRow>,
    ) -> Self {
        Rows {
            columns: columns
                .iter()
                .map(|column| column.name().to_owned())
                .collect(),
            readers: columns.iter().map(Reader::new).collect(),
            stream: Some(stream),
            first,
        }
    }

    /// The next row.
    pub(super) async fn next(&mut self) -> Result<Option<NativeRow>, tokio_postgres::Error> {
        if let Some(row) = self.first.take() {
            return Ok(Some(row));
        }
        let Some(stream) = &mut self.stream else {
            return Ok(None);
        };
        let row = stream.try_next().await?;
        if row.is_none() {
            self.stream = None;
        }
        Ok(row)
    }

    /// Gives the cells of a row, one by one, to `take`.
    pub(super) fn cells(
        &self,
        row: &NativeRow,
        scratch: &mut String,
        mut take: impl FnMut(Cell<'_>),
    ) -> Result<(), DbError> {
        for (at, reader) in self.readers.iter().enumerate() {
            let raw: Option<Raw<'_>> = row
                .try_get(at)
                .map_err(|error| DbError::new(ErrorClass::Other, error.to_string()))?;
            match raw {
                None => take(Cell::Null),
                Some(Raw(raw)) => take(reader.read(raw, scratch)?),
            }
        }
        Ok(())
    }
}
