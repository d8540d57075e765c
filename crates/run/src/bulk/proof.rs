//! The proof of an import: what the file said is what was read, and what was sent is what the table gained.

use super::load::Load;
use crate::{digest, trouble};
use dunlin_core::bulk::{Datum, Manifest, ManifestTable};
use dunlin_core::copy::{Digest, RowHasher};
use dunlin_core::event::Sink;
use dunlin_core::failure::{Failure, FailureClass};
use dunlin_core::value::Value;
use dunlin_engines::Session;
use std::path::Path;
use std::sync::Arc;

/// A table with more rows than this before an import is not read whole for the proof.
const PROVED_MAX: i64 = 1_000_000;

/// Hashes rows of one table as the export hashed them.
pub(super) struct Source {
    table: ManifestTable,
    hasher: RowHasher,
    columns: Arc<Vec<String>>,
    from: Option<Vec<usize>>,
}

impl Source {
    pub(super) fn new(manifest: &Manifest, table: &ManifestTable) -> Source {
        Source {
            hasher: RowHasher::new(table.types(), manifest.typing()),
            table: table.clone(),
            columns: Arc::default(),
            from: None,
        }
    }

    /// The table's name.
    pub(super) fn name(&self) -> &str {
        &self.table.table
    }

    /// Takes a row. The error is a sentence.
    pub(super) fn row(&mut self, columns: &Arc<Vec<String>>, row: &[Datum]) -> Result<(), String> {
        if self.from.is_none() || !Arc::ptr_eq(columns, &self.columns) {
            let place = |name: &String| columns.iter().position(|given| given == name);
            let from = self.table.columns.iter().map(|column| place(&column.name));
            let from: Option<Vec<usize>> = from.collect();
            self.from = from.filter(|from| from.len() == columns.len());
            self.columns = Arc::clone(columns);
        }
        let Some(from) = &self.from else {
            return Err("its columns are not those that the manifest names".into());
        };
        self.hasher.row(from.iter().map(|at| row[*at].cell()));
        Ok(())
    }

    /// Compares with what the manifest says; `said`: what the end of a stream says.
    pub(super) fn check(&self, said: Option<Digest>, file: &Path) -> Result<(), Failure> {
        let found = self.hasher.digest();
        let Some(said) = said.or_else(|| self.table.said()) else {
            return Err(damaged(
                file,
                "it ends before its end: the rows were not written whole",
            ));
        };
        if said == found {
            return Ok(());
        }
        let why = format!(
            "the rows of {} are not those that were exported: {} rows, digest {}, where {} rows, digest {} were written",
            self.table.table,
            found.rows,
            found.hex(),
            said.rows,
            said.hex()
        );
        Err(damaged(file, &why))
    }
}

pub(super) fn damaged(file: &Path, why: &str) -> Failure {
    let message = format!("`{}`: {why}", file.display());
    Failure::new(FailureClass::Mismatch, "import-damaged", message)
        .hint("nothing was imported; export again, or import the file alone, without its manifest, to take it as it is")
}

/// Looks at a table before its first row comes.
pub(super) async fn before(
    session: &mut dyn Session,
    load: &mut Load,
    sink: &mut dyn Sink,
) -> Result<(), Failure> {
    let wrong = |error| trouble::failed(&error, "the table cannot be read");
    let sql = session.dialect().change().count(&load.bound);
    let rows = session.query(&sql, &[]).await.map_err(wrong)?;
    let count = rows
        .first()
        .and_then(|row| row.first())
        .and_then(Value::as_i64);
    load.before = match count {
        Some(0) => Some(Digest::default()),
        Some(count) if count <= PROVED_MAX => {
            let found = digest::digest_table(session, &load.bound, sink).await;
            found.map_err(wrong)?.value()
        }
        _ => None,
    };
    Ok(())
}

/// Compares what a table gained with what was sent; gives whether it could.
pub(super) async fn gained(
    session: &mut dyn Session,
    load: &Load,
    sink: &mut dyn Sink,
) -> Result<bool, Failure> {
    let Some(before) = load.before else {
        return Ok(false);
    };
    let found = digest::digest_table(session, &load.bound, sink).await;
    let found = found.map_err(|error| trouble::failed(&error, "the table cannot be read"))?;
    let after = found.value().unwrap_or_default();
    let gained = Digest {
        rows: after.rows.wrapping_sub(before.rows),
        sum: after.sum.wrapping_sub(before.sum),
    };
    let sent = load.hasher.digest();
    if gained == sent {
        return Ok(true);
    }
    let what = if gained.rows == sent.rows {
        "their values are not all as they were sent".to_owned()
    } else {
        format!("{} rows came where {} were sent", gained.rows, sent.rows)
    };
    let message = format!(
        "{} did not take the rows as they are: {what}",
        load.counts.table
    );
    Err(
        Failure::new(FailureClass::Mismatch, "import-unequal", message).hint(
            "nothing was imported; a trigger, a rule, or a column that rounds what it cannot hold changes rows as they come",
        ),
    )
}
